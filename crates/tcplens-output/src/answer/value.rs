//! Columns and values of a query's result, whichever engine they come from.

use tcplens_core::time::Timestamp;

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the query gives it. A unit at its end (`_us`, `_ns`, `_bytes`, `_percent`) is what text shows it in.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

impl Column {
    /// A column.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Column {
        Column {
            name: name.into(),
            kind,
        }
    }
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers, decimals, floating point.
    Number,
    /// Points in time.
    Time,
    /// True or false.
    Flag,
    /// Words, addresses, dates, and whatever has no kind of its own.
    Text,
    /// Lists and maps.
    List,
}

/// One value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// There is none (NULL): missing is not zero.
    #[default]
    Absent,
    /// A whole number.
    Integer(i128),
    /// An exact decimal: `unscaled / 10^scale`.
    Decimal {
        /// Its digits.
        unscaled: i128,
        /// How many of them are decimals; at most 38.
        scale: u8,
    },
    /// A floating-point number; what is not finite is absent in every format.
    Float(f64),
    /// A point in time.
    Time(Timestamp),
    /// True or false.
    Flag(bool),
    /// A text.
    Text(String),
    /// Values one after the other; an empty list is absent in machine formats, as in records.
    List(Vec<Value>),
    /// Values by name: maps and structs.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// As a floating-point number, if it is a number: for plots.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match *self {
            // Plots have no more digits than f64 keeps.
            Value::Integer(value) => Some(value as f64),
            Value::Decimal { unscaled, scale } => Some(unscaled as f64 / 10_f64.powi(scale.into())),
            Value::Float(value) => value.is_finite().then_some(value),
            Value::Absent
            | Value::Time(_)
            | Value::Flag(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => None,
        }
    }

    /// Whether machine formats have nothing to show.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Value::Absent => true,
            Value::Float(value) => !value.is_finite(),
            Value::List(values) => values.is_empty(),
            Value::Map(values) => values.is_empty(),
            Value::Integer(_)
            | Value::Decimal { .. }
            | Value::Time(_)
            | Value::Flag(_)
            | Value::Text(_) => false,
        }
    }
}

/// The digits of a decimal, without trailing zeros after the point: `1234.5`, `-0.001`, `12`.
#[must_use]
pub fn decimal(unscaled: i128, scale: u8) -> String {
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::from(scale);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if unscaled < 0 { "-" } else { "" };
    match fraction {
        "" => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_no_trailing_zeros() {
        for (unscaled, scale, expected) in [
            (0, 3, "0"),
            (1, 3, "0.001"),
            (-1500, 3, "-1.5"),
            (12_000, 3, "12"),
            (120, 0, "120"),
            (i128::MAX, 38, "1.70141183460469231731687303715884105727"),
        ] {
            assert_eq!(decimal(unscaled, scale), expected);
        }
    }
}
