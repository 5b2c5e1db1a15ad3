//! Reads archives of every generation: compressed or not, with times in UTC or not, with metadata in a line of its own, in
//! one with a record, or not at all; with keys that came later. Raw netlink as well. What cannot be read is counted and
//! passed over, and an end that was torn off (a frame that was being written when its writer was killed) is told.

use std::io::{self, Cursor, ErrorKind, Read};
use std::mem;
use std::ops::Range;

use tcplens_core::socket::Message;
use tcplens_core::socket::message::HEAD;

use super::line::{Final, Line, Metadata};
use super::raw;
use super::stamp::Stamp;
use parse::{Found, parse};

mod parse;
mod record;

/// Longest line that is read; longer ones are counted as bad. (tcp-info's own reader ends at 64 KiB, without a word.)
pub const LONGEST_LINE: usize = 16 << 20;

/// Bytes read at once.
const BLOCK: usize = 64 << 10;

/// How a frame of zstd begins.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How a member of gzip begins (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A line, or a raw message.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When; absent in raw messages and in lines of metadata alone.
    pub at: Stamp,
    /// Whose the segment is that begins here.
    pub metadata: Option<Metadata>,
    /// What the kernel said.
    pub message: Option<Message<'a>>,
    /// Places of the array of attributes as it stood there.
    pub places: usize,
    /// The connection is over.
    pub ended: Option<Final>,
}

impl Entry<'_> {
    /// The same line, to be written.
    #[must_use]
    pub fn line(&self) -> Line<'_> {
        Line {
            at: self.at,
            message: self.message,
            places: self.places,
            metadata: self.metadata.as_ref(),
            ended: self.ended.as_ref(),
        }
    }
}

/// What could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Lines, or raw messages.
    pub lines: u64,
    /// The input ended within a line, a message or a compressed frame, or could not be decompressed further.
    pub is_torn: bool,
    /// The first of all this, and why: `line 7: no JSON object`.
    pub first: Option<String>,
}

impl Damage {
    /// Nothing was lost.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.lines == 0 && !self.is_torn
    }
}

/// Reads one archive.
pub struct Reader {
    source: Box<dyn Read>,
    buffer: Vec<u8>,
    /// Of the buffer what is not read yet begins here.
    start: usize,
    is_raw: bool,
    is_over: bool,
    /// Number of the line that was read last.
    line: u64,
    damage: Damage,
    /// What the last line said, `message` filled.
    found: Found,
    message: Vec<u8>,
    /// Of the record read last: its segment's metadata is told once.
    segment: Option<(String, u32)>,
    /// A record that comes behind the metadata of its segment.
    deferred: Option<Found>,
}

impl Reader {
    /// Reads from what begins here; whether it is compressed shows.
    ///
    /// # Errors
    /// Its first bytes cannot be read.
    pub fn new(mut source: impl Read + 'static) -> io::Result<Reader> {
        let mut first = Vec::new();
        source.by_ref().take(4).read_to_end(&mut first)?;
        let (is_zstd, is_gzip) = (first == ZSTD, first.starts_with(&GZIP));
        let whole = Cursor::new(first).chain(source);
        let source: Box<dyn Read> = match (is_zstd, is_gzip) {
            (true, _) => Box::new(zstd::Decoder::new(whole)?),
            (_, true) => Box::new(flate2::read::MultiGzDecoder::new(whole)),
            (false, false) => Box::new(whole),
        };
        let mut reader = Reader {
            source,
            buffer: Vec::new(),
            start: 0,
            is_raw: false,
            is_over: false,
            line: 0,
            damage: Damage::default(),
            found: Found::default(),
            message: Vec::new(),
            segment: None,
            deferred: None,
        };
        while reader.buffer.len() < raw::HEADER && !reader.is_over {
            reader.fill()?;
        }
        reader.is_raw = raw::is_raw(&reader.buffer);
        Ok(reader)
    }

    /// What comes next that can be read; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read; a damaged one can.
    #[expect(
        clippy::should_implement_trait,
        reason = "an entry borrows the reader's buffer, which no Iterator can lend"
    )]
    pub fn next(&mut self) -> io::Result<Option<Entry<'_>>> {
        loop {
            if let Some(deferred) = self.deferred.take() {
                self.found = deferred;
                break;
            }
            let is_found = if self.is_raw {
                self.next_message()?
            } else {
                self.next_line()?
            };
            match is_found {
                Some(true) => break,
                Some(false) => {}
                None => return Ok(None),
            }
        }
        let found = mem::take(&mut self.found);
        Ok(Some(Entry {
            at: found.at,
            metadata: found.metadata,
            message: Message::new(&self.message).filter(|_| found.has_message),
            places: found.places,
            ended: found.ended,
        }))
    }

    /// What could not be read so far.
    #[must_use]
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Whether this is raw netlink.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// Takes a line; `None`: there is none, `false`: it says nothing.
    fn next_line(&mut self) -> io::Result<Option<bool>> {
        let Some((range, is_whole)) = self.take_line()? else {
            return Ok(None);
        };
        let text = &self.buffer[range];
        let is_record = record::is_record(text);
        if text.trim_ascii().is_empty() {
            return Ok(Some(false));
        }
        match parse(text, &mut self.message) {
            Ok(found) => {
                self.found = found;
                if is_record {
                    self.segment_of_record();
                }
                Ok(Some(true))
            }
            // What a torn frame leaves of its last line, or who was killed of a line.
            Err(_) if !is_whole => {
                self.torn("the input ends within a line");
                Ok(Some(false))
            }
            Err(why) => {
                self.bad(why);
                Ok(Some(false))
            }
        }
    }

    /// Records repeat what an archive says once: whose they are.
    fn segment_of_record(&mut self) {
        let Some(metadata) = self.found.metadata.take() else {
            self.segment = None;
            return;
        };
        let segment = (metadata.uuid.clone(), metadata.sequence);
        if self.segment.as_ref() == Some(&segment) {
            return;
        }
        self.segment = Some(segment);
        let head = Found {
            metadata: Some(metadata),
            ..Found::default()
        };
        self.deferred = Some(mem::replace(&mut self.found, head));
    }

    /// Where the next line is, without its end, and whether it had one.
    fn take_line(&mut self) -> io::Result<Option<(Range<usize>, bool)>> {
        let mut scanned = 0;
        let mut is_too_long = false;
        loop {
            let rest = &self.buffer[self.start..];
            let end = rest[scanned..].iter().position(|&byte| byte == b'\n');
            if let Some(end) = end {
                let range = self.start..self.start + scanned + end;
                self.start = range.end + 1;
                self.line += 1;
                if is_too_long || range.len() > LONGEST_LINE {
                    self.bad("longer than 16 MiB");
                    (scanned, is_too_long) = (0, false);
                    continue;
                }
                return Ok(Some((range, true)));
            }
            scanned = rest.len();
            if scanned > LONGEST_LINE {
                is_too_long = true;
            }
            if is_too_long {
                // Only its end matters.
                self.start = self.buffer.len();
                scanned = 0;
            }
            if self.is_over {
                let range = self.start..self.buffer.len();
                self.start = range.end;
                self.line += 1;
                if is_too_long {
                    self.bad("longer than 16 MiB");
                    return Ok(None);
                }
                return Ok((!range.is_empty()).then_some((range, false)));
            }
            self.fill()?;
        }
    }

    /// Takes a raw message; as [`next_line`](Self::next_line).
    fn next_message(&mut self) -> io::Result<Option<bool>> {
        while self.buffer.len() - self.start < raw::HEADER && !self.is_over {
            self.fill()?;
        }
        let rest = &self.buffer[self.start..];
        if rest.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let Some(header) = raw::header(rest) else {
            self.torn("the input ends within a header");
            self.start = self.buffer.len();
            return Ok(None);
        };
        if !(raw::HEADER..=LONGEST_LINE).contains(&header.length) {
            // Where the next one begins is not known.
            self.bad("a length that no message has; the rest is not read");
            (self.start, self.is_over) = (self.buffer.len(), true);
            return Ok(None);
        }
        while self.buffer.len() - self.start < header.length && !self.is_over {
            self.fill()?;
        }
        let rest = &self.buffer[self.start..];
        let Some(message) = rest.get(raw::HEADER..header.length) else {
            self.torn("the input ends within a message");
            self.start = self.buffer.len();
            return Ok(None);
        };
        self.start += header.length;
        if !header.is_socket {
            return Ok(Some(false));
        }
        if message.len() < HEAD {
            self.bad("shorter than 72 bytes");
            return Ok(Some(false));
        }
        self.message.clear();
        self.message.extend_from_slice(message);
        self.found = Found {
            has_message: true,
            // tcp-info's array has a place even if there is no attribute.
            places: 1,
            ..Found::default()
        };
        Ok(Some(true))
    }

    /// Reads a block more, or notices the end.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let length = self.buffer.len();
        self.buffer.resize(length + BLOCK, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.is_over = true,
            Ok(_) => {}
            // The operating system's own.
            Err(error) if error.raw_os_error().is_some() => return Err(error),
            Err(error) => {
                self.is_over = true;
                self.torn(&format!("cannot be decompressed further ({error})"));
            }
        }
        Ok(())
    }

    fn bad(&mut self, why: &str) {
        self.damage.lines += 1;
        self.tell(why);
    }

    fn torn(&mut self, why: &str) {
        self.damage.is_torn = true;
        self.tell(why);
    }

    fn tell(&mut self, why: &str) {
        let what = if self.is_raw { "message" } else { "line" };
        let line = self.line;
        self.damage
            .first
            .get_or_insert_with(|| format!("{what} {line}: {why}"));
    }
}
