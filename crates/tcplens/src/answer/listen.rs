//! The sockets that answers are given at: bound while there is privilege for them, and told apart from what happens at
//! them, which begins later.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tcplens_output::tcpkit::TcpkitShape;

use super::client::Stop;
use super::conversation::{self, Asker};
use super::desk::Others;
use super::http::Http;
use super::server::{Room, Servers};
use super::{Asked, Desk, DeskSettings, Kinds};
use crate::cli::Answering;
use crate::say::say;

/// Clients of `--stats-port` at once. Each is a thread for as long as it reads.
pub(super) const STATS_CLIENTS: usize = 64;
/// Clients of the unix socket at once.
pub(super) const SOCKET_CLIENTS: usize = 128;

/// Bound sockets at which nobody is answered yet.
pub(crate) struct Listeners {
    stats: Option<(TcpListener, TcpkitShape)>,
    socket: Option<(UnixListener, SocketFile)>,
    metrics: Option<TcpListener>,
    web: Option<TcpListener>,
    /// Who has more for the page of metrics.
    beside: Option<SyncSender<Asked>>,
}

impl Listeners {
    /// The page of metrics has also what is asked for here.
    pub(crate) fn with(self, beside: Option<SyncSender<Asked>>) -> Listeners {
        Listeners { beside, ..self }
    }

    /// Begins to answer with what is asked for [beside](Self::with) alone: there is nothing else.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn start_beside(self) -> Result<Option<(Http, SocketAddr)>> {
        let (Some(listener), Some(desk)) = (self.metrics, self.beside) else {
            return Ok(None);
        };
        let failed = "cannot answer at --metrics";
        let address = listener.local_addr().context(failed)?;
        let http = Http::start(listener, vec![desk]).context(failed)?;
        Ok(Some((http, address)))
    }

    /// Binds what is asked for, which may be nothing.
    ///
    /// # Errors
    /// An address or path is taken or not permitted; the message says what to do.
    pub(crate) fn bind(answering: &Answering) -> Result<Listeners> {
        let stats = answering.stats_port.map(|at| bind(at, "--stats-port"));
        let stats = stats.transpose()?;
        let metrics = answering.metrics.map(|at| bind(at, "--metrics"));
        let metrics = metrics.transpose()?;
        let web = answering.web.map(|at| bind(at, "--web"));
        let web = web.transpose()?;
        answering.web.into_iter().for_each(warn_of);
        let socket = answering.socket.as_deref().map(|path| {
            let stop = "stop it (`tcplens stat` tells what it counts)";
            bind_socket(path, "--socket", stop)
        });
        let socket = socket.transpose()?;
        Ok(Listeners {
            stats: stats.map(|listener| (listener, answering.stats_shape)),
            socket,
            metrics,
            web,
            beside: None,
        })
    }

    /// Of `sockets`: an event socket in the unix socket's place, and metrics.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub(crate) fn of_sockets(
        event_socket: Option<&Path>,
        metrics: Option<SocketAddr>,
    ) -> Result<Listeners> {
        let socket = event_socket.map(|path| bind_socket(path, "--event-socket", "stop it"));
        let metrics = metrics.map(|at| bind(at, "--metrics"));
        Ok(Listeners {
            stats: None,
            socket: socket.transpose()?,
            metrics: metrics.transpose()?,
            web: None,
            beside: None,
        })
    }

    /// What [`of_sockets`](Self::of_sockets) has bound.
    pub(crate) fn into_parts(self) -> (Option<(UnixListener, SocketFile)>, Option<TcpListener>) {
        (self.socket, self.metrics)
    }

    /// Whether nobody can ask.
    pub(crate) fn is_empty(&self) -> bool {
        let Listeners {
            stats,
            socket,
            metrics,
            web,
            beside: _,
        } = self;
        stats.is_none() && socket.is_none() && metrics.is_none() && web.is_none()
    }

    /// The directory of the unix socket, from which it is removed at the end.
    pub(crate) fn directory(&self) -> Option<&Path> {
        let (_, file) = self.socket.as_ref()?;
        file.directory()
    }

    /// Which records whoever asks is told of: only these need to be made, beside what else wants them.
    pub(crate) fn wanted(&self) -> Kinds {
        match (&self.socket, &self.stats) {
            _ if self.metrics.is_some() || self.web.is_some() => Kinds::ALL,
            (Some(_), _) => Kinds::ALL,
            (None, Some((_, shape))) => Kinds {
                handshakes: false,
                requests: true,
                // Of these it counts packets.
                connections: *shape == TcpkitShape::Tcpkit1,
            },
            (None, None) => Kinds::default(),
        }
    }

    /// The unix socket shall be this user's and group's, who will remove it: privileges are given up for theirs.
    ///
    /// # Errors
    /// It is not permitted.
    pub(crate) fn give_to(&self, user: u32, group: u32) -> Result<()> {
        let Some((_, file)) = &self.socket else {
            return Ok(());
        };
        file.give_to(user, group)
    }

    /// Begins to answer: the desk is fed and asked to serve by whoever runs, the servers end when they are dropped.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn start(self, settings: DeskSettings) -> Result<(Desk, Servers)> {
        // Room for whoever may ask at once: each client asks once.
        let (desk, asked) = sync_channel(STATS_CLIENTS + SOCKET_CLIENTS + super::http::CLIENTS);
        let stop = Stop::default();
        let asker = Asker {
            desk,
            stop: stop.clone(),
        };
        let (socket, file) = self.socket.unzip();
        let address = match &self.stats {
            Some((listener, _)) => Some(listener.local_addr()?),
            None => None,
        };
        let is_measured = self.metrics.is_some();
        let metrics = match &self.metrics {
            Some(listener) => Some(listener.local_addr()?),
            None => None,
        };
        let http = match self.metrics {
            Some(listener) => {
                let desks = [asker.desk.clone()].into_iter().chain(self.beside);
                Some(Http::start(listener, desks.collect()))
            }
            None => None,
        };
        let http = http.transpose().context("cannot answer at --metrics")?;
        let browsers = Room::new("web_clients", super::http::CLIENTS);
        let at = self.web.as_ref().map(TcpListener::local_addr).transpose()?;
        let web = self
            .web
            .map(|listener| Http::start_page(listener, asker.desk.clone(), Arc::clone(&browsers)));
        let web = web.transpose().context("cannot answer at --web")?;
        let others = Others {
            is_measured,
            browsers: web.is_some().then_some(browsers),
        };
        let mut servers = Servers::new(stop, [address, metrics, at], file, [http, web]);
        let mut rooms = Vec::new();
        if let Some((listener, shape)) = self.stats {
            let room = Room::new("stats_port_clients", STATS_CLIENTS);
            rooms.push(room.clone());
            let asker = asker.clone();
            let talk = move |client| conversation::stats(client, &asker, shape);
            servers
                .serve("stats-port", listener, room, talk)
                .context("cannot answer at --stats-port")?;
        }
        if let Some(listener) = socket {
            let room = Room::new("socket_clients", SOCKET_CLIENTS);
            rooms.push(room.clone());
            let talk = move |client| conversation::question(client, &asker);
            servers
                .serve("socket", listener, room, talk)
                .context("cannot answer at --socket")?;
        }
        Ok((Desk::new(settings, asked, rooms, others), servers))
    }
}

/// Binds the port of a page that tells what traffic was, and says so where others reach it.
///
/// # Errors
/// It is taken or not permitted; the message says what to do.
#[cfg(feature = "parquet")]
pub(crate) fn bind_page(at: SocketAddr) -> Result<TcpListener> {
    let listener = bind(at, "--web")?;
    warn_of(at);
    Ok(listener)
}

fn warn_of(at: SocketAddr) {
    if !at.ip().is_loopback() {
        say(format_args!(
            "--web at {at} is open to everybody who reaches it: there is no password and no TLS, and the page tells \
             addresses and what was asked for; 127.0.0.1 is for this host only"
        ));
    }
}

/// Binds a port; the library sets SO_REUSEADDR, so that a restart need not wait for old connections.
fn bind(address: SocketAddr, option: &str) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AddrInUse => "another program listens there; choose another port with",
            ErrorKind::AddrNotAvailable => {
                "this host has no such address; choose one of its own with"
            }
            ErrorKind::PermissionDenied => "that needs a privilege; choose a port above 1023 with",
            _ => "choose another one with",
        };
        anyhow::anyhow!("cannot listen at {address}: {error}: {advice} {option} ADDR:PORT")
    })
}

/// The file of a unix socket, which is removed with this.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its directory, if that was made for it.
    made: Option<PathBuf>,
    /// Device and inode: a file that another program puts there stays.
    identity: (u64, u64),
}

impl SocketFile {
    /// From where it is removed at the end.
    fn directory(&self) -> Option<&Path> {
        self.path.parent()
    }

    /// It shall be this user's and group's, who will remove it, and the directory that was made for it too.
    ///
    /// # Errors
    /// It is not permitted.
    fn give_to(&self, user: u32, group: u32) -> Result<()> {
        let directory = self.made.as_deref();
        for path in [Some(self.path.as_path()), directory].into_iter().flatten() {
            lchown(path, Some(user), Some(group))
                .with_context(|| format!("cannot give {} to user {user}", path.display()))?;
        }
        Ok(())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Without the right to do it the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Binds the unix socket of an option: makes its directory, replaces a socket that nobody listens at any more. `stop` advises
/// what to do where somebody does.
///
/// # Errors
/// The path is taken or not permitted; the message says what to do.
fn bind_socket(path: &Path, option: &str, stop: &str) -> Result<(UnixListener, SocketFile)> {
    let failed = |what: &str, advice: &str| {
        let path = path.display();
        format!("cannot listen at {path}: {what}; {advice} or choose another path with {option}")
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let is_new = !directory.exists();
    if is_new {
        make(directory).with_context(|| {
            let what = format!("cannot make {}", directory.display());
            failed(&what, "make it and give it to the user who runs tcplens,")
        })?;
    }
    // Two that start at once do not take each other's socket for a stale one.
    let _lock = lock(directory);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| failed("cannot look at it", "see to its directory"));
        }
        Ok(metadata) if !metadata.file_type().is_socket() => {
            bail!(failed("there is a file that is no socket", "remove it"));
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => bail!(failed("another program answers there", stop)),
            // Nobody listens: its program was killed.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                fs::remove_file(path).with_context(|| {
                    failed(
                        "a stale socket is there that cannot be removed",
                        "remove it",
                    )
                })?;
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    failed(
                        "there is a socket, and whether it is in use cannot be seen",
                        "remove it",
                    )
                });
            }
        },
    }
    let listener = UnixListener::bind(path)
        .with_context(|| failed("it cannot be made", "make its directory writable"))?;
    let file = SocketFile {
        path: path.to_owned(),
        made: is_new.then(|| directory.to_owned()),
        identity: identity(path).with_context(|| failed("it is gone again", "try again"))?,
    };
    // The umask decided so far; who may not write may not connect.
    fs::set_permissions(path, Permissions::from_mode(0o660))
        .with_context(|| failed("its mode cannot be set", "see to its file system"))?;
    Ok((listener, file))
}

/// Makes a directory that everybody may look into, whatever the umask.
fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o755))
}

/// Holds the directory for a moment. Without it (a file system that has no locks, somebody who never lets go) all goes on.
fn lock(directory: &Path) -> Option<File> {
    let file = File::open(directory).ok()?;
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::Error(_)) => return None,
        }
    }
    None
}
