//! Predicates as blocks that end in a conditional jump: tests decided before are jumped over, then the
//! blocks become a program. Mirrors what libpcap's optimiser does to verdicts: a test without
//! consequence is dropped, with the loads that could have rejected a short packet. It does not reorder
//! tests, which libpcap's does now and then.

use std::collections::BTreeMap;

use super::ast::Join;
use super::predicate::Predicate;
use super::program::{ACCEPT, Instruction, MEMORY_WORDS, Program, op};

/// Facts kept at one place, the earliest ones; chosen: link type, protocol and some addresses.
const FACTS: usize = 64;
/// Rounds of jumping over decided tests. libpcap goes on until nothing changes; real expressions take
/// two or three.
const ROUNDS: usize = 12;

/// Where a jump leads. Blocks lead to blocks of a lower index only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Block(usize),
    Accept,
    Reject,
}

/// What a block computes before its jump: equal statements have equal numbers.
type Value = usize;

struct Block {
    statements: Vec<Instruction>,
    value: Value,
    jump: u16,
    k: u32,
    yes: Target,
    no: Target,
}

/// The outcome of a test on the way to a block.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fact {
    value: Value,
    jump: u16,
    k: u32,
    held: bool,
}

/// A predicate as jumps.
pub(super) struct Blocks {
    blocks: Vec<Block>,
    values: BTreeMap<Vec<Instruction>, Value>,
    /// Loads of a first test that was dropped: libpcap keeps them, so that they still reject a packet
    /// that is too short.
    prelude: Vec<Instruction>,
    root: Target,
    simplify: bool,
}

impl Blocks {
    /// `simplify` is for predicates whose tests do not depend on what an earlier one left in the
    /// machine, and which have no loops.
    pub(super) fn new(predicate: Predicate, simplify: bool) -> Blocks {
        let mut blocks = Blocks {
            blocks: Vec::new(),
            values: BTreeMap::new(),
            prelude: Vec::new(),
            root: Target::Reject,
            simplify,
        };
        blocks.root = blocks.add(predicate, Target::Accept, Target::Reject);
        if simplify {
            for _ in 0..ROUNDS {
                if !blocks.jump_over_decided() {
                    break;
                }
            }
            blocks.drop_root();
        }
        blocks
    }

    fn add(&mut self, predicate: Predicate, mut yes: Target, mut no: Target) -> Target {
        match predicate {
            Predicate::Constant(true) => yes,
            Predicate::Constant(false) => no,
            Predicate::Not(inner) => self.add(*inner, no, yes),
            Predicate::Chain(first, rest) => {
                for (join, right) in rest.into_iter().rev() {
                    let entry = self.add(right, yes, no);
                    match join {
                        Join::And => yes = entry,
                        Join::Or => no = entry,
                    }
                }
                self.add(*first, yes, no)
            }
            Predicate::Test {
                statements,
                jump,
                k,
            } => {
                if self.simplify
                    && let Some(outcome) = outcome(&statements, jump, k)
                {
                    return if outcome { yes } else { no };
                }
                let fresh = self.values.len();
                let value = *self.values.entry(statements.clone()).or_insert(fresh);
                self.blocks.push(Block {
                    statements,
                    value,
                    jump,
                    k,
                    yes,
                    no,
                });
                Target::Block(self.blocks.len() - 1)
            }
        }
    }

    /// Leads every jump past the tests whose outcome is known where it is taken. Whether any changed.
    fn jump_over_decided(&mut self) -> bool {
        let mut changed = false;
        let mut known: Vec<Option<Vec<Fact>>> = vec![None; self.blocks.len()];
        if let Target::Block(root) = self.root {
            known[root] = Some(Vec::new());
        }
        for index in (0..self.blocks.len()).rev() {
            let Some(facts) = known[index].take() else {
                continue;
            };
            for held in [true, false] {
                let block = &self.blocks[index];
                let mut facts = facts.clone();
                if facts.len() < FACTS {
                    facts.push(Fact {
                        value: block.value,
                        jump: block.jump,
                        k: block.k,
                        held,
                    });
                }
                let before = if held { block.yes } else { block.no };
                let target = self.follow(before, &facts);
                let block = &mut self.blocks[index];
                *(if held { &mut block.yes } else { &mut block.no }) = target;
                changed |= target != before;
                if let Target::Block(next) = target {
                    match &mut known[next] {
                        Some(others) => others.retain(|fact| facts.contains(fact)),
                        none => *none = Some(facts),
                    }
                }
            }
        }
        changed
    }

    fn follow(&self, mut target: Target, facts: &[Fact]) -> Target {
        while let Target::Block(next) = target {
            let block = &self.blocks[next];
            target = match decided(block, facts) {
                Some(true) => block.yes,
                Some(false) => block.no,
                None if block.yes == block.no => block.yes,
                None => return target,
            };
        }
        target
    }

    fn drop_root(&mut self) {
        let mut first = true;
        while let Target::Block(root) = self.root {
            let block = &mut self.blocks[root];
            if block.yes != block.no {
                return;
            }
            if std::mem::take(&mut first) {
                self.prelude = std::mem::take(&mut block.statements);
            }
            self.root = block.yes;
        }
        self.prelude.clear();
    }

    /// For each block that can be reached: whether A and X hold what it would compute, because every
    /// jump to it comes from a block with the same statements.
    fn reached(&self) -> Vec<Option<bool>> {
        let mut reached = vec![None; self.blocks.len()];
        if let Target::Block(root) = self.root {
            reached[root] = Some(false);
        }
        for index in (0..self.blocks.len()).rev() {
            if reached[index].is_none() {
                continue;
            }
            let block = &self.blocks[index];
            for target in [block.yes, block.no] {
                if let Target::Block(next) = target {
                    let same = self.simplify && self.blocks[next].value == block.value;
                    reached[next] = Some(reached[next].unwrap_or(true) && same);
                }
            }
        }
        reached
    }

    pub(super) fn into_program(self) -> Program {
        // Written from the end, so that every target of a jump is known when the jump is written.
        let reached = self.reached();
        let mut out = Backwards { code: Vec::new() };
        let reject = out.push(Instruction::new(op::RET_K, 0));
        let accept = out.push(Instruction::new(op::RET_K, ACCEPT));
        let mut labels = vec![reject; self.blocks.len()];
        let label = |labels: &[Label], target| match target {
            Target::Block(index) => labels[index],
            Target::Accept => accept,
            Target::Reject => reject,
        };
        for (index, block) in self.blocks.iter().enumerate() {
            let Some(already_computed) = reached[index] else {
                continue;
            };
            let (jt, jf) = out.reach(label(&labels, block.yes), label(&labels, block.no));
            let mut entry = out.push(Instruction::jump(block.jump, block.k, jt, jf));
            if !already_computed {
                for statement in block.statements.iter().rev() {
                    entry = out.push(*statement);
                }
            }
            labels[index] = entry;
        }
        out.jump_always(label(&labels, self.root));
        for statement in self.prelude.iter().rev() {
            out.push(*statement);
        }
        out.code.reverse();
        Program::new(out.code)
    }
}

fn decided(block: &Block, facts: &[Fact]) -> Option<bool> {
    facts
        .iter()
        .filter(|f| f.value == block.value && f.jump == block.jump)
        .find_map(|fact| {
            if fact.k == block.k {
                return Some(fact.held);
            }
            // A value equals one constant only.
            (fact.jump == op::JEQ_K && fact.held).then_some(false)
        })
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

    /// Distances that fit a conditional jump, over an unconditional one where they do not.
    fn reach(&mut self, mut yes: Label, mut no: Label) -> (u8, u8) {
        loop {
            match (
                u8::try_from(self.distance(yes)),
                u8::try_from(self.distance(no)),
            ) {
                (Ok(jt), Ok(jf)) => return (jt, jf),
                (Err(_), _) => yes = self.jump_always(yes),
                (_, Err(_)) => no = self.jump_always(no),
            }
        }
    }
}

/// The outcome of a test that does not depend on the packet, such as `1 > 2` or a mask of 0. libpcap's
/// optimiser finds these too, and then the test's loads cannot fail any more.
fn outcome(statements: &[Instruction], jump: u16, k: u32) -> Option<bool> {
    let (mut a, mut x) = (None, None);
    let mut memory = [None; MEMORY_WORDS];
    for i in statements {
        let word = i.k as usize % MEMORY_WORDS;
        match i.code {
            op::LD_IMM => a = Some(i.k),
            op::LDX_IMM => x = Some(i.k),
            op::LD_MEM => a = memory[word],
            op::LDX_MEM => x = memory[word],
            op::ST => memory[word] = a,
            op::STX => memory[word] = x,
            op::TAX => x = a,
            op::TXA => a = x,
            op::LDX_MSH => x = None,
            code if code & 7 == ALU => {
                a = arithmetic(code, a, if code & FROM_X == 0 { Some(i.k) } else { x });
            }
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

/// The class of arithmetic, and the bit that takes X for the operand.
const ALU: u16 = 4;
const FROM_X: u16 = 8;

/// Arithmetic on what is known; 0 times anything is known.
fn arithmetic(code: u16, a: Option<u32>, operand: Option<u32>) -> Option<u32> {
    let from_k = code & !FROM_X;
    if matches!(from_k, op::ALU_AND_K | op::ALU_MUL_K) && operand == Some(0) {
        return Some(0);
    }
    let a = a?;
    if code == op::ALU_NEG {
        return Some(a.wrapping_neg());
    }
    let b = operand?;
    match from_k {
        op::ALU_ADD_K => Some(a.wrapping_add(b)),
        op::ALU_SUB_K => Some(a.wrapping_sub(b)),
        op::ALU_MUL_K => Some(a.wrapping_mul(b)),
        op::ALU_DIV_K => a.checked_div(b),
        op::ALU_MOD_K => a.checked_rem(b),
        op::ALU_AND_K => Some(a & b),
        op::ALU_OR_K => Some(a | b),
        op::ALU_XOR_K => Some(a ^ b),
        op::ALU_LSH_K => Some(a.checked_shl(b).unwrap_or(0)),
        op::ALU_RSH_K => Some(a.checked_shr(b).unwrap_or(0)),
        _ => None,
    }
}
