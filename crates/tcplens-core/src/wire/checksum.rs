//! Internet checksums (RFC 1071) of IPv4 headers and TCP segments. Only "wrong" is told: what was not captured as a
//! whole, or left to the network card, is not wrong.

use super::ip::{Ip, protocol, v4_field};
use super::tcp;
use super::view::{View, be16};

/// The IPv4 header was captured as a whole and its checksum is wrong. 0 is left to the network card.
pub(super) fn ipv4_is_bad(view: View<'_>, header_length: u32) -> bool {
    let Some(header) = view.bytes.get(..header_length as usize) else {
        return false;
    };
    let left_to_card = view.chunk::<2>(v4_field::CHECKSUM as u32) == Some(&[0, 0]);
    !left_to_card && folded(sum(header)) != 0xffff
}

/// The segment in `view` was captured as a whole and its checksum is wrong.
///
/// A sender that leaves it to the network card writes 0, or the sum of the pseudo header (Linux: CHECKSUM_PARTIAL),
/// with or, for a packet yet to be segmented, without the length.
pub(super) fn tcp_is_bad(view: View<'_>, ip: &Ip) -> bool {
    if !view.is_whole() {
        return false;
    }
    let Some(field) = view.chunk::<2>(tcp::CHECKSUM as u32) else {
        return false;
    };
    let field = be16(field, 0);
    let ends =
        words(ip.source, ip.is_v6) + words(ip.destination, ip.is_v6) + u64::from(protocol::TCP);
    let pseudo = ends + u64::from(view.length >> 16) + u64::from(view.length & 0xffff);
    let left_to_card = field == 0 || field == folded(pseudo) || field == folded(ends);
    !left_to_card && folded(pseudo + sum(view.bytes)) != 0xffff
}

/// The sum of an address's 16-bit words.
fn words(address: [u64; 2], is_v6: bool) -> u64 {
    let of =
        |word: u64| (word >> 48) + (word >> 32 & 0xffff) + (word >> 16 & 0xffff) + (word & 0xffff);
    if is_v6 {
        of(address[0]) + of(address[1])
    } else {
        of(address[1] & 0xffff_ffff)
    }
}

/// The sum of the bytes' 16-bit words; an odd last byte counts as the high one.
fn sum(bytes: &[u8]) -> u64 {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let even: u64 = pairs
        .iter()
        .map(|&pair| u64::from(u16::from_be_bytes(pair)))
        .sum();
    even + odd.first().map_or(0, |&byte| u64::from(byte) << 8)
}

/// The sum in ones' complement, 16 bits.
fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    // The loop ends only at 16 bits.
    u16::try_from(sum).unwrap_or(u16::MAX)
}
