//! Where a shard keeps the attempts that are not decided: a list with vacant places, so that a flow needs only an index.

use crate::tcp::handshake::Opening;

/// The attempts that are not decided. What is left in a vacant place is not looked at.
#[derive(Default)]
pub(super) struct Openings {
    list: Vec<Opening>,
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
                self.list.push(opening);
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

    pub(super) fn remove(&mut self, at: u32) {
        self.vacant.push(at);
    }
}
