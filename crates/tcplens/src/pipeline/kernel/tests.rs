use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Merge;
use tcplens_core::kernel::{Closed, Connection, Role, RoleBy, Settings, Socket};
use tcplens_core::time::Timestamp;

use super::*;
use crate::agent::{config, plan};
use crate::kernel::NewPorts;

/// A kernel that tells what it was given, a list for each poll, and writes down what it is asked.
#[derive(Default)]
struct Fake {
    polls: Vec<Vec<Event>>,
    last: Vec<Event>,
    counts: KernelCounts,
    /// Drops from this poll on.
    drops_at: Option<usize>,
    fails_at: Option<usize>,
    polled: usize,
    is_closed: bool,
    ports: Arc<std::sync::Mutex<Vec<PortRule>>>,
    stop: Arc<AtomicBool>,
}

impl Source for Fake {
    fn poll(&mut self, _: Duration, each: &mut dyn FnMut(Event)) -> Result<bool, KernelError> {
        if self.is_closed {
            self.counts.events += self.last.len() as u64;
            std::mem::take(&mut self.last).into_iter().for_each(each);
            return Ok(true);
        }
        if self.fails_at == Some(self.polled) {
            let error = std::io::Error::other("no more");
            return Err(KernelError::System {
                what: "wait",
                error,
            });
        }
        if self.drops_at == Some(self.polled) {
            self.counts.drops += 3;
        }
        if let Some(events) = self.polls.get_mut(self.polled) {
            self.counts.events += events.len() as u64;
            std::mem::take(events).into_iter().for_each(each);
        } else {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.polled += 1;
        Ok(true)
    }

    fn tell_all(&mut self) -> Result<(), KernelError> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), KernelError> {
        self.is_closed = true;
        Ok(())
    }

    fn set_ports(&mut self, ports: &[PortRule]) {
        *self.ports.lock().unwrap() = ports.to_vec();
    }

    fn counts(&self) -> KernelCounts {
        self.counts
    }

    fn costs(&self) -> Vec<ProgramCost> {
        Vec::new()
    }

    fn limitations(&self) -> &[String] {
        &[]
    }
}

/// The end of a connection, or how it stands; the port tells which.
fn connection(port: u16, at: i64, closed: Option<Closed>) -> Event {
    let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    let at = Timestamp(START + at);
    Event {
        socket: Socket {
            cookie: u64::from(port),
            netns: 1,
            local: (address(1), 80),
            remote: (address(2), port),
            role: Role::Server,
            role_by: RoleBy::Opening,
            began: at,
            is_adopted: false,
            process: None,
        },
        at,
        what: What::Connection(Connection {
            closed,
            tasks: 0,
            sent_bytes: 1,
            received_bytes: 1,
            unacked_bytes: 0,
            unsent_bytes: 0,
            retransmits: 0,
            min_rtt_us: None,
            rtt_us: None,
            cwnd: 10,
            mss: 1448,
        }),
    }
}

const START: i64 = 1_795_223_302_000_000_000;

/// What came of a run: ports of clients in the order in which they are shown, whether something is lacking, and what is left.
fn run(mut fake: Fake, room: usize, shows: bool) -> (Vec<(u64, bool)>, Heard) {
    let text = "sources: [{kernel: true}]\nviews: [{kind: connections}]\n";
    let config = config::parse(text).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    fake.stop = Arc::clone(&stop);
    let mut plan = plan::plan(&config, Vec::new(), false, 1, stop);
    plan.new_ports = NewPorts::default();
    plan.new_ports.put(vec![PortRule {
        low: 80,
        high: 80,
        is_peer: false,
        mode: tcplens_core::kernel::Mode::Default,
        first_frame: false,
    }]);
    let (rounds, arriving) = sync_channel::<Round>(room);
    let (_give_back, spare) = sync_channel(1);
    let mapper = Mapper::new(Settings::default());
    let listening = Listening::new(0, &plan, (fake, mapper), (rounds, spare));
    let mut shown = Vec::new();
    let heard = std::thread::scope(|scope| {
        let thread = scope.spawn(|| listening.run());
        let mut merge = Merge::default();
        if !shows {
            // Whoever shows is busy until nothing more is told.
            while !plan.stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        }
        for mut round in arriving {
            let watermark = round.watermark;
            merge.merge(&mut round.records, watermark, |record| {
                if let AnyRecord::Connection(record) = record {
                    shown.push((record.client_port, record.capture_loss));
                }
            });
        }
        thread.join().unwrap()
    });
    (shown, heard)
}

#[test]
fn what_is_told_is_shown_in_order_and_counted_also_at_the_end() {
    let closed = || Some(Closed::default());
    let fake = Fake {
        polls: vec![
            vec![connection(1, 0, closed()), connection(2, 10, closed())],
            Vec::new(),
            vec![connection(3, 5, closed())],
        ],
        last: vec![connection(4, 20, None)],
        ..Fake::default()
    };
    let ports = Arc::clone(&fake.ports);
    let (shown, heard) = run(fake, 64, true);
    assert_eq!(shown, [(1, false), (2, false), (3, false), (4, false)]);
    assert_eq!(heard.error, None);
    assert_eq!(heard.totals.shards.connections, 4);
    assert_eq!(heard.totals.kernel.unwrap().counts.events, 4);
    assert_eq!(heard.totals.records_dropped, 0);
    // Other ports were asked for meanwhile.
    assert_eq!(ports.lock().unwrap().len(), 1);
}

#[test]
fn what_lived_when_events_were_dropped_may_lack_something() {
    let closed = || Some(Closed::default());
    let fake = Fake {
        polls: vec![
            vec![connection(1, 0, closed())],
            Vec::new(),
            vec![connection(2, 10, closed())],
        ],
        drops_at: Some(1),
        ..Fake::default()
    };
    let (shown, heard) = run(fake, 64, true);
    assert_eq!(shown, [(1, false), (2, true)]);
    assert_eq!(heard.totals.kernel.unwrap().counts.drops, 3);
}

#[test]
fn who_shows_is_not_waited_for_and_what_finds_no_room_is_counted() {
    let polls = (0..5).map(|n| vec![connection(n, i64::from(n), Some(Closed::default()))]);
    let fake = Fake {
        polls: polls.collect(),
        ..Fake::default()
    };
    let (shown, heard) = run(fake, 1, false);
    let dropped = heard.totals.records_dropped;
    assert_eq!(dropped, 4, "{shown:?}");
    assert_eq!(shown.len() as u64 + dropped, 5);
}

#[test]
fn a_kernel_that_fails_ends_the_run_with_what_was_told() {
    let fake = Fake {
        polls: vec![vec![connection(1, 0, Some(Closed::default()))], Vec::new()],
        fails_at: Some(1),
        ..Fake::default()
    };
    let (shown, heard) = run(fake, 64, true);
    assert_eq!(shown, [(1, false)]);
    assert!(heard.error.unwrap().contains("no more"));
}
