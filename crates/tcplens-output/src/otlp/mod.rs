//! OpenTelemetry: what is counted as metrics, and slow requests as spans, sent to a collector over OTLP/HTTP in its JSON encoding
//! (<https://opentelemetry.io/docs/specs/otlp/>, version 1; the messages are those of opentelemetry-proto). [`metrics`] and
//! [`spans`] make the documents and nothing else; [`sender`] has a thread of its own and brings them there; [`headers`] reads what
//! a collector wants to see of who sends. Not logs, and nothing is received.
//!
//! JSON and not Protobuf: collectors and back ends that take OTLP/HTTP take both, and compressed they are of one size.
//!
//! The rules of that encoding: names in lowerCamelCase, ids of traces and spans as hexadecimal digits, integers of 64 bits as
//! text, enumerations as numbers.

pub mod headers;
pub mod metrics;
pub mod sender;
pub mod spans;

use std::borrow::Cow;

use tcplens_core::time::Timestamp;

use crate::json::Json;

/// Whose telemetry it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The host's name; part of the ids of traces.
    pub host: String,
    /// Where it is observed: the word of a `Vantage`.
    pub vantage: &'static str,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
enum Value<'a> {
    Text(Cow<'a, str>),
    Integer(u64),
    /// A number with decimals, as it is written.
    Decimal(String),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Value::Integer(number)
    }
}

/// `KeyValue`.
fn attribute<'a>(json: &mut Json, key: &str, value: impl Into<Value<'a>>) {
    json.open('{').name("key").string(key);
    json.name("value").open('{');
    match value.into() {
        Value::Text(text) => json.name("stringValue").string(&text),
        Value::Integer(number) => json.name("intValue").string(&number.to_string()),
        Value::Decimal(number) => json.name("doubleValue").raw(&number),
    };
    json.close('}').close('}');
}

/// `"resource": {...}`.
fn resource(json: &mut Json, of: &Resource) {
    json.name("resource").open('{').name("attributes").open('[');
    attribute(json, "service.name", "tcplens");
    attribute(json, "service.version", env!("CARGO_PKG_VERSION"));
    // What Prometheus makes its label `instance` of.
    attribute(json, "service.instance.id", of.host.as_str());
    attribute(json, "host.name", of.host.as_str());
    attribute(json, "tcplens.vantage", of.vantage);
    json.close(']').close('}');
}

/// `"scope": {...}`.
fn scope(json: &mut Json) {
    json.name("scope").open('{').name("name").string("tcplens");
    json.name("version").string(env!("CARGO_PKG_VERSION"));
    json.close('}');
}

/// A point in time, in ns since 1970; before it there is none.
fn time(json: &mut Json, name: &str, at: Timestamp) {
    json.name(name).string(&at.0.max(0).to_string());
}

/// What OpenTelemetry calls a protocol, and its version where it tells the two of HTTP apart.
fn protocol(json: &mut Json, word: &str) {
    let (name, version) = match word {
        "http2" => ("http", Some("2")),
        word => (word, None),
    };
    attribute(json, "network.protocol.name", name);
    version
        .into_iter()
        .for_each(|version| attribute(json, "network.protocol.version", version));
}
