//! Tests of a field: comparisons, lists and ranges, presence. Which values a field takes, its type tells.

use super::ast::{Compare, Expr, Test};
use super::lexer::{Sign, Token};
use super::parser::{Parsed, Parser};
use super::schema::Named;
use super::value::Literal;
use super::{instant, tcp_state, value};
use crate::filter::packet;

impl Parser<'_> {
    pub(super) fn of_field(&mut self, word: &str) -> Parsed<Expr> {
        if word == "has" && self.peek_at(1) == Some(&Token::Sign(Sign::Open)) {
            self.bump();
            self.bump();
            let field = self.field()?;
            self.expect(Sign::Close, "`)`")?;
            return Ok(Expr::Test(Test::Has(field)));
        }
        let field = self.field()?;
        if let Some(Token::Word(next @ ("in" | "contains"))) = self.peek_at(1)
            && self.is(Sign::Not)
        {
            let is_in = *next == "in";
            self.enter()?;
            self.bump();
            let test = if is_in {
                self.list(field)?
            } else {
                self.contains(field)?
            };
            self.leave();
            return Ok(Expr::Not(Box::new(Expr::Test(test))));
        }
        let test = match self.peek() {
            Some(Token::Word("in")) => self.list(field)?,
            Some(Token::Word("contains")) => self.contains(field)?,
            _ => match self.compare() {
                Some(compare) => self.comparison(field, compare)?,
                None if field.field.kind == "flag" => Test::Flag(field),
                None => Test::Has(field),
            },
        };
        Ok(Expr::Test(test))
    }

    /// The operator that stands here; it is not taken.
    pub(super) fn compare(&self) -> Option<Compare> {
        Some(match self.peek()? {
            Token::Sign(Sign::Equal) | Token::Word("eq") => Compare::Equal,
            Token::Sign(Sign::Unequal) | Token::Word("ne" | "neq") => Compare::Unequal,
            Token::Sign(Sign::Less) | Token::Word("lt") => Compare::Less,
            Token::Sign(Sign::AtMost) | Token::Word("le" | "leq") => Compare::AtMost,
            Token::Sign(Sign::Greater) | Token::Word("gt") => Compare::Greater,
            Token::Sign(Sign::AtLeast) | Token::Word("ge" | "geq") => Compare::AtLeast,
            _ => return None,
        })
    }

    fn comparison(&mut self, field: Named, compare: Compare) -> Parsed<Test> {
        let is_equality = matches!(compare, Compare::Equal | Compare::Unequal);
        let is_ordered = matches!(field.field.kind, "count" | "span" | "time");
        if !is_equality && !is_ordered {
            return Err(self.wrong(&format!(
                "`{field}` is {}, which has no order; expected ==, != or in",
                kind(field)
            )));
        }
        self.only_presence(field)?;
        self.bump();
        let state = self.schema.tcp_state().filter(|state| *state == field);
        let literal = self.literal(field)?;
        if let (Some(_), Literal::Text(word)) = (state, &literal) {
            let mask = tcp_state::of_record(word);
            return Ok(Test::State(
                field,
                if compare == Compare::Equal {
                    mask
                } else {
                    !mask
                },
            ));
        }
        Ok(Test::Compare(field, compare, literal))
    }

    fn contains(&mut self, field: Named) -> Parsed<Test> {
        if !matches!(field.field.kind, "text" | "word" | "id") {
            return Err(self.wrong(&format!(
                "`{field}` is {}; `contains` is for text",
                kind(field)
            )));
        }
        self.bump();
        let text = match self.peek() {
            Some(Token::Quoted(text)) => text.clone(),
            Some(Token::Word(word)) => (*word).to_owned(),
            _ => return Err(self.unexpected("text")),
        };
        self.bump();
        Ok(Test::Contains(field, text))
    }

    fn list(&mut self, field: Named) -> Parsed<Test> {
        self.only_presence(field)?;
        self.bump();
        let close = match self.peek() {
            Some(Token::Sign(Sign::Open)) => Some((Sign::Close, "`,` or `)`")),
            Some(Token::Sign(Sign::OpenBrace)) => Some((Sign::CloseBrace, "`,` or `}`")),
            _ => None,
        };
        let mut all = Vec::new();
        if let Some((close, expected)) = close {
            self.bump();
            loop {
                all.push(self.item(field)?);
                if !self.take(Sign::Comma) {
                    break;
                }
            }
            self.expect(close, expected)?;
        } else {
            all.push(self.item(field)?);
        }
        if self.schema.tcp_state() == Some(field) {
            let masks = all.iter().map(|(literal, _)| match literal {
                Literal::Text(word) => tcp_state::of_record(word),
                _ => 0,
            });
            return Ok(Test::State(field, masks.fold(0, |all, mask| all | mask)));
        }
        Ok(Test::In(field, all))
    }

    /// A value or a range: `8000-8100`; of times, which have hyphens, `..` stands between the two.
    fn item(&mut self, field: Named) -> Parsed<(Literal, Option<Literal>)> {
        let ranges = matches!(field.field.kind, "count" | "span" | "time" | "ip");
        let Some(Token::Word(word)) = self.peek().filter(|_| ranges) else {
            return Ok((self.literal(field)?, None));
        };
        let word = *word;
        let parts = match word.split_once("..") {
            None if field.field.kind != "time" => word.split_once('-'),
            parts => parts,
        };
        let whole = self.read(field, word);
        let (Err(_), Some((low, high))) = (&whole, parts) else {
            return Ok((self.literal(field)?, None));
        };
        let both = self
            .read(field, low)
            .and_then(|low| Ok((low, self.read(field, high)?)));
        let (low, high) = both.map_err(|message| self.wrong(&message))?;
        let is_right = match (&low, &high) {
            (Literal::Number(low), Literal::Number(high))
            | (Literal::Span(low), Literal::Span(high)) => low <= high,
            (Literal::Time(low), Literal::Time(high)) => low <= high,
            (Literal::Net(low), Literal::Net(high)) => {
                let is_one = |net: value::Net| net == value::Net::host(net.address);
                if !is_one(*low)
                    || !is_one(*high)
                    || low.address.is_ipv4() != high.address.is_ipv4()
                {
                    return Err(self.wrong(
                        "a range of addresses has one address at each end, both of one family",
                    ));
                }
                low.address <= high.address
            }
            _ => false,
        };
        if !is_right {
            return Err(self.wrong("the range ends before it begins; write the lower end first"));
        }
        self.bump();
        Ok((low, Some(high)))
    }

    fn literal(&mut self, field: Named) -> Parsed<Literal> {
        let read = match self.peek() {
            Some(Token::Word(word)) => self.read(field, word),
            Some(Token::Quoted(text)) if matches!(field.field.kind, "text" | "word" | "id") => {
                self.read(field, text)
            }
            Some(Token::Quoted(_)) => Err(format!(
                "`{field}` is {}; write it without quotes",
                kind(field)
            )),
            _ => return Err(self.unexpected(kind(field))),
        };
        let literal = read.map_err(|message| self.wrong(&message))?;
        self.bump();
        Ok(literal)
    }

    /// A value of the field's type.
    fn read(&self, field: Named, word: &str) -> Result<Literal, String> {
        let name = field.field.name;
        match field.field.kind {
            "count" if name.ends_with("_port") => {
                let port = packet::port_named(word).map(u64::from);
                let port = port.map_or_else(|| value::count(word, name), Ok)?;
                if port > u64::from(u16::MAX) {
                    return Err("a port is at most 65535".to_owned());
                }
                Ok(Literal::Number(port))
            }
            "count" => value::count(word, name).map(Literal::Number),
            "span" => value::span(word).map(Literal::Span),
            "time" => instant::parse(word)
                .map(Literal::Time)
                .ok_or_else(|| format!("{}, not `{word}`", instant::EXPECTED)),
            "ip" => {
                let net = value::net(word, false)?;
                match value::masked(net) {
                    (masked, true) => Err(format!(
                        "the address has bits outside the prefix; write {masked}"
                    )),
                    (net, false) => Ok(Literal::Net(net)),
                }
            }
            "flag" => match word {
                "true" => Ok(Literal::Flag(true)),
                "false" => Ok(Literal::Flag(false)),
                word => Err(format!("expected true or false, not `{word}`")),
            },
            "word" => self.word(field, word).map(Literal::Text),
            _ => Ok(Literal::Text(word.to_owned())),
        }
    }

    /// One of the field's words; where these are not a closed set, any.
    fn word(&self, field: Named, word: &str) -> Result<String, String> {
        if self.schema.tcp_state() == Some(field) {
            return match tcp_state::of(word) {
                Some(_) => Ok(word.to_owned()),
                None => Err(format!(
                    "`{word}` is no state; expected {}",
                    tcp_state::NAMES
                )),
            };
        }
        let words = field.field.words;
        let same = |known: &&&str| **known == word || **known == word.replace('-', "_");
        match words.iter().find(same) {
            Some(known) => Ok((*known).to_owned()),
            None if words.is_empty() => Ok(word.to_owned()),
            None => Err(format!(
                "`{field}` is never `{word}`; expected {}",
                words.join(", ")
            )),
        }
    }

    fn only_presence(&self, field: Named) -> Parsed<()> {
        if matches!(field.field.kind, "counts" | "list" | "frames") {
            return Err(self.wrong(&format!(
                "`{field}` is {}; only has({field}) can be asked",
                kind(field)
            )));
        }
        Ok(())
    }
}

/// What a field's values are, for errors.
fn kind(field: Named) -> &'static str {
    match field.field.kind {
        "count" => "a number",
        "span" => "a duration such as 100ms",
        "time" => "a time",
        "ip" => "an address or a network",
        "word" => "a word",
        "flag" => "true or false",
        "text" => "text",
        "id" => "a connection_id",
        _ => "a list",
    }
}
