//! What is evaluated: tests of single fields ([`Atom`]) and how their answers are joined ([`Node`]). Made from the parsed form
//! once; all that needs two fields is taken apart here.

use super::ast::{Compare, Direction, Expr, Family, Side, Test, What};
use super::schema::{Ends, Named, Schema};
use super::value::{Literal, Net, number};

/// A test of one field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Atom {
    /// The field's place in the walk.
    pub(super) field: usize,
    /// Where its answer goes.
    pub(super) slot: usize,
    pub(super) test: Predicate,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Predicate {
    Present,
    Flag,
    /// Sorted ranges with gaps between them; see [`time`].
    Numbers(Vec<(u64, u64)>),
    /// Sorted ranges of each family.
    Addresses {
        v4: Vec<(u32, u32)>,
        v6: Vec<(u128, u128)>,
    },
    Masked {
        value: u64,
        mask: u64,
    },
    /// Sorted.
    Texts(Vec<String>),
    Contains(String),
    State(u16),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Constant(bool),
    /// By slot.
    Atom(usize),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// What cannot be told is false.
    Decided(Box<Node>),
    /// One for a segment from the first end to the second, one for the other way.
    Directed(Box<[Node; 2]>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Program {
    /// Sorted by field.
    pub(super) atoms: Vec<Atom>,
    pub(super) root: Node,
    /// Whether there is a [`Node::Directed`].
    pub(super) is_directed: bool,
}

impl Program {
    pub(super) fn of(expr: Option<&Expr>, schema: &Schema) -> Program {
        let mut program = Program {
            atoms: Vec::new(),
            root: Node::Constant(true),
            is_directed: false,
        };
        let ends = schema.ends();
        if let Some(expr) = expr {
            program.root = program.node(expr, ends);
        }
        program.atoms.sort_by_key(|atom| atom.field);
        program
    }

    fn node(&mut self, expr: &Expr, ends: Option<Ends>) -> Node {
        match expr {
            Expr::And(all) => Node::And(all.iter().map(|one| self.node(one, ends)).collect()),
            Expr::Or(all) => Node::Or(all.iter().map(|one| self.node(one, ends)).collect()),
            Expr::Not(inner) => not(self.node(inner, ends)),
            Expr::Test(test) => self.test(test, ends),
        }
    }

    fn test(&mut self, test: &Test, ends: Option<Ends>) -> Node {
        match test {
            Test::Has(field) => self.atom(*field, Predicate::Present),
            Test::Flag(field) => self.atom(*field, Predicate::Flag),
            Test::Compare(field, compare, literal) => self.comparison(*field, *compare, literal),
            Test::In(field, all) => self.list(*field, all),
            Test::Contains(field, text) => self.atom(*field, Predicate::Contains(text.clone())),
            Test::State(field, mask) => self.atom(*field, Predicate::State(*mask)),
            Test::Port(side, compare, port) => {
                let Some((_, field)) = end(ends, *side) else {
                    return Node::Constant(false);
                };
                self.port(field, *compare, *port)
            }
            Test::Address {
                side,
                is_equal,
                net,
                port,
            } => {
                let Some((ip, field)) = end(ends, *side) else {
                    return Node::Constant(false);
                };
                let mut all = Vec::new();
                if let Some(net) = net {
                    let inside = self.atom(ip, addresses(&[*net]));
                    all.push(decided(inside));
                }
                if let Some(port) = port {
                    all.push(self.port(field, Compare::Equal, *port));
                }
                not_unless(*is_equal, Node::And(all))
            }
            Test::Device(field, is_equal, number) => {
                let same = self.atom(*field, Predicate::Numbers(vec![(*number, *number)]));
                not_unless(*is_equal, decided(same))
            }
            Test::DeviceName(field, is_equal, name) => {
                let same = self.atom(*field, Predicate::Texts(vec![name.clone()]));
                not_unless(*is_equal, decided(same))
            }
            Test::Mark {
                field,
                is_equal,
                value,
                mask,
            } => {
                let (value, mask) = (*value, *mask);
                let same = self.atom(*field, Predicate::Masked { value, mask });
                not_unless(*is_equal, same)
            }
            Test::Cgroup(field, path) => self.atom(*field, Predicate::Texts(vec![path.clone()])),
            Test::Ends(direction, what) => {
                let Some(ends) = ends else {
                    return Node::Constant(false);
                };
                let mut side = |(ip, port): (Named, Named)| {
                    let test = match what {
                        What::Net(net) => self.atom(ip, addresses(&[*net])),
                        What::Ports(low, high) => {
                            let range = (u64::from(*low), u64::from(*high));
                            self.atom(port, Predicate::Numbers(vec![range]))
                        }
                    };
                    decided(test)
                };
                let [near, far] = ends.sides.map(&mut side);
                match direction {
                    Direction::Either => Node::Or(vec![near, far]),
                    Direction::Both => Node::And(vec![near, far]),
                    Direction::Src => self.directed([near, far]),
                    Direction::Dst => self.directed([far, near]),
                }
            }
            Test::Family(Family::Tcp) => Node::Constant(true),
            Test::Family(family) => {
                let Some(ends) = ends else {
                    return Node::Constant(false);
                };
                let (v4, v6) = match family {
                    Family::Ip => (vec![(0, u32::MAX)], Vec::new()),
                    Family::Ip6 | Family::Tcp => (Vec::new(), vec![(0, u128::MAX)]),
                };
                let [(near, _), _] = ends.sides;
                decided(self.atom(near, Predicate::Addresses { v4, v6 }))
            }
        }
    }

    /// A port as ss compares it: one that is not there is 0, as the kernel has it.
    fn port(&mut self, field: Named, compare: Compare, port: u16) -> Node {
        if compare == Compare::Unequal {
            return not(self.port(field, Compare::Equal, port));
        }
        let ranges = ranges(compare, u64::from(port), u64::from(u16::MAX));
        let has_none = ranges.first().is_some_and(|(low, _)| *low == 0);
        let inside = decided(self.atom(field, Predicate::Numbers(ranges)));
        if !has_none {
            return inside;
        }
        let present = self.atom(field, Predicate::Present);
        Node::Or(vec![inside, not(present)])
    }

    fn comparison(&mut self, field: Named, compare: Compare, literal: &Literal) -> Node {
        let is_equal = compare != Compare::Unequal;
        match literal {
            Literal::Number(number) | Literal::Span(number) => {
                let ranges = ranges(compare, *number, u64::MAX);
                let inside = self.atom(field, Predicate::Numbers(ranges));
                not_unless(is_equal, inside)
            }
            Literal::Time(at) => {
                let ranges = ranges(compare, time(*at), u64::MAX);
                let inside = self.atom(field, Predicate::Numbers(ranges));
                not_unless(is_equal, inside)
            }
            Literal::Net(net) => {
                let inside = self.atom(field, addresses(&[*net]));
                not_unless(is_equal, inside)
            }
            Literal::Text(text) => {
                let same = self.atom(field, Predicate::Texts(vec![text.clone()]));
                not_unless(is_equal, same)
            }
            Literal::Flag(flag) => {
                let is_set = self.atom(field, Predicate::Flag);
                not_unless(is_equal == *flag, is_set)
            }
        }
    }

    fn list(&mut self, field: Named, all: &[(Literal, Option<Literal>)]) -> Node {
        let mut numbers = Vec::new();
        let mut texts = Vec::new();
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        let mut flags = Vec::new();
        for (low, high) in all {
            match (low, high.as_ref().unwrap_or(low)) {
                (Literal::Number(low), Literal::Number(high))
                | (Literal::Span(low), Literal::Span(high)) => numbers.push((*low, *high)),
                (Literal::Time(low), Literal::Time(high)) => {
                    numbers.push((time(*low), time(*high)));
                }
                (Literal::Net(low), Literal::Net(high)) => {
                    let (first, last) = (low.bounds().0, high.bounds().1);
                    match (u32::try_from(first), u32::try_from(last)) {
                        (Ok(first), Ok(last)) if low.address.is_ipv4() => v4.push((first, last)),
                        _ => v6.push((first, last)),
                    }
                }
                (Literal::Text(text), _) => texts.push(text.clone()),
                (Literal::Flag(flag), _) => flags.push(*flag),
                // A range has two values of one type.
                _ => {}
            }
        }
        texts.sort();
        let test = match field.field.kind {
            "ip" => Predicate::Addresses {
                v4: merged(v4),
                v6: merged(v6),
            },
            "count" | "span" | "time" => Predicate::Numbers(merged(numbers)),
            "flag" => {
                let is_set = self.atom(field, Predicate::Flag);
                return match (flags.contains(&true), flags.contains(&false)) {
                    (true, true) => Node::Or(vec![is_set.clone(), not(is_set)]),
                    (is_true, _) => not_unless(is_true, is_set),
                };
            }
            _ => Predicate::Texts(texts),
        };
        self.atom(field, test)
    }

    fn directed(&mut self, ways: [Node; 2]) -> Node {
        self.is_directed = true;
        Node::Directed(Box::new(ways))
    }

    fn atom(&mut self, field: Named, test: Predicate) -> Node {
        let slot = self.atoms.len();
        self.atoms.push(Atom {
            field: field.index,
            slot,
            test,
        });
        Node::Atom(slot)
    }
}

/// A time as a number of the same order.
pub(super) fn time(ns: i64) -> u64 {
    // The bits of it, the sign turned round.
    ns as u64 ^ 1 << 63
}

fn end(ends: Option<Ends>, side: Side) -> Option<(Named, Named)> {
    let [local, remote] = ends?.sides;
    Some(match side {
        Side::Local => local,
        Side::Remote => remote,
    })
}

fn addresses(nets: &[Net]) -> Predicate {
    let mut v4 = Vec::new();
    let mut v6 = Vec::new();
    for net in nets {
        let (first, last) = net.bounds();
        match (u32::try_from(first), u32::try_from(last)) {
            (Ok(first), Ok(last)) if number(net.address).1 == 32 => v4.push((first, last)),
            _ => v6.push((first, last)),
        }
    }
    Predicate::Addresses { v4, v6 }
}

/// The numbers up to `most` for which a comparison holds; of `!=` those for which it does not, for it is `not` of `==`.
fn ranges(compare: Compare, number: u64, most: u64) -> Vec<(u64, u64)> {
    let below = number.checked_sub(1).map(|last| (0, last));
    let above = number
        .checked_add(1)
        .filter(|first| *first <= most)
        .map(|first| (first, most));
    match compare {
        Compare::Equal | Compare::Unequal => vec![(number, number)],
        Compare::Less => below.into_iter().collect(),
        Compare::AtMost => vec![(0, number)],
        Compare::Greater => above.into_iter().collect(),
        Compare::AtLeast => vec![(number, most)],
    }
}

/// Sorted, and those that overlap joined.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort();
    let mut all: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match all.last_mut() {
            Some((_, end)) if low <= *end => *end = high.max(*end),
            _ => all.push((low, high)),
        }
    }
    all
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn not_unless(is_true: bool, node: Node) -> Node {
    if is_true { node } else { not(node) }
}

fn decided(node: Node) -> Node {
    Node::Decided(Box::new(node))
}
