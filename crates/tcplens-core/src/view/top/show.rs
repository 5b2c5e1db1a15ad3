//! What a screen is told. Of each row only what decides order and filter is computed; records are made of those that are
//! shown.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use super::counting::Top;
use super::group::Group;
use super::memory::LINES;
use super::row::Row;
use super::tally::{Tally, What};
use super::{Detail, Over, RowKey, TopQuery, TopSnapshot};
use crate::record::{ConnectionId, Field, FirstFrame, GroupBy, Peer, Record, Visitor};
use crate::time::{Span, Timestamp};
use crate::view::Histogram;

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
        }
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
                totals: show.sum("all", &Row::default(), None),
                others: None,
                detail: None,
            };
        };
        let passing = show.passing(group, query);
        let others_are = !group.others.is_quiet() || group.given_up + group.refused > 0;
        let others = others_are.then(|| show.sum("others", &group.others, None));
        let totals = match &query.filter {
            None => show.sum("all", &group.all, show.waiting()),
            Some(_) => {
                let mut all = Row::default();
                let mut waiting = 0;
                for (key, row) in &passing {
                    all.add_up(row, query.over);
                    waiting += show.waits(key).unwrap_or(0);
                }
                let over = Over::Start;
                Show { over, ..show }.sum("all", &all, show.waiting().map(|_| waiting))
            }
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
        let filter = query.filter.as_ref();
        let wants = QUANTILES
            .map(|name| name == query.sort || filter.is_some_and(|filter| filter.asks(name)));
        let wanted = |n: usize| wants[n];
        let mut passing = Vec::with_capacity(group.len());
        for (key, row) in group.rows() {
            let peer = self.row(key, row, wanted);
            if filter.is_none_or(|filter| filter.matches(&peer)) {
                passing.push((Pick::of(&peer, query.sort), (key, row)));
            }
        }
        // Rows come ascending by key, and of equals none passes another. What has no value comes last either way.
        match query.descending {
            true => passing.sort_by(|(a, _), (b, _)| b.cmp(a)),
            false => passing.sort_by(|(a, _), (b, _)| (a.is_none(), a).cmp(&(b.is_none(), b))),
        }
        passing.into_iter().map(|(_, row)| row).collect()
    }

    /// The record of a row, with those quantiles that are wanted.
    fn row(&self, key: &RowKey, row: &Row, wants: impl Fn(usize) -> bool) -> Peer {
        let mut peer = self.peer(row, wants);
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

    fn sum(&self, name: &str, row: &Row, pending: Option<u64>) -> Peer {
        Peer {
            is_sum: true,
            comm: Some(Arc::from(name)),
            pending,
            ..self.peer(row, |_| true)
        }
    }

    /// Attempts that nothing has answered, at one row.
    fn waits(&self, key: &RowKey) -> Option<u64> {
        let waiting = self.top.pending.as_ref()?;
        let rows = match self.by {
            GroupBy::Peer => &waiting.peers,
            GroupBy::Server => &waiting.servers,
            GroupBy::Client | GroupBy::Port | GroupBy::Process | GroupBy::Container => return None,
        };
        Some(rows.get(key).copied().unwrap_or(0))
    }

    /// Of all rows.
    fn waiting(&self) -> Option<u64> {
        let waiting = self.top.pending.as_ref()?;
        matches!(self.by, GroupBy::Peer | GroupBy::Server).then_some(waiting.all)
    }

    /// What was counted, without whom.
    fn peer(&self, row: &Row, wants: impl Fn(usize) -> bool) -> Peer {
        let tallies = row.tallies(self.over);
        let mut all = super::tally::Counters::default();
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

fn quantile<'t>(
    tallies: impl Iterator<Item = &'t Tally>,
    what: What,
    per_mille: u64,
) -> Option<Span> {
    // Past, closed slices, the one that is being filled.
    let mut parts: [Option<&Histogram>; 3] = [None; 3];
    for (part, tally) in parts.iter_mut().zip(tallies) {
        *part = tally.histogram(what);
    }
    let parts: Vec<&Histogram> = parts.into_iter().flatten().collect();
    Histogram::quantile_of(&parts, per_mille)
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
