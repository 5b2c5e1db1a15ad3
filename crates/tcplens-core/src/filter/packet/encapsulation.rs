//! What carries packets inside packets: VLAN tags, MPLS labels, PPPoE sessions, Geneve tunnels. Each
//! primitive moves the offsets for the rest of the expression, as pcap-filter(7) documents.

use super::ast::Dir;
use super::generate::{Generated, Generator, Refusal};
use super::link::{Base, Link, Offset, Size, ethertype};
use super::predicate::Predicate;
use super::program::{Instruction, op};

/// MPLS unicast over PPP (RFC 3032).
const PPP_MPLS: u32 = 0x0281;
/// UDP port of Geneve (RFC 8926).
const GENEVE_PORT: u32 = 6081;
const UDP: u32 = 17;

impl Generator {
    pub(super) fn vlan(&mut self, id: Option<u32>) -> Generated {
        if self.labels > 0 {
            return Err(Refusal::new("`vlan` cannot stand after `mpls`"));
        }
        if self.link != Link::Ethernet {
            return Err(Refusal::new(format!(
                "`vlan` does not work on {}: it keeps no tags",
                self.link.name()
            )));
        }
        let provider = self
            .carries(ethertype::VLAN)?
            .or(self.carries(ethertype::PROVIDER_VLAN)?);
        let mut tagged = self
            .carries(ethertype::QINQ)
            .map(|qinq| provider.or(qinq))?;
        if let Some(id) = id {
            if id > 0xfff {
                return Err(Refusal::new("a VLAN identifier is at most 4095"));
            }
            tagged = tagged.and(self.masked(Base::Network, 0, Size::Half, id, 0xfff));
        }
        self.payload.constant = self.payload.constant.wrapping_add(4);
        self.kind.constant = self.kind.constant.wrapping_add(4);
        Ok(tagged)
    }

    pub(super) fn mpls(&mut self, label: Option<u32>) -> Generated {
        let mut labelled = if self.labels > 0 {
            // The label before this one does not end the stack.
            self.masked(Base::PreviousLabel, 2, Size::Byte, 0, 1)
        } else {
            match self.link {
                Link::Ethernet => self.carries(ethertype::MPLS)?,
                Link::Ppp => self.carries(PPP_MPLS)?,
                link => {
                    return Err(Refusal::new(format!(
                        "`mpls` does not work on {}",
                        link.name()
                    )));
                }
            }
        };
        if let Some(label) = label {
            if label > 0xf_ffff {
                return Err(Refusal::new("an MPLS label is at most 1048575"));
            }
            let test = self.masked(Base::Network, 0, Size::Word, label << 12, 0xffff_f000);
            labelled = labelled.and(test);
        }
        self.network = self.network.wrapping_add(4);
        self.network_after_llc = self.network_after_llc.wrapping_add(4);
        self.labels += 1;
        Ok(labelled)
    }

    pub(super) fn pppoe_session(&mut self, session: Option<u32>) -> Generated {
        let mut is_session = self.carries(ethertype::PPPOE_SESSION)?;
        if let Some(session) = session {
            if session > 0xffff {
                return Err(Refusal::new("a PPPoE session is at most 65535"));
            }
            let test = self.masked(Base::Network, 0, Size::Word, session, 0xffff);
            is_session = is_session.and(test);
        }
        // Six bytes of PPPoE, then PPP without HDLC framing: the protocol field comes first.
        self.link = Link::Ppp;
        self.in_geneve = false;
        self.header.constant = self.network_offset().wrapping_add(6);
        self.header.register = self.payload.register;
        self.kind = self.header;
        self.payload.constant = self.header.constant.wrapping_add(2);
        self.network = 0;
        self.network_after_llc = 0;
        Ok(is_session)
    }

    pub(super) fn geneve(&mut self, vni: Option<u32>) -> Generated {
        let v4 = self.geneve_over(ethertype::IP, Base::TransportV4, vni)?;
        let v6 = self.geneve_over(ethertype::IP6, Base::TransportV6, vni)?;
        let statements = self.geneve_offsets()?;
        // The statements run where a Geneve header was found, and always go on.
        let measured = Predicate::Test {
            statements,
            jump: op::JEQ_K,
            k: 0,
        };
        self.in_geneve = true;
        self.folds = false;
        Ok(v4.or(v6).and(measured))
    }

    /// Geneve of version 0 over one IP version; leaves the length of the IP header in A.
    fn geneve_over(&self, network: u32, transport: Base, vni: Option<u32>) -> Generated {
        let mut is_geneve = self
            .port_of(network, GENEVE_PORT, GENEVE_PORT, Some(UDP), Dir::Dst)?
            .and(self.masked(transport, 8, Size::Byte, 0, 0xc0));
        if let Some(vni) = vni {
            if vni > 0xff_ffff {
                return Err(Refusal::new(
                    "a Geneve network identifier is at most 16777215",
                ));
            }
            is_geneve =
                is_geneve.and(self.masked(transport, 12, Size::Word, vni << 8, 0xffff_ff00));
        }
        let mut statements = Vec::new();
        if network == ethertype::IP {
            statements.extend(self.ip_header_length());
            statements.push(Instruction::new(op::TXA, 0));
        } else {
            let variable = self.payload.register;
            statements.extend(variable.map(|r| Instruction::new(op::LDX_MEM, r)));
            statements.push(Instruction::new(op::LD_IMM, 40));
            statements.extend(variable.map(|_| Instruction::new(op::ALU_ADD_X, 0)));
            statements.push(Instruction::new(op::TAX, 0));
        }
        let measured = Predicate::Test {
            statements,
            jump: op::JEQ_X,
            k: 0,
        };
        Ok(is_geneve.and(measured))
    }

    /// From the length of the IP header in A: where the inner protocol is named, where the inner link
    /// header begins and where it ends, into three memory words.
    fn geneve_offsets(&mut self) -> Result<Vec<Instruction>, Refusal> {
        let udp = self.network_offset();
        let kind = self.allocate()?;
        let header = self.allocate()?;
        let payload = self.allocate()?;
        let statements = vec![
            Instruction::new(op::ALU_ADD_K, udp.wrapping_add(8)),
            Instruction::new(op::TAX, 0),
            Instruction::new(op::ALU_ADD_K, 2),
            Instruction::new(op::ST, kind),
            Instruction::new(op::LD_IND_B, 0),
            Instruction::new(op::ALU_AND_K, 0x3f),
            Instruction::new(op::ALU_MUL_K, 4),
            Instruction::new(op::ALU_ADD_K, 8),
            Instruction::new(op::ALU_ADD_X, 0),
            Instruction::new(op::ST, header),
            Instruction::new(op::LD_IND_H, 2),
            Instruction::new(op::LDX_MEM, header),
            // Ethernet inside: its own type field counts, and its header lies before the payload.
            Instruction::jump(op::JEQ_K, ethertype::BRIDGED_ETHERNET, 0, 5),
            Instruction::new(op::TXA, 0),
            Instruction::new(op::ALU_ADD_K, 12),
            Instruction::new(op::ST, kind),
            Instruction::new(op::ALU_ADD_K, 2),
            Instruction::new(op::TAX, 0),
            Instruction::new(op::STX, payload),
            Instruction::new(op::LD_IMM, 0),
        ];
        let inside = |register| Offset {
            constant: 0,
            register: Some(register),
        };
        self.link = Link::Ethernet;
        self.kind = inside(kind);
        self.header = inside(header);
        self.payload = inside(payload);
        self.network = 0;
        Ok(statements)
    }
}
