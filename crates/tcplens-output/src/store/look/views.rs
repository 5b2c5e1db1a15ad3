//! Which single records there are to see: of which kind, in which columns, which of them and in which order; and the same as SQL,
//! so that whoever wants more can go on from there.

use tcplens_core::record::{Connection, Handshake, Request};
use tcplens_core::view::SILENCE_NS;

use super::super::StoreKind;
use super::rows::Row;
use crate::named::{Dialect, Parameters, quoted};

/// One of [`VIEWS`].
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// What it is called.
    pub name: &'static str,
    /// Of which kind.
    pub kind: StoreKind,
    /// Which fields are shown, behind `host`.
    pub columns: &'static [&'static str],
    /// Fields that are looked at only.
    pub(super) beside: &'static [&'static str],
    /// Whether a record is one of them.
    pub(super) has: fn(&Row<'_>) -> bool,
    /// What comes first: the largest. `None`: this record has no place.
    pub(super) rank: fn(&Row<'_>) -> Option<i64>,
    /// The same as SQL: what is true of them, and the number that they are ordered by, the largest first.
    condition: &'static str,
    order: &'static str,
}

/// What of an order is no number.
#[cfg(feature = "remote")]
const LARGEST_FIRST: [&str; 2] = [" NULLS LAST", " DESC"];

const OF_REQUESTS: &[&str] = &[
    "time",
    "client_ip",
    "server_ip",
    "server_port",
    "protocol",
    "operation",
    "summary",
    "status",
    "status_text",
    "total_us",
    "process_us",
    "verdict",
    "retransmits",
    "connection_id",
];
const OF_ATTEMPTS: &[&str] = &[
    "time",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "outcome",
    "handshake_us",
    "wait_us",
    "syn_retransmits",
    "error",
    "connection_id",
];
const OF_CONNECTIONS: &[&str] = &[
    "time",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "protocol",
    "close",
    "duration_us",
    "client_bytes",
    "server_bytes",
    "client_retransmits",
    "server_retransmits",
    "connection_id",
];

/// All of them.
pub const VIEWS: &[View] = &[
    View {
        name: "slow-requests",
        kind: StoreKind::Request,
        columns: OF_REQUESTS,
        beside: &["task"],
        has: |_| true,
        rank: |row| row.number("total_us").or(row.number("process_us")),
        condition: "",
        order: "COALESCE(total_us, process_us) DESC NULLS LAST",
    },
    View {
        name: "bad-requests",
        kind: StoreKind::Request,
        columns: OF_REQUESTS,
        beside: &["task", "ended_by", "capture_loss"],
        has: |row| match row.text("status") {
            Some("error") => true,
            // What the end of the observation, or a loss of its own, cut off is nobody's fault.
            Some("unanswered") => {
                !matches!(row.text("ended_by"), Some("observation" | "gap"))
                    && row.flag("capture_loss") != Some(true)
            }
            _ => false,
        },
        rank: |row| row.number("time"),
        condition: "(status = 'error' OR (status = 'unanswered' \
                    AND COALESCE(ended_by, '') NOT IN ('observation', 'gap') AND NOT COALESCE(capture_loss, FALSE)))",
        order: "time DESC",
    },
    View {
        name: "new-requests",
        kind: StoreKind::Request,
        columns: OF_REQUESTS,
        beside: &["task"],
        has: |_| true,
        rank: |row| row.number("time"),
        condition: "",
        order: "time DESC",
    },
    View {
        name: "failed-attempts",
        kind: StoreKind::Handshake,
        columns: OF_ATTEMPTS,
        beside: &[],
        has: |row| match row.text("outcome") {
            None | Some("established" | "one_sided") => false,
            // As `tcplens_core::view::is_undecided` says it: too young to tell.
            Some("unanswered" | "unacknowledged") => {
                let wait = row.number("wait_us").unwrap_or_default();
                row.number("syn_retransmits").is_some_and(|count| count > 0)
                    || u64::try_from(wait).is_ok_and(|wait| wait >= SILENCE_NS)
            }
            Some(_) => true,
        },
        rank: |row| row.number("time"),
        condition: "(outcome NOT IN ('established', 'one_sided', 'unanswered', 'unacknowledged') \
                    OR (outcome IN ('unanswered', 'unacknowledged') \
                    AND (COALESCE(syn_retransmits, 0) > 0 OR COALESCE(wait_us, 0) >= 1000000)))",
        order: "time DESC",
    },
    View {
        name: "slow-attempts",
        kind: StoreKind::Handshake,
        columns: OF_ATTEMPTS,
        beside: &[],
        has: |row| row.text("outcome") == Some("established"),
        rank: |row| row.number("handshake_us"),
        condition: "outcome = 'established'",
        order: "handshake_us DESC NULLS LAST",
    },
    View {
        name: "lossy-connections",
        kind: StoreKind::Connection,
        columns: OF_CONNECTIONS,
        beside: &["final"],
        // Parts count again what parts before counted.
        has: |row| row.flag("final") == Some(true),
        rank: |row| {
            let repeats = ["client_retransmits", "server_retransmits"];
            let sum = repeats.iter().filter_map(|name| row.number(name)).sum();
            (sum > 0).then_some(sum)
        },
        condition: "final AND COALESCE(client_retransmits, 0) + COALESCE(server_retransmits, 0) > 0",
        order: "COALESCE(client_retransmits, 0) + COALESCE(server_retransmits, 0) DESC",
    },
    View {
        name: "reset-connections",
        kind: StoreKind::Connection,
        columns: OF_CONNECTIONS,
        beside: &["final"],
        has: |row| matches!(row.text("close"), Some("rst_by_client" | "rst_by_server")),
        rank: |row| row.number("time"),
        condition: "close IN ('rst_by_client', 'rst_by_server')",
        order: "time DESC",
    },
];

impl View {
    /// The one of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static View> {
        VIEWS.iter().find(|view| view.name == name)
    }

    /// Whether its records know protocol and operation.
    #[must_use]
    pub fn is_of_requests(&self) -> bool {
        self.kind == StoreKind::Request
    }

    /// The SQL that shows the same: of `parameters`, and of a protocol and an operation.
    #[must_use]
    pub fn sql(
        &self,
        dialect: Dialect,
        parameters: &Parameters,
        protocol: Option<&str>,
        operation: Option<&str>,
        most: usize,
    ) -> String {
        let condition = parameters.condition(dialect);
        format!(
            "SELECT host, {} FROM {} WHERE {} ORDER BY {} LIMIT {most}",
            self.columns.join(", "),
            self.kind.table(),
            self.conditions(dialect, condition, protocol, operation),
            self.order
        )
    }

    /// What is true of its records of a protocol and an operation for which `first` is true.
    pub(crate) fn conditions(
        &self,
        dialect: Dialect,
        first: String,
        protocol: Option<&str>,
        operation: Option<&str>,
    ) -> String {
        let mut all = vec![first];
        for (column, text) in [("protocol", protocol), ("operation", operation)] {
            if let Some(text) = text {
                all.push(format!("{column} = {}", quoted(text, dialect)));
            }
        }
        if !self.condition.is_empty() {
            all.push(match dialect {
                Dialect::Standard => self.condition.to_owned(),
                // The oldest servers have no word for it.
                Dialect::ClickHouse => self.condition.replace("FALSE", "0"),
            });
        }
        all.join(" AND ")
    }

    /// The number that its records are ordered by, as SQL.
    #[cfg(feature = "remote")]
    pub(crate) fn rank_sql(&self) -> &'static str {
        let ends = LARGEST_FIRST.into_iter();
        ends.fold(self.order, |order, end| order.trim_end_matches(end))
    }
}

/// The fields of a kind that has views.
pub(super) fn fields(kind: StoreKind) -> Vec<&'static tcplens_core::record::Field> {
    use tcplens_core::record::Record;
    let mut fields = Vec::new();
    let mut each = |field| fields.push(field);
    match kind {
        StoreKind::Request => Request::fields(&mut each),
        StoreKind::Handshake => Handshake::fields(&mut each),
        StoreKind::Connection => Connection::fields(&mut each),
        StoreKind::Socket | StoreKind::Finding | StoreKind::Health | StoreKind::Rollup => {}
    }
    fields
}
