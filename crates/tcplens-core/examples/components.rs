//! How well it is told which component is to blame: rollups of a simulated fleet with known truth go through all of it, models,
//! components and troubles. Not the comparison of models: that is `anomalies`.
//!
//! ```sh
//! cargo run --release -p tcplens-core --example components -- large SEED...  # 1,000 servers, 30 days
//! cargo run --release -p tcplens-core --example components -- small SEED...  # 200 servers, 12 days
//! cargo run --release -p tcplens-core --example components -- clean SEED...  # 100 servers, 12 days, without faults
//! ```

#![expect(
    clippy::unwrap_used,
    reason = "an experiment: what it is given is known"
)]

#[path = "../tests/anomalies/simulation/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the comparison of models uses the rest of it"
)]
mod simulation;

use std::collections::BTreeMap;
use std::time::Instant;

use simulation::{Component, Fault, Fleet, Mix, Plan};
use tcplens_core::record::{ConnectionRollup, Protocol, RequestRollup, Rollup, Vantage};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::anomaly::{
    Change, Diagnosis, Durations, Sample, Settings, Topology, Trouble, Whom,
};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let plan = match words.first().map(String::as_str) {
        Some("large") => Plan::large,
        Some("small") => small,
        Some("clean") => |seed| Plan::clean(seed, 12, 5),
        _ => {
            println!("components large|small|clean SEED...");
            return;
        }
    };
    for seed in words.iter().filter_map(|word| word.parse().ok()) {
        run(&Fleet::new(plan(seed)));
    }
}

/// Days of faults half as many as the large one's, for a fifth of the servers.
fn small(seed: u64) -> Plan {
    Plan {
        servers: 200,
        hosts: 20,
        racks: 4,
        proxies: 5,
        days: 12,
        mix: Mix {
            slow_servers: 8,
            slow_hosts: 6,
            lossy_racks: 4,
            failing_proxies: 5,
            drifts: 3,
            lost_traffic: 3,
            flash_crowds: 10,
        },
        ..Plan::large(seed)
    }
}

fn run(fleet: &Fleet) {
    let ip = |server: u64| {
        format!(
            "10.{}.{}.{}",
            server >> 16,
            (server >> 8) & 255,
            server & 255
        )
    };
    let mut topology = Topology::default();
    for place in &fleet.places {
        let label = |label: &str, n: u64| (label.to_owned(), n.to_string());
        let labels = [
            label("host", place.host),
            label("rack", place.rack),
            label("proxy", place.proxy),
            label("zone", place.zone),
        ];
        topology.add(&ip(place.server), &labels).unwrap();
    }
    let mut diagnosis = Diagnosis::new(Settings::default(), topology);
    let mut traffic: Vec<_> = fleet
        .places
        .iter()
        .map(|p| fleet.traffic(p.server))
        .collect();
    let mut noticed: BTreeMap<u64, i64> = BTreeMap::new();
    let mut troubles: BTreeMap<u64, Trouble> = BTreeMap::new();
    let (mut spent, mut count) = (0.0, 0_u64);
    for minute in fleet.minutes() {
        let made: Vec<_> = traffic
            .iter_mut()
            .map(|of| rollups(of.place.server, minute, &of.sample(minute)))
            .collect();
        let began = Instant::now();
        for rollup in made.iter().flatten() {
            diagnosis.add("fleet", rollup);
            count += 1;
        }
        let now = Timestamp((minute + 1) * 60 * SECOND);
        diagnosis.advance(now, &mut |change, trouble| {
            if change == Change::Began {
                noticed.insert(trouble.number, minute);
            }
            troubles.insert(trouble.number, trouble.clone());
        });
        for trouble in diagnosis.troubles() {
            troubles.insert(trouble.number, trouble.clone());
        }
        spent += began.elapsed().as_secs_f64();
    }
    judge(fleet, &troubles, &noticed);
    println!("  {:.2} µs per rollup", spent * 1e6 / count as f64);
}

/// The minute of one server: of its requests, and of its connections.
fn rollups(server: u64, minute: i64, of: &Sample) -> [Rollup; 2] {
    let empty = Rollup {
        time: Timestamp(minute * 60 * SECOND),
        vantage: Vantage::Wire,
        server_ip: Some(std::net::Ipv4Addr::from(0x0a00_0000 + server as u32).into()),
        server_port: Some(6379),
        protocol: None,
        operation: None,
        capture_losses: 0,
        requests: None,
        connections: None,
    };
    let span = |ns: u64| Some(Span::from_ns(ns));
    let (total_ns, total_counts) = histogram(&of.total);
    let (process_ns, process_counts) = histogram(&of.process);
    let requests = RequestRollup {
        requests: of.requests,
        answered: Some(of.answered),
        errors: Some(of.errors),
        unanswered: Some(of.unanswered),
        upload_sum_us: span(of.upload_ns),
        transfer_sum_us: span(of.transfer_ns),
        budgets: Some(of.budgets),
        in_network_sum_us: span(of.network_ns),
        in_loss_sum_us: span(0),
        total_ns,
        total_counts,
        process_ns,
        process_counts,
        ..RequestRollup::default()
    };
    let (connect_ns, connect_counts) = histogram(&of.connect);
    let connections = ConnectionRollup {
        attempts: Some(of.attempts),
        established: Some(of.attempts - of.failed),
        failed: Some(of.failed),
        connect_ns,
        connect_counts,
        data_segments: Some(of.data_segments),
        repeated_segments: Some(of.repeated_segments),
        ..ConnectionRollup::default()
    };
    [
        Rollup {
            protocol: Some(Protocol::Redis),
            operation: Some("GET".into()),
            requests: Some(Box::new(requests)),
            ..empty.clone()
        },
        Rollup {
            connections: Some(Box::new(connections)),
            ..empty
        },
    ]
}

/// As many durations with the same mean and (but for what an odd one does) variance of their logarithms, in two buckets: the
/// models read no more of a histogram. Every duration drawn by itself is what `simulation::rollups` makes, at 20 times the cost.
fn histogram(durations: &Durations) -> (Vec<u64>, Vec<u64>) {
    let Some(mean) = durations.ln_mean() else {
        return (Vec::new(), Vec::new());
    };
    let width = durations.ln_variance().unwrap_or(0.0).sqrt();
    let ns = |ln: f64| (ln.exp() - 1000.0).max(0.0).round() as u64;
    let low = durations.count / 2;
    let high = durations.count - low;
    // The mean is kept where there is one more above.
    let (below, above) = (
        (high as f64 / low.max(1) as f64).sqrt(),
        (low as f64 / high as f64).sqrt(),
    );
    (
        vec![ns(mean - width * below), ns(mean + width * above)],
        vec![low, high],
    )
}

fn judge(fleet: &Fleet, troubles: &BTreeMap<u64, Trouble>, noticed: &BTreeMap<u64, i64>) {
    let minute = |at: Timestamp| at.0 / (60 * SECOND);
    let server = |trouble: &Trouble, fault: &Fault| {
        trouble.servers.iter().any(|(ip, _)| {
            let std::net::IpAddr::V4(ip) = ip else {
                return false;
            };
            let n = u64::from(u32::from(*ip) & 0x00ff_ffff);
            let place = fleet.places.iter().find(|place| place.server == n);
            place.is_some_and(|place| fault.concerns(place))
        })
    };
    let is_of = |trouble: &Trouble, fault: &Fault| {
        minute(trouble.since) < fault.end + 5
            && minute(trouble.until) > fault.start
            && server(trouble, fault)
    };
    let faults: Vec<&Fault> = fleet
        .faults
        .iter()
        .filter(|fault| fault.is_fault())
        .collect();
    let (mut found, mut right, mut soon) = (0, 0, 0);
    for fault in &faults {
        let of_it: Vec<_> = troubles
            .values()
            .filter(|trouble| is_of(trouble, fault))
            .collect();
        let is_right = of_it
            .iter()
            .any(|trouble| is_named(trouble, fault.component));
        let first = of_it
            .iter()
            .filter_map(|trouble| noticed.get(&trouble.number))
            .min();
        found += usize::from(!of_it.is_empty());
        right += usize::from(is_right);
        soon += usize::from(first.is_some_and(|first| first - fault.start < 3));
        if !is_right {
            let told: Vec<_> = of_it.iter().map(|trouble| name(trouble)).collect();
            println!(
                "  {:?} {:?} size {:.3}: {told:?}",
                fault.kind, fault.component, fault.size
            );
        }
    }
    let false_ones: Vec<_> = troubles
        .values()
        .filter(|trouble| !faults.iter().any(|fault| is_of(trouble, fault)))
        .collect();
    for trouble in &false_ones {
        let metrics: Vec<_> = trouble.metrics.keys().collect();
        println!(
            "  false: {} {metrics:?} {} minutes",
            name(trouble),
            minute(trouble.until) - minute(trouble.since)
        );
    }
    println!(
        "seed {}: {} faults, {found} found, {soon} within 3 minutes, component right {right} of {found}; {} troubles, {} false",
        fleet.plan.seed,
        faults.len(),
        troubles.len(),
        false_ones.len(),
    );
}

fn is_named(trouble: &Trouble, component: Component) -> bool {
    let wanted = match component {
        Component::Server(n) => {
            return trouble.whom == Whom::Server
                && trouble.servers.iter().any(|(ip, _)| match ip {
                    std::net::IpAddr::V4(ip) => u64::from(u32::from(*ip) & 0x00ff_ffff) == n,
                    std::net::IpAddr::V6(_) => false,
                });
        }
        Component::Host(n) => format!("host={n}"),
        Component::Rack(n) => format!("rack={n}"),
        Component::Proxy(n) => format!("proxy={n}"),
    };
    name(trouble) == wanted
}

fn name(trouble: &Trouble) -> String {
    match &trouble.whom {
        Whom::Server => format!("{:?}", trouble.servers.first()),
        Whom::Component { component, .. } => component.to_string(),
        Whom::All(_) => "all".to_owned(),
    }
}
