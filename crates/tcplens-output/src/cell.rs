//! A value of a field on its way from or to a column, whatever record it is of.

use tcplens_core::record::FirstFrame;

/// The value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Cell {
    /// Absent.
    #[default]
    None,
    /// A count; a span or a time in ns.
    Number(i64),
    /// True or false.
    Flag(bool),
    /// A text, word, address or id.
    Text(String),
    /// Counts by reason.
    Counts(Vec<(String, u64)>),
    /// Numbers.
    List(Vec<u64>),
    /// First frames.
    Frames(Vec<FirstFrame>),
}
