//! Parameters of queries that come along, and how they become SQL: numbers, times and quoted words, never text as it came.

use std::net::IpAddr;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tcplens_core::time::{SECOND, Span, Timestamp};

use crate::rfc3339::{self, Rfc3339};
use crate::units::parse_duration;

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// DataFusion and DuckDB, over a directory of Parquet files.
    Standard,
    /// ClickHouse.
    ClickHouse,
}

/// `--since`, `--until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At that time.
    At(Timestamp),
    /// So long before the end of the newest rollup.
    Before(Span),
}

impl Moment {
    /// The point in time, where records end at `newest`.
    #[must_use]
    pub fn resolve(self, newest: Timestamp) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::Before(span) => Timestamp(
                newest
                    .0
                    .saturating_sub(i64::try_from(span.ns()).unwrap_or(i64::MAX)),
            ),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    /// Reads `2h`, `2026-11-21`, `2026-11-21T10:05` with seconds, decimals and a `Z` or without, or a blank for the T. UTC.
    fn from_str(text: &str) -> Result<Moment, String> {
        if let Ok(span) = parse_duration(text) {
            return Ok(Moment::Before(span));
        }
        let civil = text.strip_suffix('Z').unwrap_or(text);
        let civil = match civil.len() {
            10 => DateTime::from_str(&format!("{civil}T00:00")),
            _ => DateTime::from_str(civil),
        };
        let at = civil.and_then(|civil| civil.to_zoned(TimeZone::UTC));
        let ns = at
            .ok()
            .and_then(|at| i64::try_from(at.timestamp().as_nanosecond()).ok());
        match ns {
            Some(ns) => Ok(Moment::At(Timestamp(ns))),
            None => Err(format!(
                "cannot read {text:?} as a time; write 2h or 1d (before the newest record), 2026-11-21 or 2026-11-21T10:05 (UTC)"
            )),
        }
    }
}

/// `--server IP`, `--server IP:PORT`, `--server [IP]:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub ip: IpAddr,
    /// Its port; without it, any.
    pub port: Option<u16>,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Server, String> {
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(Server { ip, port: None });
        }
        match text.parse::<std::net::SocketAddr>() {
            Ok(address) => Ok(Server {
                ip: address.ip(),
                port: Some(address.port()),
            }),
            Err(_) => Err(format!(
                "cannot read {text:?} as a server; write 10.0.0.1, 10.0.0.1:6379, 2001:db8::1 or [2001:db8::1]:6379"
            )),
        }
    }
}

/// `--per`: how far apart points in time are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Per {
    /// As rollups are.
    #[default]
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours, in UTC.
    Day,
}

impl Per {
    /// How long it is.
    pub(super) fn ns(self) -> i64 {
        match self {
            Per::Minute => 60 * SECOND,
            Per::Hour => 3600 * SECOND,
            Per::Day => 86_400 * SECOND,
        }
    }

    /// As SQL's date_trunc takes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Per::Minute => "minute",
            Per::Hour => "hour",
            Per::Day => "day",
        }
    }
}

impl FromStr for Per {
    type Err = String;

    fn from_str(text: &str) -> Result<Per, String> {
        match text {
            "minute" => Ok(Per::Minute),
            "hour" => Ok(Per::Hour),
            "day" => Ok(Per::Day),
            _ => Err(format!("cannot read {text:?}; write minute, hour or day")),
        }
    }
}

/// What a query is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Until just before this time.
    pub until: Option<Timestamp>,
    /// Of this server.
    pub server: Option<Server>,
    /// From these hosts; empty is from all.
    pub hosts: Vec<String>,
    /// Rows, or what the query says that it limits.
    pub limit: Option<u64>,
    /// How far apart points in time are.
    pub per: Option<Per>,
}

impl Parameters {
    /// `{where}`: all of it as one condition, a true one without any.
    #[must_use]
    pub fn condition(&self, dialect: Dialect) -> String {
        let mut all = Vec::new();
        for (at, sign) in [(self.since, ">="), (self.until, "<")] {
            let Some(at) = at else {
                continue;
            };
            let text = time(at);
            match dialect {
                Dialect::Standard => {
                    all.push(format!(
                        "time {sign} TIMESTAMP '{}'",
                        text.replace('T', " ").trim_end_matches('Z')
                    ));
                    // What directories are left out by; the last day may hold none of it.
                    let sign = if sign == "<" { "<=" } else { sign };
                    all.push(format!("date {sign} DATE '{}'", &text[..10]));
                }
                Dialect::ClickHouse => {
                    // A number of ns there: the oldest servers have no type for it.
                    all.push(format!("time {sign} {}", at.0));
                    let sign = if sign == "<" { "<=" } else { sign };
                    all.push(format!("date {sign} '{}'", &text[..10]));
                }
            }
        }
        if !self.hosts.is_empty() {
            let hosts: Vec<_> = self
                .hosts
                .iter()
                .map(|host| quoted(host, dialect))
                .collect();
            all.push(format!("host IN ({})", hosts.join(", ")));
        }
        if let Some(Server { ip, port }) = self.server {
            all.push(format!("server_ip = '{ip}'"));
            all.extend(port.map(|port| format!("server_port = {port}")));
        }
        match all.is_empty() {
            true => match dialect {
                Dialect::Standard => "TRUE".to_owned(),
                // The oldest servers have no word for it.
                Dialect::ClickHouse => "1".to_owned(),
            },
            false => all.join(" AND "),
        }
    }
}

fn time(at: Timestamp) -> String {
    let mut text = [0; rfc3339::LENGTH];
    Rfc3339::default().write(&mut text, at);
    String::from_utf8_lossy(&text).into_owned()
}

/// A text as SQL writes it. ClickHouse knows backslashes in it, the others do not.
#[must_use]
pub(crate) fn quoted(text: &str, dialect: Dialect) -> String {
    let text = match dialect {
        Dialect::Standard => text.to_owned(),
        Dialect::ClickHouse => text.replace('\\', "\\\\"),
    };
    format!("'{}'", text.replace('\'', "''"))
}
