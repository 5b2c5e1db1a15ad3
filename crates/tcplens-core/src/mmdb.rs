//! Databases of what is known of addresses, in MaxMind's format (MaxMind DB file format specification 2.0): a tree of the
//! addresses' bits, whose leaves point to values. Look-ups of texts and numbers by their names; values that are neither are
//! passed over. Damaged databases tell nothing or something else, and harm nobody: every look-up has a bound.

use std::net::IpAddr;

/// Stands before the metadata, which are at the end of the file.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The metadata are within so many bytes of the end (specification, "Database Metadata").
const LONGEST_METADATA: usize = 128 << 10;
/// Octets between tree and values.
const SEPARATOR: usize = 16;
/// Values that one look-up of a name passes over, at most. Chosen: many times what any database has in a record.
const MOST_VALUES: usize = 10_000;
/// Pointers that lead to pointers, which the format forbids, are followed so often.
const MOST_POINTERS: usize = 4;

/// Types of values that are looked at.
mod kind {
    pub(super) const POINTER: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const SHORT: u8 = 5;
    pub(super) const NUMBER: u8 = 6;
    pub(super) const MAP: u8 = 7;
    pub(super) const LONG: u8 = 9;
    pub(super) const ARRAY: u8 = 11;
    pub(super) const FLAG: u8 = 14;
}

/// A database in memory.
pub struct Mmdb {
    bytes: Vec<u8>,
    nodes: u32,
    /// Bits of a record; a node has two.
    record: Record,
    has_ipv6: bool,
    /// Where the values are.
    from: usize,
    to: usize,
}

#[derive(Clone, Copy)]
enum Record {
    Bits24,
    Bits28,
    Bits32,
}

impl Record {
    /// Octets of a node.
    fn node(self) -> usize {
        match self {
            Record::Bits24 => 6,
            Record::Bits28 => 7,
            Record::Bits32 => 8,
        }
    }
}

/// What a database has of an address.
#[derive(Clone, Copy)]
pub struct Entry<'d> {
    values: Values<'d>,
    at: usize,
}

impl Mmdb {
    /// A database, by the bytes of its file.
    ///
    /// # Errors
    /// It is none, or one of another version; in words.
    pub fn new(bytes: Vec<u8>) -> Result<Mmdb, &'static str> {
        let search_from = bytes.len().saturating_sub(LONGEST_METADATA);
        let tail = bytes.get(search_from..).unwrap_or_default();
        let marker = tail
            .windows(MARKER.len())
            .rposition(|window| window == MARKER)
            .ok_or("it has no metadata")?
            + search_from;
        let metadata = Entry {
            values: Values(bytes.get(marker + MARKER.len()..).unwrap_or_default()),
            at: 0,
        };
        let number = |name| metadata.number(&[name]);
        if number("binary_format_major_version") != Some(2) {
            return Err("its format is not of version 2");
        }
        let record = match number("record_size") {
            Some(24) => Record::Bits24,
            Some(28) => Record::Bits28,
            Some(32) => Record::Bits32,
            _ => return Err("its records are not of 24, 28 or 32 bits"),
        };
        let has_ipv6 = match number("ip_version") {
            Some(4) => false,
            Some(6) => true,
            _ => return Err("it is neither of IPv4 nor of IPv6"),
        };
        let nodes = number("node_count").and_then(|nodes| u32::try_from(nodes).ok());
        let nodes = nodes.ok_or("it does not tell how large it is")?;
        let tree = usize::try_from(nodes)
            .ok()
            .and_then(|nodes| nodes.checked_mul(record.node()));
        let from = tree.and_then(|tree| tree.checked_add(SEPARATOR));
        match from {
            Some(from) if from <= marker => Ok(Mmdb {
                bytes,
                nodes,
                record,
                has_ipv6,
                from,
                to: marker,
            }),
            _ => Err("it is shorter than it says"),
        }
    }

    /// What it has of an address, if anything.
    #[must_use]
    pub fn find(&self, ip: IpAddr) -> Option<Entry<'_>> {
        let (bits, length) = match (ip, self.has_ipv6) {
            (IpAddr::V4(ip), false) => (u128::from(ip.to_bits()), 32),
            // ::a.b.c.d
            (IpAddr::V4(ip), true) => (u128::from(ip.to_bits()), 128),
            (IpAddr::V6(ip), true) => (ip.to_bits(), 128),
            (IpAddr::V6(_), false) => return None,
        };
        let mut node = 0;
        for place in (0..length).rev() {
            let to = self.record(node, bits >> place & 1 == 1)?;
            if to < self.nodes {
                node = to;
                continue;
            }
            let behind = usize::try_from(to - self.nodes).ok()?;
            return Some(Entry {
                values: Values(self.bytes.get(self.from..self.to)?),
                at: behind.checked_sub(SEPARATOR)?,
            });
        }
        None
    }

    /// One of the two records of a node.
    fn record(&self, node: u32, is_right: bool) -> Option<u32> {
        if node >= self.nodes {
            return None;
        }
        let at = usize::try_from(node).ok()? * self.record.node();
        let octets = self.bytes.get(at..at + self.record.node())?;
        let number = |octets: &[u8]| {
            let octets = octets.iter();
            octets.fold(0_u32, |number, octet| number << 8 | u32::from(*octet))
        };
        Some(match (self.record, is_right) {
            (Record::Bits24, false) => number(octets.get(..3)?),
            (Record::Bits24, true) => number(octets.get(3..)?),
            // The octet in the middle has the upper four bits of both.
            (Record::Bits28, false) => {
                u32::from(*octets.get(3)? >> 4) << 24 | number(octets.get(..3)?)
            }
            (Record::Bits28, true) => {
                u32::from(*octets.get(3)? & 15) << 24 | number(octets.get(4..)?)
            }
            (Record::Bits32, false) => number(octets.get(..4)?),
            (Record::Bits32, true) => number(octets.get(4..)?),
        })
    }
}

impl<'d> Entry<'d> {
    /// The text behind these names, one within another.
    #[must_use]
    pub fn text(&self, path: &[&str]) -> Option<&'d str> {
        let value = self.value(path)?;
        if value.kind != kind::TEXT {
            return None;
        }
        str::from_utf8(self.values.get(value.at, value.size)?).ok()
    }

    /// The unsigned number behind these names.
    #[must_use]
    pub fn number(&self, path: &[&str]) -> Option<u64> {
        let value = self.value(path)?;
        if !matches!(value.kind, kind::SHORT | kind::NUMBER | kind::LONG) || value.size > 8 {
            return None;
        }
        let octets = self.values.get(value.at, value.size)?.iter();
        Some(octets.fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    fn value(&self, path: &[&str]) -> Option<Value> {
        let mut value = self.values.behind(self.values.value(self.at)?)?;
        for name in path {
            if value.kind != kind::MAP {
                return None;
            }
            let mut at = value.at;
            let mut left = MOST_VALUES;
            let mut found = None;
            for _ in 0..value.size {
                let key = self.values.value(at)?;
                let name_at = self.values.behind(key)?;
                at = self.values.after(key, &mut left)?;
                let its = self.values.value(at)?;
                let is_it = name_at.kind == kind::TEXT
                    && self.values.get(name_at.at, name_at.size)? == name.as_bytes();
                if is_it {
                    found = Some(its);
                    break;
                }
                at = self.values.after(its, &mut left)?;
            }
            value = self.values.behind(found?)?;
        }
        Some(value)
    }
}

/// The section of values; pointers count from its beginning.
#[derive(Clone, Copy)]
struct Values<'d>(&'d [u8]);

/// A value's head.
#[derive(Clone, Copy)]
struct Value {
    kind: u8,
    /// Octets; of maps pairs, of arrays values; of a pointer where it leads.
    size: usize,
    /// Behind the head.
    at: usize,
}

impl<'d> Values<'d> {
    fn get(&self, at: usize, length: usize) -> Option<&'d [u8]> {
        self.0.get(at..at.checked_add(length)?)
    }

    fn number(&self, at: usize, octets: usize) -> Option<usize> {
        let octets = self.get(at, octets)?.iter();
        Some(octets.fold(0, |number, octet| number << 8 | usize::from(*octet)))
    }

    /// The value there.
    fn value(&self, at: usize) -> Option<Value> {
        let control = *self.0.get(at)?;
        let low = usize::from(control & 0x1f);
        let mut at = at + 1;
        let mut kind = control >> 5;
        if kind == kind::POINTER {
            // Two bits for how many octets follow, three of the number.
            let (upper, more) = (low & 7, low >> 3);
            let number = self.number(at, more + 1)?;
            let to = match more {
                0 => upper << 8 | number,
                1 => (upper << 16 | number) + 2048,
                2 => (upper << 24 | number) + 526_336,
                _ => number,
            };
            return Some(Value {
                kind,
                size: to,
                at: at + more + 1,
            });
        }
        if kind == 0 {
            kind = self.0.get(at)?.checked_add(7)?;
            at += 1;
        }
        let (size, octets) = match low {
            29 => (29 + self.number(at, 1)?, 1),
            30 => (285 + self.number(at, 2)?, 2),
            31 => (65_821 + self.number(at, 3)?, 3),
            _ => (low, 0),
        };
        Some(Value {
            kind,
            size,
            at: at + octets,
        })
    }

    /// The value itself, where it is a pointer.
    fn behind(&self, mut value: Value) -> Option<Value> {
        for _ in 0..MOST_POINTERS {
            if value.kind != kind::POINTER {
                return Some(value);
            }
            value = self.value(value.size)?;
        }
        None
    }

    /// Where the next value begins; what is passed over for that is taken from `left`.
    fn after(&self, value: Value, left: &mut usize) -> Option<usize> {
        let mut value = value;
        let mut more = 0_usize;
        loop {
            *left = left.checked_sub(1)?;
            let at = match value.kind {
                kind::POINTER | kind::FLAG => value.at,
                kind::MAP => {
                    more = more.checked_add(value.size.checked_mul(2)?)?;
                    value.at
                }
                kind::ARRAY => {
                    more = more.checked_add(value.size)?;
                    value.at
                }
                _ => value.at.checked_add(value.size)?,
            };
            if more == 0 {
                return Some(at);
            }
            more -= 1;
            value = self.value(at)?;
        }
    }
}
