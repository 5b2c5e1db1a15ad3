//! Whether the ends of a connection are enough to answer an expression.

use std::ops::Range;

use super::ast::{Expr, Kind, Primitive, Proto, Qualifiers, Value};

/// Why they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filter) struct Unanswerable(pub(in crate::filter) &'static str);

/// The first primitive for which they are not, and where it stands.
pub(super) fn beyond(expr: &Expr) -> Option<(Range<usize>, Unanswerable)> {
    match expr {
        Expr::Chain(first, rest) => {
            beyond(first).or_else(|| rest.iter().find_map(|(_, expr)| beyond(expr)))
        }
        Expr::Not(inner) => beyond(inner),
        Expr::Leaf(primitive, at) => why(primitive).map(|why| (at.clone(), Unanswerable(why))),
    }
}

fn why(primitive: &Primitive) -> Option<&'static str> {
    const OTHER: &str = "this is about something other than TCP connections";
    match primitive {
        Primitive::Id(Value::Mac(_), _) => Some("a connection has no Ethernet addresses"),
        Primitive::Id(_, Qualifiers { proto, kind, .. }) => match (kind, proto) {
            (Kind::Proto | Kind::ProtoChain, _) => Some(OTHER),
            (_, None | Some(Proto::Ip | Proto::Ip6 | Proto::Tcp)) => None,
            (_, Some(_)) => Some(OTHER),
        },
        Primitive::Protocol(Proto::Ip | Proto::Ip6 | Proto::Tcp) => None,
        Primitive::Protocol(_)
        | Primitive::Broadcast(_)
        | Primitive::Multicast(_)
        | Primitive::Vlan(_)
        | Primitive::Mpls(_)
        | Primitive::PppoeDiscovery
        | Primitive::PppoeSession(_)
        | Primitive::Geneve(_)
        | Primitive::Llc(_) => Some(OTHER),
        Primitive::Relation { .. }
        | Primitive::LengthAtMost(_)
        | Primitive::LengthAtLeast(_)
        | Primitive::Byte { .. }
        | Primitive::Inbound
        | Primitive::Outbound
        | Primitive::InterfaceIndex(_) => Some("this asks for bytes of a packet"),
    }
}
