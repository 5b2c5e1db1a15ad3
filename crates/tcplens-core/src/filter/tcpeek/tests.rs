//! Which attempts count where, and the errors.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn indices(
    filters: &[&str],
    direction: Option<Direction>,
    attempt: (&str, &str, u16),
) -> Vec<usize> {
    let set = FilterSet::new(filters.iter().map(|f| HandshakeFilter::parse(f).unwrap()));
    let (client, server, port) = attempt;
    set.matching(direction, ip(client), ip(server), port)
        .collect()
}

/// Filter, direction, attempt, whether it counts.
type Case = (
    &'static str,
    Option<Direction>,
    (&'static str, &'static str, u16),
    bool,
);

#[test]
fn an_attempt_counts_in_every_filter_it_matches_and_once_in_each() {
    let inbound = Some(Direction::Inbound);
    let outbound = Some(Direction::Outbound);
    let cases: &[Case] = &[
        (
            "w:RX@%:80:443",
            inbound,
            ("10.0.0.1", "10.0.0.2", 443),
            true,
        ),
        (
            "w:RX@%:80:443",
            inbound,
            ("10.0.0.1", "10.0.0.2", 444),
            false,
        ),
        (
            "w:RX@%:80:443",
            outbound,
            ("10.0.0.1", "10.0.0.2", 443),
            false,
        ),
        (
            "w:RX@%:80:443",
            Some(Direction::Local),
            ("127.0.0.1", "127.0.0.1", 80),
            true,
        ),
        (
            "w:TX@%:80:443",
            Some(Direction::Local),
            ("127.0.0.1", "127.0.0.1", 80),
            true,
        ),
        (
            "w:TX@%:*",
            Some(Direction::Forwarded),
            ("10.0.0.1", "10.0.0.2", 80),
            false,
        ),
        (
            "w:RX@10.0.0.1:80",
            inbound,
            ("10.0.0.1", "10.0.0.2", 80),
            true,
        ),
        (
            "w:RX@10.0.0.2:80",
            inbound,
            ("10.0.0.1", "10.0.0.2", 80),
            false,
        ),
        (
            "w:TX@10.0.0.2:80",
            outbound,
            ("10.0.0.1", "10.0.0.2", 80),
            true,
        ),
        // The prefix is masked, unlike in tcpeek.
        (
            "w:RX@127.0.0.5/8:%",
            inbound,
            ("127.9.9.9", "127.0.0.1", 1),
            true,
        ),
        (
            "w:RX@0.0.0.0/0:%",
            inbound,
            ("203.0.113.9", "127.0.0.1", 1),
            true,
        ),
        (
            "w:RX@0.0.0.0/0:%",
            inbound,
            ("2001:db8::1", "::1", 1),
            false,
        ),
        ("w:RX@%:%", inbound, ("2001:db8::1", "::1", 1), true),
        (
            "w:RX@[2001:db8::7]/32:22",
            inbound,
            ("2001:db8::1", "::1", 22),
            true,
        ),
        (
            "w:RX@[2001:db8::7]:22",
            inbound,
            ("2001:db8::1", "::1", 22),
            false,
        ),
        (
            "w:RX@10.0.0.1:22",
            inbound,
            ("::ffff:10.0.0.1", "::1", 22),
            true,
        ),
        (
            "w:RX@%:8000-8999:80",
            inbound,
            ("10.0.0.1", "10.0.0.2", 8500),
            true,
        ),
        (
            "w:RX@%:8000-8999:80",
            inbound,
            ("10.0.0.1", "10.0.0.2", 9000),
            false,
        ),
        ("w:RX@%:80:%", inbound, ("10.0.0.1", "10.0.0.2", 80), true),
        ("w:RX@%:80:%", inbound, ("10.0.0.1", "10.0.0.2", 81), true),
        (
            "f:TX@192.168.0.1:80:443,192.168.0.2:80",
            outbound,
            ("10.0.0.1", "192.168.0.2", 80),
            true,
        ),
        (
            "f:TX@192.168.0.1:80:443,192.168.0.2:80",
            outbound,
            ("10.0.0.1", "192.168.0.2", 443),
            false,
        ),
        // Direction unknown: address and port decide.
        ("w:RX@10.0.0.1:80", None, ("10.0.0.1", "10.0.0.2", 80), true),
        (
            "w:TX@10.0.0.1:80",
            None,
            ("10.0.0.1", "10.0.0.2", 80),
            false,
        ),
    ];
    for (filter, direction, attempt, counts) in cases {
        let found = indices(&[filter], *direction, *attempt);
        assert_eq!(
            found.iter().filter(|i| **i == 2).count(),
            usize::from(*counts),
            "{filter}"
        );
    }
}

#[test]
fn the_built_in_filters_come_first_and_exclusions_go_before_all() {
    let inbound = Some(Direction::Inbound);
    let attempt = ("10.0.0.1", "10.0.0.2", 22);
    assert_eq!(indices(&[], inbound, attempt), [0]);
    assert_eq!(indices(&[], Some(Direction::Local), attempt), [0, 1]);
    assert_eq!(indices(&[], None, attempt), [0, 1]);
    assert_eq!(
        indices(&["ssh:RX@%:22", ":RX@*:22"], inbound, attempt),
        [0usize; 0]
    );
    assert_eq!(
        indices(&["ssh:RX@%:22", ":TX@*:22"], inbound, attempt),
        [0, 2]
    );
    assert_eq!(
        indices(&["a:RX@%:22", "a:RX@%:22"], inbound, attempt),
        [0, 2, 3]
    );
}

#[test]
fn errors_point_at_the_part_that_does_not_fit() {
    let long = "n".repeat(128);
    let cases: &[(&str, &str)] = &[
        ("web", "web"),
        ("web:%:80", "%:80"),
        ("web:rx@%:80", "rx"),
        ("web:RX@%", "%"),
        ("web:RX@%:", ""),
        ("web:RX@%:80x", "80x"),
        ("web:RX@%:80:65536", "65536"),
        ("web:RX@%:+80", "+80"),
        ("web:RX@%:90-80", "90-80"),
        ("web:RX@10.0.0:80", "10.0.0"),
        ("web:RX@10.0.0.1/33:80", "33"),
        ("web:RX@[fe80::/10:80", "[fe80::/10:80"),
        ("web:RX@[fe80::]/129:80", "129"),
        ("web:RX@fe80::1:80", "fe80"),
        ("web:RX@%:80,", ""),
        ("web:RX@%:80,,%:81", ""),
        ("a\nb:RX@%:80", "\n"),
        ("RX@%:80", "RX"),
        ("web:RX@%:80,443", "443"),
    ];
    for (filter, at) in cases {
        let error = HandshakeFilter::parse(filter).unwrap_err();
        assert_eq!(&filter[error.at.clone()], *at, "{filter}: {error}");
    }
    assert!(HandshakeFilter::parse(&format!("{long}:RX@%:80")).is_err());
    for (filter, said) in [
        ("RX@%:80", "no name; write web:RX@%:80 for"),
        ("web:RX@%:80,443", "further ports behind a colon (:443)"),
    ] {
        let error = HandshakeFilter::parse(filter).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(
        HandshakeFilter::parse("web:RX@%:80:65536")
            .unwrap_err()
            .to_string(),
        "filter: a port is %, 0 to 65535, or a range such as 8000-8999\n  \
         web:RX@%:80:65536\n              ^^^^^"
    );
}
