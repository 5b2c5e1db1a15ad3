//! The screen of `top` as a user has it: the whole program in a terminal (tmux), and on one that takes nothing.
#![cfg(feature = "screen")]
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use tmux::Tmux;

mod tmux;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcplens");

fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/shop.pcap");
    path.canonicalize().unwrap().display().to_string()
}

/// Starts `top` in it and waits for its table.
fn top(tmux: &Tmux, options: &str) -> String {
    tmux.line(&format!("clear; {PROGRAM} top -r {} {options}", sample()));
    tmux.until("the table is there", |text| {
        text.contains("all read") && text.contains("10.20.0.10")
    })
}

fn pid_of(tmux: &Tmux) -> String {
    let name = tmux.directory.join("name").display().to_string();
    let _ = fs::remove_file(&name);
    let found = Command::new("pgrep")
        .args(["-f", &format!("tcplens top -r .* -w {name}")])
        .output();
    let found = found.unwrap();
    String::from_utf8_lossy(&found.stdout)
        .lines()
        .next()
        .unwrap()
        .to_owned()
}

/// An option that makes its process known by this test, and does nothing else of interest.
fn named(tmux: &Tmux) -> String {
    format!("-w {}", tmux.directory.join("name").display())
}

#[test]
fn keys_resize_filter_and_quit() {
    let Some(tmux) = Tmux::start("keys", 120, 34) else {
        return;
    };
    let shown = top(&tmux, "--by server");
    assert_eq!(tmux.modes(), "1 0 1", "other screen, no cursor, mouse");
    assert!(shown.contains("10.20.0.20:6379"), "{shown}");
    // Order by the next column, the other way round.
    tmux.keys(&["s"]);
    tmux.until("ordered by SRV", |text| text.contains("▼SRV p95"));
    tmux.keys(&["r"]);
    tmux.until("reversed", |text| text.contains("▲SRV p95"));
    tmux.keys(&["S"]);
    tmux.until("ordered by REQ again", |text| text.contains("▼REQ p95"));
    // A filter, wrong and right.
    tmux.keys(&["/"]);
    tmux.types("request_p95 > 5");
    tmux.until("what is wrong", |text| text.contains("^"));
    tmux.types("ms");
    tmux.until("two rows", |text| {
        text.contains("2 of 6") && !text.contains("6379")
    });
    tmux.keys(&["Enter"]);
    tmux.until("the filter stays", |text| {
        text.contains("filter: request_p95 > 5ms")
    });
    // Into the second destination, one of its requests, and back.
    tmux.keys(&["j", "Enter"]);
    tmux.until("a destination", |text| {
        text.contains("SLOWEST REQUESTS (") && text.contains("[2001:db8:20::10]:80")
    });
    tmux.keys(&["Enter"]);
    tmux.until("a request", |text| text.contains("in_server_us"));
    tmux.keys(&["Escape"]);
    tmux.until("the destination again", |text| {
        text.contains("LATEST CONNECTIONS (")
    });
    tmux.keys(&["Escape"]);
    tmux.until("the table again", |text| text.contains("▼REQ p95"));
    tmux.keys(&["Escape"]);
    tmux.until("no filter", |text| text.contains("10.20.0.20:6379"));
    // The rows are others.
    tmux.keys(&["b", "j", "j", "Enter"]);
    tmux.until("by port", |text| text.contains("port 6379"));
    tmux.resize(60, 12);
    tmux.until("the small screen", |text| {
        text.lines().count() <= 12 && text.contains("? help")
    });
    tmux.resize(20, 5);
    tmux.until("too small", |text| text.contains("20x5 is too small"));
    tmux.resize(200, 50);
    tmux.until("all columns", |text| {
        text.contains("REORD") || text.contains("OUT B/s")
    });
    tmux.keys(&["?"]);
    tmux.until("the help", |text| {
        text.contains("KEYS") && text.contains("MOUSE")
    });
    tmux.keys(&["q", "q"]);
    tmux.is_as_before();
}

#[test]
fn the_readme_shows_the_screen_as_it_is() {
    let Some(tmux) = Tmux::start("readme", 100, 11) else {
        return;
    };
    top(&tmux, "--by server");
    let shown = tmux.shown();
    let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
    let shown = lines.join("\n").trim_end().to_owned() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let mut readme = fs::read_to_string(&path).unwrap();
    let start = "\n```text\n";
    let from = readme.rfind(start).unwrap() + start.len();
    let to = from + readme[from..].find("```\n").unwrap();
    if std::env::var_os("TCPLENS_BLESS").is_some() {
        readme.replace_range(from..to, &shown);
        fs::write(&path, &readme).unwrap();
    } else {
        assert_eq!(&readme[from..to], shown, "dev/bless rewrites it");
    }
}

#[test]
fn the_last_table_goes_to_a_file_as_it_was_chosen() {
    let Some(tmux) = Tmux::start("file", 100, 30) else {
        return;
    };
    top(&tmux, "-o last.txt");
    tmux.keys(&["b", "j", "Enter"]);
    tmux.until("by server", |text| text.contains("10.20.0.20:6379"));
    tmux.keys(&["q"]);
    tmux.is_as_before();
    let last = fs::read_to_string(tmux.directory.join("last.txt")).unwrap();
    let first = last.lines().next().unwrap_or_default();
    assert_eq!(
        first,
        "2026-11-21 04:03:14.887141Z, 37.7 s since the beginning, by server: 6 rows"
    );
    let row = last.lines().nth(3).unwrap_or_default();
    assert!(
        row.starts_with("10.20.0.10:80 "),
        "the slowest first: {last}"
    );
}

#[test]
fn sigterm_and_a_stop_give_the_terminal_back() {
    let Some(tmux) = Tmux::start("signals", 100, 30) else {
        return;
    };
    top(&tmux, &named(&tmux));
    let pid = pid_of(&tmux);
    // As Ctrl-Z does it.
    tmux.keys(&["C-z"]);
    tmux.is_as_before();
    tmux.line("clear; fg");
    tmux.until("it goes on", |text| text.contains("all read"));
    assert_eq!(tmux.modes(), "1 0 1");
    // As somebody else does it.
    assert!(
        Command::new("kill")
            .args(["-TSTP", &pid])
            .status()
            .unwrap()
            .success()
    );
    tmux.is_as_before();
    tmux.line("clear; fg");
    tmux.until("it goes on", |text| text.contains("all read"));
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    tmux.is_as_before();
    tmux.line("clear; fg; echo no job: $?");
    tmux.until("it has ended", |text| text.contains("no job: "));
}

/// A table is not wider than the terminal: what is less important is left out, and named.
#[test]
fn a_table_is_as_wide_as_the_terminal_and_says_what_found_no_room() {
    let Some(tmux) = Tmux::start("once", 80, 30) else {
        return;
    };
    let ask = format!("clear; {PROGRAM} top -r {} --once", sample());
    tmux.line(&ask);
    let shown = tmux.until("the table", |text| text.contains("-o have all."));
    let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
    let at = lines
        .iter()
        .position(|line| line.ends_with("6 rows"))
        .unwrap();
    assert_eq!(
        lines[at + 1..at + 4],
        [
            "                | CONNECTIONS                   | REQUESTS",
            "PEER            |   SYN        EST  CONNECT P95 | REQUESTS  ERROR  TOTAL P95",
            "10.20.0.40      |    25      0 0%!            - |        0      0          -",
        ],
        "{shown}"
    );
    let note = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        note.contains("No room for SYN/s, SYN-ACK, RESET, FIN OUT, "),
        "{shown}"
    );
    // In a pipe all columns are there.
    tmux.line(&format!("{ask} | wc -L"));
    let shown = tmux.until("its width", |text| {
        text.lines()
            .any(|line| line.trim().parse().is_ok_and(|width: u64| width > 200))
    });
    assert!(!shown.contains("No room"), "{shown}");
}

#[test]
fn what_is_said_meanwhile_is_printed_afterwards() {
    let Some(tmux) = Tmux::start("said", 100, 30) else {
        return;
    };
    // A file that ends in the middle of a packet: damage is told at the end, and the status is 3.
    let bytes = fs::read(sample()).unwrap();
    fs::write(tmux.directory.join("cut.pcap"), &bytes[..bytes.len() - 5]).unwrap();
    tmux.line(&format!("clear; {PROGRAM} top cut.pcap -v; echo status $?"));
    tmux.until("the table is there", |text| text.contains("all read"));
    tmux.keys(&["q"]);
    let shown = tmux.is_as_before();
    assert!(
        shown.contains("tcplens: ") && shown.contains("cut.pcap"),
        "{shown}"
    );
    assert!(shown.contains("status 3"), "{shown}");
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_neither_packets_nor_the_end() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    let size = rustix::termios::Winsize {
        ws_row: 200,
        ws_col: 500,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&slave, size).unwrap();
    let directory =
        std::env::temp_dir().join(format!("tcplens-test-{}-blocked", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let copy = directory.join("copy.pcap");
    let mut program = Command::new(PROGRAM)
        .args(["top", "-r", &sample(), "-w"])
        .arg(&copy)
        .env_clear()
        .env("TERM", "xterm")
        .stdin(File::from(slave.try_clone().unwrap()))
        .stdout(File::from(slave))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(60);
    let begun = Instant::now();
    let all = fs::metadata(sample()).unwrap().len();
    // Its first frame is more than the terminal takes: all packets are looked at nevertheless.
    while fs::metadata(&copy).map_or(0, |file| file.len()) < all {
        assert!(begun.elapsed() < limit, "packets wait for the terminal");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = program.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let begun = Instant::now();
    while program.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < limit, "the end waits for the terminal");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(master);
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let Some(tmux) = Tmux::start("gone", 100, 30) else {
        return;
    };
    // SIGHUP is ignored, as under nohup: only the terminal tells.
    tmux.line("trap '' HUP");
    top(&tmux, &named(&tmux));
    let pid = pid_of(&tmux);
    drop(tmux);
    let begun = Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it goes on without a terminal"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
