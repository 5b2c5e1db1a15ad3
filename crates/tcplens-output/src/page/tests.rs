//! The page as a text: that all of it is in it, that nothing of the traffic is markup, and that what changed adds up. Whether a
//! browser shows it is looked at by dev/page-test.

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{
    ConnectionId, EndedBy, Handshake, Outcome, Protocol, Request, RoleFrom, Side, Status, Vantage,
    Verdict, Word,
};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::PageView;
use tcplens_core::wire::segment::Tunnel;

use self::records::{START, handshake, health};
use super::*;

#[expect(dead_code, reason = "other tests make other records")]
#[path = "../../../tcplens-core/tests/view_records/mod.rs"]
mod records;

const HOSTILE: &str = "</script><script>alert(1)</script><!--";

fn about(sources: &[String]) -> About<'_> {
    About {
        sources,
        ..About::default()
    }
}

/// Attempts, one each second.
fn seen(outcomes: &[Outcome]) -> PageView {
    let mut page = PageView::default();
    add(&mut page, outcomes, START);
    page
}

fn add(page: &mut PageView, outcomes: &[Outcome], start: Timestamp) {
    for (&outcome, n) in outcomes.iter().zip(0..) {
        let attempt = Handshake {
            outcome,
            time: start.plus(n * SECOND),
            ..handshake(0, "10.0.0.1", "10.0.0.2", 80)
        };
        page.add(AnyRecord::Handshake(&attempt));
    }
}

#[test]
fn a_page_is_one_file_that_asks_nobody_for_anything() {
    let page = file("{}");
    // Names of XML, and where uPlot comes from: nothing that a browser fetches.
    let known = [
        "http://www.w3.org/2000/svg",
        "https://github.com/leeoniya/uPlot",
    ];
    let mut rest = page.clone();
    for name in known {
        rest = rest.replace(name, "");
    }
    assert!(!rest.contains("http://") && !rest.contains("https://"));
    for attribute in ["src=", "@import", "url(", "<iframe", "<object", "<form"] {
        assert!(!rest.contains(attribute), "{attribute}");
    }
    assert!(page.contains("connect-src 'none'") && !live().contains("connect-src"));
    assert!(!page.contains("@@"));
    // No markup is made of text anywhere.
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ] {
        assert!(!SCRIPT.contains(way), "{way}");
    }
}

#[test]
fn the_policy_names_what_is_in_the_page_and_nothing_else() {
    let page = live();
    let policy = live_policy();
    for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let pieces: Vec<_> = page
            .split(open)
            .skip(1)
            .filter_map(|piece| piece.split(close).next())
            .collect();
        assert_eq!(pieces.len(), 2, "{open}");
        for piece in pieces {
            assert!(policy.contains(&sha256::source(piece)), "{open}");
        }
    }
    assert_eq!(policy.matches("'sha256-").count(), 4);
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
}

#[test]
fn what_a_file_is_called_or_what_was_asked_for_is_never_markup() {
    let sources = [HOSTILE.to_owned()];
    let mut page = seen(&[Outcome::Refused; 3]);
    let about = About {
        filter: Some(HOSTILE),
        ..about(&sources)
    };
    let findings = page.report().finish(&health());
    let (data, _) = Encoder::default().document(&mut page, Some(&findings), &health(), &about, 0);
    let file = file(&data);
    let before = super::file("");
    assert_eq!(
        file.matches("<script").count(),
        before.matches("<script").count()
    );
    assert!(file.contains("\\u003c/script>\\u003cscript>alert(1)"));
    let start = file.find("id=\"data\">").unwrap();
    let end = file[start..].find("</script>").unwrap();
    assert_eq!(&file[start + 10..start + end], data.replace('<', "\\u003c"));
}

#[test]
fn a_document_of_what_changed_has_that_and_no_more() {
    let (sources, health) = ([], health());
    let mut page = seen(&[Outcome::Refused, Outcome::Established]);
    let mut encoder = Encoder::default();
    let findings = page.report().finish(&health);
    let (all, first) = encoder.document(&mut page, Some(&findings), &health, &about(&sources), 0);
    assert!(all.starts_with("{\"revision\":1,\"since\":0,"), "{all}");
    assert!(
        all.contains("\"findings\":{") && all.contains("\"rows\":[["),
        "{all}"
    );
    let (nothing, second) =
        encoder.document(&mut page, Some(&findings), &health, &about(&sources), first);
    assert_eq!(second, first + 1);
    assert!(!nothing.contains("\"findings\""), "{nothing}");
    assert!(nothing.contains("\"rows\":[],"), "{nothing}");
    assert!(nothing.contains("\"*\":[5,0,0,0,[]]"), "{nothing}");
    // One more in the second slice: that slice comes, as it is now, and the row of its server.
    add(&mut page, &[Outcome::Refused], START.plus(SECOND));
    let (change, _) = encoder.document(&mut page, None, &health, &about(&sources), second);
    assert_eq!(change.matches("\"rows\":[[").count(), 1, "{change}");
    let slot = START.plus(SECOND).0 / 5_000_000;
    assert!(
        change.contains(&format!("\"*\":[5,0,0,0,[[{slot},0,0,0,0,0,0,[1,1],[],[],")),
        "{change}"
    );
    // Who knows nothing is told all.
    let (again, _) = encoder.document(&mut page, None, &health, &about(&sources), 0);
    assert!(
        again.contains("\"findings\":{") && again.contains("\"*\":[5,1,0,0,[["),
        "{again}"
    );
}

#[test]
fn the_script_reads_words_in_the_order_of_the_records() {
    let listed = |words: Vec<Option<&str>>| {
        let words: Vec<_> = words.into_iter().flatten().collect();
        format!("[\"{}\"]", words.join("\", \"").replace('_', " "))
    };
    let outcomes = listed(Outcome::ALL.iter().map(|&outcome| outcome.word()).collect());
    let outcomes = outcomes.replace("one sided", "one-sided");
    assert!(
        SCRIPT.contains(&format!("const OUTCOMES = {outcomes};")),
        "{outcomes}"
    );
    let parts = listed(Verdict::ALL.iter().map(|&part| part.word()).collect());
    assert!(
        SCRIPT.contains(&format!("const PARTS = {parts};")),
        "{parts}"
    );
}

#[test]
fn uplot_is_what_its_readme_says() {
    let readme = include_str!("uplot/README");
    for text in [UPLOT, UPLOT_STYLE, UPLOT_LICENSE] {
        assert!(readme.contains(&sha256::hex(text)), "{}", sha256::hex(text));
    }
    assert!(live().contains("Permission is hereby granted, free of charge"));
}

/// A request of the `n`th server, which took so long inside it.
fn request(n: u8, time: Timestamp, task: u64, took: Span) -> Request<'static> {
    let (nothing, connection) = (Some(Span::default()), u32::from(n));
    Request {
        time,
        vantage: Vantage::File,
        connection_id: ConnectionId::Packets {
            first: START,
            flow: connection,
        },
        client_ip: [10, 0, 1, n].into(),
        client_port: 40_000,
        server_ip: [10, 0, 0, n].into(),
        server_port: 6379,
        role_from: RoleFrom::Syn,
        direction: None,
        tap_side: Side::Client,
        vlan: None,
        tunnel: Tunnel::None,
        capture_loss: false,
        protocol: Protocol::Redis,
        operation: Some("GET"),
        summary: Some("GET a:key:that:is:neither:short:nor:long:0123456789"),
        status: Status::Ok,
        status_code: None,
        status_text: None,
        ended_by: EndedBy::Response,
        request_bytes: 60,
        response_bytes: 1000,
        upload_us: nothing,
        process_us: Some(took),
        transfer_us: nothing,
        total_us: Some(took),
        delivered_us: Some(took),
        queued: 1,
        task,
        retransmits: 0,
        reordered: false,
        cut: false,
        gap: false,
        early: false,
        client_rtt_us: nothing,
        server_rtt_us: nothing,
        in_client_us: nothing,
        in_queue_us: nothing,
        in_server_us: Some(took),
        in_network_us: nothing,
        in_loss_us: nothing,
        in_window_us: nothing,
        in_transfer_us: nothing,
        verdict: Some(Verdict::Server),
        request_frame: Some(task),
        response_frame: Some(task),
        owner: None,
        answers: None,
        window_limit_bytes: None,
        path: None,
        marks: None,
    }
}

/// The page with everything that it can hold: as many destinations and slices as there are, and in each of them durations of
/// all sizes from 10 µs to 1 s. A million requests of one capture cannot have more cells than this.
#[test]
fn a_full_page_is_below_3_mb_and_has_a_waterfall_of_its_slowest() {
    let mut page = PageView::default();
    let mut task = 0;
    for slice in 0..60 {
        for step in 0..90_u32 {
            // An eighth of a power of two further each time.
            let took =
                Span::from_ns((10_000.0 * f64::from(step).mul_add(0.125, 0.0).exp2()) as u64);
            task += 1;
            for server in 0..64 {
                let at = START.plus(i64::from(slice) * SECOND + i64::from(step) * 1_000_000);
                page.request(&request(server, at, task, took));
            }
        }
    }
    let findings = page.report().finish(&health());
    let (data, _) =
        Encoder::default().document(&mut page, Some(&findings), &health(), &about(&[]), 0);
    let file = file(&data);
    assert!(file.len() < 3_000_000, "{}", file.len());
    assert_eq!(page.destinations().seats().count(), 64);
    // 8 of each connection at most, so 64 connections; around each slow request what came before and after.
    let slow: Vec<_> = page.slow().iter().collect();
    assert_eq!(slow.len(), 100 + 64 * 4);
    for slow in slow {
        let lane = page
            .slow()
            .lanes()
            .find(|(id, _)| *id == slow.connection_id);
        let tasks = &lane.unwrap().1.tasks;
        assert!(tasks.len() > 8 && tasks.is_sorted_by_key(|task| task.task));
        assert!(tasks.iter().any(|task| task.task == slow.task));
    }
}

#[test]
fn a_row_counts_no_request_as_unanswered_that_was_cut_off_by_the_end() {
    let mut page = PageView::default();
    for (task, ended_by) in [(1, EndedBy::Observation), (2, EndedBy::ServerClose)] {
        let request = request(1, START, task, Span::default());
        page.request(&Request {
            status: Status::Unanswered,
            ended_by,
            process_us: None,
            total_us: None,
            ..request
        });
    }
    let (data, _) = Encoder::default().document(&mut page, None, &health(), &about(&[]), 0);
    // Requests, errors, unanswered; and in the slice, after its number, likewise.
    let row = "\"rows\":[[\"10.0.0.1:6379\",\"redis\",2,0,1,";
    assert!(data.contains(row), "{data}");
    let slot = START.0 / 1_000_000;
    assert!(
        data.contains(&format!("\"*\":[1,1,0,0,[[{slot},2,0,1,")),
        "{data}"
    );
}

#[test]
fn who_looks_all_the_time_is_told_which_rows_there_are_once_some_are_gone() {
    let server = |n: u16, outcome| {
        let [high, low] = n.to_be_bytes();
        let ip = format!("10.1.{high}.{low}");
        Handshake {
            outcome,
            ..handshake(0, "10.0.0.1", &ip, 80)
        }
    };
    let mut page = PageView::default();
    for n in 0..500 {
        page.add(AnyRecord::Handshake(&server(n, Outcome::Established)));
    }
    let (health, mut encoder) = (health(), Encoder::default());
    let mut tell = |page: &mut PageView, since| {
        let (data, told) = encoder.document(page, None, &health, &about(&[]), since);
        let (_, rest) = data.split_once("\"rows\":").unwrap();
        (rest.split_once(",\"others\"").unwrap().0.to_owned(), told)
    };
    let (all, first) = tell(&mut page, 0);
    assert_eq!(all.matches("10.1.").count(), 500);
    // One that matters more than those without a course takes the place of one of these.
    (0..3).for_each(|_| page.add(AnyRecord::Handshake(&server(1000, Outcome::Refused))));
    let (change, second) = tell(&mut page, first);
    let (rows, shown) = change.split_once(",\"shown\":").unwrap();
    assert!(rows.starts_with("[[\"10.1.3.232:80\",") && rows.matches("10.1.").count() == 1);
    assert_eq!(shown.matches("10.1.").count(), 500);
    assert!(shown.contains("\"10.1.3.232:80\"") && !shown.contains("\"10.1.1.243:80\""));
    assert_eq!(tell(&mut page, second).0, "[]");
    // Who knows nothing has nothing to delete; who knows the first only is told it all.
    assert!(!tell(&mut page, 0).0.contains("shown"));
    assert_eq!(tell(&mut page, first).0, change);
}

#[test]
fn rows_are_as_they_were_until_somebody_looks() {
    let (health, mut encoder) = (health(), Encoder::default());
    let mut page = seen(&[Outcome::Refused]);
    let (_, first) = encoder.document(&mut page, None, &health, &about(&[]), 0);
    add(&mut page, &[Outcome::Refused], START);
    let (data, second) = encoder.tell(&mut page, None, &health, &about(&[]), first);
    assert!(data.contains("\"rows\":[],"), "{data}");
    assert!(data.contains("\"attempts\":2,"), "{data}");
    encoder.look(&page);
    // Also who was told in between has it then.
    let (data, _) = encoder.tell(&mut page, None, &health, &about(&[]), second);
    assert!(data.contains("\"rows\":[[\"10.0.0.2:80\","), "{data}");
}

#[test]
fn the_page_says_the_command_that_the_report_says_for_every_finding() {
    use crate::report::{ReportOptions, render};
    use crate::time_style::{TimeFormat, TimeStyle};
    let page = seen(&[Outcome::Refused; 3]);
    let mut findings = page.report().finish(&health());
    let sources = ["it's a.pcap".to_owned()];
    for (code, start) in [
        ("refused", "tcplens handshakes -r "),
        ("accept_queue", "tcplens handshakes -r "),
        ("slow_dns", "tcplens requests -r "),
        ("slow_tls", "tcplens requests -r "),
        ("small_window", "tcplens requests -r "),
        ("request_errors", "tcplens requests -r "),
        ("delayed_ack", "tcplens connections -r "),
        ("no_reuse", "tcplens connections -r "),
    ] {
        findings.findings[0].code = code;
        let options = ReportOptions {
            sources: &sources,
            ..ReportOptions::plain(TimeFormat::new(TimeStyle::default()))
        };
        let text = render(page.report(), &findings, &health(), options);
        let line = command::line(&findings.findings[0], &about(&sources));
        assert!(line.starts_with(start), "{code}: {line}");
        assert!(text.contains(&format!("show: {line}\n")), "{code}: {text}");
    }
}
