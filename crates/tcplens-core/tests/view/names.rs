//! What addresses are called by the answers that were seen.

use tcplens_core::view::{Names, is_host_name};

use super::*;

/// What was asked for, and the addresses that were answered.
fn dns(kind: &'static str, summary: &'static str, answers: &'static str) -> Request<'static> {
    Request {
        protocol: Protocol::Dns,
        operation: Some(kind),
        summary: Some(summary),
        answers: (!answers.is_empty()).then_some(answers),
        ..request(0, "192.0.2.53", 53, 0)
    }
}

fn of(names: &Names, ip: &str) -> String {
    let name = names.of(ip.parse().unwrap());
    name.map_or("-", |name| name).to_owned()
}

#[test]
fn the_newest_answer_gives_an_address_its_name() {
    let mut names = Names::default();
    assert!(names.is_empty());
    names.learn(&dns("A", "A Web.Example.test.", "10.0.0.1 10.0.0.2"));
    names.learn(&dns(
        "AAAA",
        "AAAA web.example.test.",
        "2001:db8::1 ::ffff:10.0.0.3",
    ));
    names.learn(&dns("A", "A api.example.test.", "10.0.0.2"));
    for (ip, expected) in [
        ("10.0.0.1", "web.example.test"),
        ("::ffff:10.0.0.1", "web.example.test"),
        ("10.0.0.2", "api.example.test"),
        ("10.0.0.3", "web.example.test"),
        ("2001:db8::1", "web.example.test"),
        ("10.0.0.4", "-"),
    ] {
        assert_eq!(of(&names, ip), expected, "{ip}");
    }
    assert_eq!((names.len(), names.forgotten()), (4, 0));
}

#[test]
fn what_is_no_name_of_a_host_names_nothing() {
    let mut names = Names::default();
    for record in [
        dns("A", "A example.test.", ""),
        // Cut by --summary-bytes.
        dns("A", "A example.te", "10.0.0.1"),
        dns("A", "A .", "10.0.0.1"),
        dns("A", "CH A example.test.", "10.0.0.1"),
        dns("A", "A a\\032b.test.", "10.0.0.1"),
        // Who shows this in place of 10.0.0.1 shows another host.
        dns("A", "A 10.0.0.7.", "10.0.0.1"),
        Request {
            protocol: Protocol::Http,
            ..dns("A", "A example.test.", "10.0.0.1")
        },
    ] {
        names.learn(&record);
    }
    assert_eq!(names.len(), 0);
    for (name, expected) in [
        ("localhost", true),
        ("_sip._tcp.example", true),
        ("xn--bcher-kva.example", true),
        ("1.2.3.com", true),
        ("10.0.0.1", false),
        ("127.1", false),
        ("10.0.0.0x1", false),
        ("::1", false),
        ("a b", false),
        ("", false),
        ("x.", false),
    ] {
        assert_eq!(is_host_name(name), expected, "{name}");
    }
    assert!(is_host_name(&"a".repeat(253)) && !is_host_name(&"a".repeat(254)));
}

#[test]
fn of_too_many_addresses_the_one_answered_longest_ago_goes() {
    let mut names = Names::new(3);
    names.learn(&dns("A", "A a.test.", "10.0.0.1 10.0.0.2 10.0.0.3"));
    names.learn(&dns("A", "A a.test.", "10.0.0.1"));
    names.learn(&dns("A", "A b.test.", "10.0.0.4"));
    let known = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(|ip| of(&names, ip));
    assert_eq!(known, ["a.test", "-", "a.test", "b.test"]);
    assert_eq!((names.len(), names.forgotten()), (3, 1));
    for n in 0..100 {
        let answers: &str = Box::leak(format!("10.1.0.{n} 10.2.0.{n}").into_boxed_str());
        names.learn(&dns("A", "A c.test.", answers));
        assert_eq!(names.len(), 3);
    }
    assert_eq!(names.forgotten(), 201);
}
