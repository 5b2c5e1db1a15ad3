//! A list of segments that are written where they stand: its places are used again, and not cleared in between.

use std::ops::Deref;

use crate::wire::segment::Segment;

/// Segments in input order; derefs to the slice of them.
#[derive(Default)]
pub struct Segments {
    /// Those that are there, and places for more, in which anything may stand.
    places: Vec<Segment>,
    count: usize,
}

impl Segments {
    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        let wanted = self.count + more;
        if let Some(missing) = wanted.checked_sub(self.places.len()) {
            self.places.reserve_exact(missing);
            self.places.resize(wanted, Segment::default());
        }
    }

    /// Adds the segment that `write` makes of the place that it is given, whatever stood there; false if there is no room
    /// (see [`reserve`](Self::reserve)).
    #[inline(always)]
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Segment)) -> bool {
        let Some(place) = self.places.get_mut(self.count) else {
            return false;
        };
        write(place);
        self.count += 1;
        true
    }

    /// Adds a segment, and room where there is none.
    pub(super) fn push(&mut self, segment: Segment) {
        const ROOM: usize = 16;
        if self.count == self.places.len() {
            self.reserve(self.count.max(ROOM));
        }
        self.add(|place| *place = segment);
    }

    /// Empties it, keeping its memory.
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }
}

impl Deref for Segments {
    type Target = [Segment];

    #[inline]
    fn deref(&self) -> &[Segment] {
        &self.places[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(frame: u64) -> Segment {
        Segment {
            frame,
            ..Segment::default()
        }
    }

    #[test]
    fn what_is_added_is_there_in_order_and_what_was_cleared_is_not() {
        let mut segments = Segments::default();
        assert!(!segments.add(|_| unreachable!("there is no room")));
        for frame in 0..100 {
            segments.push(segment(frame));
        }
        assert!(segments.iter().map(|segment| segment.frame).eq(0..100));
        segments.clear();
        assert!(segments.is_empty());
        // There is room, and what stood there is to be written over.
        assert!(segments.add(|place| *place = segment(7)));
        assert_eq!(*segments, [segment(7)]);
    }

    #[test]
    fn room_is_for_what_is_to_come() {
        let mut segments = Segments::default();
        segments.push(segment(1));
        segments.reserve(50);
        let added = (0..60).filter(|_| segments.add(|_| ())).count();
        assert!(added >= 50);
    }
}
