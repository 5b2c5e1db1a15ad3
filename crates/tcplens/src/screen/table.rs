//! All destinations: a row each, the row of all of them, and groups of columns.

use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::{GroupBy, Peer, Vantage};

use super::columns::{COLUMNS, is_marked};
use super::labels;
use super::look::{Symbols, Tone};
use super::paint::{Pen, known, name};
use super::state::{ABOVE, State};

/// Draws it.
pub(super) fn paint(state: &State, pen: &mut Pen<'_>) {
    let (width, _) = pen.size();
    let wide = state.name_width();
    let pages = state.pages();
    let Some(columns) = pages.get(state.page) else {
        return;
    };
    heads(state, columns, pen);
    let Some(snapshot) = &state.snapshot else {
        pen.text(1, ABOVE, width, "waiting for the first numbers", Tone::Dim);
        return;
    };
    let all = match (snapshot.passing, snapshot.known) {
        // Those that do not pass are part of the sum while it is kept: nobody counts it anew.
        (passing, known) if passing == known || state.is_frozen() => format!("all {known}"),
        (passing, known) => format!("{passing} of {known}"),
    };
    pen.text(0, ABOVE - 1, wide, &all, Tone::Head);
    cells(state, columns, &snapshot.totals, ABOVE - 1, pen, Tone::Head);
    if snapshot.passing == 0 {
        pen.text(1, ABOVE, width, nothing(state), Tone::Dim);
    }
    let last = (state.rows.top + state.height()).min(snapshot.passing);
    for (y, at) in (ABOVE..).zip(state.rows.top..last) {
        match state.row(at) {
            Some((key, peer)) => {
                let label = pen.symbols.printable(labels::row(key, &state.hosts));
                pen.text(0, y, wide, &label, Tone::Plain);
                cells(state, columns, peer, y, pen, Tone::Plain);
            }
            None => {
                pen.text(0, y, wide, pen.symbols.cut, Tone::Dim);
            }
        }
        if at == state.rows.at {
            pen.line(y, Tone::Selected);
        }
    }
}

fn nothing(state: &State) -> &'static str {
    let is_of_kernel = matches!(state.by, GroupBy::Process | GroupBy::Container);
    let vantage = state
        .snapshot
        .as_ref()
        .map(|snapshot| snapshot.totals.vantage);
    if is_of_kernel && vantage.is_some_and(Vantage::sees_packets) {
        "packets do not tell processes and containers; the kernel does: top -k"
    } else if known(state) > 0 {
        "no row passes the filter: / changes it, Esc takes it away"
    } else if state.facts.is_over {
        "nothing to show: no attempt, request or connection was seen"
    } else {
        "nothing yet: no attempt, request or connection was seen"
    }
}

fn heads(state: &State, columns: &[usize], pen: &mut Pen<'_>) {
    let wide = state.name_width();
    let (groups, headings) = (ABOVE - 3, ABOVE - 2);
    pen.text(
        0,
        headings,
        wide,
        &name(state.by).to_uppercase(),
        Tone::Head,
    );
    let mut x = wide + 1;
    let mut group = None;
    for &at in columns {
        let column = &COLUMNS[at];
        if group != Some(column.group) {
            group = Some(column.group);
            let same = columns
                .iter()
                .filter(|&&at| COLUMNS[at].group == column.group);
            let room: u16 = same.map(|&at| COLUMNS[at].width).sum();
            let room = room.saturating_sub(1);
            let line = pen.symbols.line.repeat(usize::from(room));
            pen.text(x, groups, room, &line, Tone::Dim);
            // As much of the word as there is room for.
            let word: String = column
                .group
                .name()
                .chars()
                .take(usize::from(room))
                .collect();
            pen.right(x + room, groups, room, &word, Tone::Dim);
        }
        x += column.width;
        let heading = column.heading(state.percentile);
        if at == state.sort {
            let mark = pen.symbols.sorted[usize::from(!state.descending)];
            pen.right(
                x - 1,
                headings,
                column.width,
                &format!("{mark}{heading}"),
                Tone::Note,
            );
        } else {
            pen.right(x - 1, headings, column.width, &heading, Tone::Head);
        }
    }
}

fn cells(state: &State, columns: &[usize], peer: &Peer, y: u16, pen: &mut Pen<'_>, tone: Tone) {
    let mut x = state.name_width() + 1;
    for &at in columns {
        let column = &COLUMNS[at];
        x += column.width;
        let cell = (column.cell)(peer, state.percentile);
        let (text, is_some) = cell.text(pen.symbols);
        let is_beyond = is_marked(&state.marks, peer, column, state.percentile);
        let tone = match (is_beyond, is_some) {
            (true, _) => Tone::Bad,
            (false, true) => tone,
            (false, false) => Tone::Dim,
        };
        pen.right(x - 1, y, column.width - 1, &text, tone);
        if is_beyond {
            pen.text(x - 1, y, 1, "!", Tone::Bad);
        }
    }
}

/// The last line: which rows these are, and what to do.
pub(super) fn foot(state: &State, symbols: &Symbols) -> (String, String) {
    let sorted = COLUMNS[state.sort].heading(state.percentile);
    let pages = state.pages().len();
    let height = state.height();
    let (first, last) = (
        state.rows.top + 1,
        (state.rows.top + height).min(state.count()),
    );
    let left = match state.filter.as_ref().map(RecordFilter::text) {
        Some(filter) => format!("filter: {filter}"),
        None => "Enter opens, / filters, s sorts, b groups, f freezes".to_owned(),
    };
    let others = state
        .snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.others.as_ref());
    let others = others.map(|peer| {
        let things = peer.attempts.saturating_add(peer.requests);
        format!(
            "! {} attempts and requests of more rows than are kept",
            tcplens_output::human::Short(things)
        )
    });
    let order = if state.descending { "" } else { ", reversed" };
    let right = [
        others,
        Some(format!("by {sorted}{order}")),
        (state.count() > height).then(|| format!("{first}-{last} of {}", state.count())),
        (pages > 1).then(|| format!("columns {}/{pages} {}", state.page + 1, symbols.arrows)),
        Some("? help".to_owned()),
    ];
    (
        left,
        right
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(symbols.dot),
    )
}
