//! Predicates: tests of the packet joined by and, or, not, in the order in which they are made. What
//! jumps they become is in `blocks.rs`.

use super::ast::Join;
use super::program::Instruction;

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
}
