//! Text and meta commands: a line, after storage commands a block of data; replies of one line, or of several up to END.

use super::{LONGEST_KEY, Memcached, Reply, hash};
use crate::proto::{
    Asked, Context, Guess, Loss, Outcome, Owes, Part, Request, Response, Step, Unit,
};

/// A line is waited for up to this length, except of a `get`, which may be of any. Chosen; memcached's own limit is 2048.
const LONGEST_LINE: usize = 8192;
/// Longest line looked at by a probe.
const PROBED_LINE: usize = 512;
/// Quiet requests that a reply may have to pass over to find its own. Chosen.
const MOST_QUIET: usize = 4096;

/// A tag: quiet or not, which meta command, and 24 bits of the opaque or key that its reply repeats.
mod tag {
    pub(super) const QUIET: u32 = 1 << 31;
    pub(super) const KIND: u32 = 0x7f00_0000;
    pub(super) const LABEL: u32 = 0x00ff_ffff;
    pub(super) const MG: u32 = 1 << 24;
    pub(super) const MS: u32 = 2 << 24;
    pub(super) const MD: u32 = 3 << 24;
    pub(super) const MA: u32 = 4 << 24;
    pub(super) const MN: u32 = 5 << 24;
}

impl Memcached {
    pub(super) fn request(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<Unit, Step> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        if self.in_line {
            self.in_line = end.is_none();
            let length = end.map_or(bytes.len(), |end| end + 1);
            return Ok(Unit::new(
                length,
                Part::Request(Request::more(end.is_some())),
            ));
        }
        if !bytes.first().is_some_and(|byte| is_text(*byte)) {
            return Err(Step::Lost(Loss::Malformed));
        }
        let Some(end) = end else {
            return self.unfinished(bytes, context);
        };
        let line = &bytes[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);

        let mut words = words(line);
        let verb = words.next().unwrap_or_default();
        // A blank line is a command, which the server does not know.
        let shown: &[u8] = if verb.is_empty() { b"(blank)" } else { verb };
        context.texts.operation(shown);
        context.texts.summary(|out| out.bytes(line));

        let mut length = end + 1;
        let mut owes = Owes::Reply;
        let mut tag = 0;
        match verb {
            b"get" | b"gets" | b"gat" | b"gats" => {}
            b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => {
                if let Some(store) = Store::read(verb, words) {
                    length = length.saturating_add(store.data).saturating_add(2);
                }
                owes = noreply(line);
            }
            b"incr" | b"decr" | b"delete" | b"touch" | b"flush_all" | b"verbosity"
            | b"cache_memlimit" | b"slabs" => owes = noreply(line),
            b"mg" => tag = self.meta(tag::MG, words, &mut owes),
            b"md" => tag = self.meta(tag::MD, words, &mut owes),
            b"ma" => tag = self.meta(tag::MA, words, &mut owes),
            b"mn" => tag = tag::MN,
            b"ms" => {
                let key = words.clone().next().unwrap_or_default();
                let data = words.clone().nth(1).and_then(number);
                if let Some(data) = data
                    && key.len() <= LONGEST_KEY
                {
                    length = length.saturating_add(data).saturating_add(2);
                }
                tag = self.meta(tag::MS, words, &mut owes);
            }
            b"quit" => owes = Owes::Nothing,
            // Only a refusal is told.
            b"shutdown" => owes = Owes::Perhaps,
            _ => {}
        }
        let request = Request {
            id: self.id(tag),
            owes,
            tag,
            ..Request::whole()
        };
        Ok(Unit::new(length, Part::Request(request)))
    }

    /// A line that has not ended: only those of `get` have no limit.
    fn unfinished(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<Unit, Step> {
        if bytes.len() < LONGEST_LINE.max(context.texts.summary_limit().min(LONGEST_LINE * 4)) {
            return Err(Step::Wait);
        }
        let verb = words(bytes).next().unwrap_or_default();
        if !matches!(verb, b"get" | b"gets" | b"gat" | b"gats") {
            return Err(Step::Lost(Loss::TooLong));
        }
        context.texts.operation(verb);
        context.texts.summary(|line| line.bytes(bytes));
        self.in_line = true;
        let request = Request {
            id: self.id(0),
            ..Request::begin()
        };
        Ok(Unit::new(bytes.len(), Part::Request(request)))
    }

    fn id(&self, tag: u32) -> Option<u64> {
        self.has_quiet.then_some(u64::from(tag))
    }

    /// The flags of a meta command, after its key.
    fn meta<'a>(
        &mut self,
        kind: u32,
        words: impl Iterator<Item = &'a [u8]> + Clone,
        owes: &mut Owes,
    ) -> u32 {
        let mut key: &[u8] = b"";
        let mut flags = words;
        if let Some(word) = flags.next() {
            key = word;
        }
        if flags.clone().any(|flag| flag == b"q") {
            self.has_quiet = true;
            *owes = Owes::Perhaps;
        }
        let quiet = if *owes == Owes::Perhaps {
            tag::QUIET
        } else {
            0
        };
        quiet | kind | label(flags, key)
    }

    pub(super) fn reply(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<Unit, Step> {
        let mut at = 0;
        let mut outcome = None;
        let mut ends = false;
        while !ends && at < bytes.len() {
            let rest = &bytes[at..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                if rest.len() >= LONGEST_LINE {
                    return Err(Step::Lost(Loss::TooLong));
                }
                break;
            };
            let line = &rest[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.first().is_some_and(|byte| is_text(*byte)) {
                return Err(Step::Lost(Loss::Malformed));
            }
            if self.reply == Reply::No {
                if line.starts_with(b"ts=") {
                    // The stream of `watch`.
                    return Ok(Unit::new(end + 1, Part::Aside));
                }
                self.reply = self.target(line, context.asked);
            }
            let kind = Kind::of(line).ok_or(Step::Lost(Loss::Malformed))?;
            at += end + 1;
            match kind {
                Kind::More => {}
                Kind::Item(data) => at = at.saturating_add(data).saturating_add(2),
                Kind::Value(data) => {
                    at = at.saturating_add(data).saturating_add(2);
                    ends = true;
                }
                Kind::Last => ends = true,
                Kind::Error => {
                    context.texts.status_text(|out| out.bytes(line));
                    ends = true;
                }
            }
            if ends {
                outcome = Some(Outcome {
                    is_error: kind == Kind::Error,
                    code: None,
                });
            }
        }
        if at == 0 {
            // Nothing was said yet: the reply has not begun, or goes on.
            return Err(Step::Wait);
        }
        let id = match self.reply {
            Reply::To(tag) => Some(u64::from(tag)),
            _ => None,
        };
        if ends {
            self.reply = Reply::No;
        }
        Ok(Unit::new(
            at,
            Part::Response(Response {
                id,
                ends,
                restarts: false,
                outcome,
            }),
        ))
    }

    /// Which request a reply that begins with this line belongs to: requests before the first that must be answered
    /// may have been passed over in silence.
    fn target(&self, line: &[u8], asked: &dyn Asked) -> Reply {
        if !self.has_quiet {
            return Reply::ToOldest;
        }
        if line == b"MN" && asked.with_id(u64::from(tag::MN)).is_some() {
            return Reply::To(tag::MN);
        }
        let mut words = words(line);
        let word = words.next().unwrap_or_default();
        // The size of a value is no flag.
        if word == b"VA" {
            words.next();
        }
        let label = label(words, b"");
        for n in 0..MOST_QUIET {
            let Some(tag) = asked.nth(n) else { break };
            if tag & tag::QUIET == 0 {
                return if n == 0 {
                    Reply::ToOldest
                } else {
                    Reply::To(tag)
                };
            }
            if fits(tag, word, label) {
                return Reply::To(tag);
            }
        }
        Reply::ToOldest
    }
}

/// Whether a quiet request may be answered so.
fn fits(tag: u32, word: &[u8], label: u32) -> bool {
    let kind = tag & tag::KIND;
    let is_kind = match word {
        b"VA" => matches!(kind, tag::MG | tag::MA),
        b"HD" => matches!(kind, tag::MG | tag::MA),
        // 1.6.18 tells quiet ones that there was nothing to delete, newer servers do not: unless it says whose it is, it
        // is for one that is not quiet.
        b"NF" => kind == tag::MS || (label != 0 && matches!(kind, tag::MD | tag::MA)),
        b"EX" => matches!(kind, tag::MS | tag::MD | tag::MA),
        b"NS" => matches!(kind, tag::MS | tag::MA),
        b"ERROR" | b"CLIENT_ERROR" | b"SERVER_ERROR" => return true,
        _ => false,
    };
    is_kind && tag & tag::LABEL == label
}

/// What a reply repeats of its request: the opaque (`O123`), else the key if it is asked for (`k`, in the reply with the
/// key behind it).
fn label<'a>(flags: impl Iterator<Item = &'a [u8]>, key: &[u8]) -> u32 {
    let mut label = 0;
    for flag in flags {
        match flag {
            [b'O', opaque @ ..] => return hash(b'O', opaque),
            [b'k'] => label = hash(b'k', key),
            [b'k', key @ ..] => label = hash(b'k', key),
            _ => {}
        }
    }
    label
}

/// What a line of a reply means for its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// So many bytes of data follow, then more lines.
    Item(usize),
    /// So many bytes of data follow, then the reply ends.
    Value(usize),
    More,
    Last,
    Error,
}

impl Kind {
    fn of(line: &[u8]) -> Option<Kind> {
        let mut words = words(line);
        Some(match words.next().unwrap_or_default() {
            b"VALUE" | b"CONFIG" => Kind::Item(words.nth(2).and_then(number)?),
            b"VA" => Kind::Value(words.next().and_then(number)?),
            b"STAT" | b"ITEM" | b"PREFIX" => Kind::More,
            // `lru_crawler mgdump`; a request, but for that.
            b"mg" => Kind::More,
            b"ERROR" | b"ERROR:" | b"CLIENT_ERROR" | b"SERVER_ERROR" => Kind::Error,
            // `lru_crawler metadump`.
            word if word.starts_with(b"key=") => Kind::More,
            _ => Kind::Last,
        })
    }
}

/// A storage command that is right: data follow it. If it is wrong none do, as far as the server is concerned.
struct Store {
    data: usize,
}

impl Store {
    fn read<'a>(verb: &[u8], mut words: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Store> {
        let count = words.clone().count();
        let expected = if verb == b"cas" { 5..=6 } else { 4..=5 };
        let key = words.next()?;
        number(words.next()?)?;
        let expiry = words.next()?;
        number(expiry.strip_prefix(b"-").unwrap_or(expiry))?;
        let data = number(words.next()?)?;
        if verb == b"cas" {
            number(words.next()?)?;
        }
        let is_right = expected.contains(&count) && key.len() <= LONGEST_KEY;
        is_right.then_some(Store { data })
    }
}

fn noreply(line: &[u8]) -> Owes {
    let line = line.trim_ascii_end();
    if line.ends_with(b" noreply") {
        Owes::Nothing
    } else {
        Owes::Reply
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    line.split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
}

/// A decimal number of at most 20 digits; what does not fit is as large as can be.
fn number(word: &[u8]) -> Option<usize> {
    if word.is_empty() || word.len() > 20 {
        return None;
    }
    word.iter().try_fold(0_usize, |n, byte| match byte {
        b'0'..=b'9' => Some(
            n.saturating_mul(10)
                .saturating_add(usize::from(byte - b'0')),
        ),
        _ => None,
    })
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t')
}

/// The first line, if it has come; else whether it may be one of text.
fn first_line(bytes: &[u8]) -> Result<&[u8], Guess> {
    let shown = bytes.get(..PROBED_LINE).unwrap_or(bytes);
    let end = shown.iter().position(|byte| *byte == b'\n');
    let line = &shown[..end.unwrap_or(shown.len())];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Keys may hold any byte but blanks and control characters.
    if line.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
        return Err(Guess::No);
    }
    match end {
        Some(_) => Ok(line),
        None if shown.len() < PROBED_LINE => Err(Guess::Maybe),
        None => Err(Guess::No),
    }
}

const VERBS: [&[u8]; 25] = [
    b"get ",
    b"gets ",
    b"gat ",
    b"gats ",
    b"set ",
    b"add ",
    b"replace ",
    b"append ",
    b"prepend ",
    b"cas ",
    b"incr ",
    b"decr ",
    b"delete ",
    b"touch ",
    b"flush_all",
    b"verbosity ",
    b"version",
    b"stats",
    b"mg ",
    b"ms ",
    b"md ",
    b"ma ",
    b"me ",
    b"mn",
    b"lru_crawler ",
];

pub(super) fn probe_request(bytes: &[u8]) -> Guess {
    let is_begun = VERBS
        .iter()
        .any(|verb| bytes.starts_with(verb) || verb.starts_with(bytes));
    if !is_begun {
        return Guess::No;
    }
    let line = match first_line(bytes) {
        Ok(line) => line,
        Err(Guess::No) if bytes.len() >= PROBED_LINE && bytes.starts_with(b"get") => {
            // A long list of keys.
            let shown = &bytes[..PROBED_LINE];
            let is_list = words(shown)
                .nth(1)
                .is_some_and(|key| key.len() <= LONGEST_KEY)
                && shown.iter().all(|byte| *byte >= b' ');
            return if is_list { Guess::Yes } else { Guess::No };
        }
        Err(guess) => return guess,
    };
    let mut words = words(line);
    let verb = words.next().unwrap_or_default();
    let count = words.clone().count();
    let is_key = |word: Option<&[u8]>| word.is_some_and(|word| word.len() <= LONGEST_KEY);
    let is_number = |word: Option<&[u8]>| word.and_then(number).is_some();
    let is_it = match verb {
        b"get" | b"gets" => is_key(words.next()),
        b"gat" | b"gats" => is_number(words.next()) && is_key(words.next()),
        b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => {
            Store::read(verb, words).is_some()
        }
        b"incr" | b"decr" | b"touch" => {
            is_key(words.next()) && is_number(words.next()) && count <= 3
        }
        b"delete" => is_key(words.next()) && words.all(|word| word == b"0" || word == b"noreply"),
        b"flush_all" => words.all(|word| number(word).is_some() || word == b"noreply"),
        b"verbosity" => is_number(words.next()) && count <= 2,
        b"version" | b"mn" => count == 0,
        b"stats" => count <= 3 && words.all(|word| word.iter().all(u8::is_ascii_alphanumeric)),
        b"mg" | b"md" | b"ma" | b"me" => is_key(words.next()) && words.all(is_flag),
        b"ms" => is_key(words.next()) && is_number(words.next()) && words.all(is_flag),
        b"lru_crawler" => count > 0 && words.all(|word| word.iter().all(u8::is_ascii_lowercase)),
        _ => false,
    };
    if is_it { Guess::Yes } else { Guess::No }
}

/// `v`, `T30`, `O123`.
fn is_flag(word: &[u8]) -> bool {
    match word {
        [
            b'C' | b'D' | b'E' | b'F' | b'J' | b'N' | b'R' | b'T',
            number @ ..,
        ] => {
            !number.is_empty()
                && number
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'-')
        }
        [b'O' | b'M' | b'P' | b'L', _, ..] => true,
        [flag] => flag.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Replies that are one word.
const WORDS: [&[u8]; 15] = [
    b"STORED",
    b"NOT_STORED",
    b"EXISTS",
    b"NOT_FOUND",
    b"DELETED",
    b"TOUCHED",
    b"END",
    b"ERROR",
    b"RESET",
    b"HD",
    b"EN",
    b"NS",
    b"EX",
    b"NF",
    b"MN",
];
/// Beginnings of those that are more.
const BEGINNINGS: [&[u8]; 12] = [
    b"VALUE ",
    b"VA ",
    b"HD ",
    b"EN ",
    b"NS ",
    b"EX ",
    b"NF ",
    b"ME ",
    b"STAT ",
    b"VERSION ",
    b"CLIENT_ERROR ",
    b"SERVER_ERROR ",
];

pub(super) fn probe_reply(bytes: &[u8]) -> Guess {
    let is_begun = WORDS
        .iter()
        .chain(&BEGINNINGS)
        .any(|word| bytes.starts_with(word) || word.starts_with(bytes));
    if !is_begun {
        return Guess::No;
    }
    let line = match first_line(bytes) {
        Ok(line) => line,
        Err(guess) => return guess,
    };
    let mut words = words(line);
    let word = words.next().unwrap_or_default();
    let count = words.clone().count();
    let is_number = |word: Option<&[u8]>| word.and_then(number).is_some();
    let is_it = match word {
        b"VALUE" => {
            matches!(count, 3 | 4)
                && words.next().is_some_and(|key| key.len() <= LONGEST_KEY)
                && words.all(|word| number(word).is_some())
        }
        b"VA" => is_number(words.next()) && words.all(is_returned_flag),
        b"HD" | b"EN" | b"NS" | b"EX" | b"NF" => words.all(is_returned_flag),
        b"ME" => words.next().is_some() && words.all(|word| word.contains(&b'=')),
        b"STAT" => count >= 1,
        b"VERSION" => words.next().is_some_and(|word| word[0].is_ascii_digit()),
        b"CLIENT_ERROR" | b"SERVER_ERROR" => true,
        word => count == 0 && WORDS.contains(&word),
    };
    // Only a line that a server ended.
    let is_ended = bytes.get(line.len()) == Some(&b'\r');
    if is_it && is_ended {
        Guess::Yes
    } else {
        Guess::No
    }
}

/// `f0`, `t-1`, `kfoo`, `W`.
fn is_returned_flag(word: &[u8]) -> bool {
    match word {
        [b'k' | b'O', ..] => true,
        [b'W' | b'X' | b'Z' | b'b'] => true,
        [flag, number @ ..] => {
            flag.is_ascii_lowercase()
                && !number.is_empty()
                && number
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'-')
        }
        [] => false,
    }
}
