//! IPv4 (RFC 791), IPv6 and its extension headers (RFC 8200), the authentication header (RFC 4302).
//! Not reassembly: a fragment is only described here.

use super::checksum;
use super::counts::Undecoded;
use super::segment::v4_words;
use super::view::{View, be16, be32, be128};

/// IP protocol numbers and IPv6 extension headers (IANA "Assigned Internet Protocol Numbers").
pub(super) mod protocol {
    pub(in crate::wire) const HOP_BY_HOP: u8 = 0;
    pub(in crate::wire) const ICMP: u8 = 1;
    pub(in crate::wire) const IPV4: u8 = 4;
    pub(in crate::wire) const TCP: u8 = 6;
    pub(in crate::wire) const UDP: u8 = 17;
    pub(in crate::wire) const IPV6: u8 = 41;
    pub(in crate::wire) const ROUTING: u8 = 43;
    pub(in crate::wire) const FRAGMENT: u8 = 44;
    pub(in crate::wire) const GRE: u8 = 47;
    pub(in crate::wire) const AUTHENTICATION: u8 = 51;
    pub(in crate::wire) const ICMPV6: u8 = 58;
    pub(in crate::wire) const DESTINATION_OPTIONS: u8 = 60;
    pub(in crate::wire) const MOBILITY: u8 = 135;
    pub(in crate::wire) const MPLS: u8 = 137;
    pub(in crate::wire) const HOST_IDENTITY: u8 = 139;
    pub(in crate::wire) const SHIM6: u8 = 140;
}

/// What is kept of an IP header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ip {
    pub(super) source: [u64; 2],
    pub(super) destination: [u64; 2],
    pub(super) ttl: u8,
    /// IPv4 only.
    pub(super) id: Option<u16>,
    pub(super) is_v6: bool,
    /// The IPv4 header checksum was checked and is wrong.
    pub(super) bad_checksum: bool,
}

/// A part of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// Protocol of what the whole datagram carries (in IPv6 only that of the first fragment counts).
    pub(super) protocol: u8,
    /// Where its bytes belong, counted in bytes.
    pub(super) offset: u32,
    /// More follow it.
    pub(super) more: bool,
}

/// What an IP header is followed by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// A header of this protocol.
    Protocol(u8),
    /// A piece of a datagram.
    Fragment(Fragment),
}

/// Reads an IP header of either version; the view that comes back ends where the datagram does.
#[inline(always)]
pub(super) fn header<'a>(view: View<'a>, check: bool) -> Result<(Ip, Body, View<'a>), Undecoded> {
    match view.byte(0).map(|byte| byte >> 4) {
        Some(4) => v4(view, check),
        Some(6) => v6(view),
        Some(_) => Err(Undecoded::BadIpHeader),
        None => Err(Undecoded::CutIpHeader),
    }
}

// RFC 791 section 3.1:
//
// |Version|  IHL  |Type of Service|          Total Length         |
// |         Identification        |Flags|      Fragment Offset    |
// |  Time to Live |    Protocol   |         Header Checksum       |
// |                       Source Address                          |
// |                    Destination Address                        |
// |                    Options ...                                |
pub(super) mod v4_field {
    pub(in crate::wire) const VERSION_IHL: usize = 0;
    pub(in crate::wire) const TOTAL_LENGTH: usize = 2;
    pub(in crate::wire) const ID: usize = 4;
    pub(in crate::wire) const FLAGS_OFFSET: usize = 6;
    pub(in crate::wire) const TTL: usize = 8;
    pub(in crate::wire) const PROTOCOL: usize = 9;
    pub(in crate::wire) const CHECKSUM: usize = 10;
    pub(in crate::wire) const SOURCE: usize = 12;
    pub(in crate::wire) const DESTINATION: usize = 16;
    /// Length without options.
    pub(in crate::wire) const HEADER: u32 = 20;
    /// In the flags and offset field.
    pub(in crate::wire) const MORE: u16 = 0x2000;
    /// In the flags and offset field, in units of eight bytes.
    pub(in crate::wire) const OFFSET: u16 = 0x1fff;
}

#[inline(always)]
fn v4<'a>(view: View<'a>, check: bool) -> Result<(Ip, Body, View<'a>), Undecoded> {
    use v4_field::*;
    let header = view
        .head::<{ HEADER as usize }>()
        .ok_or(Undecoded::CutIpHeader)?;
    let header_length = u32::from(header[VERSION_IHL] & 0x0f) * 4;
    // 0: the capturing host left segmentation to its network card, and the length with it.
    let total = match u32::from(be16(header, TOTAL_LENGTH)) {
        0 => view.length,
        total => total,
    };
    if header_length < HEADER || total < header_length {
        return Err(Undecoded::BadIpHeader);
    }
    let ip = Ip {
        source: v4_words(be32(header, SOURCE)),
        destination: v4_words(be32(header, DESTINATION)),
        ttl: header[TTL],
        id: Some(be16(header, ID)),
        is_v6: false,
        bad_checksum: check && checksum::ipv4_is_bad(view, header_length),
    };
    let body = view
        .limit(total)
        .skip(header_length)
        .ok_or(Undecoded::CutIpHeader)?;
    let place = be16(header, FLAGS_OFFSET);
    let protocol = header[PROTOCOL];
    if place & (MORE | OFFSET) == 0 {
        return Ok((ip, Body::Protocol(protocol), body));
    }
    let fragment = Fragment {
        id: u32::from(be16(header, ID)),
        protocol,
        offset: u32::from(place & OFFSET) * 8,
        more: place & MORE != 0,
    };
    Ok((ip, Body::Fragment(fragment), body))
}

// RFC 8200 section 3:
//
// |Version| Traffic Class |           Flow Label                  |
// |         Payload Length        |  Next Header  |   Hop Limit   |
// |                       Source Address (16)                     |
// |                    Destination Address (16)                   |
pub(super) mod v6_field {
    pub(in crate::wire) const PAYLOAD_LENGTH: usize = 4;
    pub(in crate::wire) const NEXT: usize = 6;
    pub(in crate::wire) const HOP_LIMIT: usize = 7;
    pub(in crate::wire) const SOURCE: usize = 8;
    pub(in crate::wire) const DESTINATION: usize = 24;
    pub(in crate::wire) const HEADER: u32 = 40;
}

#[inline(always)]
fn v6<'a>(view: View<'a>) -> Result<(Ip, Body, View<'a>), Undecoded> {
    use v6_field::*;
    let header = view
        .head::<{ HEADER as usize }>()
        .ok_or(Undecoded::CutIpHeader)?;
    let next = header[NEXT];
    let body = view.skip(HEADER).ok_or(Undecoded::CutIpHeader)?;
    let body = match u32::from(be16(header, PAYLOAD_LENGTH)) {
        // A jumbogram, or segmentation left to the network card.
        0 if next == protocol::HOP_BY_HOP => jumbo(body).map_or(body, |length| body.limit(length)),
        0 => body,
        length => body.limit(length),
    };
    let ip = Ip {
        source: be128(header, SOURCE),
        destination: be128(header, DESTINATION),
        ttl: header[HOP_LIMIT],
        id: None,
        is_v6: true,
        bad_checksum: false,
    };
    Ok((ip, Body::Protocol(next), body))
}

/// The length in a jumbo payload option (RFC 2675 section 2), where it stands first, as its alignment suggests.
fn jumbo(hop_by_hop: View<'_>) -> Option<u32> {
    const JUMBO: u8 = 0xc2;
    let header = hop_by_hop.head::<8>()?;
    (header[2] == JUMBO && header[3] == 4).then(|| be32(header, 4))
}

/// True for the headers that [`extension`] steps over.
pub(super) fn is_extension(next: u8) -> bool {
    matches!(
        next,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION_OPTIONS
            | protocol::MOBILITY
            | protocol::HOST_IDENTITY
            | protocol::SHIM6
    )
}

// RFC 8200 section 4: extension headers begin alike.
//
// |  Next Header  |    Length     | ...
const EXTENSION_NEXT: usize = 0;
const EXTENSION_LENGTH: usize = 1;

/// Steps over an IPv6 extension header (in units of eight bytes, the first not counted).
pub(super) fn extension(view: View<'_>) -> Result<(u8, View<'_>), Undecoded> {
    let header = view.head::<2>().ok_or(Undecoded::CutIpHeader)?;
    let length = (u32::from(header[EXTENSION_LENGTH]) + 1) * 8;
    Ok((header[EXTENSION_NEXT], over(view, length)?))
}

/// Steps over an authentication header (in units of four bytes, the first two not counted).
pub(super) fn authentication(view: View<'_>) -> Result<(u8, View<'_>), Undecoded> {
    let header = view.head::<2>().ok_or(Undecoded::CutIpHeader)?;
    let length = (u32::from(header[EXTENSION_LENGTH]) + 2) * 4;
    Ok((header[EXTENSION_NEXT], over(view, length)?))
}

// RFC 8200 section 4.5:
//
// |  Next Header  |   Reserved    |      Fragment Offset    |Res|M|
// |                         Identification                        |
const FRAGMENT_OFFSET: usize = 2;
const FRAGMENT_ID: usize = 4;
const FRAGMENT_HEADER: u32 = 8;

/// Reads an IPv6 fragment header. An atomic fragment (RFC 6946) is a whole datagram.
pub(super) fn v6_fragment(view: View<'_>) -> Result<(Body, View<'_>), Undecoded> {
    let header = view
        .head::<{ FRAGMENT_HEADER as usize }>()
        .ok_or(Undecoded::CutIpHeader)?;
    let body = view.skip(FRAGMENT_HEADER).ok_or(Undecoded::CutIpHeader)?;
    let place = be16(header, FRAGMENT_OFFSET);
    let (offset, more) = (u32::from(place & 0xfff8), place & 1 != 0);
    let protocol = header[EXTENSION_NEXT];
    if offset == 0 && !more {
        return Ok((Body::Protocol(protocol), body));
    }
    let fragment = Fragment {
        id: be32(header, FRAGMENT_ID),
        protocol,
        offset,
        more,
    };
    Ok((Body::Fragment(fragment), body))
}

fn over(view: View<'_>, length: u32) -> Result<View<'_>, Undecoded> {
    if length > view.length {
        return Err(Undecoded::BadIpHeader);
    }
    view.skip(length).ok_or(Undecoded::CutIpHeader)
}
