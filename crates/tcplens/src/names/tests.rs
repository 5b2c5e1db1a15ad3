//! Which of several names counts.

use std::collections::BTreeMap;

use tcplens_capture::resolve::Resolved;
use tcplens_core::record::Request;
use tcplens_output::hosts::Labels as _;

use super::reverse::Resolve;
use super::*;
use crate::answer::tests::made_requests as requests;

/// Knows these, and hangs at no other.
struct Book(BTreeMap<IpAddr, &'static str>);

impl Resolve for Book {
    fn name_of(&self, ip: IpAddr) -> Resolved {
        match self.0.get(&ip) {
            Some(name) => Resolved::Name((*name).to_owned()),
            None => Resolved::None,
        }
    }
}

fn shown(known: &Arc<Known>, ip: &str, port: u64) -> String {
    hosts(Some(known))
        .end(ip.parse().unwrap(), port)
        .to_string()
}

#[test]
fn labels_come_before_what_was_seen_and_that_before_what_the_resolver_says() {
    let mut labels = Labels::default();
    labels.add("10.0.0.1 by-file\n10.1.0.0/16 net\n").unwrap();
    let mut seen = view::Names::default();
    seen.learn(&Request {
        protocol: Protocol::Dns,
        operation: Some("A"),
        summary: Some("A seen.example."),
        answers: Some("10.0.0.1 10.0.0.2 10.1.0.2"),
        ..requests::request(0, "10.0.0.53", 53, 0)
    });
    let ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.2", "10.1.0.3"];
    let book = ips.map(|ip| (ip.parse().unwrap(), "resolved.example"));
    let known = Arc::new(Known {
        labels,
        seen: Some(Mutex::new(seen)),
        reverse: Some(Reverse::new(Book(book.into()), Duration::from_secs(30))),
        places: Places::open(&[]).unwrap(),
        is_live: false,
    });
    for (ip, expected) in [
        ("10.0.0.1", "by-file:80"),
        ("::ffff:10.0.0.1", "by-file:80"),
        ("10.0.0.2", "seen.example:80"),
        ("10.0.0.3", "resolved.example:80"),
        ("10.0.0.4", "10.0.0.4:80"),
        ("10.1.0.2", "net/seen.example:80"),
        ("10.1.0.3", "net/resolved.example:80"),
        ("10.1.0.4", "net/10.1.0.4:80"),
    ] {
        assert_eq!(shown(&known, ip, 80), expected, "{ip}");
    }
    assert!(known.sees() && known.of("10.0.0.9".parse().unwrap(), None).is_empty());
}

#[test]
fn who_asks_for_nothing_knows_nothing_and_files_alone_ask_nobody() {
    assert!(Known::open(&Naming::default(), true).unwrap().is_none());
    let naming = Naming {
        names_file: vec!["/dev/null".into()],
        ..Naming::default()
    };
    let known = Known::open(&naming, false).unwrap().unwrap();
    assert!(!known.sees() && known.reverse.is_none());
    assert_eq!(shown(&known, "10.0.0.1", 80), "10.0.0.1:80");
}
