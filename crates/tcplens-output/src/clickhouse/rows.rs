//! Rows of a query's result, typed as the server says: the format TSVWithNamesAndTypes.
//!
//! ClickHouse has no type for some of what records have (docs/clickhouse.md): a whole number of a column that is called like a
//! record's field of time, or `first`, `last`, `newest`, `day`, is a time in ns since 1970; a byte of a column called like a flag is
//! one; an array of pairs that begin with a text is a map.
//!
//! Normative: <https://clickhouse.com/docs/en/interfaces/formats#tabseparated>.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use tcplens_core::time::Timestamp;

use super::schema::TABLES;
use crate::answer::{Column, Kind, Value};

/// What a query is asked to answer in.
pub const FORMAT: &str = "TabSeparatedWithNamesAndTypes";

/// Names that queries which come along give to times.
const TIMES: &[&str] = &["first", "last", "newest", "day"];

/// A result as it comes: one row in memory.
#[derive(Debug)]
pub struct Rows<R> {
    from: BufReader<R>,
    columns: Vec<Column>,
    types: Vec<Type>,
    line: Vec<u8>,
}

/// How values of a column are written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Type {
    Integer,
    Decimal,
    Float,
    /// A number of ns since 1970.
    Nanos,
    /// `2026-11-22 10:00:00`, with decimals or without, UTC.
    Time,
    Flag,
    Text,
    List(Box<Type>),
    /// What it begins with is a name.
    Pair(Box<Type>),
}

impl Type {
    fn of(name: &str, text: &str) -> Type {
        let text = bare(text);
        let inside = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix(')');
        if let Some(of) = inside("Array(") {
            return Type::List(Box::new(Type::of("", of)));
        }
        if let Some(pair) = inside("Tuple(")
            && let Some((first, second)) = pair.split_once(", ")
            && bare(first) == "String"
            && !second.contains(", ")
        {
            return Type::Pair(Box::new(Type::of("", second)));
        }
        match text {
            "Int64" if is_field(name, "time") || TIMES.contains(&name) => Type::Nanos,
            "UInt8" if is_field(name, "flag") => Type::Flag,
            "Bool" => Type::Flag,
            "DateTime('UTC')" => Type::Time,
            _ if text.starts_with("Int") || text.starts_with("UInt") => Type::Integer,
            _ if text.starts_with("Decimal") => Type::Decimal,
            _ if text.starts_with("Float") => Type::Float,
            _ if text.starts_with("DateTime64(") && text.ends_with("'UTC')") => Type::Time,
            // Also dates, and times of a zone that is not named: as the server writes them.
            _ => Type::Text,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Type::Integer | Type::Decimal | Type::Float => Kind::Number,
            Type::Nanos | Type::Time => Kind::Time,
            Type::Flag => Kind::Flag,
            Type::Text => Kind::Text,
            Type::List(_) | Type::Pair(_) => Kind::List,
        }
    }

    /// `None`: it is not written as the type says.
    fn value(&self, text: &str) -> Option<Value> {
        Some(match self {
            Type::Integer => Value::Integer(text.parse().ok()?),
            Type::Decimal => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                Value::Decimal {
                    unscaled: format!("{whole}{fraction}").parse().ok()?,
                    scale: u8::try_from(fraction.len()).ok()?,
                }
            }
            Type::Float => Value::Float(text.parse().ok()?),
            Type::Nanos => Value::Time(Timestamp(text.parse().ok()?)),
            Type::Time => Value::Time(time(text)?),
            Type::Flag => Value::Flag(matches!(text, "1" | "true")),
            Type::Text => Value::Text(text.to_owned()),
            Type::List(of) => list(of, text)?,
            Type::Pair(_) => return None,
        })
    }
}

/// Without what says how it is stored.
fn bare(text: &str) -> &str {
    for prefix in ["Nullable(", "LowCardinality("] {
        if let Some(inner) = text.strip_prefix(prefix)
            && let Some(inner) = inner.strip_suffix(')')
        {
            return bare(inner);
        }
    }
    text
}

fn is_field(name: &str, kind: &str) -> bool {
    TABLES.iter().any(|table| {
        let fields = table.fields();
        fields
            .iter()
            .any(|field| field.name == name && field.kind == kind)
    })
}

/// `2026-11-22 10:00:00.5`.
fn time(text: &str) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let at = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    i64::try_from(at.as_nanosecond()).ok().map(Timestamp)
}

/// `[1,NULL]`, `['a','b']`, `[('a',1)]`.
fn list(of: &Type, text: &str) -> Option<Value> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?;
    let (mut values, mut pairs) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        match of {
            Type::Pair(second) => {
                let (name, after) = element(rest.strip_prefix('(')?)?;
                let (value, after) = element(after.strip_prefix(',')?)?;
                rest = after.strip_prefix(')')?;
                pairs.push((name, second.value(&value)?));
            }
            _ => {
                let (value, after) = element(rest)?;
                let is_null = rest.starts_with("NULL");
                rest = after;
                values.push(match is_null {
                    true => Value::Absent,
                    false => of.value(&value)?,
                });
            }
        }
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(match of {
        Type::Pair(_) => Value::Map(pairs),
        _ => Value::List(values),
    })
}

/// The element that a text begins with, and what is behind it.
fn element(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let mut depth = 0;
        let end = text.find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth < 0 || (depth == 0 && matches!(c, ',' | ')'))
        });
        let (element, rest) = text.split_at(end.unwrap_or(text.len()));
        return Some((element.to_owned(), rest));
    };
    let mut is_escaped = false;
    let end = quoted.find(|c| {
        let is_end = c == '\'' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    Some((unescaped(&quoted[..end]), &quoted[end + 1..]))
}

fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            },
            letter => letter,
        });
    }
    out
}

fn strange(what: &str) -> io::Error {
    let why = format!(
        "the server's answer is not in the format that was asked for ({what}); leave FORMAT out of the query"
    );
    io::Error::new(ErrorKind::InvalidData, why)
}

impl<R: Read> Rows<R> {
    /// Reads names and types.
    ///
    /// # Errors
    /// The answer ends, or is another format.
    pub fn new(from: R) -> io::Result<Rows<R>> {
        let mut rows = Rows {
            from: BufReader::with_capacity(64 * 1024, from),
            columns: Vec::new(),
            types: Vec::new(),
            line: Vec::new(),
        };
        if !rows.next_line()? {
            // What has no result (CREATE, INSERT) says nothing.
            return Ok(rows);
        }
        let names: Vec<_> = rows.fields().map(unescaped).collect();
        if !rows.next_line()? {
            return Err(strange("no types"));
        }
        let types: Vec<_> = rows.fields().map(unescaped).collect();
        if names.len() != types.len() {
            return Err(strange("names and types differ in number"));
        }
        let types = names
            .iter()
            .zip(&types)
            .map(|(name, of)| Type::of(name, of));
        rows.types = types.collect();
        let columns = names.into_iter().zip(&rows.types);
        rows.columns = columns
            .map(|(name, of)| Column::new(name, of.kind()))
            .collect();
        Ok(rows)
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next row in place of the last; `false`: there is none.
    ///
    /// # Errors
    /// The answer ends within a row, or is not what was said of it.
    pub fn next_row(&mut self, row: &mut Vec<Value>) -> io::Result<bool> {
        row.clear();
        if self.types.is_empty() || !self.next_line()? {
            return Ok(false);
        }
        let line = String::from_utf8_lossy(&self.line);
        let mut fields = line.split('\t');
        for (of, column) in self.types.iter().zip(&self.columns) {
            let text = fields.next().ok_or_else(|| strange("a row is short"))?;
            row.push(match (text, of) {
                ("\\N", _) => Value::Absent,
                (text, Type::List(_)) => of
                    .value(text)
                    .unwrap_or_else(|| Value::Text(text.to_owned())),
                (text, _) => of
                    .value(&unescaped(text))
                    .ok_or_else(|| strange(&format!("{text:?} in column {}", column.name)))?,
            });
        }
        match fields.next() {
            None => Ok(true),
            Some(_) => Err(strange("a row is long")),
        }
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        std::str::from_utf8(&self.line)
            .unwrap_or_default()
            .split('\t')
    }

    /// A whole line, without its end.
    fn next_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.from.read_until(b'\n', &mut self.line)?;
        match self.line.pop() {
            None => Ok(false),
            Some(b'\n') => Ok(true),
            Some(_) => Err(strange("it ends within a line")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tcplens_core::time::SECOND;

    use super::*;

    fn all(text: &str) -> io::Result<(Vec<Column>, Vec<Vec<Value>>)> {
        let mut rows = Rows::new(text.as_bytes())?;
        let (mut row, mut found) = (Vec::new(), Vec::new());
        while rows.next_row(&mut row)? {
            found.push(row.clone());
        }
        Ok((rows.columns().to_vec(), found))
    }

    #[test]
    fn values_are_what_the_types_and_names_say() {
        let names = "time\thost\tn\ttotal_us\tshare\tcut\tat\tns\tlimit_hits\td";
        let types = "Int64\tLowCardinality(String)\tUInt64\tNullable(Decimal(38, 3))\tFloat64\tNullable(UInt8)\t\
                     DateTime(\\'UTC\\')\tArray(Nullable(Int64))\tArray(Tuple(String, Int64))\tDate";
        let rows = "1\ta\\tb\t12\t-0.500\t1.5\t1\t1970-01-01 00:00:01\t[1,NULL]\t[('o\\'s',3),('x',4)]\t2026-01-01\n\
                    2\t\\N\t0\t\\N\tnan\t\\N\t\\N\t[]\t[]\t2026-01-02\n";
        let (columns, rows) = all(&format!("{names}\n{types}\n{rows}")).unwrap();
        let kinds: Vec<_> = columns.iter().map(|column| column.kind).collect();
        use Kind::{Flag, List, Number, Text, Time};
        let expected = [
            Time, Text, Number, Number, Number, Flag, Time, List, List, Text,
        ];
        assert_eq!(kinds, expected);
        let first = vec![
            Value::Time(Timestamp(1)),
            Value::Text("a\tb".into()),
            Value::Integer(12),
            Value::Decimal {
                unscaled: -500,
                scale: 3,
            },
            Value::Float(1.5),
            Value::Flag(true),
            Value::Time(Timestamp(SECOND)),
            Value::List(vec![Value::Integer(1), Value::Absent]),
            Value::Map(vec![
                ("o's".into(), Value::Integer(3)),
                ("x".into(), Value::Integer(4)),
            ]),
            Value::Text("2026-01-01".into()),
        ];
        assert_eq!(rows[0], first);
        assert_eq!(rows[1][1], Value::Absent);
        assert!(rows[1].iter().filter(|value| value.is_absent()).count() >= 5);
    }

    #[test]
    fn other_formats_and_cut_answers_are_errors() {
        assert_eq!(all("").unwrap(), (Vec::new(), Vec::new()));
        for text in [
            "{\"a\":1}",
            "a\n",
            "a\nInt64\n1",
            "a\nInt64\nx\n",
            "a\nInt64\n1\t2\n",
            "a\tb\nInt64\n",
        ] {
            let error = all(text).unwrap_err().to_string();
            assert!(
                error.contains("leave FORMAT out of the query"),
                "{text:?}: {error}"
            );
        }
    }
}
