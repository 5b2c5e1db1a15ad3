//! Any text, any printed form, any record: what must hold for all of them.

use std::net::IpAddr;

use proptest::prelude::*;

use super::{Socket, client, parse};
use crate::filter::TupleFilter;
use crate::filter::record::RecordFilter;
use crate::time::Span;

const TESTS: &[&str] = &[
    "state established",
    "state connected exclude close-wait",
    "exclude listening",
    "exclude all",
    "state != time_wait",
    "sport = :80",
    "sport != :80",
    "dport < :1024",
    "dport >= :443",
    "dport != :0",
    "src 10.0.0.0/8",
    "dst != 10.0.0.0/8:443",
    "dst 0.0.0.0/0",
    "dst [::]/0",
    "src *:80",
    "src inet:10.0.0.0/8",
    "dst != inet6:[fd00::]/8:443",
    "local_port in (80, 400-500)",
    "remote_port > 1000",
    "remote_port != 443",
    "remote_ip in (10.0.0.0/8, 192.0.2.7..192.0.2.9)",
    "remote_ip != 10.0.0.1",
    "local_ip == fd00::/8",
    "has(remote_ip)",
    "remote_port",
    "rtt > 100ms",
    "rtt in (1ms..5ms, 7us)",
    "final",
    "final != true",
    "comm == \"a \\\" b\"",
    "comm contains ''",
    "comm not in (and_so, 'or')",
    "cgroup /a/b",
    "dev 3",
    "fwmark != 1/0xff",
    "time < 1999-12-31T23:59:60.5-05:30",
    "host 10.0.0.1",
    "src host 10.0.0.1",
    "dst port 80 or 443",
    "src and dst net 10.0.0.0/8",
    "ip net 10 or 192.168",
    "ip6",
    "tcp",
    "src portrange 80-443",
    "port http",
];

fn expression() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(TESTS).prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| format!("not ({one})")),
            inner.clone().prop_map(|one| format!("!({one})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a} or ({b})")),
        ]
    })
}

fn address() -> impl Strategy<Value = IpAddr> {
    proptest::sample::select(vec![
        "10.0.0.1",
        "10.2.3.4",
        "192.0.2.8",
        "192.168.1.1",
        "0.0.0.0",
        "fd00::1",
        "2001:db8::1",
        "::",
    ])
    .prop_map(|text| text.parse().unwrap())
}

fn port() -> impl Strategy<Value = u16> {
    proptest::sample::select(vec![0, 22, 80, 443, 450, 1023, 1024, 40_000, 65_535])
}

/// A socket, and what the kernel has of it.
fn socket() -> impl Strategy<Value = (Socket, IpAddr, u16, u8)> {
    const STATES: &[(&str, u8)] = &[
        ("established", 1),
        ("syn_recv", 3),
        ("fin_wait1", 4),
        ("time_wait", 6),
        ("close_wait", 8),
        ("listen", 10),
        ("no_such_state", 14),
    ];
    let state = proptest::sample::select(STATES);
    let ends = (address(), port(), address(), port());
    (state, ends, any::<[bool; 4]>(), 0..200u64).prop_map(
        |((state, number), (local_ip, local_port, remote_ip, remote_port), known, ms)| {
            // The kernel's nothing may be shown as it is, or as absent.
            let is_none = remote_ip.is_unspecified() && known[0];
            let socket = Socket {
                state,
                local_ip,
                local_port: u64::from(local_port),
                remote_ip: (!is_none).then_some(remote_ip),
                remote_port: (remote_port != 0 || known[1]).then_some(u64::from(remote_port)),
                rtt_us: known[2].then(|| Span::from_ns(ms * 1_000_000)),
                is_final: known[3],
                ..client()
            };
            (socket, remote_ip, remote_port, number)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(text in "[ -~]{0,40}|\\PC{0,20}") {
        if let Err(error) = RecordFilter::parse::<Socket>(&text) {
            let _ = error.to_string();
        }
    }

    #[test]
    fn no_row_of_words_panics(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "rtt", "state", "==", "in", "(", ")", "{", "}", ",", "not", "!", "and", "or", "has", "1ms", "..", "1-2", "src",
            "dst", "host", "net", "10.0.0.0/8", "port", "80", ":80", "mask", "exclude", "all", "dev", "lo", "fwmark", "1/2",
            "cgroup", "/a", "contains", "''", "time", "2026-01-01", "-", ":", "[", "]", "[::]", "*:", "final", "frames", "ip",
        ]), 0..12),
    ) {
        let text = words.join(" ");
        if let Ok(filter) = RecordFilter::parse::<Socket>(&text) {
            let printed = filter.to_string();
            prop_assert_eq!(&parse(&printed).expr, &filter.expr, "{}", printed);
            let _ = filter.ends();
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same(text in expression()) {
        let filter = parse(&text);
        let printed = filter.to_string();
        let again = parse(&printed);
        prop_assert_eq!(&again.expr, &filter.expr, "{} {}", text, printed);
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn the_condition_on_the_ends_excludes_nothing_that_passes(
        text in expression(),
        sockets in proptest::collection::vec(socket(), 20),
    ) {
        let filter = parse(&text);
        let ends = filter.ends();
        for (socket, remote_ip, remote_port, state) in sockets {
            let local = (socket.local_ip, u16::try_from(socket.local_port).unwrap());
            let is_allowed = ends.allows(local, (remote_ip, remote_port), state);
            prop_assert!(
                is_allowed || !filter.matches(&socket),
                "{} takes {:?}, {:?} does not", text, socket, ends
            );
        }
    }

    #[test]
    fn words_of_packet_filters_mean_what_they_mean_there(
        parts in proptest::collection::vec((any::<bool>(), proptest::sample::select(vec![
            "host 10.0.0.1", "src host 10.0.0.1", "dst host 192.168.1.1", "net 10.0.0.0/8", "src net 10", "port 80",
            "dst port 80", "src port 443", "portrange 80-443", "src portrange 1023-1024", "ip", "ip6", "tcp",
            "src and dst net 10.0.0.0/8", "src or dst port 22", "dst net fd00::/8", "tcp port 22 or 80", "port http",
            "ip host 10.0.0.1 or 10.2.3.4", "tcp src port 80",
        ])), 1..4),
        is_and in any::<bool>(),
        (local_ip, remote_ip) in (address(), address()),
        (local_port, remote_port) in (port(), port()),
    ) {
        // One operator, for packet filters join `and` and `or` from the left.
        let parts: Vec<_> = parts
            .iter()
            .map(|(is_not, part)| format!("{}({part})", if *is_not { "not " } else { "" }))
            .collect();
        let text = parts.join(if is_and { " and " } else { " or " });
        // Both ends are of one family.
        let remote_ip = if local_ip.is_ipv4() == remote_ip.is_ipv4() { remote_ip } else { local_ip };
        let socket = Socket {
            local_ip,
            local_port: u64::from(local_port),
            remote_ip: Some(remote_ip),
            remote_port: Some(u64::from(remote_port)),
            ..client()
        };
        // What no packet can match is refused there.
        let packets = TupleFilter::parse(&text);
        prop_assume!(packets.is_ok());
        let packets = packets.unwrap();
        let expected = packets.matches((local_ip, local_port), (remote_ip, remote_port));
        prop_assert_eq!(parse(&text).matches(&socket), expected, "{}", text);
    }
}
