//! The fields of the record kind that an expression is read for: by name, by name without unit, and those that are near.

use std::fmt;

use crate::record::{Field, Record};

/// Units that a name may be written without.
const UNITS: &[&str] = &["_us", "_ms", "_ns", "_s", "_bytes", "_segments", "_packets"];
/// Names that an error offers at most; chosen: one line.
const OFFERED: usize = 4;
/// Longest word for which near names are looked for; chosen: longer than any field's name.
const LONGEST: usize = 64;

/// A field and its place in the walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) index: usize,
    pub(super) field: &'static Field,
}

impl PartialEq for Named {
    fn eq(&self, other: &Named) -> bool {
        self.index == other.index
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.name)
    }
}

/// The two ends of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// Address and port: local, remote, or client, server.
    pub(super) sides: [(Named, Named); 2],
    /// Whether they are local and remote.
    pub(super) is_socket: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) kind: &'static str,
    fields: Vec<&'static Field>,
}

impl Schema {
    pub(super) fn of<R: Record>() -> Schema {
        let mut fields = Vec::new();
        R::fields(&mut |field| fields.push(field));
        Schema {
            kind: R::KIND,
            fields,
        }
    }

    /// The field of exactly this name.
    pub(super) fn exactly(&self, name: &str) -> Option<Named> {
        let index = self.fields.iter().position(|field| field.name == name)?;
        let field = *self.fields.get(index)?;
        Some(Named { index, field })
    }

    /// The field that a word means.
    ///
    /// # Errors
    /// Several are meant; their names.
    pub(super) fn find(&self, word: &str) -> Result<Option<Named>, String> {
        if let Some(found) = self.exactly(word) {
            return Ok(Some(found));
        }
        let mut all = UNITS
            .iter()
            .filter_map(|unit| self.exactly(&format!("{word}{unit}")));
        match (all.next(), all.next()) {
            (found, None) => Ok(found),
            (Some(first), Some(second)) => Err(format!("`{first}` or `{second}`")),
            (None, Some(_)) => Ok(None),
        }
    }

    pub(super) fn first_of(&self, names: &[&str]) -> Option<Named> {
        names.iter().find_map(|name| self.exactly(name))
    }

    pub(super) fn ends(&self) -> Option<Ends> {
        let of = |near: &str, far: &str| {
            let side = |name: &str| {
                let ip = self.exactly(&format!("{name}_ip"))?;
                let port = self.exactly(&format!("{name}_port"))?;
                (ip.field.kind == "ip" && port.field.kind == "count").then_some((ip, port))
            };
            Some([side(near)?, side(far)?])
        };
        if let Some(sides) = of("local", "remote") {
            return Some(Ends {
                sides,
                is_socket: true,
            });
        }
        let sides = of("client", "server")?;
        Some(Ends {
            sides,
            is_socket: false,
        })
    }

    /// The state of a TCP socket, where the record is one.
    pub(super) fn tcp_state(&self) -> Option<Named> {
        let is_socket = self.ends().is_some_and(|ends| ends.is_socket);
        let state = self.exactly("state").filter(|_| is_socket)?;
        (state.field.kind == "word").then_some(state)
    }

    /// Names near a word that is none: at most [`OFFERED`].
    pub(super) fn near(&self, word: &str) -> Vec<&'static str> {
        let names = self.fields.iter().map(|field| field.name);
        near(word, names)
    }
}

/// Of `names` those that a misspelt word may mean, the nearest first.
pub(super) fn near(word: &str, names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    if word.len() > LONGEST {
        return Vec::new();
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    let allowed = (word.len() / 3).max(1);
    let mut found: Vec<(usize, &'static str)> = names
        .filter_map(|name| {
            let plain = UNITS
                .iter()
                .find_map(|unit| name.strip_suffix(unit))
                .unwrap_or(name);
            let distance = distance(&word, name).min(distance(&word, plain));
            let is_part = word.len() > 1 && format!("_{name}_").contains(&format!("_{word}_"));
            if distance <= allowed {
                Some((distance, name))
            } else {
                is_part.then_some((allowed + 1, name))
            }
        })
        .collect();
    found.sort_by_key(|(distance, _)| *distance);
    found.truncate(OFFERED);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Letters to insert, remove, replace or exchange with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let mut least = last[j] + usize::from(a[i] != b[j]);
            least = least.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}
