//! From the state of a connection to its record.

use super::task::{micros, path};
use super::{Mapper, PARTS};
use crate::batch::{Kind, Records};
use crate::kernel::event::{self, Closed, Role, RoleBy, Socket};
use crate::record::{Close, Connection, End, HandshakeOutcome, Sent, Vantage};
use crate::time::Timestamp;
use crate::wire::segment::Tunnel;

/// Linux errno, asm-generic.
pub(super) mod errno {
    pub(in crate::kernel) const ENETUNREACH: u16 = 101;
    pub(in crate::kernel) const ECONNABORTED: u16 = 103;
    pub(in crate::kernel) const ECONNRESET: u16 = 104;
    pub(in crate::kernel) const ETIMEDOUT: u16 = 110;
    pub(in crate::kernel) const ECONNREFUSED: u16 = 111;
    pub(in crate::kernel) const EHOSTUNREACH: u16 = 113;
    pub(in crate::kernel) const EPIPE: u16 = 32;
}

impl Mapper {
    pub(super) fn connection(
        &mut self,
        socket: &Socket,
        at: Timestamp,
        state: &event::Connection,
        out: &mut Records,
    ) {
        if state.closed.is_some() || self.is_ending {
            self.release(socket.cookie, state.closed, out);
        }
        let is_final = state.closed.is_some() || self.is_ending;
        let Ok(part) = self.part(socket.cookie, is_final) else {
            self.counts.parts += 1;
            return;
        };
        if !self.settings.connections {
            return;
        }
        let protocol = if is_final {
            self.speaking.remove(&socket.cookie)
        } else {
            self.speaking.get(&socket.cookie).copied()
        };
        let mine = Sent {
            bytes: state.sent_bytes,
            retransmits: u64::from(state.retransmits),
            ..Sent::default()
        };
        // Of the other end the payload is known that came, and how far away it is.
        let other = Sent {
            bytes: state.received_bytes,
            rtt_min_us: state.min_rtt_us.map(micros),
            ..Sent::default()
        };
        let (client, server) = match socket.role {
            Role::Server => (other, mine),
            Role::Client => (mine, other),
        };
        let is_missed = socket.is_adopted || socket.role_by == RoleBy::Guess;
        let [first_fin, last_fin] = state.closed.map_or([None; 2], fins);
        let record = Connection {
            duration_us: self.between(Some(socket.began), Some(at)),
            handshake: Some(match is_missed {
                true => HandshakeOutcome::Missed,
                false => HandshakeOutcome::Established,
            }),
            close: state
                .closed
                .map_or(Close::Open, |closed| close(socket.role, closed)),
            part,
            is_final,
            protocol,
            requests: Some(state.tasks),
            client,
            server,
            first_fin: first_fin.map(|local| end_of(socket.role, local)),
            last_fin: last_fin.map(|local| end_of(socket.role, local)),
            path: Some(Box::new(path(
                (state.rtt_us, state.cwnd, state.mss),
                (state.unsent_bytes, state.unacked_bytes),
            ))),
            ..self.failed_connection(socket)
        };
        out.connection(self.place(Kind::Connection), record);
    }

    /// That of a socket which never was one: all that is known of it are its ends.
    pub(super) fn failed_connection(&mut self, socket: &Socket) -> Connection {
        let ends = self.ends(socket);
        Connection {
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
            duration_us: None,
            handshake: None,
            late: false,
            close: Close::Failed,
            part: None,
            is_final: true,
            protocol: None,
            requests: None,
            duplicates: 0,
            client: Sent::default(),
            server: Sent::default(),
            first_fin: None,
            last_fin: None,
            owner: Some(Box::new(ends.owner)),
            path: None,
        }
    }

    /// Which part of its connection a record is; `None` of one that is reported whole, an error if there are too many.
    fn part(&mut self, cookie: u64, is_final: bool) -> Result<Option<u64>, ()> {
        if is_final {
            return Ok(self.parts.remove(&cookie).map(|before| before + 1));
        }
        if self.parts.len() >= PARTS && !self.parts.contains_key(&cookie) {
            return Err(());
        }
        let part = self.parts.entry(cookie).or_default();
        *part += 1;
        Ok(Some(*part))
    }
}

/// Whose FIN came first, and whose last: whether the local end's.
fn fins(closed: Closed) -> [Option<bool>; 2] {
    match (closed.fin_sent, closed.fin_received) {
        (false, false) => [None, None],
        (true, true) => [Some(closed.fin_first), Some(!closed.fin_first)],
        (is_local, _) => [Some(is_local), None],
    }
}

fn end_of(role: Role, is_local: bool) -> End {
    match (role, is_local) {
        (Role::Server, true) | (Role::Client, false) => End::Server,
        (Role::Server, false) | (Role::Client, true) => End::Client,
    }
}

/// How it ended. A FIN of one end counts: the kernel frees the socket of an application that has left, whether or not the
/// other end's FIN has come. Nothing at all is an orderly end too, for there is no error.
fn close(role: Role, closed: Closed) -> Close {
    let (by_local, by_remote) = match role {
        Role::Server => (Close::RstByServer, Close::RstByClient),
        Role::Client => (Close::RstByClient, Close::RstByServer),
    };
    match closed.error {
        _ if closed.rst_received => by_remote,
        errno::ETIMEDOUT | errno::EHOSTUNREACH | errno::ENETUNREACH => Close::TimedOut,
        _ if closed.rst_sent => by_local,
        errno::ECONNRESET | errno::EPIPE if !closed.fin_received => by_remote,
        errno::ECONNABORTED => by_local,
        _ => Close::Fin,
    }
}
