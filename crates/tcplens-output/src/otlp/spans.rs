//! Slow requests as spans: one for the request, and one within it for each of its phases that took time (upload, process,
//! transfer). Attributes are OpenTelemetry's where it has them (<https://opentelemetry.io/docs/specs/semconv/>, 1.37), else ours:
//! the fields of the record, behind `tcplens.`.
//!
//! Each request is a trace of its own: no context is read from what is sent. Its id follows from the host, the connection and
//! the request's place on it, so whoever has the record finds the trace and a span that is sent twice is one.

use tcplens_core::record::{Direction, Protocol, Request, Side, Status, Verdict, Word};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::requests::{budget, latency};

use super::{Resource, Value, attribute, protocol, resource, scope, time};
use crate::json::Json;
use crate::page::sha256;

/// `SPAN_KIND_INTERNAL`, of phases.
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

/// A request as JSON: its span, and those of its phases behind it with a comma between. `None` if it is not known how long it took.
#[must_use]
pub fn spans(request: &Request<'_>, of: &Resource) -> Option<String> {
    let took = latency(request)?;
    let ids = Ids::of(request, of);
    let mut json = Json::new();
    json.open('{');
    json.name("traceId").string(&ids.trace);
    json.name("spanId").string(&ids.span);
    let word = request.protocol.word().unwrap_or_default();
    json.name("name").string(request.operation.unwrap_or(word));
    json.name("kind").number(kind(request));
    during(&mut json, request.time, took);
    json.name("attributes").open('[');
    attributes(&mut json, request);
    json.close(']');
    if is_error(request) {
        json.name("status").open('{').name("code").number(ERROR);
        if let Some(text) = request.status_text {
            json.name("message").string(text);
        }
        json.close('}');
    }
    json.close('}');
    phases(&mut json, request, &ids);
    Some(json.into_string())
}

/// An `ExportTraceServiceRequest` of requests, each made by [`spans`].
#[must_use]
pub fn document<'s>(requests: impl IntoIterator<Item = &'s str>, of: &Resource) -> String {
    let mut json = Json::new();
    json.open('{').name("resourceSpans").open('[').open('{');
    resource(&mut json, of);
    json.name("scopeSpans").open('[').open('{');
    scope(&mut json);
    json.name("spans").open('[');
    for request in requests {
        json.raw(request);
    }
    json.close(']').close('}').close(']');
    json.close('}').close(']').close('}');
    json.into_string()
}

fn phases(json: &mut Json, request: &Request<'_>, ids: &Ids) {
    let parts = [
        ("upload", request.upload_us),
        ("process", request.process_us),
        ("transfer", request.transfer_us),
    ];
    let mut at = request.time;
    for (number, (name, part)) in (1..).zip(parts) {
        // The response began before the request ended: these have no order.
        let Some(part) = part else { break };
        if part.ns() > 0 {
            json.open('{');
            json.name("traceId").string(&ids.trace);
            json.name("spanId").string(&ids.phase(number));
            json.name("parentSpanId").string(&ids.span);
            json.name("name").string(name);
            json.name("kind").number(INTERNAL);
            during(json, at, part);
            json.close('}');
        }
        at = after(at, part);
    }
}

fn during(json: &mut Json, from: Timestamp, span: Span) {
    time(json, "startTimeUnixNano", from);
    time(json, "endTimeUnixNano", after(from, span));
}

fn after(at: Timestamp, span: Span) -> Timestamp {
    at.plus(i64::try_from(span.ns()).unwrap_or(i64::MAX))
}

/// Hexadecimal digits.
struct Ids {
    trace: String,
    span: String,
    rest: u64,
}

impl Ids {
    fn of(request: &Request<'_>, of: &Resource) -> Ids {
        let id = request.connection_id.text();
        let id = String::from_utf8_lossy(&id);
        let digits = sha256::hex(&format!("{}\n{id}\n{}", of.host, request.task));
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default().to_owned();
        Ids {
            trace: part(0, 32),
            span: part(32, 48),
            rest: u64::from_str_radix(&part(48, 64), 16).unwrap_or(1),
        }
    }

    fn phase(&self, number: u64) -> String {
        format!("{:016x}", self.rest.wrapping_add(number))
    }
}

/// Whose side it is seen from: that of this host, or where the packets were captured. Between both it is the client's, for what
/// is said is said of the server.
fn kind(request: &Request<'_>) -> u64 {
    let is_server_s = match (request.direction, request.tap_side) {
        (Some(Direction::Inbound), _) => true,
        (Some(Direction::Outbound | Direction::Local), _) => false,
        (Some(Direction::Forwarded) | None, Side::Server) => true,
        (
            Some(Direction::Forwarded) | None,
            Side::Client | Side::Both | Side::Middle | Side::Unknown,
        ) => false,
    };
    if is_server_s { SERVER } else { CLIENT }
}

/// A server is not to blame for what HTTP's clients ask wrongly.
fn is_error(request: &Request<'_>) -> bool {
    let is_http = matches!(request.protocol, Protocol::Http | Protocol::Http2);
    let is_client_s = is_http && matches!(request.status_code, Some(400..500));
    match request.status {
        Status::Error => !(is_client_s && kind(request) == SERVER),
        Status::Unanswered => true,
        Status::Ok | Status::None => false,
    }
}

fn attributes(json: &mut Json, request: &Request<'_>) {
    attribute(json, "server.address", request.server_ip.to_string());
    attribute(json, "server.port", request.server_port);
    attribute(json, "client.address", request.client_ip.to_string());
    attribute(json, "client.port", request.client_port);
    let version = if request.server_ip.is_ipv4() {
        "ipv4"
    } else {
        "ipv6"
    };
    attribute(json, "network.type", version);
    if request.protocol != Protocol::Turn {
        protocol(json, request.protocol.word().unwrap_or_default());
    }
    of_protocol(json, request);
    if is_error(request) {
        let code = request.status_code.map(|code| code.to_string());
        let word = request.status.word().unwrap_or_default().to_owned();
        attribute(json, "error.type", code.unwrap_or(word));
    }
    own(json, request);
}

/// What OpenTelemetry knows of a protocol.
fn of_protocol(json: &mut Json, request: &Request<'_>) {
    let (operation, summary) = (request.operation, request.summary);
    let code = request.status_code;
    let mut text = |key: &str, value: Option<&str>| {
        let value = value.into_iter();
        value.for_each(|value| attribute(json, key, value));
    };
    match request.protocol {
        Protocol::Http | Protocol::Http2 => {
            text("http.request.method", operation);
            text("tcplens.summary", summary);
            let code = code.into_iter();
            code.for_each(|code| attribute(json, "http.response.status_code", code));
        }
        Protocol::Grpc => {
            text("rpc.system.name", Some("grpc"));
            text("rpc.method", operation);
            text("tcplens.summary", summary);
            let code = code.map(|code| code.to_string());
            text("rpc.response.status_code", code.as_deref());
        }
        Protocol::Redis
        | Protocol::Memcached
        | Protocol::Mysql
        | Protocol::Postgres
        | Protocol::Mongodb => {
            text("db.system.name", Some(database(request.protocol)));
            text("db.operation.name", operation);
            text("db.query.text", summary);
            let code = code.map(|code| code.to_string());
            text("db.response.status_code", code.as_deref());
        }
        Protocol::Kafka => {
            text("messaging.system", Some("kafka"));
            text("messaging.operation.name", operation);
            text("tcplens.summary", summary);
        }
        Protocol::Dns | Protocol::Tls | Protocol::Websocket | Protocol::Turn => {
            text("tcplens.operation", operation);
            text("tcplens.summary", summary);
        }
    }
}

fn database(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Postgres => "postgresql",
        other => other.word().unwrap_or_default(),
    }
}

/// Fields of the record.
fn own(json: &mut Json, request: &Request<'_>) {
    let id = request.connection_id.text();
    let id = String::from_utf8_lossy(&id);
    attribute(json, "tcplens.connection_id", &*id);
    attribute(json, "tcplens.task", request.task);
    let words = [
        ("tcplens.status", request.status.word()),
        ("tcplens.ended_by", request.ended_by.word()),
        ("tcplens.tap_side", request.tap_side.word()),
        ("tcplens.direction", request.direction.and_then(Word::word)),
        ("tcplens.verdict", request.verdict.and_then(Word::word)),
    ];
    for (key, word) in words {
        word.into_iter().for_each(|word| attribute(json, key, word));
    }
    for (key, count) in [
        ("tcplens.request_bytes", request.request_bytes),
        ("tcplens.response_bytes", request.response_bytes),
        ("tcplens.queued", request.queued),
        ("tcplens.retransmits", request.retransmits),
    ] {
        attribute(json, key, count);
    }
    let budget = budget(request).into_iter().flatten();
    for (verdict, part) in Verdict::ALL.iter().zip(budget) {
        let key = format!("tcplens.in_{}_us", verdict.word().unwrap_or_default());
        let (whole, rest) = (part.ns() / 1000, part.ns() % 1000);
        attribute(json, &key, Value::Decimal(format!("{whole}.{rest:03}")));
    }
}
