//! Comparisons of arithmetic over packet bytes: `tcp[13] & 2 != 0`, `ip[2:2] - 20 > 100`. Every
//! intermediate result takes a memory word, as in libpcap; constants do not.

use super::ast::{Arith, Compare, Operator, Proto};
use super::generate::{Generated, Generator, Refusal};
use super::link::{Base, Offset, Size, ethertype};
use super::predicate::Predicate;
use super::program::{Instruction, op};

/// Statements that compute a value into a memory word, once the packet is one that has it.
struct Value {
    statements: Vec<Instruction>,
    register: u32,
    guard: Option<Predicate>,
}

impl Value {
    /// The statements, with the result in A at their end.
    fn to_a(&self) -> Vec<Instruction> {
        let mut statements = self.statements.clone();
        if statements.last() == Some(&Instruction::new(op::ST, self.register)) {
            statements.pop();
        } else {
            statements.push(Instruction::new(op::LD_MEM, self.register));
        }
        statements
    }
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
        if let Arith::Number(k) = right {
            let jump = match compare {
                Compare::Equal => op::JEQ_K,
                Compare::Greater => op::JGT_K,
                Compare::GreaterOrEqual => op::JGE_K,
            };
            self.release(left.register);
            let test = Predicate::Test {
                statements: left.to_a(),
                jump,
                k: *k,
            };
            let test = if negated { test.negate() } else { test };
            return Ok(match left.guard {
                Some(guard) => guard.and(test),
                None => test,
            });
        }
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
        if let Arith::Number(k) = right {
            let mut statements = left.to_a();
            statements.push(Instruction::new(x_code(operator) & !FROM_X, *k));
            statements.push(Instruction::new(op::ST, left.register));
            return Ok(Value {
                statements,
                register: left.register,
                guard: left.guard,
            });
        }
        let right = self.value(right)?;
        let code = x_code(operator);
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
        let computed = self.value(index)?;
        let register = self.allocate()?;
        self.release(computed.register);
        let size = match size {
            1 => Size::Byte,
            2 => Size::Half,
            4 => Size::Word,
            _ => return Err(Refusal::new("the size of a load is 1, 2 or 4 bytes")),
        };
        let index_guard = computed.guard;
        let (index, mut statements) = match index {
            Arith::Number(n) if *n < CONSTANT_INDEX => (Index::Constant(*n), Vec::new()),
            _ => (Index::Register(computed.register), computed.statements),
        };
        let guarded = |inner: Option<Predicate>, test: Predicate| match inner {
            Some(inner) => Some(inner.and(test)),
            None => Some(test),
        };
        let guard = match proto {
            Proto::Link => {
                statements.extend(indexed(self.header, index, size));
                index_guard
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
                let network = Offset {
                    constant: self.network_offset(),
                    ..self.payload
                };
                statements.extend(indexed(network, index, size));
                guarded(index_guard, self.protocol(proto)?)
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
                let mut at = self.network_offset();
                match index {
                    Index::Constant(n) => at = at.wrapping_add(n),
                    Index::Register(register) => statements.extend([
                        Instruction::new(op::LD_MEM, register),
                        Instruction::new(op::ALU_ADD_X, 0),
                        Instruction::new(op::TAX, 0),
                    ]),
                }
                statements.push(Instruction::new(size.indirect(), at));
                let is_first = self.protocol(proto)?.and(self.first_fragment());
                let inner = guarded(index_guard, is_first);
                let is_ip = self.carries(ethertype::IP)?;
                inner.map(|inner| is_ip.and(inner))
            }
            Proto::Icmp6 => {
                let constant = self.network_offset().wrapping_add(40);
                let icmp6 = Offset {
                    constant,
                    ..self.payload
                };
                statements.extend(indexed(icmp6, index, size));
                let is_ip6 = guarded(index_guard, self.carries(ethertype::IP6)?);
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
}

/// An index below this is added to the offset at once; a larger one could wrap around.
const CONSTANT_INDEX: u32 = 0x1_0000;

/// The index of a load.
#[derive(Clone, Copy)]
enum Index {
    Constant(u32),
    /// The memory word that it was computed into.
    Register(u32),
}

/// Statements that load relative to a header; leaves the value in A.
fn indexed(header: Offset, index: Index, size: Size) -> Vec<Instruction> {
    let at = header.constant;
    match (header.register, index) {
        (None, Index::Constant(n)) => vec![Instruction::new(size.absolute(), at.wrapping_add(n))],
        (Some(variable), Index::Constant(n)) => vec![
            Instruction::new(op::LDX_MEM, variable),
            Instruction::new(size.indirect(), at.wrapping_add(n)),
        ],
        (None, Index::Register(register)) => {
            vec![
                Instruction::new(op::LDX_MEM, register),
                Instruction::new(size.indirect(), at),
            ]
        }
        (Some(variable), Index::Register(register)) => vec![
            Instruction::new(op::LDX_MEM, variable),
            Instruction::new(op::LD_MEM, register),
            Instruction::new(op::ALU_ADD_X, 0),
            Instruction::new(op::TAX, 0),
            Instruction::new(size.indirect(), at),
        ],
    }
}

/// The bit of an instruction that takes X, not the constant, for its operand.
const FROM_X: u16 = 8;

fn x_code(operator: Operator) -> u16 {
    match operator {
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
    }
}
