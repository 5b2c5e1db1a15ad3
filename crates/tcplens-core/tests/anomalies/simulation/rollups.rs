//! The same minutes as rollups, with histograms of durations that are drawn one by one: what a detector is fed in practice.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use tcplens_core::record::{ConnectionRollup, Protocol, RequestRollup, Rollup, Vantage};
use tcplens_core::time::{SECOND, Span, Timestamp};

use super::traffic::Intensity;
use super::{Random, Traffic};

/// Durations that are drawn of a minute at most; each then counts as several.
const DRAWN: u64 = 150;

/// The minute of one server: of its requests, and of its connections.
pub fn rollups(traffic: &mut Traffic, minute: i64) -> [Rollup; 2] {
    let is = traffic.intensity(minute);
    let random = &mut traffic.random;
    let server = traffic.place.server;
    let empty = Rollup {
        time: Timestamp(minute * 60 * SECOND),
        vantage: Vantage::Wire,
        server_ip: Some(IpAddr::V4(Ipv4Addr::from(
            0x0a00_0000 + u32::try_from(server).expect("few servers"),
        ))),
        server_port: Some(6379),
        protocol: None,
        operation: None,
        capture_losses: 0,
        requests: None,
        connections: None,
    };
    let (requests, lost_ns, repeated) = requests(&is, random);
    let connections = connections(&is, repeated, random);
    let _: f64 = lost_ns;
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

fn requests(is: &Intensity, random: &mut Random) -> (RequestRollup, f64, u64) {
    let n = is.requests;
    let unanswered = random.poisson(n as f64 * is.unanswered).min(n);
    let answered = n - unanswered;
    let segments = (n as f64 * is.segments) as u64;
    let repeated = random.poisson(segments as f64 * is.loss).min(segments);
    let waits = random.poisson(answered as f64 * is.segments * is.loss * 0.3);
    let lost_ns = 2.2e8 * random.exponentials(waits);
    let mut process = BTreeMap::new();
    let mut total = BTreeMap::new();
    let mut sums = [0.0_f64; 5];
    let drawn = answered.min(DRAWN);
    for i in 0..drawn {
        // As many of each as make all of them.
        let times = answered / drawn + u64::from(i < answered % drawn);
        let mut server = is.process * (is.width * random.normal()).exp();
        if random.happens(is.slow_share) {
            server *= 5.0 * (random.exponential() / is.slow_alpha).exp();
        }
        let path = is.path * (is.path_width * random.normal()).exp();
        let upload = is.upload * random.normal().exp();
        let transfer = is.transfer * 0.4 * random.unit().powf(-1.0 / 1.6);
        let loss = if random.happens(waits as f64 / answered as f64) {
            2.2e8
        } else {
            0.0
        };
        let all = server + path + upload + transfer + loss;
        *process.entry(bucket(server)).or_insert(0) += times;
        *total.entry(bucket(all)).or_insert(0) += times;
        for (sum, ns) in sums.iter_mut().zip([upload, server, transfer, all, path]) {
            *sum += ns * times as f64;
        }
    }
    let span = |ns: f64| Some(Span::from_ns(ns as u64));
    let rollup = RequestRollup {
        requests: Some(n),
        answered: Some(answered),
        errors: Some(random.poisson(answered as f64 * is.errors).min(answered)),
        unanswered: Some(unanswered),
        retransmits: Some(repeated),
        upload_sum_us: span(sums[0]),
        process_sum_us: span(sums[1]),
        transfer_sum_us: span(sums[2]),
        total_sum_us: span(sums[3]),
        budgets: Some(answered),
        in_network_sum_us: span(sums[4]),
        in_loss_sum_us: span(lost_ns),
        total_ns: total.keys().copied().collect(),
        total_counts: total.values().copied().collect(),
        process_ns: process.keys().copied().collect(),
        process_counts: process.values().copied().collect(),
        ..RequestRollup::default()
    };
    (rollup, lost_ns, repeated)
}

fn connections(is: &Intensity, repeated: u64, random: &mut Random) -> ConnectionRollup {
    let attempts = random.poisson(is.requests as f64 * is.attempts);
    let failed = random.poisson(attempts as f64 * is.failed).min(attempts);
    let established = attempts - failed;
    let mut connect = BTreeMap::new();
    let drawn = established.min(DRAWN);
    for i in 0..drawn {
        let times = established / drawn + u64::from(i < established % drawn);
        let mut took = is.path * (is.path_width * random.normal()).exp();
        if random.happens(2.0 * is.loss) {
            took += 1e9;
        }
        *connect.entry(bucket(took)).or_insert(0) += times;
    }
    ConnectionRollup {
        attempts: Some(attempts),
        established: Some(established),
        failed: Some(failed),
        connect_ns: connect.keys().copied().collect(),
        connect_counts: connect.values().copied().collect(),
        data_segments: Some((is.requests as f64 * is.segments) as u64),
        repeated_segments: Some(repeated),
        ..ConnectionRollup::default()
    }
}

/// The middle of a bucket that is 1/64 of a power of two wide.
fn bucket(ns: f64) -> u64 {
    let ns = ns.max(1.0) as u64;
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(7);
    ((ns >> shift) << shift) + (1 << shift >> 1)
}
