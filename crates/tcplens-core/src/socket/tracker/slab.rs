//! Entries in chunks that never move: growth takes one chunk more, never twice the memory.

use super::Entry;

/// Entries of one chunk.
const CHUNK: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Option<Entry>>>,
    free: Vec<u32>,
}

impl Slab {
    /// Where it is from now on.
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        if let Some(slot) = self.free.pop() {
            let (chunk, at) = place(slot);
            self.chunks[chunk][at] = Some(entry);
            return slot;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let slot = self.slots();
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(Some(entry));
        }
        slot
    }

    /// One that is there.
    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Entry {
        self.find_mut(slot)
            .expect("the table has slots in use only")
    }

    #[inline]
    pub(super) fn find_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        let (chunk, at) = place(slot);
        self.chunks.get_mut(chunk)?.get_mut(at)?.as_mut()
    }

    pub(super) fn find(&self, slot: u32) -> Option<&Entry> {
        let (chunk, at) = place(slot);
        self.chunks.get(chunk)?.get(at)?.as_ref()
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Entry> {
        let (chunk, at) = place(slot);
        let entry = self.chunks.get_mut(chunk)?.get_mut(at)?.take();
        if entry.is_some() {
            self.free.push(slot);
        }
        entry
    }

    /// How many there are, used or not.
    pub(super) fn slots(&self) -> u32 {
        let last = self.chunks.last().map_or(0, Vec::len);
        let all = self.chunks.len().saturating_sub(1) * CHUNK + last;
        // The tracker's limit is below.
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flatten().flatten()
    }
}

fn place(slot: u32) -> (usize, usize) {
    (slot as usize / CHUNK, slot as usize % CHUNK)
}
