//! HPACK's static table and Huffman code (RFC 7541 appendices A and B).
//!
//! The code is canonical: shorter codes come before longer ones, and among codes of one length the symbols are in order.
//! So the lengths are all there is to know.

/// Name and value of the entries 1 to 61.
#[rustfmt::skip]
pub(super) const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// Length in bits of each byte's code.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// Longest code of a byte. (That of the end of a string is as long, and never sent.)
const LONGEST: usize = 30;

struct Code {
    /// Bytes in the order of their codes.
    symbols: [u8; 256],
    /// For each length, the first code of a longer one: as many bits as 64 hold, the code in front.
    beyond: [u64; LONGEST + 1],
    /// For each length, its first code, and how many symbols have shorter ones.
    first: [(u64, usize); LONGEST + 1],
}

static CODE: Code = code();

const fn code() -> Code {
    let mut symbols = [0; 256];
    let mut beyond = [0; LONGEST + 1];
    let mut first = [(0, 0); LONGEST + 1];
    let (mut next, mut count, mut length) = (0_u64, 0, 1);
    while length <= LONGEST {
        next <<= 1;
        first[length] = (next, count);
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                symbols[count] = symbol as u8;
                count += 1;
                next += 1;
            }
            symbol += 1;
        }
        beyond[length] = next << (64 - length);
        length += 1;
    }
    Code {
        symbols,
        beyond,
        first,
    }
}

/// Decodes a string; `None` if it is not one.
pub(super) fn huffman(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // The bits to come, the next in front, and how many they are.
    let (mut window, mut held) = (0_u64, 0);
    let mut rest = bytes.iter();
    loop {
        while held <= 56
            && let Some(byte) = rest.next()
        {
            window |= u64::from(*byte) << (56 - held);
            held += 8;
        }
        let length = (5..=LONGEST).find(|length| window < CODE.beyond[*length])?;
        if length > held {
            // Padding: the beginning of the end's code, all ones, less than a byte (RFC 7541 s5.2).
            return (held < 8 && window.leading_ones() as usize == held).then_some(());
        }
        let (first, before) = CODE.first[length];
        let nth = usize::try_from((window >> (64 - length)) - first).ok()?;
        out.push(*CODE.symbols.get(before + nth)?);
        window <<= length;
        held -= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of a byte as RFC 7541 appendix B prints it.
    fn printed(byte: u8) -> String {
        let length = usize::from(LENGTHS[usize::from(byte)]);
        let (first, before) = CODE.first[length];
        let place = CODE
            .symbols
            .iter()
            .position(|symbol| *symbol == byte)
            .unwrap();
        format!("{:0length$b}", first + (place - before) as u64)
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        let some: [(u8, &str); 9] = [
            (0, "1111111111000"),
            (10, "111111111111111111111111111100"),
            (b'0', "00000"),
            (b't', "01001"),
            (b' ', "010100"),
            (b':', "1011100"),
            (b'Z', "11111101"),
            (128, "11111111111111100110"),
            (249, "1111111111111111111111111110"),
        ];
        for (byte, code) in some {
            assert_eq!(printed(byte), code, "{byte}");
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut bits: String = all.iter().map(|byte| printed(*byte)).collect();
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let coded: Vec<u8> = (0..bits.len() / 8)
            .map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap())
            .collect();
        let mut out = Vec::new();
        huffman(&coded, &mut out).unwrap();
        assert_eq!(out, all);
    }
}
