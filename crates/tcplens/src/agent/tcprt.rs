//! A tcprt.yaml (TCP-RT's service) as it is: read by its own keys, and turned into the tree of an agent's file, places
//! included, so that what follows knows one schema only: a source inside the kernel, as TCP-RT is one. What has no effect is
//! said.
//!
//! Reference: the configuration of the `tcprt` service, sections `global`, `per-port` and `init`.

use tcplens_core::kernel::Mode;

use super::config::MOST_FRAMES;
use super::section::{Key, Problems, Section, Table};
use super::yaml::{At, Node, Problem, What, Word};
use crate::cli::values;

/// Keys at the top of a tcprt.yaml, which no other file has.
pub(crate) const TOP_KEYS: [&str; 3] = ["global", "per-port", "init"];

/// Where its R, W, N, P and E lines go: TCP-RT's are in debugfs, where no program may write.
const LOG: &str = "/var/log/tcplens/rt-network-log";
/// And its statistics.
const STATS_LOG: &str = "/var/log/tcplens/rt-network-stats";

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
    let global = top.section("global", &GLOBAL, |global| read_global(global, &notes));
    let ports = top.sections("per-port", &PER_PORT, |port| {
        read_port(port, &global, &notes)
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
            Ok((agent(tree.at, &global, &ports, ring), notes))
        }
        _ => {
            problems.sort_by_key(|problem| problem.at);
            Err(problems)
        }
    }
}

/// The section `global`.
struct Global {
    /// What `peer` is where a port does not say.
    is_peer: bool,
    /// Seconds, where statistics are wanted.
    stats_interval: Option<u64>,
    /// Thresholds of responses, without zeroes.
    thresholds: Vec<u32>,
}

/// An entry of `per-port`.
struct Port {
    range: (u16, u16),
    is_peer: bool,
    mode: Mode,
    first_frame: bool,
}

fn read_global(global: &mut Section<'_, '_>, notes: &Problems) -> Global {
    let is_peer = global.flag("peer");
    let has_stats = global.one("stats", switch) == Some(true);
    let interval = global.one("stats_interval", values::at_least_one);
    if !has_stats && global.has("stats_interval") && interval.is_some() {
        note(
            notes,
            global,
            "stats_interval",
            "it has no effect: stats is not enabled",
        );
    }
    let thresholds = global.several("first_frame_bytes", values::first_frame);
    if thresholds.len() > MOST_FRAMES {
        global.problem(
            "first_frame_bytes",
            "there are more than four; leave some out",
        );
    }
    Global {
        is_peer,
        stats_interval: interval.filter(|_| has_stats),
        thresholds: thresholds.into_iter().filter(|&bytes| bytes > 0).collect(),
    }
}

fn read_port(port: &mut Section<'_, '_>, global: &Global, notes: &Problems) -> Option<Port> {
    if !port.has("port") {
        port.problem_here("no port; write port: 443");
    }
    let range = port.one("port", range);
    let mode = port.one("mode", values::mode);
    let is_peer = match port.has("peer") {
        true => port.flag("peer"),
        false => global.is_peer,
    };
    let first_frame = port.one("first_frame", switch) == Some(true);
    if first_frame && global.thresholds.is_empty() {
        note(
            notes,
            port,
            "first_frame",
            "it has no effect: global.first_frame_bytes has no thresholds",
        );
    }
    Some(Port {
        range: range?,
        is_peer,
        mode: mode?,
        first_frame,
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
                "one buffer for all processors: a ring of log_buf_num x log_buf_size x {cpus} processors, {} KiB",
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
fn agent(at: At, global: &Global, ports: &[Port], ring: u64) -> Node {
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
    let yes = || text("true");
    let rules = ports.iter().map(|port| {
        let mut rule = vec![
            ("port", text(&range(&port.range))),
            ("role", text(if port.is_peer { "peer" } else { "server" })),
        ];
        match port.mode {
            Mode::Default => {}
            Mode::Http => rule.push(("mode", text("http"))),
            Mode::Https => rule.push(("mode", text("https"))),
        }
        if port.first_frame && !global.thresholds.is_empty() {
            rule.push(("first_frame", yes()));
        }
        map(rule)
    });
    let mut source = vec![
        ("kernel", yes()),
        ("buffer", text(&format!("{}KiB", ring.div_ceil(1024)))),
    ];
    if !global.thresholds.is_empty() {
        let thresholds = global.thresholds.iter();
        let thresholds = thresholds.map(|bytes| text(&bytes.to_string()));
        source.push(("first_frame_bytes", list(thresholds.collect())));
    }
    let mut views = vec![map(vec![
        ("kind", text("requests")),
        ("format", text("tcprt")),
        ("output", text(LOG)),
        ("rotate", text("100MiB")),
    ])];
    if let Some(seconds) = global.stats_interval {
        views.push(map(vec![
            ("kind", text("requests")),
            ("format", text("tcprt-stats")),
            ("stats_interval", text(&seconds.to_string())),
            ("output", text(STATS_LOG)),
            ("rotate", text("100MiB")),
        ]));
    }
    map(vec![
        ("sources", list(vec![map(source)])),
        ("ports", list(rules.collect())),
        ("views", list(views)),
    ])
}

#[cfg(test)]
mod tests;
