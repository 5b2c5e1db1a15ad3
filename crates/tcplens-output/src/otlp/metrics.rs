//! What was counted so far as an `ExportMetricsServiceRequest`.
//!
//! Everything is cumulative, with the time since when it counts: a message that is lost costs resolution and no count, one that
//! arrives twice counts once, and Prometheus takes nothing else. Counters and gauges are those of the page of metrics, under the
//! same names (`tcplens_handshakes_total` is `tcplens.handshakes`, and Prometheus makes the former of the latter again); only
//! histograms are others: exponential, and of requests by operation and status, too.
//!
//! The names are our own also where OpenTelemetry has one (`http.server.request.duration`): those are what an instrumented
//! program says of itself. What is seen of the same requests from outside, under the same name, would be counted twice in every
//! sum, and here are all protocols, seen from either end or from neither.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tcplens_core::record::{Status, Word};
use tcplens_core::time::Timestamp;
use tcplens_core::view::Metrics;
use tcplens_core::view::metrics::{Exponential, Operation, RequestCounts, ServerCounts};

use super::{Resource, attribute, protocol, resource, scope, time};
use crate::human::Endpoint;
use crate::json::Json;
use crate::prometheus::{FAMILIES, Family, Kind, Sample, seconds};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;
/// What has no row of its own.
const OTHER: &str = "other";
/// On the page only: the version is the resource's, servers are there to be counted.
const LEFT_OUT: [&str; 2] = ["tcplens_build_info", "tcplens_listed_servers"];

/// A document, and how many points it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// JSON.
    pub text: String,
    /// Data points.
    pub points: u64,
}

/// What was counted since `since`, as it was at `now`.
#[must_use]
pub fn document(
    metrics: &Metrics,
    skipped_spans: u64,
    of: &Resource,
    since: Timestamp,
    now: Timestamp,
) -> Document {
    let servers = metrics.servers().map(|(key, counts)| {
        let (ip, port) = key;
        (Endpoint(ip, port).to_string(), (key, counts.since))
    });
    let mut out = Out {
        json: Json::new(),
        points: 0,
        servers: servers.collect(),
        since,
        now: now.max(since),
    };
    out.json.open('{').name("resourceMetrics").open('[');
    out.json.open('{');
    resource(&mut out.json, of);
    out.json.name("scopeMetrics").open('[').open('{');
    scope(&mut out.json);
    out.json.name("metrics").open('[');
    for family in FAMILIES {
        match family.kind {
            Kind::Histogram => histograms(&mut out, family, metrics),
            _ if LEFT_OUT.contains(&family.name) => {}
            Kind::Counter | Kind::Gauge => numbers(&mut out, family, metrics, skipped_spans),
        }
    }
    out.json.close(']').close('}').close(']');
    out.json.close('}').close(']').close('}');
    Document {
        points: out.points,
        text: out.json.into_string(),
    }
}

/// A document in the making.
struct Out {
    json: Json,
    points: u64,
    /// By the value of the label `server`: its ends, and since when it counts.
    servers: BTreeMap<String, ((IpAddr, u64), Option<Timestamp>)>,
    since: Timestamp,
    now: Timestamp,
}

/// The name and unit that Prometheus would make this name of.
fn named(family: &Family) -> (String, &'static str) {
    let name = family
        .name
        .strip_prefix("tcplens_")
        .unwrap_or(family.name)
        .trim_end_matches("_total");
    let (name, unit) = match (name.strip_suffix("_seconds"), name.strip_suffix("_bytes")) {
        (Some(name), _) => (name, "s"),
        (None, Some(name)) => (name, "By"),
        (None, None) => match family.kind {
            Kind::Histogram => (name, "s"),
            Kind::Counter | Kind::Gauge => (name, ""),
        },
    };
    (format!("tcplens.{name}"), unit)
}

impl Out {
    /// Begins a metric.
    fn metric(&mut self, family: &Family, what: &str) {
        let (name, unit) = named(family);
        self.json.open('{').name("name").string(&name);
        self.json.name("description").string(family.help);
        if !unit.is_empty() {
            self.json.name("unit").string(unit);
        }
        self.json.name(what).open('{');
        if what != "gauge" {
            self.json.name("aggregationTemporality").number(CUMULATIVE);
        }
        if what == "sum" {
            self.json.name("isMonotonic").flag(true);
        }
        self.json.name("dataPoints").open('[');
    }

    fn end_of_metric(&mut self) {
        self.json.close(']').close('}').close('}');
    }

    /// Begins a point: its times; of attributes those of a server.
    fn point(&mut self, server: Option<&str>) {
        self.points += 1;
        let known = server.and_then(|server| self.servers.get(server));
        let since = known.and_then(|(_, since)| *since).unwrap_or(self.since);
        self.json.open('{');
        time(
            &mut self.json,
            "startTimeUnixNano",
            since.clamp(self.since, self.now),
        );
        time(&mut self.json, "timeUnixNano", self.now);
        self.json.name("attributes").open('[');
        let Some(server) = server else {
            return;
        };
        match known {
            Some(((ip, port), _)) => {
                attribute(&mut self.json, "server.address", ip.to_string());
                attribute(&mut self.json, "server.port", *port);
            }
            None => attribute(&mut self.json, "server.address", server),
        }
    }

    fn histogram(&mut self, of: &Exponential) {
        let json = &mut self.json;
        json.name("count").string(&of.count().to_string());
        json.name("sum").raw(&in_seconds(of.sum_ns()));
        json.name("scale").integer(i64::from(of.scale()));
        json.name("zeroCount").string(&of.zeros().to_string());
        let (first, counts) = of.buckets();
        json.name("positive").open('{');
        json.name("offset").integer(i64::from(first));
        json.name("bucketCounts").open('[');
        for count in counts {
            json.string(&count.to_string());
        }
        json.close(']').close('}');
        if let Some((min, max)) = of.range() {
            json.name("min").raw(&in_seconds(min.ns().into()));
            json.name("max").raw(&in_seconds(max.ns().into()));
        }
    }
}

/// A counter or a gauge.
fn numbers(out: &mut Out, family: &Family, metrics: &Metrics, skipped_spans: u64) {
    let what = match family.kind {
        Kind::Counter => "sum",
        Kind::Gauge | Kind::Histogram => "gauge",
    };
    let mut is_begun = false;
    let mut each = |values: &[&str], sample: Sample| {
        if !is_begun {
            is_begun = true;
            out.metric(family, what);
        }
        let labels = || family.labels.iter().zip(values);
        let server = labels().find(|(label, _)| **label == "server");
        out.point(server.map(|(_, value)| *value));
        for (label, value) in labels() {
            match *label {
                "server" => {}
                "protocol" => protocol(&mut out.json, value),
                label => attribute(&mut out.json, &format!("tcplens.{label}"), *value),
            }
        }
        out.json.close(']');
        match sample {
            Sample::Count(count) => out.json.name("asInt").string(&count.to_string()),
            Sample::Ns(ns) => out.json.name("asDouble").raw(&in_seconds(ns)),
        };
        out.json.close('}');
    };
    family.samples(metrics, &mut each);
    if family.name == "tcplens_limit_hits_total" {
        each(&["otlp_spans"], Sample::Count(skipped_spans));
        let others = metrics.other_operations();
        each(&["otlp_operations"], Sample::Count(others));
    }
    if is_begun {
        out.end_of_metric();
    }
}

/// What is a histogram on the page: here exponential, and of what took part in it only.
fn histograms(out: &mut Out, family: &Family, metrics: &Metrics) {
    let mut is_begun = false;
    let mut each = |server: &str, rest: Rest<'_>, of: &Exponential| {
        if of.count() == 0 {
            return;
        }
        if !is_begun {
            is_begun = true;
            out.metric(family, "exponentialHistogram");
        }
        out.point(Some(server));
        rest.attributes(&mut out.json);
        out.json.close(']');
        out.histogram(of);
        out.json.close('}');
    };
    let own = metrics.servers().map(|((ip, port), counts)| {
        let name = Endpoint(ip, port).to_string();
        (name, counts)
    });
    for (server, counts) in own.chain([(OTHER.to_owned(), metrics.other_servers())]) {
        histograms_of(family.name, counts, |rest, of| each(&server, rest, of));
    }
    if is_begun {
        out.end_of_metric();
    }
}

fn histograms_of(name: &str, counts: &ServerCounts, mut each: impl FnMut(Rest<'_>, &Exponential)) {
    if name == "tcplens_handshake_duration_seconds" {
        let connect = counts.connect.iter();
        connect.for_each(|of| each(Rest::default(), of));
        return;
    }
    for (protocol, counts) in counts.protocols() {
        let RequestCounts { operations, .. } = counts;
        let protocol = Some(protocol.and_then(Word::word).unwrap_or(OTHER));
        let Some(operations) = operations else {
            continue;
        };
        let rest = Rest {
            protocol,
            ..Rest::default()
        };
        match name {
            "tcplens_request_process_seconds" => each(rest, &operations.process),
            _ => {
                for (operation, status, of) in operations.each() {
                    let what = Some((operation, status));
                    each(Rest { what, ..rest }, of);
                }
            }
        }
    }
}

/// Attributes of a histogram beside its server.
#[derive(Clone, Copy, Default)]
struct Rest<'a> {
    protocol: Option<&'a str>,
    what: Option<(&'a Operation, Status)>,
}

impl Rest<'_> {
    fn attributes(&self, json: &mut Json) {
        if let Some(word) = self.protocol {
            protocol(json, word);
        }
        let Some((operation, status)) = self.what else {
            return;
        };
        match operation {
            Operation::None => {}
            Operation::Named(name) => attribute(json, "tcplens.operation", &**name),
            Operation::Other => attribute(json, "tcplens.operation", OTHER),
        }
        attribute(json, "tcplens.status", status.word().unwrap_or(OTHER));
    }
}

/// Exact, as JSON takes a number.
fn in_seconds(ns: u128) -> String {
    let mut text = String::new();
    seconds(&mut text, ns);
    text
}
