//! The values of one column that wait for their row group, and how they are handed to the encoder.

use std::collections::HashMap;
use std::io::Write;

use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use ::parquet::errors::Result;
use ::parquet::file::writer::SerializedRowGroupWriter;
use ::parquet::schema::types::ColumnDescPtr;

use super::pages::{Dictionary, Pages};
use super::schema::TEXTS;

/// Texts handed over at once.
const CHUNK: usize = 4096;
/// Latest texts that are known again, as a power of two.
const RECENT: u32 = 10;
/// Most different numbers of a column that are looked up here; of more the crate makes a dictionary, or differences.
const FEW: usize = 1024;
/// From a hash to a place in a table of four times as many.
const FEW_SHIFT: u32 = u64::BITS - (4 * FEW).ilog2();

/// How much of the way to each value is there (Parquet's definition levels). Most columns have a value in every row, or in none:
/// of those the number of rows is enough.
#[derive(Default)]
pub(super) struct Levels {
    count: usize,
    /// Whether all that there are have a value.
    is_present: bool,
    /// Of each, once they differ.
    mixed: Vec<i16>,
}

impl Levels {
    /// One more row, which has a value or none.
    #[inline]
    fn push(&mut self, is_present: bool) {
        if self.mixed.is_empty() && (self.is_present == is_present || self.count == 0) {
            self.is_present = is_present;
        } else {
            self.mix(i16::from(is_present));
        }
        self.count += 1;
    }

    fn push_nested(&mut self, level: i16) {
        self.mixed.push(level);
        self.count += 1;
    }

    fn mix(&mut self, level: i16) {
        if self.mixed.is_empty() {
            self.mixed.resize(self.count, i16::from(self.is_present));
        }
        self.mixed.push(level);
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether all have a value, where they do not differ.
    pub(super) fn is_present(&self) -> bool {
        self.is_present
    }

    /// Of each, where they differ.
    pub(super) fn mixed(&self) -> Option<&[i16]> {
        (!self.mixed.is_empty()).then_some(&self.mixed)
    }

    /// Of each, in `alike` where they do not differ.
    fn all<'a>(&'a self, alike: &'a mut Vec<i16>) -> &'a [i16] {
        if !self.mixed.is_empty() {
            return &self.mixed;
        }
        alike.clear();
        alike.resize(self.count, i16::from(self.is_present));
        alike
    }

    fn clear(&mut self) {
        self.count = 0;
        self.mixed.clear();
    }
}

/// Values with their levels, and whether each is one more of the same row (repetition levels; none where a row has one value).
#[derive(Default)]
pub(super) struct Leaf<T> {
    values: Vec<T>,
    levels: Levels,
    repeats: Vec<i16>,
}

impl<T> Leaf<T> {
    /// The row's only value.
    #[inline]
    pub(super) fn push(&mut self, value: Option<T>) {
        self.levels.push(value.is_some());
        if let Some(value) = value {
            self.values.push(value);
        }
    }

    /// One of several: `level` says where the way ends without a value.
    pub(super) fn push_nested(&mut self, value: Option<T>, level: i16, is_first: bool) {
        self.levels.push_nested(level + i16::from(value.is_some()));
        self.repeats.push(i16::from(!is_first));
        self.values.extend(value);
    }

    /// Bytes that wait.
    pub(super) fn size(&self) -> usize {
        size_of_val(&self.values[..])
            + size_of_val(&self.levels.mixed[..])
            + size_of_val(&self.repeats[..])
    }

    fn clear(&mut self) {
        self.values.clear();
        self.levels.clear();
        self.repeats.clear();
    }

    fn write<D, W>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        pages: &mut Pages,
    ) -> Result<()>
    where
        D: DataType<T = T>,
        W: Write + Send,
    {
        if let Some(mut column) = group.next_column()? {
            let repeats = (!self.repeats.is_empty()).then_some(&self.repeats[..]);
            column.typed::<D>().write_batch(
                &self.values,
                Some(self.levels.all(&mut pages.levels)),
                repeats,
            )?;
            column.close()?;
        }
        self.clear();
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
        pages: &mut Pages,
    ) -> Result<()> {
        self.write::<Int64Type, W>(group, pages)
    }

    /// The same of a column without statistics whose rows have one value at most: by the numbers of its values, if it has few.
    pub(super) fn flush_few<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        column: &ColumnDescPtr,
        pages: &mut Pages,
    ) -> Result<()> {
        let Some((plain, picks)) = few(&self.values) else {
            return self.flush(group, pages);
        };
        let dictionary = Dictionary {
            count: u32::try_from(plain.len() / size_of::<i64>()).unwrap_or(u32::MAX),
            plain: &plain,
            extent: None,
        };
        pages.append(group, column, &dictionary, &self.levels, &picks)?;
        self.clear();
        Ok(())
    }
}

impl Flags {
    /// Ends the row group of this column.
    pub(super) fn flush<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        pages: &mut Pages,
    ) -> Result<()> {
        self.write::<BoolType, W>(group, pages)
    }
}

/// Each of the values once, as PLAIN has them, and which of these each is; `None` if they are more than [`FEW`].
fn few(values: &[i64]) -> Option<(Vec<u8>, Vec<u32>)> {
    const EMPTY: u32 = u32::MAX;
    // A quarter of the places is taken at most.
    let mut known = [(0_i64, EMPTY); 4 * FEW];
    let (mut plain, mut picks) = (Vec::new(), Vec::with_capacity(values.len()));
    let mut count = 0;
    let (mut last, mut pick) = (0, EMPTY);
    for &value in values {
        if value != last || pick == EMPTY {
            let hash = value.cast_unsigned().wrapping_mul(MIX as u64) >> FEW_SHIFT;
            let mut at = usize::try_from(hash).ok()?;
            while known[at].1 != EMPTY && known[at].0 != value {
                at = (at + 1) % known.len();
            }
            if known[at].1 == EMPTY {
                if count as usize == FEW {
                    return None;
                }
                known[at] = (value, count);
                plain.extend_from_slice(&value.to_le_bytes());
                count += 1;
            }
            (last, pick) = known[at];
        }
        picks.push(pick);
    }
    Some((plain, picks))
}

/// Texts, each kept once if it was there lately: most columns have few.
pub(super) struct Texts {
    /// What a row has: the number of a text.
    picks: Leaf<u32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    recent: Vec<(u128, u32)>,
    /// The latest of [`push_key`](Self::push_key).
    last: (u128, u32),
    /// Engines leave groups out by the least and the largest.
    has_statistics: bool,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            picks: Leaf::default(),
            bytes: Vec::new(),
            ends: Vec::new(),
            recent: vec![NONE; 1 << RECENT],
            last: NONE,
            has_statistics: false,
        }
    }
}

/// No text.
const NONE: (u128, u32) = (0, u32::MAX);

impl Texts {
    /// Those of a column whose least and largest are written, too.
    pub(super) fn with_statistics() -> Texts {
        Texts {
            has_statistics: true,
            ..Texts::default()
        }
    }

    /// The row has none.
    #[inline]
    pub(super) fn push_none(&mut self) {
        self.picks.push(None);
    }

    /// One that `key` stands for: it is spelled by `spell` where it was not there lately.
    #[inline]
    pub(super) fn push_key(&mut self, key: u128, spell: impl FnOnce(&mut Vec<u8>)) {
        if self.last.0 != key || self.last.1 == u32::MAX {
            let slot = slot(key);
            if self.recent[slot].0 != key || self.recent[slot].1 == u32::MAX {
                spell(&mut self.bytes);
                self.recent[slot] = (key, self.end());
            }
            self.last = self.recent[slot];
        }
        self.picks.push(Some(self.last.1));
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
        column: &ColumnDescPtr,
        pages: &mut Pages,
    ) -> Result<()> {
        let is_nested = !self.picks.repeats.is_empty();
        if is_nested || !self.append(group, column, pages)? {
            self.hand_over(group, pages)?;
        }
        self.bytes.clear();
        self.picks.clear();
        self.ends.clear();
        self.recent.fill(NONE);
        self.last = NONE;
        Ok(())
    }

    /// Writes them by their numbers, if they are few enough for a dictionary.
    fn append<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        column: &ColumnDescPtr,
        pages: &mut Pages,
    ) -> Result<bool> {
        let mut known = HashMap::new();
        // The new number of each text: those that were forgotten in between are there several times.
        let mut numbers = Vec::with_capacity(self.ends.len());
        let mut plain = Vec::new();
        let mut begin = 0;
        for &end in &self.ends {
            let text = &self.bytes[begin..end];
            begin = end;
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            let number = *known.entry(text).or_insert(next);
            if number == next {
                let Ok(length) = u32::try_from(text.len()) else {
                    return Ok(false);
                };
                plain.extend_from_slice(&length.to_le_bytes());
                plain.extend_from_slice(text);
                if plain.len() > TEXTS {
                    return Ok(false);
                }
            }
            numbers.push(number);
        }
        for pick in &mut self.picks.values {
            *pick = numbers[*pick as usize];
        }
        let extent = || {
            let texts = known.keys().copied();
            texts.clone().min().zip(texts.max())
        };
        let dictionary = Dictionary {
            plain: &plain,
            count: u32::try_from(known.len()).unwrap_or(u32::MAX),
            extent: self.has_statistics.then(extent).flatten(),
        };
        let picks = &self.picks;
        pages.append(group, column, &dictionary, &picks.levels, &picks.values)?;
        Ok(true)
    }

    /// Lets the crate write them.
    fn hand_over<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        pages: &mut Pages,
    ) -> Result<()> {
        let all = ByteArray::from(std::mem::take(&mut self.bytes));
        let Some(mut column) = group.next_column()? else {
            return Ok(());
        };
        let typed = column.typed::<ByteArrayType>();
        let is_nested = !self.picks.repeats.is_empty();
        // Rows are not cut in two, so where they have several values all go at once.
        let step = if is_nested { usize::MAX } else { CHUNK };
        let full = if is_nested { NESTED_TEXT } else { 1 };
        let levels = self.picks.levels.all(&mut pages.levels);
        let mut picks = self.picks.values.iter();
        let mut values = Vec::with_capacity(CHUNK);
        for levels in levels.chunks(step) {
            let present = levels.iter().filter(|&&level| level == full).count();
            values.clear();
            values.extend(picks.by_ref().take(present).map(|&pick| {
                let range = self.range(pick);
                all.slice(range.start, range.len())
            }));
            let repeats = is_nested.then_some(&self.picks.repeats[..]);
            typed.write_batch(&values, Some(levels), repeats)?;
        }
        column.close()
    }
}

/// Level of the text of a pair in a map: the map is there, a pair is, its key always is.
pub(super) const NESTED_TEXT: i16 = 2;

const MIX: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

#[inline]
fn slot(key: u128) -> usize {
    // The highest bits of a product.
    (key.wrapping_mul(MIX) >> (u128::BITS - RECENT)) as usize
}
