//! The tables of a report about requests: which operations are slow or fail, where the time of each server's requests
//! went, and the slowest of all. None is printed empty.

use tcplens_core::record::{Protocol, Status, Verdict, Word};
use tcplens_core::time::Span;
use tcplens_core::view::{Report, RequestGroup};

use super::Page;
use super::tables::{number, quantile, share};
use crate::color::Paint;
use crate::human::{Count, Duration};
use crate::table::{Column, Table};
use crate::text::{operation_name, time_of};

pub(super) fn print(page: &mut Page<'_>, report: &Report) {
    operations(page, report);
    servers(page, report);
    slowest(page, report);
}

static OPERATIONS: &[Column] = &[
    Column::left("OPERATION", 21),
    Column::right("REQUESTS", 8).group(),
    Column::right("ERRORS", 6),
    Column::right("SHARE", 7),
    Column::right("UNANSWERED", 0),
    Column::right("P50", 7).group(),
    Column::right("P90", 7),
    Column::right("P99", 7),
    Column::right("MAX", 7),
    Column::right("TIME", 7).group(),
    Column::left("MOSTLY", 0),
];

fn operations(page: &mut Page<'_>, report: &Report) {
    let mut rows: Vec<_> = report.requests().operations().collect();
    // The slowest first; of equal ones what took most time.
    rows.sort_by_key(|(.., group)| {
        std::cmp::Reverse((group.total.quantile(990), group.total.sum_ns()))
    });
    if rows.is_empty() {
        return;
    }
    let has_turns = rows
        .iter()
        .any(|(protocol, ..)| *protocol == Protocol::Turn);
    let turns = match has_turns {
        true => {
            " turn: what is spoken is not known or encrypted; what one side sends until the other does is a request."
        }
        false => "",
    };
    page.heading(
        "Slowest operations",
        &format!(
            "From the first byte of a request to the last of its response. SHARE of errors among those whose fate is known. \
             P50 to MAX and TIME (all together) \
             are of those answered; MOSTLY: where most of it went, and of how many that is known if not of all.{turns}"
        ),
    );
    let all = rows.len();
    let mut table = page.table(OPERATIONS);
    for (protocol, operation, group) in rows.into_iter().take(page.options.rows) {
        table.cell(Paint::Plain, operation_name(protocol, operation));
        table.cell(Paint::Plain, Count(group.requests()));
        number(&mut table, group.status(Status::Error), Paint::Red);
        share(&mut table, group.status(Status::Error), group.decided());
        number(&mut table, group.unanswered(), Paint::Red);
        for per_mille in [500, 900, 990, 1000] {
            quantile(&mut table, &group.total, per_mille);
        }
        time(&mut table, group);
        mostly(&mut table, group);
    }
    page.rows(table);
    let beyond = report.requests().other_operations().requests();
    page.rest(all as u64, beyond);
}

static SERVERS: &[Column] = &[
    Column::left("SERVER", 21),
    Column::left("PROTOCOL", 8),
    Column::right("REQUESTS", 8).group(),
    Column::right("OF", 5),
    Column::right("TIME", 7),
    Column::right("CLIENT", 7).group(),
    Column::right("QUEUE", 7),
    Column::right("SERVER", 7),
    Column::right("NETWORK", 7),
    Column::right("LOSS", 7),
    Column::right("WINDOW", 7),
    Column::right("TRANSFER", 8),
];

fn servers(page: &mut Page<'_>, report: &Report) {
    let mut rows: Vec<_> = report
        .populations()
        .filter(|(.., population)| population.budgeted > 0)
        .collect();
    rows.sort_by_key(|(.., population)| std::cmp::Reverse(population.total_ns()));
    if rows.is_empty() {
        return;
    }
    page.heading(
        "Where the time of requests went",
        "Each row is about REQUESTS of all (OF) of this server and protocol: those of which it is known; TIME is theirs. \
         CLIENT: sending the request. QUEUE: behind an earlier one of the connection. SERVER: in it. NETWORK: on the way \
         between here and the server. LOSS: until what was lost came again. WINDOW: the receiver did not read. TRANSFER: \
         sending the response.",
    );
    let all = rows.len();
    let shown = rows.len().min(page.options.rows);
    super::plots::budgets(page, &rows[..shown]);
    let mut table = page.table(SERVERS);
    for ((ip, port), protocol, population) in rows.into_iter().take(page.options.rows) {
        let all = population.total_ns();
        table.cell(Paint::Plain, page.options.hosts.end(ip, port));
        table.cell(Paint::Plain, protocol.word().unwrap_or_default());
        table.cell(Paint::Plain, Count(population.budgeted));
        table.cell(Paint::Plain, Count(population.requests));
        table.cell(Paint::Plain, Duration(Span::from_ns(all)));
        for part in population.budget_ns {
            share(&mut table, part, all);
        }
    }
    page.rows(table);
    let beyond = report.requests().other_servers().requests();
    page.rest(all as u64, beyond);
    let unknown: u64 = report
        .populations()
        .filter(|(.., population)| population.budgeted == 0)
        .map(|(.., population)| population.requests)
        .sum();
    if unknown > 0 {
        page.prose(
            "",
            &format!(
                "Of no request of the other servers and protocols ({}) it is known: not answered, cut off, over UDP, \
                 without a round trip to compare with, or held up as only packets tell.",
                super::things(unknown, "request")
            ),
        );
    }
}

static SLOWEST: &[Column] = &[
    Column::right("START", 10),
    Column::left("CLIENT", 21).group(),
    Column::left("SERVER", 21),
    Column::right("TOOK", 7).group(),
    Column::left("MOSTLY", 8),
    Column::right("PACKET", 6),
    Column::left("WHAT", 0).group(),
];

/// Characters of what was asked for.
const WHAT: usize = 40;

fn slowest(page: &mut Page<'_>, report: &Report) {
    let rows = report.slowest_requests().most();
    let shown = rows.len().min(page.options.rows);
    if shown == 0 {
        return;
    }
    page.heading("Slowest requests", "");
    let mut table = page.table(SLOWEST);
    for slow in &rows[..shown] {
        let (start, hosts) = (&mut page.start, &page.options.hosts);
        table.cell_with(Paint::Plain, |text| start.write(text, slow.time));
        table.cell(Paint::Plain, hosts.end(slow.client.0, slow.client.1));
        table.cell(Paint::Plain, hosts.end(slow.server.0, slow.server.1));
        table.cell(Paint::Plain, Duration(slow.total));
        match slow.verdict.word() {
            Some(word) => table.cell(Paint::Plain, word),
            None => table.absent(),
        }
        match slow.frame {
            Some(frame) => table.cell(Paint::Plain, frame),
            None => table.absent(),
        }
        let mut what: String = slow.what.chars().take(WHAT).collect();
        if what.len() < slow.what.len() {
            what.push_str("...");
        }
        table.cell(Paint::Plain, what);
    }
    page.rows(table);
}

fn budget_ns(group: &RequestGroup) -> u64 {
    group
        .budget_ns
        .iter()
        .fold(0, |sum: u64, part| sum.saturating_add(*part))
}

fn time(table: &mut Table, group: &RequestGroup) {
    match time_of(group) {
        Some(time) => table.cell(Paint::Plain, Duration(time)),
        None => table.absent(),
    }
}

/// `server 92 %`: the largest part of the budget.
fn mostly(table: &mut Table, group: &RequestGroup) {
    let all = budget_ns(group);
    let parts = Verdict::ALL.iter().zip(group.budget_ns);
    match parts.max_by_key(|&(verdict, part)| (part, std::cmp::Reverse(*verdict))) {
        Some((verdict, part)) if all > 0 => {
            let percent = (u128::from(part) * 100 + u128::from(all) / 2) / u128::from(all);
            let word = verdict.word().unwrap_or_default();
            let known = group.budgeted;
            match known < group.total.count() {
                true => table.cell(
                    Paint::Plain,
                    format_args!("{word} {percent} % of {}", Count(known)),
                ),
                false => table.cell(Paint::Plain, format_args!("{word} {percent} %")),
            }
        }
        _ => table.absent(),
    }
}
