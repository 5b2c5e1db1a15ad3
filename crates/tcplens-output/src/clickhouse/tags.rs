//! A LowCardinality column in the making: texts of which most rows have one of few, each kept once if it was there lately.
//!
//! Normative: 18.16's dbms/src/DataTypes/DataTypeLowCardinality.cpp; current servers read the same.

use super::block::{number, text};

/// Of SharedDictionariesWithAdditionalKeys.
const VERSION: u64 = 1;
/// The keys are with the block, and not those of another one.
const OWN_KEYS: u64 = 1 << 9 | 1 << 10;
/// Texts that are remembered: a power of two.
const RECENT: usize = 256;
const MIX: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// The column.
pub(super) struct Tags {
    /// Which key each row has; 0: none. Shorter than the rows where none has had one.
    picks: Vec<u32>,
    /// Keys as they are written, one after the other.
    keys: Vec<u8>,
    /// How many, with the one of rows that have none.
    count: u32,
    /// What was there lately, by a hash: the whole of what it was made of, and its key.
    recent: Vec<(u128, u32)>,
}

impl Default for Tags {
    fn default() -> Tags {
        Tags {
            picks: Vec::new(),
            keys: vec![0],
            count: 1,
            recent: Vec::new(),
        }
    }
}

impl Tags {
    /// No row has one.
    pub(super) fn is_absent(&self) -> bool {
        self.picks.is_empty()
    }

    /// Bytes that wait, about.
    pub(super) fn size(&self) -> usize {
        self.picks.len() * 2 + self.keys.len()
    }

    #[inline]
    pub(super) fn absent(&mut self) {
        if !self.picks.is_empty() {
            self.picks.push(0);
        }
    }

    /// A text that `key` stands for, and nothing else does in this column: it is spelled where it was not there lately.
    #[inline]
    pub(super) fn key(&mut self, row: usize, key: u128, spell: impl FnOnce(&mut Vec<u8>)) {
        if self.picks.is_empty() {
            self.picks.resize(row, 0);
            self.recent.resize(RECENT, (0, 0));
        }
        // The highest bits of a product.
        let slot = (key.wrapping_mul(MIX) >> (128 - RECENT.ilog2())) as usize;
        let pick = match self.recent.get(slot) {
            Some(&(known, pick)) if known == key && pick != 0 => pick,
            _ => {
                spell(&mut self.keys);
                let pick = self.count;
                // A batch has fewer rows than that.
                self.count = self.count.saturating_add(1);
                if let Some(slot) = self.recent.get_mut(slot) {
                    *slot = (key, pick);
                }
                pick
            }
        };
        self.picks.push(pick);
    }

    /// Any text. What is longer than a key has room for is spelled each time.
    #[inline]
    pub(super) fn text(&mut self, row: usize, value: &str) {
        let bytes = value.as_bytes();
        let mut key = [0; 16];
        match key.get_mut(..bytes.len()) {
            // The length where no letter of a short text is, so that a key is one text only.
            Some(room) if bytes.len() < 16 => {
                room.copy_from_slice(bytes);
                key[15] = bytes.len() as u8;
                self.key(row, u128::from_le_bytes(key), |out| text(out, bytes));
            }
            _ => self.long(row, bytes),
        }
    }

    /// One that a key cannot hold: what was spelled before is compared.
    fn long(&mut self, row: usize, bytes: &[u8]) {
        let mut key: u128 = 0;
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            key = (key ^ u128::from(u64::from_le_bytes(word))).wrapping_mul(MIX);
            key ^= key >> 67;
        }
        // Two texts with one key of 120 bits do not occur by chance; the highest byte, which short ones have below 16, tells
        // long ones apart from them.
        self.key(row, key | 0xff << 120, |out| text(out, bytes));
    }

    /// Version, keys, and which of them each row has.
    pub(super) fn write(&self, rows: usize, out: &mut Vec<u8>) {
        let width = match self.count {
            0..=0x100 => 0,
            0x101..=0x1_0000 => 1,
            _ => 2,
        };
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(OWN_KEYS | width).to_le_bytes());
        out.extend_from_slice(&u64::from(self.count).to_le_bytes());
        out.extend_from_slice(&self.keys);
        out.extend_from_slice(&(rows as u64).to_le_bytes());
        let none = rows - self.picks.len().min(rows);
        let picks = std::iter::repeat_n(0, none).chain(self.picks.iter().copied());
        match width {
            0 => out.extend(picks.map(|pick| pick as u8)),
            1 => out.extend(picks.flat_map(|pick| (pick as u16).to_le_bytes())),
            _ => out.extend(picks.flat_map(u32::to_le_bytes)),
        }
    }

    /// The same text in all rows.
    pub(super) fn write_one(value: &str, rows: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&OWN_KEYS.to_le_bytes());
        out.extend_from_slice(&1_u64.to_le_bytes());
        number(out, value.len() as u64);
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(&(rows as u64).to_le_bytes());
        out.extend(std::iter::repeat_n(0, rows));
    }
}
