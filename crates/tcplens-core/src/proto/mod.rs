//! Protocols: one file each, and the table that lists them.
//!
//! A parser is handed the unread bytes of one direction of a connection, in order and without holes, and says what the
//! next unit of them is: a piece of a request, a piece of a response, or neither. It knows nothing of segments, times,
//! sequence numbers or other connections. Pairing, times and the time budget are made once for all protocols in
//! `analyze::exchange`.

use crate::record::Protocol;

pub mod dns;
pub mod http;
pub mod http2;
pub mod kafka;
pub mod memcached;
pub mod mongodb;
pub mod mysql;
pub mod postgres;
pub mod redis;
mod sql;
pub mod tls;
pub mod websocket;

mod text;
mod unit;

pub(crate) use text::ANSWERS_BEGIN;
pub use text::{Line, Texts};
pub use unit::{Asked, Loss, Outcome, Owes, Part, Request, Response, Step, Unit, Way};

#[cfg(test)]
pub(crate) mod testing;

/// Makes the closed set of parsers from the table below: a protocol is one file and one line.
macro_rules! protocols {
    ($( $module:ident :: $parser:ident => $protocol:ident ),+ $(,)?) => {
        /// A connection's parser.
        pub enum AnyParser {
            $(
                #[doc = concat!("See [`", stringify!($module), "`].")]
                $protocol($module::$parser),
            )+
        }

        impl AnyParser {
            /// Protocols that are recognised by their bytes, in the order in which they are tried.
            pub const RECOGNISED: &'static [Protocol] = &[$( Protocol::$protocol ),+];

            /// A fresh parser; `None` for what has none.
            #[must_use]
            pub fn new(protocol: Protocol) -> Option<AnyParser> {
                match protocol {
                    $( Protocol::$protocol => Some(AnyParser::$protocol($module::$parser::default())), )+
                    _ => None,
                }
            }

            /// [`Parser::probe`] of a protocol.
            #[must_use]
            pub fn probe(protocol: Protocol, way: Way, bytes: &[u8]) -> Guess {
                match protocol {
                    $( Protocol::$protocol => $module::$parser::probe(way, bytes), )+
                    _ => Guess::No,
                }
            }

            /// Whether the first bytes of `way` tell a protocol.
            #[must_use]
            pub fn tells(protocol: Protocol, way: Way) -> bool {
                match protocol {
                    $( Protocol::$protocol => way == Way::ToServer || $module::$parser::SERVER_TELLS, )+
                    _ => false,
                }
            }

            /// Whose parser it is.
            #[must_use]
            pub fn protocol(&self) -> Protocol {
                match self {
                    $( AnyParser::$protocol(_) => Protocol::$protocol, )+
                }
            }

            /// [`Parser::read`].
            #[inline]
            pub fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
                match self {
                    $( AnyParser::$protocol(parser) => parser.read(way, bytes, context), )+
                }
            }

            /// [`Parser::lost`].
            pub fn lost(&mut self, way: Way) {
                match self {
                    $( AnyParser::$protocol(parser) => parser.lost(way), )+
                }
            }
        }
    };
}

// The order is that of recognition: what more traffic is comes first.
protocols! {
    http2::Http2 => Http2,
    http::Http => Http,
    redis::Redis => Redis,
    memcached::Memcached => Memcached,
    tls::Tls => Tls,
    mysql::Mysql => Mysql,
    postgres::Postgres => Postgres,
    mongodb::Mongodb => Mongodb,
    dns::Dns => Dns,
    kafka::Kafka => Kafka,
    websocket::Websocket => Websocket,
}

/// What a parser thinks of the first bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// It cannot be this protocol.
    No,
    /// It may be; more bytes are needed to tell.
    Maybe,
    /// It is.
    Yes,
}

/// What a parser may ask and say while it reads.
pub struct Context<'a> {
    /// Requests that were read and whose response has not ended, oldest first; those that owe no reply are not among
    /// them.
    pub asked: &'a dyn Asked,
    /// Operation, summary and status text of the unit that is being read. Empty when `read` is called.
    pub texts: Texts<'a>,
    /// Set when the request speaks another protocol than its parser's own (gRPC inside HTTP/2).
    pub protocol: Option<Protocol>,
    /// The sender has closed its direction (FIN), and `bytes` is all there will ever be.
    pub is_end: bool,
    /// The capture cut what comes next: `bytes` is all there will be of this unit, and `is_end` is set. A unit that reaches
    /// beyond them tells where the next one begins.
    pub is_cut: bool,
}

/// One protocol.
///
/// Bytes come as they came off the wire: any split, any garbage. A parser never panics, never allocates in proportion to
/// what a length field claims, and says [`Step::Lost`] when the bytes are not its protocol.
pub trait Parser: Default {
    /// Whether the first bytes of a server tell the protocol; if not, only a client's are asked on a new connection.
    const SERVER_TELLS: bool = true;

    /// Whether these can be the first bytes that `way` sends on a connection of this protocol. Also asked in
    /// mid-connection, with the first bytes of a segment: then `Yes` means that a message begins here. Strict enough
    /// that other protocols' bytes and random ones are not taken.
    fn probe(way: Way, bytes: &[u8]) -> Guess
    where
        Self: Sized;

    /// Reads the next unit from the front of the unread bytes of `way`, which are never empty unless `context.is_end`.
    ///
    /// The unit may be longer than `bytes`: the rest is skipped as it comes, without being shown or stored. `Wait` asks
    /// to be called again with the same bytes and more of them; at most 64 KiB are kept, so a parser that needs more
    /// takes what it has as a unit of its own and remembers where it stands.
    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step;

    /// Bytes of `way` are missing. What this parser remembers of the message in that direction is void; the next bytes
    /// it gets of `way` are the first of a segment, and `probe` said that a message begins there.
    fn lost(&mut self, way: Way);
}
