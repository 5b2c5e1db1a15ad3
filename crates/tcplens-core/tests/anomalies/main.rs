//! What is abnormal, on a simulated fleet with known truth: small and quick here; the large one with the comparison of methods
//! is `examples/anomalies`.

#[expect(dead_code, unreachable_pub, reason = "the example uses the rest of it")]
mod simulation;

use std::net::{IpAddr, Ipv4Addr};

use simulation::rollups::rollups;
use simulation::{Component, FIRST_MINUTE, Fault, Fleet, Kind, Place, Plan, Traffic};
use tcplens_core::record::{Protocol, RequestRollup, Rollup, Vantage, Word};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_core::view::anomaly::{
    AnomalyMetric, Durations, Instance, Judgement, Reading, Sample, Settings, Watch,
};

const DAY: i64 = 1440;

fn place(server: u64) -> Place {
    Place {
        server,
        host: 0,
        rack: 0,
        proxy: 0,
        zone: 0,
    }
}

fn fault(kind: Kind, size: f64, start: i64, lasts: i64) -> Fault {
    Fault {
        kind,
        component: Component::Server(1),
        start: FIRST_MINUTE + start,
        end: FIRST_MINUTE + start + lasts,
        creeps: lasts,
        size,
        is_silent: false,
    }
}

/// All readings of a server for so many days, with the minute since the first.
fn watch(server: u64, faults: Vec<Fault>, days: i64) -> Vec<(i64, Reading)> {
    let mut traffic = Traffic::new(77, place(server), faults);
    let mut instance = Instance::default();
    let mut readings = Vec::new();
    for at in 0..days * DAY {
        let sample = traffic.sample(FIRST_MINUTE + at);
        instance.judge(FIRST_MINUTE + at, &sample, &mut |reading| {
            readings.push((at, reading))
        });
    }
    readings
}

/// Minutes and metrics that are abnormal.
fn abnormal(readings: &[(i64, Reading)]) -> Vec<(i64, AnomalyMetric)> {
    let all = readings.iter().filter(|(_, reading)| reading.is_abnormal);
    all.map(|(at, reading)| (*at, reading.metric)).collect()
}

#[test]
fn days_without_faults_have_no_alarm() {
    let fleet = Fleet::new(Plan::clean(78, 10, 0));
    for server in 0..5 {
        let mut traffic = fleet.traffic(server);
        let mut instance = Instance::default();
        let mut alarms = Vec::new();
        for minute in fleet.minutes() {
            let sample = traffic.sample(minute);
            instance.judge(minute, &sample, &mut |reading| {
                if reading.is_abnormal {
                    alarms.push((minute - FIRST_MINUTE, reading));
                }
            });
        }
        assert_eq!(alarms, [], "server {server}");
    }
}

#[test]
fn each_kind_of_fault_is_found_within_two_minutes_where_it_is() {
    let silent = Fault {
        is_silent: true,
        ..fault(Kind::FailingProxy, 0.4, 0, 0)
    };
    for (kind, size, is_silent, metrics) in [
        (Kind::SlowServer, 3.0, false, &["total", "process"][..]),
        (Kind::LossyRack, 0.05, false, &["retransmits"]),
        (Kind::FailingProxy, 0.3, false, &["errors"]),
        (silent.kind, silent.size, true, &["unanswered"]),
        (Kind::LostTraffic, 0.1, false, &["throughput"]),
    ] {
        let start = 9 * DAY + 700;
        let fault = Fault {
            is_silent,
            ..fault(kind, size, start, 30)
        };
        // A busy one.
        let found = abnormal(&watch(3, vec![fault], 10));
        for &word in metrics {
            let metric = found.iter().find(|(_, metric)| metric.word() == Some(word));
            let (at, _) = metric.unwrap_or_else(|| panic!("{kind:?}: not in {word}: {found:?}"));
            assert_eq!(*at, start + 1, "{kind:?} in {word}");
        }
        for (at, metric) in found {
            let within = (start..start + 30 + 30).contains(&at);
            assert!(within, "{kind:?}: {metric:?} at {}", at - start);
        }
    }
}

#[test]
fn what_creeps_up_is_found_while_it_does() {
    let start = 9 * DAY;
    let found = abnormal(&watch(
        3,
        vec![fault(Kind::SlowDrift, 2.5, start, 2 * DAY)],
        12,
    ));
    let first = found.first().expect("found").0;
    assert!(
        (start + 120..start + DAY).contains(&first),
        "{first} after {start}"
    );
    let expected = [AnomalyMetric::Total, AnomalyMetric::Process];
    assert!(
        found.iter().all(|(_, metric)| expected.contains(metric)),
        "{found:?}"
    );
}

#[test]
fn a_flash_crowd_is_no_fault_neither_is_its_end() {
    let crowd = fault(Kind::FlashCrowd, 5.0, 9 * DAY + 600, 90);
    assert_eq!(abnormal(&watch(3, vec![crowd], 10)), []);
}

#[test]
fn what_lasts_a_day_is_normal_and_so_is_its_end() {
    let change = fault(Kind::SlowServer, 3.0, 9 * DAY, 2 * DAY);
    let found = abnormal(&watch(3, vec![change], 12));
    let process = found
        .iter()
        .filter(|(_, metric)| *metric == AnomalyMetric::Process);
    let minutes: Vec<i64> = process.map(|(at, _)| at - 9 * DAY).collect();
    assert_eq!((minutes.first(), minutes.last()), (Some(&1), Some(&DAY)));
    assert!(minutes.len() > 1400, "{}", minutes.len());
}

#[test]
fn the_first_days_learn_and_say_nothing() {
    let readings = watch(3, vec![fault(Kind::SlowServer, 6.0, DAY, DAY)], 3);
    assert_eq!(abnormal(&readings), []);
    assert!(readings.iter().all(|(_, reading)| reading.is_learning));
}

#[test]
fn few_requests_with_an_error_now_and_then_do_not_alarm() {
    let mut instance = Instance::default();
    let mut random = simulation::Random::new(5, 5);
    for at in 0..10 * DAY {
        let requests = random.poisson(2.0);
        let errors = u64::from(requests > 0 && random.happens(0.01));
        // Durations that spread over three powers of ten.
        let mut total = Durations::default();
        for _ in 0..requests {
            total.add(1e6 * (1.5 * random.normal()).exp(), 1);
        }
        let sample = Sample {
            requests: Some(requests),
            answered: requests,
            errors,
            total,
            ..Sample::default()
        };
        instance.judge(FIRST_MINUTE + at, &sample, &mut |reading| {
            assert!(!reading.is_abnormal, "{at}: {reading:?}");
        });
    }
}

/// Readings of `process` of a server with 60 requests a minute of 1 ms that takes `slower(minute)` times as long.
fn processed(days: i64, mut slower: impl FnMut(i64) -> f64) -> Vec<(i64, Reading)> {
    let mut random = simulation::Random::new(11, 11);
    let mut instance = Instance::default();
    let mut readings = Vec::new();
    for at in 0..days * DAY {
        let mean = (1e6 * slower(at) * (0.05 * random.normal()).exp()).ln();
        let mut process = Durations::default();
        process.add_ln(60.0 * mean, 60.0 * (mean * mean + 0.1), 60);
        let sample = Sample {
            requests: Some(60),
            answered: 60,
            process,
            ..Sample::default()
        };
        instance.judge(FIRST_MINUTE + at, &sample, &mut |reading| {
            if reading.metric == AnomalyMetric::Process {
                readings.push((at, reading));
            }
        });
    }
    readings
}

#[test]
fn two_pauses_in_a_row_are_no_alarm_but_two_minutes_alike_are() {
    let last = 9 * DAY + 700;
    let judge = |first: f64, second: f64| {
        let readings = processed(10, |at| match at - last {
            0 => first,
            1 => second,
            // A pause of any length now and then, alone: a minute of 500.
            _ if at % 501 == 250 => 1.4 + (at % 17) as f64 / 8.0,
            _ => 1.0,
        });
        let found = abnormal(&readings);
        found.iter().map(|(at, _)| at - last).collect::<Vec<_>>()
    };
    assert_eq!(judge(1.5, 3.4), [0_i64; 0], "two pauses");
    let step = judge(2.2, 2.2);
    assert_eq!(step.first(), Some(&1), "{step:?}");
    assert!(step.iter().all(|at| (1..4).contains(at)), "{step:?}");
}

#[test]
fn a_job_of_every_day_is_usual_after_three_days() {
    let readings = processed(7, |at| {
        let is_job = (300..330).contains(&(at % DAY));
        if is_job { 2.5 } else { 1.0 }
    });
    assert_eq!(abnormal(&readings), []);
    let of_job = |day: i64| {
        let of_it = readings
            .iter()
            .filter(|(at, _)| (300..330).contains(&(at - day * DAY)));
        let expected: Vec<f64> = of_it.map(|(_, reading)| reading.expected).collect();
        expected.iter().sum::<f64>() / expected.len() as f64
    };
    // In microseconds; nothing is known on the first day.
    assert!(of_job(0) < 1500.0, "{}", of_job(0));
    for day in 3..7 {
        let expected = of_job(day);
        assert!((2200.0..2600.0).contains(&expected), "{day}: {expected}");
    }
}

#[test]
fn every_number_is_a_number() {
    let mut instance = Instance::default();
    let mut random = simulation::Random::new(6, 6);
    for at in 0..5 * DAY {
        let mut large = || match random.below(4) {
            0 => 0,
            1 => 1,
            2 => random.below(1000),
            _ => 1 << random.below(40),
        };
        let mut durations = Durations::default();
        durations.add(large() as f64, large());
        let sample = Sample {
            requests: Some(large()),
            answered: large(),
            errors: large(),
            unanswered: large(),
            total: durations,
            process: durations,
            upload_ns: large(),
            transfer_ns: large(),
            budgets: large(),
            network_ns: large(),
            attempts: large(),
            failed: large(),
            connect: durations,
            data_segments: large(),
            repeated_segments: large(),
        };
        instance.judge(FIRST_MINUTE + at, &sample, &mut |reading| {
            let numbers = [reading.observed, reading.expected, reading.score];
            assert!(
                numbers.iter().all(|number| number.is_finite()),
                "{at}: {reading:?}"
            );
            assert!(
                reading.observed >= 0.0 && reading.expected >= 0.0,
                "{at}: {reading:?}"
            );
        });
    }
}

#[test]
fn times_as_long_are_judged_alike() {
    // Far above the microsecond that is added to all.
    let judge = |factor: f64| {
        let mut instance = Instance::default();
        let mut random = simulation::Random::new(7, 7);
        let mut judged = Vec::new();
        for at in 0..4 * DAY {
            let slow = if at > 4 * DAY - 60 { 4.0 } else { 1.0 };
            let mut total = Durations::default();
            for _ in 0..30 {
                total.add(1e8 * factor * slow * (0.5 * random.normal()).exp(), 1);
            }
            let sample = Sample {
                requests: Some(30),
                answered: 30,
                total,
                ..Sample::default()
            };
            instance.judge(FIRST_MINUTE + at, &sample, &mut |reading| {
                if reading.metric == AnomalyMetric::Total {
                    judged.push((reading.is_abnormal, (reading.score * 10.0).round()));
                }
            });
        }
        judged
    };
    let once = judge(1.0);
    assert!(once.iter().any(|(is_abnormal, _)| *is_abnormal));
    let same = once
        .iter()
        .zip(judge(8.0))
        .filter(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() <= 1.0);
    assert_eq!(same.count(), once.len());
}

/// A minute of redis at 10.0.0.`server`.
fn rollup(at: i64, server: u8, requests: u64) -> Rollup {
    Rollup {
        time: Timestamp((FIRST_MINUTE + at) * 60 * SECOND),
        vantage: Vantage::Wire,
        server_ip: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, server))),
        server_port: Some(6379),
        protocol: Some(Protocol::Redis),
        operation: Some("GET".into()),
        capture_losses: 0,
        requests: Some(Box::new(RequestRollup {
            requests: Some(requests),
            answered: Some(requests),
            ..RequestRollup::default()
        })),
        connections: None,
    }
}

fn advance(watch: &mut Watch, at: i64) -> Vec<Judgement> {
    let mut judged = Vec::new();
    let to = Timestamp((FIRST_MINUTE + at) * 60 * SECOND);
    watch.advance(to, &mut |judgement| judged.push(judgement.clone()));
    judged
}

#[test]
fn the_order_of_hosts_and_rollups_makes_no_difference() {
    let mut all: Vec<(&str, Rollup)> = Vec::new();
    for (server, host) in [(1, "a"), (1, "b"), (2, "b"), (3, "c")] {
        let mut traffic = Traffic::new(9, place(server), Vec::new());
        for at in 0..90 {
            all.extend(rollups(&mut traffic, FIRST_MINUTE + at).map(|rollup| (host, rollup)));
        }
    }
    let judge = |all: &[(&str, Rollup)]| {
        let mut watch = Watch::new(Settings::default());
        all.iter()
            .for_each(|(host, rollup)| watch.add(host, rollup));
        advance(&mut watch, 90)
    };
    let forward = judge(&all);
    // Three servers and one operation of each; 11 metrics of a server, 8 of an operation, some minutes without attempts.
    assert!(
        (90 * 3 * 17..=90 * 3 * 19).contains(&forward.len()),
        "{}",
        forward.len()
    );
    all.reverse();
    assert_eq!(judge(&all), forward);
    all.sort_by_key(|(host, rollup)| (rollup.time.0 % 7, *host));
    assert_eq!(judge(&all), forward);
}

#[test]
fn what_is_late_nameless_or_too_much_is_counted() {
    let mut watch = Watch::new(Settings {
        limit_instances: 3,
        limit_minutes: 2,
    });
    watch.add("a", &rollup(0, 1, 10));
    watch.add("a", &rollup(0, 2, 10));
    watch.add("a", &rollup(1, 1, 10));
    watch.add("a", &rollup(2, 1, 10));
    watch.add(
        "a",
        &Rollup {
            server_ip: None,
            ..rollup(1, 1, 10)
        },
    );
    // The minute that goes on is not judged.
    assert_eq!(advance(&mut watch, 0), []);
    let judged = advance(&mut watch, 1);
    let servers: Vec<_> = judged
        .iter()
        .map(|one| one.instance.server_ip.to_string())
        .collect();
    assert!(servers.contains(&"10.0.0.1".to_owned()) && servers.contains(&"10.0.0.2".to_owned()));
    watch.add("a", &rollup(0, 1, 10));
    let counts = watch.counts();
    assert_eq!(
        [
            counts.refused_rollups,
            counts.nameless_rollups,
            counts.refused_samples,
            counts.late_rollups
        ],
        [1, 1, 1, 1]
    );
    assert_eq!(watch.instances(), 3);
    // A week of silence makes room.
    watch.add("a", &rollup(8 * DAY, 9, 10));
    advance(&mut watch, 8 * DAY + 1);
    assert_eq!(watch.instances(), 2);
    assert_eq!(watch.counts().forgotten_instances, 3);
}

#[test]
fn a_server_without_requests_is_seen_while_its_host_tells_of_others() {
    let mut watch = Watch::new(Settings::default());
    let mut random = simulation::Random::new(8, 8);
    let mut alarms = Vec::new();
    for at in 0..9 * DAY + 60 {
        // Host `a` sees two servers, `b` one; servers 1 and 3 fall silent, and `b` with 3.
        let is_over = at >= 9 * DAY;
        watch.add("a", &rollup(at, 2, random.poisson(100.0)));
        if !is_over {
            watch.add("a", &rollup(at, 1, random.poisson(100.0)));
            watch.add("b", &rollup(at, 3, random.poisson(100.0)));
        }
        let judged = advance(&mut watch, at + 1);
        alarms.extend(judged.into_iter().filter(|one| one.is_abnormal));
    }
    assert_eq!(
        alarms.len(),
        2 * 59,
        "server and operation, from the second minute on"
    );
    for alarm in &alarms {
        assert_eq!(alarm.instance.server_ip.to_string(), "10.0.0.1");
        assert_eq!(alarm.metric, AnomalyMetric::Throughput);
        assert_eq!(alarm.observed, 0.0);
        assert!(
            (80.0..120.0).contains(&alarm.expected),
            "{}",
            alarm.expected
        );
        assert!(alarm.score > 5.0, "{}", alarm.score);
        assert_eq!(alarm.minutes, 2);
    }
}
