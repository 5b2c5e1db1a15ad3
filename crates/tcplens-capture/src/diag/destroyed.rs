//! What the kernel tells of each TCP socket when it is destroyed, however short its life: the groups that `ss -E` listens to.
//! Reference: net/core/sock_diag.c (sock_diag_broadcast_destroy), net/ipv4/inet_diag.c (inet_diag_handler_get_info), Linux 4.4.
//!
//! A message has identity, protocol and tcp_info, nothing else: no congestion control, memory, cgroup, inode or uid. The state is
//! CLOSE always. It comes when the last reference to the socket goes: for who closes first, when TIME_WAIT begins, not when it
//! ends. Listeners are told, too.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_recv_buffer_size,
};
use rustix::net::{SocketFlags, bind};
use tcplens_core::time::Timestamp;

use super::error::DiagError;
use super::message::{BY_FAMILY, Parts, Socket, tcp};
use super::socket::{SLOTS, drops, receive};
use crate::clock;

/// SKNLGRP_INET_TCP_DESTROY (1) and SKNLGRP_INET6_TCP_DESTROY (3), a bit for each.
const GROUPS: u32 = 1 << 0 | 1 << 2;
/// Room for one message; with Linux 6.18 it has 380 bytes.
const SLOT: usize = 2048;
/// More than this does not fit the kernel's number once it is doubled.
const MOST_BYTES: usize = 1 << 30;
/// System calls of one `read`: whoever calls has other things to do as well. Chosen: 8,192 messages.
const MOST_CALLS: usize = 256;

/// A socket that is told of every TCP socket that is destroyed in its network namespace.
///
/// It takes no privilege (sock_diag's groups are open to all, NL_CFG_F_NONROOT_RECV; tried as nobody); only a buffer beyond
/// net.core.rmem_max takes CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Destroyed {
    socket: OwnedFd,
    room: Vec<u8>,
    buffer_bytes: usize,
}

/// What a call of [`Destroyed::read`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Messages that were handed over.
    pub messages: u64,
    /// The kernel had no room for some: [`Destroyed::drops`] knows how many. It tells nothing more until all that waits was
    /// read, so who is gone is found by a dump after that.
    pub lost: bool,
    /// Messages that are cut off or not of the form of netlink(7), left out.
    pub damaged: u64,
    /// Messages of other protocols, of other kinds, or not of the kernel, left out.
    pub strangers: u64,
}

impl Destroyed {
    /// Opens it in the calling thread's network namespace, with room for so many bytes as the kernel counts them (a message
    /// takes 1,280 with Linux 6.18; 1 GiB at most), or as net.core.rmem_max allows: see [`Destroyed::buffer_bytes`].
    ///
    /// # Errors
    /// There is no sock_diag, or the kernel does not have these groups.
    pub fn open(buffer_bytes: usize) -> Result<Destroyed, DiagError> {
        let socket = super::open(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        // The kernel doubles what it is told.
        let half = buffer_bytes.min(MOST_BYTES) / 2;
        set_socket_recv_buffer_size_force(&socket, half)
            .or_else(|_| set_socket_recv_buffer_size(&socket, half))
            .map_err(DiagError::system("make room for destroyed sockets"))?;
        let buffer_bytes = socket_recv_buffer_size(&socket)
            .map_err(DiagError::system("ask for the room of a socket"))?;
        // Not by NETLINK_ADD_MEMBERSHIP alone: a socket without an address of its own has the kernel's, 0, and what the kernel
        // sends to a group it does not send to itself.
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS)).map_err(DiagError::system(
            "join the groups of destroyed sockets (sock_diag)",
        ))?;
        Ok(Destroyed {
            socket,
            room: vec![0; SLOTS * SLOT],
            buffer_bytes,
        })
    }

    /// How many bytes may wait, as the kernel counts them.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// How many messages found no room since this was opened, modulo 2^32; `None`: this kernel does not tell (before 4.12).
    #[must_use]
    pub fn drops(&self) -> Option<u32> {
        drops(&self.socket)
    }

    /// Hands over what waits, without waiting for more: when it was received, and `struct inet_diag_msg` with attributes. When
    /// very much waits there is more afterwards, and [`super::wait_readable`] says so.
    ///
    /// # Errors
    /// The socket cannot be read any more.
    pub fn read(&mut self, each: &mut dyn FnMut(Timestamp, &[u8])) -> Result<Read, DiagError> {
        let mut read = Read::default();
        for _ in 0..MOST_CALLS {
            let mut now = None;
            let received = receive(&self.socket, &mut self.room, &mut |datagram| {
                let at = *now.get_or_insert_with(clock::now);
                if datagram.is_cut {
                    read.damaged += 1;
                } else if datagram.is_kernel {
                    take(at, datagram.bytes, &mut read, each);
                } else {
                    read.strangers += 1;
                }
            });
            match received {
                // Even if there was room for more: what went wrong after the first one is told next.
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => break,
                    Some(libc::ENOBUFS) => read.lost = true,
                    Some(libc::EINTR) => {}
                    _ => {
                        return Err(DiagError::System {
                            what: "read destroyed sockets (sock_diag)",
                            error,
                        });
                    }
                },
            }
        }
        Ok(read)
    }
}

impl AsFd for Destroyed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Takes a datagram of the kernel's.
fn take(at: Timestamp, bytes: &[u8], read: &mut Read, each: &mut dyn FnMut(Timestamp, &[u8])) {
    let mut parts = Parts(bytes);
    for part in &mut parts {
        match (part.kind, tcp(part.body)) {
            (BY_FAMILY, Socket::Tcp) => {
                read.messages += 1;
                each(at, part.body);
            }
            (BY_FAMILY, Socket::Damaged) => read.damaged += 1,
            _ => read.strangers += 1,
        }
    }
    read.damaged += u64::from(!parts.0.is_empty());
}
