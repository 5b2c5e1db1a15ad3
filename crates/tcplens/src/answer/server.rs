//! Servers: a thread that accepts at each socket, a thread that talks with each client, and how all of them end.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::client::{Client, GRACE, Socket, Stop, TICK};
use super::http::Http;
use super::listen::SocketFile;

/// Of a thread that talks with a client: it holds a line and a few frames.
const STACK: usize = 256 * 1024;

/// All that is answered at. Ends when it is dropped.
pub(crate) struct Servers {
    stop: Stop,
    accepting: Vec<Accepting>,
    /// Where `--stats-port`, `--metrics` and `--web` really are: port 0 is any.
    addresses: [Option<SocketAddr>; 3],
    /// The unix socket's file, removed at the end.
    socket: Option<SocketFile>,
    /// Serve metrics and the page until they are dropped.
    _http: [Option<Http>; 2],
}

struct Accepting {
    /// The same socket, to wake the thread with.
    waker: OwnedFd,
    thread: JoinHandle<()>,
    room: Arc<Room>,
}

impl Servers {
    pub(crate) fn new(
        stop: Stop,
        addresses: [Option<SocketAddr>; 3],
        socket: Option<SocketFile>,
        http: [Option<Http>; 2],
    ) -> Servers {
        Servers {
            stop,
            accepting: Vec::new(),
            addresses,
            socket,
            _http: http,
        }
    }

    /// Where `--stats-port` is.
    #[cfg(test)]
    pub(crate) fn stats_address(&self) -> Option<SocketAddr> {
        self.addresses[0]
    }

    /// Whether there is a page for browsers.
    pub(crate) fn has_page(&self) -> bool {
        self.addresses[2].is_some()
    }

    /// Where `--web` is.
    #[cfg(test)]
    pub(crate) fn web_address(&self) -> Option<SocketAddr> {
        self.addresses[2]
    }

    /// Where the unix socket is.
    #[cfg(test)]
    pub(crate) fn socket_path(&self) -> Option<&std::path::PathBuf> {
        self.socket.as_ref().map(|file| &file.path)
    }

    /// Accepts at `listener` from now on; `talk` has the client for itself.
    pub(crate) fn serve<L: Listens>(
        &mut self,
        name: &str,
        listener: L,
        room: Arc<Room>,
        talk: impl Fn(Client<L::Socket>) + Send + Sync + 'static,
    ) -> io::Result<()> {
        let waker = listener.handle()?;
        let (stop, inside) = (self.stop.clone(), Arc::clone(&room));
        let client_name = format!("{name}-client");
        let talk = Arc::new(talk);
        let accept = move || {
            loop {
                let socket = match listener.next() {
                    _ if stop.is_set() => return,
                    Ok(socket) => socket,
                    Err(_) => {
                        // Too many files are open, most likely: nobody can come in until some are closed.
                        thread::sleep(TICK);
                        continue;
                    }
                };
                let Some(place) = inside.enter() else {
                    continue;
                };
                let (talk, stop) = (Arc::clone(&talk), stop.clone());
                let thread = thread::Builder::new()
                    .name(client_name.clone())
                    .stack_size(STACK);
                let begun = thread.spawn(move || {
                    let _place = place;
                    if let Ok(client) = Client::new(socket, stop) {
                        talk(client);
                    }
                });
                if begun.is_err() {
                    inside.refuse();
                }
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(accept)?;
        self.accepting.push(Accepting {
            waker,
            thread,
            room,
        });
        Ok(())
    }

    /// Ends all of it, soon and whether or not anybody is there. Close the desk before, for the last answers.
    pub(crate) fn finish(self) {}
}

impl Display for Servers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [stats, metrics, web] = self.addresses;
        let file = self.socket.as_ref();
        let all = [
            stats.map(|at| at.to_string()),
            file.map(|file| file.path.display().to_string()),
            metrics.map(|at| format!("http://{at}/metrics")),
            web.map(|at| format!("http://{at}/")),
        ];
        let all: Vec<_> = all.into_iter().flatten().collect();
        write!(f, "answering at {}", all.join(", "))?;
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop.set();
        for accepting in self.accepting.drain(..) {
            // Linux ends an accept(2) whose socket is shut down, for unix sockets as for TCP's (EINVAL); the type here only
            // stands for shutdown(2).
            let woken = TcpStream::from(accepting.waker).shutdown(Shutdown::Both);
            if woken.is_ok() {
                // A thread that panicked has ended, too.
                let _ = accepting.thread.join();
            }
            accepting.room.wait_until_empty(GRACE + 4 * TICK);
        }
        // Dropping `socket` removes its file.
    }
}

/// A socket that clients come to.
pub(crate) trait Listens: Send + 'static {
    /// One client's.
    type Socket: Socket;
    /// The next client.
    fn next(&self) -> io::Result<Self::Socket>;
    /// The same socket once more.
    fn handle(&self) -> io::Result<OwnedFd>;
}

impl Listens for TcpListener {
    type Socket = TcpStream;

    fn next(&self) -> io::Result<TcpStream> {
        self.accept().map(|(socket, _)| socket)
    }

    fn handle(&self) -> io::Result<OwnedFd> {
        self.try_clone().map(OwnedFd::from)
    }
}

impl Listens for UnixListener {
    type Socket = UnixStream;

    fn next(&self) -> io::Result<UnixStream> {
        self.accept().map(|(socket, _)| socket)
    }

    fn handle(&self) -> io::Result<OwnedFd> {
        self.try_clone().map(OwnedFd::from)
    }
}

/// How many clients may be there at once; who comes when it is full is turned away and counted.
#[derive(Debug)]
pub(crate) struct Room {
    /// Its name among bounds.
    pub(super) bound: &'static str,
    size: usize,
    /// Only held for as long as counting takes.
    inside: Mutex<usize>,
    left: Condvar,
    refused: AtomicU64,
}

impl Room {
    pub(crate) fn new(bound: &'static str, size: usize) -> Arc<Room> {
        Arc::new(Room {
            bound,
            size,
            inside: Mutex::new(0),
            left: Condvar::new(),
            refused: AtomicU64::new(0),
        })
    }

    /// How many were turned away.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Room>) -> Option<Seat> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if *inside >= self.size {
            self.refuse();
            return None;
        }
        *inside += 1;
        Some(Seat(Arc::clone(self)))
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn wait_until_empty(&self, longest: Duration) {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        // Who is left after that ends with the process.
        let _ = self
            .left
            .wait_timeout_while(inside, longest, |inside| *inside > 0);
    }
}

/// One client's place in a room, until it is dropped.
struct Seat(Arc<Room>);

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inside = self.0.inside.lock().unwrap_or_else(PoisonError::into_inner);
        *inside = inside.saturating_sub(1);
        self.0.left.notify_all();
    }
}
