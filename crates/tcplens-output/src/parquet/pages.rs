//! The column chunk of values that are numbered already: a dictionary page, and one data page of the numbers. The crate's writer
//! would look every value up by its bytes again, which is most of the time that a row takes. Headers, offsets and the footer are
//! the crate's.
//!
//! Normative: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "Dictionary Encoding" and "Run Length
//! Encoding / Bit-Packing Hybrid".

use std::io::Write;

use ::parquet::basic::{Compression, Encoding, EncodingMask, PageType, ZstdLevel};
use ::parquet::column::page::{CompressedPage, Page, PageWriter};
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::data_type::ByteArray;
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use ::parquet::file::statistics::{Statistics, ValueStatistics};
use ::parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use ::parquet::schema::types::ColumnDescPtr;
use bytes::Bytes;

use super::column::Levels;
use super::schema::LEVEL;

/// Alike ones that are worth a run of their own.
const RUN: usize = 8;

/// Compresses pages as the crate does.
pub(super) struct Pages {
    zstd: zstd::bulk::Compressor<'static>,
    /// What is compressed next.
    plain: Vec<u8>,
    numbers: Vec<u32>,
    /// Levels that are all alike.
    pub(super) levels: Vec<i16>,
}

/// The values of a column.
pub(super) struct Dictionary<'a> {
    /// Each once, as PLAIN has them: of a text its length in four bytes and the text, of a number eight bytes.
    pub plain: &'a [u8],
    /// How many.
    pub count: u32,
    /// The least and the largest, where statistics are wanted.
    pub extent: Option<(&'a [u8], &'a [u8])>,
}

impl Pages {
    /// Nothing is compressed yet.
    pub(super) fn new() -> Result<Pages> {
        Ok(Pages {
            zstd: zstd::bulk::Compressor::new(LEVEL)?,
            plain: Vec::new(),
            numbers: Vec::new(),
            levels: Vec::new(),
        })
    }

    /// Appends a column: of each row its level, and of each that has a value the number of it in the dictionary.
    pub(super) fn append<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        column: &ColumnDescPtr,
        dictionary: &Dictionary<'_>,
        levels: &Levels,
        picks: &[u32],
    ) -> Result<()> {
        let rows = u32::try_from(levels.count()).map_err(wide)?;
        let mut sink = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut sink);

        let page = Page::DictionaryPage {
            buf: self.compressed(dictionary.plain)?,
            num_values: dictionary.count,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let first = writer.write_page(CompressedPage::new(page, dictionary.plain.len()))?;

        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        self.levels(&mut plain, levels)?;
        let width = u32::BITS - dictionary.count.saturating_sub(1).leading_zeros();
        plain.push(u8::try_from(width).map_err(wide)?);
        hybrid(&mut plain, picks, width);
        let page = Page::DataPage {
            buf: self.compressed(&plain)?,
            num_values: rows,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let second = writer.write_page(CompressedPage::new(page, plain.len()))?;
        self.plain = plain;

        let nulls = u64::try_from(levels.count() - picks.len()).map_err(wide)?;
        let mut metadata = ColumnChunkMetaData::builder(column.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
            .set_encodings_mask(EncodingMask::new_from_encodings(
                [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY].iter(),
            ))
            .set_page_encoding_stats(vec![
                counted(PageType::DICTIONARY_PAGE, Encoding::PLAIN),
                counted(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY),
            ])
            .set_num_values(i64::from(rows))
            .set_total_compressed_size(signed(first.compressed_size + second.compressed_size)?)
            .set_total_uncompressed_size(signed(
                first.uncompressed_size + second.uncompressed_size,
            )?)
            .set_dictionary_page_offset(Some(signed(first.offset)?))
            .set_data_page_offset(signed(second.offset)?);
        if let Some((least, largest)) = dictionary.extent {
            let [least, largest] =
                [least, largest].map(|text| Some(ByteArray::from(text.to_vec())));
            let values = ValueStatistics::new(least, largest, None, Some(nulls), false);
            metadata = metadata.set_statistics(Statistics::from(values));
        }
        let chunk = ColumnCloseResult {
            bytes_written: first.bytes_written + second.bytes_written,
            rows_written: u64::from(rows),
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        group.append_column(&Bytes::from(sink.into_inner()?), chunk)
    }

    /// Definition levels of a column whose rows have one value at most: their length in four bytes, then 0 or 1 for each row.
    fn levels(&mut self, out: &mut Vec<u8>, levels: &Levels) -> Result<()> {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        match levels.mixed() {
            None => run(out, levels.count(), u32::from(levels.is_present()), 1),
            Some(mixed) => {
                self.numbers.clear();
                self.numbers
                    .extend(mixed.iter().map(|&level| u32::from(level > 0)));
                hybrid(out, &self.numbers, 1);
            }
        }
        let length = u32::try_from(out.len() - at - 4).map_err(wide)?;
        out[at..at + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    fn compressed(&mut self, plain: &[u8]) -> Result<Bytes> {
        Ok(Bytes::from(self.zstd.compress(plain)?))
    }
}

fn counted(page_type: PageType, encoding: Encoding) -> PageEncodingStats {
    PageEncodingStats {
        page_type,
        encoding,
        count: 1,
    }
}

/// Numbers below 2^`width` as runs of alike ones and groups of eight, packed.
fn hybrid(out: &mut Vec<u8>, numbers: &[u32], width: u32) {
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let alike = rest.iter().take_while(|&&number| number == first).count();
        if alike >= RUN {
            run(out, alike, first, width);
            rest = &rest[alike..];
            continue;
        }
        // As many groups of eight as have no run at their beginning.
        let is_run = |group: &&[u32]| group.len() == RUN && group.iter().all(|n| *n == group[0]);
        let groups = rest.chunks(RUN).take_while(|group| !is_run(group)).count();
        let (packed, after) = rest.split_at((groups * RUN).min(rest.len()));
        varint(out, groups << 1 | 1);
        pack(out, packed, width);
        rest = after;
    }
}

/// `count` times the same number.
fn run(out: &mut Vec<u8>, count: usize, number: u32, width: u32) {
    varint(out, count << 1);
    let bytes = width.div_ceil(8) as usize;
    out.extend_from_slice(&number.to_le_bytes()[..bytes]);
}

/// Groups of eight numbers, the first in the lowest bits; zeros after the last of the last group.
fn pack(out: &mut Vec<u8>, numbers: &[u32], width: u32) {
    for group in numbers.chunks(RUN) {
        let (mut bits, mut filled) = (0_u64, 0);
        let zeros = std::iter::repeat_n(0, RUN - group.len());
        for number in group.iter().copied().chain(zeros) {
            bits |= u64::from(number) << filled;
            filled += width;
            while filled >= 8 {
                out.push(bits.to_le_bytes()[0]);
                bits >>= 8;
                filled -= 8;
            }
        }
    }
}

/// Seven bits a byte, the lowest first (ULEB128).
fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn signed<N: TryInto<i64>>(number: N) -> Result<i64>
where
    N::Error: std::error::Error + Send + Sync + 'static,
{
    number.try_into().map_err(wide)
}

/// A row group is bounded far below what these numbers hold.
fn wide(error: impl std::error::Error + Send + Sync + 'static) -> ParquetError {
    ParquetError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads what [`hybrid`] writes, by the specification.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let mut header = 0_usize;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= usize::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            let length = header >> 1;
            let bit = |at: usize| u32::from(bytes[at / 8] >> (at % 8) & 1);
            let of =
                |from: usize| (0..width as usize).fold(0, |number, n| number | bit(from + n) << n);
            if header & 1 == 0 {
                numbers.extend(std::iter::repeat_n(of(0), length));
                bytes = &bytes[width.div_ceil(8) as usize..];
            } else {
                numbers.extend((0..length * RUN).map(|n| of(n * width as usize)));
                bytes = &bytes[length * width as usize..];
            }
        }
        assert!(bytes.is_empty(), "nothing is left over");
        numbers.truncate(count);
        numbers
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            runs in prop::collection::vec((any::<u32>(), 1..40_usize), 0..40),
            width in 0..=32_u32,
        ) {
            let mask = u32::try_from((1_u64 << width) - 1).unwrap_or(u32::MAX);
            let numbers: Vec<u32> = runs
                .iter()
                .flat_map(|&(number, count)| std::iter::repeat_n(number & mask, count))
                .collect();
            let mut out = Vec::new();
            hybrid(&mut out, &numbers, width);
            prop_assert_eq!(read(&out, width, numbers.len()), numbers);
        }
    }

    #[test]
    fn bits_are_where_the_specification_has_them() {
        // Its example: 0 to 7 in three bits each.
        let mut out = Vec::new();
        hybrid(&mut out, &[0, 1, 2, 3, 4, 5, 6, 7], 3);
        assert_eq!(out, [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        out.clear();
        hybrid(&mut out, &[300; 100], 9);
        assert_eq!(out, [0b1100_1000, 0b1, 0b0010_1100, 0b1]);
    }
}
