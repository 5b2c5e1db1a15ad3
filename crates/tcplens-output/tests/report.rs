//! The report as text, from records made by hand: the whole page.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::*;
use tcplens_core::time::SECOND;
use tcplens_core::view::Report;
use tcplens_core::view::compare::{Period, compare};
use tcplens_output::glyphs::Glyphs;
use tcplens_output::report::{ComparedSide, ReportOptions, render, render_comparison};
use tcplens_output::time_style::{TimeFormat, TimeStyle};

#[path = "../../tcplens-core/tests/view_records/mod.rs"]
mod view_records;

#[path = "../../tcplens-core/tests/view_records/requests.rs"]
mod view_requests;

#[path = "../../tcplens-core/tests/compare/traffic.rs"]
mod traffic;

use traffic::{Traffic, period};
use view_records::*;
use view_requests::{at, request, unanswered};

fn shop() -> Report {
    let mut report = Report::default();
    for n in 0..4 {
        let client = ["192.0.2.7", "2001:db8::7"][n as usize % 2];
        let server = ["10.0.0.1", "2001:db8::1"][n as usize % 2];
        report.add(AnyRecord::Handshake(&handshake(n, client, server, 80)));
        let mut connection = connection(n, client, server, 80);
        connection.server.retransmits = if client == "192.0.2.7" { 9 } else { 0 };
        report.add(AnyRecord::Connection(&connection));
        let refused = failed(
            Outcome::Refused,
            1,
            handshake(10 + n, "10.0.0.1", "10.0.0.2", 8080),
        );
        report.add(AnyRecord::Handshake(&refused));
        let silent = Handshake {
            syn_retransmits: 6,
            ..failed(
                Outcome::Unanswered,
                30_000,
                handshake(20 + n, "10.0.0.1", "10.0.0.3", 443),
            )
        };
        report.add(AnyRecord::Handshake(&silent));
    }
    report
}

fn page(report: &Report, health: &Health, color: bool, width: usize) -> String {
    let sources = ["/tmp/Joe's shop.pcap".to_owned()];
    let plain = ReportOptions::plain(TimeFormat::new(TimeStyle::Utc));
    let options = ReportOptions {
        sources: &sources,
        first_packet: Some(START),
        color,
        width,
        ..plain
    };
    render(report, &report.finish(health), health, options)
}

#[test]
fn a_report_says_what_is_wrong_then_shows_the_tables_then_what_was_lost() {
    let health = Health {
        undecoded: vec![("arp", 3)],
        cut_packets: 1,
        damaged_at: Some(4711),
        ..health()
    };
    expect("shop.txt", &page(&shop(), &health, false, 100));
}

#[test]
fn the_same_at_other_servers_is_told_once_with_a_line_for_each() {
    let mut report = Report::default();
    let attempts = [
        ("10.0.0.2", 4, Outcome::Refused),
        ("2001:db8::2", 3, Outcome::Refused),
        ("10.0.0.3", 2, Outcome::Refused),
        ("10.0.0.4", 5, Outcome::Unanswered),
    ];
    for (n, (server, count, outcome)) in attempts.into_iter().enumerate() {
        for m in 0..count {
            let attempt = handshake(10 * n as i64 + m, "192.0.2.7", server, 8080);
            let failed = failed(outcome, 30_000, attempt);
            report.add(AnyRecord::Handshake(&failed));
        }
    }
    let text = page(&report, &health(), false, 100);
    let (_, refused) = text.split_once(". refused, suspect: ").unwrap();
    let (refused, _) = refused.split_once("\n\n").unwrap();
    assert_eq!(refused.matches("next: ").count(), 1, "{refused}");
    let (_, others) = refused.split_once("the same elsewhere:\n").unwrap();
    for line in [
        "  3. [2001:db8::2]:8080: 3 of 3 attempts refused (RST), ",
        "  4. 10.0.0.3:8080: 2 of 2 attempts refused (RST), ",
        "; packet 201.",
    ] {
        assert!(others.contains(line), "{others}");
    }
    // What is wrong otherwise is told in full.
    assert_eq!(text.matches("next: ").count(), 2, "{text}");
}

/// Who looks again looks at what was selected before.
#[test]
fn what_concerns_all_is_shown_with_the_users_own_filter() {
    let health = Health {
        kernel_drops: Some(500),
        ..health()
    };
    let report = shop();
    let shown = |filter: Option<&str>| {
        let options = ReportOptions {
            sources: &["eth0".to_owned()],
            is_live: true,
            filter,
            ..ReportOptions::plain(TimeFormat::new(TimeStyle::Utc))
        };
        render(&report, &report.finish(&health), &health, options)
    };
    let all = "show: tcplens connections -i eth0 'tcp'\n";
    assert!(shown(None).contains(all), "{}", shown(None));
    let own = shown(Some("port 443 and host 10.0.0.3"));
    assert!(!own.contains(all), "{own}");
    assert!(own.contains("show: tcplens connections -i eth0 'port 443 and host 10.0.0.3'\n"));
    // Of others what they concern is enough.
    assert!(
        own.contains("show: tcplens handshakes -i eth0 'tcp and "),
        "{own}"
    );
}

#[test]
fn without_trouble_it_says_what_was_checked() {
    let mut report = Report::default();
    report.add(AnyRecord::Handshake(&handshake(
        0,
        "192.0.2.7",
        "10.0.0.1",
        80,
    )));
    report.add(AnyRecord::Connection(&connection(
        0,
        "192.0.2.7",
        "10.0.0.1",
        80,
    )));
    assert_eq!(
        page(&report, &health(), false, 80),
        include_str!("report/well.txt")
    );
}

/// A slow web server, a redis that is loading, and nothing else.
fn kitchen() -> Report {
    let mut report = Report::default();
    for n in 0..20 {
        report.request(&request(n, "10.0.0.1", 6379, n % 3));
    }
    for n in 20..24 {
        report.request(&Request {
            status: Status::Error,
            status_text: Some("-LOADING Redis is loading the dataset in memory"),
            ..request(n, "10.0.0.1", 6379, 0)
        });
        report.request(&Request {
            client_ip: "2001:db8::7".parse().unwrap(),
            protocol: Protocol::Http,
            operation: Some("POST"),
            summary: Some("POST /checkout/basket/8f2c7d10-aa4b/confirm HTTP/1.1"),
            ..request(n, "2001:db8::1", 80, 250)
        });
    }
    let cut = unanswered(EndedBy::Reset, request(30, "10.0.0.1", 6379, 0));
    report.request(&Request {
        time: at(31),
        ..cut.clone()
    });
    report.request(&cut);
    // Another protocol of the same server, of which the time is known once; and one of which it never is.
    let sizes = |n, protocol| Request {
        protocol,
        operation: None,
        summary: None,
        ..request(n, "10.0.0.1", 6379, 1)
    };
    report.request(&sizes(32, Protocol::Memcached));
    for (n, protocol) in [(33, Protocol::Memcached), (34, Protocol::Dns)] {
        report.request(&Request {
            in_client_us: None,
            in_queue_us: None,
            in_server_us: None,
            in_network_us: None,
            in_loss_us: None,
            in_window_us: None,
            in_transfer_us: None,
            verdict: None,
            ..sizes(n, protocol)
        });
    }
    report
}

#[test]
fn a_report_says_which_requests_are_slow_and_where_their_time_went() {
    expect("kitchen.txt", &page(&kitchen(), &health(), false, 100));
}

#[test]
fn what_is_too_little_to_be_wrong_is_not_nothing() {
    let mut report = Report::default();
    for n in 0..30 {
        report.request(&Request {
            status: if n == 7 { Status::Error } else { Status::Ok },
            ..request(n, "10.0.0.1", 6379, if n == 9 { 200 } else { 1 })
        });
    }
    let page = page(&report, &health(), false, 200);
    let said = "\nNothing found that is called wrong.\nSeen, but too little of it to be called wrong: 1 request with an \
                error (wrong from 3 of one cause and 5 % of one server's on); 1 request that took 100 ms or more (wrong from 3 of one cause and 1 % \
                of one server's on).\nChecked: ";
    assert!(
        without_breaks(&page).contains(&without_breaks(said)),
        "{page}"
    );
}

/// As one line.
fn without_breaks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn without_tcp_there_are_no_tables() {
    let health = Health {
        undecoded: vec![("udp", 1000)],
        tcp_segments: 0,
        ..health()
    };
    assert_eq!(
        page(&Report::default(), &health, false, 100),
        include_str!("report/none.txt")
    );
}

#[test]
fn colour_adds_nothing_but_colour() {
    let colored = page(&shop(), &health(), true, 100);
    assert!(colored.contains("\x1b[31mrefused\x1b[0m"));
    let mut plain = String::new();
    for (n, piece) in colored.split("\x1b[").enumerate() {
        let text = if n == 0 {
            piece
        } else {
            piece.split_once('m').map_or("", |(_, text)| text)
        };
        plain.push_str(text);
    }
    assert_eq!(plain, page(&shop(), &health(), false, 100));
}

#[test]
fn prose_fits_the_width() {
    let page = page(&shop(), &health(), false, 80);
    let is_command = |line: &str| line.starts_with("show:") || line.starts_with("explain:");
    let is_prose = |line: &&str| line.starts_with("   ") && !is_command(line.trim_start());
    let findings = page
        .split("\nConnection attempts\n")
        .next()
        .unwrap_or_default();
    assert_eq!(
        findings
            .lines()
            .filter(is_prose)
            .find(|line| line.chars().count() > 80),
        None
    );
}

#[test]
fn rows_beyond_the_limit_are_counted() {
    let mut report = Report::default();
    for n in 0..30 {
        let refused = failed(
            Outcome::Refused,
            1,
            handshake(n, "192.0.2.7", &format!("10.0.{n}.1"), 80 + n as u64 % 2),
        );
        report.add(AnyRecord::Handshake(&Handshake {
            time: START.plus(n * SECOND),
            ..refused.clone()
        }));
        report.add(AnyRecord::Handshake(&Handshake {
            client_ip: refused.server_ip,
            ..refused
        }));
    }
    let text = page(&report, &health(), false, 100);
    assert!(text.contains("\n... and 10 more.\n"), "{text}");
    assert!(text.contains("\n... and 20 more.\n"), "{text}");
}

/// A minute of a shop: a redis that stalls for five seconds, one error, one server that refuses.
fn minute() -> Report {
    let mut report = Report::default();
    for n in 0..600_u64 {
        let stalls = (300..350).contains(&n) && n % 3 == 0;
        let server_ms = if stalls { 400 + n % 7 * 30 } else { n % 5 };
        let plain = request(0, "10.0.0.1", 6379, server_ms);
        report.request(&Request {
            time: at(0).plus(i64::try_from(n).unwrap() * SECOND / 10),
            status: if n == 440 { Status::Error } else { Status::Ok },
            ..plain
        });
        if n % 10 == 0 {
            report.request(&Request {
                time: at(n / 10),
                protocol: Protocol::Http,
                operation: Some("GET"),
                in_transfer_us: ms(30),
                ..request(n, "2001:db8::1", 80, 20)
            });
        }
        if (200..230).contains(&n) {
            let attempt = handshake(
                i64::try_from(n / 10).unwrap(),
                "192.0.2.7",
                "10.0.0.2",
                8080,
            );
            let refused = failed(Outcome::Refused, 1, attempt);
            report.add(AnyRecord::Handshake(&refused));
        }
    }
    report
}

fn plots(report: &Report, width: usize, glyphs: Glyphs) -> String {
    let options = ReportOptions {
        width,
        glyphs,
        first_packet: Some(START),
        rows: 3,
        ..ReportOptions::plain(TimeFormat::new(TimeStyle::Utc))
    };
    render(report, &report.finish(&health()), &health(), options)
}

/// With TCPLENS_BLESS what is expected is written anew.
fn expect(name: &str, page: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/report")
        .join(name);
    if std::env::var_os("TCPLENS_BLESS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    assert_eq!(
        page,
        std::fs::read_to_string(&path).unwrap_or_default(),
        "{name}"
    );
}

#[test]
fn plots_fit_the_width() {
    for width in [80, 120, 200] {
        let page = plots(&minute(), width, Glyphs::Unicode);
        expect(&format!("minute{width}.txt"), &page);
        let (_, drawn) = page
            .split_once("\nHow long requests took, over time\n")
            .unwrap();
        let (drawn, _) = drawn.split_once("\nConnection attempts\n").unwrap();
        for line in drawn.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn without_unicode_everything_is_ascii_and_says_the_same() {
    let unicode = plots(&minute(), 80, Glyphs::Unicode);
    let ascii = plots(&minute(), 80, Glyphs::Ascii);
    expect("minute80ascii.txt", &ascii);
    assert!(ascii.is_ascii());
    let words = |page: &str| -> Vec<String> {
        let plain = |c: char| c.is_alphanumeric() || c == '%';
        let words = page.replace('µ', "u");
        let words = words.split(|c: char| !plain(c)).map(str::to_owned);
        // `o` is a shade of ASCII.
        words
            .filter(|word| !word.trim_matches('o').is_empty())
            .collect()
    };
    assert_eq!(words(&ascii), words(&unicode));
}

#[test]
fn too_little_is_not_drawn() {
    let mut few = Report::default();
    for n in 0..9 {
        few.request(&request(n, "10.0.0.1", 6379, n));
    }
    for report in [&few, &Report::default()] {
        let page = plots(report, 80, Glyphs::Unicode);
        assert!(!page.contains("How long requests took"), "{page}");
        assert!(!page.contains("A bar is"), "{page}");
    }
    // All within one moment: no course of time, but a histogram.
    let mut moment = Report::default();
    for n in 0..20 {
        moment.request(&Request {
            time: at(0),
            ..request(n, "10.0.0.1", 6379, n)
        });
    }
    let page = plots(&moment, 80, Glyphs::Unicode);
    assert!(!page.contains("over time"), "{page}");
    assert!(page.contains("\nHow long requests took\n"), "{page}");
}

/// Without requests it is connecting that is drawn.
#[test]
fn of_attempts_alone_it_is_shown_how_long_connecting_took() {
    let mut report = Report::default();
    for n in 0..40 {
        let mut attempt = handshake(n, "192.0.2.7", "10.0.0.1", 80);
        attempt.handshake_us = ms(if n % 10 == 0 { 1020 } else { 20 });
        if n % 13 == 1 {
            attempt = failed(Outcome::Unanswered, 3000, attempt);
        }
        report.add(AnyRecord::Handshake(&attempt));
    }
    let page = plots(&report, 80, Glyphs::Unicode);
    let (_, drawn) = page
        .split_once("\nHow long connecting took, over time\n")
        .unwrap();
    let (drawn, _) = drawn.split_once("\nConnection attempts\n").unwrap();
    expect("attempts80.txt", drawn);
}

/// Shades and marks are told apart without colour, and colour is added around them.
#[test]
fn plots_are_the_same_without_colour() {
    let colored = ReportOptions {
        color: true,
        width: 80,
        first_packet: Some(START),
        rows: 3,
        ..ReportOptions::plain(TimeFormat::new(TimeStyle::Utc))
    };
    let page = render(&minute(), &minute().finish(&health()), &health(), colored);
    assert!(page.contains("\x1b[33m"), "slow rows are yellow: {page}");
    let mut plain = String::new();
    for (n, piece) in page.split("\x1b[").enumerate() {
        plain.push_str(match n {
            0 => piece,
            _ => piece.split_once('m').map_or("", |(_, text)| text),
        });
    }
    assert_eq!(plain, plots(&minute(), 80, Glyphs::Unicode));
}

fn comparison(before: &Period, now: &Period, width: usize, glyphs: Glyphs) -> String {
    let side = |name, period| ComparedSide {
        name,
        period,
        span: None,
    };
    let options = ReportOptions {
        sources: &["tuesday.pcap".to_owned()],
        width,
        glyphs,
        rows: 2,
        ..ReportOptions::plain(TimeFormat::new(TimeStyle::Utc))
    };
    let (before, now) = (side("monday.pcap", before), side("tuesday.pcap", now));
    let changes = compare(before.period, now.period);
    render_comparison(&changes, before, now, 0, options)
}

/// Slower, with errors that may be chance, and a server that is new.
#[test]
fn what_changed_comes_first_then_what_may_be_chance_then_what_was_compared() {
    let plain = Traffic::default();
    let slower = Traffic {
        factor: 1.8,
        errors: 0.06,
        ..plain
    };
    let (before, mut now) = (period(21, &plain), period(22, &slower));
    let start = START.plus(22 * 1000 * SECOND);
    let other = Traffic {
        server: "10.0.0.9",
        ..plain
    };
    other.requests(23, start, 300 * SECOND, |request| now.request(request));
    for (width, glyphs, name) in [
        (80, Glyphs::Unicode, "compare80.txt"),
        (120, Glyphs::Unicode, "compare120.txt"),
        (80, Glyphs::Ascii, "compare80ascii.txt"),
    ] {
        let page = comparison(&before, &now, width, glyphs);
        expect(name, &page);
        assert!(glyphs == Glyphs::Unicode || page.is_ascii());
    }
}

#[test]
fn of_nothing_nothing_is_compared() {
    let (nothing, some) = (Period::default(), period(24, &Traffic::default()));
    let page = comparison(&nothing, &some, 80, Glyphs::Unicode);
    expect("compare-nothing.txt", &page);
}
