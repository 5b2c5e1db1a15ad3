//! What holds for all packets: no bytes panic, both ways of decoding agree, and etherparse's packets are read as built.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p tcplens-core --test wire_properties` looks further.
#![expect(clippy::unwrap_used, reason = "a test may")]

use etherparse::{PacketBuilder, TcpOptionElement};
use proptest::prelude::*;

use tcplens_core::packet::{LinkType, Packet};
use tcplens_core::time::Timestamp;
use tcplens_core::wire::segment::{Segment, address, flags, has, syn_option};
use tcplens_core::wire::{Checksum, DecodeSettings, Decoded, Decoder};

const LINKS: [u32; 15] = [
    0, 1, 9, 50, 51, 101, 104, 105, 108, 113, 127, 228, 229, 239, 276,
];

fn settings(checksum: Checksum) -> DecodeSettings {
    DecodeSettings {
        hash_seed: 3,
        checksum,
    }
}

fn packet(bytes: &[u8], more: u32) -> Packet {
    let captured = u32::try_from(bytes.len()).unwrap();
    Packet {
        time: Timestamp(1_000),
        at: 0,
        captured,
        length: captured + more,
        interface: 0,
    }
}

/// Decodes, and checks what must hold of every outcome.
fn decode(
    decoder: &mut Decoder,
    bytes: &[u8],
    packet: &Packet,
    link: LinkType,
) -> (Decoded, Segment) {
    let before = decoder.counts().packets();
    let mut out = Segment::default();
    let decoded = decoder.decode(bytes, packet, link, &mut out);
    assert_eq!(decoder.counts().packets(), before + 1, "one outcome each");
    if decoded == Decoded::Segment {
        let end = out.payload_at as usize + out.payload_captured as usize;
        assert!(end <= bytes.len() && out.payload_captured <= out.payload_length);
        let ends = out.flow;
        assert!((ends.low, ends.ports[0]) <= (ends.high, ends.ports[1]));
    }
    (decoded, out)
}

/// A packet as it may be on the wire: addresses, ports, tags, options, payload.
#[derive(Clone, Debug)]
struct Wire {
    addresses: (u32, u32),
    is_v6: bool,
    ports: (u16, u16),
    tags: Vec<u16>,
    numbers: (u32, u32, u16),
    flag_bits: u8,
    options: Vec<TcpOptionElement>,
    payload: Vec<u8>,
}

fn option() -> impl Strategy<Value = TcpOptionElement> {
    use TcpOptionElement::*;
    prop_oneof![
        Just(Noop),
        any::<u16>().prop_map(MaximumSegmentSize),
        any::<u8>().prop_map(WindowScale),
        Just(SelectiveAcknowledgementPermitted),
        (any::<u32>(), any::<u32>())
            .prop_map(|block| SelectiveAcknowledgement(block, [None, None, None])),
        (any::<u32>(), any::<u32>()).prop_map(|(value, echo)| Timestamp(value, echo)),
    ]
}

fn wire() -> impl Strategy<Value = Wire> {
    let aligned = (any::<u32>(), any::<u32>()).prop_map(|(value, echo)| {
        vec![
            TcpOptionElement::Noop,
            TcpOptionElement::Noop,
            TcpOptionElement::Timestamp(value, echo),
        ]
    });
    let options = prop_oneof![aligned, prop::collection::vec(option(), 0..5)];
    (
        (any::<u32>(), any::<u32>()),
        any::<bool>(),
        (any::<u16>(), any::<u16>()),
        prop::collection::vec(1_u16..4095, 0..3),
        (any::<u32>(), any::<u32>(), any::<u16>()),
        any::<u8>(),
        options,
        prop::collection::vec(any::<u8>(), 0..40),
    )
        .prop_map(
            |(addresses, is_v6, ports, tags, numbers, flag_bits, options, payload)| Wire {
                addresses,
                is_v6,
                ports,
                tags,
                numbers,
                flag_bits,
                options,
                payload,
            },
        )
        .prop_filter("options have room for 40 bytes", |wire| {
            let length = |option: &TcpOptionElement| match option {
                TcpOptionElement::Timestamp(..)
                | TcpOptionElement::SelectiveAcknowledgement(..) => 10,
                _ => 4,
            };
            wire.options.iter().map(length).sum::<usize>() <= 40
        })
}

fn v6(host: u32) -> [u8; 16] {
    let mut address = [0xfd; 16];
    address[4..8].copy_from_slice(&host.to_be_bytes());
    address
}

fn build(wire: &Wire) -> Vec<u8> {
    use etherparse::VlanId;
    let (from, to) = wire.addresses;
    let id = |tag: u16| VlanId::try_new(tag).unwrap();
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    macro_rules! ip {
        ($link:expr) => {
            match wire.is_v6 {
                true => $link.ipv6(v6(from), v6(to), 61),
                false => $link.ipv4(from.to_be_bytes(), to.to_be_bytes(), 61),
            }
        };
    }
    let ip = match wire.tags[..] {
        [] => ip!(ethernet),
        [one] => ip!(ethernet.single_vlan(id(one))),
        [outer, inner, ..] => ip!(ethernet.double_vlan(id(outer), id(inner))),
    };
    let (seq, ack, window) = wire.numbers;
    let mut tcp = ip
        .tcp(wire.ports.0, wire.ports.1, seq, window)
        .options(&wire.options)
        .unwrap();
    let is = |bit: u8| wire.flag_bits & bit != 0;
    tcp = if is(flags::SYN) { tcp.syn() } else { tcp };
    tcp = if is(flags::FIN) { tcp.fin() } else { tcp };
    tcp = if is(flags::RST) { tcp.rst() } else { tcp };
    tcp = if is(flags::PSH) { tcp.psh() } else { tcp };
    tcp = if is(flags::ACK) { tcp.ack(ack) } else { tcp };
    let mut bytes = Vec::new();
    tcp.write(&mut bytes, &wire.payload).unwrap();
    bytes
}

/// One in some ten thousand right checksums equals the sum of a pseudo header, with or without the length.
fn looks_left_to_the_card(bytes: &[u8], tags: usize, is_v6: bool) -> bool {
    let ip = &bytes[14 + 4 * tags.min(2)..];
    let (addresses, tcp) = if is_v6 {
        (&ip[8..40], &ip[40..])
    } else {
        (&ip[12..20], &ip[20..])
    };
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair[1]);
    let ends = addresses.chunks(2).map(word).sum::<u32>() + 6;
    let fold = |sum: u32| match (sum & 0xffff) + (sum >> 16) {
        more @ 0x1_0000.. => more - 0xffff,
        folded => folded,
    };
    let length = u32::try_from(tcp.len()).unwrap();
    [0, fold(ends), fold(ends + length)].contains(&word(&tcp[16..18]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_packet_built_by_etherparse_is_read_as_it_was_built(wire in wire(), padding in 0_usize..30) {
        let mut bytes = build(&wire);
        let whole = bytes.len();
        bytes.resize(whole + padding, 0xee);
        let mut decoder = Decoder::new(settings(Checksum::None));
        let (decoded, out) = decode(&mut decoder, &bytes, &packet(&bytes, 0), LinkType::ETHERNET);
        prop_assert_eq!(decoded, Decoded::Segment);
        let ends = [(address(out.flow.low), out.flow.ports[0]), (address(out.flow.high), out.flow.ports[1])];
        let (from, to) = (ends[usize::from(out.from)], ends[1 - usize::from(out.from)]);
        let (source, destination) = wire.addresses;
        if wire.is_v6 {
            prop_assert_eq!((from.0, to.0), (v6(source).into(), v6(destination).into()));
        } else {
            prop_assert_eq!((from.0, to.0), (source.to_be_bytes().into(), destination.to_be_bytes().into()));
        }
        prop_assert_eq!((from.1, to.1), wire.ports);
        prop_assert_eq!((out.seq, out.window, out.ttl), (wire.numbers.0, wire.numbers.2, 61));
        let known = flags::SYN | flags::FIN | flags::RST | flags::PSH | flags::ACK;
        prop_assert_eq!(out.flags, wire.flag_bits & known);
        if out.flags & flags::ACK != 0 {
            prop_assert_eq!(out.ack, wire.numbers.1);
        }
        prop_assert_eq!(out.vlan, wire.tags.first().copied().unwrap_or(0));
        prop_assert_eq!(out.payload_length as usize, wire.payload.len());
        let at = out.payload_at as usize;
        prop_assert_eq!(&bytes[at..at + out.payload_captured as usize], &wire.payload[..]);
        prop_assert_eq!(out.has & has::OPTIONS_CUT, 0);
        let is_syn = out.flags & flags::SYN != 0;
        for option in &wire.options {
            use TcpOptionElement::*;
            let bit = match option {
                Timestamp(..) => { prop_assert!(out.has & has::TIMESTAMPS != 0); syn_option::TIMESTAMPS }
                MaximumSegmentSize(_) => syn_option::MSS,
                WindowScale(_) => syn_option::WSCALE,
                SelectiveAcknowledgementPermitted => syn_option::SACK,
                _ => 0,
            };
            prop_assert_eq!(out.syn.bits & bit, if is_syn { bit } else { 0 });
        }
        let last = wire.options.iter().rev().find_map(|option| match *option {
            TcpOptionElement::Timestamp(value, echo) => Some((value, echo)),
            _ => None,
        });
        prop_assert_eq!((out.ts_value, out.ts_echo), last.unwrap_or((0, 0)));
    }

    #[test]
    fn checksums_that_etherparse_wrote_are_right_and_a_changed_byte_makes_one_wrong(wire in wire(), at: prop::sample::Index) {
        let bytes = build(&wire);
        let mut decoder = Decoder::new(settings(Checksum::All));
        let (_, out) = decode(&mut decoder, &bytes, &packet(&bytes, 0), LinkType::ETHERNET);
        prop_assert_eq!(out.has & has::BAD_CHECKSUM, 0);
        if !wire.payload.is_empty() && !looks_left_to_the_card(&bytes, wire.tags.len(), wire.is_v6) {
            let mut changed = bytes.clone();
            changed[bytes.len() - 1 - at.index(wire.payload.len())] ^= 0x10;
            let (_, out) = decode(&mut decoder, &changed, &packet(&changed, 0), LinkType::ETHERNET);
            prop_assert_eq!(out.has & has::BAD_CHECKSUM, has::BAD_CHECKSUM);
        }
    }

    #[test]
    fn the_fast_way_and_the_general_one_agree_on_mutated_and_cut_packets(
        wire in wire(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut: prop::sample::Index,
        is_cut: bool,
        link in 0_usize..4,
    ) {
        let mut bytes = build(&wire);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let link = [LinkType::ETHERNET, LinkType::RAW, LinkType::LINUX_SLL, LinkType::LINUX_SLL2][link];
        let header: &[u8] = match link {
            LinkType::RAW => &[],
            LinkType::LINUX_SLL => &[7; 14],
            LinkType::LINUX_SLL2 => &[0; 18],
            _ => &[9; 12],
        };
        // Up to the ethertype, which raw IP has not, and version 2 has in front.
        match link {
            LinkType::RAW => drop(bytes.splice(..14, [])),
            LinkType::LINUX_SLL2 => {
                let kind = [bytes[12], bytes[13]];
                drop(bytes.splice(..14, kind.into_iter().chain(header.iter().copied())));
            }
            _ => drop(bytes.splice(..12, header.iter().copied())),
        }
        let kept = if is_cut { cut.index(bytes.len() + 1) } else { bytes.len() };
        let left_out = u32::try_from(bytes.len() - kept).unwrap();
        bytes.truncate(kept);
        let packet = packet(&bytes, left_out);
        // With a checksum to check, the fast way is not taken.
        let mut fast = Decoder::new(settings(Checksum::None));
        let mut general = Decoder::new(settings(Checksum::Ip));
        let one = decode(&mut fast, &bytes, &packet, link);
        let mut other = decode(&mut general, &bytes, &packet, link);
        other.1.has &= !has::BAD_CHECKSUM;
        prop_assert_eq!(one.0, other.0);
        if one.0 == Decoded::Segment {
            prop_assert_eq!(one.1, other.1);
        }
        let reasons = |decoder: &Decoder| decoder.counts().all_undecoded().collect::<Vec<_>>();
        prop_assert_eq!(reasons(&fast), reasons(&general));
    }

    #[test]
    fn no_bytes_panic_on_any_link_type(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..120), 0_usize..15, any::<u8>()), 1..8),
    ) {
        let mut decoder = Decoder::new(settings(Checksum::All));
        for (bytes, link, more) in packets {
            decode(&mut decoder, &bytes, &packet(&bytes, more.into()), LinkType(LINKS[link]));
        }
        decoder.finish();
    }

    #[test]
    fn no_bytes_after_a_plausible_beginning_panic(
        packets in prop::collection::vec(
            (0_usize..12, prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..9, Just(0x45), Just(0x60)], 0..140)),
            1..8,
        ),
    ) {
        let mut decoder = Decoder::new(settings(Checksum::All));
        for (kind, mut rest) in packets {
            // IPv4 with each protocol that is walked further, among them fragments; and IPv6.
            let protocol = [1, 4, 6, 17, 41, 47, 51, 137, 6, 17, 44, 58][kind];
            let fragment = u8::from(kind == 8) * 0x20 + u8::from(kind == 9);
            let mut bytes = match kind {
                10 | 11 => {
                    let mut header = vec![0; 40];
                    (header[0], header[5], header[6]) = (0x60, 140, protocol);
                    header
                }
                _ => vec![0x45, 0, 0, 160, 0, 1, fragment, 0, 64, protocol, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2],
            };
            if protocol == 17 {
                let port: u16 = [4789, 4790, 6081, 2152, 3544, 8472][rest.len() % 6];
                bytes.extend([0, 9]);
                bytes.extend(port.to_be_bytes());
                bytes.extend([0; 4]);
                rest.get_mut(..2).into_iter().for_each(|flags| flags.copy_from_slice(&[0x38, 255]));
            }
            bytes.append(&mut rest);
            decode(&mut decoder, &bytes, &packet(&bytes, 0), LinkType::RAW);
        }
        decoder.finish();
    }
}
