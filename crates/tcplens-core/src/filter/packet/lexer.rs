//! Words of an expression, as libpcap's scanner cuts them: always the longest word that fits, so that
//! `1-1024` is one name (a port range) and `ip[6:2]` is not an address. Not the grammar.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::names::{Keyword, constant, keyword};
use crate::filter::FilterError;

/// Longest text of an IPv6 address: eight groups of four, or six and a dotted quad.
const V6_TEXT: usize = 45;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Keyword(Keyword),
    Number(u32),
    /// Two to four numbers with dots.
    Dotted(String),
    V6(Ipv6Addr),
    Mac([u8; 6]),
    Name(String),
    /// One of `+ - * / % & | ^ ( ) [ ] : ! < > =` and, as one letter, `<<` L, `>>` R, `<=` l,
    /// `>=` g, `!=` n. `==` is `=`, `&&` and `||` are keywords.
    Symbol(char),
}

/// Cuts the whole expression into tokens with their byte ranges.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, FilterError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        if rest.starts_with([' ', '\t', '\r', '\n']) {
            at += 1;
            continue;
        }
        let (token, length) = next(text, at, rest)?;
        found.push((token, at..at + length));
        at += length;
    }
    Ok(found)
}

fn next(text: &str, at: usize, rest: &str) -> Result<(Token, usize), FilterError> {
    let error = |length: usize, message: &str| FilterError::new(text, at..at + length, message);
    let word = word_length(rest);
    let mac = colon_mac_length(rest);
    let v6 = v6_address(rest);
    let cut_mac = cut_mac_length(rest);
    let v6_length = v6.map_or(0, |(_, length)| length);
    if cut_mac > word.max(mac).max(v6_length) {
        return Err(error(
            cut_mac,
            "not a complete Ethernet address; write six bytes, 00:11:22:33:44:55",
        ));
    }
    if mac > 0 && mac >= word.max(v6_length) {
        return Ok((Token::Mac(mac_bytes(&rest[..mac])), mac));
    }
    if let Some((address, length)) = v6.filter(|(_, length)| *length > word) {
        return Ok((Token::V6(address), length));
    }
    if word > 0 {
        return classify(&rest[..word])
            .map(|t| (t, word))
            .map_err(|m| error(word, &m));
    }
    if let Some(escaped) = rest.strip_prefix('\\') {
        let length = escaped
            .find([' ', '!', '(', ')', '\n', '\t'])
            .unwrap_or(escaped.len());
        if length == 0 {
            return Err(error(
                1,
                "nothing follows `\\`; it makes a name of the word after it",
            ));
        }
        return Ok((Token::Name(escaped[..length].to_owned()), length + 1));
    }
    for (symbol, token) in [
        ("&&", Token::Keyword(Keyword::And)),
        ("||", Token::Keyword(Keyword::Or)),
        (">=", Token::Symbol('g')),
        ("<=", Token::Symbol('l')),
        ("!=", Token::Symbol('n')),
        ("==", Token::Symbol('=')),
        ("<<", Token::Symbol('L')),
        (">>", Token::Symbol('R')),
    ] {
        if rest.starts_with(symbol) {
            return Ok((token, symbol.len()));
        }
    }
    let c = rest.chars().next().unwrap_or(' ');
    if "+-*/%:[]!<>()&|^=".contains(c) {
        return Ok((Token::Symbol(c), 1));
    }
    if c == '$' {
        return Err(error(
            1,
            "unsupported: ARCnet addresses; tcplens reads no ARCnet",
        ));
    }
    Err(error(
        c.len_utf8(),
        "this character has no meaning in a filter",
    ))
}

/// A word: letters, digits, dots, and inside it also hyphens and underscores.
fn word_length(rest: &str) -> usize {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'.';
    let bytes = rest.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_alphanumeric) {
        return 0;
    }
    let run = bytes
        .iter()
        .take_while(|b| plain(b) || **b == b'-' || **b == b'_')
        .count();
    let tail = bytes[..run].iter().rev().take_while(|b| !plain(b)).count();
    run - tail
}

fn classify(word: &str) -> Result<Token, String> {
    if let Some(k) = keyword(word) {
        return Ok(Token::Keyword(k));
    }
    if is_mac_word(word) {
        return Ok(Token::Mac(mac_bytes(word)));
    }
    if is_number(word) {
        return number(word).map(Token::Number);
    }
    let parts = word.split('.').count();
    if (2..=4).contains(&parts) && word.split('.').all(is_number) {
        return Ok(Token::Dotted(word.to_owned()));
    }
    if let Some(value) = constant(word) {
        return Ok(Token::Number(value));
    }
    Ok(Token::Name(word.to_owned()))
}

fn is_number(word: &str) -> bool {
    let digits = |s: &str, hex: bool| {
        !s.is_empty()
            && s.bytes().all(|b| {
                if hex {
                    b.is_ascii_hexdigit()
                } else {
                    b.is_ascii_digit()
                }
            })
    };
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(hex) => digits(hex, true),
        None => digits(word, false),
    }
}

/// C's notation: 0x for hexadecimal, a leading 0 for octal.
fn number(word: &str) -> Result<u32, String> {
    let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    let (digits, radix) = match hex {
        Some(digits) => (digits, 16),
        None if word.len() > 1 && word.starts_with('0') => (&word[1..], 8),
        None => (word, 10),
    };
    if radix == 8 && digits.bytes().any(|b| b > b'7') {
        return Err(
            "a number that begins with 0 is octal and has no 8 or 9; drop the 0".to_owned(),
        );
    }
    u32::from_str_radix(digits, radix).map_err(|_| "this number does not fit in 32 bits".to_owned())
}

/// Length of six bytes with colons, `0:11:2:33:44:55`; 0 if there are none.
fn colon_mac_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    for group in 0..6 {
        if group > 0 {
            if bytes.get(at) != Some(&b':') {
                return 0;
            }
            at += 1;
        }
        match hex_digits(bytes, at).min(2) {
            0 => return 0,
            digits => at += digits,
        }
    }
    at
}

/// Length of a beginning like `00:11:22:`, which is an address cut short; 0 if there is none.
fn cut_mac_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    let mut groups = 0;
    loop {
        let digits = hex_digits(bytes, at);
        let colons = bytes
            .iter()
            .skip(at + digits)
            .take_while(|b| **b == b':')
            .count();
        if !(1..=2).contains(&digits) || colons == 0 {
            return if groups >= 2 { at } else { 0 };
        }
        at += digits + colons;
        groups += 1;
    }
}

fn hex_digits(bytes: &[u8], at: usize) -> usize {
    bytes
        .iter()
        .skip(at)
        .take_while(|b| b.is_ascii_hexdigit())
        .count()
}

/// Ethernet addresses without colons: `00-11-22-33-44-55`, also with dots, `0011.2233.4455`,
/// `001122334455`.
fn is_mac_word(word: &str) -> bool {
    let groups = |separator: char, count: usize, digits: std::ops::RangeInclusive<usize>| {
        word.split(separator).count() == count
            && word.split(separator).all(|group| {
                digits.contains(&group.len()) && group.bytes().all(|b| b.is_ascii_hexdigit())
            })
    };
    groups('-', 6, 1..=2)
        || groups('.', 6, 1..=2)
        || groups('.', 3, 4..=4)
        || groups('-', 1, 12..=12)
}

/// The bytes of a well-formed address; each takes two digits where two follow each other.
fn mac_bytes(word: &str) -> [u8; 6] {
    let mut address = [0u8; 6];
    let mut digits = word.bytes().peekable();
    for byte in &mut address {
        digits.next_if(|b| matches!(b, b':' | b'-' | b'.'));
        for _ in 0..2 {
            if let Some(digit) = digits.next_if(u8::is_ascii_hexdigit) {
                let value = char::from(digit).to_digit(16).unwrap_or(0);
                *byte = *byte << 4 | value as u8;
            }
        }
    }
    address
}

fn v6_address(rest: &str) -> Option<(Ipv6Addr, usize)> {
    let fits = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let run = rest.bytes().take(V6_TEXT).take_while(|b| fits(b)).count();
    let candidates = rest.get(..run).filter(|r| r.contains(':'))?;
    (2..=run)
        .rev()
        .find_map(|length| Some((candidates.get(..length)?.parse().ok()?, length)))
}
