//! Random expressions from a grammar, on a pool of real, cut and damaged packets of every link type:
//! the same verdict as libpcap. `TCPLENS_ORACLE_COUNT` and `TCPLENS_ORACLE_SEED` make longer runs.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tcplens_core::packet::LinkType;
use tcplens_oracle::{Outcome, Refuser, Seen, compare, compile, files, read, shared, verdicts};

/// Packets of each link type in the pool.
const POOL: usize = 400;

#[test]
fn random_expressions_give_the_verdicts_of_libpcap() {
    let Some(shared) = shared() else {
        println!("SKIPPED: no ../shared beside the workspace");
        return;
    };
    let setting = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
    };
    let count = setting("TCPLENS_ORACLE_COUNT", 3000);
    let mut random = Random(setting("TCPLENS_ORACLE_SEED", 1));
    let pools = pools(&shared, &mut random);
    let mut counts = BTreeMap::new();
    let mut equal = 0;
    let mut passed = 0;
    let mut differences = Vec::new();
    for _ in 0..count {
        let expression = expression(&mut random, 3);
        let pool = &pools[random.below(pools.len())];
        let class = match compare(&pool.path, pool.link_type, &pool.packets, &expression) {
            Outcome::Same(n) => {
                equal += pool.packets.len();
                passed += n;
                "same"
            }
            Outcome::BothRefuse => "refused by both",
            Outcome::NothingPasses(Refuser::Us) => "we alone see that nothing matches",
            Outcome::NothingPasses(Refuser::Libpcap) => "libpcap alone sees that nothing matches",
            Outcome::Different(how) => excuse(pool, &expression, &how).unwrap_or_else(|| {
                differences.push(format!(
                    "link type {}: {expression}: {how}",
                    pool.link_type.0
                ));
                "different"
            }),
        };
        *counts.entry(class).or_insert(0) += 1;
    }
    println!("{count} expressions, {equal} equal verdicts ({passed} passed): {counts:?}");
    for difference in differences.iter().take(40) {
        println!("{difference}");
    }
    assert!(differences.is_empty(), "{} differences", differences.len());
    let laxer = counts.get(LAXER).copied().unwrap_or(0);
    assert!(
        laxer <= 1 + count / 5000,
        "{laxer} of {count} expressions: {LAXER}"
    );
}

/// Differences that are libpcap's alone.
fn excuse(pool: &Pool, expression: &str, how: &str) -> Option<&'static str> {
    // It takes the first constant within a divisor for the divisor: `len / tcp[0]`.
    let mistaken = [
        "shift by more than 31",
        "division by zero",
        "modulus by zero",
    ];
    if mistaken.iter().any(|m| how.contains(m)) && how.contains("only libpcap refuses") {
        return Some("refused by libpcap by mistake");
    }
    // Where the Geneve test did not match, what follows uses memory that nothing wrote.
    if expression.contains("geneve") {
        return Some("libpcap reads unwritten memory");
    }
    // Its optimiser drops tests whose outcome does not matter, and with them loads that would fail.
    let with = verdicts(&pool.path, &pool.packets, expression, true).ok()?;
    let without = verdicts(&pool.path, &pool.packets, expression, false).ok()?;
    let program = compile(expression, pool.link_type).ok()?;
    let mut either = true;
    let mut laxer = true;
    for (packet, (a, b)) in pool.packets.iter().zip(with.iter().zip(&without)) {
        let we = program.matches(&packet.bytes, packet.length);
        either &= we == *a || we == *b;
        laxer &= we == *a || we;
    }
    match (either, laxer) {
        (true, _) => Some("as libpcap with or without its optimiser, by the packet"),
        (false, true) => Some(LAXER),
        (false, false) => None,
    }
}

/// We dropped a test without consequence, and its loads, where libpcap keeps them. Rare, so that an
/// error of ours cannot hide here.
const LAXER: &str = "libpcap rejects short packets for a test without consequence";

/// The packets of one link type, also as a file that libpcap reads.
struct Pool {
    link_type: LinkType,
    path: PathBuf,
    packets: Vec<Seen>,
}

/// Packets of all captures, and Ethernet's put into the other link types.
fn pools(shared: &Path, random: &mut Random) -> Vec<Pool> {
    let mut by_type: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
    for path in files(&shared.join("captures")) {
        let Some((link_type, packets)) = read(&path) else {
            continue;
        };
        let step = (packets.len() / 20).max(1);
        for packet in packets.iter().step_by(step) {
            by_type
                .entry(link_type.0)
                .or_default()
                .push(packet.bytes.clone());
            if link_type == LinkType::ETHERNET {
                for (other, bytes) in rewrapped(&packet.bytes) {
                    by_type.entry(other.0).or_default().push(bytes);
                }
            }
        }
    }
    let known = [0, 1, 9, 50, 51, 101, 108, 113, 228, 229, 239, 276];
    let mut pools = Vec::new();
    for (link_type, packets) in by_type {
        if !known.contains(&link_type) {
            continue;
        }
        let mut chosen = Vec::new();
        while chosen.len() < POOL {
            let mut bytes = packets[random.below(packets.len())].clone();
            let length = bytes.len() as u32;
            if random.below(4) == 0 && !bytes.is_empty() {
                let at = random.below(bytes.len().min(80));
                bytes[at] = random.next() as u8;
            }
            if random.below(3) == 0 {
                bytes.truncate(random.below(bytes.len().min(100) + 1));
            }
            chosen.push((bytes, length));
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pool-{link_type}.pcap"));
        std::fs::write(&path, savefile(link_type, &chosen))
            .expect("the target directory is writable");
        let (read_type, packets) = read(&path).expect("libpcap reads what was just written");
        assert_eq!(read_type.0, link_type);
        assert_eq!(packets.len(), POOL);
        pools.push(Pool {
            link_type: read_type,
            path,
            packets,
        });
    }
    pools
}

fn rewrapped(ethernet: &[u8]) -> Vec<(LinkType, Vec<u8>)> {
    let Some((header, payload)) = ethernet.split_at_checked(14) else {
        return Vec::new();
    };
    let kind = [header[12], header[13]];
    let with = |head: &[u8]| [head, payload].concat();
    let mut cooked = vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    cooked[1] = header[11] % 5;
    cooked.extend(kind);
    let mut cooked2 = kind.to_vec();
    cooked2.extend([0, 0, 0, 0, 0, 1 + header[11] % 2, 0, 1, header[11] % 5, 6]);
    cooked2.extend([2, 0, 0, 0, 0, 1, 0, 0]);
    let mut wrapped = vec![
        (LinkType::LINUX_SLL, with(&cooked)),
        (LinkType::LINUX_SLL2, with(&cooked2)),
    ];
    let (family, ppp, raw) = match kind {
        [8, 0] => (2, [0, 0x21], LinkType::IPV4),
        [0x86, 0xdd] => (
            [24, 28, 30][usize::from(header[11] % 3)],
            [0, 0x57],
            LinkType::IPV6,
        ),
        _ => return wrapped,
    };
    wrapped.push((LinkType::RAW, payload.to_vec()));
    wrapped.push((raw, payload.to_vec()));
    wrapped.push((LinkType::NULL, with(&[family, 0, 0, 0])));
    wrapped.push((LinkType::LOOP, with(&[0, 0, 0, family])));
    wrapped.push((LinkType::PPP, with(&[0xff, 3, ppp[0], ppp[1]])));
    wrapped.push((LinkType::PPP_HDLC, with(&[0xff, 3, ppp[0], ppp[1]])));
    wrapped.push((
        LinkType::PPP_ETHER,
        with(&[0x11, 0, 0, 1, 0, 9, ppp[0], ppp[1]]),
    ));
    wrapped
}

/// A classic capture file, little-endian, a packet a second.
fn savefile(link_type: u32, packets: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, link_type] {
        file.extend(u32::to_le_bytes(word));
    }
    for (second, (bytes, length)) in packets.iter().enumerate() {
        for word in [second as u32, 0, bytes.len() as u32, *length] {
            file.extend(u32::to_le_bytes(word));
        }
        file.extend(bytes);
    }
    file
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn of<'a>(&mut self, words: &'a str) -> &'a str {
        let words: Vec<&str> = words.split(' ').collect();
        words[self.below(words.len())]
    }
}

fn expression(r: &mut Random, depth: usize) -> String {
    let mut text = term(r, depth);
    for _ in 0..r.below(3) {
        let join = r.of("and or && || and or");
        let next = if r.below(5) == 0 {
            value(r)
        } else {
            term(r, depth)
        };
        text = format!("{text} {join} {next}");
    }
    text
}

fn term(r: &mut Random, depth: usize) -> String {
    if depth > 0 && r.below(4) == 0 {
        return format!("({})", expression(r, depth - 1));
    }
    match r.below(16) {
        0 => format!("not {}", term(r, depth.saturating_sub(1))),
        1..4 => r
            .of(
                "ip ip6 tcp udp icmp icmp6 arp rarp sctp igmp ah esp pim vrrp stp iso atalk aarp \
                 ipx netbeui decnet isis l1 llc pppoed",
            )
            .to_owned(),
        4..6 => format!("{} {}", qualified_port(r), port(r)),
        6 => format!(
            "{} {}",
            r.of("portrange tcp_portrange src_portrange")
                .replace('_', " "),
            range(r)
        ),
        7..9 => format!("{} {}", qualified_host(r), host(r)),
        9 => format!(
            "{} {}",
            r.of("net src_net dst_net ip_net ip6_net").replace('_', " "),
            net(r)
        ),
        10 => format!(
            "{} {}",
            r.of("ip_proto ip6_proto proto ether_proto ip_protochain ip6_protochain protochain")
                .replace('_', " "),
            r.of("6 17 1 58 50 51 44 0 0x800 0x86dd 0x806 \\tcp \\udp \\icmp \\arp \\stp")
        ),
        11 => r
            .of(
                "broadcast multicast ip_broadcast ip_multicast ip6_multicast ether_broadcast \
                 inbound outbound ifindex_1 llc_u llc_i",
            )
            .replace('_', " "),
        12 => r
            .of("vlan vlan mpls pppoes geneve vlan_5 vlan_100 mpls_16 pppoes_17 geneve_10")
            .replace('_', " "),
        13 => format!(
            "{} {}",
            r.of("less greater byte_9_= byte_12_> byte_0_<")
                .replace('_', " "),
            number(r)
        ),
        _ => {
            let compare = r.of("= == != > >= < <=");
            // The left side depends on the packet: how far libpcap's optimiser gets with comparisons
            // of constants is its own affair (`esp or 8 >= (len & 0)` still loads).
            let operator = r.of("+ - ^");
            match r.below(3) {
                0 => format!("{} {compare} {}", load(r, 2), number(r)),
                1 => format!("len {operator} ({}) {compare} {}", arith(r, 2), arith(r, 2)),
                _ => format!(
                    "{} {operator} ({}) {compare} {}",
                    load(r, 2),
                    arith(r, 2),
                    number(r)
                ),
            }
        }
    }
}

fn qualified_port(r: &mut Random) -> String {
    let protocol = r.of("_ _ tcp_ udp_ sctp_");
    let direction = r.of("_ _ src_ dst_ src_or_dst_ src_and_dst_");
    format!("{protocol}{direction}port")
        .replace('_', " ")
        .trim()
        .to_owned()
}

fn qualified_host(r: &mut Random) -> String {
    r.of(
        "host host src_host dst_host src dst src_or_dst_host src_and_dst_host ip_host ip6_host \
          arp_host rarp_host ether_host ether_src ether_dst decnet_host tcp_host",
    )
    .replace('_', " ")
}

fn port(r: &mut Random) -> String {
    r.of("80 53 443 22 6379 3306 8080 http domain ssh https (80_or_443) (80) 0x35 (not_80)")
        .replace('_', " ")
}

fn range(r: &mut Random) -> &'static str {
    r.of("1-1024 80-90 8000-1 0-65535 1024-65535 80 http-https 50-60")
}

fn host(r: &mut Random) -> &'static str {
    r.of(
        "10.0.0.1 10.0.0.2 10.77.0.1 10.77.0.2 127.0.0.1 192.168.1.1 192.168.0.1 fe80::1 ::1 \
          ff02::1 2001:db8::1 00:11:22:33:44:55 ff:ff:ff:ff:ff:ff 1.1 10 (10.0.0.1)",
    )
}

fn net(r: &mut Random) -> &'static str {
    r.of(
        "10 10.0.0.0/8 192.168 192.168.0.0/16 172.16.0.0/12 0.0.0.0/0 10.77 fe80::/10 ff00::/8 \
          ::/0 2000::/3 127.0.0.0/8 10.0.0.0/7 2001:db8::/32",
    )
}

fn value(r: &mut Random) -> String {
    match r.below(4) {
        0 => host(r).to_owned(),
        1 => range(r).to_owned(),
        2 => format!("not {}", port(r)),
        _ => port(r),
    }
}

fn number(r: &mut Random) -> String {
    match r.below(6) {
        0 => r
            .of("tcp-syn tcp-ack tcp-fin icmp-echo tcpflags")
            .to_owned(),
        1 => format!("0x{:x}", r.below(70_000)),
        2 => "0".to_owned(),
        _ => r.below(300).to_string(),
    }
}

fn arith(r: &mut Random, depth: usize) -> String {
    match r.below(if depth == 0 { 5 } else { 9 }) {
        0 | 1 => number(r),
        2 => "len".to_owned(),
        3 | 4 => load(r, depth),
        5 => format!("({})", arith(r, depth - 1)),
        6 => format!("-{}", arith(r, depth - 1)),
        _ => {
            let operator = r.of("+ - * / % & | ^ << >> & +");
            format!("{} {operator} {}", arith(r, depth - 1), arith(r, depth - 1))
        }
    }
}

fn load(r: &mut Random, depth: usize) -> String {
    let header = r.of("ip ip tcp tcp udp ip6 icmp icmp6 ether arp sctp igmp");
    let index = match r.below(6) {
        0 if depth > 0 => arith(r, depth - 1),
        1 => r.below(200).to_string(),
        _ => r.below(24).to_string(),
    };
    let size = r.of("_ _ :1 :2 :4").replace('_', "");
    format!("{header}[{index}{size}]")
}
