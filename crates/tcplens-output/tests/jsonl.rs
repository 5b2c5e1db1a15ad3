//! JSON Lines, as another program reads them.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "../examples/sample/mod.rs"]
mod sample;

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tcplens_core::record::{
    ConnectionId, Field, Finding, FirstFrame, Handshake, Health, Outcome, Record, Suspect, Vantage,
    Visitor,
};
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::Jsonl;

fn line<R: Record>(record: &R) -> String {
    let mut encoder = Jsonl::new();
    encoder.encode(record);
    String::from_utf8(encoder.bytes().to_vec()).unwrap()
}

#[test]
fn a_handshake_is_one_object_in_the_declared_order() {
    let expected = concat!(
        r#"{"kind":"handshake","time":"2026-11-21T01:08:22.384589048Z","vantage":"file","#,
        r#""connection_id":"18e9ea14ff2318f8-00000000","client_ip":"10.77.0.0","client_port":32768,"#,
        r#""server_ip":"10.77.0.2","server_port":443,"role_from":"syn","tap_side":"client","first_frame":1,"#,
        r#""last_frame":3,"capture_loss":false,"outcome":"established","handshake_us":10412,"#,
        r#""syn_to_synack_us":10373,"first_syn_to_synack_us":10373,"synack_to_ack_us":39,"wait_us":10412,"#,
        r#""syn_retransmits":0,"synack_retransmits":0,"synack_seen":true,"client_mss":1460,"server_mss":1460,"#,
        r#""client_wscale":7,"server_wscale":7,"sack":true,"timestamps":true,"ecn":false,"fast_open":false,"#,
        r#""mptcp":false}"#,
        "\n"
    );
    assert_eq!(line(&sample::handshake(0)), expected);
}

#[test]
fn text_is_escaped_and_empty_lists_are_absent() {
    let mut finding = Finding {
        text: Some("quote \" backslash \\ newline \n bell \u{7} del \u{7f} µ".into()),
        filter: Some(String::new()),
        frames: vec![1, 20, 300],
        ..Finding::new(
            1,
            "a_code_longer_than_sixteen_letters",
            12,
            Suspect::Network,
        )
    };
    let expected = concat!(
        r#"{"kind":"finding","rank":1,"code":"a_code_longer_than_sixteen_letters","harm":12,"suspect":"network","#,
        r#""text":"quote \" backslash \\ newline \n bell \u0007 del "#,
        "\u{7f}",
        r#" µ","filter":"","frames":[1,20,300]}"#,
        "\n"
    );
    assert_eq!(line(&finding), expected);
    finding.frames.clear();
    assert!(!line(&finding).contains("frames"));
}

#[test]
fn text_longer_than_the_buffer_makes_it_grow() {
    let text = "a \"quoted\" word ".repeat(20_000);
    check(&Finding {
        text: Some(text.clone()),
        evidence: Some(text),
        frames: (0..50_000).collect(),
        ..Finding::new(1, "long", 1, Suspect::Capture)
    });
}

#[test]
fn counts_are_an_object_by_reason() {
    let text = line(&health(vec![("cut_tcp_header", 3), ("not_ip", 12)]));
    assert!(
        text.contains(r#","undecoded":{"cut_tcp_header":3,"not_ip":12},"cut_packets":0,"#),
        "{text}"
    );
    assert!(!text.contains("limit_hits"));
}

#[test]
fn lines_add_up_until_they_are_cleared() {
    let mut encoder = Jsonl::new();
    let mut expected = String::new();
    for n in 0..1000 {
        encoder.encode(&sample::connection(n));
        expected.push_str(&line(&sample::connection(n)));
    }
    assert_eq!(encoder.bytes(), expected.as_bytes());
    encoder.clear();
    assert_eq!(encoder.bytes(), b"");
    encoder.encode(&sample::handshake(1));
    assert_eq!(encoder.bytes(), line(&sample::handshake(1)).as_bytes());
}

fn health(undecoded: Vec<(&'static str, u64)>) -> Health {
    Health {
        undecoded,
        ..Health::new(Vantage::File)
    }
}

/// What the object must be, made with serde_json.
#[derive(Default)]
struct Oracle(Map<String, Value>);

impl Oracle {
    fn put<T: Into<Value>>(&mut self, field: &Field, value: Option<T>) {
        if let Some(value) = value {
            self.0.insert(field.name.into(), value.into());
        }
    }
}

impl Visitor for Oracle {
    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        self.put(field, value);
    }
    fn span(&mut self, field: &'static Field, value: Option<Span>) {
        self.put(
            field,
            value.map(|span| match span.ns() % 1000 {
                0 => json!(span.ns() / 1000),
                _ => json!(span.ns() as f64 / 1000.0),
            }),
        );
    }
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        self.put(
            field,
            value.map(|at| {
                format!(
                    "{:.9}",
                    jiff::Timestamp::from_nanosecond(at.0.into()).unwrap()
                )
            }),
        );
    }
    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        self.put(field, value.map(|ip| ip.to_string()));
    }
    fn word(&mut self, field: &'static Field, value: Option<&'static str>) {
        self.put(field, value);
    }
    fn flag(&mut self, field: &'static Field, value: Option<bool>) {
        self.put(field, value);
    }
    fn text(&mut self, field: &'static Field, value: Option<&str>) {
        self.put(field, value);
    }
    fn id(&mut self, field: &'static Field, value: Option<ConnectionId>) {
        self.put(
            field,
            value.map(|id| String::from_utf8(id.text().to_vec()).unwrap()),
        );
    }
    fn counts(&mut self, field: &'static Field, value: &[(&'static str, u64)]) {
        let object: Map<_, _> = value
            .iter()
            .map(|&(reason, n)| (reason.into(), n.into()))
            .collect();
        self.put(field, (!object.is_empty()).then_some(object));
    }
    fn list(&mut self, field: &'static Field, value: &[u64]) {
        self.put(field, (!value.is_empty()).then(|| value.to_vec()));
    }
    fn frames(&mut self, field: &'static Field, value: &[FirstFrame]) {
        let frame = |frame: &FirstFrame| json!({"threshold_bytes": frame.threshold_bytes, "bytes": frame.bytes, "us": frame.us});
        self.put(
            field,
            (!value.is_empty()).then(|| value.iter().map(frame).collect::<Vec<_>>()),
        );
    }
}

fn check<R: Record>(record: &R) {
    let text = line(record);
    assert!(
        text.ends_with("}\n") && text.matches('\n').count() == 1,
        "{text}"
    );
    let mut oracle = Oracle::default();
    oracle.0.insert("kind".into(), R::KIND.into());
    record.visit(&mut oracle);
    let read: Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, oracle.0);
    assert!(read.keys().eq(oracle.0.keys()), "order of fields");
}

#[test]
fn samples_read_back_as_they_were() {
    for n in [0, 1, 255, 70_000] {
        check(&sample::handshake(n));
        check(&sample::connection(n));
    }
    check(&health(vec![("a", u64::MAX)]));
}

proptest! {
    #[test]
    fn any_handshake_reads_back_as_it_was(
        ns: i64, v6: u128, port in 0..=65_535_u64, spans: [Option<u32>; 4], shift in 0..20_u32,
        flags: [Option<bool>; 4], counts: [Option<u64>; 4], outcome in 0..9_usize, error: bool,
    ) {
        let span = |n: usize| spans[n].map(|ns| Span::from_ns(u64::from(ns) << shift));
        let handshake: Handshake = Handshake {
            time: Timestamp(ns),
            connection_id: ConnectionId::Packets { first: Timestamp(ns), flow: ns as u32 },
            client_ip: Ipv6Addr::from(v6).into(),
            client_port: port,
            vlan: counts[0],
            icmp_type: counts[1],
            icmp_from: error.then_some(Ipv6Addr::from(v6 & 0xffff).into()),
            error: error.then_some("EHOSTUNREACH"),
            client_mss: counts[2],
            syn_retransmits: counts[3].unwrap_or(0),
            outcome: Outcome::ALL[outcome],
            handshake_us: span(0), syn_to_synack_us: span(1), synack_to_ack_us: span(2), wait_us: span(3),
            rst_acceptable: flags[0], sack: flags[1], ecn: flags[2], mptcp: flags[3],
            ..sample::handshake(0)
        };
        check(&handshake);
    }

    #[test]
    fn any_text_reads_back_as_it_was(text: String, code in any::<prop::sample::Index>(), frames: Vec<u64>) {
        let codes = ["", "a", "refused", "slow_handshake_x", "seventeen_letters"];
        check(&Finding {
            text: Some(text.clone()),
            filter: Some(text.chars().map(|c| char::from(c as u8 % 128)).collect()),
            frames,
            ..Finding::new(1, codes[code.index(codes.len())], 0, Suspect::Client)
        });
    }
}
