//! `report --html`: where the page goes. What is in it is tested with the page, and in a browser by dev/page-test.

use std::path::Path;

use super::capture::Capture;
use super::{Place, read};

#[test]
fn a_page_is_written_beside_the_text_and_is_the_same_with_any_number_of_threads() {
    let place = Place::new("page");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/shop.pcap");
    std::fs::copy(sample, place.path("shop.pcap")).unwrap();
    let plain = place.run(&["report", "shop.pcap"]);
    let mut pages = Vec::new();
    for threads in ["1", "2"] {
        let run = place.run(&[
            "report",
            "shop.pcap",
            "--html",
            "a.html",
            "--threads",
            threads,
        ]);
        run.is_quiet_success();
        assert_eq!(run.out, plain.out);
        // What a run measures about itself differs.
        let page = read(place.path("a.html"));
        let (head, rest) = page.split_once(",\"cpu_us\":").unwrap();
        let (_, rest) = rest.split_once(",\"schema_version\"").unwrap();
        pages.push(format!("{head}{rest}"));
        assert_eq!(parts(&place), [""; 0]);
    }
    assert_eq!(pages[0], pages[1]);
    assert!(pages[0].contains("10.20.0.40:8080 refuses every connection"));
    assert!(pages[0].len() < 300_000, "{}", pages[0].len());

    let run = place.run(&["report", "shop.pcap", "--html", "-"]);
    run.is_quiet_success();
    assert!(run.out.starts_with("<!DOCTYPE html>") && run.out.ends_with("</html>\n"));
    let run = place.run(&["report", "shop.pcap", "--html", "-", "-o", "text"]);
    run.is_quiet_success();
    assert!(run.out.starts_with("<!DOCTYPE html>"));
    assert_eq!(read(place.path("text")), plain.out);
}

/// The lives of connections are told for those with the slowest requests, for what findings name, and for the one that `explain` tells.
#[test]
fn a_page_tells_the_lives_of_connections_that_matter_and_of_streams_why_not() {
    let place = Place::new("page-lives");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/shop.pcap");
    std::fs::copy(sample, place.path("shop.pcap")).unwrap();
    let page = place.run(&["report", "shop.pcap", "--html", "-"]).out;
    let (_, stories) = page.split_once(",\"stories\":").unwrap();
    let told = |id: &str| stories.contains(&format!("\"{id}\":{{\"who\":"));
    // Each finding leads to one of them; the last is slow, and what the text says of it stands there.
    let links: Vec<_> = page.split(",\"story\":\"").skip(1).collect();
    assert_eq!(links.len(), 4);
    for link in &links {
        let id = link.split('"').next().unwrap();
        assert!(told(id), "{id}");
    }
    let text = place.run(&["explain", "shop.pcap"]).out;
    let id = text.split("connection ").nth(1).unwrap();
    assert!(told(&id[..25]) && stories.contains(&format!("\"chosen\":[\"{}\"", &id[..25])));
    for words in [
        "the server, 8.02 s. Of its 12.02 s: 66.7 % in the server (8.02 s)",
        "[2705275320,\"1.43 s\",1,0,\"POST shop.example/checkout (174 bytes)\",\"600-601\",\"in 2 segments, 157 µs; request 3\"]",
        "8 requests of http, 8 answered",
    ] {
        assert!(stories.contains(words), "{words}");
    }
    let bytes = std::fs::read(place.path("shop.pcap")).unwrap();
    let run = place.run_with_stdin(&["report", "-r", "-", "--html", "-"], &bytes);
    let (_, stories) = run.out.split_once(",\"stories\":").unwrap();
    assert!(
        stories.starts_with(
            "{\"all\":{},\"missing\":\"The lives of single connections are told of files only"
        ),
        "{}",
        &stories[..200]
    );
}

#[test]
fn a_page_of_one_connection_has_what_the_text_has() {
    let place = Place::new("page-one");
    Capture::usual(2).save(place.path("a.pcap"));
    let text = place.run(&["explain", "a.pcap"]);
    let both = place.run(&["explain", "a.pcap", "--html", "a.html"]);
    both.is_quiet_success();
    assert_eq!(both.out, text.out);
    let page = read(place.path("a.html"));
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(!page.contains("@@") && page.contains("connect-src 'none'"));
    for words in ["\"sources\":\"a.pcap\"", "\"SYN\",\"", "\"limit\":"] {
        assert!(page.contains(words), "{words}");
    }
    let alone = place.run(&["explain", "a.pcap", "--html", "-"]);
    assert_eq!(alone.out, page);
    place
        .run(&["explain", "a.pcap", "--html", "a.pcap"])
        .ends(2, &["cannot write a.pcap: it is read"]);
}

/// What was written aside and is still there.
fn parts(place: &Place) -> Vec<String> {
    let all = std::fs::read_dir(place.path(".")).unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".part")).collect()
}

#[test]
fn a_link_where_a_page_is_written_aside_is_not_followed() {
    let place = Place::new("page-link");
    Capture::usual(2).save(place.path("a.pcap"));
    place.write("other", b"of somebody else");
    std::os::unix::fs::symlink("other", place.path("a.html.part")).unwrap();
    place
        .run(&["report", "a.pcap", "--html", "a.html"])
        .is_quiet_success();
    assert_eq!(read(place.path("other")), "of somebody else");
    assert!(read(place.path("a.html")).ends_with("</html>\n"));
    assert_eq!(parts(&place), ["a.html.part"]);
}

#[test]
fn a_page_that_cannot_be_written_is_told_before_anything_is_read() {
    let place = Place::new("page-refused");
    Capture::usual(2).save(place.path("a.pcap"));
    let run = place.run(&["report", "a.pcap", "--html", "none/a.html"]);
    run.ends(1, &["cannot write the page to none/a.html", "--html"]);
    assert_eq!(run.out, "");
    let run = place.run(&["report", "a.pcap", "--html", "a.pcap"]);
    run.ends(2, &["cannot write a.pcap: it is read"]);
    // A page that is there stays until there is another one.
    place.write("old.html", b"old");
    let run = place.run(&["report", "b.pcap", "--html", "old.html"]);
    assert_eq!(
        (run.status, read(place.path("old.html")).as_str()),
        (Some(1), "old")
    );
}

#[test]
fn beside_files_no_page_is_served_and_what_makes_one_is_said() {
    let place = Place::new("page-served");
    Capture::usual(2).save(place.path("a.pcap"));
    let run = place.run(&["report", "a.pcap", "--web", "127.0.0.1:0"]);
    run.ends(
        0,
        &[
            "no page is served while files are read",
            "report --html FILE",
        ],
    );
}
