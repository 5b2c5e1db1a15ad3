//! One captured packet to a TCP segment or an ICMP error, by walking its headers from the link layer in.
//!
//! Not a dissector: what is no TCP gives a counted reason. The header formats are in the other files of this module.

use super::checksum;
use super::counts::{DecodeCounts, Undecoded};
use super::fast;
use super::fastest::{self, Usual};
use super::fragment::{Datagram, DatagramKey, Outcome, Reassembly};
use super::icmp;
use super::ip::{self, Body, Fragment, Ip, protocol};
use super::kept::Kept;
use super::key::{self, HashKey};
use super::link::{self, ethertype};
use super::segment::{IcmpError, Segment, Tunnel, address, has};
use super::tcp;
use super::tunnel;
use super::view::View;
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// Headers that are walked in one packet. Chosen: eight tunnels deep, or any stack of VLAN tags and labels in use.
pub const MAX_HEADERS: u32 = 40;

/// Which checksums are checked. What was not captured as a whole is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// None: captures on the sending host show most of them wrong, for the network card fills them in.
    #[default]
    None,
    /// Of IPv4 headers.
    Ip,
    /// Of TCP segments.
    Tcp,
    /// Both.
    All,
}

/// How to decode.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecodeSettings {
    /// Makes the key of the flow hash: random for live packets, fixed for files.
    pub hash_seed: u64,
    /// Which checksums are checked; the fast path knows none, so that this costs more than the sums.
    pub checksum: Checksum,
}

/// What a packet gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A TCP segment, written to `out`.
    Segment,
    /// An ICMP error that quotes a TCP segment.
    Icmp(IcmpError),
    /// Neither: the reason is counted.
    Other,
}

/// Decodes packets; keeps what spans packets (fragments) and the counts. Memory: see [`fragment`](super::fragment)'s bounds.
#[derive(Debug)]
pub struct Decoder {
    key: HashKey,
    checksum: Checksum,
    reassembly: Reassembly,
    counts: DecodeCounts,
    kept: Kept,
}

/// What was captured of a packet.
#[inline(always)]
fn data<'a>(batch_bytes: &'a [u8], packet: &Packet) -> &'a [u8] {
    let from = batch_bytes.get(packet.at as usize..).unwrap_or_default();
    from.get(..packet.captured as usize).unwrap_or_default()
}

/// What a walk found; small, for it is handed up through every layer.
enum Found {
    /// In `out`.
    Segment,
    /// An ICMP error; what it quotes is in `out`.
    Quote { kind: u8, code: u8 },
    /// A fragment that is kept (and counted).
    Held,
}

/// The header to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Ethernet,
    EtherType(u16),
    Llc,
    Ppp,
    BridgedPpp,
    Pppoe,
    Mpls,
    Ip,
    /// By IP protocol number; IPv6 extension headers are among them.
    Protocol(u8),
}

/// What the innermost header so far is wrapped in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wrapping {
    /// Outermost VLAN id.
    pub(super) vlan: u16,
    /// For [`FlowKey::context`](super::segment::FlowKey::context).
    pub(super) context: u32,
    pub(super) tunnel: Tunnel,
    pub(super) interface: u32,
}

/// A packet on its walk.
struct Walk {
    time: Timestamp,
    wrapping: Wrapping,
    /// The innermost IP header so far.
    ip: Ip,
    /// Headers left before the walk is given up.
    headers: u32,
}

impl Decoder {
    /// A decoder that has seen nothing.
    #[must_use]
    pub fn new(settings: DecodeSettings) -> Decoder {
        Decoder {
            key: HashKey::new(settings.hash_seed),
            checksum: settings.checksum,
            reassembly: Reassembly::default(),
            counts: DecodeCounts::default(),
            kept: Kept::default(),
        }
    }

    /// Keeps UDP datagrams and what is reassembled, for [`datagram`](Self::datagram) and [`payload`](Self::payload).
    pub fn keep_packets(&mut self) {
        self.kept.is_wanted = true;
    }

    /// The UDP datagram that the latest packet was, if it gave no segment: addresses, ports, payload, time to live. `clock`
    /// and `frame` are not filled.
    #[must_use]
    pub fn datagram(&self) -> Option<&Segment> {
        self.kept.datagram.as_ref()
    }

    /// The captured payload of the latest packet's segment or datagram, also of a reassembled one. `batch_bytes` are those
    /// of its batch.
    #[must_use]
    pub fn payload<'a>(&'a self, batch_bytes: &'a [u8], of: &Segment) -> &'a [u8] {
        self.kept.payload(batch_bytes, of)
    }

    /// Decodes one packet of a batch. `out` is written only in full for [`Decoded::Segment`]; else it may hold parts of
    /// one. `clock` and `frame` (also those of a quoted segment) are left to the caller.
    #[inline]
    pub fn decode(
        &mut self,
        batch_bytes: &[u8],
        packet: &Packet,
        link: LinkType,
        out: &mut Segment,
    ) -> Decoded {
        if let Some(usual) = self.usual(batch_bytes, packet, link) {
            usual.write(packet, out.clock, out.frame, out);
            self.count_usual(packet);
            return Decoded::Segment;
        }
        self.decode_unusual(batch_bytes, packet, link, out)
    }

    /// What a packet is if it is as most are; if not, [`decode_unusual`](Self::decode_unusual) must be asked.
    #[inline(always)]
    pub(crate) fn usual<'a>(
        &self,
        batch_bytes: &'a [u8],
        packet: &Packet,
        link: LinkType,
    ) -> Option<Usual<'a>> {
        if link != LinkType::ETHERNET || self.checksum != Checksum::None {
            return None;
        }
        fastest::recognise(batch_bytes, packet, &self.key)
    }

    /// Counts a packet that was as most are.
    #[inline(always)]
    pub(crate) fn count_usual(&mut self, packet: &Packet) {
        self.counts.cut_packets += u64::from(packet.captured < packet.length);
        self.counts.tcp_segments += 1;
    }

    /// [`decode`](Self::decode) of what was not [`usual`](Self::usual).
    #[inline(never)]
    pub(crate) fn decode_unusual(
        &mut self,
        batch_bytes: &[u8],
        packet: &Packet,
        link: LinkType,
        out: &mut Segment,
    ) -> Decoded {
        let data = data(batch_bytes, packet);
        self.counts.cut_packets += u64::from(packet.captured < packet.length);
        let is_fast = self.checksum == Checksum::None
            && if link == LinkType::ETHERNET {
                fast::ethernet(data, packet, &self.key, out)
            } else {
                fast::other(data, packet, link, &self.key, out)
            };
        if is_fast {
            self.counts.tcp_segments += 1;
            return Decoded::Segment;
        }
        self.decode_any(data, packet, link, out)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> &DecodeCounts {
        &self.counts
    }

    /// Ends the observation: the fragments still held are counted as incomplete.
    pub fn finish(&mut self) {
        self.reassembly.clear(&mut self.counts);
    }

    /// Decodes any packet, header by header.
    #[inline(never)]
    fn decode_any(
        &mut self,
        data: &[u8],
        packet: &Packet,
        link: LinkType,
        out: &mut Segment,
    ) -> Decoded {
        let mut walk = Walk {
            time: packet.time,
            wrapping: Wrapping {
                interface: packet.interface,
                ..Wrapping::default()
            },
            ip: Ip::default(),
            headers: MAX_HEADERS,
        };
        let length = packet.length.max(packet.captured);
        let view = View {
            bytes: data,
            length,
            at: packet.at,
            in_batch: true,
            is_claimed: false,
        };
        let found = link::first(link, view, &mut walk.wrapping)
            .and_then(|(next, view)| self.walk(&mut walk, next, view, out));
        if !matches!(found, Err(Undecoded::Udp)) {
            // A datagram that carries something else.
            self.kept.datagram = None;
        }
        match found {
            Ok(Found::Segment) => Decoded::Segment,
            Ok(Found::Quote { kind, code }) => Decoded::Icmp(IcmpError {
                quoted: *out,
                is_v6: walk.ip.is_v6,
                kind,
                code,
                from: address(walk.ip.source),
            }),
            Ok(Found::Held) => Decoded::Other,
            Err(reason) => {
                self.counts.count(reason);
                Decoded::Other
            }
        }
    }

    /// Walks from a header to the innermost one. The common steps are inlined: a view handed over in memory is dear
    /// (94 against 66 ns per packet, Ethernet, IPv4, TCP, with the IPv4 checksum).
    fn walk(
        &mut self,
        walk: &mut Walk,
        mut next: Next,
        mut view: View<'_>,
        out: &mut Segment,
    ) -> Result<Found, Undecoded> {
        loop {
            walk.headers = walk
                .headers
                .checked_sub(1)
                .ok_or(Undecoded::TooManyHeaders)?;
            (next, view) = match next {
                Next::Ethernet => link::ethernet(view)?,
                Next::EtherType(kind) => self.ethertype(walk, kind, view)?,
                Next::Llc => link::llc(view)?,
                Next::Ppp => link::ppp(view)?,
                Next::BridgedPpp => link::bridged_ppp(view)?,
                Next::Pppoe => link::pppoe(view)?,
                Next::Mpls => link::mpls(view)?,
                Next::Ip => {
                    let check = matches!(self.checksum, Checksum::Ip | Checksum::All);
                    let (ip, body, rest) = ip::header(view, check)?;
                    walk.ip = ip;
                    self.counts.bad_checksums += u64::from(ip.bad_checksum);
                    match body {
                        Body::Protocol(next) => (Next::Protocol(next), rest),
                        Body::Fragment(fragment) => {
                            return self.fragment(walk, &fragment, rest, out);
                        }
                    }
                }
                Next::Protocol(protocol::TCP) => return self.tcp(walk, view, out),
                Next::Protocol(protocol::UDP) => {
                    if self.kept.is_wanted {
                        let Walk {
                            time, wrapping, ip, ..
                        } = walk;
                        self.kept.udp(view, &self.key, *time, ip, wrapping);
                    }
                    tunnel::udp(view, &mut walk.wrapping)?
                }
                Next::Protocol(protocol::ICMP | protocol::ICMPV6) => {
                    return self.icmp(walk, view, out);
                }
                Next::Protocol(protocol::GRE) => tunnel::gre(view, &mut walk.wrapping)?,
                Next::Protocol(protocol::IPV4) => {
                    walk.wrapping.enter_tunnel(Tunnel::Ipip);
                    (Next::Ip, view)
                }
                Next::Protocol(protocol::IPV6) => {
                    let kind = if walk.ip.is_v6 {
                        Tunnel::Ipip
                    } else {
                        Tunnel::SixInFour
                    };
                    walk.wrapping.enter_tunnel(kind);
                    (Next::Ip, view)
                }
                Next::Protocol(protocol::MPLS) => (Next::Mpls, view),
                Next::Protocol(protocol::AUTHENTICATION) => {
                    let (next, rest) = ip::authentication(view)?;
                    (Next::Protocol(next), rest)
                }
                Next::Protocol(protocol::FRAGMENT) if walk.ip.is_v6 => match ip::v6_fragment(view)?
                {
                    (Body::Protocol(next), rest) => (Next::Protocol(next), rest),
                    (Body::Fragment(fragment), rest) => {
                        return self.fragment(walk, &fragment, rest, out);
                    }
                },
                Next::Protocol(next) if walk.ip.is_v6 && ip::is_extension(next) => {
                    let (next, rest) = ip::extension(view)?;
                    (Next::Protocol(next), rest)
                }
                Next::Protocol(_) => return Err(Undecoded::OtherIpProtocol),
            };
        }
    }

    fn ethertype<'a>(
        &mut self,
        walk: &mut Walk,
        kind: u16,
        view: View<'a>,
    ) -> Result<(Next, View<'a>), Undecoded> {
        use ethertype::*;
        match kind {
            IPV4 | IPV6 => Ok((Next::Ip, view)),
            VLAN | SERVICE_VLAN | QINQ_OLD | QINQ_OLDER => link::vlan(view, &mut walk.wrapping),
            MPLS | MPLS_MULTICAST => Ok((Next::Mpls, view)),
            PPPOE_SESSION => Ok((Next::Pppoe, view)),
            PPP => Ok((Next::Ppp, view)),
            TRANSPARENT_ETHERNET => Ok((Next::Ethernet, view)),
            ARP | RARP => Err(Undecoded::Arp),
            _ => Err(Undecoded::OtherEthertype),
        }
    }

    fn tcp(&mut self, walk: &Walk, view: View<'_>, out: &mut Segment) -> Result<Found, Undecoded> {
        if view.length < tcp::HEADER {
            return Err(Undecoded::BadTcpHeader);
        }
        let header = view
            .head::<{ tcp::HEADER as usize }>()
            .ok_or(Undecoded::CutTcpHeader)?;
        out.has = 0;
        tcp::fill(out, view, header)?;
        self.kept.payload_at = view.at.wrapping_add(view.length - out.payload_length);
        let (source_port, destination_port) = tcp::ports(header);
        let Walk {
            time, wrapping, ip, ..
        } = walk;
        self.fill_ends(out, walk, ip, (source_port, destination_port));
        out.time = *time;
        out.interface = wrapping.interface;
        out.vlan = wrapping.vlan;
        out.tunnel = wrapping.tunnel;
        out.ttl = ip.ttl;
        out.ip_id = ip.id.unwrap_or(0);
        if ip.id.is_some() {
            out.has |= has::IP_ID;
        }
        let check = matches!(self.checksum, Checksum::Tcp | Checksum::All) && view.in_batch;
        let is_bad = check && checksum::tcp_is_bad(view, ip);
        self.counts.bad_checksums += u64::from(is_bad);
        if is_bad || ip.bad_checksum {
            out.has |= has::BAD_CHECKSUM;
        }
        self.counts.tcp_segments += 1;
        Ok(Found::Segment)
    }

    fn fill_ends(&self, out: &mut Segment, walk: &Walk, ip: &Ip, ports: (u16, u16)) {
        let (source, destination) = ((ip.source, ports.0), (ip.destination, ports.1));
        key::fill(out, &self.key, source, destination, walk.wrapping.context);
    }

    #[inline(never)]
    fn icmp(&mut self, walk: &Walk, view: View<'_>, out: &mut Segment) -> Result<Found, Undecoded> {
        let quote = icmp::quote(view, walk.ip.is_v6).ok_or(Undecoded::Icmp)?;
        *out = Segment {
            time: walk.time,
            seq: quote.seq,
            interface: walk.wrapping.interface,
            vlan: walk.wrapping.vlan,
            tunnel: walk.wrapping.tunnel,
            ..Segment::default()
        };
        let ports = (quote.source_port, quote.destination_port);
        self.fill_ends(out, walk, &quote.ip, ports);
        self.counts.icmp_errors += 1;
        Ok(Found::Quote {
            kind: quote.kind,
            code: quote.code,
        })
    }

    /// Keeps a fragment, or walks on in the datagram that it completes.
    #[inline(never)]
    fn fragment(
        &mut self,
        walk: &mut Walk,
        fragment: &Fragment,
        view: View<'_>,
        out: &mut Segment,
    ) -> Result<Found, Undecoded> {
        self.counts.fragments += 1;
        let key = DatagramKey {
            source: walk.ip.source,
            destination: walk.ip.destination,
            id: fragment.id,
            protocol: (!walk.ip.is_v6).then_some(fragment.protocol),
            context: walk.wrapping.context,
        };
        match self
            .reassembly
            .add(key, fragment, view, walk.time, &mut self.counts)
        {
            Outcome::Held => Ok(Found::Held),
            Outcome::Bad => Err(Undecoded::BadFragment),
            Outcome::Complete(Datagram {
                bytes,
                length,
                protocol,
            }) => {
                if self.kept.is_wanted {
                    self.kept.reassembled.clone_from(&bytes);
                }
                let view = View {
                    bytes: &bytes,
                    length,
                    at: 0,
                    in_batch: false,
                    is_claimed: true,
                };
                // Datagrams within datagrams end with the headers that are left.
                self.walk(walk, Next::Protocol(protocol), view, out)
            }
        }
    }
}
