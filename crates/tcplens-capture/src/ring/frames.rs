//! The frames of a block: where each packet lies, when it came, on which interface. VLAN tags that the kernel has put aside
//! are put back. Pure: bytes in, packets out; what does not fit in the block ends the walk.
//!
//! Layouts: `struct tpacket3_hdr`, `struct sockaddr_ll`, `struct tpacket_hdr_v1` (include/uapi/linux/if_packet.h).

use tcplens_core::packet::Packet;
use tcplens_core::time::{SECOND, Timestamp};

use super::Gate;
use super::interfaces::Interfaces;

/// Of the block's header.
mod block {
    pub(super) const PACKETS: usize = 12;
    pub(super) const FIRST: usize = 16;
}

/// Of a frame: its header of 48 bytes, and the address behind it.
mod frame {
    pub(super) const NEXT: usize = 0;
    pub(super) const SECONDS: usize = 4;
    pub(super) const NANOSECONDS: usize = 8;
    pub(super) const CAPTURED: usize = 12;
    pub(super) const LENGTH: usize = 16;
    pub(super) const STATUS: usize = 20;
    pub(super) const LINK_HEADER: usize = 24;
    pub(super) const NETWORK_HEADER: usize = 26;
    pub(super) const VLAN_TCI: usize = 32;
    pub(super) const VLAN_TPID: usize = 36;
    pub(super) const INTERFACE: usize = 52;
    pub(super) const HARDWARE: usize = 56;
    /// Header and address.
    pub(super) const SIZE: usize = 68;
}

const VLAN_VALID: u32 = 1 << 4;
const VLAN_TPID_VALID: u32 = 1 << 6;
/// 802.1Q.
const USUAL_TPID: u16 = 0x8100;
/// Bytes of a tag.
pub(super) const TAG: usize = 4;
/// Bytes of both MAC addresses, behind which a tag stands.
const ADDRESSES: usize = 12;

/// Names an interface.
pub(super) trait Names {
    /// The name of the interface with the kernel's `index`.
    fn name_of(&self, index: u32) -> Option<String>;
}

/// How far a block has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// The next frame.
    at: usize,
    /// Frames from there on.
    left: u32,
}

impl Walk {
    /// At the first frame.
    pub(super) fn begin(bytes: &[u8]) -> Walk {
        Walk {
            at: word(bytes, block::FIRST).unwrap_or_default() as usize,
            left: word(bytes, block::PACKETS).unwrap_or_default(),
        }
    }

    /// Fills `packets` with the next of a block that pass, at most `most`, each cut to `snaplen`. None at all: the block was read.
    pub(super) fn packets(
        &mut self,
        (most, snaplen): (usize, u32),
        bytes: &mut [u8],
        interfaces: &mut Interfaces,
        names: &impl Names,
        gate: &mut Gate,
        packets: &mut Vec<Packet>,
    ) {
        packets.clear();
        while packets.len() < most && self.left > 0 {
            self.left -= 1;
            let Some(header) = bytes.get(self.at..).and_then(<[u8]>::first_chunk) else {
                self.left = 0;
                return;
            };
            let header: [u8; frame::SIZE] = *header;
            let found = packet(&header, self.at, bytes, interfaces, names, gate);
            let next = field(&header, frame::NEXT) as usize;
            let Some(found) = found.filter(|_| next > 0 || self.left == 0) else {
                self.left = 0;
                return;
            };
            self.at += next;
            packets.extend(found.map(|packet| Packet {
                captured: packet.captured.min(snaplen),
                ..packet
            }));
        }
    }
}

/// The packet of a frame; `Some(None)` if it does not pass, `None` if it is not in the block.
#[inline]
fn packet(
    header: &[u8; frame::SIZE],
    at: usize,
    bytes: &mut [u8],
    interfaces: &mut Interfaces,
    names: &impl Names,
    gate: &mut Gate,
) -> Option<Option<Packet>> {
    let interface = interfaces.get(
        field(header, frame::INTERFACE),
        half(header, frame::HARDWARE),
        || names.name_of(field(header, frame::INTERFACE)),
    );
    let seconds = i64::from(field(header, frame::SECONDS));
    let time = seconds * SECOND + i64::from(field(header, frame::NANOSECONDS));
    let link_header = usize::from(half(header, frame::LINK_HEADER));
    let mut packet = Packet {
        time: Timestamp(time),
        at: (at + link_header) as u32,
        captured: field(header, frame::CAPTURED),
        length: field(header, frame::LENGTH),
        interface: interface.number,
    };
    let has_tag = field(header, frame::STATUS) & VLAN_VALID != 0;
    if !interface.has_header {
        let network = u32::from(half(header, frame::NETWORK_HEADER));
        let skipped = network.saturating_sub(link_header as u32);
        packet.at += skipped;
        packet.captured = packet.captured.saturating_sub(skipped);
        packet.length = packet.length.saturating_sub(skipped);
    } else if has_tag {
        put_back_tag(bytes, header, &mut packet);
    }
    let from = packet.at as usize;
    let data = bytes.get(from..from + packet.captured as usize)?;
    let is_decided = interface.has_header && !has_tag;
    let passes = gate.passes(is_decided, interface.link, data, packet.length);
    Some(passes.then_some(packet))
}

/// Makes room in front of the packet, which the kernel was asked to leave, and writes the tag where it was.
fn put_back_tag(bytes: &mut [u8], header: &[u8; frame::SIZE], packet: &mut Packet) {
    let at = packet.at as usize;
    let is_room = usize::from(half(header, frame::LINK_HEADER)) >= frame::SIZE + TAG;
    if !is_room || (packet.captured as usize) < ADDRESSES {
        return;
    }
    let is_named = field(header, frame::STATUS) & VLAN_TPID_VALID != 0;
    let tpid = if is_named {
        half(header, frame::VLAN_TPID)
    } else {
        USUAL_TPID
    };
    // A field of four bytes of which two are used.
    let tci = field(header, frame::VLAN_TCI) as u16;
    let Some(room) = bytes.get_mut(at - TAG..at + ADDRESSES) else {
        return;
    };
    room.copy_within(TAG.., 0);
    room[ADDRESSES..ADDRESSES + 2].copy_from_slice(&tpid.to_be_bytes());
    room[ADDRESSES + 2..].copy_from_slice(&tci.to_be_bytes());
    packet.at -= TAG as u32;
    packet.captured += TAG as u32;
    packet.length += TAG as u32;
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn field(header: &[u8; frame::SIZE], at: usize) -> u32 {
    word(header, at).unwrap_or_default()
}

fn half(header: &[u8; frame::SIZE], at: usize) -> u16 {
    let two = header.get(at..).and_then(<[u8]>::first_chunk);
    two.map_or(0, |two| u16::from_ne_bytes(*two))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcplens_core::filter::packet::PacketFilter;

    struct Nameless;

    impl Names for Nameless {
        fn name_of(&self, index: u32) -> Option<String> {
            Some(format!("if{index}"))
        }
    }

    /// A block as the kernel writes it: frames of (hardware type, tag, packet, bytes before the network header).
    fn block(frames: &[(u16, Option<u16>, &[u8], u16)]) -> Vec<u8> {
        let mut bytes = vec![0; 48];
        bytes[block::PACKETS..][..4].copy_from_slice(&(frames.len() as u32).to_ne_bytes());
        bytes[block::FIRST..][..4].copy_from_slice(&48u32.to_ne_bytes());
        for (n, (hardware, tag, packet, before)) in frames.iter().enumerate() {
            let link_header = 80u16;
            let mut header = [0; 80];
            let size = (80 + packet.len()).next_multiple_of(16);
            let mut put = |at: usize, value: u32| {
                header[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            };
            let is_last = n + 1 == frames.len();
            put(frame::NEXT, if is_last { 0 } else { size as u32 });
            put(frame::SECONDS, 1_700_000_000);
            put(frame::NANOSECONDS, n as u32);
            put(frame::CAPTURED, packet.len() as u32);
            put(frame::LENGTH, packet.len() as u32 + 100);
            put(
                frame::STATUS,
                tag.map_or(0, |_| VLAN_VALID | VLAN_TPID_VALID),
            );
            put(
                frame::LINK_HEADER,
                u32::from(link_header) | u32::from(link_header + before) << 16,
            );
            put(frame::VLAN_TCI, tag.map_or(0, u32::from));
            put(frame::VLAN_TPID, 0x88a8);
            put(frame::INTERFACE, 7);
            put(frame::HARDWARE, u32::from(*hardware));
            bytes.extend_from_slice(&header);
            bytes.extend_from_slice(packet);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
        }
        bytes
    }

    fn walked(bytes: &mut [u8], filter: &str) -> Vec<(Packet, Vec<u8>)> {
        let mut gate = Gate {
            filter: Some(PacketFilter::parse(filter).unwrap()),
            ..Gate::default()
        };
        let mut packets = Vec::new();
        let mut interfaces = Interfaces::new(Vec::new());
        let mut walk = Walk::begin(bytes);
        let all = (usize::MAX, u32::MAX);
        walk.packets(
            all,
            bytes,
            &mut interfaces,
            &Nameless,
            &mut gate,
            &mut packets,
        );
        let data = |packet: &Packet| {
            let at = packet.at as usize;
            bytes[at..at + packet.captured as usize].to_vec()
        };
        packets.iter().map(|p| (*p, data(p))).collect()
    }

    const ETHERNET: &[u8] = b"\x01\x02\x03\x04\x05\x06\x11\x12\x13\x14\x15\x16\x08\x00E...";

    #[test]
    fn packets_are_where_their_frames_say() {
        let mut bytes = block(&[(1, None, ETHERNET, 14), (1, None, &ETHERNET[..16], 14)]);
        let got = walked(&mut bytes, "");
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].1, ETHERNET);
        assert_eq!(got[1].1, &ETHERNET[..16]);
        assert_eq!(got[0].0.length, ETHERNET.len() as u32 + 100);
        assert_eq!(got[1].0.time.0, 1_700_000_000 * SECOND + 1);
    }

    #[test]
    fn a_tag_is_put_back_where_it_was() {
        let mut bytes = block(&[(1, Some(0x2005), ETHERNET, 14), (1, None, ETHERNET, 14)]);
        let got = walked(&mut bytes, "");
        let with_tag = [&ETHERNET[..12], b"\x88\xa8\x20\x05", &ETHERNET[12..]].concat();
        assert_eq!(got[0].1, with_tag);
        assert_eq!(got[0].0.length, with_tag.len() as u32 + 100);
        assert_eq!(got[1].1, ETHERNET, "the next one is untouched");
    }

    #[test]
    fn what_the_kernel_left_undecided_is_decided_here() {
        let mut bytes = block(&[(1, Some(5), ETHERNET, 14), (1, None, ETHERNET, 14)]);
        assert_eq!(walked(&mut bytes, "vlan 6").len(), 1, "the tagged is not 6");
        let mut bytes = block(&[(1, Some(5), ETHERNET, 14)]);
        assert_eq!(walked(&mut bytes, "ip").len(), 0, "`ip` means untagged");
        // A tun interface: no header, raw IP.
        let mut bytes = block(&[(65534, None, b"\x45\0\0\x14aaaaaaaaaaaaaaaa", 0)]);
        assert_eq!(walked(&mut bytes, "ip").len(), 1);
        let mut bytes = block(&[(65534, None, b"\x45\0\0\x14aaaaaaaaaaaaaaaa", 0)]);
        assert_eq!(walked(&mut bytes, "ip6").len(), 0);
    }

    #[test]
    fn an_interface_without_ethernet_begins_with_ip() {
        let mut bytes = block(&[(512, None, b"\0\x21\x45\0\0\x14aaaaaaaaaaaaaaaa", 2)]);
        let got = walked(&mut bytes, "");
        assert_eq!(got[0].1[0], 0x45);
        assert_eq!(got[0].0.length, 20 + 100);
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        let whole = block(&[(1, Some(1), ETHERNET, 14), (1, None, ETHERNET, 14)]);
        for cut in 0..whole.len() {
            walked(&mut whole[..cut].to_vec(), "");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] = 0xff;
            walked(&mut bytes, "vlan 5 or tcp");
        }
    }
}
