//! The tables of a report: handshakes, servers, clients, connections that stand out. None is printed empty.

use tcplens_core::record::{Connection, Outcome, Word};
use tcplens_core::time::Span;
use tcplens_core::view::{Histogram, Leg, Peer, Report, Standouts};

use super::Page;
use crate::color::Paint;
use crate::human::{Bytes, Count, Duration};
use crate::table::{Column, Table};

pub(super) fn print(page: &mut Page<'_>, report: &Report) {
    outcomes(page, report);
    percentiles(page, report);
    super::requests::print(page, report);
    servers(page, report);
    clients(page, report);
    let standouts = [
        ("Connections with most retransmissions", report.lossiest()),
        ("Longest connections", report.longest()),
        ("Largest connections", report.largest()),
    ];
    for (title, standouts) in standouts {
        connections(page, title, standouts);
    }
    if standouts
        .iter()
        .any(|(_, standouts)| !standouts.most().is_empty())
    {
        let zero = match page.options.is_kernel {
            true => "beginning",
            false => "first packet",
        };
        page.prose(
            "",
            &format!(
                "START: seconds after the {zero}. > is what the client sent, < what the server sent. RETR: segments sent \
                 again. PACKET: its first."
            ),
        );
    }
}

impl Page<'_> {
    pub(super) fn table(&self, columns: &'static [Column]) -> Table {
        Table::new(columns, self.options.color)
    }

    pub(super) fn rows(&mut self, mut table: Table) {
        let mut out = Vec::new();
        table.print(&mut out);
        self.text.push_str(&String::from_utf8_lossy(&out));
    }

    /// What a table does not show.
    pub(super) fn rest(&mut self, all: u64, overflow: u64) {
        let hidden = all.saturating_sub(self.options.rows as u64);
        if hidden > 0 {
            self.prose("", &format!("... and {} more.", Count(hidden)));
        }
        if overflow > 0 {
            self.prose(
                "",
                &format!(
                    "{} records are of yet others: there were too many to tell apart.",
                    Count(overflow)
                ),
            );
        }
    }
}

static OUTCOMES: &[Column] = &[
    Column::left("OUTCOME", 14),
    Column::right("ATTEMPTS", 8),
    Column::right("SHARE", 7),
    Column::left("MEANING", 0),
];

fn outcomes(page: &mut Page<'_>, report: &Report) {
    let summary = report.handshakes();
    let attempts = summary.attempts();
    if attempts == 0 {
        return;
    }
    page.heading("Connection attempts", "");
    let mut table = page.table(OUTCOMES);
    for &outcome in Outcome::ALL {
        let count = summary.outcome(outcome);
        if count == 0 {
            continue;
        }
        let paint = match outcome {
            Outcome::Established => Paint::Green,
            Outcome::OneSided => Paint::Dim,
            _ => Paint::Red,
        };
        table.cell(paint, outcome.word().unwrap_or_default());
        table.cell(Paint::Plain, Count(count));
        share(&mut table, count, attempts);
        table.cell(Paint::Dim, meaning(outcome));
    }
    page.rows(table);
    if summary.undecided > 0 {
        page.prose(
            "",
            &format!(
                "{} of these began within the last second: how they end is not known.",
                Count(summary.undecided)
            ),
        );
    }
    let (syn, synack) = (
        (summary.syn_established, summary.syn_failed),
        (summary.synack_established, summary.synack_failed),
    );
    for (what, (established, failed)) in [("SYN", syn), ("SYN-ACK", synack)] {
        let segments = established.segments + failed.segments;
        if segments > 0 {
            page.prose(
                "",
                &format!(
                    "{what}s repeated: {}, in {} established and {} other attempts.",
                    Count(segments),
                    Count(established.attempts),
                    Count(failed.attempts)
                ),
            );
        }
    }
}

fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Established => "SYN, SYN-ACK, ACK",
        Outcome::Refused => "RST instead of a SYN-ACK",
        Outcome::Unreachable => "ICMP says that it cannot be reached",
        Outcome::TimedOut => "no answer within the timeout",
        Outcome::Unanswered => "no answer until the observation ended",
        Outcome::Aborted => "the client sent RST before it was established",
        Outcome::Reset => "the server sent RST after its SYN-ACK",
        Outcome::Unacknowledged => "SYN-ACK, and nothing after it",
        Outcome::OneSided => "only one direction was captured",
    }
}

static PERCENTILES: &[Column] = &[
    Column::left("HANDSHAKE TIME", 32),
    Column::right("COUNT", 6),
    Column::right("P50", 8),
    Column::right("P90", 8),
    Column::right("P95", 8),
    Column::right("P99", 8),
    Column::right("MAX", 8),
];

fn percentiles(page: &mut Page<'_>, report: &Report) {
    let summary = report.handshakes();
    let rows = [
        ("whole: first SYN to ACK", &summary.handshake),
        ("server's half: SYN to SYN-ACK", &summary.syn_to_synack),
        ("client's half: SYN-ACK to ACK", &summary.synack_to_ack),
    ];
    if rows.iter().all(|(_, histogram)| histogram.count() == 0) {
        return;
    }
    page.text.push('\n');
    let mut table = page.table(PERCENTILES);
    for (name, histogram) in rows {
        if histogram.count() == 0 {
            continue;
        }
        table.cell(Paint::Plain, name);
        table.cell(Paint::Plain, Count(histogram.count()));
        for per_mille in [500, 900, 950, 990, 1000] {
            quantile(&mut table, histogram, per_mille);
        }
    }
    page.rows(table);
}

static SERVERS: &[Column] = &[
    Column::left("SERVER", 21),
    Column::right("TRIES", 5).group(),
    Column::right("OK", 5),
    Column::right("FAIL", 4),
    Column::right("P50", 7),
    Column::right("P95", 7),
    Column::right("CONNS", 5).group(),
    Column::right("SENT", 8),
    Column::right("GOT", 8),
    Column::right("LOST", 4).group(),
    Column::right("RTT", 7),
    Column::right("RST", 3),
    Column::right("ZEROWIN", 7),
];

fn servers(page: &mut Page<'_>, report: &Report) {
    let mut rows: Vec<_> = report.servers().iter().collect();
    // Failures first, then traffic; of equal ones the lower address.
    rows.sort_by_key(|(_, peer)| {
        std::cmp::Reverse((failed(peer), peer.bytes_from.saturating_add(peer.bytes_to)))
    });
    if rows.is_empty() {
        return;
    }
    page.heading(
        "Servers",
        "P50 and P95: handshake time. SENT by the server, GOT by it. LOST between here and it, RTT from here to it and \
         back (median of each connection's shortest). RST: connections it reset. ZEROWIN: its receive window was closed.",
    );
    let all = rows.len();
    let mut table = page.table(SERVERS);
    for ((ip, port), peer) in rows.into_iter().take(page.options.rows) {
        table.cell(Paint::Plain, page.options.hosts.end(ip, port));
        number(&mut table, peer.decided(), Paint::Plain);
        number(&mut table, peer.outcome(Outcome::Established), Paint::Green);
        number(&mut table, failed(peer), Paint::Red);
        quantile(&mut table, &peer.handshake, 500);
        quantile(&mut table, &peer.handshake, 950);
        number(&mut table, peer.connections, Paint::Plain);
        traffic(&mut table, peer);
        number(&mut table, peer.leg.lost(), Paint::Red);
        quantile(&mut table, &peer.rtt, 500);
        number(&mut table, peer.resets, Paint::Yellow);
        zero_window(&mut table, peer);
    }
    page.rows(table);
    page.rest(all as u64, report.servers().overflow);
}

static CLIENTS: &[Column] = &[
    Column::left("CLIENT", 21),
    Column::right("CONNS", 5),
    Column::right("SEGMENTS", 8).group(),
    Column::right("LOST TO", 7),
    Column::right("LOST FROM", 9),
    Column::right("SHARE", 7),
    Column::right("RTT", 7).group(),
    Column::right("RST", 3),
    Column::right("ZEROWIN", 7),
];

/// Only those with a loss: what else is said of clients is in the findings.
fn clients(page: &mut Page<'_>, report: &Report) {
    let mut rows: Vec<_> = report
        .clients()
        .iter()
        .filter(|(_, peer)| peer.leg.lost() > 0)
        .collect();
    rows.sort_by_key(|(_, peer)| std::cmp::Reverse(peer.leg.lost()));
    if rows.is_empty() {
        return;
    }
    page.heading(
        "Clients with most loss",
        "SEGMENTS with data, SYN or FIN, both ways. LOST TO: between here and the client; LOST FROM: on the way here.",
    );
    let all = rows.len();
    let mut table = page.table(CLIENTS);
    for (ip, peer) in rows.into_iter().take(page.options.rows) {
        let Leg {
            segments,
            lost_to,
            lost_from,
        } = peer.leg;
        table.cell(Paint::Plain, page.options.hosts.host(ip));
        number(&mut table, peer.connections, Paint::Plain);
        number(&mut table, segments, Paint::Plain);
        number(&mut table, lost_to, Paint::Red);
        number(&mut table, lost_from, Paint::Red);
        share(&mut table, lost_to + lost_from, segments);
        quantile(&mut table, &peer.rtt, 500);
        number(&mut table, peer.resets, Paint::Yellow);
        zero_window(&mut table, peer);
    }
    page.rows(table);
    page.rest(all as u64, report.clients().overflow);
}

static CONNECTIONS: &[Column] = &[
    Column::right("START", 10),
    Column::left("CLIENT", 21).group(),
    Column::left("SERVER", 21),
    Column::right("LASTED", 7).group(),
    Column::left("END", 8),
    Column::right("BYTES>", 8).group(),
    Column::right("BYTES<", 8),
    Column::right("RETR>", 5),
    Column::right("RETR<", 5),
    Column::right("PACKET", 6).group(),
];

fn connections(page: &mut Page<'_>, title: &str, standouts: &Standouts) {
    let shown = standouts.most().len().min(page.options.rows);
    if shown == 0 {
        return;
    }
    page.heading(title, "");
    let mut table = page.table(CONNECTIONS);
    for connection in &standouts.most()[..shown] {
        row(page, &mut table, connection);
    }
    page.rows(table);
}

fn row(page: &mut Page<'_>, table: &mut Table, connection: &Connection) {
    let (time, hosts) = (&mut page.start, &page.options.hosts);
    table.cell_with(Paint::Plain, |text| time.write(text, connection.time));
    table.cell(
        Paint::Plain,
        hosts.end(connection.client_ip, connection.client_port),
    );
    table.cell(
        Paint::Plain,
        hosts.end(connection.server_ip, connection.server_port),
    );
    span(table, connection.duration_us);
    table.cell(Paint::Plain, connection.close.word().unwrap_or_default());
    table.cell(Paint::Plain, Bytes(connection.client.bytes));
    table.cell(Paint::Plain, Bytes(connection.server.bytes));
    number(table, connection.client.retransmits, Paint::Yellow);
    number(table, connection.server.retransmits, Paint::Yellow);
    match connection.first_frame {
        Some(frame) => table.cell(Paint::Plain, frame),
        None => table.absent(),
    }
}

/// Attempts that are known to have failed.
fn failed(peer: &Peer) -> u64 {
    peer.decided() - peer.outcome(Outcome::Established)
}

pub(super) fn number(table: &mut Table, value: u64, paint: Paint) {
    table.cell(if value == 0 { Paint::Dim } else { paint }, Count(value));
}

fn traffic(table: &mut Table, peer: &Peer) {
    table.cell(Paint::Plain, Bytes(peer.bytes_from));
    table.cell(Paint::Plain, Bytes(peer.bytes_to));
}

fn zero_window(table: &mut Table, peer: &Peer) {
    if peer.zero_windows == 0 {
        table.absent();
    } else {
        table.cell(Paint::Yellow, Duration(Span::from_ns(peer.zero_window_ns)));
    }
}

fn span(table: &mut Table, span: Option<Span>) {
    match span {
        Some(span) => table.cell(Paint::Plain, Duration(span)),
        None => table.absent(),
    }
}

pub(super) fn quantile(table: &mut Table, histogram: &Histogram, per_mille: u64) {
    span(table, histogram.quantile(per_mille));
}

pub(super) fn share(table: &mut Table, part: u64, whole: u64) {
    if whole == 0 {
        table.absent();
        return;
    }
    let per_mille = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    table.cell(
        Paint::Plain,
        format_args!("{}.{} %", per_mille / 10, per_mille % 10),
    );
}
