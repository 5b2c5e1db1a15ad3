//! Connection attempts per filter of tcpeek, and tcpeek's own numbers of them. Which filters there are is fixed from the
//! beginning; an attempt counts at most once in each.

use super::HandshakeSummary;
use crate::filter::tcpeek::HandshakeFilter;
use crate::record::{Direction, Handshake, Outcome};

/// What counts, where, and what does not.
#[derive(Clone, Debug)]
pub struct Tallies {
    exclusions: Vec<HandshakeFilter>,
    /// In the order of printing.
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    name: String,
    /// None: attempts of no direction, which are all without local addresses, else those passing through.
    filter: Option<HandshakeFilter>,
    /// Shown also without attempts.
    is_always: bool,
    summary: HandshakeSummary,
}

impl Tallies {
    /// Counts by these filters; tcpeek's `RX` and `TX` come before them if it is known which addresses are local, without
    /// which there is `all`.
    #[must_use]
    pub fn new(named: Vec<HandshakeFilter>, is_local_known: bool) -> Tallies {
        let (exclusions, named): (Vec<_>, Vec<_>) =
            named.into_iter().partition(HandshakeFilter::is_exclusion);
        let by_filter = |filter: HandshakeFilter| Row {
            name: filter.name().to_owned(),
            filter: Some(filter),
            is_always: true,
            summary: HandshakeSummary::default(),
        };
        let rest = Row {
            name: if is_local_known { "forwarded" } else { "all" }.to_owned(),
            filter: None,
            is_always: !is_local_known,
            summary: HandshakeSummary::default(),
        };
        let built_in = HandshakeFilter::built_in()
            .into_iter()
            .filter(|_| is_local_known);
        let rows = built_in.map(by_filter).chain([rest]);
        Tallies {
            exclusions,
            rows: rows.chain(named.into_iter().map(by_filter)).collect(),
        }
    }

    /// Counts an attempt; false if it is excluded.
    pub fn count(&mut self, handshake: &Handshake) -> bool {
        // A record's ports are numbers of 16 bits.
        let port = u16::try_from(handshake.server_port).unwrap_or_default();
        let matches = |filter: &HandshakeFilter| {
            filter.matches(
                handshake.direction,
                handshake.client_ip,
                handshake.server_ip,
                port,
            )
        };
        if self.exclusions.iter().any(matches) {
            return false;
        }
        for row in &mut self.rows {
            let counts = match &row.filter {
                Some(filter) => matches(filter),
                None => matches!(handshake.direction, None | Some(Direction::Forwarded)),
            };
            if counts {
                row.summary.add(handshake);
            }
        }
        true
    }

    /// Names and summaries in the order of printing: what is always there first.
    pub fn summaries(&self) -> impl Iterator<Item = (&str, &HandshakeSummary)> {
        let shown = self.rows.iter().filter(|row| row.is_shown());
        shown.map(|row| (row.name.as_str(), &row.summary))
    }

    /// tcpeek's numbers of all filters since `earlier`, or since the beginning.
    #[must_use]
    pub fn tcpeek(&self, earlier: Option<&TcpeekTotals>) -> Vec<(&str, TcpeekCounts)> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, row)| row.is_shown())
            .map(|(n, row)| {
                let before = earlier.and_then(|earlier| earlier.0.get(n)).copied();
                let now = TcpeekCounts::of(&row.summary);
                (row.name.as_str(), now.since(before.unwrap_or_default()))
            })
            .collect()
    }

    /// tcpeek's numbers as they are now, to tell later what came since.
    #[must_use]
    pub fn totals(&self) -> TcpeekTotals {
        let rows = self.rows.iter();
        TcpeekTotals(rows.map(|row| TcpeekCounts::of(&row.summary)).collect())
    }
}

impl Row {
    fn is_shown(&self) -> bool {
        self.is_always || self.summary.attempts() > 0
    }
}

/// tcpeek's numbers of all filters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpeekTotals(Vec<TcpeekCounts>);

/// tcpeek's numbers of one filter. Each attempt is in at most one of the four that are no repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpeekCounts {
    /// Established.
    pub success: u64,
    /// Of these, with a repeated SYN.
    pub dupsyn: u64,
    /// Of these, with a repeated SYN-ACK.
    pub dupsynack: u64,
    /// Failed for want of an answer, on either side. Not what was too young to tell when the observation ended, nor what
    /// was seen in one direction only.
    pub timeout: u64,
    /// Ended by a RST: of the server, or of the client before it was established.
    pub reject: u64,
    /// Ended by an ICMP error.
    pub unreach: u64,
}

impl TcpeekCounts {
    /// Of a summary.
    #[must_use]
    pub fn of(summary: &HandshakeSummary) -> TcpeekCounts {
        let sum = |outcomes: &[Outcome]| -> u64 {
            outcomes
                .iter()
                .map(|&outcome| summary.outcome(outcome))
                .sum()
        };
        let silent = sum(&[
            Outcome::TimedOut,
            Outcome::Unanswered,
            Outcome::Unacknowledged,
        ]);
        TcpeekCounts {
            success: sum(&[Outcome::Established]),
            dupsyn: summary.syn_established.attempts,
            dupsynack: summary.synack_established.attempts,
            timeout: silent.saturating_sub(summary.undecided),
            reject: sum(&[Outcome::Refused, Outcome::Aborted, Outcome::Reset]),
            unreach: sum(&[Outcome::Unreachable]),
        }
    }

    /// All that failed.
    #[must_use]
    pub fn failure(&self) -> u64 {
        self.timeout + self.reject + self.unreach
    }

    /// What came after `earlier`.
    #[must_use]
    pub fn since(self, earlier: TcpeekCounts) -> TcpeekCounts {
        TcpeekCounts {
            success: self.success.saturating_sub(earlier.success),
            dupsyn: self.dupsyn.saturating_sub(earlier.dupsyn),
            dupsynack: self.dupsynack.saturating_sub(earlier.dupsynack),
            timeout: self.timeout.saturating_sub(earlier.timeout),
            reject: self.reject.saturating_sub(earlier.reject),
            unreach: self.unreach.saturating_sub(earlier.unreach),
        }
    }
}
