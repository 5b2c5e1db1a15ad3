//! Frames of HTTP/2 (RFC 9113 s4, s6).

use crate::proto::Guess;

/// Length, type, flags and stream.
pub(super) const HEADER: usize = 9;
/// Largest payload, if the receiver did not allow more (RFC 9113 s6.5.2).
const USUAL: usize = 16_384;

/// A frame's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Of the payload, in bytes.
    pub(super) length: usize,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

/// Frame types (RFC 9113 s11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    Reset,
    Settings,
    Push,
    Ping,
    GoAway,
    Window,
    Continuation,
    /// An extension's.
    Other,
}

pub(super) mod flag {
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

impl Frame {
    /// The header at the front of `bytes`, if it is there.
    pub(super) fn read(bytes: &[u8]) -> Option<Frame> {
        let [high, middle, low, kind, flags, stream @ ..] = bytes.first_chunk::<HEADER>()?;
        Some(Frame {
            length: u32::from_be_bytes([0, *high, *middle, *low]) as usize,
            kind: match kind {
                0 => Kind::Data,
                1 => Kind::Headers,
                2 => Kind::Priority,
                3 => Kind::Reset,
                4 => Kind::Settings,
                5 => Kind::Push,
                6 => Kind::Ping,
                7 => Kind::GoAway,
                8 => Kind::Window,
                9 => Kind::Continuation,
                _ => Kind::Other,
            },
            flags: *flags,
            // The highest bit is reserved.
            stream: u32::from_be_bytes(*stream) & 0x7fff_ffff,
        })
    }

    /// With its header.
    pub(super) fn whole(&self) -> usize {
        HEADER + self.length
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether length and stream are what the type asks for.
    pub(super) fn is_valid(&self) -> bool {
        let has_stream = self.stream != 0;
        match self.kind {
            Kind::Data | Kind::Headers | Kind::Push | Kind::Continuation => has_stream,
            Kind::Priority => has_stream && self.length == 5,
            Kind::Reset => has_stream && self.length == 4,
            Kind::Settings if self.has(flag::ACK) => !has_stream && self.length == 0,
            Kind::Settings => !has_stream && self.length.is_multiple_of(6),
            Kind::Ping => !has_stream && self.length == 8,
            Kind::GoAway => !has_stream && self.length >= 8,
            Kind::Window => self.length == 4,
            Kind::Other => self.length <= USUAL,
        }
    }

    /// The fragment of a field block, without padding and what stands before it.
    pub(super) fn fragment<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = payload;
        if matches!(self.kind, Kind::Headers | Kind::Push) && self.has(flag::PADDED) {
            let (padding, after) = rest.split_first()?;
            rest = after.get(..after.len().checked_sub(usize::from(*padding))?)?;
        }
        match self.kind {
            Kind::Headers if self.has(flag::PRIORITY) => rest.get(5..),
            Kind::Push => rest.get(4..),
            _ => Some(rest),
        }
    }

    /// What a receiver never sees of a well-behaved sender, though it may not be an error: for [`probe`].
    fn is_usual(&self) -> bool {
        let flags = match self.kind {
            Kind::Data => flag::END_STREAM | flag::PADDED,
            Kind::Headers => flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            Kind::Push => flag::END_HEADERS | flag::PADDED,
            Kind::Settings | Kind::Ping => flag::ACK,
            Kind::Continuation => flag::END_HEADERS,
            Kind::Priority | Kind::Reset | Kind::GoAway | Kind::Window => 0,
            Kind::Other => return false,
        };
        self.is_valid() && self.length <= USUAL && self.flags & !flags == 0
    }
}

/// Whether frames begin here: all that are there must be usual, and among them one that nothing else looks like, or two.
/// `is_beginning` tells whether a field block can be a message's first.
pub(super) fn probe(bytes: &[u8], is_beginning: impl Fn(&[u8]) -> bool) -> Guess {
    let mut rest = bytes;
    let (mut count, mut is_sure) = (0, false);
    while let Some(frame) = Frame::read(rest) {
        // The reserved bit is checked here only.
        if !frame.is_usual() || rest.get(5).is_some_and(|byte| byte & 0x80 != 0) {
            return Guess::No;
        }
        let Some((whole, after)) = rest.split_at_checked(frame.whole()) else {
            break;
        };
        let payload = whole.get(HEADER..).unwrap_or_default();
        match frame.kind {
            Kind::Headers => {
                let begins = frame.has(flag::END_HEADERS)
                    && frame.fragment(payload).is_some_and(&is_beginning);
                if !begins && count == 0 {
                    return Guess::No;
                }
                is_sure |= begins;
            }
            // Identifiers in use are small, or chosen to be ignored (RFC 8701 style: 0x?a?a).
            Kind::Settings => {
                let (settings, _) = payload.as_chunks::<6>();
                let is_known = |id: &[u8; 6]| id[0] == 0 && id[1] <= 16 || id[0] & id[1] & 15 == 10;
                if !settings.iter().all(is_known) {
                    return Guess::No;
                }
                is_sure = true;
            }
            Kind::Window => is_sure |= payload != [0; 4],
            Kind::Ping | Kind::Reset | Kind::Priority | Kind::GoAway => is_sure = true,
            Kind::Data | Kind::Push | Kind::Continuation | Kind::Other => {}
        }
        count += 1;
        rest = after;
    }
    match count {
        // A beginning that may become one; larger frames are not waited for.
        0 if bytes.len() < HEADER => match bytes {
            [] | [0] | [0, 0..=USUAL_HIGH] => Guess::Maybe,
            [0, 0..=USUAL_HIGH, _, 1 | 4, ..] | [0, 0..=USUAL_HIGH, _] => Guess::Maybe,
            _ => Guess::No,
        },
        0 => match Frame::read(bytes) {
            Some(frame) if matches!(frame.kind, Kind::Settings | Kind::Headers) => Guess::Maybe,
            _ => Guess::No,
        },
        1 if !is_sure => Guess::No,
        _ => Guess::Yes,
    }
}

/// The middle byte of [`USUAL`] as a length.
const USUAL_HIGH: u8 = (USUAL >> 8) as u8;
