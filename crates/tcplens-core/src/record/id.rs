//! The name of a connection: what joins handshakes, requests and connections.

use crate::time::Timestamp;

/// Two forms of one printed length, so that encoders need not tell them apart. The host's part of the second is a number and
/// not a name, for then it is no larger than the first, needs no table of names, and stays `Copy`: it stands in every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionId {
    /// File and wire vantage. Printed as 16 hex digits of nanoseconds, `-`, and 8 hex digits of the hash.
    Packets {
        /// Time of the connection's first segment.
        first: Timestamp,
        /// Hash of tuple, VLAN and tunnel; the same in every run.
        flow: u32,
    },
    /// Kernel vantage: printed as 8 hex digits of the host, `_`, and 16 hex digits of the cookie.
    Socket {
        /// The kernel's number for the socket: never used twice until the host is started again.
        cookie: u64,
        /// A hash of the host's name and of when it was started.
        host: u32,
    },
}

const _: () = assert!(size_of::<ConnectionId>() == 16);

impl ConnectionId {
    /// Length of its printed form.
    pub const LENGTH: usize = 25;

    /// Its printed form, as ASCII.
    #[must_use]
    pub fn text(self) -> [u8; Self::LENGTH] {
        let mut text = [b'-'; Self::LENGTH];
        match self {
            ConnectionId::Packets { first, flow } => {
                // The bits of it: before 1970 it is negative.
                hex(&mut text[..16], first.0 as u64);
                hex(&mut text[17..], u64::from(flow));
            }
            ConnectionId::Socket { cookie, host } => {
                hex(&mut text[..8], u64::from(host));
                text[8] = b'_';
                hex(&mut text[9..], cookie);
            }
        }
        text
    }
}

/// As many of the lowest digits as there is room for.
fn hex(out: &mut [u8], value: u64) {
    for (n, slot) in out.iter_mut().rev().enumerate() {
        *slot = b"0123456789abcdef"[(value >> (4 * n) & 15) as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_have_their_digits() {
        let text = |id: ConnectionId| String::from_utf8(id.text().to_vec()).unwrap();
        let packets = ConnectionId::Packets {
            first: Timestamp(0x18c_0000_0000_0001),
            flow: 0xab,
        };
        assert_eq!(text(packets), "018c000000000001-000000ab");
        let socket = ConnectionId::Socket {
            cookie: 0xa5c5,
            host: 0x1f00_0002,
        };
        assert_eq!(text(socket), "1f000002_000000000000a5c5");
    }
}
