//! The kernel's TCP sockets by sock_diag: asked for (a dump, here) or told when they are destroyed ([`Destroyed`]). Netlink by
//! hand; what a message means is `tcplens_core::socket`. Reference: sock_diag(7), netlink(7), linux/inet_diag.h.
//!
//! A socket of netlink belongs to the network namespace in which it was opened: `netns::within` opens it elsewhere. Dumps take
//! no privilege; only marks (SO_MARK) are for who has CAP_NET_ADMIN when the socket is opened and at each dump.

mod bytecode;
mod destroyed;
mod error;
mod message;
mod socket;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recvfrom, send,
    socket_with,
};

use crate::clock;

pub use bytecode::{Bytecode, BytecodeError, Condition};
pub use destroyed::{Destroyed, Read};
pub use error::DiagError;
pub use message::DumpCounts;
use message::{BY_FAMILY, HEADER, Reading};
use tcplens_core::time::Timestamp;

/// The kernel fills at most 32 KiB at once (netlink_dump in net/netlink/af_netlink.c).
const BUFFER: usize = 64 * 1024;
/// How long to wait for the next 32 KiB. The kernel makes them ready within the call that asks, and within the one that receives
/// those before (netlink_dump in net/netlink/af_netlink.c), so nothing is waited for but what will never come; and who asks four
/// times looks at signals within a second.
const PATIENCE: Duration = Duration::from_millis(200);
/// `struct inet_diag_req_v2`: family, protocol, extensions, padding (1 each), states (4), identity (48).
const REQUEST: usize = 56;
/// NLM_F_REQUEST | NLM_F_DUMP.
const REQUEST_ALL: u16 = 0x301;
const TCP: u8 = 6;
/// INET_DIAG_REQ_BYTECODE.
const BYTECODE: u16 = 1;

/// Which table of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Sockets of AF_INET.
    V4,
    /// Sockets of AF_INET6, those that speak IPv4 (mapped addresses) among them.
    V6,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Which table.
    pub family: Family,
    /// Bit N: sockets in state N (`tcplens_core::socket::message::state`).
    pub states: u32,
    /// Bit N-1: attribute N; those from 9 on come unasked. VEGASINFO (3) stands for whatever the congestion control tells.
    pub extensions: u8,
    /// Which sockets, decided by the kernel.
    pub bytecode: Option<&'a Bytecode>,
}

impl Request<'_> {
    /// All sockets of a family, with all that the kernel tells.
    #[must_use]
    pub fn all(family: Family) -> Request<'static> {
        Request {
            family,
            states: u32::MAX,
            extensions: 0xff,
            bytecode: None,
        }
    }

    fn write(&self, sequence: u32, to: &mut Vec<u8>) {
        let bytecode = self.bytecode.map(Bytecode::bytes).unwrap_or_default();
        to.clear();
        to.resize(HEADER + REQUEST, 0);
        if !bytecode.is_empty() {
            tcplens_core::socket::message::push_attribute(to, BYTECODE, bytecode);
        }
        // At most 64 KiB and some: an attribute has no more.
        let length = u32::try_from(to.len()).unwrap_or(u32::MAX);
        to[0..4].copy_from_slice(&length.to_ne_bytes());
        to[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        to[6..8].copy_from_slice(&REQUEST_ALL.to_ne_bytes());
        to[8..12].copy_from_slice(&sequence.to_ne_bytes());
        to[HEADER] = match self.family {
            Family::V4 => 2,
            Family::V6 => 10,
        };
        to[HEADER + 1] = TCP;
        to[HEADER + 2] = self.extensions;
        to[HEADER + 4..HEADER + 8].copy_from_slice(&self.states.to_ne_bytes());
    }
}

/// A socket that dumps are asked for with, one after the other.
#[derive(Debug)]
pub struct Diag {
    socket: OwnedFd,
    buffer: Vec<u8>,
    request: Vec<u8>,
    /// Of the latest request. Never 0: messages without a request have that.
    sequence: u32,
    /// The latest dump was not read to its end.
    is_unfinished: bool,
}

impl Diag {
    /// Opens it in the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel has no sock_diag, or something forbids it.
    pub fn open() -> Result<Diag, DiagError> {
        let socket = open(SocketFlags::CLOEXEC)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))
            .map_err(DiagError::system("limit how long an answer is waited for"))?;
        Ok(Diag {
            socket,
            buffer: vec![0; BUFFER],
            request: Vec::new(),
            sequence: 0,
            is_unfinished: false,
        })
    }

    /// Hands over each socket that the request is about: the time of its batch, and `struct inet_diag_msg` with attributes.
    ///
    /// The time is when the batch was filled: the kernel does so at the end of the call before, be it the request or the
    /// receiving of the batch before. So it does not depend on how long `each` takes.
    ///
    /// # Errors
    /// The dump is not whole: what was handed over is a part of it. The next one begins anew.
    pub fn dump(
        &mut self,
        request: &Request<'_>,
        each: &mut dyn FnMut(Timestamp, &[u8]),
    ) -> Result<DumpCounts, DiagError> {
        if self.is_unfinished {
            self.drain()?;
        }
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        request.write(self.sequence, &mut self.request);
        loop {
            match send(&self.socket, &self.request, SendFlags::empty()) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(DiagError::system("ask for sockets (sock_diag)")(errno)),
            }
        }
        let mut filled = clock::now();
        self.is_unfinished = true;
        let mut reading = Reading::new(self.sequence);
        while !reading.is_over() {
            let (length, is_kernel) = match self.receive(RecvFlags::TRUNC) {
                Ok(received) => received,
                Err(Errno::AGAIN) => return Err(DiagError::Silent),
                Err(Errno::NOBUFS) => return Err(DiagError::Lost),
                Err(errno) => return Err(DiagError::system("receive sockets (sock_diag)")(errno)),
            };
            let at = std::mem::replace(&mut filled, clock::now());
            if !is_kernel {
                reading.take_strange();
                continue;
            }
            // A longer one than there is room for; its end may have been the dump's.
            let Some(bytes) = self.buffer.get(..length) else {
                return Err(DiagError::Damaged);
            };
            reading.take(at, bytes, each);
        }
        self.is_unfinished = false;
        reading.result()
    }

    /// Bytes of the next datagram, which may be more than there is room for, and whether the kernel sent it.
    fn receive(&mut self, flags: RecvFlags) -> rustix::io::Result<(usize, bool)> {
        loop {
            match recvfrom(&self.socket, &mut *self.buffer, flags) {
                Ok((_, length, from)) => {
                    let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                    return Ok((length, from.is_some_and(|from| from.pid() == 0)));
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Reads what a dump that failed has left: while it lasts the kernel begins no other (EBUSY). Never waits: the kernel
    /// prepares the next part when one is received.
    fn drain(&mut self) -> Result<(), DiagError> {
        loop {
            match self.receive(RecvFlags::TRUNC | RecvFlags::DONTWAIT) {
                // An error that waits is taken away by being told.
                Ok(_) | Err(Errno::NOBUFS) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    return Err(DiagError::system("drain sockets (sock_diag)")(errno));
                }
            }
        }
        self.is_unfinished = false;
        Ok(())
    }
}

/// Waits until there is something to read, an error included, or for `most`; whether there is. A signal ends the wait, too.
///
/// # Errors
/// The system cannot wait for it.
pub fn wait_readable(source: &impl AsFd, most: Duration) -> io::Result<bool> {
    let mut polled = [PollFd::new(source, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(most.subsec_nanos()),
    };
    match poll(&mut polled, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn open(flags: SocketFlags) -> Result<OwnedFd, DiagError> {
    let protocol = Some(netlink::SOCK_DIAG);
    socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
        .map_err(DiagError::system("open a socket of sock_diag (netlink)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_dump_left_does_not_disturb_the_next() {
        let mut diag = Diag::open().unwrap();
        let request = Request::all(Family::V4);
        let mut bytes = Vec::new();
        // A dump that nobody reads: its answers lie in the socket when the next one begins.
        diag.sequence += 1;
        request.write(diag.sequence, &mut bytes);
        send(&diag.socket, &bytes, SendFlags::empty()).unwrap();
        diag.is_unfinished = true;
        let counts = diag.dump(&request, &mut |_, _| {}).unwrap();
        assert_eq!(counts.strangers, 0);
        // Without draining they are passed over, or the kernel is still busy with them; never taken for ours.
        diag.sequence += 1;
        request.write(diag.sequence, &mut bytes);
        send(&diag.socket, &bytes, SendFlags::empty()).unwrap();
        match diag.dump(&request, &mut |_, _| {}) {
            Ok(counts) => assert!(counts.strangers > 0),
            Err(DiagError::Refused { error }) => {
                assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
            }
            Err(other) => panic!("{other}"),
        }
        assert!(diag.dump(&request, &mut |_, _| {}).is_ok());
    }

    #[test]
    fn a_buffer_that_is_too_small_is_damage_and_the_next_dump_is_whole() {
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut diag = Diag::open().unwrap();
        let request = Request::all(Family::V4);
        diag.buffer = vec![0; 100];
        let cut = diag.dump(&request, &mut |_, _| {});
        assert!(matches!(cut, Err(DiagError::Damaged)), "{cut:?}");
        diag.buffer = vec![0; BUFFER];
        assert!(diag.dump(&request, &mut |_, _| {}).unwrap().sockets > 0);
    }

    #[test]
    fn waiting_ends_at_its_time() {
        let diag = Diag::open().unwrap();
        assert!(!wait_readable(&diag.socket, Duration::from_millis(1)).unwrap());
    }
}
