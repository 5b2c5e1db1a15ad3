//! What our own writer leaves behind, and how other programs read it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tcplens_core::socket::Message;
use tcplens_core::time::{SECOND, Span};
use tcplens_output::archive::{Archive, ArchiveCounters, ArchiveSettings, Final, Uuid};

use super::tools::{START, Scratch, after, lines, lines_of, message};

const NAME: &str = "2026/11/21/host_1_unsafe_0000000000001007";

fn settings(scratch: &Scratch) -> ArchiveSettings {
    let uuid = Uuid::new("host_1_unsafe").unwrap();
    ArchiveSettings::new(scratch.0.join("archive"), uuid)
}

fn archive(scratch: &Scratch) -> Archive {
    Archive::new(settings(scratch)).unwrap()
}

fn files(scratch: &Scratch) -> Vec<String> {
    let strip = |name: String| name.strip_prefix("archive/").unwrap().to_owned();
    scratch.files().into_iter().map(strip).collect()
}

/// A snapshot of connection 0x1007, so many seconds after the start.
fn snapshot(archive: &mut Archive, seconds: i64) {
    let bytes = message(0x1007, u32::try_from(seconds).unwrap());
    let socket = Message::new(&bytes).unwrap();
    archive.snapshot(after(seconds), START, 0x1007, socket);
    archive.tick(after(seconds));
}

fn ended(seconds: u64) -> Final {
    Final {
        reason: Some("fin".into()),
        duration: Some(Span::from_ns(seconds * SECOND as u64)),
        polls: Some(20),
        snapshots: Some(2),
    }
}

/// The lines of a file of 0x1007.
fn of(scratch: &Scratch, sequence: u32) -> Vec<String> {
    let path = scratch
        .0
        .join(format!("archive/{NAME}.{sequence:05}.jsonl.zst"));
    lines_of(&path).lines().map(str::to_owned).collect()
}

#[test]
fn a_connection_is_a_file_that_begins_with_metadata_and_ends_with_its_end() {
    let scratch = Scratch::new("file");
    let mut archive = archive(&scratch);
    snapshot(&mut archive, 0);
    snapshot(&mut archive, 9);
    assert_eq!(scratch.files(), Vec::<String>::new(), "nothing is due");
    archive.tick(after(10));
    assert_eq!(files(&scratch), [format!("{NAME}.00000.jsonl.zst")]);
    assert_eq!((of(&scratch, 0).len(), archive.pending()), (3, 0));
    snapshot(&mut archive, 12);
    let bytes = message(0x1007, 99);
    let last = Message::new(&bytes);
    archive.ended(after(13), START, 0x1007, last, &ended(13));
    let lines = of(&scratch, 0);
    assert_eq!(
        lines[0],
        r#"{"Timestamp":"0001-01-01T00:00:00Z","Metadata":{"UUID":"host_1_unsafe_0000000000001007","Sequence":0,"StartTime":"2026-11-21T01:07:22.384589048Z"}}"#
    );
    assert!(
        lines[1]
            .starts_with(r#"{"Timestamp":"2026-11-21T01:07:22.384589048Z","RawIDM":"AgEAABOJTiE"#)
    );
    let end =
        r#","Final":{"Reason":"fin","DurationNanoseconds":13000000000,"Polls":20,"Snapshots":2}}"#;
    assert!(lines[4].ends_with(end) && lines.len() == 5);
    let counters = archive.finish();
    let expected = ArchiveCounters {
        files: 1,
        records: 4,
        written: 4,
        bytes: counters.bytes,
        flushes_due: 1,
        flushes_ended: 1,
        ..ArchiveCounters::default()
    };
    assert_eq!(counters, expected);
}

#[test]
fn an_end_of_which_nothing_more_is_known_is_told() {
    let scratch = Scratch::new("end");
    let mut archive = archive(&scratch);
    snapshot(&mut archive, 0);
    archive.ended(after(1), START, 0x1007, None, &ended(1));
    let lines = of(&scratch, 0);
    assert!(lines.len() == 2 && lines[1].contains("RawIDM") && lines[1].contains(r#""Final":{"#));
    // Its last line was written already.
    let bytes = message(0x2000, 1);
    archive.snapshot(START, START, 0x2000, Message::new(&bytes).unwrap());
    archive.tick(after(10));
    archive.ended(after(11), START, 0x2000, None, &ended(11));
    assert_eq!((archive.pending(), archive.finish().dropped), (0, 0));
    let path = scratch
        .0
        .join("archive/2026/11/21/host_1_unsafe_0000000000002000.00000.jsonl.zst");
    let lines = lines_of(&path);
    let last = lines.lines().last().unwrap();
    assert!(last.contains("Metadata") && last.contains("Final") && !last.contains("RawIDM"));
}

#[test]
fn a_segment_begins_when_a_line_comes_ten_minutes_after_the_last_began_and_idleness_makes_none() {
    let scratch = Scratch::new("segments");
    let mut archive = archive(&scratch);
    // An hour and a half of silence: nine periods. Then a line every ten seconds.
    let seconds = [0, 599, 6000, 6010, 6020, 6590, 6600, 6610];
    for second in seconds {
        snapshot(&mut archive, second);
    }
    archive.finish();
    let counts = [0, 1, 2].map(|sequence| of(&scratch, sequence).len());
    assert_eq!(counts, [3, 5, 3], "each with metadata");
    assert_eq!(scratch.files().len(), 3);
    for sequence in 0..3 {
        let first = &of(&scratch, sequence)[0];
        assert!(first.contains(&format!(
            r#""Sequence":{sequence},"StartTime":"2026-11-21T01:07:22"#
        )));
    }
}

#[test]
fn later_segments_are_dated_by_their_beginning() {
    let scratch = Scratch::new("midnight");
    let mut archive = archive(&scratch);
    snapshot(&mut archive, 0);
    snapshot(&mut archive, 86_400);
    archive.finish();
    let names = files(&scratch);
    assert!(names[0].starts_with("2026/11/21/") && names[0].ends_with(".00000.jsonl.zst"));
    assert!(names[1].starts_with("2026/11/22/") && names[1].ends_with(".00001.jsonl.zst"));
}

#[test]
fn a_program_that_is_started_again_goes_on_in_new_segments() {
    let scratch = Scratch::new("again");
    for sequence in 0..3 {
        let before: Vec<_> = (0..sequence).map(|n| of(&scratch, n)).collect();
        let mut archive = archive(&scratch);
        snapshot(&mut archive, i64::from(sequence));
        archive.finish();
        assert!(of(&scratch, sequence)[0].contains(&format!(r#""Sequence":{sequence},"#)));
        let after: Vec<_> = (0..sequence).map(|n| of(&scratch, n)).collect();
        assert_eq!(before, after);
    }
}

#[test]
fn what_was_written_before_a_kill_is_whole_and_half_a_frame_is_told() {
    let scratch = Scratch::new("kill");
    let mut archive = archive(&scratch);
    snapshot(&mut archive, 0);
    snapshot(&mut archive, 10);
    let path = scratch.0.join(format!("archive/{NAME}.00000.jsonl.zst"));
    let first = fs::read(&path).unwrap();
    // Killed here: nothing is finished.
    let (whole, damage) = lines(first.clone());
    assert!(damage.is_none() && whole.lines().count() == 3);
    snapshot(&mut archive, 20);
    snapshot(&mut archive, 30);
    let both = fs::read(&path).unwrap();
    assert!(both.starts_with(&first));
    for length in first.len() + 1..both.len() {
        let (read, damage) = lines(both[..length].to_vec());
        assert!(read.starts_with(&whole), "{length}");
        assert!(damage.is_torn && damage.lines == 0, "{length}: {damage:?}");
    }
}

#[test]
fn a_directory_that_vanishes_is_made_again() {
    let scratch = Scratch::new("vanishes");
    let mut archive = archive(&scratch);
    snapshot(&mut archive, 0);
    snapshot(&mut archive, 10);
    fs::remove_dir_all(scratch.0.join("archive")).unwrap();
    snapshot(&mut archive, 20);
    snapshot(&mut archive, 30);
    assert_eq!(files(&scratch), [format!("{NAME}.00001.jsonl.zst")]);
    assert!(of(&scratch, 1)[0].contains(r#""Sequence":1,"#));
    assert_eq!(
        (archive.take_trouble(), archive.counters().failures),
        (None, 0)
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_told_once_and_lines_wait_within_their_bound() {
    let scratch = Scratch::new("cannot");
    // A file where the directory should be: root may not either.
    fs::write(scratch.0.join("archive"), "x").unwrap();
    let mut settings = settings(&scratch);
    settings.limit_pending = 20_000;
    let mut archive = Archive::new(settings).unwrap();
    let mut told = Vec::new();
    for second in 0..120 {
        snapshot(&mut archive, second);
        let bytes = message(0x3000, 0);
        archive.snapshot(after(second), START, 0x3000, Message::new(&bytes).unwrap());
        assert!(archive.pending() <= 21_000);
        told.extend(archive.take_trouble());
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("cannot write the archive: ") && told[0].contains(NAME));
    let counters = *archive.counters();
    assert!(
        counters.dropped > 100 && counters.failures > 10,
        "{counters:?}"
    );
    fs::remove_file(scratch.0.join("archive")).unwrap();
    snapshot(&mut archive, 122);
    let counters = archive.finish();
    let written: usize = scratch
        .files()
        .iter()
        .map(|name| lines_of(&scratch.0.join(name)).lines().count() - 1)
        .sum();
    assert_eq!(u64::try_from(written).unwrap() + counters.dropped, 241);
}

#[test]
fn too_much_that_waits_is_written_the_oldest_first() {
    let scratch = Scratch::new("full");
    let mut settings = settings(&scratch);
    settings.limit_pending = 10_000;
    let mut archive = Archive::new(settings).unwrap();
    for cookie in 1..=100 {
        let bytes = message(cookie, 0);
        archive.snapshot(START, START, cookie, Message::new(&bytes).unwrap());
        assert!(archive.pending() <= 10_000);
    }
    let counters = *archive.counters();
    assert!(counters.flushes_full > 50 && counters.dropped == 0);
    let written = scratch.files().len();
    let oldest = format!("archive/2026/11/21/host_1_unsafe_{written:016X}.00000.jsonl.zst");
    assert_eq!(scratch.files().last(), Some(&oldest));
    assert_eq!(archive.finish().files, 100);
}

#[test]
fn connections_beyond_the_bound_go_on_in_new_segments() {
    let scratch = Scratch::new("forgotten");
    let mut settings = settings(&scratch);
    settings.limit_connections = 10;
    let mut archive = Archive::new(settings).unwrap();
    for cookie in (1..=11).chain(1..=1) {
        let bytes = message(cookie, 0);
        archive.snapshot(START, START, cookie, Message::new(&bytes).unwrap());
    }
    let counters = archive.finish();
    assert_eq!(
        (counters.forgotten, counters.files, counters.records),
        (11, 12, 12)
    );
    assert!(scratch.files()[1].ends_with("0001.00001.jsonl.zst"));
}

#[test]
fn sockets_without_a_cookie_are_counted() {
    let scratch = Scratch::new("cookie");
    let mut archive = archive(&scratch);
    let bytes = message(0, 0);
    for cookie in [0, u64::MAX] {
        archive.snapshot(START, START, cookie, Message::new(&bytes).unwrap());
        archive.ended(START, START, cookie, None, &ended(0));
    }
    assert_eq!(archive.finish().without_cookie, 4);
    assert_eq!(scratch.files().len(), 0);
}

#[test]
fn zstd_reads_a_row_of_frames() {
    let scratch = Scratch::new("zstd");
    let mut archive = archive(&scratch);
    for second in [0, 10, 20, 30, 40] {
        snapshot(&mut archive, second);
    }
    archive.finish();
    let path = scratch.0.join(format!("archive/{NAME}.00000.jsonl.zst"));
    let Ok(output) = Command::new("zstd").args(["-d", "-c"]).arg(&path).output() else {
        println!("SKIPPED: no zstd(1)");
        return;
    };
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines_of(&path));
    let listed = Command::new("zstd").arg("-lv").arg(&path).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("XXH64"),
        "every frame has a checksum: {listed}"
    );
    // As tcp-info's: who may read is the mask's to say.
    let mode = fs::metadata(path.parent().unwrap())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o700, 0o700);
}
