//! What the kernel's own view (`crate::kernel`) tells of sockets, kept by cookie until their end is told: when they were opened, by
//! whom, how they ended, what they received. Its programs tell of an end before the kernel begins to free the socket, and so before
//! sock_diag's word of it.
//!
//! Bound: `limit` sockets of about 110 bytes each. A socket that is closed stays until its process lets go of it; where there is no
//! room, those go that were closed more than [`KEPT`] ago, and then nothing more is remembered. Both are counted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::close::Facts;
use super::message::{HEAD, Message};
use crate::kernel::{AttemptEnd, Closed, Event, Process, Role, RoleBy, Socket, What};
use crate::record::SocketClose;
use crate::time::{SECOND, Timestamp};

/// How long a closed socket's facts are kept in any case.
pub const KEPT: i64 = 60 * SECOND;

/// What is known of one socket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// When it was established; `None`: before the observation, or never.
    pub opened: Option<Timestamp>,
    /// Whether this is the server's end, by who connected.
    pub is_server: Option<bool>,
    /// Who used it first.
    pub process: Option<Process>,
    /// How it ended.
    pub finish: Option<Box<Finish>>,
}

/// The end of a connection, or of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// When.
    pub at: Timestamp,
    /// How; `None`: that is for the socket to tell.
    pub close: Option<SocketClose>,
    /// Payload that it sent; `None`: it was there before the observation.
    pub sent: Option<u64>,
    /// Payload that it received.
    pub received: Option<u64>,
    /// Whether the peer's FIN had come.
    pub has_fin: Option<bool>,
    /// Its own end.
    pub local: (IpAddr, u16),
    /// The other end.
    pub remote: (IpAddr, u16),
}

/// A connection that was established just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// When.
    pub at: Timestamp,
    /// Its number.
    pub cookie: u64,
    /// Its own end.
    pub local: (IpAddr, u16),
    /// The other end.
    pub remote: (IpAddr, u16),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct KnownSockets {
    limit: usize,
    by_cookie: BTreeMap<u64, Known>,
    swept: Option<Timestamp>,
    /// Facts that were forgotten before their socket's end was told, or never remembered.
    pub limit_hits: u64,
}

impl Default for KnownSockets {
    fn default() -> KnownSockets {
        KnownSockets::new(super::tracker::LIMIT)
    }
}

impl KnownSockets {
    /// `limit`: most sockets.
    #[must_use]
    pub fn new(limit: usize) -> KnownSockets {
        KnownSockets {
            limit,
            by_cookie: BTreeMap::new(),
            swept: None,
            limit_hits: 0,
        }
    }

    /// Takes what an event tells. The connection, if it was opened by that.
    pub fn take(&mut self, event: &Event) -> Option<Opened> {
        let socket = &event.socket;
        // A SYN that was refused has no socket.
        if matches!(socket.cookie, 0 | u64::MAX) || !self.has_room(event) {
            return None;
        }
        match &event.what {
            What::Task(_) => None,
            What::Attempt(attempt) => {
                let finish = match attempt.end {
                    AttemptEnd::Established => None,
                    AttemptEnd::Failed(number) => Some(finish(event, Some(failed(number)))),
                    AttemptEnd::Closed => Some(finish(event, Some(SocketClose::Failed))),
                    AttemptEnd::RefusedHere | AttemptEnd::SynackAgain(_) | AttemptEnd::Open => {
                        return None;
                    }
                };
                let is_open = finish.is_none();
                // Also of one that was used before: it begins anew.
                let known = Known {
                    opened: is_open.then_some(event.at),
                    is_server: is_server(socket),
                    process: socket.process,
                    finish,
                };
                self.by_cookie.insert(socket.cookie, known);
                is_open.then_some(Opened {
                    at: event.at,
                    cookie: socket.cookie,
                    local: socket.local,
                    remote: socket.remote,
                })
            }
            What::Connection(connection) => {
                let known = self.by_cookie.entry(socket.cookie).or_default();
                known.process = socket.process.or(known.process);
                known.is_server = known.is_server.or(is_server(socket));
                if let Some(closed) = connection.closed {
                    let is_whole = !socket.is_adopted;
                    known.opened = known.opened.or(is_whole.then_some(socket.began));
                    known.finish = Some(Box::new(Finish {
                        sent: is_whole.then_some(connection.sent_bytes),
                        received: is_whole.then_some(connection.received_bytes),
                        has_fin: Some(closed.fin_received),
                        ..*finish(event, close(closed))
                    }));
                }
                None
            }
        }
    }

    /// What is known of a socket.
    #[must_use]
    pub fn find(&self, cookie: u64) -> Option<&Known> {
        self.by_cookie.get(&cookie)
    }

    /// The end of a socket was told: what was known of it.
    pub fn remove(&mut self, cookie: u64) -> Option<Known> {
        self.by_cookie.remove(&cookie)
    }

    /// Words of ends were lost: those of sockets that were closed long ago do not come any more. Looks once a minute.
    pub fn tidy(&mut self, now: Timestamp) {
        if self.swept.is_none_or(|at| now >= at.plus(KEPT)) {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        let oldest = now.plus(-KEPT);
        self.swept = Some(now);
        self.by_cookie.retain(|_, known| {
            let finish = known.finish.as_ref();
            finish.is_none_or(|finish| finish.at >= oldest)
        });
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_cookie.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_cookie.is_empty()
    }

    fn has_room(&mut self, event: &Event) -> bool {
        if self.by_cookie.len() < self.limit || self.by_cookie.contains_key(&event.socket.cookie) {
            return true;
        }
        // All are looked at for that: not for every event.
        if self.swept.is_none_or(|at| event.at >= at.plus(SECOND)) {
            let before = self.by_cookie.len();
            self.sweep(event.at);
            self.limit_hits += (before - self.by_cookie.len()) as u64;
        }
        let has_room = self.by_cookie.len() < self.limit;
        self.limit_hits += u64::from(!has_room);
        has_room
    }
}

impl Known {
    /// What the end of a socket takes of it.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let finish = self.finish.as_ref();
        Facts {
            close: finish.and_then(|finish| finish.close),
            sent: finish.and_then(|finish| finish.sent),
            received: finish.and_then(|finish| finish.received),
            has_fin: finish.and_then(|finish| finish.has_fin),
            opened: self.opened,
            pid: self.process.map(|process| u64::from(process.pid)),
            is_server: self.is_server,
        }
    }

    /// The name of its process.
    #[must_use]
    pub fn comm(&self) -> Option<&str> {
        let comm = &self.process.as_ref()?.comm;
        let length = comm.iter().position(|byte| *byte == 0);
        let comm = comm.get(..length.unwrap_or(comm.len()))?;
        std::str::from_utf8(comm)
            .ok()
            .filter(|comm| !comm.is_empty())
    }

    /// The head of a message whose socket had lost its ends (it was disconnected before it was destroyed), with the ends that it
    /// had; `None`: nothing is missing, or nothing is known.
    #[must_use]
    pub fn with_ends(&self, message: Message<'_>) -> Option<[u8; HEAD]> {
        let finish = self.finish.as_ref()?;
        if message.remote().1 != 0 {
            return None;
        }
        let mut head = *message.head();
        for (port_at, address_at, (ip, port)) in [(4, 8, finish.local), (6, 24, finish.remote)] {
            head.get_mut(port_at..port_at + 2)?
                .copy_from_slice(&port.to_be_bytes());
            let address = match ip {
                IpAddr::V4(ip) if message.family() == 2 => {
                    let mut address = [0; 16];
                    address[..4].copy_from_slice(&ip.octets());
                    address
                }
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            head.get_mut(address_at..address_at + 16)?
                .copy_from_slice(&address);
        }
        Some(head)
    }
}

fn is_server(socket: &Socket) -> Option<bool> {
    (socket.role_by == RoleBy::Opening).then_some(socket.role == Role::Server)
}

fn finish(event: &Event, close: Option<SocketClose>) -> Box<Finish> {
    Box::new(Finish {
        at: event.at,
        close,
        sent: None,
        received: None,
        has_fin: None,
        local: event.socket.local,
        remote: event.socket.remote,
    })
}

/// Linux errno, asm-generic.
mod errno {
    pub(super) const EPIPE: u16 = 32;
    pub(super) const ENETUNREACH: u16 = 101;
    pub(super) const ECONNABORTED: u16 = 103;
    pub(super) const ECONNRESET: u16 = 104;
    pub(super) const ETIMEDOUT: u16 = 110;
    pub(super) const ECONNREFUSED: u16 = 111;
    pub(super) const EHOSTUNREACH: u16 = 113;
}

/// As [`Mapper`](crate::kernel::Mapper) has it for the record `connection`.
fn close(closed: Closed) -> Option<SocketClose> {
    match closed.error {
        _ if closed.rst_received => Some(SocketClose::ResetReceived),
        errno::ETIMEDOUT | errno::EHOSTUNREACH | errno::ENETUNREACH => Some(SocketClose::TimedOut),
        _ if closed.rst_sent => Some(SocketClose::ResetSent),
        errno::ECONNRESET | errno::EPIPE if !closed.fin_received => {
            Some(SocketClose::ResetReceived)
        }
        errno::ECONNABORTED => Some(SocketClose::ResetSent),
        _ => closed.fin_sent.then_some(SocketClose::Fin),
    }
}

fn failed(number: u16) -> SocketClose {
    match number {
        errno::ECONNREFUSED => SocketClose::Refused,
        errno::ETIMEDOUT => SocketClose::TimedOut,
        errno::ECONNRESET => SocketClose::ResetReceived,
        _ => SocketClose::Failed,
    }
}

#[cfg(test)]
mod tests;
