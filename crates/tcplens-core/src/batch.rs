//! Records on their way from shards to views: with their rank, in no order until [`Records::sort`].

use crate::record::{Connection, Handshake};
use crate::time::Timestamp;

/// The record kinds that shards make, in the order in which they stand when all else is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// [`Handshake`].
    Handshake,
    /// [`Connection`].
    Connection,
}

/// A record's place in the order of all: the same in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Engine clock when it became final; for an expiry its tick.
    pub clock: Timestamp,
    /// First packet of its connection.
    pub frame: u64,
    /// Its kind.
    pub kind: Kind,
}

impl Place {
    /// After everything.
    pub const LAST: Place = Place {
        clock: Timestamp::MAX,
        frame: u64::MAX,
        kind: Kind::Connection,
    };

    /// Before every record that becomes final at `clock` or later.
    #[must_use]
    pub fn at(clock: Timestamp) -> Place {
        Place {
            clock,
            frame: 0,
            kind: Kind::Handshake,
        }
    }
}

/// A record by reference.
#[derive(Clone, Copy, Debug)]
pub enum AnyRecord<'a> {
    /// A connection attempt.
    Handshake(&'a Handshake),
    /// A connection or a part of one.
    Connection(&'a Connection),
}

/// A batch of records.
#[derive(Default)]
pub struct Records {
    places: Vec<(Place, u32)>,
    handshakes: Vec<Handshake>,
    connections: Vec<Connection>,
}

impl Records {
    /// Adds a handshake.
    pub fn handshake(&mut self, place: Place, record: Handshake) {
        self.places.push((place, self.handshakes.len() as u32));
        self.handshakes.push(record);
    }

    /// Adds a connection.
    pub fn connection(&mut self, place: Place, record: Connection) {
        self.places.push((place, self.connections.len() as u32));
        self.connections.push(record);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Brings them into order. Nearly sorted already, which a stable sort makes use of.
    pub fn sort(&mut self) {
        self.places.sort_by_key(|(place, _)| *place);
    }

    /// The place of the `n`th record.
    #[inline]
    #[must_use]
    pub fn place(&self, n: usize) -> Option<Place> {
        self.places.get(n).map(|(place, _)| *place)
    }

    /// The `n`th record and its place.
    #[must_use]
    pub fn get(&self, n: usize) -> Option<(Place, AnyRecord<'_>)> {
        let &(place, at) = self.places.get(n)?;
        let at = at as usize;
        Some((
            place,
            match place.kind {
                Kind::Handshake => AnyRecord::Handshake(self.handshakes.get(at)?),
                Kind::Connection => AnyRecord::Connection(self.connections.get(at)?),
            },
        ))
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.places.clear();
        self.handshakes.clear();
        self.connections.clear();
    }
}
