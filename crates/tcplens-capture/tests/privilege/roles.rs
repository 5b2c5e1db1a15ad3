//! What the other process does: gives something up, tries what it may still do, and says so.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::panic;
use std::path::Path;
use std::process::Command;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::Uid;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_res_uid};
use tcplens_capture::interfaces;
use tcplens_capture::landlock;
use tcplens_capture::netns;
use tcplens_capture::privilege::{Plan, can_create_in, drop_to};
use tcplens_capture::probe::packet_socket;
use tcplens_capture::process::peak_resident_bytes;

pub(crate) fn play(role: &str, words: &str) {
    let said = match role {
        "drop" => drop_role((!words.is_empty()).then_some(words)),
        "drop_twice" => drop_twice(),
        "powerless_root" => powerless_root(),
        "alone" => alone(),
        "give" => give(Path::new(words)),
        "landlock" => landlocked(Path::new(words)),
        "interfaces" => list_interfaces(),
        "user" => user_role(),
        "way_back" => way_back(),
        "netns" => other_namespace(words),
        "read_only" => read_only(Path::new(words)),
        _ => panic!("no role {role}"),
    };
    println!("<<\n{said}>>");
}

/// Of a file system that is read-only, and of a mount of it that is; then of the root's directory.
fn read_only(place: &Path) -> String {
    let mount = |words: &[&str]| {
        let mut mount = Command::new("mount");
        assert!(mount.args(words).arg(place).status().unwrap().success());
    };
    mount(&["-t", "tmpfs", "-o", "ro", "none"]);
    let dropped = tcplens_capture::privilege::Dropped {
        became: None,
        still_root: None,
    };
    let told = |dropped: &tcplens_capture::privilege::Dropped, place: &Path| {
        let (why, what_to_do) = dropped.refusal(place).unwrap();
        format!("{why}; {what_to_do}\n")
    };
    let mut said = told(&dropped, place);
    mount(&["-o", "remount,rw"]);
    mount(&["-o", "remount,bind,ro"]);
    let dropped = drop_to(None).unwrap();
    said += &told(&dropped, place);
    said + &told(&dropped, Path::new("/"))
}

fn drop_role(user: Option<&str>) -> String {
    let family = AddressFamily::PACKET;
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap();
    let dropped = drop_to(user).unwrap();
    assert_eq!(dropped.still_root, None);
    let became = dropped
        .became
        .map_or("nobody else".to_owned(), |user| user.name);
    let names = [
        "Uid",
        "Gid",
        "Groups",
        "NoNewPrivs",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
    ];
    let mut poll = [rustix::event::PollFd::new(
        &socket,
        rustix::event::PollFlags::IN,
    )];
    let now = rustix::event::Timespec::default();
    let still = rustix::event::poll(&mut poll, Some(&now)).is_ok();
    let root = Uid::ROOT;
    format!(
        "became {became}\n{}packet socket: {}; open one still polls: {}\nroot again: {}\n",
        status(&names),
        if packet_socket().is_ok() {
            "opened"
        } else {
            "refused"
        },
        if still { "yes" } else { "no" },
        match set_thread_res_uid(root, root, root) {
            Ok(()) if became != "nobody else" => "done",
            _ => "refused",
        },
    )
}

/// A user who may capture because of the file's capabilities.
fn user_role() -> String {
    let before = packet_socket().is_ok();
    let dropped = drop_to(None).unwrap();
    format!(
        "before: {before}, after: {}, became {:?}\n{}",
        packet_socket().is_ok(),
        dropped.became,
        status(&["Uid", "NoNewPrivs", "CapPrm", "CapEff"])
    )
}

/// Root only went aside: effective user and group are others, the saved user is still root.
fn way_back() -> String {
    let (aside, root) = (Uid::from_raw(54321), Uid::ROOT);
    set_thread_res_uid(aside, aside, root).unwrap();
    drop_to(None).unwrap();
    format!(
        "{}root again: {}\n",
        status(&["Uid"]),
        set_thread_res_uid(root, root, root).is_ok()
    )
}

fn drop_twice() -> String {
    drop_to(Some("54321")).unwrap();
    let refused = drop_to(Some("nobody")).unwrap_err();
    drop_to(Some("54321")).unwrap();
    drop_to(None).unwrap();
    format!("{refused}\nfine\nfine\n")
}

fn powerless_root() -> String {
    let mut sets = capabilities(None).unwrap();
    sets.effective -= CapabilitySet::SETUID;
    sets.permitted -= CapabilitySet::SETUID;
    set_capabilities(None, sets).unwrap();
    let dropped = drop_to(None).unwrap();
    format!("{:?}\n{}", dropped.still_root, status(&["Uid", "CapPrm"]))
}

fn alone() -> String {
    let refused = Plan::new(Some("4242")).unwrap_err();
    let dropped = drop_to(None).unwrap();
    format!(
        "{:?}\n{}{refused}\n",
        dropped.still_root,
        status(&["CapPrm"])
    )
}

fn give(place: &Path) -> String {
    let plan = Plan::new(None).unwrap();
    let (given, kept, directory) = (place.join("given"), place.join("kept"), place.join("dir"));
    plan.give_file(&File::create(&given).unwrap()).unwrap();
    File::create(&kept).unwrap();
    fs::create_dir(&directory).unwrap();
    plan.give_path(&directory).unwrap();
    // Devices are left as they are.
    plan.give_file(&File::open("/dev/null").unwrap()).unwrap();
    let dropped = plan.drop().unwrap();
    let warning = dropped.warning(place).unwrap();
    assert_eq!(dropped.warning(&directory), None);
    let opens = |path: &Path| File::options().append(true).open(path).is_ok();
    let created = fs::write(directory.join("new"), "").is_ok();
    assert_eq!(created, can_create_in(&directory));
    format!(
        "given: {}, kept: {}, in the given directory: {created}, in root's: {}\n{}\n",
        opens(&given),
        opens(&kept),
        can_create_in(place),
        warning.replace(place.to_str().unwrap(), "PLACE"),
    )
}

fn landlocked(place: &Path) -> String {
    let mut open = File::open(place.join("else/old")).unwrap();
    let status = landlock::restrict(&[&place.join("out")], &[&place.join("in")]);
    let mut said = format!("{status:?}\n");
    for name in ["out", "in", "else"] {
        let path = |file: &str| place.join(name).join(file);
        said += &format!(
            "{name}: read {}, create {}, rename {}, remove {}\n",
            fs::read(path("old")).is_ok(),
            fs::write(path("new"), "").is_ok(),
            fs::rename(path("old"), path("older")).is_ok(),
            fs::remove_file(path("older")).is_ok(),
        );
    }
    let mut text = String::new();
    let bind = TcpListener::bind("127.0.0.1:0").map_err(|error| error.kind());
    said += &format!(
        "what was open: {}\nresident set: {}\nrun a program: {}\nbind: {:?}\n",
        open.read_to_string(&mut text).is_ok() && text == "old",
        peak_resident_bytes().is_some(),
        Command::new("/bin/true").status().is_ok(),
        bind.unwrap_err(),
    );
    said
}

fn list_interfaces() -> String {
    let mut said = String::new();
    for each in interfaces::list().unwrap() {
        said += &format!(
            "{} {} up {} loopback {} {:?}\n",
            each.index, each.name, each.is_up, each.is_loopback, each.addresses
        );
    }
    let missing = interfaces::find("eth7").unwrap_err();
    said + &format!("{missing}\n")
}

fn other_namespace(file: &str) -> String {
    let here = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let before = here();
    let there = netns::within(file, || (here(), interfaces::list().unwrap())).unwrap();
    assert_ne!(there.0, before);
    let mut said = match &*there.1 {
        [one] if !one.is_up => format!("there: one interface, {}, down\n", one.name),
        more => format!("there: {more:?}\n"),
    };
    let is_back = here() == before;
    panic::set_hook(Box::new(|_| {}));
    let caught = panic::catch_unwind(|| netns::within(file, || panic!("on purpose")));
    // The harness wants its own again.
    drop(panic::take_hook());
    assert!(caught.is_err());
    said += &format!(
        "back: {is_back}, also after a panic: {}\n",
        here() == before
    );
    for wrong in ["/proc/self/ns/mnt", "/etc/passwd"] {
        said += &format!("{}\n", netns::within(wrong, || ()).unwrap_err());
    }
    drop_to(Some("root")).unwrap();
    for refused in ["/proc/self/ns/net", file] {
        let refused = netns::within(refused, || ()).unwrap_err().to_string();
        let why = refused.split_once(": ").map_or("", |(_, why)| why);
        said += &format!("{}\n", why.replace(file, "FILE"));
    }
    said
}

/// Fields of /proc/self/status, a line each, one blank between words.
fn status(names: &[&str]) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &&str| {
        let line = status
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")));
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        words.join(" ").replacen(':', "", 1) + "\n"
    };
    names.iter().map(line).collect()
}
