//! Comparisons of arithmetic over packet bytes: `tcp[13] & 2 != 0`, `ip[2:2] - 20 > 100`. Every
//! intermediate result takes a memory word, as in libpcap, so that kernels accept the program.

use super::ast::{Arith, Compare, Operator, Proto};
use super::generate::{Generated, Generator, Refusal};
use super::link::{Base, Size, ethertype};
use super::predicate::Predicate;
use super::program::{Instruction, op};

/// Statements that compute a value into a memory word, once the packet is one that has it.
struct Value {
    statements: Vec<Instruction>,
    register: u32,
    guard: Option<Predicate>,
}

impl Generator {
    pub(super) fn relation(
        &mut self,
        compare: Compare,
        negated: bool,
        left: &Arith,
        right: &Arith,
    ) -> Generated {
        let left = self.value(left)?;
        let right = self.value(right)?;
        let mut statements = left.statements;
        statements.extend(right.statements);
        statements.push(Instruction::new(op::LDX_MEM, right.register));
        statements.push(Instruction::new(op::LD_MEM, left.register));
        let jump = match compare {
            Compare::Equal => op::JEQ_X,
            Compare::Greater => op::JGT_X,
            Compare::GreaterOrEqual => op::JGE_X,
        };
        self.release(left.register);
        self.release(right.register);
        let test = Predicate::Test {
            statements,
            jump,
            k: 0,
        };
        let test = if negated { test.negate() } else { test };
        Ok(match (left.guard, right.guard) {
            (Some(left), Some(right)) => left.and(right).and(test),
            (Some(guard), None) | (None, Some(guard)) => guard.and(test),
            (None, None) => test,
        })
    }

    fn value(&mut self, arith: &Arith) -> Result<Value, Refusal> {
        match arith {
            Arith::Number(n) => self.leaf(Instruction::new(op::LD_IMM, *n)),
            Arith::Length => self.leaf(Instruction::new(op::LD_LEN, 0)),
            Arith::Load {
                proto,
                index,
                size,
                at,
            } => self.loaded(*proto, index, *size).map_err(|r| Refusal {
                at: r.at.or(Some(at.clone())),
                ..r
            }),
            Arith::Negate(operand) => {
                let mut value = self.value(operand)?;
                value.statements.extend([
                    Instruction::new(op::LD_MEM, value.register),
                    Instruction::new(op::ALU_NEG, 0),
                    Instruction::new(op::ST, value.register),
                ]);
                Ok(value)
            }
            Arith::Binary {
                operator,
                left,
                right,
                at,
            } => self.binary(*operator, left, right).map_err(|r| Refusal {
                at: r.at.or(Some(at.clone())),
                ..r
            }),
        }
    }

    fn leaf(&mut self, load: Instruction) -> Result<Value, Refusal> {
        let register = self.allocate()?;
        let statements = vec![load, Instruction::new(op::ST, register)];
        Ok(Value {
            statements,
            register,
            guard: None,
        })
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &Arith,
        right: &Arith,
    ) -> Result<Value, Refusal> {
        match (operator, right) {
            (Operator::Div | Operator::Mod, Arith::Number(0)) => {
                return Err(Refusal::new("this divides by zero"));
            }
            (Operator::ShiftLeft | Operator::ShiftRight, Arith::Number(32..)) => {
                return Err(Refusal::new("this shifts by more than 31 bits"));
            }
            _ => {}
        }
        let left = self.value(left)?;
        let right = self.value(right)?;
        let code = match operator {
            Operator::Add => op::ALU_ADD_X,
            Operator::Sub => op::ALU_SUB_X,
            Operator::Mul => op::ALU_MUL_X,
            Operator::Div => op::ALU_DIV_X,
            Operator::Mod => op::ALU_MOD_X,
            Operator::And => op::ALU_AND_X,
            Operator::Or => op::ALU_OR_X,
            Operator::Xor => op::ALU_XOR_X,
            Operator::ShiftLeft => op::ALU_LSH_X,
            Operator::ShiftRight => op::ALU_RSH_X,
        };
        self.release(left.register);
        self.release(right.register);
        let register = self.allocate()?;
        let mut statements = left.statements;
        statements.extend(right.statements);
        statements.extend([
            Instruction::new(op::LDX_MEM, right.register),
            Instruction::new(op::LD_MEM, left.register),
            Instruction::new(code, 0),
            Instruction::new(op::ST, register),
        ]);
        // libpcap keeps only the left guard here: `1 + tcp[0] > 2` is not guarded at all.
        Ok(Value {
            statements,
            register,
            guard: left.guard,
        })
    }

    /// `proto[index:size]`: only packets of the protocol have it, of IPv4 only first fragments.
    fn loaded(&mut self, proto: Proto, index: &Arith, size: u32) -> Result<Value, Refusal> {
        let index = self.value(index)?;
        let register = self.allocate()?;
        self.release(index.register);
        let size = match size {
            1 => Size::Byte,
            2 => Size::Half,
            4 => Size::Word,
            _ => return Err(Refusal::new("the size of a load is 1, 2 or 4 bytes")),
        };
        let mut statements = index.statements;
        let guarded = |inner: Option<Predicate>, test: Predicate| match inner {
            Some(inner) => Some(inner.and(test)),
            None => Some(test),
        };
        let guard = match proto {
            Proto::Link => {
                self.to_x(&mut statements, self.header.register, index.register);
                statements.push(Instruction::new(size.indirect(), self.header.constant));
                index.guard
            }
            Proto::Ip
            | Proto::Arp
            | Proto::Rarp
            | Proto::Atalk
            | Proto::Decnet
            | Proto::Sca
            | Proto::Lat
            | Proto::Moprc
            | Proto::Mopdl
            | Proto::Ip6 => {
                self.to_x(&mut statements, self.payload.register, index.register);
                statements.push(Instruction::new(size.indirect(), self.network_offset()));
                guarded(index.guard, self.protocol(proto)?)
            }
            Proto::Sctp
            | Proto::Tcp
            | Proto::Udp
            | Proto::Icmp
            | Proto::Igmp
            | Proto::Igrp
            | Proto::Pim
            | Proto::Vrrp
            | Proto::Carp => {
                statements.extend(self.ip_header_length());
                statements.extend([
                    Instruction::new(op::LD_MEM, index.register),
                    Instruction::new(op::ALU_ADD_X, 0),
                    Instruction::new(op::TAX, 0),
                    Instruction::new(size.indirect(), self.network_offset()),
                ]);
                let is_first = self.protocol(proto)?.and(self.first_fragment());
                let inner = guarded(index.guard, is_first);
                let is_ip = self.carries(ethertype::IP)?;
                inner.map(|inner| is_ip.and(inner))
            }
            Proto::Icmp6 => {
                self.to_x(&mut statements, self.payload.register, index.register);
                let at = self.network_offset().wrapping_add(40);
                statements.push(Instruction::new(size.indirect(), at));
                let is_ip6 = guarded(index.guard, self.carries(ethertype::IP6)?);
                guarded(is_ip6, self.equal(Base::Network, 6, Size::Byte, 58))
            }
            Proto::Ah
            | Proto::Esp
            | Proto::Aarp
            | Proto::Iso
            | Proto::Esis
            | Proto::Isis
            | Proto::IsisLevel1
            | Proto::IsisLevel2
            | Proto::IsisIih
            | Proto::IsisLsp
            | Proto::IsisSnp
            | Proto::IsisCsnp
            | Proto::IsisPsnp
            | Proto::Clnp
            | Proto::Stp
            | Proto::Ipx
            | Proto::Netbeui => {
                return Err(Refusal::new(format!(
                    "bytes of `{}` cannot be loaded; use `ether[...]` or `ip[...]`",
                    proto.name()
                )));
            }
        };
        statements.push(Instruction::new(op::ST, register));
        Ok(Value {
            statements,
            register,
            guard,
        })
    }

    /// An index, plus the variable part of where the header begins, to X.
    fn to_x(&self, statements: &mut Vec<Instruction>, variable: Option<u32>, index: u32) {
        match variable {
            Some(variable) => statements.extend([
                Instruction::new(op::LDX_MEM, variable),
                Instruction::new(op::LD_MEM, index),
                Instruction::new(op::ALU_ADD_X, 0),
                Instruction::new(op::TAX, 0),
            ]),
            None => statements.push(Instruction::new(op::LDX_MEM, index)),
        }
    }
}
