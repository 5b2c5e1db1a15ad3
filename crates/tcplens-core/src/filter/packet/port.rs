//! Ports of TCP, UDP and SCTP, in IPv4 (first fragments only, options skipped) and IPv6 (no extension
//! headers, as in libpcap).

use super::ast::{Dir, Proto, Qualifiers};
use super::generate::{Generated, Generator, Refusal};
use super::link::{Base, Size, ethertype};
use super::predicate::Predicate;
use super::program::op;
use super::services::{self, Transport};

/// IP protocol numbers.
const TCP: u32 = 6;
const UDP: u32 = 17;
const SCTP: u32 = 132;

impl Generator {
    /// A port, or a range of them; `registered` is what the name that it was written as belongs to.
    pub(super) fn port(
        &self,
        low: u32,
        high: u32,
        registered: Option<u32>,
        q: Qualifiers,
    ) -> Generated {
        let wanted = match q.proto {
            None => registered,
            Some(Proto::Tcp) => Some(TCP),
            Some(Proto::Udp) => Some(UDP),
            Some(Proto::Sctp) => Some(SCTP),
            Some(proto) => {
                return Err(Refusal::new(format!(
                    "`{}` has no ports; write `tcp`, `udp`, `sctp` or nothing before `port`",
                    proto.name()
                )));
            }
        };
        if let (Some(wanted), Some(registered)) = (wanted, registered)
            && wanted != registered
        {
            return Err(Refusal::new(
                "this port name belongs to another protocol; write the number",
            ));
        }
        if low.max(high) > u32::from(u16::MAX) {
            return Err(Refusal::new("a port is at most 65535"));
        }
        let (low, high) = (low.min(high), low.max(high));
        let v6 = self.port_of(ethertype::IP6, low, high, wanted, q.dir)?;
        Ok(v6.or(self.port_of(ethertype::IP, low, high, wanted, q.dir)?))
    }

    pub(super) fn named_port(&self, name: &str, q: Qualifiers) -> Generated {
        let (port, registered) = named(name)?;
        self.port(port, port, registered, q)
    }

    /// `1-1024`, or two names with a hyphen.
    pub(super) fn named_port_range(&self, range: &str, q: Qualifiers) -> Generated {
        let Some((low, high)) = range.split_once('-') else {
            return Err(Refusal::new("a range of ports is written 8000-9000"));
        };
        if let (Ok(low), Ok(high)) = (low.parse(), high.parse()) {
            return self.port(low, high, None, q);
        }
        let (low, of_low) = named(low)?;
        let (high, of_high) = named(high)?;
        self.port(low, high, of_low.filter(|_| of_low == of_high), q)
    }

    pub(super) fn port_of(
        &self,
        network: u32,
        low: u32,
        high: u32,
        protocol: Option<u32>,
        dir: Dir,
    ) -> Generated {
        let over = |protocol| self.port_over(network, low, high, protocol, dir);
        let any = match protocol {
            Some(protocol) => over(protocol),
            None => over(SCTP).or(over(TCP).or(over(UDP))),
        };
        Ok(self.carries(network)?.and(any))
    }

    fn port_over(&self, network: u32, low: u32, high: u32, protocol: u32, dir: Dir) -> Predicate {
        let (transport, is_protocol) = if network == ethertype::IP {
            let is_protocol = self.equal(Base::Network, 9, Size::Byte, protocol);
            (Base::TransportV4, is_protocol.and(self.first_fragment()))
        } else {
            (
                Base::TransportV6,
                self.equal(Base::Network, 6, Size::Byte, protocol),
            )
        };
        let at = |offset| {
            if low == high {
                return self.equal(transport, offset, Size::Half, low);
            }
            let above = self.test(transport, offset, Size::Half, op::JGE_K, low);
            above.and(
                self.test(transport, offset, Size::Half, op::JGT_K, high)
                    .negate(),
            )
        };
        is_protocol.and(match dir {
            Dir::Src => at(0),
            Dir::Dst => at(2),
            Dir::Any => at(0).or(at(2)),
            Dir::Both => at(0).and(at(2)),
        })
    }

    /// IPv4 with fragment offset 0: the transport header is there.
    pub(super) fn first_fragment(&self) -> Predicate {
        self.test(Base::Network, 6, Size::Half, op::JSET_K, 0x1fff)
            .negate()
    }
}

fn named(name: &str) -> Result<(u32, Option<u32>), Refusal> {
    if let Ok(number) = name.parse() {
        return Ok((number, None));
    }
    let Some((port, transport)) = services::port(name) else {
        return Err(Refusal::new(format!(
            "no port is called `{name}` here; write its number"
        )));
    };
    let registered = match transport {
        Transport::Tcp => Some(TCP),
        Transport::Udp => Some(UDP),
        Transport::Any => None,
    };
    Ok((u32::from(port), registered))
}
