//! The golden captures packet by packet, and changed copies of them: other headers around the same segments, sequence
//! numbers that add up. Classic pcap, microseconds, Ethernet, IPv4 without options; checksums are left as they are.

use std::path::Path;

/// A capture.
#[derive(Clone)]
pub(crate) struct Packets {
    link_type: u32,
    list: Vec<Packet>,
}

#[derive(Clone)]
pub(crate) struct Packet {
    /// Seconds and microseconds.
    time: [u32; 2],
    /// Bytes on the wire.
    length: u32,
    pub(crate) data: Vec<u8>,
}

const ETHERNET: usize = 14;
const IP: usize = ETHERNET + 20;

impl Packets {
    pub(crate) fn read(path: impl AsRef<Path>) -> Packets {
        let bytes = std::fs::read(path).unwrap();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(word(0), 0xa1b2_c3d4, "a little-endian pcap in microseconds");
        let (mut at, mut list) = (24, Vec::new());
        while at < bytes.len() {
            let captured = word(at + 8) as usize;
            list.push(Packet {
                time: [word(at), word(at + 4)],
                length: word(at + 12),
                data: bytes[at + 16..at + 16 + captured].to_vec(),
            });
            at += 16 + captured;
        }
        Packets {
            link_type: word(20),
            list,
        }
    }

    pub(crate) fn save(&self, path: impl AsRef<Path>) {
        let header = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 262_144, self.link_type];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        for Packet { time, length, data } in &self.list {
            for word in [time[0], time[1], data.len() as u32, *length] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(data);
        }
        std::fs::write(path, bytes).unwrap();
    }

    /// The same packets with their bytes changed; what grows on the wire grows by as much.
    pub(crate) fn each(&self, change: impl Fn(&[u8]) -> Vec<u8>) -> Packets {
        self.split(|data| vec![change(data)])
    }

    /// The same with several packets in the place of one.
    pub(crate) fn split(&self, change: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Packets {
        let parts = |packet: &Packet| {
            assert_eq!(packet.length as usize, packet.data.len(), "whole packets");
            let time = packet.time;
            let part = move |data: Vec<u8>| Packet {
                time,
                length: data.len() as u32,
                data,
            };
            change(&packet.data).into_iter().map(part)
        };
        Packets {
            link_type: self.link_type,
            list: self.list.iter().flat_map(parts).collect(),
        }
    }

    /// As `tcpdump -i any` writes them: Linux cooked v2 in place of Ethernet.
    pub(crate) fn cooked(&self) -> Packets {
        let mut packets = self.each(|data| {
            let mut cooked = data[12..14].to_vec();
            cooked.extend([0, 0, 0, 0, 0, 2, 0, 1, 0, 6]);
            cooked.extend(&data[6..12]);
            cooked.extend([0, 0]);
            cooked.extend(&data[ETHERNET..]);
            cooked
        });
        packets.link_type = 276;
        packets
    }

    /// In a VLAN for each tag, the outermost first: type and id.
    pub(crate) fn tagged(&self, tags: &[(u16, u16)]) -> Packets {
        self.each(|data| {
            let mut tagged = data[..12].to_vec();
            for (kind, id) in tags {
                tagged.extend(kind.to_be_bytes());
                tagged.extend(id.to_be_bytes());
            }
            tagged.extend(&data[12..]);
            tagged
        })
    }

    /// IPv6 in place of IPv4: 10.77.0.1 is fd77::1.
    pub(crate) fn as_ipv6(&self) -> Packets {
        self.each(|data| {
            let total = usize::from(u16::from_be_bytes([data[16], data[17]]));
            let mut v6 = data[..12].to_vec();
            v6.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            v6.extend(((total - 20) as u16).to_be_bytes());
            v6.extend([data[23], 64]);
            for address in [&data[26..30], &data[30..34]] {
                v6.extend([
                    0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, address[3],
                ]);
            }
            v6.extend(&data[IP..ETHERNET + total]);
            v6
        })
    }

    /// Every IPv4 packet in fragments of at most `most` bytes (a multiple of 8).
    pub(crate) fn fragmented(&self, most: usize) -> Packets {
        let id = std::cell::Cell::new(0_u16);
        self.split(|data| {
            id.set(id.get() + 1);
            let total = usize::from(u16::from_be_bytes([data[16], data[17]]));
            let payload = &data[IP..ETHERNET + total];
            let pieces = payload.chunks(most).enumerate();
            let fragment = |(n, piece): (usize, &[u8])| {
                let more = if (n + 1) * most < payload.len() {
                    0x2000
                } else {
                    0
                };
                let mut fragment = data[..IP].to_vec();
                fragment[16..18].copy_from_slice(&((20 + piece.len()) as u16).to_be_bytes());
                fragment[18..20].copy_from_slice(&id.get().to_be_bytes());
                let place = (n * most / 8) as u16 | more;
                fragment[20..22].copy_from_slice(&place.to_be_bytes());
                fragment.extend(piece);
                fragment
            };
            pieces.map(fragment).collect()
        })
    }

    /// As a snap length of `most` leaves them.
    pub(crate) fn cut(&self, most: usize) -> Packets {
        let mut packets = self.clone();
        for packet in &mut packets.list {
            packet.data.truncate(most);
        }
        packets
    }

    /// redis-edges.pcap says something with its times and payloads only: its sequence numbers do not add up (every
    /// response is 500:505), so that by TCP nearly all of it is retransmitted. Here each segment follows the one before it
    /// in its direction. What was meant as a repeat stays one: the same number and payload with nothing from the other
    /// side in between, and a byte without PSH (the keepalive), which stands just below what comes next.
    pub(crate) fn renumbered(&self) -> Packets {
        let mut packets = self.clone();
        /// What comes next from one end; number, payload and new number of its last data.
        #[derive(Default)]
        struct End {
            next: Option<u32>,
            last: (u32, Vec<u8>, u32),
        }
        let mut ends = std::collections::BTreeMap::<Vec<u8>, End>::new();
        for packet in &mut packets.list {
            let data = &mut packet.data;
            let ports = data[IP..IP + 4].to_vec();
            let back = [&ports[2..4], &ports[0..2]].concat();
            let number = u32::from_be_bytes(data[IP + 4..IP + 8].try_into().unwrap());
            let flags = data[IP + 13];
            let payload = data[IP + 20..].to_vec();
            let peer = ends.get_mut(&back).and_then(|end| {
                if !payload.is_empty() {
                    end.last = Default::default();
                }
                end.next
            });
            let end = ends.entry(ports).or_default();
            let next = end.next.unwrap_or(number);
            let new = match payload.len() {
                0 => next,
                1 if flags & 8 == 0 => next - 1,
                _ if (end.last.0, &end.last.1) == (number, &payload) => end.last.2,
                _ => next,
            };
            let length = payload.len() as u32 + u32::from(flags & 2 != 0);
            if new == next {
                end.next = Some(next + length);
            }
            if payload.len() > 1 {
                end.last = (number, payload, new);
            }
            data[IP + 4..IP + 8].copy_from_slice(&new.to_be_bytes());
            if let Some(peer) = peer {
                data[IP + 8..IP + 12].copy_from_slice(&peer.to_be_bytes());
            }
        }
        packets
    }
}
