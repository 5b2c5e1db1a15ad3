//! From the parsed expression to a program for one link type: the walk over the expression, and the
//! primitives that need no file of their own. What a primitive means is libpcap 1.10.3's `gencode.c`,
//! as for a capture file; not its optimiser.

use std::ops::Range;

use super::ast::{Compare, Expr, LlcFrame, Primitive, Proto};
use super::blocks::Blocks;
use super::contradiction::can_match;
use super::link::{Base, Link, Offset, Size, ethertype};
use super::predicate::Predicate;
use super::program::{Instruction, MEMORY_WORDS, Program, op};
use crate::filter::FilterError;
use crate::packet::LinkType;

/// A frame of a Linux cooked capture that the capturing host sent.
const SLL_OUTGOING: u32 = 4;

/// Compiles an expression; `None` accepts everything.
pub(super) fn compile(
    text: &str,
    expr: Option<&Expr>,
    link_type: LinkType,
) -> Result<Program, FilterError> {
    let whole = || 0..text.trim_end().len();
    let Some(expr) = expr else {
        return Ok(Blocks::new(Predicate::Constant(true), true).into_program());
    };
    let Some(link) = Link::from_type(link_type) else {
        let message = format!(
            "link type {} cannot be filtered; leave the filter out",
            link_type.0
        );
        return Err(FilterError::new(text, whole(), message));
    };
    let mut generator = Generator::new(link);
    let predicate = generator.expr(expr).map_err(|(refusal, at)| {
        FilterError::new(text, refusal.at.unwrap_or(at), refusal.message)
    })?;
    let program = Blocks::new(predicate, generator.folds).into_program();
    if generator.folds && !can_match(program.instructions()) {
        let message = format!(
            "no packet on {} can match this; did you mean `or`?",
            link.name()
        );
        return Err(FilterError::new(text, whole(), message));
    }
    Ok(program)
}

/// Why a primitive is refused on this link type.
pub(super) struct Refusal {
    pub(super) message: String,
    /// Where, if more exact than the primitive.
    pub(super) at: Option<Range<usize>>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Refusal {
            message: message.into(),
            at: None,
        }
    }
}

pub(super) type Generated = Result<Predicate, Refusal>;

/// Where the headers are, at the current place of the expression. `vlan`, `mpls`, `pppoes` and
/// `geneve` move them for everything that follows, wherever the parentheses end.
pub(super) struct Generator {
    pub(super) link: Link,
    pub(super) header: Offset,
    pub(super) kind: Offset,
    pub(super) payload: Offset,
    /// Offset of the network header within the payload.
    pub(super) network: u32,
    /// The same behind an 802.2 header.
    pub(super) network_after_llc: u32,
    pub(super) labels: u32,
    /// Whether `link` and the offsets describe what a Geneve tunnel carries.
    pub(super) in_geneve: bool,
    /// Whether tests may be dropped: not with loops or with tests that use what others computed.
    pub(super) folds: bool,
    registers: [bool; MEMORY_WORDS],
}

impl Generator {
    fn new(link: Link) -> Self {
        let fixed = |constant| Offset {
            constant,
            register: None,
        };
        let (kind, payload) = link.offsets();
        let network_after_llc = match link {
            Link::Ethernet => 3,
            _ => 0,
        };
        Generator {
            link,
            header: fixed(0),
            kind: fixed(kind),
            payload: fixed(payload),
            network: 0,
            network_after_llc,
            labels: 0,
            in_geneve: false,
            folds: true,
            registers: [false; MEMORY_WORDS],
        }
    }

    /// A free memory word.
    pub(super) fn allocate(&mut self) -> Result<u32, Refusal> {
        let Some(free) = self.registers.iter().position(|used| !used) else {
            return Err(Refusal::new(
                "needs more than 16 intermediate results; simplify it",
            ));
        };
        self.registers[free] = true;
        Ok(free as u32)
    }

    pub(super) fn release(&mut self, register: u32) {
        if let Some(used) = self.registers.get_mut(register as usize) {
            *used = false;
        }
    }

    fn expr(&mut self, expr: &Expr) -> Result<Predicate, (Refusal, Range<usize>)> {
        match expr {
            Expr::Leaf(primitive, at) => self
                .primitive(primitive)
                .map_err(|refusal| (refusal, at.clone())),
            Expr::Not(inner) => Ok(self.expr(inner)?.negate()),
            Expr::Chain(first, rest) => {
                let mut predicate = self.expr(first)?;
                for (join, right) in rest {
                    predicate = predicate.join(*join, self.expr(right)?);
                }
                Ok(predicate)
            }
        }
    }

    fn primitive(&mut self, primitive: &Primitive) -> Generated {
        match primitive {
            Primitive::Id(value, qualifiers) => self.id(value, *qualifiers),
            Primitive::Protocol(proto) => self.protocol(*proto),
            Primitive::Relation {
                compare,
                negated,
                left,
                right,
            } => self.relation(*compare, *negated, left, right),
            Primitive::Broadcast(proto) => self.broadcast(*proto),
            Primitive::Multicast(proto) => self.multicast(*proto),
            Primitive::LengthAtMost(n) => Ok(length(op::JGT_K, *n).negate()),
            Primitive::LengthAtLeast(n) => Ok(length(op::JGE_K, *n)),
            Primitive::Byte {
                compare,
                negated,
                index,
                value,
            } => {
                let jump = match compare {
                    Compare::Equal => op::JEQ_K,
                    Compare::Greater => op::JGT_K,
                    Compare::GreaterOrEqual => op::JGE_K,
                };
                let test = self.test(Base::LinkHeader, *index, Size::Byte, jump, *value);
                Ok(if *negated { test.negate() } else { test })
            }
            Primitive::Inbound => Ok(self.outbound("inbound")?.negate()),
            Primitive::Outbound => self.outbound("outbound"),
            Primitive::InterfaceIndex(index) => self.interface_index(*index),
            Primitive::Vlan(id) => self.vlan(*id),
            Primitive::Mpls(label) => self.mpls(*label),
            Primitive::PppoeDiscovery => self.carries(ethertype::PPPOE_DISCOVERY),
            Primitive::PppoeSession(session) => self.pppoe_session(*session),
            Primitive::Geneve(vni) => self.geneve(*vni),
            Primitive::Llc(frame) => self.llc(*frame),
        }
    }

    fn outbound(&self, word: &str) -> Generated {
        match self.link {
            Link::Sll => Ok(self.equal(Base::LinkHeader, 0, Size::Half, SLL_OUTGOING)),
            Link::Sll2 => Ok(self.equal(Base::LinkHeader, 10, Size::Byte, SLL_OUTGOING)),
            link => Err(Refusal::new(format!(
                "`{word}` does not work on {}: a captured packet does not tell its direction; \
                 name the addresses instead (`src host ...`)",
                link.name()
            ))),
        }
    }

    fn interface_index(&self, index: u32) -> Generated {
        match self.link {
            Link::Sll2 => Ok(self.equal(Base::LinkHeader, 4, Size::Word, index)),
            link => Err(Refusal::new(format!(
                "`ifindex` does not work on {}: a captured packet does not tell its interface",
                link.name()
            ))),
        }
    }

    fn llc(&self, frame: LlcFrame) -> Generated {
        let is_llc = self.llc_frame()?;
        Ok(match frame {
            LlcFrame::Any => is_llc,
            LlcFrame::Information => {
                is_llc.and(self.test(Base::Llc, 2, Size::Byte, op::JSET_K, 1).negate())
            }
            LlcFrame::Control { value, mask } => {
                is_llc.and(self.masked(Base::Llc, 2, Size::Byte, u32::from(value), u32::from(mask)))
            }
        })
    }

    fn broadcast(&self, proto: Option<Proto>) -> Generated {
        match proto {
            None | Some(Proto::Link) => match self.link {
                Link::Ethernet => {
                    Ok(self.ethernet_inside(self.equal_bytes(Base::LinkHeader, 0, &[0xff; 6])))
                }
                link => Err(Refusal::new(format!(
                    "`broadcast` does not work on {}: it has no link-layer addresses; \
                     `ip broadcast` works",
                    link.name()
                ))),
            },
            Some(Proto::Ip) => {
                // The netmask of a capture file is unknown; tcpdump takes 0, which leaves these two.
                let zero = self.equal(Base::Network, 16, Size::Word, 0);
                let ones = self.equal(Base::Network, 16, Size::Word, u32::MAX);
                Ok(self.carries(ethertype::IP)?.and(zero.or(ones)))
            }
            Some(proto) => Err(Refusal::new(format!(
                "`{} broadcast` has no meaning; write `ether broadcast` or `ip broadcast`",
                proto.name()
            ))),
        }
    }

    fn multicast(&self, proto: Option<Proto>) -> Generated {
        match proto {
            None | Some(Proto::Link) => match self.link {
                Link::Ethernet => {
                    let group = self.test(Base::LinkHeader, 0, Size::Byte, op::JSET_K, 1);
                    Ok(self.ethernet_inside(group))
                }
                link => Err(Refusal::new(format!(
                    "`multicast` does not work on {}: it has no link-layer addresses; \
                     `ip multicast` and `ip6 multicast` work",
                    link.name()
                ))),
            },
            Some(Proto::Ip) => {
                let group = self.test(Base::Network, 16, Size::Byte, op::JGE_K, 224);
                Ok(self.carries(ethertype::IP)?.and(group))
            }
            Some(Proto::Ip6) => {
                let group = self.equal(Base::Network, 24, Size::Byte, 255);
                Ok(self.carries(ethertype::IP6)?.and(group))
            }
            Some(proto) => Err(Refusal::new(format!(
                "`{} multicast` has no meaning; write `ether`, `ip` or `ip6 multicast`",
                proto.name()
            ))),
        }
    }

    /// A test of Ethernet addresses; in a Geneve tunnel only where that carries Ethernet.
    pub(super) fn ethernet_inside(&self, test: Predicate) -> Predicate {
        if !self.in_geneve {
            return test;
        }
        match (self.header.register, self.payload.register) {
            (Some(header), Some(payload)) => {
                let statements = vec![
                    Instruction::new(op::LD_MEM, header),
                    Instruction::new(op::LDX_MEM, payload),
                ];
                let same = Predicate::Test {
                    statements,
                    jump: op::JEQ_X,
                    k: 0,
                };
                same.negate().and(test)
            }
            _ => test,
        }
    }
}

fn length(jump: u16, k: u32) -> Predicate {
    Predicate::Test {
        statements: vec![Instruction::new(op::LD_LEN, 0)],
        jump,
        k,
    }
}
