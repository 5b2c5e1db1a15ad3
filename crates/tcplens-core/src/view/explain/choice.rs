//! Which connection is worth explaining when nobody names one: by the records of all. Not a ranking of what is wrong: that is
//! `findings`.
//!
//! In this order: the slowest answered request, if it took 100 ms or more; a request that was cut off; an attempt that failed
//! (the one that waited longest); loss, closed windows and resets (what cost most); the slowest request; the longest
//! connection. Of equals the first.

use std::collections::BTreeMap;

use super::super::thresholds::SLOW_NS;
use super::super::words::{count, duration};
use crate::record::{
    Close, Connection, ConnectionId, EndedBy, HandshakeOutcome, Protocol, Request, Status,
};
use crate::time::Span;

/// Connections that are open and whose requests are known. Chosen: 0.5 MB; beyond, the eighth whose requests were quickest goes,
/// and is chosen only for what its own records say. Requests of DNS are left out.
const OPEN: usize = 4096;

/// What a loss counts for, where loss is compared with closed windows: the least retransmission timeout of Linux.
const LOSS_NS: u64 = 200_000_000;

/// What the requests of a connection came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Requests {
    /// ns of the slowest, and its ordinal.
    slowest: u64,
    task: u64,
    /// How many were cut off.
    cut: u64,
}

/// Why a connection was chosen; the last is the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Longest,
    SlowestRequest,
    Trouble,
    Failed,
    CutOff,
    SlowRequest,
}

/// The connection that is worth explaining.
#[derive(Clone, Debug)]
pub struct Chosen {
    why: Why,
    ns: u64,
    first_frame: Option<u64>,
    requests: Requests,
    /// Its record.
    pub connection: Connection,
}

/// Takes the records of all connections.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    open: BTreeMap<ConnectionId, Requests>,
    chosen: Option<Chosen>,
    /// Connections so far.
    pub connections: u64,
    /// Requests on them.
    pub requests: u64,
}

impl Choice {
    /// The record of a request.
    pub fn request(&mut self, request: &Request<'_>) {
        // Most of DNS goes over UDP: no connection's record ever comes for it.
        if request.protocol != Protocol::Dns {
            let is_cut =
                request.status == Status::Unanswered && request.ended_by != EndedBy::Observation;
            let took = request.total_us.map_or(0, Span::ns);
            self.take(request.connection_id, (took, request.task), is_cut);
        }
    }

    fn take(&mut self, id: ConnectionId, (took, task): (u64, u64), is_cut: bool) {
        if !self.open.contains_key(&id) && self.open.len() >= OPEN {
            // Many at once, for finding them takes time.
            let mut all: Vec<_> = self.open.iter().map(|(id, it)| (*it, *id)).collect();
            let (quick, ..) = all.select_nth_unstable(OPEN / 8);
            for (_, id) in quick {
                self.open.remove(id);
            }
        }
        let requests = self.open.entry(id).or_default();
        requests.cut += u64::from(is_cut);
        if took > requests.slowest || requests.task == 0 {
            requests.slowest = took;
            requests.task = task;
        }
    }

    /// The last record of a connection.
    pub fn connection(&mut self, connection: &Connection) {
        let requests = self.open.remove(&connection.connection_id);
        if !connection.is_final {
            self.open
                .extend(requests.map(|it| (connection.connection_id, it)));
            return;
        }
        self.connections += 1;
        self.requests += connection.requests.unwrap_or(0);
        let requests = requests.unwrap_or_default();
        let (why, ns) = worth(connection, requests);
        let is_better = self.chosen.as_ref().is_none_or(|best| {
            (why, ns) > (best.why, best.ns)
                || (why, ns) == (best.why, best.ns) && connection.first_frame < best.first_frame
        });
        if is_better {
            self.chosen = Some(Chosen {
                why,
                ns,
                first_frame: connection.first_frame,
                requests,
                connection: connection.clone(),
            });
        }
    }

    /// The one that is worth explaining; `None` if there was none at all.
    #[must_use]
    pub fn chosen(&self) -> Option<&Chosen> {
        self.chosen.as_ref()
    }
}

impl Chosen {
    /// Why it was chosen, in a sentence.
    #[must_use]
    pub fn reason(&self, all: &Choice) -> String {
        if all.connections == 1 {
            return "it is the only one".to_owned();
        }
        let mut of = format!("of {}", count(all.connections, "connection"));
        if all.requests > 0 {
            of.push_str(&format!(" and {}", count(all.requests, "request")));
        }
        match self.why {
            Why::SlowRequest | Why::SlowestRequest => format!(
                "its request {} took {}, the longest {of}",
                self.requests.task,
                duration(self.ns)
            ),
            Why::CutOff => format!(
                "{} of it {} cut off before an answer, the most {of}, and none took 100 ms or more",
                count(self.requests.cut, "request"),
                if self.requests.cut == 1 {
                    "was"
                } else {
                    "were"
                }
            ),
            Why::Failed => format!(
                "it failed to be established, and took longest for that ({}) {of}; no request took 100 ms or more",
                duration(self.ns)
            ),
            Why::Trouble => format!(
                "it has most of loss, closed windows and resets {of}; no request took 100 ms or more"
            ),
            Why::Longest => format!("it is the longest {of}; nothing is wrong with any"),
        }
    }
}

fn worth(connection: &Connection, requests: Requests) -> (Why, u64) {
    let duration = connection.duration_us.map_or(0, Span::ns);
    if requests.slowest >= SLOW_NS {
        return (Why::SlowRequest, requests.slowest);
    }
    if requests.cut > 0 {
        return (Why::CutOff, requests.cut);
    }
    // A SYN that had no time to be answered, or repeated, says nothing.
    let is_undecided = connection.handshake == Some(HandshakeOutcome::Unanswered)
        && connection.client.retransmits == 0;
    let has_failed = connection.close == Close::Failed
        || !matches!(
            connection.handshake,
            Some(
                HandshakeOutcome::Established
                    | HandshakeOutcome::Missed
                    | HandshakeOutcome::OneSided
            ) | None
        );
    if has_failed && !is_undecided {
        return (Why::Failed, duration);
    }
    let trouble: u64 = [&connection.client, &connection.server]
        .into_iter()
        .map(|sent| {
            let losses = sent.retransmits + sent.partial_retransmits + sent.fills_lost;
            (losses.saturating_mul(LOSS_NS))
                .saturating_add(sent.zero_window_us.ns())
                .saturating_add(sent.zero_windows)
        })
        .fold(0, u64::saturating_add);
    let is_reset = matches!(connection.close, Close::RstByClient | Close::RstByServer);
    let trouble = trouble.saturating_add(u64::from(is_reset));
    if trouble > 0 {
        return (Why::Trouble, trouble);
    }
    if requests.slowest > 0 {
        return (Why::SlowestRequest, requests.slowest);
    }
    (Why::Longest, duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_open_connections_is_bounded_and_the_slowest_stay() {
        let mut choice = Choice::default();
        for n in 0..10_000_u64 {
            let id = ConnectionId::Socket { cookie: n, host: 0 };
            choice.take(id, (n, 1), false);
            assert!(choice.open.len() <= OPEN);
        }
        let slowest = ConnectionId::Socket {
            cookie: 9_999,
            host: 0,
        };
        assert_eq!(choice.open[&slowest].slowest, 9_999);
        let quickest = ConnectionId::Socket { cookie: 0, host: 0 };
        assert!(!choice.open.contains_key(&quickest));
    }
}
