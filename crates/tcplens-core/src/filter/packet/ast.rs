//! The parsed form of an expression, still free of any link type. Not a tree of booleans only: the
//! order of its parts matters, for `vlan`, `mpls`, `pppoes` and `geneve` move what follows them.

use std::net::Ipv6Addr;
use std::ops::Range;

/// How two neighbours are joined. Both bind equally, from the left, as pcap-filter(7) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    /// `a and b or c` means `(a and b) or c`; flat, so that a long list is not a deep tree.
    Chain(Box<Expr>, Vec<(Join, Expr)>),
    Not(Box<Expr>),
    Leaf(Primitive, Range<usize>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Id(Value, Qualifiers),
    Protocol(Proto),
    Relation {
        compare: Compare,
        negated: bool,
        left: Arith,
        right: Arith,
    },
    Broadcast(Option<Proto>),
    Multicast(Option<Proto>),
    LengthAtMost(u32),
    LengthAtLeast(u32),
    /// `byte 3 > 5`, the old spelling of `link[3] > 5`.
    Byte {
        compare: Compare,
        negated: bool,
        index: u32,
        value: u32,
    },
    Inbound,
    Outbound,
    InterfaceIndex(u32),
    Vlan(Option<u32>),
    Mpls(Option<u32>),
    PppoeDiscovery,
    PppoeSession(Option<u32>),
    Geneve(Option<u32>),
    Llc(LlcFrame),
}

/// What follows the qualifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(u32),
    /// One to four dotted numbers.
    Dotted(String),
    /// Dotted numbers and `/bits`.
    DottedPrefix(String, u32),
    /// Dotted numbers `mask` dotted numbers.
    DottedMask(String, String),
    /// An IPv6 address and its prefix length.
    V6(Ipv6Addr, u32),
    Mac([u8; 6]),
    Name(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Qualifiers {
    pub(super) proto: Option<Proto>,
    pub(super) dir: Dir,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dir {
    /// None given: either end.
    #[default]
    Any,
    Src,
    Dst,
    Both,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// None given: a host.
    #[default]
    Unsaid,
    Host,
    Net,
    Port,
    PortRange,
    Proto,
    ProtoChain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arith {
    Number(u32),
    Length,
    Load {
        proto: Proto,
        index: Box<Arith>,
        size: u32,
        at: Range<usize>,
    },
    Binary {
        operator: Operator,
        left: Box<Arith>,
        right: Box<Arith>,
        at: Range<usize>,
    },
    Negate(Box<Arith>),
}

/// Which 802.2 frames `llc` selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LlcFrame {
    Any,
    Information,
    /// The control byte under a mask.
    Control {
        value: u8,
        mask: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proto {
    Link,
    Ip,
    Arp,
    Rarp,
    Sctp,
    Tcp,
    Udp,
    Icmp,
    Igmp,
    Igrp,
    Atalk,
    Decnet,
    Lat,
    Sca,
    Moprc,
    Mopdl,
    Ip6,
    Icmp6,
    Ah,
    Esp,
    Pim,
    Vrrp,
    Carp,
    Aarp,
    Iso,
    Esis,
    Isis,
    IsisLevel1,
    IsisLevel2,
    IsisIih,
    IsisLsp,
    IsisSnp,
    IsisCsnp,
    IsisPsnp,
    Clnp,
    Stp,
    Ipx,
    Netbeui,
}

impl Proto {
    /// The word of the language.
    pub(super) fn name(self) -> &'static str {
        match self {
            Proto::Link => "ether",
            Proto::Ip => "ip",
            Proto::Arp => "arp",
            Proto::Rarp => "rarp",
            Proto::Sctp => "sctp",
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::Icmp => "icmp",
            Proto::Igmp => "igmp",
            Proto::Igrp => "igrp",
            Proto::Atalk => "atalk",
            Proto::Decnet => "decnet",
            Proto::Lat => "lat",
            Proto::Sca => "sca",
            Proto::Moprc => "moprc",
            Proto::Mopdl => "mopdl",
            Proto::Ip6 => "ip6",
            Proto::Icmp6 => "icmp6",
            Proto::Ah => "ah",
            Proto::Esp => "esp",
            Proto::Pim => "pim",
            Proto::Vrrp => "vrrp",
            Proto::Carp => "carp",
            Proto::Aarp => "aarp",
            Proto::Iso => "iso",
            Proto::Esis => "esis",
            Proto::Isis => "isis",
            Proto::IsisLevel1 => "l1",
            Proto::IsisLevel2 => "l2",
            Proto::IsisIih => "iih",
            Proto::IsisLsp => "lsp",
            Proto::IsisSnp => "snp",
            Proto::IsisCsnp => "csnp",
            Proto::IsisPsnp => "psnp",
            Proto::Clnp => "clnp",
            Proto::Stp => "stp",
            Proto::Ipx => "ipx",
            Proto::Netbeui => "netbeui",
        }
    }
}
