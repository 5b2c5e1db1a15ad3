//! Link layers: where their fields lie, how they name the protocol they carry, and loads relative to
//! their headers. Byte offsets are those of libpcap 1.10.3's `gencode.c`.

use super::generate::{Generated, Generator, Refusal};
use super::predicate::Predicate;
use super::program::{Instruction, op};
use crate::packet::LinkType;

/// A type/length field above this is an Ethernet type (IEEE 802.3).
const ETHERNET_LENGTH_MAX: u32 = 1500;
/// The protocol field of a Linux cooked frame that holds 802.3 without, and 802.2 with an LLC header.
const SLL_802_3: u32 = 1;
const SLL_802_2: u32 = 4;

/// Ethernet types.
pub(super) mod ethertype {
    pub(in super::super) const IP: u32 = 0x0800;
    pub(in super::super) const ARP: u32 = 0x0806;
    pub(in super::super) const NS: u32 = 0x0600;
    pub(in super::super) const MOPDL: u32 = 0x6001;
    pub(in super::super) const MOPRC: u32 = 0x6002;
    pub(in super::super) const DECNET: u32 = 0x6003;
    pub(in super::super) const LAT: u32 = 0x6004;
    pub(in super::super) const SCA: u32 = 0x6007;
    pub(in super::super) const BRIDGED_ETHERNET: u32 = 0x6558;
    pub(in super::super) const RARP: u32 = 0x8035;
    pub(in super::super) const ATALK: u32 = 0x809b;
    pub(in super::super) const AARP: u32 = 0x80f3;
    pub(in super::super) const VLAN: u32 = 0x8100;
    pub(in super::super) const IPX: u32 = 0x8137;
    pub(in super::super) const IP6: u32 = 0x86dd;
    pub(in super::super) const MPLS: u32 = 0x8847;
    pub(in super::super) const PPPOE_DISCOVERY: u32 = 0x8863;
    pub(in super::super) const PPPOE_SESSION: u32 = 0x8864;
    pub(in super::super) const PROVIDER_VLAN: u32 = 0x88a8;
    pub(in super::super) const LOOPBACK: u32 = 0x9000;
    pub(in super::super) const QINQ: u32 = 0x9100;
}

/// 802.2 service access points.
pub(super) mod sap {
    pub(in super::super) const IP: u32 = 0x06;
    pub(in super::super) const STP: u32 = 0x42;
    pub(in super::super) const SNAP: u8 = 0xaa;
    pub(in super::super) const IPX: u32 = 0xe0;
    pub(in super::super) const NETBEUI: u32 = 0xf0;
    pub(in super::super) const ISO: u32 = 0xfe;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    Raw,
    Null,
    Loop,
    Sll,
    Sll2,
    Ppp,
    PppHdlc,
    PppEther,
    Ipv4,
    Ipv6,
    Nflog,
}

impl Link {
    pub(super) fn from_type(link_type: LinkType) -> Option<Link> {
        Some(match link_type {
            LinkType::ETHERNET => Link::Ethernet,
            LinkType::RAW => Link::Raw,
            LinkType::NULL => Link::Null,
            LinkType::LOOP => Link::Loop,
            LinkType::LINUX_SLL => Link::Sll,
            LinkType::LINUX_SLL2 => Link::Sll2,
            LinkType::PPP => Link::Ppp,
            LinkType::PPP_HDLC => Link::PppHdlc,
            LinkType::PPP_ETHER => Link::PppEther,
            LinkType::IPV4 => Link::Ipv4,
            LinkType::IPV6 => Link::Ipv6,
            LinkType::NFLOG => Link::Nflog,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Link::Ethernet => "Ethernet",
            Link::Raw => "raw IP",
            Link::Null => "BSD loopback",
            Link::Loop => "OpenBSD loopback",
            Link::Sll => "Linux cooked v1",
            Link::Sll2 => "Linux cooked v2",
            Link::Ppp => "PPP",
            Link::PppHdlc => "PPP in HDLC framing",
            Link::PppEther => "PPP over Ethernet",
            Link::Ipv4 => "raw IPv4",
            Link::Ipv6 => "raw IPv6",
            Link::Nflog => "netfilter log",
        }
    }

    /// Offsets of the field that names the protocol, and of what follows the link header.
    pub(super) fn offsets(self) -> (u32, u32) {
        match self {
            Link::Ethernet => (12, 14),
            Link::Null | Link::Loop => (0, 4),
            Link::Sll => (14, 16),
            Link::Sll2 => (0, 20),
            Link::Ppp | Link::PppHdlc => (2, 4),
            Link::PppEther => (6, 8),
            // There is no such field; no test of one is compiled for these.
            Link::Raw | Link::Ipv4 | Link::Ipv6 => (u32::MAX, 0),
            Link::Nflog => (u32::MAX, u32::MAX),
        }
    }
}

/// A place in the packet: a constant, plus a memory word where it is only known at run time (Geneve).
#[derive(Clone, Copy, Debug)]
pub(super) struct Offset {
    pub(super) constant: u32,
    pub(super) register: Option<u32>,
}

/// What a load is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    LinkHeader,
    LinkType,
    /// What follows the link header, also where that is an 802.2 header.
    Llc,
    Network,
    /// The network header behind 802.2 without SNAP.
    NetworkAfterLlc,
    /// The label before the current network header.
    PreviousLabel,
    /// Behind an IPv4 header and its options.
    TransportV4,
    /// Behind an IPv6 header without extension headers.
    TransportV6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Byte,
    Half,
    Word,
}

impl Size {
    pub(super) fn absolute(self) -> u16 {
        match self {
            Size::Byte => op::LD_ABS_B,
            Size::Half => op::LD_ABS_H,
            Size::Word => op::LD_ABS_W,
        }
    }

    pub(super) fn indirect(self) -> u16 {
        match self {
            Size::Byte => op::LD_IND_B,
            Size::Half => op::LD_IND_H,
            Size::Word => op::LD_IND_W,
        }
    }
}

impl Generator {
    /// Statements that leave the value in A.
    pub(super) fn load(&self, base: Base, offset: u32, size: Size) -> Vec<Instruction> {
        let (place, offset) = match base {
            Base::LinkHeader => (self.header, offset),
            Base::LinkType => (self.kind, offset),
            Base::Llc => (self.payload, offset),
            Base::Network => (self.payload, self.network.wrapping_add(offset)),
            Base::NetworkAfterLlc => (self.payload, self.network_after_llc.wrapping_add(offset)),
            Base::PreviousLabel => (
                self.payload,
                self.network.wrapping_sub(4).wrapping_add(offset),
            ),
            Base::TransportV6 => (
                self.payload,
                self.network.wrapping_add(40).wrapping_add(offset),
            ),
            Base::TransportV4 => {
                let mut statements = self.ip_header_length();
                let at = self.network_offset().wrapping_add(offset);
                statements.push(Instruction::new(size.indirect(), at));
                return statements;
            }
        };
        let at = place.constant.wrapping_add(offset);
        match place.register {
            Some(register) => vec![
                Instruction::new(op::LDX_MEM, register),
                Instruction::new(size.indirect(), at),
            ],
            None => vec![Instruction::new(size.absolute(), at)],
        }
    }

    /// The constant part of the network header's offset.
    pub(super) fn network_offset(&self) -> u32 {
        self.payload.constant.wrapping_add(self.network)
    }

    /// Statements that leave the IPv4 header's length, plus the variable part of where it begins, in X.
    pub(super) fn ip_header_length(&self) -> Vec<Instruction> {
        let at = self.network_offset();
        match self.payload.register {
            Some(register) => vec![
                Instruction::new(op::LDX_MEM, register),
                Instruction::new(op::LD_IND_B, at),
                Instruction::new(op::ALU_AND_K, 0xf),
                Instruction::new(op::ALU_LSH_K, 2),
                Instruction::new(op::ALU_ADD_X, 0),
                Instruction::new(op::TAX, 0),
            ],
            None => vec![Instruction::new(op::LDX_MSH, at)],
        }
    }

    pub(super) fn test(&self, base: Base, offset: u32, size: Size, jump: u16, k: u32) -> Predicate {
        Predicate::Test {
            statements: self.load(base, offset, size),
            jump,
            k,
        }
    }

    pub(super) fn equal(&self, base: Base, offset: u32, size: Size, k: u32) -> Predicate {
        self.test(base, offset, size, op::JEQ_K, k)
    }

    pub(super) fn masked(
        &self,
        base: Base,
        offset: u32,
        size: Size,
        k: u32,
        mask: u32,
    ) -> Predicate {
        let mut statements = self.load(base, offset, size);
        if mask != u32::MAX {
            statements.push(Instruction::new(op::ALU_AND_K, mask));
        }
        Predicate::Test {
            statements,
            jump: op::JEQ_K,
            k,
        }
    }

    /// Compares bytes, the last ones first, as libpcap does.
    pub(super) fn equal_bytes(&self, base: Base, offset: u32, bytes: &[u8]) -> Predicate {
        let mut tests: Option<Predicate> = None;
        let mut left = bytes;
        while !left.is_empty() {
            let (size, width) = match left.len() {
                4.. => (Size::Word, 4),
                2..4 => (Size::Half, 2),
                _ => (Size::Byte, 1),
            };
            let (before, chunk) = left.split_at(left.len() - width);
            let value = chunk
                .iter()
                .fold(0, |value, byte| value << 8 | u32::from(*byte));
            let at = offset.wrapping_add(before.len() as u32);
            let test = self.equal(base, at, size, value);
            tests = Some(match tests {
                Some(tests) => tests.and(test),
                None => test,
            });
            left = before;
        }
        tests.unwrap_or(Predicate::Constant(true))
    }

    /// Whether the link layer says that it carries a protocol: an Ethernet type above 1500, an 802.2
    /// service access point below.
    pub(super) fn carries(&self, protocol: u32) -> Generated {
        if self.labels > 0 {
            return self.carries_over_mpls(protocol);
        }
        match self.link {
            Link::Ethernet => Ok(self.carries_over_ethernet(protocol)),
            Link::Sll => Ok(self.carries_over_sll(protocol)),
            Link::Sll2 => Ok(self.equal(Base::LinkType, 0, Size::Half, protocol)),
            Link::Raw => Ok(match protocol {
                ethertype::IP => self.masked(Base::LinkHeader, 0, Size::Byte, 0x40, 0xf0),
                ethertype::IP6 => self.masked(Base::LinkHeader, 0, Size::Byte, 0x60, 0xf0),
                _ => Predicate::Constant(false),
            }),
            Link::Ipv4 => Ok(Predicate::Constant(protocol == ethertype::IP)),
            Link::Ipv6 => Ok(Predicate::Constant(protocol == ethertype::IP6)),
            Link::Ppp | Link::PppHdlc | Link::PppEther => {
                Ok(self.equal(Base::LinkType, 0, Size::Half, ppp_protocol(protocol)))
            }
            Link::Null | Link::Loop => Ok(match protocol {
                ethertype::IP => self.family(2),
                // NetBSD and OpenBSD, FreeBSD, macOS.
                ethertype::IP6 => self.family(24).or(self.family(28)).or(self.family(30)),
                _ => Predicate::Constant(false),
            }),
            Link::Nflog => Err(Refusal::new(
                "netfilter log packets cannot be filtered by protocol (nor can libpcap); \
                 only `len`, `less`, `greater` and `link[...]` work",
            )),
        }
    }

    /// An address family of the loopback header. NULL has the order of the capturing host, which a
    /// filter is not told: both orders count. (libpcap takes the order of the file.)
    fn family(&self, family: u32) -> Predicate {
        let network = self.equal(Base::LinkHeader, 0, Size::Word, family);
        if self.link == Link::Loop {
            return network;
        }
        self.equal(Base::LinkHeader, 0, Size::Word, family.swap_bytes())
            .or(network)
    }

    fn carries_over_mpls(&self, protocol: u32) -> Generated {
        let version = match protocol {
            ethertype::IP => 0x40,
            ethertype::IP6 => 0x60,
            _ => {
                return Err(Refusal::new(
                    "only IP and IPv6 can be told apart behind `mpls`",
                ));
            }
        };
        let bottom = self.masked(Base::Network, 2u32.wrapping_neg(), Size::Byte, 1, 1);
        Ok(bottom.and(self.masked(Base::Network, 0, Size::Byte, version, 0xf0)))
    }

    fn carries_over_ethernet(&self, protocol: u32) -> Predicate {
        let is_802_3 = || {
            self.test(
                Base::LinkType,
                0,
                Size::Half,
                op::JGT_K,
                ETHERNET_LENGTH_MAX,
            )
            .negate()
        };
        let is_type = |ethertype| self.equal(Base::LinkType, 0, Size::Half, ethertype);
        match protocol {
            sap::ISO | sap::IP | sap::NETBEUI => is_802_3().and(self.both_saps(protocol)),
            sap::IPX => {
                let snap = self.snap(0, ethertype::IPX);
                let dsap = self.equal(Base::Llc, 0, Size::Byte, sap::IPX);
                let raw = self.equal(Base::Llc, 0, Size::Half, 0xffff);
                is_type(ethertype::IPX).or(is_802_3().and(snap.or(dsap.or(raw))))
            }
            ethertype::ATALK => {
                is_type(protocol).or(is_802_3().and(self.snap(0x08_0007, protocol)))
            }
            ethertype::AARP => is_type(protocol).or(is_802_3().and(self.snap(0, protocol))),
            _ if protocol <= ETHERNET_LENGTH_MAX => {
                is_802_3().and(self.equal(Base::LinkType, 2, Size::Byte, protocol))
            }
            _ => is_type(protocol),
        }
    }

    fn carries_over_sll(&self, protocol: u32) -> Predicate {
        let is_type = |ethertype| self.equal(Base::LinkType, 0, Size::Half, ethertype);
        match protocol {
            sap::ISO | sap::IP | sap::NETBEUI => is_type(SLL_802_2).and(self.both_saps(protocol)),
            sap::IPX => {
                let snap = self.snap(0, ethertype::IPX);
                let dsap = self.equal(Base::Llc, 0, Size::Byte, sap::IPX);
                let llc = is_type(SLL_802_2).and(dsap.or(snap));
                is_type(ethertype::IPX).or(is_type(SLL_802_3).or(llc))
            }
            ethertype::ATALK => {
                is_type(protocol).or(is_type(SLL_802_2).and(self.snap(0x08_0007, protocol)))
            }
            ethertype::AARP => is_type(protocol).or(is_type(SLL_802_2).and(self.snap(0, protocol))),
            _ if protocol <= ETHERNET_LENGTH_MAX => {
                let dsap = self.equal(
                    Base::LinkHeader,
                    self.payload.constant,
                    Size::Byte,
                    protocol,
                );
                is_type(SLL_802_2).and(dsap)
            }
            _ => is_type(protocol),
        }
    }

    fn both_saps(&self, sap: u32) -> Predicate {
        self.equal(Base::Llc, 0, Size::Half, sap << 8 | sap)
    }

    /// A SNAP header with an organisation and a protocol.
    fn snap(&self, organisation: u32, protocol: u32) -> Predicate {
        let [_, o1, o2, o3] = organisation.to_be_bytes();
        let [_, _, p1, p2] = protocol.to_be_bytes();
        self.equal_bytes(Base::Llc, 0, &[sap::SNAP, sap::SNAP, 3, o1, o2, o3, p1, p2])
    }

    /// Ethernet frames with an 802.2 header: a length field, and not Novell's raw 802.3.
    pub(super) fn llc_frame(&self) -> Generated {
        if self.link != Link::Ethernet {
            return Err(Refusal::new(format!(
                "`llc` does not work on {}",
                self.link.name()
            )));
        }
        let length = self.test(
            Base::LinkType,
            0,
            Size::Half,
            op::JGT_K,
            ETHERNET_LENGTH_MAX,
        );
        Ok(length
            .negate()
            .and(self.equal(Base::Llc, 0, Size::Half, 0xffff).negate()))
    }
}

/// PPP's number for what Ethernet types and service access points mean.
fn ppp_protocol(protocol: u32) -> u32 {
    match protocol {
        ethertype::IP => 0x0021,
        ethertype::IP6 => 0x0057,
        ethertype::DECNET => 0x0027,
        ethertype::ATALK => 0x0029,
        ethertype::NS => 0x0025,
        sap::ISO => 0x0023,
        sap::STP => 0x0031,
        sap::IPX => 0x002b,
        other => other,
    }
}
