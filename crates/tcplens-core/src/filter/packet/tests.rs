//! Verdicts and errors that need no libpcap; crates/oracle compares with libpcap itself. The table's
//! verdicts are those of `tcpdump -r FILE --count EXPRESSION` 4.99.3 with libpcap 1.10.3.

use proptest::prelude::*;

use super::*;

/// Bytes captured in hexadecimal, and bytes on the wire.
#[rustfmt::skip]
const PACKETS: &[(&str, u32)] = &[
    // TCP SYN 10.0.0.1:40000 to 10.0.0.2:80
    ("0011223344550a000000000108004500002800010000400600000a0000010a0000029c40005000000001000000005002040000000000", 54),
    // the same connection, IP options, `GET /`
    ("0011223344550a000000000108004600003100010000400600000a0000010a000002940400009c40005000000001000000005018040000000000474554202f", 63),
    // IPv4 fragment that is not the first
    ("0011223344550a000000000108004500002800010064400600000a0000010a0000029c40005000000001000000005002040000000000", 54),
    // UDP 192.168.0.9 to 10.0.0.3:53, payload 1234
    ("0011223344550a000000000108004500001e0001000040110000c0a800090a00000313880035000a00001234", 44),
    // TCP SYN fe80::1 to [fe80::2]:443
    ("0011223344550a000000000186dd6000000000140640fe800000000000000000000000000001fe800000000000000000000000000002c35001bb00000001000000005002040000000000", 74),
    // the same behind a fragment header
    ("0011223344550a000000000186dd60000000001c2c40fe800000000000000000000000000001fe8000000000000000000000000000020600000000000001c35001bb00000001000000005002040000000000", 82),
    // ICMPv6 neighbor solicitation to ff02::1
    ("3333000000010a000000000186dd6000000000183a40fe800000000000000000000000000001ff020000000000000000000000000001870000000000000000000000000000000000000000000000", 78),
    // ARP request 10.0.0.1 for 10.0.0.2, broadcast
    ("ffffffffffff0a0000000001080600010800060400010a00000000010a0000010000000000000a000002", 42),
    // the SYN in VLAN 100
    ("0011223344550a00000000018100006408004500002800010000400600000a0000010a0000029c40005000000001000000005002040000000000", 58),
    // UDP to 10.0.0.3:53 under MPLS label 16
    ("0011223344550a00000000018847000101404500001c00010000401100000a0000010a0000031388003500080000", 46),
    // the SYN in PPPoE session 17
    ("0011223344550a0000000001886411000011002a00214500002800010000400600000a0000010a0000029c40005000000001000000005002040000000000", 62),
    // spanning tree in 802.2
    ("0180c20000000a000000000100264242030000000000000000000000000000000000000000000000000000000000000000000000", 52),
    // the SYN, captured up to its source port
    ("0011223344550a000000000108004500002800010000400600000a0000010a0000029c40", 54),
    // the SYN, captured up to the middle of its IP header
    ("0011223344550a00000000010800450000280001", 54),
];

/// Expressions, and a digit for each packet: 1 passes.
#[rustfmt::skip]
const VERDICTS: &[(&str, &str)] = &[
    (r"tcp", "11101100000010"),
    (r"not tcp", "00010011111100"),
    (r"ip", "11110000000011"),
    (r"ip6", "00001110000000"),
    (r"arp", "00000001000000"),
    (r"udp or icmp6", "00010010000000"),
    (r"tcp port 80", "11000000000000"),
    (r"src port 80", "00000000000000"),
    (r"dst port 80 or 443", "11001000000000"),
    (r"port 53", "00010000000000"),
    (r"portrange 50-100", "11010000000000"),
    (r"tcp portrange 443-400", "00001000000000"),
    (r"host 10.0.0.1", "11100001000010"),
    (r"src host 10.0.0.1", "11100001000010"),
    (r"ip host 10.0.0.2", "11100000000010"),
    (r"arp host 10.0.0.2", "00000001000000"),
    (r"net 10", "11110001000010"),
    (r"net 192.168.0.0/16", "00010000000000"),
    (r"src net 10.0.0.0 mask 255.255.255.252", "11100001000010"),
    (r"host fe80::1", "00001110000000"),
    (r"dst net ff00::/8", "00000010000000"),
    (r"ip6 proto 6", "00001100000000"),
    (r"ip6 protochain 6", "00001100000000"),
    (r"ip protochain 17", "00010000000000"),
    (r"tcp[tcpflags] & tcp-syn != 0", "10000000000000"),
    (r"tcp[tcpflags] == tcp-syn", "10000000000000"),
    (r"tcp[20:4] = 0x47455420", "01000000000000"),
    (r"not tcp[20:4] = 0x47455420", "00111111111100"),
    (r"udp[8:2] = 0x1234", "00010000000000"),
    (r"icmp6[icmp6type] = icmp6-neighborsolicit", "00000010000000"),
    (r"ip[0] & 0xf != 5", "01000000000000"),
    (r"ip[6:2] & 0x1fff != 0", "00100000000000"),
    (r"len > 60", "01001110001000"),
    (r"less 54", "10110001010111"),
    (r"greater 58", "01001110101000"),
    (r"ether host 00:11:22:33:44:55", "11111100111011"),
    (r"ether src 0a:00:00:00:00:01 and broadcast", "00000001000000"),
    (r"multicast", "00000011000100"),
    (r"ip broadcast", "00000000000000"),
    (r"vlan", "00000000100000"),
    (r"vlan 100 and tcp port 80", "00000000100000"),
    (r"vlan 7", "00000000000000"),
    (r"tcp or vlan and tcp", "00000000100000"),
    (r"mpls 16 and udp", "00000000010000"),
    (r"mpls and host 10.0.0.3", "00000000010000"),
    (r"pppoes and tcp dst port 80", "00000000001000"),
    (r"pppoes 42", "00000000000000"),
    (r"stp", "00000000000100"),
    (r"llc u", "00000000000100"),
    (r"ether proto \arp", "00000001000000"),
    (r"tcp or udp and port 53", "00010000000000"),
    (r"tcp or (udp and port 53)", "11111100000010"),
    (r"!(tcp port 80) && ip", "00110000000000"),
    (r"len % 2 + 1 = 2", "00011000001000"),
    (r"1 + 2 * 3 = 7", "11111111111111"),
    (r"pppoes 17", "00000000001000"),
];

/// Expressions, the word their error points at, and a part of what it says.
#[rustfmt::skip]
const ERRORS: &[(&str, &str, &str)] = &[
    (
        "host 10.0.0.1 adn tcp",
        "adn",
        "expected `and`, `or` or the end",
    ),
    ("tcp and", "", "ends too early"),
    ("tcp port", "", "ends too early"),
    ("(tcp", "", "expected `)`"),
    ("tcp)", ")", "does not fit here"),
    ("10.0.0.1", "10.0.0.1", "write `host` or `net`"),
    ("tcp or 80", "80", "write `host`, `net` or `port`"),
    ("ip proto tcp", "tcp", "backslash"),
    ("host www.example.org", "www.example.org",
        "unsupported: `www.example.org` is a host name",
    ),
    ("host 10.0.0.300", "10.0.0.300", "no IPv4 address"),
    ("net 10.0.0.1/8", "10.0.0.1/8", "write 10.0.0.0"),
    ("net fe80::1/10", "fe80::1/10", "write fe80::/10"),
    ("host 10.0.0.0/8", "10.0.0.0/8", "write `net`"),
    ("port 65536", "65536", "at most 65535"),
    ("port nosuch", "nosuch", "no port is called `nosuch`"),
    ("udp port http", "http", "another protocol"),
    ("arp port 80", "80", "has no ports"),
    ("tcp[0:3] = 1", "tcp[0:3]", "1, 2 or 4 bytes"),
    ("tcp[13-1] = 1", "13-1", "spaces around a minus"),
    ("len / 0 = 1", "len / 0", "divides by zero"),
    ("len", "", "a comparison"),
    ("len > 08", "08", "octal"),
    ("vlan 4096", "vlan 4096", "at most 4095"),
    ("inbound", "inbound", "does not work on Ethernet"),
    (
        "ip and arp",
        "ip and arp",
        "no packet on Ethernet can match",
    ),
    ("type mgt", "type", "unsupported"),
    ("gateway snup", "gateway", "unsupported"),
    ("tcp \u{fc}", "\u{fc}", "no meaning"),
    ("ether host 00:11:22:33:44:", "00:11:22:33:44:", "six bytes"),
];

fn program(expression: &str) -> Result<Program, FilterError> {
    PacketFilter::parse(expression)?.compile(LinkType::ETHERNET)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}

#[test]
fn verdicts_are_those_of_tcpdump() {
    for (expression, expected) in VERDICTS {
        let program = program(expression).unwrap();
        let verdict = |(hex, length): &(&str, u32)| match program.matches(&bytes(hex), *length) {
            true => '1',
            false => '0',
        };
        let verdicts: String = PACKETS.iter().map(verdict).collect();
        assert_eq!(verdicts, *expected, "{expression}");
    }
}

#[test]
fn errors_point_at_the_word_and_say_what_to_do() {
    for (expression, word, says) in ERRORS {
        let error = program(expression).unwrap_err();
        assert_eq!(&expression[error.at.clone()], *word, "{error}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn an_error_shows_the_expression_and_underlines_the_word() {
    let shown = program("host 10.0.0.1 adn tcp").unwrap_err().to_string();
    let expected = "filter: `adn` does not fit here; expected `and`, `or` or the end\n  \
                    host 10.0.0.1 adn tcp\n                ^^^";
    assert_eq!(shown, expected);
    let long = format!("{} adn tcp", ["tcp"; 60].join(" or "));
    let shown = program(&long).unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].len() < 90, "{shown}");
    let marked = lines[2].find('^').unwrap();
    assert_eq!(&lines[1][marked..marked + 3], "adn", "{shown}");
}

#[test]
fn an_empty_expression_accepts_every_packet_on_every_link() {
    for link_type in links().chain([LinkType(9999)]) {
        let program = PacketFilter::parse(" \t")
            .unwrap()
            .compile(link_type)
            .unwrap();
        assert!(program.matches(&[], 0));
    }
}

#[test]
fn long_lists_jump_further_than_a_byte_says() {
    let ports: Vec<String> = (1000..3000).map(|port| port.to_string()).collect();
    let program = program(&format!(
        "tcp port 80 or tcp dst port {}",
        ports.join(" or ")
    ))
    .unwrap();
    assert!(program.instructions().len() > 5_000);
    let (syn, length) = PACKETS[0];
    let mut packet = bytes(syn);
    assert!(program.matches(&packet, length));
    packet[36..38].copy_from_slice(&2999u16.to_be_bytes());
    assert!(program.matches(&packet, length));
    packet[36..38].copy_from_slice(&3000u16.to_be_bytes());
    assert!(!program.matches(&packet, length));
}

#[test]
fn nesting_and_length_are_bounded_with_an_error() {
    let deep = [
        format!("{}tcp{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("{}tcp", "not ".repeat(10_000)),
        format!("{}1 = 1", "-".repeat(10_000)),
        format!("len{} = 1", " + 1".repeat(10_000)),
        format!("len{} = 1", " % 1".repeat(10_000)),
        format!("{}0{} = 1", "ip[".repeat(10_000), "]".repeat(10_000)),
        format!("vlan {}1", "(".repeat(10_000)),
        format!("port {}80", "(".repeat(10_000)),
        "tcp or ".repeat(20_000),
    ];
    for expression in deep {
        assert!(program(&expression).is_err(), "{}", &expression[..40]);
    }
    let many: Vec<String> = (0..20).map(|i| format!("ip[{i}] = 1")).collect();
    assert!(program(&many.join(" or ")).is_ok());
    let alternating = vec!["tcp and ip or udp"; 1500].join(" and ");
    assert!(program(&alternating).is_ok());
}

fn links() -> impl Iterator<Item = LinkType> {
    let types = [0u32, 1, 9, 50, 51, 101, 108, 113, 228, 229, 239, 276];
    types.into_iter().map(LinkType)
}

/// Text made of the words of the language, so that it gets past the parser now and then.
fn wordy() -> impl Strategy<Value = String> {
    let words = "tcp udp ip ip6 arp ether host net port portrange proto protochain src dst and or \
                 not ( ) [ ] : + - * / % & | ^ << >> = != < > <= >= 80 0 13 10.0.0.1 10.0.0.0/8 \
                 fe80::1 00:11:22:33:44:55 http \\\\tcp vlan mpls pppoes geneve len less greater \
                 broadcast multicast inbound stp llc decnet tcp-syn mask byte ifindex $ \u{e9}";
    let words: Vec<&str> = words.split_whitespace().collect();
    prop::collection::vec(prop::sample::select(words), 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_gives_a_program_or_an_error_within_the_text(
        text in prop_oneof![any::<String>(), "[ -~]{0,60}", wordy()],
        packet in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        for link_type in links() {
            match PacketFilter::parse(&text).and_then(|filter| filter.compile(link_type)) {
                Ok(program) => {
                    let _: bool = program.matches(&packet, packet.len() as u32);
                }
                Err(error) => {
                    prop_assert!(text.get(error.at.clone()).is_some());
                    prop_assert!(error.to_string().contains('^'));
                }
            }
        }
    }

    #[test]
    fn any_packet_gets_a_verdict(
        packet in prop::collection::vec(any::<u8>(), 0..200),
        kind in prop::sample::select(vec![0x0800u16, 0x86dd, 0x8100, 0x8847, 0x8864, 0x0806, 40]),
        length in any::<u32>(),
    ) {
        let mut packet = packet;
        if let Some(field) = packet.get_mut(12..14) {
            field.copy_from_slice(&kind.to_be_bytes());
        }
        for (expression, _) in VERDICTS {
            for link_type in links() {
                if let Ok(program) = PacketFilter::parse(expression).unwrap().compile(link_type) {
                    let _: bool = program.matches(&packet, length);
                }
            }
        }
    }
}
