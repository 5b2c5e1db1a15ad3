//! Where a shard keeps the attempts that are not decided: a list with vacant places, so that a flow needs only an index.

use crate::flow::table::Place;
use crate::tcp::handshake::Opening;

/// The attempts that are not decided. What is left in a vacant place is not looked at.
#[derive(Default)]
pub(super) struct Openings {
    list: Vec<Opening>,
    /// Whose each is; none where the place is vacant, or the attempt began with its SYN-ACK.
    owners: Vec<Option<Place>>,
    vacant: Vec<u32>,
}

impl Openings {
    pub(super) fn insert(&mut self, opening: Opening) -> u32 {
        match self.vacant.pop() {
            Some(at) => {
                self.list[at as usize] = opening;
                at
            }
            None => {
                if self.list.len() == self.list.capacity() {
                    // A quarter more, not twice as much: 64 shards have such a list.
                    let more = (self.list.len() / 4).max(8);
                    self.list.reserve_exact(more);
                    self.owners.reserve_exact(more);
                }
                self.list.push(opening);
                self.owners.push(None);
                (self.list.len() - 1) as u32
            }
        }
    }

    pub(super) fn at(&self, at: u32) -> &Opening {
        &self.list[at as usize]
    }

    pub(super) fn at_mut(&mut self, at: u32) -> &mut Opening {
        &mut self.list[at as usize]
    }

    /// The attempt at `at` is that of a flow.
    pub(super) fn belongs_to(&mut self, at: u32, flow: Place) {
        self.owners[at as usize] = Some(flow);
    }

    /// Attempts that are not decided, with their flows.
    pub(super) fn owned(&self) -> impl Iterator<Item = (&Opening, Place)> {
        let all = self.owners.iter().zip(&self.list);
        all.filter_map(|(owner, opening)| Some((opening, (*owner)?)))
    }

    pub(super) fn remove(&mut self, at: u32) {
        self.owners[at as usize] = None;
        self.vacant.push(at);
    }
}
