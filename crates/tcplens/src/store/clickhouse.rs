//! A ClickHouse server as the store: the password and certificates are read while there may be privileges, and where batches wait
//! is chosen.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tcplens_capture::clock;
use tcplens_output::clickhouse::{ClickHouseSink, Server, Settings, Target};

use super::feed::Opening;
use crate::cli;
use crate::live::Live;

/// Where batches wait, if whoever runs may write there.
const SPOOL: &str = "/var/lib/tcplens/spool";
/// What the names of servers are looked up with, and what tells whom to trust.
const NAMES: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
];

/// A server, ready to be spoken to, and where what it has not taken waits.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    server: Server,
    spool: PathBuf,
    spool_bytes: u64,
}

impl Remote {
    /// As the options say.
    ///
    /// # Errors
    /// The password or the certificates cannot be read.
    pub(crate) fn of(target: &Target, options: &cli::Store) -> Result<Remote> {
        Ok(Remote {
            server: server(target, options.store_password_file.as_deref())?,
            spool: options.spool.clone().unwrap_or_else(usual_spool),
            spool_bytes: options.spool_size,
        })
    }

    /// The server, to be read.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Files that are written and read later are allowed for.
    ///
    /// # Errors
    /// The spool cannot be made.
    pub(crate) fn prepare(&self, live: &mut Live) -> Result<()> {
        for name in NAMES {
            live.reads(PathBuf::from(name));
        }
        live.keeps(self.spool.clone())
    }

    /// What looks at the server, and opens the spool. Of files it has looked then: they can wait.
    ///
    /// # Errors
    /// Of files: it refuses, or the spool cannot be opened.
    pub(super) fn opening(&self, host: String, is_live: bool) -> Result<Opening> {
        let settings = Settings {
            spool_bytes: self.spool_bytes,
            is_live,
            ..Settings::new(self.server.clone(), host, clock::now(), self.spool.clone())
        };
        if is_live {
            return Ok(Box::new(|| Ok(Box::new(ClickHouseSink::open(settings)?))));
        }
        let sink = ClickHouseSink::open(settings)?;
        Ok(Box::new(|| Ok(Box::new(sink))))
    }
}

/// A server whose password may be named by an option, too.
///
/// # Errors
/// The password or the certificates cannot be read.
pub(crate) fn server(target: &Target, password: Option<&Path>) -> Result<Server> {
    let mut target = target.clone();
    if let Some(file) = password {
        target.password_file = Some(file.to_owned());
    }
    Ok(Server::new(&target)?)
}

/// The system's directory where this process may write to it, else the user's.
fn usual_spool() -> PathBuf {
    let system = PathBuf::from(SPOOL);
    let is_ours = rustix::process::geteuid().is_root()
        || std::fs::metadata(&system).is_ok_and(|metadata| {
            std::os::unix::fs::MetadataExt::uid(&metadata) == rustix::process::geteuid().as_raw()
        });
    if is_ours {
        return system;
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = state.filter(|path| path.is_absolute()).or_else(home);
    state.map_or(system, |state| state.join("tcplens/spool"))
}
