//! The name of a connection: what joins handshakes, requests and connections.

use crate::time::Timestamp;

/// File and wire vantage: the time of the first segment and a fixed hash of tuple, VLAN and tunnel. Printed as 16 hex
/// digits of nanoseconds, `-`, and 8 hex digits of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Time of the connection's first segment.
    pub first: Timestamp,
    /// Hash of tuple, VLAN and tunnel; the same in every run.
    pub flow: u32,
}

impl ConnectionId {
    /// Length of its printed form.
    pub const LENGTH: usize = 25;

    /// Its printed form, as ASCII.
    #[must_use]
    pub fn text(self) -> [u8; Self::LENGTH] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; Self::LENGTH];
        for (n, slot) in text[..16].iter_mut().enumerate() {
            *slot = DIGITS[(self.first.0 as u64 >> (60 - 4 * n) & 15) as usize];
        }
        for (n, slot) in text[17..].iter_mut().enumerate() {
            *slot = DIGITS[(self.flow >> (28 - 4 * n) & 15) as usize];
        }
        text
    }
}
