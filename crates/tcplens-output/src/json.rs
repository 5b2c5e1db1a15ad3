//! JSON documents that are no records (RFC 8259): objects and arrays one within another, names and texts escaped. Records
//! are `jsonl`'s, which is made for speed.

use std::fmt::{Display, Write};

use tcplens_core::time::{Span, Timestamp};

use crate::digits;
use crate::rfc3339::{self, Rfc3339};

/// A document in the making. Values stand where they are written; who opens something closes it.
#[derive(Clone, Debug, Default)]
pub struct Json {
    text: String,
    /// Something stands before the next value that is no opening bracket and no name.
    is_next: bool,
}

impl Json {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Json {
        Json::default()
    }

    /// Begins an object, or an array.
    pub fn open(&mut self, bracket: char) -> &mut Json {
        self.value(bracket);
        self.is_next = false;
        self
    }

    /// Ends it.
    pub fn close(&mut self, bracket: char) -> &mut Json {
        self.text.push(bracket);
        self.is_next = true;
        self
    }

    /// The name of the value that comes next.
    pub fn name(&mut self, name: &str) -> &mut Json {
        self.string(name);
        self.text.push(':');
        self.is_next = false;
        self
    }

    /// A number.
    pub fn number(&mut self, value: impl Into<u128>) -> &mut Json {
        self.value(value.into())
    }

    /// A number that may be negative.
    pub fn integer(&mut self, value: i64) -> &mut Json {
        self.value(value)
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, json: &str) -> &mut Json {
        self.value(json)
    }

    /// What is not known is `null`, for a reader that looks for the name.
    pub fn or_null(&mut self, value: Option<u64>) -> &mut Json {
        match value {
            Some(value) => self.number(value),
            None => self.value("null"),
        }
    }

    /// Microseconds, with up to three decimals.
    pub fn micros(&mut self, span: Span) -> &mut Json {
        let mut digits = Default::default();
        let length = digits::micros(&mut digits, span);
        let text = digits.get(..length).unwrap_or_default();
        self.value(String::from_utf8_lossy(text))
    }

    /// A truth.
    pub fn flag(&mut self, value: bool) -> &mut Json {
        self.value(value)
    }

    /// A point in time.
    pub fn time(&mut self, at: Timestamp) -> &mut Json {
        let mut text = [0; rfc3339::LENGTH];
        Rfc3339::default().write(&mut text, at);
        self.string(&String::from_utf8_lossy(&text))
    }

    /// A text.
    pub fn string(&mut self, text: &str) -> &mut Json {
        self.value('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                control if control < ' ' => {
                    // Writing to a String cannot fail.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(control));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
        self
    }

    /// The document so far.
    #[must_use]
    pub fn into_string(self) -> String {
        self.text
    }

    fn value(&mut self, value: impl Display) -> &mut Json {
        if self.is_next {
            self.text.push(',');
        }
        self.is_next = true;
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{value}");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_escaped_and_commas_stand_between() {
        let mut json = Json::new();
        json.open('{').name("a\"\\\n\u{1}é").open('[');
        json.number(1_u64).or_null(None).string("x\ty").close(']');
        json.name("b").open('{').close('}').name("c");
        json.micros(Span::from_ns(1500)).close('}');
        assert_eq!(
            json.into_string(),
            "{\"a\\\"\\\\\\n\\u0001é\":[1,null,\"x\\ty\"],\"b\":{},\"c\":1.5}"
        );
    }
}
