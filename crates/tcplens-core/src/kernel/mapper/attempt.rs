//! From attempts to connect to handshakes.
//!
//! The end that connects knows its attempt from the first SYN on. A server has no socket for one before it is established,
//! and the kernel tells nothing of a SYN that came: its time is not known, and with it neither `handshake_us` nor `wait_us`;
//! the record's time is that of the SYN-ACK, or of the first that is known of. What is known there is the SYN-ACK that was
//! sent again and the round trip.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Mapper;
use super::connection::errno;
use super::task::micros;
use crate::batch::{Kind, Records};
use crate::kernel::event::{Attempt, AttemptEnd, Role, Socket};
use crate::record::{Connection, Handshake, Outcome, Sent, Vantage};
use crate::time::Timestamp;
use crate::wire::segment::Tunnel;

/// Namespace, local end, remote end.
type Key = (u32, (IpAddr, u16), (IpAddr, u16));

/// Attempts at a local server whose SYN-ACK was sent again.
#[derive(Default)]
pub(super) struct Attempts {
    waiting: BTreeMap<Key, Waiting>,
    /// The same by the time of their last SYN-ACK.
    by_time: BTreeSet<(Timestamp, Key)>,
}

struct Waiting {
    socket: Socket,
    attempt: Attempt,
    last: Timestamp,
    synacks: u32,
}

impl Attempts {
    fn take(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.by_time.remove(&(waiting.last, *key));
        Some(waiting)
    }

    /// The one that has waited for longest.
    fn oldest(&self) -> Option<(Timestamp, Key)> {
        self.by_time.first().copied()
    }
}

impl Mapper {
    pub(super) fn attempt(
        &mut self,
        mut socket: Socket,
        at: Timestamp,
        mut attempt: Attempt,
        out: &mut Records,
    ) {
        let key = (socket.netns, socket.local, socket.remote);
        if let AttemptEnd::SynackAgain(synacks) = attempt.end {
            self.synack_again(key, socket, at, attempt, synacks, out);
            return;
        }
        if socket.role == Role::Server
            && let Some(waiting) = self.attempts.take(&key)
        {
            attempt.synack_retransmits = attempt.synack_retransmits.max(waiting.synacks);
            socket.began = socket.began.min(waiting.socket.began);
        }
        let (outcome, error) = outcome(socket.role, &attempt);
        self.handshake(&socket, at, &attempt, outcome, error, out);
    }

    fn synack_again(
        &mut self,
        key: Key,
        socket: Socket,
        at: Timestamp,
        attempt: Attempt,
        synacks: u32,
        out: &mut Records,
    ) {
        let mut began = socket.began;
        if let Some(before) = self.attempts.take(&key) {
            if before.synacks < synacks {
                began = began.min(before.socket.began);
            } else {
                // It counts from the beginning: a new attempt.
                self.unacknowledged(&before, out);
            }
        }
        if self.attempts.waiting.len() >= self.settings.pending_attempts
            && let Some((_, oldest)) = self.attempts.oldest()
            && let Some(oldest) = self.attempts.take(&oldest)
        {
            self.counts.early_attempts += 1;
            self.unacknowledged(&oldest, out);
        }
        let waiting = Waiting {
            socket: Socket { began, ..socket },
            attempt,
            last: at,
            synacks,
        };
        self.attempts.waiting.insert(key, waiting);
        self.attempts.by_time.insert((at, key));
    }

    /// Those whose last SYN-ACK was so long ago that the kernel has given them up.
    pub(super) fn attempts_over(&mut self, out: &mut Records) {
        let before = self.clock.plus(-self.settings.synack_timeout);
        while let Some((last, key)) = self.attempts.oldest()
            && last <= before
        {
            if let Some(waiting) = self.attempts.take(&key) {
                self.unacknowledged(&waiting, out);
            }
        }
    }

    pub(super) fn all_attempts_over(&mut self, out: &mut Records) {
        while let Some((_, key)) = self.attempts.oldest() {
            if let Some(waiting) = self.attempts.take(&key) {
                self.unacknowledged(&waiting, out);
            }
        }
    }

    fn unacknowledged(&mut self, waiting: &Waiting, out: &mut Records) {
        let attempt = Attempt {
            synack_retransmits: waiting.synacks,
            ..waiting.attempt
        };
        let (socket, last) = (&waiting.socket, waiting.last);
        self.handshake(socket, last, &attempt, Outcome::Unacknowledged, None, out);
    }

    fn handshake(
        &mut self,
        socket: &Socket,
        at: Timestamp,
        attempt: &Attempt,
        outcome: Outcome,
        error: Option<&'static str>,
        out: &mut Records,
    ) {
        let ends = self.ends(socket);
        let is_client = socket.role == Role::Client;
        let is_established = outcome == Outcome::Established;
        let wait = match is_client {
            true => self.between(Some(socket.began), Some(at)),
            false => None,
        };
        // A client is established by the SYN-ACK, and its ACK leaves at once.
        let handshake = wait.filter(|_| is_established);
        let measured = attempt.rtt_us.filter(|_| is_established).map(micros);
        let record = Handshake {
            time: socket.began,
            vantage: Vantage::Kernel,
            connection_id: ends.id,
            client_ip: ends.client.0,
            client_port: u64::from(ends.client.1),
            server_ip: ends.server.0,
            server_port: u64::from(ends.server.1),
            role_from: ends.role_from,
            direction: Some(ends.direction),
            tap_side: ends.tap_side,
            vlan: None,
            tunnel: Tunnel::None,
            first_frame: None,
            last_frame: None,
            capture_loss: self.has_lost_since(socket.began),
            outcome,
            handshake_us: handshake,
            syn_to_synack_us: match attempt.syn_retransmits {
                0 => handshake,
                _ => measured.filter(|_| is_client),
            },
            first_syn_to_synack_us: handshake,
            synack_to_ack_us: measured.filter(|_| !is_client),
            wait_us: wait,
            syn_retransmits: u64::from(attempt.syn_retransmits),
            synack_retransmits: u64::from(attempt.synack_retransmits),
            synack_seen: is_established || outcome == Outcome::Unacknowledged,
            rst_acceptable: None,
            icmp_type: None,
            icmp_code: None,
            icmp_from: None,
            error,
            client_mss: None,
            server_mss: None,
            client_wscale: None,
            server_wscale: None,
            sack: None,
            timestamps: None,
            ecn: None,
            fast_open: None,
            mptcp: None,
            owner: Some(Box::new(ends.owner)),
        };
        if !is_established && self.settings.connections {
            self.failed(socket, &record, out);
        }
        if self.settings.handshakes {
            out.handshake(self.place(Kind::Handshake), record);
        }
    }

    /// The connection that was not to be, for whoever counts connections.
    fn failed(&mut self, socket: &Socket, handshake: &Handshake, out: &mut Records) {
        let sent = |retransmits| Sent {
            retransmits,
            ..Sent::default()
        };
        let record = Connection {
            duration_us: handshake.wait_us,
            handshake: Some(handshake.outcome.into()),
            client: sent(handshake.syn_retransmits),
            server: sent(handshake.synack_retransmits),
            ..self.failed_connection(socket)
        };
        out.connection(self.place(Kind::Connection), record);
    }
}

/// What came of it, and the kernel's word for that.
fn outcome(role: Role, attempt: &Attempt) -> (Outcome, Option<&'static str>) {
    match attempt.end {
        AttemptEnd::Established => (Outcome::Established, None),
        AttemptEnd::Failed(number) => (failed(number), name(number)),
        AttemptEnd::Closed => (Outcome::Aborted, None),
        AttemptEnd::RefusedHere => (Outcome::Refused, Some("ECONNREFUSED")),
        AttemptEnd::SynackAgain(_) => (Outcome::Unacknowledged, None),
        AttemptEnd::Open => match role {
            Role::Client => (Outcome::Unanswered, None),
            Role::Server => (Outcome::Unacknowledged, None),
        },
    }
}

fn failed(number: u16) -> Outcome {
    match number {
        errno::ECONNREFUSED => Outcome::Refused,
        errno::ETIMEDOUT => Outcome::TimedOut,
        errno::ECONNRESET => Outcome::Reset,
        // `ss -K`, or the application's own doing: EINTR never ends an attempt.
        0 | errno::ECONNABORTED => Outcome::Aborted,
        _ => Outcome::Unreachable,
    }
}

/// The names of what connect() returns (asm-generic/errno.h).
fn name(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "EPERM",
        13 => "EACCES",
        64 => "ENONET",
        92 => "ENOPROTOOPT",
        95 => "EOPNOTSUPP",
        100 => "ENETDOWN",
        errno::ENETUNREACH => "ENETUNREACH",
        errno::ECONNABORTED => "ECONNABORTED",
        errno::ECONNRESET => "ECONNRESET",
        errno::ETIMEDOUT => "ETIMEDOUT",
        errno::ECONNREFUSED => "ECONNREFUSED",
        112 => "EHOSTDOWN",
        errno::EHOSTUNREACH => "EHOSTUNREACH",
        _ => return None,
    })
}
