//! Results of queries, for people and for machines. Knows no engine: who asks one hands over columns and rows of values.
//!
//! The conventions are those of records (docs/records.md): time is RFC 3339 in UTC with nine digits, decimals are exact and have
//! no trailing zeros, what is absent is left out of JSON and empty in CSV. JSON Lines and CSV are written row by row. Text is
//! written by [`ROWS_TOGETHER`] rows, whose columns are aligned together, and shows numbers in the unit that the column's name
//! ends in; below it may stand a [`Plot`].
//!
//! [`Printer`] gathers bytes, which its owner takes to where they go:
//!
//! ```
//! use tcplens_output::answer::{Column, Format, Kind, Printer, Settings, Value};
//!
//! let columns = vec![Column::new("server_ip", Kind::Text), Column::new("requests", Kind::Number)];
//! let settings = Settings { format: Format::Jsonl, ..Settings::default() };
//! let mut printer = Printer::new(columns, settings);
//! printer.push(&[Value::Text("10.0.0.1".into()), Value::Integer(12)]);
//! printer.finish();
//! assert_eq!(printer.bytes(), b"{\"server_ip\":\"10.0.0.1\",\"requests\":12}\n");
//! ```

mod machine;
mod people;
mod plot;
mod value;

pub use plot::Plot;
pub use value::{Column, Kind, Value, decimal};

use std::str::FromStr;

use crate::glyphs::Glyphs;
use crate::human::Count;
use crate::time_style::TimeStyle;

/// Rows of text that are aligned together; also what text holds back at most.
pub const ROWS_TOGETHER: usize = 1000;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    #[default]
    Text,
    /// An object per row.
    Jsonl,
    /// A line per row, after one of names.
    Csv,
    /// Nothing: the query runs, and that is all.
    None,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "text" => Ok(Format::Text),
            "jsonl" => Ok(Format::Jsonl),
            "csv" => Ok(Format::Csv),
            "none" => Ok(Format::None),
            _ => Err(format!(
                "cannot read {text:?} as a format; write text, jsonl, csv or none"
            )),
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which format.
    pub format: Format,
    /// Whether text is coloured.
    pub color: bool,
    /// What plots are drawn with.
    pub glyphs: Glyphs,
    /// How text shows points in time; from microseconds on, what ends in zeros is cut.
    pub time: TimeStyle,
    /// Columns of the terminal: how wide plots may be.
    pub width: usize,
    /// Rows of text, at most: what is beyond is counted, and said. Other formats have all.
    pub most_rows: Option<u64>,
    /// Whether text has the table.
    pub has_table: bool,
    /// What is drawn below the table; only of text.
    pub plot: Option<Plot>,
    /// What it means where text has no rows, in words.
    pub nothing: Option<&'static str>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            format: Format::Text,
            color: false,
            glyphs: Glyphs::Unicode,
            time: TimeStyle::Utc,
            width: 100,
            most_rows: None,
            has_table: true,
            plot: None,
            nothing: None,
        }
    }
}

/// Prints the rows of one result. [`finish`](Self::finish) writes what was held back.
#[derive(Debug)]
pub struct Printer {
    columns: Vec<Column>,
    settings: Settings,
    table: people::Rows,
    plotted: Option<plot::Plotted>,
    rows: u64,
    bytes: Vec<u8>,
}

impl Printer {
    /// Begins a result; a row's values come in the order of `columns`.
    #[must_use]
    pub fn new(columns: Vec<Column>, settings: Settings) -> Printer {
        let is_text = settings.format == Format::Text;
        let plot = settings.plot.filter(|_| is_text);
        let mut bytes = Vec::new();
        if settings.format == Format::Csv {
            machine::csv_head(&mut bytes, &columns);
        }
        Printer {
            table: people::Rows::new(&columns, &settings),
            plotted: plot.and_then(|plot| plot::Plotted::new(plot, &columns)),
            columns,
            settings,
            rows: 0,
            bytes,
        }
    }

    /// Adds a row. What it lacks at its end is absent.
    pub fn push(&mut self, row: &[Value]) {
        self.rows += 1;
        match self.settings.format {
            Format::None => {}
            Format::Jsonl => machine::json(&mut self.bytes, &self.columns, row),
            Format::Csv => machine::csv(&mut self.bytes, &self.columns, row),
            Format::Text => {
                if let Some(plotted) = &mut self.plotted {
                    plotted.push(row);
                }
                let is_shown = self.settings.most_rows.is_none_or(|most| self.rows <= most);
                if self.settings.has_table && is_shown {
                    self.table.push(row, &mut self.bytes);
                }
            }
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what was held back, how many rows there are (text), and the plot.
    pub fn finish(&mut self) {
        if self.settings.format != Format::Text {
            return;
        }
        // A plot of nothing has no line that would say so.
        if self.settings.has_table || self.rows == 0 {
            self.table.finish(&mut self.bytes);
            let left_out = match self.settings.most_rows {
                Some(most) if self.rows > most => {
                    format!(", of which the first {} are shown", Count(most))
                }
                _ => String::new(),
            };
            let rows = match (self.rows, self.settings.nothing) {
                (0, Some(nothing)) => format!("no rows: {nothing}"),
                (0, None) => "no rows".to_owned(),
                (1, _) => "1 row".to_owned(),
                (rows, _) => format!("{} rows{left_out}", Count(rows)),
            };
            self.table.note(&rows, &mut self.bytes);
        }
        if let Some(plotted) = self.plotted.take() {
            plotted.print(&self.settings, &mut self.bytes);
        }
    }

    /// The bytes since the last [`clear`](Self::clear).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the bytes and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests;
