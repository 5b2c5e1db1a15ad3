//! `docs/records.md`: the reference of all record kinds, from their declarations. A test in the
//! binary's crate compares the file with this.

use std::fmt::Write;

use tcplens_core::record::{
    Change, Connection, Field, Finding, Handshake, Health, Peer, Record, Request, Rollup,
    SCHEMA_VERSION, Socket, SocketSummary,
};

/// The whole file.
#[must_use]
pub fn record_reference() -> String {
    let mut text = format!(
        "{INTRODUCTION}{PARQUET}Version of this contract (`health.schema_version`): {SCHEMA_VERSION}.\n"
    );
    section::<Handshake>(&mut text);
    section::<Request<'_>>(&mut text);
    section::<Connection>(&mut text);
    section::<Socket<'_>>(&mut text);
    section::<SocketSummary<'_>>(&mut text);
    section::<Peer>(&mut text);
    section::<Rollup>(&mut text);
    section::<Finding>(&mut text);
    section::<Change>(&mut text);
    section::<Health>(&mut text);
    text
}

const INTRODUCTION: &str = "\
# Records

<!-- Generated from crates/tcplens-core/src/record by tcplens_output::docs::record_reference(): do not edit. -->

Every face of tcplens shows the same records. A field never changes its meaning; new ones may be added.

- Unknown is absent: left out of JSON, empty in CSV. It is never 0.
- Microseconds have up to three decimals, so nanoseconds are kept: `102000`, `0.5`, `12.345`. All durations of a record \
come from one clock; one that would be negative is absent.
- Times are RFC 3339 in UTC with nine digits: `2026-11-21T01:08:22.384589048Z`.
- IPv4-mapped IPv6 addresses are shown as IPv4.
- What a vantage cannot see is absent: the kernel counts no segments, and of what the other end sends only payload. Fields \
whose meaning begins with \"Kernel\" are on its records alone.
- JSON Lines: one compact object per line, `kind` first, then the fields in this order.
- CSV: `kind` is the first column; each kind's header line comes before its first record, and again in each rotated file. \
Numbers by reason are `reason=n;reason=n`, lists `n;n`.

";

/// How Parquet shows the types.
const PARQUET: &str = "\
Parquet (`-f parquet -o FILE`): one kind in each file, the fields as columns in this order, all of them optional. Numbers are \
INT64; microseconds DECIMAL(18, 3), exact to the nanosecond; times TIMESTAMP in nanoseconds, UTC; addresses, words, texts and \
connection ids STRING; numbers by reason a MAP, lists a LIST. The file's metadata have `kind`, `schema_version` and \
`tcplens_version`. A number beyond 2^63 - 1, or a duration of 31 years, is absent, and how many were is said at the end. \
While a file is written it is `FILE.part`: it has no footer yet and cannot be read, and a program that is killed leaves no more than \
that. What must outlive a kill goes to JSON Lines or to `--archive`.

";

fn section<R: Record>(text: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## `{}`\n\n{}\n\n", R::KIND, one_line(R::DOC));
    text.push_str("| field | type | meaning |\n|---|---|---|\n");
    R::fields(&mut |field| {
        let meaning = one_line(field.doc).replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {meaning} |", field.name, unit(field));
    });
}

fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The type, and the unit where the name's end says it.
fn unit(field: &Field) -> &'static str {
    match field.kind {
        "count" => match field.name.rsplit('_').next().unwrap_or_default() {
            "bytes" => "bytes",
            "segments" => "segments",
            "port" => "port",
            "frame" => "packet number",
            _ => "number",
        },
        "span" => "microseconds",
        "time" => "time",
        "ip" => "address",
        "word" => "word",
        "flag" => "true or false",
        "text" => "text",
        "id" => "connection id",
        "counts" => "numbers by reason",
        "list" => "list of numbers",
        "frames" => "list of threshold_bytes, bytes, us",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_row_with_unit_and_meaning() {
        let text = record_reference();
        for line in [
            "## `handshake`",
            "One attempt to open a TCP connection. A new initial sequence number is a new attempt; repeats of the same SYN \
             are not.",
            "| `syn_to_synack_us` | microseconds | Last SYN before the first SYN-ACK, to it. |",
            "| `client_retransmitted_bytes` | bytes | Payload bytes that were seen before. |",
            "| `server_data_segments` | segments | Segments with payload. |",
            "| `final` | true or false | Whether this is its last record. |",
            "| `frames` | list of numbers | Packets to look at. |",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        let rows = text.lines().filter(|line| line.starts_with("| "));
        assert!(rows.into_iter().all(|row| row.matches(" | ").count() == 2));
        assert!(!text.contains("|  |") && !text.contains("\n\n\n"));
    }

    #[test]
    fn names_that_end_in_us_are_spans_and_the_other_way_round() {
        fn check<R: Record>() {
            R::fields(&mut |field| {
                assert_eq!(
                    field.kind == "span",
                    field.name.ends_with("_us"),
                    "{}.{}",
                    R::KIND,
                    field.name
                );
            });
        }
        check::<Handshake>();
        check::<Request<'_>>();
        check::<Connection>();
        check::<Socket<'_>>();
        check::<SocketSummary<'_>>();
        check::<Finding>();
        check::<Health>();
    }
}
