//! Rows of the answers to this crate's own queries, in the format Native: blocks of columns, each as long as was said before it. So an
//! answer that is cut within a block, or goes on with something else (a complaint of the server), is told from one that is whole; one
//! that is cut between two blocks is not: whoever asks knows how many rows there must be. Results of other people's queries are
//! read by [`super::rows`].
//!
//! Normative: as [`super::block`], which writes the same.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use crate::cell::Cell;

/// Rows of a block that a server is asked for, at most; ten times as many come from those that must not be asked.
pub(super) const ROWS: &str = "8192";
/// Bytes of a block, at most. Chosen: ten times what 65,536 rollups have.
const BLOCK_BYTES: u64 = 1 << 30;
/// Bytes of memory that a row's end has beside its text or list: an empty text is one byte of the answer.
const ENDS: u64 = 8;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Whole numbers, and spans as ns: 8 bytes each.
    Number,
    /// A byte each.
    Flag,
    /// Texts.
    Text,
    /// Lists of numbers.
    List,
}

impl Of {
    /// Whether its values are written so, and whether some may be absent; `None`: they are not.
    fn reads(self, name: &str) -> Option<bool> {
        let nullable = name.strip_prefix("Nullable(");
        let plain = nullable.and_then(|rest| rest.strip_suffix(')'));
        let fits = match (self, plain.unwrap_or(name)) {
            (Of::Number, "Int64" | "UInt64" | "Decimal(18, 3)") => true,
            (Of::Flag, "UInt8" | "Bool") => true,
            (Of::Text, "String") => true,
            (Of::List, "Array(Int64)") => plain.is_none(),
            _ => false,
        };
        fits.then_some(plain.is_some())
    }
}

/// A column of a block.
struct Column {
    /// For messages.
    name: String,
    of: Of,
    /// 1: absent. Empty: none is.
    nulls: Vec<u8>,
    data: Vec<u8>,
    /// Where each row's text or list ends, in bytes of `data`.
    ends: Vec<usize>,
}

/// An answer as it comes: one block in memory.
pub(super) struct Blocks<R> {
    from: BufReader<R>,
    columns: Vec<Column>,
    /// Of the block, and how many of these were given.
    rows: usize,
    given: usize,
    /// Of all blocks so far.
    all: u64,
    /// What the block has yet room for.
    room: u64,
}

impl<R: Read> Blocks<R> {
    /// An answer whose columns are called `c0`, `c1` and so on; their own names are for messages.
    pub(super) fn new(from: R, columns: Vec<(String, Of)>) -> Blocks<R> {
        let columns = columns.into_iter().map(|(name, of)| Column {
            name,
            of,
            nulls: Vec::new(),
            data: Vec::new(),
            ends: Vec::new(),
        });
        Blocks {
            from: BufReader::with_capacity(64 * 1024, from),
            columns: columns.collect(),
            rows: 0,
            given: 0,
            all: 0,
            room: 0,
        }
    }

    /// Rows that came so far, those of the block that is read now among them.
    pub(super) fn rows(&self) -> u64 {
        self.all
    }

    /// The values of the next row, one after the other; `None`: there is none.
    ///
    /// # Errors
    /// The answer ends within a block, or is not what was asked for.
    pub(super) fn next_row(&mut self) -> io::Result<Option<impl FnMut() -> Cell + '_>> {
        while self.given >= self.rows {
            if self.from.fill_buf()?.is_empty() {
                return Ok(None);
            }
            self.block()?;
        }
        let row = self.given;
        self.given += 1;
        let mut columns = self.columns.iter();
        Ok(Some(move || {
            columns
                .next()
                .map_or(Cell::None, |column| column.cell(row).unwrap_or_default())
        }))
    }

    fn block(&mut self) -> io::Result<()> {
        self.room = BLOCK_BYTES;
        let columns = self.number()?;
        let rows = self.number()?;
        if columns != self.columns.len() as u64 || rows > BLOCK_BYTES {
            return Err(strange("another number of columns"));
        }
        self.rows = usize::try_from(rows).map_err(|_| strange("too many rows"))?;
        self.given = 0;
        self.all += rows;
        let mut columns = std::mem::take(&mut self.columns);
        let read = (columns.iter_mut().enumerate()).try_for_each(|(n, column)| {
            if self.word()? != format!("c{n}") {
                return Err(strange("a column of another name"));
            }
            let of = self.word()?;
            let Some(is_nullable) = column.of.reads(&of) else {
                return Err(strange(&format!("column {} is {of}", column.name)));
            };
            self.column(column, rows, is_nullable)
        });
        self.columns = columns;
        read
    }

    fn column(&mut self, column: &mut Column, rows: u64, is_nullable: bool) -> io::Result<()> {
        column.nulls.clear();
        column.data.clear();
        column.ends.clear();
        if is_nullable {
            self.bytes(rows, &mut column.nulls)?;
        }
        match column.of {
            Of::Number => self.bytes(rows * 8, &mut column.data),
            Of::Flag => self.bytes(rows, &mut column.data),
            Of::Text => {
                self.takes(rows * ENDS)?;
                (0..rows).try_for_each(|_| {
                    let length = self.number()?;
                    self.bytes(length, &mut column.data)?;
                    column.ends.push(column.data.len());
                    Ok(())
                })
            }
            Of::List => {
                self.takes(rows * ENDS)?;
                let mut ends = Vec::new();
                self.bytes(rows * 8, &mut ends)?;
                let mut last = 0;
                for end in ends.as_chunks().0 {
                    let end = u64::from_le_bytes(*end);
                    if end < last || end > BLOCK_BYTES / 8 {
                        return Err(strange("a list that ends before it begins"));
                    }
                    last = end;
                    // Below 2^30, as was just seen.
                    column
                        .ends
                        .push(usize::try_from(end * 8).unwrap_or(usize::MAX));
                }
                self.bytes(last * 8, &mut column.data)
            }
        }
    }

    /// LEB128.
    fn number(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let mut byte = [0];
            self.from.read_exact(&mut byte).map_err(cut)?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(strange("a length of more than 63 bits"))
    }

    /// A name.
    fn word(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        let length = self.number()?;
        if length > 1024 {
            return Err(strange("a name of more than 1 KiB"));
        }
        self.bytes(length, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| strange("a name that is no UTF-8"))
    }

    /// So many bytes of the block's room.
    fn takes(&mut self, count: u64) -> io::Result<()> {
        self.room = self
            .room
            .checked_sub(count)
            .ok_or_else(|| strange("a block of more than 1 GiB"))?;
        Ok(())
    }

    /// So many bytes behind what is there; memory grows with what comes, not with what is announced.
    fn bytes(&mut self, count: u64, into: &mut Vec<u8>) -> io::Result<()> {
        self.takes(count)?;
        let read = (&mut self.from).take(count).read_to_end(into)?;
        match read as u64 == count {
            true => Ok(()),
            false => Err(cut(ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl Column {
    fn cell(&self, row: usize) -> Option<Cell> {
        if self.nulls.get(row).is_some_and(|&null| null != 0) {
            return None;
        }
        Some(match self.of {
            Of::Number => Cell::Number(i64::from_le_bytes(*self.data.as_chunks().0.get(row)?)),
            Of::Flag => Cell::Flag(*self.data.get(row)? != 0),
            Of::Text => Cell::Text(String::from_utf8_lossy(self.part(row)?).into_owned()),
            Of::List => {
                let numbers = self.part(row)?.as_chunks().0.iter();
                let numbers = numbers.map(|number| i64::from_le_bytes(*number));
                let list: Vec<_> = numbers
                    .map(|number| u64::try_from(number).unwrap_or(0))
                    .collect();
                // As in a file: absent and empty are one.
                match list.is_empty() {
                    true => Cell::None,
                    false => Cell::List(list),
                }
            }
        })
    }

    fn part(&self, row: usize) -> Option<&[u8]> {
        let from = match row.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.data.get(from..*self.ends.get(row)?)
    }
}

fn strange(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("it is not what was asked for ({what})"),
    )
}

/// An end is told as what it is here.
fn cut(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            io::Error::new(ErrorKind::UnexpectedEof, "it ends within a block")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{number, text};
    use super::*;

    /// Two rows: a number that may be absent, a text, a list, a flag.
    fn block() -> Vec<u8> {
        let mut out = Vec::new();
        number(&mut out, 4);
        number(&mut out, 2);
        let mut column = |n: usize, of: &str, data: &[u8]| {
            text(&mut out, format!("c{n}").as_bytes());
            text(&mut out, of.as_bytes());
            out.extend_from_slice(data);
        };
        let number = |value: i64| value.to_le_bytes();
        column(
            0,
            "Nullable(Decimal(18, 3))",
            &[&[0, 1][..], &number(-1500), &number(0)].concat(),
        );
        column(1, "String", b"\x03abc\x00");
        let lists = [
            [number(0), number(2)].concat(),
            [number(7), number(9)].concat(),
        ];
        column(2, "Array(Int64)", &lists.concat());
        column(3, "Nullable(UInt8)", &[0, 0, 1, 0]);
        out
    }

    fn columns() -> Vec<(String, Of)> {
        [Of::Number, Of::Text, Of::List, Of::Flag]
            .iter()
            .zip(["span", "word", "list", "flag"])
            .map(|(of, name)| (name.to_owned(), *of))
            .collect()
    }

    fn all(bytes: &[u8]) -> Result<Vec<Vec<Cell>>, String> {
        let mut blocks = Blocks::new(bytes, columns());
        let mut rows = Vec::new();
        loop {
            let Some(mut next) = blocks.next_row().map_err(|error| error.to_string())? else {
                break;
            };
            rows.push(vec![next(), next(), next(), next(), next()]);
        }
        assert_eq!(blocks.rows(), rows.len() as u64);
        Ok(rows)
    }

    #[test]
    fn values_are_read_from_several_blocks_and_from_none() {
        let none = Cell::None;
        let rows = [
            vec![
                Cell::Number(-1500),
                Cell::Text("abc".into()),
                none.clone(),
                Cell::Flag(true),
                none.clone(),
            ],
            vec![
                none.clone(),
                Cell::Text(String::new()),
                Cell::List(vec![7, 9]),
                Cell::Flag(false),
                none,
            ],
        ];
        let twice = [block(), block()].concat();
        assert_eq!(all(&twice).unwrap(), [&rows[..], &rows[..]].concat());
        assert_eq!(all(b"").unwrap(), Vec::<Vec<Cell>>::new());
    }

    #[test]
    fn what_is_cut_anywhere_or_goes_on_with_words_is_no_end() {
        let whole = block();
        for end in 1..whole.len() {
            let error = all(&whole[..end]).unwrap_err();
            assert!(error.contains("it ends within a block"), "{end}: {error}");
        }
        let complaint = [
            &whole[..],
            b"Code: 241, e.displayText() = DB::Exception: Memory limit",
        ];
        let error = all(&complaint.concat()).unwrap_err();
        assert!(error.contains("another number of columns"), "{error}");
        // A complaint that begins as a block of four columns would.
        let error = all(&[&whole[..], b"\x04\x02\x03ode: 241".as_slice()].concat());
        let error = error.unwrap_err();
        assert!(error.contains("a column of another name"), "{error}");
        let of = b"Array(Int64)";
        let at = whole.windows(of.len()).position(|part| part == of).unwrap();
        let mut other = whole;
        other[at..at + of.len()].copy_from_slice(b"Array(UIn64)");
        let error = all(&other).unwrap_err();
        assert!(error.contains("(column list is Array(UIn64))"), "{error}");
    }

    #[test]
    fn lengths_that_nobody_sends_take_no_memory() {
        for bytes in [
            &[4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f][..],
            &[0xff; 12],
            b"\x04\x01\x02c0\xff\xff\xff\x7f",
        ] {
            assert!(all(bytes).is_err(), "{bytes:?}");
        }
        // A text of 2^62 bytes.
        let mut long = vec![4, 1];
        text(&mut long, b"c0");
        text(&mut long, b"Int64");
        long.extend_from_slice(&[0; 8]);
        text(&mut long, b"c1");
        text(&mut long, b"String");
        number(&mut long, 1 << 62);
        assert!(all(&long).unwrap_err().contains("more than 1 GiB"));
        // Empty texts and lists, each of which takes memory: told before they come.
        for (of, name, rows) in [
            (Of::Text, "String", (1 << 27) + 1),
            (Of::List, "Array(Int64)", (1 << 26) + 1),
        ] {
            let mut many = vec![1];
            number(&mut many, rows);
            text(&mut many, b"c0");
            text(&mut many, name.as_bytes());
            let mut blocks = Blocks::new(many.as_slice(), vec![("word".to_owned(), of)]);
            let error = blocks.next_row().err().map(|error| error.to_string());
            let error = error.unwrap();
            assert!(error.contains("more than 1 GiB"), "{name}: {error}");
        }
    }
}
