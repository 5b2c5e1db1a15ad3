//! HPACK, the field compression of HTTP/2 (RFC 7541): decoding only.
//!
//! Written by hand: the crates there are have no notion of a table whose beginning was not seen. When a capture begins in
//! mid-connection, or bytes are missing, entries that were added before are not known. They are the highest numbers, as
//! new ones are added in front: what came since is decoded rightly, and a reference beyond is "not known", never a wrong
//! entry.

use std::collections::VecDeque;

use super::tables::{STATIC, huffman};

/// A table's size before the encoder says another (RFC 9113 s6.5.2).
const DEFAULT_SIZE: usize = 4096;
/// What is kept of a table, in the RFC's measure. Chosen: four times the default; cleartext peers stay at that.
const LARGEST_SIZE: usize = 4 * DEFAULT_SIZE;
/// What an entry counts beside its text (RFC 7541 s4.1).
const OVERHEAD: usize = 32;

/// The block breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What one direction's field blocks refer to.
#[derive(Debug)]
pub(super) struct Table {
    /// Newest first.
    entries: VecDeque<Entry>,
    /// Sum of the entries' sizes; at most `limit`.
    size: usize,
    limit: usize,
    /// All entries that the encoder has are here.
    is_whole: bool,
}

#[derive(Debug)]
struct Entry {
    /// `None`: it was taken from an entry that is not known.
    name_length: Option<usize>,
    /// Name and value.
    text: Box<[u8]>,
}

impl Default for Table {
    /// A table whose beginning was not seen.
    fn default() -> Table {
        Table {
            entries: VecDeque::new(),
            size: 0,
            limit: LARGEST_SIZE,
            is_whole: false,
        }
    }
}

impl Table {
    /// The connection begins here: so far there are no entries.
    pub(super) fn begin(&mut self) {
        *self = Table {
            limit: DEFAULT_SIZE,
            is_whole: true,
            ..Table::default()
        };
    }

    /// Blocks may be missing.
    pub(super) fn lose(&mut self) {
        *self = Table::default();
    }

    /// Hands over name and value of each field of a block, as far as they are known.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        mut each: impl FnMut(Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), Malformed> {
        let (mut name, mut value) = (Vec::new(), Vec::new());
        for field in Fields(block) {
            match field? {
                Field::Size(size) => self.resize(size),
                Field::Indexed(index) => {
                    let (name, value) = self.entry(index)?;
                    each(name, value);
                }
                Field::Literal {
                    name: label,
                    value: text,
                    is_added,
                } => {
                    name.clear();
                    let is_known = match label {
                        Label::Text(text) => {
                            text.decode(&mut name)?;
                            true
                        }
                        Label::Index(index) => {
                            let (known, _) = self.entry(index)?;
                            name.extend_from_slice(known.unwrap_or_default());
                            known.is_some()
                        }
                    };
                    value.clear();
                    text.decode(&mut value)?;
                    each(is_known.then_some(name.as_slice()), Some(&value));
                    if is_added {
                        self.add(is_known, &name, &value);
                    }
                }
            }
        }
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "name and value, each if known")]
    fn entry(&self, index: usize) -> Result<(Option<&[u8]>, Option<&[u8]>), Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((Some(name), Some(value)));
        }
        match self.entries.get(index - STATIC.len()) {
            Some(entry) => {
                let at = entry.name_length.unwrap_or(0);
                let name = entry
                    .name_length
                    .and_then(|length| entry.text.get(..length));
                Ok((name, entry.text.get(at..)))
            }
            None if self.is_whole => Err(Malformed),
            None => Ok((None, None)),
        }
    }

    fn add(&mut self, is_known: bool, name: &[u8], value: &[u8]) {
        let text = [name, value].concat().into_boxed_slice();
        let size = text.len() + OVERHEAD;
        self.shrink(self.limit.saturating_sub(size));
        // One that is larger than the table leaves it empty (RFC 7541 s4.4).
        if size <= self.limit {
            self.size += size;
            self.entries.push_front(Entry {
                name_length: is_known.then_some(name.len()),
                text,
            });
        }
    }

    fn resize(&mut self, limit: usize) {
        if limit > LARGEST_SIZE {
            self.is_whole = false;
        }
        self.limit = limit.min(LARGEST_SIZE);
        self.shrink(self.limit);
    }

    fn shrink(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.text.len() + OVERHEAD;
        }
    }
}

/// Whether a block can be one that begins with a pseudo-field of a request (`:method` and its like) or response. Nothing
/// is decoded.
pub(super) fn may_begin(block: &[u8], is_request: bool) -> bool {
    let mut is_first = true;
    for field in Fields(block) {
        let index = match field {
            Ok(Field::Size(_)) if is_first => continue,
            Ok(Field::Indexed(index)) if index > 0 => index,
            Ok(Field::Literal {
                name: Label::Index(index),
                ..
            }) => index,
            Ok(Field::Literal {
                name: Label::Text(_),
                ..
            }) if !is_first => continue,
            _ => return false,
        };
        let is_pseudo = match index {
            1..=7 => is_request,
            8..=14 => !is_request,
            _ => index > STATIC.len(),
        };
        if is_first && !is_pseudo {
            return false;
        }
        is_first = false;
    }
    !is_first
}

/// A representation (RFC 7541 s6).
enum Field<'a> {
    Indexed(usize),
    Literal {
        name: Label<'a>,
        value: Text<'a>,
        /// The field becomes an entry.
        is_added: bool,
    },
    /// The table's size changes.
    Size(usize),
}

enum Label<'a> {
    Index(usize),
    Text(Text<'a>),
}

struct Text<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

impl Text<'_> {
    fn decode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.is_huffman {
            huffman(self.bytes, out).ok_or(Malformed)
        } else {
            out.extend_from_slice(self.bytes);
            Ok(())
        }
    }
}

/// The representations of a block.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.0.first()?;
        let field = self.field(first);
        if field.is_none() {
            self.0 = b"";
        }
        Some(field.ok_or(Malformed))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self, first: u8) -> Option<Field<'a>> {
        Some(match first {
            0x80.. => Field::Indexed(self.number(7)?),
            0x40..0x80 => self.literal(6, true)?,
            0x20..0x40 => Field::Size(self.number(5)?),
            // "Never indexed" is the same to a reader.
            0..0x20 => self.literal(4, false)?,
        })
    }

    fn literal(&mut self, bits: u32, is_added: bool) -> Option<Field<'a>> {
        let name = match self.number(bits)? {
            0 => Label::Text(self.text()?),
            index => Label::Index(index),
        };
        Some(Field::Literal {
            name,
            value: self.text()?,
            is_added,
        })
    }

    fn text(&mut self) -> Option<Text<'a>> {
        let is_huffman = *self.0.first()? & 0x80 != 0;
        let length = self.number(7)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Text { bytes, is_huffman })
    }

    /// A number in the low `bits` of the next byte, and if they are all ones, in bytes of seven bits after it
    /// (RFC 7541 s5.1).
    fn number(&mut self, bits: u32) -> Option<usize> {
        let (first, mut rest) = self.0.split_first()?;
        let mask = (1_u8 << bits) - 1;
        let mut number = u32::from(first & mask);
        if first & mask == mask {
            // 28 bits and the prefix: more than any length or index that could be followed.
            let mut shift = 0;
            loop {
                let (byte, after) = rest.split_first()?;
                rest = after;
                number = number.checked_add(u32::from(byte & 0x7f) << shift)?;
                if byte & 0x80 == 0 {
                    break;
                }
                shift += 7;
                if shift > 21 {
                    return None;
                }
            }
        }
        self.0 = rest;
        usize::try_from(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex
            .bytes()
            .filter_map(|byte| char::from(byte).to_digit(16))
            .map(|digit| digit as u8)
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    fn decode(table: &mut Table, hex: &str) -> Result<String, Malformed> {
        let mut lines = String::new();
        table.decode(&bytes(hex), |name, value| {
            for text in [name, value] {
                lines.push_str(&text.map_or("?".into(), String::from_utf8_lossy));
                lines.push('|');
            }
        })?;
        Ok(lines)
    }

    fn begun() -> Table {
        let mut table = Table::default();
        table.begin();
        table
    }

    const FIRST: &str = ":method|GET|:scheme|http|:path|/|:authority|www.example.com|";
    const SECOND: &str =
        ":method|GET|:scheme|http|:path|/|:authority|www.example.com|cache-control|no-cache|";
    const THIRD: &str = ":method|GET|:scheme|https|:path|/index.html|:authority|www.example.com|custom-key|custom-value|";

    /// RFC 7541 C.2.
    #[test]
    fn single_fields() {
        let mut table = begun();
        let literal = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
        assert_eq!(
            decode(&mut table, literal).unwrap(),
            "custom-key|custom-header|"
        );
        assert_eq!((table.entries.len(), table.size), (1, 55));
        assert_eq!(
            decode(&mut table, "040c 2f73 616d 706c 652f 7061 7468").unwrap(),
            ":path|/sample/path|"
        );
        assert_eq!(
            decode(&mut table, "1008 7061 7373 776f 7264 0673 6563 7265 74").unwrap(),
            "password|secret|"
        );
        assert_eq!(decode(&mut table, "82").unwrap(), ":method|GET|");
        assert_eq!(table.entries.len(), 1);
    }

    /// RFC 7541 C.3 and C.4: the same three requests, plain and Huffman coded.
    #[test]
    fn requests() {
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let huffman = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        for blocks in [plain, huffman] {
            let mut table = begun();
            assert_eq!(decode(&mut table, blocks[0]).unwrap(), FIRST);
            assert_eq!(decode(&mut table, blocks[1]).unwrap(), SECOND);
            assert_eq!(decode(&mut table, blocks[2]).unwrap(), THIRD);
            assert_eq!((table.entries.len(), table.size), (3, 164));
        }
    }

    /// RFC 7541 C.5 and C.6: responses with a table of 256 bytes, so that entries are evicted.
    #[test]
    fn responses_with_eviction() {
        let plain = [
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d \
             546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f \
             6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b \
             2076 6572 7369 6f6e 3d31",
        ];
        let huffman = [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 \
             8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 \
             dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ];
        for blocks in [plain, huffman] {
            let mut table = begun();
            table.resize(256);
            let date = "date|Mon, 21 Oct 2013 20:13:21 GMT|";
            let rest = "location|https://www.example.com|";
            assert_eq!(
                decode(&mut table, blocks[0]).unwrap(),
                format!(":status|302|cache-control|private|{date}{rest}")
            );
            assert_eq!((table.entries.len(), table.size), (4, 222));
            assert_eq!(
                decode(&mut table, blocks[1]).unwrap(),
                format!(":status|307|cache-control|private|{date}{rest}")
            );
            assert_eq!((table.entries.len(), table.size), (4, 222));
            let later = date.replace(":21 GMT", ":22 GMT");
            let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
            assert_eq!(
                decode(&mut table, blocks[2]).unwrap(),
                format!(
                    ":status|200|cache-control|private|{later}{rest}content-encoding|gzip|set-cookie|{cookie}|"
                )
            );
            assert_eq!((table.entries.len(), table.size), (3, 215));
        }
    }

    #[test]
    fn what_was_not_seen_is_not_guessed() {
        let mut table = Table::default();
        // 62 and 63 were added before; then one more is.
        assert_eq!(
            decode(&mut table, "82bebf").unwrap(),
            ":method|GET|?|?|?|?|"
        );
        assert_eq!(
            decode(&mut table, "4101 61be bf").unwrap(),
            ":authority|a|:authority|a|?|?|"
        );
        // A value with a name that is not known, and again by its own number.
        assert_eq!(
            decode(&mut table, "7f00 0162 bebf").unwrap(),
            "?|b|?|b|:authority|a|"
        );
        table.lose();
        assert_eq!(decode(&mut table, "be").unwrap(), "?|?|");
        table.begin();
        assert_eq!(decode(&mut table, "be"), Err(Malformed));
    }

    #[test]
    fn a_table_is_bounded() {
        let mut table = begun();
        // Size 1 MiB, then entries of 5 + 100 bytes.
        assert_eq!(decode(&mut table, "3fe1ff3f").unwrap(), "");
        let entry = format!("4005{}64{}", "61".repeat(5), "62".repeat(100));
        for _ in 0..1000 {
            decode(&mut table, &entry).unwrap();
        }
        assert!(table.size <= LARGEST_SIZE);
        assert_eq!(table.entries.len(), LARGEST_SIZE / 137);
        // Far references are of entries that this table did not keep.
        assert_eq!(decode(&mut table, "ffff03").unwrap(), "?|?|");
        decode(&mut table, "20").unwrap();
        assert_eq!((table.entries.len(), table.size), (0, 0));
        // Larger than the table: nothing is kept.
        decode(&mut table, &entry).unwrap();
        assert_eq!((table.entries.len(), table.size), (0, 0));
    }

    #[test]
    fn broken_blocks() {
        let broken = [
            ("80", "index 0"),
            ("ffffffffffffff01", "an endless number"),
            ("ff", "a number that does not end"),
            ("4005", "a text that is not there"),
            ("400561", "a text longer than the block"),
            ("0084ffffffff00", "the end's code"),
            ("0082ffff00", "more than a byte of padding"),
            ("00811c00", "padding that is not all ones"),
        ];
        for (hex, what) in broken {
            assert_eq!(decode(&mut begun(), hex), Err(Malformed), "{what}");
        }
    }

    #[test]
    fn blocks_that_may_begin_a_message() {
        assert!(may_begin(
            &bytes("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"),
            true
        ));
        assert!(may_begin(&bytes("20be"), true));
        assert!(may_begin(&bytes("4803 3330 37c1 c0bf"), false));
        assert!(!may_begin(&bytes("8286"), false));
        assert!(!may_begin(&bytes("4803 3330 37c1 c0bf"), true));
        assert!(!may_begin(&bytes("8280"), true));
        assert!(!may_begin(&bytes("4803 33"), false));
        assert!(!may_begin(&bytes(""), false));
        assert!(!may_begin(&bytes("20"), false));
    }
}
