//! The grammar: `or` binds weakest, then `and` (also unwritten, as in ss), then `not`. Comparisons are in `field.rs`, ss's
//! words in `socket.rs`, packet filters' words in `ends.rs`.

use std::ops::Range;

use super::ast::Expr;
use super::lexer::{Sign, Token, tokens};
use super::schema::{Named, Schema, near};
use super::value;
use crate::filter::{FilterError, packet};

/// Longest expression read; as of packet filters.
const TEXT: usize = 64 * 1024;
/// Deepest nesting of parentheses and `not`; as of packet filters.
const NESTING: usize = 100;

pub(super) type Parsed<T> = Result<T, FilterError>;
/// The number of an interface by its name.
pub(super) type Interfaces<'a> = &'a dyn Fn(&str) -> Option<u64>;

/// Words that begin a test and are no fields.
const WORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "has",
    "state",
    "exclude",
    "sport",
    "dport",
    "src",
    "dst",
    "dev",
    "fwmark",
    "cgroup",
    "host",
    "net",
    "port",
    "portrange",
    "tcp",
    "ip",
    "ip6",
];

/// Parses a whole expression; `None` for an empty one.
pub(super) fn parse(
    text: &str,
    schema: &Schema,
    interfaces: Interfaces<'_>,
) -> Parsed<Option<Expr>> {
    if text.len() > TEXT {
        let message = format!("longer than {TEXT} bytes; shorten it");
        return Err(FilterError::new(text, 0..0, message));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser {
        text,
        schema,
        interfaces,
        tokens,
        next: 0,
        depth: 0,
    };
    let expr = parser.any()?;
    if parser.peek().is_some() {
        return Err(parser.unexpected("`and`, `or` or the end"));
    }
    Ok(Some(expr))
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) schema: &'a Schema,
    pub(super) interfaces: Interfaces<'a>,
    tokens: Vec<(Token<'a>, Range<usize>)>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Parsed<Expr> {
        let mut all = vec![self.all()?];
        while self.take(Sign::Or) {
            all.push(self.all()?);
        }
        Ok(one_or(all, Expr::Or))
    }

    fn all(&mut self) -> Parsed<Expr> {
        let mut all = vec![self.one()?];
        loop {
            if !self.take(Sign::And) {
                match self.peek() {
                    Some(Token::Word(word)) if value::is_unit(word) => {
                        return Err(self.wrong("write the unit at its number, without a space"));
                    }
                    Some(Token::Word(_) | Token::Sign(Sign::Open | Sign::Not)) => {}
                    _ => break,
                }
            }
            all.push(self.one()?);
        }
        Ok(one_or(all, Expr::And))
    }

    fn one(&mut self) -> Parsed<Expr> {
        if self.is(Sign::Not) {
            self.enter()?;
            self.bump();
            let inner = self.one()?;
            self.leave();
            return Ok(Expr::Not(Box::new(inner)));
        }
        if self.is(Sign::Open) {
            self.enter()?;
            self.bump();
            let inner = self.any()?;
            self.expect(Sign::Close, "`)`")?;
            self.leave();
            return Ok(inner);
        }
        let Some(Token::Word(word)) = self.peek() else {
            return Err(
                self.unexpected("a field, `(`, `not`, or a test such as `state established`")
            );
        };
        let word = *word;
        // A field of this name comes first where it is compared: `state == listen`, `state listening`.
        let is_compared = !matches!(self.peek_at(1), Some(Token::Word(next)) if !is_operator(next));
        if self.schema.exactly(word).is_none() || !is_compared {
            if let Some(test) = self.of_ends(word)? {
                return Ok(test);
            }
            if let Some(test) = self.of_socket(word)? {
                return Ok(test);
            }
        }
        self.of_field(word)
    }

    /// The field that the next word names.
    pub(super) fn field(&mut self) -> Parsed<Named> {
        let Some(Token::Word(word)) = self.peek() else {
            return Err(self.unexpected("the name of a field"));
        };
        let word = *word;
        match self.schema.find(word) {
            Ok(Some(field)) => {
                self.bump();
                Ok(field)
            }
            Ok(None) => Err(self.no_field(word)),
            Err(several) => {
                Err(self.wrong(&format!("`{word}` is short for several: write {several}")))
            }
        }
    }

    fn no_field(&self, word: &str) -> FilterError {
        let kind = self.schema.kind;
        let base = word.split('[').next().unwrap_or(word);
        if packet::is_keyword(base) {
            return self.wrong(&format!(
                "`{base}` asks for packets, and there are none here; write fields of the record `{kind}`, or host, net, \
                 port, portrange with src or dst, ip, ip6, tcp"
            ));
        }
        let mut names = self.schema.near(word);
        names.extend(near(word, WORDS.iter().copied()));
        let hint = match names.as_slice() {
            [] => "its fields are in docs/records.md".to_owned(),
            names => format!("near it are: {}", names.join(", ")),
        };
        self.wrong(&format!(
            "the record `{kind}` has no field `{word}`; {hint}"
        ))
    }

    pub(super) fn peek(&self) -> Option<&Token<'a>> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<&Token<'a>> {
        self.tokens.get(self.next + ahead).map(|(token, _)| token)
    }

    pub(super) fn bump(&mut self) {
        self.next += 1;
    }

    /// Back to the token before, to show it in an error.
    pub(super) fn next_back(&mut self) {
        self.next -= 1;
    }

    pub(super) fn is(&self, sign: Sign) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    pub(super) fn take(&mut self, sign: Sign) -> bool {
        let is = self.is(sign);
        self.next += usize::from(is);
        is
    }

    pub(super) fn expect(&mut self, sign: Sign, name: &str) -> Parsed<()> {
        if self.take(sign) {
            return Ok(());
        }
        Err(self.unexpected(name))
    }

    pub(super) fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > NESTING {
            return Err(self.wrong(&format!("nested deeper than {NESTING} levels; simplify it")));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The place of the next token; the end, behind the last.
    pub(super) fn here(&self) -> Range<usize> {
        let end = self.text.len()..self.text.len();
        self.tokens.get(self.next).map_or(end, |(_, at)| at.clone())
    }

    /// An error at the next token.
    pub(super) fn wrong(&self, message: &str) -> FilterError {
        FilterError::new(self.text, self.here(), message)
    }

    /// That the next token is not what belongs there.
    pub(super) fn unexpected(&self, expected: &str) -> FilterError {
        let at = self.here();
        match self.text.get(at.clone()).filter(|word| !word.is_empty()) {
            Some(word) => {
                let word: String = word.chars().take(40).collect();
                self.wrong(&format!("`{word}` does not fit here; expected {expected}"))
            }
            None => self.wrong(&format!("something is missing; expected {expected}")),
        }
    }
}

/// Words that compare.
pub(super) fn is_operator(word: &str) -> bool {
    const OPERATORS: &[&str] = &[
        "in", "contains", "eq", "ne", "neq", "gt", "ge", "geq", "lt", "le", "leq",
    ];
    OPERATORS.contains(&word)
}

/// What stands alone needs no list around it.
pub(super) fn one_or(mut all: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        last => {
            all.extend(last);
            join(all)
        }
    }
}
