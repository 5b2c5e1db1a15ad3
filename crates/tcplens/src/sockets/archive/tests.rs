//! The end of an archive on a disk that does not go on, made up by a thread.

use std::sync::mpsc::channel;

use super::*;

fn items(count: usize) -> Batch {
    let item = |_| Item {
        at: Timestamp(0),
        first_seen: Timestamp(0),
        cookie: 1,
        message: 0..0,
        ended: None,
    };
    Batch {
        items: (0..count).map(item).collect(),
        bytes: Vec::new(),
    }
}

#[test]
fn a_disk_that_takes_nothing_any_more_is_given_up_and_what_it_did_not_take_is_counted() {
    let (release, held) = channel::<()>();
    let work = move |batches: Receiver<Batch>, counts: &ArchiveCounts| {
        // It writes two of three lines; then the disk is gone, and what is behind stays in the queue.
        let batch = batches.recv().expect("a batch");
        assert_eq!(batch.items.len(), 3);
        counts.take(&ArchiveCounters {
            written: 2,
            ..ArchiveCounters::default()
        });
        let _ = held.recv();
        ArchiveCounters::default()
    };
    let counts = Arc::new(ArchiveCounts::default());
    let mut archiver = Archiver::working(work, Arc::clone(&counts)).unwrap();
    archiver.patience = Duration::from_millis(200);
    // One batch that is taken, four that wait, one for which there is no room.
    for lines in [3, 1, 1, 1, 1] {
        archiver.batch = items(lines);
        while !archiver.batch.items.is_empty() {
            archiver.send();
        }
    }
    archiver.batch = items(5);
    let begun = Instant::now();
    archiver.close();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(archiver.dropped(), 1 + 4 + 5);
    // Once.
    archiver.close();
    assert_eq!(archiver.dropped(), 10);
    release.send(()).unwrap();
}

#[test]
fn as_long_as_something_is_written_it_is_waited_for() {
    let work = move |batches: Receiver<Batch>, counts: &ArchiveCounts| {
        let lines: usize = batches.iter().map(|batch| batch.items.len()).sum();
        let mut counters = ArchiveCounters::default();
        for _ in 0..lines {
            std::thread::sleep(Duration::from_millis(100));
            counters.written += 1;
            counts.take(&counters);
        }
        counters
    };
    let counts = Arc::new(ArchiveCounts::default());
    let mut archiver = Archiver::working(work, counts).unwrap();
    // Less than it takes in all, more than between two lines even where the machine is busy.
    archiver.patience = Duration::from_millis(1500);
    archiver.batch = items(20);
    archiver.close();
    assert_eq!((archiver.written.written, archiver.dropped()), (20, 0));
}
