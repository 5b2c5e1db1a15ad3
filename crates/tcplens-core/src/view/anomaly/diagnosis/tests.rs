use super::*;
use crate::record::Word;
use crate::time::SECOND;
use crate::view::anomaly::{finding, rank};

/// 2026-11-24T14:00:00Z, a Tuesday.
const START: i64 = 1_795_528_800;

fn at(minute: i64) -> Timestamp {
    Timestamp((START + minute * 60) * SECOND)
}

/// 60 servers: two on each of 30 hosts, five hosts in a rack, the racks in two zones; every sixth server behind a proxy.
struct Fleet {
    diagnosis: Diagnosis,
    told: Vec<String>,
    over: Vec<Trouble>,
}

fn server(n: u8) -> Server {
    ([10, 0, 0, n / 2].into(), 6379 + u16::from(n % 2))
}

impl Fleet {
    fn new() -> Fleet {
        let mut topology = Topology::default();
        for n in 0..60 {
            let (ip, port) = server(n);
            let label = |label: &str, name: String| (label.to_owned(), name);
            let labels = [
                label("host", format!("h{}", n / 2)),
                label("rack", format!("r{}", n / 10)),
                label("zone", format!("z{}", n / 30)),
                label("proxy", format!("p{}", n % 6)),
            ];
            topology.add(&format!("{ip}:{port}"), &labels).unwrap();
        }
        let mut diagnosis = Diagnosis::new(Settings::default(), topology);
        for n in 0..60 {
            let (ip, port) = server(n);
            let rollup = rollup(at(0), ip, port);
            diagnosis.add("collector", &rollup);
        }
        Fleet {
            diagnosis,
            told: Vec::new(),
            over: Vec::new(),
        }
    }

    /// A minute: everything is usual but these.
    fn minute(&mut self, minute: i64, abnormal: &[(u8, AnomalyMetric)]) {
        let Fleet {
            diagnosis,
            told,
            over,
        } = self;
        let state = &mut diagnosis.state;
        let mut each = |change: Change, trouble: &Trouble| {
            let whom = match &trouble.whom {
                Whom::Server => {
                    let (ip, port) = trouble.servers.first().unwrap();
                    format!("{ip}:{port}")
                }
                Whom::Component { component, .. } => component.to_string(),
                Whom::All(_) => "all".to_owned(),
            };
            told.push(format!("{minute} {change:?} {} {whom}", trouble.number));
            if change == Change::Ended {
                over.push(trouble.clone());
            }
        };
        for n in 0..60 {
            let mut judgement = judgement(n, minute, AnomalyMetric::Throughput, 600.0, 600.0);
            for metric in [AnomalyMetric::Throughput, AnomalyMetric::Process] {
                judgement.metric = metric;
                let is_abnormal = abnormal.contains(&(n, metric));
                let (observed, expected) = match metric {
                    AnomalyMetric::Throughput if is_abnormal => (100.0, 600.0),
                    AnomalyMetric::Throughput => (600.0, 600.0),
                    _ if is_abnormal => (8_200.0, 1_100.0),
                    _ => (1_150.0, 1_100.0),
                };
                judgement.observed = observed;
                judgement.expected = expected;
                judgement.is_abnormal = is_abnormal;
                judgement.score = if is_abnormal {
                    12.0 + f64::from(n)
                } else {
                    0.3
                };
                judgement.minutes = if is_abnormal { 2 } else { 1 };
                state.take(&judgement, &mut each);
            }
            for &(_, metric) in abnormal.iter().filter(|&&(of, metric)| {
                of == n && ![AnomalyMetric::Throughput, AnomalyMetric::Process].contains(&metric)
            }) {
                let mut judgement = self::judgement(n, minute, metric, 0.12, 0.0035);
                judgement.is_abnormal = true;
                judgement.score = 20.0 + f64::from(n);
                judgement.minutes = 2;
                state.take(&judgement, &mut each);
            }
        }
        state.close(&mut each);
    }

    fn troubles(&self) -> Vec<Trouble> {
        self.diagnosis.troubles().cloned().collect()
    }
}

fn rollup(time: Timestamp, ip: std::net::IpAddr, port: u16) -> Rollup {
    Rollup {
        time,
        vantage: crate::record::Vantage::Wire,
        server_ip: Some(ip),
        server_port: Some(port.into()),
        protocol: None,
        operation: None,
        capture_losses: 0,
        requests: None,
        connections: None,
    }
}

fn judgement(n: u8, minute: i64, metric: AnomalyMetric, observed: f64, expected: f64) -> Judgement {
    let (server_ip, server_port) = server(n);
    Judgement {
        minute: at(minute),
        instance: InstanceKey {
            server_ip,
            server_port,
            protocol: None,
            operation: None,
        },
        metric,
        observed,
        expected,
        score: 0.0,
        is_abnormal: false,
        is_learning: false,
        minutes: 1,
    }
}

fn slow(servers: impl IntoIterator<Item = u8>) -> Vec<(u8, AnomalyMetric)> {
    servers
        .into_iter()
        .map(|n| (n, AnomalyMetric::Process))
        .collect()
}

#[test]
fn a_slow_server_is_one_trouble_from_its_first_minute_to_its_last() {
    let mut fleet = Fleet::new();
    fleet.minute(0, &[]);
    for minute in 4..10 {
        fleet.minute(minute, &slow([7]));
    }
    assert_eq!(fleet.told, ["4 Began 1 10.0.0.3:6380"]);
    let open = fleet.troubles();
    let told = finding(&open[0], 1);
    assert_eq!(
        told.text.unwrap(),
        "Since 14:03 UTC requests of 10.0.0.3:6380 take 8.2 ms to process, usually about 1.1 ms."
    );
    assert_eq!(told.evidence.unwrap(), "process 8.2 ms, usually 1.1 ms.");
    assert_eq!((told.code, told.harm), ("abnormal_latency", 3600));
    assert_eq!((told.time, told.until), (Some(at(3)), Some(at(10))));
    assert_eq!(told.filter.unwrap(), "host 10.0.0.3 and port 6380");
    assert_eq!(told.server_ip.unwrap().to_string(), "10.0.0.3");
    assert_eq!(told.server_port, Some(6380));
    assert_eq!(
        (told.metric, told.component, told.p_value),
        (Some("process"), None, None)
    );
    assert_eq!(
        told.advice.unwrap(),
        "Look at what changed when it began: a release, the load, what the server itself waits for. Its minutes: tcplens query \
         \"SELECT time, protocol, operation, requests, process_sum_us, total_sum_us FROM rollups WHERE server_ip = '10.0.0.3' AND \
         server_port = 6380 AND protocol IS NOT NULL AND time >= '2026-11-24 13:03:00' ORDER BY time\""
    );
    for minute in 10..16 {
        fleet.minute(minute, &[]);
    }
    // The minute before still counts, but the trouble is as old as its last abnormal one.
    assert_eq!(fleet.told[1..], ["14 Ended 1 10.0.0.3:6380"]);
    let over = finding(&fleet.over[0], 1);
    assert_eq!(over.until, Some(at(10)));
    assert!(over.text.unwrap().starts_with("From 14:03 to 14:10 UTC "));
    assert!(fleet.troubles().is_empty());
}

#[test]
fn a_rack_that_is_seen_server_by_server_becomes_one_trouble_of_the_rack() {
    let mut fleet = Fleet::new();
    fleet.minute(4, &slow([20]));
    fleet.minute(5, &slow([20, 22, 23, 25, 27]));
    fleet.minute(6, &slow([20, 21, 22, 23, 24, 25, 26, 27, 28, 50]));
    assert_eq!(
        fleet.told,
        [
            "4 Began 1 10.0.0.10:6379",
            "5 Moved 1 rack=r2",
            "6 Began 2 10.0.0.25:6379"
        ]
    );
    let mut open = fleet.troubles();
    rank(&mut open);
    let told = finding(&open[0], 1);
    assert_eq!(
        told.text.unwrap(),
        "Since 14:03 UTC 9 of 10 servers with rack=r2 are abnormal, and 1 of the 50 others: requests take longer. The worst: \
         requests of 10.0.0.14:6379 take 8.2 ms to process, usually about 1.1 ms."
    );
    assert_eq!(told.component.unwrap(), "rack=r2");
    assert_eq!(told.p_value.unwrap(), "3.1e-7");
    assert_eq!(
        told.evidence.unwrap(),
        "process 8.2 ms, usually 1.1 ms (the worst of 9 servers); so many of one component by chance: p = 3.1e-7."
    );
    assert_eq!(
        (told.server_ip, told.server_port, told.filter),
        (None, None, None)
    );
    // One, five and nine servers of 600 requests.
    assert_eq!(told.harm, 600 * 15);
}

#[test]
fn what_is_lost_is_told_before_what_is_slow_for_it_and_fewer_requests_are_no_trouble_of_their_own()
{
    let mut fleet = Fleet::new();
    let rack: Vec<u8> = (20..30).collect();
    let mut abnormal = slow(rack.clone());
    abnormal.extend(rack.iter().map(|&n| (n, AnomalyMetric::Retransmits)));
    abnormal.extend(rack.iter().map(|&n| (n, AnomalyMetric::Throughput)));
    // Elsewhere somebody only asks less.
    abnormal.push((3, AnomalyMetric::Throughput));
    fleet.minute(4, &abnormal);
    let mut open = fleet.troubles();
    rank(&mut open);
    let found: Vec<_> = open
        .iter()
        .zip(1..)
        .map(|(trouble, n)| finding(trouble, n))
        .collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].code, "abnormal_loss");
    assert_eq!(
        found[0].text.as_deref().unwrap(),
        "Since 14:03 UTC 10 of 10 servers with rack=r2 are abnormal, and none of the 50 others: segments get lost. The worst: \
         12 % of the segments from and to 10.0.0.14:6380 are repeated, usually about 0.35 %."
    );
    assert_eq!(found[0].suspect, crate::record::Suspect::Network);
    assert_eq!(found[1].code, "abnormal_traffic");
    assert_eq!(
        found[1].text.as_deref().unwrap(),
        "Since 14:03 UTC 10.0.0.1:6380 gets 100 requests a minute, usually about 600 requests a minute."
    );
    assert_eq!(found[1].metric, AnomalyMetric::Throughput.word());
}

#[test]
fn two_faults_at_once_are_two_troubles_and_everything_at_once_is_one() {
    let mut fleet = Fleet::new();
    let proxy = (0..60).filter(|n| n % 6 == 1);
    let both: Vec<u8> = proxy.chain(20..30).collect();
    fleet.minute(4, &slow(both));
    assert_eq!(fleet.told.len(), 2, "{:?}", fleet.told);
    let mut told = fleet.told.clone();
    told.sort();
    assert!(
        told[0].ends_with("proxy=p1") || told[1].ends_with("proxy=p1"),
        "{told:?}"
    );
    assert!(
        told[0].ends_with("rack=r2") || told[1].ends_with("rack=r2"),
        "{told:?}"
    );

    let mut fleet = Fleet::new();
    fleet.minute(4, &slow(0..58));
    assert_eq!(fleet.told, ["4 Began 1 all"]);
    let told = finding(&fleet.troubles()[0], 1);
    assert!(told.text.unwrap().starts_with(
        "Since 14:03 UTC 58 of 60 servers watched are abnormal, whatever they are part of: "
    ));
    assert_eq!(told.component, None);
}

#[test]
fn who_alone_tells_of_a_server_is_taken_for_its_host() {
    let mut diagnosis = Diagnosis::new(Settings::default(), Topology::default());
    let ip = [10, 0, 0, 1].into();
    diagnosis.add("db1", &rollup(at(0), ip, 80));
    diagnosis.add("db1", &rollup(at(0), ip, 81));
    diagnosis.add("db2", &rollup(at(0), ip, 81));
    let of = |port: u16| diagnosis.state.servers[&(ip, port)].observer.clone();
    assert!(matches!(of(80), Observer::One(host) if &*host == "db1"));
    assert!(matches!(of(81), Observer::Several));
    let watching = diagnosis.watching();
    assert_eq!((watching.rollups, watching.first), (3, Some(at(0))));
    assert_eq!(watching.last, Some(at(1)));
}

#[test]
fn what_is_too_young_is_neither_judged_nor_counted_among_the_others() {
    let mut fleet = Fleet::new();
    let state = &mut fleet.diagnosis.state;
    for n in 0..40 {
        let mut judgement = judgement(n, 4, AnomalyMetric::Process, 9.0, 1.0);
        judgement.is_learning = n >= 10;
        judgement.is_abnormal = true;
        judgement.score = 9.0;
        state.take(&judgement, &mut |_, _| {});
    }
    state.close(&mut |_, _| {});
    let open = fleet.troubles();
    let whom: Vec<_> = open.iter().map(|trouble| &trouble.whom).collect();
    assert_eq!(whom, [&Whom::All(Share { hits: 10, of: 10 })]);
    let watching = fleet.diagnosis.watching();
    assert_eq!((watching.judged, watching.learning), (10, 30));
    assert_eq!(fleet.diagnosis.abnormal().count(), 10);
}

#[test]
fn a_trouble_of_traffic_has_a_number_of_its_own() {
    let mut fleet = Fleet::new();
    let both = [(3, AnomalyMetric::Process), (40, AnomalyMetric::Throughput)];
    fleet.minute(0, &both);
    fleet.minute(1, &[(3, AnomalyMetric::Process)]);
    fleet.minute(
        2,
        &[(3, AnomalyMetric::Process), (20, AnomalyMetric::Throughput)],
    );
    let mut numbers: Vec<_> = fleet.troubles().iter().map(|of| of.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
}
