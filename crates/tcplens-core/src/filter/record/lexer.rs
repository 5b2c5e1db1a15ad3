//! Words, quoted text and signs of an expression with their places. Not the grammar: what a word is, its place tells.

use std::ops::Range;

use crate::filter::FilterError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Open,
    Close,
    OpenBrace,
    CloseBrace,
    Comma,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    And,
    Or,
    Not,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Letters, digits and what stands inside addresses, times and paths.
    Word(&'a str),
    Quoted(String),
    Sign(Sign),
}

const SIGNS: &[(&str, Sign)] = &[
    ("&&", Sign::And),
    ("||", Sign::Or),
    ("==", Sign::Equal),
    ("!=", Sign::Unequal),
    ("<=", Sign::AtMost),
    (">=", Sign::AtLeast),
    ("(", Sign::Open),
    (")", Sign::Close),
    ("{", Sign::OpenBrace),
    ("}", Sign::CloseBrace),
    (",", Sign::Comma),
    ("=", Sign::Equal),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("!", Sign::Not),
    ("&", Sign::And),
    ("|", Sign::Or),
];

/// Cuts the whole expression.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token<'_>, Range<usize>)>, FilterError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = if first == '"' || first == '\'' {
            quoted(text, at, rest, first)?
        } else {
            plain(text, at, rest, first)?
        };
        found.push((token, at..at + length));
        at += length;
    }
    Ok(found)
}

fn plain<'a>(
    text: &str,
    at: usize,
    rest: &'a str,
    first: char,
) -> Result<(Token<'a>, usize), FilterError> {
    if let Some((sign, what)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((Token::Sign(*what), sign.len()));
    }
    let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
    let word = rest.get(..length).unwrap_or_default();
    match word {
        "" => Err(FilterError::new(
            text,
            at..at + first.len_utf8(),
            "this character has no meaning in a filter; text with it goes in quotes",
        )),
        "and" => Ok((Token::Sign(Sign::And), length)),
        "or" => Ok((Token::Sign(Sign::Or), length)),
        "not" => Ok((Token::Sign(Sign::Not), length)),
        word => Ok((Token::Word(word), length)),
    }
}

pub(super) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "_.:/*%@+-[]~#".contains(c)
}

/// A backslash makes a letter of the quote or backslash behind it, and of nothing else.
fn quoted<'a>(
    text: &str,
    at: usize,
    rest: &'a str,
    quote: char,
) -> Result<(Token<'a>, usize), FilterError> {
    let mut inside = String::new();
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((place, letter)) = letters.next() {
        if letter == quote {
            return Ok((Token::Quoted(inside), place + 1));
        }
        let escaped = letters.next_if(|(_, next)| letter == '\\' && "\\\"'".contains(*next));
        inside.push(escaped.map_or(letter, |(_, next)| next));
    }
    Err(FilterError::new(
        text,
        at..text.len(),
        format!("the text has no end; expected {quote}"),
    ))
}
