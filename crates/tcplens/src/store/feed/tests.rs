use std::sync::mpsc::channel;

use tcplens_core::record::Suspect;
use tcplens_output::store::StoreRecord;

use super::*;

/// Counts what it is given.
#[derive(Default)]
struct Counting {
    written: u64,
    progress: Arc<AtomicU64>,
    /// How often its end goes on, and how long each takes.
    ends: (u32, Duration),
    /// What it has still to do of an earlier run, and what it has done of that.
    behind: u64,
    recovered: u64,
}

impl StoreSink for Counting {
    fn write(&mut self, _: StoreRecord<'_>, _: Timestamp) -> Result<(), SinkEnd> {
        self.written += 1;
        Ok(())
    }

    fn tick(&mut self, _: Timestamp) -> Result<(), SinkEnd> {
        Ok(())
    }

    fn catch_up(&mut self) -> bool {
        self.recovered += self.behind.min(1);
        self.behind = self.behind.saturating_sub(1);
        self.behind > 0
    }

    fn progress(&self) -> Option<Arc<AtomicU64>> {
        Some(Arc::clone(&self.progress))
    }

    fn counters(&self) -> StoreCounters {
        StoreCounters {
            written: self.written,
            recovered: self.recovered,
            ..StoreCounters::default()
        }
    }

    fn take_trouble(&mut self) -> Option<String> {
        None
    }

    fn finish(&mut self) -> Result<(), SinkEnd> {
        for _ in 0..self.ends.0 {
            std::thread::sleep(self.ends.1);
            self.progress.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn start(opening: Opening) -> (Feeder, Arc<AtomicBool>) {
    let stop: Arc<AtomicBool> = Arc::default();
    let feeder = Feeder::start(opening, "it".into(), Some(Arc::clone(&stop)), false);
    (feeder.unwrap(), stop)
}

fn feed(feeder: &mut Feeder, count: usize) {
    let finding = Finding::new(1, "refused", 3, Suspect::Server);
    for _ in 0..count {
        feeder.finding(&finding).unwrap();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn while_a_live_store_is_opened_records_wait_and_what_finds_no_room_is_counted() {
    let (open, opened) = channel();
    let (mut feeder, stop) = start(Box::new(move || {
        opened.recv().unwrap();
        Ok(Box::new(Counting::default()))
    }));
    // Nobody waits for it.
    feed(&mut feeder, (QUEUE + 3) * BATCH);
    let lost = 2 * BATCH as u64;
    assert_eq!(
        (feeder.counters().dropped, feeder.counters().written),
        (lost, 0)
    );
    open.send(()).unwrap();
    feeder.settle().unwrap();
    feeder.finish().unwrap();
    let counters = feeder.counters();
    assert_eq!(
        (counters.dropped, counters.written),
        (lost, 65 * BATCH as u64)
    );
    assert!(!stop.load(Ordering::Relaxed));
}

#[test]
fn a_live_store_that_cannot_be_opened_ends_the_run_and_what_came_counts_as_dropped() {
    let (open, opened) = channel();
    let (mut feeder, stop) = start(Box::new(move || {
        opened.recv().unwrap();
        Err(anyhow::anyhow!("cannot open it"))
    }));
    feed(&mut feeder, 10);
    feeder.send().unwrap();
    open.send(()).unwrap();
    until("the run is ended", || stop.load(Ordering::Relaxed));
    feed(&mut feeder, 5);
    feeder.send().unwrap();
    feed(&mut feeder, 2);
    let Err(SinkEnd::Failed(why)) = feeder.settle() else {
        panic!("it settled");
    };
    assert_eq!(why.to_string(), "cannot open it");
    // Once.
    feeder.finish().unwrap();
    assert_eq!(feeder.counters().dropped, 17);
}

#[test]
fn an_end_that_goes_on_is_waited_for_and_one_that_does_not_is_counted() {
    let slow = Counting {
        ends: (12, Duration::from_millis(250)),
        ..Counting::default()
    };
    let (mut feeder, _) = start(Box::new(move || Ok(Box::new(slow))));
    feeder.patience = Duration::from_secs(2);
    feed(&mut feeder, 10);
    let begun = Instant::now();
    feeder.finish().unwrap();
    assert!(begun.elapsed() > feeder.patience);
    assert_eq!(
        (feeder.counters().written, feeder.counters().dropped),
        (10, 0)
    );
    // One that is never opened, on the other hand, takes nothing.
    let (open, opened) = channel::<()>();
    let (mut feeder, _) = start(Box::new(move || {
        let _ = opened.recv(); // until the test is over
        Ok(Box::new(Counting::default()))
    }));
    feeder.patience = Duration::from_millis(100);
    feed(&mut feeder, 10);
    feeder.finish().unwrap();
    assert_eq!(
        (feeder.counters().written, feeder.counters().dropped),
        (0, 10)
    );
    drop(open);
}

#[test]
fn two_near_ends_feed_one_store_and_the_first_one_ends_it() {
    let behind = Counting {
        behind: 3,
        ..Counting::default()
    };
    let (mut first, _) = start(Box::new(move || Ok(Box::new(behind))));
    let (mut second, mut third) = (first.beside(), first.beside());
    feed(&mut first, 3);
    feed(&mut second, 4);
    second.finish().unwrap();
    drop(second);
    until("it has caught up", || first.counters().recovered == 3);
    // One that nobody ends does not keep the store from ending.
    first.finish().unwrap();
    assert_eq!((first.counters().written, first.counters().dropped), (7, 0));
    feed(&mut third, 5);
    third.finish().unwrap();
    assert_eq!((first.counters().written, first.counters().dropped), (7, 5));
}
