//! tcpkit's statistics as JSON documents, in its three shapes; one line each. Readers of tcpkit's stats port find the names
//! they know. What differs, because tcpkit's numbers were of something else: `requests` and `responses` count requests and
//! responses, not packets; bytes are payload; latencies are until the last byte of the response; above 20 s there is a
//! bucket.
//!
//! Rows are of servers with requests, and of every single port that the user named with `-p`, also if nobody asked it
//! anything. Of a range of ports only those with requests have rows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;

use tcplens_core::record::Word;
use tcplens_core::view::requests::BUCKETS;
use tcplens_core::view::{RequestGroup, RequestSummary};

use crate::human::Endpoint;

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
}

/// The document, without a newline at its end.
#[must_use]
pub fn document(summary: &RequestSummary, shape: TcpkitShape, extra: &TcpkitExtra) -> String {
    match shape {
        TcpkitShape::Tcpkit0 => ports(summary, extra),
        TcpkitShape::Tcpkit1 => {
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
            format!(
                "{{\"type\":\"{protocol}\",\"drops\":{},\"in_packets\":{},\"out_packets\":{},\"in_bytes\":{},\
                 \"out_bytes\":{},\"ports\":{}}}",
                or_null(extra.drops),
                or_null(inward),
                or_null(outward),
                all.request_bytes,
                all.response_bytes,
                ports(summary, extra)
            )
        }
        TcpkitShape::Tcpkit => by_server(summary),
    }
}

/// What is not known is `null`, for a reader that looks for the name.
fn or_null(value: Option<u64>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn ports(summary: &RequestSummary, extra: &TcpkitExtra) -> String {
    let mut ports = BTreeMap::<u64, RequestGroup>::new();
    for &(low, high) in &extra.ports {
        if low == high {
            ports.entry(low.into()).or_default();
        }
    }
    for ((_, port), group) in summary.servers() {
        ports.entry(port).or_default().merge(group);
    }
    let mut text = String::from("[");
    for (n, (port, group)) in ports.iter().enumerate() {
        let buckets: Vec<_> = group.buckets.iter().map(u64::to_string).collect();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}{{\"{port}\":{{\"total_reqs\":{},\"total_costs\":{},\"slow_reqs\":{},\"latencies\":[{}]}}}}",
            if n > 0 { "," } else { "" },
            group.requests(),
            group.total.sum_ns() / 1000,
            group.slow,
            buckets.join(",")
        );
    }
    text.push(']');
    text
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

fn by_server(summary: &RequestSummary) -> String {
    let mut text = String::from("{");
    for (n, ((ip, port), group)) in summary.servers().enumerate() {
        let buckets: Vec<_> = NAMES
            .iter()
            .zip(group.buckets)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{{\"{name}\":{count}}}"))
            .collect();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}\"{}\":{{\"requests\":{},\"request_bytes\":{},\"responses\":{},\"response_bytes\":{},\"latency\":[{}]}}",
            if n > 0 { "," } else { "" },
            Endpoint(ip, port),
            group.requests(),
            group.request_bytes,
            group.responses,
            group.response_bytes,
            buckets.join(",")
        );
    }
    text.push('}');
    text
}
