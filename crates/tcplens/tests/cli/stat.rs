//! `stat` against another program's end of the socket, and against Ganglia's gmond.

use std::fs::read_to_string;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Place;

/// Far longer than anything takes.
const LONG: Duration = Duration::from_secs(60);

/// As tcpeek wrote it (golden/tcpeek/tcpeekstat.json), with a failure more.
const TOTALS: &str = r#"[{"RX":{"success":{"total":0,"dupsyn":0,"dupsynack":0},"failure":{"total":4,"timeout":0,"reject":3, "unreach":1}}},{"web":{"success":{"total":5,"dupsyn":1,"dupsynack":2},"failure":{"total":0,"timeout":0,"reject":0, "unreach":0}}},{"pcap":{"stats":{"recv":12,"drop":0,"ifdrop":0}}}]"#;

/// Answers each question in turn, and returns what was asked.
fn instance(place: &Place, answers: Vec<&'static str>) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(place.path("s")).unwrap();
    std::thread::spawn(move || {
        let answer = |text: &str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            stream.read_to_string(&mut asked).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
            asked
        };
        answers.into_iter().map(answer).collect()
    })
}

#[test]
fn totals_are_tcpeekstats_text_or_json_as_it_came() {
    let place = Place::new("stat-text");
    let asked = instance(&place, vec![TOTALS; 3]);
    let text = place.run(&["stat", "-U", "./s"]);
    text.is_quiet_success();
    let block = |name: &str,
                 [total, syn, synack]: [u32; 3],
                 [failed, reject, unreach]: [u32; 3]| {
        format!(
            "----------------------------\n {name}\n----------------------------\n success\n     total{total:>16}\n     \
             dupsyn{syn:>15}\n     dupsynack{synack:>12}\n failure\n     total{failed:>16}\n     timeout             0\n     \
             reject{reject:>15}\n     unreach{unreach:>14}\n"
        )
    };
    let expected = format!(
        "====== TCPEEK SUMMARY ======\n{}{}----------------------------\n pcap\n----------------------------\n stats\n     \
         recv               12\n     drop                0\n     ifdrop              0\n============================\n",
        block("RX", [0, 0, 0], [4, 3, 1]),
        block("web", [5, 1, 2], [0, 0, 0])
    );
    assert_eq!(text.out, expected);
    let json = place.run(&["stat", "-j", "--socket", "./s"]);
    json.is_quiet_success();
    assert_eq!(json.out, format!("{TOTALS}\n"));
    let since = place.run(&["stat", "-U", "./s", "--since-last", "me too"]);
    assert_eq!(since.out, expected);
    let asked = asked.join().unwrap();
    assert_eq!(asked, ["GET\r\n", "GET\r\n", "REFRESH me too\r\n"]);
}

#[test]
fn another_question_is_passed_on_and_its_answer_too() {
    let place = Place::new("stat-pass");
    let asked = instance(
        &place,
        vec![
            "{\"kind\":\"health\"}\n",
            "a\nb\n",
            "{\"error\":\"\\\"food\\\" is no question; write help\"}\n",
        ],
    );
    let health = place.run(&["stat", "-U", "./s", "health"]);
    health.is_quiet_success();
    assert_eq!(health.out, "{\"kind\":\"health\"}\n");
    let records = place.run(&["stat", "-U", "./s", "records", "request"]);
    assert_eq!(records.out, "a\nb\n");
    let food = place.run(&["stat", "-U", "./s", "food"]);
    food.ends(
        1,
        &["tcplens: ./s does not answer \"food\": \"food\" is no question; write help\n"],
    );
    let asked = asked.join().unwrap();
    assert_eq!(asked, ["health\r\n", "records request\r\n", "food\r\n"]);
}

#[test]
fn a_summary_is_text_or_json() {
    let place = Place::new("stat-summary");
    let asked = instance(&place, vec!["since\n", "{}\n"]);
    let text = place.run(&["stat", "-U", "./s", "summary"]);
    assert_eq!(text.out, "since\n");
    let json = place.run(&["stat", "-U", "./s", "-j", "summary"]);
    assert_eq!(json.out, "{}\n");
    assert_eq!(asked.join().unwrap(), ["summary text\r\n", "summary\r\n"]);
    let since = place.run(&["stat", "-U", "./s", "--since-last", "me", "summary"]);
    let said = "--since-last is for totals of attempts; summary tells all since the start: leave out --since-last, or ask \
                `tcplens stat --since-last me`";
    since.ends(2, &[said]);
}

#[test]
fn watching_asks_again_and_again() {
    let place = Place::new("stat-watch");
    let asked = instance(&place, vec![TOTALS; 3]);
    let words = [
        "stat",
        "-U",
        "./s",
        "-j",
        "--since-last",
        "w",
        "--watch",
        "10ms",
    ];
    let run = place.run(&words);
    // The instance has gone after the third; with its socket, or just before that.
    run.ends(1, &["./s"]);
    assert_eq!(run.out, format!("{TOTALS}\n").repeat(3));
    assert_eq!(asked.join().unwrap(), ["REFRESH w\r\n"; 3]);
}

#[test]
fn what_goes_wrong_is_told_and_is_a_failure() {
    let place = Place::new("stat-wrong");
    place.run(&["stat", "-U", "./s"]).ends(
        1,
        &[
            "tcplens: cannot ask ./s: No such file or directory",
            "start an instance with -U, or name its socket with -U PATH",
        ],
    );
    let asked = instance(&place, vec!["", "<html>", "{\"error\":\"x\"}\n", "{}"]);
    for (words, said) in [
        (
            &["stat", "-U", "./s"][..],
            "./s says nothing to \"GET\"; is it tcplens",
        ),
        (
            &["stat", "-U", "./s"],
            "cannot understand what ./s answers: \"<html>\" are no totals",
        ),
        (
            &["stat", "-U", "./s", "--since-last", "a"],
            "./s does not answer \"REFRESH a\": x",
        ),
        (
            &["stat", "-U", "./s", "-g"],
            "cannot understand what ./s answers",
        ),
    ] {
        let run = place.run(words);
        run.ends(1, &[said]);
        assert_eq!(run.out, "");
    }
    asked.join().unwrap();
    for words in [
        &["stat", "-g", "-j"][..],
        &["stat", "health", "-g"],
        &["stat", "--since-last", ""],
        &["stat", "--since-last", "a\nb"],
    ] {
        place.run(words).ends(2, &[]);
    }
    let nowhere = place.run(&["stat", "-U", "./s", "--gmetric=nowhere"]);
    nowhere.ends(
        1,
        &[
            "cannot send to gmond at nowhere",
            "write the address of a gmond",
        ],
    );
}

/// A text of XDR at `at`, and where it ends.
fn xdr_text(packet: &[u8], at: usize) -> (String, usize) {
    let length = u32::from_be_bytes(packet[at..at + 4].try_into().unwrap()) as usize;
    let text = String::from_utf8(packet[at + 4..at + 4 + length].to_vec()).unwrap();
    (text, at + 4 + length.next_multiple_of(4))
}

#[test]
fn metrics_have_tcpeekstats_names_and_what_is_new_as_values() {
    let place = Place::new("stat-gmetric");
    let asked = instance(&place, vec![TOTALS; 2]);
    let gmond = UdpSocket::bind("127.0.0.1:0").unwrap();
    gmond.set_read_timeout(Some(LONG)).unwrap();
    let to = format!("--gmetric={}", gmond.local_addr().unwrap());
    let run = place.run(&["stat", "-U", "./s", &to]);
    run.is_quiet_success();
    assert_eq!(run.out, "");
    let mut sent = Vec::new();
    for _ in 0..14 {
        let mut bytes = [0; 1500];
        let (length, _) = gmond.recv_from(&mut bytes).unwrap();
        assert_eq!(bytes[..4], [0, 0, 0, 128]);
        let (length2, _) = gmond.recv_from(&mut bytes).unwrap();
        assert_eq!(bytes[..4], [0, 0, 0, 133]);
        assert!(length.is_multiple_of(4) && length2.is_multiple_of(4));
        let (_host, at) = xdr_text(&bytes, 4);
        let (name, at) = xdr_text(&bytes, at);
        let (_format, at) = xdr_text(&bytes, at + 4);
        sent.push(format!("{name} {}", xdr_text(&bytes, at).0));
    }
    let expected = |filter: &str, values: [u32; 7]| -> Vec<String> {
        let names = [
            "success_total",
            "success_dupsyn",
            "success_dupsynack",
            "failure_total",
            "failure_timeout",
            "failure_reject",
            "failure_unreach",
        ];
        let both = names.iter().zip(values);
        both.map(|(name, value)| format!("tcpeek_{filter}_{name} {value}"))
            .collect()
    };
    let all = [
        expected("RX", [0, 0, 0, 4, 0, 3, 1]),
        expected("web", [5, 1, 2, 0, 0, 0, 0]),
    ];
    assert_eq!(sent, all.concat());
    place
        .run(&["stat", "-U", "./s", &to, "--since-last", "mine"])
        .is_quiet_success();
    let asked = asked.join().unwrap();
    assert_eq!(asked, ["REFRESH gmetric\r\n", "REFRESH mine\r\n"]);
}

/// Ended with the test.
struct Gmond(Child);

impl Drop for Gmond {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's package puts it where users do not look.
fn gmond() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = std::env::split_paths(&path).collect();
    directories.push("/usr/sbin".into());
    let files = directories
        .into_iter()
        .map(|directory| directory.join("gmond"));
    files.into_iter().find(|file| file.is_file())
}

#[test]
fn a_real_gmond_takes_the_metrics() {
    let Some(program) = gmond() else {
        println!("SKIPPED: no gmond (Debian: apt-get install ganglia-monitor)");
        return;
    };
    let place = Place::new("stat-gmond");
    // Free for both; whoever takes it in between fails this test with a message of its own.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let config = format!(
        "globals {{ daemonize = no\n setuid = no\n mute = yes\n deaf = no\n }}\ncluster {{ name = \"test\" }}\n\
         udp_recv_channel {{ port = {port}\n bind = 127.0.0.1\n family = inet4 }}\n\
         tcp_accept_channel {{ port = {port}\n bind = 127.0.0.1\n family = inet4 }}\n"
    );
    let config = place.write("gmond.conf", config.as_bytes());
    let log = std::fs::File::create(place.path("gmond.log")).unwrap();
    let child = Command::new(&program)
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut gmond = Gmond(child);
    let begin = Instant::now();
    let state = |gmond: &mut Gmond| {
        loop {
            let mut xml = String::new();
            let connected = TcpStream::connect(("127.0.0.1", port));
            if let Ok(mut stream) = connected
                && stream.set_read_timeout(Some(LONG)).is_ok()
                && stream.read_to_string(&mut xml).is_ok()
                && !xml.is_empty()
            {
                return xml;
            }
            let log = || read_to_string(place.path("gmond.log"));
            assert_eq!(
                gmond.0.try_wait().unwrap(),
                None,
                "gmond ended: {:?}",
                log()
            );
            assert!(begin.elapsed() < LONG, "gmond does not answer: {:?}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert!(!state(&mut gmond).contains("tcpeek_"));
    let asked = instance(&place, vec![TOTALS]);
    let to = format!("--gmetric=127.0.0.1:{port}");
    place.run(&["stat", "-U", "./s", &to]).is_quiet_success();
    asked.join().unwrap();
    let expected = [
        "<METRIC NAME=\"tcpeek_RX_failure_reject\" VAL=\"3\" TYPE=\"uint32\" ",
        "<METRIC NAME=\"tcpeek_RX_failure_unreach\" VAL=\"1\" TYPE=\"uint32\" ",
        "<METRIC NAME=\"tcpeek_web_success_total\" VAL=\"5\" TYPE=\"uint32\" ",
        "<METRIC NAME=\"tcpeek_web_success_dupsynack\" VAL=\"2\" TYPE=\"uint32\" ",
    ];
    loop {
        let xml = state(&mut gmond);
        if xml.matches("NAME=\"tcpeek_").count() == 14 {
            for metric in expected {
                assert!(xml.contains(metric), "{metric}: {xml}");
            }
            return;
        }
        assert!(begin.elapsed() < LONG, "{xml}");
    }
}
