use super::*;
use crate::proto::Texts;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};

const QUERY: u16 = 0x0100;
const ANSWER: u16 = 0x8180;

/// `example.test` on the wire.
fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn question(text: &str, kind: u16, class: u16) -> Vec<u8> {
    [
        name(text),
        kind.to_be_bytes().into(),
        class.to_be_bytes().into(),
    ]
    .concat()
}

/// A record that is named by a pointer to the question's name.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16).to_be_bytes();
    let kind = kind.to_be_bytes();
    [&[0xc0, 12], &kind[..], &[0, 1, 0, 0, 0, 60], &length, data].concat()
}

fn soa(serial: u32) -> Vec<u8> {
    let data = [&[0xc0, 12, 0xc0, 12], &serial.to_be_bytes()[..], &[0; 16]].concat();
    record(6, &data)
}

fn opt(high_rcode: u8) -> Vec<u8> {
    vec![0, 0, 41, 4, 208, high_rcode, 0, 0, 0, 0, 0]
}

/// A message: sections of question, answers, authorities, additionals.
fn message(id: u16, flags: u16, sections: [&[Vec<u8>]; 4]) -> Vec<u8> {
    let mut out = [id.to_be_bytes(), flags.to_be_bytes()].concat();
    for section in sections {
        out.extend((section.len() as u16).to_be_bytes());
    }
    out.extend(sections.concat().concat());
    out
}

fn ask(id: u16, text: &str, kind: u16) -> Vec<u8> {
    message(id, QUERY, [&[question(text, kind, 1)], &[], &[], &[]])
}

fn reply(id: u16, flags: u16, text: &str, kind: u16) -> Vec<u8> {
    let answers = [record(kind, &[10, 0, 0, 1])];
    message(id, flags, [&[question(text, kind, 1)], &answers, &[], &[]])
}

fn over_tcp(messages: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |m: &Vec<u8>| [&(m.len() as u16).to_be_bytes()[..], m].concat();
    messages.iter().flat_map(with_length).collect()
}

/// Datagrams, as a parser: one unit each. The pieces of a conversation are the datagrams.
#[derive(Default)]
struct Udp;

impl Parser for Udp {
    fn probe(_: Way, _: &[u8]) -> Guess {
        Guess::No
    }
    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if bytes.is_empty() {
            return Step::Wait;
        }
        datagram(way, bytes, context)
    }
    fn lost(&mut self, _: Way) {}
}

fn udp(said: &[Said<'_>]) -> Vec<String> {
    run(Udp, said)
}

fn tcp(said: &[Said<'_>]) -> Vec<String> {
    run_split(Dns::default, said)
}

#[test]
fn a_question_and_its_answer_are_a_request() {
    let said = [
        (C, &ask(7, "example.test", 1)[..]),
        (S, &reply(7, ANSWER, "example.test", 1)[..]),
    ];
    assert_eq!(
        udp(&said),
        [r#"A "A example.test." 30 -> ok 0 "NOERROR" 46"#]
    );
}

#[test]
fn an_answer_pairs_with_its_own_question_only() {
    let said = [
        (C, &ask(7, "example.test", 1)[..]),
        (S, &reply(7, ANSWER, "other.test", 1)[..]),
        (S, &reply(8, ANSWER, "example.test", 1)[..]),
        (S, &reply(7, ANSWER, "example.test", 28)[..]),
        (S, &reply(7, ANSWER, "EXAMPLE.test", 1)[..]),
    ];
    assert_eq!(
        udp(&said),
        [
            r#"A "A example.test." 30 -> ok 0 "NOERROR" 46"#,
            "unpaired 44",
            "unpaired 46",
            "unpaired 46",
        ]
    );
}

#[test]
fn rcodes_are_errors_but_for_nxdomain() {
    let query = ask(1, "no.test", 28);
    let said = |flags| {
        let q = [question("no.test", 28, 1)];
        let answer = message(1, flags, [&q, &[], &[], &[]]);
        udp(&[(C, &query), (S, &answer)])
    };
    let line = |rest: &str| [format!(r#"AAAA "AAAA no.test." 25 -> {rest} 25"#)];
    assert_eq!(said(0x8183), line(r#"ok 3 "NXDOMAIN""#));
    assert_eq!(said(0x8182), line(r#"error 2 "SERVFAIL""#));
    assert_eq!(said(0x8185), line(r#"error 5 "REFUSED""#));
    assert_eq!(said(0x818e), line(r#"error 14 "RCODE14""#));
    assert_eq!(said(0x8380), line(r#"ok 0 "NOERROR truncated""#));
}

#[test]
fn the_upper_bits_of_an_rcode_are_in_opt() {
    let q = [question("example.test", 1, 1)];
    let answer = message(1, ANSWER, [&q, &[], &[], &[opt(1)]]);
    let said = [(C, &ask(1, "example.test", 1)[..]), (S, &answer)];
    assert_eq!(
        udp(&said),
        [r#"A "A example.test." 30 -> error 16 "BADVERS" 41"#]
    );
}

#[test]
fn an_error_without_question_pairs_by_id() {
    let answer = message(2, 0x8181, [&[], &[], &[], &[]]);
    let said = [
        (C, &ask(1, "a.test", 1)[..]),
        (C, &ask(2, "b.test", 1)),
        (S, &answer),
    ];
    assert_eq!(
        udp(&said),
        [
            r#"A "A a.test." 24 -> unanswered 0"#,
            r#"A "A b.test." 24 -> error 1 "FORMERR" 12"#,
        ]
    );
}

#[test]
fn names_types_and_classes_are_shown_as_in_a_zone_file() {
    let shown = |question: Vec<u8>| {
        let lines = udp(&[(C, &message(1, QUERY, [&[question], &[], &[], &[]]))]);
        let (request, _) = lines[0].split_once(" -> ").unwrap();
        let (shown, _bytes) = request.rsplit_once(' ').unwrap();
        shown.to_string()
    };
    assert_eq!(shown(question("", 2, 1)), r#"NS "NS .""#);
    assert_eq!(
        shown(question("version.bind", 16, 3)),
        r#"TXT "CH TXT version.bind.""#
    );
    assert_eq!(
        shown(question("a.test", 65281, 32)),
        r#"TYPE65281 "CLASS32 TYPE65281 a.test.""#
    );
    assert_eq!(shown(question("a.test", 255, 1)), r#"ANY "ANY a.test.""#);
    let odd = [&b"\x06a.b\\ \xff\x04test\x00"[..], &[0, 5, 0, 1]].concat();
    // The strings above are quoted once more by the test bench.
    assert_eq!(shown(odd), r#"CNAME "CNAME a\\.b\\\\\\032\\255.test.""#);
}

#[test]
fn all_types_of_the_registry_have_their_names() {
    let mut digits = [0; registry::LONGEST];
    for (number, name) in [
        (1, "A"),
        (5, "CNAME"),
        (6, "SOA"),
        (12, "PTR"),
        (15, "MX"),
        (16, "TXT"),
        (28, "AAAA"),
        (33, "SRV"),
        (43, "DS"),
        (46, "RRSIG"),
        (65, "HTTPS"),
        (257, "CAA"),
        (264, "IPN"),
        (32769, "DLV"),
        (54, "TYPE54"),
        (0, "TYPE0"),
        (65535, "TYPE65535"),
    ] {
        assert_eq!(registry::kind(number, &mut digits), name.as_bytes());
    }
}

#[test]
fn notify_and_update_are_operations() {
    let notify = message(
        1,
        0x2400,
        [&[question("example.test", 6, 1)], &[soa(3)], &[], &[]],
    );
    let notified = message(
        1,
        0xa400,
        [&[question("example.test", 6, 1)], &[], &[], &[]],
    );
    let delete = record(255, &[]);
    let zone = [question("example.test", 6, 1)];
    let update = message(2, 0x2800, [&zone, &[], &[delete], &[]]);
    let updated = message(2, 0xa805, [&zone, &[], &[], &[]]);
    let said = [
        (C, &notify[..]),
        (S, &notified),
        (C, &update),
        (S, &updated),
    ];
    let expected = [
        r#"NOTIFY "NOTIFY SOA example.test." 66 -> ok 0 "NOERROR" 30"#,
        r#"UPDATE "UPDATE SOA example.test." 42 -> error 5 "REFUSED" 30"#,
    ];
    assert_eq!(udp(&said), expected);
    assert_eq!(probe_datagram(&notify, false), Some(C));
    assert_eq!(probe_datagram(&notified, false), Some(S));
    assert_eq!(probe_datagram(&update, false), Some(C));
    assert_eq!(probe_datagram(&updated, false), Some(S));
}

#[test]
fn a_repeated_query_has_the_same_number() {
    let number = |datagram: &[u8]| {
        let mut arena = Vec::new();
        struct Nothing;
        impl Asked for Nothing {
            fn nth(&self, _: usize) -> Option<u32> {
                None
            }
            fn with_id(&self, _: u64) -> Option<u32> {
                None
            }
        }
        let mut context = Context {
            asked: &Nothing,
            texts: Texts::new(&mut arena, 128),
            protocol: None,
            is_end: false,
            is_cut: false,
        };
        match super::datagram(C, datagram, &mut context) {
            Step::Unit(Unit {
                part: Part::Request(request),
                ..
            }) => (request.id.unwrap(), request.tag),
            other => panic!("{other:?}"),
        }
    };
    let first = number(&ask(1, "example.test", 1));
    assert_eq!(first.0, u64::from(first.1));
    assert_eq!(first, number(&ask(1, "Example.Test", 1)));
    assert_ne!(first, number(&ask(2, "example.test", 1)));
    // One name is asked for with one id at a time: what differs in type is damaged.
    assert_eq!(first, number(&ask(1, "example.test", 28)));
    assert_ne!(first, number(&ask(1, "example.tesu", 1)));
}

#[test]
fn over_tcp_answers_may_come_in_any_order() {
    let queries = over_tcp(&[
        ask(1, "a.test", 1),
        ask(2, "b.test", 15),
        ask(3, "c.test", 16),
    ]);
    let answers = over_tcp(&[
        reply(3, ANSWER, "c.test", 16),
        reply(1, ANSWER, "a.test", 1),
        reply(2, 0x8182, "b.test", 15),
    ]);
    assert_eq!(
        tcp(&[(C, &queries), (S, &answers)]),
        [
            r#"A "A a.test." 26 -> ok 0 "NOERROR" 42"#,
            r#"MX "MX b.test." 26 -> error 2 "SERVFAIL" 42"#,
            r#"TXT "TXT c.test." 26 -> ok 0 "NOERROR" 42"#,
        ]
    );
}

#[test]
fn a_zone_transfer_ends_with_the_second_soa() {
    let zone = question("example.test", 252, 1);
    let first = message(
        9,
        0x8480,
        [&[zone], &[soa(5), record(1, &[1; 4])], &[], &[]],
    );
    // Further messages need not repeat the question; then there is no name to point at.
    let mut bare = record(1, &[2; 4]);
    bare.splice(..2, [0]);
    let mut bare_soa = soa(5);
    bare_soa.splice(..2, [0]);
    let data = bare_soa.len() - 24;
    bare_soa.splice(data..data + 4, [0, 0]);
    bare_soa[10] = 22;
    let middle = message(9, 0x8480, [&[], &[bare.clone(), bare.clone()], &[], &[]]);
    let last = message(9, 0x8480, [&[], &[bare, bare_soa], &[], &[]]);
    let queries = over_tcp(&[ask(9, "example.test", 252), ask(10, "a.test", 1)]);
    let answers = over_tcp(&[first, middle, last, reply(10, ANSWER, "a.test", 1)]);
    assert_eq!(
        tcp(&[(C, &queries), (S, &answers)]),
        [
            r#"AXFR "AXFR example.test." 32 -> ok 0 "NOERROR" 190"#,
            r#"A "A a.test." 26 -> ok 0 "NOERROR" 42"#,
        ]
    );
}

#[test]
fn a_refused_transfer_is_one_message() {
    let zone = question("example.test", 252, 1);
    let refused = message(9, 0x8185, [&[zone], &[], &[], &[]]);
    let query = over_tcp(&[ask(9, "example.test", 252)]);
    assert_eq!(
        tcp(&[(C, &query), (S, &over_tcp(&[refused]))]),
        [r#"AXFR "AXFR example.test." 32 -> error 5 "REFUSED" 32"#]
    );
}

#[test]
fn an_incremental_transfer_ends_with_the_first_soa_again() {
    let zone = [question("example.test", 251, 1)];
    let query = over_tcp(&[message(9, 0, [&zone, &[], &[soa(3)], &[]])]);
    let a = record(1, &[1; 4]);
    let run = |messages: &[&[Vec<u8>]]| {
        let answers = messages
            .iter()
            .map(|records| message(9, 0x8480, [&zone, records, &[], &[]]))
            .collect::<Vec<_>>();
        tcp(&[(C, &query), (S, &over_tcp(&answers))])
    };
    let line = |bytes: usize| {
        [format!(
            r#"IXFR "IXFR example.test." 68 -> ok 0 "NOERROR" {bytes}"#
        )]
    };
    // Differences 3 to 4 and 4 to 5; the last additions and the end in a message of their own.
    let differences = [soa(5), soa(3), a.clone(), soa(4), a.clone(), soa(4), soa(5)];
    assert_eq!(
        run(&[&differences, &[a.clone(), soa(5)]]),
        line(64 + 6 * 36 + 36 + 3 * 16 - 36)
    );
    // The whole zone.
    assert_eq!(
        run(&[&[soa(5), a.clone()], &[a.clone(), soa(5)]]),
        line(64 + 2 * 36 + 2 * 16)
    );
    // Up to date.
    assert_eq!(run(&[&[soa(3)]]), line(32 + 36));
    // One record in each message.
    assert_eq!(
        run(&[&[soa(5)], std::slice::from_ref(&a), &[soa(5)]]),
        line(96 + 2 * 36 + 16)
    );
}

#[test]
fn a_transfer_with_a_hole_ends_with_a_soa() {
    let mut dns = Dns::default();
    let zone = [question("example.test", 252, 1)];
    let key = key_of(&ask(9, "example.test", 252));
    let of = |records: &[Vec<u8>]| message(9, 0x8480, [&zone, records, &[], &[]]);
    let ends = |dns: &mut Dns, records: &[Vec<u8>]| {
        let message = of(records);
        dns.transfer_ends(key, Header::read(&message).unwrap(), &message)
    };
    assert!(!ends(&mut dns, &[soa(5), record(1, &[1; 4])]));
    dns.lost(S);
    assert!(!ends(&mut dns, &[record(1, &[1; 4])]));
    assert!(ends(&mut dns, &[record(1, &[1; 4]), soa(5)]));
    // From its middle on.
    assert!(!ends(&mut dns, &[record(1, &[1; 4])]));
    assert!(ends(&mut dns, &[soa(5)]) || ends(&mut dns, &[soa(5)]));
}

fn key_of(message: &[u8]) -> u32 {
    let header = Header::read(message).unwrap();
    key(header, header.question(message).as_ref())
}

#[test]
fn datagrams_are_recognised_on_any_port() {
    let query = ask(7, "example.test", 1);
    let answer = reply(7, ANSWER, "example.test", 1);
    let with_opt = message(
        7,
        0x0120,
        [&[question("example.test", 1, 1)], &[], &[], &[opt(0)]],
    );
    assert_eq!(probe_datagram(&query, false), Some(C));
    assert_eq!(probe_datagram(&with_opt, false), Some(C));
    assert_eq!(probe_datagram(&answer, false), Some(S));
    // Cut by the snap length, in the last record.
    assert_eq!(
        probe_datagram(&reply(7, ANSWER, "example.test", 1)[..44], false),
        None
    );
    // Bytes after the end, two questions, no question, no class, reserved bit, rcode in a query.
    for (at, byte) in [
        (5, 2),
        (5, 0),
        (29, 9),
        (3, 0x40),
        (3, 1),
        (2, 0x18),
        (12, 0xc0),
        (12, 64),
    ] {
        let mut bad = query.clone();
        bad[at] = byte;
        assert_eq!(probe_datagram(&bad, false), None, "byte {at} {byte}");
    }
    assert_eq!(probe_datagram(&[&query[..], &[0]].concat(), false), None);
    assert_eq!(probe_datagram(&query[..11], true), None);
    assert_eq!(probe_datagram(&query[..12], true), Some(C));
    // NetBIOS.
    let netbios = question("CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 33, 1);
    let netbios = message(7, 0x0110, [&[netbios], &[], &[], &[]]);
    assert_eq!(probe_datagram(&netbios, false), None);
    assert!([137, 5353, 5355].map(is_lookalike_port) == [true; 3] && !is_lookalike_port(PORT));
}

#[test]
fn streams_are_recognised_from_any_message_on() {
    let query = over_tcp(&[ask(7, "example.test", 1)]);
    let answer = over_tcp(&[reply(7, ANSWER, "example.test", 1)]);
    assert_eq!(Dns::probe(C, &query), Guess::Yes);
    assert_eq!(Dns::probe(S, &answer), Guess::Yes);
    assert_eq!(Dns::probe(S, &query), Guess::No);
    assert_eq!(Dns::probe(C, &answer), Guess::No);
    for cut in 0..query.len() {
        assert_eq!(Dns::probe(C, &query[..cut]), Guess::Maybe, "{cut}");
    }
    let windows = [ask(7, "example.test", 252), b"MS".to_vec()].concat();
    assert_eq!(Dns::probe(C, &over_tcp(&[windows])), Guess::Yes);
    for other in [
        &b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
        b"get foo\r\nget foo\r\nget foo\r\nget foo\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03aaaaaaaaaaaaaaaaaaaaaaa",
        b"\x21\x00\x00\x00\x03select @@version_comment limit 1\0\0\0",
    ] {
        assert_eq!(Dns::probe(C, other), Guess::No);
        assert_eq!(Dns::probe(S, other), Guess::No);
        assert_eq!(probe_datagram(other, false), None);
    }
}

#[test]
fn random_bytes_are_not_taken() {
    let mut state = 88_172_645_463_325_252_u64;
    for _ in 0..200_000 {
        let mut bytes = [0; 48];
        for chunk in bytes.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes());
        }
        assert_eq!(Dns::probe(C, &bytes), Guess::No);
        assert_eq!(probe_datagram(&bytes, false), None);
    }
}

#[test]
fn names_that_point_at_themselves_end() {
    let mut looped = reply(7, ANSWER, "example.test", 1);
    let at = looped.len() - 16;
    looped[at + 1] = at as u8;
    let said = [(C, &ask(7, "example.test", 1)[..]), (S, &looped)];
    assert_eq!(
        udp(&said),
        [r#"A "A example.test." 30 -> ok 0 "NOERROR" 46"#]
    );
    let mut header_only = ask(7, "x", 1);
    header_only[12] = 0xc0;
    assert_eq!(
        udp(&[(C, &header_only)]),
        [r#"QUERY "QUERY" 19 -> unanswered 0"#]
    );
}

#[test]
fn garbage_ends() {
    let queries = over_tcp(&[
        ask(1, "a.test", 252),
        ask(2, "b.test", 251),
        ask(3, "c.test", 16),
    ]);
    let zone = question("a.test", 252, 1);
    let answers = over_tcp(&[
        message(
            1,
            0x8480,
            [
                std::slice::from_ref(&zone),
                &[soa(5), soa(6)],
                &[],
                &[opt(1)],
            ],
        ),
        message(1, 0x8480, [&[zone], &[soa(5)], &[], &[]]),
        reply(3, ANSWER, "c.test", 16),
    ]);
    fuzz(Dns::default, &[(C, &queries), (S, &answers)], 11);
    let query = ask(1, "a.test", 1);
    let answer = reply(1, ANSWER, "a.test", 1);
    fuzz(|| Udp, &[(C, &query), (S, &answer)], 12);
    assert_eq!(tcp(&[(C, b"\x00\x03abc")]), ["lost ToServer Malformed"]);
    assert!(size_of::<Dns>() <= 32);
}

/// What the texts of an answer say of addresses.
fn answers_of(message: &[u8]) -> String {
    struct Nobody;
    impl super::super::Asked for Nobody {
        fn nth(&self, _: usize) -> Option<u32> {
            None
        }
        fn with_id(&self, _: u64) -> Option<u32> {
            None
        }
    }
    let mut arena = Vec::new();
    let mut context = Context {
        asked: &Nobody,
        texts: Texts::new(&mut arena, 128),
        protocol: None,
        is_end: false,
        is_cut: false,
    };
    let _ = datagram(Way::ToClient, message, &mut context);
    let std::ops::Range { start, end } = context.texts.status_text;
    let said = String::from_utf8(arena[start as usize..end as usize].to_vec()).unwrap();
    let (_, answers) = said.split_once('\0').unwrap_or_default();
    answers.to_owned()
}

#[test]
fn answers_are_the_addresses_behind_every_alias_of_the_name() {
    let alias = record(5, &[3, b'w', b'e', b'b', 0xc0, 12]);
    let (a, b) = (record(1, &[10, 0, 0, 1]), record(1, &[10, 0, 0, 2]));
    let six = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[7]].concat();
    let six = record(28, &six);
    let ask = |kind| [question("example.test", kind, 1)];
    let reply = |flags, kind, records: &[Vec<u8>]| {
        answers_of(&message(7, flags, [&ask(kind), records, &[], &[]]))
    };
    assert_eq!(
        reply(ANSWER, 1, &[alias.clone(), a.clone(), b.clone()]),
        "10.0.0.1 10.0.0.2"
    );
    assert_eq!(reply(ANSWER, 28, &[alias.clone(), six]), "2001:db8::7");
    // Nothing, where nothing was answered, or something else was asked.
    assert_eq!(reply(ANSWER, 1, &[]), "");
    assert_eq!(reply(ANSWER, 1, &[alias]), "");
    assert_eq!(reply(ANSWER, 15, std::slice::from_ref(&a)), "");
    assert_eq!(reply(ANSWER | 3, 1, std::slice::from_ref(&a)), "");
    // An address of another length is none; nor is what stands in other sections.
    assert_eq!(reply(ANSWER, 1, &[record(1, &[10, 0, 0]), b]), "10.0.0.2");
    let aside = message(
        7,
        ANSWER,
        [
            &ask(1),
            &[],
            std::slice::from_ref(&a),
            std::slice::from_ref(&a),
        ],
    );
    assert_eq!(answers_of(&aside), "");
    let chaos = message(
        7,
        ANSWER,
        [
            &[question("example.test", 1, 3)],
            &[record_of_class(3)],
            &[],
            &[],
        ],
    );
    assert_eq!(answers_of(&chaos), "");
}

fn record_of_class(class: u8) -> Vec<u8> {
    let mut out = record(1, &[10, 0, 0, 1]);
    out[5] = class;
    out
}

#[test]
fn a_long_answer_says_whole_addresses_as_far_as_there_is_room() {
    let records: Vec<_> = (0..100)
        .map(|n| record(1, &[10, 10, 100, 100 + n]))
        .collect();
    let ask = [question("example.test", 1, 1)];
    let said = answers_of(&message(7, ANSWER, [&ask, &records, &[], &[]]));
    let expected: Vec<_> = (0..36).map(|n| format!("10.10.100.{}", 100 + n)).collect();
    assert_eq!(said, expected.join(" "));
    assert!(
        said.len() <= 512 && said.len() + " 10.10.100.136".len() > 512,
        "{}",
        said.len()
    );
}
