//! The layout of MySQL packets. All numbers are little-endian.

/// A payload of this length goes on in the next packet.
pub(super) const LONGEST: usize = 0xff_ffff;
/// Length of a packet's header.
pub(super) const HEADER: usize = 4;

/// Capabilities, of the server's greeting and the client's answer (MySQL "Capabilities Flags").
pub(super) mod capability {
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const COMPRESS: u32 = 1 << 5;
    pub(crate) const PROTOCOL_41: u32 = 1 << 9;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(crate) const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
    pub(crate) const ZSTD: u32 = 1 << 26;
}

/// Server status: another result follows this one.
const MORE_RESULTS: u16 = 0x0008;
/// Server status: the rows wait in a cursor.
const CURSOR_EXISTS: u16 = 0x0040;

/// The header of a packet.
#[derive(Clone, Copy)]
pub(super) struct Header {
    /// Of the payload.
    pub(super) length: usize,
    pub(super) sequence: u8,
}

impl Header {
    /// None: not all of it is there.
    pub(super) fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.first_chunk::<HEADER>()?;
        let [low, middle, high, sequence] = *header;
        Some(Header {
            length: u32::from_le_bytes([low, middle, high, 0]) as usize,
            sequence,
        })
    }

    /// Length of the packet.
    pub(super) fn whole(self) -> usize {
        HEADER + self.length
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// A length-encoded number, and what follows it.
pub(super) fn lenenc(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let width = match first {
        0..=0xfa => return Some((u64::from(*first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        0xfb | 0xff => return None,
    };
    let (number, rest) = rest.split_at_checked(width)?;
    let mut wide = [0; 8];
    for (to, from) in wide.iter_mut().zip(number) {
        *to = *from;
    }
    Some((u64::from_le_bytes(wide), rest))
}

/// A string after its length-encoded length, and what follows it.
pub(super) fn lenenc_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = lenenc(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// A string up to a NUL, and what follows the NUL.
pub(super) fn nul_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (string, rest) = bytes.split_at(end);
    Some((string, rest.get(1..)?))
}

/// What closes a result: an OK packet, or the EOF packet of older servers.
#[derive(Clone, Copy)]
pub(super) struct Close {
    status: u16,
}

impl Close {
    /// Reads either by its length: an EOF packet has 5 bytes, an OK packet at least 7.
    pub(super) fn read(payload: &[u8]) -> Option<Close> {
        let (_, rest) = payload.split_first()?;
        if is_eof(payload, payload.len()) {
            let status = u16_at(payload, 3)?;
            return Some(Close { status });
        }
        let (_affected_rows, rest) = lenenc(rest)?;
        let (_last_insert_id, rest) = lenenc(rest)?;
        let status = u16_at(rest, 0)?;
        u16_at(rest, 2)?;
        Some(Close { status })
    }

    pub(super) fn has_more_results(self) -> bool {
        self.status & MORE_RESULTS != 0
    }

    pub(super) fn has_cursor(self) -> bool {
        self.status & CURSOR_EXISTS != 0
    }

    /// Whether the flags are ones a server sets after a command: for the probe.
    pub(super) fn is_plausible(self) -> bool {
        // 0x0001 in a transaction .. 0x4000 session state changed; the highest is not used.
        self.status & 0x8000 == 0
    }
}

/// An EOF packet (protocol 4.1).
pub(super) fn is_eof(payload: &[u8], length: usize) -> bool {
    length == 5 && payload.first() == Some(&0xfe)
}

/// An error packet: `ff code [# sqlstate] message`.
pub(super) struct Failure<'a> {
    pub(super) code: u16,
    pub(super) state: Option<&'a [u8]>,
    pub(super) message: &'a [u8],
}

impl<'a> Failure<'a> {
    pub(super) fn read(payload: &'a [u8]) -> Option<Failure<'a>> {
        let rest = payload.strip_prefix(&[0xff])?;
        let code = u16_at(rest, 0)?;
        let message = rest.get(2..)?;
        let with_state = message.strip_prefix(b"#").unwrap_or_default();
        let (state, message) = match with_state.split_at_checked(5) {
            Some((state, message)) => (Some(state), message),
            None => (None, message),
        };
        Some(Failure {
            code,
            state,
            message,
        })
    }

    /// MariaDB tells how far a long command is in the form of an error.
    pub(super) fn is_progress(&self) -> bool {
        self.code == 0xffff
    }
}

/// Capabilities of a server's greeting (protocol 10, MySQL 4.1 and later).
pub(super) fn greeting(payload: &[u8]) -> Option<u32> {
    let rest = payload.strip_prefix(&[10])?;
    let (version, rest) = nul_string(rest)?;
    let is_version = version.first().is_some_and(u8::is_ascii_digit)
        && version.len() >= "5.5.5".len()
        && version.contains(&b'.')
        && rest.get(12) == Some(&0)
        && version.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_version {
        return None;
    }
    // Connection id 4, scramble 8, filler 1, capabilities 2, character set 1, status 2, capabilities 2.
    let low = u16_at(rest, 13)?;
    let high = u16_at(rest, 18).unwrap_or_default();
    let flags = u32::from(low) | u32::from(high) << 16;
    (flags & capability::PROTOCOL_41 != 0).then_some(flags)
}

/// The client's answer to the greeting, up to its name.
pub(super) struct Login<'a> {
    pub(super) flags: u32,
    /// User, scramble, database and more; empty in a request for TLS.
    rest: &'a [u8],
}

impl<'a> Login<'a> {
    /// Length of the part before the user's name; a request for TLS is no longer.
    pub(super) const FIXED: usize = 32;

    /// None: it is not one of protocol 4.1.
    pub(super) fn read(payload: &'a [u8]) -> Option<Login<'a>> {
        let (fixed, rest) = payload.split_at_checked(Login::FIXED)?;
        let flags = u32_at(fixed, 0)?;
        // Flags 4, longest packet 4, character set 1, then 23 zeros, the last four of which MariaDB uses.
        let zeros = fixed.get(9..28)?;
        let is_one = flags & capability::PROTOCOL_41 != 0 && zeros.iter().all(|byte| *byte == 0);
        is_one.then_some(Login { flags, rest })
    }

    pub(super) fn user(&self) -> &'a [u8] {
        nul_string(self.rest).map_or(self.rest, |(user, _)| user)
    }

    pub(super) fn database(&self) -> Option<&'a [u8]> {
        if self.flags & capability::CONNECT_WITH_DB == 0 {
            return None;
        }
        let (_user, rest) = nul_string(self.rest)?;
        let (_scramble, rest) = if self.flags & capability::PLUGIN_AUTH_LENENC != 0 {
            lenenc_string(rest)?
        } else if self.flags & capability::SECURE_CONNECTION != 0 {
            let (length, rest) = rest.split_first()?;
            rest.split_at_checked(usize::from(*length))?
        } else {
            nul_string(rest)?
        };
        nul_string(rest).map(|(database, _)| database)
    }
}

/// How many columns a result has and whether their definitions follow.
pub(super) struct Columns {
    pub(super) count: u64,
    pub(super) are_defined: bool,
}

impl Columns {
    /// Reads the packet that opens a result. Where metadata is optional, a flag stands before the count (MySQL) or behind
    /// it (MariaDB); only one reading makes sense.
    pub(super) fn read(payload: &[u8]) -> Option<Columns> {
        if let Some((count, rest)) = lenenc(payload)
            && count > 0
            && let [] | [0 | 1] = rest
        {
            return Some(Columns {
                count,
                are_defined: rest != [0],
            });
        }
        let (flag @ (0 | 1), rest) = payload.split_first()? else {
            return None;
        };
        let (count, []) = lenenc(rest)? else {
            return None;
        };
        (count > 0).then_some(Columns {
            count,
            are_defined: *flag == 1,
        })
    }
}

/// The text of a COM_QUERY: what follows the query attributes, if there are any. The client says at login whether there
/// are, but no statement begins with a control character.
pub(super) fn query_text(rest: &[u8]) -> &[u8] {
    if rest.first().is_none_or(|byte| *byte >= b'\t') {
        return rest;
    }
    after_attributes(rest).unwrap_or_default()
}

/// Steps over query attributes: count, number of sets, and if there are any a NULL bitmap, a flag, types with names, values.
fn after_attributes(rest: &[u8]) -> Option<&[u8]> {
    let (count, rest) = lenenc(rest)?;
    let (_sets, rest) = lenenc(rest)?;
    if count == 0 {
        return Some(rest);
    }
    // More do not fit in what is looked at.
    let count = usize::try_from(count).ok().filter(|count| *count < 256)?;
    let (nulls, rest) = rest.split_at_checked(count.div_ceil(8))?;
    let types = rest.strip_prefix(&[1])?;
    let mut values = types;
    for _ in 0..count {
        let (_name, rest) = lenenc_string(values.get(2..)?)?;
        values = rest;
    }
    let mut types = types;
    for n in 0..count {
        let kind = *types.first()?;
        let (_name, rest) = lenenc_string(types.get(2..)?)?;
        types = rest;
        if nulls.get(n / 8)? & (1 << (n % 8)) != 0 {
            continue;
        }
        values = match kind {
            0x06 => values,
            0x01 => values.get(1..)?,
            0x02 | 0x0d => values.get(2..)?,
            0x03 | 0x04 | 0x09 => values.get(4..)?,
            0x05 | 0x08 => values.get(8..)?,
            // Dates and times have a length of one byte, the others a length-encoded one: the same below 251.
            _ => lenenc_string(values)?.1,
        };
    }
    Some(values)
}
