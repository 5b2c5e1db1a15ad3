//! `explain` as text: the diagram at any width, with colour and without, in ASCII, with whatever the network says. What the
//! lines say is looked at in tests/cases/explain-*.

use std::sync::Arc;

use tcplens_core::record::*;
use tcplens_core::time::Timestamp;
use tcplens_core::view::explain::*;
use tcplens_core::wire::segment::flags;
use tcplens_output::explain::{ExplainOptions, json, render};
use tcplens_output::glyphs::Glyphs;
use tcplens_output::hosts::Hosts;
use tcplens_output::time_style::{TimeFormat, TimeStyle};

#[path = "../../tcplens-core/tests/view_records/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod view_records;

use view_records::*;

fn event(at_us: i64, from: Option<End>, what: What) -> Event {
    let time = START.plus(at_us * 1000);
    Event {
        time,
        until: time,
        from,
        what,
        flags: flags::ACK,
        frames: [1_234_567, 1_234_567],
        segments: 1,
        bytes: 0,
        span: None,
        notes: None,
    }
}

fn asked(what: &str) -> Arc<Asked> {
    let at = |us: i64| START.plus(us * 1000);
    Arc::new(Asked {
        task: 1,
        protocol: Protocol::Http,
        what: what.to_owned(),
        status: Status::Error,
        status_code: Some(500),
        status_text: Some("\u{1b}[31mOh no".to_owned()),
        ended_by: EndedBy::Response,
        times: Times {
            first_request: at(20_000),
            last_request: at(20_000),
            first_response: at(1_220_000),
            last_response: at(1_230_000),
            acknowledged: Timestamp::MIN,
        },
        total: ms(1210),
        budget: Some([0, 0, 1_199_000_000, 1_000_000, 0, 0, 10_000_000]),
        verdict: Some(Verdict::Server),
        bytes: [900, 1_300_000],
    })
}

/// One of each kind of line.
fn story(what: &str) -> Story {
    let (client, server) = (Some(End::Client), Some(End::Server));
    let asked = asked(what);
    let notes = Notes {
        asked: vec![Arc::clone(&asked)],
        asks: 1,
        ..Notes::default()
    };
    let answer = Notes {
        begun: vec![Arc::clone(&asked)],
        answered: vec![Arc::clone(&asked)],
        answers: 1,
        ..Notes::default()
    };
    let during = Notes {
        during: Some(Arc::clone(&asked)),
        ..Notes::default()
    };
    let concludes = Notes {
        concludes: true,
        ..Notes::default()
    };
    let first = Notes {
        is_first: true,
        ..Notes::default()
    };
    let why = Again::Timeout;
    let events = vec![
        event(0, client, What::Syn),
        event(8_000, server, What::SynAck),
        Event {
            notes: Some(Box::new(concludes)),
            ..event(20_000, client, What::Ack)
        },
        Event {
            bytes: 900,
            notes: Some(Box::new(notes)),
            ..event(20_000, client, What::Data)
        },
        Event {
            until: START.plus(1_220_000_000),
            span: ms(1200),
            notes: Some(Box::new(during)),
            ..event(20_000, None, What::Silence(Silence::After(End::Client)))
        },
        Event {
            until: START.plus(1_230_000_000),
            bytes: 1_300_000,
            segments: 900,
            frames: [1_234_567, 1_235_467],
            notes: Some(Box::new(answer)),
            ..event(1_220_000, server, What::Data)
        },
        Event {
            bytes: 1448,
            span: ms(203),
            ..event(1_433_000, server, What::Repeat { why, of: 1_234_600 })
        },
        Event {
            bytes: 10,
            ..event(
                1_440_000,
                client,
                What::Hole {
                    is_acknowledged: false,
                },
            )
        },
        Event {
            segments: 12,
            what: What::Fold(Box::new(Folded {
                events: 12,
                bytes: [10, 20_000],
                requests: 3,
                longest: Some(asked),
                repeats: 2,
                fills: 1,
                closures: 1,
            })),
            ..event(1_450_000, None, What::Ack)
        },
        Event {
            notes: Some(Box::new(first)),
            ..event(1_460_000, client, What::Fin)
        },
        event(1_470_000, server, What::Reset),
    ];
    let spent = Spent {
        ns: [
            20_000_000,
            0,
            0,
            1_199_000_000,
            1_000_000,
            203_000_000,
            0,
            10_000_000,
            0,
            0,
            37_000_000,
        ],
    };
    Story {
        head: Head {
            connection: Connection {
                duration_us: ms(1470),
                protocol: Some(Protocol::Http),
                close: Close::RstByServer,
                ..connection(0, "10.0.0.1", "10.0.0.2", 80)
            },
            handshake: Some(handshake(0, "10.0.0.1", "10.0.0.2", 80)),
            closed_first: client,
        },
        events,
        foot: Foot {
            spent,
            requests: 4,
            answered: 4,
            longest: None,
            rates: [None, Some(130_000_000)],
            left_out: 12,
        },
    }
}

fn page(story: &Story, width: usize, is_ascii: bool, color: bool) -> String {
    let options = ExplainOptions {
        width,
        color,
        glyphs: if is_ascii {
            Glyphs::Ascii
        } else {
            Glyphs::Unicode
        },
        time: TimeFormat::new(TimeStyle::Utc),
        chosen: Some("of a test"),
        hosts: Hosts::default(),
    };
    render(story, options)
}

#[test]
fn the_page_is_as_it_should_be() {
    let printed = page(&story("GET a.example/cart"), 100, false, false);
    let expected = include_str!("explain/page.txt");
    assert!(printed == expected, "{printed}");
}

#[test]
fn no_line_is_wider_than_the_screen_and_all_arrows_end_in_one_column() {
    let story = story(&"GET /a-very-long-name-of-something-that-no-screen-has-room-for ".repeat(3));
    for width in [0, 72, 80, 100, 120, 200, 400] {
        let printed = page(&story, width, false, false);
        let mut ends = Vec::new();
        for line in printed.lines() {
            assert!(line.chars().count() <= width.max(72), "{width}: {line}");
            assert_eq!(line.trim_end(), line);
            if line.contains(['▶', '◀']) {
                let behind = line.trim_end_matches(|c| c != '▶' && c != '─');
                ends.push(behind.chars().count());
            }
        }
        assert!(
            ends.len() == 8 && ends.iter().all(|end| *end == ends[0]),
            "{width}: {ends:?}\n{printed}"
        );
        // How much it is stays, however long its name.
        assert!(printed.contains("… (900 bytes) ─"), "{printed}");
    }
}

#[test]
fn ascii_is_ascii_and_says_the_same() {
    let story = story("GET /é");
    let (plain, ascii) = (
        page(&story, 100, false, false),
        page(&story, 100, true, false),
    );
    assert!(ascii.is_ascii(), "{ascii}");
    assert_eq!(plain.lines().count(), ascii.lines().count());
    for (plain, ascii) in plain.lines().zip(ascii.lines()) {
        assert_eq!(plain.chars().count(), ascii.len());
    }
    assert!(ascii.contains("<--") && ascii.contains("-->") && ascii.contains("GET /?"));
}

#[test]
fn colour_changes_nothing_but_colour_and_the_network_cannot_send_escapes() {
    let story = story("GET /\u{1b}[2J\n\u{7}");
    let (plain, colored) = (
        page(&story, 100, false, false),
        page(&story, 100, false, true),
    );
    assert!(
        !plain.contains('\u{1b}') && !plain.contains('\u{7}'),
        "{plain:?}"
    );
    let mut without = colored.clone();
    for sequence in [
        "\u{1b}[0m",
        "\u{1b}[1m",
        "\u{1b}[2m",
        "\u{1b}[31m",
        "\u{1b}[33m",
    ] {
        without = without.replace(sequence, "");
    }
    assert_eq!(without, plain);
    assert!(
        colored
            .lines()
            .any(|line| line.contains("\u{1b}[31m◀") && line.contains("1,448 bytes again"))
    );
}

#[test]
fn machines_get_an_object_per_event_and_one_for_the_whole() {
    let lines = json(&story("GET \"x\""));
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines.len(), 12);
    let id = "\"connection_id\":\"18e9ea0fc8e96000-00000007\"";
    for line in &lines[..11] {
        assert!(
            line.starts_with(&format!("{{\"kind\":\"event\",{id},\"event\":")),
            "{line}"
        );
    }
    assert_eq!(
        lines[3],
        format!(
            "{{\"kind\":\"event\",{id},\"event\":4,\"time\":\"2026-11-21T01:08:00.020000000Z\",\"since_start_us\":20000,\
             \"from\":\"client\",\"what\":\"data\",\"first_frame\":1234567,\"last_frame\":1234567,\"segments\":1,\"bytes\":900,\
             \"asks\":[1],\"text\":\"GET \\\"x\\\" (900 bytes)\",\"note\":\"request 1\"}}"
        )
    );
    assert_eq!(
        lines[6],
        format!(
            "{{\"kind\":\"event\",{id},\"event\":7,\"time\":\"2026-11-21T01:08:01.433000000Z\",\"since_start_us\":1433000,\
             \"from\":\"server\",\"what\":\"retransmit\",\"first_frame\":1234567,\"last_frame\":1234567,\"segments\":1,\
             \"bytes\":1448,\"span_us\":203000,\"of_frame\":1234600,\"why\":\"timeout\",\"text\":\"1,448 bytes again\",\
             \"note\":\"packet 1234600 once more, 203 ms later: no answer came in time\"}}"
        )
    );
    assert!(lines[11].starts_with(&format!(
        "{{\"kind\":\"story\",{id},\"closed_first\":\"client\",\"limited_by\":\"server\",\"handshake_us\":20000,"
    )));
}

#[test]
fn what_is_not_a_file_has_no_packet_numbers() {
    let mut story = story("GET /");
    story.head.connection.first_frame = None;
    assert!(!json(&story).contains("frame"));
}
