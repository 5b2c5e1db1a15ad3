//! A walk over the elements of a BSON document (bsonspec.org, version 1.1), top level only: what is nested is stepped
//! over by its length. A document may be cut: the walk ends with the first element that is not all there.

/// One element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) kind: u8,
    pub(super) key: &'a [u8],
    /// All of it, or for what has a length the part that is there.
    value: &'a [u8],
}

/// Walks the elements of a document, which begins with its length.
pub(super) struct Elements<'a> {
    rest: &'a [u8],
}

/// Types of elements.
mod kind {
    pub(super) const DOUBLE: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const DOCUMENT: u8 = 0x03;
    pub(super) const ARRAY: u8 = 0x04;
    pub(super) const BOOLEAN: u8 = 0x08;
    pub(super) const INT32: u8 = 0x10;
    pub(super) const INT64: u8 = 0x12;
}

pub(super) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(i32::from_le_bytes(*bytes))
}

/// The length at `at`, if it is one.
pub(super) fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(i32_at(bytes, at)?).ok()
}

/// A string up to a NUL, and what follows the NUL.
pub(super) fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (string, rest) = bytes.split_at(end);
    Some((string, rest.get(1..)?))
}

/// The elements of the document at the front.
pub(super) fn elements(document: &[u8]) -> Elements<'_> {
    let length = length_at(document, 0).unwrap_or_default();
    let there = document.get(..length).unwrap_or(document);
    Elements {
        rest: there.get(4..).unwrap_or_default(),
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (&kind, rest) = self.rest.split_first().filter(|(kind, _)| **kind != 0)?;
        let (key, rest) = string(rest)?;
        let length = length(kind, rest)?;
        let value = rest.get(..length).unwrap_or(rest);
        let is_nested = matches!(kind, kind::DOCUMENT | kind::ARRAY);
        if value.len() < length && !is_nested {
            self.rest = &[];
            return None;
        }
        self.rest = rest.get(length..).unwrap_or_default();
        Some(Element { kind, key, value })
    }
}

/// Length of a value.
fn length(kind: u8, value: &[u8]) -> Option<usize> {
    let counted = |fixed: usize| length_at(value, 0)?.checked_add(fixed);
    Some(match kind {
        kind::DOUBLE | 0x09 | 0x11 | kind::INT64 => 8,
        // String, code, symbol.
        kind::STRING | 0x0d | 0x0e => counted(4)?,
        // Document, array, code with scope: their length contains itself.
        kind::DOCUMENT | kind::ARRAY | 0x0f => counted(0).filter(|length| *length >= 5)?,
        // Binary.
        0x05 => counted(5)?,
        // Undefined, null, lowest and highest key.
        0x06 | 0x0a | 0xff | 0x7f => 0,
        // Object id.
        0x07 => 12,
        kind::BOOLEAN => 1,
        // Regular expression: two strings.
        0x0b => {
            let (_, rest) = string(value)?;
            let (_, rest) = string(rest)?;
            value.len() - rest.len()
        }
        // Pointer: a string and an object id.
        0x0c => counted(4 + 12)?,
        kind::INT32 => 4,
        // Decimal.
        0x13 => 16,
        _ => return None,
    })
}

impl<'a> Element<'a> {
    /// Its text, if it is a string.
    pub(super) fn text(&self) -> Option<&'a [u8]> {
        let text = self.value.get(4..).filter(|_| self.kind == kind::STRING)?;
        Some(text.strip_suffix(&[0]).unwrap_or(text))
    }

    /// The document or array that it is.
    pub(super) fn nested(&self) -> Option<&'a [u8]> {
        matches!(self.kind, kind::DOCUMENT | kind::ARRAY).then_some(self.value)
    }

    /// Its number as an integer, if it is a number.
    pub(super) fn number(&self) -> Option<i64> {
        Some(match self.kind {
            kind::DOUBLE => f64::from_le_bytes(*self.value.first_chunk()?) as i64,
            kind::INT32 => i64::from(i32_at(self.value, 0)?),
            kind::INT64 => i64::from_le_bytes(*self.value.first_chunk()?),
            kind::BOOLEAN => i64::from(*self.value.first()?),
            _ => return None,
        })
    }
}
