//! All keys, what the mouse does, what the columns are, and from where on values are marked.

use super::columns::COLUMNS;
use super::keys::{KEYS, MOUSE};
use super::look::Tone;
use super::paint::{Pen, wrapped};
use super::state::State;

/// Columns of what is explained.
const NAME: u16 = 15;

/// Draws it, so many lines passed over.
pub(super) fn paint(state: &State, at: usize, pen: &mut Pen<'_>) {
    let (width, height) = pen.size();
    let room = usize::from(width.saturating_sub(NAME + 1));
    let head = |text: &str| (text.to_owned(), String::new(), true);
    let mut all = vec![head("KEYS")];
    let explain = |all: &mut Vec<(String, String, bool)>, name: &str, what: &str| {
        for (n, line) in wrapped(&what.replace('`', ""), room)
            .into_iter()
            .enumerate()
        {
            let name = if n == 0 { name } else { "" };
            all.push((name.to_owned(), line, false));
        }
    };
    for key in KEYS {
        explain(&mut all, key.keys, key.what);
    }
    all.push(head("MOUSE"));
    for (name, what) in MOUSE {
        explain(&mut all, name, what);
    }
    all.push(head("COLUMNS"));
    for column in COLUMNS {
        explain(&mut all, &column.heading(state.percentile), column.doc);
    }
    all.push(head("MARKED WITH !"));
    for (field, text) in state.marks.iter() {
        let column = COLUMNS.iter().find(|column| column.fields.contains(&field));
        let name = column.map_or_else(String::new, |column| column.heading(state.percentile));
        explain(&mut all, &name, text);
    }
    let shown = usize::from(height.saturating_sub(2));
    let last = all.len().saturating_sub(shown);
    let skip = at.min(last);
    for (y, (name, what, is_head)) in (1..height.saturating_sub(1)).zip(all.into_iter().skip(skip))
    {
        let tone = if is_head { Tone::Head } else { Tone::Note };
        pen.text(if is_head { 0 } else { 1 }, y, NAME, &name, tone);
        let what = pen.symbols.printable(what);
        pen.text(NAME + 1, y, width, &what, Tone::Plain);
    }
    let more = if skip < last {
        "more below, Esc back"
    } else {
        "Esc back"
    };
    pen.text(0, height - 1, width, more, Tone::Dim);
}
