//! Protocols: by name (`tcp`, `arp`, `stp`), by number (`ip proto 6`), and through header chains
//! (`ip6 protochain 6`).

use super::ast::Proto;
use super::generate::{Generated, Generator, Refusal};
use super::link::{Base, Size, ethertype, sap};
use super::predicate::Predicate;
use super::program::{Instruction, op};
use super::services;

/// Network layer protocol identifiers (ISO 9577).
const CLNP: u32 = 0x81;
const ESIS: u32 = 0x82;
const ISIS: u32 = 0x83;

/// IS-IS packet types (ISO 10589): hellos, link states, complete and partial sequence numbers.
const L1_HELLO: u32 = 15;
const L2_HELLO: u32 = 16;
const POINT_TO_POINT_HELLO: u32 = 17;
const L1_LSP: u32 = 18;
const L2_LSP: u32 = 20;
const L1_CSNP: u32 = 24;
const L2_CSNP: u32 = 25;
const L1_PSNP: u32 = 26;
const L2_PSNP: u32 = 27;

/// IPv6 next headers that a chain goes through, and the one that ends it.
const HOP_BY_HOP: u32 = 0;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const AUTHENTICATION: u32 = 51;
const NO_NEXT: u32 = 59;
const DESTINATION: u32 = 60;

impl Generator {
    /// A protocol's name alone.
    pub(super) fn protocol(&self, proto: Proto) -> Generated {
        match proto {
            Proto::Ip => self.carries(ethertype::IP),
            Proto::Ip6 => self.carries(ethertype::IP6),
            Proto::Arp => self.carries(ethertype::ARP),
            Proto::Rarp => self.carries(ethertype::RARP),
            Proto::Atalk => self.carries(ethertype::ATALK),
            Proto::Aarp => self.carries(ethertype::AARP),
            Proto::Decnet => self.carries(ethertype::DECNET),
            Proto::Sca => self.carries(ethertype::SCA),
            Proto::Lat => self.carries(ethertype::LAT),
            Proto::Mopdl => self.carries(ethertype::MOPDL),
            Proto::Moprc => self.carries(ethertype::MOPRC),
            Proto::Iso => self.carries(sap::ISO),
            Proto::Stp => self.carries(sap::STP),
            Proto::Ipx => self.carries(sap::IPX),
            Proto::Netbeui => self.carries(sap::NETBEUI),
            Proto::Tcp => self.ip_protocol(6, None),
            Proto::Udp => self.ip_protocol(17, None),
            Proto::Sctp => self.ip_protocol(132, None),
            Proto::Pim => self.ip_protocol(103, None),
            Proto::Ah => self.ip_protocol(AUTHENTICATION, None),
            Proto::Esp => self.ip_protocol(50, None),
            Proto::Icmp => self.ip_protocol(1, Some(Proto::Ip)),
            Proto::Igmp => self.ip_protocol(2, Some(Proto::Ip)),
            Proto::Igrp => self.ip_protocol(9, Some(Proto::Ip)),
            Proto::Vrrp | Proto::Carp => self.ip_protocol(112, Some(Proto::Ip)),
            Proto::Icmp6 => self.ip_protocol(58, Some(Proto::Ip6)),
            Proto::Clnp => self.ip_protocol(CLNP, Some(Proto::Iso)),
            Proto::Esis => self.ip_protocol(ESIS, Some(Proto::Iso)),
            Proto::Isis => self.ip_protocol(ISIS, Some(Proto::Iso)),
            Proto::IsisLevel1 => {
                self.isis(&[L1_PSNP, L1_CSNP, L1_LSP, L1_HELLO, POINT_TO_POINT_HELLO])
            }
            Proto::IsisLevel2 => {
                self.isis(&[L2_PSNP, L2_CSNP, L2_LSP, L2_HELLO, POINT_TO_POINT_HELLO])
            }
            Proto::IsisIih => self.isis(&[POINT_TO_POINT_HELLO, L1_HELLO, L2_HELLO]),
            Proto::IsisLsp => self.isis(&[L1_LSP, L2_LSP]),
            Proto::IsisSnp => self.isis(&[L2_PSNP, L1_PSNP, L1_CSNP, L2_CSNP]),
            Proto::IsisCsnp => self.isis(&[L1_CSNP, L2_CSNP]),
            Proto::IsisPsnp => self.isis(&[L1_PSNP, L2_PSNP]),
            Proto::Link => Err(Refusal::new(
                "`ether` needs more: `ether host`, `ether proto` or an offset such as `ether[0]`",
            )),
        }
    }

    fn isis(&self, types: &[u32]) -> Generated {
        let mut any = Predicate::Constant(false);
        for packet_type in types {
            any = any.or(self.ip_protocol(*packet_type, Some(Proto::Isis))?);
        }
        Ok(any)
    }

    /// `PROTO proto NUMBER`; without PROTO both IP versions.
    pub(super) fn ip_protocol(&self, number: u32, within: Option<Proto>) -> Generated {
        match within {
            None => {
                let v4 = self.ip_protocol(number, Some(Proto::Ip))?;
                Ok(v4.or(self.ip_protocol(number, Some(Proto::Ip6))?))
            }
            Some(Proto::Link) => self.carries(number),
            Some(Proto::Ip) => {
                let is = self.equal(Base::Network, 9, Size::Byte, number);
                Ok(self.carries(ethertype::IP)?.and(is))
            }
            Some(Proto::Ip6) => {
                // Directly, or behind a fragment header.
                let next = |value| self.equal(Base::Network, 6, Size::Byte, value);
                let fragment =
                    next(FRAGMENT).and(self.equal(Base::Network, 40, Size::Byte, number));
                Ok(self.carries(ethertype::IP6)?.and(next(number).or(fragment)))
            }
            Some(Proto::Iso) => {
                let is = self.equal(Base::NetworkAfterLlc, 0, Size::Byte, number);
                Ok(self.carries(sap::ISO)?.and(is))
            }
            Some(Proto::Isis) => {
                let is = self.equal(Base::NetworkAfterLlc, 4, Size::Byte, number);
                Ok(self.ip_protocol(ISIS, Some(Proto::Iso))?.and(is))
            }
            Some(proto) => Err(Refusal::new(format!(
                "`{} proto` has no meaning; write `ip`, `ip6` or `ether proto`",
                proto.name()
            ))),
        }
    }

    pub(super) fn protocol_number(
        &self,
        name: &str,
        within: Option<Proto>,
    ) -> Result<u32, Refusal> {
        let number = match within {
            None | Some(Proto::Ip | Proto::Ip6) => services::ip_protocol(name),
            Some(Proto::Link) => ether_protocol(name),
            Some(Proto::Iso) => match name {
                "esis" => Some(ESIS),
                "isis" => Some(ISIS),
                "clnp" => Some(CLNP),
                _ => None,
            },
            Some(_) => None,
        };
        number.ok_or_else(|| {
            Refusal::new(format!(
                "no protocol is called `{name}` here; write its number"
            ))
        })
    }

    /// Goes through IPv6 extension headers and authentication headers until the protocol is found.
    /// libpcap 1.10.3 forgets where it is after an authentication header (it sets X to the header's
    /// length instead of adding it), and can loop for ever; this adds.
    pub(super) fn protocol_chain(&mut self, number: u32, within: Option<Proto>) -> Generated {
        let (network, next_header, header_length) = match within {
            None => {
                let v4 = self.protocol_chain(number, Some(Proto::Ip))?;
                return Ok(v4.or(self.protocol_chain(number, Some(Proto::Ip6))?));
            }
            Some(Proto::Ip) => {
                let at = self.network_offset();
                (ethertype::IP, 9, Instruction::new(op::LDX_MSH, at))
            }
            Some(Proto::Ip6) => (ethertype::IP6, 6, Instruction::new(op::LDX_IMM, 40)),
            Some(proto) => {
                return Err(Refusal::new(format!(
                    "`{} protochain` has no meaning; write `ip` or `ip6`",
                    proto.name()
                )));
            }
        };
        if self.payload.register.is_some() {
            return Err(Refusal::new("`protochain` does not work behind `geneve`"));
        }
        self.folds = false;
        let saved = self.allocate()?;
        let head = self.network_offset();
        // Next header to memory, its length in `unit` bytes plus `more` added to X, and again.
        let advance = |more: u32, unit: u32| {
            [
                Instruction::new(op::LD_IND_B, head),
                Instruction::new(op::ST, saved),
                Instruction::new(op::LD_IND_B, head.wrapping_add(1)),
                Instruction::new(op::ALU_ADD_K, more),
                Instruction::new(op::ALU_MUL_K, unit),
                Instruction::new(op::ALU_ADD_X, 0),
                Instruction::new(op::TAX, 0),
                Instruction::new(op::LD_MEM, saved),
            ]
        };
        let mut statements = self.load(Base::Network, next_header, Size::Byte);
        statements.push(header_length);
        let again = statements.len();
        let back = |from: usize| {
            // One past the jump itself; at most a few dozen instructions, so that it fits.
            let by = again as i32 - from as i32 - 1;
            Instruction::new(op::JA, by.cast_unsigned())
        };
        let extensions: &[u32] = if within == Some(Proto::Ip6) {
            &[HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT]
        } else {
            &[]
        };
        // Jumps forward to the end, past the two loops.
        let step = advance(0, 0).len() as u8 + 1;
        let extension_step = if extensions.is_empty() { 0 } else { step };
        let tests = extensions.len() as u8;
        let to_end = |after_tests: u8| after_tests + extension_step + 1 + step;
        statements.push(Instruction::jump(op::JEQ_K, number, to_end(tests + 1), 0));
        statements.push(Instruction::jump(op::JEQ_K, NO_NEXT, to_end(tests), 0));
        for (i, extension) in extensions.iter().enumerate() {
            let left = tests - 1 - i as u8;
            let jf = if left == 0 { extension_step } else { 0 };
            statements.push(Instruction::jump(op::JEQ_K, *extension, left, jf));
        }
        if !extensions.is_empty() {
            statements.extend(advance(1, 8));
            statements.push(back(statements.len()));
        }
        statements.push(Instruction::jump(op::JEQ_K, AUTHENTICATION, 0, step));
        statements.extend(advance(2, 4));
        statements.push(back(statements.len()));
        self.release(saved);
        let found = Predicate::Test {
            statements,
            jump: op::JEQ_K,
            k: number,
        };
        Ok(self.carries(network)?.and(found))
    }
}

fn ether_protocol(name: &str) -> Option<u32> {
    Some(match name {
        "aarp" => ethertype::AARP,
        "arp" => ethertype::ARP,
        "atalk" => ethertype::ATALK,
        "decnet" => ethertype::DECNET,
        "ip" => ethertype::IP,
        "ip6" => ethertype::IP6,
        "lat" => ethertype::LAT,
        "loopback" => ethertype::LOOPBACK,
        "mopdl" => ethertype::MOPDL,
        "moprc" => ethertype::MOPRC,
        "rarp" => ethertype::RARP,
        "sca" => ethertype::SCA,
        "iso" => sap::ISO,
        "stp" => sap::STP,
        "ipx" => sap::IPX,
        "netbeui" => sap::NETBEUI,
        _ => return None,
    })
}
