//! TCP-RT's statistics (`rt-network-stats`): a line of twelve columns for each port and interval.
//!
//! `<unix s> all <port|Pport> <avg total µs> <avg server µs> <retransmitted per mille> <avg shortest RTT µs> <W per mille>
//! <avg sent bytes> <avg upload µs> <avg received bytes> <tasks>`: whole numbers over the tasks since the last line, `P` before
//! ports of remote servers, all hosts of one port together. Other than in the module every task counts, whatever its
//! bytes, and every response that was cut off; averages are over the tasks of which a value is known.
//!
//! To use it: [`PortStats::new`] with the ports of `-p` and `--peer-port`, [`request`](PortStats::request) for every request
//! of the view, whether or not it has a line, and [`lines`](PortStats::lines) every `--stats-interval` by the clock of the
//! observation; what it appends goes to a destination of its own. [`set_ports`](PortStats::set_ports) after a reload.

use std::collections::BTreeMap;
use std::fmt::Write;

use tcplens_core::record::{Direction, EndedBy, Request, Side, Status, Vantage};
use tcplens_core::time::{SECOND, Span, Timestamp};

/// Payload of a segment where nobody tells the size: Ethernet with timestamps (RFC 7323).
const USUAL_MSS: u64 = 1448;

/// Counts tasks by port.
#[derive(Clone, Debug, Default)]
pub struct PortStats {
    local: Vec<(u16, u16)>,
    peer: Vec<(u16, u16)>,
    /// At most one for each port and role.
    ports: BTreeMap<Port, Sums>,
}

/// A port of this host, or of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    is_peer: bool,
    number: u16,
}

/// What its tasks come to.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    tasks: u64,
    cut: u64,
    total_us: Average,
    server_us: Average,
    rtt_us: Average,
    upload_us: Average,
    sent: Average,
    received: Average,
    retransmits: u64,
    segments: u64,
}

/// A sum and how many it is of.
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    sum: u64,
    count: u64,
}

impl Average {
    fn add(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            self.sum = self.sum.saturating_add(value);
            self.count += 1;
        }
    }

    fn get(self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or_default()
    }
}

impl PortStats {
    /// Ports of servers on this host, and on others, as inclusive ranges. A single port always has a line, one of a range if
    /// it had tasks. Without any, all ports are counted like those of a range.
    #[must_use]
    pub fn new(local: Vec<(u16, u16)>, peer: Vec<(u16, u16)>) -> PortStats {
        PortStats {
            local,
            peer,
            ports: BTreeMap::new(),
        }
    }

    /// Other ports from here on; what was counted of ports that are named no more is still told once.
    pub fn set_ports(&mut self, local: Vec<(u16, u16)>, peer: Vec<(u16, u16)>) {
        (self.local, self.peer) = (local, peer);
    }

    /// Counts a request.
    pub fn request(&mut self, request: &Request<'_>) {
        let Some(port) = self.port(request) else {
            return;
        };
        let (sent, received) = match port.is_peer {
            true => (request.request_bytes, request.response_bytes),
            false => (request.response_bytes, request.request_bytes),
        };
        let path = request.path;
        let is_begun =
            sent > 0 || path.is_some_and(|path| path.unsent_bytes.is_some_and(|bytes| bytes > 0));
        match request.status {
            Status::Ok | Status::Error => {}
            Status::Unanswered
                if !port.is_peer && is_begun && request.ended_by != EndedBy::Observation =>
            {
                self.ports.entry(port).or_default().cut += 1;
                return;
            }
            Status::None | Status::Unanswered => return,
        }
        let mss = path.and_then(|path| path.mss).unwrap_or(USUAL_MSS).max(1);
        let sums = self.ports.entry(port).or_default();
        sums.tasks += 1;
        let (total, upload) = match port.is_peer {
            true => (request.total_us, request.transfer_us),
            false => (request.delivered_us.or(request.total_us), request.upload_us),
        };
        sums.total_us.add(us(total));
        sums.server_us.add(us(request.process_us));
        sums.upload_us.add(us(upload));
        let halves = [request.client_rtt_us, request.server_rtt_us];
        let ns = halves.into_iter().flatten().map(Span::ns);
        sums.rtt_us
            .add(ns.reduce(u64::saturating_add).map(|ns| ns / 1000));
        sums.sent.add(Some(sent));
        sums.received.add(Some(received));
        sums.retransmits = sums.retransmits.saturating_add(request.retransmits);
        sums.segments = sums.segments.saturating_add(sent / mss + 1);
    }

    /// Appends the lines of the interval that ends now, by role and port; the next one begins.
    pub fn lines(&mut self, now: Timestamp, out: &mut String) {
        let mut ports = std::mem::take(&mut self.ports);
        for (is_peer, ranges) in [(false, &self.local), (true, &self.peer)] {
            for &(number, _) in ranges.iter().filter(|(low, high)| low == high) {
                ports.entry(Port { is_peer, number }).or_default();
            }
        }
        let seconds = now.0.div_euclid(SECOND);
        for (port, sums) in ports {
            let per_mille = |part: u64, of: u64| {
                // 1000 times 64 bits fit into 128.
                let value = u128::from(part) * 1000 / u128::from(of.max(1));
                u64::try_from(value).unwrap_or(u64::MAX)
            };
            let role = if port.is_peer { "P" } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "{seconds} all {role}{} {} {} {} {} {} {} {} {} {}",
                port.number,
                sums.total_us.get(),
                sums.server_us.get(),
                per_mille(sums.retransmits, sums.segments),
                sums.rtt_us.get(),
                per_mille(sums.cut, sums.tasks),
                sums.sent.get(),
                sums.upload_us.get(),
                sums.received.get(),
                sums.tasks
            );
        }
    }

    /// The port that a request counts for; this host's own ports first, as in TCP-RT.
    fn port(&self, request: &Request<'_>) -> Option<Port> {
        let number = u16::try_from(request.server_port).ok()?;
        let named = |ranges: &[(u16, u16)]| {
            let mut ranges = ranges.iter();
            ranges.any(|&(low, high)| (low..=high).contains(&number))
        };
        let is_any = self.local.is_empty() && self.peer.is_empty();
        let (at_server, at_client) = match request.vantage {
            Vantage::Kernel | Vantage::Socket => (
                request.tap_side == Side::Server,
                request.tap_side == Side::Client,
            ),
            Vantage::File | Vantage::Wire => (
                request.direction != Some(Direction::Outbound),
                request.direction == Some(Direction::Outbound) || named(&self.peer),
            ),
        };
        if at_server && (named(&self.local) || is_any && !at_client) {
            return Some(Port {
                is_peer: false,
                number,
            });
        }
        (at_client && (named(&self.peer) || is_any)).then_some(Port {
            is_peer: true,
            number,
        })
    }
}

fn us(span: Option<Span>) -> Option<u64> {
    span.map(|span| span.ns() / 1000)
}
