//! Giving privileges up, landlock, network namespaces and interfaces, for real. Each happens in a process of its own: this
//! program again, with one thread, in the role that `TCPLENS_ROLE` names. What takes root or namespaces and has none is
//! SKIPPED aloud.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use rustix::thread::{CapabilitySet, capabilities};

mod roles;

/// The harness of cargo runs each test on a thread of its own, and privileges are given up on the only thread of a process:
/// so this program has a harness of its own, which says the same lines.
const TESTS: &[(&str, fn())] = &[
    (
        "root_becomes_nobody_without_capabilities",
        root_becomes_nobody_without_capabilities,
    ),
    (
        "a_user_by_number_has_the_group_of_that_number",
        a_user_by_number_has_the_group_of_that_number,
    ),
    (
        "user_root_keeps_root_and_the_right_to_write_only",
        user_root_keeps_root_and_the_right_to_write_only,
    ),
    (
        "without_the_means_an_asked_for_user_is_an_error_and_the_default_is_not",
        without_the_means_an_asked_for_user_is_an_error_and_the_default_is_not,
    ),
    (
        "root_without_setuid_stays_root_without_capabilities",
        root_without_setuid_stays_root_without_capabilities,
    ),
    (
        "in_a_user_namespace_without_nobody_root_stays",
        in_a_user_namespace_without_nobody_root_stays,
    ),
    (
        "an_unknown_user_is_told_before_anything_is_opened",
        an_unknown_user_is_told_before_anything_is_opened,
    ),
    (
        "files_that_are_given_can_be_opened_again_and_others_cannot",
        files_that_are_given_can_be_opened_again_and_others_cannot,
    ),
    (
        "a_file_system_that_is_read_only_is_the_cause_whoever_asks",
        a_file_system_that_is_read_only_is_the_cause_whoever_asks,
    ),
    ("the_saved_user_goes_too", the_saved_user_goes_too),
    (
        "what_setcap_grants_is_given_up_too",
        what_setcap_grants_is_given_up_too,
    ),
    (
        "landlock_leaves_the_outputs_and_nothing_else",
        landlock_leaves_the_outputs_and_nothing_else,
    ),
    (
        "interfaces_are_those_of_the_namespace_with_their_addresses",
        interfaces_are_those_of_the_namespace_with_their_addresses,
    ),
    (
        "another_namespace_is_entered_and_left",
        another_namespace_is_entered_and_left,
    ),
];

fn main() -> ExitCode {
    if let Ok(role) = env::var("TCPLENS_ROLE") {
        roles::play(&role, &env::var("TCPLENS_WORDS").unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in TESTS.iter().filter(|(name, _)| is_wanted(name)) {
        let ended = panic::catch_unwind(test);
        let (count, word) = match ended {
            Ok(()) => (&mut passed, "ok"),
            Err(_) => (&mut failed, "FAILED"),
        };
        *count += 1;
        println!("test {name} ... {word}");
    }
    let left = TESTS.len() - passed - failed;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left} filtered out\n"
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn root_becomes_nobody_without_capabilities() {
    if skip_unless_root("giving up root's privileges") {
        return;
    }
    let said = play("drop", "");
    let nobody = "65534 65534 65534 65534";
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "became nobody",
            &format!("Uid {nobody}"),
            &format!("Gid {nobody}"),
            "Groups",
            "NoNewPrivs 1",
            "CapInh 0000000000000000",
            "CapPrm 0000000000000000",
            "CapEff 0000000000000000",
            "CapBnd 0000000000000000",
            "CapAmb 0000000000000000",
            "packet socket: refused; open one still polls: yes",
            "root again: refused",
        ]
    );
}

fn a_user_by_number_has_the_group_of_that_number() {
    if skip_unless_root("becoming a user by number") {
        return;
    }
    let said = play("drop", "54321");
    assert!(
        said.contains("became 54321\nUid 54321 54321 54321 54321\nGid 54321 "),
        "{said}"
    );
}

fn user_root_keeps_root_and_the_right_to_write_only() {
    if skip_unless_root("--user root") {
        return;
    }
    let said = play("drop", "root");
    for line in [
        "became nobody else",
        "Uid 0 0 0 0",
        "NoNewPrivs 1",
        // CAP_DAC_OVERRIDE and CAP_FOWNER.
        "CapPrm 000000000000000a",
        "CapEff 000000000000000a",
        "packet socket: refused; open one still polls: yes",
    ] {
        assert!(said.lines().any(|each| each == line), "{line}: {said}");
    }
}

fn without_the_means_an_asked_for_user_is_an_error_and_the_default_is_not() {
    if skip_unless_root("becoming somebody twice") {
        return;
    }
    let said = play("drop_twice", "");
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "cannot become nobody: not permitted (running as uid 54321 without CAP_SETUID and CAP_SETGID); leave --user \
             out, or start as root",
            // The user that it is, by number or without a name.
            "fine",
            "fine",
        ]
    );
}

fn root_without_setuid_stays_root_without_capabilities() {
    if skip_unless_root("root without CAP_SETUID") {
        return;
    }
    let said = play("powerless_root", "");
    assert_eq!(
        said,
        "Some(\"CAP_SETUID or CAP_SETGID is missing\")\nUid 0 0 0 0\nCapPrm 0000000000000000\n"
    );
}

fn in_a_user_namespace_without_nobody_root_stays() {
    let Some(said) = play_in(&["-r", "-n"], "alone", "") else {
        return;
    };
    assert_eq!(
        said,
        "Some(\"uid 65534 does not exist in this user namespace\")\nCapPrm 0000000000000000\n\
         cannot become 4242: uid 4242 or its group does not exist in this user namespace; choose another --user (--user root stays)\n"
    );
}

fn an_unknown_user_is_told_before_anything_is_opened() {
    let error = tcplens_capture::privilege::Plan::new(Some("no-such-user")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot run as no-such-user: no such user in /etc/passwd (directory services are not asked); choose another \
         --user, or give its number"
    );
}

fn files_that_are_given_can_be_opened_again_and_others_cannot() {
    if skip_unless_root("giving files") {
        return;
    }
    let place = Place::new("give");
    let said = play("give", place.0.to_str().unwrap());
    assert_eq!(
        said,
        "given: true, kept: false, in the given directory: true, in root's: false\nPLACE is not \
         writable for nobody, whom tcplens has become: new files there (--rotate, SIGHUP) will fail; `chown nobody PLACE` \
         before, or let it stay root (--user root)\n"
    );
}

fn the_saved_user_goes_too() {
    if skip_unless_root("a saved user") {
        return;
    }
    assert_eq!(
        play("way_back", ""),
        "Uid 54321 54321 54321 54321\nroot again: false\n"
    );
}

/// The line that error messages tell, done.
fn what_setcap_grants_is_given_up_too() {
    if skip_unless_root("setcap") {
        return;
    }
    let place = Place::new("setcap");
    let program = place.0.join("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let setcap = Command::new("setcap")
        .arg("cap_net_raw=ep")
        .arg(&program)
        .status();
    if !setcap.is_ok_and(|status| status.success()) {
        println!("SKIPPED: no setcap(8), or the file system keeps no capabilities");
        return;
    }
    let mut user = Command::new(&program);
    user.uid(54321).gid(54321);
    let said = said(command(user, "user", "").output().unwrap());
    if said.starts_with("before: false") {
        println!("SKIPPED: {} is mounted nosuid", place.0.display());
        return;
    }
    assert_eq!(
        said,
        "before: true, after: false, became None\nUid 54321 54321 54321 54321\nNoNewPrivs 1\n\
         CapPrm 0000000000000000\nCapEff 0000000000000000\n"
    );
}

fn landlock_leaves_the_outputs_and_nothing_else() {
    if tcplens_capture::landlock::version().is_none() {
        println!("SKIPPED: this kernel has no landlock");
        return;
    }
    let place = Place::new("landlock");
    for name in ["out", "in", "else"] {
        fs::create_dir(place.0.join(name)).unwrap();
        fs::write(place.0.join(name).join("old"), "old").unwrap();
    }
    let said = play("landlock", place.0.to_str().unwrap());
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "Enforced",
            "out: read true, create true, rename true, remove true",
            "in: read true, create false, rename false, remove false",
            "else: read false, create false, rename false, remove false",
            "what was open: true",
            "resident set: true",
            "run a program: false",
            "bind: PermissionDenied",
        ]
    );
}

fn interfaces_are_those_of_the_namespace_with_their_addresses() {
    let Some(said) = play_in(&["-r", "-n"], "interfaces", "") else {
        return;
    };
    assert_eq!(
        said,
        "1 lo up false loopback true []\ncannot open eth7 for capture: no such interface (have: lo); choose one with -i\n"
    );
}

fn another_namespace_is_entered_and_left() {
    if skip_unless_root("another network namespace") {
        return;
    }
    // A process that waits in a namespace of its own until its standard input ends.
    let mut other = Command::new("unshare");
    other.args(["-n", "sh", "-c", "echo ready; exec cat"]);
    other.stdin(std::process::Stdio::piped());
    other.stdout(std::process::Stdio::piped());
    let Ok(mut other) = other.spawn() else {
        println!("SKIPPED: no unshare(1)");
        return;
    };
    let mut ready = [0; 6];
    let read = std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut ready);
    if read.is_err() {
        println!("SKIPPED: unshare -n is not permitted");
        other.wait().unwrap();
        return;
    }
    let said = play("netns", &format!("/proc/{}/ns/net", other.id()));
    drop(other.stdin.take());
    other.wait().unwrap();
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "there: one interface, lo, down",
            "back: true, also after a panic: true",
            "cannot enter network namespace /proc/self/ns/mnt: /proc/self/ns/mnt is not a network namespace; name one of \
             `ip netns`, or a file such as /proc/PID/ns/net",
            "cannot enter network namespace /etc/passwd: /etc/passwd is not a network namespace; name one of `ip netns`, \
             or a file such as /proc/PID/ns/net",
            "Operation not permitted (os error 1); needs CAP_SYS_ADMIN, which nothing started here \
             can have: start the container with --cap-add SYS_ADMIN, or add it to CapabilityBoundingSet= of the unit",
            "cannot open FILE: Permission denied (os error 13); run as root",
        ]
    );
}

/// What this program says in a role.
fn play(role: &str, words: &str) -> String {
    said(
        command(Command::new(env::current_exe().unwrap()), role, words)
            .output()
            .unwrap(),
    )
}

fn a_file_system_that_is_read_only_is_the_cause_whoever_asks() {
    let place = env::temp_dir().join(format!("tcplens-readonly-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    let name = place.display().to_string();
    if let Some(said) = play_in(&["-m"], "read_only", &name) {
        let read_only = format!(
            "{name} is on a file system that is mounted read-only; mount it for writing, or choose another directory"
        );
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            [
                read_only.as_str(),
                read_only.as_str(),
                "/ is not writable for nobody, whom tcplens has become; `chown nobody /` before, or let it stay root (--user \
                 root)",
            ]
        );
    }
    fs::remove_dir_all(place).unwrap();
}

/// The same in namespaces of unshare(1); `None`, told, where that is not permitted.
fn play_in(options: &[&str], role: &str, words: &str) -> Option<String> {
    let is_permitted = Command::new("unshare").args(options).arg("true").output();
    if !is_permitted.is_ok_and(|output| output.status.success()) {
        println!(
            "SKIPPED: unshare {} is not permitted here",
            options.join(" ")
        );
        return None;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(options).arg(env::current_exe().unwrap());
    Some(said(command(unshare, role, words).output().unwrap()))
}

fn command(mut command: Command, role: &str, words: &str) -> Command {
    // On one thread the harness runs a test on the main one.
    command.args(["--exact", "role", "--nocapture", "--test-threads=1"]);
    command
        .env("TCPLENS_ROLE", role)
        .env("TCPLENS_WORDS", words);
    command
}

/// What a role said between the lines of the harness.
fn said(output: Output) -> String {
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let inner = text
        .split_once("<<\n")
        .and_then(|(_, rest)| rest.split_once(">>\n"));
    let (said, _) = inner.unwrap_or_else(|| panic!("{text}\n{errors}"));
    said.to_owned()
}

fn skip_unless_root(what: &str) -> bool {
    // Root of a container may have less.
    let needed = CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::SETPCAP
        | CapabilitySet::NET_RAW;
    let is_root = capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
    if !is_root {
        println!("SKIPPED: {what} takes root");
    }
    !is_root
}

/// A directory for one test, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let directory =
            env::temp_dir().join(format!("tcplens-privilege-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        Place(directory)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the temporary directory harms nobody.
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}
