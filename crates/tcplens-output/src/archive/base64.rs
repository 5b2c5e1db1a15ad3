//! Base64 with the usual alphabet and padding (RFC 4648, section 4), as encoding/json of Go writes bytes.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// No digit of the alphabet.
const NONE: u8 = 0xff;

static DIGITS: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut n = 0;
    while n < 64 {
        table[ALPHABET[n] as usize] = n as u8;
        n += 1;
    }
    table
};

/// Appends the text of `bytes`.
pub fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        for (to, &from) in three.iter_mut().zip(chunk) {
            *to = from;
        }
        let [a, b, c] = three.map(u32::from);
        let bits = a << 16 | b << 8 | c;
        let digit = |shift: u32| ALPHABET[(bits >> shift & 63) as usize];
        let mut four = [digit(18), digit(12), digit(6), digit(0)];
        for pad in four.iter_mut().skip(chunk.len() + 1) {
            *pad = b'=';
        }
        out.extend_from_slice(&four);
    }
}

/// Appends the bytes of `text`; `None`: it is no base64, and what was appended means nothing.
#[must_use]
pub fn decode(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    out.reserve(text.len() / 4 * 3);
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if padding > 2 {
        return None;
    }
    for four in text[..text.len() - padding].chunks(4) {
        let mut bits = 0;
        for &byte in four {
            let digit = DIGITS[usize::from(byte)];
            if digit == NONE {
                return None;
            }
            bits = bits << 6 | u32::from(digit);
        }
        bits <<= 6 * (4 - four.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(bytes.get(..four.len() * 3 / 4)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_4648_come_out() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(text(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for bad in [
            "Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zm9v\n", "Zm-v", "Z=g=",
        ] {
            assert_eq!(decode(&mut Vec::new(), bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            let mut back = Vec::new();
            prop_assert_eq!(decode(&mut back, text(&bytes).as_bytes()), Some(()));
            prop_assert_eq!(back, bytes);
        }

        #[test]
        fn any_text_is_read_or_refused(text: Vec<u8>) {
            let _ = decode(&mut Vec::new(), &text);
        }
    }
}
