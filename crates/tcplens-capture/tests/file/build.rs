//! Builds captures byte by byte, in every variant that the reader claims to read.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) big: bool,
}

pub(crate) const LITTLE: Bytes = Bytes { big: false };
pub(crate) const BIG: Bytes = Bytes { big: true };

impl Bytes {
    pub(crate) fn u16(self, n: u16) -> [u8; 2] {
        if self.big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    }

    pub(crate) fn u32(self, n: u32) -> [u8; 4] {
        if self.big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    }

    pub(crate) fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| self.u32(*word)).collect()
    }

    pub(crate) fn pcap_header(
        self,
        magic: u32,
        minor: u16,
        snap_length: u32,
        link: u32,
    ) -> Vec<u8> {
        let version = [self.u16(2), self.u16(minor)].concat();
        [
            self.words(&[magic]),
            version,
            self.words(&[0, 0, snap_length, link]),
        ]
        .concat()
    }

    /// A record whose captured length is that of `data`.
    pub(crate) fn record(self, seconds: u32, fraction: u32, length: u32, data: &[u8]) -> Vec<u8> {
        [
            self.words(&[seconds, fraction, data.len() as u32, length]),
            data.to_vec(),
        ]
        .concat()
    }

    pub(crate) fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = (12 + body.len() + padding.len()) as u32;
        [
            self.words(&[kind, length]),
            body.to_vec(),
            padding,
            self.words(&[length]),
        ]
        .concat()
    }

    pub(crate) fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        let body = [
            self.words(&[0x1a2b_3c4d]),
            version,
            self.words(&[u32::MAX; 2]),
        ]
        .concat();
        self.block(0x0a0d_0d0a, &body)
    }

    pub(crate) fn interface(
        self,
        link: u16,
        snap_length: u32,
        options: &[(u16, &[u8])],
    ) -> Vec<u8> {
        let mut body = [self.u16(link), [0; 2]].concat();
        body.extend(self.u32(snap_length));
        for (code, value) in options {
            body.extend([self.u16(*code), self.u16(value.len() as u16)].concat());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    pub(crate) fn enhanced(self, interface: u32, ticks: u64, length: u32, data: &[u8]) -> Vec<u8> {
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let head = self.words(&[interface, high, low, data.len() as u32, length]);
        self.block(6, &[head, data.to_vec()].concat())
    }

    pub(crate) fn simple(self, length: u32, data: &[u8]) -> Vec<u8> {
        self.block(3, &[self.words(&[length]), data.to_vec()].concat())
    }

    pub(crate) fn obsolete(self, interface: u16, ticks: u64, length: u32, data: &[u8]) -> Vec<u8> {
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let head = [self.u16(interface), self.u16(7)].concat();
        let rest = self.words(&[high, low, data.len() as u32, length]);
        self.block(2, &[head, rest, data.to_vec()].concat())
    }
}

pub(crate) const MICROSECONDS: u32 = 0xa1b2_c3d4;
pub(crate) const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// An ordinary pcap of `count` packets, one a second from second `from` on, of growing size.
pub(crate) fn pcap(from: u32, count: u32) -> Vec<u8> {
    let mut file = LITTLE.pcap_header(MICROSECONDS, 4, 65535, 1);
    for i in 0..count {
        let data = vec![i as u8; 60 + (i as usize * 37) % 1400];
        file.extend(LITTLE.record(from + i, 5, data.len() as u32, &data));
    }
    file
}

/// An ordinary pcapng of `count` packets on two interfaces, with an unknown block after every
/// packet.
pub(crate) fn pcapng(bytes: Bytes, count: u32) -> Vec<u8> {
    let mut file = [
        bytes.section(),
        bytes.interface(1, 0, &[]),
        bytes.interface(101, 0, &[]),
    ]
    .concat();
    for i in 0..count {
        let data = vec![i as u8; 1 + (i as usize * 37) % 1400];
        file.extend(bytes.enhanced(i % 2, u64::from(i) * 1_000_000, data.len() as u32, &data));
        file.extend(bytes.block(0x0bad, &vec![9; i as usize % 50]));
    }
    file
}
