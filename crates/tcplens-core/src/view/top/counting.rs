//! Counts records by row, and knows at any time what a screen of them shows. Each record is counted once in each grouping
//! that is kept, in the slice of packet time in which it became final; see `row` for how a window slides.

use std::collections::BTreeMap;

use super::RowKey;
use super::far::{Ends, KINDS};
use super::group::{Group, Index, OTHERS};
use super::memory::{self, Memory, Rows};
use super::parts::{IN_PARTS, InParts, Sums, is_client_lower};
use super::row::{Row, WINDOW_SLICES};
use super::tally::{News, Tally};
use crate::batch::AnyRecord;
use crate::pending::Pending;
use crate::record::{
    Close, Connection, ConnectionId, End, GroupBy, Handshake, HandshakeOutcome, Request, Vantage,
};
use crate::time::{SECOND, Span, Timestamp};

/// Rows of each grouping, if nobody says. Chosen: at 1 KB of a quiet row 16 MB for each grouping that has so many.
pub const ROWS: usize = 16_384;

/// How much later than that its end is told, in ns, and how often it is looked for those whose end was lost. Chosen: more
/// than a tick.
const LATE: i64 = 60 * SECOND;

/// What is kept.
#[derive(Clone, Debug)]
pub struct TopSettings {
    /// Where records are observed.
    pub vantage: Vantage,
    /// Which groupings can be asked for.
    pub groups: Vec<GroupBy>,
    /// How long the window is. It slides by a sixth: what is counted is of between five and six sixths of it.
    pub window: Span,
    /// Most rows of a grouping.
    pub rows: usize,
    /// How long a connection may be silent: it has ended after that.
    pub idle: Span,
    /// Whether more can be asked of a row.
    pub details: bool,
}

impl Default for TopSettings {
    fn default() -> TopSettings {
        TopSettings {
            vantage: Vantage::File,
            groups: GroupBy::ALL.to_vec(),
            window: Span::from_ns(10 * SECOND.unsigned_abs()),
            rows: ROWS,
            idle: Span::from_ns(300 * SECOND.unsigned_abs()),
            details: false,
        }
    }
}

/// See the module. Bounded: rows by [`TopSettings::rows`], connections in parts and what is remembered for details by 65,536.
#[derive(Clone, Debug)]
pub struct Top {
    pub(super) vantage: Vantage,
    pub(super) groups: Vec<Group>,
    window_ns: i64,
    /// When it began: slices are counted from here.
    pub(super) began: Option<Timestamp>,
    pub(super) now: Timestamp,
    /// The latest slice with anything in it.
    filled: i64,
    /// Attempts and requests of all rows together: the same in each grouping.
    pub(super) asked: Row,
    /// No window begins before this one.
    floor: i64,
    pub(super) parts: BTreeMap<ConnectionId, InParts>,
    /// Records of parts that found no room.
    parts_refused: u64,
    /// A connection whose last part is older has ended, and its end was lost, in ns.
    forgotten_after: i64,
    /// When such are looked for again.
    forget_at: Timestamp,
    /// How many there were.
    parts_lost: u64,
    pub(super) memory: Option<Memory>,
    /// Attempts that nothing has answered, by row; where that is known.
    pub(super) pending: Option<Waiting>,
}

/// What waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    pub(super) all: u64,
    /// Of whom no row tells: of servers, and of peers.
    pub(super) untold: [bool; 2],
    pub(super) peers: BTreeMap<RowKey, u64>,
    pub(super) servers: BTreeMap<RowKey, u64>,
}

impl Top {
    /// Nothing yet.
    #[must_use]
    pub fn new(settings: TopSettings) -> Top {
        let mut kinds: Vec<GroupBy> = settings.groups;
        kinds.sort();
        kinds.dedup();
        Top {
            vantage: settings.vantage,
            groups: kinds
                .into_iter()
                .map(|by| Group::new(by, settings.rows))
                .collect(),
            window_ns: i64::try_from(settings.window.ns())
                .unwrap_or(i64::MAX)
                .max(1),
            began: None,
            now: Timestamp::MIN,
            filled: 0,
            asked: Row::default(),
            floor: 0,
            parts: BTreeMap::new(),
            parts_refused: 0,
            forgotten_after: i64::try_from(settings.idle.ns())
                .unwrap_or(i64::MAX)
                .saturating_add(LATE),
            forget_at: Timestamp::MIN,
            parts_lost: 0,
            memory: settings.details.then(Memory::default),
            pending: None,
        }
    }

    /// The engine clock is there. The first one says when the observation began.
    pub fn clock(&mut self, at: Timestamp) {
        if at == Timestamp::MIN || at == Timestamp::MAX {
            return;
        }
        self.began.get_or_insert(at);
        self.now = self.now.max(at);
        if self.now >= self.forget_at {
            self.forget_at = self.now.plus(LATE);
            self.forget_lost();
        }
    }

    /// Connections that are silent for longer than any is kept for: their ends found no room on the way here.
    fn forget_lost(&mut self) {
        let (before, groups) = (self.now.plus(-self.forgotten_after), &mut self.groups);
        let lost = self.parts.extract_if(.., |_, it| it.told < before);
        for (_, it) in lost {
            self.parts_lost += 1;
            for (group, place) in groups.iter_mut().zip(it.rows) {
                group.row_mut(place).closes(it.requests);
                group.all.closes(it.requests);
            }
        }
    }

    /// Counts one record, which became final now.
    pub fn add(&mut self, record: AnyRecord<'_>) {
        match record {
            AnyRecord::Handshake(handshake) => self.handshake(handshake),
            AnyRecord::Request(request) => self.request(&request.record()),
            AnyRecord::Connection(connection) => self.connection(connection),
        }
    }

    /// The window begins with the slice of `at` at the earliest, for good: so that it has nothing that an earlier one showed.
    pub fn window_from(&mut self, at: Timestamp) {
        let began = self.began.unwrap_or(at);
        self.floor = self.floor.max(self.slice_at(began, at));
    }

    /// What nothing has answered, as it is now: rows of those that wait, too.
    pub fn pending(&mut self, pending: &Pending) {
        let mut waiting = Waiting {
            all: pending.attempts,
            ..Waiting::default()
        };
        let mut told = 0;
        for ((ip, port), waited) in pending.servers() {
            told += waited.attempts;
            waiting.untold[1] |= waited.is_here;
            let server = RowKey::Server(ip, u64::from(port));
            *waiting.servers.entry(server).or_default() += waited.attempts;
            // Those that wait for this host are not told apart.
            if !waited.is_here {
                *waiting.peers.entry(RowKey::Ip(ip)).or_default() += waited.attempts;
            }
        }
        // Only the servers that most wait for are handed over.
        waiting.untold = waiting
            .untold
            .map(|is_untold| is_untold || told < pending.attempts);
        let now = self.now;
        for group in &mut self.groups {
            let rows = match group.by {
                GroupBy::Peer => &waiting.peers,
                GroupBy::Server => &waiting.servers,
                GroupBy::Client | GroupBy::Port | GroupBy::Process | GroupBy::Container => continue,
            };
            for key in rows.keys() {
                group.wait(key, now);
            }
        }
        self.pending = Some(waiting);
    }

    /// Times that a bound was reached, by bound: for `health.limit_hits`. Only what is not zero.
    #[must_use]
    pub fn limit_hits(&self) -> Vec<(&'static str, u64)> {
        let sum = |of: fn(&Group) -> u64| self.groups.iter().map(of).sum();
        let hits = [
            ("top_rows", sum(|group| group.refused)),
            ("top_quiet_rows", sum(|group| group.given_up)),
            ("top_parts", self.parts_refused),
            ("top_lost_ends", self.parts_lost),
        ];
        hits.into_iter().filter(|(_, n)| *n > 0).collect()
    }

    /// The slice of now.
    pub(super) fn slice(&self) -> i64 {
        self.slice_at(self.began.unwrap_or(self.now), self.now)
    }

    fn slice_at(&self, began: Timestamp, at: Timestamp) -> i64 {
        let since = i128::from(at.0) - i128::from(began.0);
        let number = (since * i128::from(WINDOW_SLICES)).div_euclid(i128::from(self.window_ns));
        i64::try_from(number).unwrap_or(i64::MAX)
    }

    /// Where a slice begins: so that six of them are a window, to the nanosecond.
    fn begins(&self, slice: i64) -> Timestamp {
        let began = self.began.unwrap_or(self.now);
        let since = i128::from(slice) * i128::from(self.window_ns);
        let since = (since + i128::from(WINDOW_SLICES) - 1).div_euclid(i128::from(WINDOW_SLICES));
        began.plus(i64::try_from(since).unwrap_or(i64::MAX))
    }

    /// The first slice of the window that ends now, and where that begins. A slice that begins just now is not in the window,
    /// unless it has something.
    pub(super) fn window(&self) -> (i64, Timestamp) {
        let mut last = self.slice();
        if last > self.filled && self.begins(last) == self.now {
            last -= 1;
        }
        let first = (last - (WINDOW_SLICES - 1)).max(self.floor);
        (first, self.begins(first))
    }

    /// Counts a record in its row of each grouping.
    fn count(
        &mut self,
        ends: &Ends<'_>,
        mut add: impl FnMut(GroupBy, &mut Tally),
    ) -> [Index; KINDS] {
        let (slice, now) = (self.slice(), self.now);
        self.filled = slice;
        let mut places = [OTHERS; KINDS];
        for (group, place) in self.groups.iter_mut().zip(&mut places) {
            *place = group.place(ends.key(group.by), (slice, now));
            let by = group.by;
            let row = group.row_mut(*place);
            row.last = now;
            add(by, row.slice(slice));
        }
        places
    }

    /// What tells these rows from others, for as long as they are remembered.
    fn numbers(&self, places: &[Index; KINDS]) -> Rows {
        let mut rows = [0; KINDS];
        for ((group, place), row) in self.groups.iter().zip(places).zip(&mut rows) {
            *row = group.number(*place);
        }
        rows
    }

    fn handshake(&mut self, handshake: &Handshake) {
        self.began.get_or_insert(self.now);
        let ends = Ends::of_handshake(handshake);
        let places = self.count(&ends, |_, tally| tally.attempt(handshake));
        self.asked.slice(self.filled).attempt(handshake);
        let rows = self.numbers(&places);
        if let Some(memory) = &mut self.memory {
            memory.attempt(self.now, rows, handshake);
        }
    }

    /// Counts one request, which became final now.
    pub fn request(&mut self, request: &Request<'_>) {
        self.began.get_or_insert(self.now);
        let ends = Ends::of_request(request);
        let places = self.count(&ends, |_, tally| tally.request(request));
        self.asked.slice(self.filled).request(request);
        let rows = self.numbers(&places);
        if let Some(memory) = &mut self.memory {
            memory.request(self.now, rows, request);
        }
    }

    fn connection(&mut self, connection: &Connection) {
        self.began.get_or_insert(self.now);
        let ends = Ends::of_connection(connection);
        let id = connection.connection_id;
        if connection.close == Close::Failed {
            // Its attempt was counted.
            if connection.is_final && self.memory.is_some() {
                let places = self.count(&ends, |_, _| {});
                self.remember(&places, connection);
            }
            return;
        }
        let is_open = connection.close == Close::Open;
        let before = self.parts.remove(&id);
        if !connection.is_final && before.is_none() && self.parts.len() >= IN_PARTS {
            self.parts_refused += 1;
            return;
        }
        let is_client_lower = is_client_lower(connection);
        let earlier = before.as_ref().map_or(Sums::default(), |before| {
            match before.is_client_lower == is_client_lower {
                true => before.sums,
                false => before.sums.swapped(),
            }
        });
        let sums = Sums::of(connection);
        let news = sums.since(&earlier);
        let has_loss = connection.capture_loss;
        let had_loss = before
            .as_ref()
            .is_some_and(|before| before.has_capture_loss);
        let requests = connection.requests.unwrap_or(0);
        let has_ended = connection.is_final && !is_open;
        let is_established = connection.handshake == Some(HandshakeOutcome::Established);
        let tell = |by: GroupBy, tally: &mut Tally| {
            let far = ends.far(by);
            let near_first = |sums: Sums| match far {
                End::Server => sums,
                End::Client => sums.swapped(),
            };
            let rtt = match far {
                End::Client => connection.client.rtt_min_us,
                End::Server => connection.server.rtt_min_us,
            };
            tally.connection(&News {
                sums: near_first(news.with_smoothed(connection, far)),
                rtt_min: rtt,
                has_ended,
                is_reset: matches!(connection.close, Close::RstByClient | Close::RstByServer),
                first_fin: connection
                    .first_fin
                    .filter(|_| connection.is_final)
                    .map(|end| end != far),
                has_capture_loss: has_loss && !had_loss,
                reuse: (has_ended && is_established && requests > 0).then_some(requests),
            });
        };
        let places = self.count(&ends, tell);
        for group in &mut self.groups {
            tell(group.by, group.all.slice(self.filled));
        }
        if let Some(before) = &before {
            for (group, place) in self.groups.iter_mut().zip(before.rows) {
                group.row_mut(place).closes(before.requests);
                group.all.closes(before.requests);
            }
        }
        if is_open {
            for (group, place) in self.groups.iter_mut().zip(places) {
                group.row_mut(place).opens(requests);
                group.all.opens(requests);
            }
        }
        if connection.is_final {
            self.remember(&places, connection);
            return;
        }
        let line = self.memory.as_ref();
        let line = line.map(|_| Box::new(memory::line(connection)));
        let in_parts = InParts {
            told: self.now,
            sums,
            is_client_lower,
            requests,
            has_capture_loss: has_loss,
            rows: places,
            line,
        };
        self.parts.insert(id, in_parts);
    }

    fn remember(&mut self, places: &[Index; KINDS], connection: &Connection) {
        let rows = self.numbers(places);
        if let Some(memory) = &mut self.memory {
            memory.connection(self.now, rows, memory::line(connection));
        }
    }
}
