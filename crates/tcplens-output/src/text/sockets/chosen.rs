//! `--fields` of text: a column for each field that was asked for, under the name that it has in every record, in that order. Values
//! as people read them; what is absent is `-`.

use tcplens_core::record::{Field, Socket};

use super::amount;
use crate::color::Paint;
use crate::fields::Fields;
use crate::table::{Column, Table};
use crate::time_style::TimeFormat;
use crate::values::{Value, Values};

/// Gathers rows of them.
#[derive(Debug)]
pub(super) struct Chosen {
    fields: Fields,
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
    values: Values,
    time: TimeFormat,
}

impl Chosen {
    pub(super) fn new(fields: Fields, time: TimeFormat) -> Chosen {
        let columns = fields.of::<Socket<'_>>().into_iter().map(column);
        Chosen {
            columns: columns.collect(),
            fields,
            rows: Vec::new(),
            values: Values::default(),
            time,
        }
    }

    pub(super) fn add(&mut self, socket: &Socket<'_>) {
        self.values.read_fields(socket, &self.fields);
        let time = &mut self.time;
        let cells = self.values.iter().map(|(field, value)| match value {
            Value::Time(at) => {
                let mut text = String::new();
                time.write(&mut text, *at);
                Some(text)
            }
            value => amount::text(field.name, value),
        });
        self.rows.push(cells.collect());
    }

    pub(super) fn print(&mut self, color: bool, out: &mut Vec<u8>) {
        let mut table = Table::new(&self.columns, color);
        for cell in self.rows.drain(..).flatten() {
            match cell {
                Some(cell) => table.cell(Paint::Plain, cell),
                None => table.absent(),
            }
        }
        table.print(out);
    }
}

fn column(field: &'static Field) -> Column {
    match field.kind {
        "count" | "span" | "ip" => Column::right(field.name, 0),
        _ => Column::left(field.name, 0),
    }
}
