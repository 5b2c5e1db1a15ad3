//! Columns of text for people. A cell longer than its column widens the column from that line on:
//! nothing is cut, and the lines after it are aligned again.

use std::borrow::Cow;
use std::fmt::{Display, Write};

use crate::color::Paint;

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    align: Align,
    width: usize,
    gap: &'static str,
    /// Name of the group that it begins.
    over: Option<&'static str>,
}

impl Column {
    /// A column of words, at least `width` wide.
    #[must_use]
    pub const fn left(title: &'static str, width: usize) -> Self {
        Self {
            title,
            align: Align::Left,
            width,
            gap: "  ",
            over: None,
        }
    }

    /// A column of numbers, at least `width` wide.
    #[must_use]
    pub const fn right(title: &'static str, width: usize) -> Self {
        Self {
            title,
            align: Align::Right,
            width,
            gap: "  ",
            over: None,
        }
    }

    /// How much of a line it takes with cells so wide, the gap before it included.
    pub(crate) fn room(&self, widest: usize) -> usize {
        let title = self.title.chars().count();
        self.gap.len() + self.width.max(title).max(widest)
    }

    /// With ` | ` before it instead of two blanks: it begins a group.
    #[must_use]
    pub const fn group(self) -> Self {
        Self { gap: " | ", ..self }
    }

    /// The same of a group with a name, which stands above the header.
    #[must_use]
    pub const fn group_of(self, name: &'static str) -> Self {
        Self {
            gap: " | ",
            over: Some(name),
            ..self
        }
    }
}

/// Prints rows under one header. [`print`](Self::print) after each row for lines that come one by
/// one, or once after all rows for columns that fit.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    titles: Vec<Cow<'static, str>>,
    widths: Vec<usize>,
    /// The cells not printed yet, one after the other, each with its end in `text`.
    text: String,
    cells: Vec<(usize, Paint)>,
    color: bool,
    headed: bool,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(columns: &[Column], color: bool) -> Self {
        let titles = columns.iter().map(|column| column.title.into()).collect();
        Self::of(columns.to_vec(), titles, color)
    }

    /// An empty table whose titles are not known before it runs.
    #[must_use]
    pub fn titled(columns: Vec<(String, Align)>, color: bool) -> Self {
        let (titles, columns): (Vec<_>, Vec<_>) = columns
            .into_iter()
            .map(|(title, align)| match align {
                Align::Left => (title.into(), Column::left("", 0)),
                Align::Right => (title.into(), Column::right("", 0)),
            })
            .unzip();
        Self::of(columns, titles, color)
    }

    fn of(columns: Vec<Column>, titles: Vec<Cow<'static, str>>, color: bool) -> Self {
        let widths = columns
            .iter()
            .zip(&titles)
            .map(|(column, title)| column.width.max(title.chars().count()))
            .collect();
        Self {
            columns,
            titles,
            widths,
            text: String::new(),
            cells: Vec::new(),
            color,
            headed: false,
        }
    }

    /// Appends the next cell of the row. Control characters, which may come from the network,
    /// become `?`.
    pub fn cell(&mut self, paint: Paint, value: impl Display) {
        self.cell_with(paint, |text| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{value}");
        });
    }

    /// Appends the next cell of the row, which `write` appends to the text it is given.
    pub fn cell_with(&mut self, paint: Paint, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        if self.text[start..].contains(char::is_control) {
            let clean = self.text[start..].replace(char::is_control, "?");
            self.text.truncate(start);
            self.text.push_str(&clean);
        }
        self.cells.push((self.text.len(), paint));
    }

    /// Appends what is absent: `-`.
    pub fn absent(&mut self) {
        self.cell(Paint::Dim, "-");
    }

    /// The next row begins another file: the header comes before it again.
    pub fn begin_again(&mut self) {
        self.headed = false;
    }

    /// Leaves out columns so that lines have at most `width` characters: the first stays, of the others those that find room, in the
    /// order of `order` by title. For rows that were not printed yet, and a header that was not either. Returns the titles of what is
    /// left out.
    pub fn fit(&mut self, width: usize, order: &[&str]) -> Vec<&'static str> {
        let count = self.columns.len();
        let mut start = 0;
        for (n, &(end, _)) in self.cells.iter().enumerate() {
            let known = &mut self.widths[n % count];
            *known = (*known).max(self.text[start..end].chars().count());
            start = end;
        }
        let rank = |n: usize| {
            let title = self.columns[n].title;
            order.iter().position(|known| *known == title)
        };
        let mut all: Vec<_> = (1..count).collect();
        all.sort_by_key(|&n| rank(n).unwrap_or(usize::MAX));
        let mut kept: Vec<_> = (0..count).map(|n| n == 0).collect();
        for n in all {
            kept[n] = true;
            if self.room(&kept) > width {
                kept[n] = false;
            }
        }
        self.keep(&kept)
    }

    /// How long lines of these columns are.
    fn room(&self, kept: &[bool]) -> usize {
        let (mut room, mut gap) = (0, 0);
        for ((column, width), is_kept) in self.columns.iter().zip(&self.widths).zip(kept) {
            // A group begins at the first of its columns that is there.
            gap = gap.max(column.gap.len());
            if *is_kept {
                room += width + if room > 0 { gap } else { 0 };
                gap = 0;
            }
        }
        room
    }

    /// Keeps these columns only.
    fn keep(&mut self, kept: &[bool]) -> Vec<&'static str> {
        let count = self.columns.len();
        let (mut text, mut cells, mut start) = (String::new(), Vec::new(), 0);
        for (n, &(end, paint)) in self.cells.iter().enumerate() {
            if kept[n % count] {
                text.push_str(&self.text[start..end]);
                cells.push((text.len(), paint));
            }
            start = end;
        }
        (self.text, self.cells) = (text, cells);
        let mut left_out = Vec::new();
        // A group whose first column is gone begins at the next of its columns.
        let mut begun: Option<Column> = None;
        let mut columns = Vec::new();
        for (column, is_kept) in self.columns.iter().zip(kept) {
            if column.gap == " | " {
                begun = Some(*column);
            }
            if *is_kept {
                let first = begun.take().unwrap_or(*column);
                columns.push(Column {
                    gap: first.gap,
                    over: first.over,
                    ..*column
                });
            } else {
                left_out.push(column.title);
            }
        }
        self.columns = columns;
        let mut is_kept = kept.iter();
        self.titles.retain(|_| is_kept.next().is_some_and(|it| *it));
        let widths = self.widths.iter().zip(kept);
        self.widths = widths.filter(|it| *it.1).map(|it| *it.0).collect();
        left_out
    }

    /// Prints the rows since the last call, before the first of them the header. The last row may
    /// lack cells.
    pub fn print(&mut self, out: &mut Vec<u8>) {
        if self.columns.is_empty() || self.cells.is_empty() {
            return;
        }
        let mut start = 0;
        for (n, &(end, _)) in self.cells.iter().enumerate() {
            let width = &mut self.widths[n % self.columns.len()];
            *width = (*width).max(self.text[start..end].chars().count());
            start = end;
        }
        if !self.headed {
            self.headed = true;
            self.groups(out);
            let titles = self.titles.iter().map(|title| (&**title, Paint::Bold));
            self.line(out, titles);
        }
        let mut start = 0;
        for row in self.cells.chunks(self.columns.len()) {
            let cells = row.iter().map(|&(end, paint)| {
                let text = &self.text[start..end];
                start = end;
                (text, paint)
            });
            self.line(out, cells);
        }
        self.text.clear();
        self.cells.clear();
    }

    /// The names of groups, each where its first column begins; nothing if none has a name.
    fn groups(&self, out: &mut Vec<u8>) {
        if self.columns.iter().all(|column| column.over.is_none()) {
            return;
        }
        let (before, after) = if self.color {
            Paint::Dim.sequences()
        } else {
            ("", "")
        };
        // Where the cells of the line end, and where the names that are written do.
        let (mut end, mut written) = (0_usize, 0_usize);
        for (n, (column, width)) in self.columns.iter().zip(&self.widths).enumerate() {
            let gap = if n > 0 { column.gap } else { "" };
            if let Some(name) = column.over {
                // A name may be longer than its group: then the next one is not where its columns are.
                pad(out, end.saturating_sub(written));
                out.extend_from_slice(gap.as_bytes());
                out.extend_from_slice(before.as_bytes());
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(after.as_bytes());
                written = written.max(end) + gap.len() + name.chars().count();
            }
            end += gap.len() + width;
        }
        out.push(b'\n');
    }

    fn line<'t>(&self, out: &mut Vec<u8>, cells: impl Iterator<Item = (&'t str, Paint)>) {
        let mut owed = 0;
        for (n, ((text, paint), (column, &width))) in
            cells.zip(self.columns.iter().zip(&self.widths)).enumerate()
        {
            let blanks = width.saturating_sub(text.chars().count());
            if n > 0 {
                pad(out, owed);
                out.extend_from_slice(column.gap.as_bytes());
            }
            if column.align == Align::Right {
                pad(out, blanks);
            }
            let (before, after) = if self.color {
                paint.sequences()
            } else {
                ("", "")
            };
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(after.as_bytes());
            // Blanks after a word come with the next cell, so that no line ends in blanks.
            owed = if column.align == Align::Left {
                blanks
            } else {
                0
            };
        }
        out.push(b'\n');
    }
}

fn pad(out: &mut Vec<u8>, blanks: usize) {
    out.resize(out.len() + blanks, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    static COLUMNS: &[Column] = &[
        Column::left("NAME", 6),
        Column::right("COUNT", 0).group(),
        Column::left("NOTE", 0),
    ];

    fn printed(table: &mut Table) -> String {
        let mut out = Vec::new();
        table.print(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn row(table: &mut Table, name: &str, count: u64, note: &str) {
        table.cell(Paint::Plain, name);
        table.cell(Paint::Red, count);
        table.cell(Paint::Plain, note);
    }

    #[test]
    fn a_long_cell_widens_its_column_from_its_line_on() {
        let mut table = Table::new(COLUMNS, false);
        row(&mut table, "a", 1, "x");
        assert_eq!(
            printed(&mut table),
            "NAME   | COUNT  NOTE\na      |     1  x\n"
        );
        row(&mut table, "long name", 123_456, "y");
        assert_eq!(printed(&mut table), "long name | 123456  y\n");
        row(&mut table, "µ", 2, "z");
        assert_eq!(printed(&mut table), "µ         |      2  z\n");
        assert_eq!(printed(&mut table), "");
    }

    #[test]
    fn rows_printed_together_fit_from_the_header_on() {
        let mut table = Table::new(COLUMNS, false);
        row(&mut table, "a", 1, "x");
        row(&mut table, "long name", 123_456, "y");
        table.cell(Paint::Plain, "short");
        assert_eq!(
            printed(&mut table),
            "NAME      |  COUNT  NOTE\na         |      1  x\nlong name | 123456  y\nshort\n"
        );
    }

    #[test]
    fn columns_that_find_no_room_are_left_out_the_least_first_and_groups_stay() {
        static GROUPED: &[Column] = &[
            Column::left("NAME", 6),
            Column::right("A", 2).group_of("FIRST"),
            Column::right("B", 5),
            Column::right("C", 1).group_of("SECOND"),
        ];
        for (width, text, left_out) in [
            (
                23,
                "       | FIRST      | SECOND\nNAME   |  A       B | C\nx      |  1  222222 | 3\n",
                &[][..],
            ),
            (
                22,
                "       | FIRST  | SECOND\nNAME   |      B | C\nx      | 222222 | 3\n",
                &["A"],
            ),
            (
                18,
                "       | FIRST\nNAME   |      B\nx      | 222222\n",
                &["A", "C"],
            ),
            (
                15,
                "       | FIRST\nNAME   |      B\nx      | 222222\n",
                &["A", "C"],
            ),
            (14, "       | SECOND\nNAME   | C\nx      | 3\n", &["A", "B"]),
            (0, "NAME\nx\n", &["A", "B", "C"]),
        ] {
            let mut table = Table::new(GROUPED, false);
            for cell in ["x", "1", "222222", "3"] {
                table.cell(Paint::Plain, cell);
            }
            let order = ["B", "C", "A"];
            assert_eq!(table.fit(width, &order), left_out, "{width}");
            let mut out = Vec::new();
            table.print(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text, "{width}");
        }
    }

    #[test]
    fn names_of_groups_stand_where_these_begin() {
        static GROUPED: &[Column] = &[
            Column::left("NAME", 6),
            Column::right("A", 2).group_of("FIRST"),
            Column::right("B", 5),
            Column::right("C", 1).group_of("SECOND"),
        ];
        let mut table = Table::new(GROUPED, false);
        for cell in ["x", "1", "2", "3"] {
            table.cell(Paint::Plain, cell);
        }
        assert_eq!(
            printed(&mut table),
            "       | FIRST     | SECOND\nNAME   |  A      B | C\nx      |  1      2 | 3\n"
        );
    }

    #[test]
    fn colour_does_not_shift_columns_and_the_network_cannot_send_escapes() {
        let mut table = Table::new(COLUMNS, true);
        row(&mut table, "a\x1b[2Jb", 1, "x\ny");
        assert_eq!(
            printed(&mut table),
            "\x1b[1mNAME\x1b[0m   | \x1b[1mCOUNT\x1b[0m  \x1b[1mNOTE\x1b[0m\na?[2Jb |     \x1b[31m1\x1b[0m  x?y\n"
        );
    }
}
