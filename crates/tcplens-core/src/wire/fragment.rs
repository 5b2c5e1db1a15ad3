//! Reassembly of IP datagrams (RFC 791 section 3.2, RFC 8200 section 4.5), bounded. Not of TCP streams.
//!
//! Of bytes that overlap, the first to come stay: hosts differ here (RFC 5722 wants such datagrams dropped), and a
//! sender who overlaps on purpose cannot be followed without knowing the receiver. A fragment cut by the snap length
//! counts as there; its missing bytes end what is known of the datagram's bytes, not of its length.

use super::counts::{DecodeCounts, Undecoded};
use super::ip::Fragment;
use super::view::View;
use crate::time::{SECOND, Timestamp};

/// Datagrams incomplete at one time. Chosen: fragments of one datagram usually come back to back.
pub const MAX_DATAGRAMS: usize = 64;
/// Bytes of all of them together. Chosen: sixteen of the largest.
pub const MAX_BYTES: usize = 1 << 20;
/// Separate runs of bytes in one of them. Chosen: holes arise from loss and reordering, which leave few.
pub const MAX_PIECES: usize = 128;
/// How long one is kept (Linux: net.ipv4.ipfrag_time).
pub const EXPIRY_NS: i64 = 30 * SECOND;
/// A fragment of a datagram completed this shortly before is a second sighting (mirror port, bridge), not a new datagram.
const SECOND_SIGHTING_NS: u64 = 2_000_000;
/// Datagrams whose completion is remembered for that.
const MAX_COMPLETED: usize = 8;
/// Largest datagram (RFC 791: total length has 16 bits).
const MAX_DATAGRAM: u32 = 65_535;

/// What tells one datagram from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DatagramKey {
    pub(super) source: [u64; 2],
    pub(super) destination: [u64; 2],
    pub(super) id: u32,
    /// IPv4 only: in IPv6 the id is enough, and later fragments may name another protocol.
    pub(super) protocol: Option<u8>,
    pub(super) context: u32,
}

/// A complete datagram.
#[derive(Debug)]
pub(super) struct Datagram {
    /// Its payload, up to the first byte that was not captured.
    pub(super) bytes: Vec<u8>,
    /// Length of its payload.
    pub(super) length: u32,
    pub(super) protocol: u8,
}

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Others are missing.
    Held,
    /// It was the last.
    Complete(Datagram),
    /// It fits no datagram.
    Bad,
}

#[derive(Debug)]
struct Incomplete {
    key: DatagramKey,
    since: Timestamp,
    /// Fragments counted as held.
    packets: u64,
    bytes: Vec<u8>,
    /// Runs of bytes that are there: sorted, apart from each other.
    pieces: Vec<(u32, u32)>,
    /// Known with the last fragment.
    length: Option<u32>,
    /// Bytes from here on were not all captured.
    intact: u32,
    /// Known with the first fragment.
    protocol: Option<u8>,
}

/// The datagrams that are incomplete.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// In the order in which they began.
    datagrams: Vec<Incomplete>,
    completed: Vec<(DatagramKey, Timestamp)>,
}

impl Reassembly {
    /// Takes a fragment. One that is held is counted as [`Undecoded::Fragment`], until its datagram is given up.
    pub(super) fn add(
        &mut self,
        key: DatagramKey,
        fragment: &Fragment,
        view: View<'_>,
        time: Timestamp,
        counts: &mut DecodeCounts,
    ) -> Outcome {
        self.expire(time, counts);
        let mut end = fragment.offset + view.length.min(MAX_DATAGRAM + 1);
        if fragment.more {
            end &= !7; // offsets count eights: what is beyond can have no place (Linux cuts it off, too)
        }
        if end <= fragment.offset || end > MAX_DATAGRAM {
            return Outcome::Bad;
        }
        if self.was_just_completed(&key, time) {
            counts.count(Undecoded::Fragment);
            return Outcome::Held;
        }
        let known = self
            .datagrams
            .iter()
            .position(|datagram| datagram.key == key);
        let index = known.unwrap_or_else(|| self.begin(key, time, counts));
        let datagram = &mut self.datagrams[index];
        if !datagram.add(fragment, end, view.bytes) {
            return Outcome::Bad;
        }
        if datagram.is_complete() {
            self.remember_completed(key, time);
            return self.datagrams.remove(index).finish();
        }
        counts.count(Undecoded::Fragment);
        datagram.packets += 1;
        if datagram.pieces.len() > MAX_PIECES {
            counts.fragment_piece_limit_hits += 1;
            self.give_up(index, counts);
        }
        while self.held_bytes() > MAX_BYTES {
            counts.fragment_byte_limit_hits += 1;
            self.give_up(0, counts);
        }
        Outcome::Held
    }

    /// Gives up everything.
    pub(super) fn clear(&mut self, counts: &mut DecodeCounts) {
        while !self.datagrams.is_empty() {
            self.give_up(0, counts);
        }
    }

    /// Makes room and begins a datagram; gives its index.
    fn begin(&mut self, key: DatagramKey, time: Timestamp, counts: &mut DecodeCounts) -> usize {
        if self.datagrams.len() >= MAX_DATAGRAMS {
            counts.fragment_datagram_limit_hits += 1;
            self.give_up(0, counts);
        }
        self.datagrams.push(Incomplete::new(key, time));
        self.datagrams.len() - 1
    }

    fn was_just_completed(&self, key: &DatagramKey, time: Timestamp) -> bool {
        self.completed
            .iter()
            .any(|(completed, at)| completed == key && time.0.abs_diff(at.0) <= SECOND_SIGHTING_NS)
    }

    fn remember_completed(&mut self, key: DatagramKey, time: Timestamp) {
        if self.completed.len() >= MAX_COMPLETED {
            self.completed.remove(0);
        }
        self.completed.push((key, time));
    }

    fn held_bytes(&self) -> usize {
        self.datagrams
            .iter()
            .map(|datagram| datagram.bytes.capacity())
            .sum()
    }

    fn expire(&mut self, time: Timestamp, counts: &mut DecodeCounts) {
        while self
            .datagrams
            .first()
            .is_some_and(|oldest| oldest.since.plus(EXPIRY_NS) < time)
        {
            self.give_up(0, counts);
        }
    }

    fn give_up(&mut self, index: usize, counts: &mut DecodeCounts) {
        let datagram = self.datagrams.remove(index);
        counts.give_up_fragments(datagram.packets);
    }
}

impl Incomplete {
    fn new(key: DatagramKey, since: Timestamp) -> Incomplete {
        Incomplete {
            key,
            since,
            packets: 0,
            bytes: Vec::new(),
            pieces: Vec::new(),
            length: None,
            intact: MAX_DATAGRAM,
            protocol: None,
        }
    }

    /// Takes the bytes from the fragment's offset to `end`, of which `captured` are known; false if they contradict
    /// what is there.
    fn add(&mut self, fragment: &Fragment, end: u32, captured: &[u8]) -> bool {
        let begin = fragment.offset;
        let known_end = self.pieces.last().map_or(0, |&(_, end)| end);
        let contradicts = match self.length {
            Some(length) => end > length || (!fragment.more && end != length),
            None => !fragment.more && end < known_end,
        };
        if contradicts {
            return false;
        }
        if !fragment.more {
            self.length = Some(end);
        }
        if begin == 0 && self.protocol.is_none() {
            self.protocol = Some(fragment.protocol);
        }
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        let mut from = begin;
        for &(piece_begin, piece_end) in &self.pieces {
            if piece_end <= from {
                continue;
            }
            if piece_begin >= end {
                break;
            }
            fill(
                &mut self.bytes,
                &mut self.intact,
                begin,
                (from, piece_begin),
                captured,
            );
            from = from.max(piece_end);
        }
        fill(
            &mut self.bytes,
            &mut self.intact,
            begin,
            (from, end),
            captured,
        );
        self.cover(begin, end);
        true
    }

    /// Adds a run to the pieces, joining those that it overlaps or touches.
    fn cover(&mut self, mut begin: u32, mut end: u32) {
        let first = self
            .pieces
            .partition_point(|&(_, piece_end)| piece_end < begin);
        let last = self
            .pieces
            .partition_point(|&(piece_begin, _)| piece_begin <= end);
        for &(piece_begin, piece_end) in &self.pieces[first..last] {
            begin = begin.min(piece_begin);
            end = end.max(piece_end);
        }
        self.pieces.splice(first..last, [(begin, end)]);
    }

    fn is_complete(&self) -> bool {
        self.length
            .is_some_and(|length| self.pieces == [(0, length)])
    }

    fn finish(mut self) -> Outcome {
        let (Some(length), Some(protocol)) = (self.length, self.protocol) else {
            debug_assert!(false, "complete from the first byte to the last");
            return Outcome::Bad;
        };
        self.bytes.truncate(self.intact.min(length) as usize);
        Outcome::Complete(Datagram {
            bytes: self.bytes,
            length,
            protocol,
        })
    }
}

/// Copies what was captured of the bytes of `hole` (offsets in the datagram) out of a fragment that begins at `begin`.
fn fill(bytes: &mut [u8], intact: &mut u32, begin: u32, hole: (u32, u32), captured: &[u8]) {
    let (from, to) = hole;
    if from >= to {
        return;
    }
    let source = captured.get((from - begin) as usize..).unwrap_or_default();
    let target = bytes
        .get_mut(from as usize..to as usize)
        .unwrap_or_default();
    let known = source.len().min(target.len());
    target[..known].copy_from_slice(&source[..known]);
    if known < target.len() {
        // At most 64 KiB.
        *intact = (*intact).min(from + u32::try_from(known).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: DatagramKey = DatagramKey {
        source: [0, 1],
        destination: [0, 2],
        id: 7,
        protocol: Some(6),
        context: 0,
    };

    /// Feeds (offset, more, bytes, length) pieces of one datagram, a millisecond apart each.
    fn feed(pieces: &[(u32, bool, &[u8], u32)]) -> (Vec<Outcome>, DecodeCounts) {
        let (mut reassembly, mut counts) = (Reassembly::default(), DecodeCounts::default());
        let outcomes = pieces
            .iter()
            .zip(0_i64..)
            .map(|(&(offset, more, bytes, length), ms)| {
                let fragment = Fragment {
                    id: 7,
                    protocol: 6,
                    offset,
                    more,
                };
                let view = View {
                    bytes,
                    length,
                    at: 0,
                    in_batch: true,
                    is_claimed: false,
                };
                reassembly.add(KEY, &fragment, view, Timestamp(ms * 1_000_000), &mut counts)
            })
            .collect();
        (outcomes, counts)
    }

    fn complete(outcome: &Outcome) -> (&[u8], u32) {
        match outcome {
            Outcome::Complete(datagram) => (&datagram.bytes, datagram.length),
            other => panic!("not complete: {other:?}"),
        }
    }

    #[test]
    fn fragments_in_any_order_make_the_datagram() {
        let whole: Vec<u8> = (0..20).collect();
        let parts: [(u32, bool, &[u8], u32); 3] = [
            (0, true, &whole[..8], 8),
            (8, true, &whole[8..16], 8),
            (16, false, &whole[16..], 4),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let (outcomes, counts) = feed(&order.map(|part| parts[part]));
            assert_eq!(complete(&outcomes[2]), (&whole[..], 20));
            assert_eq!(
                counts.undecoded(Undecoded::Fragment),
                2,
                "the last one is not held"
            );
        }
    }

    #[test]
    fn of_overlapping_bytes_the_first_stay() {
        let (outcomes, _) = feed(&[
            (8, true, &[1; 8], 8),
            (0, true, &[2; 24], 24),
            (24, false, &[3; 3], 3),
        ]);
        let mut expected = vec![2; 8];
        expected.extend([1; 8]);
        expected.extend([2; 8]);
        expected.extend([3; 3]);
        assert_eq!(complete(&outcomes[2]), (&expected[..], 27));
    }

    #[test]
    fn a_fragment_cut_by_the_snap_length_ends_the_bytes_but_not_the_length() {
        let (outcomes, _) = feed(&[(0, true, &[1; 10], 16), (16, false, &[2; 4], 4)]);
        assert_eq!(complete(&outcomes[1]), (&[1; 10][..], 20));
    }

    #[test]
    fn a_second_sighting_begins_no_new_datagram() {
        let (outcomes, counts) = feed(&[
            (0, true, &[1; 8], 8),
            (8, false, &[2; 4], 4),
            (8, false, &[2; 4], 4),
        ]);
        assert!(matches!(outcomes[1], Outcome::Complete(_)));
        assert!(matches!(outcomes[2], Outcome::Held));
        assert_eq!(counts.undecoded(Undecoded::Fragment), 2);
    }

    #[test]
    fn fragments_that_contradict_are_bad() {
        let (outcomes, _) = feed(&[
            (8, false, &[1; 8], 8),
            (16, true, &[1; 8], 8),
            (0, false, &[1; 4], 4),
        ]);
        assert!(matches!(outcomes[1], Outcome::Bad), "beyond the last");
        assert!(matches!(outcomes[2], Outcome::Bad), "a second last one");
        let (outcomes, _) = feed(&[(65528, true, &[1; 8], 8), (0, true, &[1; 7], 7)]);
        assert!(
            matches!(outcomes[0], Outcome::Bad),
            "longer than a datagram can be"
        );
        assert!(
            matches!(outcomes[1], Outcome::Bad),
            "not one unit of eight bytes"
        );
    }

    #[test]
    fn every_bound_gives_up_the_oldest_and_is_counted() {
        let (mut reassembly, mut counts) = (Reassembly::default(), DecodeCounts::default());
        let mut add = |id: u32, offset: u32, length: u32, time: i64, counts: &mut DecodeCounts| {
            let fragment = Fragment {
                id,
                protocol: 6,
                offset,
                more: true,
            };
            let bytes = vec![0; length as usize];
            let view = View {
                bytes: &bytes,
                length,
                at: 0,
                in_batch: true,
                is_claimed: false,
            };
            reassembly.add(
                DatagramKey { id, ..KEY },
                &fragment,
                view,
                Timestamp(time),
                counts,
            );
            assert!(
                reassembly.datagrams.len() <= MAX_DATAGRAMS && reassembly.held_bytes() <= MAX_BYTES
            );
        };
        for id in 0..70 {
            add(id, 8, 8, 0, &mut counts);
        }
        assert_eq!(counts.fragment_datagram_limit_hits, 6);
        assert_eq!(counts.undecoded(Undecoded::FragmentIncomplete), 6);
        for id in 0..64 {
            add(id, 65_000, 400, 0, &mut counts);
        }
        assert!(counts.fragment_byte_limit_hits > 0);
        add(999, 8, 8, EXPIRY_NS + 1, &mut counts);
        assert_eq!(
            counts.undecoded(Undecoded::Fragment),
            1,
            "all others expired"
        );
        for piece in 0..200 {
            add(999, 16 + piece * 16, 8, EXPIRY_NS + 1, &mut counts);
        }
        assert_eq!(counts.fragment_piece_limit_hits, 1);
        assert_eq!(counts.packets(), 70 + 64 + 1 + 200);
    }
}
