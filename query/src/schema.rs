//! Columns of a table, from the declarations of the record kind: `host`, then its fields as Parquet files have them (see
//! `tcplens_output::parquet`); then `date`, which directories have. Files with fewer columns are read all the same.

use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DataType, Field as Column, Fields, Schema, SchemaRef, TimeUnit,
};
use tcplens_core::record::{
    Connection, Field, Finding, Handshake, Health, Record, Request, Rollup, Socket,
};
use tcplens_output::store::StoreKind;

/// The column that directories have.
pub(crate) const DATE: &str = "date";
/// The column that says which host it is from.
pub(crate) const HOST: &str = "host";

/// The fields of a record kind.
pub(crate) fn fields(kind: StoreKind) -> Vec<&'static Field> {
    let mut fields = Vec::new();
    let mut each = |field: &'static Field| fields.push(field);
    match kind {
        StoreKind::Handshake => Handshake::fields(&mut each),
        StoreKind::Request => Request::fields(&mut each),
        StoreKind::Connection => Connection::fields(&mut each),
        StoreKind::Socket => Socket::fields(&mut each),
        StoreKind::Finding => Finding::fields(&mut each),
        StoreKind::Health => Health::fields(&mut each),
        StoreKind::Rollup => Rollup::fields(&mut each),
    }
    fields
}

/// Columns of the files of a kind.
pub(crate) fn of_files(kind: StoreKind) -> SchemaRef {
    let host = Column::new(HOST, DataType::Utf8View, true);
    let fields = fields(kind);
    let columns = fields
        .iter()
        .map(|field| Column::new(field.name, data_type(field), true));
    Arc::new(Schema::new(
        std::iter::once(host).chain(columns).collect::<Vec<_>>(),
    ))
}

fn data_type(field: &Field) -> DataType {
    let number = |name: &str| Column::new(name, DataType::Int64, true);
    match field.kind {
        "span" => DataType::Decimal128(18, 3),
        "time" => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        "flag" => DataType::Boolean,
        "count" => DataType::Int64,
        "counts" => {
            let pair = vec![Column::new("key", DataType::Utf8, false), number("value")];
            let pair = Column::new("key_value", DataType::Struct(pair.into()), false);
            DataType::Map(Arc::new(pair), false)
        }
        "list" => DataType::List(Arc::new(number("element"))),
        "frames" => {
            let frame = ["threshold_bytes", "bytes", "us"].map(number);
            let frame = DataType::Struct(Fields::from(frame.to_vec()));
            DataType::List(Arc::new(Column::new("element", frame, false)))
        }
        // Addresses, words, text, ids.
        _ => DataType::Utf8View,
    }
}

/// What a column is called in SQL's words, for people.
pub(crate) fn type_word(field: &Field) -> &'static str {
    match field.kind {
        "span" => "decimal(18,3)",
        "time" => "timestamp",
        "flag" => "boolean",
        "count" => "bigint",
        "counts" => "map of bigint",
        "list" => "list of bigint",
        "frames" => "list of struct",
        _ => "text",
    }
}
