//! `anomalies` and `check`: what is abnormal in a store, for people and for monitoring.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tcplens_core::record::{AnomalyMetric, Word};
use tcplens_core::time::Span;
use tcplens_output::color::ColorChoice;
use tcplens_output::named::{Moment, Server};

use super::Format;
use super::values;

/// `anomalies`.
#[derive(Args, Debug)]
#[command(after_help = ANOMALIES_HELP)]
pub(crate) struct Anomalies {
    /// What both commands read.
    #[command(flatten)]
    pub history: History,
    /// Tell what was abnormal from this time on: 2026-11-21T10:05 (UTC), or 2h before the newest rollup
    #[arg(long, value_name = "TIME", conflicts_with = "last")]
    pub since: Option<Moment>,
    /// Tell what was abnormal in the last hours, minutes, days
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "1h")]
    pub last: Span,
    /// Output format: text, jsonl, csv (records finding) or none
    #[arg(
        short,
        long,
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub format: Format,
    /// Write here instead of standard output, compressed if it ends in .zst or .gz
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Colour: auto (a terminal, no NO_COLOR), always, never
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    pub color: ColorChoice,
    /// Print ASCII only [default: by the locale]
    #[arg(long, help_heading = "Output")]
    pub ascii: bool,
}

/// `check`.
#[derive(Args, Debug)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct Check {
    /// What both commands read.
    #[command(flatten)]
    pub history: History,
    /// Of this server only: IP, IP:PORT or, of IPv6, with brackets; repeatable
    #[arg(long, value_name = "IP[:PORT]")]
    pub server: Vec<Server>,
    /// Only if one of these is abnormal: total, process, errors, ... (docs/anomalies.md) [default: all]
    #[arg(short, long, value_name = "METRIC,...", value_delimiter = ',', value_parser = metric)]
    pub metric: Vec<AnomalyMetric>,
    /// What is CRITICAL, all else WARNING: errors, connect, loss, latency, traffic, component (several servers), none
    #[arg(
        long,
        value_name = "WHAT,...",
        value_delimiter = ',',
        default_value = "errors,connect,component",
        hide_possible_values = true
    )]
    pub critical: Vec<Critical>,
    /// UNKNOWN if the newest rollup is older
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "15m")]
    pub stale: Span,
}

/// What is read, and how.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// The store: a directory that --store filled, or clickhouse://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "DIR|URL")]
    pub store: String,
    /// Of a ClickHouse server: the password is the first line of this file
    #[arg(long, value_name = "FILE")]
    pub store_password_file: Option<PathBuf>,
    /// As if there were nothing from this time on
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Labels of addresses (host, rack, proxy, ...), to find which component is to blame (docs/anomalies.md)
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Suspect components of these labels only; also address and port, which are always known [default: all]
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',')]
    pub by: Vec<String>,
    /// What only these hosts observed, as they call themselves; repeatable
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Learn from so much before
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "35d")]
    pub history: Span,
    /// Servers and operations that are watched, about 10 KB each
    #[arg(long, value_name = "N", default_value = "65536")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_instances: u64,
}

/// `--critical`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Critical {
    /// Requests fail.
    Errors,
    /// Connecting fails or takes longer.
    Connect,
    /// Segments get lost.
    Loss,
    /// Requests take longer.
    Latency,
    /// There are fewer requests.
    Traffic,
    /// It concerns several servers.
    Component,
    /// Nothing.
    None,
}

fn metric(text: &str) -> Result<AnomalyMetric, String> {
    let mut all = AnomalyMetric::ALL.iter().copied();
    all.find(|metric| metric.word() == Some(text))
        .ok_or_else(|| {
            let words = AnomalyMetric::ALL.iter().filter_map(|metric| metric.word());
            let words: Vec<_> = words.collect();
            format!("{text:?} is no metric; write {}", words.join(", "))
        })
}

// At most 72 columns: a manual page of 80 shows these lines as they are.

const ANOMALIES_HELP: &str = "\
Learns from the store's rollups what is usual for each server and
operation at each time, and tells what is not, since when, and which
component is to blame: docs/anomalies.md. The store is only read.

Examples:
  tcplens anomalies --store /data                  the newest hour
  tcplens anomalies --store /data --last 1d        a day
  tcplens anomalies --store /data --topology topology.yaml
                                         also which rack, proxy, zone
  tcplens anomalies --store /data -f jsonl         for machines

Exit status: 0 complete (whatever was found; see tcplens check),
1 failed, 2 usage, 3 partial: files were damaged and left out.";

const CHECK_HELP: &str = "\
One line for Nagios, Icinga and their like: docs/anomalies.md.

Exit status, other than of every other command: 0 OK, 1 WARNING,
2 CRITICAL, 3 UNKNOWN (nothing stored any more, too little history,
no such store, or options that make no sense).

Examples:
  tcplens check --store /data
  tcplens check --store /data --server 10.0.0.7:6379 --critical latency
  tcplens check --store /data -m errors,unanswered,failed";
