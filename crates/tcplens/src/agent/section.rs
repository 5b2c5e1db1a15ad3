//! Reading declared keys from a tree: every key is declared once, with its type in words, default and meaning
//! (`keys`); what is not declared is refused with the nearest that is. All problems are gathered, none ends reading.
//! What was read, defaults included, is kept as a tree: the effective configuration.

use std::cell::RefCell;
use std::fmt::Display;

use super::yaml::{At, Node, Problem, What, Word};

/// One key.
pub(crate) struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes, in words.
    pub takes: &'static str,
    /// What it is without being named, as it would be written.
    pub default: Option<&'static str>,
    /// What it means.
    pub about: &'static str,
}

/// The keys of one place.
pub(crate) struct Table {
    /// The place: `views[]` for each item of a list.
    pub path: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// All tables of the file, to tell where a key belongs.
    pub all: fn() -> &'static [&'static Table],
}

/// Problems of a file, gathered.
pub(crate) type Problems = RefCell<Vec<Problem>>;

/// One place of a file while it is read.
pub(crate) struct Section<'n, 'p> {
    table: &'static Table,
    /// `views[2]`; empty at the top.
    path: String,
    at: At,
    entries: &'n [(Word, Node)],
    problems: &'p Problems,
    effective: Vec<(Word, Node)>,
    /// Keys that were asked for: what is declared and never read would be ignored in silence.
    asked: RefCell<Vec<&'static str>>,
}

impl<'n, 'p> Section<'n, 'p> {
    /// Begins to read a place; unknown keys are told at once.
    pub(crate) fn open(
        table: &'static Table,
        path: &str,
        node: &'n Node,
        problems: &'p Problems,
    ) -> Section<'n, 'p> {
        let entries = match &node.what {
            What::Map(entries) => entries.as_slice(),
            What::Nothing => &[],
            What::Text(_) | What::List(_) => {
                let names: Vec<_> = table.keys.iter().map(|key| key.name).collect();
                let message = format!(
                    "{} has keys and values, this is {}; its keys are {}",
                    if path.is_empty() { "the file" } else { path },
                    node.noun(),
                    names.join(", ")
                );
                problems.borrow_mut().push(Problem {
                    at: node.at,
                    message,
                });
                &[]
            }
        };
        for (word, _) in entries {
            if !table.keys.iter().any(|key| key.name == word.text) {
                problems.borrow_mut().push(Problem {
                    at: word.at,
                    message: unknown(table, path, &word.text),
                });
            }
        }
        Section {
            table,
            path: path.to_owned(),
            at: node.at,
            entries,
            problems,
            effective: Vec::new(),
            asked: RefCell::default(),
        }
    }

    /// One value, or the default.
    pub(crate) fn one<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let default = self.default_node(name);
        let node = self.node(name).or(default.as_ref())?;
        let What::Text(text) = &node.what else {
            self.refuse(node, name, "one value");
            return None;
        };
        self.keep(name, node.clone());
        self.parsed(name, node.at, text, parse)
    }

    /// Whether it is so; `true` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        self.one(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        })
        .unwrap_or_default()
    }

    /// Several values: a list, or one text with commas, as on the command line.
    pub(crate) fn several<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        self.list(name, true, parse)
    }

    /// Several values that may have commas themselves: a list, or one.
    pub(crate) fn texts<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        self.list(name, false, parse)
    }

    fn list<T, E: Display>(
        &mut self,
        name: &'static str,
        has_commas: bool,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let default = self.default_node(name);
        let Some(node) = self.node(name).or(default.as_ref()) else {
            return Vec::new();
        };
        self.keep(name, node.clone());
        let one = std::slice::from_ref(node);
        let items = match &node.what {
            What::List(items) => items.as_slice(),
            _ => one,
        };
        let mut values = Vec::new();
        for item in items {
            let What::Text(text) = &item.what else {
                self.refuse(item, name, "values");
                continue;
            };
            let parts: Vec<&str> = match has_commas {
                true => text.split(',').map(str::trim).collect(),
                false => vec![text],
            };
            for part in parts {
                values.extend(self.parsed(name, item.at, part, &parse));
            }
        }
        values
    }

    /// A place below this one; one without keys if it is absent.
    pub(crate) fn section<T>(
        &mut self,
        name: &'static str,
        table: &'static Table,
        read: impl FnOnce(&mut Section<'_, '_>) -> T,
    ) -> T {
        let absent = Node {
            at: self.at,
            what: What::Nothing,
        };
        let path = self.below(name);
        let mut section = Section::open(
            table,
            &path,
            self.node(name).unwrap_or(&absent),
            self.problems,
        );
        let value = read(&mut section);
        let effective = section.close();
        self.keep(name, effective);
        value
    }

    /// A list of places below this one.
    pub(crate) fn sections<T>(
        &mut self,
        name: &'static str,
        table: &'static Table,
        mut read: impl FnMut(&mut Section<'_, '_>) -> T,
    ) -> Vec<T> {
        let Some(node) = self.node(name) else {
            debug_assert!(self.is_declared(name));
            return Vec::new();
        };
        let What::List(items) = &node.what else {
            self.refuse(node, name, "a list (lines that begin with -)");
            return Vec::new();
        };
        let mut values = Vec::new();
        let mut effective = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let path = format!("{}[{}]", self.below(name), n + 1);
            let mut section = Section::open(table, &path, item, self.problems);
            values.push(read(&mut section));
            effective.push(section.close());
        }
        self.keep(
            name,
            Node {
                at: node.at,
                what: What::List(effective),
            },
        );
        values
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        self.node(name).is_some()
    }

    /// How many items the list of a key has, whatever is wrong with them.
    pub(crate) fn list_length(&self, name: &'static str) -> Option<usize> {
        match &self.node(name)?.what {
            What::List(items) => Some(items.len()),
            What::Nothing | What::Text(_) | What::Map(_) => None,
        }
    }

    /// What a key is without being named, where that depends on others.
    pub(crate) fn fill(&mut self, name: &'static str, text: &str) {
        let what = What::Text(text.to_owned());
        self.keep(name, Node { at: self.at, what });
    }

    /// Something is wrong with what a key says, or with this place if the key is absent.
    pub(crate) fn problem(&self, name: &'static str, message: impl Display) {
        let at = self.node(name).map_or(self.at, |node| node.at);
        self.tell(at, &self.below(name), message);
    }

    /// Something to say of a key that is not wrong.
    pub(crate) fn remark(&self, name: &'static str, message: &str) -> Problem {
        let at = self.node(name).map_or(self.at, |node| node.at);
        let message = format!("{}: {message}", self.below(name));
        Problem { at, message }
    }

    /// Something is wrong with the place as a whole.
    pub(crate) fn problem_here(&self, message: impl Display) {
        self.tell(self.at, &self.path, message);
    }

    /// What was read, defaults included.
    pub(crate) fn close(self) -> Node {
        debug_assert!(
            self.table.keys.iter().all(|key| {
                let is_there = self.entries.iter().any(|(word, _)| word.text == key.name);
                !is_there || self.asked.borrow().contains(&key.name)
            }) || !self.problems.borrow().is_empty(),
            "{} has a key that nobody reads",
            self.table.path
        );
        Node {
            at: self.at,
            what: What::Map(self.effective),
        }
    }

    /// The value of a key; one that is nothing is absent.
    fn node(&self, name: &'static str) -> Option<&'n Node> {
        debug_assert!(self.is_declared(name), "{name} is not declared");
        self.asked.borrow_mut().push(name);
        let (_, node) = self.entries.iter().find(|(word, _)| word.text == name)?;
        (node.what != What::Nothing).then_some(node)
    }

    fn is_declared(&self, name: &str) -> bool {
        self.table.keys.iter().any(|key| key.name == name)
    }

    /// What stands for a key that is absent.
    fn default_node(&self, name: &'static str) -> Option<Node> {
        let key = self.table.keys.iter().find(|key| key.name == name)?;
        Some(Node {
            at: self.at,
            what: What::Text(key.default?.to_owned()),
        })
    }

    fn parsed<T, E: Display>(
        &self,
        name: &'static str,
        at: At,
        text: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.tell(at, &self.below(name), error);
                None
            }
        }
    }

    fn refuse(&self, node: &Node, name: &'static str, wanted: &str) {
        let key = self.table.keys.iter().find(|key| key.name == name);
        let takes = key.map_or("", |key| key.takes);
        let message = format!("it takes {wanted}, this is {}; write {takes}", node.noun());
        self.tell(node.at, &self.below(name), message);
    }

    fn tell(&self, at: At, path: &str, message: impl Display) {
        let message = match path {
            "" => message.to_string(),
            path => format!("{path}: {message}"),
        };
        self.problems.borrow_mut().push(Problem { at, message });
    }

    fn keep(&mut self, name: &'static str, node: Node) {
        if matches!(&node.what, What::Map(entries) if entries.is_empty()) {
            return;
        }
        let word = Word {
            at: node.at,
            text: name.to_owned(),
        };
        self.effective.push((word, node));
    }

    fn below(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }
}

/// What to say of a key that is not declared.
fn unknown(table: &Table, path: &str, text: &str) -> String {
    let place = match path {
        "" => "at the top of the file".to_owned(),
        path => format!("in {path}"),
    };
    let plain = text.to_ascii_lowercase().replace('-', "_");
    let nearest = table
        .keys
        .iter()
        .map(|key| (distance(key.name, &plain), key.name))
        .min();
    let elsewhere: Vec<_> = (table.all)()
        .iter()
        .filter(|other| other.keys.iter().any(|key| key.name == plain))
        .map(|other| match other.path {
            "" => "the top of the file",
            path => path,
        })
        .collect();
    let advice = match nearest {
        // A third of the letters may be wrong, two at most.
        Some((wrong, name)) if wrong <= (plain.chars().count() / 3).min(2) => {
            format!("did you mean {name}?")
        }
        _ if !elsewhere.is_empty() => format!("it belongs in {}", elsewhere.join(" or ")),
        _ => {
            let names: Vec<_> = table.keys.iter().map(|key| key.name).collect();
            format!("its keys are {}", names.join(", "))
        }
    };
    format!("there is no key {text:?} {place}; {advice}")
}

/// Letters to add, leave out, change or swap with the next to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let change = last[j] + usize::from(a[i] != b[j]);
            let mut least = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_words_counts_letters() {
        for (a, b, expected) in [
            ("views", "views", 0),
            ("views", "view", 1),
            ("slower_than", "slower_then", 1),
            ("rotate", "rotaet", 1),
            ("read", "raed", 1),
            ("abc", "", 3),
            ("", "abc", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
