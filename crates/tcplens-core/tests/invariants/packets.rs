//! Packets for the engine, byte by byte: Ethernet, IPv4, TCP without options; and fragments.

use std::sync::Arc;

use tcplens_core::packet::{Batch, Interface, LinkType, Packet};
use tcplens_core::time::Timestamp;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// A segment between a client's port 40000 and a server's port 80.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seg {
    pub client: [u8; 4],
    pub server: [u8; 4],
    /// From the server.
    pub back: bool,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    /// Payload bytes, behind those of `text`.
    pub length: usize,
    pub text: &'static [u8],
}

impl Default for Seg {
    fn default() -> Seg {
        Seg {
            client: [10, 0, 0, 1],
            server: [10, 0, 1, 1],
            back: false,
            seq: 0,
            ack: 0,
            flags: 0,
            window: 1000,
            length: 0,
            text: b"",
        }
    }
}

impl Seg {
    pub(crate) fn bytes(self) -> Vec<u8> {
        let ends = ((self.client, 40_000u16), (self.server, 80u16));
        let (from, to) = if self.back { (ends.1, ends.0) } else { ends };
        let mut tcp = Vec::new();
        tcp.extend(from.1.to_be_bytes());
        tcp.extend(to.1.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([0x50, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(self.text);
        tcp.resize(20 + self.text.len() + self.length, b'x');
        ip(from.0, to.0, 0, 0, &tcp)
    }
}

/// A piece of a datagram between two fixed hosts, `length` bytes at `at`.
pub(crate) fn fragment(id: u16, at: usize, length: usize, more: bool) -> Vec<u8> {
    let place = (at / 8) as u16 | u16::from(more) << 13;
    ip([10, 0, 0, 1], [10, 0, 1, 1], id, place, &vec![0; length])
}

fn ip(from: [u8; 4], to: [u8; 4], id: u16, place: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    bytes.extend([0x08, 0, 0x45, 0]);
    bytes.extend((20 + body.len() as u16).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(place.to_be_bytes());
    bytes.extend([64, 6, 0, 0]);
    bytes.extend(from);
    bytes.extend(to);
    bytes.extend(body);
    bytes
}

/// A batch that grows, 1 us from packet to packet.
pub(crate) struct Input {
    pub batch: Batch,
    now: i64,
}

impl Input {
    pub(crate) fn new(link_type: LinkType) -> Input {
        let interface = Interface {
            link_type,
            name: None,
            fcs_bytes: 0,
        };
        let batch = Batch {
            interfaces: Arc::new(vec![interface]),
            ..Batch::default()
        };
        let now = 1_795_219_200_000_000_000;
        Input { batch, now }
    }

    /// Lets time pass, or go back.
    pub(crate) fn after(&mut self, ns: i64) {
        self.now += ns;
    }

    pub(crate) fn packet(&mut self, bytes: &[u8]) {
        self.cut(bytes, 0);
    }

    /// A packet of which `more` bytes were not captured.
    pub(crate) fn cut(&mut self, bytes: &[u8], more: u32) {
        self.now += 1_000;
        let captured = u32::try_from(bytes.len()).unwrap();
        self.batch.packets.push(Packet {
            time: Timestamp(self.now),
            at: u32::try_from(self.batch.bytes.len()).unwrap(),
            captured,
            length: captured + more,
            interface: 0,
        });
        self.batch.bytes.extend(bytes);
    }

    pub(crate) fn segment(&mut self, segment: Seg) {
        self.packet(&segment.bytes());
    }

    /// SYN, SYN-ACK, ACK; both sides begin at sequence number 0.
    pub(crate) fn handshake(&mut self, client: [u8; 4]) {
        let seg = Seg {
            client,
            ..Seg::default()
        };
        self.segment(Seg { flags: SYN, ..seg });
        self.segment(Seg {
            flags: SYN | ACK,
            ack: 1,
            back: true,
            ..seg
        });
        self.segment(Seg {
            flags: ACK,
            seq: 1,
            ack: 1,
            ..seg
        });
    }
}
