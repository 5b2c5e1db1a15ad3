//! What is read of the bodies: names, `acks`, the first error code.

use crate::proto::Line;

/// Reads fields one after another; `None` when they end, or are not what they should be.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Compact strings and arrays, and tagged fields.
    pub(super) is_flexible: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], is_flexible: bool) -> Cursor<'a> {
        Cursor { bytes, is_flexible }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(super) fn skip(&mut self, n: usize) -> Option<()> {
        self.bytes = self.bytes.get(n..)?;
        Some(())
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(super) fn peek_i16(&self) -> Option<i16> {
        self.bytes.first_chunk().copied().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    /// An unsigned number in groups of seven bits, of at most 32 bits.
    fn varint(&mut self) -> Option<u32> {
        let mut n = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take()?;
            n |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    /// Elements of an array; 0 for a null.
    fn count(&mut self) -> Option<u32> {
        if self.is_flexible {
            Some(self.varint()?.saturating_sub(1))
        } else {
            Some(u32::try_from(self.i32()?).unwrap_or(0))
        }
    }

    /// `Some(None)` for a null.
    pub(super) fn string(&mut self) -> Option<Option<&'a [u8]>> {
        let length = if self.is_flexible {
            self.varint()?.checked_sub(1).map(|n| n as usize)
        } else {
            usize::try_from(self.i16()?).ok()
        };
        let Some(length) = length else {
            return Some(None);
        };
        let (string, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(Some(string))
    }

    /// Bytes of any number: records.
    fn skip_bytes(&mut self) -> Option<()> {
        let length = if self.is_flexible {
            self.varint()?.saturating_sub(1) as usize
        } else {
            usize::try_from(self.i32()?).unwrap_or(0)
        };
        self.skip(length)
    }

    /// Tagged fields, in flexible versions.
    pub(super) fn tags(&mut self) -> Option<()> {
        if !self.is_flexible {
            return Some(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length as usize)?;
        }
        Some(())
    }
}

/// `acks` of a Produce.
pub(super) fn produce_acks(cursor: &Cursor<'_>, version: u16) -> Option<i16> {
    let mut cursor = *cursor;
    if version >= 3 {
        cursor.string()?;
    }
    cursor.i16()
}

/// Writes the names of what a request is about, as far as they can be seen; ` +2` for two more.
pub(super) fn names(
    key: u16,
    version: u16,
    cursor: &mut Cursor<'_>,
    line: &mut Line<'_>,
) -> Option<()> {
    match key {
        // Produce
        0 => {
            if version >= 3 {
                cursor.string()?;
            }
            cursor.skip(6)?;
            let name = if version >= 13 { Name::Id } else { Name::Text };
            list(cursor, line, name, |cursor| {
                for _ in 0..cursor.count()? {
                    cursor.skip(4)?;
                    cursor.skip_bytes()?;
                    cursor.tags()?;
                }
                cursor.tags()
            })
        }
        // Fetch
        1 => {
            // Replica, wait, least bytes, most bytes, isolation, session and its epoch.
            cursor.skip(if version >= 15 { 0 } else { 4 })?;
            cursor.skip(8)?;
            cursor.skip(if version >= 3 { 4 } else { 0 })?;
            cursor.skip(if version >= 4 { 1 } else { 0 })?;
            cursor.skip(if version >= 7 { 8 } else { 0 })?;
            let name = if version >= 13 { Name::Id } else { Name::Text };
            let partition = 16
                + if version >= 5 { 8 } else { 0 }
                + if version >= 9 { 4 } else { 0 }
                + if version >= 12 { 4 } else { 0 };
            list(cursor, line, name, |cursor| partitions(cursor, partition))
        }
        // ListOffsets
        2 => {
            cursor.skip(if version >= 2 { 5 } else { 4 })?;
            let partition = match version {
                0 => 16,
                1..=3 => 12,
                _ => 16,
            };
            list(cursor, line, Name::Text, |cursor| {
                partitions(cursor, partition)
            })
        }
        // Metadata
        3 => {
            let name = if version >= 10 {
                Name::IdAndText
            } else {
                Name::Text
            };
            list(cursor, line, name, |cursor| cursor.tags())
        }
        // OffsetFetch, of several groups
        9 if version >= 8 => list(cursor, line, Name::Text, |_| None),
        // FindCoordinator
        10 if version >= 4 => {
            cursor.skip(1)?;
            list(cursor, line, Name::Text, |_| Some(()))
        }
        // DescribeGroups, DeleteGroups
        15 | 42 => list(cursor, line, Name::Text, |_| Some(())),
        // ApiVersions: name and version of the client
        18 if version >= 3 => {
            one(cursor, line)?;
            one(cursor, line)
        }
        // CreateTopics, DeleteRecords, CreatePartitions
        19 | 21 | 37 => list(cursor, line, Name::Text, |_| None),
        // DeleteTopics
        20 if version >= 6 => list(cursor, line, Name::TextAndId, |cursor| cursor.tags()),
        20 => list(cursor, line, Name::Text, |_| Some(())),
        // OffsetForLeaderEpoch
        23 => {
            cursor.skip(if version >= 3 { 4 } else { 0 })?;
            list(cursor, line, Name::Text, |_| None)
        }
        // AddPartitionsToTxn, of several transactions
        24 if version >= 4 => list(cursor, line, Name::Text, |_| None),
        // DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: a type comes before the name
        32 | 33 | 44 => {
            let count = cursor.count()?;
            if count > 0 {
                cursor.skip(1)?;
                one(cursor, line)?;
                more(line, count - 1);
            }
            Some(())
        }
        // OffsetCommit, OffsetFetch, FindCoordinator, JoinGroup, Heartbeat, LeaveGroup, SyncGroup, SaslHandshake,
        // InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit, OffsetDelete, and heartbeats of
        // the newer groups: the name comes first.
        8..=14 | 17 | 22 | 24..=26 | 28 | 47 | 68 | 76 | 88 => one(cursor, line),
        _ => None,
    }
}

/// How the things in a list are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Text,
    Id,
    IdAndText,
    TextAndId,
}

fn one(cursor: &mut Cursor<'_>, line: &mut Line<'_>) -> Option<()> {
    if let Some(name) = cursor.string()? {
        line.blank();
        line.bytes(name);
    }
    Some(())
}

/// Names of a list; `pass` goes over what comes after a name.
fn list(
    cursor: &mut Cursor<'_>,
    line: &mut Line<'_>,
    name: Name,
    pass: impl Fn(&mut Cursor<'_>) -> Option<()>,
) -> Option<()> {
    let count = cursor.count()?;
    let mut shown = 0;
    while shown < count && named(cursor, line, name).is_some() {
        shown += 1;
        if pass(cursor).is_none() {
            break;
        }
    }
    more(line, count - shown);
    Some(())
}

fn named(cursor: &mut Cursor<'_>, line: &mut Line<'_>, name: Name) -> Option<()> {
    let mut id = None;
    if matches!(name, Name::Id | Name::IdAndText) {
        id = Some(cursor.take()?);
    }
    let text = if name == Name::Id {
        None
    } else {
        cursor.string()?
    };
    if name == Name::TextAndId {
        id = Some(cursor.take()?);
    }
    line.blank();
    match (text, id) {
        (Some(text), _) => line.bytes(text),
        (None, Some(id)) => line.bytes(&uuid(id)),
        (None, None) => {}
    }
    Some(())
}

fn more(line: &mut Line<'_>, count: u32) {
    if count > 0 {
        line.piece(" +");
        line.number(u64::from(count));
    }
}

/// Partitions of a fixed size.
fn partitions(cursor: &mut Cursor<'_>, size: usize) -> Option<()> {
    for _ in 0..cursor.count()? {
        cursor.skip(size)?;
        cursor.tags()?;
    }
    cursor.tags()
}

/// A topic's id as Kafka writes it: base64 with `-` and `_`, without padding.
fn uuid(id: [u8; 16]) -> [u8; 22] {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let id = u128::from_be_bytes(id);
    let mut text = [0; 22];
    for (n, letter) in text.iter_mut().enumerate() {
        // The last letter has the last two bits, and zeros.
        let bits = match 122_u32.checked_sub(6 * n as u32) {
            Some(shift) => id >> shift,
            None => id << 4,
        };
        *letter = LETTERS[(bits & 63) as usize];
    }
    text
}

/// The error code at the top of a reply's body, or else of its first partition.
pub(super) fn error(key: u16, version: u16, cursor: &mut Cursor<'_>) -> Option<i16> {
    match (key, version) {
        // Produce
        (0, _) => first_partition(cursor, version >= 13),
        // Fetch
        (1, _) => {
            cursor.skip(if version >= 1 { 4 } else { 0 })?;
            if version >= 7 {
                let code = cursor.i16()?;
                if code != 0 {
                    return Some(code);
                }
                cursor.skip(4)?;
            }
            first_partition(cursor, version >= 13)
        }
        // ListOffsets
        (2, _) => {
            cursor.skip(if version >= 2 { 4 } else { 0 })?;
            first_partition(cursor, false)
        }
        // OffsetCommit
        (8, _) => {
            cursor.skip(if version >= 3 { 4 } else { 0 })?;
            first_partition(cursor, version >= 10)
        }
        // FindCoordinator, JoinGroup, Heartbeat, LeaveGroup, SyncGroup, ListGroups before they could be throttled;
        // between brokers; SaslHandshake, ApiVersions, SaslAuthenticate; delegation tokens; OffsetDelete; the quorum.
        (10 | 12 | 13 | 14 | 16, 0) | (11, 0 | 1) => cursor.i16(),
        (4..=7 | 17 | 18 | 36 | 38..=41 | 47 | 52..=55, _) => cursor.i16(),
        // After the time that the client is throttled for.
        (10, 1..=3) | (24, 4..) | (35, 3..) | (43, 1..) | (45, 0) => throttled(cursor),
        (10 | 24 | 35 | 43, _) => None,
        (45, _) => {
            cursor.skip(5)?;
            cursor.i16()
        }
        (
            11..=14
            | 16
            | 22
            | 25
            | 26
            | 29
            | 46
            | 48
            | 50
            | 56
            | 57
            | 59
            | 60
            | 62..=64
            | 66..=68
            | 70..=74
            | 76
            | 78
            | 79
            | 80..=82
            | 88,
            _,
        ) => throttled(cursor),
        _ => None,
    }
}

fn throttled(cursor: &mut Cursor<'_>) -> Option<i16> {
    cursor.skip(4)?;
    cursor.i16()
}

/// Topics; the first's name and partitions; the first's number and error.
fn first_partition(cursor: &mut Cursor<'_>, has_id: bool) -> Option<i16> {
    if cursor.count()? == 0 {
        return None;
    }
    if has_id {
        cursor.skip(16)?;
    } else {
        cursor.string()?;
    }
    if cursor.count()? == 0 {
        return None;
    }
    cursor.skip(4)?;
    cursor.i16()
}
