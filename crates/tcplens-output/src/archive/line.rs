//! One line of an archive, byte for byte as tcp-info's Go program writes it (spec/tcp-info.md 3.4; encoding/json): keys in
//! its order and left out when empty, attributes in an array by their kind. A last key is ours: `Final`, which tcp-info's
//! readers pass over.

use tcplens_core::socket::Message;
use tcplens_core::time::Span;

use super::base64;
use super::stamp::Stamp;
use crate::digits;
use crate::rfc3339::Rfc3339;

/// Highest kind of an attribute that is written: the array has a place for each below it. tcp-info's is 38, Linux 6.18's own
/// 22.
pub const HIGHEST_KIND: u16 = 63;

/// Attributes have kinds below this.
const PLACES: usize = HIGHEST_KIND as usize + 1;

/// The first line of a segment: whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The connection.
    pub uuid: String,
    /// The segment's number; some of tcp-info's begin beyond 0.
    pub sequence: u32,
    /// When the connection was first seen.
    pub start_time: Stamp,
}

/// What is said of a connection in its last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    /// Why it ended, in the words of records; absent: not known.
    pub reason: Option<String>,
    /// From first seen to its end. What is absent here is not known, as it is where records are made archives again.
    pub duration: Option<Span>,
    /// How often it was looked at.
    pub polls: Option<u64>,
    /// How many of its snapshots were written.
    pub snapshots: Option<u64>,
}

/// What a line says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line<'a> {
    /// When; Go's zero time with metadata alone.
    pub at: Stamp,
    /// What the kernel said.
    pub message: Option<Message<'a>>,
    /// How many places the array of attributes has at least; beyond what the message needs they are null.
    pub places: usize,
    /// Whose it is.
    pub metadata: Option<&'a Metadata>,
    /// The connection is over.
    pub ended: Option<&'a Final>,
}

impl Line<'_> {
    /// Appends the line with its end, and returns how many attributes had no place in it (kinds above [`HIGHEST_KIND`]).
    pub fn write(&self, out: &mut Vec<u8>, clock: &mut Rfc3339) -> u64 {
        let mut left_out = 0;
        out.extend_from_slice(b"{\"Timestamp\":\"");
        self.at.write(out, clock);
        out.push(b'"');
        if let Some(message) = self.message {
            out.extend_from_slice(b",\"RawIDM\":\"");
            base64::encode(out, message.head());
            out.push(b'"');
            left_out = attributes(out, message, self.places);
        }
        if let Some(metadata) = self.metadata {
            metadata.write(out, clock);
        }
        if let Some(ended) = self.ended {
            ended.write(out);
        }
        out.extend_from_slice(b"}\n");
        left_out
    }
}

/// The array, unless it has no place.
fn attributes(out: &mut Vec<u8>, message: Message<'_>, places: usize) -> u64 {
    let mut values = [None; PLACES];
    let (mut left_out, mut places) = (0, places.min(PLACES));
    for (kind, value) in message.attributes() {
        match values.get_mut(usize::from(kind)) {
            // The last of a kind counts, as in tcp-info; the kernel sends one.
            Some(place) => {
                *place = Some(value);
                places = places.max(usize::from(kind) + 1);
            }
            None => left_out += 1,
        }
    }
    if places == 0 {
        return left_out;
    }
    out.extend_from_slice(b",\"Attributes\":[");
    for (n, value) in values.iter().take(places).enumerate() {
        if n > 0 {
            out.push(b',');
        }
        let Some(value) = value else {
            out.extend_from_slice(b"null");
            continue;
        };
        out.push(b'"');
        base64::encode(out, value);
        out.push(b'"');
    }
    out.push(b']');
    left_out
}

impl Metadata {
    fn write(&self, out: &mut Vec<u8>, clock: &mut Rfc3339) {
        out.extend_from_slice(b",\"Metadata\":{\"UUID\":");
        string(out, &self.uuid);
        out.extend_from_slice(b",\"Sequence\":");
        number(out, self.sequence.into());
        out.extend_from_slice(b",\"StartTime\":\"");
        self.start_time.write(out, clock);
        out.extend_from_slice(b"\"}");
    }
}

impl Final {
    /// In the manner of the other keys.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"Final\":{");
        let before = out.len();
        if let Some(reason) = &self.reason {
            out.extend_from_slice(b"\"Reason\":");
            string(out, reason);
            out.push(b',');
        }
        for (name, value) in [
            ("DurationNanoseconds", self.duration.map(Span::ns)),
            ("Polls", self.polls),
            ("Snapshots", self.snapshots),
        ] {
            if let Some(value) = value {
                out.extend_from_slice(format!("\"{name}\":").as_bytes());
                number(out, value);
                out.push(b',');
            }
        }
        if out.len() > before {
            out.pop();
        }
        out.push(b'}');
    }
}

fn number(out: &mut Vec<u8>, value: u64) {
    let mut text = [0; digits::DECIMAL];
    let length = digits::decimal(&mut text, value);
    out.extend_from_slice(&text[..length]);
}

/// A text as Go's encoder escapes it: what HTML or JavaScript could misread as well.
fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use tcplens_core::socket::message::{HEAD, push_attribute};
    use tcplens_core::time::Timestamp;

    use super::*;

    fn text(line: Line<'_>) -> String {
        let mut out = Vec::new();
        line.write(&mut out, &mut Rfc3339::default());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_as_go_writes_it() {
        let metadata = Metadata {
            uuid: "host_1795222357_unsafe_0000000000001007".into(),
            sequence: 0,
            start_time: Timestamp(1_795_223_242_384_589_048).into(),
        };
        let line = Line {
            metadata: Some(&metadata),
            ..Line::default()
        };
        let expected = r#"{"Timestamp":"0001-01-01T00:00:00Z","Metadata":{"UUID":"host_1795222357_unsafe_0000000000001007","Sequence":0,"StartTime":"2026-11-21T01:07:22.384589048Z"}}"#;
        assert_eq!(text(line), format!("{expected}\n"));

        let mut attributes = Vec::new();
        push_attribute(&mut attributes, 4, b"bbr\0");
        push_attribute(&mut attributes, 2, b"");
        push_attribute(&mut attributes, 8, &[0]);
        let head = [0; HEAD];
        let line = Line {
            at: Timestamp(1_500_000_000_100_000_000).into(),
            message: Some(Message::of(&head, &attributes)),
            ..Line::default()
        };
        let zeros = "A".repeat(96);
        let expected = format!(
            r#"{{"Timestamp":"2017-07-14T02:40:00.1Z","RawIDM":"{zeros}","Attributes":[null,null,"",null,"YmJyAA==",null,null,null,"AA=="]}}"#
        );
        assert_eq!(text(line), format!("{expected}\n"));
    }

    #[test]
    fn the_last_line_says_how_it_ended() {
        let ended = Final {
            reason: Some("fin".into()),
            duration: Some(Span::from_ns(1500)),
            polls: Some(7),
            snapshots: Some(3),
        };
        let head = [0; HEAD];
        let line = Line {
            message: Some(Message::of(&head, &[])),
            places: 1,
            ended: Some(&ended),
            ..Line::default()
        };
        let zeros = "A".repeat(96);
        let expected = format!(
            r#"{{"Timestamp":"0001-01-01T00:00:00Z","RawIDM":"{zeros}","Attributes":[null],"Final":{{"Reason":"fin","DurationNanoseconds":1500,"Polls":7,"Snapshots":3}}}}"#
        );
        assert_eq!(text(line), format!("{expected}\n"));
    }

    #[test]
    fn attributes_without_a_place_are_counted() {
        let mut attributes = Vec::new();
        push_attribute(&mut attributes, 64, b"x");
        push_attribute(&mut attributes, 0x3fff, b"x");
        let head = [0; HEAD];
        let line = Line {
            message: Some(Message::of(&head, &attributes)),
            ..Line::default()
        };
        let mut out = Vec::new();
        assert_eq!(line.write(&mut out, &mut Rfc3339::default()), 2);
        assert!(!String::from_utf8(out).unwrap().contains("Attributes"));
    }

    #[test]
    fn names_are_escaped_as_go_escapes_them() {
        let mut out = Vec::new();
        string(&mut out, "a\"\\<&>\n\u{1}\u{2028}é");
        let expected = "\"a\\\"\\\\\\u003c\\u0026\\u003e\\n\\u0001\\u2028é\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
