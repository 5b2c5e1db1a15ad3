//! Record filters: one language over the fields of every record kind, with ss's expressions (ss(8), FILTER) and the words of
//! packet filters that ask of two ends. User's view: docs/filter.md.
//!
//! # Missing is not zero
//! Answers are three-valued, as in SQL, over which the same records can be asked: a comparison with a field that is absent is
//! unknown, `not` of unknown is unknown, `and` takes the least, `or` the greatest of no < unknown < yes, and only what is yes
//! passes. So a missing number is neither `> 5` nor `<= 5` nor `!= 5`, `not (a > 5)` is `a <= 5`, and De Morgan's rules hold.
//! `has(field)` is always yes or no. What ss and packet filters ask is too: a listening socket has no remote end, so
//! `dst 10.0.0.0/8` is no, and `not dst 10.0.0.0/8` is yes; ports that are absent are 0 to ss's words. (`fwmark` is unknown
//! where the mark is not known, and so is `cgroup`.)
//!
//! # Two ends
//! `src` and `sport` alone are ss's: the local end. With `host`, `net`, `port`, `portrange` behind `src` they are tcpdump's,
//! and speak of a segment: the record passes if the whole expression holds for a segment of either direction.

use std::fmt;

use super::FilterError;
use crate::record::Record;
use schema::Schema;

mod ast;
mod condition;
mod ends;
mod evaluate;
mod field;
mod instant;
mod lexer;
mod parser;
mod program;
mod schema;
mod socket;
mod tcp_state;
mod value;

#[cfg(test)]
mod tests;

pub use condition::EndsCondition;
pub use value::Net;

/// An expression, parsed for one record kind.
#[derive(Clone, Debug)]
pub struct RecordFilter {
    text: String,
    schema: schema::Schema,
    expr: Option<ast::Expr>,
    program: program::Program,
}

impl RecordFilter {
    /// Parses an expression for records of kind `R`; an empty one lets every record pass. Interfaces have numbers only.
    ///
    /// # Errors
    /// The word that does not fit, and what would.
    pub fn parse<R: Record>(text: &str) -> Result<RecordFilter, FilterError> {
        RecordFilter::parse_with::<R>(text, &|_| None)
    }

    /// As [`RecordFilter::parse`]; `interface` gives an interface's number by its name (`dev eth0`).
    ///
    /// # Errors
    /// The word that does not fit, and what would.
    pub fn parse_with<R: Record>(
        text: &str,
        interface: &dyn Fn(&str) -> Option<u64>,
    ) -> Result<RecordFilter, FilterError> {
        let schema = schema::Schema::of::<R>();
        let expr = parser::parse(text, &schema, interface)?;
        let program = program::Program::of(expr.as_ref(), &schema);
        Ok(RecordFilter {
            text: text.to_owned(),
            schema,
            expr,
            program,
        })
    }

    /// Whether a record passes; one of another kind never does. Allocates only for expressions of more than 64 tests.
    #[inline]
    #[must_use]
    pub fn matches<R: Record>(&self, record: &R) -> bool {
        debug_assert_eq!(R::KIND, self.schema.kind, "parsed for another kind");
        R::KIND == self.schema.kind && evaluate::matches(&self.program, record)
    }

    /// Whether it asks for the field of this name: of those that it does not ask for, the value does not matter.
    #[must_use]
    pub fn asks(&self, name: &str) -> bool {
        let field = self.schema.exactly(name).map(|named| named.index);
        let asked = self.program.atoms.iter().map(|atom| atom.field);
        field.is_some_and(|field| asked.into_iter().any(|asked| asked == field))
    }

    /// The expression as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it needs of a socket's ends and state.
    #[must_use]
    pub fn ends(&self) -> EndsCondition {
        condition::of(&self.program, &self.schema)
    }
}

/// Where the field that a word means is among those of a record kind: its name, with its unit or without, as in expressions.
///
/// # Errors
/// There is none, or several are meant: the names that are near, a few at most, the nearest first.
pub fn position<R: Record>(word: &str) -> Result<usize, Vec<&'static str>> {
    let schema = Schema::of::<R>();
    match schema.find(word) {
        Ok(Some(named)) => Ok(named.index),
        Ok(None) | Err(_) => Err(schema.near(word)),
    }
}

/// The expression in one form: full names, bare units, parentheses where they are needed. It parses to the same filter.
impl fmt::Display for RecordFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expr {
            None => Ok(()),
            Some(expr) => write!(f, "{expr}"),
        }
    }
}
