//! Findings of a store that say since when: what is marked in plots.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::ops::Range;

use tcplens_core::record::{Field, Finding, Record};
use tcplens_core::time::Timestamp;

use crate::cell::Cell;
use crate::human::Endpoint;
use crate::page::fleet::Mark;
use crate::parquet::Table;
use crate::store::StoreFile;

/// Gives the findings of a file that are of a moment in `range`; those without a time are of no moment.
///
/// # Errors
/// It cannot be read, from somewhere on; what came before was given.
pub fn marks(
    file: &StoreFile,
    range: &Range<Timestamp>,
    each: &mut dyn FnMut(Mark),
) -> io::Result<()> {
    let mut fields = Vec::new();
    Finding::fields(&mut |field| fields.push(field));
    // What began before the range may still go on in it: all row groups.
    let all = Timestamp::MIN..Timestamp::MAX;
    let table = Table::open::<Finding>(File::open(&file.path)?)?;
    table.rows(&all, &mut |host, next| {
        let mark = mark(
            host.unwrap_or(&file.name.host).to_owned(),
            &fields,
            &mut *next,
        );
        let Some(from) = mark.time else {
            return;
        };
        if from < range.end && mark.until.is_none_or(|until| until > range.start) {
            each(mark);
        }
    })
}

/// The finding of a host whose fields have these values.
pub(crate) fn mark(host: String, fields: &[&Field], next: &mut dyn FnMut() -> Cell) -> Mark {
    let mut mark = Mark {
        host,
        ..Mark::default()
    };
    let (mut ip, mut port) = (None, None);
    for field in fields {
        match (field.name, next()) {
            ("time", Cell::Number(ns)) => mark.time = Some(Timestamp(ns)),
            ("until", Cell::Number(ns)) => mark.until = Some(Timestamp(ns)),
            ("server_port", Cell::Number(number)) => port = u64::try_from(number).ok(),
            ("server_ip", Cell::Text(text)) => ip = text.parse::<IpAddr>().ok(),
            ("code", Cell::Text(text)) => mark.code = text,
            ("suspect", Cell::Text(text)) => mark.suspect = text,
            ("text", Cell::Text(text)) => mark.text = text,
            ("evidence", Cell::Text(text)) => mark.evidence = text,
            ("protocol", Cell::Text(text)) => mark.protocol = text,
            ("operation", Cell::Text(text)) => mark.operation = text,
            ("metric", Cell::Text(text)) => mark.metric = text,
            ("component", Cell::Text(text)) => mark.component = text,
            ("p_value", Cell::Text(text)) => mark.p_value = text,
            _ => {}
        }
    }
    if let (Some(ip), Some(port)) = (ip, port) {
        mark.server = Endpoint(ip, port).to_string();
    }
    mark
}
