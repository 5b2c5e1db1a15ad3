//! States of TCP sockets by ss's names and the records' words (include/net/tcp_states.h, ss(8) STATE-FILTER).

use std::fmt;

use crate::socket::message::state;

/// The kernel keeps a second kind of SYN_RECV; for who filters they are one.
const SYN_RECV: u16 = 1 << state::SYN_RECV | 1 << state::NEW_SYN_RECV;

/// Bits, and all ways to write them; ss's first.
const STATES: &[(u16, &[&str])] = &[
    (1 << state::ESTABLISHED, &["established"]),
    (1 << state::SYN_SENT, &["syn-sent"]),
    (SYN_RECV, &["syn-recv", "syn-rcv", "new-syn-recv"]),
    (1 << state::FIN_WAIT1, &["fin-wait-1", "fin-wait1"]),
    (1 << state::FIN_WAIT2, &["fin-wait-2", "fin-wait2"]),
    (1 << state::TIME_WAIT, &["time-wait"]),
    (1 << state::CLOSE, &["closed", "close", "unconnected"]),
    (1 << state::CLOSE_WAIT, &["close-wait"]),
    (1 << state::LAST_ACK, &["last-ack"]),
    (1 << state::LISTEN, &["listening", "listen"]),
    (1 << state::CLOSING, &["closing"]),
    (BOUND_INACTIVE, &["bound-inactive"]),
];

/// ss's names for several.
const GROUPS: &[(&str, u16)] = &[
    ("all", ALL),
    ("connected", ALL & !IDLE),
    ("synchronized", ALL & !(IDLE | 1 << state::SYN_SENT)),
    ("bucket", SYN_RECV | 1 << state::TIME_WAIT),
    ("big", ALL & !(SYN_RECV | 1 << state::TIME_WAIT)),
];

/// What an error names.
pub(super) const NAMES: &str = "established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, closed, close-wait, \
     last-ack, listening, closing";

/// All states; bit 0 stands for words that are not in the table, so that of two opposite sets one holds.
pub(super) const ALL: u16 = 0xffff;
const OTHER: u16 = 1;
/// A port was taken, and nothing else done; since Linux 6.8 (TCP_BOUND_INACTIVE).
const BOUND_INACTIVE: u16 = 1 << 13;
const IDLE: u16 = 1 << state::CLOSE | 1 << state::LISTEN | BOUND_INACTIVE;

/// The bits of one state; `_` and `-` are the same.
pub(super) fn of(word: &str) -> Option<u16> {
    let same = |a: &str| {
        a.len() == word.len()
            && a.bytes()
                .zip(word.bytes())
                .all(|(a, b)| a == b || (a == b'-' && b == b'_'))
    };
    STATES
        .iter()
        .find(|(_, names)| names.iter().any(|name| same(name)))
        .map(|(bits, _)| *bits)
}

/// The bits of what a record says.
pub(super) fn of_record(word: &str) -> u16 {
    of(word).unwrap_or(OTHER)
}

/// The bits of a state or of a group of them.
pub(super) fn of_group(word: &str) -> Option<u16> {
    let group = GROUPS.iter().find(|(name, _)| *name == word);
    group.map(|(_, bits)| *bits).or_else(|| of(word))
}

/// As ss writes it.
pub(super) fn write(f: &mut fmt::Formatter<'_>, mask: u16) -> fmt::Result {
    let (word, bits) = match mask {
        0 => return f.write_str("exclude all"),
        ALL => return f.write_str("state all"),
        mask if mask & OTHER != 0 => ("exclude", !mask),
        mask => ("state", mask),
    };
    let mut gap = "";
    for (state, names) in STATES {
        if bits & state != 0 {
            write!(f, "{gap}{word} {}", names.first().unwrap_or(&""))?;
            gap = " ";
        }
    }
    Ok(())
}
