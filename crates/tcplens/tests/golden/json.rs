//! As much of JSON as records and statistics have: numbers keep their text, so that none loses a digit.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A whole document.
    pub(crate) fn of(text: &str) -> Json {
        let mut reader = Reader(text.trim().chars().collect(), 0);
        let value = reader.value();
        assert_eq!(reader.1, reader.0.len(), "more behind the value: {text}");
        value
    }

    /// The field of that name; null if there is none.
    pub(crate) fn at(&self, name: &str) -> &Json {
        let Json::Object(fields) = self else {
            return &Json::Null;
        };
        let field = fields.iter().find(|(key, _)| key == name);
        field.map_or(&Json::Null, |(_, value)| value)
    }

    /// A field as it is written, without quotes; empty if it is absent.
    pub(crate) fn word(&self, name: &str) -> String {
        match self.at(name) {
            Json::Null => String::new(),
            Json::Bool(value) => value.to_string(),
            Json::Number(text) | Json::Text(text) => text.clone(),
            other => panic!("{name} is no single value: {other:?}"),
        }
    }

    /// A number, rounded to whole ones of its unit's thousandth: ns of a field in µs.
    pub(crate) fn thousandths(&self, name: &str) -> Option<i64> {
        let Json::Number(text) = self.at(name) else {
            return None;
        };
        Some((text.parse::<f64>().unwrap() * 1000.0).round() as i64)
    }

    pub(crate) fn list(&self) -> &[Json] {
        match self {
            Json::List(values) => values,
            other => panic!("no list: {other:?}"),
        }
    }

    pub(crate) fn keys(&self) -> Vec<&str> {
        match self {
            Json::Object(fields) => fields.iter().map(|(key, _)| key.as_str()).collect(),
            other => panic!("no object: {other:?}"),
        }
    }
}

struct Reader(Vec<char>, usize);

impl Reader {
    fn peek(&mut self) -> char {
        while self.0.get(self.1).is_some_and(|c| c.is_whitespace()) {
            self.1 += 1;
        }
        self.0[self.1]
    }

    fn take(&mut self, c: char) {
        assert_eq!(self.peek(), c, "at {}", self.1);
        self.1 += 1;
    }

    /// `each` value up to the closing bracket.
    fn all(&mut self, open: char, close: char, mut each: impl FnMut(&mut Reader)) {
        self.take(open);
        while self.peek() != close {
            each(self);
            if self.peek() != close {
                self.take(',');
            }
        }
        self.take(close);
    }

    fn value(&mut self) -> Json {
        match self.peek() {
            '{' => {
                let mut fields = Vec::new();
                self.all('{', '}', |reader| {
                    let key = reader.text();
                    reader.take(':');
                    fields.push((key, reader.value()));
                });
                Json::Object(fields)
            }
            '[' => {
                let mut values = Vec::new();
                self.all('[', ']', |reader| values.push(reader.value()));
                Json::List(values)
            }
            '"' => Json::Text(self.text()),
            _ => {
                let from = self.1;
                let is_plain = |c: &char| c.is_ascii_alphanumeric() || "+-.".contains(*c);
                while self.0.get(self.1).is_some_and(is_plain) {
                    self.1 += 1;
                }
                let word: String = self.0[from..self.1].iter().collect();
                match word.as_str() {
                    "null" => Json::Null,
                    "true" | "false" => Json::Bool(word == "true"),
                    _ => {
                        assert!(word.parse::<f64>().is_ok(), "no value: {word:?}");
                        Json::Number(word)
                    }
                }
            }
        }
    }

    fn text(&mut self) -> String {
        self.take('"');
        let mut text = String::new();
        loop {
            let c = self.0[self.1];
            self.1 += 1;
            match c {
                '"' => return text,
                '\\' => {
                    let c = self.0[self.1];
                    self.1 += 1;
                    text.push(match c {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'u' => {
                            let digits: String = self.0[self.1..self.1 + 4].iter().collect();
                            self.1 += 4;
                            char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
                        }
                        other => other,
                    });
                }
                c => text.push(c),
            }
        }
    }
}
