//! Wireless frames that carry LLC in the clear (IEEE 802.11-2020 section 9.2.3), with or without a radiotap header
//! (<https://www.radiotap.org>). Not decryption, not fragments or aggregates of frames.

use super::counts::Undecoded;
use super::decode::Next;
use super::view::View;

// Frame control (2), duration (2), three addresses (6 each), sequence control (2);
// then, by frame control: fourth address (6), QoS control (2), HT control (4).
const SEQUENCE: usize = 22;
const HEADER: u32 = 24;
const ADDRESS: u32 = 6;
const QOS: u32 = 2;
const HT: u32 = 4;

/// In the first byte of frame control: version and type of data frames.
const TYPE: u8 = 0x0f;
const DATA: u8 = 0x08;
/// In the first byte of frame control, for data frames.
const NO_DATA: u8 = 0x40;
const HAS_QOS: u8 = 0x80;
/// In the second byte of frame control.
const BETWEEN_ACCESS_POINTS: u8 = 0x03;
const MORE_FRAGMENTS: u8 = 0x04;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
/// In the first byte of QoS control.
const AGGREGATE: u8 = 0x80;

/// Steps over the header of a data frame.
pub(super) fn frame(view: View<'_>) -> Result<(Next, View<'_>), Undecoded> {
    let header = view
        .head::<{ HEADER as usize }>()
        .ok_or(Undecoded::CutLinkHeader)?;
    let (kind, bits) = (header[0], header[1]);
    let is_fragment = bits & MORE_FRAGMENTS != 0 || header[SEQUENCE] & 0x0f != 0;
    if kind & TYPE != DATA || kind & NO_DATA != 0 || bits & PROTECTED != 0 || is_fragment {
        return Err(Undecoded::OtherEthertype);
    }
    let mut length = HEADER;
    if bits & BETWEEN_ACCESS_POINTS == BETWEEN_ACCESS_POINTS {
        length += ADDRESS;
    }
    if kind & HAS_QOS != 0 {
        let control = view.byte(length).ok_or(Undecoded::CutLinkHeader)?;
        if control & AGGREGATE != 0 {
            return Err(Undecoded::OtherEthertype);
        }
        length += if bits & ORDER != 0 { QOS + HT } else { QOS };
    }
    let body = view.skip(length).ok_or(Undecoded::CutLinkHeader)?;
    Ok((Next::Llc, body))
}

/// Radiotap: version (1), padding (1), length (2, little-endian), fields.
pub(super) fn radiotap(view: View<'_>) -> Result<(Next, View<'_>), Undecoded> {
    let &[_, _, low, high] = view.head::<4>().ok_or(Undecoded::CutLinkHeader)?;
    let length = u32::from(u16::from_le_bytes([low, high]));
    frame(view.skip(length).ok_or(Undecoded::CutLinkHeader)?)
}
