//! One direction's bytes in order: what came early waits, what never comes is given up.
//!
//! Overlaps: the first copy of a byte counts, as in Linux (tcp_data_queue trims what it has). A segment that continues the
//! stream is handed on as it lies in the batch, without a copy.

use super::task::Emptied;
use crate::tcp::seq::Seq;
use crate::time::Timestamp;

/// Most bytes that wait behind a hole, in one direction; of what is skipped only that it was there. Chosen: the window of
/// most uploads; beyond, the hole is given up.
pub(super) const MOST_EARLY: usize = 512 << 10;
/// Most segments that wait.
pub(super) const MOST_PIECES: usize = 1024;

/// A segment that came before what it continues.
#[derive(Debug)]
struct Piece {
    start: Seq,
    /// Payload by the IP header; more than `bytes` if the capture cut it.
    length: u32,
    /// Nothing of it will be looked at.
    is_skipped: bool,
    bytes: Vec<u8>,
    frame: u64,
    /// When it was captured.
    time: Timestamp,
    /// The same by the engine clock.
    since: Timestamp,
}

impl Piece {
    /// What lies `at` bytes behind its start and after, which it loses.
    fn split_off(&mut self, at: u32) -> Piece {
        let bytes = if (at as usize) < self.bytes.len() {
            self.bytes.split_off(at as usize)
        } else {
            Vec::new()
        };
        let rest = Piece {
            start: self.start.plus(at),
            length: self.length - at,
            bytes,
            ..*self
        };
        self.length = at;
        rest
    }
}

/// Memory that keeping a segment with this payload takes, at most.
pub(super) fn size(payload: &[u8]) -> usize {
    payload.len() + size_of::<Piece>()
}

/// What came early, lowest first.
#[derive(Debug, Default)]
pub(super) struct Early {
    pieces: Vec<Piece>,
    held: usize,
}

/// A run of bytes that continues the stream.
pub(super) struct Ready {
    /// What was captured of it.
    pub bytes: Vec<u8>,
    /// Bytes that were not kept, for nobody looks at them; then `bytes` is empty.
    pub skipped: u32,
    /// Bytes after these that the capture cut.
    pub cut: u32,
    /// The packet that brought it.
    pub frame: u64,
    /// When that was captured.
    pub time: Timestamp,
}

impl Early {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Memory in use.
    pub(super) fn memory(&self) -> usize {
        let room = self.pieces.capacity() - self.pieces.len();
        self.held + room * size_of::<Piece>()
    }

    /// Gives back memory that is mostly empty.
    pub(super) fn shrink_if_empty(&mut self) {
        self.pieces.shrink_if_empty();
    }

    /// Whether a bound is passed.
    pub(super) fn is_over(&self) -> bool {
        self.held > MOST_EARLY || self.pieces.len() > MOST_PIECES
    }

    /// Where the first of it starts, when that was captured, and the same by the engine clock.
    pub(super) fn first(&self) -> Option<(Seq, Timestamp, Timestamp)> {
        let first = self.pieces.first()?;
        Some((first.start, first.time, first.since))
    }

    /// When the oldest of it was captured.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.pieces.iter().map(|piece| piece.time).min()
    }

    /// Keeps a segment for later; of one that lies wholly within what is skipped, that it was there.
    pub(super) fn keep(
        &mut self,
        start: Seq,
        length: u32,
        bytes: &[u8],
        is_skipped: bool,
        frame: u64,
        [time, since]: [Timestamp; 2],
    ) {
        let bytes = if is_skipped { &[] } else { bytes };
        let at = self
            .pieces
            .partition_point(|piece| piece.start.offset(start) <= 0);
        self.held += bytes.len() + size_of::<Piece>();
        self.pieces.insert(
            at,
            Piece {
                start,
                length,
                is_skipped,
                bytes: bytes.to_vec(),
                frame,
                time,
                since,
            },
        );
    }

    /// The next run from `next` on, if it is here; what lies before `next` is dropped.
    pub(super) fn take(&mut self, next: Seq) -> Option<Ready> {
        loop {
            let piece = self.pieces.first()?;
            let seen = next.offset(piece.start);
            if seen < 0 {
                return None;
            }
            let mut piece = self.pieces.remove(0);
            self.held -= piece.bytes.len() + size_of::<Piece>();
            let seen = seen.unsigned_abs();
            if seen >= piece.length {
                continue;
            }
            // Where another piece has an earlier copy, that one counts; what reaches beyond it waits for its turn.
            let earlier = self.pieces.iter().position(|other| {
                let within = other.start.offset(piece.start);
                within > 0 && within.unsigned_abs() < piece.length && other.time < piece.time
            });
            if let Some(n) = earlier {
                let until = self.pieces[n].start.offset(piece.start).unsigned_abs();
                let rest = piece.split_off(until);
                self.held += rest.bytes.len() + size_of::<Piece>();
                self.pieces.insert(n + 1, rest);
                if seen >= piece.length {
                    continue;
                }
            }
            if piece.is_skipped {
                return Some(Ready {
                    bytes: Vec::new(),
                    skipped: piece.length - seen,
                    cut: 0,
                    frame: piece.frame,
                    time: piece.time,
                });
            }
            let captured = (piece.bytes.len() as u32).saturating_sub(seen);
            piece.bytes.drain(..(seen as usize).min(piece.bytes.len()));
            return Some(Ready {
                bytes: piece.bytes,
                skipped: 0,
                cut: piece.length - seen - captured,
                frame: piece.frame,
                time: piece.time,
            });
        }
    }

    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.held = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_in_order_each_byte_once() {
        let mut early = Early::default();
        early.keep(Seq(20), 5, b"fghij", false, 3, [Timestamp(3); 2]);
        early.keep(Seq(u32::MAX), 3, b"xab", false, 1, [Timestamp(1); 2]);
        early.keep(Seq(15), 8, b"abcdeFGH", false, 2, [Timestamp(2); 2]);
        assert_eq!(early.take(Seq(0)).unwrap().bytes, b"ab");
        assert!(early.take(Seq(2)).is_none());
        assert_eq!(early.take(Seq(16)).unwrap().bytes, b"bcdeFGH");
        let last = early.take(Seq(23)).unwrap();
        assert_eq!(
            (last.bytes.as_slice(), last.cut, last.frame),
            (&b"ij"[..], 0, 3)
        );
        assert!(early.is_empty() && early.held == 0);
    }

    #[test]
    fn what_the_capture_cut_is_told() {
        let mut early = Early::default();
        early.keep(Seq(10), 100, b"0123456789", false, 1, [Timestamp(0); 2]);
        let ready = early.take(Seq(15)).unwrap();
        assert_eq!((ready.bytes.as_slice(), ready.cut), (&b"56789"[..], 90));
        early.keep(Seq(10), 100, b"0123456789", false, 1, [Timestamp(0); 2]);
        let ready = early.take(Seq(50)).unwrap();
        assert_eq!((ready.bytes.len(), ready.cut), (0, 60));
    }
}
