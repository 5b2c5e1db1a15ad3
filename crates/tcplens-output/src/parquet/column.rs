//! The values of one column that wait for their row group, and how they are handed to the encoder.

use std::io::Write;

use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use ::parquet::errors::Result;
use ::parquet::file::writer::SerializedRowGroupWriter;

/// Texts handed over at once.
const CHUNK: usize = 4096;
/// Latest texts that are known again.
const RECENT: usize = 256;

/// Values with their levels: how much of the way to the value is there (Parquet's definition levels), and whether it is one
/// more of the same row (repetition levels; none where a row has one value).
#[derive(Default)]
pub(super) struct Leaf<T> {
    values: Vec<T>,
    levels: Vec<i16>,
    repeats: Vec<i16>,
}

impl<T> Leaf<T> {
    /// The row's only value.
    #[inline]
    pub(super) fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    /// One of several: `level` says where the way ends without a value.
    pub(super) fn push_nested(&mut self, value: Option<T>, level: i16, is_first: bool) {
        self.levels.push(level + i16::from(value.is_some()));
        self.repeats.push(i16::from(!is_first));
        self.values.extend(value);
    }

    /// Bytes that wait.
    pub(super) fn size(&self) -> usize {
        size_of_val(&self.values[..])
            + size_of_val(&self.levels[..])
            + size_of_val(&self.repeats[..])
    }

    fn write<D, W>(&mut self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<()>
    where
        D: DataType<T = T>,
        W: Write + Send,
    {
        if let Some(mut column) = group.next_column()? {
            let repeats = (!self.repeats.is_empty()).then_some(&self.repeats[..]);
            column
                .typed::<D>()
                .write_batch(&self.values, Some(&self.levels), repeats)?;
            column.close()?;
        }
        self.values.clear();
        self.levels.clear();
        self.repeats.clear();
        Ok(())
    }
}

/// Numbers: counts, spans, times.
pub(super) type Numbers = Leaf<i64>;
/// Flags.
pub(super) type Flags = Leaf<bool>;

impl Numbers {
    /// Ends the row group of this column.
    pub(super) fn flush<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        self.write::<Int64Type, W>(group)
    }
}

impl Flags {
    /// Ends the row group of this column.
    pub(super) fn flush<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        self.write::<BoolType, W>(group)
    }
}

/// Texts, each kept once if it was there lately: most columns have few.
pub(super) struct Texts {
    /// What a row has: the number of a text.
    picks: Leaf<u32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    recent: Vec<(u128, u32)>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            picks: Leaf::default(),
            bytes: Vec::new(),
            ends: Vec::new(),
            recent: vec![(0, u32::MAX); RECENT],
        }
    }
}

impl Texts {
    /// The row has none.
    #[inline]
    pub(super) fn push_none(&mut self) {
        self.picks.push(None);
    }

    /// One that `key` stands for: it is spelled by `spell` where it was not there lately.
    #[inline]
    pub(super) fn push_key(&mut self, key: u128, spell: impl FnOnce(&mut Vec<u8>)) {
        let slot = slot(key);
        let pick = match self.recent[slot] {
            (known, pick) if known == key && pick != u32::MAX => pick,
            _ => {
                spell(&mut self.bytes);
                let pick = self.end();
                self.recent[slot] = (key, pick);
                pick
            }
        };
        self.picks.push(Some(pick));
    }

    /// Any.
    pub(super) fn push(&mut self, text: &str) {
        let pick = self.pick(text);
        self.picks.push(Some(pick));
    }

    /// One of several of a row.
    pub(super) fn push_nested(&mut self, text: Option<&str>, level: i16, is_first: bool) {
        let pick = text.map(|text| self.pick(text));
        self.picks.push_nested(pick, level, is_first);
    }

    fn pick(&mut self, text: &str) -> u32 {
        let mut key = text.len() as u128;
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            key = (key ^ u128::from(u64::from_le_bytes(word))).wrapping_mul(MIX);
            key ^= key >> 67;
        }
        let slot = slot(key);
        let (known, pick) = self.recent[slot];
        // What hashes alike need not be the same.
        if known == key && pick != u32::MAX && self.text(pick) == text.as_bytes() {
            return pick;
        }
        self.bytes.extend_from_slice(text.as_bytes());
        let pick = self.end();
        self.recent[slot] = (key, pick);
        pick
    }

    /// The number of the text that ends here. A row group has fewer than 2^32: its rows are bounded.
    fn end(&mut self) -> u32 {
        let pick = u32::try_from(self.ends.len()).unwrap_or(u32::MAX - 1);
        self.ends.push(self.bytes.len());
        pick
    }

    fn range(&self, pick: u32) -> std::ops::Range<usize> {
        let pick = pick as usize;
        let start = match pick {
            0 => 0,
            _ => self.ends[pick - 1],
        };
        start..self.ends[pick]
    }

    fn text(&self, pick: u32) -> &[u8] {
        &self.bytes[self.range(pick)]
    }

    /// Bytes that wait.
    pub(super) fn size(&self) -> usize {
        self.picks.size() + self.bytes.len() + size_of_val(&self.ends[..])
    }

    /// Ends the row group of this column.
    pub(super) fn flush<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let all = ByteArray::from(std::mem::take(&mut self.bytes));
        if let Some(mut column) = group.next_column()? {
            let typed = column.typed::<ByteArrayType>();
            let is_nested = !self.picks.repeats.is_empty();
            // Rows are not cut in two, so where they have several values all go at once.
            let step = if is_nested { usize::MAX } else { CHUNK };
            let mut picks = self.picks.values.iter();
            let mut values = Vec::with_capacity(CHUNK);
            let full = if is_nested { NESTED_TEXT } else { 1 };
            for levels in self.picks.levels.chunks(step) {
                let present = levels.iter().filter(|&&level| level == full).count();
                values.clear();
                values.extend(picks.by_ref().take(present).map(|&pick| {
                    let range = self.range(pick);
                    all.slice(range.start, range.len())
                }));
                let repeats = is_nested.then_some(&self.picks.repeats[..]);
                typed.write_batch(&values, Some(levels), repeats)?;
            }
            column.close()?;
        }
        self.picks.values.clear();
        self.picks.levels.clear();
        self.picks.repeats.clear();
        self.ends.clear();
        self.recent.fill((0, u32::MAX));
        Ok(())
    }
}

/// Level of the text of a pair in a map: the map is there, a pair is, its key always is.
pub(super) const NESTED_TEXT: i16 = 2;

const MIX: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

#[inline]
fn slot(key: u128) -> usize {
    // The highest bits of a product: 0 to 255.
    (key.wrapping_mul(MIX) >> 120) as usize
}
