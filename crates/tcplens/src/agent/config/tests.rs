use super::super::load;
use super::super::render::render;
use super::view::{SlowerThan, Threshold};
use super::*;

const SOURCE: &str = "sources: [{read: a.pcap}]\n";
const VIEW: &str = "views: [{kind: requests}]\n";

fn read(text: &str) -> AgentConfig {
    match load::understand("a.yaml".as_ref(), text, 2) {
        Ok(loaded) => loaded.config,
        Err(wrong) => panic!("{text}\n{wrong}"),
    }
}

fn wrong(text: &str) -> String {
    load::understand("a.yaml".as_ref(), text, 2)
        .expect_err(text)
        .to_string()
}

#[test]
fn every_problem_has_its_line_what_was_tried_and_what_to_write() {
    let mut differences = Vec::new();
    for (text, expected) in [
        (
            "",
            "a.yaml:1:1: sources: there is none; write what to capture on (- interface: any), to read (- read: FILE.pcap), or - kernel: true; or sockets: for the kernel's sockets alone\n\
             a.yaml:1:1: views: there is none, and nothing under answering, otlp or store: nobody would see anything; write one (- kind: requests)",
        ),
        (
            "- a\n",
            "a.yaml:1:1: the file has keys and values, this is a list; its keys are sources, filter, ",
        ),
        ("sources: [1, 2\n", "a.yaml:1:10: cannot read it as YAML: "),
        (
            "SOURCEviews:\n  - kind: requests\n    sloer-than: 5\n",
            "a.yaml:4:5: there is no key \"sloer-than\" in views[1]; did you mean slower_than?",
        ),
        (
            "SOURCEVIEWmetrics: 9184\n",
            "a.yaml:3:1: there is no key \"metrics\" at the top of the file; it belongs in answering",
        ),
        (
            "SOURCEVIEWbounds:\n  colour: red\n",
            "a.yaml:4:3: there is no key \"colour\" in bounds; its keys are threads, limit_connections, limit_memory, timeout, idle, active",
        ),
        (
            "SOURCEVIEWbounds:\n  limit_memory: 4096\n",
            "a.yaml:4:17: bounds.limit_memory: 4096 is not enough for a handful of connections; write 64MiB or more",
        ),
        (
            "SOURCEVIEWbounds:\n  limit_memory: 1 banana\n",
            "a.yaml:4:17: bounds.limit_memory: cannot read \"1 banana\" as a size: the unit is unknown; write a number and a unit, such as 64MiB, 10M or 1g",
        ),
        (
            "SOURCEVIEWbounds:\n  timeout: 0\n",
            "a.yaml:4:12: bounds.timeout: it is zero; write seconds, such as 60 or 0.5, or a time such as 250ms",
        ),
        (
            "SOURCEVIEWsockets:\n  archive: kept\n",
            "a.yaml:4:3: sockets: sockets are those of now, files have times of their own",
        ),
        (
            "sources: [{interface: any}]\nVIEWsockets:\n  interval: 1\n",
            "a.yaml:4:3: sockets: neither archive nor event_socket, nor a store, nor metrics under answering: nobody would see anything",
        ),
        (
            "sources: [{interface: any}]\nVIEWsockets:\n  archive: kept\n  exclude: nosuch == 1\n",
            "a.yaml:5:12: sockets.exclude: ",
        ),
        (
            "sockets: {archive: kept}\nVIEW",
            "a.yaml:2:8: views: they show what sources see, and there is none; write sources, or leave them out",
        ),
        (
            "sockets: {archive: kept}\nanswering: {stats_port: 33333}\nfilter: tcp\n",
            "a.yaml:2:12: answering: stats_port and socket tell what sources see, and there is none; metrics tell of sockets, too\n\
             a.yaml:3:9: filter: it is about what sources see, and there is none; leave it out",
        ),
        (
            "SOURCEVIEWbounds:\n  threads: [1]\n",
            "a.yaml:4:12: bounds.threads: it takes one value, this is a list; write a number",
        ),
        (
            "SOURCEVIEWbounds: 5\n",
            "a.yaml:3:9: bounds has keys and values, this is a single value; its keys are threads, ",
        ),
        (
            "SOURCEVIEWwho:\n  local: [10.0.0.0/8,\n    10.0.0.0/33]\n",
            "a.yaml:5:5: who.local: /33 is too long, 10.0.0.0 has 32 bits; write addresses or networks, such as",
        ),
        (
            "SOURCEVIEWports:\n  - port: [80, 70000]\n",
            "a.yaml:4:16: ports[1].port: \"70000\" is no port; write numbers from 1 to 65535, such as 80,443,8000-8100",
        ),
        (
            "SOURCEVIEWports:\n  - role: peer\n",
            "a.yaml:4:5: ports[1]: no port; write port: 443",
        ),
        (
            "SOURCEVIEWports:\n  - port: 1\n    role: client\n",
            "a.yaml:5:11: ports[1].role: \"client\" is none of its words; write server, peer",
        ),
        (
            "SOURCEVIEWprotocol: htp\n",
            "a.yaml:3:11: protocol: \"htp\" is no protocol; write auto, ",
        ),
        ("SOURCEVIEWfilter: tcp prt 80\n", "a.yaml:3:9: filter: "),
        (
            "SOURCEVIEWhandshake_filters:\n  - web:RX@%:80\n  - db:RY@%:3306\n",
            "a.yaml:5:5: handshake_filters: ",
        ),
        (
            "SOURCEviews:\n  - kind: connections\n    format: tcprt\n",
            "a.yaml:4:13: views[1].format: connections have no format tcprt; write text, jsonl, csv, none",
        ),
        (
            "SOURCEviews:\n  - kind: connections\n    status: ok\n",
            "a.yaml:4:13: views[1].status: it is about requests, this view shows connections; leave it out",
        ),
        (
            "SOURCEviews:\n  - output: x\n",
            "a.yaml:3:5: views[1]: no kind; write kind: requests (or ",
        ),
        (
            "SOURCEviews:\n  - kind: requests\n    slower_than: ports\n",
            "a.yaml:4:18: views[1].slower_than: nothing under ports says what is slow; ",
        ),
        (
            "SOURCEviews:\n  - kind: requests\n    rotate: 1h\n",
            "a.yaml:4:13: views[1].rotate: standard output has no files to rotate; write output: FILE",
        ),
        (
            "SOURCEviews:\n  - kind: requests\n    output: x\n  - kind: connections\n    output: x\n",
            "a.yaml:3:3: views: two views write to x; give each a file",
        ),
        (
            "SOURCEhandshake_filters: web:RX@%:80\nviews:\n  - kind: handshakes\n    handshake_filter: wb\n",
            "a.yaml:5:23: views[1].handshake_filter: \"wb\" is none of the handshake_filters; write web",
        ),
        (
            "SOURCEviews:\n  - kind: handshakes\n    outcome: failed\n",
            "a.yaml:4:14: views[1].outcome: \"failed\" is no outcome; write established, ",
        ),
        (
            "VIEWsources:\n  - read: x\n    interface: any\n",
            "a.yaml:3:5: sources[1]: read and interface are two sources; ",
        ),
        (
            "VIEWsources:\n  - follow: true\n",
            "a.yaml:3:5: sources[1]: neither read nor interface nor kernel; ",
        ),
        (
            "VIEWsources:\n  - read: x\n    buffer: 4MiB\n",
            "a.yaml:4:13: sources[1].buffer: it is about interfaces; leave it out",
        ),
        (
            "VIEWsources:\n  - interface: any\n    buffer: 4096\n",
            "a.yaml:4:13: sources[1].buffer: tcpdump counts KiB here; write 4MiB if that was meant",
        ),
        (
            "VIEWsources:\n  - kernel: true\n  - kernel: true\n",
            "a.yaml:3:3: sources: the kernel is there more than once: ",
        ),
        (
            "VIEWsources:\n  - kernel: true\n  - read: x\n",
            "a.yaml:3:3: sources: files and the kernel's view do not go together: ",
        ),
        (
            "VIEWsources:\n  - kernel: true\n  - interface: any\nexclude: port 22\n",
            "a.yaml:5:10: exclude: packets and the kernel must leave out the same; ",
        ),
        (
            "VIEWsources:\n  - kernel: true\n  - interface: any\nwho: {side: server}\n",
            "a.yaml:5:6: who: the kernel knows which end is this host's",
        ),
        (
            "VIEWsources:\n  - kernel: true\n  - interface: any\nfilter: tcp[13] == 2\n",
            "a.yaml:5:9: filter: ",
        ),
        (
            "VIEWsources:\n  - kernel: true\n    snaplen: 64\n",
            "a.yaml:4:14: sources[1].snaplen: it is about packets; leave it out",
        ),
        (
            "VIEWsources:\n  - kernel: true\n    first_frame_bytes: [1, 2, 3, 4, 5]\n",
            "a.yaml:4:24: sources[1].first_frame_bytes: there are more than four; ",
        ),
        (
            "VIEWsources:\n  - interface: any\n    flush: 5\n",
            "a.yaml:4:12: sources[1].flush: it is about the kernel's view; leave it out",
        ),
        (
            "VIEWsources:\n  - kernel: true\nexclude: port 22\n",
            "a.yaml:4:10: exclude: it is about packets, which the kernel's view does not have; leave it out",
        ),
        (
            "VIEWsources:\n  - kernel: true\nwho: {local: 10.0.0.1}\n",
            "a.yaml:4:6: who: the kernel knows which end is this host's",
        ),
        (
            "VIEWsources:\n  - kernel: true\nwho: {side: middle}\n",
            "a.yaml:4:6: who: the kernel knows which end is this host's",
        ),
        (
            "SOURCEVIEWports:\n  - {port: 80, mode: http}\n",
            "a.yaml:4:3: ports: mode and first_frame are about the kernel's view; ",
        ),
        (
            "VIEWsources:\n  - kernel: true\nports:\n  - {port: 80, mode: ftp}\n",
            "a.yaml:5:22: ports[1].mode: \"ftp\" is no mode; write default, http or https",
        ),
        (
            "VIEWsources:\n  - interface: any\n  - read: x\n",
            "a.yaml:3:3: sources: files and interfaces do not go together: ",
        ),
        (
            "VIEWsources:\n  - read: x\n  - read: y\n    follow: true\n",
            "a.yaml:3:3: sources: some files are followed, others are not, ",
        ),
        (
            "SOURCEanswering:\n  socket: tcplens.sock\n",
            "a.yaml:3:11: answering.socket: \"tcplens.sock\" is no path; write /run/tcplens/tcplens.sock",
        ),
        (
            "SOURCEanswering:\n  stats_port: here\n",
            "a.yaml:3:15: answering.stats_port: \"here\" is no address and port; write 127.0.0.1:33333, ",
        ),
        (
            "SOURCEVIEWlog_level: all\n",
            "a.yaml:3:12: log_level: \"all\" is none of its words; write error, warning, info, debug",
        ),
        (
            "SOURCEVIEWkeep_duplicates: yes\n",
            "a.yaml:3:18: keep_duplicates: \"yes\" is neither true nor false",
        ),
    ] {
        let text = text.replace("SOURCE", SOURCE).replace("VIEW", VIEW);
        let message = wrong(&text);
        let lines = |text: &str| text.matches("a.yaml:").count();
        if !message.starts_with(expected) || lines(&message) != lines(expected) {
            differences.push(format!("{text}said:     {message}\nexpected: {expected}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn several_problems_are_told_at_once_in_the_order_of_the_file() {
    let message = wrong("sources: [{read: a}]\nviews: [{kind: x}]\nsummary_bytes: 0\nuser: ''\n");
    let places: Vec<_> = message
        .lines()
        .map(|line| line.split(": ").next().unwrap_or_default())
        .collect();
    assert_eq!(
        places,
        ["a.yaml:2:16", "a.yaml:3:16", "a.yaml:4:7"],
        "{message}"
    );
}

#[test]
fn values_are_what_the_command_line_makes_of_them() {
    let config = read(
        "\
sources:
  - interface: [eth0, eth1]
    buffer: 16MiB
    netns: web
ports:
  - port: 80,8000-8100
    slower_than: 0.5
  - {port: 6379, role: peer, protocol: redis}
views:
  - kind: requests
    format: jsonl
    output: r.jsonl.zst
    rotate: 1h
    status: [error, 5xx]
    slower_than: ports
answering: {stats_port: 33333, metrics: '[::1]:9184'}
handshake_filters: ['web:RX@%:80:443', ':RX@%:22']
user: nobody
",
    );
    let live = Live {
        interfaces: vec!["eth0".into(), "eth1".into()],
        netns: Some("web".into()),
        promiscuous: false,
        buffer: Some(16 << 20),
        snaplen: 262_144,
    };
    assert_eq!(config.sources, [Source::Live(live)]);
    let ports = vec![(80, 80), (8000, 8100)];
    let from = Span::from_ns(500_000);
    assert_eq!(config.ports[0].ports, ports);
    assert_eq!(config.ports[0].slower_than, Some(from));
    assert_eq!(config.ports[1].role, Role::Peer);
    assert_eq!(config.ports[1].protocols, [Protocol::Redis]);
    assert_eq!(config.handshake_filters.len(), 2);
    assert_eq!(config.user.as_deref(), Some("nobody"));
    let view = &config.views[0];
    assert_eq!(view.name, "view of requests");
    let slower = SlowerThan::Ports(vec![Threshold { ports, from }]);
    assert_eq!(view.which.slower_than, Some(slower));
    assert_eq!(view.which.status.len(), 2);
    assert_eq!(config.answering.stats_port, "127.0.0.1:33333".parse().ok());
    assert_eq!(config.bounds.timeout, Span::from_ns(60_000_000_000));
}

#[test]
fn the_effective_configuration_has_the_defaults_and_reads_as_the_same() {
    let config = read(&format!("{SOURCE}{VIEW}"));
    let effective = render(&config.effective);
    assert_eq!(
        effective,
        "\
sources:
  - read: [a.pcap]
    follow: false
checksum: none
keep_duplicates: false
protocol: auto
summary_bytes: 128
views:
  - kind: requests
    format: text
    output: '-'
    time: utc
bounds:
  limit_connections: 1000000
  timeout: 60
  idle: 300
log_level: info
"
        .replace("[a.pcap]", "a.pcap")
    );
    assert_eq!(render(&read(&effective).effective), effective);
}

#[test]
fn defaults_are_those_of_the_command_line() {
    let mut definition = crate::cli::definition();
    definition.build();
    let requests = definition.find_subcommand("requests").unwrap();
    let tables = [&keys::TOP, &keys::SOURCE, &keys::BOUNDS];
    let mut compared = 0;
    for key in tables.iter().flat_map(|table| table.keys) {
        let option = key.name.replace('_', "-");
        let mut options = requests.get_arguments();
        let Some(option) = options.find(|arg| arg.get_long() == Some(&option)) else {
            continue;
        };
        let default = option.get_default_values().first();
        let is_flag = matches!(option.get_action(), clap::ArgAction::SetTrue);
        let expected = match is_flag {
            true => Some("false"),
            false => default.and_then(|value| value.to_str()),
        };
        assert_eq!(key.default, expected, "{}", key.name);
        compared += 1;
    }
    assert!(compared > 12, "{compared}");
}

#[test]
fn every_declared_key_is_read() {
    let files = "\
sources: [{read: x, follow: true}]
filter: tcp
exclude: udp
checksum: all
keep_duplicates: true
protocol: [http, DNS]
summary_bytes: 64
who: {server: 10.0.0.1, local: '::1', side: middle}
ports: [{port: 80, role: peer, protocol: http, slower_than: 5}]
handshake_filters: ['a:RX@%:1']
views:
  - {kind: requests, name: x, format: text, output: /x, rotate: 1h, time: local, columns: [status, budget]}
  - {kind: records, records: [request], server: 10.0.0.0/8, port: 80, protocol: http, status: 5xx, slower_than: 1s}
  - {kind: handshakes, outcome: refused, handshake_filter: a}
  - {kind: requests, format: tcprt-stats, output: /y, stats_interval: 10}
  - {kind: requests, format: tcprt, output: /z, compat: true}
answering: {stats_port: 1, socket: ./x, metrics: 2, web: 3}
store: {to: kept, host: h, keep: 30d, keep_rollups: 500d, interval: 60, password_file: /p, spool: s, spool_size: 1M}
anomalies: {topology: t.yaml, history: 7d, limit_instances: 9}
otlp: {url: 'http://[::1]:4318', interval: 5, slower_than: 20, headers: /h, ca: /c}
bounds: {threads: 1, limit_connections: 1, limit_memory: 1M, timeout: 1, idle: 1, active: 1}
user: x
log_level: debug
";
    let live =
        "sources: [{interface: any, netns: x, promiscuous: true, buffer: 1MiB, snaplen: 64}]
sockets: {archive: kept, uuid_prefix: a, include_local: true, interval: 1, cpu_budget: 5, exclude: 'sport = :22', netns: x}
";
    let kernel = "sources: [{kernel: true, netns: x, buffer: 1MiB, peek: true, flush: 2, first_frame_bytes: [1, 2], device_times: true}]
ports: [{port: 443, mode: https, first_frame: true}]
sockets: {event_socket: ./e, uuid_prefix_file: b, save_when: changed, anonymize: netblock}
";
    // In a debug build a key that is there and not asked for is a panic.
    read(files);
    read(&format!("{live}{VIEW}"));
    let config = read(&format!("{kernel}{VIEW}"));
    let effective = render(&config.effective);
    assert_eq!(render(&read(&effective).effective), effective);
    let text = format!("{files}{live}{kernel}");
    for key in keys::all().iter().flat_map(|table| table.keys) {
        let named = [
            format!("{{{}:", key.name),
            format!(" {}:", key.name),
            format!("\n{}:", key.name),
        ];
        let is_there = text.starts_with(&format!("{}:", key.name));
        assert!(
            is_there || named.iter().any(|named| text.contains(named)),
            "{}",
            key.name
        );
    }
}
