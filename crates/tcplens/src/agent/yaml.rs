//! YAML into a tree in which every key and value knows its line and column. What keys mean is not known here
//! (`keys`); scalars stay the text that was written, for the parsers of the command line read them.

use std::fmt;

use serde_core::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// Where something stands in a file, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub what: What,
}

/// The shapes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Nothing, `~` or `null`.
    Nothing,
    /// One word, number or text, as it was written.
    Text(String),
    /// `[a, b]`, or lines with `-`.
    List(Vec<Node>),
    /// Keys and their values, in the order of the file.
    Map(Vec<(Word, Node)>),
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where it begins.
    pub at: At,
    /// As it was written.
    pub text: String,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where.
    pub at: At,
    /// What was tried, why it failed, what to write.
    pub message: String,
}

/// Reads a file of one document.
///
/// # Errors
/// It is no YAML, and from where on.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    // The file belongs to the one who runs the program; what an alias may multiply is bounded by the library.
    // What is there twice is told below, with both places.
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
    };
    let tree: Tree = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map_or(At { line: 1, column: 1 }, At::from);
        let message = error.without_snippet().to_string();
        // The place comes first here, not last.
        let message = message.split(" at line ").next().unwrap_or_default();
        Problem {
            at,
            message: format!("cannot read it as YAML: {message}"),
        }
    })?;
    let tree = tree.node(text);
    match tree.twice() {
        Some(problem) => Err(problem),
        None => Ok(tree),
    }
}

impl From<Location> for At {
    fn from(location: Location) -> At {
        At {
            line: location.line(),
            column: location.column(),
        }
    }
}

impl Node {
    /// A key that is there twice among those beside it.
    fn twice(&self) -> Option<Problem> {
        match &self.what {
            What::Nothing | What::Text(_) => None,
            What::List(items) => items.iter().find_map(Node::twice),
            What::Map(entries) => entries.iter().enumerate().find_map(|(n, (word, node))| {
                let mut before = entries.iter().take(n).map(|(before, _)| before);
                let Some(first) = before.find(|before| before.text == word.text) else {
                    return node.twice();
                };
                Some(Problem {
                    at: word.at,
                    message: format!(
                        "the key {} is there twice: in line {} already; make one of the two",
                        word.text, first.at.line
                    ),
                })
            }),
        }
    }

    /// What it is, for messages.
    pub(crate) fn noun(&self) -> &'static str {
        match self.what {
            What::Nothing => "nothing",
            What::Text(_) => "a single value",
            What::List(_) => "a list",
            What::Map(_) => "keys and values",
        }
    }
}

impl What {
    /// All of it in one line, without places: equal if it says the same.
    pub(crate) fn text(&self) -> String {
        match self {
            What::Nothing => "~".to_owned(),
            What::Text(text) => format!("{text:?}"),
            What::List(items) => {
                let items: Vec<_> = items.iter().map(|item| item.what.text()).collect();
                format!("[{}]", items.join(", "))
            }
            What::Map(entries) => {
                let entry =
                    |(word, node): &(Word, Node)| format!("{}: {}", word.text, node.what.text());
                let entries: Vec<_> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }
}

/// A value as the library reads it.
struct Tree(Spanned<Shape>);

enum Shape {
    Nothing,
    Text(String),
    /// A number or boolean: its text is in the file, where `1.10` is not 1.1.
    Plain(String),
    List(Vec<Tree>),
    Map(Vec<(Spanned<String>, Tree)>),
}

impl Tree {
    fn node(self, text: &str) -> Node {
        let Spanned {
            value,
            referenced,
            defined,
            ..
        } = self.0;
        let what = match value {
            Shape::Nothing => What::Nothing,
            Shape::Text(value) => What::Text(value),
            Shape::Plain(value) => What::Text(written(text, defined).unwrap_or(value)),
            Shape::List(items) => {
                What::List(items.into_iter().map(|item| item.node(text)).collect())
            }
            Shape::Map(entries) => What::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let word = Word {
                            at: key.referenced.into(),
                            text: key.value,
                        };
                        (word, value.node(text))
                    })
                    .collect(),
            ),
        };
        Node {
            at: referenced.into(),
            what,
        }
    }
}

/// What was written at a place.
fn written(text: &str, at: Location) -> Option<String> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    let written = text.get(start..start.checked_add(length)?)?.trim();
    (!written.is_empty()).then(|| written.to_owned())
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Tree)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list, or keys and values")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        Ok(Shape::Plain(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Shape, E> {
        Ok(Shape::Plain(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Shape, E> {
        Ok(Shape::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        Ok(Shape::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        Shape::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Shape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Shape::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        let At { line, column } = node.at;
        let inner = match &node.what {
            What::Nothing => "~".to_owned(),
            What::Text(text) => text.clone(),
            What::List(items) => {
                let items: Vec<_> = items.iter().map(show).collect();
                format!("[{}]", items.join(" "))
            }
            What::Map(entries) => {
                let entry = |(key, value): &(Word, Node)| {
                    let At { line, column } = key.at;
                    format!("{line}:{column} {}={}", key.text, show(value))
                };
                let entries: Vec<_> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(" "))
            }
        };
        format!("{line}:{column} {inner}")
    }

    #[test]
    fn every_key_and_value_knows_its_place_and_keeps_its_text() {
        for (text, expected) in [
            ("a: 1.10\n", "1:1 {1:1 a=1:4 1.10}"),
            (
                "a:\n  - 0x50\n  - 'q'\n",
                "1:1 {1:1 a=2:3 [2:5 0x50 3:5 q]}",
            ),
            (
                "# x\na: [yes, 1e3 , true]\n",
                "2:1 {2:1 a=2:4 [2:5 yes 2:10 1e3 2:16 true]}",
            ),
            (
                "a: 10.0.0.1:80\nb: 007\n",
                "1:1 {1:1 a=1:4 10.0.0.1:80 2:1 b=2:4 007}",
            ),
            (
                "80: {b: é, c: d}\n",
                "1:1 {1:1 80=1:5 {1:6 b=1:9 é 1:12 c=1:15 d}}",
            ),
            ("a: &x 5\nb: *x\n", "1:1 {1:1 a=1:7 5 2:1 b=2:4 5}"),
        ] {
            assert_eq!(parse(text).map(|node| show(&node)).as_deref(), Ok(expected));
        }
        let nothing = parse("a:\n").map(|node| node.what);
        assert!(
            matches!(&nothing, Ok(What::Map(map)) if map[0].1.what == What::Nothing),
            "{nothing:?}"
        );
    }

    #[test]
    fn a_key_that_is_there_twice_is_told_with_both_places() {
        for (text, line, before) in [
            ("a: 1\nb: 2\na: 3\n", 3, 1),
            ("x:\n  - a: 1\n  - b: 1\n    c: 2\n    b: 3\n", 5, 3),
        ] {
            let problem = parse(text).unwrap_err();
            let key = if before == 1 { "a" } else { "b" };
            assert_eq!(problem.at.line, line);
            let said = format!(
                "the key {key} is there twice: in line {before} already; make one of the two"
            );
            assert_eq!(problem.message, said);
        }
        // Of other places it is another one.
        assert!(parse("a: {b: 1}\nc: {b: 1}\n").is_ok());
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        for (text, line) in [
            ("a: [1, 2\nb: 3\n", 2),
            ("a: 1\n\tb: 2\n", 2),
            ("a: 'x\n", 2),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.at.line.abs_diff(line) <= 1, "{text:?} {problem:?}");
            assert!(problem.message.starts_with("cannot read it as YAML: "));
        }
    }
}
