//! The rules of OTLP's JSON encoding (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>) for the messages of
//! opentelemetry-proto 1.x that are sent: which fields there are, and how each is written. Where Python has OpenTelemetry's own
//! messages (pip install opentelemetry-proto), Protobuf's own parser has the last word.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

enum Is {
    Message(&'static [(&'static str, Is)]),
    Many(&'static Is),
    Text,
    /// Digits of so many bytes; not all of them zero.
    Id(usize),
    /// 64 bits, as text.
    Integer64,
    Integer32,
    Number,
    Truth,
    /// Up to this number.
    Enumeration(u64),
}

use Is::*;

const VALUE: Is = Message(&[
    ("stringValue", Text),
    ("intValue", Integer64),
    ("doubleValue", Number),
]);
const ATTRIBUTES: Is = Many(&Message(&[("key", Text), ("value", VALUE)]));
const RESOURCE: Is = Message(&[("attributes", ATTRIBUTES)]);
const SCOPE: Is = Message(&[("name", Text), ("version", Text)]);
const NUMBERS: Is = Many(&Message(&[
    ("startTimeUnixNano", Integer64),
    ("timeUnixNano", Integer64),
    ("attributes", ATTRIBUTES),
    ("asInt", Integer64),
    ("asDouble", Number),
]));
const BUCKETS: Is = Message(&[("offset", Integer32), ("bucketCounts", Many(&Integer64))]);
const HISTOGRAMS: Is = Many(&Message(&[
    ("startTimeUnixNano", Integer64),
    ("timeUnixNano", Integer64),
    ("attributes", ATTRIBUTES),
    ("count", Integer64),
    ("sum", Number),
    ("scale", Integer32),
    ("zeroCount", Integer64),
    ("positive", BUCKETS),
    ("min", Number),
    ("max", Number),
]));
static METRICS: Is = Message(&[(
    "resourceMetrics",
    Many(&Message(&[
        ("resource", RESOURCE),
        (
            "scopeMetrics",
            Many(&Message(&[
                ("scope", SCOPE),
                (
                    "metrics",
                    Many(&Message(&[
                        ("name", Text),
                        ("description", Text),
                        ("unit", Text),
                        (
                            "sum",
                            Message(&[
                                ("aggregationTemporality", Enumeration(2)),
                                ("isMonotonic", Truth),
                                ("dataPoints", NUMBERS),
                            ]),
                        ),
                        ("gauge", Message(&[("dataPoints", NUMBERS)])),
                        (
                            "exponentialHistogram",
                            Message(&[
                                ("aggregationTemporality", Enumeration(2)),
                                ("dataPoints", HISTOGRAMS),
                            ]),
                        ),
                    ])),
                ),
            ])),
        ),
    ])),
)]);
static TRACES: Is = Message(&[(
    "resourceSpans",
    Many(&Message(&[
        ("resource", RESOURCE),
        (
            "scopeSpans",
            Many(&Message(&[
                ("scope", SCOPE),
                (
                    "spans",
                    Many(&Message(&[
                        ("traceId", Id(16)),
                        ("spanId", Id(8)),
                        ("parentSpanId", Id(8)),
                        ("name", Text),
                        ("kind", Enumeration(5)),
                        ("startTimeUnixNano", Integer64),
                        ("endTimeUnixNano", Integer64),
                        ("attributes", ATTRIBUTES),
                        (
                            "status",
                            Message(&[("code", Enumeration(2)), ("message", Text)]),
                        ),
                    ])),
                ),
            ])),
        ),
    ])),
)]);

pub(crate) fn check_metrics(text: &str) {
    check(text, &METRICS);
    oracle(text, "metrics");
}

pub(crate) fn check_traces(text: &str) {
    check(text, &TRACES);
    oracle(text, "trace");
}

fn check(text: &str, is: &Is) {
    let value: Value = serde_json::from_str(text).unwrap();
    walk(&value, is, "");
}

fn walk(value: &Value, is: &Is, at: &str) {
    let bad = || panic!("{at}: {value}");
    match is {
        Message(fields) => {
            let Value::Object(object) = value else {
                return bad();
            };
            for (name, value) in object {
                let Some((_, is)) = fields.iter().find(|(known, _)| known == name) else {
                    panic!("{at} has no field {name}");
                };
                walk(value, is, &format!("{at}.{name}"));
            }
        }
        Many(is) => match value {
            Value::Array(all) => all.iter().for_each(|one| walk(one, is, at)),
            _ => bad(),
        },
        Text => assert!(value.is_string(), "{at}: {value}"),
        Id(bytes) => {
            let digits = value.as_str().unwrap_or_default();
            let is_hex = digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            assert!(digits.len() == 2 * bytes && is_hex, "{at}: {value}");
            assert!(digits.bytes().any(|byte| byte != b'0'), "{at}: {value}");
        }
        Integer64 => {
            let digits = value.as_str().unwrap_or_else(|| panic!("{at}: {value}"));
            assert!(digits.parse::<u64>().is_ok(), "{at}: {value}");
        }
        Integer32 => assert!(
            value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            "{at}: {value}"
        ),
        Number => assert!(value.is_number(), "{at}: {value}"),
        Truth => assert!(value.is_boolean(), "{at}: {value}"),
        Enumeration(most) => {
            assert!(value.as_u64().is_some_and(|n| n <= *most), "{at}: {value}");
        }
    }
}

const SCRIPT: &str = "
import sys
from google.protobuf import json_format
if sys.argv[1] == 'metrics':
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest as Message
else:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as Message
message = json_format.Parse(sys.stdin.buffer.read(), Message())
again = json_format.Parse(json_format.MessageToJson(message), Message())
assert again == message
";

/// What Protobuf's own parser says.
fn oracle(text: &str, kind: &str) {
    let Some(python) = python() else {
        println!(
            "SKIPPED the check by OpenTelemetry's own messages: no python3 with opentelemetry-proto (python3 -m venv target/otlp-venv; \
             target/otlp-venv/bin/pip install opentelemetry-proto)"
        );
        return;
    };
    let mut child = Command::new(python)
        .args(["-c", SCRIPT, kind])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    to.write_all(text.as_bytes()).unwrap();
    drop(to);
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let all = [
        target.join("otlp-venv/bin/python"),
        PathBuf::from("python3"),
    ];
    all.into_iter().find(|python| {
        let asked = Command::new(python)
            .args(["-c", "import opentelemetry.proto, google.protobuf"])
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    })
}
