//! Tiny captures, written byte by byte: classic pcap, microseconds, Ethernet, IPv4, TCP.

use std::path::Path;

/// TCP flags.
pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// 2026-11-21T01:08:22Z.
pub(crate) const START: u64 = 1_795_223_302;

/// An end of a connection.
#[derive(Clone, Copy)]
pub(crate) struct End(pub [u8; 4], pub u16);

/// A capture that grows.
pub(crate) struct Capture {
    pub bytes: Vec<u8>,
    /// Microseconds after [`START`].
    pub now: u64,
}

impl Capture {
    pub(crate) fn new() -> Capture {
        Capture::of_link_type(1)
    }

    pub(crate) fn of_link_type(link_type: u32) -> Capture {
        let header = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 65535, link_type];
        let mut bytes: Vec<u8> = header
            .iter()
            .flat_map(|word: &u32| word.to_le_bytes())
            .collect();
        // Version 2.4 as two 16-bit numbers.
        bytes[4..8].copy_from_slice(&[2, 0, 4, 0]);
        Capture { bytes, now: 0 }
    }

    /// One packet, 10 ms after the last.
    pub(crate) fn packet(&mut self, data: &[u8]) {
        let length = data.len() as u32;
        let seconds = (START + self.now / 1_000_000) as u32;
        for word in [seconds, (self.now % 1_000_000) as u32, length, length] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(data);
        self.now += 10_000;
    }

    /// One segment, 10 ms after the last packet.
    pub(crate) fn segment(
        &mut self,
        from: End,
        to: End,
        flags: u8,
        seq: u32,
        ack: u32,
        payload: &[u8],
    ) {
        let mut data = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        data.extend((40 + payload.len() as u16).to_be_bytes());
        data.extend([(self.now >> 8) as u8, self.now as u8, 0x40, 0, 64, 6, 0, 0]);
        data.extend(from.0);
        data.extend(to.0);
        data.extend(from.1.to_be_bytes());
        data.extend(to.1.to_be_bytes());
        data.extend(seq.to_be_bytes());
        data.extend(ack.to_be_bytes());
        data.extend([0x50, flags, 0x80, 0, 0, 0, 0, 0]);
        data.extend(payload);
        self.packet(&data);
    }

    /// One UDP datagram, 10 ms after the last packet.
    pub(crate) fn datagram(&mut self, from: End, to: End, payload: &[u8]) {
        let mut data = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        data.extend((28 + payload.len() as u16).to_be_bytes());
        data.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        data.extend(from.0);
        data.extend(to.0);
        data.extend(from.1.to_be_bytes());
        data.extend(to.1.to_be_bytes());
        data.extend((8 + payload.len() as u16).to_be_bytes());
        data.extend([0, 0]);
        data.extend(payload);
        self.packet(&data);
    }

    /// A whole connection: nine packets.
    pub(crate) fn connection(&mut self, client: End, server: End) {
        self.segment(client, server, SYN, 100, 0, b"");
        self.segment(server, client, SYN | ACK, 500, 101, b"");
        self.segment(client, server, ACK, 101, 501, b"");
        self.segment(client, server, ACK, 101, 501, b"GET / HTTP/1.0\r\n\r\n");
        self.segment(server, client, ACK, 501, 119, b"HTTP/1.0 200 OK\r\n\r\n");
        self.segment(client, server, ACK, 119, 520, b"");
        self.segment(client, server, FIN | ACK, 119, 520, b"");
        self.segment(server, client, FIN | ACK, 520, 120, b"");
        self.segment(client, server, ACK, 120, 521, b"");
    }

    /// An attempt that is refused: two packets.
    pub(crate) fn refusal(&mut self, client: End, server: End) {
        self.segment(client, server, SYN, 100, 0, b"");
        self.segment(server, client, RST | ACK, 0, 101, b"");
    }

    /// `connections` whole connections from ports 40000, 40001... and one refusal.
    pub(crate) fn usual(connections: u16) -> Capture {
        let mut capture = Capture::new();
        for n in 0..connections {
            capture.connection(End([10, 0, 0, 1], 40000 + n), End([10, 0, 0, 2], 80));
        }
        capture.refusal(End([10, 0, 0, 1], 50000), End([10, 0, 0, 3], 81));
        capture
    }

    pub(crate) fn save(&self, path: impl AsRef<Path>) {
        std::fs::write(path, &self.bytes).unwrap();
    }
}

/// How many packets a classic capture has.
pub(crate) fn count_packets(bytes: &[u8]) -> usize {
    let mut at = 24;
    let mut packets = 0;
    while let Some(header) = bytes.get(at..at + 16) {
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        at += 16 + length as usize;
        packets += 1;
    }
    assert_eq!(at, bytes.len(), "a whole capture");
    packets
}
