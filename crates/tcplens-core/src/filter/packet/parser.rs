//! From words to the parsed form: the grammar of pcap-filter(7) as libpcap 1.10.3 reads it, including
//! what it carries over in lists (`tcp port 80 or 443`). Knows no link type. Primitives are in
//! `primitive.rs`, arithmetic in `parse_arith.rs`.

use std::ops::Range;

use super::ast::{Arith, Expr, Join, Primitive, Qualifiers, Value};
use super::lexer::{Token, tokens};
use super::names::Keyword;
use crate::filter::FilterError;

/// Longest expression read; chosen: far above any written by hand, and it bounds the program.
const TEXT: usize = 64 * 1024;
/// Deepest nesting of parentheses, `not` and arithmetic; chosen: the recursion fits any stack.
const NESTING: usize = 100;

/// Parses a whole expression; `None` for an empty one, which every packet matches.
pub(super) fn parse(text: &str) -> Result<Option<Expr>, FilterError> {
    if text.len() > TEXT {
        return Err(FilterError::new(
            text,
            0..0,
            format!("longer than {TEXT} bytes; shorten it"),
        ));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser {
        text,
        tokens,
        next: 0,
        depth: 0,
        operators: 0,
    };
    let parsed = parser.list(
        None,
        Allow {
            ids: false,
            terms: true,
        },
    )?;
    if parser.peek().is_some() {
        return Err(parser.unexpected("`and`, `or` or the end"));
    }
    match parsed {
        Group::Terms(expr, _) => Ok(Some(expr)),
        Group::Number(_) | Group::Arith(_) | Group::Ids(..) => Err(parser.not_compared()),
    }
}

pub(super) type Parsed<T> = Result<T, FilterError>;

/// What the words to the left said of an address, port or protocol to come; `None`: nothing that can
/// be carried over.
pub(super) type Carried = Option<Qualifiers>;

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    depth: usize,
    /// Arithmetic operators since the last `and` or `or`.
    pub(super) operators: usize,
}

/// What a list may consist of: bare values (`80 or 443`) and whole primitives.
#[derive(Clone, Copy)]
struct Allow {
    ids: bool,
    terms: bool,
}

/// What stood between two parentheses. Only its end tells, so that the opening one is read alike.
enum Group {
    Number(u32),
    Arith(Arith),
    Ids(Expr, Carried),
    Terms(Expr, Carried),
}

impl Group {
    fn into_parts(self, parser: &Parser<'_>) -> Parsed<(Expr, Carried)> {
        match self {
            Group::Terms(expr, carried) | Group::Ids(expr, carried) => Ok((expr, carried)),
            Group::Number(_) | Group::Arith(_) => Err(parser.not_compared()),
        }
    }
}

impl Parser<'_> {
    fn list(&mut self, left: Carried, allow: Allow) -> Parsed<Group> {
        let first = self.first(left, allow)?;
        let (mut exprs, mut carried, only_ids) = match first {
            Group::Ids(expr, carried) => (vec![(Join::And, expr)], carried, true),
            Group::Terms(expr, carried) => (vec![(Join::And, expr)], carried, false),
            number @ (Group::Number(_) | Group::Arith(_)) => return Ok(number),
        };
        while let Some(join) = self.join() {
            let (expr, then) = match only_ids {
                true => self.id(carried)?,
                false => self.operand(carried, true)?.into_parts(self)?,
            };
            exprs.push((join, expr));
            carried = then;
        }
        let mut rest = exprs.split_off(1);
        let Some((_, first)) = exprs.pop() else {
            return Err(self.unexpected("an expression"));
        };
        rest.shrink_to_fit();
        let expr = if rest.is_empty() {
            first
        } else {
            Expr::Chain(Box::new(first), rest)
        };
        Ok(if only_ids {
            Group::Ids(expr, carried)
        } else {
            Group::Terms(expr, carried)
        })
    }

    fn first(&mut self, left: Carried, allow: Allow) -> Parsed<Group> {
        let start = self.next;
        match self.peek() {
            Some(Token::Symbol('(')) => {
                // A list of values does not begin with a list of values in libpcap's grammar.
                let inner = self.group(
                    left,
                    Allow {
                        ids: false,
                        terms: allow.terms,
                    },
                )?;
                match inner {
                    Group::Number(n) => self.after_number(n, start, left, allow),
                    Group::Arith(a) if allow.terms => self.after_arith(a, start),
                    Group::Terms(expr, _) => Ok(Group::Terms(expr, left)),
                    Group::Arith(_) | Group::Ids(..) => Err(self.unexpected("a value")),
                }
            }
            Some(Token::Number(n)) => {
                let n = *n;
                self.next += 1;
                self.after_number(n, start, left, allow)
            }
            Some(Token::Dotted(_) | Token::V6(_) | Token::Mac(_) | Token::Name(_)) if allow.ids => {
                self.value(left)
                    .map(|(expr, carried)| Group::Ids(expr, carried))
            }
            Some(_) if allow.ids && !allow.terms && self.not() => {
                let (expr, carried) = self.id(left)?;
                Ok(Group::Ids(expr, carried))
            }
            Some(_) if allow.terms => {
                if self.begins_arith() {
                    let a = self.arith()?;
                    return self.after_arith(a, start);
                }
                if self.not() {
                    return self.negated(|p| p.operand(left, allow.ids));
                }
                let (expr, carried) = self.primitive()?;
                Ok(Group::Terms(expr, carried))
            }
            _ => Err(self.unexpected(if allow.terms {
                "a primitive"
            } else {
                "a value"
            })),
        }
    }

    /// A number alone may be a value, the beginning of arithmetic, or stay what it is: `(80)`.
    fn after_number(&mut self, n: u32, start: usize, left: Carried, allow: Allow) -> Parsed<Group> {
        if allow.terms && self.continues_arith() {
            let a = self.arith_from(Arith::Number(n), start, None)?;
            return self.after_arith(a, start);
        }
        if allow.ids
            && matches!(
                self.peek(),
                Some(Token::Keyword(Keyword::And | Keyword::Or))
            )
        {
            let expr = self.id_leaf(Value::Number(n), left, start)?;
            return Ok(Group::Ids(expr, left));
        }
        Ok(Group::Number(n))
    }

    /// Arithmetic is a primitive once it is compared, until then it stays arithmetic: `(1 + 2)`.
    fn after_arith(&mut self, left: Arith, start: usize) -> Parsed<Group> {
        let left = self.arith_from(left, start, None)?;
        if self.relation_operator().is_none() {
            return Ok(Group::Arith(left));
        }
        Ok(Group::Terms(self.relation(left, start)?, None))
    }

    /// One primitive, or with `ids` also one value, after `and`, `or` or `not`.
    fn operand(&mut self, left: Carried, ids: bool) -> Parsed<Group> {
        let start = self.next;
        let allow = Allow { ids, terms: true };
        let group = match self.peek() {
            Some(Token::Symbol('(')) => match self.group(left, allow)? {
                Group::Number(n) => self.after_number(n, start, left, allow)?,
                Group::Arith(a) => self.after_arith(a, start)?,
                Group::Terms(expr, _) => Group::Terms(expr, left),
                ids @ Group::Ids(..) => ids,
            },
            _ => self.first(left, allow)?,
        };
        match group {
            Group::Number(n) if ids => Ok(Group::Ids(
                self.id_leaf(Value::Number(n), left, start)?,
                left,
            )),
            other => Ok(other),
        }
    }

    /// One value or a list of values in parentheses: what follows `port`, `host`, `net`, `proto`.
    pub(super) fn id(&mut self, left: Carried) -> Parsed<(Expr, Carried)> {
        let start = self.next;
        if self.not() {
            let inner = self.negated(|p| p.id(left).map(|(expr, then)| Group::Ids(expr, then)))?;
            return inner.into_parts(self);
        }
        match self.peek() {
            Some(Token::Symbol('(')) => {
                match self.group(
                    left,
                    Allow {
                        ids: true,
                        terms: false,
                    },
                )? {
                    Group::Number(n) => Ok((self.id_leaf(Value::Number(n), left, start)?, left)),
                    Group::Ids(expr, carried) => Ok((expr, carried)),
                    Group::Terms(..) | Group::Arith(_) => Err(self.unexpected("a value")),
                }
            }
            Some(
                Token::Number(_) | Token::Dotted(_) | Token::V6(_) | Token::Mac(_) | Token::Name(_),
            ) => self.value(left),
            Some(Token::Keyword(_)) => Err(self.unexpected(
                "a value (a name that is also a keyword is written with a backslash: \\tcp)",
            )),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn value(&mut self, left: Carried) -> Parsed<(Expr, Carried)> {
        let start = self.next;
        let token = self.peek().cloned();
        self.next += 1;
        let value = match token {
            Some(Token::Number(n)) => Value::Number(n),
            Some(Token::Mac(address)) => Value::Mac(address),
            Some(Token::Name(name)) => Value::Name(name),
            Some(Token::Dotted(text)) => {
                if self.take_symbol('/') {
                    Value::DottedPrefix(text, self.number("a prefix length")?)
                } else if self.take(&Token::Keyword(Keyword::Mask)) {
                    match self.peek().cloned() {
                        Some(Token::Dotted(mask)) => {
                            self.next += 1;
                            Value::DottedMask(text, mask)
                        }
                        _ => return Err(self.unexpected("a mask, such as 255.255.0.0")),
                    }
                } else {
                    Value::Dotted(text)
                }
            }
            Some(Token::V6(address)) => {
                let prefix = if self.take_symbol('/') {
                    self.number("a prefix length")?
                } else {
                    128
                };
                Value::V6(address, prefix)
            }
            _ => {
                self.next -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        Ok((self.id_leaf(value, left, start)?, left))
    }

    /// A value with the qualifiers that stand before it, or before the list that it is in.
    fn id_leaf(&mut self, value: Value, left: Carried, start: usize) -> Parsed<Expr> {
        let at = self.since(start);
        let Some(qualifiers) = left else {
            return Err(FilterError::new(
                self.text,
                at,
                "nothing says what this value is; write `host`, `net` or `port` before it",
            ));
        };
        Ok(Expr::Leaf(Primitive::Id(value, qualifiers), at))
    }

    fn group(&mut self, left: Carried, allow: Allow) -> Parsed<Group> {
        self.enter()?;
        self.next += 1;
        let inner = self.list(left, allow)?;
        if !self.take_symbol(')') {
            return Err(self.unexpected("`)`"));
        }
        self.depth -= 1;
        Ok(inner)
    }

    fn negated(&mut self, operand: impl FnOnce(&mut Self) -> Parsed<Group>) -> Parsed<Group> {
        self.enter()?;
        self.next += 1;
        let group = operand(self)?;
        self.depth -= 1;
        let not = |expr| Expr::Not(Box::new(expr));
        match group {
            Group::Terms(expr, carried) => Ok(Group::Terms(not(expr), carried)),
            Group::Ids(expr, carried) => Ok(Group::Ids(not(expr), carried)),
            Group::Number(_) | Group::Arith(_) => Err(self.not_compared()),
        }
    }

    pub(super) fn not_compared(&self) -> FilterError {
        self.unexpected("a comparison, such as `> 100`")
    }

    pub(super) fn number(&mut self, expected: &str) -> Parsed<u32> {
        match self.peek() {
            Some(Token::Number(n)) => {
                let n = *n;
                self.next += 1;
                Ok(n)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn join(&mut self) -> Option<Join> {
        let join = match self.peek()? {
            Token::Keyword(Keyword::And) => Join::And,
            Token::Keyword(Keyword::Or) => Join::Or,
            _ => return None,
        };
        self.next += 1;
        self.operators = 0;
        Some(join)
    }

    fn not(&self) -> bool {
        matches!(
            self.peek(),
            Some(Token::Symbol('!') | Token::Keyword(Keyword::Not))
        )
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    pub(super) fn peek_second(&self) -> Option<&Token> {
        self.tokens.get(self.next + 1).map(|(token, _)| token)
    }

    pub(super) fn take(&mut self, token: &Token) -> bool {
        let there = self.peek() == Some(token);
        self.next += usize::from(there);
        there
    }

    pub(super) fn take_symbol(&mut self, symbol: char) -> bool {
        self.take(&Token::Symbol(symbol))
    }

    pub(super) fn bump(&mut self) {
        self.next += 1;
    }

    pub(super) fn unread(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    /// Index of the next token, to measure with [`Parser::since`] later.
    pub(super) fn mark(&self) -> usize {
        self.next
    }

    /// The bytes from the token at `start` up to the last one read.
    pub(super) fn since(&self, start: usize) -> Range<usize> {
        let begin = self
            .tokens
            .get(start)
            .map_or(self.text.len(), |(_, at)| at.start);
        let end = self
            .tokens
            .get(self.next.saturating_sub(1))
            .map_or(begin, |(_, at)| at.end);
        begin..end.max(begin)
    }

    pub(super) fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > NESTING {
            Err(self.too_deep())
        } else {
            Ok(())
        }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn too_deep(&self) -> FilterError {
        let at = self
            .tokens
            .get(self.next)
            .map_or(self.text.len()..self.text.len(), |(_, at)| at.clone());
        FilterError::new(self.text, at, "too deeply nested; simplify it")
    }

    pub(super) fn unexpected(&self, expected: &str) -> FilterError {
        let Some((token, at)) = self.tokens.get(self.next) else {
            let end = self.text.trim_end().len();
            return FilterError::new(
                self.text,
                end..end,
                format!("ends too early; expected {expected}"),
            );
        };
        let word = self.text.get(at.clone()).unwrap_or_default();
        let message = match token {
            Token::Keyword(Keyword::Foreign(kind)) => {
                format!("unsupported: `{word}` is for {kind} links, which tcplens does not read")
            }
            Token::Keyword(Keyword::Gateway) => {
                "unsupported: `gateway` needs name tables of the machine; write `ether host` and \
                 `not host` instead"
                    .to_owned()
            }
            _ => format!("`{word}` does not fit here; expected {expected}"),
        };
        FilterError::new(self.text, at.clone(), message)
    }
}
