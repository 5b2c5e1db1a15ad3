//! From a message to its record, and (see [`rebuild`](super::rebuild)) nothing lost on the way: what has no field of its own goes
//! to `tcp_info_tail` and `unknown_attributes`.

use std::fmt::Write;
use std::net::IpAddr;

use super::message::{Message, state};
use super::tracker::Polled;
use crate::record::{
    ConnectionId, RoleFrom, Socket, SocketClose, SocketFamily, SocketState, SocketTimer, Vantage,
};
use crate::time::{Span, Timestamp};

mod parts;
pub(super) mod statistics;

use parts::Parts;

/// What a message does not tell of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// When it was read.
    pub time: Timestamp,
    /// A hash of host and boot, for the connection's id.
    pub host: Option<u32>,
    /// The name in archives.
    pub uuid: Option<&'a str>,
    /// The segment of an archive.
    pub sequence: Option<u64>,
    /// When the socket was first seen.
    pub first_seen: Option<Timestamp>,
    /// Inode of the network namespace.
    pub netns: Option<u64>,
    /// The ports that are listened on, where they are known.
    pub listeners: Option<&'a Listeners>,
    /// Whether this is the server's end, where something else tells; before `listeners`.
    pub is_server: Option<bool>,
    /// Who has it.
    pub owner: Owner<'a>,
    /// Name of the interface it is bound to.
    pub interface: Option<&'a str>,
    /// The poll before, for rates.
    pub before: Option<Polled>,
    /// Whether it is the last record.
    pub is_final: bool,
    /// How it ended.
    pub close: Option<SocketClose>,
}

/// Who has a socket, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The process.
    pub pid: Option<u64>,
    /// Its name.
    pub comm: Option<&'a str>,
    /// Path of the cgroup.
    pub cgroup: Option<&'a str>,
    /// The container.
    pub container_id: Option<&'a str>,
}

/// The local ports that are listened on, whatever the address: 8 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners(Vec<u64>);

impl Default for Listeners {
    fn default() -> Listeners {
        Listeners(vec![0; 1024])
    }
}

impl Listeners {
    /// Somebody listens on it.
    pub fn add(&mut self, port: u16) {
        if let Some(word) = self.0.get_mut(usize::from(port / 64)) {
            *word |= 1 << (port % 64);
        }
    }

    /// Takes a message that is a listener's; others are left.
    pub fn see(&mut self, message: Message<'_>) {
        if message.state() == state::LISTEN {
            self.add(message.local().1);
        }
    }

    /// Nobody does.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Whether somebody listens on it.
    #[must_use]
    pub fn has(&self, port: u16) -> bool {
        let word = self.0.get(usize::from(port / 64)).copied();
        word.unwrap_or(0) >> (port % 64) & 1 != 0
    }
}

/// Client, server, and how they were told apart.
pub(super) struct Roles {
    pub(super) client: Option<(IpAddr, u16)>,
    pub(super) server: Option<(IpAddr, u16)>,
    pub(super) from: RoleFrom,
}

/// The other end's address. One whose connection the kernel has taken away (see [`super::tracker::Told`]) still has that.
pub(super) fn remote_ip(message: Message<'_>) -> Option<IpAddr> {
    let ip = message.remote().0;
    (message.state() != state::LISTEN && !ip.is_unspecified()).then_some(ip)
}

/// The other end, where there is one.
pub(super) fn remote(message: Message<'_>) -> Option<(IpAddr, u16)> {
    let remote = message.remote();
    (message.state() != state::LISTEN && remote.1 != 0).then_some(remote)
}

pub(super) fn roles(message: Message<'_>, context: &Context<'_>) -> Roles {
    let (local, remote) = (message.local(), remote(message));
    let (is_server, from) = match (context.is_server, context.listeners) {
        _ if message.state() == state::LISTEN => (true, RoleFrom::Socket),
        (Some(is_server), _) => (is_server, RoleFrom::Socket),
        (None, Some(listeners)) => (listeners.has(local.1), RoleFrom::Socket),
        (None, None) => (
            remote.is_some_and(|remote| local.1 < remote.1),
            RoleFrom::Port,
        ),
    };
    let (client, server) = match is_server {
        true => (remote, Some(local)),
        false => (Some(local), remote),
    };
    Roles {
        client,
        server,
        from,
    }
}

/// The socket's number; `None`: it has none.
pub(super) fn cookie(message: Message<'_>) -> Option<u64> {
    let cookie = message.cookie();
    (!matches!(cookie, 0 | u64::MAX)).then_some(cookie)
}

/// The user. Of what is left of a socket, and of one that was destroyed and never polled, none is told: 0, and no inode.
pub(super) fn uid(message: Message<'_>) -> Option<u64> {
    let is_over = message.is_remains() || message.state() == state::CLOSE;
    let is_told = !is_over || message.uid() != 0 || message.inode() != 0;
    is_told.then_some(u64::from(message.uid()))
}

/// The record of a message.
#[must_use]
pub fn socket<'a>(message: Message<'a>, context: &Context<'a>) -> Socket<'a> {
    let (local_ip, local_port) = message.local();
    let other = remote(message);
    let roles = roles(message, context);
    let is_listener = message.state() == state::LISTEN;
    let queue = |is_wanted: bool, length: u32| is_wanted.then_some(u64::from(length));
    let number = |number: u32| (number != 0).then_some(u64::from(number));
    let rates = Rates::of(message, context);
    let parts = Parts::of(message);
    let has_timer = message.timer() != 0 || message.expires_ms() != 0;
    let connection_id = cookie(message).zip(context.host);
    Socket {
        time: context.time,
        vantage: Vantage::Socket,
        connection_id: connection_id.map(|(cookie, host)| ConnectionId::Socket { cookie, host }),
        uuid: context.uuid,
        sequence: context.sequence,
        first_seen: context.first_seen,
        socket_cookie: cookie(message),
        netns: context.netns,
        state: SocketState::of(message.state()),
        client_ip: roles.client.map(|end| end.0),
        client_port: roles.client.map(|end| u64::from(end.1)),
        server_ip: roles.server.map(|end| end.0),
        server_port: roles.server.map(|end| u64::from(end.1)),
        role_from: Some(roles.from),
        local_ip,
        local_port: u64::from(local_port),
        remote_ip: remote_ip(message),
        remote_port: other.map(|end| u64::from(end.1)),
        family: SocketFamily::of(message.family()),
        interface: context.interface,
        ifindex: number(message.interface()),
        pid: context.owner.pid,
        comm: context.owner.comm,
        uid: uid(message),
        inode: number(message.inode()),
        cgroup: context.owner.cgroup,
        cgroup_id: parts.cgroup_id,
        container_id: context.owner.container_id,
        is_final: context.is_final,
        close: context.close,
        // One that was told at its end only: nobody knows how long it was there.
        duration_us: context
            .first_seen
            .filter(|first| !context.is_final || *first != context.time)
            .and_then(|first| context.time.since(first)),
        interval_us: rates.interval,
        send_rate: rates.sent,
        receive_rate: rates.received,
        retransmit_rate: rates.retransmits,
        timer: SocketTimer::of(message.timer()),
        timer_us: has_timer.then(|| millis(message.expires_ms())),
        timer_retransmits: u64::from(message.retransmits()),
        rqueue_bytes: queue(!is_listener, message.rqueue()),
        wqueue_bytes: queue(!is_listener, message.wqueue()),
        accept_queue: queue(is_listener, message.rqueue()),
        accept_queue_max: queue(is_listener, message.wqueue()),
        shutdown: parts.shutdown,
        tcp: parts.tcp,
        congestion: parts.congestion,
        algorithm: parts.algorithm,
        memory: parts.memory,
        options: parts.options,
        tcp_info_tail: parts.tcp_info_tail,
        unknown_attributes: parts.unknown,
    }
}

fn millis(ms: u32) -> Span {
    Span::from_ns(u64::from(ms) * 1_000_000)
}

#[derive(Default)]
struct Rates {
    interval: Option<Span>,
    sent: Option<u64>,
    received: Option<u64>,
    retransmits: Option<u64>,
}

impl Rates {
    fn of(message: Message<'_>, context: &Context<'_>) -> Rates {
        let Some(before) = context.before else {
            return Rates::default();
        };
        let now = Polled::of(context.time, message);
        let interval = now.at.since(before.at).filter(|span| span.ns() > 0);
        let per_second = |now: Option<u64>, before: Option<u64>| {
            per_second(now?.checked_sub(before?)?, interval?)
        };
        let retransmits = now.retransmits.zip(before.retransmits);
        Rates {
            interval,
            sent: per_second(now.sent, before.sent),
            received: per_second(now.received, before.received),
            retransmits: retransmits.zip(interval).map(|((now, before), interval)| {
                let ns = u64::from(now.wrapping_sub(before)).saturating_mul(1_000_000_000);
                ns.div_ceil(interval.ns())
            }),
        }
    }
}

/// `None` of no time at all.
pub(super) fn per_second(amount: u64, of: Span) -> Option<u64> {
    let ns = u128::from(amount) * 1_000_000_000;
    u64::try_from(ns.checked_div(u128::from(of.ns()))?).ok()
}

/// `kind:hex`, and `;` before it where something is there already.
fn push_hex(to: &mut Option<String>, kind: u16, bytes: &[u8]) {
    let text = to.get_or_insert_default();
    if !text.is_empty() {
        text.push(';');
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "{kind}:");
    hex(text, bytes);
}

fn hex(to: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(to, "{byte:02x}");
    }
}

/// Kinds that are there more than once, as bits: nobody says which one holds.
fn repeated(message: Message<'_>) -> u64 {
    let (mut once, mut twice) = (0_u64, 0);
    for (kind, _) in message.attributes() {
        let bit = 1_u64.checked_shl(u32::from(kind)).unwrap_or(0);
        twice |= once & bit;
        once |= bit;
    }
    twice
}

/// The statistics and what has no field of their bytes.
fn tail(info: &[u8]) -> &[u8] {
    let ends = super::tcp_info::PLACES
        .iter()
        .map(|place| place.offset + place.width);
    let known = ends
        .take_while(|end| *end <= info.len())
        .last()
        .unwrap_or(0);
    info.get(known..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
