//! What a source hands to the engine: batches of captured packets, with the interfaces they were seen on.

use std::sync::Arc;

use crate::time::Timestamp;

/// A link-layer header type, by its LINKTYPE_ number (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: address family in the byte order of the capturing host.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// PPP, with or without HDLC address and control bytes.
    pub const PPP: LinkType = LinkType(9);
    /// PPP in HDLC-like framing (RFC 1662).
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// PPPoE session packets without Ethernet header.
    pub const PPP_ETHER: LinkType = LinkType(51);
    /// Raw IPv4 or IPv6, by the version nibble.
    pub const RAW: LinkType = LinkType(101);
    /// OpenBSD loopback: address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux netfilter log messages.
    pub const NFLOG: LinkType = LinkType(239);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);
}

/// One interface of an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// How its packets begin.
    pub link_type: LinkType,
    /// Its name, where the file tells.
    pub name: Option<String>,
    /// Bytes of frame check sequence at the end of every packet.
    pub fcs_bytes: u8,
}

/// One captured packet: when it was seen and where its bytes lie in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured.
    pub time: Timestamp,
    /// Offset of its first byte in [`Batch::bytes`].
    pub at: u32,
    /// Bytes that were captured (at most the snap length).
    pub captured: u32,
    /// Bytes that were on the wire.
    pub length: u32,
    /// Index into [`Batch::interfaces`].
    pub interface: u32,
}

/// A run of packets in input order. A source fills it again and again; its buffers are reused.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The bytes that the packets' offsets point into; there may be other bytes between packets.
    pub bytes: Vec<u8>,
    /// The packets.
    pub packets: Vec<Packet>,
    /// All interfaces known so far; an index never changes its meaning within an observation.
    pub interfaces: Arc<Vec<Interface>>,
}

/// A batch by reference, wherever its bytes lie: in a buffer, or in a ring that the kernel fills.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a> {
    /// As [`Batch::bytes`].
    pub bytes: &'a [u8],
    /// As [`Batch::packets`].
    pub packets: &'a [Packet],
    /// As [`Batch::interfaces`].
    pub interfaces: &'a [Interface],
}

impl Batch {
    /// By reference.
    #[must_use]
    pub fn lend(&self) -> Lent<'_> {
        Lent {
            bytes: &self.bytes,
            packets: &self.packets,
            interfaces: &self.interfaces,
        }
    }

    /// The captured bytes of a packet of this batch; empty if it points outside (a source's bug).
    #[inline]
    #[must_use]
    pub fn data(&self, packet: &Packet) -> &[u8] {
        self.lend().data(packet)
    }
}

impl<'a> Lent<'a> {
    /// The captured bytes of a packet; empty if it points outside.
    #[inline]
    #[must_use]
    pub fn data(&self, packet: &Packet) -> &'a [u8] {
        let at = packet.at as usize;
        self.bytes
            .get(at..at + packet.captured as usize)
            .unwrap_or_default()
    }
}
