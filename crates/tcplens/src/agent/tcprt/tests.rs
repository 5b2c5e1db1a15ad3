use super::super::render::render;
use super::super::{config, yaml};
use super::*;

/// The documented sample, whole.
const SAMPLE: &str = "\
global:
  peer: false
  stats: disable
  stats_interval: 60
  first_frame_bytes: [100, 2000, 20000, 0]
per-port:
  - port: 443
    mode: https
    first_frame: enable
  - port: 56789,56800
    mode: default
    peer: true
init:
  log_buf_num: 8
  log_buf_size: 262144
  stats_buf_num: 8
  stats_buf_size: 16384
";

fn read(text: &str) -> Result<(Node, Vec<Problem>), Vec<Problem>> {
    translate(&yaml::parse(text).unwrap(), 2)
}

fn lines(problems: &[Problem]) -> Vec<String> {
    let line = |problem: &Problem| {
        let At { line, column } = problem.at;
        format!("{line}:{column} {}", problem.message)
    };
    problems.iter().map(line).collect()
}

#[test]
fn the_documented_sample_is_taken_as_it_is() {
    let (tree, notes) = read(SAMPLE).unwrap();
    assert_eq!(
        render(&tree),
        "\
sources:
  - kernel: true
    buffer: 4096KiB
    first_frame_bytes: [100, 2000, 20000]
ports:
  - port: 443
    role: server
    mode: https
    first_frame: true
  - port: 56789-56800
    role: peer
views:
  - kind: requests
    format: tcprt
    output: /var/log/tcplens/rt-network-log
    rotate: 100MiB
"
    );
    assert!(config::of_tree(&tree).is_ok());
    assert_eq!(
        lines(&notes),
        [
            "4:19 global.stats_interval: it has no effect: stats is not enabled",
            "14:16 init.log_buf_num: one buffer for all processors: a ring of log_buf_num x log_buf_size x 2 processors, \
             4096 KiB",
            "16:18 init.stats_buf_num: it has no effect: statistics wait in no buffer",
            "17:19 init.stats_buf_size: it has no effect: statistics wait in no buffer",
        ]
    );
}

#[test]
fn statistics_are_a_view_of_their_own() {
    let text = "global:\n  stats: enable\n  stats_interval: 10\nper-port:\n  - port: 80\n    first_frame: enable\n";
    let (tree, notes) = read(text).unwrap();
    assert_eq!(
        lines(&notes),
        [
            "6:18 per-port[1].first_frame: it has no effect: global.first_frame_bytes has no thresholds"
        ]
    );
    let stats = "\
  - kind: requests
    format: tcprt-stats
    stats_interval: 10
    output: /var/log/tcplens/rt-network-stats
    rotate: 100MiB
";
    assert!(render(&tree).ends_with(stats), "{}", render(&tree));
    let config = config::of_tree(&tree).unwrap();
    assert!(matches!(
        config.sources.as_slice(),
        [config::Source::Kernel(_)]
    ));
    assert!(!config.ports[0].first_frame);
}

#[test]
fn a_port_is_a_peer_s_by_its_own_word_or_by_the_global_one() {
    let text = "global:\n  peer: true\nper-port:\n  - port: 80\n  - port: 81\n    peer: false\n    mode: http\n";
    let (tree, notes) = read(text).unwrap();
    assert_eq!(lines(&notes), [""; 0]);
    let config = config::of_tree(&tree).unwrap();
    let roles: Vec<_> = config.ports.iter().map(|rule| rule.role).collect();
    assert_eq!(roles, [config::Role::Peer, config::Role::Server]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let bad = |text: &str| lines(&read(text).unwrap_err());
    assert_eq!(
        bad("per-port:\n  - port: 80\n    mod: http\n"),
        ["3:5 there is no key \"mod\" in per-port[1]; did you mean mode?"]
    );
    assert_eq!(
        bad("global:\n  stats: on\nper-port:\n  - mode: httpx\n"),
        [
            "2:10 global.stats: \"on\" is neither enable nor disable",
            "4:5 per-port[1]: no port; write port: 443",
            "4:11 per-port[1].mode: \"httpx\" is no mode; write default, http or https",
        ]
    );
    assert_eq!(
        bad("init:\n  log_buf_num: 8\n"),
        ["1:1 per-port: there is none: no connection would be looked at; write - port: 443"]
    );
    assert_eq!(
        bad("per-port:\n  - port: 90,80\n"),
        ["2:11 per-port[1].port: the range ends before it begins"]
    );
}
