use std::sync::{Arc, Mutex};

use super::testing::*;
use super::*;
use crate::batch::AnyRecord;
use crate::kernel::event::*;
use crate::record::{
    Close, Connection as ConnectionRecord, EndedBy, Field, FirstFrame, Handshake, HandshakeOutcome,
    Outcome, PortMode, Record, Status, Vantage, Visitor, Word,
};
use crate::time::Span;

/// The fields of a record that are there, `name=value`.
#[derive(Default)]
struct Fields(Vec<String>);

impl Fields {
    fn put<T: std::fmt::Display>(&mut self, field: &Field, value: Option<T>) {
        if let Some(value) = value {
            self.0.push(format!("{}={value}", field.name));
        }
    }
}

impl Visitor for Fields {
    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        self.put(field, value);
    }
    fn span(&mut self, field: &'static Field, value: Option<Span>) {
        self.put(field, value.map(|span| span.ns() / 1000));
    }
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        self.put(field, value.map(|at| (at.0 - START.0) / 1000));
    }
    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        self.put(field, value);
    }
    fn word(&mut self, field: &'static Field, value: Option<&'static str>) {
        self.put(field, value);
    }
    fn flag(&mut self, field: &'static Field, value: Option<bool>) {
        self.put(field, value);
    }
    fn text(&mut self, field: &'static Field, value: Option<&str>) {
        self.put(field, value);
    }
    fn id(&mut self, field: &'static Field, value: Option<ConnectionId>) {
        self.put(
            field,
            value.map(|id| String::from_utf8(id.text().to_vec()).unwrap()),
        );
    }
    fn counts(&mut self, _: &'static Field, _: &[(&'static str, u64)]) {}
    fn list(&mut self, _: &'static Field, _: &[u64]) {}
    fn frames(&mut self, field: &'static Field, value: &[FirstFrame]) {
        self.put(field, (!value.is_empty()).then(|| format!("{value:?}")));
    }
}

fn fields<R: Record>(record: &R) -> String {
    let mut fields = Fields::default();
    record.visit(&mut fields);
    fields.0.join(" ")
}

fn mapper() -> Mapper {
    Mapper::new(Settings {
        host: 0xabcd_0001,
        ..Settings::default()
    })
}

/// What became of events, one record per line.
fn lines(mapper: &mut Mapper, events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let mut out = Records::default();
    for event in events {
        mapper.event(event, &mut out);
    }
    shown(&out)
}

fn shown(out: &Records) -> Vec<String> {
    (0..out.len())
        .map(|n| match out.get(n).unwrap().1 {
            AnyRecord::Handshake(record) => fields(record),
            AnyRecord::Request(record) => fields(&record.record()),
            AnyRecord::Connection(record) => fields(record),
        })
        .collect()
}

fn requests(events: impl IntoIterator<Item = Event>) -> Vec<(Status, EndedBy, String)> {
    let mut out = Records::default();
    let mut mapper = mapper();
    for event in events {
        mapper.event(event, &mut out);
    }
    mapper.end(us(10_000_000), &mut out);
    (0..out.len())
        .filter_map(|n| match out.get(n).unwrap().1 {
            AnyRecord::Request(record) => {
                let record = record.record();
                Some((record.status, record.ended_by, fields(&record)))
            }
            _ => None,
        })
        .collect()
}

fn handshakes(mapper: &mut Mapper, events: impl IntoIterator<Item = Event>) -> Vec<Handshake> {
    let mut out = Records::default();
    for event in events {
        mapper.event(event, &mut out);
    }
    handshakes_of(&out)
}

fn handshakes_of(out: &Records) -> Vec<Handshake> {
    (0..out.len())
        .filter_map(|n| match out.get(n).unwrap().1 {
            AnyRecord::Handshake(record) => Some(record.clone()),
            _ => None,
        })
        .collect()
}

fn connections(
    mapper: &mut Mapper,
    events: impl IntoIterator<Item = Event>,
) -> Vec<ConnectionRecord> {
    let mut out = Records::default();
    for event in events {
        mapper.event(event, &mut out);
    }
    (0..out.len())
        .filter_map(|n| match out.get(n).unwrap().1 {
            AnyRecord::Connection(record) => Some(record.clone()),
            _ => None,
        })
        .collect()
}

fn closed(closed: Closed) -> What {
    What::Connection(Connection {
        closed: Some(closed),
        ..connection()
    })
}

mod attempts;
mod connections;
mod tasks;

#[test]
fn cgroups_are_asked_for_once_and_name_containers() {
    let id = "0123456789abcdef".repeat(4);
    let path = format!("/system.slice/docker-{id}.scope");
    let asked = Arc::new(Mutex::new(0));
    let (count, found) = (asked.clone(), path.clone());
    let mut mapper = Mapper::new(Settings {
        cgroup_path: Box::new(move |number| {
            *count.lock().unwrap() += 1;
            (number == 77).then(|| found.clone())
        }),
        ..Settings::default()
    });
    let done = || event(server(7), 9, What::Task(Box::new(task(1, 0))));
    let said = lines(&mut mapper, [done(), done()]);
    for line in said {
        assert!(
            line.contains(&format!(" cgroup={path} container_id={id} ")),
            "{line}"
        );
    }
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[test]
fn both_ends_on_this_host_are_local_and_mapped_addresses_are_ipv4() {
    for (local, remote, direction) in [
        ("127.0.0.1", "127.0.0.1", "local"),
        ("::1", "::1", "local"),
        ("::ffff:10.0.0.1", "10.0.0.1", "local"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", "inbound"),
    ] {
        let socket = Socket {
            local: (local.parse().unwrap(), 80),
            remote: (remote.parse().unwrap(), 40_000),
            ..server(7)
        };
        let line = &lines(
            &mut mapper(),
            [event(socket, 9, What::Task(Box::new(task(1, 0))))],
        )[0];
        assert!(line.contains(&format!(" direction={direction} ")), "{line}");
        assert!(!line.contains("::ffff"), "{line}");
    }
}

#[test]
fn the_filter_leaves_out_and_counts() {
    let mut mapper = Mapper::new(Settings {
        filter: Some(TupleFilter::parse("port 6379").unwrap()),
        ..Settings::default()
    });
    let said = lines(
        &mut mapper,
        [
            event(server(7), 9, What::Task(Box::new(task(1, 0)))),
            event(client(8), 9, What::Task(Box::new(received(1, 0)))),
        ],
    );
    assert_eq!(said.len(), 1);
    assert_eq!((mapper.counts().events, mapper.counts().filtered), (2, 1));
}

#[test]
fn the_other_end_of_a_local_connection_can_be_left_out() {
    for (side, is_server) in [(Side::Server, true), (Side::Client, false)] {
        let mut mapper = Mapper::new(Settings {
            side: Some(side),
            ..Settings::default()
        });
        let said = lines(
            &mut mapper,
            [
                event(server(7), 9, What::Task(Box::new(task(1, 0)))),
                event(client(8), 9, What::Task(Box::new(received(1, 0)))),
            ],
        );
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].contains(" tap_side=server "), is_server);
        assert_eq!(mapper.counts().filtered, 1);
    }
}

#[test]
fn only_records_that_are_wanted_are_made() {
    let events = || {
        let cut = Task {
            end: TaskEnd::ClosedReceiving,
            ..task(1, 0)
        };
        [
            event(
                client(8),
                5,
                What::Attempt(attempt(AttemptEnd::Failed(111))),
            ),
            event(server(7), 9, What::Task(Box::new(cut))),
            event(server(7), 10, What::Connection(connection())),
        ]
    };
    for (wanted, own) in [
        ([true, false, false], &[" outcome="][..]),
        ([false, true, false], &[" ended_by="]),
        // An attempt that failed is a connection, too.
        ([false, false, true], &[" close=failed ", " close=fin "]),
    ] {
        let mut mapper = Mapper::new(Settings {
            handshakes: wanted[0],
            requests: wanted[1],
            connections: wanted[2],
            ..Settings::default()
        });
        let said = lines(&mut mapper, events());
        assert_eq!(said.len(), own.len(), "{said:?}");
        for (line, own) in said.iter().zip(own) {
            assert!(line.contains(own), "{line}");
        }
    }
}

#[test]
fn what_was_lost_is_told_of_what_it_may_concern() {
    let mut mapper = mapper();
    let mut said = lines(
        &mut mapper,
        [event(server(7), 900, What::Task(Box::new(task(1, 0))))],
    );
    mapper.lost(us(1000));
    said.extend(lines(
        &mut mapper,
        [
            event(server(7), 1500, What::Task(Box::new(task(2, 950)))),
            event(server(7), 2500, What::Task(Box::new(task(3, 2000)))),
            event(server(7), 2600, What::Connection(connection())),
        ],
    ));
    let has_lost: Vec<_> = said
        .iter()
        .map(|line| line.contains(" capture_loss=true "))
        .collect();
    assert_eq!(has_lost, [false, true, false, true]);
    assert!(!said.iter().any(|line| line.contains("capture_loss=false")));
}

#[test]
fn any_events_give_the_same_records_twice_and_no_panic() {
    fn run() -> (Vec<String>, Counts) {
        let mut state = 7_u64;
        let mut next = move |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut mapper = Mapper::new(Settings {
            pending_attempts: 8,
            protocols: Protocol::ALL.to_vec(),
            first_frames: vec![1, 0, u32::MAX],
            ..Settings::default()
        });
        let mut out = Records::default();
        for _ in 0..20_000 {
            let socket = Socket {
                cookie: next(20),
                remote: ("192.0.2.7".parse().unwrap(), next(20) as u16),
                role: [Role::Server, Role::Client][next(2) as usize],
                began: us(next(1000) as i64 - 500),
                is_adopted: next(2) == 0,
                ..server(0)
            };
            let mut time = || (next(4) > 0).then(|| Timestamp(next(3_000_000) as i64));
            let times = [time(), time(), time(), time(), time()];
            let what = match next(3) {
                0 => What::Task(Box::new(Task {
                    end: [
                        TaskEnd::Answered,
                        TaskEnd::ClosedSending,
                        TaskEnd::ClosedReceiving,
                        TaskEnd::Received,
                        TaskEnd::ClosedWaiting,
                        TaskEnd::Open,
                    ][next(6) as usize],
                    first_request: times[0].unwrap_or(Timestamp::MAX),
                    last_request: times[1],
                    first_response: times[2],
                    last_response: times[3],
                    acknowledged: times[4],
                    next: times[4],
                    request_bytes: next(300),
                    response_bytes: u64::MAX - next(3),
                    mode: [Mode::Default, Mode::Http, Mode::Https][next(3) as usize],
                    head: (0..next(65)).map(|_| (next(30)) as u8).collect(),
                    next_head: (0..next(20)).map(|_| (next(30)) as u8).collect(),
                    first_frames: vec![(next(2) as u32, 3); next(6) as usize],
                    ..task(next(9), 0)
                })),
                1 => What::Connection(Connection {
                    closed: (next(2) == 0).then(|| Closed {
                        fin_sent: next(2) == 0,
                        rst_received: next(2) == 0,
                        error: next(120) as u16,
                        ..Closed::default()
                    }),
                    ..connection()
                }),
                _ => What::Attempt(attempt(match next(6) {
                    0 => AttemptEnd::Established,
                    1 => AttemptEnd::Failed(next(200) as u16),
                    2 => AttemptEnd::Closed,
                    3 => AttemptEnd::RefusedHere,
                    4 => AttemptEnd::SynackAgain(next(6) as u32),
                    _ => AttemptEnd::Open,
                })),
            };
            let at = next(100_000_000) as i64;
            mapper.event(event(socket, at, what), &mut out);
            if next(50) == 0 {
                mapper.tick(us(at), &mut out);
            }
        }
        mapper.begin_end();
        mapper.end(us(200_000_000), &mut out);
        out.sort();
        (shown(&out), mapper.counts())
    }
    let (lines, counts) = run();
    assert_eq!((&lines, counts), (&run().0, run().1));
    assert_eq!(counts.events, 20_000);
    // Every bound was reached but that of tasks, and nothing is lost: an event is a record, or a step of an attempt.
    assert!(counts.early_attempts > 0 && lines.len() > 15_000);
}

#[test]
fn records_are_in_the_order_of_their_events_though_clocks_differ() {
    let mut out = Records::default();
    let mut mapper = mapper();
    for (n, at) in [(1, 500), (2, 400), (3, 600)] {
        mapper.event(
            event(server(n), at, What::Task(Box::new(task(n, 0)))),
            &mut out,
        );
    }
    out.sort();
    let cookies: Vec<_> = shown(&out)
        .iter()
        .map(|line| line.contains("task=2"))
        .collect();
    assert_eq!(cookies, [false, true, false]);
    assert_eq!(mapper.clock(), us(600));
    assert_eq!(out.get(0).map(|(_, record)| matches!(record, AnyRecord::Request(r) if r.row.vantage == Vantage::Kernel)), Some(true));
    let back = Task {
        first_response: Some(us(-5)),
        ..task(4, 0)
    };
    mapper.event(event(server(4), 700, What::Task(Box::new(back))), &mut out);
    assert_eq!(mapper.counts().time_reversals, 1);
}
