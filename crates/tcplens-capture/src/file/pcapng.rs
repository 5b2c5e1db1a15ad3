//! pcapng: sections, interfaces and packet blocks (draft-ietf-opsawg-pcapng). Blocks of other types
//! are skipped without being held; of options, only those that change how packets are read are
//! read.
//!
//! ```text
//! block:   type u32, total length u32, body, total length u32
//! section: byte-order magic u32, major u16, minor u16, section length u64, options
//! interface: link type u16, reserved u16, snap length u32, options
//! enhanced packet: interface u32, time u32 u32, captured u32, length u32, bytes, options
//! packet (obsolete): interface u16, drops u16, then the same
//! simple packet: length u32, bytes
//! ```

use tcplens_core::packet::{Interface, Packet};
use tcplens_core::time::{SECOND, Timestamp};

use super::bytes::Order;
use super::pcap::{Stop, link_type, record_limit};
use super::reader::Interfaces;
use super::{MAX_INTERFACES, MAX_RECORD};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const BLOCK_HEADER: usize = 8;
const TRAILER: usize = 4;
/// Type, length, byte-order magic and version: enough to recognise a section header.
const SECTION_HEAD: usize = 16;
/// A packet block of any type with its fields, without packet bytes.
const PACKET_HEAD: usize = 28;
const SIMPLE_HEAD: usize = 12;

/// Offsets in a block, from its type on.
mod field {
    pub(super) const LENGTH: usize = 4;
    pub(super) const BYTE_ORDER: usize = 8;
    pub(super) const MAJOR: usize = 12;
    pub(super) const MINOR: usize = 14;
    pub(super) const LINK_TYPE: usize = 8;
    pub(super) const SNAP_LENGTH: usize = 12;
    pub(super) const INTERFACE_OPTIONS: usize = 16;
    pub(super) const INTERFACE: usize = 8;
    pub(super) const TIME_HIGH: usize = 12;
    pub(super) const TIME_LOW: usize = 16;
    pub(super) const CAPTURED: usize = 20;
    pub(super) const ORIGINAL: usize = 24;
    pub(super) const SIMPLE_ORIGINAL: usize = 8;
}

mod option {
    pub(super) const END: u16 = 0;
    pub(super) const NAME: u16 = 2;
    pub(super) const RESOLUTION: u16 = 9;
    pub(super) const FCS_LENGTH: u16 = 13;
    pub(super) const OFFSET: u16 = 14;
}

/// Longest interface name that is kept, in bytes. Chosen: names are short on every system.
const MAX_NAME: usize = 255;

/// What the first bytes of a file say, if they are pcapng's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    No,
    Short(usize),
    Unsupported(String),
    Pcapng,
}

/// Looks at the first bytes of a file; the walk reads them again.
pub(super) fn head(bytes: &[u8]) -> Head {
    let magic = SECTION.to_le_bytes();
    if !bytes.starts_with(&magic[..bytes.len().min(4)]) {
        return Head::No;
    }
    if bytes.len() < SECTION_HEAD {
        return Head::Short(SECTION_HEAD);
    }
    match section_order(bytes) {
        Ok(Some(_)) => Head::Pcapng,
        Ok(None) => Head::No,
        Err(what) => Head::Unsupported(format!("{what}; convert it first")),
    }
}

/// The byte order of the section that begins here; `None` if it is none.
fn section_order(block: &[u8]) -> Result<Option<Order>, String> {
    let is = |order: &Order| order.u32(block, field::BYTE_ORDER) == Some(BYTE_ORDER_MAGIC);
    let Some(order) = [Order::Little, Order::Big].into_iter().find(is) else {
        return Ok(None);
    };
    match (
        order.u16(block, field::MAJOR),
        order.u16(block, field::MINOR),
    ) {
        // Some writers said 1.2 and meant 1.0; the draft tells readers to take both.
        (Some(1), Some(0 | 2)) => Ok(Some(order)),
        (Some(major), Some(minor)) => Err(format!(
            "pcapng version {major}.{minor} is not supported (1.0 is)"
        )),
        _ => Ok(None),
    }
}

/// Where a walk over a pcapng file is.
#[derive(Default)]
pub(super) struct Pcapng {
    /// None before the first section.
    order: Option<Order>,
    /// The interfaces of this section.
    interfaces: Vec<Local>,
    /// Which of the file's interfaces are among them, by their index in the file's table.
    taken: Vec<bool>,
    /// What is left of a block that is skipped, with the length its trailer has to repeat.
    skipping: Option<(usize, u32)>,
    /// Simple packets have no time: they get that of the packet before.
    last_time: Timestamp,
}

/// An interface of the section.
struct Local {
    /// Its index in the file's table.
    index: u32,
    snap_length: u32,
    /// Larger captured lengths are not believed.
    limit: u32,
    clock: Clock,
}

impl Pcapng {
    /// If the bytes walked so far end inside a block: how many of them belong to it.
    pub(super) fn inside_block(&self) -> Option<usize> {
        self.skipping.map(|(left, length)| padded(length) - left)
    }

    /// Pushes the packets of the whole blocks at the start of `bytes`; returns how many bytes were
    /// used.
    pub(super) fn walk(
        &mut self,
        bytes: &[u8],
        packets: &mut Vec<Packet>,
        interfaces: &mut Interfaces,
    ) -> (usize, Stop) {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let used = match self.skipping {
                Some((left, length)) => self.skip(rest, left, length),
                None => self.block(rest, at, packets, interfaces),
            };
            match used {
                Ok(used) => at += used,
                Err(stop) => return (at, stop),
            }
        }
    }

    /// One block at the start of `rest`, which is at `at` in the batch; returns its length.
    fn block(
        &mut self,
        rest: &[u8],
        at: usize,
        packets: &mut Vec<Packet>,
        interfaces: &mut Interfaces,
    ) -> Result<usize, Stop> {
        let kind = self
            .order
            .unwrap_or(Order::Little)
            .u32(rest, 0)
            .ok_or(short(BLOCK_HEADER))?;
        if kind == SECTION {
            if rest.len() < SECTION_HEAD {
                return Err(short(SECTION_HEAD));
            }
            let order = section_order(rest).map_err(Stop::Damaged)?;
            let order = order.ok_or_else(|| damaged("a section header has no byte-order magic"))?;
            whole(order, rest)?;
            self.order = Some(order);
            self.interfaces.clear();
            self.taken.clear();
            return whole(order, rest).map(<[u8]>::len);
        }
        let order = self
            .order
            .ok_or_else(|| damaged("there is no section header"))?;
        if !matches!(
            kind,
            INTERFACE | ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET
        ) {
            let length = block_length(order, rest)?;
            self.skipping = Some((padded(length) - BLOCK_HEADER, length));
            return Ok(BLOCK_HEADER);
        }
        let block = whole(order, rest)?;
        let body_end = block.len() - TRAILER;
        let body = block.get(..body_end).unwrap_or_default();
        if kind == INTERFACE {
            self.interface(order, body, interfaces)?;
        } else {
            let packet = self
                .packet(order, kind, body)
                .ok_or_else(|| damaged("a packet block is too short"))??;
            self.last_time = packet.time;
            packets.push(Packet {
                at: packet.at + at as u32,
                ..packet
            });
        }
        Ok(block.len())
    }

    /// Passes over a block, of which `left` bytes are to come.
    fn skip(&mut self, rest: &[u8], left: usize, length: u32) -> Result<usize, Stop> {
        if left > TRAILER {
            let now = rest.len().min(left - TRAILER);
            if now == 0 {
                return Err(short(1));
            }
            self.skipping = Some((left - now, length));
            return Ok(now);
        }
        let order = self.order.unwrap_or(Order::Little);
        let trailer = order.u32(rest, 0).ok_or(short(TRAILER))?;
        check_trailer(length, trailer)?;
        self.skipping = None;
        Ok(TRAILER)
    }

    fn interface(
        &mut self,
        order: Order,
        body: &[u8],
        interfaces: &mut Interfaces,
    ) -> Result<(), Stop> {
        let (Some(number), Some(snap_length)) = (
            order.u16(body, field::LINK_TYPE),
            order.u32(body, field::SNAP_LENGTH),
        ) else {
            return Err(damaged("an interface block is too short"));
        };
        let mut interface = Interface {
            link_type: link_type(number.into()),
            name: None,
            fcs_bytes: 0,
        };
        let mut clock = Clock::default();
        let mut rest = body.get(field::INTERFACE_OPTIONS..).unwrap_or_default();
        while let Some((code, value, after)) = next_option(order, rest) {
            match (code, value) {
                (option::NAME, name) => {
                    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                    let name = String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]);
                    interface.name = Some(name.into_owned()).filter(|name| !name.is_empty());
                }
                (option::RESOLUTION, [resolution, ..]) => {
                    clock.resolution = Resolution::of(*resolution)
                }
                // The draft says bits, its example and most writers say bytes (4).
                (option::FCS_LENGTH, [fcs, ..]) => {
                    interface.fcs_bytes = if *fcs >= 16 { *fcs / 8 } else { *fcs };
                }
                (option::OFFSET, _) => {
                    let seconds = order.u64(value, 0).unwrap_or_default().cast_signed();
                    clock.offset = seconds.saturating_mul(SECOND);
                }
                _ => {}
            }
            rest = after;
        }
        let is_taken = |index| self.taken.get(index as usize).is_some_and(|taken| *taken);
        let index = interfaces.index(interface, is_taken);
        let index = index.filter(|_| self.interfaces.len() < MAX_INTERFACES);
        let index =
            index.ok_or_else(|| Stop::Damaged(format!("more than {MAX_INTERFACES} interfaces")))?;
        let place = index as usize;
        self.taken.resize(self.taken.len().max(place + 1), false);
        self.taken[place] = true;
        self.interfaces.push(Local {
            index,
            snap_length,
            limit: record_limit(snap_length),
            clock,
        });
        Ok(())
    }

    /// The packet of a block, `at` counted from the block's start; `None` if the block is too short
    /// for it.
    #[inline]
    fn packet(&self, order: Order, kind: u32, body: &[u8]) -> Option<Result<Packet, Stop>> {
        let number = match kind {
            SIMPLE_PACKET => 0,
            OBSOLETE_PACKET => order.u16(body, field::INTERFACE)?.into(),
            _ => order.u32(body, field::INTERFACE)?,
        };
        let Some(local) = self.interfaces.get(number as usize) else {
            let what = format!(
                "a packet is of interface {number}, the section has {}",
                self.interfaces.len()
            );
            return Some(Err(Stop::Damaged(what)));
        };
        let (at, time, captured, length);
        if kind == SIMPLE_PACKET {
            length = order.u32(body, field::SIMPLE_ORIGINAL)?;
            let snap_length = if local.snap_length == 0 {
                u32::MAX
            } else {
                local.snap_length
            };
            let room = u32::try_from(body.len().checked_sub(SIMPLE_HEAD)?).ok()?;
            captured = length.min(snap_length).min(room);
            (at, time) = (SIMPLE_HEAD, self.last_time);
        } else {
            let high = order.u32(body, field::TIME_HIGH)?;
            let low = order.u32(body, field::TIME_LOW)?;
            captured = order.u32(body, field::CAPTURED)?;
            length = order.u32(body, field::ORIGINAL)?;
            (at, time) = (
                PACKET_HEAD,
                local.clock.time(u64::from(high) << 32 | u64::from(low)),
            );
        }
        if captured > local.limit {
            let what = format!(
                "a packet claims {captured} captured bytes (the limit is {})",
                local.limit
            );
            return Some(Err(Stop::Damaged(what)));
        }
        body.get(at..at + captured as usize)?;
        Some(Ok(Packet {
            time,
            at: at as u32,
            captured,
            length,
            interface: local.index,
        }))
    }
}

/// Whole blocks only: the bytes of the block at the start of `rest`, with padding and trailer.
#[inline]
fn whole(order: Order, rest: &[u8]) -> Result<&[u8], Stop> {
    let length = block_length(order, rest)?;
    let size = padded(length);
    let block = rest.get(..size).ok_or(short(size))?;
    let trailer = order.u32(block, size - TRAILER).ok_or(short(size))?;
    check_trailer(length, trailer)?;
    Ok(block)
}

#[inline]
fn block_length(order: Order, rest: &[u8]) -> Result<u32, Stop> {
    let length = order.u32(rest, field::LENGTH).ok_or(short(BLOCK_HEADER))?;
    if (length as usize) < BLOCK_HEADER + TRAILER || length > MAX_RECORD {
        return Err(Stop::Damaged(format!(
            "a block claims to be {length} bytes long (12 to {MAX_RECORD} are possible)"
        )));
    }
    Ok(length)
}

/// Some writers leave the padding out of the length; Wireshark reads these too.
#[inline]
fn padded(length: u32) -> usize {
    (length as usize).next_multiple_of(4)
}

#[inline]
fn check_trailer(length: u32, trailer: u32) -> Result<(), Stop> {
    if length == trailer {
        return Ok(());
    }
    Err(Stop::Damaged(format!(
        "a block's two lengths differ: {length} at its start, {trailer} at its end"
    )))
}

/// Code and value of the first option, and what follows; `None` at the end, or where a length lies.
fn next_option(order: Order, options: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let code = order.u16(options, 0)?;
    if code == option::END {
        return None;
    }
    let length = usize::from(order.u16(options, 2)?);
    let value = options.get(4..4 + length)?;
    Some((
        code,
        value,
        options
            .get(4 + length.next_multiple_of(4)..)
            .unwrap_or_default(),
    ))
}

#[inline]
fn short(need: usize) -> Stop {
    Stop::Short { need }
}

#[cold]
fn damaged(what: &str) -> Stop {
    Stop::Damaged(what.to_owned())
}

/// How an interface counts time.
#[derive(Default)]
struct Clock {
    resolution: Resolution,
    /// Nanoseconds to add.
    offset: i64,
}

/// A tick of an interface's clock.
enum Resolution {
    /// So many nanoseconds.
    Nanoseconds(u64),
    /// So many make a nanosecond; `None`: more than a number holds, all times are 0.
    PerNanosecond(Option<u64>),
    /// 2 to this power make a second.
    Shift(u32),
}

impl Default for Resolution {
    /// Microseconds, as the draft says.
    fn default() -> Resolution {
        Resolution::Nanoseconds(1000)
    }
}

impl Resolution {
    /// if_tsresol: a negative power of ten, or of two if the highest bit is set.
    fn of(option: u8) -> Resolution {
        let power = u32::from(option & 0x7f);
        if option & 0x80 != 0 {
            return Resolution::Shift(power);
        }
        match 9u32.checked_sub(power) {
            Some(zeros) => Resolution::Nanoseconds(10u64.pow(zeros)),
            None => Resolution::PerNanosecond(10u64.checked_pow(power - 9)),
        }
    }
}

impl Clock {
    /// The time of so many ticks. Ticks are unsigned, but what is then after the year 2262, which is
    /// the last that a [`Timestamp`] holds, was a negative number for its writer: such captures
    /// exist (PcapPlusPlus' pcapng-example), and one packet of the far future would end every
    /// timeout. What is too large even so becomes the latest time.
    #[inline]
    fn time(&self, ticks: u64) -> Timestamp {
        let ns = self
            .ns(ticks.into())
            .or_else(|| self.ns(ticks.cast_signed().into()));
        Timestamp(ns.unwrap_or(i64::MAX)).plus(self.offset)
    }

    #[inline]
    fn ns(&self, ticks: i128) -> Option<i64> {
        // Ticks are below 2^64 and the factors below 2^30: the products fit.
        let ns = match self.resolution {
            Resolution::Nanoseconds(scale) => ticks * i128::from(scale),
            Resolution::PerNanosecond(divisor) => divisor.map_or(0, |d| ticks / i128::from(d)),
            Resolution::Shift(power) => (ticks * i128::from(SECOND)) >> power,
        };
        i64::try_from(ns).ok()
    }
}
