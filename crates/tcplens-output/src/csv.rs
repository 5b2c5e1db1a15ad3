//! CSV (RFC 4180, but lines end in `\n`): the fields as declared, `kind` first, absent is empty.
//!
//! Kinds have different columns. When several go to one output, each kind's header is printed
//! before its first record, and the first column tells which header a line belongs to; for one
//! table per file select one kind. `counts` is `reason=n;reason=n`, a `list` is `n;n`,
//! first frames are `threshold:bytes:us`, with nothing between the colons where the response did not get so far.

use std::net::IpAddr;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{Span, Timestamp};

use crate::digits;
use crate::fields::Fields;
use crate::rfc3339::{self, Rfc3339};

/// Encodes records as CSV lines into one buffer, which the caller takes and clears.
#[derive(Debug, Default)]
pub struct Csv {
    buffer: Vec<u8>,
    /// Kinds whose header was printed.
    headed: Vec<&'static str>,
    clock: Rfc3339,
}

impl Csv {
    /// An empty buffer; no header printed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one record as a line, after its kind's header if it is the first.
    pub fn encode<R: Record>(&mut self, record: &R) {
        self.head::<R>(|each| R::fields(each));
        record.visit(&mut self.line());
        self.buffer.push(b'\n');
    }

    /// The same of some of its fields. All records of a kind need the same ones.
    pub fn encode_fields<R: Record>(&mut self, record: &R, fields: &Fields) {
        self.head::<R>(|each| fields.of::<R>().into_iter().for_each(each));
        fields.visit(record, &mut self.line());
        self.buffer.push(b'\n');
    }

    /// The kind's header if it is the first record of it, and the line's first column.
    fn head<R: Record>(&mut self, fields: impl FnOnce(&mut dyn FnMut(&'static Field))) {
        if !self.headed.contains(&R::KIND) {
            self.headed.push(R::KIND);
            self.buffer.extend_from_slice(b"kind");
            fields(&mut |field| {
                self.buffer.push(b',');
                quote(&mut self.buffer, field.name);
            });
            self.buffer.push(b'\n');
        }
        self.buffer.extend_from_slice(R::KIND.as_bytes());
    }

    fn line(&mut self) -> Line<'_> {
        Line {
            buffer: &mut self.buffer,
            clock: &mut self.clock,
        }
    }

    /// Prints the headers again: a new file begins.
    pub fn forget_headers(&mut self) {
        self.headed.clear();
    }

    /// The lines since the last [`clear`](Self::clear).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets the lines and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }
}

/// Appends `text`, quoted if it holds a comma, a quote or a line end, or blanks at an end that
/// readers trim.
pub(crate) fn quote(buffer: &mut Vec<u8>, text: &str) {
    let special = |byte: u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !text.bytes().any(special) && !text.starts_with(' ') && !text.ends_with(' ') {
        buffer.extend_from_slice(text.as_bytes());
        return;
    }
    buffer.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            buffer.push(b'"');
        }
        buffer.push(byte);
    }
    buffer.push(b'"');
}

struct Line<'a> {
    buffer: &'a mut Vec<u8>,
    clock: &'a mut Rfc3339,
}

impl Line<'_> {
    fn decimal(&mut self, value: u64) {
        let mut out = [0; digits::DECIMAL];
        let len = digits::decimal(&mut out, value);
        self.buffer.extend_from_slice(&out[..len]);
    }
}

/// Every field is a comma and its value; absent is the comma alone.
impl Visitor for Line<'_> {
    #[inline]
    fn count(&mut self, _: &'static Field, value: Option<u64>) {
        self.buffer.push(b',');
        if let Some(value) = value {
            self.decimal(value);
        }
    }

    #[inline]
    fn span(&mut self, _: &'static Field, value: Option<Span>) {
        self.buffer.push(b',');
        if let Some(value) = value {
            let mut out = [0; digits::MICROS];
            let len = digits::micros(&mut out, value);
            self.buffer.extend_from_slice(&out[..len]);
        }
    }

    fn time(&mut self, _: &'static Field, value: Option<Timestamp>) {
        self.buffer.push(b',');
        if let Some(value) = value {
            let mut out = [0; rfc3339::LENGTH];
            self.clock.write(&mut out, value);
            self.buffer.extend_from_slice(&out);
        }
    }

    fn ip(&mut self, _: &'static Field, value: Option<IpAddr>) {
        self.buffer.push(b',');
        if let Some(value) = value {
            let mut out = [0; digits::IP];
            let len = digits::ip(&mut out, value);
            self.buffer.extend_from_slice(&out[..len]);
        }
    }

    #[inline]
    fn word(&mut self, _: &'static Field, value: Option<&'static str>) {
        self.buffer.push(b',');
        self.buffer
            .extend_from_slice(value.unwrap_or_default().as_bytes());
    }

    #[inline]
    fn flag(&mut self, _: &'static Field, value: Option<bool>) {
        self.buffer.extend_from_slice(match value {
            Some(true) => b",true",
            Some(false) => b",false",
            None => b",",
        });
    }

    fn text(&mut self, _: &'static Field, value: Option<&str>) {
        self.buffer.push(b',');
        match value {
            Some("") => self.buffer.extend_from_slice(b"\"\""),
            Some(text) => quote(self.buffer, text),
            None => {}
        }
    }

    fn id(&mut self, _: &'static Field, value: Option<ConnectionId>) {
        self.buffer.push(b',');
        if let Some(value) = value {
            let mut out = [0; digits::ID];
            digits::id(&mut out, value);
            self.buffer.extend_from_slice(&out);
        }
    }

    fn counts(&mut self, _: &'static Field, value: &[(&'static str, u64)]) {
        self.buffer.push(b',');
        for (n, &(reason, count)) in value.iter().enumerate() {
            if n > 0 {
                self.buffer.push(b';');
            }
            self.buffer.extend_from_slice(reason.as_bytes());
            self.buffer.push(b'=');
            self.decimal(count);
        }
    }

    fn list(&mut self, _: &'static Field, value: &[u64]) {
        self.buffer.push(b',');
        for (n, &number) in value.iter().enumerate() {
            if n > 0 {
                self.buffer.push(b';');
            }
            self.decimal(number);
        }
    }

    fn frames(&mut self, _: &'static Field, value: &[FirstFrame]) {
        self.buffer.push(b',');
        for (n, frame) in value.iter().enumerate() {
            if n > 0 {
                self.buffer.push(b';');
            }
            self.decimal(frame.threshold_bytes);
            for value in [frame.bytes, frame.us] {
                self.buffer.push(b':');
                if let Some(value) = value {
                    self.decimal(value);
                }
            }
        }
    }
}
