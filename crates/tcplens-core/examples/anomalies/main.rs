//! How well what is abnormal is told: methods against each other on a simulated fleet with known truth.
//!
//! ```sh
//! cargo run --release -p tcplens-core --example anomalies -- large SEED...   # 1,000 instances, 30 days, with faults
//! cargo run --release -p tcplens-core --example anomalies -- small SEED...   # 200 instances with as many faults
//! cargo run --release -p tcplens-core --example anomalies -- methods SEED... # the same with every method
//! cargo run --release -p tcplens-core --example anomalies -- clean SEED...   # 100 instances, 30 days, without any
//! ```

mod measure;
mod methods;
#[path = "../../tests/anomalies/simulation/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "tests use the rest of it"
)]
mod simulation;

use std::time::Duration;

use measure::{Open, Tally};
use methods::{Detector, METRICS, Method};
use simulation::{Fault, Fleet, Kind, Plan};
use tcplens_core::record::Word;
use tcplens_core::view::anomaly::{AnomalyMetric, Sample};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seeds: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let what = words.first().map_or("", String::as_str);
    let chosen = [Method::Chosen];
    match what {
        "large" => run(&seeds, Plan::large, &chosen, true),
        "methods" => run(&seeds, small, &Method::ALL, false),
        "small" => run(&seeds, small, &chosen, true),
        "clean" => run(&seeds, |seed| Plan::clean(seed, 30, 0), &chosen, true),
        _ => println!("anomalies large|methods|small|clean SEED..."),
    }
}

/// A fifth of the large one's instances, with as many faults.
fn small(seed: u64) -> Plan {
    let mut plan = Plan::large(seed);
    plan.servers = 200;
    plan
}

fn run(seeds: &[u64], plan: impl Fn(u64) -> Plan, methods: &[Method], details: bool) {
    let mut all_faults: Vec<Fault> = Vec::new();
    let mut tallies: Vec<Vec<Tally>> = methods
        .iter()
        .map(|method| vec![Tally::default(); method.thresholds().len()])
        .collect();
    let mut spent = vec![Duration::ZERO; methods.len()];
    let mut made = Duration::ZERO;
    let mut samples = 0_u64;
    for &seed in seeds {
        let fleet = Fleet::new(plan(seed));
        let mut of_seed: Vec<Vec<Tally>> = methods
            .iter()
            .map(|method| vec![Tally::new(&fleet.faults); method.thresholds().len()])
            .collect();
        for server in 0..fleet.plan.servers {
            let mut traffic = fleet.traffic(server);
            let place = fleet.places[server as usize];
            let faults: Vec<(usize, Fault)> = fleet
                .faults
                .iter()
                .enumerate()
                .filter(|(_, fault)| fault.concerns(&place))
                .map(|(number, fault)| (number, fault.clone()))
                .collect();
            let mut detectors: Vec<Detector> = methods
                .iter()
                .map(|&method| Detector::new(method))
                .collect();
            let mut open: Vec<Vec<(Open, Vec<bool>)>> = methods
                .iter()
                .map(|method| {
                    vec![(Open::default(), vec![false; faults.len()]); method.thresholds().len()]
                })
                .collect();
            for tallies in &mut of_seed {
                for tally in tallies {
                    tally.instance_days += fleet.plan.days as u64;
                    for (number, _) in &faults {
                        tally.instances[*number][0] += 1;
                    }
                }
            }
            for day in 0..fleet.plan.days {
                let minutes: Vec<i64> = fleet
                    .minutes()
                    .skip((day * 1440) as usize)
                    .take(1440)
                    .collect();
                let began = cpu();
                let of_day: Vec<Sample> = minutes.iter().map(|&m| traffic.sample(m)).collect();
                made += cpu().saturating_sub(began);
                samples += 1440;
                for (m, detector) in detectors.iter_mut().enumerate() {
                    let began = cpu();
                    let mut bits = vec![0_u32; methods[m].thresholds().len()];
                    for (&minute, sample) in minutes.iter().zip(&of_day) {
                        detector.judge(minute, sample, &mut bits);
                        for (t, &bits) in bits.iter().enumerate() {
                            let (open, found) = &mut open[m][t];
                            open.minute(minute, bits, server, &faults, &mut of_seed[m][t], found);
                        }
                    }
                    spent[m] += cpu().saturating_sub(began);
                }
            }
            for (open, tallies) in open.iter_mut().zip(&mut of_seed) {
                for ((open, _), tally) in open.iter_mut().zip(tallies) {
                    open.close(server, &faults, tally);
                }
            }
        }
        for (sums, ones) in tallies.iter_mut().zip(of_seed) {
            for (sum, one) in sums.iter_mut().zip(ones) {
                sum.merge(one);
            }
        }
        all_faults.extend(fleet.faults.iter().cloned());
    }
    println!(
        "{samples} instance-minutes, {:.0} ns each to make",
        ns(made, samples)
    );
    for ((method, tallies), spent) in methods.iter().zip(&tallies).zip(&spent) {
        let each = ns(*spent, samples) / METRICS as f64;
        for (threshold, tally) in method.thresholds().iter().zip(tallies) {
            let all = tally.recall(&all_faults, |_| true);
            let steps = tally.recall(&all_faults, |kind| kind != Kind::SlowDrift);
            println!(
                "{method:?} {threshold:.2}: recall {:.3} ({} of {}), precision {:.3} ({} of {}), within 2 minutes {:.3} of {} steps, delay {:?} {:?}, false {:.5} per instance-day ({} in crowds), {each:.0} ns",
                all.found as f64 / all.faults.max(1) as f64,
                all.found,
                all.faults,
                tally.precision(),
                tally.true_alarms,
                tally.alarms,
                steps.soon as f64 / steps.faults.max(1) as f64,
                steps.faults,
                steps.median,
                steps.ninth,
                tally.false_per_day(),
                tally.in_crowds,
            );
            if details && *method == Method::Chosen {
                show(tally, &all_faults);
            }
        }
    }
}

fn show(tally: &Tally, faults: &[Fault]) {
    for kind in [
        Kind::SlowServer,
        Kind::SlowHost,
        Kind::LossyRack,
        Kind::FailingProxy,
        Kind::SlowDrift,
        Kind::LostTraffic,
    ] {
        let is = tally.recall(faults, |k| k == kind);
        println!(
            "  {kind:?}: {} of {} found, {} within 2 minutes, delay {:?} {:?}; instances {} of {}, {} within 2",
            is.found,
            is.faults,
            is.soon,
            is.median,
            is.ninth,
            is.instances[1],
            is.instances[0],
            is.instances[2]
        );
    }
    for (fault, first) in faults.iter().zip(&tally.first) {
        if fault.is_fault() && first.is_none() {
            println!(
                "  missed: {:?} {:?} at {} for {}, size {:.3}",
                fault.kind,
                fault.component,
                fault.start - simulation::FIRST_MINUTE,
                fault.end - fault.start,
                fault.size
            );
        }
    }
    let names = |bits: u32| -> Vec<&str> {
        let all = AnomalyMetric::ALL.iter().enumerate();
        all.filter(|(i, _)| bits >> i & 1 == 1)
            .filter_map(|(_, metric)| metric.word())
            .collect()
    };
    for (i, &count) in tally.false_by_metric.iter().enumerate() {
        if count > 0 {
            println!("  false: {count} in {:?}", AnomalyMetric::ALL[i]);
        }
    }
    println!("  false by day of age: {:?}", tally.false_by_day);
    for &(server, from, to, bits) in tally.examples.iter().take(30) {
        let at = from - simulation::FIRST_MINUTE;
        println!(
            "  false: server {server} day {} {:02}:{:02} for {} {:?}",
            at / 1440,
            at % 1440 / 60,
            at % 60,
            to - from + 1,
            names(bits)
        );
    }
}

/// CPU time of this thread until now: others may be busy on the same machine. Zero where it is not told.
fn cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = told.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

fn ns(spent: Duration, samples: u64) -> f64 {
    spent.as_nanos() as f64 / samples.max(1) as f64
}
