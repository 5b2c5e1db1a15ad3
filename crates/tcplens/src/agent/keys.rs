//! The keys of the agent's file: declared here once. Reading (`config`), the defaults, the messages about unknown keys
//! and the tables of docs/agent.md follow.

use super::section::{Key, Table};

/// All tables, in the order of the documentation.
pub(crate) fn all() -> &'static [&'static Table] {
    static ALL: [&Table; 11] = [
        &TOP, &SOURCE, &WHO, &PORT, &VIEW, &ANSWERING, &OTLP, &SOCKETS, &STORE, &ANOMALIES, &BOUNDS,
    ];
    &ALL
}

const fn key(
    name: &'static str,
    takes: &'static str,
    default: Option<&'static str>,
    about: &'static str,
) -> Key {
    Key {
        name,
        takes,
        default,
        about,
    }
}

/// All keys as Markdown: a table for each place.
pub(crate) fn reference() -> String {
    let mut out = String::new();
    for table in all() {
        let heading = match table.path {
            "" => table.about.to_owned(),
            path => format!("`{path}`: {}", table.about),
        };
        out +=
            &format!("### {heading}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n");
        for key in table.keys {
            let default = key
                .default
                .map_or(String::new(), |text| format!("`{text}`"));
            let (takes, about) = (key.takes, key.about.replace('|', "\\|"));
            out += &format!("| `{}` | {takes} | {default} | {about} |\n", key.name);
        }
        out.push('\n');
    }
    out.pop();
    out
}

/// The top of the file.
pub(crate) static TOP: Table = Table {
    path: "",
    about: "The top of the file",
    all,
    keys: &[
        key(
            "sources",
            "a list",
            None,
            "where packets come from; at least one, unless `sockets` is there",
        ),
        key(
            "filter",
            "an expression",
            None,
            "packets to look at, as pcap-filter(7): `tcp port 80 or port 443`",
        ),
        key(
            "exclude",
            "an expression",
            None,
            "packets to leave out, likewise",
        ),
        key(
            "checksum",
            "none, ip, tcp or all",
            Some("none"),
            "checksums to verify; wrong ones are counted",
        ),
        key(
            "keep_duplicates",
            "true or false",
            Some("false"),
            "count packets that a mirror port or bridge shows twice as two",
        ),
        key(
            "protocol",
            "protocols",
            Some("auto"),
            "protocols to recognise, `auto` for all: `[http, redis, turn]`",
        ),
        key(
            "summary_bytes",
            "a number",
            Some("128"),
            "cut what was asked for at so many bytes",
        ),
        key("who", "keys and values", None, "who is who"),
        key(
            "ports",
            "a list",
            None,
            "what is known of ports: whose they are, what is spoken there, what is slow",
        ),
        key(
            "handshake_filters",
            "tcpeek filters",
            None,
            "`[\"web:RX@%:80:443\", \":RX@%:22\"]`: names for attempts, which views and the socket count by; without a name they exclude attempts from all",
        ),
        key(
            "views",
            "a list",
            None,
            "what to show, and where; at least one, unless something under `answering`, `otlp`, `store` or `sockets` alone is there",
        ),
        key(
            "answering",
            "keys and values",
            None,
            "who may ask while the agent runs",
        ),
        key(
            "otlp",
            "keys and values",
            None,
            "send metrics, and slow requests as spans, to an OpenTelemetry collector (otlp.md)",
        ),
        key(
            "sockets",
            "keys and values",
            None,
            "watch the kernel's sockets, on a thread of its own: beside live sources, or alone",
        ),
        key(
            "store",
            "keys and values",
            None,
            "keep all records of the sources, and of `sockets`, in files that other engines read (store.md)",
        ),
        key(
            "anomalies",
            "keys and values",
            None,
            "watch what is abnormal here: told in the log, to views with `finding`, in metrics (anomalies.md); `{}` is enough",
        ),
        key(
            "bounds",
            "keys and values",
            None,
            "what is kept, and for how long",
        ),
        key(
            "user",
            "a user's name",
            None,
            "give up all privileges for this user's once sources are open; not needed under systemd",
        ),
        key(
            "log_level",
            "error, warning, info or debug",
            Some("info"),
            "the least that is said on stderr",
        ),
    ],
};

/// One source.
pub(crate) static SOURCE: Table = Table {
    path: "sources[]",
    about: "A source: files, interfaces, or the kernel itself",
    all,
    keys: &[
        key(
            "read",
            "files",
            None,
            "capture files, `-` for standard input; several are merged by time",
        ),
        key(
            "follow",
            "true or false",
            Some("false"),
            "with `read`: keep reading, the files are still being written",
        ),
        key(
            "interface",
            "interfaces",
            None,
            "capture on these; `any` for all",
        ),
        key(
            "netns",
            "a name or a file",
            None,
            "with `interface` or `kernel`: in this network namespace; of the kernel's view also its inode",
        ),
        key(
            "promiscuous",
            "true or false",
            Some("false"),
            "with `interface`: also packets that are not for this host",
        ),
        key(
            "buffer",
            "a size",
            None,
            "with `interface`: the ring that packets wait in, per thread (64MiB without it); with `kernel`: the one that events wait in (8MiB)",
        ),
        key(
            "snaplen",
            "a number",
            Some("262144"),
            "with `interface`: bytes kept of each packet",
        ),
        key(
            "kernel",
            "true or false",
            Some("false"),
            "look from inside the kernel (eBPF) at this host's connections, those of `ports` or all; no packet is copied. Once, and beside `interface` if wanted: then records of packets have the socket (kernel.md)",
        ),
        key(
            "peek",
            "true or false",
            Some("false"),
            "with `kernel`: copy the first bytes of requests, so that protocols are recognised; so do protocols and modes that are named",
        ),
        key(
            "flush",
            "a time, in s without a unit",
            Some("1"),
            "with `kernel`: a response that is acknowledged is told after so long, if no request follows before",
        ),
        key(
            "first_frame_bytes",
            "up to four numbers",
            None,
            "with `kernel`: tell when so many bytes of a response were acknowledged, at ports with `first_frame` (TCP-RT's R.F)",
        ),
        key(
            "device_times",
            "true or false",
            Some("false"),
            "with `kernel`: what is sent is stamped when it goes to the device, as packets are, and not when the stack sends it (kernel.md)",
        ),
    ],
};

/// Who is who.
pub(crate) static WHO: Table = Table {
    path: "who",
    about: "Who is who",
    all,
    keys: &[
        key(
            "server",
            "addresses",
            None,
            "servers, for connections whose handshake was not seen: `[10.0.0.7, 192.168.0.0/16]`",
        ),
        key(
            "local",
            "addresses",
            None,
            "addresses of the observed host: tells inbound from outbound; live its own are known",
        ),
        key(
            "side",
            "client, server or middle",
            None,
            "where the packets were captured; with `kernel`: only what this end tells, client or server",
        ),
    ],
};

/// Ports.
pub(crate) static PORT: Table = Table {
    path: "ports[]",
    about: "What is known of a port",
    all,
    keys: &[
        key(
            "port",
            "ports",
            None,
            "the ports of servers: `443`, `[80, 8000-8100]`; needed",
        ),
        key(
            "role",
            "server or peer",
            Some("server"),
            "`server`: this host serves there (TCP-RT's ports); `peer`: this host asks there (TCP-RT's peer ports)",
        ),
        key(
            "protocol",
            "protocols",
            None,
            "what is spoken there; nothing else is recognised on these ports",
        ),
        key(
            "slower_than",
            "a time, in ms without a unit",
            None,
            "what is slow there, for views with `slower_than: ports`",
        ),
        key(
            "mode",
            "default, http or https",
            Some("default"),
            "with a source `kernel`: what is spoken there, in TCP-RT's words",
        ),
        key(
            "first_frame",
            "true or false",
            Some("false"),
            "with a source `kernel`: `first_frame_bytes` count there",
        ),
    ],
};

/// A view.
pub(crate) static VIEW: Table = Table {
    path: "views[]",
    about: "A view: what to show, and where",
    all,
    keys: &[
        key(
            "kind",
            "records, handshakes, requests, connections or report",
            None,
            "what is shown; needed. A report comes at the end",
        ),
        key(
            "name",
            "a word",
            None,
            "its name in messages; without one its kind and number",
        ),
        key(
            "format",
            "text, jsonl, csv, tcprt, tcprt-stats or none",
            None,
            "default as on the command line: text, of records jsonl. tcprt, tcprt-stats: of requests only; csv: not of reports",
        ),
        key(
            "compat",
            "true or false",
            None,
            "with `tcprt`: as TCP-RT's module itself writes (`--compat`); not without it",
        ),
        key(
            "stats_interval",
            "a time, in s without a unit",
            None,
            "with `tcprt-stats`: a line for each port every so often (60 s without it)",
        ),
        key(
            "output",
            "a file",
            Some("-"),
            "where to; compressed if it ends in .zst or .gz; `-` is standard output. What is there stays: the agent appends",
        ),
        key(
            "rotate",
            "a size or a time",
            None,
            "begin a new file after this size (100MiB) or packet time (1h)",
        ),
        key(
            "time",
            "utc, local, relative or epoch",
            Some("utc"),
            "how text shows times",
        ),
        key(
            "columns",
            "columns",
            None,
            "of requests as text, more columns: status, protocol, bytes, phases, budget, verdict, task, retransmits, connection, frames",
        ),
        key(
            "records",
            "handshake, request, connection, finding, health",
            Some("handshake,request,connection,health"),
            "of records: which kinds",
        ),
        key(
            "server",
            "addresses",
            None,
            "only what concerns these servers",
        ),
        key(
            "port",
            "ports",
            None,
            "only what concerns these ports of servers",
        ),
        key(
            "protocol",
            "protocols",
            None,
            "only requests and connections of these protocols",
        ),
        key(
            "status",
            "statuses",
            None,
            "only requests that went so: ok, error, none, unanswered, 404, 5xx, NXDOMAIN",
        ),
        key(
            "slower_than",
            "a time in ms without a unit, or ports",
            None,
            "only requests that took at least so long; `ports`: as long as `ports` says of theirs",
        ),
        key(
            "outcome",
            "outcomes",
            None,
            "only attempts that ended so: established, refused, unreachable, timed_out, unanswered, aborted, reset, unacknowledged, one_sided",
        ),
        key(
            "handshake_filter",
            "names",
            None,
            "only attempts that one of these `handshake_filters` counts",
        ),
    ],
};

/// Answering.
pub(crate) static ANSWERING: Table = Table {
    path: "answering",
    about: "Who may ask while the agent runs",
    all,
    keys: &[
        key(
            "stats_port",
            "an address and port",
            None,
            "latencies by server as JSON for whoever connects (tcpkit); a port alone is on 127.0.0.1",
        ),
        key(
            "socket",
            "a path",
            None,
            "unix socket for `tcplens stat` and tcpeek's GET and REFRESH",
        ),
        key(
            "metrics",
            "an address and port",
            None,
            "Prometheus metrics at /metrics; a port alone is on 127.0.0.1",
        ),
        key(
            "web",
            "an address and port",
            None,
            "the page for browsers, updated each second (page.md); a port alone is on 127.0.0.1",
        ),
    ],
};

/// OpenTelemetry.
pub(crate) static OTLP: Table = Table {
    path: "otlp",
    about: "An OpenTelemetry collector: as the options --otlp and --otlp-*",
    all,
    keys: &[
        key(
            "url",
            "a URL",
            None,
            "where it takes OTLP over HTTP: `http://127.0.0.1:4318`; needed",
        ),
        key(
            "interval",
            "a time, in s without a unit",
            Some("10"),
            "send metrics so often while live; of files they are sent at the end",
        ),
        key(
            "slower_than",
            "a time, in ms without a unit",
            Some("100"),
            "a request that took at least so long is sent as a span, 10 of each second",
        ),
        key(
            "headers",
            "a file",
            None,
            "HTTP headers to send, such as a key: a line `NAME: VALUE` each; without it what the environment variable OTEL_EXPORTER_OTLP_HEADERS says",
        ),
        key(
            "ca",
            "a file",
            None,
            "certificates (PEM) to trust, in place of the machine's",
        ),
    ],
};

/// Sockets.
pub(crate) static SOCKETS: Table = Table {
    path: "sockets",
    about: "The kernel's sockets, beside live sources or without any: as the options of `tcplens sockets`",
    all,
    keys: &[
        key(
            "archive",
            "a directory",
            None,
            "keep every change and every end there, in the files of m-lab/tcp-info",
        ),
        key(
            "event_socket",
            "a path",
            None,
            "tell whoever connects to this unix socket of connections that open and end (`tcplens events`)",
        ),
        key(
            "uuid_prefix",
            "a text",
            None,
            "names of connections begin with this; without it HOST_BOOTTIME_unsafe",
        ),
        key(
            "uuid_prefix_file",
            "a file",
            None,
            "or with what is in this file, all of it",
        ),
        key(
            "include_local",
            "true or false",
            Some("false"),
            "the archive has also connections within this host or link",
        ),
        key(
            "interval",
            "a time, in s without a unit",
            None,
            "ask so often; without it every 10 ms to 10 s, as often as `cpu_budget` allows",
        ),
        key(
            "cpu_budget",
            "percent",
            Some("2"),
            "what asking may take of one core",
        ),
        key(
            "save_when",
            "tcp-info or changed",
            Some("tcp-info"),
            "which changes are kept: as tcp-info does, or every counter",
        ),
        key(
            "exclude",
            "an expression",
            None,
            "leave out the sockets that match, as `tcplens sockets --exclude`: `sport = :22`",
        ),
        key(
            "anonymize",
            "none or netblock",
            Some("none"),
            "shorten addresses: IPv4 to /24, IPv6 to /48; this host's own stay whole",
        ),
        key(
            "netns",
            "a name or a file",
            None,
            "those of this network namespace",
        ),
    ],
};

/// Store.
pub(crate) static STORE: Table = Table {
    path: "store",
    about: "Where records are kept: as `--store` and the options beside it",
    all,
    keys: &[
        key(
            "to",
            "a directory or a server",
            None,
            "a directory, or `clickhouse://user@host:port/db`",
        ),
        key(
            "password_file",
            "a file",
            None,
            "ClickHouse: the password is its first line",
        ),
        key(
            "spool",
            "a directory",
            None,
            "ClickHouse: what it has not taken yet waits here; without it /var/lib/tcplens/spool",
        ),
        key(
            "spool_size",
            "a size",
            Some("1GiB"),
            "ClickHouse: how much may wait there; beyond, what is new is dropped and counted",
        ),
        key(
            "host",
            "a text",
            None,
            "whose records these are; without it the machine's name",
        ),
        key(
            "keep",
            "days or a size",
            None,
            "remove this host's records after days (`30d`), or the oldest beyond a size (`50GiB`); without it never",
        ),
        key(
            "keep_rollups",
            "days",
            Some("400d"),
            "how long rollups, findings and health are kept where `keep` is given",
        ),
        key(
            "interval",
            "a time, in s without a unit",
            Some("300"),
            "begin new files so often",
        ),
    ],
};

/// What is abnormal.
pub(crate) static ANOMALIES: Table = Table {
    path: "anomalies",
    about: "What is abnormal, minute by minute: each server and operation by its own history",
    all,
    keys: &[
        key(
            "topology",
            "a file",
            None,
            "labels of addresses (host, rack, proxy, ...), to find which component is to blame; read at the start",
        ),
        key(
            "history",
            "a time, in s without a unit",
            Some("35d"),
            "at the start, learn from so much of what the store has of this host",
        ),
        key(
            "limit_instances",
            "a number",
            Some("4096"),
            "servers and operations that are watched, about 10 KB each",
        ),
    ],
};

/// Bounds.
pub(crate) static BOUNDS: Table = Table {
    path: "bounds",
    about: "What is kept, and for how long: as the options of the same names",
    all,
    keys: &[
        key(
            "threads",
            "a number",
            None,
            "threads; without it one per core",
        ),
        key(
            "limit_connections",
            "a number",
            Some("1000000"),
            "connections kept at once; beyond, the oldest half-open ones go first",
        ),
        key(
            "limit_memory",
            "a size",
            None,
            "the same as memory: three quarters for connections, the rest for requests",
        ),
        key(
            "timeout",
            "a time, in s without a unit",
            Some("60"),
            "an attempt without an answer for so long has timed out",
        ),
        key(
            "idle",
            "a time, in s without a unit",
            Some("300"),
            "a connection that is silent for so long has ended",
        ),
        key(
            "active",
            "a time, in s without a unit",
            None,
            "report connections with traffic in parts, one each so often",
        ),
    ],
};
