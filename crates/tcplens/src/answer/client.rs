//! One client of a server: its socket, and how long it is waited for. Every wait has an end, and ends soon when the run
//! does; a socket's own timeout is only the pace in which this is looked at.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Longest question in bytes.
pub(super) const LINE: usize = 4096;
/// How long a client may take to ask.
pub(super) const ASKING: Duration = Duration::from_secs(5);
/// How long a client may take for an answer, or for one chunk of a stream.
pub(crate) const READING: Duration = Duration::from_secs(30);
/// How long one whose answer is written may keep its own end open.
const LEAVING: Duration = Duration::from_secs(1);
/// What is left for answers under way when the run ends.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// How often it is looked at whether to go on waiting.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Says to all threads of the servers that the run has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<OnceLock<Instant>>);

impl Stop {
    /// The run has ended.
    pub(crate) fn set(&self) {
        // Who calls it a second time says nothing new.
        let _ = self.0.set(Instant::now());
    }

    /// Whether it has.
    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether nobody is waited for any more.
    pub(crate) fn is_over(&self) -> bool {
        self.0.get().is_some_and(|at| at.elapsed() >= GRACE)
    }
}

/// A socket that talks with one client.
pub(crate) trait Socket: Read + Write + AsFd + Send + 'static {
    /// Waits for nothing longer than this.
    fn pace(&self, tick: Duration) -> io::Result<()>;
    /// Says that there is no more to read.
    fn end(&self) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn pace(&self, tick: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(tick))?;
        self.set_write_timeout(Some(tick))
    }

    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Socket for UnixStream {
    fn pace(&self, tick: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(tick))?;
        self.set_write_timeout(Some(tick))
    }

    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// See the module.
pub(crate) struct Client<S> {
    socket: S,
    stop: Stop,
}

/// Why there is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoQuestion {
    /// None came in time.
    Silent,
    /// It is longer than [`LINE`].
    TooLong,
    /// It is not UTF-8.
    NoText,
    /// The client is gone, or the run has ended.
    Gone,
}

impl<S: Socket> Client<S> {
    pub(super) fn new(socket: S, stop: Stop) -> io::Result<Client<S>> {
        socket.pace(TICK)?;
        Ok(Client { socket, stop })
    }

    /// One line, ended by LF, CRLF, or because the client sends no more; without its end.
    pub(super) fn line(&mut self) -> Result<String, NoQuestion> {
        let begin = Instant::now();
        let mut line = Vec::new();
        let mut bytes = [0; 512];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => {
                    let read = bytes.get(..n).unwrap_or_default();
                    let end = read.iter().position(|&byte| byte == b'\n');
                    line.extend_from_slice(read.get(..end.unwrap_or(n)).unwrap_or_default());
                    if line.len() > LINE {
                        return Err(NoQuestion::TooLong);
                    }
                    if end.is_some() {
                        break;
                    }
                }
                Err(error) if waits(&error) => {
                    if self.stop.is_set() {
                        return Err(NoQuestion::Gone);
                    }
                }
                Err(_) => return Err(NoQuestion::Gone),
            }
            // Also of one who sends a byte now and then.
            if begin.elapsed() >= ASKING {
                return Err(NoQuestion::Silent);
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| NoQuestion::NoText)
    }

    /// Writes all of it; false if the client does not take it in time, or is gone.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> bool {
        let begin = Instant::now();
        while !bytes.is_empty() {
            match self.socket.write(bytes) {
                Ok(0) => return false,
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) if waits(&error) => {}
                Err(_) => return false,
            }
            if begin.elapsed() >= READING || self.stop.is_over() {
                return bytes.is_empty();
            }
        }
        true
    }

    /// Writes what it takes within [`TICK`], which may be nothing; `None`: it is gone.
    pub(crate) fn offer(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.socket.write(bytes) {
            Ok(0) => None,
            Ok(n) => Some(n),
            Err(error) if waits(&error) => Some(0),
            Err(_) => None,
        }
    }

    /// Reads what it has sent without waiting for more, which may be nothing; `None`: it sends no more, and may read yet.
    pub(crate) fn heard(&mut self, into: &mut [u8]) -> Option<usize> {
        let mut events = [PollFd::new(&self.socket, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match poll(&mut events, Some(&at_once)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Some(0),
            Ok(_) => {}
            Err(_) => return None,
        }
        match self.socket.read(into) {
            Ok(0) => None,
            Ok(n) => Some(n),
            Err(error) if waits(&error) => Some(0),
            Err(_) => None,
        }
    }

    /// Whether the run has ended and nobody is waited for any more.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.is_over()
    }

    /// Whether its end is open still. Linux' unix sockets refuse to write nothing at all where nobody can read it
    /// (net/unix/af_unix.c, unix_stream_sendmsg); TCP sockets do so once the peer has answered with RST.
    pub(crate) fn is_there(&mut self) -> bool {
        let written = self.socket.write(&[]);
        written.is_ok() || written.is_err_and(|error| waits(&error))
    }

    /// Ends the answer. What the client still sends is taken and forgotten for a while: to close a socket with unread
    /// bytes resets the connection, and the client may lose the end of its answer.
    pub(crate) fn leave(mut self) {
        if self.socket.end().is_err() {
            return;
        }
        let begin = Instant::now();
        let mut bytes = [0; 512];
        while begin.elapsed() < LEAVING && !self.stop.is_set() {
            match self.socket.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if waits(&error) => {}
                Err(_) => return,
            }
        }
    }
}

/// Nothing came of it yet.
fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
