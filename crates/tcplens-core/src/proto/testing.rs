//! Runs a parser over a conversation without packets: for the tests of protocol files.
//!
//! Pairing here is the plain rule of `analyze::exchange` without times: by number, or first in first out.

use super::{Asked, Context, Guess, Outcome, Owes, Parser, Part, Step, Texts, Way};

/// Bytes that one direction sends at once.
pub(crate) type Said<'a> = (Way, &'a [u8]);

pub(crate) const C: Way = Way::ToServer;
pub(crate) const S: Way = Way::ToClient;

/// A request and what became of it, as one line: `GET "GET foo" 22 -> ok 5`, with code and status text where there are
/// any: `-> error 404 "Not Found" 120`; `-> cancelled 8` where the client gave up; `-> none` where no reply is owed, `-> unanswered` where none came.
#[derive(Clone, Debug, Default)]
struct Task {
    id: Option<u64>,
    protocol: Option<crate::record::Protocol>,
    operation: String,
    summary: String,
    status_text: String,
    request_bytes: u64,
    response_bytes: u64,
    owes: bool,
    /// A reply may not come: settled when a younger request gets one, or at the end.
    is_quiet: bool,
    tag: u32,
    has_ended: bool,
    /// It waits no more, answered or not.
    is_closed: bool,
    outcome: Option<(bool, Option<u32>)>,
}

impl Task {
    fn waits(&self) -> bool {
        self.owes && !self.has_ended && !self.is_closed
    }

    fn tell(&mut self, outcome: Option<Outcome>, status_text: String) {
        let was_error = self.outcome.is_some_and(|(is_error, _)| is_error);
        if let Some(outcome) = outcome
            && (outcome.is_error || !was_error)
        {
            self.outcome = Some((outcome.is_error, outcome.code));
        }
        if !status_text.is_empty() {
            self.status_text = status_text;
        }
    }

    fn line(&self) -> String {
        let protocol = match self.protocol {
            Some(protocol) => format!("{protocol:?} "),
            None => String::new(),
        };
        let request = format!(
            "{protocol}{} {:?} {}",
            self.operation, self.summary, self.request_bytes
        );
        if !self.owes || (self.is_quiet && self.response_bytes == 0) {
            return format!("{request} -> none");
        }
        let (is_error, code) = self.outcome.unwrap_or_default();
        let status = match (self.has_ended, self.is_closed, is_error) {
            (false, true, _) if self.outcome.is_some() => "cancelled",
            (false, _, _) => return format!("{request} -> unanswered {}", self.response_bytes),
            (true, _, true) => "error",
            (true, _, false) => "ok",
        };
        let code = code.map(|code| format!(" {code}")).unwrap_or_default();
        let text = if self.status_text.is_empty() {
            String::new()
        } else {
            format!(" {:?}", self.status_text)
        };
        format!("{request} -> {status}{code}{text} {}", self.response_bytes)
    }
}

struct Waiting<'a>(&'a [Task]);

impl Asked for Waiting<'_> {
    fn nth(&self, n: usize) -> Option<u32> {
        let mut open = self.0.iter().filter(|task| task.waits());
        open.nth(n).map(|task| task.tag)
    }
    fn with_id(&self, id: u64) -> Option<u32> {
        let mut open = self.0.iter().filter(|task| task.waits());
        open.find(|task| task.id == Some(id)).map(|task| task.tag)
    }
}

#[derive(Default)]
struct Direction {
    unread: Vec<u8>,
    skip: u64,
    after_skip: Option<Part>,
    is_end: bool,
}

/// What came of a conversation: a line per request in the order in which they began, then lines for what else
/// happened: `aside ToClient 5`, `conclusion ToServer 5`, `lost to_server Malformed`, `then Turn`, `unpaired 5` (a response without request).
pub(crate) fn run<P: Parser>(mut parser: P, said: &[Said<'_>]) -> Vec<String> {
    let mut ways = [Direction::default(), Direction::default()];
    let mut tasks: Vec<Task> = Vec::new();
    let mut other: Vec<String> = Vec::new();
    let mut over = [false; 2];
    let ends = [(C, &b""[..]), (S, &b""[..])];
    for (n, (way, bytes)) in said.iter().chain(&ends).enumerate() {
        let at = usize::from(*way == S);
        let direction = &mut ways[at];
        direction.unread.extend_from_slice(bytes);
        direction.is_end = n >= said.len();
        let mut steps = 0;
        while !over[at] {
            steps += 1;
            assert!(steps < 1_000_000, "the parser does not move");
            let direction = &mut ways[at];
            let skipped = direction.skip.min(direction.unread.len() as u64);
            direction.unread.drain(..skipped as usize);
            direction.skip -= skipped;
            if direction.skip > 0 {
                break;
            }
            if let Some(part) = direction.after_skip.take() {
                finish(&mut tasks, part);
            }
            if direction.unread.is_empty() && !direction.is_end {
                break;
            }
            let mut arena = Vec::new();
            let mut context = Context {
                asked: &Waiting(&tasks),
                texts: Texts::new(&mut arena, 128),
                protocol: None,
                is_end: direction.is_end,
                is_cut: false,
            };
            let step = parser.read(*way, &direction.unread, &mut context);
            let (texts, protocol) = (context.texts, context.protocol);
            let ranges = [
                texts.operation.clone(),
                texts.summary.clone(),
                texts.status_text.clone(),
            ];
            let text = |range: std::ops::Range<u32>| {
                String::from_utf8(arena[range.start as usize..range.end as usize].to_vec()).unwrap()
            };
            let [operation, summary, mut status_text] = ranges.map(text);
            // What stands behind it has tests of its own.
            status_text.truncate(
                status_text
                    .find(super::ANSWERS_BEGIN)
                    .unwrap_or(status_text.len()),
            );
            match step {
                Step::Wait => {
                    assert!(
                        direction.unread.len() <= 65536,
                        "waits for more than 64 KiB"
                    );
                    break;
                }
                Step::Lost(loss) => {
                    other.push(format!("lost {way:?} {loss:?}"));
                    over[at] = true;
                }
                Step::Unit(unit) => {
                    assert!(unit.length > 0 || direction.is_end, "an empty unit");
                    direction.skip = unit.length;
                    direction.after_skip = Some(unit.part);
                    begin(
                        &mut tasks,
                        &mut other,
                        *way,
                        unit.part,
                        unit.length,
                        protocol,
                        [operation, summary, status_text],
                    );
                    if let Some(then) = unit.then {
                        other.push(format!("then {then:?}"));
                        over = [true; 2];
                    }
                    if unit.length == 0 || unit.then.is_some() {
                        if let Some(part) = direction.after_skip.take() {
                            finish(&mut tasks, part);
                        }
                        if direction.unread.is_empty() {
                            break;
                        }
                    }
                }
            }
        }
    }
    tasks.iter().map(Task::line).chain(other).collect()
}

fn open(tasks: &mut [Task], id: Option<u64>) -> Option<&mut Task> {
    let is_it = |task: &Task| task.waits() && (id.is_none() || task.id == id);
    let at = tasks.iter().position(is_it)?;
    for older in &mut tasks[..at] {
        older.owes &= !(older.is_quiet && older.response_bytes == 0);
    }
    tasks.get_mut(at)
}

fn begin(
    tasks: &mut Vec<Task>,
    other: &mut Vec<String>,
    way: Way,
    part: Part,
    length: u64,
    protocol: Option<crate::record::Protocol>,
    [operation, summary, status_text]: [String; 3],
) {
    match part {
        Part::Aside => other.push(format!("aside {way:?} {length}")),
        Part::Request(request) if request.begins => {
            if request.closes {
                for task in tasks.iter_mut() {
                    task.has_ended |= task.response_bytes > 0;
                    task.is_closed = true;
                }
            }
            tasks.push(Task {
                id: request.id,
                protocol,
                operation,
                summary,
                request_bytes: length,
                owes: request.owes != Owes::Nothing,
                is_quiet: request.owes == Owes::Perhaps,
                tag: request.tag,
                ..Task::default()
            });
        }
        Part::Request(request) => {
            let of = tasks
                .iter_mut()
                .rfind(|task| request.id.is_none() || task.id == request.id);
            let task = of.expect("more of a request that did not begin");
            task.request_bytes += length;
            task.owes &= request.owes != Owes::Nothing;
            task.is_quiet |= request.owes == Owes::Perhaps;
        }
        Part::Response(response) => match open(tasks, response.id) {
            Some(task) => {
                task.response_bytes = if response.restarts {
                    length
                } else {
                    task.response_bytes + length
                };
                task.tell(response.outcome, status_text);
            }
            None => other.push(format!("unpaired {length}")),
        },
        Part::Cancel(id, outcome) => match open(tasks, Some(id)) {
            Some(task) => {
                task.request_bytes += length;
                task.is_closed = true;
                task.tell(Some(outcome), status_text);
            }
            None => other.push(format!("unpaired {length}")),
        },
        Part::Conclusion(outcome) => {
            other.push(format!("conclusion {way:?} {length}"));
            if let Some(task) = open(tasks, None) {
                task.has_ended |= task.response_bytes > 0 || outcome.is_some();
                task.is_closed = true;
                task.tell(outcome, status_text);
            }
        }
    }
}

fn finish(tasks: &mut [Task], part: Part) {
    if let Part::Response(response) = part
        && response.ends
        && let Some(task) = open(tasks, response.id)
    {
        task.has_ended = true;
    }
}

/// The same conversation cut into pieces of every size from one byte to 17, each way's bytes in the same order and the
/// turns kept, must come to the same; so must the whole said at once per turn. Returns what it came to.
pub(crate) fn run_split<P: Parser>(new: impl Fn() -> P, said: &[Said<'_>]) -> Vec<String> {
    // Units of a response body may be cut differently: asides apart, the lines must be equal.
    let stable = |lines: Vec<String>| -> Vec<String> {
        lines
            .into_iter()
            .filter(|line| !line.starts_with("aside") && !line.starts_with("conclusion"))
            .collect()
    };
    let whole = run(new(), said);
    for size in 1..=17 {
        let mut pieces: Vec<Said<'_>> = Vec::new();
        for (way, bytes) in said {
            pieces.extend(bytes.chunks(size).map(|piece| (*way, piece)));
        }
        let split = stable(run(new(), &pieces));
        assert_eq!(split, stable(whole.clone()), "in pieces of {size}");
    }
    whole
}

/// Any cut, any changed byte of a conversation: it must end, without panic, whatever it comes to. `seed` makes the changes.
pub(crate) fn fuzz<P: Parser>(new: impl Fn() -> P, said: &[Said<'_>], seed: u64) {
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    for _ in 0..2000 {
        let mut changed: Vec<(Way, Vec<u8>)> = said
            .iter()
            .map(|(way, bytes)| (*way, bytes.to_vec()))
            .collect();
        for _ in 0..=random(4) {
            let n = random(changed.len());
            let bytes = &mut changed[n].1;
            if bytes.is_empty() {
                continue;
            }
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes.truncate(at),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, [0, 0xff, b'\n', b'9'][random(4)]),
            }
        }
        let said: Vec<Said<'_>> = changed
            .iter()
            .map(|(way, bytes)| (*way, bytes.as_slice()))
            .collect();
        drop(run(new(), &said));
        for (way, bytes) in &said {
            let _: Guess = P::probe(*way, bytes);
        }
    }
}

#[test]
fn zeros_are_no_protocol() {
    for length in [20, 100, 1000] {
        let bytes = vec![0; length];
        for &protocol in super::AnyParser::RECOGNISED {
            for way in [C, S] {
                let guess = super::AnyParser::probe(protocol, way, &bytes);
                assert_eq!(guess, Guess::No, "{protocol:?} {way:?} {length}");
            }
        }
    }
}
