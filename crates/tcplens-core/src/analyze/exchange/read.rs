//! From bytes in order to units: what a parser is shown, what it waits for, and when the bytes of a unit came.

use super::recognise::Recognised;
use super::task::{NEVER, Open, Run, Task};
use super::{Speaks, Work, bit};
use crate::proto::{AnyParser, Context, Loss, Owes, Part, Step, Unit, Way};
use crate::record::Protocol;
use crate::time::Timestamp;

/// Most bytes that a parser may wait on, and most segments that may bring them: a parser looks at all of it again with
/// each.
const MOST_UNREAD: usize = 64 << 10;
const MOST_RUNS: usize = 512;
/// What the bytes that are read came in.
pub(super) trait Runs {
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
            && self.core.ways[way as usize].bits & bit::LOST == 0
            && !self.core.is_adrift()
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

    pub(super) fn read_what_waits(&mut self, way: Way) {
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

    /// Reads units from the front of `bytes`, which came in `runs`; how many bytes were read.
    pub(super) fn parse(&mut self, way: Way, bytes: &[u8], mut cursor: impl Runs) -> usize {
        let w = way as usize;
        let mut at = 0;
        while at < bytes.len() {
            if self.busy.is_rare && self.busy.open[w].is_some() {
                at += self.goes_on(way, bytes.len(), at, &mut cursor);
                continue;
            }
            let words = self.busy.words.len();
            let Speaks::Known(parser) = &mut self.core.speaks else {
                match self.without_parser(way, bytes, at, &mut cursor) {
                    Some(read) => return read,
                    // There is one now.
                    None => continue,
                }
            };
            let mut context = self.busy.context(self.desk.rules.summary_bytes);
            let step = parser.read(way, &bytes[at..], &mut context);
            let said = Said::of(&context, parser.protocol());
            let unit = match &step {
                Step::Unit(unit) if unit.length > 0 => unit,
                Step::Wait => {
                    self.busy.words.truncate(words);
                    break;
                }
                Step::Lost(_) | Step::Unit(_) => {
                    let loss = match step {
                        Step::Lost(loss) => loss,
                        // It goes nowhere.
                        _ => Loss::Malformed,
                    };
                    self.busy.words.truncate(words);
                    self.lose_footing(way, Some(loss));
                    return bytes.len();
                }
            };
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
                self.whole_unit(way, unit, &said, &first, last.time, behind);
            } else {
                self.part_begins(unit, &said, &first);
                self.opens(w, unit, unit.length - here);
            }
        }
        at
    }

    /// Bytes from `at` to `end` belong to the open unit of `way`, as far as it goes: how many.
    #[inline(never)]
    fn goes_on(&mut self, way: Way, end: usize, at: usize, cursor: &mut impl Runs) -> usize {
        let w = way as usize;
        let Some(open) = &mut self.busy.open[w] else {
            return 0;
        };
        let more = open.left.min((end - at) as u64) as usize;
        open.left -= more as u64;
        let part = open.part;
        let seen = cursor.earliest(at, at + more);
        if seen < cursor.at(at).time {
            self.seen_earlier(part, seen);
        }
        if matches!(&self.busy.open[w], Some(open) if open.left == 0) {
            let last = cursor.at(at + more - 1);
            self.open_ends(way, last.time, end - at - more);
        }
        more
    }

    /// Bytes from `at` that no parser reads: how many of all are read then; `None` if there is a parser now.
    #[inline(never)]
    fn without_parser(
        &mut self,
        way: Way,
        bytes: &[u8],
        at: usize,
        cursor: &mut impl Runs,
    ) -> Option<usize> {
        if matches!(self.core.speaks, Speaks::Unknown(_)) {
            return Some(at);
        }
        if self.turns_to_tls(way, &bytes[at..]) {
            return None;
        }
        let first = Run {
            seen: cursor.earliest(at, bytes.len()),
            ..cursor.at(at)
        };
        let last = cursor.at(bytes.len() - 1);
        self.turn(way, bytes.len() - at, first, last);
        Some(bytes.len())
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
    pub(super) fn open_ends(&mut self, way: Way, time: Timestamp, behind: usize) {
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
        said: &Said,
        first: &Run,
        time: Timestamp,
        behind: usize,
    ) {
        match &unit.part {
            Part::Request(request)
                if request.begins
                    && request.ends
                    && request.owes == Owes::Reply
                    && unit.then.is_none()
                    && !self.core.is_adrift() =>
            {
                self.request_begins(request, unit.length, said, first, time);
            }
            Part::Response(response) if unit.then.is_none() => {
                let end = self.core.ways[way as usize].next.minus(behind as u32);
                if let Some(n) = self.response_begins(response, unit.length, said, first) {
                    self.response_ends(n, response, time, end);
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
    pub(super) fn switch(&mut self, then: Protocol) {
        self.core.speaks = match AnyParser::new(then) {
            Some(parser) => Speaks::Known(parser),
            None => Speaks::Unknown(0),
        };
        self.core.moor();
        if then != Protocol::Turn {
            self.core.protocol = Some(then);
        }
    }

    /// The capture cut a segment behind bytes of `way` on which the parser waits: what they tell is told, if it is known how
    /// far their unit goes. Else it is as if they had not come.
    #[cold]
    pub(super) fn read_what_was_cut(&mut self, way: Way) {
        let w = way as usize;
        let Speaks::Known(parser) = &mut self.core.speaks else {
            return;
        };
        let words = self.busy.words.len();
        let unread = std::mem::take(&mut self.busy.unread[w]);
        let mut context = Context {
            is_end: true,
            is_cut: true,
            ..self.busy.context(self.desk.rules.summary_bytes)
        };
        let step = parser.read(way, &unread, &mut context);
        let said = Said::of(&context, parser.protocol());
        let there = unread.len() as u64;
        let (Step::Unit(unit), Some(&run)) = (step, self.busy.runs[w].first()) else {
            self.busy.words.truncate(words);
            return;
        };
        let begins = matches!(unit.part, Part::Request(request) if request.begins);
        if unit.length <= there && !begins || unit.length == 0 {
            self.busy.words.truncate(words);
            return;
        }
        self.part_begins(&unit, &said, &run);
        if unit.length > there {
            self.opens(w, &unit, unit.length - there);
            self.busy.runs[w].clear();
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
                is_end: true,
                ..self.busy.context(self.desk.rules.summary_bytes)
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
                self.part_begins(&unit, &said, &run);
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
pub(super) struct Said {
    pub(super) protocol: Protocol,
    pub(super) words: [std::ops::Range<u32>; 3],
}

impl Said {
    pub(super) fn of(context: &Context<'_>, protocol: Protocol) -> Said {
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
    #[inline]
    pub(super) fn add_to(&self, task: &mut Task) {
        for (known, said) in task.words.iter_mut().zip(&self.words) {
            if !said.is_empty() {
                known.clone_from(said);
            }
        }
    }
}

/// Takes `used` bytes off the front of the runs.
pub(super) fn drop_front(runs: &mut Vec<Run>, mut used: usize) {
    runs.retain_mut(|run| {
        let gone = used.min(run.length as usize);
        used -= gone;
        run.length -= gone as u32;
        run.length > 0
    });
}
