//! Link layers: what lies before an IP header. Ethernet and 802.3 LLC/SNAP, VLAN tags (IEEE 802.1Q), Linux cooked
//! captures, BSD loopback, PPP (RFC 1661, RFC 1662), PPPoE (RFC 2516), MPLS (RFC 3032), netfilter log, Cisco HDLC,
//! frame relay.
//! Header layouts by link type: <https://www.tcpdump.org/linktypes.html>.

use super::counts::Undecoded;
use super::decode::{Next, Wrapping};
use super::key::context;
use super::view::{View, be16, be32};
use super::wifi;
use crate::packet::LinkType;

/// Ethertypes (IANA "IEEE 802 Numbers").
pub(super) mod ethertype {
    pub(in crate::wire) const IPV4: u16 = 0x0800;
    pub(in crate::wire) const ARP: u16 = 0x0806;
    pub(in crate::wire) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub(in crate::wire) const RARP: u16 = 0x8035;
    pub(in crate::wire) const VLAN: u16 = 0x8100;
    pub(in crate::wire) const IPV6: u16 = 0x86dd;
    pub(in crate::wire) const MPLS: u16 = 0x8847;
    pub(in crate::wire) const MPLS_MULTICAST: u16 = 0x8848;
    pub(in crate::wire) const PPP: u16 = 0x880b;
    pub(in crate::wire) const PPPOE_SESSION: u16 = 0x8864;
    pub(in crate::wire) const SERVICE_VLAN: u16 = 0x88a8;
    pub(in crate::wire) const QINQ_OLD: u16 = 0x9100;
    pub(in crate::wire) const QINQ_OLDER: u16 = 0x9200;
    /// Smaller values are lengths (IEEE 802.3).
    pub(in crate::wire) const FIRST: u16 = 0x0600;
}

/// Cisco HDLC, which also appears under the link type of PPP in HDLC framing.
const C_HDLC: LinkType = LinkType(104);
/// Frame relay (ITU-T Q.922 address, RFC 2427).
const FRAME_RELAY: LinkType = LinkType(107);
/// IEEE 802.11, and the same behind a radiotap header.
const WIFI: LinkType = LinkType(105);
const WIFI_RADIOTAP: LinkType = LinkType(127);
/// Set in [`Segment::interface`](super::segment::Segment::interface) if the rest is the cooked header's interface index.
const COOKED_INTERFACE: u32 = 0x8000_0000;

type Step<'a> = Result<(Next, View<'a>), Undecoded>;

/// Steps over `length` bytes of link header.
#[inline(always)]
fn over(view: View<'_>, length: u32, next: Next) -> Step<'_> {
    Ok((next, view.skip(length).ok_or(Undecoded::CutLinkHeader)?))
}

#[inline(always)]
fn header<'a, const N: usize>(view: &View<'a>) -> Result<&'a [u8; N], Undecoded> {
    view.head().ok_or(Undecoded::CutLinkHeader)
}

/// Reads the first header of a packet of this link type.
#[inline(always)]
pub(super) fn first<'a>(link: LinkType, view: View<'a>, wrapping: &mut Wrapping) -> Step<'a> {
    match link {
        LinkType::ETHERNET => Ok((Next::Ethernet, view)),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => Ok((Next::Ip, view)),
        LinkType::LINUX_SLL => cooked_v1(view),
        LinkType::LINUX_SLL2 => cooked_v2(view, wrapping),
        LinkType::NULL | LinkType::LOOP => loopback(view),
        LinkType::PPP => Ok((Next::Ppp, view)),
        LinkType::PPP_HDLC => hdlc(view),
        LinkType::PPP_ETHER => Ok((Next::Pppoe, view)),
        LinkType::NFLOG => netfilter_log(view),
        C_HDLC => cisco_hdlc(view),
        FRAME_RELAY => frame_relay(view),
        WIFI => wifi::frame(view),
        WIFI_RADIOTAP => wifi::radiotap(view),
        _ => Err(Undecoded::UnknownLinkType),
    }
}

/// Destination (6), source (6), type or length (2).
#[inline(always)]
pub(super) fn ethernet(view: View<'_>) -> Step<'_> {
    const TYPE: usize = 12;
    const HEADER: u32 = 14;
    let kind = be16(header::<{ HEADER as usize }>(&view)?, TYPE);
    let next = if kind < ethertype::FIRST {
        Next::Llc
    } else {
        Next::EtherType(kind)
    };
    over(view, HEADER, next)
}

/// Priority, drop eligibility, VLAN id (2); type of what follows (2).
pub(super) fn vlan<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Step<'a> {
    let tag = header::<4>(&view)?;
    let id = be16(tag, 0) & 0x0fff;
    wrapping.enter_vlan(id);
    let kind = be16(tag, 2);
    over(
        view,
        4,
        if kind < ethertype::FIRST {
            Next::Llc
        } else {
            Next::EtherType(kind)
        },
    )
}

/// IEEE 802.2 with SNAP (RFC 1042): aa aa 03, organisation (3), ethertype (2).
pub(super) fn llc(view: View<'_>) -> Step<'_> {
    let Some(snap) = view.head::<8>() else {
        // Short LLC frames are ordinary: only a SNAP header can be missed.
        let is_snap = view.bytes.starts_with(&[0xaa, 0xaa, 0x03]) || view.bytes.is_empty();
        return Err(if is_snap {
            Undecoded::CutLinkHeader
        } else {
            Undecoded::OtherEthertype
        });
    };
    match snap {
        // Encapsulated Ethernet, and what bridges write (IEEE 802.1H).
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, ..] => over(view, 8, Next::EtherType(be16(snap, 6))),
        _ => Err(Undecoded::OtherEthertype),
    }
}

// Linux cooked capture: packet type (2), ARPHRD type (2), address length (2), address (8), protocol (2).
pub(super) const COOKED_V1_PROTOCOL: u32 = 14;
pub(super) const COOKED_V1: u32 = 16;

fn cooked_v1(view: View<'_>) -> Step<'_> {
    let cooked = header::<{ COOKED_V1 as usize }>(&view)?;
    let next = cooked_next(be16(cooked, COOKED_V1_PROTOCOL as usize));
    over(view, COOKED_V1, next)
}

// Version 2: protocol (2), reserved (2), interface index (4), ARPHRD type (2), packet type (1), address length (1),
// address (8).
pub(super) const COOKED_V2_PROTOCOL: usize = 0;
const COOKED_V2_INTERFACE: usize = 4;
pub(super) const COOKED_V2: u32 = 20;

fn cooked_v2<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Step<'a> {
    let cooked = header::<{ COOKED_V2 as usize }>(&view)?;
    wrapping.interface = cooked_v2_interface(cooked);
    over(
        view,
        COOKED_V2,
        cooked_next(be16(cooked, COOKED_V2_PROTOCOL)),
    )
}

/// What tells sightings on different interfaces of one capture apart.
pub(super) fn cooked_v2_interface(header: &[u8; COOKED_V2 as usize]) -> u32 {
    COOKED_INTERFACE | be32(header, COOKED_V2_INTERFACE)
}

fn cooked_next(protocol: u16) -> Next {
    /// ETH_P_802_2 of the Linux header linux/if_ether.h.
    const LLC: u16 = 4;
    if protocol == LLC {
        Next::Llc
    } else {
        Next::EtherType(protocol)
    }
}

/// BSD loopback: address family (4) in either byte order.
fn loopback(view: View<'_>) -> Step<'_> {
    let family = header::<4>(&view)?;
    let is_ip = |family: u32| matches!(family, 2 | 10 | 24 | 28 | 30);
    if is_ip(u32::from_le_bytes(*family)) || is_ip(u32::from_be_bytes(*family)) {
        return over(view, 4, Next::Ip);
    }
    Err(Undecoded::OtherEthertype)
}

/// PPP: address and control (ff 03) if not negotiated away; protocol in two bytes, or in one odd byte.
pub(super) fn ppp(view: View<'_>) -> Step<'_> {
    let view = if view.bytes.starts_with(&[0xff, 0x03]) {
        view.skip(2).unwrap_or(view)
    } else {
        view
    };
    let first = view.byte(0).ok_or(Undecoded::CutLinkHeader)?;
    let (protocol, length) = if first & 1 == 1 {
        (u16::from(first), 1)
    } else {
        (be16(header::<2>(&view)?, 0), 2)
    };
    // IANA "PPP DLL Protocol Numbers".
    let next = match protocol {
        0x0021 | 0x0057 => Next::Ip,
        0x0281 | 0x0283 => Next::Mpls,
        0x0031 => Next::BridgedPpp,
        _ => return Err(Undecoded::OtherEthertype),
    };
    over(view, length, next)
}

/// PPP bridging (RFC 3518 section 4.2): flags and pads (1), MAC type (1), then a frame.
pub(super) fn bridged_ppp(view: View<'_>) -> Step<'_> {
    const ETHERNET: u8 = 1;
    let [_, mac] = header::<2>(&view)?;
    if *mac != ETHERNET {
        return Err(Undecoded::OtherEthertype);
    }
    over(view, 2, Next::Ethernet)
}

/// PPP in HDLC framing; 0f and 8f begin Cisco's instead.
fn hdlc(view: View<'_>) -> Step<'_> {
    match view.byte(0) {
        Some(0x0f | 0x8f) => cisco_hdlc(view),
        _ => Ok((Next::Ppp, view)),
    }
}

/// Cisco HDLC: address (1), control (1), ethertype (2).
fn cisco_hdlc(view: View<'_>) -> Step<'_> {
    over(view, 4, Next::EtherType(be16(header::<4>(&view)?, 2)))
}

/// Frame relay (RFC 2427 section 3): address, whose last byte has the lowest bit set (2 to 4), control (03: unnumbered
/// information), a pad (00) or not, network layer protocol.
fn frame_relay(view: View<'_>) -> Step<'_> {
    const LONGEST_ADDRESS: u32 = 4;
    const UNNUMBERED: u8 = 0x03;
    let ends = |at: &u32| view.byte(*at).is_some_and(|byte| byte & 1 == 1);
    let address = (0..LONGEST_ADDRESS)
        .find(ends)
        .ok_or(Undecoded::CutLinkHeader)?
        + 1;
    let byte = |at: u32| view.byte(address + at).ok_or(Undecoded::CutLinkHeader);
    if byte(0)? != UNNUMBERED {
        return Err(Undecoded::OtherEthertype);
    }
    let pad = u32::from(byte(1)? == 0);
    match byte(1 + pad)? {
        0xcc | 0x8e => over(view, address + 2 + pad, Next::Ip),
        0x80 => {
            // SNAP: organisation (3), ethertype (2).
            let snap = view
                .skip(address + 2 + pad)
                .ok_or(Undecoded::CutLinkHeader)?;
            over(snap, 5, Next::EtherType(be16(header::<5>(&snap)?, 3)))
        }
        _ => Err(Undecoded::OtherEthertype),
    }
}

/// PPPoE session: version and type (1), code (1), session (2), length (2).
pub(super) fn pppoe(view: View<'_>) -> Step<'_> {
    const CODE: usize = 1;
    const LENGTH: usize = 4;
    const HEADER: u32 = 6;
    let session = header::<{ HEADER as usize }>(&view)?;
    if session[CODE] != 0 {
        return Err(Undecoded::OtherEthertype);
    }
    let (next, body) = over(view, HEADER, Next::Ppp)?;
    // A length of 0 comes with segmentation left to the network card.
    let length = u32::from(be16(session, LENGTH));
    Ok((
        next,
        if length == 0 {
            body
        } else {
            body.limit(length)
        },
    ))
}

/// One MPLS label: label (20 bits), traffic class (3), bottom of stack (1), time to live (8).
pub(super) fn mpls(view: View<'_>) -> Step<'_> {
    let label = header::<4>(&view)?;
    let is_bottom = label[2] & 1 == 1;
    if !is_bottom {
        return over(view, 4, Next::Mpls);
    }
    let (_, body) = over(view, 4, Next::Ip)?;
    // Nothing says what follows the stack: routers guess by the first nibble too (RFC 4928).
    match body.byte(0).ok_or(Undecoded::CutLinkHeader)? >> 4 {
        4 | 6 => Ok((Next::Ip, body)),
        0 if is_ethernet(&body, 4) => over(body, 4, Next::Ethernet),
        _ if is_ethernet(&body, 0) => Ok((Next::Ethernet, body)),
        _ => Err(Undecoded::OtherEthertype),
    }
}

/// A pseudowire's Ethernet header at `at` is plausible: one that says what it carries, and something that matters here.
fn is_ethernet(view: &View<'_>, at: u32) -> bool {
    const TYPE: u32 = 12;
    view.chunk::<2>(at + TYPE).is_some_and(|kind| {
        use ethertype::*;
        matches!(
            be16(kind, 0),
            IPV4 | IPV6 | VLAN | SERVICE_VLAN | QINQ_OLD | ARP | MPLS | PPPOE_SESSION
        )
    })
}

/// Netfilter log: family (1), version (1), resource (2); then attributes: length (2), type (2), value, padded to four.
/// Lengths and types are in the byte order of the host that captured.
fn netfilter_log(view: View<'_>) -> Step<'_> {
    const HEADER: u32 = 4;
    const PAYLOAD: u16 = 9;
    /// Chosen: the kernel writes some twenty kinds of attribute, each once.
    const MAX_ATTRIBUTES: usize = 64;
    let mut at = HEADER;
    let big_endian = view
        .chunk::<2>(HEADER)
        .is_some_and(|length| u16::from_le_bytes(*length) > 0x00ff);
    let number = |bytes: [u8; 2]| {
        if big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    };
    for _ in 0..MAX_ATTRIBUTES {
        let &[l0, l1, t0, t1] = view.chunk::<4>(at).ok_or(Undecoded::CutLinkHeader)?;
        let length = u32::from(number([l0, l1]));
        if length < 4 {
            break;
        }
        // The two top bits are flags (linux/netlink.h NLA_F_NESTED, NLA_F_NET_BYTEORDER).
        if number([t0, t1]) & 0x3fff == PAYLOAD {
            let (next, body) = over(view, at + 4, Next::Ip)?;
            return Ok((next, body.limit(length - 4)));
        }
        at += length.next_multiple_of(4);
    }
    Err(Undecoded::OtherEthertype)
}

impl Wrapping {
    /// Goes into a VLAN.
    #[inline]
    pub(super) fn enter_vlan(&mut self, id: u16) {
        if self.vlan == 0 {
            self.vlan = id;
        }
        self.context = context::vlan(self.context, id);
    }
}
