//! What a parser says of the bytes it was shown.

use crate::record::Protocol;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From client to server.
    ToServer,
    /// From server to client.
    ToClient,
}

impl Way {
    /// The other direction.
    #[must_use]
    pub fn back(self) -> Way {
        match self {
            Way::ToServer => Way::ToClient,
            Way::ToClient => Way::ToServer,
        }
    }
}

/// The answer of [`Parser::read`](super::Parser::read).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing can be said before more bytes come.
    Wait,
    /// The front of the unread bytes is this.
    Unit(Unit),
    /// This is not the protocol, or its footing is lost.
    Lost(Loss),
}

/// Why a parser gave up; counted in `health.unparsed_messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Bytes that the protocol does not allow.
    Malformed,
    /// A message is longer than the parser can wait for.
    TooLong,
    /// Something the parser does not read: compression, encryption, an unknown version.
    Unsupported,
}

/// A run of bytes of one direction that belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// How many bytes; at least one, and more than are there if what follows need not be read. Zero is allowed only
    /// where it ends a message (the sender closed its direction).
    pub length: u64,
    /// What they are.
    pub part: Part,
    /// Another protocol is spoken after this unit, in both directions: `Protocol::Turn` for one to be recognised anew.
    pub then: Option<Protocol>,
}

impl Unit {
    /// `length` bytes of this.
    #[must_use]
    pub fn new(length: usize, part: Part) -> Unit {
        Unit {
            length: length as u64,
            part,
            then: None,
        }
    }

    /// The same as a step.
    #[must_use]
    pub fn step(self) -> Step {
        Step::Unit(self)
    }
}

/// What a unit is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Neither request nor response: a greeting, a push, padding, a provisional reply, an intermediate step of a login.
    Aside,
    /// A request, or a piece of one.
    Request(Request),
    /// A response, or a piece of one.
    Response(Response),
    /// Neither, of either side; but it shows that the response to the oldest request that waits is complete as it
    /// stands: its last byte is the last one that was read of it. It may tell how the request went (status text in the
    /// context's texts). If nothing was read of a response, and no outcome is told, the request stays unanswered.
    Conclusion(Option<Outcome>),
    /// The client gives up the request with this number (HTTP/2's RST_STREAM): nothing more of it or its response counts,
    /// and it ends by the client, unanswered if nothing of a response was read. The bytes are the request's; how it was
    /// given up is in the outcome and the context's texts.
    Cancel(u64, Outcome),
}

/// A piece of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// For protocols that pair by number: the number. `None`: first in, first out.
    pub id: Option<u64>,
    /// It is the first piece: operation and summary are in the context's texts.
    pub begins: bool,
    /// It is the last piece. A request that has not ended counts as outstanding all the same. Where the end cannot be
    /// told (turns), every piece ends it, and a further one that comes before the response extends it.
    pub ends: bool,
    /// Where the end of a response shows only in the next request (turns): what waits when this piece begins is done, and
    /// its response ends with the last byte that was read of it. What has no response byte is unanswered.
    pub closes: bool,
    /// Whether a response will come; read from the first piece, or from the last, whichever says `Nothing`.
    pub owes: Owes,
    /// For the parser itself: given back by [`Asked`].
    pub tag: u32,
}

/// Whether a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owes {
    /// It is.
    Reply,
    /// It is not: status `none`.
    Nothing,
    /// Only if there is something to say (memcached's quiet commands: a hit, an error). When a younger request gets a
    /// response first, or the connection ends, none was owed: status `none`.
    Perhaps,
}

/// A piece of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Of the request that it answers; `None`: of the oldest that waits.
    pub id: Option<u64>,
    /// It is the last piece: the request is done.
    pub ends: bool,
    /// The response begins here: what was taken for its first pieces was something else (a TLS session ticket).
    pub restarts: bool,
    /// How it went, from the piece that tells; the last one that is not `None` counts, an error is never overwritten by
    /// `ok`. When none was given at the end, `ok`.
    pub outcome: Option<Outcome>,
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// True for `status: error`.
    pub is_error: bool,
    /// `status_code`.
    pub code: Option<u32>,
}

/// The requests that wait for the end of their response, as their parser tagged them.
pub trait Asked {
    /// Tag of the `n`th oldest of this direction's pairing; 0 is the one that the next response belongs to.
    fn nth(&self, n: usize) -> Option<u32>;
    /// Tag of the one with this number.
    fn with_id(&self, id: u64) -> Option<u32>;

    /// Tag of the oldest.
    fn oldest(&self) -> Option<u32> {
        self.nth(0)
    }
}

impl Request {
    /// A whole request, paired first in first out, that owes a reply.
    #[must_use]
    pub fn whole() -> Request {
        Request {
            id: None,
            begins: true,
            ends: true,
            closes: false,
            owes: Owes::Reply,
            tag: 0,
        }
    }

    /// The first piece of one.
    #[must_use]
    pub fn begin() -> Request {
        Request {
            ends: false,
            ..Request::whole()
        }
    }

    /// A further piece of the latest one (or of the one with `id`).
    #[must_use]
    pub fn more(ends: bool) -> Request {
        Request {
            begins: false,
            ends,
            ..Request::whole()
        }
    }
}

impl Response {
    /// A whole response.
    #[must_use]
    pub fn whole(is_error: bool, code: Option<u32>) -> Response {
        Response {
            id: None,
            ends: true,
            restarts: false,
            outcome: Some(Outcome { is_error, code }),
        }
    }

    /// A piece that says nothing of how it went.
    #[must_use]
    pub fn more(ends: bool) -> Response {
        Response {
            id: None,
            ends,
            restarts: false,
            outcome: None,
        }
    }
}
