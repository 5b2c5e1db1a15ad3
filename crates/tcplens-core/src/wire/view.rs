//! A run of packet bytes whose end on the wire is known, however much of it was captured; and reading from it.
//!
//! Not a parser: it knows no protocol. Reads give fixed-size arrays, so that one bounds check covers a header.

/// Bytes from some header on, to the end of what encloses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// What was captured of them.
    pub(super) bytes: &'a [u8],
    /// How many there are on the wire; more than `bytes` if the snap length cut them.
    pub(super) length: u32,
    /// Offset of the first one in the batch; without meaning in a reassembled datagram.
    pub(super) at: u32,
    /// False in a reassembled datagram, whose bytes are nowhere in the batch.
    pub(super) in_batch: bool,
    /// A header gave the length, and headers within cannot exceed it. Else it is the capture's, which may have
    /// forgotten what the snap length cut: then the outermost header that has a length is believed.
    pub(super) is_claimed: bool,
}

impl<'a> View<'a> {
    /// The first `N` bytes, if they were captured.
    #[inline(always)]
    pub(super) fn head<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.bytes.first_chunk()
    }

    /// `N` bytes from `at`, if they were captured.
    #[inline(always)]
    pub(super) fn chunk<const N: usize>(&self, at: u32) -> Option<&'a [u8; N]> {
        chunk(self.bytes, at)
    }

    /// One byte, if it was captured.
    #[inline(always)]
    pub(super) fn byte(&self, at: u32) -> Option<u8> {
        self.bytes.get(at as usize).copied()
    }

    /// What follows the first `count` bytes, if all of these were captured.
    #[inline(always)]
    pub(super) fn skip(&self, count: u32) -> Option<View<'a>> {
        Some(View {
            bytes: self.bytes.get(count as usize..)?,
            length: self.length.saturating_sub(count),
            at: self.at.wrapping_add(count),
            ..*self
        })
    }

    /// The same beginning, with the end that a header claims: padding goes.
    #[inline(always)]
    pub(super) fn limit(self, length: u32) -> View<'a> {
        let length = if self.is_claimed {
            length.min(self.length)
        } else {
            length
        };
        let captured = self.bytes.len().min(length as usize);
        let bytes = self.bytes.get(..captured).unwrap_or_default();
        View {
            bytes,
            length,
            is_claimed: true,
            ..self
        }
    }

    /// How many bytes were captured.
    #[inline(always)]
    pub(super) fn captured(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// True if the snap length left out none of them.
    #[inline(always)]
    pub(super) fn is_whole(&self) -> bool {
        self.captured() >= self.length
    }
}

/// `N` bytes from `at`, if they are there.
#[inline(always)]
pub(super) fn chunk<const N: usize>(bytes: &[u8], at: u32) -> Option<&[u8; N]> {
    bytes.get(at as usize..)?.first_chunk()
}

/// Big-endian 16 bits at a fixed place of a header.
#[inline(always)]
pub(super) fn be16<const N: usize>(header: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

/// Big-endian 32 bits at a fixed place of a header.
#[inline(always)]
pub(super) fn be32<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// An IPv6 address at a fixed place of a header, as two words.
#[inline(always)]
pub(super) fn be128<const N: usize>(header: &[u8; N], at: usize) -> [u64; 2] {
    let word = |at: usize| u64::from(be32(header, at)) << 32 | u64::from(be32(header, at + 4));
    [word(at), word(at + 8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_removes_padding_and_restores_what_a_capture_forgot_but_obeys_an_outer_header() {
        let view = View {
            bytes: &[1, 2, 3, 4],
            length: 4,
            at: 10,
            in_batch: true,
            is_claimed: false,
        };
        let shorter = view.limit(2);
        assert_eq!(
            (shorter.bytes, shorter.length, shorter.is_whole()),
            (&[1, 2][..], 2, true)
        );
        let longer = view.limit(9);
        assert_eq!(
            (longer.bytes.len(), longer.length, longer.is_whole()),
            (4, 9, false)
        );
        let rest = longer.skip(3).expect("three bytes are there");
        assert_eq!((rest.bytes, rest.length, rest.at), (&[4][..], 6, 13));
        assert!(longer.skip(5).is_none());
        assert_eq!(longer.limit(20).length, 9);
    }
}
