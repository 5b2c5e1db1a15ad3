//! JSON Lines (jsonlines.org, RFC 8259): one compact object per record, `kind` first, absent fields
//! left out.
//!
//! Knows no record kind. Made for speed: JSON through `write!` was more than half of all time. A
//! field is one bounds check, its name a copy of constant length, its value digits in a fixed
//! array.

use std::net::IpAddr;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{Span, Timestamp};

use crate::digits;
use crate::fields::Fields;
use crate::rfc3339::{self, Rfc3339};

/// Encodes records as lines into one buffer, which the caller takes and clears.
#[derive(Debug, Default)]
pub struct Jsonl {
    /// Zeroed or written; the text is `..len`. Keeps its size, so that a steady run does not
    /// allocate.
    buffer: Vec<u8>,
    len: usize,
    clock: Rfc3339,
}

impl Jsonl {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one record and its newline.
    pub fn encode<R: Record>(&mut self, record: &R) {
        let mut line = Line {
            buffer: &mut self.buffer,
            at: self.len,
            clock: &mut self.clock,
        };
        line.put(b"{\"kind\":\"");
        line.put(R::KIND.as_bytes());
        line.put(b"\"");
        record.visit(&mut line);
        line.put(b"}\n");
        self.len = line.at;
    }

    /// The same with whose it is: `{"host":"...","kind":...`.
    pub fn encode_hosted<R: Record>(&mut self, host: &str, record: &R) {
        let mut line = Line {
            buffer: &mut self.buffer,
            at: self.len,
            clock: &mut self.clock,
        };
        line.put(b"{\"host\":");
        line.string(host);
        line.put(b",\"kind\":\"");
        line.put(R::KIND.as_bytes());
        line.put(b"\"");
        record.visit(&mut line);
        line.put(b"}\n");
        self.len = line.at;
    }

    /// The same of a line that was encoded, from behind its opening brace on.
    #[cfg(feature = "parquet")]
    pub(crate) fn continue_hosted(&mut self, host: &str, rest: &[u8]) {
        let mut line = Line {
            buffer: &mut self.buffer,
            at: self.len,
            clock: &mut self.clock,
        };
        line.put(b"{\"host\":");
        line.string(host);
        line.put(b",");
        line.put(rest);
        line.put(b"\n");
        self.len = line.at;
    }

    /// The same of some of its fields.
    pub fn encode_fields<R: Record>(&mut self, record: &R, fields: &Fields) {
        let mut line = Line {
            buffer: &mut self.buffer,
            at: self.len,
            clock: &mut self.clock,
        };
        line.put(b"{\"kind\":\"");
        line.put(R::KIND.as_bytes());
        line.put(b"\"");
        fields.visit(record, &mut line);
        line.put(b"}\n");
        self.len = line.at;
    }

    /// The lines since the last [`clear`](Self::clear).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Forgets the lines and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

/// One line in the making.
struct Line<'a> {
    buffer: &'a mut Vec<u8>,
    at: usize,
    clock: &'a mut Rfc3339,
}

impl Line<'_> {
    /// Writes `,"name":` and returns an array of `N` bytes after it; the caller writes some of them
    /// and then advances `at` by as many.
    #[inline(always)]
    fn name<const N: usize>(&mut self, field: &'static Field) -> &mut [u8; N] {
        let name = field.json.as_bytes();
        self.room(name.len() + N);
        let rest = &mut self.buffer[self.at..];
        rest[..name.len()].copy_from_slice(name);
        self.at += name.len();
        rest[name.len()..]
            .first_chunk_mut()
            .expect("room() was asked for the name and N bytes")
    }

    /// Makes the buffer `more` bytes longer than the text.
    #[inline(always)]
    fn room(&mut self, more: usize) {
        if self.buffer.len() - self.at < more {
            grow(self.buffer, more);
        }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        self.buffer[self.at..][..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    #[inline]
    fn number(&mut self, value: u64) {
        self.room(digits::DECIMAL);
        if let Some(out) = self.buffer[self.at..].first_chunk_mut() {
            self.at += digits::decimal(out, value);
        }
    }

    /// `"text"`, escaped.
    fn string(&mut self, text: &str) {
        self.put(b"\"");
        let mut rest = text.as_bytes();
        while let Some(n) = rest
            .iter()
            .position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\')
        {
            self.put(&rest[..n]);
            match rest[n] {
                b'"' => self.put(b"\\\""),
                b'\\' => self.put(b"\\\\"),
                b'\n' => self.put(b"\\n"),
                b'\r' => self.put(b"\\r"),
                b'\t' => self.put(b"\\t"),
                control => {
                    self.put(b"\\u00");
                    self.put(&digits::hex_pair(control));
                }
            }
            rest = &rest[n + 1..];
        }
        self.put(rest);
        self.put(b"\"");
    }
}

#[cold]
#[inline(never)]
fn grow(buffer: &mut Vec<u8>, more: usize) {
    let len = (buffer.len() + more).max(64 * 1024).max(2 * buffer.len());
    buffer.resize(len, 0);
}

/// Absent fields are left out. `inline(always)`: in each place the name is a constant, and so is
/// the length to copy; without it LLVM outlines the methods and the copies become calls of memcpy.
impl Visitor for Line<'_> {
    #[inline(always)]
    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        let Some(value) = value else { return };
        self.at += digits::decimal(self.name(field), value);
    }

    #[inline(always)]
    fn span(&mut self, field: &'static Field, value: Option<Span>) {
        let Some(value) = value else { return };
        self.at += digits::micros(self.name(field), value);
    }

    #[inline(always)]
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        let Some(value) = value else { return };
        let mut text = [b'"'; rfc3339::LENGTH + 2];
        if let Some(out) = text[1..].first_chunk_mut() {
            self.clock.write(out, value);
        }
        *self.name(field) = text;
        self.at += text.len();
    }

    #[inline(always)]
    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        let Some(value) = value else { return };
        let out: &mut [u8; digits::IP + 2] = self.name(field);
        out[0] = b'"';
        let len = out[1..]
            .first_chunk_mut()
            .map_or(0, |out| digits::ip(out, value));
        out[1 + len] = b'"';
        self.at += len + 2;
    }

    #[inline(always)]
    fn word(&mut self, field: &'static Field, value: Option<&'static str>) {
        let Some(value) = value else { return };
        if value.len() > digits::WORD {
            self.put(field.json.as_bytes());
            self.string(value);
            return;
        }
        self.at += digits::quoted(self.name(field), value);
    }

    #[inline(always)]
    fn flag(&mut self, field: &'static Field, value: Option<bool>) {
        let Some(value) = value else { return };
        let out: &mut [u8; 5] = self.name(field);
        if value {
            out[..4].copy_from_slice(b"true");
        } else {
            *out = *b"false";
        }
        self.at += 5 - usize::from(value);
    }

    #[inline]
    fn text(&mut self, field: &'static Field, value: Option<&str>) {
        let Some(value) = value else { return };
        self.put(field.json.as_bytes());
        self.string(value);
    }

    #[inline(always)]
    fn id(&mut self, field: &'static Field, value: Option<ConnectionId>) {
        let Some(value) = value else { return };
        let out: &mut [u8; digits::ID + 2] = self.name(field);
        out[0] = b'"';
        if let Some(out) = out[1..].first_chunk_mut() {
            digits::id(out, value);
        }
        out[digits::ID + 1] = b'"';
        self.at += digits::ID + 2;
    }

    fn counts(&mut self, field: &'static Field, value: &[(&'static str, u64)]) {
        for (n, &(reason, count)) in value.iter().enumerate() {
            if n == 0 {
                self.put(field.json.as_bytes());
                self.put(b"{");
            } else {
                self.put(b",");
            }
            self.string(reason);
            self.put(b":");
            self.number(count);
        }
        if !value.is_empty() {
            self.put(b"}");
        }
    }

    fn list(&mut self, field: &'static Field, value: &[u64]) {
        for (n, &number) in value.iter().enumerate() {
            if n == 0 {
                self.put(field.json.as_bytes());
                self.put(b"[");
            } else {
                self.put(b",");
            }
            self.number(number);
        }
        if !value.is_empty() {
            self.put(b"]");
        }
    }

    fn frames(&mut self, field: &'static Field, value: &[FirstFrame]) {
        for (n, frame) in value.iter().enumerate() {
            if n == 0 {
                self.put(field.json.as_bytes());
                self.put(b"[");
            } else {
                self.put(b",");
            }
            self.put(b"{\"threshold_bytes\":");
            self.number(frame.threshold_bytes);
            if let Some(bytes) = frame.bytes {
                self.put(b",\"bytes\":");
                self.number(bytes);
            }
            if let Some(us) = frame.us {
                self.put(b",\"us\":");
                self.number(us);
            }
            self.put(b"}");
        }
        if !value.is_empty() {
            self.put(b"]");
        }
    }
}
