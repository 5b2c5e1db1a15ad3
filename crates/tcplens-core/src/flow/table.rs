//! The table of flows of one shard: an open-addressing index of 8-byte slots over a slab of flows.
//!
//! The slab grows by chunks, so that no flow ever moves and memory grows by what is used; the index doubles at three
//! quarters. The caller keeps the bound.

use super::{Flow, Phase};
use crate::wire::segment::{FlowKey, Segment};

/// Flows per chunk of the slab.
const CHUNK: usize = 32;

/// A place in the table; valid until that flow is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u32);

#[derive(Clone, Copy)]
struct Slot {
    /// Low half of the key's hash; where it belongs is its low bits.
    tag: u32,
    /// Place of the flow, or `u32::MAX` for none.
    place: u32,
}

const EMPTY: Slot = Slot {
    tag: 0,
    place: u32::MAX,
};

/// See the module.
pub struct Table {
    index: Vec<Slot>,
    chunks: Vec<Box<[Flow; CHUNK]>>,
    vacant: Vec<u32>,
    len: usize,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            index: vec![EMPTY; 16],
            chunks: Vec::new(),
            vacant: Vec::new(),
            len: 0,
        }
    }
}

impl Table {
    /// Flows in the table.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The flow that a segment belongs to: the one with its key, else one with its ends that was seen in several contexts
    /// and that it fits.
    #[inline]
    #[must_use]
    pub fn find(&self, seg: &Segment) -> Option<Place> {
        let mut known_elsewhere = None;
        for (place, flow) in self.with_hash(seg.hash) {
            if flow.key == seg.flow {
                return Some(place);
            }
            if flow.in_any_context && flow.key.has_ends_of(&seg.flow) && flow.fits(seg) {
                known_elsewhere = Some(place);
            }
        }
        known_elsewhere
    }

    /// Flows with the ends of this key, in other contexts.
    pub fn elsewhere<'t>(
        &'t self,
        key: &'t FlowKey,
        hash: u64,
    ) -> impl Iterator<Item = (Place, &'t Flow)> {
        self.with_hash(hash)
            .filter(|(_, flow)| flow.key.has_ends_of(key))
    }

    /// Flows whose hash has the same low half: nearly always one or none.
    #[inline]
    fn with_hash(&self, hash: u64) -> impl Iterator<Item = (Place, &Flow)> {
        let mask = self.index.len() - 1;
        // The cast keeps the low half.
        let tag = hash as u32;
        let mut at = tag as usize & mask;
        std::iter::from_fn(move || {
            loop {
                let slot = self.index[at];
                if slot.place == u32::MAX {
                    return None;
                }
                at = (at + 1) & mask;
                if slot.tag == tag {
                    return Some((Place(slot.place), self.at(Place(slot.place))));
                }
            }
        })
    }

    /// The flow at a place.
    #[inline]
    #[must_use]
    pub fn at(&self, place: Place) -> &Flow {
        let place = place.0 as usize;
        &self.chunks[place / CHUNK][place % CHUNK]
    }

    /// The flow at a place.
    #[inline]
    pub fn at_mut(&mut self, place: Place) -> &mut Flow {
        let place = place.0 as usize;
        &mut self.chunks[place / CHUNK][place % CHUNK]
    }

    /// Puts a flow into the table; its key must not be there.
    pub fn insert(&mut self, hash: u64, flow: Flow) -> Place {
        if (self.len + 1) * 4 > self.index.len() * 3 {
            self.grow();
        }
        if self.vacant.is_empty() {
            self.add_chunk();
        }
        let place = self.vacant.pop().unwrap_or_default();
        *self.at_mut(Place(place)) = flow;
        self.len += 1;
        link(
            &mut self.index,
            Slot {
                tag: hash as u32,
                place,
            },
        );
        Place(place)
    }

    /// Takes a flow out; the slot keeps nothing of it.
    pub fn remove(&mut self, place: Place, hash: u64) {
        let mask = self.index.len() - 1;
        let mut hole = hash as usize & mask;
        while self.index[hole].place != place.0 {
            debug_assert!(
                self.index[hole].place != u32::MAX,
                "a place that is not in the index"
            );
            hole = (hole + 1) & mask;
        }
        // Later slots of the same run move back, so that no tombstone is needed.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.index[at];
            if slot.place == u32::MAX {
                break;
            }
            let home = slot.tag as usize & mask;
            let stays = (at.wrapping_sub(home) & mask) < (at.wrapping_sub(hole) & mask);
            if !stays {
                self.index[hole] = slot;
                hole = at;
            }
        }
        self.index[hole] = EMPTY;
        self.len -= 1;
        self.vacant.push(place.0);
        let flow = self.at_mut(place);
        flow.phase = Phase::Vacant;
        flow.odd = None;
    }

    /// All flows in use, in the order of their places, which does not depend on hashes.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Flow)> {
        let flows = self.chunks.iter().flat_map(|chunk| chunk.iter());
        (0u32..)
            .zip(flows)
            .filter(|(_, flow)| flow.phase != Phase::Vacant)
            .map(|(place, flow)| (Place(place), flow))
    }

    #[cold]
    fn grow(&mut self) {
        let mut index = vec![EMPTY; self.index.len() * 2];
        for slot in self.index.iter().filter(|slot| slot.place != u32::MAX) {
            link(&mut index, *slot);
        }
        self.index = index;
    }

    #[cold]
    fn add_chunk(&mut self) {
        let first = (self.chunks.len() * CHUNK) as u32;
        self.chunks
            .push(Box::new(std::array::from_fn(|_| Flow::vacant())));
        self.vacant.extend((first..first + CHUNK as u32).rev());
    }
}

fn link(index: &mut [Slot], slot: Slot) {
    let mask = index.len() - 1;
    let mut at = slot.tag as usize & mask;
    while index[at].place != u32::MAX {
        at = (at + 1) & mask;
    }
    index[at] = slot;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> FlowKey {
        FlowKey {
            low: [0, n],
            ..FlowKey::default()
        }
    }

    fn flow(n: u64) -> Flow {
        Flow {
            key: key(n),
            phase: Phase::Open,
            first_frame: n,
            ..Flow::vacant()
        }
    }

    fn find(table: &Table, n: u64) -> Option<Place> {
        table.find(&Segment {
            flow: key(n),
            hash: hash(n),
            ..Segment::default()
        })
    }

    /// A poor hash on purpose: long runs, so that removal has to move slots.
    fn hash(n: u64) -> u64 {
        n / 7
    }

    #[test]
    fn what_was_put_in_is_found_and_what_was_removed_is_not() {
        let mut table = Table::default();
        for n in 0..1000 {
            assert!(find(&table, n).is_none());
            table.insert(hash(n), flow(n));
        }
        for n in (0..1000).step_by(3) {
            let place = find(&table, n).unwrap();
            table.remove(place, hash(n));
        }
        for n in 0..1000 {
            let found = find(&table, n).map(|place| table.at(place).first_frame);
            assert_eq!(found, (n % 3 != 0).then_some(n));
        }
        assert_eq!(table.iter().count(), table.len());
    }
}
