//! The closed sets of words in records.

use crate::wire::segment::Tunnel;

/// A value shown as one lower-case word, or absent.
pub trait Word {
    /// All words of the set; empty where it is not a closed one.
    const WORDS: &'static [&'static str] = &[];
    /// The word.
    fn word(self) -> Option<&'static str>;
}

impl<W: Word> Word for Option<W> {
    const WORDS: &'static [&'static str] = W::WORDS;

    #[inline]
    fn word(self) -> Option<&'static str> {
        self.and_then(W::word)
    }
}

impl Word for &'static str {
    #[inline]
    fn word(self) -> Option<&'static str> {
        Some(self)
    }
}

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident => $word:literal ),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant, )+ }
        impl $name {
            /// All words of the set, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
        }
        impl Word for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            #[inline]
            fn word(self) -> Option<&'static str> {
                Some(match self { $( $name::$variant => $word, )+ })
            }
        }
    };
}

words! {
    /// Where an observation was made.
    Vantage {
        /// A capture file.
        File => "file",
        /// Live packets.
        Wire => "wire",
        /// The kernel's own view of its connections.
        Kernel => "kernel",
        /// The kernel's sockets, as it answers when it is asked (sock_diag).
        Socket => "socket",
    }
}

impl Vantage {
    /// Whether packets are looked at.
    #[inline]
    #[must_use]
    pub fn sees_packets(self) -> bool {
        match self {
            Vantage::File | Vantage::Wire => true,
            Vantage::Kernel | Vantage::Socket => false,
        }
    }

    /// What it knows of a side of a connection, observed at `tap_side`.
    #[inline]
    #[must_use]
    pub fn knows(self, tap_side: Side, side: Side) -> Knows {
        if self.sees_packets() {
            Knows::All
        } else if tap_side == side {
            Knows::Own
        } else {
            Knows::Little
        }
    }
}

/// What is known of what one side sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// What packets tell.
    All,
    /// What the kernel counts of its own end.
    Own,
    /// What it counts of the other end.
    Little,
}

words! {
    /// What payload at a port is taken for.
    PortMode {
        /// HTTP.
        Http => "http",
        /// TLS.
        Https => "https",
    }
}

words! {
    /// What tags were told from.
    TagsFrom {
        /// Bytes that were looked at.
        Payload => "payload",
        /// Numbers of bytes.
        Size => "size",
    }
}

words! {
    /// How client and server were told apart.
    RoleFrom {
        /// The client sent the first SYN.
        Syn => "syn",
        /// The server sent a SYN-ACK; the SYN was not seen.
        SynAck => "syn_ack",
        /// The user named server ports or addresses.
        Configured => "configured",
        /// A parser recognised a request of the other side, or a response of this one.
        Protocol => "protocol",
        /// The higher port is the client: a guess.
        Port => "port",
        /// The kernel saw which end connected; of polled sockets: one with a listener on its local port is the server's, any
        /// other the client's.
        Socket => "socket",
    }
}

words! {
    /// Which way a connection goes, seen from the observed host.
    Direction {
        /// From elsewhere to a local address.
        Inbound => "inbound",
        /// From a local address to elsewhere.
        Outbound => "outbound",
        /// Both ends are local.
        Local => "local",
        /// Neither end is local.
        Forwarded => "forwarded",
    }
}

words! {
    /// Where the observation stands between client and server.
    Side {
        /// At the client.
        Client => "client",
        /// At the server.
        Server => "server",
        /// Both ends are on the observed host.
        Both => "both",
        /// Somewhere between.
        Middle => "middle",
        /// It cannot be told.
        Unknown => "unknown",
    }
}

words! {
    /// What the rows of `top` are.
    GroupBy {
        /// The address of the other end: of outbound connections the server's, of inbound ones the client's; the server's
        /// where the direction is not known.
        Peer => "peer",
        /// The server's address and port.
        Server => "server",
        /// The client's address.
        Client => "client",
        /// The server's port.
        Port => "port",
        /// The process on the observed host; of the kernel.
        Process => "process",
        /// The container on the observed host; of the kernel.
        Container => "container",
    }
}

words! {
    /// One of the two ends of a connection.
    End {
        /// The client's.
        Client => "client",
        /// The server's.
        Server => "server",
    }
}

words! {
    /// How a connection attempt ended.
    Outcome {
        /// SYN, SYN-ACK, and a client segment whose ACK covers the SYN-ACK.
        Established => "established",
        /// RST from the server side instead of a SYN-ACK.
        Refused => "refused",
        /// ICMP destination unreachable quoting this attempt.
        Unreachable => "unreachable",
        /// No answer within the timeout.
        TimedOut => "timed_out",
        /// No answer when the observation ended, or when a new attempt took its place.
        Unanswered => "unanswered",
        /// Client RST before it was established.
        Aborted => "aborted",
        /// Server RST after its SYN-ACK.
        Reset => "reset",
        /// SYN-ACK seen, nothing acceptable after it.
        Unacknowledged => "unacknowledged",
        /// The client went on as if it had been answered, and no SYN-ACK was captured.
        OneSided => "one_sided",
    }
}

words! {
    /// What a connection says of its handshake: the outcome, or that it was missed.
    HandshakeOutcome {
        /// See [`Outcome::Established`].
        Established => "established",
        /// See [`Outcome::Refused`].
        Refused => "refused",
        /// See [`Outcome::Unreachable`].
        Unreachable => "unreachable",
        /// See [`Outcome::TimedOut`].
        TimedOut => "timed_out",
        /// See [`Outcome::Unanswered`].
        Unanswered => "unanswered",
        /// See [`Outcome::Aborted`].
        Aborted => "aborted",
        /// See [`Outcome::Reset`].
        Reset => "reset",
        /// See [`Outcome::Unacknowledged`].
        Unacknowledged => "unacknowledged",
        /// See [`Outcome::OneSided`].
        OneSided => "one_sided",
        /// The observation began after the SYN.
        Missed => "missed",
    }
}

impl From<Outcome> for HandshakeOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Established => Self::Established,
            Outcome::Refused => Self::Refused,
            Outcome::Unreachable => Self::Unreachable,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Unanswered => Self::Unanswered,
            Outcome::Aborted => Self::Aborted,
            Outcome::Reset => Self::Reset,
            Outcome::Unacknowledged => Self::Unacknowledged,
            Outcome::OneSided => Self::OneSided,
        }
    }
}

words! {
    /// How a connection ended.
    Close {
        /// FIN from both sides.
        Fin => "fin",
        /// RST by the client.
        RstByClient => "rst_by_client",
        /// RST by the server.
        RstByServer => "rst_by_server",
        /// Silent for longer than the idle limit.
        Idle => "idle",
        /// A new SYN on the same tuple.
        Superseded => "superseded",
        /// Never established.
        Failed => "failed",
        /// Still open when the observation ended.
        Open => "open",
        /// The kernel gave it up: what it sent was not acknowledged (ETIMEDOUT).
        TimedOut => "timed_out",
    }
}

words! {
    /// How a request went.
    Status {
        /// It was answered.
        Ok => "ok",
        /// It was answered with an error.
        Error => "error",
        /// No reply is owed.
        None => "none",
        /// A reply was owed and never ended.
        Unanswered => "unanswered",
    }
}

words! {
    /// What ended a request.
    EndedBy {
        /// Its response; for one that owes none, its own last byte.
        Response => "response",
        /// The client closed the connection.
        ClientClose => "client_close",
        /// The server closed the connection.
        ServerClose => "server_close",
        /// One side reset the connection.
        Reset => "reset",
        /// Bytes were never seen, or could not be read any more.
        Gap => "gap",
        /// The observation ended, or gave the connection up.
        Observation => "observation",
    }
}

words! {
    /// Where most of a request's time went; the order in which equals are decided.
    Verdict {
        /// The client was sending the request.
        Client => "client",
        /// An earlier request was being answered.
        Queue => "queue",
        /// The server had it.
        Server => "server",
        /// It was on its way.
        Network => "network",
        /// Loss and its repair.
        Loss => "loss",
        /// A closed receive window.
        Window => "window",
        /// The response was being sent.
        Transfer => "transfer",
    }
}

words! {
    /// The protocol that a request was recognised as.
    Protocol {
        /// Protocol-blind: client bytes, then server bytes.
        Turn => "turn",
        /// Redis serialization protocol, versions 2 and 3.
        Redis => "redis",
        /// Memcached, text, meta and binary.
        Memcached => "memcached",
        /// HTTP/1.0 and HTTP/1.1 (RFC 9112).
        Http => "http",
        /// HTTP/2 (RFC 9113).
        Http2 => "http2",
        /// gRPC over HTTP/2.
        Grpc => "grpc",
        /// WebSocket (RFC 6455).
        Websocket => "websocket",
        /// MySQL and MariaDB.
        Mysql => "mysql",
        /// PostgreSQL.
        Postgres => "postgres",
        /// DNS over UDP and TCP (RFC 1035).
        Dns => "dns",
        /// TLS handshakes (RFC 8446, RFC 5246).
        Tls => "tls",
        /// MongoDB.
        Mongodb => "mongodb",
        /// Kafka.
        Kafka => "kafka",
    }
}

words! {
    /// Who is to blame for a finding.
    Suspect {
        /// The client.
        Client => "client",
        /// The network between.
        Network => "network",
        /// The server.
        Server => "server",
        /// The capture itself.
        Capture => "capture",
    }
}

words! {
    /// What of a server or operation is watched, a minute after the other.
    AnomalyMetric {
        /// Requests in a minute.
        Throughput => "throughput",
        /// From the first byte of a request to the acknowledgment of the last byte of its response.
        Total => "total",
        /// The server's own part: from the end of the request to the first byte of the response.
        Process => "process",
        /// From the first to the last byte of the request.
        Upload => "upload",
        /// From the first to the last byte of the response, and its acknowledgment.
        Transfer => "transfer",
        /// Time on the path and time that losses took.
        Network => "network",
        /// From the first SYN to the ACK that established.
        Connect => "connect",
        /// The share of answered requests that had an error.
        Errors => "errors",
        /// The share of requests that never got a whole response.
        Unanswered => "unanswered",
        /// The share of attempts to connect that failed.
        Failed => "failed",
        /// The share of segments with payload that were repeated.
        Retransmits => "retransmits",
    }
}

words! {
    /// What is compared between a baseline and now.
    Metric {
        /// How long answered requests took.
        Latency => "latency",
        /// The share of requests that took longer than 95 % of all of both.
        SlowShare => "slow_share",
        /// The share of requests answered with an error.
        Errors => "errors",
        /// The share of requests without an answer.
        Unanswered => "unanswered",
        /// The share of attempts to connect that failed.
        FailedConnects => "failed_connects",
        /// First SYN to the ACK that established.
        ConnectTime => "connect_time",
        /// The share of segments that was lost.
        Loss => "loss",
        /// Shortest round trip of a connection between here and the server.
        ServerRtt => "server_rtt",
        /// Shortest round trip of a connection between here and the client.
        ClientRtt => "client_rtt",
        /// Requests in a second.
        RequestRate => "request_rate",
        /// Whether it is there at all.
        Presence => "presence",
    }
}

words! {
    /// What a comparison takes for independent.
    Units {
        /// Connections.
        Connections => "connections",
        /// Slices of time.
        Time => "time",
        /// Either, and the more cautious answer counts.
        Both => "both",
    }
}

impl Word for Tunnel {
    const WORDS: &'static [&'static str] =
        &["gre", "vxlan", "geneve", "gtp", "ipip", "6in4", "teredo"];

    #[inline]
    fn word(self) -> Option<&'static str> {
        match self {
            Tunnel::None => None,
            Tunnel::Gre => Some("gre"),
            Tunnel::Vxlan => Some("vxlan"),
            Tunnel::Geneve => Some("geneve"),
            Tunnel::Gtp => Some("gtp"),
            Tunnel::Ipip => Some("ipip"),
            Tunnel::SixInFour => Some("6in4"),
            Tunnel::Teredo => Some("teredo"),
        }
    }
}
