//! What a screen is told. Of each row only what decides order and filter is computed; records are made of those that are
//! shown.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use super::counting::Top;
use super::group::Group;
use super::memory::LINES;
use super::row::{Row, quantile};
use super::tally::{Counters, Tally, What};
use super::{Detail, Over, RowKey, TopQuery, TopSnapshot, whole_of};
use crate::record::{ConnectionId, Field, FirstFrame, GroupBy, Peer, Record, Visitor};
use crate::time::{Span, Timestamp};
use crate::view::HistogramSum;

/// The fields of a record that take a look at a histogram.
const QUANTILES: [&str; 12] = [
    "connect_p50_us",
    "connect_p95_us",
    "connect_p99_us",
    "request_p50_us",
    "request_p95_us",
    "request_p99_us",
    "request_max_us",
    "process_p50_us",
    "process_p95_us",
    "process_p99_us",
    "reuse_p95",
    "open_reuse_p95",
];

impl Top {
    /// What a screen shows now. A grouping that is not kept has no rows.
    pub fn snapshot(&mut self, query: &TopQuery) -> TopSnapshot {
        let (first, from) = self.window();
        if let Some(group) = self.groups.iter_mut().find(|group| group.by == query.by) {
            group.advance(first);
            if let (Sort::Quantile(what, per_mille), false) = (Sort::of(query.sort), query.by_share)
            {
                group.know((what, per_mille, query.over));
            }
        }
        self.asked.advance(first);
        let began = self.began.unwrap_or(self.now);
        let show = Show {
            top: self,
            over: query.over,
            from: match query.over {
                Over::Window => from,
                Over::Start => began,
            },
            by: query.by,
        };
        let at = self.began.map(|_| self.now);
        let kind = self.groups.iter().position(|group| group.by == query.by);
        let Some((kind, group)) = kind.and_then(|kind| Some((kind, self.groups.get(kind)?))) else {
            return TopSnapshot {
                at,
                passing: 0,
                known: 0,
                rows: Vec::new(),
                totals: show.sum("all", [].into_iter(), &Row::default(), None),
                others: None,
                detail: None,
            };
        };
        let passing = show.passing(group, query);
        let others_are = !group.others.is_quiet() || group.given_up + group.refused > 0;
        let others = others_are.then(|| {
            show.sum(
                "others",
                group.others.tallies(query.over),
                &group.others,
                None,
            )
        });
        // Those who all pass are added up already.
        let is_filtered = passing.len() < group.len() || others.is_some();
        let totals = match query.filter.as_ref().filter(|_| is_filtered) {
            None => {
                let asked = self.asked.tallies(query.over);
                let tallies = asked.chain(group.all.tallies(query.over));
                show.sum("all", tallies, &group.all, show.waiting())
            }
            Some(_) => show.added_up(&passing),
        };
        let shown = passing.iter().skip(query.skip).take(query.rows);
        let rows = shown.map(|(key, row)| ((*key).clone(), show.row(key, row, |_| true)));
        let rows = rows.collect();
        let detail = query.detail.as_ref().and_then(|key| {
            let (number, row) = group.find(key)?;
            Some(show.detail(kind, key, number, row))
        });
        TopSnapshot {
            at,
            passing: passing.len(),
            known: group.len(),
            rows,
            totals,
            others,
            detail,
        }
    }

    /// The rows that are asked for.
    pub fn rows(&mut self, query: &TopQuery) -> Vec<(RowKey, Peer)> {
        self.snapshot(query).rows
    }
}

/// Makes records of rows.
#[derive(Clone, Copy)]
struct Show<'t> {
    top: &'t Top,
    over: Over,
    /// Where the window begins.
    from: Timestamp,
    by: GroupBy,
}

impl Show<'_> {
    /// The rows that pass, in order.
    fn passing<'g>(&self, group: &'g Group, query: &TopQuery) -> Vec<(&'g RowKey, &'g Row)> {
        let by = match query.by_share {
            true => Sort::Share(query.sort),
            false => Sort::of(query.sort),
        };
        let filter = query.filter.as_ref();
        let wants = QUANTILES.map(|name| filter.is_some_and(|filter| filter.asks(name)));
        let mut passing = Vec::with_capacity(group.len());
        for (key, row) in group.rows() {
            let passes = filter
                .is_none_or(|filter| filter.matches(&self.row(key, row, |n: usize| wants[n])));
            if passes {
                passing.push((self.value(&by, key, row), (key, row)));
            }
        }
        // Rows come ascending by key, and of equals none passes another. What has no value comes last either way.
        match query.descending {
            true => passing.sort_by(|(a, _), (b, _)| b.cmp(a)),
            false => passing.sort_by(|(a, _), (b, _)| (a.is_none(), a).cmp(&(b.is_none(), b))),
        }
        passing.into_iter().map(|(_, row)| row).collect()
    }

    /// The value of the field that decides the order.
    fn value(&self, by: &Sort<'_>, key: &RowKey, row: &Row) -> Option<Value> {
        let tallies = row.tallies(self.over);
        match by {
            Sort::Counter(of) => {
                let all = tallies.map(|tally| of(&tally.counters));
                Some(Value::Number(all.fold(0, u64::wrapping_add)))
            }
            Sort::Quantile(what, per_mille) => {
                let span = row.known((*what, *per_mille, self.over));
                span.map(|span| Value::Number(span.ns()))
            }
            Sort::Share(name) => share_of(&self.row(key, row, |_| false), name).map(Value::Number),
            Sort::Field(name) => Pick::of(&self.row(key, row, |n| QUANTILES[n] == *name), name),
        }
    }

    /// Some rows as one.
    fn added_up(&self, rows: &[(&RowKey, &Row)]) -> Peer {
        let mut sums: [HistogramSum; 4] = Default::default();
        let (mut tally, mut open, mut waiting) = (Tally::default(), Row::default(), 0);
        for (key, row) in rows {
            for one in row.tallies(self.over) {
                tally.counters.add(&one.counters);
                tally.rtt_min = tally.rtt_min.into_iter().chain(one.rtt_min).min();
                for (what, sum) in What::ALL.into_iter().zip(&mut sums) {
                    one.histogram(what).into_iter().for_each(|it| sum.add(it));
                }
            }
            open.add_open(row);
            waiting += self.waits(key).unwrap_or(0);
        }
        for (what, sum) in What::ALL.into_iter().zip(&sums) {
            tally.set(what, sum.histogram());
        }
        let pending = self.waiting().map(|_| waiting);
        self.sum("all", std::iter::once(&tally), &open, pending)
    }

    /// The record of a row, with those quantiles that are wanted.
    fn row(&self, key: &RowKey, row: &Row, wants: impl Fn(usize) -> bool) -> Peer {
        let mut peer = self.peer(row.tallies(self.over), row, wants);
        match key {
            RowKey::Ip(ip) => peer.ip = Some(*ip),
            RowKey::Server(ip, port) => (peer.ip, peer.port) = (Some(*ip), Some(*port)),
            RowKey::Port(port) => peer.port = Some(*port),
            RowKey::Process(pid, comm) => {
                peer.pid = Some(*pid);
                peer.comm = Some(Arc::clone(comm)).filter(|comm| !comm.is_empty());
            }
            RowKey::Container(id) if id.is_empty() => peer.container_id = Some(Arc::from("none")),
            RowKey::Container(id) => peer.container_id = Some(Arc::clone(id)),
            RowKey::Unknown => {}
        }
        peer.pending = self.waits(key);
        peer
    }

    fn sum<'r>(
        &self,
        name: &str,
        tallies: impl Iterator<Item = &'r Tally> + Clone,
        row: &Row,
        pending: Option<u64>,
    ) -> Peer {
        Peer {
            is_sum: true,
            comm: Some(Arc::from(name)),
            pending,
            ..self.peer(tallies, row, |_| true)
        }
    }

    /// Attempts that nothing has answered, at one row.
    fn waits(&self, key: &RowKey) -> Option<u64> {
        let waiting = self.top.pending.as_ref()?;
        let (rows, is_untold) = match self.by {
            GroupBy::Server => (&waiting.servers, waiting.untold[0]),
            GroupBy::Peer => (&waiting.peers, waiting.untold[1]),
            GroupBy::Client | GroupBy::Port | GroupBy::Process | GroupBy::Container => return None,
        };
        rows.get(key).copied().or((!is_untold).then_some(0))
    }

    /// Of all rows.
    fn waiting(&self) -> Option<u64> {
        let waiting = self.top.pending.as_ref()?;
        matches!(self.by, GroupBy::Peer | GroupBy::Server).then_some(waiting.all)
    }

    /// What was counted, without whom; `row` is where connections are open.
    fn peer<'r>(
        &self,
        tallies: impl Iterator<Item = &'r Tally> + Clone,
        row: &Row,
        wants: impl Fn(usize) -> bool,
    ) -> Peer {
        let mut all = Counters::default();
        let mut rtt_min: Option<Span> = None;
        for tally in tallies.clone() {
            all.add(&tally.counters);
            rtt_min = rtt_min.into_iter().chain(tally.rtt_min).min();
        }
        let quantile = |n: usize, what: What, per_mille: u64| -> Option<Span> {
            if !wants(n) {
                return None;
            }
            quantile(tallies.clone(), what, per_mille)
        };
        let sees = self.top.vantage.sees_packets();
        let packets = |count: u64| sees.then_some(count);
        let rtt_mean = all.rtt_sum_ns.checked_div(all.rtt_samples);
        let open_reuse = row.open_reuse().filter(|_| wants(11));
        Peer {
            time: self.from,
            vantage: self.top.vantage,
            window_us: self.top.now.since(self.from),
            by: self.by,
            is_sum: false,
            ip: None,
            port: None,
            pid: None,
            comm: None,
            container_id: None,
            attempts: all.attempts,
            syn_acks: all.syn_acks,
            established: all.established,
            failed: all.failed,
            refused: all.refused,
            silent: all.silent,
            syn_retransmits: all.syn_retransmits,
            pending: None,
            connections: all.connections,
            open: row.open,
            resets: all.resets,
            fins_out: all.fins_out,
            fins_in: all.fins_in,
            connect_p50_us: quantile(0, What::Connect, 500),
            connect_p95_us: quantile(1, What::Connect, 950),
            connect_p99_us: quantile(2, What::Connect, 990),
            requests: all.requests,
            responses: all.responses,
            errors: all.errors,
            unanswered: all.unanswered,
            request_p50_us: quantile(3, What::Request, 500),
            request_p95_us: quantile(4, What::Request, 950),
            request_p99_us: quantile(5, What::Request, 990),
            request_max_us: quantile(6, What::Request, 1000),
            process_p50_us: quantile(7, What::Process, 500),
            process_p95_us: quantile(8, What::Process, 950),
            process_p99_us: quantile(9, What::Process, 990),
            reuse_p95: quantile(10, What::Reuse, 950).map(Span::ns),
            open_reuse_p95: open_reuse.and_then(|all| all.quantile(950)).map(Span::ns),
            bytes_out: all.bytes_out,
            bytes_in: all.bytes_in,
            data_segments: packets(all.data_segments),
            retransmits: all.retransmits,
            reordered: packets(all.reordered),
            zero_windows: packets(all.zero_windows),
            rtt_min_us: rtt_min,
            rtt_mean_us: rtt_mean.map(Span::from_ns),
            capture_losses: all.capture_losses,
            missing_bytes: packets(all.missing_bytes),
        }
    }

    fn detail(&self, kind: usize, key: &RowKey, number: u32, row: &Row) -> Detail {
        let peer = self.row(key, row, |_| true);
        let Some(memory) = &self.top.memory else {
            return Detail {
                key: key.clone(),
                peer,
                series: Default::default(),
                connections: Vec::new(),
                slowest: Vec::new(),
                remembered_from: Some(self.top.now),
            };
        };
        let open = self.top.parts.values().filter_map(|part| {
            let group = self.top.groups.get(kind)?;
            (group.number(part.rows[kind]) == number).then_some(part.line.as_deref()?)
        });
        let mut open: Vec<_> = open.collect();
        open.sort_by_key(|line| (Reverse(line.time), line.id));
        let lines = open.into_iter().chain(memory.latest(kind, number));
        Detail {
            key: key.clone(),
            peer,
            series: memory.series(kind, number),
            connections: lines.take(LINES).cloned().collect(),
            slowest: memory.slowest(kind, number),
            remembered_from: memory.whole_since(),
        }
    }
}

/// What decides the order: looked up once, for there are many rows.
enum Sort<'q> {
    Counter(fn(&Counters) -> u64),
    Quantile(What, u64),
    /// A part of a whole, by its share.
    Share(&'q str),
    /// Any other field: of the record.
    Field(&'q str),
}

impl Sort<'_> {
    fn of(field: &str) -> Sort<'_> {
        let quantile = match field {
            "connect_p50_us" => (What::Connect, 500),
            "connect_p95_us" => (What::Connect, 950),
            "connect_p99_us" => (What::Connect, 990),
            "request_p50_us" => (What::Request, 500),
            "request_p95_us" => (What::Request, 950),
            "request_p99_us" => (What::Request, 990),
            "request_max_us" => (What::Request, 1000),
            "process_p50_us" => (What::Process, 500),
            "process_p95_us" => (What::Process, 950),
            "process_p99_us" => (What::Process, 990),
            "reuse_p95" => (What::Reuse, 950),
            // Absent where there are no packets.
            "data_segments" | "reordered" | "zero_windows" | "missing_bytes" => {
                return Sort::Field(field);
            }
            _ => {
                let counter = Counters::of_field(field);
                return counter.map_or(Sort::Field(field), Sort::Counter);
            }
        };
        Sort::Quantile(quantile.0, quantile.1)
    }
}

/// The share that a field is of its whole, in billionths. What is no part of anything has none, and neither has a part of nothing,
/// nor what is more than the whole, for it began before the window.
#[must_use]
pub fn share_of(peer: &Peer, field: &str) -> Option<u64> {
    let (part, whole) = (number(peer, field)?, whole_of(peer, field)?);
    if part > whole {
        return None;
    }
    let share = (u128::from(part) * 1_000_000_000).checked_div(u128::from(whole))?;
    u64::try_from(share).ok()
}

/// The number in one field of a row.
pub(super) fn number(peer: &Peer, field: &str) -> Option<u64> {
    match Pick::of(peer, field)? {
        Value::Number(number) => Some(number),
        Value::Time(_) | Value::Ip(_) | Value::Text(_) => None,
    }
}

/// The value of one field, by which rows are ordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(u64),
    Time(Timestamp),
    Ip(IpAddr),
    Text(String),
}

/// Finds it.
struct Pick<'n> {
    name: &'n str,
    value: Option<Value>,
}

impl Pick<'_> {
    fn of(peer: &Peer, name: &str) -> Option<Value> {
        let mut pick = Pick { name, value: None };
        peer.visit(&mut pick);
        pick.value
    }

    fn put(&mut self, field: &'static Field, value: impl FnOnce() -> Option<Value>) {
        if field.name == self.name {
            self.value = value();
        }
    }
}

impl Visitor for Pick<'_> {
    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        self.put(field, || value.map(Value::Number));
    }

    fn span(&mut self, field: &'static Field, value: Option<Span>) {
        self.put(field, || value.map(|span| Value::Number(span.ns())));
    }

    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        self.put(field, || value.map(Value::Time));
    }

    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        self.put(field, || value.map(Value::Ip));
    }

    fn word(&mut self, field: &'static Field, value: Option<&'static str>) {
        self.put(field, || value.map(|word| Value::Text(word.to_owned())));
    }

    fn flag(&mut self, field: &'static Field, value: Option<bool>) {
        self.put(field, || value.map(|flag| Value::Number(u64::from(flag))));
    }

    fn text(&mut self, field: &'static Field, value: Option<&str>) {
        self.put(field, || value.map(|text| Value::Text(text.to_owned())));
    }

    fn id(&mut self, _: &'static Field, _: Option<ConnectionId>) {}

    fn counts(&mut self, _: &'static Field, _: &[(&'static str, u64)]) {}

    fn list(&mut self, _: &'static Field, _: &[u64]) {}

    fn frames(&mut self, _: &'static Field, _: &[FirstFrame]) {}
}
