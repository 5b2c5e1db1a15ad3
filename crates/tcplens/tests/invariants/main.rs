//! The invariants of ARCHITECTURE.md that concern the whole program, and those of the sources: 1 and 5 to 10. What happens
//! to packets inside the engine, 2 to 4, is in crates/tcplens-core/tests/invariants.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use capture::{churn, ended_after, joined, shifted, with_ties};

mod capture;

const KINDS: [&str; 4] = ["handshake", "connection", "finding", "health"];
const ALL: [&str; 3] = [
    "records",
    "--kind",
    "handshake,request,connection,finding,health",
];

#[test]
fn invariant_01_core_reads_no_clock_file_socket_or_environment_and_never_spawns_or_logs() {
    let forbidden = [
        "std::fs",
        "std::env",
        "std::time",
        "std::thread",
        "std::process",
        "std::io",
        "std::os",
        "SystemTime",
        "Instant",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "println!",
        "eprintln!",
        "print!(",
        "log::",
        "tracing::",
        "dbg!",
        "extern crate",
        "HashMap",
        "HashSet",
    ];
    let files = sources("crates/tcplens-core/src");
    assert!(files.len() > 50, "{}", files.len());
    for path in files {
        let code = code_of(&path);
        for word in forbidden {
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
        for (at, _) in code.match_indices("std::net::") {
            let what: String = code[at + 10..].chars().take_while(|c| *c != ';').collect();
            let words = what
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| word.starts_with(char::is_uppercase));
            for word in words.take(3) {
                let is_plain = ["IpAddr", "Ipv4Addr", "Ipv6Addr"].contains(&word);
                assert!(is_plain, "{} has std::net::{word}", path.display());
            }
        }
    }
}

#[test]
fn invariant_01_the_same_input_gives_the_same_bytes() {
    for path in captures() {
        let run = || tcplens(&ALL).arg(&path).output().unwrap();
        assert_eq!(out(&run().stdout), out(&run().stdout), "{}", path.display());
    }
}

#[test]
fn invariant_05_unsafe_code_is_in_capture_only_and_says_why_it_is_sound() {
    for root in [
        "tcplens-core/src/lib.rs",
        "tcplens-output/src/lib.rs",
        "tcplens/src/main.rs",
        "oracle/src/lib.rs",
    ] {
        let text = fs::read_to_string(workspace().join("crates").join(root)).unwrap();
        assert!(text.contains("\n#![forbid(unsafe_code)]\n"), "{root}");
    }
    for path in sources("crates/tcplens-capture/src") {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let is_block = line
                .split("//")
                .next()
                .is_some_and(|code| code.contains("unsafe {"));
            let says = lines[n.saturating_sub(6)..=n]
                .iter()
                .any(|line| line.contains("// SAFETY:"));
            assert!(
                !is_block || says,
                "{}:{}: no SAFETY line",
                path.display(),
                n + 1
            );
        }
    }
}

#[test]
fn invariant_06_json_csv_and_the_reference_have_the_same_fields_in_the_same_order() {
    let reference = fs::read_to_string(workspace().join("docs/records.md")).unwrap();
    for kind in KINDS {
        let (_, section) = reference.split_once(&format!("\n## `{kind}`\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let declared: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
        assert!(declared.len() > 5, "{kind}: {declared:?}");
        let mut seen = BTreeSet::new();
        for path in captures() {
            let run = |format| {
                tcplens(&["records", "--kind", kind, "-f", format])
                    .arg(&path)
                    .output()
                    .unwrap()
            };
            let json = String::from_utf8(run("jsonl").stdout).unwrap();
            for line in json.lines() {
                let keys = keys(line);
                assert_eq!(keys[0], "kind");
                let mut fields = declared.iter();
                for key in &keys[1..] {
                    assert!(
                        fields.any(|field| field == key),
                        "{kind}.{key} is not declared there: {line}"
                    );
                    seen.insert(key.clone());
                }
            }
            let csv = String::from_utf8(run("csv").stdout).unwrap();
            let Some(header) = csv.lines().next() else {
                assert_eq!(json, "");
                continue;
            };
            assert_eq!(header, format!("kind,{}", declared.join(",")));
        }
        // Others are of what captures do not have: the kernel's view, sockets.
        assert!(
            seen.len() * 5 > declared.len() * 2,
            "{kind}: the captures show only {seen:?}"
        );
    }
}

#[test]
fn invariant_07_missing_is_absent_and_zero_is_a_zero() {
    let case = workspace().join("tests/cases/refused/input.pcap");
    let run = |words: &[&str]| {
        let output = tcplens(words).arg(&case).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let handshakes = run(&["records", "--kind", "handshake"]);
    assert_eq!(handshakes.lines().count(), 3);
    for line in handshakes.lines() {
        let keys = keys(line);
        for missing in [
            "handshake_us",
            "syn_to_synack_us",
            "synack_to_ack_us",
            "icmp_type",
            "server_mss",
            "sack",
            "direction",
        ] {
            assert!(!keys.iter().any(|key| key == missing), "{missing}: {line}");
        }
        assert!(line.contains("\"synack_retransmits\":0"), "{line}");
        assert!(!line.contains("null") && !line.contains(":-"), "{line}");
    }
    let connections = run(&["records", "--kind", "connection"]);
    for line in connections.lines() {
        assert!(
            !line.contains("rtt_min_us") && !line.contains("\"part\""),
            "{line}"
        );
        assert!(
            line.contains("\"server_bytes\":0") && line.contains("\"client_rtt_samples\":0"),
            "{line}"
        );
    }
    // In CSV the cell is empty.
    let csv = run(&["records", "--kind", "handshake", "-f", "csv"]);
    let mut lines = csv.lines();
    let column = lines
        .next()
        .unwrap()
        .split(',')
        .position(|name| name == "handshake_us")
        .unwrap();
    for line in lines {
        assert_eq!(line.split(',').nth(column), Some(""));
    }
}

#[test]
fn invariant_08_time_zone_and_locale_change_no_byte() {
    for path in captures() {
        let run = |zone: &str, locale: &str| {
            let mut command = tcplens(&ALL);
            command
                .arg(&path)
                .env("TZ", zone)
                .env("LC_ALL", locale)
                .env("LANG", locale);
            out(&command.output().unwrap().stdout)
        };
        assert_eq!(
            run("UTC", "C"),
            run("Asia/Kathmandu", "de_DE.UTF-8"),
            "{}",
            path.display()
        );
    }
}

/// A capture of another day: only `time`, and the ids that are made of it, differ.
#[test]
fn invariant_08_another_day_changes_times_and_ids_only() {
    let place = Place::new("shift");
    for path in captures() {
        let bytes = fs::read(&path).unwrap();
        let run = |bytes: &[u8]| {
            let file = place.0.join("shifted.pcap");
            fs::write(&file, bytes).unwrap();
            let words = ["records", "--kind", "handshake,connection,health"];
            let output = tcplens(&words).arg(&file).output().unwrap();
            let lines = out(&output.stdout);
            lines.lines().map(without_times).collect::<Vec<_>>()
        };
        // Whole ticks of 2^28 ns: expiry is looked at once per tick.
        let days = 7 << 19;
        assert_eq!(
            run(&bytes),
            run(&shifted(&bytes, days)),
            "{}",
            path.display()
        );
    }
}

/// Where sockets are, and that answers are given on loopback unless told otherwise. That privilege is given up is tested
/// where packets are captured (tests/live).
#[test]
fn invariant_09_sockets_are_opened_for_answers_only_and_on_loopback_by_default() {
    for krate in [
        "tcplens-core",
        "tcplens-capture",
        "tcplens-output",
        "tcplens",
    ] {
        for path in sources(&format!("crates/{krate}/src")) {
            let is_about_answers = [
                "tcplens/src/answer/",
                "tcplens/src/commands/stat.rs",
                // The event socket, metrics of sockets, and the client of the first.
                "tcplens/src/sockets/events",
                "tcplens/src/sockets/measuring.rs",
                "tcplens/src/commands/events.rs",
                // `doctor` looks for sockets of its own, which are gone before it says anything.
                "tcplens-capture/src/probe.rs",
                // Connects to where the operator says (--store clickhouse://..., --otlp), and never listens.
                "tcplens-output/src/remote/abrupt.rs",
            ]
            .iter()
            .any(|part| path.to_string_lossy().contains(part));
            let code = code_of(&path);
            for word in [
                "TcpListener",
                "TcpStream",
                "UdpSocket",
                "UnixListener",
                "UnixStream",
            ] {
                let is_there = code.contains(word);
                assert!(
                    !is_there || is_about_answers,
                    "{} has {word}",
                    path.display()
                );
            }
        }
    }
    let help = tcplens(&["records", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("alone: 127.0.0.1:33333"), "{help}");
    assert!(help.contains("a port alone is on 127.0.0.1"), "{help}");
    assert!(help.contains("alone: http://127.0.0.1:9317"), "{help}");
    let remote = sources("crates/tcplens-output/src/remote");
    assert!(
        remote
            .iter()
            .all(|path| !code_of(path).contains("TcpListener"))
    );
}

#[test]
fn invariant_10_the_number_of_threads_changes_no_byte() {
    let place = Place::new("threads");
    let shop = fs::read(workspace().join("samples/shop.pcap")).unwrap();
    let mut paths: Vec<PathBuf> = captures();
    for (name, bytes) in [
        ("ties.pcap", with_ties(&shop)),
        // Many batches, and connections that last over all of them.
        ("long.pcap", joined(&shop, 8)),
        ("long-ties.pcap", joined(&with_ties(&shop), 8)),
    ] {
        let path = place.0.join(name);
        fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    for path in paths {
        let run = |threads: &str| {
            let output = tcplens(&ALL)
                .args(["--threads", threads, "--active", "2"])
                .arg(&path)
                .output()
                .unwrap();
            (output.status.code(), out(&output.stdout))
        };
        let one = run("1");
        for threads in ["2", "3", "8", "64"] {
            assert!(
                one == run(threads),
                "{}: 1 and {threads} threads differ",
                path.display()
            );
        }
    }
}

/// Tables that are full, and whose flows come and go, at several sizes.
#[test]
fn invariant_10_nor_does_it_where_connections_come_and_go() {
    const CONNECTIONS: u32 = 16_000;
    let place = Place::new("churn");
    let path = place.0.join("churn.pcap");
    fs::write(&path, churn(CONNECTIONS)).unwrap();
    for limit in ["1", "64", "700", "1600", "6400", "1000000"] {
        let run = |threads: &str| {
            let output = tcplens(&ALL)
                .args([
                    "--threads",
                    threads,
                    "--active",
                    "1",
                    "--limit-connections",
                    limit,
                ])
                .arg(&path)
                .output()
                .unwrap();
            (output.status.code(), out(&output.stdout))
        };
        let one = run("1");
        let of = |kind: &str| one.1.matches(&format!("{{\"kind\":\"{kind}\"")).count();
        assert!(of("handshake") >= CONNECTIONS as usize, "{limit}");
        assert!(of("request") >= CONNECTIONS as usize * 6 / 7, "{limit}");
        assert!(of("connection") >= CONNECTIONS as usize, "{limit}");
        assert!(one == run("2"), "{limit}: 1 and 2 threads differ");
    }
}

#[test]
fn invariant_10_the_sizes_of_the_pieces_in_which_input_arrives_change_no_byte() {
    let bytes = joined(&fs::read(workspace().join("samples/shop.pcap")).unwrap(), 3);
    let run = |piece: usize| {
        let mut command = tcplens(&ALL);
        command
            .args(["-r", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = bytes.clone();
        let writer = std::thread::spawn(move || {
            for piece in input.chunks(piece) {
                pipe.write_all(piece).unwrap();
            }
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert_eq!(output.status.code(), Some(0));
        out(&output.stdout)
    };
    let place = Place::new("pieces");
    let file = place.0.join("whole.pcap");
    fs::write(&file, &bytes).unwrap();
    let whole = tcplens(&ALL).arg(&file).output().unwrap();
    // A finding may name its file; nothing else may differ.
    let whole = out(&whole.stdout).replace(file.to_str().unwrap(), "-");
    for piece in [97, 4096, 65_537, bytes.len()] {
        assert!(run(piece) == whole, "pieces of {piece} bytes");
    }
}

/// Cut anywhere, it gives what is before the cut, and says so: no cut is silent, none panics.
#[test]
fn invariant_02_a_file_cut_anywhere_is_read_to_the_cut_and_the_cut_is_reported() {
    let place = Place::new("cut");
    let whole = fs::read(workspace().join("tests/cases/refused/input.pcap")).unwrap();
    let ends = ended_after(&whole);
    for length in 0..=whole.len() {
        let file = place.0.join("cut.pcap");
        fs::write(&file, &whole[..length]).unwrap();
        let output = tcplens(&["records", "--kind", "health"])
            .arg(&file)
            .output()
            .unwrap();
        let status = output.status.code().unwrap();
        let packets = ends.iter().filter(|end| **end <= length).count();
        let is_whole = length == 24 || ends.contains(&length);
        let expected = match length {
            // Too little to tell what it is.
            0..4 => 1,
            _ if is_whole => 0,
            _ => 3,
        };
        assert_eq!(status, expected, "cut at {length}");
        if status != 1 {
            let health = out(&output.stdout);
            assert!(
                health.contains(&format!("\"packets\":{packets},")),
                "cut at {length}: {health}"
            );
            assert_eq!(
                health.contains("damaged_at"),
                status == 3,
                "cut at {length}: {health}"
            );
        }
    }
}

/// The sample and the inputs of all cases, as they are.
fn captures() -> Vec<PathBuf> {
    let mut all = vec![workspace().join("samples/shop.pcap")];
    for case in fs::read_dir(workspace().join("tests/cases")).unwrap() {
        let case = case.unwrap().path();
        // What is cut has a test of its own; what is wrong is known.
        if !case.ends_with("truncated") && !case.join("pending").exists() {
            all.push(case.join("input.pcap"));
        }
    }
    all.sort();
    assert!(all.len() > 20);
    all
}

/// The program with an environment of ours, and no standard input.
fn tcplens(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcplens"));
    command
        .args(words)
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Standard output without what a run measures about itself.
fn out(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    let line = |line: &str| match line
        .find(",\"cpu_us\":")
        .zip(line.find(",\"schema_version\":"))
    {
        Some((at, end)) => format!("{}{}", &line[..at], &line[end..]),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// A JSON line without its time and its id.
fn without_times(line: &str) -> String {
    let mut rest = line.to_owned();
    for key in [",\"time\":\"", ",\"connection_id\":\""] {
        if let Some(at) = rest.find(key) {
            let end = at + key.len() + rest[at + key.len()..].find('"').unwrap() + 1;
            rest.replace_range(at..end, "");
        }
    }
    rest
}

/// The keys of a JSON object on one line, its own and not those of objects in it.
fn keys(line: &str) -> Vec<String> {
    let (mut keys, mut depth, mut in_text) = (Vec::new(), 0, false);
    let (mut text, mut escaped) = (String::new(), false);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => {
                if !in_text {
                    text.clear();
                }
                in_text = !in_text;
            }
            _ if in_text => text.push(c),
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ':' if depth == 1 => keys.push(text.clone()),
            _ => {}
        }
    }
    keys
}

/// All Rust files below a directory of the workspace.
fn sources(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![workspace().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// A file's code without its comments and without its tests, which stand last.
fn code_of(path: &Path) -> String {
    let is_test = path.file_name().is_some_and(|name| name == "tests.rs");
    let text = if is_test {
        String::new()
    } else {
        fs::read_to_string(path).unwrap()
    };
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A directory for one test, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let directory =
            std::env::temp_dir().join(format!("tcplens-invariant-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        Place(directory)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the temporary directory harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
