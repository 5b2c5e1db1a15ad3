//! What tcp-info's program csvtool prints of an archive: 105 columns (spec/tcp-info.md 3.10), [`Shape::Compat`] with all that
//! it gets wrong, byte for byte; [`Shape::Corrected`] the same columns put right (D7, D10, D12), with `UUID` and `Sequence`
//! before them.
//!
//! What is wrong in the compatible shape: a row for a line of metadata, stamped 2009; absent values as 0; the interface in
//! the other byte order; addresses taken for IPv4 when twelve bytes are zero; a control group's class cut to eight bits; both
//! window scales in one number, and the whole byte of flags for `AppLimited`; -1 for "not limited"; a name that two columns
//! have, and one with a slip of the pen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcplens_core::socket::message::kind;
use tcplens_core::socket::tcp_info::{PLACES, Place};
use tcplens_core::socket::{Message, TcpInfo};

use super::line::Metadata;
use super::reader::Entry;
use super::stamp::Stamp;
use crate::digits;
use crate::rfc3339::Rfc3339;
use columns::{BEFORE_TCP, BEHIND_TCP, SIGNED, TCP, TCP_INFO};

mod columns;

/// Which mistakes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All of csvtool's.
    Compat,
    /// None of them.
    Corrected,
}

/// What csvtool puts where a line has no time.
const NO_TIME: &str = "2009-05-29T23:59:59Z";

/// Prints rows.
pub struct CsvTool {
    shape: Shape,
    clock: Rfc3339,
    /// Of the segment that is read.
    metadata: Option<Metadata>,
}

impl CsvTool {
    /// Of a shape.
    #[must_use]
    pub fn new(shape: Shape) -> CsvTool {
        CsvTool {
            shape,
            clock: Rfc3339::default(),
            metadata: None,
        }
    }

    /// Appends the names of the columns.
    pub fn header(&self, out: &mut Vec<u8>) {
        let mut header = String::new();
        if self.shape == Shape::Corrected {
            header.push_str("UUID,Sequence,");
        }
        header.push_str(BEFORE_TCP);
        for name in TCP {
            header.push_str("TCP.");
            header.push_str(match (self.shape, name) {
                (Shape::Compat, "LastAckRecv") => "LastDataRecv",
                (Shape::Corrected, "WScale") => "SndWScale,TCP.RcvWScale",
                _ => name,
            });
            header.push(',');
        }
        for (name, _) in BEHIND_TCP.iter().flat_map(|group| group.fields) {
            header.push_str(match (self.shape, *name) {
                (Shape::Compat, "SKMemInfo.Sndbuf") => "SKMemInfo.Sndbug",
                (_, name) => name,
            });
            header.push(',');
        }
        header.pop();
        header.push('\n');
        out.extend_from_slice(header.as_bytes());
    }

    /// Another archive begins.
    pub fn begin(&mut self) {
        self.metadata = None;
    }

    /// Appends the row of a line, if it has one.
    pub fn row(&mut self, out: &mut Vec<u8>, entry: &Entry<'_>) {
        if let Some(metadata) = &entry.metadata {
            self.metadata = Some(metadata.clone());
        }
        let mut row = Row {
            out,
            is_compat: self.shape == Shape::Compat,
        };
        if !row.is_compat {
            if entry.message.is_none() {
                return;
            }
            let metadata = self.metadata.as_ref();
            row.text(metadata.map_or("", |metadata| &metadata.uuid));
            row.number(metadata.map(|metadata| metadata.sequence.into()));
        }
        self.time(&mut row, entry.at);
        row.message(entry.message);
        let attributes = entry.message.map(Message::attributes);
        row.tcp_info(entry.message.and_then(Message::tcp_info));
        for group in BEHIND_TCP {
            let mut found =
                attributes.and_then(|mut all| all.find(|&(found, _)| found == group.kind));
            let value = found.take().map(|(_, value)| value);
            row.fields(value, group.fields);
        }
        row.out.pop();
        row.out.push(b'\n');
    }

    fn time(&mut self, row: &mut Row<'_>, at: Stamp) {
        match at.at {
            None if row.is_compat => row.out.extend_from_slice(NO_TIME.as_bytes()),
            None => {}
            Some(at) if !row.is_compat => Stamp::from(at).write(row.out, &mut self.clock),
            Some(_) => at.write(row.out, &mut self.clock),
        }
        row.out.push(b',');
    }
}

/// A row in the making: every cell ends with a comma.
struct Row<'a> {
    out: &'a mut Vec<u8>,
    is_compat: bool,
}

impl Row<'_> {
    fn message(&mut self, message: Option<Message<'_>>) {
        let (observed, not_parsed) = message.map_or((0, 0), bits);
        self.number(Some(observed.into()));
        self.number(Some(not_parsed.into()));
        match message {
            Some(message) => self.head(message),
            None => self.out.extend_from_slice(&[b','; 15]),
        }
        let attribute = |kind| message.and_then(|message| message.attribute(kind));
        let congestion = attribute(kind::CONG).unwrap_or_default();
        let congestion = congestion.split_last().map_or(&[][..], |(_, name)| name);
        self.text(&String::from_utf8_lossy(congestion));
        let byte = |kind| attribute(kind).and_then(|value| value.first().copied());
        self.or_zero(byte(kind::TOS).map(u64::from));
        self.or_zero(byte(kind::TCLASS).map(u64::from));
        let four = |kind| {
            let value: [u8; 4] = attribute(kind)?.try_into().ok()?;
            Some(u64::from(u32::from_ne_bytes(value)))
        };
        let class = if self.is_compat {
            byte(kind::CLASS_ID).map(u64::from)
        } else {
            four(kind::CLASS_ID)
        };
        self.or_zero(class);
        self.or_zero(byte(kind::SHUTDOWN).map(u64::from));
        self.or_zero(byte(kind::PROTOCOL).map(u64::from));
        self.or_zero(four(kind::MARK));
    }

    fn head(&mut self, message: Message<'_>) {
        let head = message.head();
        for byte in &head[..4] {
            self.number(Some((*byte).into()));
        }
        self.number(Some(message.local().1.into()));
        self.number(Some(message.remote().1.into()));
        self.address(&head[8..24], message.local().0);
        self.address(&head[24..40], message.remote().0);
        let interface = message.interface();
        self.number(Some(if self.is_compat {
            interface.swap_bytes().into()
        } else {
            interface.into()
        }));
        let cookie = format!("{:X},", message.cookie());
        self.out.extend_from_slice(cookie.as_bytes());
        for value in [
            message.expires_ms(),
            message.rqueue(),
            message.wqueue(),
            message.uid(),
            message.inode(),
        ] {
            self.number(Some(value.into()));
        }
    }

    fn address(&mut self, bytes: &[u8], by_family: IpAddr) {
        let address = match bytes.try_into() {
            Ok(bytes) if self.is_compat => by_zeros(bytes),
            Ok(_) | Err(_) => by_family,
        };
        let mut text = [0; digits::IP];
        let length = digits::ip(&mut text, address);
        self.out.extend_from_slice(&text[..length]);
        self.out.push(b',');
    }

    fn tcp_info(&mut self, info: Option<TcpInfo<'_>>) {
        for (place, name) in PLACES.iter().zip(TCP) {
            let value = info.and_then(|info| self.place(info, place));
            match (name, value) {
                _ if self.is_compat => match value {
                    Some(value) if SIGNED.contains(&name) => {
                        self.signed(i64::from((value as u32).cast_signed()));
                    }
                    Some(value) if place.width == 8 => self.signed(value.cast_signed()),
                    Some(value) => self.number(Some(value)),
                    None => self.out.push(b','),
                },
                ("WScale", scales) => {
                    self.number(scales.map(|both| both & 15));
                    self.number(scales.map(|both| both >> 4));
                }
                ("AppLimited", flags) => self.number(flags.map(|flags| flags & 1)),
                // All ones: not limited, not measured.
                ("PacingRate" | "MaxPacingRate", rate) => {
                    self.number(rate.filter(|&rate| rate != u64::MAX));
                }
                ("MinRTT", rtt) => self.number(rtt.filter(|&rtt| rtt != u64::from(u32::MAX))),
                (_, value) => self.number(value),
            }
        }
    }

    /// A field; csvtool fills what an older kernel did not have with zeros.
    fn place(&self, info: TcpInfo<'_>, place: &Place) -> Option<u64> {
        self.bytes(info.bytes(), place.offset, place.width)
    }

    fn fields(&mut self, value: Option<&[u8]>, fields: &[(&str, usize)]) {
        let mut at = 0;
        for &(_, width) in fields {
            let field = value.and_then(|value| self.bytes(value, at, width));
            match field {
                // BBR's bandwidth is signed there.
                Some(field) if self.is_compat && width == 8 => self.signed(field.cast_signed()),
                field => self.number(field),
            }
            at += width;
        }
    }

    /// A number in the host's order.
    fn bytes(&self, from: &[u8], at: usize, width: usize) -> Option<u64> {
        let bytes = from.get(at..).unwrap_or_default();
        let bytes = bytes.get(..width).unwrap_or(bytes);
        if bytes.len() < width && !self.is_compat {
            return None;
        }
        let mut all = [0; 8];
        // What is cut begins with what is there.
        for (to, &from) in all.iter_mut().zip(bytes) {
            *to = from;
        }
        Some(u64::from_le_bytes(all))
    }

    fn text(&mut self, text: &str) {
        let is_odd = text.starts_with(' ') || text.contains(['"', ',', '\n', '\r']);
        if is_odd {
            let quoted = text.replace('"', "\"\"");
            self.out.push(b'"');
            self.out.extend_from_slice(quoted.as_bytes());
            self.out.push(b'"');
        } else {
            self.out.extend_from_slice(text.as_bytes());
        }
        self.out.push(b',');
    }

    /// What is absent is 0 to csvtool.
    fn or_zero(&mut self, value: Option<u64>) {
        let absent = self.is_compat.then_some(0);
        self.number(value.or(absent));
    }

    fn number(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            let mut text = [0; digits::DECIMAL];
            let length = digits::decimal(&mut text, value);
            self.out.extend_from_slice(&text[..length]);
        }
        self.out.push(b',');
    }

    fn signed(&mut self, value: i64) {
        if value < 0 {
            self.out.push(b'-');
        }
        self.number(Some(value.unsigned_abs()));
    }
}

/// Bits of the attributes that are there, and of those that csvtool does not understand: unknown kinds, and longer ones than
/// it knows. Kinds have the bit below theirs.
fn bits(message: Message<'_>) -> (u32, u32) {
    let (mut observed, mut not_parsed) = (0, 0);
    for (number, value) in message.attributes() {
        let is_parsed = match number {
            kind::INFO => value.len() <= TCP_INFO,
            kind::CONG => true,
            kind::TOS | kind::TCLASS | kind::SHUTDOWN | kind::PROTOCOL | kind::CLASS_ID => {
                !value.is_empty()
            }
            kind::MARK => value.len() == 4,
            _ => BEHIND_TCP
                .iter()
                .any(|group| group.kind == number && value.len() <= group.bytes),
        };
        let bit = number.checked_sub(1).map(u32::from);
        let bit = bit.and_then(|shift| 1_u32.checked_shl(shift));
        observed |= bit.unwrap_or_default();
        not_parsed |= bit.filter(|_| !is_parsed).unwrap_or_default();
    }
    (observed, not_parsed)
}

/// As csvtool tells them apart.
fn by_zeros(bytes: [u8; 16]) -> IpAddr {
    match bytes {
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Ipv4Addr::new(a, b, c, d).into(),
        bytes => IpAddr::from(Ipv6Addr::from_octets(bytes)).to_canonical(),
    }
}
