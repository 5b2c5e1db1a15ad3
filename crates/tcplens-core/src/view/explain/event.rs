//! What happened on a connection: one event for a segment that is odd, one for a run of ordinary ones. Not words: those are
//! `words`.

use std::sync::Arc;

use crate::record::{End, EndedBy, Protocol, RequestRef, Status, Times, Verdict, Word};
use crate::time::{Span, Timestamp};

/// Requests whose names one event keeps; of more only the number. Chosen: what fits a line.
const NAMED: usize = 4;

impl End {
    /// The end that is not this one.
    #[must_use]
    pub fn other(self) -> End {
        match self {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }

    /// Its place in arrays of both.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            End::Client => 0,
            End::Server => 1,
        }
    }
}

/// Why a segment was sent again, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Three duplicate ACKs or more asked for it (RFC 5681).
    Fast,
    /// 200 ms or more went by without an acknowledgment: the least of Linux's retransmission timeouts.
    Timeout,
    /// It had been acknowledged when it was seen here.
    NotNeeded,
    /// Earlier than a timeout, and with fewer duplicate ACKs: of a sender that goes by SACK or by time (RFC 8985).
    Early,
    /// When it was sent before is not known.
    Unknown,
}

/// How a segment that filled a hole had come to be late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Sent after what lies beyond the hole: lost before this point, and repeated.
    Lost,
    /// Sent before it: overtaken on the way here.
    Overtaken,
    /// Cannot be told.
    Unknown,
}

/// What an event is.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A SYN.
    Syn,
    /// A SYN with ACK.
    SynAck,
    /// An acknowledgment and nothing else.
    Ack,
    /// New data, in order: one segment or a run of them.
    Data,
    /// A segment of which all was seen before.
    Repeat {
        /// Why.
        why: Again,
        /// The packet that had it last; 0 if that is not known.
        of: u64,
    },
    /// A segment of which a part was seen before.
    Partial,
    /// A segment below the highest sequence number, of which nothing was seen before.
    Fill {
        /// How it came to be late.
        late: Late,
        /// The packet that showed the hole; 0 if that is not known.
        seen_at: u64,
    },
    /// Bytes were passed over.
    Hole {
        /// They had been acknowledged: it is the capture that misses them.
        is_acknowledged: bool,
    },
    /// ACKs that acknowledge nothing new while something is missing.
    DuplicateAcks,
    /// An ACK that came late, and what was waiting for it.
    DelayedAck,
    /// Its receiver got something twice, and says so (D-SACK, RFC 2883).
    Spurious,
    /// Its receive window is closed.
    WindowClosed,
    /// Its receive window is open again.
    WindowOpened,
    /// A probe of zero or one byte below the next sequence number.
    Probe {
        /// The peer's window is closed: this asks whether it still is.
        of_window: bool,
    },
    /// Nothing was seen for a while.
    Silence(Silence),
    /// FIN.
    Fin,
    /// RST.
    Reset,
    /// A packet that was seen already, at another place of the network.
    SecondSighting,
    /// Events that were left out.
    Fold(Box<Folded>),
}

/// What is known of a silence when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The handshake was not over.
    Opening,
    /// The receive window of this end was closed.
    Window(End),
    /// This end had sent data last.
    After(End),
    /// Nobody had sent data yet.
    NoData,
}

impl What {
    /// The stable word of machine formats.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            What::Syn => "syn",
            What::SynAck => "syn_ack",
            What::Ack => "ack",
            What::Data => "data",
            What::Repeat { .. } => "retransmit",
            What::Partial => "partial_retransmit",
            What::Fill {
                late: Late::Lost, ..
            } => "fill_lost",
            What::Fill {
                late: Late::Overtaken,
                ..
            } => "fill_reordered",
            What::Fill { .. } => "fill",
            What::Hole { .. } => "hole",
            What::DuplicateAcks => "duplicate_acks",
            What::DelayedAck => "delayed_ack",
            What::Spurious => "dsack",
            What::WindowClosed => "window_closed",
            What::WindowOpened => "window_opened",
            What::Probe { of_window: false } => "keepalive",
            What::Probe { of_window: true } => "window_probe",
            What::Silence(_) => "silence",
            What::Fin => "fin",
            What::Reset => "reset",
            What::SecondSighting => "second_sighting",
            What::Fold(_) => "fold",
        }
    }
}

/// Events that were left out, as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    /// How many.
    pub events: u64,
    /// New payload bytes of client and server.
    pub bytes: [u64; 2],
    /// Requests that began there.
    pub requests: u64,
    /// The longest of them that is known.
    pub longest: Option<Arc<Asked>>,
    /// Segments that were sent again, in part or as a whole.
    pub repeats: u64,
    /// Segments that filled holes.
    pub fills: u64,
    /// Times a window was closed.
    pub closures: u64,
}

/// What happened, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its first packet; of a silence, the packet before it.
    pub time: Timestamp,
    /// Its last packet; of a silence, the packet after it.
    pub until: Timestamp,
    /// Who sent it; `None`: nobody, or both.
    pub from: Option<End>,
    /// What it is.
    pub what: What,
    /// TCP flags of its segments, taken together.
    pub flags: u8,
    /// Its first and last packet, from 1.
    pub frames: [u64; 2],
    /// Segments.
    pub segments: u64,
    /// Payload bytes; of a hole those that are missing.
    pub bytes: u64,
    /// Of what was sent again, since it was sent last; of a fill, since the hole was seen; of a window that opens or closes, how
    /// long it is closed; of an ACK that came late, how late; of a silence, how long.
    pub span: Option<Span>,
    /// What else is known of it.
    pub notes: Option<Box<Notes>>,
}

/// What records say of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// Requests that begin here: the first few, in order.
    pub asked: Vec<Arc<Asked>>,
    /// How many begin here.
    pub asks: u64,
    /// Requests whose response begins here.
    pub begun: Vec<Arc<Asked>>,
    /// Requests that end here: the first few, in order.
    pub answered: Vec<Arc<Asked>>,
    /// How many end here.
    pub answers: u64,
    /// Of a silence: the request that was under way.
    pub during: Option<Arc<Asked>>,
    /// It concluded the handshake.
    pub concludes: bool,
    /// Of a FIN: it is the first of the two.
    pub is_first: bool,
}

/// A request and its response.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Ordinal on the connection, from 1.
    pub task: u64,
    /// What it speaks.
    pub protocol: Protocol,
    /// What was asked for, in one printable line; at most `--summary-bytes`.
    pub what: String,
    /// How it went.
    pub status: Status,
    /// The protocol's number for it.
    pub status_code: Option<u64>,
    /// The protocol's words for it.
    pub status_text: Option<String>,
    /// What ended it.
    pub ended_by: EndedBy,
    /// T0 to T4.
    pub times: Times,
    /// T3 - T0, if it was answered.
    pub total: Option<Span>,
    /// The time budget in ns, in the order of [`Verdict`].
    pub budget: Option<[u64; 7]>,
    /// The largest of it.
    pub verdict: Option<Verdict>,
    /// Payload of request and response.
    pub bytes: [u64; 2],
}

impl Asked {
    pub(super) fn of(request: RequestRef<'_>) -> Asked {
        let record = request.record();
        let name = record.summary.or(record.operation);
        let protocol = record.protocol.word().unwrap_or_default();
        Asked {
            task: record.task,
            protocol: record.protocol,
            what: match record.protocol {
                // It has no words of its own.
                Protocol::Turn => "request".to_owned(),
                _ => name.unwrap_or(protocol).to_owned(),
            },
            status: record.status,
            status_code: record.status_code,
            status_text: record.status_text.map(str::to_owned),
            ended_by: record.ended_by,
            times: request.row.times,
            total: record.total_us,
            budget: request.row.budget(),
            verdict: record.verdict,
            bytes: [record.request_bytes, record.response_bytes],
        }
    }
}

impl Event {
    pub(super) fn notes(&mut self) -> &mut Notes {
        self.notes.get_or_insert_default()
    }

    pub(super) fn note_asked(&mut self, asked: &Arc<Asked>) {
        let notes = self.notes();
        notes.asks += 1;
        keep(&mut notes.asked, asked);
    }

    pub(super) fn note_begun(&mut self, asked: &Arc<Asked>) {
        keep(&mut self.notes().begun, asked);
    }

    pub(super) fn note_answered(&mut self, asked: &Arc<Asked>) {
        let notes = self.notes();
        notes.answers += 1;
        keep(&mut notes.answered, asked);
    }

    /// Client and server were taken for each other.
    pub(super) fn turn_round(&mut self) {
        self.from = self.from.map(End::other);
        match &mut self.what {
            What::Silence(Silence::Window(end) | Silence::After(end)) => *end = end.other(),
            What::Fold(folded) => folded.bytes.reverse(),
            _ => {}
        }
    }
}

fn keep(list: &mut Vec<Arc<Asked>>, asked: &Arc<Asked>) {
    if list.len() < NAMED {
        list.push(Arc::clone(asked));
        return;
    }
    // The longest is among them.
    if let Some(last) = list.last_mut()
        && last.total < asked.total
    {
        *last = Arc::clone(asked);
    }
}
