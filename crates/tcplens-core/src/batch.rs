//! Records on their way from shards to views: with their rank, in no order until [`Records::sort`].

use std::ops::Range;

use crate::record::{Connection, Handshake, RequestExtra, RequestRef, RequestRow, SocketOwner};
use crate::time::Timestamp;

/// The record kinds that shards make, in the order in which they stand when all else is equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// [`Handshake`].
    #[default]
    Handshake,
    /// A request ([`RequestRow`]).
    Request,
    /// [`Connection`].
    Connection,
}

/// When a record became final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// By the engine clock; for an expiry its tick.
    pub clock: Timestamp,
    /// The packet that made it final; 0 for an expiry.
    pub frame: u64,
}

impl Moment {
    /// The end of the observation: after every packet.
    #[must_use]
    pub fn end(clock: Timestamp) -> Moment {
        Moment {
            clock,
            frame: u64::MAX,
        }
    }

    /// An expiry.
    #[must_use]
    pub fn tick(clock: Timestamp) -> Moment {
        Moment { clock, frame: 0 }
    }
}

/// A record's place in the order of all: the same in every run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it became final.
    pub at: Moment,
    /// First packet of its connection.
    pub first_frame: u64,
    /// Its kind.
    pub kind: Kind,
}

impl Place {
    /// After everything.
    pub const LAST: Place = Place {
        at: Moment {
            clock: Timestamp::MAX,
            frame: u64::MAX,
        },
        first_frame: u64::MAX,
        kind: Kind::Connection,
    };

    /// Before every record that is not final after packet `frame`, when the engine clock was at `clock`.
    #[must_use]
    pub fn after(clock: Timestamp, frame: u64) -> Place {
        Place::from(Moment {
            clock,
            frame: frame.saturating_add(1),
        })
    }
}

impl From<Moment> for Place {
    /// Before every record that becomes final at that moment.
    fn from(at: Moment) -> Place {
        Place {
            at,
            first_frame: 0,
            kind: Kind::Handshake,
        }
    }
}

/// A record by reference.
#[derive(Clone, Copy, Debug)]
pub enum AnyRecord<'a> {
    /// A connection attempt.
    Handshake(&'a Handshake),
    /// A request and its response.
    Request(RequestRef<'a>),
    /// A connection or a part of one.
    Connection(&'a Connection),
}

impl AnyRecord<'_> {
    /// Whether it is of packets whose connection the kernel tells of, too: it has its socket (see
    /// [`Joins`](crate::kernel::Joins)). Who counts connections leaves it out.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        let (vantage, owner) = match self {
            AnyRecord::Handshake(handshake) => (handshake.vantage, handshake.owner.as_deref()),
            AnyRecord::Request(request) => {
                let owner = request.extra.map(|extra| &extra.owner);
                (request.row.vantage, owner)
            }
            AnyRecord::Connection(connection) => (connection.vantage, connection.owner.as_deref()),
        };
        vantage.sees_packets() && owner.is_some()
    }
}

/// A record that was given its socket.
pub enum Stamped {
    /// A connection attempt.
    Handshake(Box<Handshake>),
    /// What a request is given.
    Request(Box<RequestExtra>),
    /// A connection.
    Connection(Box<Connection>),
}

impl Stamped {
    pub(crate) fn new(record: AnyRecord<'_>, owner: SocketOwner) -> Stamped {
        match record {
            AnyRecord::Handshake(handshake) => Stamped::Handshake(Box::new(Handshake {
                owner: Some(Box::new(owner)),
                ..handshake.clone()
            })),
            AnyRecord::Request(_) => Stamped::Request(Box::new(RequestExtra {
                owner,
                ..RequestExtra::default()
            })),
            AnyRecord::Connection(connection) => Stamped::Connection(Box::new(Connection {
                owner: Some(Box::new(owner)),
                ..connection.clone()
            })),
        }
    }

    /// What came of `record`, of which it was made.
    #[must_use]
    pub fn of<'a>(&'a self, record: AnyRecord<'a>) -> AnyRecord<'a> {
        match (self, record) {
            (Stamped::Handshake(handshake), _) => AnyRecord::Handshake(handshake),
            (Stamped::Connection(connection), _) => AnyRecord::Connection(connection),
            (Stamped::Request(extra), AnyRecord::Request(request)) => {
                AnyRecord::Request(RequestRef {
                    extra: Some(extra),
                    ..request
                })
            }
            (Stamped::Request(_), record) => record,
        }
    }
}

/// A batch of records.
#[derive(Default)]
pub struct Records {
    places: Vec<(Place, u32)>,
    handshakes: Vec<Handshake>,
    requests: Vec<RequestRow>,
    /// What the kernel tells besides, by the request's index: beside the rows and not in them, for those of packets are made
    /// by the million. Empty without the kernel's.
    extras: Vec<Option<RequestExtra>>,
    /// The words of requests.
    words: Vec<u8>,
    connections: Vec<Connection>,
}

impl Records {
    /// Adds a handshake.
    pub fn handshake(&mut self, place: Place, record: Handshake) {
        self.places.push((place, self.handshakes.len() as u32));
        self.handshakes.push(record);
    }

    /// Takes over what `ranges` hold of `words`: where it is now.
    #[inline]
    pub fn words(&mut self, ranges: &[Range<u32>; 3], words: &[u8]) -> [Range<u32>; 3] {
        // Nearly always they lie side by side, or one within another.
        let begins = |range: &Range<u32>| match range.start < range.end {
            true => range.start,
            false => u32::MAX,
        };
        let [a, b, c] = ranges;
        let from = begins(a).min(begins(b)).min(begins(c));
        let to = a.end.max(b.end).max(c.end);
        let length = a.len() + b.len() + c.len();
        let start = self.words.len() as u32;
        match words.get(from as usize..to as usize) {
            Some(text) if text.len() <= length => {
                self.words.extend_from_slice(text);
                ranges
                    .each_ref()
                    .map(|range| match range.start < range.end {
                        true => range.start - from + start..range.end - from + start,
                        false => 0..0,
                    })
            }
            _ => ranges.each_ref().map(|range| {
                let start = self.words.len() as u32;
                let text = words.get(range.start as usize..range.end as usize);
                self.words.extend_from_slice(text.unwrap_or_default());
                start..self.words.len() as u32
            }),
        }
    }

    /// Adds a request, whose words are these records'.
    #[inline]
    pub fn request(&mut self, place: Place, row: RequestRow) {
        self.places.push((place, self.requests.len() as u32));
        self.requests.push(row);
    }

    /// Adds a request that the kernel told of.
    pub fn kernel_request(&mut self, place: Place, row: RequestRow, extra: RequestExtra) {
        self.extras.resize(self.requests.len(), None);
        self.extras.push(Some(extra));
        self.request(place, row);
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

    /// Brings them into order; equals stay in the order in which they were added. Mostly they are in order already.
    pub fn sort(&mut self) {
        /// Chosen: beyond, what is moved costs more than to sort.
        const MOST: usize = 32;
        let mut misplaced = 0;
        for n in 1..self.places.len() {
            if self.places[n - 1] <= self.places[n] {
                continue;
            }
            misplaced += 1;
            if misplaced > MOST {
                self.places.sort_unstable();
                return;
            }
            let (before, rest) = self.places.split_at(n);
            let at = before.partition_point(|place| *place <= rest[0]);
            self.places[at..=n].rotate_right(1);
        }
    }

    /// The place of the `n`th record.
    #[inline]
    #[must_use]
    pub fn place(&self, n: usize) -> Option<Place> {
        self.places.get(n).map(|(place, _)| *place)
    }

    /// The `n`th record and its place.
    #[inline]
    #[must_use]
    pub fn get(&self, n: usize) -> Option<(Place, AnyRecord<'_>)> {
        let &(place, at) = self.places.get(n)?;
        let at = at as usize;
        Some((
            place,
            match place.kind {
                Kind::Handshake => AnyRecord::Handshake(self.handshakes.get(at)?),
                Kind::Request => AnyRecord::Request(RequestRef {
                    row: self.requests.get(at)?,
                    words: &self.words,
                    extra: self.extras.get(at).and_then(Option::as_ref),
                }),
                Kind::Connection => AnyRecord::Connection(self.connections.get(at)?),
            },
        ))
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.places.clear();
        self.handshakes.clear();
        self.requests.clear();
        self.extras.clear();
        self.words.clear();
        self.connections.clear();
    }
}
