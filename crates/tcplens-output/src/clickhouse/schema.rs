//! The tables, made of the records' declarations: a field that is added there is a column here. One schema for 18.16 and for
//! current versions; what only later ones have (TTL, deduplication of repeated inserts) is left out where it is not known.
//!
//! | value | column | why |
//! |---|---|---|
//! | count | `Nullable(Int64)` | as in Parquet; differences may be negative |
//! | span | `Nullable(Decimal(18, 3))` | microseconds as the name says, exact to the nanosecond: sums do not depend on their order |
//! | time | `Int64`, ns since 1970 | 18.16 has no DateTime64, and two types would be two dialects; `at` is the same as a DateTime |
//! | address, word, tag | `LowCardinality(Nullable(String))` | a number per row, on disk and where they are grouped |
//! | text, connection id | `Nullable(String)` | |
//! | flag | `Nullable(UInt8)` | |
//! | counts by reason | `Nested(key String, value Int64)` | 18.16 has no Map; absent is empty |
//! | list | `Array(Int64)` | an array cannot be NULL: absent is empty |
//! | first frames | `Nested(threshold_bytes Int64, bytes Nullable(Int64), us Nullable(Int64))` | |
//!
//! What the key of a table has is never absent in its records and not Nullable. Before the fields stand `host`, `date` (of
//! `time`, UTC) and `batch`: which insert brought the row, unique together with `host`.

use std::fmt::Write as _;

use tcplens_core::record::{
    Connection, Field, Finding, Handshake, Health, Record, Request, Rollup, Socket,
};

use super::Version;

/// Days that records are kept where nothing else is said.
pub const KEEP_DAYS: u32 = 30;
/// Days that rollups, findings, `health` and the views by the minute are kept.
pub const KEEP_ROLLUP_DAYS: u32 = 400;
/// Inserts of a table whose ids a server of 22.3 or later remembers.
const REMEMBERED_INSERTS: u32 = 10_000;

/// Texts that take few values: a dictionary each.
const TAGS: &[&str] = &[
    "operation",
    "status_text",
    "comm",
    "cgroup",
    "container_id",
    "congestion",
    "interface",
    "tags",
    "component",
];

/// The table of a record kind.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name in every store's SQL.
    pub name: &'static str,
    /// What a row is called where records are.
    pub kind: &'static str,
    /// What rows are ordered by, from the coarsest on. Fields among it are never absent.
    pub key: &'static [&'static str],
    /// Kept as long as rollups.
    is_small: bool,
    fields: fn(&mut dyn FnMut(&'static Field)),
}

const BY_SERVER: &[&str] = &["server_ip", "server_port", "time"];

/// All of them.
pub const TABLES: [Table; 7] = [
    table::<Handshake>("handshakes", BY_SERVER, false),
    table::<Request<'static>>("requests", BY_SERVER, false),
    table::<Connection>("connections", BY_SERVER, false),
    table::<Socket<'static>>("sockets", &["host", "time"], false),
    table::<Finding>("findings", &["host", "batch"], true),
    table::<Rollup>("rollups", &["time", "host"], true),
    table::<Health>("health", &["host", "batch"], true),
];

const fn table<R: Record>(
    name: &'static str,
    key: &'static [&'static str],
    is_small: bool,
) -> Table {
    Table {
        name,
        kind: R::KIND,
        key,
        is_small,
        fields: R::fields,
    }
}

impl Table {
    /// Of a record kind; `None`: its records are not stored.
    #[must_use]
    pub fn of(kind: &str) -> Option<&'static Table> {
        TABLES.iter().find(|table| table.kind == kind)
    }

    /// The fields, as declared.
    pub(super) fn fields(&self) -> Vec<&'static Field> {
        let mut fields = Vec::new();
        (self.fields)(&mut |field| fields.push(field));
        fields
    }

    /// Whether a field is never absent, for rows are ordered by it.
    pub(super) fn is_key(&self, field: &str) -> bool {
        self.key.contains(&field)
    }

    /// Whether a field's texts are kept once each.
    pub(super) fn is_tag(&self, field: &Field) -> bool {
        matches!(field.kind, "word" | "ip") || TAGS.contains(&field.name)
    }

    /// Names and types of all columns that are inserted.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, String)> {
        let own = [
            ("host", "LowCardinality(String)"),
            ("date", "Date"),
            ("batch", "UInt64"),
        ];
        let mut columns: Vec<_> = own
            .iter()
            .map(|&(name, of)| (name.to_owned(), of.to_owned()))
            .collect();
        for field in self.fields() {
            let mut part = |part: &str, of: &str| {
                columns.push((format!("{}.{part}", field.name), of.to_owned()));
            };
            match field.kind {
                "counts" => {
                    part("key", "Array(String)");
                    part("value", "Array(Int64)");
                }
                "frames" => {
                    part("threshold_bytes", "Array(Int64)");
                    part("bytes", "Array(Nullable(Int64))");
                    part("us", "Array(Nullable(Int64))");
                }
                _ => columns.push((field.name.to_owned(), self.column(field))),
            }
        }
        columns
    }

    /// The type of a field that is one column.
    fn column(&self, field: &Field) -> String {
        let plain = match field.kind {
            "count" | "time" => "Int64",
            "span" => "Decimal(18, 3)",
            "flag" => "UInt8",
            "list" => return "Array(Int64)".to_owned(),
            _ => "String",
        };
        let nullable = match self.is_key(field.name) {
            true => plain.to_owned(),
            false => format!("Nullable({plain})"),
        };
        match self.is_tag(field) {
            true => format!("LowCardinality({nullable})"),
            false => nullable,
        }
    }

    fn create(&self, to: &Place<'_>) -> String {
        let mut sql = format!(
            "CREATE TABLE IF NOT EXISTS {}.{}\n(\n",
            to.database, self.name
        );
        for (name, of) in self.columns() {
            let _ = writeln!(sql, "    `{name}` {of},"); // into a String
        }
        let _ = write!(
            sql,
            "    `at` {AT}\n)\nENGINE = MergeTree\nPARTITION BY date\nORDER BY ({})",
            self.key.join(", ")
        );
        let days = match self.is_small {
            true => to.keep.rollups,
            false => to.keep.records,
        };
        sql.push_str(&to.ending(days));
        sql
    }
}

/// `time` for people and for programs that know no other type; not stored. Of records without a time it is absent.
const AT: &str = "Nullable(DateTime('UTC')) ALIAS toDateTime(intDiv(time, 1000000000), 'UTC')";

/// Days that rows are kept; `None`: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Handshakes, requests, connections, sockets.
    pub records: Option<u32>,
    /// All else.
    pub rollups: Option<u32>,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep {
            records: Some(KEEP_DAYS),
            rollups: Some(KEEP_ROLLUP_DAYS),
        }
    }
}

/// Where tables are made, and how.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The database.
    pub database: &'a str,
    /// The server's.
    pub version: Version,
    /// How long rows are kept.
    pub keep: Keep,
    /// A cluster of the server's configuration: all of its shards are read through the database `<database>_all`.
    pub cluster: Option<&'a str>,
}

impl Place<'_> {
    /// What a table's definition ends with.
    fn ending(&self, days: Option<u32>) -> String {
        let mut sql = String::new();
        let mut settings = Vec::new();
        if let Some(days) = days.filter(|_| self.version.has_ttl()) {
            let _ = write!(sql, "\nTTL date + INTERVAL {days} DAY"); // into a String
            settings.push("ttl_only_drop_parts = 1".to_owned());
        }
        if self.version.has_tokens() {
            settings.push(format!(
                "non_replicated_deduplication_window = {REMEMBERED_INSERTS}"
            ));
        }
        if !settings.is_empty() {
            let _ = write!(sql, "\nSETTINGS {}", settings.join(", ")); // into a String
        }
        sql
    }

    /// All statements, in their order; each does nothing where what it makes is there.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        let Place { database, .. } = *self;
        let mut all = vec![format!("CREATE DATABASE IF NOT EXISTS {database}")];
        all.extend(TABLES.iter().map(|table| table.create(self)));
        let ending = self.ending(self.keep.rollups);
        all.extend(VIEWS.iter().map(|(name, select)| {
            format!(
                "CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.{name}\nENGINE = AggregatingMergeTree\n\
                 PARTITION BY date\nORDER BY (minute, server_ip, server_port{}){ending}\nAS {}",
                if name.starts_with("requests") { ", spoken, asked" } else { "" },
                select.replace("{database}", database)
            )
        }));
        if let Some(cluster) = self.cluster {
            all.push(format!("CREATE DATABASE IF NOT EXISTS {database}_all"));
            let names = TABLES.iter().map(|table| table.name);
            for name in names.chain(VIEWS.iter().map(|&(name, _)| name)) {
                // It holds nothing, and has the columns that the table had when it was made.
                all.push(format!("DROP TABLE IF EXISTS {database}_all.{name}"));
                all.push(format!(
                    "CREATE TABLE {database}_all.{name} AS {database}.{name}\nENGINE = Distributed({cluster}, {database}, {name})"
                ));
            }
        }
        all
    }

    /// As a file that `clickhouse-client --multiquery` reads.
    #[must_use]
    pub fn script(&self) -> String {
        let mut text = format!(
            "-- Tables of tcplens {} in ClickHouse {} and later.\n",
            env!("CARGO_PKG_VERSION"),
            self.version
        );
        if !self.version.has_ttl() {
            text.push_str(NO_TTL);
        }
        for (name, value) in self.version.schema_settings() {
            let _ = writeln!(text, "SET {name} = {value};"); // into a String
        }
        for statement in self.statements() {
            let _ = write!(text, "\n{statement};\n"); // into a String
        }
        text
    }
}

/// What is said of servers that keep everything.
pub const NO_TTL: &str =
    "-- This version has no TTL: rows stay until somebody drops their day (docs/clickhouse.md).\n";

/// What is kept by the minute: states that `-Merge` functions join. As tables, the views are read on their own.
const VIEWS: [(&str, &str); 2] = [
    (
        "requests_by_minute",
        "SELECT
    date,
    toDateTime(intDiv(time, 60000000000) * 60, 'UTC') AS minute,
    server_ip,
    server_port,
    ifNull(toString(protocol), '') AS spoken,
    ifNull(toString(operation), '') AS asked,
    countState() AS requests,
    sumState(toUInt64(ifNull(status = 'error', 0))) AS errors,
    sumState(toUInt64(ifNull(retransmits, 0))) AS repeated_segments,
    sumState(ifNull(toFloat64(total_us), 0)) AS total_sum_us,
    quantilesTDigestState(0.5, 0.9, 0.99)(toFloat64(total_us)) AS total_quantiles_us,
    quantilesTDigestState(0.5, 0.9, 0.99)(toFloat64(process_us)) AS process_quantiles_us
FROM {database}.requests
GROUP BY date, minute, server_ip, server_port, spoken, asked",
    ),
    (
        "handshakes_by_minute",
        "SELECT
    date,
    toDateTime(intDiv(time, 60000000000) * 60, 'UTC') AS minute,
    server_ip,
    server_port,
    countState() AS attempts,
    sumState(toUInt64(ifNull(outcome = 'established', 0))) AS established,
    quantilesTDigestState(0.5, 0.9, 0.99)(toFloat64(handshake_us)) AS handshake_quantiles_us
FROM {database}.handshakes
GROUP BY date, minute, server_ip, server_port",
    ),
];
