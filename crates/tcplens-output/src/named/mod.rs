//! Queries that come along: SQL over the tables of a store (docs/query.md), each in a dialect that DataFusion and DuckDB both read
//! unchanged, `<name>.sql`, and in ClickHouse's, `<name>.clickhouse.sql`, with the same columns and rows in the same order. Here is
//! what they are called, what they answer, how their result is drawn, and how their parameters become SQL. Not who runs them.
//!
//! In the files stand placeholders: `{where}` is a condition on `time`, `date`, `host`, `server_ip` and
//! `server_port`; `{limit}` a number; `{per}` a word: minute, hour or day, in ClickHouse `{per_ns}` so many ns. Quantiles over rollups are by nearest rank: the least
//! duration up to which there are at least so many. What is not known is NULL, and comes last.

mod parameters;

#[cfg(feature = "parquet")]
pub(crate) use parameters::quoted;
pub use parameters::{Dialect, Moment, Parameters, Per, Server};

use crate::answer::Plot;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// What it is called.
    pub name: &'static str,
    /// What it answers, in a line.
    pub title: &'static str,
    /// Which table it reads.
    pub table: &'static str,
    /// What `{limit}` is unless told, and what it limits; without it there is none.
    pub limit: Option<(u64, &'static str)>,
    /// Whether a server can be chosen.
    pub takes_server: bool,
    /// Whether it goes by minutes, hours or days.
    pub takes_per: bool,
    /// How its result is drawn.
    pub plot: Option<Plot>,
    /// DataFusion and DuckDB.
    standard: &'static str,
    /// ClickHouse.
    clickhouse: Option<&'static str>,
}

impl Named {
    /// The one of that name.
    ///
    /// # Errors
    /// There is none, and which there are.
    pub fn find(name: &str) -> Result<&'static Named, String> {
        let found = ALL.iter().find(|named| named.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|named| named.name).collect();
            format!("no query is called {name:?} (have: {})", names.join(", "))
        })
    }

    /// What it means where it has no rows.
    #[must_use]
    pub fn nothing(&self) -> &'static str {
        match self.name {
            "errors" => {
                "of the requests that were asked for none failed; --named hosts: what is there"
            }
            "failed-handshakes" => {
                "of the attempts to connect that were asked for none failed; --named hosts: what is there"
            }
            "refused" => {
                "every server that was asked for answered all attempts; --named hosts: what is there"
            }
            "findings" => "nothing was found to be wrong; --named hosts: what is there",
            "hosts" => "nothing is there yet",
            _ => "nothing is there of what was asked for; --named hosts: what is",
        }
    }

    /// Its SQL with these parameters; `None` if it is not there in this dialect.
    ///
    /// # Errors
    /// It has no such parameter.
    pub fn sql(&self, dialect: Dialect, parameters: &Parameters) -> Result<Option<String>, String> {
        let no = |option: &str| Err(format!("the query {} has no {option}", self.name));
        if parameters.server.is_some() && !self.takes_server {
            return no("--server: what it shows belongs to hosts");
        }
        if parameters.per.is_some() && !self.takes_per {
            return no("--per: it does not go over time");
        }
        if parameters.limit.is_some() && self.limit.is_none() {
            return no("--limit: it has all rows");
        }
        let text = match dialect {
            Dialect::Standard => Some(self.standard),
            Dialect::ClickHouse => self.clickhouse,
        };
        let limit = parameters.limit.or(self.limit.map(|(limit, _)| limit));
        Ok(text.map(|text| {
            let lines = text.lines().filter(|line| !line.starts_with("--"));
            let text = lines.collect::<Vec<_>>().join("\n");
            let per = parameters.per.unwrap_or_default();
            text.replace("{where}", &parameters.condition(dialect))
                .replace("{per_ns}", &per.ns().to_string())
                .replace("{limit}", &limit.unwrap_or_default().to_string())
                .replace("{per}", per.word())
        }))
    }
}

/// In this variable of the environment whoever starts the engine says which queries it has itself.
pub const EDITION: &str = "TCPLENS_QUERY_EDITION";

/// Stands for all of them, as they are now: another edition has another number (FNV-1a of their texts).
#[must_use]
pub fn edition() -> String {
    let texts = ALL.iter().flat_map(|named| [named.name, named.standard]);
    let bytes = texts.flat_map(str::bytes);
    let number = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |number, byte| {
        (number ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{number:016x}")
}

/// A line for each of them, and what can be asked of them.
#[must_use]
pub fn list() -> String {
    let width = ALL.iter().map(|named| named.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for named in ALL {
        text.push_str(&format!("{:width$}  {}\n", named.name, named.title));
    }
    text.push_str(
        "\nquery --store DIR --named NAME [--since 1d] [--until TIME] [--server IP:PORT] [--host NAME] [--limit N] [--per hour]\n\
         query --named NAME --show-sql prints the SQL.\n",
    );
    text
}

/// SQL whose one value is the newest rollup's minute, or NULL: at its end is what `--since 2h` counts back from.
pub const NEWEST: &str = "SELECT max(time) AS newest FROM rollups";

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!($name, ".sql"))
    };
}

const SERVER: &[&str] = &["server_ip", "server_port"];
const OPERATION: &[&str] = &["server_ip", "server_port", "protocol", "operation"];

/// All of them, in the order in which they are listed.
pub const ALL: &[Named] = &[
    Named {
        name: "top-servers",
        title: "servers by requests: how many, how many failed, how long they took, attempts, bytes",
        table: "rollups",
        limit: Some((20, "servers")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: SERVER,
            value: "requests",
        }),
        standard: sql!("top-servers"),
        clickhouse: Some(sql!("top-servers.clickhouse")),
    },
    Named {
        name: "slow-operations",
        title: "operations by how long 1 % of their requests took at least (p99), with p50 and the longest",
        table: "rollups",
        limit: Some((20, "operations")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: OPERATION,
            value: "p99_us",
        }),
        standard: sql!("slow-operations"),
        clickhouse: Some(sql!("slow-operations.clickhouse")),
    },
    Named {
        name: "slowest-requests",
        title: "single requests that took longest, with what was asked and where the time went",
        table: "requests",
        limit: Some((20, "requests")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: &["server_ip", "server_port", "operation", "summary"],
            value: "total_us",
        }),
        standard: sql!("slowest-requests"),
        clickhouse: Some(sql!("slowest-requests.clickhouse")),
    },
    Named {
        name: "time-budget",
        title: "where the time of requests went, by server and protocol: client, queue, server, network, loss, window, transfer",
        table: "rollups",
        limit: Some((20, "servers and protocols")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Stack {
            labels: &["server_ip", "server_port", "protocol"],
            parts: &[
                ("in_client_us", 'c'),
                ("in_queue_us", 'q'),
                ("in_server_us", 'S'),
                ("in_network_us", 'n'),
                ("in_loss_us", 'L'),
                ("in_window_us", 'W'),
                ("in_transfer_us", 't'),
            ],
        }),
        standard: sql!("time-budget"),
        clickhouse: Some(sql!("time-budget.clickhouse")),
    },
    Named {
        name: "errors",
        title: "requests answered with an error, or not at all, by operation and what was answered",
        table: "requests",
        limit: Some((20, "kinds of errors")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: &[
                "server_ip",
                "server_port",
                "operation",
                "status_code",
                "status_text",
            ],
            value: "requests",
        }),
        standard: sql!("errors"),
        clickhouse: Some(sql!("errors.clickhouse")),
    },
    Named {
        name: "latency-over-time",
        title: "p50 and p99 of requests over time, by server (the busiest)",
        table: "rollups",
        limit: Some((10, "servers")),
        takes_server: true,
        takes_per: true,
        plot: Some(Plot::Lines {
            time: "time",
            labels: SERVER,
            value: "p99_us",
        }),
        standard: sql!("latency-over-time"),
        clickhouse: Some(sql!("latency-over-time.clickhouse")),
    },
    Named {
        name: "latency-heat",
        title: "how many requests took how long, over time: a heat map",
        table: "rollups",
        limit: None,
        takes_server: true,
        takes_per: true,
        plot: Some(Plot::Heat {
            time: "time",
            row: "from_us",
            count: "requests",
        }),
        standard: sql!("latency-heat"),
        clickhouse: Some(sql!("latency-heat.clickhouse")),
    },
    Named {
        name: "operations-over-time",
        title: "requests and errors over time, by operation (the most frequent)",
        table: "rollups",
        limit: Some((10, "operations")),
        takes_server: true,
        takes_per: true,
        plot: Some(Plot::Lines {
            time: "time",
            labels: OPERATION,
            value: "requests",
        }),
        standard: sql!("operations-over-time"),
        clickhouse: Some(sql!("operations-over-time.clickhouse")),
    },
    Named {
        name: "failed-handshakes",
        title: "attempts to connect that failed, by server and how, with how many clients and how long these waited",
        table: "handshakes",
        limit: Some((20, "servers and outcomes")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: &["server_ip", "server_port", "outcome"],
            value: "attempts",
        }),
        standard: sql!("failed-handshakes"),
        clickhouse: Some(sql!("failed-handshakes.clickhouse")),
    },
    Named {
        name: "refused",
        title: "servers that refuse, or do not answer, connections: how many, of how many",
        table: "rollups",
        limit: Some((20, "servers")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: SERVER,
            value: "failed",
        }),
        standard: sql!("refused"),
        clickhouse: Some(sql!("refused.clickhouse")),
    },
    Named {
        name: "connection-churn",
        title: "servers by connections opened, and how many requests each of these carries",
        table: "rollups",
        limit: Some((20, "servers")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: SERVER,
            value: "established",
        }),
        standard: sql!("connection-churn"),
        clickhouse: Some(sql!("connection-churn.clickhouse")),
    },
    Named {
        name: "retransmission-by-server",
        title: "segments that were sent again, by server, of how many; with round trips and closed windows",
        table: "rollups",
        limit: Some((20, "servers")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: SERVER,
            value: "repeated_segments",
        }),
        standard: sql!("retransmission-by-server"),
        clickhouse: Some(sql!("retransmission-by-server.clickhouse")),
    },
    Named {
        name: "lossy-peers",
        title: "the other ends of connections, by segments that were sent again on the way between",
        table: "connections",
        limit: Some((20, "peers")),
        takes_server: true,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: &["peer_ip"],
            value: "retransmits",
        }),
        standard: sql!("lossy-peers"),
        clickhouse: Some(sql!("lossy-peers.clickhouse")),
    },
    Named {
        name: "findings",
        title: "what was found to be wrong, the latest first",
        table: "findings",
        limit: Some((50, "findings")),
        takes_server: true,
        takes_per: false,
        plot: None,
        standard: sql!("findings"),
        clickhouse: Some(sql!("findings.clickhouse")),
    },
    Named {
        name: "hosts",
        title: "which hosts there are records of, since when, and how much",
        table: "rollups",
        limit: None,
        takes_server: false,
        takes_per: false,
        plot: Some(Plot::Bars {
            labels: &["host"],
            value: "requests",
        }),
        standard: sql!("hosts"),
        clickhouse: Some(sql!("hosts.clickhouse")),
    },
    Named {
        name: "capture-health",
        title: "what each host's observation saw and lost, by its last word of each day (counted since it began)",
        table: "health",
        limit: None,
        takes_server: false,
        takes_per: false,
        plot: None,
        standard: sql!("capture-health"),
        clickhouse: Some(sql!("capture-health.clickhouse")),
    },
];

#[cfg(test)]
mod tests;
