//! `--kernel`: what it refuses, and what is said where the kernel's view cannot be had. What it shows is tested with traffic
//! (tests/kernel).

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::capture::Capture;
use crate::{Place, Run, is_root};

#[test]
fn what_means_nothing_to_the_kernel_s_view_is_refused_with_a_reason() {
    let place = Place::new("kernel-refused");
    Capture::usual(1).save(place.path("a.pcap"));
    for (words, said) in [
        (
            &["requests", "-k", "-r", "a.pcap"][..],
            "--read cannot be used with -k (--kernel): a file has packets",
        ),
        (
            &["requests", "-k", "-i", "lo"],
            "--interface cannot be used with -k (--kernel): interfaces give packets",
        ),
        (
            &["requests", "-k", "a.pcap"],
            "cannot read a.pcap and look from inside the kernel (-k) at once",
        ),
        (
            &["records", "-k", "-w", "b.pcap"],
            "--write cannot be used with -k (--kernel): there are no packets to save",
        ),
        (
            &["records", "-k", "-s", "100"],
            "--snaplen cannot be used with -k (--kernel): no packet is copied",
        ),
        (
            &["records", "-k", "--promiscuous"],
            "--promiscuous cannot be used with -k",
        ),
        (
            &["records", "-k", "--threads", "2"],
            "--threads cannot be used with -k",
        ),
        (
            &["records", "-k", "--checksum", "all"],
            "--checksum cannot be used with -k",
        ),
        (
            &["connections", "-k", "--exclude", "port 22"],
            "write an expression such as 'not port 22'",
        ),
        (
            &["handshakes", "-k", "--server", "10.0.0.1"],
            "--server cannot be used with -k",
        ),
        (
            &["report", "-k", "--side", "middle"],
            "--side middle cannot be used with -k (--kernel): it stands at ends",
        ),
        (
            &["records", "-k", "--local", "10.0.0.1"],
            "--local cannot be used with -k (--kernel): the kernel knows which end is this host's",
        ),
        (
            &["connections", "-k", "--idle", "10"],
            "--idle cannot be used with -k (--kernel): the kernel knows when a connection ends",
        ),
        (
            &["handshakes", "-k", "--timeout", "10"],
            "--timeout cannot be used with -k (--kernel): the kernel decides when an attempt has failed",
        ),
        (
            &["records", "-k", "--limit-connections", "10"],
            "--limit-connections cannot be used with -k (--kernel): the kernel keeps the connections",
        ),
        (
            &["requests", "-k", "-t", "1", "--save-slow", "slow"],
            "--save-slow cannot be used with -k",
        ),
        (
            &["requests", "-k", "--status", "ok,404"],
            "--status can be ok, none or unanswered with -k (--kernel): it does not see what was answered",
        ),
        (
            &["requests", "-k", "--status", "error"],
            "errors are ok there; look at packets",
        ),
        (
            &["requests", "-k", "-m", "raw"],
            "-m raw prints packets, which -k (--kernel) does not have",
        ),
        (
            &["script", "dns", "-k"],
            "-k shows no packets, which scripts look at",
        ),
        (&["--kernel", "--follow"], "--follow cannot be used with -k"),
    ] {
        let run = place.run(words);
        run.ends(2, &[said]);
        assert_eq!(run.out, "", "{words:?}");
    }
    assert!(!place.path("b.pcap").exists());
}

#[test]
fn what_means_something_to_it_only_is_refused_elsewhere() {
    let place = Place::new("kernel-only");
    Capture::usual(1).save(place.path("a.pcap"));
    for words in [
        &["records", "a.pcap", "--flush", "2"][..],
        &["records", "a.pcap", "--mode", "80=http"],
        &["records", "a.pcap", "--first-frame", "100"],
        &["records", "a.pcap", "--device-times"],
        &["records", "a.pcap", "--programs", "hash"],
    ] {
        place.run(words).ends(2, &["--kernel"]);
    }
    place.run(&["records", "a.pcap", "--peer-port", "80"]).ends(
        2,
        &[
            "--peer-port chooses TCP-RT's P lines",
            "write -f tcprt or -k",
        ],
    );
}

#[test]
fn modes_and_thresholds_are_read_with_care() {
    let place = Place::new("kernel-values");
    for (words, said) in [
        (["--mode", "80"], "is no port with a mode; write 443=https"),
        (
            ["--mode", "80=ftp"],
            "is no mode; write default, http or https",
        ),
        (["--mode", "0=http"], "is no port"),
        (["--first-frame", "1,x"], "\"x\" is no number of bytes"),
        (
            ["--first-frame", "1,2,3,4,5"],
            "--first-frame has 5 numbers; four are looked at at most",
        ),
        (["--flush", "0"], "it is zero"),
        (["--netns", "no-such-namespace"], "no such namespace"),
    ] {
        let run = place.run(&["requests", "-k", words[0], words[1]]);
        let status = if words[0] == "--netns" { 1 } else { 2 };
        run.ends(status, &[said]);
    }
}

/// Whoever has no privilege is told what is missing, and what works instead.
#[test]
fn without_privileges_it_says_what_is_missing_and_what_to_do() {
    let place = Place::new("kernel-unprivileged");
    let words = ["requests", "-k", "--duration", "1"];
    let run = match is_root() {
        true => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tcplens"));
            command.args(words).env_clear().stdin(Stdio::null());
            let output = command.uid(65_534).gid(65_534).output();
            match output {
                Ok(output) => Run::of(output),
                Err(error) => {
                    println!("SKIPPED: another user cannot run the program: {error}");
                    return;
                }
            }
        }
        false => place.run(&words),
    };
    run.ends(
        1,
        &[
            "cannot look from inside the kernel (-k)",
            "-i any",
            "CAP_BPF",
            "CAP_PERFMON",
        ],
    );
    assert_eq!(run.out, "");
}

#[test]
fn an_agent_of_the_kernel_s_view_is_checked_without_it() {
    let place = Place::new("kernel-agent");
    let text = "\
sources: [{kernel: true, netns: web, flush: 2}]
ports: [{port: 443, mode: https, first_frame: true}, {port: 3306, role: peer}]
views: [{kind: requests, format: tcprt}]
";
    place.write("a.yaml", text.as_bytes());
    let run = place.run(&["agent", "--config", "a.yaml", "--check"]);
    run.is_quiet_success();
    for line in ["  - kernel: true\n", "    mode: https\n", "    flush: 2\n"] {
        assert!(run.out.contains(line), "{line:?}: {}", run.out);
    }
}
