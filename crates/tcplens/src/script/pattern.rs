//! Lua's patterns (Lua 5.4 manual, section 6.4.1) with a count of steps: Lua's own matcher runs in C, where no limit
//! reaches it, and some patterns take it years. Not the string functions: those are built on `search` in sandbox.lua.

use std::cell::Cell;

/// As Lua's own, `LUA_MAXCAPTURES`.
const MAX_CAPTURES: usize = 32;
/// As Lua's own, `MAXCCALLS`: nested tries.
const MAX_DEPTH: u32 = 200;
/// Steps between two looks at the budget.
const STEPS: u32 = 1024;

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// Bytes of the subject.
    Text(usize, usize),
    /// A place in the subject, from 0.
    Position(usize),
}

/// A match: from where to where, and its captures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) captures: Vec<Capture>,
}

/// The first match that begins at `init` or later and does not end at `last`. `spend` takes a number of steps and says
/// whether there are more. `Err`: the pattern makes no sense, or the steps are spent.
pub(super) fn search(
    subject: &[u8],
    pattern: &[u8],
    init: usize,
    last: Option<usize>,
    is_anchored: bool,
    spend: &dyn Fn(u32) -> bool,
) -> Result<Option<Match>, String> {
    let pattern = if is_anchored {
        pattern.get(1..).unwrap_or_default()
    } else {
        pattern
    };
    let mut matcher = Matcher {
        subject,
        pattern,
        captures: [(0, Length::Open); MAX_CAPTURES],
        level: 0,
        depth: 0,
        steps: Cell::new(0),
        spend,
    };
    for from in init..=subject.len() {
        matcher.level = 0;
        if let Some(to) = matcher.run(from, 0)?
            && last != Some(to)
        {
            let captures = matcher.result()?;
            return Ok(Some(Match { from, to, captures }));
        }
        if is_anchored {
            break;
        }
    }
    Ok(None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// Not closed yet.
    Open,
    Position,
    Bytes(usize),
}

struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    /// Beginning and length.
    captures: [(usize, Length); MAX_CAPTURES],
    level: usize,
    depth: u32,
    steps: Cell<u32>,
    spend: &'a dyn Fn(u32) -> bool,
}

type Tried = Result<Option<usize>, String>;

impl Matcher<'_> {
    fn step(&self) -> Result<(), String> {
        let steps = self.steps.get() + 1;
        if steps < STEPS {
            self.steps.set(steps);
            return Ok(());
        }
        self.steps.set(0);
        if (self.spend)(steps) {
            Ok(())
        } else {
            Err("the script's time is spent in a pattern".into())
        }
    }

    fn run(&mut self, s: usize, p: usize) -> Tried {
        if self.depth == MAX_DEPTH {
            return Err("pattern too complex".into());
        }
        self.depth += 1;
        let result = self.run_on(s, p);
        self.depth -= 1;
        result
    }

    fn run_on(&mut self, mut s: usize, mut p: usize) -> Tried {
        loop {
            self.step()?;
            let Some(&sign) = self.pattern.get(p) else {
                return Ok(Some(s));
            };
            let next = self.pattern.get(p + 1).copied();
            match (sign, next) {
                (b'(', Some(b')')) => return self.open(s, p + 2, Length::Position),
                (b'(', _) => return self.open(s, p + 1, Length::Open),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.subject.len()).then_some(s)),
                (b'%', Some(b'b')) => match self.balance(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    let set = p + 2;
                    if self.pattern.get(set) != Some(&b'[') {
                        return Err("missing '[' after '%f' in pattern".into());
                    }
                    let end = self.class_end(set)?;
                    let before = if s == 0 { 0 } else { self.subject[s - 1] };
                    let here = self.subject.get(s).copied().unwrap_or(0);
                    if self.in_set(before, set, end - 1) || !self.in_set(here, set, end - 1) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit @ b'0'..=b'9')) => match self.again(s, digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(p)?;
                    let is_single = self.is_single(s, p, end);
                    match (self.pattern.get(end), is_single) {
                        (Some(b'?'), true) => match self.run(s + 1, end + 1)? {
                            Some(found) => return Ok(Some(found)),
                            None => p = end + 1,
                        },
                        (Some(b'+'), true) => return self.longest(s + 1, p, end),
                        (Some(b'*'), true) => return self.longest(s, p, end),
                        (Some(b'-'), true) => return self.shortest(s, p, end),
                        (Some(b'*' | b'?' | b'-'), false) => p = end + 1,
                        (_, true) => (s, p) = (s + 1, end),
                        (_, false) => return Ok(None),
                    }
                }
            }
        }
    }

    /// Where a single-character class ends.
    fn class_end(&self, p: usize) -> Result<usize, String> {
        match self.pattern.get(p) {
            Some(b'%') if p + 1 >= self.pattern.len() => {
                Err("malformed pattern (ends with '%')".into())
            }
            Some(b'%') => Ok(p + 2),
            Some(b'[') => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                // The first one may be a `]`.
                loop {
                    let malformed = || "malformed pattern (missing ']')".to_owned();
                    let sign = *self.pattern.get(at).ok_or_else(malformed)?;
                    at += 1;
                    if sign == b'%' {
                        at += 1;
                    }
                    match self.pattern.get(at) {
                        Some(b']') => return Ok(at + 1),
                        Some(_) => {}
                        None => return Err(malformed()),
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn is_single(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.subject.get(s) else {
            return false;
        };
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end - 1),
            sign => sign == byte,
        }
    }

    /// `p` is at the `[`, `end` at the `]`.
    fn in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let mut at = p + 1;
        let is_inverse = self.pattern.get(at) == Some(&b'^');
        if is_inverse {
            at += 1;
        }
        while at < end {
            let sign = self.pattern[at];
            if sign == b'%' {
                if is_class(byte, self.pattern[at + 1]) {
                    return !is_inverse;
                }
                at += 2;
            } else if self.pattern.get(at + 1) == Some(&b'-') && at + 2 < end {
                if (sign..=self.pattern[at + 2]).contains(&byte) {
                    return !is_inverse;
                }
                at += 3;
            } else {
                if sign == byte {
                    return !is_inverse;
                }
                at += 1;
            }
        }
        is_inverse
    }

    fn longest(&mut self, s: usize, p: usize, end: usize) -> Tried {
        let mut more = 0;
        while self.is_single(s + more, p, end) {
            self.step()?;
            more += 1;
        }
        loop {
            if let Some(found) = self.run(s + more, end + 1)? {
                return Ok(Some(found));
            }
            if more == 0 {
                return Ok(None);
            }
            more -= 1;
        }
    }

    fn shortest(&mut self, mut s: usize, p: usize, end: usize) -> Tried {
        loop {
            if let Some(found) = self.run(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.is_single(s, p, end) {
                return Ok(None);
            }
            self.step()?;
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, length: Length) -> Tried {
        if self.level >= MAX_CAPTURES {
            return Err("too many captures".into());
        }
        self.captures[self.level] = (s, length);
        self.level += 1;
        let found = self.run(s, p)?;
        if found.is_none() {
            self.level -= 1;
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize) -> Tried {
        let open = self.captures[..self.level]
            .iter()
            .rposition(|(_, length)| *length == Length::Open)
            .ok_or("invalid pattern capture")?;
        self.captures[open].1 = Length::Bytes(s - self.captures[open].0);
        let found = self.run(s, p)?;
        if found.is_none() {
            self.captures[open].1 = Length::Open;
        }
        Ok(found)
    }

    /// `%bxy`.
    fn balance(&self, s: usize, p: usize) -> Tried {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err("malformed pattern (missing arguments to '%b')".into());
        };
        if self.subject.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut nested = 1;
        for (at, &byte) in self.subject.iter().enumerate().skip(s + 1) {
            self.step()?;
            if byte == close {
                nested -= 1;
                if nested == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                nested += 1;
            }
        }
        Ok(None)
    }

    /// `%1`: the same bytes again.
    fn again(&self, s: usize, digit: u8) -> Tried {
        let number = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let (from, length) = match self.captures[..self.level].get(number) {
            Some(&(from, Length::Bytes(length))) => (from, length),
            _ => return Err(format!("invalid capture index %{}", number.wrapping_add(1))),
        };
        for _ in 0..length / 64 {
            self.step()?;
        }
        let is_same = self.subject[s..].starts_with(&self.subject[from..from + length]);
        Ok(is_same.then_some(s + length))
    }

    fn result(&self) -> Result<Vec<Capture>, String> {
        self.captures[..self.level]
            .iter()
            .map(|&(from, length)| match length {
                Length::Open => Err("unfinished capture".into()),
                Length::Position => Ok(Capture::Position(from)),
                Length::Bytes(length) => Ok(Capture::Text(from, from + length)),
            })
            .collect()
    }
}

/// Whether a byte is of the class `%letter`; an upper-case letter is its complement. In the C locale.
fn is_class(byte: u8, letter: u8) -> bool {
    let is_in = match letter.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        // Rust's white space leaves out the vertical tab.
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => return letter == byte,
    };
    is_in != letter.is_ascii_uppercase()
}
