//! TCP connections that end at once: what was not delivered when one is closed, or when this process is killed, is thrown away
//! and never arrives later (SO_LINGER of zero: a RST in place of a FIN). Else the kernel goes on delivering for minutes what
//! nobody here waits for any more, and whoever sends it again has sent it twice. What travels already cannot be called back.
//!
//! For [`super::http`]; the interface is ureq's, which keeps it within a minor version.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

/// Connects over TCP.
#[derive(Debug)]
pub(super) struct Abrupt;

impl Connector<()> for Abrupt {
    type Out = Tcp;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Tcp>, Error> {
        let mut last = None;
        for address in &details.addrs {
            let connected = match details.timeout.not_zero() {
                Some(most) => TcpStream::connect_timeout(address, *most),
                None => TcpStream::connect(address),
            };
            match connected {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    set_socket_linger(&stream, Some(Duration::ZERO)).map_err(io::Error::from)?;
                    let config = details.config;
                    return Ok(Some(Tcp {
                        stream,
                        buffers: LazyBuffers::new(
                            config.input_buffer_size(),
                            config.output_buffer_size(),
                        ),
                        limits: [None; 2],
                    }));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) if error.kind() == ErrorKind::TimedOut => Error::Timeout(Timeout::Connect),
            Some(error) => Error::Io(error),
            None => Error::HostNotFound,
        })
    }
}

/// A connection.
pub(super) struct Tcp {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// Time limits of reading and of writing as the socket has them.
    limits: [Option<Duration>; 2],
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp")
            .field("peer", &self.stream.peer_addr().ok())
            .finish()
    }
}

impl Tcp {
    /// Sets a limit, where it is another one.
    fn limit(&mut self, writes: bool, most: &NextTimeout) -> Result<(), Error> {
        if most.after.is_zero() {
            return Err(Error::Timeout(most.reason));
        }
        let most = most.not_zero().map(|most| *most);
        let known = &mut self.limits[usize::from(writes)];
        if *known != most {
            match writes {
                true => self.stream.set_write_timeout(most)?,
                false => self.stream.set_read_timeout(most)?,
            }
            *known = most;
        }
        Ok(())
    }
}

/// A socket's time limit shows as either kind.
fn told(error: io::Error, most: &NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(most.reason),
        _ => Error::Io(error),
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.limit(true, &timeout)?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        (&self.stream)
            .write_all(output)
            .map_err(|error| told(error, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.limit(false, &timeout)?;
        loop {
            match (&self.stream).read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(told(error, &timeout)),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        // What a server says unasked is that it has closed.
        let mut byte = [0];
        let peeked = self
            .stream
            .set_nonblocking(true)
            .and_then(|()| self.stream.peek(&mut byte));
        let is_quiet = matches!(&peeked, Err(error) if error.kind() == ErrorKind::WouldBlock);
        is_quiet && self.stream.set_nonblocking(false).is_ok()
    }
}
