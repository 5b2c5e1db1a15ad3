//! Values with qualifiers: which test they become, and the tests of hosts and networks. Ports are in
//! `port.rs`, protocols in `protocol.rs`.

use std::net::Ipv6Addr;

use super::ast::{Dir, Kind, Proto, Qualifiers, Value};
use super::generate::{Generated, Generator, Refusal};
use super::link::{Base, Link, Size, ethertype};
use super::predicate::Predicate;

impl Generator {
    pub(super) fn id(&mut self, value: &Value, q: Qualifiers) -> Generated {
        match value {
            Value::Number(n) => self.number(*n, q),
            Value::Dotted(text) => match q.kind {
                Kind::Unsaid | Kind::Host | Kind::Net if q.proto == Some(Proto::Decnet) => {
                    self.decnet(decnet_address(text)?, q.dir)
                }
                Kind::Unsaid | Kind::Host | Kind::Net => {
                    let (address, bits) = dotted(text)?;
                    self.host(address, prefix_mask(bits), q)
                }
                Kind::Port | Kind::PortRange | Kind::Proto | Kind::ProtoChain => Err(Refusal::new(
                    format!("`{text}` is an address; expected a number or a name"),
                )),
            },
            Value::DottedPrefix(text, bits) => {
                if *bits > 32 {
                    return Err(Refusal::new("an IPv4 prefix has at most 32 bits"));
                }
                self.network(text, prefix_mask(*bits), q)
            }
            Value::DottedMask(text, mask) => {
                let (mask, _) = dotted(mask)?;
                self.network(text, mask, q)
            }
            Value::V6(address, bits) => self.host6(*address, *bits, q),
            Value::Mac(address) => self.ethernet_host(address, q),
            Value::Name(name) => self.name(name, q),
        }
    }

    fn number(&mut self, n: u32, q: Qualifiers) -> Generated {
        match q.kind {
            Kind::Unsaid | Kind::Host | Kind::Net if q.proto == Some(Proto::Decnet) => {
                self.decnet(n, q.dir)
            }
            Kind::Unsaid | Kind::Host => self.host(n, u32::MAX, q),
            Kind::Net => {
                // `net 10` is 10.0.0.0/8: the number is written from the left, whole bytes.
                let bits = match n {
                    0 => 0,
                    n => n.leading_zeros() / 8 * 8,
                };
                self.host(n << bits, u32::MAX << bits, q)
            }
            Kind::Port => self.port(n, n, None, q),
            Kind::PortRange => self.port(n, n, None, q),
            Kind::Proto => self.ip_protocol(n, q.proto),
            Kind::ProtoChain => self.protocol_chain(n, q.proto),
        }
    }

    fn name(&mut self, name: &str, q: Qualifiers) -> Generated {
        match q.kind {
            Kind::Unsaid | Kind::Host => Err(Refusal::new(match q.proto {
                Some(Proto::Link) => {
                    format!("unsupported: `{name}` is a name; write an address, 00:11:22:33:44:55")
                }
                _ => format!("unsupported: `{name}` is a host name; write its address"),
            })),
            Kind::Net => Err(Refusal::new(format!(
                "unsupported: `{name}` is a name; write the network"
            ))),
            Kind::Port => self.named_port(name, q),
            Kind::PortRange => self.named_port_range(name, q),
            Kind::Proto => {
                let number = self.protocol_number(name, q.proto)?;
                self.ip_protocol(number, q.proto)
            }
            Kind::ProtoChain => {
                let number = self.protocol_number(name, q.proto)?;
                self.protocol_chain(number, q.proto)
            }
        }
    }

    fn network(&mut self, text: &str, mask: u32, q: Qualifiers) -> Generated {
        let (address, _) = dotted(text)?;
        if address & !mask != 0 {
            return Err(Refusal::new(format!(
                "the address has bits outside the prefix; write {}",
                std::net::Ipv4Addr::from(address & mask)
            )));
        }
        if q.kind != Kind::Net {
            return Err(Refusal::new("a prefix is a network; write `net`"));
        }
        self.host(address, mask, q)
    }

    fn host(&mut self, address: u32, mask: u32, q: Qualifiers) -> Generated {
        // Sender and target protocol address of ARP and RARP for IPv4.
        let arp = |g: &Self, proto| g.host_of(address, mask, q.dir, proto, 14, 24);
        match q.proto {
            None => {
                let ip = self.host_of(address, mask, q.dir, ethertype::IP, 12, 16)?;
                if self.labels > 0 {
                    return Ok(ip);
                }
                Ok(ip
                    .or(arp(self, ethertype::ARP)?)
                    .or(arp(self, ethertype::RARP)?))
            }
            Some(Proto::Ip) => self.host_of(address, mask, q.dir, ethertype::IP, 12, 16),
            Some(Proto::Arp) => arp(self, ethertype::ARP),
            Some(Proto::Rarp) => arp(self, ethertype::RARP),
            Some(Proto::Decnet) => self.decnet(address, q.dir),
            Some(proto) => Err(Refusal::new(format!(
                "`{}` has no IPv4 addresses; write `ip`, `arp` or nothing before the address",
                proto.name()
            ))),
        }
    }

    fn host_of(
        &self,
        address: u32,
        mask: u32,
        dir: Dir,
        protocol: u32,
        src: u32,
        dst: u32,
    ) -> Generated {
        let at = |offset| -> Generated {
            let carried = self.carries(protocol)?;
            Ok(carried.and(self.masked(Base::Network, offset, Size::Word, address, mask)))
        };
        match dir {
            Dir::Src => at(src),
            Dir::Dst => at(dst),
            Dir::Any => Ok(at(src)?.or(at(dst)?)),
            Dir::Both => Ok(at(src)?.and(at(dst)?)),
        }
    }

    fn host6(&mut self, address: Ipv6Addr, bits: u32, q: Qualifiers) -> Generated {
        if bits > 128 {
            return Err(Refusal::new("an IPv6 prefix has at most 128 bits"));
        }
        let mask = 128u32
            .checked_sub(bits)
            .and_then(|b| u128::MAX.checked_shl(b))
            .unwrap_or(0);
        let value = u128::from(address);
        if value & !mask != 0 {
            return Err(Refusal::new(format!(
                "the address has bits outside the prefix; write {}/{bits}",
                Ipv6Addr::from(value & mask)
            )));
        }
        match q.kind {
            Kind::Unsaid | Kind::Host if bits == 128 => {}
            Kind::Unsaid | Kind::Host => {
                return Err(Refusal::new("a prefix is a network; write `net`"));
            }
            Kind::Net => {}
            Kind::Port | Kind::PortRange | Kind::Proto | Kind::ProtoChain => {
                return Err(Refusal::new(
                    "this is an address; expected a number or a name",
                ));
            }
        }
        if !matches!(q.proto, None | Some(Proto::Ip6)) {
            let name = q.proto.map_or("", Proto::name);
            return Err(Refusal::new(format!(
                "`{name}` has no IPv6 addresses; write `ip6` or nothing before the address"
            )));
        }
        let at = |g: &Self, offset| -> Generated {
            let mut test = g.carries(ethertype::IP6)?;
            for part in 0..4u32 {
                let word = |v: u128| (v >> (96 - 32 * part)) as u32;
                let here = offset + 4 * part;
                test = test.and(g.masked(Base::Network, here, Size::Word, word(value), word(mask)));
            }
            Ok(test)
        };
        match q.dir {
            Dir::Src => at(self, 8),
            Dir::Dst => at(self, 24),
            Dir::Any => Ok(at(self, 8)?.or(at(self, 24)?)),
            Dir::Both => Ok(at(self, 8)?.and(at(self, 24)?)),
        }
    }

    fn ethernet_host(&mut self, address: &[u8; 6], q: Qualifiers) -> Generated {
        if q.proto != Some(Proto::Link) || !matches!(q.kind, Kind::Unsaid | Kind::Host) {
            return Err(Refusal::new(
                "this is an Ethernet address; write `ether host` before it",
            ));
        }
        if self.link != Link::Ethernet {
            return Err(Refusal::new(format!(
                "{} has no Ethernet addresses; filter by IP address instead",
                self.link.name()
            )));
        }
        let src = || self.equal_bytes(Base::LinkHeader, 6, address);
        let dst = || self.equal_bytes(Base::LinkHeader, 0, address);
        Ok(self.ethernet_inside(match q.dir {
            Dir::Src => src(),
            Dir::Dst => dst(),
            Dir::Any => src().or(dst()),
            Dir::Both => src().and(dst()),
        }))
    }

    /// DECnet phase IV: a long or short header, with or without a byte of padding before it.
    fn decnet(&mut self, address: u32, dir: Dir) -> Generated {
        let (long, short) = match dir {
            Dir::Dst => (7, 1),
            Dir::Src => (15, 3),
            Dir::Any => {
                return Ok(self
                    .decnet(address, Dir::Src)?
                    .or(self.decnet(address, Dir::Dst)?));
            }
            Dir::Both => {
                return Ok(self
                    .decnet(address, Dir::Src)?
                    .and(self.decnet(address, Dir::Dst)?));
            }
        };
        // Little-endian on the wire.
        let swapped = u32::from((address as u16).swap_bytes());
        let padded = |flags: u32, offset: u32| {
            self.masked(Base::Network, 2, Size::Half, flags, 0xff07)
                .and(self.equal(Base::Network, 3 + offset, Size::Half, swapped))
        };
        let plain = |flags: u32, offset: u32| {
            self.masked(Base::Network, 2, Size::Byte, flags, 0x07)
                .and(self.equal(Base::Network, 2 + offset, Size::Half, swapped))
        };
        let any: Predicate = plain(0x02, short)
            .or(padded(0x8102, short).or(plain(0x06, long).or(padded(0x8106, long))));
        Ok(self.carries(ethertype::DECNET)?.and(any))
    }
}

/// One to four dotted numbers as an address, and how many bits they name; the rest is zero.
fn dotted(text: &str) -> Result<(u32, u32), Refusal> {
    let mut address = 0u32;
    let mut bits = 0;
    for part in text.split('.') {
        let byte = part
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse::<u32>().ok());
        match byte.flatten() {
            Some(byte) if byte <= 255 => address = address << 8 | byte,
            _ => return Err(Refusal::new(format!("`{text}` is no IPv4 address"))),
        }
        bits += 8;
    }
    Ok((address.checked_shl(32 - bits).unwrap_or(0), bits))
}

fn prefix_mask(bits: u32) -> u32 {
    32u32
        .checked_sub(bits)
        .and_then(|b| u32::MAX.checked_shl(b))
        .unwrap_or(0)
}

/// `area.node`, 6 and 10 bits.
fn decnet_address(text: &str) -> Result<u32, Refusal> {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(area), Some(node)) => Ok((area << 10 & 0xfc00) | (node & 0x3ff)),
        _ => Err(Refusal::new(format!(
            "`{text}` is no DECnet address; write area.node"
        ))),
    }
}
