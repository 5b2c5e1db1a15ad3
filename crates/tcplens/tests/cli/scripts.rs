//! `script`: the scripts that come along, and what is said of arguments.

use crate::capture::{Capture, End};
use crate::{Place, Run};

fn script(place: &Place, words: &[&str]) -> Run {
    place.run(&[&["script"], words, &["usual.pcap"]].concat())
}

fn place(name: &str) -> Place {
    let place = Place::new(name);
    let mut capture = Capture::usual(1);
    capture.refusal(End([10, 0, 0, 1], 50001), End([10, 0, 0, 3], 81));
    capture.save(place.path("usual.pcap"));
    place
}

#[test]
fn arguments_that_are_not_read_are_told_and_change_nothing() {
    let place = place("arguments");
    let told = script(&place, &["slow-log", "--arg", "m=5", "--arg", "ms=5"]);
    told.ends(
        0,
        &["tcplens: slow-log does not read --arg m; it reads ms\n"],
    );
    script(&place, &["slow-log", "--arg", "ms=5"]).is_quiet_success();
    for (name, argument) in [
        ("slow-log", "ms=fast"),
        ("tcp-connect", "retries=x"),
        ("dns", "port=domain"),
        ("top-keys", "n="),
    ] {
        let run = script(&place, &[name, "--arg", argument]);
        run.ends(1, &[&format!("cannot read --arg {argument} as a number")]);
        assert!(!run.err.contains("arithmetic"), "{run:?}");
    }
}

#[test]
fn refused_connections_are_not_shown_as_connected() {
    let run = script(&place("refused-connect"), &["tcp-connect"]);
    run.is_quiet_success();
    let lines: Vec<_> = run.out.lines().filter(|line| line.contains("=>")).collect();
    let refused: Vec<_> = lines
        .iter()
        .map(|line| line.ends_with("  refused"))
        .collect();
    assert_eq!(refused, [false, true, true], "{}", run.out);
}

#[test]
fn pairs_goes_the_same_way_in_every_run() {
    let place = place("pairs");
    place.write(
        "pairs.lua",
        b"local t = {} for n = 1, 40 do t['key' .. n] = n end
        function on_exit() for key in pairs(t) do print(key) end end",
    );
    let first = script(&place, &["pairs.lua"]);
    first.is_quiet_success();
    for _ in 0..3 {
        let again = script(&place, &["pairs.lua"]);
        assert_eq!(
            again, first,
            "see .cargo/config.toml; cargo clean -p mlua-sys"
        );
    }
}
