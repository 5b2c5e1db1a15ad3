//! Requests: arrays of bulk strings, or a line of words.

use super::{LONGEST_WAIT, MALFORMED, Read, Redis, number, string};
use crate::proto::{Context, Line, Loss, Owes, Part, Request, Step, Unit};

/// A command line has at most this many arguments (redis: INT_MAX).
const MOST_ARGUMENTS: i64 = i32::MAX as i64;
/// Longest argument believed. Chosen: proto-max-bulk-len is 512 MB unless somebody raised it.
const LONGEST_ARGUMENT: i64 = 1 << 40;
/// Words that a command is judged by: `CLIENT REPLY OFF`.
const WORDS: usize = 3;

/// Commands whose replies, or whose silence, need care. All others get one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Plain,
    /// A password comes after the command itself (AUTH) or after one of the words of [`is_secret_next`].
    Auth,
    MayHide,
    Client,
    Replconf,
    Subscribe,
    Unsubscribe,
    Psync,
    Sync,
    Multi,
    Exec,
    Reset,
    Shutdown,
}

/// What a request's tag says of the reply to expect: kind, and below it a count.
pub(super) mod tag {
    pub(in super::super) const KIND: u32 = 0xff00_0000;
    pub(in super::super) const COUNT: u32 = 0x00ff_ffff;
    /// As many confirmations as there are channels named.
    pub(in super::super) const SUBSCRIBE: u32 = 1 << 24;
    /// The same; with count 0, one for each channel that is subscribed.
    pub(in super::super) const UNSUBSCRIBE: u32 = 2 << 24;
    pub(in super::super) const PSYNC: u32 = 3 << 24;
    pub(in super::super) const SYNC: u32 = 4 << 24;
    pub(in super::super) const RESET: u32 = 5 << 24;
}

fn command(word: &[u8]) -> Command {
    let mut upper = [0; 12];
    let Some(upper) = upper.get_mut(..word.len()) else {
        return Command::Plain;
    };
    upper.copy_from_slice(word);
    upper.make_ascii_uppercase();
    match &*upper {
        b"AUTH" => Command::Auth,
        b"ACL" | b"CONFIG" | b"HELLO" | b"MIGRATE" => Command::MayHide,
        b"CLIENT" => Command::Client,
        b"REPLCONF" => Command::Replconf,
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" => Command::Subscribe,
        b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => Command::Unsubscribe,
        b"PSYNC" => Command::Psync,
        b"SYNC" => Command::Sync,
        b"MULTI" => Command::Multi,
        b"EXEC" | b"DISCARD" => Command::Exec,
        b"RESET" => Command::Reset,
        b"SHUTDOWN" => Command::Shutdown,
        _ => Command::Plain,
    }
}

/// Whether what comes after this argument is a password.
fn is_secret_next(word: &[u8]) -> bool {
    let secrets: [&[u8]; 5] = [b"AUTH", b"AUTH2", b"SETUSER", b"REQUIREPASS", b"MASTERAUTH"];
    secrets
        .iter()
        .any(|secret| word.eq_ignore_ascii_case(secret))
}

/// Writes arguments one after another; passwords are left out, as in redis' own slow log.
struct Summary<'l, 'a> {
    line: &'l mut Line<'a>,
    command: Command,
    is_first: bool,
    is_hidden: bool,
}

impl<'l, 'a> Summary<'l, 'a> {
    fn new(line: &'l mut Line<'a>, command: Command) -> Summary<'l, 'a> {
        Summary {
            line,
            command,
            is_first: true,
            is_hidden: false,
        }
    }

    fn argument(&mut self, bytes: &[u8]) {
        if self.is_hidden {
            return;
        }
        if !self.is_first {
            self.line.blank();
        }
        self.line.bytes(bytes);
        self.is_hidden = match self.command {
            Command::Auth => true,
            Command::MayHide => !self.is_first && is_secret_next(bytes),
            _ => false,
        };
        if self.is_hidden {
            self.line.piece(" (redacted)");
        }
        self.is_first = false;
    }

    fn is_done(&self) -> bool {
        self.is_hidden || self.line.is_full()
    }
}

impl Redis {
    pub(super) fn request(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Read<Unit> {
        if self.arguments_left > 0 {
            let (length, left) = skip_arguments(bytes, 0, self.arguments_left)?;
            if length == 0 {
                return Err(Step::Wait);
            }
            self.arguments_left = left;
            return Ok(Unit::new(length, Part::Request(Request::more(left == 0))));
        }
        match bytes.first() {
            Some(b'*') => match self.usual(bytes, context) {
                Some(unit) => Ok(unit),
                None => self.bulk_strings(bytes, context),
            },
            Some(b'\t' | b'\n' | b'\r' | b' '..=b'~') => self.inline(bytes, context),
            _ => Err(MALFORMED),
        }
    }

    /// A request that is whole, of a command that needs no care, in one pass: what nearly all are. `None` for others; what
    /// was written of the texts then is written again.
    fn usual(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Option<Unit> {
        if self.reply_off || self.skip_next {
            return None;
        }
        let (count, at) = match bytes {
            [b'*', ones @ b'1'..=b'9', b'\r', b'\n', ..] => (usize::from(ones - b'0'), 4),
            _ => short_number(bytes, 1)?,
        };
        let (verb, mut at) = whole_argument(bytes, at)?;
        let left = count.checked_sub(1)?;
        if command(verb) != Command::Plain {
            return None;
        }
        let texts = &mut context.texts;
        let is_upper = verb.iter().all(u8::is_ascii_uppercase);
        if !is_upper {
            texts.operation_upper(verb);
        }
        let mut is_whole = true;
        texts.summary(|line| {
            line.bytes(verb);
            for _ in 0..left {
                let Some((argument, next)) = whole_argument(bytes, at) else {
                    is_whole = false;
                    return;
                };
                if !line.is_full() {
                    line.blank();
                    line.bytes(argument);
                }
                at = next;
            }
        });
        if is_upper {
            texts.operation_begins_summary(verb);
        }
        is_whole.then(|| Unit::new(at, Part::Request(Request::whole())))
    }

    fn bulk_strings(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Read<Unit> {
        let (count, at) = number(bytes, 1)?;
        if count > MOST_ARGUMENTS {
            return Err(MALFORMED);
        }
        if count <= 0 {
            // The server passes over it without a word.
            return Ok(Unit::new(at, Part::Aside));
        }
        let limit = context.texts.summary_limit();
        let is_cut = context.is_cut;
        let (verb, _) = argument(bytes, at, limit.max(64))?.ok_or(Step::Wait)?;
        let command = command(verb);
        context.texts.operation_upper(verb);

        let mut words: [&[u8]; WORDS] = [b""; WORDS];
        let (mut at, mut left) = (at, count as u32);
        let mut failed = None;
        context.texts.summary(|line| {
            let mut summary = Summary::new(line, command);
            while left > 0 {
                let enough = if summary.is_done() || is_cut {
                    0
                } else {
                    limit
                };
                match argument(bytes, at, enough) {
                    Ok(Some((shown, next))) => {
                        let n = count as usize - left as usize;
                        if let Some(word) = words.get_mut(n) {
                            *word = shown;
                        }
                        if !(is_cut && shown.is_empty()) {
                            summary.argument(shown);
                        }
                        at = next;
                        left -= 1;
                        if at >= bytes.len() {
                            break;
                        }
                    }
                    // Where the summary is done, the rest may come as it likes.
                    Ok(None) if summary.is_done() => break,
                    Ok(None) => {
                        failed = Some(Step::Wait);
                        return;
                    }
                    Err(step) => {
                        failed = Some(step);
                        return;
                    }
                }
            }
            // More may be told of what has not come yet.
            if left > 0 && !summary.is_done() {
                failed = Some(Step::Wait);
            }
        });
        let must_be_whole = matches!(command, Command::Client | Command::Replconf);
        match failed {
            Some(Step::Wait) if is_cut || bytes.len() >= LONGEST_WAIT => {}
            Some(step) => return Err(step),
            None if must_be_whole
                && !is_cut
                && (left > 0 || at > bytes.len())
                && bytes.len() < LONGEST_WAIT =>
            {
                return Err(Step::Wait);
            }
            None => {}
        }
        self.arguments_left = left;
        let request = self.judge(command, &words, count as u32 - 1);
        Ok(Unit::new(
            at,
            Part::Request(Request {
                ends: left == 0,
                ..request
            }),
        ))
    }

    fn inline(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Read<Unit> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            return Err(if bytes.len() < 4 * LONGEST_WAIT - 1 {
                Step::Wait
            } else {
                Step::Lost(Loss::TooLong)
            });
        };
        let line = bytes[..end].trim_ascii_end();
        let mut words: [&[u8]; WORDS] = [b""; WORDS];
        let mut count = 0;
        for word in Words(line) {
            if let Some(to) = words.get_mut(count) {
                *to = word.bytes;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(Unit::new(end + 1, Part::Aside));
        }
        // Redis too hangs up on HTTP without a word.
        let is_http = [&b"POST"[..], b"Host:"]
            .iter()
            .any(|word| words[0].eq_ignore_ascii_case(word));
        if is_http || !words[0].iter().all(u8::is_ascii_graphic) {
            return Err(MALFORMED);
        }
        let command = command(words[0]);
        context.texts.operation_upper(words[0]);
        context.texts.summary(|out| {
            let mut summary = Summary::new(out, command);
            for word in Words(line) {
                if summary.is_done() {
                    break;
                }
                if word.is_escaped {
                    summary.argument(&unescaped(word.bytes));
                } else {
                    summary.argument(word.bytes);
                }
            }
        });
        let arguments = u32::try_from(count - 1).unwrap_or(u32::MAX);
        let request = self.judge(command, &words, arguments);
        Ok(Unit::new(end + 1, Part::Request(request)))
    }

    /// Which reply is owed, and what follows for the requests after it.
    fn judge(&mut self, command: Command, words: &[&[u8]; WORDS], arguments: u32) -> Request {
        let is_skipped = std::mem::take(&mut self.skip_next);
        let is = |n: usize, word: &[u8]| words[n].eq_ignore_ascii_case(word);
        let mut owes = if self.reply_off || is_skipped {
            Owes::Nothing
        } else {
            Owes::Reply
        };
        let count = arguments.min(tag::COUNT);
        let mut tag = 0;
        match command {
            Command::Exec => self.in_transaction = false,
            Command::Reset => {
                // It also puts an end to CLIENT REPLY OFF, and is answered.
                self.in_transaction = false;
                self.reply_off = false;
                owes = Owes::Reply;
                tag = tag::RESET;
            }
            _ if self.in_transaction => {}
            Command::Multi => self.in_transaction = true,
            Command::Client if is(1, b"REPLY") => {
                if is(2, b"ON") {
                    self.reply_off = false;
                    owes = Owes::Reply;
                } else if is(2, b"OFF") {
                    self.reply_off = true;
                    owes = Owes::Nothing;
                } else if is(2, b"SKIP") {
                    self.skip_next = !self.reply_off;
                    owes = Owes::Nothing;
                }
            }
            Command::Replconf if is(1, b"ACK") => owes = Owes::Nothing,
            Command::Subscribe if count > 0 => tag = tag::SUBSCRIBE | count,
            Command::Unsubscribe => tag = tag::UNSUBSCRIBE | count,
            Command::Psync | Command::Sync => {
                self.may_sync = true;
                tag = if command == Command::Sync {
                    tag::SYNC
                } else {
                    tag::PSYNC
                };
            }
            // Only a refusal is told.
            Command::Shutdown if owes == Owes::Reply => owes = Owes::Perhaps,
            _ => {}
        }
        Request {
            owes,
            tag,
            ..Request::whole()
        }
    }
}

/// A number of one to five digits at `at`, ended by CRLF, and where the next line begins.
fn short_number(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    let mut n = 0;
    for (digits, &byte) in rest.iter().take(6).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            n = n * 10 + usize::from(digit);
        } else {
            let is_ended = digits > 0 && byte == b'\r' && rest.get(digits + 1) == Some(&b'\n');
            return is_ended.then_some((n, at + digits + 2));
        }
    }
    None
}

/// The argument at `at`, if all of it is there, and where the next begins.
#[inline(always)]
fn whole_argument(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let digit = |byte: &u8| usize::from(byte - b'0');
    let (length, start) = match bytes.get(at..)? {
        [b'$', ones @ b'0'..=b'9', b'\r', b'\n', ..] => (digit(ones), at + 4),
        [
            b'$',
            tens @ b'0'..=b'9',
            ones @ b'0'..=b'9',
            b'\r',
            b'\n',
            ..,
        ] => (10 * digit(tens) + digit(ones), at + 5),
        [b'$', ..] => short_number(bytes, at + 1)?,
        _ => return None,
    };
    string(bytes, start, length)
}

/// The argument at `at`, as much of it as is there, and where the next begins, which may be beyond `bytes`. `None`: of
/// its first `enough` bytes some are missing.
fn argument(bytes: &[u8], at: usize, enough: usize) -> Read<Option<(&[u8], usize)>> {
    match bytes.get(at) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(_) => return Err(MALFORMED),
    }
    let (length, start) = match number(bytes, at + 1) {
        Ok(header) => header,
        Err(Step::Wait) => return Ok(None),
        Err(step) => return Err(step),
    };
    if !(0..=LONGEST_ARGUMENT).contains(&length) {
        return Err(MALFORMED);
    }
    let length = length as usize;
    if let Some((argument, next)) = string(bytes, start, length) {
        return Ok(Some((argument, next)));
    }
    let there = bytes.get(start..).unwrap_or_default();
    if there.len() < length.min(enough) {
        return Ok(None);
    }
    let shown = there.get(..length).unwrap_or(there);
    Ok(Some((shown, start + length + 2)))
}

/// Passes over whole arguments, of which the last may not have come yet: where they end, and how many are left.
fn skip_arguments(bytes: &[u8], mut at: usize, mut left: u32) -> Read<(usize, u32)> {
    while left > 0 && at < bytes.len() {
        match argument(bytes, at, 0)? {
            Some((_, next)) => {
                at = next;
                left -= 1;
            }
            None => break,
        }
    }
    Ok((at, left))
}

/// The words of an inline request: blanks between, quotes around those that contain some (sdssplitargs).
pub(super) struct Words<'a>(pub(super) &'a [u8]);

pub(super) struct Word<'a> {
    pub(super) bytes: &'a [u8],
    /// Backslashes in it are escapes.
    is_escaped: bool,
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let rest = self.0.trim_ascii_start();
        let first = *rest.first()?;
        if first != b'"' && first != b'\'' {
            let end = rest.iter().position(u8::is_ascii_whitespace);
            let (bytes, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.0 = after;
            return Some(Word {
                bytes,
                is_escaped: false,
            });
        }
        let inside = &rest[1..];
        let mut has_backslash = false;
        let mut is_after_backslash = false;
        let end = inside.iter().position(|byte| {
            let is_end = *byte == first && !is_after_backslash;
            is_after_backslash = *byte == b'\\' && !is_after_backslash;
            has_backslash |= *byte == b'\\';
            is_end
        });
        // Without an end the server answers with an error: one reply all the same.
        let end = end.unwrap_or(inside.len());
        self.0 = inside.get(end + 1..).unwrap_or_default();
        Some(Word {
            bytes: &inside[..end],
            is_escaped: has_backslash && first == b'"',
        })
    }
}

/// What a quoted word means. It allocates: typed by hand, never on a busy path.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, more @ ..] = rest {
        rest = more;
        let hex = |digit: u8| char::from(digit).to_digit(16).map(|n| n as u8);
        match (first, rest) {
            (b'\\', [b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            (b'\\', [letter, after @ ..]) => {
                out.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = after;
            }
            _ => out.push(*first),
        }
    }
    out
}
