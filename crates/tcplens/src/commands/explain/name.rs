//! How a connection is named on the command line, and what is said where that names none, or several.

use std::fmt::{self, Display};
use std::net::SocketAddr;

use tcplens_core::record::ConnectionId;
use tcplens_core::wire::segment::{FlowKey, Segment, address, flags};

use crate::status::usage;

/// The least of an id that is taken for one.
const LEAST: usize = 4;

/// Live packets, in messages.
pub(super) const CAPTURED: &str = "what was captured";

/// Which connection is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The one of this packet, from 1.
    Frame(u64),
    /// The one whose id is this, or begins so.
    Id(String),
    /// The one with this end.
    End(SocketAddr),
}

impl Named {
    /// What a word names; `None` if it is no connection.
    pub(super) fn parse(word: &str) -> Option<Named> {
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            return word.parse().ok().map(Named::Frame);
        }
        if let Ok(end) = word.parse() {
            return Some(Named::End(end));
        }
        let id = word.to_ascii_lowercase();
        let is_id = (LEAST..=ConnectionId::LENGTH).contains(&id.len())
            && id.bytes().any(|byte| byte.is_ascii_digit())
            && id.bytes().enumerate().all(|(at, byte)| match at {
                // Where the two parts of the kernel's ids are joined, and those of packets.
                8 => byte.is_ascii_hexdigit() || byte == b'_',
                16 => byte == b'-' || byte.is_ascii_hexdigit(),
                _ => byte.is_ascii_hexdigit(),
            });
        is_id.then_some(Named::Id(id))
    }
}

impl Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Frame(frame) => write!(f, "packet {frame}"),
            Named::Id(id) => f.write_str(id),
            Named::End(end) => write!(f, "{end}"),
        }
    }
}

/// An id as it is printed.
pub(super) fn text(id: ConnectionId) -> String {
    String::from_utf8_lossy(&id.text()).into_owned()
}

/// Whether a flow has this end.
pub(super) fn is_of_end(flow: &FlowKey, end: SocketAddr) -> bool {
    let ends = [(flow.low, flow.ports[0]), (flow.high, flow.ports[1])];
    let is = |(words, port)| address(words) == end.ip().to_canonical() && port == end.port();
    ends.into_iter().any(is)
}

/// Whether a connection begins here.
pub(super) fn begins(segment: &Segment) -> bool {
    segment.flags & (flags::SYN | flags::ACK | flags::RST) == flags::SYN
}

/// Several connections are called so.
pub(super) fn ambiguous(
    named: Option<&Named>,
    first: ConnectionId,
    others: &[ConnectionId],
) -> anyhow::Error {
    let ids: Vec<_> = [first].iter().chain(others).map(|id| text(*id)).collect();
    let name = named.map_or_else(String::new, ToString::to_string);
    let or = match named {
        Some(Named::End(end)) => format!(
            ", or give 'host {} and port {}' in its place for the one that is worth it",
            end.ip(),
            end.port()
        ),
        _ => String::new(),
    };
    usage(format!(
        "cannot explain {name}: several connections are called so ({}); name one of them by its id{or}",
        ids.join(", ")
    ))
}

/// No connection is called so.
pub(super) fn unknown(named: Option<&Named>, sources: &str) -> String {
    match named {
        Some(Named::Id(id)) if id.contains('_') => format!(
            "cannot explain {id}: it is an id of the kernel's view, which has no packets; the same connection in a capture has \
             another"
        ),
        Some(named) if sources == CAPTURED => {
            format!("cannot explain {named}: no packet of such a connection in {sources}")
        }
        Some(named) => format!(
            "cannot explain {named}: there is no such connection in {sources}; tcplens records --kind connection lists all, \
             with their ids and first packets"
        ),
        None if sources == CAPTURED => {
            format!("cannot explain anything: no TCP connection began in {sources}")
        }
        None => format!("cannot explain anything: no TCP connection in {sources}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_ids_and_ends_are_told_apart_and_from_expressions() {
        let id = |text: &str| Some(Named::Id(text.to_owned()));
        for (word, named) in [
            ("600", Some(Named::Frame(600))),
            ("18b9f0c1a2b3c4d5-1a2b3c4d", id("18b9f0c1a2b3c4d5-1a2b3c4d")),
            ("18B9F0C1", id("18b9f0c1")),
            ("18b9f0c1a2b3c4d5-", id("18b9f0c1a2b3c4d5-")),
            ("1f000002_000000000000a5c5", id("1f000002_000000000000a5c5")),
            (
                "10.0.0.1:40001",
                "10.0.0.1:40001".parse().ok().map(Named::End),
            ),
            (
                "[2001:db8::1]:80",
                "[2001:db8::1]:80".parse().ok().map(Named::End),
            ),
            ("port", None),
            ("dead", None),
            ("18b", None),
            ("18b9-f0c1", None),
            ("18b9f0c1a2b3c4d5-1a2b3c4d0", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(Named::parse(word), named, "{word}");
        }
    }
}
