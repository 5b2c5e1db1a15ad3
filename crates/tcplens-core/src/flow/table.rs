//! The table of flows of one shard: an index in groups of eight slots over a slab of flows.
//!
//! The slab grows by chunks, so that no flow ever moves and memory grows by what is used; the index doubles at five
//! eighths. What finds no room in its group goes to the next, and is counted on the way: a search ends at the first
//! group that nothing went past (as in F14, Facebook 2019). The caller keeps the bound.

use super::{Flow, Phase};
use crate::wire::segment::{FlowKey, Segment};

/// Flows per chunk of the slab.
const CHUNK: usize = 32;

/// A place in the table, of a flow until that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u32);

/// Flows per group of the index.
const GROUP: usize = 8;

/// Eight slots of the index, searched at once: no loop whose end cannot be predicted.
#[derive(Clone, Copy)]
struct Group {
    /// A byte of each flow's hash, 2 or more; 0 where there is none.
    tags: [u8; GROUP],
    /// Flows that belong here or before, and found room only after this group.
    beyond: u32,
    places: [u32; GROUP],
}

const EMPTY: Group = Group {
    tags: [0; GROUP],
    beyond: 0,
    places: [0; GROUP],
};

impl Group {
    /// The top bit of the byte of each slot with this tag. Slots in use above one may be marked that differ from the tag in
    /// the lowest bit alone: whoever asks compares keys, or places.
    #[inline(always)]
    fn matches(&self, tag: u8) -> u64 {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x80 * ONES;
        // Bytes that are 0 in the difference, and what the borrow of one does to those above that are 1 (Warren, Hacker's
        // Delight, section 6-1). Empty slots are not among these: no tag is 1.
        let difference = u64::from_le_bytes(self.tags) ^ (ONES * u64::from(tag));
        difference.wrapping_sub(ONES) & !difference & HIGH
    }

    #[inline]
    fn place(&self, matches: u64) -> Place {
        Place(self.places[matches.trailing_zeros() as usize / 8 % GROUP])
    }
}

/// The byte of a hash that is kept in the index.
#[inline(always)]
fn tag(hash: u32) -> u8 {
    // The cast keeps the low byte of what is left: the upper one.
    ((hash >> 24) as u8).max(2)
}

/// See the module.
pub struct Table {
    groups: Vec<Group>,
    chunks: Vec<Box<[Flow; CHUNK]>>,
    vacant: Vec<u32>,
    len: usize,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            groups: vec![EMPTY; 2],
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

    /// The first place in its group that may be that of a segment's flow, as it nearly always [is](Self::is_at).
    #[inline(always)]
    #[must_use]
    pub fn candidate(&self, seg: &Segment) -> Option<Place> {
        // The cast keeps the low half.
        let hash = seg.hash as u32;
        let group = &self.groups[hash as usize & (self.groups.len() - 1)];
        let matches = group.matches(tag(hash));
        (matches != 0).then(|| group.place(matches))
    }

    /// Whether the flow with a segment's key is at a place, whatever happened to the table since that was a candidate.
    #[inline(always)]
    #[must_use]
    pub fn is_at(&self, place: Place, seg: &Segment) -> bool {
        let flow = self.at(place);
        flow.key == seg.flow && flow.phase != Phase::Vacant
    }

    /// The flow that a segment belongs to: the one with its key, else one with its ends that was seen in several contexts
    /// and that it fits; the latest of these.
    #[inline(never)]
    #[must_use]
    pub fn find(&self, seg: &Segment) -> Option<Place> {
        let mut known_elsewhere = None;
        for (place, flow) in self.with_hash(seg.hash) {
            if flow.key == seg.flow {
                return Some(place);
            }
            if flow.in_any_context && flow.key.has_ends_of(&seg.flow) && flow.fits(seg) {
                known_elsewhere = known_elsewhere.max(Some((flow.first_frame, place)));
            }
        }
        known_elsewhere.map(|(_, place)| place)
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

    /// Flows whose hash may be the same: nearly always one or none. In no order that means anything.
    #[inline]
    fn with_hash(&self, hash: u64) -> impl Iterator<Item = (Place, &Flow)> {
        let mask = self.groups.len() - 1;
        // The cast keeps the low half.
        let hash = hash as u32;
        let tag = tag(hash);
        let mut at = hash as usize & mask;
        let mut group = &self.groups[at];
        let mut matches = group.matches(tag);
        // Under churn every group may have something beyond it: all are looked at once at most.
        let mut others = mask;
        std::iter::from_fn(move || {
            while matches == 0 {
                if group.beyond == 0 || others == 0 {
                    return None;
                }
                others -= 1;
                at = (at + 1) & mask;
                group = &self.groups[at];
                matches = group.matches(tag);
            }
            let place = group.place(matches);
            matches &= matches - 1;
            Some((place, self.at(place)))
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
        // Beyond five eighths of the slots too many find no room in their group.
        if self.len + 1 > self.groups.len() * (GROUP * 5 / 8) {
            self.grow();
        }
        if self.vacant.is_empty() {
            self.add_chunk();
        }
        let place = Place(self.vacant.pop().unwrap_or_default());
        // The cast keeps the low half.
        let hash = hash as u32;
        let kept = self.at_mut(place);
        *kept = flow;
        kept.hash = hash;
        self.len += 1;
        link(&mut self.groups, hash, place);
        place
    }

    /// Takes a flow out; the slot keeps nothing of it.
    pub fn remove(&mut self, place: Place) {
        let flow = self.at_mut(place);
        let hash = flow.hash;
        flow.phase = Phase::Vacant;
        flow.odd.clear();
        self.len -= 1;
        self.vacant.push(place.0);
        let mask = self.groups.len() - 1;
        let mut at = hash as usize & mask;
        // Bounded, though every place is in the index.
        for _ in 0..=mask {
            let group = &mut self.groups[at];
            let mut matches = group.matches(tag(hash));
            while matches != 0 {
                if group.place(matches) == place {
                    group.tags[matches.trailing_zeros() as usize / 8 % GROUP] = 0;
                    return;
                }
                matches &= matches - 1;
            }
            group.beyond -= 1;
            at = (at + 1) & mask;
        }
        debug_assert!(false, "a place that is not in the index");
    }

    /// Takes a flow out at the end of the observation, when nothing is looked up and nothing comes in any more.
    pub fn forget(&mut self, place: Place) {
        let flow = self.at_mut(place);
        flow.phase = Phase::Vacant;
        flow.odd.clear();
        self.len -= 1;
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
        let mut groups = vec![EMPTY; self.groups.len() * 2];
        for (place, flow) in self.iter() {
            link(&mut groups, flow.hash, place);
        }
        self.groups = groups;
    }

    #[cold]
    fn add_chunk(&mut self) {
        let first = (self.chunks.len() * CHUNK) as u32;
        self.chunks
            .push(Box::new(std::array::from_fn(|_| Flow::vacant())));
        self.vacant.extend((first..first + CHUNK as u32).rev());
    }
}

fn link(groups: &mut [Group], hash: u32, place: Place) {
    let mask = groups.len() - 1;
    let mut at = hash as usize & mask;
    loop {
        let group = &mut groups[at];
        let free = group.matches(0);
        if free != 0 {
            let slot = free.trailing_zeros() as usize / 8 % GROUP;
            group.tags[slot] = tag(hash);
            group.places[slot] = place.0;
            return;
        }
        group.beyond += 1;
        at = (at + 1) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_not_found_however_long_the_table_was_in_use() {
        let mut table = Table::default();
        // Spread as a hash does it; the load stays the same, just below the limit of a small table.
        let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let absent = |n: u64| Segment {
            flow: key(n),
            hash: spread(n),
            ..Segment::default()
        };
        let mut live = std::collections::VecDeque::new();
        for n in 0..20_000 {
            assert!(table.find(&absent(n)).is_none());
            if live.len() == 11 {
                table.remove(live.pop_front().unwrap());
            }
            live.push_back(table.insert(spread(n), flow(n)));
            assert!(table.find(&absent(n)).is_some());
        }
    }

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
            table.remove(place);
        }
        for n in 0..1000 {
            let found = find(&table, n).map(|place| table.at(place).first_frame);
            assert_eq!(found, (n % 3 != 0).then_some(n));
        }
        assert_eq!(table.iter().count(), table.len());
    }
}
