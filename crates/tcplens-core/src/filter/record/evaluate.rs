//! One walk over a record: what the fields answer, then how the answers are joined.
//!
//! The walk visits every field; of those that nothing asks for it costs a comparison of two numbers, for the places of the
//! wanted ones are known and sorted. Answers are three-valued (see [`super`]).

use std::net::IpAddr;

use super::program::{Atom, Node, Predicate, Program, time};
use super::tcp_state;
use crate::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use crate::time::{Span, Timestamp};

/// Ordered so that `and` is the least, `or` the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    No,
    Unknown,
    Yes,
}

/// Tests whose answers need no memory of their own; chosen: more than are written by hand.
const INLINE: usize = 64;

/// Whether the record passes.
#[inline]
pub(super) fn matches<R: Record>(program: &Program, record: &R) -> bool {
    let mut inline = [Answer::Unknown; INLINE];
    let mut more = Vec::new();
    let answers = match inline.get_mut(..program.atoms.len()) {
        Some(answers) => answers,
        None => {
            more.resize(program.atoms.len(), Answer::Unknown);
            more.as_mut_slice()
        }
    };
    let mut walk = Walk {
        at: 0,
        wanted: program.atoms.first().map_or(usize::MAX, |atom| atom.field),
        atoms: &program.atoms,
        answers,
    };
    record.visit(&mut walk);
    let answers = &*walk.answers;
    join(&program.root, answers, 0) == Answer::Yes
        || (program.is_directed && join(&program.root, answers, 1) == Answer::Yes)
}

fn join(node: &Node, answers: &[Answer], way: usize) -> Answer {
    match node {
        Node::Constant(true) => Answer::Yes,
        Node::Constant(false) => Answer::No,
        Node::Atom(slot) => answers.get(*slot).copied().unwrap_or(Answer::Unknown),
        Node::And(all) => {
            let mut least = Answer::Yes;
            for one in all {
                least = least.min(join(one, answers, way));
                if least == Answer::No {
                    break;
                }
            }
            least
        }
        Node::Or(all) => {
            let mut greatest = Answer::No;
            for one in all {
                greatest = greatest.max(join(one, answers, way));
                if greatest == Answer::Yes {
                    break;
                }
            }
            greatest
        }
        Node::Not(inner) => match join(inner, answers, way) {
            Answer::No => Answer::Yes,
            Answer::Unknown => Answer::Unknown,
            Answer::Yes => Answer::No,
        },
        Node::Decided(inner) => match join(inner, answers, way) {
            Answer::Yes => Answer::Yes,
            Answer::No | Answer::Unknown => Answer::No,
        },
        Node::Directed(ways) => match ways.get(way) {
            Some(node) => join(node, answers, way),
            None => Answer::Unknown,
        },
    }
}

/// A field's value, `None` where it is absent.
enum Value<'v> {
    /// Counts, ns of durations, [`time`]s.
    Number(Option<u64>),
    Ip(Option<IpAddr>),
    Text(Option<&'v str>),
    Flag(Option<bool>),
    List(bool),
}

struct Walk<'p> {
    /// The field to come.
    at: usize,
    /// The next field that is asked for.
    wanted: usize,
    /// Tests that have no answer yet.
    atoms: &'p [Atom],
    answers: &'p mut [Answer],
}

impl Walk<'_> {
    #[inline(always)]
    fn is_wanted(&mut self) -> bool {
        let at = self.at;
        self.at = at + 1;
        at == self.wanted
    }

    #[inline(never)]
    fn answer(&mut self, value: &Value<'_>) {
        let field = self.wanted;
        while let Some((atom, rest)) = self.atoms.split_first()
            && atom.field == field
        {
            if let Some(answer) = self.answers.get_mut(atom.slot) {
                *answer = atom.test.of(value);
            }
            self.atoms = rest;
        }
        self.wanted = self.atoms.first().map_or(usize::MAX, |atom| atom.field);
    }
}

impl Predicate {
    fn of(&self, value: &Value<'_>) -> Answer {
        let answer = match (self, value) {
            (Predicate::Present, value) => Some(value.is_present()),
            (Predicate::Flag, Value::Flag(flag)) => *flag,
            (Predicate::Numbers(ranges), Value::Number(number)) => {
                number.map(|number| is_in(ranges, number))
            }
            (Predicate::Masked { value, mask }, Value::Number(number)) => {
                number.map(|number| number & mask == *value)
            }
            (Predicate::Addresses { v4, v6 }, Value::Ip(ip)) => {
                ip.map(|ip| match ip.to_canonical() {
                    IpAddr::V4(ip) => is_in(v4, u32::from(ip)),
                    IpAddr::V6(ip) => is_in(v6, u128::from(ip)),
                })
            }
            (Predicate::Texts(all), Value::Text(text)) => {
                text.map(|text| all.binary_search_by(|one| one.as_str().cmp(text)).is_ok())
            }
            (Predicate::Contains(part), Value::Text(text)) => {
                text.map(|text| text.contains(part.as_str()))
            }
            (Predicate::State(mask), Value::Text(text)) => {
                text.map(|text| tcp_state::of_record(text) & mask != 0)
            }
            // Tests are made for the field's type.
            (_, _) => None,
        };
        match answer {
            None => Answer::Unknown,
            Some(false) => Answer::No,
            Some(true) => Answer::Yes,
        }
    }
}

impl Value<'_> {
    fn is_present(&self) -> bool {
        match self {
            Value::Number(value) => value.is_some(),
            Value::Ip(value) => value.is_some(),
            Value::Text(value) => value.is_some(),
            Value::Flag(value) => value.is_some(),
            Value::List(is_there) => *is_there,
        }
    }
}

/// Of sorted ranges that do not overlap.
fn is_in<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(low, _)| *low <= value);
    let range = after.checked_sub(1).and_then(|before| ranges.get(before));
    range.is_some_and(|(_, high)| value <= *high)
}

impl Visitor for Walk<'_> {
    #[inline(always)]
    fn count(&mut self, _: &'static Field, value: Option<u64>) {
        if self.is_wanted() {
            self.answer(&Value::Number(value));
        }
    }

    #[inline(always)]
    fn span(&mut self, _: &'static Field, value: Option<Span>) {
        if self.is_wanted() {
            self.answer(&Value::Number(value.map(Span::ns)));
        }
    }

    #[inline(always)]
    fn time(&mut self, _: &'static Field, value: Option<Timestamp>) {
        if self.is_wanted() {
            self.answer(&Value::Number(value.map(|at| time(at.0))));
        }
    }

    #[inline(always)]
    fn ip(&mut self, _: &'static Field, value: Option<IpAddr>) {
        if self.is_wanted() {
            self.answer(&Value::Ip(value));
        }
    }

    #[inline(always)]
    fn word(&mut self, _: &'static Field, value: Option<&'static str>) {
        if self.is_wanted() {
            self.answer(&Value::Text(value));
        }
    }

    #[inline(always)]
    fn flag(&mut self, _: &'static Field, value: Option<bool>) {
        if self.is_wanted() {
            self.answer(&Value::Flag(value));
        }
    }

    #[inline(always)]
    fn text(&mut self, _: &'static Field, value: Option<&str>) {
        if self.is_wanted() {
            self.answer(&Value::Text(value));
        }
    }

    #[inline(always)]
    fn id(&mut self, _: &'static Field, value: Option<ConnectionId>) {
        if self.is_wanted() {
            let text = value.map(ConnectionId::text);
            let text = text
                .as_ref()
                .and_then(|text| std::str::from_utf8(text).ok());
            self.answer(&Value::Text(text));
        }
    }

    #[inline(always)]
    fn counts(&mut self, _: &'static Field, value: &[(&'static str, u64)]) {
        if self.is_wanted() {
            self.answer(&Value::List(!value.is_empty()));
        }
    }

    #[inline(always)]
    fn list(&mut self, _: &'static Field, value: &[u64]) {
        if self.is_wanted() {
            self.answer(&Value::List(!value.is_empty()));
        }
    }

    #[inline(always)]
    fn frames(&mut self, _: &'static Field, value: &[FirstFrame]) {
        if self.is_wanted() {
            self.answer(&Value::List(!value.is_empty()));
        }
    }
}
