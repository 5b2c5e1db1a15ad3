//! Finds programs that no packet satisfies (`ip and arp`), so that they are refused, as libpcap's
//! optimiser does. It follows the jumps with what the earlier ones told: a value equals one constant
//! only, and a test repeated has the same outcome. Path by path, which `blocks.rs`
//! does not do; nothing deeper, and it gives up on long searches.

use super::program::{Instruction, MEMORY_WORDS, op};

/// Instructions followed before the search gives up and lets the program pass; chosen: a millisecond.
const BUDGET: usize = 20_000;

/// Whether some packet may satisfy a program without loops.
pub(super) fn can_match(code: &[Instruction]) -> bool {
    let mut search = Search {
        values: Vec::new(),
        facts: Vec::new(),
    };
    let zero = search.value(Value {
        code: op::LD_IMM,
        k: 0,
        a: 0,
        x: 0,
    });
    let start = State {
        pc: 0,
        a: zero,
        x: zero,
        memory: [zero; MEMORY_WORDS],
        facts: 0,
        fact: None,
    };
    let mut open = vec![start];
    let mut budget = BUDGET;
    while let Some(mut state) = open.pop() {
        search.facts.truncate(state.facts);
        search.facts.extend(state.fact);
        while let Some(i) = code.get(state.pc) {
            if budget == 0 {
                return true;
            }
            budget -= 1;
            state.pc += 1;
            match i.code {
                op::RET_K if i.k != 0 => return true,
                op::RET_K => break,
                op::JA => state.pc += i.k as usize,
                _ if i.code & 7 == op::JA => {
                    let test = Test {
                        value: state.a,
                        x: state.x,
                        code: i.code,
                        k: i.k,
                    };
                    match search.known(test) {
                        Some(holds) => state.pc += usize::from(if holds { i.jt } else { i.jf }),
                        None => {
                            let facts = search.facts.len();
                            let not = state.pc + usize::from(i.jf);
                            open.push(State {
                                pc: not,
                                facts,
                                fact: Some((test, false)),
                                ..state
                            });
                            search.facts.push((test, true));
                            state.pc += usize::from(i.jt);
                        }
                    }
                }
                _ => search.step(&mut state, i),
            }
        }
    }
    false
}

/// Index of a value in the search's table; equal values have equal indices.
type Id = usize;

/// How a value came about: the same operation on the same operands gives the same value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Value {
    code: u16,
    k: u32,
    a: Id,
    x: Id,
}

/// A conditional jump on values.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Test {
    value: Id,
    x: Id,
    code: u16,
    k: u32,
}

#[derive(Clone, Copy)]
struct State {
    pc: usize,
    a: Id,
    x: Id,
    memory: [Id; MEMORY_WORDS],
    /// Facts that hold before the jump that led here, and what that jump adds.
    facts: usize,
    fact: Option<(Test, bool)>,
}

struct Search {
    values: Vec<Value>,
    facts: Vec<(Test, bool)>,
}

impl Search {
    fn value(&mut self, value: Value) -> Id {
        self.values
            .iter()
            .position(|v| *v == value)
            .unwrap_or_else(|| {
                self.values.push(value);
                self.values.len() - 1
            })
    }

    /// The outcome of a test, if the facts decide it.
    fn known(&self, test: Test) -> Option<bool> {
        let on_x = test.code & 8 != 0;
        self.facts.iter().find_map(|(fact, held)| {
            let same = fact.value == test.value && fact.code == test.code;
            let same_operand = if on_x {
                fact.x == test.x
            } else {
                fact.k == test.k
            };
            match (same, same_operand) {
                (true, true) => Some(*held),
                (true, false) if test.code == op::JEQ_K && *held => Some(false),
                _ => None,
            }
        })
    }

    fn step(&mut self, state: &mut State, i: &Instruction) {
        let word = i.k as usize % MEMORY_WORDS;
        let alone = Value {
            code: i.code,
            k: i.k,
            a: 0,
            x: 0,
        };
        match i.code {
            op::ST => state.memory[word] = state.a,
            op::STX => state.memory[word] = state.x,
            op::LD_MEM => state.a = state.memory[word],
            op::LDX_MEM => state.x = state.memory[word],
            op::TAX => state.x = state.a,
            op::TXA => state.a = state.x,
            op::LDX_IMM => {
                state.x = self.value(Value {
                    code: op::LD_IMM,
                    ..alone
                })
            }
            op::LDX_MSH => state.x = self.value(alone),
            op::LD_IND_B | op::LD_IND_H | op::LD_IND_W => {
                state.a = self.value(Value {
                    x: state.x,
                    ..alone
                });
            }
            // Arithmetic: by its operands; the other loads: by themselves.
            code if code & 7 == 4 => {
                state.a = self.value(Value {
                    a: state.a,
                    x: state.x,
                    ..alone
                });
            }
            _ => state.a = self.value(alone),
        }
    }
}
