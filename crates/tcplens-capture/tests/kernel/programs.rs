//! The programs themselves: the committed objects are what the sources give; they leave nothing behind; they need no rights
//! once they run.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tcplens_capture::kernel::{KernelOptions, PortRule};
use tcplens_core::kernel::Mode;

use crate::harness::{Server, connections, give, is_closed, observe, open, server, take};

/// What built the committed objects: another compiler gives other instructions.
const CLANG: &str = "clang version 14.";

#[test]
fn objects_are_what_their_sources_give() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("ebpf/tasks");
    let version = Command::new("clang").arg("--version").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let version = version.unwrap_or_default();
    if !version.contains(CLANG) {
        println!(
            "SKIPPED: the objects are built by {CLANG}x (Debian 12: clang llvm libbpf-dev), which is not here"
        );
        return;
    }
    let to = std::env::temp_dir().join(format!("tcplens-objects-{}", std::process::id()));
    std::fs::create_dir_all(&to).expect("makes a directory");
    let built = Command::new(sources.join("build")).arg(&to).output();
    let built = built.expect("runs the script");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    for name in ["storage.bpf.o", "hash.bpf.o"] {
        let read = |path: &Path| std::fs::read(path.join(name)).expect("reads the object");
        assert!(
            read(&sources) == read(&to),
            "{name} is not what its sources give: run ebpf/tasks/build"
        );
    }
    std::fs::remove_dir_all(&to).expect("removes them");
}

#[test]
fn nothing_is_left_in_the_kernel() {
    let Some(kernel) = open(&server(1)) else {
        return;
    };
    // Those of other processes are none of ours; other tests of this one have theirs, while they last.
    let ids = ids_of_this_process();
    assert!(!ids.is_empty());
    assert!(!kernel.costs().is_empty());
    drop(kernel);
    let left = || {
        let loaded = aya::programs::loaded_programs().filter_map(Result::ok);
        loaded.filter(|info| ids.contains(&info.id())).count()
    };
    // The kernel frees them a moment later.
    let began = std::time::Instant::now();
    while left() > 0 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{} are left",
            left()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Numbers of the programs that this process has loaded (proc_pid_fdinfo(5)).
fn ids_of_this_process() -> Vec<u32> {
    let files = std::fs::read_dir("/proc/self/fdinfo").expect("lists");
    let texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    let ids = texts.filter_map(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("prog_id:"))?;
        line.trim().parse().ok()
    });
    ids.collect()
}

#[test]
fn ports_are_changed_while_it_runs() {
    let first = Server::v4(drop);
    let target = Server::v4(|mut stream| {
        take(&mut stream, 4);
        give(&mut stream, 10);
    });
    let options = server(first.port());
    let Some(mut kernel) = open(&options) else {
        return;
    };
    kernel.set_ports(&[PortRule {
        low: target.port(),
        high: target.port(),
        is_peer: false,
        mode: Mode::Default,
        first_frame: false,
    }]);
    drop(first.connect());
    let mut stream = target.connect();
    give(&mut stream, 4);
    take(&mut stream, 10);
    drop(stream);
    let mut events = Vec::new();
    while !is_closed(&events) {
        let polled = kernel.poll(Duration::from_millis(5), &mut |event| events.push(event));
        polled.expect("polls");
    }
    assert!(
        events
            .iter()
            .all(|event| event.socket.local.1 == target.port())
    );
    first.join();
    target.join();
}

#[test]
fn another_namespace_is_left_alone() {
    let target = Server::v4(drop);
    let options = KernelOptions {
        // There is none of this number.
        netns: Some(1),
        ..server(target.port())
    };
    let Some(mut kernel) = open(&options) else {
        return;
    };
    drop(target.connect());
    target.join();
    let mut events = 0;
    kernel.close().expect("closes");
    while !kernel
        .poll(Duration::ZERO, &mut |_| events += 1)
        .expect("polls")
    {}
    assert_eq!(events, 0);
}

#[test]
fn what_finds_no_room_is_counted() {
    let target = Server::v4(|mut stream| {
        for _ in 0..2000 {
            take(&mut stream, 1);
            give(&mut stream, 1);
        }
    });
    let options = KernelOptions {
        buffer: Some(1 << 16),
        ..server(target.port())
    };
    let Some(mut kernel) = open(&options) else {
        return;
    };
    // Nobody reads meanwhile: the traffic goes on all the same.
    let mut stream = target.connect();
    for _ in 0..2000 {
        give(&mut stream, 1);
        take(&mut stream, 1);
    }
    drop(stream);
    target.join();
    kernel.close().expect("closes");
    let mut events = 0;
    while !kernel
        .poll(Duration::ZERO, &mut |_| events += 1)
        .expect("polls")
    {}
    let counts = kernel.counts();
    assert_eq!(counts.events, events);
    assert!(counts.drops > 0 && events > 0);
    // 2,000 tasks, the handshake, and the connection unless it is still closing.
    assert!(
        (2001..=2002).contains(&(counts.drops + events)),
        "{counts:?}"
    );
}

#[test]
fn connections_tell_how_they_stand_when_asked() {
    let target = Server::v4(|mut stream| {
        take(&mut stream, 4);
        give(&mut stream, 10);
        take(&mut stream, 1);
    });
    let options = server(target.port());
    let mut stream = target.connect();
    let Some(mut kernel) = open(&options) else {
        return;
    };
    give(&mut stream, 4);
    take(&mut stream, 10);
    kernel.tell_all().expect("asks");
    let mut events = Vec::new();
    while connections(&events).is_empty() {
        let polled = kernel.poll(Duration::from_millis(5), &mut |event| events.push(event));
        polled.expect("polls");
    }
    let one = connections(&events)[0];
    assert_eq!((one.closed, one.tasks, one.received_bytes), (None, 1, 4));
    let rest = observe(&options, || give(&mut stream, 1), is_closed);
    assert!(rest.is_some());
    target.join();
}

#[test]
fn without_ports_all_are_looked_at_also_later() {
    let first = Server::v4(drop);
    let target = Server::v4(drop);
    let Some(mut kernel) = open(&server(first.port())) else {
        return;
    };
    kernel.set_ports(&[]);
    let port = target.port();
    drop(target.connect());
    target.join();
    let mut of_target = 0;
    while of_target == 0 {
        let polled = kernel.poll(Duration::from_millis(5), &mut |event| {
            of_target += u32::from(event.socket.local.1 == port);
        });
        polled.expect("polls");
    }
    drop(first.connect());
    first.join();
}
