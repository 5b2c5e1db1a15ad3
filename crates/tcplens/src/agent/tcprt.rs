//! A tcprt.yaml (TCP-RT's service) as it is: read by its own keys, and turned into the tree of an agent's file, places
//! included, so that what follows knows one schema only. What has no meaning for packets on a wire is said.
//!
//! Reference: the configuration of the `tcprt` service, sections `global`, `per-port` and `init`.

use super::section::{Key, Problems, Section, Table};
use super::yaml::{At, Node, Problem, What, Word};
use crate::cli::values;

/// Keys at the top of a tcprt.yaml, which no other file has.
pub(crate) const TOP_KEYS: [&str; 3] = ["global", "per-port", "init"];

/// Where its R, W, N, P and E lines go: TCP-RT's are in debugfs, where no program may write.
const LOG: &str = "/var/log/tcplens/rt-network-log";

/// A ring of less does not open.
const LEAST_RING: u64 = 1 << 20;

static TABLES: [&Table; 4] = [&TOP, &GLOBAL, &PER_PORT, &INIT];

fn all() -> &'static [&'static Table] {
    &TABLES
}

const fn key(name: &'static str, takes: &'static str, default: Option<&'static str>) -> Key {
    Key {
        name,
        takes,
        default,
        about: "",
    }
}

static TOP: Table = Table {
    path: "",
    about: "",
    all,
    keys: &[
        key("global", "keys and values", None),
        key("per-port", "a list", None),
        key("init", "keys and values", None),
    ],
};

static GLOBAL: Table = Table {
    path: "global",
    about: "",
    all,
    keys: &[
        key("peer", "true or false", None),
        key("stats", "enable or disable", Some("disable")),
        key("stats_interval", "a number of seconds", Some("60")),
        key("first_frame_bytes", "up to four numbers", None),
    ],
};

static PER_PORT: Table = Table {
    path: "per-port[]",
    about: "",
    all,
    keys: &[
        key("port", "a port, or two with a comma: a range", None),
        key("peer", "true or false", None),
        key("mode", "default, http or https", Some("default")),
        key("first_frame", "enable or disable", Some("disable")),
    ],
};

static INIT: Table = Table {
    path: "init",
    about: "",
    all,
    keys: &[
        key("log_buf_num", "a number", Some("8")),
        key("log_buf_size", "bytes", Some("262144")),
        key("stats_buf_num", "a number", Some("8")),
        key("stats_buf_size", "bytes", Some("16384")),
    ],
};

/// The same as an agent's file, and what of it has no effect. `cpus` of this machine: a ring has room for all of them.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn translate(tree: &Node, cpus: u64) -> Result<(Node, Vec<Problem>), Vec<Problem>> {
    let problems = Problems::default();
    let notes = Problems::default();
    let mut top = Section::open(&TOP, "", tree, &problems);
    let is_peer = top.section("global", &GLOBAL, |global| read_global(global, &notes));
    let ports = top.sections("per-port", &PER_PORT, |port| {
        read_port(port, is_peer, &notes)
    });
    let ring = top.section("init", &INIT, |init| read_init(init, cpus, &notes));
    if ports.is_empty() && top.list_length("per-port").unwrap_or(0) == 0 {
        top.problem(
            "per-port",
            "there is none: no connection would be looked at; write - port: 443",
        );
    }
    drop(top);
    let mut problems = problems.into_inner();
    let ports: Option<Vec<Port>> = ports.into_iter().collect();
    match ports {
        Some(ports) if problems.is_empty() => {
            let mut notes = notes.into_inner();
            notes.sort_by_key(|note| note.at);
            Ok((agent(tree.at, &ports, ring), notes))
        }
        _ => {
            problems.sort_by_key(|problem| problem.at);
            Err(problems)
        }
    }
}

/// An entry of `per-port`.
struct Port {
    range: (u16, u16),
    is_peer: bool,
    mode: Mode,
}

#[derive(Clone, Copy)]
enum Mode {
    Default,
    Http,
    Https,
}

/// What `peer` is where a port does not say.
fn read_global(global: &mut Section<'_, '_>, notes: &Problems) -> bool {
    let is_peer = global.flag("peer");
    let has_stats = global.one("stats", switch) == Some(true);
    let interval = global.one("stats_interval", values::at_least_one);
    if has_stats {
        note(
            notes,
            global,
            "stats",
            "there is no statistics file: the same numbers, as histograms by server, are at answering.metrics or \
             answering.stats_port of an agent's own file",
        );
    } else if global.has("stats_interval") && interval.is_some() {
        note(
            notes,
            global,
            "stats_interval",
            "it has no effect: stats is not enabled",
        );
    }
    let thresholds = global.several("first_frame_bytes", |text| {
        text.parse::<u32>()
            .map_err(|_| format!("{text:?} is no number of bytes; write up to four, 0 for none"))
    });
    if thresholds.len() > 4 {
        global.problem(
            "first_frame_bytes",
            "there are more than four; leave some out",
        );
    }
    if thresholds.iter().any(|&bytes| bytes > 0) {
        note(
            notes,
            global,
            "first_frame_bytes",
            "it has no effect: R.F lines come from the kernel's view only; transfer_us of the record request tells how \
             long the whole response took",
        );
    }
    is_peer
}

fn read_port(port: &mut Section<'_, '_>, is_peer: bool, notes: &Problems) -> Option<Port> {
    if !port.has("port") {
        port.problem_here("no port; write port: 443");
    }
    let range = port.one("port", range);
    let mode = port.one("mode", |text| match text {
        "default" => Ok(Mode::Default),
        "http" => Ok(Mode::Http),
        "https" => Ok(Mode::Https),
        _ => Err(format!("{text:?} is no mode; write default, http or https")),
    });
    let is_peer = match port.has("peer") {
        true => port.flag("peer"),
        false => is_peer,
    };
    if port.one("first_frame", switch) == Some(true) {
        note(
            notes,
            port,
            "first_frame",
            "it has no effect: R.F lines come from the kernel's view only",
        );
    }
    Some(Port {
        range: range?,
        is_peer,
        mode: mode?,
    })
}

/// Bytes of a ring.
fn read_init(init: &mut Section<'_, '_>, cpus: u64, notes: &Problems) -> u64 {
    let number = init.one("log_buf_num", values::at_least_one);
    let size = init.one("log_buf_size", values::at_least_one);
    for name in ["stats_buf_num", "stats_buf_size"] {
        if init.one(name, values::at_least_one).is_some() && init.has(name) {
            note(
                notes,
                init,
                name,
                "it has no effect: statistics wait in no buffer",
            );
        }
    }
    let per_cpu = number
        .unwrap_or_default()
        .saturating_mul(size.unwrap_or_default());
    let ring = per_cpu.saturating_mul(cpus).max(LEAST_RING);
    if init.has("log_buf_num") || init.has("log_buf_size") {
        note(
            notes,
            init,
            if init.has("log_buf_num") {
                "log_buf_num"
            } else {
                "log_buf_size"
            },
            &format!(
                "packets wait where TCP-RT's records did: a ring of log_buf_num x log_buf_size x {cpus} processors, \
                 {} KiB",
                ring >> 10
            ),
        );
    }
    ring
}

fn note(notes: &Problems, section: &Section<'_, '_>, name: &'static str, message: &str) {
    notes.borrow_mut().push(section.remark(name, message));
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "enable" => Ok(true),
        "disable" => Ok(false),
        _ => Err(format!("{text:?} is neither enable nor disable")),
    }
}

/// `443`, or `56789,56800` from one to the other.
fn range(text: &str) -> Result<(u16, u16), String> {
    match text.split_once(',') {
        Some((low, high)) => {
            let bounds = [values::ports(low.trim())?, values::ports(high.trim())?];
            match bounds {
                [(low, _), (high, _)] if low <= high => Ok((low, high)),
                _ => Err("the range ends before it begins".to_owned()),
            }
        }
        None => values::ports(text),
    }
}

/// The agent's file. Its values stand where the tcprt.yaml begins, for whatever may be said of them.
fn agent(at: At, ports: &[Port], ring: u64) -> Node {
    let text = |text: &str| Node {
        at,
        what: What::Text(text.to_owned()),
    };
    let list = |items: Vec<Node>| Node {
        at,
        what: What::List(items),
    };
    let map = |entries: Vec<(&str, Node)>| {
        let entries = entries.into_iter().map(|(name, node)| {
            let word = Word {
                at,
                text: name.to_owned(),
            };
            (word, node)
        });
        Node {
            at,
            what: What::Map(entries.collect()),
        }
    };
    let range = |&(low, high): &(u16, u16)| match low == high {
        true => low.to_string(),
        false => format!("{low}-{high}"),
    };
    let rules = ports.iter().map(|port| {
        let protocol = match port.mode {
            // One request, one response, whatever they are.
            Mode::Default => "turn",
            Mode::Http => "http",
            Mode::Https => "tls",
        };
        map(vec![
            ("port", text(&range(&port.range))),
            ("role", text(if port.is_peer { "peer" } else { "server" })),
            ("protocol", text(protocol)),
        ])
    });
    // What no port is named for is ignored, as TCP-RT does: the kernel need not hand it over.
    let words: Vec<_> = ports
        .iter()
        .map(|port| match port.range {
            (low, high) if low == high => format!("port {low}"),
            (low, high) => format!("portrange {low}-{high}"),
        })
        .collect();
    let ranges = ports.iter().map(|port| text(&range(&port.range)));
    map(vec![
        (
            "sources",
            list(vec![map(vec![
                ("interface", text("any")),
                ("buffer", text(&format!("{}KiB", ring.div_ceil(1024)))),
            ])]),
        ),
        ("filter", text(&format!("tcp and ({})", words.join(" or ")))),
        ("ports", list(rules.collect())),
        (
            "views",
            list(vec![map(vec![
                ("kind", text("requests")),
                ("format", text("tcprt")),
                ("output", text(LOG)),
                ("rotate", text("100MiB")),
                ("port", list(ranges.collect())),
            ])]),
        ),
    ])
}

#[cfg(test)]
mod tests;
