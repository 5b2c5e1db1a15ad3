//! `doctor`: on this machine, and without any privilege.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::{Place, Run, is_root};

/// It says of itself whether live capture works; so does its status.
#[test]
fn its_status_is_whether_live_capture_works() {
    let place = Place::new("doctor");
    let run = place.run(&["doctor"]);
    let works = run.out.contains("\nLive capture works here.\n");
    assert_eq!(
        (run.status, &*run.err),
        (Some(i32::from(!works)), ""),
        "{run:?}"
    );
    assert_eq!(
        run.out.contains("\nok       packet socket "),
        works,
        "{run:?}"
    );
    let json = place.run(&["doctor", "-f", "jsonl"]);
    assert_eq!(json.status, run.status);
    assert_eq!(json.out.lines().count(), 14, "{json:?}");
    let first = json.out.lines().next().unwrap();
    assert!(
        first.starts_with("{\"check\":\"user\",\"state\":\""),
        "{first}"
    );
    let refused = place.run(&["doctor", "-f", "csv"]);
    refused.ends(2, &["doctor has no format csv; choose text or jsonl"]);
}

#[test]
fn an_unprivileged_user_is_told_what_to_do() {
    let place = Place::new("doctor-user");
    // The build may lie where others cannot go.
    let program = place.path("tcplens");
    fs::copy(env!("CARGO_BIN_EXE_tcplens"), &program).unwrap();
    let mut command = Command::new(&program);
    command.arg("doctor").env_clear().stdin(Stdio::null());
    if is_root() {
        command.uid(54321).gid(54321);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            println!("SKIPPED: cannot run as another user: {error}");
            return;
        }
    };
    let run = Run::of(output);
    if run.status == Some(0) {
        println!("SKIPPED: users can capture here");
        return;
    }
    assert_eq!((run.status, &*run.err), (Some(1), ""), "{run:?}");
    for words in [
        "\nmissing  packet socket             Operation not permitted (os error 1)\n",
        "costs: no live capture; capture files can be read all the same\n",
        "to do: needs CAP_NET_RAW",
        "\nLive capture does not work here.\n",
    ] {
        assert!(run.out.contains(words), "{words}: {run:?}");
    }
    if run.out.contains("grant it once") {
        let line = format!(
            "sudo setcap cap_net_raw=ep {}, or run as root\n",
            program.display()
        );
        assert!(run.out.contains(&line), "{run:?}");
    }
}
