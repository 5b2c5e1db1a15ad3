//! Replies, pushes, and the stream from a master to its replica.

use super::request::tag;
use super::{Doing, LONGEST_WAIT, MALFORMED, MARK, Rare, Read, Redis, Sync, line, number, string};
use crate::proto::{Context, Loss, Outcome, Part, Response, Step, Unit};

/// First word of what pub/sub sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// `message` and its like: owed to nobody.
    Message,
    Subscribe(Family),
    Unsubscribe(Family),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Channels,
    Patterns,
    Shards,
}

impl Word {
    fn of(word: &[u8]) -> Option<Word> {
        Some(match word {
            b"message" | b"pmessage" | b"smessage" => Word::Message,
            b"subscribe" => Word::Subscribe(Family::Channels),
            b"psubscribe" => Word::Subscribe(Family::Patterns),
            b"ssubscribe" => Word::Subscribe(Family::Shards),
            b"unsubscribe" => Word::Unsubscribe(Family::Channels),
            b"punsubscribe" => Word::Unsubscribe(Family::Patterns),
            b"sunsubscribe" => Word::Unsubscribe(Family::Shards),
            _ => return None,
        })
    }
}

impl Redis {
    pub(super) fn reply(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Read<Unit> {
        if self.values_left > 0 {
            return self.more_values(bytes, 0);
        }
        if self.in_line {
            return Ok(self.more_of_line(bytes));
        }
        if let Some(rare) = &mut self.rare
            && rare.sync != Sync::No
        {
            return self.replication(bytes);
        }
        if self.reply_off
            && matches!(bytes.first(), Some(b'+' | b'-' | b':' | b'$'))
            && context.asked.oldest().is_none()
        {
            // The server did not think so (CLIENT is forbidden, or CLIENT REPLY ON was in a hole).
            self.reply_off = false;
        }
        match bytes.first() {
            Some(b'+') => self.simple(bytes, context),
            Some(b'-') => {
                let (error, length) = line(bytes, 1)?;
                context.texts.status_text(|line| {
                    line.piece("-");
                    line.bytes(error);
                });
                Ok(self.whole(length, true))
            }
            Some(b':' | b'_' | b',' | b'#' | b'(') => {
                let (_, length) = line(bytes, 1)?;
                Ok(self.whole(length, false))
            }
            Some(b'$') => {
                if self.may_sync && context.asked.oldest() == Some(tag::SYNC) {
                    self.rare_mut().sync_is_reply = true;
                    return self.snapshot(bytes);
                }
                Ok(self.whole(string_end(bytes)?, false))
            }
            Some(b'=') => Ok(self.whole(string_end(bytes)?, false)),
            Some(b'!') => self.long_error(bytes, context),
            Some(b'*') => self.array(bytes, context),
            Some(b'~' | b'%') => self.values(bytes, Doing::Reply),
            Some(b'|') => self.values(bytes, Doing::Attribute),
            Some(b'>') => self.push(bytes, context),
            // A master that is busy shows that it lives.
            Some(b'\n') if self.may_sync => Ok(Unit::new(1, Part::Aside)),
            _ => Err(MALFORMED),
        }
    }

    /// A whole reply, the last that is due for the oldest request whatever was expected.
    fn whole(&mut self, length: usize, is_error: bool) -> Unit {
        if let Some(rare) = &mut self.rare {
            rare.confirmed = 0;
        }
        Unit::new(length, Part::Response(Response::whole(is_error, None)))
    }

    fn simple(&mut self, bytes: &[u8], context: &Context<'_>) -> Read<Unit> {
        let is_monitor = match bytes.get(1) {
            None => return Err(Step::Wait),
            // A reply never looks like `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`.
            Some(b'0'..=b'9') => is_monitor(bytes),
            Some(_) => Some(false),
        };
        let Some(is_monitor) = is_monitor else {
            return Err(Step::Wait);
        };
        let part = if is_monitor {
            Part::Aside
        } else {
            Part::Response(Response::whole(false, None))
        };
        let (text, length) = match line(bytes, 1) {
            Ok(line) => line,
            Err(Step::Lost(Loss::TooLong)) => {
                // MONITOR shows values of any length.
                self.in_line = true;
                self.doing = if is_monitor {
                    Doing::Aside
                } else {
                    Doing::Reply
                };
                return Ok(Unit::new(bytes.len(), unfinished(part)));
            }
            Err(step) => return Err(step),
        };
        match bytes[1] {
            b'F' | b'C' if self.may_sync && context.asked.oldest() == Some(tag::PSYNC) => {
                if text.starts_with(b"FULLRESYNC") {
                    self.rare_mut().sync = Sync::Awaited;
                } else if text.starts_with(b"CONTINUE") {
                    self.rare_mut().sync = Sync::Commands;
                }
            }
            b'R' if self.rare.is_some() && context.asked.oldest() == Some(tag::RESET) => {
                self.rare = None;
            }
            _ => {}
        }
        Ok(Unit::new(length, part))
    }

    fn more_of_line(&mut self, bytes: &[u8]) -> Unit {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        self.in_line = end.is_none();
        let part = match std::mem::take(&mut self.doing) {
            Doing::Aside => Part::Aside,
            _ => Part::Response(Response::more(end.is_some())),
        };
        if self.in_line && part == Part::Aside {
            self.doing = Doing::Aside;
        }
        Unit::new(end.map_or(bytes.len(), |end| end + 1), part)
    }

    /// An error whose text may be long: `!21` and the text on the next line.
    fn long_error(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Read<Unit> {
        let (length, start) = number(bytes, 1)?;
        let length = usize::try_from(length).map_err(|_| MALFORMED)?;
        let there = bytes.get(start..).unwrap_or_default();
        // As much as a status text shows.
        if there.len() < length.min(256) {
            return Err(Step::Wait);
        }
        context.texts.status_text(|line| {
            line.piece("-");
            line.bytes(there.get(..length).unwrap_or(there));
        });
        Ok(self.whole(start.saturating_add(length).saturating_add(2), true))
    }

    /// A value made of values.
    fn values(&mut self, bytes: &[u8], doing: Doing) -> Read<Unit> {
        let (count, at) = number(bytes, 1)?;
        let kind = bytes.first().copied().unwrap_or_default();
        self.values_left = inside(kind, count)?;
        self.doing = doing;
        if doing == Doing::Reply
            && let Some(rare) = &mut self.rare
        {
            rare.confirmed = 0;
        }
        self.more_values(bytes, at)
    }

    /// Passes over values that belong to what was begun, from `at`.
    fn more_values(&mut self, bytes: &[u8], at: usize) -> Read<Unit> {
        let length = skip_values(bytes, at, &mut self.values_left)?;
        if length == 0 {
            return Err(Step::Wait);
        }
        let is_end = self.values_left == 0;
        let doing = self.doing;
        if is_end {
            self.doing = Doing::Reply;
        }
        let part = match doing {
            Doing::Reply => Part::Response(Response::more(is_end)),
            Doing::Attribute => Part::Response(Response::more(false)),
            Doing::Aside => Part::Aside,
        };
        Ok(Unit::new(length, part))
    }

    /// An array: a reply, or in RESP2 what pub/sub sends.
    fn array(&mut self, bytes: &[u8], context: &Context<'_>) -> Read<Unit> {
        let asked = context.asked.oldest();
        // A connection that is read from its middle may have subscribed before.
        let may_be_push = self.rare.is_some()
            || asked.is_none()
            || asked.is_some_and(|tag| is_subscribe(tag).is_some());
        if may_be_push {
            let (count, at) = number(bytes, 1)?;
            match self.pubsub(bytes, count, at, asked)? {
                Some(unit) => return Ok(unit),
                None if asked.is_none() && self.is_subscribed() => {
                    return self.values(bytes, Doing::Aside);
                }
                None => {}
            }
        }
        self.values(bytes, Doing::Reply)
    }

    /// RESP3's out-of-band value: confirmations of subscriptions too come as such.
    fn push(&mut self, bytes: &[u8], context: &Context<'_>) -> Read<Unit> {
        let (count, at) = number(bytes, 1)?;
        match self.pubsub(bytes, count, at, context.asked.oldest())? {
            Some(unit) => Ok(unit),
            None => self.values(bytes, Doing::Aside),
        }
    }

    fn pubsub(
        &mut self,
        bytes: &[u8],
        count: i64,
        at: usize,
        asked: Option<u32>,
    ) -> Read<Option<Unit>> {
        if !(3..=4).contains(&count) {
            return Ok(None);
        }
        let Some((word, at)) = short_string(bytes, at)? else {
            return Ok(None);
        };
        match Word::of(word) {
            None => Ok(None),
            Some(Word::Message) => {
                if asked.is_none() && bytes.first() == Some(&b'*') {
                    // It can only have subscribed before it was seen.
                    let rare = self.rare_mut();
                    rare.channels = rare.channels.max(1);
                }
                self.values(bytes, Doing::Aside).map(Some)
            }
            Some(word) => self.confirmation(bytes, at, word, asked).map(Some),
        }
    }

    /// `subscribe`, the channel, and how many subscriptions there are now; one for each channel that was named.
    fn confirmation(
        &mut self,
        bytes: &[u8],
        at: usize,
        word: Word,
        asked: Option<u32>,
    ) -> Read<Unit> {
        let Some((channel, at)) = whole_string(bytes, at)? else {
            return Err(if bytes.len() < 2 * LONGEST_WAIT {
                Step::Wait
            } else {
                Step::Lost(Loss::TooLong)
            });
        };
        match bytes.get(at) {
            None => return Err(Step::Wait),
            Some(b':') => {}
            Some(_) => return Err(MALFORMED),
        }
        let (total, length) = number(bytes, at + 1)?;
        let total = u32::try_from(total).unwrap_or(0);

        let rare = self.rare_mut();
        let (Word::Subscribe(family) | Word::Unsubscribe(family)) = word else {
            return Err(MALFORMED);
        };
        let left = match family {
            // The total of these two is what is told.
            Family::Channels => {
                rare.channels = total.saturating_sub(rare.patterns);
                rare.channels
            }
            Family::Patterns => {
                rare.patterns = total.saturating_sub(rare.channels);
                rare.patterns
            }
            Family::Shards => {
                rare.shards = total;
                total
            }
        };
        let Some(expected) = asked.and_then(is_subscribe) else {
            // Nobody asked: a cluster took the shard's channel away.
            return Ok(Unit::new(length, Part::Aside));
        };
        rare.confirmed += 1;
        let ends = if expected > 0 {
            rare.confirmed >= expected
        } else {
            channel.is_none() || left == 0
        };
        if ends {
            rare.confirmed = 0;
            if !self.is_subscribed() {
                self.rare = None;
            }
        }
        Ok(Unit::new(length, Part::Response(Response::more(ends))))
    }

    fn is_subscribed(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.channels > 0 || rare.patterns > 0 || rare.shards > 0)
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// After the master agreed: the snapshot, then what it executes.
    fn replication(&mut self, bytes: &[u8]) -> Read<Unit> {
        let Some(rare) = &mut self.rare else {
            return Err(MALFORMED);
        };
        let blanks = bytes.iter().take_while(|byte| **byte == b'\n').count();
        match rare.sync {
            Sync::UpTo(mark) => {
                let (length, is_end) = up_to(bytes, &mark);
                if length == 0 {
                    return Err(Step::Wait);
                }
                if is_end {
                    rare.sync = Sync::Commands;
                }
                let part = if rare.sync_is_reply {
                    Part::Response(Response::more(is_end))
                } else {
                    Part::Aside
                };
                Ok(Unit::new(length, part))
            }
            _ if blanks > 0 => Ok(Unit::new(blanks, Part::Aside)),
            Sync::Awaited if bytes.first() == Some(&b'$') => self.snapshot(bytes),
            Sync::Awaited => Err(MALFORMED),
            Sync::Commands | Sync::No => {
                self.values_left = 1;
                self.doing = Doing::Aside;
                self.more_values(bytes, 0)
            }
        }
    }

    /// `$` and a length without CRLF after the bytes, or `$EOF:` and the mark that will end them.
    fn snapshot(&mut self, bytes: &[u8]) -> Read<Unit> {
        let is_end;
        let length;
        if bytes.get(1) == Some(&b'E') {
            let (text, next) = line(bytes, 1)?;
            let mark = text.strip_prefix(b"EOF:").ok_or(MALFORMED)?;
            let mark: [u8; MARK] = mark.try_into().map_err(|_| MALFORMED)?;
            self.rare_mut().sync = Sync::UpTo(mark);
            (length, is_end) = (next, false);
        } else {
            let (bytes, next) = number(bytes, 1)?;
            let bytes = usize::try_from(bytes).map_err(|_| MALFORMED)?;
            self.rare_mut().sync = Sync::Commands;
            (length, is_end) = (next.saturating_add(bytes), true);
        }
        let part = if self.rare_mut().sync_is_reply {
            Part::Response(Response {
                outcome: Some(Outcome {
                    is_error: false,
                    code: None,
                }),
                ..Response::more(is_end)
            })
        } else {
            Part::Aside
        };
        Ok(Unit::new(length, part))
    }
}

fn unfinished(part: Part) -> Part {
    match part {
        Part::Response(response) => Part::Response(Response {
            ends: false,
            ..response
        }),
        other => other,
    }
}

/// How many confirmations this request gets (0: as many as there are subscriptions), if it is such a one.
fn is_subscribe(tag: u32) -> Option<u32> {
    matches!(tag & tag::KIND, tag::SUBSCRIBE | tag::UNSUBSCRIBE).then_some(tag & tag::COUNT)
}

/// Values inside a value of this kind with this count.
fn inside(kind: u8, count: i64) -> Read<u32> {
    let count = match count {
        // A nil of RESP2.
        -1 if kind == b'*' => 0,
        _ => u32::try_from(count).map_err(|_| MALFORMED)?,
    };
    match kind {
        b'%' | b'|' => Ok(count.saturating_mul(2)),
        _ => Ok(count),
    }
}

/// Where `left` values from `at` on end, or those of them that are there; the last may go on beyond `bytes`.
fn skip_values(bytes: &[u8], mut at: usize, left: &mut u32) -> Read<usize> {
    while *left > 0 {
        let Some(kind) = bytes.get(at) else { break };
        let next = match kind {
            b'$' | b'=' | b'!' => string_end(bytes.get(at..).unwrap_or_default())
                .map(|length| at.saturating_add(length)),
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => {
                line(bytes, at + 1).map(|(_, next)| next)
            }
            b'*' | b'~' | b'%' | b'|' => match number(bytes, at + 1) {
                Ok((count, next)) => {
                    *left = left.saturating_add(inside(*kind, count)?);
                    // The value that an attribute is about follows it.
                    *left = left.saturating_add(u32::from(*kind == b'|'));
                    Ok(next)
                }
                Err(step) => Err(step),
            },
            _ => Err(MALFORMED),
        };
        match next {
            Ok(next) => at = next,
            Err(Step::Wait) => break,
            Err(step) => return Err(step),
        }
        *left -= 1;
    }
    Ok(at)
}

/// Length of the string with a length in front, which may be more than is there.
fn string_end(bytes: &[u8]) -> Read<usize> {
    let (length, start) = number(bytes, 1)?;
    match usize::try_from(length) {
        Ok(length) => Ok(start.saturating_add(length).saturating_add(2)),
        Err(_) if length == -1 => Ok(start),
        Err(_) => Err(MALFORMED),
    }
}

/// The string at `at`, if it is one and short.
fn short_string(bytes: &[u8], at: usize) -> Read<Option<(&[u8], usize)>> {
    match bytes.get(at) {
        None => return Err(Step::Wait),
        Some(b'$') => {}
        Some(b'+') => return line(bytes, at + 1).map(Some),
        Some(_) => return Ok(None),
    }
    let (length, start) = number(bytes, at + 1)?;
    match usize::try_from(length) {
        // Longest: `punsubscribe`.
        Ok(length @ 0..=12) => string(bytes, start, length).ok_or(Step::Wait).map(Some),
        _ => Ok(None),
    }
}

/// What [`whole_string`] read, a nil as `None`, and where the next value begins.
type MaybeString<'a> = (Option<&'a [u8]>, usize);

/// The string at `at`, or nil. `None`: not all of it is there.
fn whole_string(bytes: &[u8], at: usize) -> Read<Option<MaybeString<'_>>> {
    match bytes.get(at) {
        None => return Ok(None),
        Some(b'_') => return Ok(Some((None, line(bytes, at + 1)?.1))),
        Some(b'$') => {}
        Some(_) => return Err(MALFORMED),
    }
    let (length, start) = number(bytes, at + 1)?;
    match usize::try_from(length) {
        Ok(length) => Ok(string(bytes, start, length).map(|(text, next)| (Some(text), next))),
        Err(_) => Ok(Some((None, start))),
    }
}

/// Whether `+1339518083.107412 [` begins here; `None`: too little is there.
pub(super) fn is_monitor(bytes: &[u8]) -> Option<bool> {
    let rest = bytes.get(1..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 12 {
        return Some(false);
    }
    let pattern: &[u8] = b".dddddd [";
    for (n, expected) in pattern.iter().enumerate() {
        let is_so = match rest.get(digits + n)? {
            byte if *expected == b'd' => byte.is_ascii_digit(),
            byte => byte == expected,
        };
        if !is_so {
            return Some(false);
        }
    }
    Some(true)
}

/// Bytes up to and with the mark, or those that cannot be part of it; and whether the mark was there.
fn up_to(bytes: &[u8], mark: &[u8; MARK]) -> (usize, bool) {
    let found = bytes
        .windows(MARK)
        .position(|window| window[0] == mark[0] && window == mark);
    match found {
        Some(at) => (at + MARK, true),
        None => (bytes.len().saturating_sub(MARK - 1), false),
    }
}
