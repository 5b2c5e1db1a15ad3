//! Predicates: tests of the packet joined by and, or, not; and their translation into jumps. Not a
//! general optimiser: constants fold, nothing else, so that loads happen in the order libpcap does them.

use super::ast::Join;
use super::program::{ACCEPT, Instruction, MEMORY_WORDS, Program, op};

#[derive(Clone, Debug)]
pub(super) enum Predicate {
    /// Statements, then a conditional jump on what they left in A (and X).
    Test {
        statements: Vec<Instruction>,
        jump: u16,
        k: u32,
    },
    Constant(bool),
    Not(Box<Predicate>),
    /// Joined from the left; flat, so that a long list is not a deep tree.
    Chain(Box<Predicate>, Vec<(Join, Predicate)>),
}

impl Predicate {
    pub(super) fn and(self, then: Predicate) -> Predicate {
        self.join(Join::And, then)
    }

    pub(super) fn or(self, then: Predicate) -> Predicate {
        self.join(Join::Or, then)
    }

    pub(super) fn negate(self) -> Predicate {
        match self {
            Predicate::Not(inner) => *inner,
            other => Predicate::Not(Box::new(other)),
        }
    }

    pub(super) fn join(self, join: Join, then: Predicate) -> Predicate {
        match self {
            Predicate::Chain(first, mut rest) => {
                rest.push((join, then));
                Predicate::Chain(first, rest)
            }
            first => Predicate::Chain(Box::new(first), vec![(join, then)]),
        }
    }

    /// Removes constants and what they decide. The loads go with them, but for those of the very first
    /// test: libpcap's optimiser keeps these, so that they still reject a packet that is too short.
    pub(super) fn fold(mut self) -> Predicate {
        let first = self.first_test().cloned();
        let mut folded = self.fold_constants();
        let kept = first.map(Predicate::fold_constants);
        if let Some(Predicate::Test {
            statements: kept, ..
        }) = kept
            && let Some(Predicate::Test { statements, .. }) = folded.first_test()
            && *statements != kept
        {
            statements.splice(..0, kept);
        }
        folded
    }

    fn fold_constants(self) -> Predicate {
        match self {
            Predicate::Constant(_) => self,
            Predicate::Test {
                ref statements,
                jump,
                k,
            } => match outcome(statements, jump, k) {
                Some(value) => Predicate::Constant(value),
                None => self,
            },
            Predicate::Not(inner) => match inner.fold_constants() {
                Predicate::Constant(value) => Predicate::Constant(!value),
                other => other.negate(),
            },
            Predicate::Chain(first, rest) => {
                let mut left = first.fold_constants();
                for (join, right) in rest {
                    let absorbing = join == Join::Or;
                    left = match (left, right.fold_constants()) {
                        (Predicate::Constant(value), right) if value != absorbing => right,
                        (left, Predicate::Constant(value)) if value != absorbing => left,
                        (Predicate::Constant(_), _) | (_, Predicate::Constant(_)) => {
                            Predicate::Constant(absorbing)
                        }
                        (left, right) => left.join(join, right),
                    };
                }
                left
            }
        }
    }

    /// The test that runs first; `None` if that is a constant.
    fn first_test(&mut self) -> Option<&mut Predicate> {
        let mut at = self;
        loop {
            match at {
                Predicate::Test { .. } => return Some(at),
                Predicate::Constant(_) => return None,
                Predicate::Not(inner) | Predicate::Chain(inner, _) => at = inner,
            }
        }
    }

    /// The program that accepts what satisfies the predicate.
    pub(super) fn into_program(self) -> Program {
        // Written from the end, so that every target of a jump is known when the jump is written.
        let mut code = Backwards { code: Vec::new() };
        let reject = code.push(Instruction::new(op::RET_K, 0));
        let accept = code.push(Instruction::new(op::RET_K, ACCEPT));
        let start = code.predicate(self, accept, reject);
        code.jump_always(start);
        code.code.reverse();
        Program::new(code.code)
    }
}

/// The outcome of a test that does not depend on the packet, such as `1 > 2` or a mask of 0. libpcap's
/// optimiser finds these too, and then the test's loads cannot fail any more.
fn outcome(statements: &[Instruction], jump: u16, k: u32) -> Option<bool> {
    let (mut a, mut x) = (None, None);
    let mut memory = [None; MEMORY_WORDS];
    for i in statements {
        let word = i.k as usize % MEMORY_WORDS;
        let both = |f: fn(u32, u32) -> u32| Some(f(a?, x?));
        match i.code {
            op::LD_IMM => a = Some(i.k),
            op::LDX_IMM => x = Some(i.k),
            op::LD_MEM => a = memory[word],
            op::LDX_MEM => x = memory[word],
            op::ST => memory[word] = a,
            op::STX => memory[word] = x,
            op::TAX => x = a,
            op::TXA => a = x,
            op::ALU_AND_K if i.k == 0 => a = Some(0),
            op::ALU_AND_K => a = a.map(|a| a & i.k),
            op::ALU_AND_X | op::ALU_MUL_X if x == Some(0) => a = Some(0),
            op::ALU_ADD_X => a = both(u32::wrapping_add),
            op::ALU_SUB_X => a = both(u32::wrapping_sub),
            op::ALU_MUL_X => a = both(u32::wrapping_mul),
            op::ALU_AND_X => a = both(|a, x| a & x),
            op::ALU_OR_X => a = both(|a, x| a | x),
            op::ALU_XOR_X => a = both(|a, x| a ^ x),
            op::ALU_LSH_X => a = both(|a, x| a.checked_shl(x).unwrap_or(0)),
            op::ALU_RSH_X => a = both(|a, x| a.checked_shr(x).unwrap_or(0)),
            op::ALU_DIV_X => a = a.zip(x).and_then(|(a, x)| a.checked_div(x)),
            op::ALU_MOD_X => a = a.zip(x).and_then(|(a, x)| a.checked_rem(x)),
            op::ALU_NEG => a = a.map(u32::wrapping_neg),
            op::LDX_MSH => x = None,
            _ => a = None,
        }
    }
    let a = a?;
    match jump {
        op::JEQ_K => Some(a == k),
        op::JGT_K => Some(a > k),
        op::JGE_K => Some(a >= k),
        op::JSET_K => Some(a & k != 0),
        op::JEQ_X => Some(a == x?),
        op::JGT_X => Some(a > x?),
        op::JGE_X => Some(a >= x?),
        _ => None,
    }
}

/// A position, counted from the end of the program.
type Label = usize;

struct Backwards {
    code: Vec<Instruction>,
}

impl Backwards {
    fn push(&mut self, instruction: Instruction) -> Label {
        self.code.push(instruction);
        self.code.len()
    }

    /// Instructions between the one to be written next and a label.
    fn distance(&self, to: Label) -> usize {
        self.code.len() - to
    }

    fn jump_always(&mut self, to: Label) -> Label {
        match u32::try_from(self.distance(to)) {
            Ok(0) | Err(_) => to,
            Ok(by) => self.push(Instruction::new(op::JA, by)),
        }
    }

    fn predicate(&mut self, predicate: Predicate, mut yes: Label, mut no: Label) -> Label {
        match predicate {
            Predicate::Constant(value) => {
                if value {
                    yes
                } else {
                    no
                }
            }
            Predicate::Not(inner) => self.predicate(*inner, no, yes),
            Predicate::Chain(first, rest) => {
                for (join, right) in rest.into_iter().rev() {
                    let entry = self.predicate(right, yes, no);
                    match join {
                        Join::And => yes = entry,
                        Join::Or => no = entry,
                    }
                }
                self.predicate(*first, yes, no)
            }
            Predicate::Test {
                statements,
                jump,
                k,
            } => {
                let (jt, jf) = self.reach(yes, no);
                let mut entry = self.push(Instruction::jump(jump, k, jt, jf));
                for statement in statements.into_iter().rev() {
                    entry = self.push(statement);
                }
                entry
            }
        }
    }

    /// Distances that fit a conditional jump, over an unconditional one where they do not.
    fn reach(&mut self, mut yes: Label, mut no: Label) -> (u8, u8) {
        loop {
            let distances = (
                u8::try_from(self.distance(yes)),
                u8::try_from(self.distance(no)),
            );
            match distances {
                (Ok(jt), Ok(jf)) => return (jt, jf),
                (Err(_), _) => yes = self.jump_always(yes),
                (_, Err(_)) => no = self.jump_always(no),
            }
        }
    }
}
