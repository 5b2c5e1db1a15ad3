//! The options of `fleet`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tcplens_output::named::Moment;

use super::values;

/// `fleet`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Fleet {
    /// The store: a directory that --store filled, of one host or many, or clickhouse://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "DIR|URL")]
    pub store: PathBuf,
    /// Of a ClickHouse server: the password is the first line of this file
    #[arg(long, value_name = "FILE")]
    pub store_password_file: Option<PathBuf>,
    /// Where the page is; a port alone is on 127.0.0.1
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_value = "127.0.0.1:9318")]
    #[arg(default_missing_value = "127.0.0.1:9318", value_parser = values::listen_fleet)]
    pub web: SocketAddr,
    /// Write the page with all of it within instead, and end; `-`: stdout
    #[arg(long, value_name = "FILE", conflicts_with = "web")]
    pub html: Option<PathBuf>,
    /// Of the file: from this time on: 2026-11-21T10:05 (UTC), or 2h before the newest rollup [default: 6h]
    #[arg(long, value_name = "TIME", requires = "html")]
    pub since: Option<Moment>,
    /// Of the file: until just before this time
    #[arg(long, value_name = "TIME", requires = "html")]
    pub until: Option<Moment>,
}

// At most 72 columns: a manual page of 80 shows these lines as they are.

const HELP: &str = "\
Servers and operations over time, what is abnormal, and down to single
records, for browsers. The store is only read, and new files are taken
up. Ctrl-C ends. There is no password: docs/fleet-page.md.

Examples:
  tcplens fleet --store /data            http://127.0.0.1:9318
  tcplens fleet --store /data --web 10.0.0.7:8080
  tcplens fleet --store /data --html fleet.html --since 1d
                                         one file: send it, keep it";
