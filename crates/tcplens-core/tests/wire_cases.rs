//! Packets built by hand, one for every way in which a TCP segment can be wrapped, cut, quoted or broken.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::net::IpAddr;

use tcplens_core::packet::{LinkType, Packet};
use tcplens_core::time::Timestamp;
use tcplens_core::wire::segment::{FlowKey, IcmpError, Segment, Tunnel, address, flags, has};
use tcplens_core::wire::{Checksum, DecodeSettings, Decoded, Decoder, Undecoded};

const PAYLOAD: &[u8] = b"GET /";
/// Where packets begin in the test's batch.
const AT: usize = 3;

fn be(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap().to_be_bytes()
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Ports 40000 to 80, sequence number 1000, no options, [`PAYLOAD`].
fn tcp() -> Vec<u8> {
    let fixed = [
        0,
        0,
        3,
        0xe8,
        0,
        0,
        7,
        0xd0,
        0x50,
        flags::ACK,
        1,
        0,
        0,
        0,
        0,
        0,
    ];
    cat(&[&be(40000), &be(80), &fixed, PAYLOAD])
}

/// 10.0.0.1 to 10.0.0.2, with a right header checksum.
fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip4_part(protocol, 0, payload)
}

fn ip4_part(protocol: u8, flags_offset: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = cat(&[
        &[0x45, 0],
        &be(20 + payload.len()),
        &[0x12, 0x34],
        &flags_offset.to_be_bytes(),
        &[64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
    ]);
    let sum: u32 = header
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]))
        .sum();
    let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&(!folded).to_be_bytes());
    cat(&[&header, payload])
}

/// fd00::1 to fd00::2.
fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut address = [0_u8; 16];
    (address[0], address[15]) = (0xfd, 1);
    let source = address;
    address[15] = 2;
    cat(&[
        &[0x60, 0, 0, 0],
        &be(payload.len()),
        &[next, 63],
        &source,
        &address,
        payload,
    ])
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&[2; 12], &kind.to_be_bytes(), payload])
}

fn vlan(id: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&id.to_be_bytes(), &kind.to_be_bytes(), payload])
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[
        &be(5000),
        &port.to_be_bytes(),
        &be(8 + payload.len()),
        &[0, 0],
        payload,
    ])
}

fn frame4() -> Vec<u8> {
    ethernet(0x0800, &ip4(6, &tcp()))
}

struct Outcome {
    decoded: Decoded,
    segment: Segment,
    decoder: Decoder,
}

impl Outcome {
    fn reasons(&self) -> Vec<(&'static str, u64)> {
        self.decoder
            .counts()
            .all_undecoded()
            .map(|(reason, n)| (reason.word(), n))
            .collect()
    }
}

fn feed(settings: DecodeSettings, link: LinkType, packets: &[&[u8]]) -> Outcome {
    let mut decoder = Decoder::new(settings);
    let mut segment = Segment {
        clock: Timestamp(77),
        frame: 77,
        ..Segment::default()
    };
    let mut decoded = Decoded::Other;
    for (bytes, time) in packets.iter().zip(1..) {
        let batch = cat(&[&[0xee; AT], bytes, &[0xee; 9]]);
        let length = u32::try_from(bytes.len()).unwrap();
        let packet = Packet {
            time: Timestamp(time),
            at: u32::try_from(AT).unwrap(),
            captured: length,
            length,
            interface: 5,
        };
        decoded = decoder.decode(&batch, &packet, link, &mut segment);
    }
    assert_eq!(
        decoder.counts().packets(),
        packets.len() as u64,
        "each packet has one outcome"
    );
    Outcome {
        decoded,
        segment,
        decoder,
    }
}

fn decode(link: LinkType, packets: &[&[u8]]) -> Outcome {
    feed(DecodeSettings::default(), link, packets)
}

/// The segment of [`tcp`] in IPv4 or IPv6, whole.
fn check_segment(name: &str, outcome: &Outcome) {
    let segment = &outcome.segment;
    assert_eq!(
        outcome.decoded,
        Decoded::Segment,
        "{name}: {:?}",
        outcome.reasons()
    );
    assert_eq!(segment.flow.ports, [40000, 80], "{name}");
    assert_eq!(
        (segment.seq, segment.ack, segment.window),
        (1000, 2000, 256),
        "{name}"
    );
    assert_eq!(
        (segment.payload_length, segment.flags, segment.from),
        (5, flags::ACK, 0),
        "{name}"
    );
    let ends = (
        address(segment.flow.low).to_string(),
        address(segment.flow.high).to_string(),
    );
    let is_v4 = ends == ("10.0.0.1".into(), "10.0.0.2".into());
    let is_v6 = ends == ("fd00::1".into(), "fd00::2".into());
    assert!(is_v4 || is_v6, "{name}: {ends:?}");
    assert_eq!(
        (segment.ttl, segment.ip_id),
        if is_v4 { (64, 0x1234) } else { (63, 0) },
        "{name}"
    );
    assert_eq!(segment.has, if is_v4 { has::IP_ID } else { 0 }, "{name}");
    assert_eq!(
        (segment.clock, segment.frame),
        (Timestamp(77), 77),
        "the caller's"
    );
}

#[test]
fn every_link_layer_gives_the_segment_and_where_its_payload_is() {
    let (v4, v6) = (ip4(6, &tcp()), ip6(6, &tcp()));
    let snap = |kind: [u8; 2]| cat(&[&[0xaa, 0xaa, 3, 0, 0, 0], &kind]);
    let ppp4 = cat(&[&[0x00, 0x21], &v4]);
    let sll = |kind: [u8; 2]| cat(&[&[0, 0, 0, 1, 0, 6], &[9; 8], &kind]);
    let wifi = |control: [u8; 2], more: &[u8]| {
        cat(&[&control, &[0; 22], more, &snap([8, 0]), &v4, &[1, 2, 3, 4]])
    };
    let nflog = |order: fn(u16) -> [u8; 2]| {
        let payload = u16::try_from(v4.len()).unwrap() + 4;
        let prefix = [order(5), order(10), [0, 0], [0, 0]].concat(); // one byte, padded
        cat(&[&[2, 0, 0, 0], &prefix, &order(payload), &order(9), &v4])
    };
    let cases: &[(&str, LinkType, Vec<u8>)] = &[
        ("ethernet, IPv4", LinkType::ETHERNET, ethernet(0x0800, &v4)),
        ("ethernet, IPv6", LinkType::ETHERNET, ethernet(0x86dd, &v6)),
        (
            "ethernet, padded",
            LinkType::ETHERNET,
            cat(&[&ethernet(0x0800, &v4), &[0; 40]]),
        ),
        (
            "802.3, LLC, SNAP",
            LinkType::ETHERNET,
            ethernet(53, &cat(&[&snap([8, 0]), &v4])),
        ),
        ("VLAN and LLC", LinkType::ETHERNET, {
            let tagged = vlan(0, 53, &cat(&[&snap([8, 0]), &v4]));
            ethernet(0x8100, &tagged)
        }),
        ("raw, 4", LinkType::RAW, v4.clone()),
        ("raw, 6", LinkType::RAW, v6.clone()),
        ("IPv4", LinkType::IPV4, v4.clone()),
        ("IPv6", LinkType::IPV6, v6.clone()),
        (
            "cooked, IPv4",
            LinkType::LINUX_SLL,
            cat(&[&sll([8, 0]), &v4]),
        ),
        (
            "cooked, IPv6",
            LinkType::LINUX_SLL,
            cat(&[&sll([0x86, 0xdd]), &v6]),
        ),
        (
            "cooked, LLC",
            LinkType::LINUX_SLL,
            cat(&[&sll([0, 4]), &snap([8, 0]), &v4]),
        ),
        (
            "loopback, little-endian",
            LinkType::NULL,
            cat(&[&[2, 0, 0, 0], &v4]),
        ),
        (
            "loopback, big-endian",
            LinkType::NULL,
            cat(&[&[0, 0, 0, 2], &v4]),
        ),
        (
            "loopback, FreeBSD's IPv6",
            LinkType::NULL,
            cat(&[&[28, 0, 0, 0], &v6]),
        ),
        (
            "loopback, macOS's IPv6",
            LinkType::NULL,
            cat(&[&[30, 0, 0, 0], &v6]),
        ),
        (
            "loopback, OpenBSD's IPv6",
            LinkType::LOOP,
            cat(&[&[0, 0, 0, 24], &v6]),
        ),
        ("PPP", LinkType::PPP, ppp4.clone()),
        (
            "PPP, HDLC framing",
            LinkType::PPP,
            cat(&[&[0xff, 3], &ppp4]),
        ),
        (
            "PPP, compressed protocol",
            LinkType::PPP,
            cat(&[&[0x21], &v4]),
        ),
        (
            "PPP, IPv6",
            LinkType::PPP_HDLC,
            cat(&[&[0xff, 3, 0, 0x57], &v6]),
        ),
        (
            "PPP, MPLS",
            LinkType::PPP,
            cat(&[&[2, 0x81, 0, 0, 0x11, 64], &v4]),
        ),
        (
            "Cisco HDLC",
            LinkType::PPP_HDLC,
            cat(&[&[0x0f, 0, 8, 0], &v4]),
        ),
        (
            "PPPoE",
            LinkType::PPP_ETHER,
            cat(&[&[0x11, 0, 0, 1], &be(ppp4.len()), &ppp4]),
        ),
        ("wireless", LinkType(105), wifi([0x08, 2], &[])),
        ("wireless, QoS, four addresses, radiotap", LinkType(127), {
            let frame = wifi([0x88, 3], &[0; 8]);
            cat(&[&[0, 0, 9, 0, 1, 2, 3, 4, 5], &frame])
        }),
        ("netfilter log", LinkType::NFLOG, nflog(u16::to_le_bytes)),
        (
            "netfilter log, big-endian",
            LinkType::NFLOG,
            nflog(u16::to_be_bytes),
        ),
    ];
    for (name, link, packet) in cases {
        let outcome = decode(*link, &[packet]);
        check_segment(name, &outcome);
        let segment = &outcome.segment;
        assert_eq!(
            (segment.vlan, segment.tunnel, segment.flow.context),
            (0, Tunnel::None, 0),
            "{name}"
        );
        assert_eq!(segment.interface, 5, "{name}");
        let at = segment.payload_at as usize - AT;
        assert_eq!(
            &packet[at..at + segment.payload_captured as usize],
            PAYLOAD,
            "{name}"
        );
    }
}

#[test]
fn cooked_v2_tells_sightings_apart_by_their_interface() {
    let cooked = [8, 0, 0, 0, 0, 0, 0, 7, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    let outcome = decode(LinkType::LINUX_SLL2, &[&cat(&[&cooked, &ip4(6, &tcp())])]);
    check_segment("SLL2", &outcome);
    assert_eq!(outcome.segment.interface, 0x8000_0007);
}

#[test]
fn vlan_tags_of_every_kind_and_depth_are_stepped_over_and_make_a_context() {
    let v4 = ip4(6, &tcp());
    let mut contexts = vec![0];
    let stacks: &[&[(u16, u16)]] = &[
        &[(0x8100, 10)],
        &[(0x88a8, 10), (0x8100, 20)],
        &[(0x9100, 10), (0x8100, 30)],
        &[(0x9200, 20), (0x8100, 10)],
        &[(0x8100, 10), (0x8100, 20), (0x8100, 30)],
    ];
    for stack in stacks {
        let mut inner = v4.clone();
        let mut kind = 0x0800;
        for &(tag, id) in stack.iter().rev() {
            inner = vlan(0x6000 | id, kind, &inner);
            kind = tag;
        }
        let outcome = decode(LinkType::ETHERNET, &[&ethernet(kind, &inner)]);
        check_segment(&format!("{stack:?}"), &outcome);
        assert_eq!(outcome.segment.vlan, stack[0].1);
        assert!(
            !contexts.contains(&outcome.segment.flow.context),
            "{stack:?}"
        );
        contexts.push(outcome.segment.flow.context);
    }
    let priority = ethernet(0x8100, &vlan(0xe000, 0x0800, &v4));
    let outcome = decode(LinkType::ETHERNET, &[&priority]);
    check_segment("priority tag", &outcome);
    assert_eq!((outcome.segment.vlan, outcome.segment.flow.context), (0, 0));
}

#[test]
fn every_tunnel_gives_the_inner_segment_its_kind_and_a_context() {
    let (v4, v6, inner) = (ip4(6, &tcp()), ip6(6, &tcp()), frame4());
    let gre = |fields: &[u8], inner: &[u8]| ip4(47, &cat(&[fields, inner]));
    let ppp4 = cat(&[&[0xff, 3, 0, 0x21], &v4]);
    let geneve = |options: &[u8], kind: [u8; 2], inner: &[u8]| {
        let length = u8::try_from(options.len() / 4).unwrap();
        ip4(
            17,
            &udp(
                6081,
                &cat(&[&[length, 0], &kind, &[0, 0, 1, 0], options, inner]),
            ),
        )
    };
    let gtp = |flags: u8, optional: &[u8]| {
        let body = cat(&[optional, &v4]);
        ip4(
            17,
            &udp(
                2152,
                &cat(&[&[flags, 255], &be(body.len()), &[0, 0, 0, 9], &body]),
            ),
        )
    };
    let teredo = |before: &[u8]| ip4(17, &udp(3544, &cat(&[before, &v6])));
    let authentication = cat(&[&[0, 1, 0, 0], &[0; 9]]);
    let erspan = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0];
    let erspan_iii = [
        0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let mut erspan_iii_platform = erspan_iii.to_vec();
    erspan_iii_platform[19] = 1;
    erspan_iii_platform.extend([0; 8]);
    let pptp = cat(&[
        &[0x30, 0x81, 0x88, 0x0b],
        &be(ppp4.len()),
        &[0, 7],
        &[0; 8],
        &ppp4,
    ]);
    let vxlan = cat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &inner]);
    let policy = cat(&[&[0x88, 0, 0x12, 0x34, 0, 0, 1, 0], &inner]);
    let gpe = cat(&[&[0x0c, 0, 0, 1, 0, 0, 1, 0], &v4]);
    let cases: &[(&str, Tunnel, Vec<u8>)] = &[
        ("GRE", Tunnel::Gre, gre(&[0, 0, 8, 0], &v4)),
        ("GRE, checksum, key, sequence", Tunnel::Gre, {
            gre(&cat(&[&[0xb0, 0, 0x86, 0xdd], &[0; 12]]), &v6)
        }),
        (
            "GRE, Ethernet",
            Tunnel::Gre,
            gre(&[0, 0, 0x65, 0x58], &inner),
        ),
        (
            "GRE, MPLS",
            Tunnel::Gre,
            gre(&[0, 0, 0x88, 0x47, 0, 0, 0x11, 64], &v4),
        ),
        ("ERSPAN I", Tunnel::Gre, gre(&[0, 0, 0x88, 0xbe], &inner)),
        ("ERSPAN II", Tunnel::Gre, gre(&erspan, &inner)),
        ("ERSPAN III", Tunnel::Gre, gre(&erspan_iii, &inner)),
        (
            "ERSPAN III, platform header",
            Tunnel::Gre,
            gre(&erspan_iii_platform, &inner),
        ),
        ("PPTP", Tunnel::Gre, ip4(47, &pptp)),
        ("VXLAN", Tunnel::Vxlan, ip4(17, &udp(4789, &vxlan))),
        (
            "VXLAN, Linux's old port",
            Tunnel::Vxlan,
            ip6(17, &udp(8472, &vxlan)),
        ),
        (
            "VXLAN, group policy",
            Tunnel::Vxlan,
            ip4(17, &udp(4789, &policy)),
        ),
        ("VXLAN-GPE", Tunnel::Vxlan, ip4(17, &udp(4790, &gpe))),
        ("Geneve", Tunnel::Geneve, geneve(&[], [0x65, 0x58], &inner)),
        (
            "Geneve, options, IPv4",
            Tunnel::Geneve,
            geneve(&[0; 12], [8, 0], &v4),
        ),
        ("GTP", Tunnel::Gtp, gtp(0x30, &[])),
        ("GTP, sequence", Tunnel::Gtp, gtp(0x32, &[0, 1, 0, 0])),
        ("GTP, extensions", Tunnel::Gtp, {
            gtp(
                0x34,
                &[0, 0, 0, 0x85, 1, 0x10, 1, 0xc0, 2, 0, 0, 0, 0, 0, 0, 0],
            )
        }),
        ("IPv4 in IPv4", Tunnel::Ipip, ip4(4, &v4)),
        ("IPv6 in IPv4", Tunnel::SixInFour, ip4(41, &v6)),
        ("IPv4 in IPv6", Tunnel::Ipip, ip6(4, &v4)),
        ("IPv6 in IPv6", Tunnel::Ipip, ip6(41, &v6)),
        ("Teredo", Tunnel::Teredo, teredo(&[])),
        ("Teredo, authentication, origin", Tunnel::Teredo, {
            teredo(&cat(&[&[0, 1, 0, 0], &[0; 9], &[0, 0, 1, 2, 3, 4, 5, 6]]))
        }),
        (
            "Teredo, authentication",
            Tunnel::Teredo,
            teredo(&authentication),
        ),
    ];
    for (name, tunnel, packet) in cases {
        let outcome = decode(LinkType::RAW, &[packet]);
        check_segment(name, &outcome);
        let segment = &outcome.segment;
        assert_eq!(segment.tunnel, *tunnel, "{name}");
        assert_ne!(segment.flow.context, 0, "{name}");
        let at = segment.payload_at as usize - AT;
        assert_eq!(
            &packet[at..at + segment.payload_captured as usize],
            PAYLOAD,
            "{name}"
        );
    }
    let network = |vni: u8| {
        let vxlan = cat(&[&[8, 0, 0, 0, 0, 0, vni, 0], &inner]);
        decode(LinkType::RAW, &[&ip4(17, &udp(4789, &vxlan))])
            .segment
            .flow
    };
    assert_ne!(
        network(1),
        network(2),
        "equal tuples in two networks are two flows"
    );
}

#[test]
fn mpls_carries_ip_and_ethernet_pseudowires() {
    let label = |bottom: u8| [0, 1, bottom, 64];
    let v4 = ip4(6, &tcp());
    let control_word = [0, 0, 0, 7];
    for (name, body) in [
        ("IP", cat(&[&label(0x10), &label(0x11), &v4])),
        (
            "control word",
            cat(&[&label(0x11), &control_word, &frame4()]),
        ),
        ("no control word", cat(&[&label(0x11), &frame4()])),
    ] {
        check_segment(
            name,
            &decode(LinkType::ETHERNET, &[&ethernet(0x8847, &body)]),
        );
    }
}

#[test]
fn extension_and_authentication_headers_are_stepped_over() {
    let tcp = tcp();
    let extension = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let chain = cat(&[
        &extension(43),
        &extension(60),
        &extension(135),
        &extension(6),
        &tcp,
    ]);
    check_segment("chain", &decode(LinkType::RAW, &[&ip6(0, &chain)]));
    let authentication = cat(&[&[6, 4, 0, 0], &[0; 20], &tcp]);
    check_segment(
        "AH, IPv4",
        &decode(LinkType::RAW, &[&ip4(51, &authentication)]),
    );
    check_segment(
        "AH, IPv6",
        &decode(LinkType::RAW, &[&ip6(51, &authentication)]),
    );
    let atomic = cat(&[&[6, 0, 0, 0, 0, 0, 0, 1], &tcp]);
    let outcome = decode(LinkType::RAW, &[&ip6(44, &atomic)]);
    check_segment("atomic fragment", &outcome);
    assert_eq!(outcome.decoder.counts().fragments, 0, "it is whole");
}

#[test]
fn a_length_left_to_the_network_card_is_that_of_the_packet() {
    let mut v4 = frame4();
    v4[16..18].fill(0);
    check_segment("IPv4", &decode(LinkType::ETHERNET, &[&v4]));
    let mut v6 = ethernet(0x86dd, &ip6(6, &tcp()));
    v6[18..20].fill(0);
    check_segment("IPv6", &decode(LinkType::ETHERNET, &[&v6]));
    let mut jumbo = ip6(0, &cat(&[&[6, 0, 0xc2, 4], &33_u32.to_be_bytes(), &tcp()]));
    jumbo[4..6].fill(0);
    let padded = cat(&[&jumbo, &[0; 6]]);
    check_segment(
        "jumbogram: its option tells",
        &decode(LinkType::RAW, &[&padded]),
    );
}

#[test]
fn fragments_make_a_segment_with_the_last_of_them() {
    let whole = tcp();
    let v4 = |from: usize, to: usize, more: bool| {
        let place = u16::try_from(from / 8).unwrap() | if more { 0x2000 } else { 0 };
        ip4_part(6, place, &whole[from..to])
    };
    let v6 = |from: usize, to: usize, more: bool| {
        let place = u16::try_from(from).unwrap() | u16::from(more);
        let header = cat(&[
            &[6, 0],
            &place.to_be_bytes(),
            &[0, 0, 0, 9],
            &whole[from..to],
        ]);
        ip6(44, &header)
    };
    let packets = [
        [v4(0, 8, true), v4(16, 25, false), v4(8, 16, true)],
        [v6(0, 16, true), v6(0, 16, true), v6(16, 25, false)],
    ];
    for three in &packets {
        let mut outcome = decode(LinkType::RAW, &[&three[0], &three[1], &three[2]]);
        check_segment("reassembled", &outcome);
        assert_eq!(
            outcome.segment.time,
            Timestamp(3),
            "of the fragment that completes it"
        );
        assert_eq!(
            (outcome.segment.payload_captured, outcome.segment.payload_at),
            (0, 0)
        );
        assert_eq!(outcome.decoder.counts().fragments, 3);
        assert_eq!(outcome.reasons(), [("fragment", 2)]);
        outcome.decoder.finish();
        assert_eq!(outcome.reasons(), [("fragment", 2)]);
    }
    let mut outcome = decode(LinkType::RAW, &[&packets[0][0]]);
    assert_eq!(outcome.reasons(), [("fragment", 1)]);
    outcome.decoder.finish();
    assert_eq!(outcome.reasons(), [("fragment_incomplete", 1)]);
}

#[test]
fn fragments_of_a_tunnel_give_the_inner_segment() {
    let whole = cat(&[&[0, 0, 8, 0], &ip4(6, &tcp())]);
    let first = ip4_part(47, 0x2000, &whole[..24]);
    let last = ip4_part(47, 3, &whole[24..]);
    let outcome = decode(LinkType::RAW, &[&last, &first]);
    check_segment("GRE", &outcome);
    assert_eq!(outcome.segment.tunnel, Tunnel::Gre);
}

fn icmp(outcome: &Outcome) -> &IcmpError {
    match &outcome.decoded {
        Decoded::Icmp(error) => error,
        other => panic!("{other:?}: {:?}", outcome.reasons()),
    }
}

#[test]
fn an_icmp_error_names_the_quoted_flow_and_who_sent_it() {
    let quote = &ip4(6, &tcp())[..28];
    let unreachable = cat(&[&[3, 1, 0, 0, 0, 0, 0, 0], quote]);
    let mut packet = ip4(1, &unreachable);
    packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
    let outcome = decode(
        LinkType::ETHERNET,
        &[&ethernet(0x8100, &vlan(10, 0x0800, &packet))],
    );
    let error = icmp(&outcome);
    assert_eq!((error.kind, error.code, error.is_v6), (3, 1, false));
    assert_eq!(error.from, "192.0.2.1".parse::<IpAddr>().unwrap());
    let tagged = ethernet(0x8100, &vlan(10, 0x0800, &ip4(6, &tcp())));
    let segment = decode(LinkType::ETHERNET, &[&tagged]).segment;
    assert_eq!(
        (error.quoted.flow, error.quoted.hash),
        (segment.flow, segment.hash)
    );
    assert_eq!(
        (error.quoted.from, error.quoted.seq, error.quoted.vlan),
        (0, 1000, 10)
    );
    assert_eq!(
        (error.quoted.time, error.quoted.interface),
        (Timestamp(1), 5)
    );
    assert_eq!(outcome.decoder.counts().icmp_errors, 1);
}

#[test]
fn an_icmpv6_error_quotes_through_extension_headers() {
    let quote = ip6(60, &cat(&[&[6, 0, 1, 4, 0, 0, 0, 0], &tcp()[..8]]));
    let outcome = decode(
        LinkType::RAW,
        &[&ip6(58, &cat(&[&[1, 4, 0, 0, 0, 0, 0, 0], &quote]))],
    );
    let error = icmp(&outcome);
    assert_eq!((error.kind, error.code, error.is_v6), (1, 4, true));
    assert_eq!(
        (error.quoted.flow.ports, error.quoted.seq),
        ([40000, 80], 1000)
    );
}

#[test]
fn what_is_no_tcp_is_counted_with_its_reason() {
    let mut deep = ip4(6, &tcp());
    for _ in 0..41 {
        deep = ip4(4, &deep);
    }
    let v4 = ip4(6, &tcp());
    let echo = ip4(1, &[8, 0, 0, 0, 0, 0, 0, 0]);
    let quoting_udp = ip4(
        1,
        &cat(&[&[3, 3, 0, 0, 0, 0, 0, 0], &ip4(17, &udp(53, &[]))]),
    );
    let implausible = cat(&[&[0, 0, 0, 0, 0, 0, 1, 0], &frame4()]);
    let mut lying_offset = v4.clone();
    lying_offset[32] = 0xf0;
    let mut short_offset = v4.clone();
    short_offset[32] = 0x40;
    let mut short_total = v4.clone();
    short_total[2..4].copy_from_slice(&be(19));
    let mut version = v4.clone();
    version[0] = 0x55;
    let eth = LinkType::ETHERNET;
    let raw = LinkType::RAW;
    let cases: &[(Undecoded, LinkType, &[u8])] = &[
        (Undecoded::Arp, eth, &ethernet(0x0806, &[0; 28])),
        (Undecoded::Udp, raw, &ip4(17, &udp(53, &[1, 2, 3]))),
        (Undecoded::Udp, raw, &ip4(17, &udp(4789, &implausible))),
        (Undecoded::Udp, raw, &ip4(17, &udp(6081, &[0xff; 20]))),
        (
            Undecoded::Udp,
            raw,
            &ip4(17, &udp(2152, &[0x30, 1, 0, 0, 0, 0, 0, 0])),
        ),
        (Undecoded::Udp, raw, &ip4(17, &udp(3544, &[0x45; 40]))),
        (Undecoded::Icmp, raw, &echo),
        (Undecoded::Icmp, raw, &quoting_udp),
        (Undecoded::OtherIpProtocol, raw, &ip4(132, &[0; 12])),
        (Undecoded::OtherIpProtocol, raw, &ip6(50, &[0; 12])),
        (Undecoded::OtherIpProtocol, raw, &ip4(0, &[0; 12])),
        (Undecoded::OtherEthertype, eth, &ethernet(0x88cc, &[0; 40])),
        (
            Undecoded::OtherEthertype,
            eth,
            &ethernet(38, &[0x42, 0x42, 3]),
        ),
        (
            Undecoded::OtherEthertype,
            LinkType::NULL,
            &cat(&[&[7, 0, 0, 0], &v4]),
        ),
        (
            Undecoded::OtherEthertype,
            LinkType::PPP,
            &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4],
        ),
        // A beacon, and an encrypted frame.
        (Undecoded::OtherEthertype, LinkType(105), &[0x80; 60]),
        (
            Undecoded::OtherEthertype,
            LinkType(105),
            &cat(&[&[8, 0x40], &[0; 60]]),
        ),
        (Undecoded::UnknownLinkType, LinkType(147), &v4),
        (Undecoded::CutLinkHeader, eth, &[]),
        (Undecoded::CutLinkHeader, eth, &frame4()[..13]),
        (Undecoded::CutLinkHeader, eth, &ethernet(0x8100, &[0, 1, 8])),
        (Undecoded::CutIpHeader, eth, &frame4()[..14]),
        (Undecoded::CutIpHeader, raw, &v4[..19]),
        (Undecoded::CutTcpHeader, raw, &v4[..39]),
        (Undecoded::CutTunnelHeader, raw, &ip4(47, &[0, 0])),
        (Undecoded::BadIpHeader, raw, &short_total),
        (Undecoded::BadIpHeader, raw, &version),
        (Undecoded::BadTcpHeader, raw, &ip4(6, &tcp()[..19])),
        (Undecoded::BadTcpHeader, raw, &lying_offset),
        (Undecoded::BadTcpHeader, raw, &short_offset),
        (Undecoded::BadFragment, raw, &ip4_part(6, 0x1fff, &[0; 16])),
        (Undecoded::TooManyHeaders, raw, &deep),
    ];
    for (reason, link, packet) in cases {
        let outcome = decode(*link, &[packet]);
        assert_eq!(outcome.reasons(), [(reason.word(), 1)], "{packet:x?}");
    }
    let limits: Vec<_> = decode(raw, &[&deep])
        .decoder
        .counts()
        .limit_hits()
        .collect();
    assert_eq!(limits, [("headers", 1)]);
}

#[test]
fn a_snap_length_cuts_what_was_captured_and_not_what_was_sent() {
    let whole = frame4();
    let length = u32::try_from(whole.len()).unwrap();
    let packet = Packet {
        time: Timestamp(1),
        at: 0,
        captured: length - 3,
        length,
        interface: 0,
    };
    let mut decoder = Decoder::new(DecodeSettings::default());
    let mut out = Segment::default();
    assert_eq!(
        decoder.decode(&whole, &packet, LinkType::ETHERNET, &mut out),
        Decoded::Segment
    );
    assert_eq!((out.payload_length, out.payload_captured), (5, 2));
    assert_eq!(decoder.counts().cut_packets, 1);
    let outside = Packet { at: 1000, ..packet };
    assert_eq!(
        decoder.decode(&whole, &outside, LinkType::ETHERNET, &mut out),
        Decoded::Other
    );
}

#[test]
fn checksums_are_checked_on_request_and_those_left_to_the_card_are_not_wrong() {
    let all = DecodeSettings {
        checksum: Checksum::All,
        ..DecodeSettings::default()
    };
    let check = |packet: &[u8]| {
        let outcome = feed(all, LinkType::ETHERNET, &[packet]);
        assert_eq!(outcome.decoded, Decoded::Segment);
        let is_marked = outcome.segment.has & has::BAD_CHECKSUM != 0;
        assert_eq!(is_marked, outcome.decoder.counts().bad_checksums > 0);
        is_marked
    };
    const FIELD: usize = 14 + 20 + 16;
    let with = |field: u16| {
        let mut packet = frame4();
        packet[FIELD..FIELD + 2].copy_from_slice(&field.to_be_bytes());
        packet
    };
    // Pseudo header: 10.0.0.1, 10.0.0.2, 6, 25.
    let partial = 0x0a00 + 1 + 0x0a00 + 2 + 6 + 25;
    let words = frame4()[34..]
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)))
        .sum::<u32>();
    let sum = words + u32::from(partial);
    let right = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    assert!(!check(&with(right)));
    assert!(!check(&with(0)), "left to the card");
    assert!(!check(&with(partial)), "partial: the card adds the rest");
    assert!(
        !check(&with(partial - 25)),
        "partial, of a packet that the card will segment"
    );
    assert!(check(&with(right ^ 1)));
    let mut ip = with(right);
    ip[14 + 8] = 63; // a hop that did not change the header checksum
    assert!(check(&ip));
    let mut unchecked = ip.clone();
    unchecked[14 + 10..14 + 12].fill(0);
    assert!(!check(&unchecked), "the IPv4 checksum left to the card");
    let none = decode(LinkType::ETHERNET, &[&ip]);
    assert_eq!(none.decoder.counts().bad_checksums, 0, "not asked for");
}

#[test]
fn a_flow_has_the_same_key_whatever_link_it_was_seen_on() {
    let v4 = ip4(6, &tcp());
    let one = decode(LinkType::ETHERNET, &[&ethernet(0x0800, &v4)]).segment;
    let other = decode(LinkType::RAW, &[&v4]).segment;
    assert_eq!((one.flow, one.hash), (other.flow, other.hash));
    let seeded = feed(
        DecodeSettings {
            hash_seed: 1,
            ..DecodeSettings::default()
        },
        LinkType::RAW,
        &[&v4],
    );
    assert_eq!(seeded.segment.flow, one.flow);
    assert_ne!(seeded.segment.hash, one.hash);
    assert_ne!(one.flow, FlowKey::default());
}
