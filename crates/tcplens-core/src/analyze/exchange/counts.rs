//! What reading requests counts: what could not be read, and bounds that were reached.

use crate::record::Protocol;

/// What reading requests counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Times a parser gave up, by protocol (as in [`Protocol::ALL`]) and reason.
    pub lost: [[u64; 3]; Protocol::ALL.len()],
    /// Responses to requests that were not seen.
    pub unpaired: [u64; Protocol::ALL.len()],
    /// Datagrams that were read.
    pub datagrams: u64,
    /// Holes in what is read.
    pub gaps: u64,
    /// Requests given up because too many waited.
    pub pending_limit: u64,
    /// Connections whose messages were given up because all of them held too much.
    pub held_limit: u64,
    /// Holes given up because too much waited behind them.
    pub early_limit: u64,
}

/// The words of one protocol in `health.unparsed_messages`.
macro_rules! unparsed_words {
    ($( $protocol:ident $word:literal ),+ $(,)?) => {
        fn unparsed_words(protocol: Protocol) -> [&'static str; 4] {
            match protocol {
                $( Protocol::$protocol => [
                    concat!($word, ".malformed"),
                    concat!($word, ".too_long"),
                    concat!($word, ".unsupported"),
                    concat!($word, ".unpaired"),
                ], )+
            }
        }
    };
}

unparsed_words! {
    Turn "turn", Redis "redis", Memcached "memcached", Http "http", Http2 "http2", Grpc "grpc",
    Websocket "websocket", Mysql "mysql", Postgres "postgres", Dns "dns", Tls "tls", Mongodb "mongodb", Kafka "kafka",
}

impl ReadCounts {
    /// What could not be read, by protocol and reason; `unpaired` are responses to requests that were not seen.
    pub fn unparsed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Protocol::ALL.iter().flat_map(|&protocol| {
            let [malformed, too_long, unsupported] = self.lost[protocol as usize];
            let counts = [
                malformed,
                too_long,
                unsupported,
                self.unpaired[protocol as usize],
            ];
            unparsed_words(protocol).into_iter().zip(counts)
        })
    }

    /// Bounds that were reached.
    pub fn limit_hits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("pending_requests", self.pending_limit),
            ("held_bytes", self.held_limit),
            ("early_bytes", self.early_limit),
        ]
        .into_iter()
    }
}

impl std::ops::AddAssign for ReadCounts {
    fn add_assign(&mut self, other: ReadCounts) {
        let lost = self.lost.iter_mut().flatten();
        lost.zip(other.lost.iter().flatten())
            .for_each(|(a, b)| *a += b);
        let unpaired = self.unpaired.iter_mut().zip(other.unpaired);
        unpaired.for_each(|(a, b)| *a += b);
        self.datagrams += other.datagrams;
        self.gaps += other.gaps;
        self.pending_limit += other.pending_limit;
        self.held_limit += other.held_limit;
        self.early_limit += other.early_limit;
    }
}
