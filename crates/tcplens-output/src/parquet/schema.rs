//! A record kind as a Parquet schema, and how each of its columns is encoded.

use std::sync::Arc;

use ::parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical,
    ZstdLevel,
};
use ::parquet::errors::Result;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::{ColumnPath, Type, TypePtr};
use tcplens_core::record::{Field, Record, SCHEMA_VERSION};

/// Decimals of a span in microseconds.
const SCALE: i32 = 3;
/// Digits of the largest that 64 bits hold in every engine.
const PRECISION: i32 = 18;
/// Bytes of a dictionary of counts; beyond, differences are shorter.
const NUMBERS: usize = 16 * 1024;
/// Bytes of a dictionary of durations: the same ones come again for long. Measured on requests (examples/parquet.rs): 15.7
/// bytes each in place of 19.0 with 16 KiB and 22.1 without.
const SPANS: usize = 64 * 1024;
/// Bytes of a dictionary of texts.
pub(super) const TEXTS: usize = 256 * 1024;
/// Of zstd; chosen by measuring: higher ones cost more time than they save bytes.
pub(super) const LEVEL: i32 = 1;

/// The column with whose records these are.
pub(super) const HOST: &str = "host";

/// The schema of a kind; `is_hosted`: the first column is [`HOST`].
pub(super) fn of<R: Record>(is_hosted: bool) -> Result<TypePtr> {
    let mut columns = Vec::from_iter(is_hosted.then(|| text(HOST, Repetition::OPTIONAL)));
    R::fields(&mut |field| columns.push(column(field)));
    let columns = columns.into_iter().collect::<Result<Vec<_>>>()?;
    let schema = Type::group_type_builder(R::KIND).with_fields(columns);
    Ok(Arc::new(schema.build()?))
}

/// One field.
fn column(field: &Field) -> Result<TypePtr> {
    let name = field.name;
    match field.kind {
        "span" => leaf(name, Physical::INT64, |leaf| {
            leaf.with_logical_type(Some(LogicalType::decimal(SCALE, PRECISION)))
                .with_precision(PRECISION)
                .with_scale(SCALE)
        }),
        "time" => leaf(name, Physical::INT64, |leaf| {
            leaf.with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::NANOS)))
        }),
        "flag" => leaf(name, Physical::BOOLEAN, |leaf| leaf),
        "count" => number(name),
        "counts" => {
            let pair = Type::group_type_builder("key_value")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![text("key", Repetition::REQUIRED)?, number("value")?]);
            let map = Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::Map))
                .with_converted_type(ConvertedType::MAP)
                .with_fields(vec![Arc::new(pair.build()?)]);
            Ok(Arc::new(map.build()?))
        }
        "list" => list(name, number("element")?),
        "frames" => {
            let frame = Type::group_type_builder("element")
                .with_repetition(Repetition::REQUIRED)
                .with_fields(vec![
                    number("threshold_bytes")?,
                    number("bytes")?,
                    number("us")?,
                ]);
            list(name, Arc::new(frame.build()?))
        }
        // Addresses, words, text, ids.
        _ => text(name, Repetition::OPTIONAL),
    }
}

fn number(name: &str) -> Result<TypePtr> {
    leaf(name, Physical::INT64, |leaf| leaf)
}

fn text(name: &str, repetition: Repetition) -> Result<TypePtr> {
    leaf(name, Physical::BYTE_ARRAY, |leaf| {
        leaf.with_repetition(repetition)
            .with_logical_type(Some(LogicalType::String))
            .with_converted_type(ConvertedType::UTF8)
    })
}

type Leaf<'a> = ::parquet::schema::types::PrimitiveTypeBuilder<'a>;

fn leaf(
    name: &str,
    physical: Physical,
    more: impl FnOnce(Leaf<'_>) -> Leaf<'_>,
) -> Result<TypePtr> {
    let leaf = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    Ok(Arc::new(more(leaf).build()?))
}

fn list(name: &str, element: TypePtr) -> Result<TypePtr> {
    let repeated = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![element]);
    let list = Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_converted_type(ConvertedType::LIST)
        .with_fields(vec![Arc::new(repeated.build()?)]);
    Ok(Arc::new(list.build()?))
}

/// How the columns of a kind are written. A dictionary first, for most columns have few values; where one has many, numbers
/// go on as differences and texts as they are. What only grows (times, packet numbers) begins with differences.
pub(super) fn properties<R: Record>(is_hosted: bool) -> Result<WriterProperties> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("tcplens {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![
            pair("kind", R::KIND.to_owned()),
            pair("schema_version", SCHEMA_VERSION.to_string()),
            pair("tcplens_version", env!("CARGO_PKG_VERSION").to_owned()),
        ]))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_dictionary_page_size_limit(NUMBERS);
    if is_hosted {
        // By which engines leave groups out.
        builder =
            builder.set_column_statistics_enabled(ColumnPath::from(HOST), EnabledStatistics::Chunk);
    }
    R::fields(&mut |field| {
        let path = || ColumnPath::from(field.name);
        let mut next = std::mem::take(&mut builder);
        next = match field.kind {
            "time" => next
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
                // Least and largest of a group, by which engines leave groups out. Of all columns they would take a third of
                // the time.
                .set_column_statistics_enabled(path(), EnabledStatistics::Chunk),
            "count" => next
                .set_column_dictionary_enabled(path(), !field.name.ends_with("_frame"))
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED),
            "span" => next
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
                .set_column_dictionary_page_size_limit(path(), SPANS),
            "text" | "id" | "ip" | "word" => next
                .set_column_encoding(path(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_dictionary_page_size_limit(path(), TEXTS),
            _ => next,
        };
        builder = next;
    });
    Ok(builder.build())
}
