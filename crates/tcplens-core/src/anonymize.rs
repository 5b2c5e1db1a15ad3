//! Addresses without the part that names a person: the network block only. Pure, on copies: what is compared and kept inside
//! stays whole.

use std::net::{IpAddr, Ipv6Addr};

use crate::socket::message::HEAD;

/// How.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Anonymize {
    /// Not at all.
    #[default]
    None,
    /// IPv4: the first 24 bits, IPv4-mapped ones too; IPv6: the first 48. The observed host's own addresses stay as they are.
    Netblock {
        /// Those.
        own: Vec<IpAddr>,
    },
}

impl Anonymize {
    /// Network blocks; `own` addresses stay.
    #[must_use]
    pub fn netblock(own: impl IntoIterator<Item = IpAddr>) -> Anonymize {
        let mut own: Vec<_> = own.into_iter().map(|ip| ip.to_canonical()).collect();
        own.sort_unstable();
        own.dedup();
        Anonymize::Netblock { own }
    }

    /// What may be shown of an address. IPv4-mapped ones stay IPv4-mapped.
    #[must_use]
    pub fn ip(&self, ip: IpAddr) -> IpAddr {
        let Anonymize::Netblock { own } = self else {
            return ip;
        };
        if own.binary_search(&ip.to_canonical()).is_ok() {
            return ip;
        }
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                [a, b, c, 0].into()
            }
            IpAddr::V6(ip) => {
                let kept = if ip.to_ipv4_mapped().is_some() { 15 } else { 6 };
                let mut octets = ip.octets();
                octets[kept..].fill(0);
                octets.into()
            }
        }
    }

    /// The same in `struct inet_diag_msg`, in place: of a copy. The family decides what an address is.
    pub fn head(&self, head: &mut [u8; HEAD]) {
        const AF_INET: u8 = 2;
        if *self == Anonymize::None {
            return;
        }
        for at in [8, 24] {
            if head[0] == AF_INET {
                let mut octets = [0; 4];
                octets.copy_from_slice(&head[at..at + 4]);
                if let IpAddr::V4(ip) = self.ip(IpAddr::from(octets)) {
                    head[at..at + 4].copy_from_slice(&ip.octets());
                }
            } else {
                let mut octets = [0; 16];
                octets.copy_from_slice(&head[at..at + 16]);
                if let IpAddr::V6(ip) = self.ip(IpAddr::V6(Ipv6Addr::from(octets))) {
                    head[at..at + 16].copy_from_slice(&ip.octets());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(address: &str) -> String {
        let own = ["10.20.0.1", "::ffff:10.20.0.2", "2001:db8::7"];
        let anonymize = Anonymize::netblock(own.map(|ip| ip.parse().unwrap()));
        anonymize.ip(address.parse().unwrap()).to_string()
    }

    #[test]
    fn the_network_block_stays_and_own_addresses_do() {
        for (address, expected) in [
            ("10.20.0.77", "10.20.0.0"),
            ("10.20.0.1", "10.20.0.1"),
            ("::ffff:10.20.0.77", "::ffff:10.20.0.0"),
            ("::ffff:10.20.0.1", "::ffff:10.20.0.1"),
            ("10.20.0.2", "10.20.0.2"),
            ("fd00:20:1:2:3:4:5:6", "fd00:20:1::"),
            ("2001:db8::7", "2001:db8::7"),
            ("::1", "::"),
        ] {
            assert_eq!(shown(address), expected, "{address}");
        }
        let ip = "192.0.2.1".parse().unwrap();
        assert_eq!(Anonymize::None.ip(ip), ip);
    }

    #[test]
    fn a_head_is_shortened_by_its_family_and_nothing_else_of_it_changes() {
        let anonymize = Anonymize::netblock(["10.20.0.1".parse().unwrap()]);
        let mut head = [0xaa; HEAD];
        head[0] = 2;
        head[8..12].copy_from_slice(&[10, 20, 0, 1]);
        head[24..28].copy_from_slice(&[10, 20, 0, 77]);
        let mut expected = head;
        expected[27] = 0;
        anonymize.head(&mut head);
        assert_eq!(head, expected);

        head[0] = 10;
        head[8..24].copy_from_slice(&"fd00:20:1:2::5".parse::<Ipv6Addr>().unwrap().octets());
        head[24..40].copy_from_slice(&"::ffff:10.20.0.1".parse::<Ipv6Addr>().unwrap().octets());
        let mut expected = head;
        expected[14..24].fill(0);
        anonymize.head(&mut head);
        assert_eq!(head, expected);
        let mut whole = expected;
        Anonymize::None.head(&mut whole);
        assert_eq!(whole, expected);
    }
}
