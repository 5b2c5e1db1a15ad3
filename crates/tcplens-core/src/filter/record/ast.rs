//! The parsed form, and how it is written: what is printed is read as the same again.

use std::fmt;
use std::net::IpAddr;

use super::lexer::is_of_word;
use super::schema::Named;
use super::tcp_state;
use super::value::{Literal, Net};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Test(Test),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Has(Named),
    /// A flag's value.
    Flag(Named),
    Compare(Named, Compare, Literal),
    /// Values and ranges.
    In(Named, Vec<(Literal, Option<Literal>)>),
    Contains(Named, String),
    /// A set of states: bits by the kernel's numbers.
    State(Named, u16),
    /// ss: `sport` and `dport`.
    Port(Side, Compare, u16),
    /// ss: `src` and `dst`.
    Address {
        side: Side,
        is_equal: bool,
        net: Option<Net>,
        port: Option<u16>,
    },
    /// ss: `dev`, where interfaces are numbers.
    Device(Named, bool, u64),
    /// ss: `dev`, where they are names.
    DeviceName(Named, bool, String),
    /// ss: `fwmark`.
    Mark {
        field: Named,
        is_equal: bool,
        value: u64,
        mask: u64,
    },
    /// ss: `cgroup PATH`.
    Cgroup(Named, String),
    /// What packet filters ask of two ends.
    Ends(Direction, What),
    Family(Family),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Local,
    Remote,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Src,
    Dst,
    Either,
    Both,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Net(Net),
    Ports(u16, u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Ip,
    Ip6,
    Tcp,
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, all: &[Expr], word: &str, is_and: bool| {
            for (n, one) in all.iter().enumerate() {
                if n > 0 {
                    write!(f, " {word} ")?;
                }
                match one {
                    // Only what stood in parentheses: the printed form nests no deeper than the text did.
                    Expr::And(_) if !is_and => write!(f, "{one}")?,
                    Expr::And(_) | Expr::Or(_) => write!(f, "({one})")?,
                    Expr::Not(_) | Expr::Test(_) => write!(f, "{one}")?,
                }
            }
            Ok(())
        };
        match self {
            Expr::And(all) => joined(f, all, "and", true),
            Expr::Or(all) => joined(f, all, "or", false),
            Expr::Not(inner) => match &**inner {
                Expr::And(_) | Expr::Or(_) => write!(f, "not ({inner})"),
                Expr::Not(_) | Expr::Test(_) => write!(f, "not {inner}"),
            },
            Expr::Test(test) => write!(f, "{test}"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equal = |is_equal: &bool| if *is_equal { "=" } else { "!=" };
        match self {
            Test::Has(field) => write!(f, "has({field})"),
            Test::Flag(field) => write!(f, "{field}"),
            Test::Compare(field, compare, value) => write!(f, "{field} {compare} {value}"),
            Test::In(field, all) => {
                write!(f, "{field} in (")?;
                for (n, (low, high)) in all.iter().enumerate() {
                    write!(f, "{}{low}", if n > 0 { ", " } else { "" })?;
                    if let Some(high) = high {
                        write!(f, "..{high}")?;
                    }
                }
                f.write_str(")")
            }
            Test::Contains(field, text) => write!(f, "{field} contains {}", Quoted(text)),
            Test::State(_, mask) => tcp_state::write(f, *mask),
            Test::Port(side, compare, port) => {
                let compare = match compare {
                    Compare::Equal => "=".to_owned(),
                    other => other.to_string(),
                };
                write!(f, "{} {compare} :{port}", side.words().1)
            }
            Test::Address {
                side,
                is_equal,
                net,
                port,
            } => {
                write!(f, "{} {} ", side.words().0, equal(is_equal))?;
                match net {
                    None => f.write_str("*")?,
                    Some(Net {
                        address: IpAddr::V6(address),
                        prefix,
                    }) => write!(f, "[{address}]/{prefix}")?,
                    Some(net) => write!(f, "{net}")?,
                }
                match port {
                    None => Ok(()),
                    Some(port) => write!(f, ":{port}"),
                }
            }
            Test::Device(_, is_equal, number) => write!(f, "dev {} {number}", equal(is_equal)),
            Test::DeviceName(_, is_equal, name) => {
                write!(f, "dev {} {}", equal(is_equal), Quoted(name))
            }
            Test::Mark {
                is_equal,
                value,
                mask,
                ..
            } => write!(f, "fwmark {} {value:#x}/{mask:#x}", equal(is_equal)),
            Test::Cgroup(_, path) => write!(f, "cgroup {}", Quoted(path)),
            Test::Ends(direction, what) => {
                f.write_str(match direction {
                    Direction::Src => "src ",
                    Direction::Dst => "dst ",
                    Direction::Either => "",
                    Direction::Both => "src and dst ",
                })?;
                match what {
                    What::Net(net) => write!(f, "net {net}"),
                    What::Ports(low, high) => write!(f, "portrange {low}-{high}"),
                }
            }
            Test::Family(Family::Ip) => f.write_str("ip"),
            Test::Family(Family::Ip6) => f.write_str("ip6"),
            Test::Family(Family::Tcp) => f.write_str("tcp"),
        }
    }
}

impl Side {
    /// ss's words for its address and its port.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Side::Local => ("src", "sport"),
            Side::Remote => ("dst", "dport"),
        }
    }
}

impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compare::Equal => "==",
            Compare::Unequal => "!=",
            Compare::Less => "<",
            Compare::AtMost => "<=",
            Compare::Greater => ">",
            Compare::AtLeast => ">=",
        })
    }
}

/// Text as the lexer reads it: bare where it is a plain word.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RESERVED: &[&str] = &["", "and", "or", "not"];
        let is_plain = self.0.chars().all(|c| is_of_word(c) && c.is_ascii());
        if is_plain && !RESERVED.contains(&self.0) {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for letter in self.0.chars() {
            if letter == '"' || letter == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{letter}")?;
        }
        f.write_str("\"")
    }
}
