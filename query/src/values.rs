//! From the engine's columns to values that are printed.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use tcplens_core::time::Timestamp;
use tcplens_output::answer::{Column, Kind, Value};
use tcplens_output::store::date_text;

/// The columns of an answer.
pub(crate) fn columns(schema: &SchemaRef) -> Vec<Column> {
    let columns = schema.fields().iter();
    columns
        .map(|field| Column::new(field.name(), kind(field.data_type())))
        .collect()
}

fn kind(of: &DataType) -> Kind {
    match of {
        DataType::Boolean => Kind::Flag,
        DataType::Timestamp(..) => Kind::Time,
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Map(..)
        | DataType::Struct(_) => Kind::List,
        DataType::Dictionary(_, value) => kind(value),
        other if other.is_numeric() => Kind::Number,
        _ => Kind::Text,
    }
}

/// One value of a column.
pub(crate) fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Absent;
    }
    macro_rules! integer {
        ($type:ty) => {
            Value::Integer(array.as_primitive::<$type>().value(row).into())
        };
    }
    let decimal = |unscaled: i128, scale: i8| match u8::try_from(scale) {
        Ok(scale) => Value::Decimal { unscaled, scale },
        Err(_) => other(array, row),
    };
    match array.data_type() {
        DataType::Boolean => Value::Flag(array.as_boolean().value(row)),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(_, scale) => decimal(
            array.as_primitive::<Decimal32Type>().value(row).into(),
            *scale,
        ),
        DataType::Decimal64(_, scale) => decimal(
            array.as_primitive::<Decimal64Type>().value(row).into(),
            *scale,
        ),
        DataType::Decimal128(_, scale) => {
            decimal(array.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).to_owned()),
        DataType::Date32 => Value::Text(date_text(
            array.as_primitive::<Date32Type>().value(row).into(),
        )),
        DataType::Timestamp(unit, _) => time(array, *unit, row),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            Value::Map(
                columns
                    .map(|(field, column)| (field.name().clone(), value(column, row)))
                    .collect(),
            )
        }
        DataType::Map(..) => {
            let pairs = array.as_map().value(row);
            let (keys, values) = (pairs.column(0), pairs.column(1));
            let pairs = (0..pairs.len()).map(|n| match value(keys, n) {
                Value::Text(key) => (key, value(values, n)),
                _ => (String::new(), value(values, n)),
            });
            Value::Map(pairs.collect())
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            match dictionary.normalized_keys().get(row) {
                Some(&key) => value(dictionary.values(), key),
                None => Value::Absent,
            }
        }
        _ => other(array, row),
    }
}

/// Beyond the years that a timestamp reaches (1677 to 2262) it is text.
fn time(array: &ArrayRef, unit: TimeUnit, row: usize) -> Value {
    let ns = match unit {
        TimeUnit::Second => array
            .as_primitive::<TimestampSecondType>()
            .value(row)
            .checked_mul(1_000_000_000),
        TimeUnit::Millisecond => array
            .as_primitive::<TimestampMillisecondType>()
            .value(row)
            .checked_mul(1_000_000),
        TimeUnit::Microsecond => array
            .as_primitive::<TimestampMicrosecondType>()
            .value(row)
            .checked_mul(1000),
        TimeUnit::Nanosecond => Some(array.as_primitive::<TimestampNanosecondType>().value(row)),
    };
    match ns {
        Some(ns) => Value::Time(Timestamp(ns)),
        None => other(array, row),
    }
}

fn list(values: &ArrayRef) -> Value {
    Value::List((0..values.len()).map(|n| value(values, n)).collect())
}

/// Whatever it is, as the engine spells it.
fn other(array: &ArrayRef, row: usize) -> Value {
    match ArrayFormatter::try_new(array, &FormatOptions::default()) {
        Ok(formatter) => Value::Text(formatter.value(row).to_string()),
        Err(_) => Value::Absent,
    }
}
