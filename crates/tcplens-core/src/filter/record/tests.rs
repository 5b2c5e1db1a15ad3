//! What expressions take, what is refused and where, and that the documentation's examples are read. Properties are in
//! `properties.rs`.
#![expect(unreachable_pub, reason = "`record!` declares what others see")]

use std::net::IpAddr;

use super::*;
use crate::record::{
    Connection, ConnectionId, Direction, Finding, Handshake, Health, Record, Request, record,
};
use crate::time::{Span, Timestamp};

mod properties;

record! {
    /// A socket, as far as the tests need one.
    Socket as "socket" {
        /// When it was looked at.
        time: Timestamp = time,
        /// Its name.
        connection_id: ConnectionId = id,
        /// Its state.
        state: &'static str = word,
        /// Here.
        local_ip: IpAddr = ip,
        /// Here.
        local_port: u64 = count,
        /// There.
        remote_ip: Option<IpAddr> = ip,
        /// There.
        remote_port: Option<u64> = count,
        /// Bound to it.
        interface: Option<u64> = count,
        /// Its group.
        cgroup: Option<String> = text,
        /// Its mark.
        mark: Option<u64> = count,
        /// Its process.
        comm: Option<String> = text,
        /// Its way.
        direction: Option<Direction> = word,
        /// Round trip.
        rtt_us: Option<Span> = span,
        /// Shortest round trip.
        min_rtt_us: Option<Span> = span,
        /// Acknowledged.
        acked_bytes: Option<u64> = count,
        /// In the kernel's own unit.
        last_send_ms: Option<u64> = count,
        /// Its last record.
        is_final: bool = flag "final",
        /// Maybe.
        sack: Option<bool> = flag,
        /// Packets.
        frames: Vec<u64> = list,
    }
}

/// 10.0.0.5:40000 to 192.0.2.7:443, established.
fn client() -> Socket {
    Socket {
        time: Timestamp(1_795_309_702_000_000_000),
        connection_id: ConnectionId::Socket {
            cookie: 0xa5,
            host: 0x1f,
        },
        state: "established",
        local_ip: "10.0.0.5".parse().unwrap(),
        local_port: 40_000,
        remote_ip: Some("192.0.2.7".parse().unwrap()),
        remote_port: Some(443),
        interface: Some(2),
        cgroup: Some("/system.slice/nginx.service".to_owned()),
        mark: Some(0x13),
        comm: Some("nginx".to_owned()),
        direction: Some(Direction::Outbound),
        rtt_us: Some(Span::from_ns(120_500_000)),
        min_rtt_us: None,
        acked_bytes: Some(10_240),
        last_send_ms: Some(1_500),
        is_final: true,
        sack: None,
        frames: vec![1],
    }
}

/// [::]:80, listening.
fn listener() -> Socket {
    Socket {
        state: "listen",
        local_ip: "::".parse().unwrap(),
        local_port: 80,
        remote_ip: None,
        remote_port: None,
        interface: None,
        cgroup: None,
        mark: None,
        comm: None,
        direction: None,
        rtt_us: None,
        acked_bytes: None,
        last_send_ms: None,
        is_final: false,
        frames: Vec::new(),
        ..client()
    }
}

fn parse(text: &str) -> RecordFilter {
    let interface = |name: &str| (name == "lo").then_some(1);
    match RecordFilter::parse_with::<Socket>(text, &interface) {
        Ok(filter) => filter,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn expressions_take_what_they_say() {
    for (text, of_client, of_listener) in [
        ("", true, true),
        ("state == established", true, false),
        ("state = listening", false, true),
        ("state != established", false, true),
        ("state in (listen, syn_recv)", false, true),
        ("state not in (listen, syn_recv)", true, false),
        ("rtt > 100ms", true, false),
        ("rtt_us > 100_000us && rtt < 0.1205001s", true, false),
        ("rtt == 120.5ms", true, false),
        ("rtt in 100ms-1s", true, false),
        ("rtt in (1s..2s, 120500us)", true, false),
        ("remote_ip in 192.0.2.0/24", true, false),
        ("remote_ip == 192.0.2.0/24", true, false),
        (
            "remote_ip in {10.0.0.0/8, 192.0.2.5-192.0.2.9}",
            true,
            false,
        ),
        ("local_ip == ::", false, true),
        ("local_ip in ::/0", false, true),
        ("remote_port in (80, 443, 8000-8100)", true, false),
        ("remote_port == https", true, false),
        ("acked_bytes >= 10KiB and acked <= 10.24k", true, false),
        ("last_send == 1500", true, false),
        ("last_send_ms > 1s", true, false),
        ("comm == nginx", true, false),
        ("comm in (nginx, 'php-fpm')", true, false),
        ("comm contains 'gin'", true, false),
        ("comm contains NGINX", false, false),
        ("cgroup contains /system.slice", true, false),
        ("direction == outbound", true, false),
        ("connection_id contains 00a5", true, true),
        ("time >= 2026-11-22T01:08:22Z", true, true),
        ("time in 2026-11-22..2026-11-23", true, true),
        ("time < 2026-11-22T02:08:22+01:00", false, false),
        ("final", true, false),
        ("not final", false, true),
        ("final == true or final == false", true, true),
        ("frames", true, false),
        ("has(rtt) and not has(min_rtt)", true, false),
        ("rtt", true, false),
        // ss
        ("state established", true, false),
        ("state connected", true, false),
        ("state fin-wait-1 state listening", false, true),
        ("exclude listening", true, false),
        ("state all exclude established", false, true),
        ("state bucket", false, false),
        ("state big", true, true),
        ("state established sport gt 1024", true, false),
        ("state established ( dport = :443 )", true, false),
        ("( sport = :80 or dport = :https )", true, true),
        ("dport != :22", true, true),
        ("dport lt :1024", true, true),
        ("dport :443", true, false),
        ("src 10.0.0.0/8", true, false),
        ("src = 10.0.0.1/24", true, false),
        ("src 10.0/16", true, false),
        ("dst 192.0.2.7:443", true, false),
        ("dst 192.0.2.7:https | dst *:80", true, false),
        ("dst != 192.0.2.7", false, true),
        ("src [::]/0", false, true),
        ("src [::]:80", false, true),
        ("src :80", false, true),
        ("not dst 0.0.0.0/0", false, true),
        ("src inet:10.0.0.5", true, false),
        (
            "src inet:10.0.0.0/8 and dst inet:[192.0.2.7]:443",
            true,
            false,
        ),
        ("src inet6:[::]:80", false, true),
        ("src inet6:*", false, true),
        ("src inet:*:40000", true, false),
        ("src = inet6:10.0.0.5", false, false),
        ("not src inet6:*", true, false),
        ("src != inet:10.0.0.9", true, false),
        ("dport = inet:https or sport inet6:*:80", true, true),
        ("dev 2", true, false),
        ("dev != lo", true, true),
        ("fwmark = 0x3/0xf", true, false),
        ("fwmark != 0x3/0xf", false, false),
        ("fwmark 19", true, false),
        ("cgroup /system.slice/nginx.service", true, false),
        ("cgroup = /system.slice", false, false),
        (
            "cgroup /sys/fs/cgroup/system.slice/nginx.service",
            true,
            false,
        ),
        // packet filters
        ("host 10.0.0.5", true, false),
        ("src host 192.0.2.7 and dst port 40000", true, false),
        ("src host 192.0.2.7 and dst port 443", false, false),
        ("tcp port 80 or 443", true, true),
        ("net 10 or 192.0.2", true, false),
        ("net 10.0.0.0 mask 255.0.0.0", true, false),
        ("portrange 400-500 and ip", true, false),
        ("ip6", false, true),
        ("src and dst net 0.0.0.0/0", true, false),
        ("src or dst host 192.0.2.7", true, false),
        ("ip host 10.0.0.5 or 10.0.0.6", true, false),
        ("not port 22 and rtt > 1ms", true, false),
    ] {
        let filter = parse(text);
        assert_eq!(filter.matches(&client()), of_client, "{text}");
        assert_eq!(filter.matches(&listener()), of_listener, "{text}");
        assert_eq!(filter.text(), text);
    }
}

#[test]
fn a_missing_number_is_on_neither_side() {
    let listener = listener();
    for text in [
        "rtt > 1ms",
        "rtt <= 1ms",
        "rtt == 1ms",
        "rtt != 1ms",
        "not rtt > 1ms",
        "not rtt <= 1ms",
        "not (rtt > 1ms and rtt > 2ms)",
        "rtt > 1ms or rtt <= 1ms",
        "rtt not in 1ms-2ms",
        "sack",
        "not sack",
        "comm != nginx",
        "not comm contains x",
    ] {
        assert!(!parse(text).matches(&listener), "{text}");
    }
    for text in [
        "not has(rtt)",
        "rtt > 1ms or state listening",
        "not (rtt > 1ms and state established)",
        "not dst 10.0.0.0/8",
        "not host 10.0.0.1",
    ] {
        assert!(parse(text).matches(&listener), "{text}");
    }
}

#[test]
fn ends_of_client_and_server_are_asked_by_packet_filters_words() {
    for text in ["host 10.0.0.1 and src port 80", "client_ip in 10.0.0.0/8"] {
        assert!(RecordFilter::parse::<Request<'_>>(text).is_ok(), "{text}");
        assert!(RecordFilter::parse::<Connection>(text).is_ok(), "{text}");
        assert_eq!(
            RecordFilter::parse::<Handshake>(text).unwrap().ends(),
            EndsCondition::Any
        );
    }
}

#[test]
fn errors_are_at_the_word_and_say_what_was_expected() {
    for (text, word, message) in [
        ("rt > 5ms", "rt", "near it are: rtt_us"),
        ("rtt > 5", "5", "the unit is missing; write 5us, 5ms or 5s"),
        ("rtt > 100 ms", "100", "the unit is missing"),
        ("acked > 100 KiB", "KiB", "without a space"),
        ("rtt > fast", "fast", "expected a duration such as 100ms"),
        (
            "state == establishd",
            "establishd",
            "expected established, syn-sent",
        ),
        ("state establishd", "establishd", "or all, connected"),
        (
            "direction == inwards",
            "inwards",
            "expected inbound, outbound, local, forwarded",
        ),
        ("comm > 5", ">", "which has no order"),
        ("rtt contains 5", "contains", "`contains` is for text"),
        ("remote_ip == 10.0.0.1/8", "10.0.0.1/8", "write 10.0.0.0/8"),
        ("remote_ip in 10.0.0.0/33", "10.0.0.0/33", "from 0 to 32"),
        ("remote_ip in (10.0.0.0/8", "", "expected `,` or `)`"),
        ("remote_port == 65536", "65536", "at most 65535"),
        ("remote_port in 90-80", "90-80", "ends before it begins"),
        ("acked > 1.5", "1.5", "a whole number"),
        ("time > yesterday", "yesterday", "RFC 3339"),
        ("final == yes", "yes", "true or false"),
        ("frames == 5", "==", "only has(frames)"),
        ("comm == 'nginx", "'nginx", "has no end"),
        ("rtt > 1ms and", "", "something is missing"),
        ("(rtt > 1ms", "", "expected `)`"),
        ("rtt > 1ms)", ")", "`and`, `or` or the end"),
        ("rtt > 1ms adn final", "adn", "near it are: and"),
        ("autobound", "autobound", "not supported"),
        ("dev eth7", "eth7", "write its number"),
        ("sport = :nosuch", ":nosuch", "expected a port"),
        ("dst example.test", "example.test", "expected an IP address"),
        ("src inet:x", "inet:x", "expected an IP address"),
        (
            "src unix:/run/x",
            "unix:/run/x",
            "sockets that are not TCP's",
        ),
        ("dst link:1:2", "link:1:2", "write inet: or inet6:"),
        ("udp port 53", "udp", "asks for packets"),
        ("tcp[13] & 2 != 0", "tcp[13]", "asks for packets"),
        ("port 80 and greater 100", "greater", "asks for packets"),
        (
            "host example.test",
            "example.test",
            "names are not looked up",
        ),
        ("net 10.0.0.1/8", "10.0.0.1/8", "write 10.0.0.0/8"),
        ("rtt > 1ms ; final", ";", "no meaning"),
        ("has(nothing_like_it)", "nothing_like_it", "docs/records.md"),
    ] {
        let error = match RecordFilter::parse::<Socket>(text) {
            Err(error) => error,
            Ok(filter) => panic!("{text} is read as {filter}"),
        };
        assert_eq!(&text[error.at.clone()], word, "{error}");
        assert!(error.message.contains(message), "{error}");
    }
    for (text, word) in [
        ("sport = :80", "sport"),
        ("src 10.0.0.1", "src"),
        ("state established", "state"),
    ] {
        let error = RecordFilter::parse::<Request<'_>>(text).unwrap_err();
        assert_eq!(&text[error.at.clone()], word, "{error}");
    }
    assert!(RecordFilter::parse::<Health>("host 10.0.0.1").is_err());
    let error = RecordFilter::parse::<Connection>("rtt_min > 1ms").unwrap_err();
    assert!(error.message.contains("client_rtt_min_us"), "{error}");
}

#[test]
fn expressions_are_bounded() {
    let deep = format!("{}final{}", "(".repeat(100), ")".repeat(100));
    parse(&deep);
    for text in [
        format!("({deep})"),
        format!("{}final", "not ".repeat(101)),
        "final ".repeat(12_000),
    ] {
        assert!(RecordFilter::parse::<Socket>(&text).is_err());
    }
    // More tests than have their place without memory.
    let many = vec!["rtt > 1ms"; 200].join(" and ");
    assert!(parse(&many).matches(&client()));
    assert!(!parse(&many).matches(&listener()));
}

#[test]
fn nothing_is_allocated_for_a_record() {
    let filter = parse("state == established and rtt > 100ms and remote_ip in 192.0.0.0/8");
    let socket = client();
    let allocated = allocation_counter::measure(|| assert!(filter.matches(&socket)));
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn what_is_pushed_down_is_what_the_kernel_can_tell() {
    use EndsCondition::{And, Any, LocalPort, Not, Or, RemoteNet, RemotePort, State};
    let net = |text: &str| value::net(text, false).unwrap();
    for (text, expected) in [
        ("rtt > 1ms", Any),
        ("state established and rtt > 1ms", State(2)),
        ("not state established", State(!2)),
        ("sport = :80 or rtt > 1ms", Any),
        (
            "dport = :443 and remote_ip in 10.0.0.0/8",
            And(vec![RemotePort(443..=443), RemoteNet(net("10.0.0.0/8"))]),
        ),
        ("dport != :22", Not(Box::new(RemotePort(22..=22)))),
        (
            "dport < :1024",
            Or(vec![RemotePort(0..=1023), RemotePort(0..=0)]),
        ),
        ("port 80", Or(vec![LocalPort(80..=80), RemotePort(80..=80)])),
        ("not dst 0.0.0.0/0", Any),
        (
            "not dst 10.0.0.0/8",
            Not(Box::new(RemoteNet(net("10.0.0.0/8")))),
        ),
        ("remote_ip in 10.0.0.1-10.0.0.4", Any),
        ("local_port > 65535", Or(Vec::new())),
    ] {
        assert_eq!(parse(text).ends(), expected, "{text}");
    }
}

#[test]
fn fields_are_listed_in_the_order_of_the_walk() {
    struct Names(Vec<&'static str>);
    macro_rules! note {
        ($($method:ident: $ty:ty),+) => {
            impl crate::record::Visitor for Names {
                $( fn $method(&mut self, field: &'static crate::record::Field, _: $ty) { self.0.push(field.name); } )+
            }
        };
    }
    note!(count: Option<u64>, span: Option<Span>, time: Option<Timestamp>, ip: Option<IpAddr>,
        word: Option<&'static str>, flag: Option<bool>, text: Option<&str>, id: Option<ConnectionId>,
        counts: &[(&'static str, u64)], list: &[u64], frames: &[crate::record::FirstFrame]);
    let mut walked = Names(Vec::new());
    client().visit(&mut walked);
    let mut listed = Vec::new();
    Socket::fields(&mut |field| listed.push(field.name));
    assert_eq!(walked.0, listed);
}

#[test]
fn closed_sets_of_words_are_known() {
    let error = RecordFilter::parse::<Request<'_>>("verdict == netwrok").unwrap_err();
    assert!(
        error.message.contains("client, queue, server, network"),
        "{error}"
    );
    assert!(RecordFilter::parse::<Request<'_>>("tunnel == 6in4 and tags_from == size").is_ok());
    assert!(RecordFilter::parse::<Finding>("code == refused and suspect = server").is_ok());
}

/// The code in a section of docs/filter.md: lines of blocks, and cells of tables.
#[test]
fn examples_of_the_documentation_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/filter.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, section) = page.split_once("\n## Record filters\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut is_block = false;
    let mut read = 0;
    for line in section.lines() {
        if let Some(language) = line.strip_prefix("```") {
            is_block = !is_block && language.is_empty();
        } else if is_block {
            parse(line.split("  #").next().unwrap());
            read += 1;
        } else if let Some(row) = line.strip_prefix("| ") {
            for (n, cell) in row.split(" | ").enumerate() {
                let code = cell.split('`').skip(1).step_by(2);
                // Behind the first cell only what is an expression as it stands.
                let is_shown =
                    |code: &&str| n == 0 || (code.contains(' ') && !code.contains("..."));
                for code in code.filter(is_shown).filter(|code| *code != "autobound") {
                    parse(&code.replace("\\|", "|"));
                    read += 1;
                }
            }
        }
    }
    assert!(read > 50, "{read}");
}

#[test]
fn every_word_of_ss_for_states_is_one_here() {
    // iproute2 6.1, misc/ss.c: scan_state.
    for word in [
        "close",
        "closed",
        "unconnected",
        "syn-rcv",
        "syn-recv",
        "established",
        "syn-sent",
        "fin-wait-1",
        "fin-wait-2",
        "time-wait",
        "close-wait",
        "last-ack",
        "closing",
        "listening",
        "bound-inactive",
        "all",
        "connected",
        "synchronized",
        "bucket",
        "big",
    ] {
        for text in [format!("state {word}"), format!("exclude {word}")] {
            let filter = RecordFilter::parse::<Socket>(&text);
            assert!(filter.is_ok(), "{text}: {:?}", filter.err());
        }
    }
}
