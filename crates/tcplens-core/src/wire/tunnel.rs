//! Tunnels: GRE (RFC 2784, RFC 2890), PPTP's GRE (RFC 2637), ERSPAN (draft-foschiano-erspan), VXLAN (RFC 7348), VXLAN-GPE
//! (draft-ietf-nvo3-vxlan-gpe), Geneve (RFC 8926), GTP-U (3GPP TS 29.281), Teredo (RFC 4380).
//!
//! A tunnel over UDP is known by its port and by nothing else: what is not plausible stays UDP. Encrypted tunnels, L2TP
//! and WCCP are not read.

use super::counts::Undecoded;
use super::decode::{Next, Wrapping};
use super::key::context;
use super::link::ethertype;
use super::segment::Tunnel;
use super::view::{View, be16, be32};

type Step<'a> = Result<(Next, View<'a>), Undecoded>;

fn over(view: View<'_>, length: u32, next: Next) -> Step<'_> {
    Ok((next, view.skip(length).ok_or(Undecoded::CutTunnelHeader)?))
}

fn header<'a, const N: usize>(view: &View<'a>) -> Result<&'a [u8; N], Undecoded> {
    view.head().ok_or(Undecoded::CutTunnelHeader)
}

impl Wrapping {
    /// Goes into a tunnel.
    pub(super) fn enter_tunnel(&mut self, tunnel: Tunnel) {
        self.tunnel = tunnel;
        self.context = context::tunnel(self.context, tunnel);
    }

    fn enter_network(&mut self, tunnel: Tunnel, vni: u32) {
        self.enter_tunnel(tunnel);
        self.context = context::network(self.context, vni);
    }
}

// RFC 2890 section 2, with RFC 2637 section 4.1 (version 1 and the A bit); R is of RFC 1701:
//
// |C|R|K|S| | Reserved0 |A| Ver |         Protocol Type         |
// |      Checksum (optional)      |       Reserved1 (Optional)    |
// |                         Key (optional)                        |
// |                 Sequence Number (Optional)                    |
mod gre_flag {
    pub(super) const CHECKSUM: u16 = 0x8000;
    pub(super) const ROUTING: u16 = 0x4000;
    pub(super) const KEY: u16 = 0x2000;
    pub(super) const SEQUENCE: u16 = 0x1000;
    pub(super) const ACKNOWLEDGMENT: u16 = 0x0080;
    pub(super) const VERSION: u16 = 0x0007;
}

/// GRE. Its key is no part of the context: each direction may have its own.
pub(super) fn gre<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Step<'a> {
    use gre_flag::*;
    let fixed = header::<4>(&view)?;
    let (flags, protocol) = (be16(fixed, 0), be16(fixed, 2));
    let four_if = |flag: u16| if flags & flag != 0 { 4 } else { 0 };
    wrapping.enter_tunnel(Tunnel::Gre);
    match flags & VERSION {
        0 if flags & ROUTING == 0 => {
            let length = 4 + four_if(CHECKSUM) + four_if(KEY) + four_if(SEQUENCE);
            let (next, body) = over(view, length, Next::EtherType(protocol))?;
            match protocol {
                ERSPAN if flags & SEQUENCE == 0 => Ok((Next::Ethernet, body)), // type I has no header
                ERSPAN => over(body, ERSPAN_II, Next::Ethernet),
                ERSPAN_III => erspan_iii(body),
                _ => Ok((next, body)),
            }
        }
        // The key is there and holds payload length and call id.
        1 if protocol == ethertype::PPP => over(
            view,
            8 + four_if(SEQUENCE) + four_if(ACKNOWLEDGMENT),
            Next::Ppp,
        ),
        _ => Err(Undecoded::OtherIpProtocol),
    }
}

const ERSPAN: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;
/// Length of the type II header.
const ERSPAN_II: u32 = 8;

/// Twelve bytes, the last bit of which says that a platform header of eight follows.
fn erspan_iii(view: View<'_>) -> Step<'_> {
    let fixed = header::<12>(&view)?;
    let platform = if fixed[11] & 1 == 1 { 8 } else { 0 };
    over(view, 12 + platform, Next::Ethernet)
}

const UDP_HEADER: u32 = 8;

/// UDP: source port, destination port, length, checksum (2 each). `Err(Udp)` if it carries no tunnel.
pub(super) fn udp<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Step<'a> {
    let Some(fixed) = view.head::<{ UDP_HEADER as usize }>() else {
        return Err(Undecoded::Udp);
    };
    let length = u32::from(be16(fixed, 4));
    // 0: a jumbogram, or segmentation left to the network card.
    let datagram = if length < UDP_HEADER {
        view
    } else {
        view.limit(length)
    };
    let body = datagram.skip(UDP_HEADER).ok_or(Undecoded::Udp)?;
    let (source, destination) = (be16(fixed, 0), be16(fixed, 2));
    for port in [destination, source] {
        let tunnel = match port {
            4789 | 8472 => vxlan(body, wrapping),
            4790 => vxlan_gpe(body, wrapping),
            6081 => geneve(body, wrapping),
            2152 => gtp(body, wrapping),
            3544 => teredo(body, wrapping),
            _ => None,
        };
        if let Some(step) = tunnel {
            return step;
        }
    }
    Err(Undecoded::Udp)
}

/// VXLAN: flags (1) with the I bit, reserved (3, group policy uses some), VNI (3), reserved (1).
fn vxlan<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Option<Step<'a>> {
    const FLAGS: usize = 0;
    const VNI_IS_VALID: u8 = 0x08;
    /// Flags that neither RFC 7348 nor group policy (draft-smith-vxlan-group-policy) knows.
    const UNKNOWN: u8 = 0x77;
    let fixed = view.head::<8>()?;
    if fixed[FLAGS] & VNI_IS_VALID == 0 || fixed[FLAGS] & UNKNOWN != 0 || fixed[7] != 0 {
        return None;
    }
    wrapping.enter_network(Tunnel::Vxlan, be32(fixed, 4) >> 8);
    Some(over(view, 8, Next::Ethernet))
}

/// VXLAN-GPE: flags (1) with the I bit, reserved (2), next protocol (1) valid with the P bit, VNI (3), reserved (1).
fn vxlan_gpe<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Option<Step<'a>> {
    const VNI_IS_VALID: u8 = 0x08;
    const PROTOCOL_IS_VALID: u8 = 0x04;
    let fixed = view.head::<8>()?;
    let flags = fixed[0];
    if flags & VNI_IS_VALID == 0 || flags & 0xc0 != 0 {
        return None;
    }
    let next = match fixed[3] {
        _ if flags & PROTOCOL_IS_VALID == 0 => Next::Ethernet,
        1 | 2 => Next::Ip,
        3 => Next::Ethernet,
        5 => Next::Mpls,
        _ => return None,
    };
    wrapping.enter_network(Tunnel::Vxlan, be32(fixed, 4) >> 8);
    Some(over(view, 8, next))
}

/// Geneve: version (2 bits), length of the options in units of four (6), flags (1), ethertype (2), VNI (3), reserved (1).
fn geneve<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Option<Step<'a>> {
    let fixed = view.head::<8>()?;
    let (version, options) = (fixed[0] >> 6, u32::from(fixed[0] & 0x3f) * 4);
    if version != 0 || 8 + options > view.length {
        return None;
    }
    wrapping.enter_network(Tunnel::Geneve, be32(fixed, 4) >> 8);
    Some(over(view, 8 + options, Next::EtherType(be16(fixed, 2))))
}

// 3GPP TS 29.281 section 5.1:
//
// | Version (3) | PT | * | E | S | PN |  Message Type  |     Length (2)     |
// |                                TEID (4)                                 |
// |  Sequence (2)  |  N-PDU (1)  |  Next Extension (1)    if any of E, S, PN
/// GTP-U version 1, the messages that carry a packet. The TEID is no part of the context: each direction has its own.
fn gtp<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Option<Step<'a>> {
    const PACKET: u8 = 255;
    const OPTIONAL: u8 = 0x07;
    const EXTENDED: u8 = 0x04;
    /// Chosen: TS 29.281 knows fewer kinds of extension header.
    const MAX_EXTENSIONS: usize = 8;
    let fixed = view.head::<8>()?;
    let flags = fixed[0];
    let length = u32::from(be16(fixed, 2));
    let is_v1 = flags >> 5 == 1 && flags & 0x10 != 0;
    if !is_v1 || fixed[1] != PACKET || length > view.length {
        return None;
    }
    let mut at = 8;
    if flags & OPTIONAL != 0 {
        let mut next = view.byte(11)?;
        at = 12;
        if flags & EXTENDED != 0 {
            for _ in 0..MAX_EXTENSIONS {
                if next == 0 {
                    break;
                }
                // Length in units of four (1), contents, next extension (1).
                let units = u32::from(view.byte(at)?);
                if units == 0 {
                    return None;
                }
                at += units * 4;
                next = view.byte(at - 1)?;
            }
        }
    }
    // Protocols other than IP are possible (PPP in old networks); they are not read.
    if !matches!(view.byte(at)? >> 4, 4 | 6) {
        return None;
    }
    wrapping.enter_tunnel(Tunnel::Gtp);
    Some(over(view.limit(8 + length), at, Next::Ip))
}

/// Teredo: authentication and origin indications (RFC 4380 section 5.1.1), then IPv6.
fn teredo<'a>(view: View<'a>, wrapping: &mut Wrapping) -> Option<Step<'a>> {
    let mut at = 0;
    if let &[0, 1, client, authentication] = view.chunk::<4>(at)? {
        // Nonce (8) and confirmation (1) end it.
        at += 4 + u32::from(client) + u32::from(authentication) + 9;
    }
    if let [0, 0, ..] = view.chunk::<4>(at)? {
        at += 8;
    }
    if view.byte(at)? >> 4 != 6 {
        return None;
    }
    wrapping.enter_tunnel(Tunnel::Teredo);
    Some(over(view, at, Next::Ip))
}
