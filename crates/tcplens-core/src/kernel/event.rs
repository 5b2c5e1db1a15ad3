//! What the programs inside the kernel tell: finished tasks, ended connections, attempts to connect. The layout in which
//! it comes is the source's business; here are plain values, each of which the kernel knew at that moment.
//!
//! Local is the end on this host whose socket it is; sent and received are meant from there.

use std::net::IpAddr;

use crate::time::Timestamp;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Whose it is.
    pub socket: Socket,
    /// When it was told.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A request was answered, or cut off.
    Task(Box<Task>),
    /// A connection was closed; or is open still, at the end of the observation or from time to time.
    Connection(Connection),
    /// An attempt to connect was concluded.
    Attempt(Attempt),
}

/// Which part the local end plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is asked.
    Server,
    /// It asks.
    Client,
}

/// How a role was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleBy {
    /// By a port that was asked for.
    Port,
    /// By who connected to whom.
    Opening,
    /// The connection was there before the observation began: the lower port is the server's, a guess.
    Guess,
}

/// A socket, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    /// The kernel's number for it, never used twice (`SO_COOKIE`); 0 where it has none: there is no full socket.
    pub cookie: u64,
    /// Inode of its network namespace.
    pub netns: u32,
    /// Local address and port.
    pub local: (IpAddr, u16),
    /// Remote address and port.
    pub remote: (IpAddr, u16),
    /// Which part it plays.
    pub role: Role,
    /// How that was found.
    pub role_by: RoleBy,
    /// When it was established; of one that was there before the observation, when it was first seen; of an attempt, its
    /// first SYN, or where that cannot be known the SYN-ACK.
    pub began: Timestamp,
    /// It was there before the observation began.
    pub is_adopted: bool,
    /// Who used it first.
    pub process: Option<Process>,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number, as the initial namespace has it (thread group).
    pub pid: u32,
    /// User.
    pub uid: u32,
    /// Its name, up to the first zero byte.
    pub comm: [u8; 16],
    /// Number of its cgroup in the second hierarchy (inode of its directory).
    pub cgroup: u64,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// Local server: answered, and all that was sent is acknowledged (R).
    Answered,
    /// Local server: the connection ended before all was sent and acknowledged (W).
    ClosedSending,
    /// Local server: the connection ended before anything was answered (N).
    ClosedReceiving,
    /// Local client: its response has come (P).
    Received,
    /// Local client: the connection ended before any response (not known to TCP-RT).
    ClosedWaiting,
    /// The observation ended before.
    Open,
}

/// One request and what came of it. T0 to T4 as in the record `request`.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// How it ended.
    pub end: TaskEnd,
    /// Ordinal on its connection, from 1.
    pub number: u64,
    /// T0.
    pub first_request: Timestamp,
    /// T1; of a client's, the latest of its segments that the kernel still knew when the response came.
    pub last_request: Option<Timestamp>,
    /// T2.
    pub first_response: Option<Timestamp>,
    /// T3; a server's is the time when the last of what had been sent was, of several segments also again where one was
    /// lost, and unknown of one that the next request did not wait for.
    pub last_response: Option<Timestamp>,
    /// T4, server only.
    pub acknowledged: Option<Timestamp>,
    /// T0 of the next task, where that is what ended this one.
    pub next: Option<Timestamp>,
    /// Payload of the request.
    pub request_bytes: u64,
    /// Payload of the response.
    pub response_bytes: u64,
    /// Sent and not acknowledged.
    pub unacked_bytes: u32,
    /// Written and not sent.
    pub unsent_bytes: u32,
    /// Segments that the local end retransmitted while it ran.
    pub retransmits: u32,
    /// Data came out of order while it ran.
    pub is_reordered: bool,
    /// It was sent before the task before it had ended (pipelining).
    pub is_queued: bool,
    /// The other end's receive window held up what the local end sent.
    pub is_held: bool,
    /// The kernel's shortest round trip, µs.
    pub min_rtt_us: Option<u32>,
    /// The kernel's smoothed round trip, µs.
    pub rtt_us: Option<u32>,
    /// Congestion window, segments.
    pub cwnd: u32,
    /// Largest segment it sends (mss_cache).
    pub mss: u32,
    /// How payload is to be understood.
    pub mode: Mode,
    /// First bytes of the request, where that was asked for and they were seen.
    pub head: Vec<u8>,
    /// First bytes of the next request, as far as they are of use.
    pub next_head: Vec<u8>,
    /// For each threshold: bytes acknowledged and µs since T2, when that was crossed; 0 bytes: it was not.
    pub first_frames: Vec<(u32, u32)>,
}

/// What is made of payload at a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is not looked at.
    #[default]
    Default,
    /// HTTP.
    Http,
    /// TLS.
    Https,
}

/// The state of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// How it ended; `None`: it is open.
    pub closed: Option<Closed>,
    /// Tasks so far.
    pub tasks: u64,
    /// Payload sent.
    pub sent_bytes: u64,
    /// Payload received.
    pub received_bytes: u64,
    /// Sent and not acknowledged.
    pub unacked_bytes: u32,
    /// Written and not sent.
    pub unsent_bytes: u32,
    /// Segments retransmitted by the local end.
    pub retransmits: u32,
    /// The kernel's shortest round trip, µs.
    pub min_rtt_us: Option<u32>,
    /// The kernel's smoothed round trip, µs.
    pub rtt_us: Option<u32>,
    /// Congestion window, segments.
    pub cwnd: u32,
    /// Largest segment it sends.
    pub mss: u32,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// The local end sent a FIN.
    pub fin_sent: bool,
    /// The remote end did.
    pub fin_received: bool,
    /// The local end's FIN went before the remote end's had come.
    pub fin_first: bool,
    /// The local end sent a RST.
    pub rst_sent: bool,
    /// The remote end did.
    pub rst_received: bool,
    /// The socket's error, as in errno; 0 for none. `ETIMEDOUT`: the kernel gave up.
    pub error: u16,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// It is established.
    Established,
    /// connect() failed with this errno.
    Failed(u16),
    /// Its socket was closed before there was an answer.
    Closed,
    /// A SYN came to a port where nobody listens: the local end sent a RST.
    RefusedHere,
    /// A SYN-ACK was sent again, so often by now: it may still be established.
    SynackAgain(u32),
    /// The observation ended before.
    Open,
}

/// An attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What came of it.
    pub end: AttemptEnd,
    /// SYNs that were sent again, by a local client.
    pub syn_retransmits: u32,
    /// SYN-ACKs that were sent again, by a local server.
    pub synack_retransmits: u32,
    /// SYN or SYN-ACK to its acknowledgment, µs, where the kernel measured it (not after a retransmission).
    pub rtt_us: Option<u32>,
    /// Largest segment it sends.
    pub mss: Option<u32>,
}
