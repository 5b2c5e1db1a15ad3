//! The common way of a packet: Ethernet (or raw IP, or Linux cooked), up to two VLAN tags, IPv4 without options or IPv6, TCP. What it takes gives
//! exactly what the general walk in `decode.rs` gives (tested), in a fraction of the time; the rest it leaves alone.

use super::decode::Wrapping;
use super::ip::{protocol, v4_field, v6_field};
use super::key::{self, HashKey};
use super::link::{self, ethertype};
use super::segment::{Segment, Tunnel, has};
use super::tcp;
use super::view::{View, be16, be32, be128, chunk};
use crate::packet::{LinkType, Packet};

/// Where the ethertype stands.
const ETHERTYPE: u32 = 12;
const VLAN_TAG: u32 = 4;
const MAX_TAGS: usize = 2;
const IPV4_NO_OPTIONS: u8 = 0x45;
const TCP: usize = tcp::HEADER as usize;
const IPV4: usize = v4_field::HEADER as usize;
const IPV6: usize = v6_field::HEADER as usize;

/// Decodes into `out`, but for `clock` and `frame`. False if the packet is none of the common ones: then `out` may be
/// partly written.
#[inline(always)]
pub(super) fn ethernet(data: &[u8], packet: &Packet, key: &HashKey, out: &mut Segment) -> bool {
    let Some(kind) = chunk::<2>(data, ETHERTYPE) else {
        return false;
    };
    let kind = be16(kind, 0);
    if kind == ethertype::IPV4 {
        let wrapping = Wrapping::default();
        return network(data, packet, kind, ETHERTYPE + 2, wrapping, key, out);
    }
    tagged(
        data,
        packet,
        kind,
        ETHERTYPE + 2,
        Wrapping::default(),
        key,
        out,
    )
}

/// The same for the other link layers that live captures have: raw IP and Linux cooked.
#[inline(never)]
pub(super) fn other(
    data: &[u8],
    packet: &Packet,
    link: LinkType,
    key: &HashKey,
    out: &mut Segment,
) -> bool {
    let mut wrapping = Wrapping::default();
    let (kind, at) = match link {
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => match data.first().map(|byte| byte >> 4)
        {
            Some(4) => (ethertype::IPV4, 0),
            Some(6) => (ethertype::IPV6, 0),
            _ => return false,
        },
        LinkType::LINUX_SLL => match chunk::<2>(data, link::COOKED_V1_PROTOCOL) {
            Some(kind) => (be16(kind, 0), link::COOKED_V1),
            None => return false,
        },
        LinkType::LINUX_SLL2 => match chunk::<{ link::COOKED_V2 as usize }>(data, 0) {
            Some(header) => {
                wrapping.interface = link::cooked_v2_interface(header);
                (be16(header, link::COOKED_V2_PROTOCOL), link::COOKED_V2)
            }
            None => return false,
        },
        _ => return false,
    };
    let taken = tagged(data, packet, kind, at, wrapping, key, out);
    if taken && link == LinkType::LINUX_SLL2 {
        out.interface = wrapping.interface;
    }
    taken
}

/// VLAN tags, if any, and IPv6. Apart from `ethernet`, whose offsets are constants without them: measured 15 % faster.
#[inline(never)]
fn tagged(
    data: &[u8],
    packet: &Packet,
    mut kind: u16,
    mut at: u32,
    mut wrapping: Wrapping,
    key: &HashKey,
    out: &mut Segment,
) -> bool {
    for _ in 0..MAX_TAGS {
        if kind != ethertype::VLAN && kind != ethertype::SERVICE_VLAN {
            break;
        }
        let Some(tag) = chunk::<4>(data, at) else {
            return false;
        };
        wrapping.enter_vlan(be16(tag, 0) & 0x0fff);
        kind = be16(tag, 2);
        at += VLAN_TAG;
    }
    network(data, packet, kind, at, wrapping, key, out)
}

#[inline(always)]
fn network(
    data: &[u8],
    packet: &Packet,
    kind: u16,
    at: u32,
    wrapping: Wrapping,
    key: &HashKey,
    out: &mut Segment,
) -> bool {
    let Some(bytes) = data.get(at as usize..) else {
        return false;
    };
    let view = View {
        bytes,
        length: 0,
        at: packet.at.wrapping_add(at),
        in_batch: true,
        is_claimed: false,
    };
    let taken = match kind {
        ethertype::IPV4 => ipv4(view, wrapping.context, key, out),
        ethertype::IPV6 => ipv6(view, wrapping.context, key, out),
        _ => false,
    };
    if !taken {
        return false;
    }
    out.time = packet.time;
    out.interface = packet.interface;
    out.vlan = wrapping.vlan;
    out.tunnel = Tunnel::None;
    true
}

#[inline(always)]
fn ipv4(view: View<'_>, context: u32, key: &HashKey, out: &mut Segment) -> bool {
    use v4_field::*;
    let Some(header) = view.head::<{ IPV4 + TCP }>() else {
        return false;
    };
    let total = u32::from(be16(header, TOTAL_LENGTH));
    let is_common = header[VERSION_IHL] == IPV4_NO_OPTIONS
        && header[PROTOCOL] == protocol::TCP
        && be16(header, FLAGS_OFFSET) & (MORE | OFFSET) == 0
        && total >= HEADER;
    if !is_common {
        return false;
    }
    let Some(segment) = view.limit(total).skip(HEADER) else {
        return false;
    };
    let Some(tcp_header) = segment.head::<TCP>() else {
        return false;
    };
    let (source_port, destination_port) = tcp::ports(tcp_header);
    let source = (be32(header, SOURCE), source_port);
    let destination = (be32(header, DESTINATION), destination_port);
    key::fill_v4(out, key, source, destination, context);
    out.ttl = header[TTL];
    out.ip_id = be16(header, ID);
    out.has = has::IP_ID;
    tcp::fill(out, segment, tcp_header).is_ok()
}

#[inline(always)]
fn ipv6(view: View<'_>, context: u32, key: &HashKey, out: &mut Segment) -> bool {
    use v6_field::*;
    let Some(header) = view.head::<{ IPV6 + TCP }>() else {
        return false;
    };
    let length = u32::from(be16(header, PAYLOAD_LENGTH));
    if header[0] >> 4 != 6 || header[NEXT] != protocol::TCP || length == 0 {
        return false;
    }
    let Some(segment) = view.skip(HEADER) else {
        return false;
    };
    let segment = segment.limit(length);
    let Some(tcp_header) = segment.head::<TCP>() else {
        return false;
    };
    let (source_port, destination_port) = tcp::ports(tcp_header);
    let source = (be128(header, SOURCE), source_port);
    let destination = (be128(header, DESTINATION), destination_port);
    key::fill(out, key, source, destination, context);
    out.ttl = header[HOP_LIMIT];
    out.ip_id = 0;
    out.has = 0;
    tcp::fill(out, segment, tcp_header).is_ok()
}
