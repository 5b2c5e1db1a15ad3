//! Who is client and who is server, and where the observed host stands, by what the user named.

use std::net::IpAddr;

use crate::record::{Direction, RoleFrom, Side};
use crate::wire::segment::{FlowKey, address};

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    mask: u128,
}

impl Network {
    /// The network of `address` with a prefix of `length` bits; `None` if that is more than the address has. Bits
    /// beyond the prefix are ignored.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Network> {
        let (bits, offset, width) = match address {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), 96, 32),
            IpAddr::V6(v6) => (v6.to_bits(), 0, 128),
        };
        if length > width {
            return None;
        }
        let free = 128 - offset - u32::from(length);
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Some(Network {
            bits: bits & mask,
            mask,
        })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let bits = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        bits & self.mask == self.bits
    }

    fn contains(&self, words: [u64; 2]) -> bool {
        (u128::from(words[0]) << 64 | u128::from(words[1])) & self.mask == self.bits
    }
}

/// What the user named. All empty: nothing is known beyond the packets.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// Server ports, as inclusive ranges.
    pub server_ports: Vec<(u16, u16)>,
    /// Server addresses.
    pub servers: Vec<Network>,
    /// Addresses of the observed host.
    pub local: Vec<Network>,
    /// Where the observation stands, if the user says so.
    pub side: Option<Side>,
}

impl Roles {
    /// The server's end of a flow whose handshake was not seen, and how that is known: 0 is the lower end. `from` is the
    /// sender of its first segment.
    #[must_use]
    pub fn server(&self, key: &FlowKey, from: u8) -> (u8, RoleFrom) {
        let named = [
            self.names_server(key.low, key.ports[0]),
            self.names_server(key.high, key.ports[1]),
        ];
        match named {
            [true, false] => (0, RoleFrom::Configured),
            [false, true] => (1, RoleFrom::Configured),
            _ if key.ports[0] < key.ports[1] => (0, RoleFrom::Port),
            _ if key.ports[1] < key.ports[0] => (1, RoleFrom::Port),
            _ => (1 - from, RoleFrom::Port),
        }
    }

    fn names_server(&self, ip: [u64; 2], port: u16) -> bool {
        let by_port = self
            .server_ports
            .iter()
            .any(|&(low, high)| (low..=high).contains(&port));
        by_port || self.servers.iter().any(|network| network.contains(ip))
    }

    /// Which way a connection goes, if local addresses are known.
    #[must_use]
    pub fn direction(&self, key: &FlowKey, client: u8) -> Option<Direction> {
        if self.local.is_empty() {
            return None;
        }
        let ends = [key.low, key.high];
        let is_local = |side: u8| {
            self.local
                .iter()
                .any(|net| net.contains(ends[usize::from(side)]))
        };
        Some(match (is_local(client), is_local(1 - client)) {
            (true, true) => Direction::Local,
            (true, false) => Direction::Outbound,
            (false, true) => Direction::Inbound,
            (false, false) => Direction::Forwarded,
        })
    }

    /// Where the observation stands: as the user says, by local addresses, or by the handshake.
    #[must_use]
    pub fn tap_side(&self, direction: Option<Direction>, by_handshake: Side) -> Side {
        self.side.unwrap_or(match direction {
            Some(Direction::Local) => Side::Both,
            Some(Direction::Outbound) => Side::Client,
            Some(Direction::Inbound) => Side::Server,
            Some(Direction::Forwarded) => Side::Middle,
            None => by_handshake,
        })
    }
}

/// Address and port of one end of a key.
#[must_use]
pub fn end(key: &FlowKey, side: u8) -> (IpAddr, u16) {
    match side {
        0 => (address(key.low), key.ports[0]),
        _ => (address(key.high), key.ports[1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> [u64; 2] {
        let IpAddr::V4(v4) = text.parse().unwrap() else {
            panic!("an IPv4 address")
        };
        crate::wire::segment::v4_words(v4.to_bits())
    }

    #[test]
    fn bits_beyond_the_prefix_are_ignored() {
        let network = Network::new("127.0.0.5".parse().unwrap(), 8).unwrap();
        assert!(network.contains(v4("127.9.9.9")) && !network.contains(v4("128.0.0.5")));
        assert!(Network::new("10.0.0.1".parse().unwrap(), 33).is_none());
        let all = Network::new("::".parse().unwrap(), 0).unwrap();
        assert!(all.contains(v4("1.2.3.4")));
        assert!(network.holds("127.1.2.3".parse().unwrap()));
        assert!(!network.holds("::1".parse().unwrap()));
    }

    #[test]
    fn a_named_port_beats_the_guess() {
        let key = FlowKey {
            low: v4("10.0.0.1"),
            high: v4("10.0.0.2"),
            ports: [50000, 9],
            context: 0,
        };
        let mut roles = Roles::default();
        assert_eq!(roles.server(&key, 0), (1, RoleFrom::Port));
        roles.server_ports.push((40000, 60000));
        assert_eq!(roles.server(&key, 0), (0, RoleFrom::Configured));
    }
}
