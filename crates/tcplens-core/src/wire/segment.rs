//! What decoding gives: a TCP segment or an ICMP error that quotes one, small enough to be handed between threads
//! by the thousand. Payload bytes stay in the batch; the segment says where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::time::Timestamp;

/// The two ends of a flow in a fixed order, and the VLAN or tunnel it was seen in: the same for both directions.
///
/// IPv4 addresses are kept in their IPv4-mapped IPv6 form. `low` is the smaller end by (address, port).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct FlowKey {
    /// Address of the lower end, in network byte order.
    pub low: [u64; 2],
    /// Address of the higher end.
    pub high: [u64; 2],
    /// Port of the lower end, and of the higher end.
    pub ports: [u16; 2],
    /// 0 outside VLANs and tunnels, else a fixed hash of all VLAN ids, the tunnel kind and a symmetric tunnel id (VNI).
    pub context: u32,
}

impl FlowKey {
    /// Whether the two ends are the same, whatever the context.
    #[inline]
    #[must_use]
    pub fn has_ends_of(&self, other: &FlowKey) -> bool {
        (self.low, self.high, self.ports) == (other.low, other.high, other.ports)
    }
}

/// TCP flags as on the wire (RFC 9293 section 3.1).
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment field is significant.
    pub const ACK: u8 = 0x10;
    /// Urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo (RFC 3168).
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced (RFC 3168).
    pub const CWR: u8 = 0x80;
}

/// What a segment is wrapped in, innermost tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Tunnel {
    /// None.
    #[default]
    None,
    /// GRE (RFC 2784), ERSPAN included.
    Gre,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// GTP-U (3GPP TS 29.281).
    Gtp,
    /// IP in IP (RFC 2003), and IPv4 or IPv6 in IPv6 (RFC 2473).
    Ipip,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// Teredo (RFC 4380).
    Teredo,
}

/// Bits of [`Segment::has`].
pub mod has {
    /// `ts_value` and `ts_echo` are there.
    pub const TIMESTAMPS: u8 = 0x01;
    /// `ip_id` is there (IPv4).
    pub const IP_ID: u8 = 0x02;
    /// The segment carries a D-SACK (RFC 2883): its peer sent something twice.
    pub const DSACK: u8 = 0x04;
    /// TCP options were cut off by the snap length, or malformed: an option that is not there may have been.
    pub const OPTIONS_CUT: u8 = 0x08;
    /// A UDP datagram, not a TCP segment: of the fields only those that UDP has too are there.
    pub const DATAGRAM: u8 = 0x40;
    /// The payload is not in the batch but among what was reassembled.
    pub const REASSEMBLED: u8 = 0x20;
    /// The TCP checksum is wrong, or the IPv4 header's (only where checksums are checked).
    pub const BAD_CHECKSUM: u8 = 0x10;
}

/// Bits of [`SynOptions::bits`].
pub mod syn_option {
    /// An MSS option: `mss` is there.
    pub const MSS: u8 = 0x01;
    /// A window scale option: `wscale` is there.
    pub const WSCALE: u8 = 0x02;
    /// SACK permitted.
    pub const SACK: u8 = 0x04;
    /// Timestamps.
    pub const TIMESTAMPS: u8 = 0x08;
    /// TCP Fast Open option, kind 34 or the experimental 254 with magic 0xF989 (RFC 7413).
    pub const FAST_OPEN: u8 = 0x10;
    /// MPTCP option, kind 30 (RFC 8684).
    pub const MPTCP: u8 = 0x20;
    /// The fast open option carries a cookie.
    pub const FAST_OPEN_COOKIE: u8 = 0x40;
}

/// Options of a segment with SYN; all zero on others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SynOptions {
    /// Maximum segment size, in bytes.
    pub mss: u16,
    /// Window scale shift count.
    pub wscale: u8,
    /// Which options were there: see [`syn_option`].
    pub bits: u8,
}

/// One TCP segment as decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)] // What is hashed together lies together: one load instead of several.
pub struct Segment {
    /// When it was captured.
    pub time: Timestamp,
    /// The engine clock: the largest capture time up to here, in input order.
    pub clock: Timestamp,
    /// Packet number in the observation, from 1.
    pub frame: u64,
    /// The flow it belongs to.
    pub flow: FlowKey,
    /// Keyed hash of `flow`; the top six bits are the shard.
    pub hash: u64,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number (meaningful with the ACK flag).
    pub ack: u32,
    /// Timestamp option: value.
    pub ts_value: u32,
    /// IPv4 identification.
    pub ip_id: u16,
    /// Window field as it stands, not scaled.
    pub window: u16,
    /// Payload bytes by the IP header, whatever the snap length left.
    pub payload_length: u32,
    /// The TCP checksum field, and a hash of SACK blocks where there are any: what two sightings of one packet have in
    /// common and two packets, otherwise alike, have not.
    pub mark: u16,
    /// See [`flags`].
    pub flags: u8,
    /// 0: sent by the lower end of the flow key; 1: by the higher end.
    pub from: u8,
    /// Payload bytes that were captured.
    pub payload_captured: u32,
    /// Where the captured payload begins in the batch's bytes.
    pub payload_at: u32,
    /// Timestamp option: echo reply.
    pub ts_echo: u32,
    /// Capturing interface (index into the batch's interfaces, or the cooked header's interface index).
    pub interface: u32,
    /// Outermost VLAN id; 0 outside VLANs.
    pub vlan: u16,
    /// Options of a SYN.
    pub syn: SynOptions,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// Which of the optional fields are there: see [`has`].
    pub has: u8,
    /// Innermost tunnel.
    pub tunnel: Tunnel,
}

/// Where the payloads of a batch's segments lie.
#[derive(Clone, Copy, Debug)]
pub struct Payloads<'a> {
    /// The batch's bytes.
    pub batch: &'a [u8],
    /// What was reassembled: see [`has::REASSEMBLED`].
    pub reassembled: &'a [u8],
}

impl<'a> Payloads<'a> {
    /// What was captured of a segment's payload.
    #[inline]
    #[must_use]
    pub fn of(&self, seg: &Segment) -> &'a [u8] {
        let from = if seg.has & has::REASSEMBLED == 0 {
            self.batch
        } else {
            self.reassembled
        };
        let at = seg.payload_at as usize;
        from.get(at..at + seg.payload_captured as usize)
            .unwrap_or_default()
    }
}

/// An ICMP or ICMPv6 error that quotes a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// The quoted segment. Of it only the addresses, ports, VLAN and sequence number are known; `time`, `clock`,
    /// `frame` and `interface` are those of the ICMP packet.
    pub quoted: Segment,
    /// True for ICMPv6.
    pub is_v6: bool,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Who sent it.
    pub from: IpAddr,
}

/// The address of one end of a key, IPv4-mapped ones as IPv4.
#[must_use]
pub fn address(words: [u64; 2]) -> IpAddr {
    if words[0] == 0 && words[1] >> 32 == 0xffff {
        // The cast keeps the low half: the IPv4 address.
        return IpAddr::V4(Ipv4Addr::from_bits(words[1] as u32));
    }
    let bits = u128::from(words[0]) << 64 | u128::from(words[1]);
    IpAddr::V6(Ipv6Addr::from_bits(bits))
}

/// The words of an IPv4 address in a [`FlowKey`].
#[inline]
#[must_use]
pub fn v4_words(address: u32) -> [u64; 2] {
    [0, 0xffff_0000_0000 | u64::from(address)]
}
