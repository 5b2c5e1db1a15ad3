//! Single records of a view: those that come first by its order, as many as are shown, from any number of files. Bounded: that many
//! rows are kept, whatever is read.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::ops::Range;

use tcplens_core::record::{Connection, Field, Handshake, Request, Word};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::fleet::FleetFilter;

use super::views::{View, fields};
use crate::cell::Cell;
use crate::json::Json;
use crate::parquet::Table;
use crate::store::{StoreFile, StoreKind};

/// Fields that the filter looks at.
const FILTERED: [&str; 5] = ["time", "server_ip", "server_port", "protocol", "operation"];

/// A record that is looked at.
pub(super) struct Row<'a> {
    fields: &'a [&'static Field],
    cells: &'a [Cell],
}

impl Row<'_> {
    fn cell(&self, name: &str) -> Option<&Cell> {
        let at = self.fields.iter().position(|field| field.name == name)?;
        self.cells.get(at)
    }

    /// A count; a span or a time in ns.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.cell(name)? {
            Cell::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.cell(name)? {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.cell(name)? {
            Cell::Flag(flag) => Some(*flag),
            _ => None,
        }
    }
}

/// What is looked for, and what was found so far.
pub struct Looking {
    view: &'static View,
    range: Range<Timestamp>,
    filter: FleetFilter,
    server: Option<(String, i64)>,
    most: usize,
    /// Fields of the kind that are read, in the order of declaration, and their places among all.
    fields: Vec<&'static Field>,
    places: Vec<Option<usize>>,
    rows: BTreeMap<Place, Vec<Cell>>,
    matched: u64,
}

/// Where a record stands: by its rank, then the newest first, then as hosts and connections are called, then by the request's number in
/// its connection. So files in another order, and other stores of the same records, give the same rows.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rank: i64,
    time: i64,
    host: Reverse<String>,
    id: Reverse<String>,
    task: Reverse<Option<i64>>,
    number: Reverse<u64>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Columns and rows, as JSON: `"columns":[...],"rows":[[...],...]`.
    pub json: String,
    /// Rows in it.
    pub shown: usize,
    /// Records that would be shown, were there no bound.
    pub matched: u64,
}

impl Looking {
    /// Begins: at most `most` records of a view whose time is in `range` and which pass a filter.
    #[must_use]
    pub fn new(
        view: &'static View,
        range: Range<Timestamp>,
        filter: FleetFilter,
        most: usize,
    ) -> Looking {
        let is_read = |name: &str| {
            view.columns.contains(&name) || view.beside.contains(&name) || FILTERED.contains(&name)
        };
        let all = fields(view.kind);
        let read: Vec<_> = (all.iter().copied())
            .filter(|field| is_read(field.name))
            .collect();
        let place = |field: &&'static Field| read.iter().position(|one| one.name == field.name);
        let server = filter.server.map(|(ip, port)| {
            let port = i64::try_from(port).unwrap_or(i64::MAX);
            (plain(ip).to_string(), port)
        });
        Looking {
            places: all.iter().map(place).collect(),
            fields: read,
            view,
            range,
            filter,
            server,
            most,
            rows: BTreeMap::new(),
            matched: 0,
        }
    }

    /// Which they are.
    #[cfg(feature = "remote")]
    pub(crate) fn view(&self) -> &'static View {
        self.view
    }

    /// Of which time.
    #[cfg(feature = "remote")]
    pub(crate) fn range(&self) -> &Range<Timestamp> {
        &self.range
    }

    /// Of what.
    #[cfg(feature = "remote")]
    pub(crate) fn filter(&self) -> &FleetFilter {
        &self.filter
    }

    /// Fields that are looked at.
    #[cfg(feature = "remote")]
    pub(crate) fn fields(&self) -> &[&'static Field] {
        &self.fields
    }

    /// How many are shown.
    #[cfg(feature = "remote")]
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Whether a file may have any of them.
    #[must_use]
    pub fn may_have(&self, file: &StoreFile) -> bool {
        let day = 86_400_000_000_000;
        let last = Timestamp(self.range.end.0.saturating_sub(1));
        let days = self.range.start.0.div_euclid(day)..=last.0.div_euclid(day);
        let host = self.filter.host.as_ref();
        file.kind == self.view.kind
            && days.contains(&file.day)
            && host.is_none_or(|host| crate::store::host_word(host) == file.name.host)
    }

    /// Looks through a file.
    ///
    /// # Errors
    /// It cannot be read, from somewhere on; what came before counts.
    pub fn read(&mut self, file: &StoreFile) -> io::Result<()> {
        let open = File::open(&file.path)?;
        let table = match self.view.kind {
            StoreKind::Request => Table::open::<Request<'_>>(open),
            StoreKind::Handshake => Table::open::<Handshake>(open),
            _ => Table::open::<Connection>(open),
        }?;
        let names: Vec<_> = self.fields.iter().map(|field| field.name).collect();
        let range = self.range.clone();
        let mut cells = vec![Cell::None; self.fields.len()];
        table.only(&names).rows(&range, &mut |host, next| {
            for place in &self.places {
                let cell = next();
                if let Some(place) = *place {
                    cells[place] = cell;
                }
            }
            self.offer(host.unwrap_or(&file.name.host), &cells);
        })
    }

    /// Takes a record's values, in the order of [`fields`](Self::fields), if it is one of those looked for.
    pub(crate) fn offer(&mut self, host: &str, cells: &[Cell]) {
        let row = Row {
            fields: &self.fields,
            cells,
        };
        if !self.passes(host, &row) {
            return;
        }
        let Some(rank) = (self.view.rank)(&row) else {
            return;
        };
        let time = row.number("time").unwrap_or_default();
        self.matched += 1;
        let is_full = self.rows.len() >= self.most;
        let least = self.rows.first_key_value().map(|(least, _)| least);
        // Of many, most are no candidates: without names.
        if is_full && least.is_none_or(|least| (least.rank, least.time) > (rank, time)) {
            return;
        }
        let id = row.text("connection_id").unwrap_or_default();
        let place = Place {
            rank,
            time,
            host: Reverse(host.to_owned()),
            id: Reverse(id.to_owned()),
            task: Reverse(row.number("task")),
            number: Reverse(self.matched),
        };
        if is_full && least.is_some_and(|least| *least > place) {
            return;
        }
        self.rows.insert(place, cells.to_vec());
        if is_full {
            self.rows.pop_first();
        }
    }

    fn passes(&self, host: &str, row: &Row<'_>) -> bool {
        let at = row.number("time").map(Timestamp);
        let server = self.server.as_ref();
        let protocol = self.filter.protocol.and_then(Word::word);
        let operation = self.filter.operation.as_deref();
        at.is_some_and(|at| self.range.contains(&at))
            && self
                .filter
                .host
                .as_ref()
                .is_none_or(|wanted| wanted == host)
            && server.is_none_or(|(ip, port)| {
                row.number("server_port") == Some(*port) && row.text("server_ip") == Some(ip)
            })
            && (protocol.is_none() || row.text("protocol") == protocol)
            && (operation.is_none() || row.text("operation") == operation)
            && (self.view.has)(row)
    }

    /// What was found, the first by the view's order first.
    #[must_use]
    pub fn finish(self) -> Found {
        let mut json = Json::new();
        json.name("columns").open('[').string("host");
        for column in self.view.columns {
            json.string(column);
        }
        json.close(']').name("rows").open('[');
        for (place, cells) in self.rows.iter().rev() {
            json.open('[').string(&place.host.0);
            for column in self.view.columns {
                let at = self.fields.iter().position(|field| field.name == *column);
                match at.and_then(|at| Some((self.fields.get(at)?, cells.get(at)?))) {
                    Some((field, cell)) => write(&mut json, field, cell),
                    None => json.raw("null"),
                };
            }
            json.close(']');
        }
        json.close(']');
        Found {
            json: json.into_string(),
            shown: self.rows.len(),
            matched: self.matched,
        }
    }
}

fn write<'j>(json: &'j mut Json, field: &Field, cell: &Cell) -> &'j mut Json {
    match (field.kind, cell) {
        ("span", Cell::Number(ns)) => json.micros(Span::from_ns(u64::try_from(*ns).unwrap_or(0))),
        ("time", Cell::Number(ns)) => json.time(Timestamp(*ns)),
        (_, Cell::Number(number)) => json.integer(*number),
        (_, Cell::Flag(flag)) => json.flag(*flag),
        (_, Cell::Text(text)) => json.string(text),
        _ => json.raw("null"),
    }
}

/// As records write it: an IPv4 address within an IPv6 one as itself.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
