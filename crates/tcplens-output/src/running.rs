//! What a run has counted so far, as one JSON document: the answer to `summary`. Names are those of the records; what is
//! not known is left out.

use tcplens_core::pending::Pending;
use tcplens_core::record::{Close, Health, Outcome, Status, Verdict, Word};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::{Connections, HandshakeSummary, Histogram, RequestGroup, Running};

use crate::human::Endpoint;
use crate::json::Json;

/// Most servers that are told of what is pending.
const SERVERS: usize = 16;

/// The document, without a newline at its end.
#[must_use]
pub fn document(
    running: &Running,
    health: &Health,
    pending: Option<&Pending>,
    since: Timestamp,
) -> String {
    let mut json = Json::new();
    json.open('{').name("kind").string("summary");
    json.name("since").time(since);
    if let Some(time) = health.time {
        json.name("time").time(time);
    }
    json.name("packets").number(health.packets);
    if let Some(drops) = health.kernel_drops {
        json.name("kernel_drops").number(drops);
    }
    if let (Some(events), Some(drops)) = (health.kernel_events, health.event_drops) {
        json.name("kernel_events").number(events);
        json.name("event_drops").number(drops);
    }
    json.name("handshakes").open('[');
    for (name, summary) in running.attempts.summaries() {
        handshakes(&mut json, name, summary);
    }
    json.close(']').name("requests").open('[');
    for ((ip, port), group) in running.requests.servers() {
        requests(&mut json, &Endpoint(ip, port).to_string(), group);
    }
    let other = running.requests.other_servers();
    if other.requests() > 0 {
        requests(&mut json, "other", other);
    }
    json.close(']');
    connections(&mut json, &running.connections);
    if let Some(pending) = pending {
        unanswered(&mut json, pending);
    }
    json.close('}');
    json.into_string()
}

/// What nothing has answered so far.
fn unanswered(json: &mut Json, pending: &Pending) {
    json.name("pending").open('{');
    json.name("attempts").number(pending.attempts);
    if let Some(oldest) = pending.oldest {
        json.name("oldest_us").micros(oldest);
    }
    json.name("servers").open('[');
    for ((ip, port), waited) in pending.busiest(SERVERS) {
        let server = Endpoint(ip, port.into()).to_string();
        json.open('{').name("server").string(&server);
        json.name("attempts").number(waited.attempts);
        json.name("oldest_us").micros(waited.oldest).close('}');
    }
    json.close(']').close('}');
}

fn handshakes(json: &mut Json, name: &str, summary: &HandshakeSummary) {
    json.open('{').name("filter").string(name);
    json.name("attempts").number(summary.attempts());
    for &outcome in Outcome::ALL {
        let attempts = summary.outcome(outcome);
        if let (true, Some(word)) = (attempts > 0, outcome.word()) {
            json.name(word).number(attempts);
        }
    }
    let syns = summary.syn_established.segments + summary.syn_failed.segments;
    let synacks = summary.synack_established.segments + summary.synack_failed.segments;
    json.name("syn_retransmits").number(syns);
    json.name("synack_retransmits").number(synacks);
    times(json, "handshake_us", &summary.handshake);
    times(json, "syn_to_synack_us", &summary.syn_to_synack);
    times(json, "synack_to_ack_us", &summary.synack_to_ack);
    json.close('}');
}

fn requests(json: &mut Json, server: &str, group: &RequestGroup) {
    json.open('{').name("server").string(server);
    json.name("protocols").open('[');
    for word in group.protocols().filter_map(Word::word) {
        json.string(word);
    }
    json.close(']').name("requests").number(group.requests());
    json.name("errors").number(group.status(Status::Error));
    json.name("unanswered").number(group.unanswered());
    json.name("slow").number(group.slow);
    json.name("request_bytes").number(group.request_bytes);
    json.name("response_bytes").number(group.response_bytes);
    json.name("retransmits").number(group.retransmits);
    times(json, "total_us", &group.total);
    if group.budgeted > 0 {
        json.name("budget_us").open('{');
        for (&verdict, &ns) in Verdict::ALL.iter().zip(&group.budget_ns) {
            json.name(verdict.word().unwrap_or_default());
            json.micros(Span::from_ns(ns));
        }
        json.close('}');
    }
    json.close('}');
}

/// Nothing where nothing was measured.
fn times(json: &mut Json, name: &str, histogram: &Histogram) {
    let (Some(min), Some(mean), Some(max)) = (histogram.min(), histogram.mean(), histogram.max())
    else {
        return;
    };
    json.name(name).open('{');
    json.name("count").number(histogram.count());
    json.name("min").micros(min).name("mean").micros(mean);
    for (name, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990)] {
        if let Some(span) = histogram.quantile(per_mille) {
            json.name(name).micros(span);
        }
    }
    json.name("max").micros(max).close('}');
}

fn connections(json: &mut Json, connections: &Connections) {
    json.name("connections").open('{');
    json.name("ended").number(connections.ended());
    for &close in Close::ALL {
        let ended = connections.close(close);
        if let (true, Some(word)) = (ended > 0, close.word()) {
            json.name(word).number(ended);
        }
    }
    for (side, sums) in ["client", "server"].iter().zip(connections.sent) {
        for (what, sum) in [
            ("bytes", sums.bytes),
            ("data_segments", sums.data_segments),
            ("retransmits", sums.retransmits),
        ] {
            json.name(&format!("{side}_{what}")).number(sum);
        }
    }
    json.close('}');
}
