//! From bytes in order to parts of tasks: recognising the protocol, reading units, turns, holes.

use super::task::{NEVER, Open, Run, Task, Waiting};
use super::{MOST_PENDING, STILL, Speaks, TRIES, Work, bit};
use crate::proto::dns;
use crate::proto::{
    AnyParser, Context, Guess, Loss, Outcome, Owes, Part, Request, Response, Step, Texts, Unit, Way,
};
use crate::record::{EndedBy, HandshakeOutcome, Protocol, RoleFrom};
use crate::tcp::seq::Seq;
use crate::time::Timestamp;
use crate::wire::segment::Segment;

/// Most bytes that a parser may wait on, and most segments that may bring them: a parser looks at all of it again with
/// each.
const MOST_UNREAD: usize = 64 << 10;
const MOST_RUNS: usize = 512;
/// Bytes after which a connection that may still be anything is taken by turns.
const ENOUGH_TO_TELL: usize = 8192;

/// What the bytes that are read came in.
trait Runs {
    /// The run that holds the byte at `at`; called with growing positions.
    fn at(&mut self, at: usize) -> Run;
    /// When the first of the bytes from `at`, where this stands, to `end` was captured.
    fn earliest(&mut self, at: usize, end: usize) -> Timestamp;
}

/// All in one: what most are.
impl Runs for Run {
    #[inline(always)]
    fn at(&mut self, _: usize) -> Run {
        *self
    }

    #[inline(always)]
    fn earliest(&mut self, _: usize, _: usize) -> Timestamp {
        self.seen
    }
}

/// Walks the runs that bytes came in.
struct Cursor<'a> {
    runs: &'a [Run],
    /// Where the first of `runs` begins.
    from: usize,
}

impl<'a> Cursor<'a> {
    fn new(runs: &'a [Run]) -> Cursor<'a> {
        Cursor { runs, from: 0 }
    }
}

impl Runs for Cursor<'_> {
    fn at(&mut self, at: usize) -> Run {
        while let [first, _, ..] = self.runs
            && at >= self.from + first.length as usize
        {
            self.from += first.length as usize;
            self.runs = &self.runs[1..];
        }
        self.runs.first().copied().unwrap_or(Run {
            length: 0,
            time: Timestamp::MIN,
            seen: Timestamp::MIN,
            frame: 0,
        })
    }

    fn earliest(&mut self, at: usize, end: usize) -> Timestamp {
        let first = self.at(at);
        let mut from = self.from;
        let covered = self.runs.iter().take_while(|run| {
            let begins = from;
            from += run.length as usize;
            begins < end
        });
        covered.map(|run| run.seen).min().unwrap_or(first.seen)
    }
}

/// What came of the first bytes.
enum Recognised {
    /// They are read in this direction.
    As(Way),
    /// It is nothing that is known: it is read by turns.
    Turns,
    /// More must come.
    NotYet,
    /// They say nothing.
    Dropped,
}

impl Work<'_, '_> {
    /// Bytes that continue the stream, all of one packet.
    #[inline]
    pub(super) fn read(
        &mut self,
        way: Way,
        bytes: &[u8],
        [time, seen]: [Timestamp; 2],
        frame: u64,
    ) {
        let run = Run {
            length: bytes.len() as u32,
            time,
            seen,
            frame,
        };
        let is_plain = !self.busy.is_rare
            && self.core.ways[way as usize].bits & (bit::LOST | bit::ADRIFT) == 0
            && !matches!(self.core.speaks, Speaks::Unknown(_));
        if is_plain {
            let used = self.parse(way, bytes, run);
            if used < bytes.len() {
                self.keep_unread(way, &bytes[used..], run);
            }
        } else {
            self.read_with_care(way, bytes, run);
        }
    }

    #[inline(never)]
    fn keep_unread(&mut self, way: Way, bytes: &[u8], run: Run) {
        let w = way as usize;
        self.busy.is_rare = true;
        self.busy.grown += bytes.len() + size_of::<Run>();
        self.busy.unread[w].extend_from_slice(bytes);
        self.busy.runs[w].push(Run {
            length: bytes.len() as u32,
            ..run
        });
        self.keep_bounds(way);
    }

    #[inline(never)]
    fn read_with_care(&mut self, mut way: Way, bytes: &[u8], run: Run) {
        let w = way as usize;
        if self.core.is_adrift() && way == Way::ToClient {
            self.server_sends(run.time);
        }
        if self.core.ways[w].bits & bit::LOST != 0 && !self.has_footing(way, bytes) {
            return;
        }
        if self.core.is_adrift() && way == Way::ToServer && !self.busy.is_within_message(w) {
            self.client_begins(self.core.ways[w].next.minus(bytes.len() as u32), run.seen);
        }
        if self.busy.unread[w].is_empty() {
            let used = self.read_all(&mut way, bytes, &[run]);
            if used < bytes.len() {
                self.keep_unread(way, &bytes[used..], run);
            }
            return;
        }
        let mut unread = std::mem::take(&mut self.busy.unread[w]);
        let mut runs = std::mem::take(&mut self.busy.runs[w]);
        self.busy.grown += bytes.len() + size_of::<Run>();
        unread.extend_from_slice(bytes);
        runs.push(run);
        let used = self.read_all(&mut way, &unread, &runs);
        unread.drain(..used);
        drop_front(&mut runs, used);
        let w = way as usize;
        self.busy.unread[w] = unread;
        self.busy.runs[w] = runs;
        self.keep_bounds(way);
    }

    /// Adrift, the server sends something: how far it had read by then.
    fn server_sends(&mut self, at: Timestamp) {
        let client = usize::from(self.desk.flow.client);
        let server = &self.desk.flow.sides[1 - client];
        if server.acknowledged() {
            self.core.answered = server.ack;
            self.core.set(bit::ANSWERED);
        }
        self.core.last_end = self.core.last_end.max(at);
    }

    /// Adrift, the client begins a segment at `start`, captured at `seen`. If the server had all before it when it sent
    /// last, and the client asks only when it was answered, what it asks now is answered next. One that does not wait must
    /// find the server still.
    fn client_begins(&mut self, start: Seq, seen: Timestamp) {
        let is_answered = self.core.ways[0].bits & bit::ANSWERED != 0
            && start.offset(self.core.answered) <= 0
            && seen >= self.core.last_end;
        if !is_answered {
            return;
        }
        let pipelines = self.core.ways[0].bits & bit::PIPELINES != 0;
        let is_still = seen.0.saturating_sub(self.core.last_end.0) >= STILL;
        if !pipelines || is_still {
            // Those with numbers pair all the same, and turns have no other order.
            let is_unnumbered = |task: &Task| {
                task.over.is_none() && task.id.is_none() && task.protocol != Protocol::Turn
            };
            while let Some(n) = self.busy.tasks.iter().position(is_unnumbered) {
                self.unanswered(n, EndedBy::Gap);
            }
            self.core.moor();
        }
        if !pipelines && !is_still {
            self.core.set(bit::ASSUMED);
        }
    }

    /// What is outstanding gets no answer that could be told to be its own.
    fn give_up_outstanding(&mut self, is_gap: bool) {
        while let Some(n) = self.busy.tasks.iter().position(|task| task.over.is_none()) {
            let task = &mut self.busy.tasks[n];
            task.gap |= is_gap && !task.cut;
            self.unanswered(n, EndedBy::Gap);
        }
    }

    /// A request begins, and the one before it has no answer yet; unless that was missed here, for the client acknowledges
    /// more than was seen, and more than it did when it asked before. Whether nobody knows whose its response is then.
    #[cold]
    fn pipelines(&mut self) -> bool {
        let client = &self.desk.flow.sides[usize::from(self.desk.flow.client)];
        let back = &self.core.ways[Way::ToClient as usize];
        let is_started = back.bits & bit::STARTED != 0 && client.acknowledged();
        let waits = self.busy.tasks.back().filter(|task| task.waits());
        let has_more = |than: Seq| client.ack.offset(than) > 0;
        let was_missed = match waits {
            Some(task) => {
                client.acknowledged() && has_more(task.end) && (!is_started || has_more(back.next))
            }
            None => is_started && has_more(back.next),
        };
        if was_missed {
            return false;
        }
        self.core.set(bit::PIPELINES);
        let drifts = self.core.ways[0].bits & bit::ASSUMED != 0;
        if drifts {
            self.give_up_outstanding(false);
            self.core.moor();
            self.core.set(bit::ADRIFT);
        }
        drifts
    }

    /// Reads what can be read; how many bytes that was. The direction changes if the roles turn out to be the other way.
    fn read_all(&mut self, way: &mut Way, bytes: &[u8], runs: &[Run]) -> usize {
        if matches!(self.core.speaks, Speaks::Unknown(_)) {
            match self.recognise(*way, bytes, runs) {
                Recognised::As(read_as) => *way = read_as,
                Recognised::Turns => return self.take_by_turns(*way, bytes, runs),
                Recognised::NotYet => return 0,
                Recognised::Dropped => return bytes.len(),
            }
        }
        match runs {
            [run] => self.parse(*way, bytes, *run),
            _ => self.parse(*way, bytes, Cursor::new(runs)),
        }
    }

    fn keep_bounds(&mut self, way: Way) {
        let w = way as usize;
        let is_over =
            self.busy.unread[w].len() > MOST_UNREAD || self.busy.runs[w].len() > MOST_RUNS;
        if is_over {
            self.lose_footing(way, Some(Loss::TooLong));
        }
    }

    /// Whether a segment begins with a message, after the footing was lost.
    fn has_footing(&mut self, way: Way, bytes: &[u8]) -> bool {
        let is_start = match &self.core.speaks {
            Speaks::Known(parser) => AnyParser::probe(parser.protocol(), way, bytes) == Guess::Yes,
            Speaks::Unknown(_) | Speaks::Turn => true,
        };
        if is_start {
            self.core.ways[way as usize].bits &= !bit::LOST;
        }
        is_start
    }

    /// Tells by the first bytes what is spoken: the first protocol of the table that is sure of it, whatever other
    /// connections speak.
    #[inline(never)]
    fn recognise(&mut self, way: Way, bytes: &[u8], runs: &[Run]) -> Recognised {
        let flow = &*self.desk.flow;
        let rules = self.desk.rules;
        let mut may_be = false;
        let tells = |&&protocol: &&Protocol| AnyParser::tells(protocol, way);
        for &protocol in rules.protocols.iter().filter(tells) {
            match AnyParser::probe(protocol, way, bytes) {
                Guess::Yes => return self.adopt(protocol, way),
                Guess::Maybe => may_be = true,
                Guess::No => {}
            }
        }
        let other = way.back();
        // Who asks again after an answer has said all of the first request.
        let first = |runs: &[Run]| runs.first().map(|run| run.frame);
        let was_answered = way == Way::ToServer
            && first(&self.busy.runs[other as usize])
                .is_some_and(|answer| first(runs) < Some(answer));
        if may_be && bytes.len() < ENOUGH_TO_TELL && !was_answered {
            return Recognised::NotYet;
        }
        if flow.role_from == RoleFrom::Port {
            let turned = |&&protocol: &&Protocol| {
                AnyParser::tells(protocol, other)
                    && AnyParser::probe(protocol, other, bytes) == Guess::Yes
            };
            if let Some(&protocol) = rules.protocols.iter().find(turned) {
                self.turn_around();
                return self.adopt(protocol, other);
            }
        }
        let Speaks::Unknown(tries) = &mut self.core.speaks else {
            return Recognised::Dropped;
        };
        // In mid-connection this may be the middle of a message.
        let is_middle = flow.handshake != HandshakeOutcome::Established;
        if is_middle && *tries < TRIES {
            *tries += 1;
            return Recognised::Dropped;
        }
        if !rules.turns {
            return Recognised::Dropped;
        }
        self.core.speaks = Speaks::Turn;
        self.core.moor();
        self.core.protocol.get_or_insert(Protocol::Turn);
        Recognised::Turns
    }

    fn adopt(&mut self, protocol: Protocol, way: Way) -> Recognised {
        let Some(parser) = AnyParser::new(protocol) else {
            return Recognised::Dropped;
        };
        if self.desk.flow.role_from == RoleFrom::Port {
            self.desk.flow.role_from = RoleFrom::Protocol;
        }
        self.core.speaks = Speaks::Known(parser);
        self.core.protocol = Some(protocol);
        // What the other side said before comes first.
        self.read_what_waits(way.back());
        Recognised::As(way)
    }

    /// What waited in both directions is read by turns, packet by packet as it came; then the last of `runs`, which has
    /// just come. Which ACK covered what is over was not kept.
    fn take_by_turns(&mut self, way: Way, bytes: &[u8], runs: &[Run]) -> usize {
        let Some((last, before)) = runs.split_last() else {
            return bytes.len();
        };
        self.turns_that_waited(way, before);
        let at = bytes.len().saturating_sub(last.length as usize);
        let used = self.parse(way, &bytes[at..], *last);
        self.emit_over();
        at + used
    }

    /// `runs` of `way`, and what waits of the other direction.
    fn turns_that_waited(&mut self, way: Way, runs: &[Run]) {
        let other = way.back();
        self.busy.unread[other as usize].clear();
        let others = std::mem::take(&mut self.busy.runs[other as usize]);
        let mut all: Vec<_> = runs.iter().map(|&run| (run, way)).collect();
        all.extend(others.into_iter().map(|run| (run, other)));
        all.sort_by_key(|(run, _)| run.frame);
        for (run, way) in all {
            self.turn(way, run.length as usize, run, run);
        }
    }

    fn emit_over(&mut self) {
        while let Some(n) = self.busy.tasks.iter().position(|task| task.over.is_some()) {
            self.emit(n);
        }
    }

    /// Nothing more comes that could tell what is spoken: what waits for that is read by turns.
    pub(super) fn settle(&mut self) {
        let is_middle = self.desk.flow.handshake != HandshakeOutcome::Established;
        let waits = self.busy.runs.iter().map(Vec::len).sum::<usize>();
        let Speaks::Unknown(tries) = &mut self.core.speaks else {
            return;
        };
        if is_middle {
            *tries = tries.saturating_add(u8::try_from(waits).unwrap_or(u8::MAX));
        }
        if is_middle || waits == 0 || !self.desk.rules.turns {
            return;
        }
        self.core.speaks = Speaks::Turn;
        self.core.moor();
        self.core.protocol.get_or_insert(Protocol::Turn);
        self.busy.unread[Way::ToServer as usize].clear();
        let runs = std::mem::take(&mut self.busy.runs[Way::ToServer as usize]);
        self.turns_that_waited(Way::ToServer, &runs);
        self.emit_over();
    }

    fn read_what_waits(&mut self, way: Way) {
        let w = way as usize;
        if self.busy.unread[w].is_empty() {
            return;
        }
        let mut unread = std::mem::take(&mut self.busy.unread[w]);
        let mut runs = std::mem::take(&mut self.busy.runs[w]);
        let used = self.parse(way, &unread, Cursor::new(&runs));
        unread.drain(..used);
        drop_front(&mut runs, used);
        self.busy.unread[w] = unread;
        self.busy.runs[w] = runs;
    }

    /// Client and server change places: the port guess was wrong.
    fn turn_around(&mut self) {
        self.desk.flow.client = 1 - self.desk.flow.client;
        self.core.ways.swap(0, 1);
        self.busy.unread.swap(0, 1);
        self.busy.runs.swap(0, 1);
        self.busy.early.swap(0, 1);
        self.busy.open.swap(0, 1);
        self.busy.sent.swap(0, 1);
        self.busy.window.swap(0, 1);
        self.core.mss.swap(0, 1);
        self.core.shifts.swap(0, 1);
        self.core.largest.swap(0, 1);
        self.core.least.swap(0, 1);
    }

    /// Reads units from the front of `bytes`, which came in `runs`; how many bytes were read.
    fn parse(&mut self, way: Way, bytes: &[u8], mut cursor: impl Runs) -> usize {
        let w = way as usize;
        let mut at = 0;
        while at < bytes.len() {
            if self.busy.is_rare
                && let Some(open) = &mut self.busy.open[w]
            {
                let more = open.left.min((bytes.len() - at) as u64);
                open.left -= more;
                let part = open.part;
                let seen = cursor.earliest(at, at + more as usize);
                if seen < cursor.at(at).time {
                    self.seen_earlier(part, seen);
                }
                let Some(open) = &self.busy.open[w] else {
                    continue;
                };
                at += more as usize;
                if open.left == 0 {
                    let last = cursor.at(at - 1);
                    self.open_ends(way, last.time, bytes.len() - at);
                }
                continue;
            }
            let words = self.busy.words.len();
            let step = match &mut self.core.speaks {
                Speaks::Unknown(_) => return at,
                Speaks::Turn => {
                    if self.turns_to_tls(way, &bytes[at..]) {
                        continue;
                    }
                    let first = Run {
                        seen: cursor.earliest(at, bytes.len()),
                        ..cursor.at(at)
                    };
                    let last = cursor.at(bytes.len() - 1);
                    self.turn(way, bytes.len() - at, first, last);
                    return bytes.len();
                }
                Speaks::Known(parser) => {
                    let mut context = Context {
                        asked: &Waiting(&self.busy.tasks),
                        texts: Texts::new(&mut self.busy.words, self.desk.rules.summary_bytes),
                        protocol: None,
                        is_end: false,
                    };
                    let step = parser.read(way, &bytes[at..], &mut context);
                    let said = Said::of(&context, parser.protocol());
                    (step, said)
                }
            };
            match step {
                (Step::Wait, _) => {
                    self.busy.words.truncate(words);
                    break;
                }
                (Step::Lost(loss), _) => {
                    self.busy.words.truncate(words);
                    self.lose_footing(way, Some(loss));
                    return bytes.len();
                }
                (Step::Unit(unit), said) => {
                    if unit.length == 0 {
                        self.lose_footing(way, Some(Loss::Malformed));
                        return bytes.len();
                    }
                    let here = unit.length.min((bytes.len() - at) as u64);
                    let first = Run {
                        seen: cursor.earliest(at, at + here as usize),
                        ..cursor.at(at)
                    };
                    if matches!(unit.part, Part::Aside) {
                        self.busy.words.truncate(words);
                    }
                    at += here as usize;
                    if here == unit.length {
                        let last = cursor.at(at - 1);
                        let behind = bytes.len() - at;
                        self.whole_unit(way, &unit, said, first, last.time, behind);
                    } else {
                        self.part_begins(&unit, said, first);
                        self.opens(w, &unit, unit.length - here);
                    }
                }
            }
        }
        at
    }

    /// Of `unit`, which was counted whole, so many bytes are still to come.
    #[inline(never)]
    fn opens(&mut self, w: usize, unit: &Unit, left: u64) {
        let task = match unit.part {
            Part::Request(request) => self.asking(&request).map(|task| task.number),
            Part::Response(response) => {
                let n = self.answered_by(&response);
                n.map(|n| self.busy.tasks[n].number)
            }
            Part::Aside | Part::Conclusion(_) | Part::Cancel(..) => None,
        };
        self.busy.is_rare = true;
        self.busy.open[w] = Some(Open {
            part: unit.part,
            then: unit.then,
            left,
            task,
        });
    }

    /// A byte of a message was captured at `seen`, before others that precede it: the message began then, if not before.
    #[cold]
    fn seen_earlier(&mut self, part: Part, seen: Timestamp) {
        match part {
            Part::Request(request) => {
                if let Some(task) = self.asking(&request) {
                    task.first_request = task.first_request.min(seen);
                }
            }
            Part::Response(response) => {
                if let Some(n) = self.answered_by(&response) {
                    let task = &mut self.busy.tasks[n];
                    task.first_response = task.first_response.min(seen);
                }
            }
            Part::Aside | Part::Conclusion(_) | Part::Cancel(..) => {}
        }
    }

    /// `length` bytes continue the stream that lie within the open unit.
    pub(super) fn pass_over(&mut self, way: Way, length: u32, [time, seen]: [Timestamp; 2]) {
        let w = way as usize;
        self.core.ways[w].next = self.core.ways[w].next.plus(length);
        match &mut self.busy.open[w] {
            Some(open) if open.left >= u64::from(length) => {
                open.left -= u64::from(length);
                let (part, is_over) = (open.part, open.left == 0);
                self.seen_earlier(part, seen);
                if is_over {
                    self.open_ends(way, time, 0);
                }
            }
            // The unit was given up since.
            _ => self.missing(way, length, false, time, 0),
        }
    }

    /// The open unit of `way` is complete: its last byte came at `time`, `behind` bytes follow it.
    fn open_ends(&mut self, way: Way, time: Timestamp, behind: usize) {
        let Some(open) = self.busy.open[way as usize].take() else {
            return;
        };
        self.unit_ends(way, open.part, open.then, time, behind);
    }

    /// A unit of `way` that begins in `first`, and is complete: its last byte came at `time`, `behind` bytes follow it.
    #[inline]
    fn whole_unit(
        &mut self,
        way: Way,
        unit: &Unit,
        said: Said,
        first: Run,
        time: Timestamp,
        behind: usize,
    ) {
        match unit.part {
            Part::Request(request)
                if request.begins
                    && request.ends
                    && request.owes == Owes::Reply
                    && unit.then.is_none()
                    && !self.core.is_adrift() =>
            {
                self.request_begins(&request, unit.length, said, first, time);
            }
            Part::Response(response) if unit.then.is_none() => {
                let end = self.core.ways[way as usize].next.minus(behind as u32);
                if let Some(n) = self.response_begins(&response, unit.length, said, first) {
                    self.response_ends(n, &response, time, end);
                }
            }
            _ => {
                self.part_begins(unit, said, first);
                self.unit_ends(way, unit.part, unit.then, time, behind);
            }
        }
    }

    /// A unit of `way` is complete: its last byte came at `time`, `behind` bytes follow it.
    fn unit_ends(
        &mut self,
        way: Way,
        part: Part,
        then: Option<Protocol>,
        time: Timestamp,
        behind: usize,
    ) {
        let end = self.core.ways[way as usize].next.minus(behind as u32);
        self.part_ends(part, time, end);
        if let Some(then) = then {
            self.switch(then);
        }
    }

    /// Another protocol is spoken from here on.
    #[inline(never)]
    fn switch(&mut self, then: Protocol) {
        self.core.speaks = match AnyParser::new(then) {
            Some(parser) => Speaks::Known(parser),
            None => Speaks::Unknown(0),
        };
        self.core.moor();
        if then != Protocol::Turn {
            self.core.protocol = Some(then);
        }
    }

    fn part_begins(&mut self, unit: &Unit, said: Said, first: Run) {
        match unit.part {
            Part::Aside => {}
            Part::Conclusion(outcome) => self.concluded(outcome, said),
            Part::Cancel(id, outcome) => self.cancelled(id, outcome, unit.length, said),
            Part::Request(request) if request.begins => {
                self.request_begins(&request, unit.length, said, first, NEVER);
            }
            Part::Request(request) => {
                if let Some(task) = self.asking(&request) {
                    task.first_request = task.first_request.min(first.seen);
                    task.bytes[0] = task.bytes[0].saturating_add(unit.length);
                    said.add_to(task);
                }
            }
            Part::Response(response) => {
                self.response_begins(&response, unit.length, said, first);
            }
        }
    }

    /// A piece of a response begins: of which task, if it has one.
    #[inline]
    fn response_begins(
        &mut self,
        response: &Response,
        length: u64,
        said: Said,
        first: Run,
    ) -> Option<usize> {
        let Some(n) = self.answered_by(response) else {
            self.desk.counts.unpaired[said.protocol as usize] += 1;
            if response.id.is_none() {
                self.core.set(bit::ADRIFT);
                self.server_sends(first.time);
            }
            return None;
        };
        let task = &mut self.busy.tasks[n];
        if response.restarts {
            task.first_response = NEVER;
            task.bytes[1] = 0;
        }
        if !task.is_answering() {
            task.first_response = first.seen;
            task.frames[1] = first.frame;
        }
        task.first_response = task.first_response.min(first.seen);
        task.bytes[1] = task.bytes[1].saturating_add(length);
        task.learn(response.outcome);
        said.add_to(task);
        Some(n)
    }

    /// A piece of the response to the `n`th task is complete: its last byte came at `time`, just before `end`.
    #[inline]
    fn response_ends(&mut self, n: usize, response: &Response, time: Timestamp, end: Seq) {
        let task = &mut self.busy.tasks[n];
        task.last_response = time;
        task.end = end;
        task.acknowledged = NEVER;
        if response.ends {
            self.answered(n);
        }
    }

    /// The first piece of a request; it is the last as well, and complete, if it ends at `ended`.
    fn request_begins(
        &mut self,
        request: &Request,
        length: u64,
        said: Said,
        first: Run,
        ended: Timestamp,
    ) {
        self.busy.keeps_words = true;
        while request.closes
            && let Some(task) = self.busy.tasks.front()
        {
            if task.over.is_some() {
                self.emit(0);
            } else if task.is_answering() {
                self.answered(0);
            } else {
                self.unanswered(0, EndedBy::Gap);
            }
        }
        let mut drifts = false;
        if self.busy.tasks.len() >= MOST_PENDING {
            drifts = self.too_many(request.id.is_some());
        }
        if self.busy.tasks.is_empty() && self.core.is_narrow() {
            self.stretches_begin(first.seen);
        }
        self.core.tasks += 1;
        let waiting = self.busy.tasks.iter().filter(|task| task.waits());
        let queued = waiting.count() as u32;
        if request.id.is_some() || request.closes {
            // Whose its response is will be told.
        } else if (queued > 0 || self.core.is_adrift())
            && self.core.ways[0].bits & bit::PIPELINES == 0
        {
            drifts |= self.pipelines();
        }
        let mut task = Task {
            number: self.core.tasks,
            id: request.id,
            tag: request.tag,
            protocol: said.protocol,
            owes: request.owes,
            has_ended: ended != NEVER,
            outcome: None,
            words: [0..0, 0..0, 0..0],
            first_request: first.seen,
            last_request: ended,
            first_response: NEVER,
            last_response: NEVER,
            acknowledged: NEVER,
            queue_end: NEVER,
            frames: [first.frame, 0],
            bytes: [length, 0],
            queued,
            repeats: self.core.repeats,
            fills: self.core.fills,
            gap: false,
            cut: false,
            end: self.desk.flow.sides[usize::from(self.desk.flow.client)].ack,
            over: None,
        };
        said.add_to(&mut task);
        self.busy.tasks.push_back(task);
        self.busy.keeps_words = false;
        self.tidy_words();
        if drifts && ended != NEVER && !request.closes {
            self.unanswered(self.busy.tasks.len() - 1, EndedBy::Gap);
        }
    }

    /// One more request is too many: the oldest is given up; of those without numbers all, for its response may come yet.
    /// Whether nobody knows whose the next one is then.
    #[cold]
    fn too_many(&mut self, has_numbers: bool) -> bool {
        if let Some(task) = self.busy.tasks.front()
            && task.over.is_some()
        {
            self.desk.counts.pending_limit += 1;
            self.emit(0);
        } else if has_numbers {
            self.desk.counts.pending_limit += 1;
            self.unanswered(0, EndedBy::Gap);
        } else {
            self.desk.counts.pending_limit += self.busy.tasks.len() as u64;
            self.give_up_outstanding(false);
            self.core.set(bit::ADRIFT);
            return true;
        }
        false
    }

    /// From here on stretches count: those that last already begin here.
    #[cold]
    fn stretches_begin(&mut self, at: Timestamp) {
        self.busy.is_rare = true;
        for (window, way) in self.busy.window.iter_mut().zip(&self.core.ways) {
            window.clear();
            if way.bits & bit::NARROW != 0 {
                window.begin(at);
            }
        }
    }

    /// The request that a further piece belongs to: the latest that has not ended.
    fn asking(&mut self, request: &Request) -> Option<&mut Task> {
        let is_its = |task: &Task| request.id.is_none() || task.id == request.id;
        let mut pending = self.busy.tasks.iter();
        let open = pending.rposition(|task| task.over.is_none() && !task.has_ended && is_its(task));
        // Where the end cannot be told, every piece so far was the last.
        let n = open.or_else(|| {
            let mut pending = self.busy.tasks.iter();
            pending.rposition(|task| !task.is_answering() && is_its(task))
        });
        self.busy.tasks.get_mut(n?)
    }

    /// Which of the waiting requests a response belongs to.
    fn answered_by(&self, response: &Response) -> Option<usize> {
        if response.id.is_none() {
            if self.core.is_adrift() {
                return None;
            }
            if self.busy.tasks.front().is_some_and(Task::waits) {
                return Some(0);
            }
        }
        let mut waiting = self.busy.tasks.iter();
        waiting.position(|task| task.waits() && (response.id.is_none() || task.id == response.id))
    }

    /// The response to the oldest request that waits is complete as it stands.
    fn concluded(&mut self, outcome: Option<Outcome>, said: Said) {
        let Some(n) = self.busy.tasks.iter().position(Task::waits) else {
            return;
        };
        let task = &mut self.busy.tasks[n];
        task.learn(outcome);
        said.add_to(task);
        if task.is_answering() || outcome.is_some() {
            self.answered(n);
        }
    }

    /// The client gave up the request with this number.
    #[cold]
    fn cancelled(&mut self, id: u64, outcome: Outcome, length: u64, said: Said) {
        let mut pending = self.busy.tasks.iter();
        let Some(n) = pending.position(|task| task.waits() && task.id == Some(id)) else {
            return;
        };
        let task = &mut self.busy.tasks[n];
        task.bytes[0] = task.bytes[0].saturating_add(length);
        task.learn(Some(outcome));
        said.add_to(task);
        self.unanswered(n, EndedBy::ClientClose);
    }

    fn part_ends(&mut self, part: Part, time: Timestamp, end: Seq) {
        match part {
            Part::Aside | Part::Conclusion(_) | Part::Cancel(..) => {}
            Part::Request(request) => {
                if !request.ends && request.owes == Owes::Reply {
                    return;
                }
                let Some(task) = self.asking(&request) else {
                    return;
                };
                if request.owes != Owes::Reply {
                    task.owes = request.owes;
                }
                if request.ends {
                    task.has_ended = true;
                    task.last_request = time;
                    let waits = task.waits();
                    let is_adrift = request.id.is_none() && !request.closes;
                    let number = task.number;
                    if !waits || is_adrift && self.core.is_adrift() {
                        let n = self
                            .busy
                            .tasks
                            .iter()
                            .position(|task| task.number == number);
                        let ended_by = if waits {
                            EndedBy::Gap
                        } else {
                            EndedBy::Response
                        };
                        self.unanswered(n.unwrap_or_default(), ended_by);
                    }
                }
            }
            Part::Response(response) => {
                if let Some(n) = self.answered_by(&response) {
                    self.response_ends(n, &response, time, end);
                }
            }
        }
    }

    /// Whether a connection of an unknown protocol goes over to TLS here (STARTTLS and its like). Then it has.
    #[inline]
    fn turns_to_tls(&mut self, way: Way, bytes: &[u8]) -> bool {
        /// Content type of a TLS record with a ClientHello (RFC 8446 section 5.1).
        const HANDSHAKE: u8 = 22;
        let goes_over = way == Way::ToServer
            && bytes.first() == Some(&HANDSHAKE)
            && self.desk.rules.protocols.contains(&Protocol::Tls)
            && AnyParser::probe(Protocol::Tls, way, bytes) == Guess::Yes;
        if goes_over {
            let waiting = self.busy.tasks.iter().rposition(|task| task.over.is_none());
            if let Some(n) = waiting {
                if self.busy.tasks[n].is_answering() {
                    self.answered(n);
                } else {
                    self.unanswered(n, EndedBy::Gap);
                }
            }
            self.switch(Protocol::Tls);
        }
        goes_over
    }

    /// Bytes that nothing is known of: the client's, then the server's.
    fn turn(&mut self, way: Way, length: usize, first: Run, last: Run) {
        let said = Said {
            protocol: Protocol::Turn,
            words: Default::default(),
        };
        match way {
            Way::ToServer => {
                let current = self.busy.tasks.iter().rposition(|task| task.over.is_none());
                let is_new = match current {
                    Some(n) if self.busy.tasks[n].is_answering() => {
                        self.answered(n);
                        true
                    }
                    Some(_) => false,
                    None => true,
                };
                if is_new {
                    self.request_begins(&Request::begin(), 0, said, first, NEVER);
                }
                if let Some(task) = self.busy.tasks.back_mut() {
                    task.first_request = task.first_request.min(first.seen);
                    task.bytes[0] = task.bytes[0].saturating_add(length as u64);
                    task.last_request = last.time;
                }
            }
            Way::ToClient => {
                let next = self.core.ways[way as usize].next;
                let current = self.busy.tasks.back_mut();
                if let Some(task) = current.filter(|task| task.over.is_none()) {
                    if !task.is_answering() {
                        task.first_response = first.seen;
                        task.frames[1] = first.frame;
                    }
                    task.first_response = task.first_response.min(first.seen);
                    task.has_ended = true;
                    task.bytes[1] = task.bytes[1].saturating_add(length as u64);
                    task.last_response = last.time;
                    task.end = next;
                    task.acknowledged = NEVER;
                }
            }
        }
    }

    /// `length` bytes will never be seen here, or were not captured (`is_cut`).
    pub(super) fn missing(
        &mut self,
        way: Way,
        length: u32,
        is_cut: bool,
        time: Timestamp,
        frame: u64,
    ) {
        self.desk.counts.gaps += u64::from(!is_cut);
        let w = way as usize;
        for task in self
            .busy
            .tasks
            .iter_mut()
            .filter(|task| task.over.is_none())
        {
            task.cut |= is_cut;
            task.gap |= !is_cut;
        }
        if let Some(open) = &mut self.busy.open[w]
            && open.left >= u64::from(length)
        {
            open.left -= u64::from(length);
            if open.left == 0 {
                self.open_ends(way, time, 0);
            }
            return;
        }
        match &self.core.speaks {
            Speaks::Turn => {
                let run = Run {
                    length,
                    time,
                    seen: time,
                    frame,
                };
                self.turn(way, length as usize, run, run);
            }
            Speaks::Unknown(_) => {
                self.busy.unread[w].clear();
                self.busy.runs[w].clear();
                self.core.set(bit::ADRIFT);
            }
            Speaks::Known(_) => self.lose_footing(way, None),
        }
    }

    /// What comes next in `way` cannot be told: what is outstanding is given up.
    pub(super) fn lose_footing(&mut self, way: Way, loss: Option<Loss>) {
        let w = way as usize;
        self.busy.unread[w].clear();
        self.busy.runs[w].clear();
        if let Some(open) = self.busy.open[w].take() {
            let mut tasks = self.busy.tasks.iter_mut();
            if let Some(task) = tasks.find(|task| Some(task.number) == open.task) {
                task.bytes[w] = task.bytes[w].saturating_sub(open.left);
            }
        }
        self.core.ways[w].bits |= bit::LOST;
        let Speaks::Known(parser) = &mut self.core.speaks else {
            return;
        };
        let protocol = parser.protocol();
        parser.lost(way);
        if let Some(loss) = loss {
            self.count_loss(protocol, loss);
        }
        self.give_up_outstanding(loss.is_none());
        if !self.core.is_adrift() {
            self.core.set(bit::ADRIFT);
            if way == Way::ToClient {
                self.server_sends(Timestamp::MIN);
            }
        }
        if loss.is_some() && self.core.tasks == 0 && self.desk.rules.turns {
            // It was none of that protocol.
            self.core.speaks = Speaks::Turn;
            self.core.moor();
            self.core.protocol = Some(Protocol::Turn);
            self.core.ways[w].bits &= !bit::LOST;
        }
    }

    /// A whole datagram: DNS. The same query again is a repeat of the one that waits; none waits for longer than an attempt
    /// to connect does.
    pub(super) fn datagram(&mut self, seg: &Segment, way: Way, payload: &[u8]) {
        let timeout = self.desk.context.timeout;
        while let Some(oldest) = self.busy.tasks.front()
            && seg.time.0.saturating_sub(oldest.first_request.0) >= timeout
        {
            self.unanswered(0, EndedBy::Observation);
        }
        let words = self.busy.words.len();
        let mut context = Context {
            asked: &Waiting(&self.busy.tasks),
            texts: Texts::new(&mut self.busy.words, self.desk.rules.summary_bytes),
            protocol: None,
            is_end: false,
        };
        let step = dns::datagram(way, payload, &mut context);
        let said = Said::of(&context, Protocol::Dns);
        self.core.protocol = Some(Protocol::Dns);
        let run = Run {
            length: seg.payload_length,
            time: seg.time,
            seen: seg.time,
            frame: seg.frame,
        };
        match step {
            Step::Unit(mut unit) => {
                let mut waiting = self.busy.tasks.iter().filter(|task| task.waits());
                if let Part::Request(request) = unit.part
                    && let Some(task) = waiting.find(|task| task.id == request.id)
                {
                    let first = task.first_request;
                    self.core.repeats = self.core.repeats.saturating_add(1);
                    self.busy.is_rare = true;
                    self.busy.grown += super::budget::STRETCH;
                    self.busy.loss.add(first, seg.time);
                    self.busy.words.truncate(words);
                    return;
                }
                unit.length = u64::from(seg.payload_length);
                self.part_begins(&unit, said, run);
                if payload.len() < seg.payload_length as usize {
                    let pending = self.busy.tasks.iter_mut();
                    pending.for_each(|task| task.cut = true);
                }
                self.part_ends(unit.part, seg.time, Seq(0));
            }
            Step::Lost(loss) => {
                self.busy.words.truncate(words);
                self.count_loss(Protocol::Dns, loss);
            }
            Step::Wait => self.busy.words.truncate(words),
        }
    }

    /// Nothing more comes in `way`: a response without a length ends here.
    pub(super) fn end_of_stream(&mut self, way: Way, at: Timestamp) {
        /// A parser has at most a head and the end of its body to say.
        const MOST_STEPS: usize = 4;
        let w = way as usize;
        if self.busy.open[w].is_some() {
            return;
        }
        for _ in 0..MOST_STEPS {
            let Speaks::Known(parser) = &mut self.core.speaks else {
                return;
            };
            let words = self.busy.words.len();
            let unread = std::mem::take(&mut self.busy.unread[w]);
            let mut context = Context {
                asked: &Waiting(&self.busy.tasks),
                texts: Texts::new(&mut self.busy.words, self.desk.rules.summary_bytes),
                protocol: None,
                is_end: true,
            };
            let step = parser.read(way, &unread, &mut context);
            let said = Said::of(&context, parser.protocol());
            let run = self.busy.runs[w].first().copied().unwrap_or(Run {
                length: 0,
                time: at,
                seen: at,
                frame: 0,
            });
            let Step::Unit(unit) = step else {
                self.busy.words.truncate(words);
                break;
            };
            if unit.length > 0 {
                self.part_begins(&unit, said, run);
            }
            let used = unit.length.min(unread.len() as u64) as usize;
            let mut unread = unread;
            unread.drain(..used);
            drop_front(&mut self.busy.runs[w], used);
            if used as u64 == unit.length {
                // The time of a response without a length is that of its last byte, not of the FIN.
                let last = self.last_response_time().filter(|_| unit.length == 0);
                let end = self.core.ways[w].next.minus(unread.len() as u32);
                self.part_ends(unit.part, last.unwrap_or(at), end);
            }
            let is_over = unread.is_empty();
            self.busy.unread[w] = unread;
            if is_over && unit.length == 0 {
                break;
            }
        }
        self.busy.unread[w].clear();
        self.busy.runs[w].clear();
    }

    fn last_response_time(&self) -> Option<Timestamp> {
        let mut waiting = self.busy.tasks.iter().filter(|task| task.waits());
        Some(waiting.next()?.last_response).filter(|&time| time != NEVER)
    }
}

/// What a parser said in words, and for which protocol.
struct Said {
    protocol: Protocol,
    words: [std::ops::Range<u32>; 3],
}

impl Said {
    fn of(context: &Context<'_>, protocol: Protocol) -> Said {
        let texts = &context.texts;
        Said {
            protocol: context.protocol.unwrap_or(protocol),
            words: [
                texts.operation.clone(),
                texts.summary.clone(),
                texts.status_text.clone(),
            ],
        }
    }

    /// What was said last counts.
    fn add_to(self, task: &mut Task) {
        for (known, said) in task.words.iter_mut().zip(self.words) {
            if !said.is_empty() {
                *known = said;
            }
        }
    }
}

/// Takes `used` bytes off the front of the runs.
fn drop_front(runs: &mut Vec<Run>, mut used: usize) {
    runs.retain_mut(|run| {
        let gone = used.min(run.length as usize);
        used -= gone;
        run.length -= gone as u32;
        run.length > 0
    });
}
