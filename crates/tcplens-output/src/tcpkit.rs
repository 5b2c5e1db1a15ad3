//! tcpkit's statistics as JSON documents, in its three shapes; one line each. Readers of tcpkit's stats port find the names
//! they know. What differs, because tcpkit's numbers were of something else: `requests` and `responses` count requests and
//! responses, not packets; bytes are payload; latencies are until the last byte of the response; above 20 s there is a
//! bucket.
//!
//! Rows are of servers with requests, and of every single port that the user named with `-p`, also if nobody asked it
//! anything. Of a range of ports only those with requests have rows. Servers that were too many to be told apart are one
//! row, `other`.
//!
//! Where the time is known from which on all was counted, because somebody asks while it goes on, objects have more: that
//! time, and what tcpkit never told of latencies.

use std::collections::BTreeMap;
use std::str::FromStr;

use tcplens_core::record::{Status, Word};
use tcplens_core::time::Timestamp;
use tcplens_core::view::requests::BUCKETS;
use tcplens_core::view::{RequestGroup, RequestSummary};

use crate::human::Endpoint;
use crate::json::Json;

/// `--stats-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpkitShape {
    /// The array that tcpkit's README prints: `[{"6379":{"total_reqs":7,...}}]`.
    Tcpkit0,
    /// The object of tcpkit 1.0: totals, and `ports` as in the array.
    Tcpkit1,
    /// The object of tcpkit 1.1, by `ip:port`.
    Tcpkit,
}

impl FromStr for TcpkitShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tcpkit0" => Ok(Self::Tcpkit0),
            "tcpkit1" => Ok(Self::Tcpkit1),
            "tcpkit" => Ok(Self::Tcpkit),
            _ => Err(format!(
                "{text:?} is no shape of tcpkit's statistics; write tcpkit0 (its README's array), tcpkit1 (the object of \
                 1.0) or tcpkit (by address and port, of 1.1)"
            )),
        }
    }
}

/// What tcpkit says beside what requests tell.
#[derive(Clone, Debug, Default)]
pub struct TcpkitExtra {
    /// Server ports that the user named, as ranges.
    pub ports: Vec<(u16, u16)>,
    /// Packets that the kernel dropped, if that is known.
    pub drops: Option<u64>,
    /// Segments with data to servers and from servers, if somebody counted them.
    pub packets: Option<[u64; 2]>,
    /// From when on all was counted; makes objects tell more.
    pub since: Option<Timestamp>,
}

/// The document, without a newline at its end.
#[must_use]
pub fn document(summary: &RequestSummary, shape: TcpkitShape, extra: &TcpkitExtra) -> String {
    let mut json = Json::new();
    match shape {
        TcpkitShape::Tcpkit0 => ports(&mut json, summary, extra),
        TcpkitShape::Tcpkit1 => totals(&mut json, summary, extra),
        TcpkitShape::Tcpkit => by_server(&mut json, summary, extra),
    }
    json.into_string()
}

fn totals(json: &mut Json, summary: &RequestSummary, extra: &TcpkitExtra) {
    let all = summary.all();
    let mut protocols = all.protocols();
    let protocol = match (protocols.next(), protocols.next()) {
        (Some(only), None) => only.word().unwrap_or_default(),
        _ => "auto",
    };
    let [inward, outward] = match extra.packets {
        Some(packets) => packets.map(Some),
        None => [None; 2],
    };
    json.open('{').name("type").string(protocol);
    json.name("drops").or_null(extra.drops);
    json.name("in_packets").or_null(inward);
    json.name("out_packets").or_null(outward);
    json.name("in_bytes").number(all.request_bytes);
    json.name("out_bytes").number(all.response_bytes);
    json.name("ports");
    ports(json, summary, extra);
    if let Some(since) = extra.since {
        json.name("since").time(since);
    }
    json.close('}');
}

fn ports(json: &mut Json, summary: &RequestSummary, extra: &TcpkitExtra) {
    let mut ports = BTreeMap::<u64, RequestGroup>::new();
    for &(low, high) in &extra.ports {
        if low == high {
            ports.entry(low.into()).or_default();
        }
    }
    for ((_, port), group) in summary.servers() {
        ports.entry(port).or_default().merge(group);
    }
    json.open('[');
    let mut row = |name: &str, group: &RequestGroup| {
        json.open('{').name(name).open('{');
        json.name("total_reqs").number(group.requests());
        json.name("total_costs").number(group.total.sum_ns() / 1000);
        json.name("slow_reqs").number(group.slow);
        json.name("latencies").open('[');
        for count in group.buckets {
            json.number(count);
        }
        json.close(']');
        if extra.since.is_some() {
            more(json, group);
        }
        json.close('}').close('}');
    };
    for (port, group) in &ports {
        row(&port.to_string(), group);
    }
    let other = summary.other_servers();
    if other.requests() > 0 {
        row("other", other);
    }
    json.close(']');
}

/// tcpkit's names of the buckets, as they are.
const NAMES: [&str; BUCKETS] = [
    "<0.1ms",
    "0.1ms~0.2ms",
    "0.2~0.5ms",
    "0.5ms~1ms",
    "1ms~5ms",
    "5ms~10ms",
    "10ms~20ms",
    "20ms~50ms",
    "50ms~100ms",
    "100ms~200ms",
    "200ms~500ms",
    "0.5s~1s",
    "1s~2s",
    "2s~3s",
    "3s~5s",
    "5s~10s",
    "10s~20s",
    "+inf",
];

fn by_server(json: &mut Json, summary: &RequestSummary, extra: &TcpkitExtra) {
    json.open('{');
    let mut row = |name: &str, group: &RequestGroup| {
        json.name(name).open('{');
        json.name("requests").number(group.requests());
        json.name("request_bytes").number(group.request_bytes);
        json.name("responses").number(group.responses);
        json.name("response_bytes").number(group.response_bytes);
        json.name("latency").open('[');
        for (name, count) in NAMES.iter().zip(group.buckets) {
            if count > 0 {
                json.open('{').name(name).number(count).close('}');
            }
        }
        json.close(']');
        if let Some(since) = extra.since {
            json.name("total_cost_us")
                .number(group.total.sum_ns() / 1000);
            json.name("slow").number(group.slow);
            more(json, group);
            json.name("since").time(since);
        }
        json.close('}');
    };
    for ((ip, port), group) in summary.servers() {
        row(&Endpoint(ip, port).to_string(), group);
    }
    let other = summary.other_servers();
    if other.requests() > 0 {
        row("other", other);
    }
    json.close('}');
}

/// What tcpkit does not tell; percentiles only where something was measured.
fn more(json: &mut Json, group: &RequestGroup) {
    json.name("errors").number(group.status(Status::Error));
    json.name("unanswered").number(group.unanswered());
    for (name, per_mille) in [("p50_us", 500), ("p90_us", 900), ("p99_us", 990)] {
        if let Some(span) = group.total.quantile(per_mille) {
            json.name(name).micros(span);
        }
    }
    if let Some(max) = group.total.max() {
        json.name("max_us").micros(max);
    }
}
