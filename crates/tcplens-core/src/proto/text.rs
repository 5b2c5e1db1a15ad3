//! What a parser says in words: operation, summary, status text, answers; one printable line each, bounded.
//!
//! Bytes that are not printable ASCII or valid UTF-8 are escaped as `\xNN` (`\n`, `\r`, `\t` by their letters), and the
//! backslash as `\\`, so that nothing read off the wire can move a terminal's cursor or break a line.

use std::fmt::Write;
use std::net::IpAddr;
use std::ops::Range;

/// Longest operation, in bytes. Chosen: the longest names of any protocol's commands fit.
const OPERATION: usize = 64;
/// Longest status text, in bytes. Chosen: what one line can show.
const STATUS_TEXT: usize = 128;
/// Longest list of addresses that a name server answered, in bytes. Chosen: what fits in a datagram of 512 bytes, 28 of IPv4
/// or 15 of IPv6, nearly always has room in it.
const ANSWERS: usize = 512;
/// Begins the addresses behind a status text, where else no control character stands.
pub(crate) const ANSWERS_BEGIN: char = '\0';
/// Longest address in words, in bytes: all of IPv6 in hexadecimal digits, 39, and what stands before it.
const ADDRESS: usize = 40;

/// Where the words of the unit that is being read go.
pub struct Texts<'a> {
    arena: &'a mut Vec<u8>,
    summary_limit: usize,
    /// Bytes of the arena that hold the operation, if one was said.
    pub operation: Range<u32>,
    /// The summary's.
    pub summary: Range<u32>,
    /// The status text's, with the answers behind it.
    pub status_text: Range<u32>,
}

impl<'a> Texts<'a> {
    /// Words are appended to `arena`; a summary is at most `summary_limit` bytes long.
    #[must_use]
    pub fn new(arena: &'a mut Vec<u8>, summary_limit: usize) -> Texts<'a> {
        Texts {
            arena,
            summary_limit,
            operation: 0..0,
            summary: 0..0,
            status_text: 0..0,
        }
    }

    /// The most that a summary shows: a parser that has this many bytes of something long need not wait for the rest.
    #[must_use]
    pub fn summary_limit(&self) -> usize {
        self.summary_limit
    }

    /// The verb: `GET`, `COM_QUERY`, `A`. Escaped, cut at 64 bytes.
    pub fn operation(&mut self, bytes: &[u8]) {
        self.operation = self.write(OPERATION, |line| line.bytes(bytes));
    }

    /// The verb in upper case.
    pub fn operation_upper(&mut self, bytes: &[u8]) {
        self.operation(bytes);
        let Range { start, end } = self.operation;
        if let Some(word) = self.arena.get_mut(start as usize..end as usize) {
            word.make_ascii_uppercase();
        }
    }

    /// The verb, ASCII letters in upper case, is what the summary begins with: its bytes there are it, unless the summary
    /// was cut before the verb is.
    pub fn operation_begins_summary(&mut self, verb: &[u8]) {
        let Range { start, end } = self.summary;
        let length = verb.len().min(OPERATION) as u32;
        if end - start >= length {
            self.operation = start..start + length;
        } else {
            self.operation(verb);
        }
    }

    /// One line that says what is asked for; cut at `--summary-bytes`.
    pub fn summary(&mut self, write: impl FnOnce(&mut Line<'_>)) {
        self.summary = self.write(self.summary_limit, write);
    }

    /// What the response says of itself in words: `-ERR unknown command`, `Not Found`. Cut at 128 bytes.
    pub fn status_text(&mut self, write: impl FnOnce(&mut Line<'_>)) {
        self.status_text = self.write(STATUS_TEXT, write);
    }

    /// Addresses that a name stands for, behind the status text that was said just before, and with a blank between them; those
    /// that do not fit in 512 bytes are left out. They share its range, so that requests of other protocols cost no more.
    pub fn answers(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        let mut separator = ANSWERS_BEGIN;
        let said = self.write(ANSWERS, |line| {
            for ip in addresses {
                let mut piece = Piece {
                    bytes: [0; ADDRESS],
                    length: 0,
                };
                // The longest address fits.
                let _ = write!(piece, "{separator}{ip}");
                line.whole(piece.bytes.get(..piece.length).unwrap_or_default());
                separator = ' ';
            }
        });
        debug_assert!(
            said.start == self.status_text.end,
            "status text comes first"
        );
        self.status_text.end = said.end;
    }

    /// Operation and summary that were said elsewhere.
    pub(crate) fn again(&mut self, operation: &[u8], summary: &[u8]) {
        let mut copy = |bytes: &[u8]| {
            let start = self.arena.len() as u32;
            self.arena.extend_from_slice(bytes);
            start..self.arena.len() as u32
        };
        (self.operation, self.summary) = (copy(operation), copy(summary));
    }

    fn write(&mut self, limit: usize, write: impl FnOnce(&mut Line<'_>)) -> Range<u32> {
        let start = self.arena.len();
        write(&mut Line {
            out: self.arena,
            end: start + limit,
        });
        start as u32..self.arena.len() as u32
    }
}

/// One line being written; what does not fit is left out.
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Line<'_> {
    /// Bytes off the wire, escaped.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        // The usual case in one copy; more than fits need not be looked at.
        let room = self.end.saturating_sub(self.out.len());
        let bytes = bytes.get(..room).unwrap_or(bytes);
        if is_plain(bytes) {
            self.out.extend_from_slice(bytes);
        } else {
            self.escaped(bytes);
        }
    }

    #[inline(never)]
    fn escaped(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            for letter in chunk.valid().chars() {
                match letter {
                    '\\' => self.piece("\\\\"),
                    '\n' => self.piece("\\n"),
                    '\r' => self.piece("\\r"),
                    '\t' => self.piece("\\t"),
                    c if c.is_control() || is_invisible(c) => {
                        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                            self.hex(byte);
                        }
                    }
                    c => self.piece(c.encode_utf8(&mut [0; 4])),
                }
            }
            for byte in chunk.invalid() {
                self.hex(*byte);
            }
        }
    }

    fn hex(&mut self, byte: u8) {
        let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n & 15)]);
        let text = ['\\', 'x', digit(byte >> 4), digit(byte)];
        let mut piece = [0; 4];
        for (to, from) in piece.iter_mut().zip(text) {
            // All four are ASCII.
            *to = from as u8;
        }
        self.whole(&piece);
    }

    /// A number.
    pub fn number(&mut self, n: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = n;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.whole(&digits[at..]);
    }

    /// Words of the program's own: printable, not escaped.
    pub fn piece(&mut self, text: &str) {
        self.whole(text.as_bytes());
    }

    /// A blank.
    pub fn blank(&mut self) {
        self.whole(b" ");
    }

    /// Whether nothing more fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.out.len() >= self.end
    }

    /// All of it or none: an escape or a letter is never cut in two. What comes after something left out is left out too.
    fn whole(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() <= self.end {
            self.out.extend_from_slice(bytes);
        } else {
            self.end = self.end.min(self.out.len());
        }
    }
}

/// An address being written: all of it goes to the line, or nothing.
struct Piece {
    bytes: [u8; ADDRESS],
    length: usize,
}

impl Write for Piece {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end);
        room.ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Whether bytes are printable ASCII without a backslash, eight at a time. What follows an odd byte in its eight may count
/// as odd too: then they are looked at one by one, to the same end.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let odd = |word: u64| {
        let below_blank = word.wrapping_sub(b' ' as u64 * ONES) & !word;
        let above_tilde = word.wrapping_add(ONES) | word;
        let no_backslash = word ^ (b'\\' as u64 * ONES);
        let backslash = no_backslash.wrapping_sub(ONES) & !no_backslash;
        (below_blank | above_tilde | backslash) & HIGH
    };
    if let Some(last) = bytes.last_chunk::<8>() {
        // The last eight may be looked at twice.
        let (words, _) = bytes.as_chunks::<8>();
        let words = words.iter().map(|word| odd(u64::from_le_bytes(*word)));
        return words.fold(odd(u64::from_le_bytes(*last)), |all, odd| all | odd) == 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
        return odd(first << 32 | last) == 0;
    }
    let is_odd = |byte: &u8| !matches!(byte, b' '..=b'~') || *byte == b'\\';
    !bytes.iter().any(is_odd)
}

/// Letters that change how others are shown: bidirectional controls, zero-width ones, line separators.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(limit: usize, write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut arena = b"before".to_vec();
        let mut texts = Texts::new(&mut arena, limit);
        texts.summary(write);
        let range = texts.summary.start as usize..texts.summary.end as usize;
        String::from_utf8(arena[range].to_vec()).unwrap()
    }

    #[test]
    fn every_byte_comes_out_printable_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for (length, at) in (1..=20).flat_map(|n| (0..n).map(move |at| (n, at))) {
                let mut bytes = b"0123456789abcdefghij"[..length].to_vec();
                bytes[at] = byte;
                let escaped = match byte {
                    b'\\' => "\\\\".to_owned(),
                    b'\n' => "\\n".to_owned(),
                    b'\r' => "\\r".to_owned(),
                    b'\t' => "\\t".to_owned(),
                    b' '..=b'~' => char::from(byte).to_string(),
                    _ => format!("\\x{byte:02x}"),
                };
                let (before, after) = (
                    "0123456789abcdefghij"[..at].to_owned(),
                    &"0123456789abcdefghij"[at + 1..length],
                );
                assert_eq!(
                    line(128, |line| line.bytes(&bytes)),
                    before + &escaped + after
                );
            }
        }
    }

    #[test]
    fn letters_are_kept_and_those_that_move_others_are_not() {
        assert_eq!(line(128, |line| line.bytes("grün".as_bytes())), "grün");
        assert_eq!(
            line(128, |line| line.bytes("a\u{202e}b".as_bytes())),
            "a\\xe2\\x80\\xaeb"
        );
        assert_eq!(line(128, |line| line.bytes(b"a\xffb\xc3")), "a\\xffb\\xc3");
    }

    #[test]
    fn an_operation_is_whole_however_short_the_summary_is() {
        let long = [b'A'; OPERATION + 1];
        for (verb, limit) in [(&b"GET"[..], 2), (b"GET", 3), (b"GET", 128)]
            .into_iter()
            .chain([1, OPERATION - 1, OPERATION, OPERATION + 1].map(|limit| (&long[..], limit)))
        {
            let mut arena = b"before".to_vec();
            let mut texts = Texts::new(&mut arena, limit);
            texts.summary(|line| line.bytes(verb));
            texts.operation_begins_summary(verb);
            let range = texts.operation.start as usize..texts.operation.end as usize;
            let expected = verb.get(..OPERATION).unwrap_or(verb);
            assert_eq!(&arena[range], expected, "{limit}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        assert_eq!(line(5, |line| line.bytes(b"1234\n")), "1234");
        assert_eq!(line(5, |line| line.bytes(b"1234567")), "12345");
        let written = line(5, |line| {
            line.bytes(b"1234");
            line.piece("long");
            line.piece("x");
        });
        assert_eq!(written, "1234");
    }
}
