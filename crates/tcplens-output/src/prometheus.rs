//! The page of metrics: Prometheus' text exposition format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//! What each metric means is said once, in [`FAMILIES`]; docs/metrics.md says the same for people.
//!
//! Not by way of the crate `prometheus-client`, which was meant for it: what it saves is keeping counters, and ours are kept
//! in `view::metrics`, where rows come and go and histograms have sums in ns. Its way for such (a `Collector` that makes
//! constant metrics anew for each page) is as long as this file, speaks OpenMetrics only, and brings its packages along.
//! `promtool` judges the page in a test.

use std::fmt::Write;

use tcplens_core::record::{Close, Outcome, Protocol, Status, Verdict, Word};
use tcplens_core::view::metrics::{Buckets, Metrics, RequestCounts, ServerCounts, Traffic};

use crate::human::Endpoint;

/// What an HTTP response with the page says it is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The server label of all servers without a row of their own, and the protocol label of what is too much for one server.
const OTHER: &str = "other";

/// A metric: all samples of one name, of what is counted in an `M`.
#[derive(Debug)]
pub struct Family<M: 'static = Metrics> {
    /// Its name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What it means, in a sentence.
    pub help: &'static str,
    /// The labels of each sample, in order.
    pub labels: &'static [&'static str],
    samples: fn(&M, &mut Samples<'_>),
}

/// Kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations by size.
    Histogram,
}

impl Kind {
    /// The word in `# TYPE`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A number of a metric, for encodings other than the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// Of whatever it counts.
    Count(u64),
    /// Seconds, in ns.
    Ns(u128),
}

/// Takes numbers, with the values of their labels.
type Each<'a> = &'a mut dyn FnMut(&[&str], Sample);

impl<M> Family<M> {
    /// Each number of it, with the values of its labels; of histograms none, for these are made otherwise elsewhere.
    pub fn samples(&self, of: &M, each: &mut dyn FnMut(&[&str], Sample)) {
        (self.samples)(
            of,
            &mut Samples {
                name: self.name,
                labels: self.labels,
                page: &mut String::new(),
                instead: Some(each),
            },
        );
    }
}

/// The page.
#[must_use]
pub fn page(metrics: &Metrics) -> String {
    write(FAMILIES, metrics)
}

fn write<M>(families: &[Family<M>], metrics: &M) -> String {
    let mut page = String::new();
    for family in families {
        let start = page.len();
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(page, "# HELP {} {}", family.name, family.help);
        let _ = writeln!(page, "# TYPE {} {}", family.name, family.kind.word());
        let head = page.len();
        (family.samples)(
            metrics,
            &mut Samples {
                name: family.name,
                labels: family.labels,
                page: &mut page,
                instead: None,
            },
        );
        // What is unknown is absent, never zero.
        if page.len() == head {
            page.truncate(start);
        }
    }
    page
}

macro_rules! families {
    ($of:ty: $prefix:literal; $( $kind:ident $name:ident [$($label:ident),*] $help:literal $samples:expr; )+) => {
        /// Every metric that there is.
        pub static FAMILIES: &[Family<$of>] = &[ $( Family {
            name: concat!($prefix, stringify!($name)),
            kind: Kind::$kind,
            help: $help,
            labels: &[$(stringify!($label)),*],
            samples: $samples,
        } ),+ ];
    };
}

mod join;
pub mod sockets;

pub use join::join;

families! {
    Metrics: "tcplens_";
    Counter handshakes_total [server, outcome]
        "Connection attempts, by how they ended."
        |metrics, out| servers(metrics, |server, counts| {
            for (outcome, count) in Outcome::ALL.iter().zip(counts.outcomes) {
                out.count(&[server, word(*outcome)], count);
            }
        });
    Gauge pending_attempts []
        "Connection attempts that nothing has answered so far."
        |metrics, out| metrics.pending_attempts().0.into_iter().for_each(|n| out.count(&[], n));
    Gauge oldest_pending_attempt_seconds []
        "How long ago the first SYN of the oldest of them was."
        |metrics, out| {
            let oldest = metrics.pending_attempts().1;
            oldest.into_iter().for_each(|age| out.seconds(&[], age.ns().into()));
        };
    Histogram handshake_duration_seconds [server]
        "First SYN to the ACK that established the connection."
        |metrics, out| servers(metrics, |server, counts| out.buckets(&[server], &counts.handshake));
    Counter connections_closed_total [server, reason]
        "Connections that ended, by how."
        |metrics, out| servers(metrics, |server, counts| {
            for (close, count) in Close::ALL.iter().zip(counts.closed) {
                // What the observation's end found open has not ended.
                if *close != Close::Open {
                    out.count(&[server, word(*close)], count);
                }
            }
        });
    Counter payload_bytes_total [server, direction]
        "Payload that was sent, each byte once."
        |metrics, out| sent(metrics, out, |traffic| traffic.payload_bytes);
    Counter segments_total [server, direction]
        "TCP segments that were sent, as captured: offload may join several."
        |metrics, out| sent(metrics, out, |traffic| traffic.segments);
    Counter data_segments_total [server, direction]
        "TCP segments with payload that were sent."
        |metrics, out| sent(metrics, out, |traffic| traffic.data_segments);
    Counter retransmitted_segments_total [server, direction]
        "TCP segments whose whole range was seen before: repeated, and mostly lost beyond this point."
        |metrics, out| sent(metrics, out, |traffic| traffic.retransmits);
    Counter lost_segments_total [server, direction]
        "TCP segments that were lost before this point, and seen when they were repeated."
        |metrics, out| sent(metrics, out, |traffic| traffic.lost);
    Counter resets_total [server, direction]
        "TCP segments with RST that were sent."
        |metrics, out| sent(metrics, out, |traffic| traffic.resets);
    Counter zero_window_seconds_total [server, direction]
        "How long the sender of this direction had its own receive window closed."
        |metrics, out| servers(metrics, |server, counts| {
            for (direction, traffic) in DIRECTIONS.iter().zip(&counts.sent) {
                out.seconds(&[server, direction], traffic.zero_window_ns.into());
            }
        });
    Counter requests_total [server, protocol, status]
        "Requests, by how they went."
        |metrics, out| requests(metrics, |server, protocol, counts| {
            for (status, count) in Status::ALL.iter().zip(counts.statuses) {
                out.count(&[server, protocol, word(*status)], count);
            }
            out.count(&[server, protocol, "undecided"], counts.undecided);
        });
    Histogram request_duration_seconds [server, protocol]
        "First byte of a request to the last byte of its response."
        |metrics, out| requests(metrics, |server, protocol, counts| {
            out.buckets(&[server, protocol], &counts.total);
        });
    Histogram request_process_seconds [server, protocol]
        "Last byte of a request to the first byte of its response."
        |metrics, out| requests(metrics, |server, protocol, counts| {
            out.buckets(&[server, protocol], &counts.process);
        });
    Counter request_time_seconds_total [server, protocol, cause]
        "Where the time of answered requests went."
        |metrics, out| requests(metrics, |server, protocol, counts| {
            for (cause, ns) in Verdict::ALL.iter().zip(counts.budget_ns) {
                out.seconds(&[server, protocol, word(*cause)], ns);
            }
        });
    Gauge anomaly [server, protocol, operation, metric]
        "How far something is from what is usual, in usual distances: of what was abnormal in the last minute."
        |metrics, out| {
            for (instance, metric, score) in metrics.present().into_iter().flat_map(|now| &now.scores) {
                let server = Endpoint(instance.server_ip, instance.server_port.into()).to_string();
                let protocol = instance.protocol.map_or("", word::<Protocol>);
                let operation = instance.operation.as_deref().unwrap_or_default();
                out.tenths(&[&server, protocol, operation, word(*metric)], *score);
            }
        };
    Gauge anomalies []
        "Things that are abnormal and go on, each of one component or server."
        |metrics, out| metrics.present().into_iter().for_each(|now| out.count(&[], now.troubles));
    Gauge anomaly_servers [state]
        "Servers that are watched for what is abnormal, by whether they can be judged yet."
        |metrics, out| {
            if let Some(now) = metrics.present() {
                out.count(&["judged"], now.judged);
                out.count(&["learning"], now.learning);
            }
        };
    Counter captured_packets_total []
        "Packets that were looked at."
        |metrics, out| out.count(&[], metrics.health().packets);
    Counter captured_bytes_total []
        "Their bytes on the wire."
        |metrics, out| out.count(&[], metrics.health().bytes);
    Counter tcp_segments_total []
        "TCP segments among them."
        |metrics, out| out.count(&[], metrics.health().tcp_segments);
    Counter undecoded_packets_total [reason]
        "Packets that were not decoded, by reason."
        |metrics, out| out.counts(&metrics.health().undecoded);
    Counter kernel_dropped_packets_total []
        "Packets that the kernel dropped because nobody fetched them in time."
        |metrics, out| metrics.health().kernel_drops.into_iter().for_each(|n| out.count(&[], n));
    Counter kernel_events_total []
        "Events that the kernel's programs told: ends of requests, connections and attempts."
        |metrics, out| metrics.health().kernel_events.into_iter().for_each(|n| out.count(&[], n));
    Counter kernel_dropped_events_total []
        "Events that found no room in the ring buffer."
        |metrics, out| metrics.health().event_drops.into_iter().for_each(|n| out.count(&[], n));
    Counter cut_packets_total []
        "Packets cut by the snap length."
        |metrics, out| out.count(&[], metrics.health().cut_packets);
    Counter duplicate_segments_total []
        "Segments that were captured a second time, and are counted nowhere else."
        |metrics, out| out.count(&[], metrics.health().duplicates);
    Counter time_reversals_total []
        "Packets whose time is before that of an earlier one."
        |metrics, out| out.count(&[], metrics.health().time_reversals);
    Counter connections_total []
        "Connections seen."
        |metrics, out| out.count(&[], metrics.health().connections);
    Counter evicted_connections_total []
        "Connections given up because the table was full."
        |metrics, out| out.count(&[], metrics.health().evicted_connections);
    Counter unjoined_connections_total [reason]
        "Connections of packets that got no socket though the kernel told of sockets too, by reason."
        |metrics, out| out.counts(&metrics.health().unjoined_connections);
    Counter stream_gaps_total []
        "Holes in what requests are read from."
        |metrics, out| out.count(&[], metrics.health().stream_gaps);
    Counter unparsed_messages_total [reason]
        "Messages that could not be read, by protocol and reason."
        |metrics, out| out.counts(&metrics.health().unparsed_messages);
    Counter limit_hits_total [limit]
        "Times a bound was reached, by bound."
        |metrics, out| {
            out.counts(&metrics.health().limit_hits);
            out.counts(&metrics.limit_hits());
        };
    Counter records_total [kind]
        "Records made, by kind."
        |metrics, out| out.counts(&metrics.health().records);
    Counter records_dropped_total [sink]
        "Records that a sink did not take, by sink."
        |metrics, out| out.counts(&metrics.health().records_dropped);
    Gauge last_packet_timestamp_seconds []
        "Time of the last packet."
        |metrics, out| {
            let last = metrics.health().last_packet.and_then(|last| u128::try_from(last.0).ok());
            last.into_iter().for_each(|ns| out.seconds(&[], ns));
        };
    Counter cpu_seconds_total []
        "User and system time of tcplens itself."
        |metrics, out| metrics.health().cpu.into_iter().for_each(|cpu| out.seconds(&[], cpu.ns().into()));
    Gauge peak_resident_memory_bytes []
        "Largest resident set of tcplens itself."
        |metrics, out| metrics.health().peak_rss_bytes.into_iter().for_each(|n| out.count(&[], n));
    Gauge listed_servers []
        "Servers that have a row of their own here."
        |metrics, out| out.count(&[], metrics.servers().count() as u64);
    Gauge build_info [version]
        "1, with the version of tcplens."
        |_, out| out.count(&[env!("CARGO_PKG_VERSION")], 1);
}

/// Who sent, in the order of `ServerCounts::sent`.
const DIRECTIONS: [&str; 2] = ["from_client", "from_server"];

/// Each server, and all others as one: also where nothing was counted, so that a counter's first step is seen to be one.
fn servers(metrics: &Metrics, mut each: impl FnMut(&str, &ServerCounts)) {
    let mut name = String::new();
    for ((ip, port), counts) in metrics.servers() {
        name.clear();
        let _ = write!(name, "{}", Endpoint(ip, port));
        each(&name, counts);
    }
    each(OTHER, metrics.other_servers());
}

fn requests(metrics: &Metrics, mut each: impl FnMut(&str, &str, &RequestCounts)) {
    servers(metrics, |server, counts| {
        for (protocol, counts) in counts.protocols() {
            each(server, protocol.map_or(OTHER, word::<Protocol>), counts);
        }
    });
}

fn sent(metrics: &Metrics, out: &mut Samples<'_>, count: impl Fn(&Traffic) -> u64) {
    servers(metrics, |server, counts| {
        for (direction, traffic) in DIRECTIONS.iter().zip(&counts.sent) {
            out.count(&[server, direction], count(traffic));
        }
    });
}

fn word<W: Word>(value: W) -> &'static str {
    value.word().unwrap_or(OTHER)
}

/// Writes the samples of one metric.
struct Samples<'a> {
    name: &'static str,
    labels: &'static [&'static str],
    page: &'a mut String,
    /// Who takes numbers in place of the page.
    instead: Option<Each<'a>>,
}

impl Samples<'_> {
    fn count(&mut self, labels: &[&str], count: u64) {
        if let Some(each) = &mut self.instead {
            return each(labels, Sample::Count(count));
        }
        self.name("", labels, None);
        let _ = writeln!(self.page, " {count}");
    }

    fn tenths(&mut self, labels: &[&str], value: f64) {
        self.name("", labels, None);
        let _ = writeln!(self.page, " {value:.1}");
    }

    fn counts(&mut self, counts: &[(&'static str, u64)]) {
        for (reason, count) in counts {
            self.count(&[reason], *count);
        }
    }

    fn seconds(&mut self, labels: &[&str], ns: u128) {
        if let Some(each) = &mut self.instead {
            return each(labels, Sample::Ns(ns));
        }
        self.name("", labels, None);
        self.page.push(' ');
        seconds(self.page, ns);
        self.page.push('\n');
    }

    fn buckets(&mut self, labels: &[&str], buckets: &Buckets) {
        let mut edge = String::new();
        for (ns, count) in buckets.at_most() {
            edge.clear();
            seconds(&mut edge, ns.into());
            self.bucket(labels, &edge, count);
        }
        self.end_of_buckets(labels, buckets.count(), |page| {
            seconds(page, buckets.sum_ns)
        });
    }

    fn bucket(&mut self, labels: &[&str], edge: &str, count: u64) {
        self.name("_bucket", labels, Some(edge));
        let _ = writeln!(self.page, " {count}");
    }

    fn end_of_buckets(&mut self, labels: &[&str], count: u64, sum: impl Fn(&mut String)) {
        self.name("_bucket", labels, Some("+Inf"));
        let _ = writeln!(self.page, " {count}");
        self.name("_sum", labels, None);
        self.page.push(' ');
        sum(self.page);
        self.page.push('\n');
        self.name("_count", labels, None);
        let _ = writeln!(self.page, " {count}");
    }

    fn name(&mut self, suffix: &str, labels: &[&str], edge: Option<&str>) {
        debug_assert_eq!(labels.len(), self.labels.len());
        self.page.push_str(self.name);
        self.page.push_str(suffix);
        let own = self.labels.iter().copied().zip(labels.iter().copied());
        let mut before = '{';
        for (label, value) in own.chain(edge.map(|edge| ("le", edge))) {
            self.page.push(before);
            self.page.push_str(label);
            self.page.push_str("=\"");
            escape(self.page, value);
            self.page.push('"');
            before = ',';
        }
        if before == ',' {
            self.page.push('}');
        }
    }
}

/// Exact, without trailing zeros.
pub(crate) fn seconds(page: &mut String, ns: u128) {
    let _ = write!(page, "{}", ns / 1_000_000_000);
    let fraction = ns % 1_000_000_000;
    if fraction > 0 {
        let _ = write!(page, ".{fraction:09}");
        page.truncate(page.trim_end_matches('0').len());
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escape(page: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        page.push_str(&rest[..at]);
        page.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &rest[at + 1..];
    }
    page.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_and_have_no_trailing_zeros() {
        for (ns, expected) in [
            (0, "0"),
            (100_000, "0.0001"),
            (1_000_000_000, "1"),
            (10_000_000_000, "10"),
            (2_500_000_000, "2.5"),
            (12_345_678_901_234_567_890_123, "12345678901234.567890123"),
        ] {
            let mut text = String::new();
            seconds(&mut text, ns);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn what_would_end_a_label_is_escaped() {
        let mut text = String::new();
        escape(&mut text, "a\"b\\c\nd é");
        assert_eq!(text, r#"a\"b\\c\nd é"#);
    }
}
