//! Reads JSON (RFC 8259) in one pass, value by value, as far as lines of archives, of event sockets and tcpeek's documents need it.
//! Tolerant: what nobody asks for is passed over, whatever it is; its texts and numbers are not looked into. Not for writing:
//! `json`, `jsonl`.

use std::borrow::Cow;

/// How deep what is passed over may be nested.
const DEPTH: u32 = 128;

/// A value that is neither object nor array.
pub(crate) enum Value<'a> {
    /// `null`.
    Null,
    /// A text.
    Text(Cow<'a, [u8]>),
    /// A number or a truth, as it stands there; empty: an object or array, passed over.
    Other(&'a [u8]),
}

/// A place in a text. Every method takes one value off it; `None`: there is another value, or none, and the place means
/// nothing any more.
pub(crate) struct Json<'a> {
    rest: &'a [u8],
}

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Json<'a> {
        Json { rest: text }
    }

    /// Takes an object: `member` is told each name and takes the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Json<'a>, &Cow<'a, [u8]>) -> Option<()>,
    ) -> Option<()> {
        self.mark(b'{')?;
        if self.has(b'}') {
            return Some(());
        }
        loop {
            let name = self.string()?;
            self.mark(b':')?;
            member(self, &name)?;
            if self.has(b'}') {
                return Some(());
            }
            self.mark(b',')?;
        }
    }

    /// Takes an array: `element` takes each value.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Json<'a>) -> Option<()>,
    ) -> Option<()> {
        self.mark(b'[')?;
        if self.has(b']') {
            return Some(());
        }
        loop {
            element(self)?;
            if self.has(b']') {
                return Some(());
            }
            self.mark(b',')?;
        }
    }

    /// Takes `null`, if that is what comes next.
    pub(crate) fn null(&mut self) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(b"null");
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a number that has neither sign, fraction nor exponent.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.space();
        let mut value: u64 = 0;
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit());
        let count = digits.count();
        let (digits, rest) = self.rest.split_at(count);
        for digit in digits {
            value = value
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
        }
        self.rest = rest;
        (count > 0 && !matches!(rest.first(), Some(b'.' | b'e' | b'E'))).then_some(value)
    }

    /// Takes a text that is UTF-8.
    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.string()?.into_owned()).ok()
    }

    /// Takes a text; borrowed unless something in it is escaped.
    pub(crate) fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        self.mark(b'"')?;
        let end = self
            .rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (plain, rest) = self.rest.split_at(end);
        if rest.first() == Some(&b'"') {
            self.rest = &rest[1..];
            return Some(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        self.rest = rest;
        loop {
            match self.byte()? {
                b'"' => return Some(Cow::Owned(text)),
                b'\\' => self.escaped(&mut text)?,
                byte => text.push(byte),
            }
        }
    }

    fn escaped(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let byte = match self.byte()? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut code = self.hex()?;
                let low = self.rest.strip_prefix(b"\\u").map(|rest| Json { rest });
                if let (0xd800..0xdc00, Some(mut low)) = (code, low)
                    && let Some(second @ 0xdc00..0xe000) = low.hex()
                {
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (second - 0xdc00);
                    self.rest = low.rest;
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            _ => return None,
        };
        text.push(byte);
        Some(())
    }

    fn hex(&mut self) -> Option<u32> {
        let (four, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        four.iter().try_fold(0, |code, &byte| {
            Some(code << 4 | char::from(byte).to_digit(16)?)
        })
    }

    /// Takes any value, and what it is.
    pub(crate) fn value(&mut self) -> Option<Value<'a>> {
        if self.null() {
            return Some(Value::Null);
        }
        // The place is behind white space.
        let before = self.rest;
        match before.first()? {
            b'"' => self.string().map(Value::Text),
            b'{' | b'[' => self.skip().map(|()| Value::Other(&[])),
            _ => {
                self.skip()?;
                let length = before.len() - self.rest.len();
                Some(Value::Other(&before[..length]))
            }
        }
    }

    /// Takes any value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.space();
        match self.rest.first()? {
            b'{' => self.object(|json, _| json.skip_within(depth)),
            b'[' => self.array(|json| json.skip_within(depth)),
            b'"' => self.string().map(drop),
            _ => {
                let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = self.rest.iter().take_while(is_word).count();
                self.rest = &self.rest[length..];
                (length > 0).then_some(())
            }
        }
    }

    /// Nothing is left.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.space();
        self.rest.is_empty().then_some(())
    }

    fn mark(&mut self, byte: u8) -> Option<()> {
        self.has(byte).then_some(())
    }

    fn has(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_and_the_rest_is_passed_over() {
        let text = r#" {"a":12 , "b":"x\"\\\/\n\u00e9\ud83d\ude00\ud800","n":null,"u":{"x":[1,-2.5e3,{"y":[]},true,"]"]},"c":[1,2]} "#;
        let (mut a, mut b, mut n, mut c) = (None, None, false, Vec::new());
        let mut json = Json::new(text.as_bytes());
        let all = json.object(|json, name| match name.as_ref() {
            b"a" => json.number().map(|value| a = Some(value)),
            b"b" => json.string().map(|value| b = Some(value.into_owned())),
            b"n" => {
                n = json.null();
                Some(())
            }
            b"c" => json.array(|json| json.number().map(|value| c.push(value))),
            _ => json.skip(),
        });
        assert_eq!(all.and_then(|()| json.end()), Some(()));
        let b = String::from_utf8(b.unwrap()).unwrap();
        assert_eq!((a, b.as_str(), n), (Some(12), "x\"\\/\né😀\u{fffd}", true));
        assert_eq!(c, [1, 2]);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(100_000);
        for bad in [
            "",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "\"x",
            "\"\\x\"",
            "\"\\u12\"",
            "{} {}",
            &deep,
        ] {
            let mut json = Json::new(bad.as_bytes());
            let all = json.skip().and_then(|()| json.end());
            assert_eq!(all, None, "{:.20}", bad);
        }
        for bad in ["", "-1", "1.5", "1e3", "18446744073709551616", "x"] {
            assert_eq!(Json::new(bad.as_bytes()).number(), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in "[\\[\\]{}\":,\\\\u0-9a-fnl ]{0,64}") {
            let _ = Json::new(text.as_bytes()).skip();
        }
    }
}
