//! The report as text, from records made by hand: the whole page.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::*;
use tcplens_core::time::SECOND;
use tcplens_core::view::Report;
use tcplens_output::report::{ReportOptions, render};
use tcplens_output::time_style::{TimeFormat, TimeStyle};

#[path = "../../tcplens-core/tests/view_records/mod.rs"]
mod view_records;

#[path = "../../tcplens-core/tests/view_records/requests.rs"]
mod view_requests;

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
    assert_eq!(
        page(&shop(), &health, false, 100),
        include_str!("report/shop.txt")
    );
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
    assert_eq!(
        page(&kitchen(), &health(), false, 100),
        include_str!("report/kitchen.txt")
    );
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
                error (wrong from 3 and 5 % of one server's on); 1 request that took 100 ms or more (wrong from 3 and 1 % \
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
