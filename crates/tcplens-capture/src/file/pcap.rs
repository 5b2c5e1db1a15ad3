//! Classic pcap: file header and records (draft-ietf-opsawg-pcap), and its variants: nanoseconds,
//! Kuznetzov's longer record header, IXIA's longer file header, swapped lengths of versions before
//! 2.4. Not pcapng.
//!
//! ```text
//! file:   magic u32, major u16, minor u16, zone u32, accuracy u32, snap length u32, link type u32
//! record: seconds u32, fraction u32, captured u32, length u32, then the captured bytes
//! ```

use tcplens_core::packet::{Interface, LinkType, Packet};
use tcplens_core::time::{SECOND, Timestamp};

use super::bytes::Order;
use super::{MAX_RECORD, USUAL_MAX_RECORD};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const KUZNETZOV: u32 = 0xa1b2_cd34;
const IXIA_HARDWARE: u32 = 0x1c00_01ac;
const IXIA_SOFTWARE: u32 = 0x1c00_01ab;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// Kuznetzov's records go on with interface index u32, protocol u16, packet type u8, padding u8.
const KUZNETZOV_RECORD_HEADER: usize = 24;

mod field {
    pub(super) const MAJOR: usize = 4;
    pub(super) const MINOR: usize = 6;
    pub(super) const SNAP_LENGTH: usize = 16;
    pub(super) const LINK_TYPE: usize = 20;
}

/// Why a walk over a block's records stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The record there is not whole; so many bytes of it are needed to go on (always more than
    /// there are).
    Short {
        /// Bytes needed, counted from the record's start.
        need: usize,
    },
    /// The record there makes no sense.
    Damaged(String),
}

/// How the records of one file are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pcap {
    order: Order,
    nanoseconds: bool,
    record_header: usize,
    lengths: Lengths,
    /// Larger captured lengths are not believed.
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// Captured length first.
    Usual,
    /// Captured length last: versions before 2.3.
    Swapped,
    /// Version 2.3: some writers swapped them; the captured length is the smaller one.
    Either,
}

/// What the first bytes of a file say, if they are pcap's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Not a pcap magic number.
    No,
    /// So many bytes are needed to tell.
    Short(usize),
    /// Pcap of a version that nobody reads.
    Unsupported(String),
    /// Pcap: records begin after `length` bytes.
    Pcap {
        pcap: Pcap,
        interface: Interface,
        length: usize,
    },
}

/// Reads a file header.
pub(super) fn head(bytes: &[u8]) -> Head {
    let Some(magic) = bytes.first_chunk::<4>() else {
        return Head::Short(4);
    };
    let usual = (u32::from_le_bytes(*magic), Order::Little);
    let swapped = (u32::from_be_bytes(*magic), Order::Big);
    let known = [
        MICROSECONDS,
        NANOSECONDS,
        KUZNETZOV,
        IXIA_HARDWARE,
        IXIA_SOFTWARE,
    ];
    let Some((magic, order)) = [usual, swapped]
        .into_iter()
        .find(|(m, _)| known.contains(m))
    else {
        return Head::No;
    };
    // IXIA's header ends with the size of all records (Wireshark wiretap/libpcap.c).
    let length = if matches!(magic, IXIA_HARDWARE | IXIA_SOFTWARE) {
        FILE_HEADER + 4
    } else {
        FILE_HEADER
    };
    let fields = (
        order.u16(bytes, field::MAJOR),
        order.u16(bytes, field::MINOR),
        order.u32(bytes, field::SNAP_LENGTH),
        order.u32(bytes, field::LINK_TYPE),
    );
    let (Some(major), Some(minor), Some(snap_length), Some(link_type)) = fields else {
        return Head::Short(length);
    };
    if bytes.len() < length {
        return Head::Short(length);
    }
    let lengths = match (major, minor) {
        (2, 0..=2) | (543, _) => Lengths::Swapped, // 543: DEC's OSF/1, see libpcap sf-pcap.c
        (2, 3) => Lengths::Either,
        (2, _) => Lengths::Usual,
        _ => {
            let what = format!(
                "pcap version {major}.{minor} is not supported (2.0 to 2.4 are); convert it first"
            );
            return Head::Unsupported(what);
        }
    };
    let pcap = Pcap {
        order,
        nanoseconds: matches!(magic, NANOSECONDS | IXIA_HARDWARE),
        record_header: if magic == KUZNETZOV {
            KUZNETZOV_RECORD_HEADER
        } else {
            RECORD_HEADER
        },
        lengths,
        limit: record_limit(snap_length) as usize,
    };
    Head::Pcap {
        pcap,
        interface: interface(link_type),
        length,
    }
}

impl Pcap {
    /// Pushes the whole records at the start of `block`; returns the bytes they take and why it
    /// stopped.
    pub(super) fn walk(
        &self,
        block: &[u8],
        interface: u32,
        packets: &mut Vec<Packet>,
    ) -> (usize, Stop) {
        if self.record_header != RECORD_HEADER || self.lengths != Lengths::Usual {
            return self.walk_odd(block, interface, packets);
        }
        match (self.order, self.nanoseconds) {
            (Order::Little, false) => walk::<false, 1000>(block, self.limit, interface, packets),
            (Order::Little, true) => walk::<false, 1>(block, self.limit, interface, packets),
            (Order::Big, false) => walk::<true, 1000>(block, self.limit, interface, packets),
            (Order::Big, true) => walk::<true, 1>(block, self.limit, interface, packets),
        }
    }

    /// The same for the rare variants, slower.
    fn walk_odd(&self, block: &[u8], interface: u32, packets: &mut Vec<Packet>) -> (usize, Stop) {
        let mut at = 0;
        loop {
            let rest = block.get(at..).unwrap_or_default();
            let word = |offset| self.order.u32(rest, offset);
            let (Some(seconds), Some(fraction), Some(first), Some(second), Some(body)) = (
                word(0),
                word(4),
                word(8),
                word(12),
                rest.get(self.record_header..),
            ) else {
                return (
                    at,
                    Stop::Short {
                        need: self.record_header,
                    },
                );
            };
            let swap = match self.lengths {
                Lengths::Usual => false,
                Lengths::Swapped => true,
                Lengths::Either => first > second,
            };
            let (captured, length) = if swap {
                (second, first)
            } else {
                (first, second)
            };
            if captured as usize > body.len().min(self.limit) {
                return (
                    at,
                    no_body(captured as usize, self.limit, self.record_header),
                );
            }
            let scale = if self.nanoseconds { 1 } else { 1000 };
            let time = Timestamp(i64::from(seconds) * SECOND + i64::from(fraction) * scale);
            let start = at + self.record_header;
            packets.push(Packet {
                time,
                at: start as u32,
                captured,
                length,
                interface,
            });
            at = start + captured as usize;
        }
    }
}

/// The hot loop: one bounds check for a header, one for its bytes, no call.
#[inline]
fn walk<const BIG: bool, const SCALE: i64>(
    block: &[u8],
    limit: usize,
    interface: u32,
    packets: &mut Vec<Packet>,
) -> (usize, Stop) {
    let mut rest = block;
    let mut at = 0;
    loop {
        let Some((header, body)) = rest.split_first_chunk::<RECORD_HEADER>() else {
            return (
                at,
                Stop::Short {
                    need: RECORD_HEADER,
                },
            );
        };
        let [seconds, fraction, captured, length] = words::<BIG>(header);
        let size = captured as usize;
        let (true, Some(next)) = (size <= limit, body.get(size..)) else {
            return (at, no_body(size, limit, RECORD_HEADER));
        };
        let time = Timestamp(i64::from(seconds) * SECOND + i64::from(fraction) * SCALE);
        let start = at + RECORD_HEADER;
        packets.push(Packet {
            time,
            at: start as u32,
            captured,
            length,
            interface,
        });
        at = start + size;
        rest = next;
    }
}

#[inline]
fn words<const BIG: bool>(header: &[u8; RECORD_HEADER]) -> [u32; 4] {
    let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = header;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(|word| {
        if BIG {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        }
    })
}

#[cold]
fn no_body(captured: usize, limit: usize, header: usize) -> Stop {
    if captured > limit {
        return Stop::Damaged(format!(
            "a packet claims {captured} captured bytes (the limit is {limit})"
        ));
    }
    Stop::Short {
        need: header + captured,
    }
}

/// The largest captured length to believe in a file or interface with this snap length.
pub(super) fn record_limit(snap_length: u32) -> u32 {
    if snap_length > MAX_RECORD {
        USUAL_MAX_RECORD
    } else {
        snap_length.max(USUAL_MAX_RECORD)
    }
}

/// The header's last word: link type in 16 bits; above them, if bit 26 is set, the length of the
/// frame check sequence in 16-bit units (libpcap `LT_FCS_LENGTH`).
fn interface(word: u32) -> Interface {
    let has_fcs = word & (1 << 26) != 0;
    let fcs_bytes = if has_fcs { (word >> 28) as u8 * 2 } else { 0 };
    Interface {
        link_type: link_type(word & 0xffff),
        name: None,
        fcs_bytes,
    }
}

/// Files of some BSDs say raw IP with their own DLT_RAW, 12 or 14 (libpcap pcap-common.c).
pub(super) fn link_type(number: u32) -> LinkType {
    if matches!(number, 12 | 14) {
        LinkType::RAW
    } else {
        LinkType(number)
    }
}
