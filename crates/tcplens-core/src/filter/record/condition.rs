//! What an expression asks of a socket's ends and state alone, for who can leave out sockets before their records are made
//! (inet_diag's bytecode and state mask). Never leaves out what the expression takes.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::program::{Atom, Node, Predicate, Program};
use super::schema::Schema;
use super::tcp_state;
use super::value::Net;

/// Over-approximates a [`RecordFilter`](super::RecordFilter): what it does not allow, the filter does not take. It is about
/// what the kernel has: an end that a record lacks has port 0 and the unspecified address of its family there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndsCondition {
    /// Every socket.
    Any,
    /// All of them hold; there are at least two.
    And(Vec<EndsCondition>),
    /// One of them holds; none: no socket can pass.
    Or(Vec<EndsCondition>),
    /// It does not hold. Only around ports and networks, or an `Or` of these.
    Not(Box<EndsCondition>),
    /// The local port is one of these.
    LocalPort(RangeInclusive<u16>),
    /// The remote port is one of these.
    RemotePort(RangeInclusive<u16>),
    /// The local address lies in it; an IPv4-mapped one is IPv4.
    LocalNet(Net),
    /// The remote address lies in it; an IPv4-mapped one is IPv4.
    RemoteNet(Net),
    /// The state is one of these: bit n for the kernel's state n; NEW_SYN_RECV and SYN_RECV come together.
    State(u16),
}

impl EndsCondition {
    /// Whether a socket with these ends and this state (the kernel's number) is allowed.
    #[must_use]
    pub fn allows(&self, local: (IpAddr, u16), remote: (IpAddr, u16), state: u8) -> bool {
        match self {
            EndsCondition::Any => true,
            EndsCondition::And(all) => all.iter().all(|one| one.allows(local, remote, state)),
            EndsCondition::Or(all) => all.iter().any(|one| one.allows(local, remote, state)),
            EndsCondition::Not(inner) => !inner.allows(local, remote, state),
            EndsCondition::LocalPort(ports) => ports.contains(&local.1),
            EndsCondition::RemotePort(ports) => ports.contains(&remote.1),
            EndsCondition::LocalNet(net) => net.contains(local.0),
            EndsCondition::RemoteNet(net) => net.contains(remote.0),
            EndsCondition::State(mask) => {
                1u16.checked_shl(u32::from(state)).unwrap_or(0) & mask != 0
            }
        }
    }
}

/// Which answers of a part are wanted from the whole.
#[derive(Clone, Copy)]
struct Wanted {
    /// Yes; else no.
    yes: bool,
    /// And unknown.
    unknown: bool,
}

/// Where the fields are that the kernel knows.
struct Places {
    /// Address and port, local and remote.
    sides: [(usize, usize); 2],
    /// For which way of [`Node::Directed`].
    way: usize,
}

/// See [`EndsCondition`].
pub(super) fn of(program: &Program, schema: &Schema) -> EndsCondition {
    let Some(ends) = schema.ends().filter(|ends| ends.is_socket) else {
        return EndsCondition::Any;
    };
    let sides = ends.sides.map(|(ip, port)| (ip.index, port.index));
    let wanted = Wanted {
        yes: true,
        unknown: false,
    };
    let mut tests: Vec<_> = program.atoms.iter().collect();
    tests.sort_by_key(|atom| atom.slot);
    let way = |way| above(&program.root, &tests, &Places { sides, way }, wanted);
    if program.is_directed {
        or(vec![way(0), way(1)])
    } else {
        way(0)
    }
}

/// A condition that holds wherever the node's answer is one of those wanted; `tests` are by slot.
fn above(node: &Node, tests: &[&Atom], places: &Places, wanted: Wanted) -> EndsCondition {
    let each = |all: &[Node]| -> Vec<EndsCondition> {
        all.iter()
            .map(|one| above(one, tests, places, wanted))
            .collect()
    };
    match node {
        Node::Constant(is) if *is == wanted.yes => EndsCondition::Any,
        Node::Constant(_) => EndsCondition::Or(Vec::new()),
        Node::And(all) if wanted.yes => and(each(all)),
        Node::And(all) => or(each(all)),
        Node::Or(all) if wanted.yes => or(each(all)),
        Node::Or(all) => and(each(all)),
        Node::Not(inner) => {
            let wanted = Wanted {
                yes: !wanted.yes,
                ..wanted
            };
            above(inner, tests, places, wanted)
        }
        Node::Decided(inner) => {
            let wanted = Wanted {
                unknown: !wanted.yes,
                ..wanted
            };
            above(inner, tests, places, wanted)
        }
        Node::Directed(ways) => match ways.get(places.way) {
            Some(node) => above(node, tests, places, wanted),
            None => EndsCondition::Any,
        },
        Node::Atom(slot) => tests.get(*slot).map_or(EndsCondition::Any, |atom| {
            places.leaf(atom.field, &atom.test, wanted)
        }),
    }
}

impl Places {
    fn leaf(&self, field: usize, test: &Predicate, wanted: Wanted) -> EndsCondition {
        let Wanted { yes, unknown } = wanted;
        let [local, remote] = self.sides;
        let port = [local.1, remote.1].iter().position(|at| *at == field);
        let address = [local.0, remote.0].iter().position(|at| *at == field);
        match (test, port, address) {
            (Predicate::State(_), ..) if unknown => EndsCondition::Any,
            (Predicate::State(mask), ..) if yes => EndsCondition::State(*mask),
            (Predicate::State(mask), ..) => EndsCondition::State(!mask),
            // A port that is absent is 0 in the kernel.
            (Predicate::Present, Some(side), _) if !yes => ports(side, &[(0, 0)]),
            (Predicate::Numbers(ranges), Some(side), _) => {
                let has_zero = ranges.first().is_some_and(|(low, _)| *low == 0);
                match (yes, unknown) {
                    (true, false) => ports(side, ranges),
                    (true, true) => or(vec![ports(side, ranges), ports(side, &[(0, 0)])]),
                    (false, true) if has_zero => EndsCondition::Any,
                    (false, _) => not(ports(side, ranges)),
                }
            }
            (Predicate::Addresses { v4, v6 }, _, Some(side)) => {
                let nets = nets(v4, v6);
                let is_exact = nets.is_exact;
                let has_none = nets.all.iter().any(|net| net.has_unspecified());
                let inside = nets.all.into_iter().map(|net| match side {
                    0 => EndsCondition::LocalNet(net),
                    _ => EndsCondition::RemoteNet(net),
                });
                match (yes, unknown) {
                    (true, false) if is_exact => or(inside.collect()),
                    (true, _) => EndsCondition::Any,
                    (false, true) if has_none => EndsCondition::Any,
                    // Nets that could not be told are left out: then more is allowed.
                    (false, _) => not(or(inside.collect())),
                }
            }
            _ => EndsCondition::Any,
        }
    }
}

fn ports(side: usize, ranges: &[(u64, u64)]) -> EndsCondition {
    const MOST: u64 = u16::MAX as u64;
    let mut all = Vec::new();
    for (low, high) in ranges {
        // What is beyond the last port, no socket has.
        let (Ok(low), Ok(high)) = (u16::try_from(*low), u16::try_from(MOST.min(*high))) else {
            continue;
        };
        all.push(match side {
            0 => EndsCondition::LocalPort(low..=high),
            _ => EndsCondition::RemotePort(low..=high),
        });
    }
    or(all)
}

struct Nets {
    all: Vec<Net>,
    /// None was left out.
    is_exact: bool,
}

/// Ranges that are networks.
fn nets(v4: &[(u32, u32)], v6: &[(u128, u128)]) -> Nets {
    let mut nets = Nets {
        all: Vec::new(),
        is_exact: true,
    };
    let mut add = |address: IpAddr, bits: u32, low: u128, high: u128| {
        let span = high ^ low;
        let free = 128 - span.leading_zeros();
        let is_net = span.count_ones() == free && low & span == 0;
        match u8::try_from(bits.saturating_sub(free)) {
            Ok(prefix) if is_net => nets.all.push(Net { address, prefix }),
            _ => nets.is_exact = false,
        }
    };
    for (low, high) in v4 {
        add(
            IpAddr::V4((*low).into()),
            32,
            u128::from(*low),
            u128::from(*high),
        );
    }
    for (low, high) in v6 {
        add(IpAddr::V6((*low).into()), 128, *low, *high);
    }
    nets
}

fn and(mut all: Vec<EndsCondition>) -> EndsCondition {
    all.retain(|one| *one != EndsCondition::Any);
    match (all.pop(), all.is_empty()) {
        (None, _) => EndsCondition::Any,
        (Some(only), true) => only,
        (Some(last), false) => {
            all.push(last);
            EndsCondition::And(all)
        }
    }
}

fn or(mut all: Vec<EndsCondition>) -> EndsCondition {
    if all.contains(&EndsCondition::Any) {
        return EndsCondition::Any;
    }
    all.dedup();
    match (all.pop(), all.is_empty()) {
        (None, _) => EndsCondition::Or(Vec::new()),
        (Some(only), true) => only,
        (Some(last), false) => {
            all.push(last);
            EndsCondition::Or(all)
        }
    }
}

fn not(inner: EndsCondition) -> EndsCondition {
    match inner {
        EndsCondition::Or(all) if all.is_empty() => EndsCondition::Any,
        EndsCondition::Any => EndsCondition::Or(Vec::new()),
        inner => EndsCondition::Not(Box::new(inner)),
    }
}

// Of two opposite sets of states one holds.
const _: () = assert!(tcp_state::ALL == u16::MAX);
