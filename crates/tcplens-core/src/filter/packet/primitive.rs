//! The primitives of the grammar: `[proto] [dir] [type] value`, and the words that stand alone.
//! Lists, parentheses and arithmetic are in `parser.rs`.

use super::ast::{Dir, Expr, Kind, LlcFrame, Primitive, Proto, Qualifiers};
use super::lexer::Token;
use super::names::Keyword;
use super::parser::{Carried, Parsed, Parser};
use crate::filter::FilterError;

impl Parser<'_> {
    /// One primitive that is not arithmetic; also what it leaves for the values after it.
    pub(super) fn primitive(&mut self) -> Parsed<(Expr, Carried)> {
        let start = self.mark();
        let proto = match self.peek() {
            Some(Token::Keyword(Keyword::Proto(proto))) => {
                let proto = *proto;
                self.bump();
                Some(proto)
            }
            _ => None,
        };
        if let Some(qualifiers) = self.qualifiers(proto)? {
            return self.id(Some(qualifiers));
        }
        let primitive = match self.peek() {
            Some(Token::Keyword(Keyword::Broadcast)) => {
                self.bump();
                Primitive::Broadcast(proto)
            }
            Some(Token::Keyword(Keyword::Multicast)) => {
                self.bump();
                Primitive::Multicast(proto)
            }
            Some(Token::Keyword(Keyword::Foreign(_) | Keyword::Gateway)) => {
                return Err(self.unexpected("a primitive"));
            }
            _ => match proto {
                Some(proto) => Primitive::Protocol(proto),
                None => self.alone()?,
            },
        };
        Ok((Expr::Leaf(primitive, self.since(start)), None))
    }

    /// Direction and type, if any is there; a value must follow them.
    fn qualifiers(&mut self, proto: Option<Proto>) -> Parsed<Option<Qualifiers>> {
        let dir = match self.peek() {
            Some(Token::Keyword(Keyword::Src)) => Some((Dir::Src, Keyword::Dst)),
            Some(Token::Keyword(Keyword::Dst)) => Some((Dir::Dst, Keyword::Src)),
            _ => None,
        };
        let dir = match dir {
            Some((dir, other)) => {
                self.bump();
                let joined = match self.peek() {
                    Some(Token::Keyword(Keyword::Or)) => Some(Dir::Any),
                    Some(Token::Keyword(Keyword::And)) => Some(Dir::Both),
                    _ => None,
                };
                if joined.is_some() {
                    self.bump();
                    if !self.take(&Token::Keyword(other)) {
                        return Err(self.unexpected("`src or dst` or `src and dst`"));
                    }
                }
                Some(joined.unwrap_or(dir))
            }
            None => None,
        };
        let kind = match self.peek() {
            Some(Token::Keyword(Keyword::Host)) => Some(Kind::Host),
            Some(Token::Keyword(Keyword::Net)) => Some(Kind::Net),
            Some(Token::Keyword(Keyword::Port)) => Some(Kind::Port),
            Some(Token::Keyword(Keyword::PortRange)) => Some(Kind::PortRange),
            Some(Token::Keyword(Keyword::ProtoWord)) if dir.is_none() => Some(Kind::Proto),
            Some(Token::Keyword(Keyword::ProtoChain)) if dir.is_none() => Some(Kind::ProtoChain),
            _ => None,
        };
        if kind.is_some() {
            self.bump();
        }
        if dir.is_none() && kind.is_none() {
            return Ok(None);
        }
        Ok(Some(Qualifiers {
            proto,
            dir: dir.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
        }))
    }

    /// Words that take no qualifiers.
    fn alone(&mut self) -> Parsed<Primitive> {
        let start = self.mark();
        let keyword = match self.peek() {
            Some(Token::Keyword(keyword)) => *keyword,
            Some(Token::Dotted(_) | Token::V6(_)) => {
                return Err(self.unexpected("a primitive; write `host` or `net` before an address"));
            }
            _ => {
                return Err(
                    self.unexpected("a primitive, such as `tcp`, `port 80`, `host 10.0.0.1`")
                );
            }
        };
        self.bump();
        match keyword {
            Keyword::Less => Ok(Primitive::LengthAtMost(self.number("a length")?)),
            Keyword::Greater => Ok(Primitive::LengthAtLeast(self.number("a length")?)),
            Keyword::Inbound => Ok(Primitive::Inbound),
            Keyword::Outbound => Ok(Primitive::Outbound),
            Keyword::IfIndex => Ok(Primitive::InterfaceIndex(
                self.number("an interface index")?,
            )),
            Keyword::Vlan => Ok(Primitive::Vlan(self.optional_number()?)),
            Keyword::Mpls => Ok(Primitive::Mpls(self.optional_number()?)),
            Keyword::Pppoed => Ok(Primitive::PppoeDiscovery),
            Keyword::Pppoes => Ok(Primitive::PppoeSession(self.optional_number()?)),
            Keyword::Geneve => Ok(Primitive::Geneve(self.optional_number()?)),
            Keyword::Llc => self.llc_frame().map(Primitive::Llc),
            Keyword::Byte => self.byte(start),
            Keyword::Proto(_)
            | Keyword::Dst
            | Keyword::Src
            | Keyword::Host
            | Keyword::Net
            | Keyword::Mask
            | Keyword::Port
            | Keyword::PortRange
            | Keyword::ProtoWord
            | Keyword::ProtoChain
            | Keyword::Gateway
            | Keyword::Broadcast
            | Keyword::Multicast
            | Keyword::And
            | Keyword::Or
            | Keyword::Not
            | Keyword::Len
            | Keyword::Rnr
            | Keyword::Foreign(_) => {
                self.unread();
                Err(self.unexpected("a primitive, such as `tcp`, `port 80`, `host 10.0.0.1`"))
            }
        }
    }

    /// A number, if one follows, also in parentheses.
    fn optional_number(&mut self) -> Parsed<Option<u32>> {
        match self.peek() {
            Some(Token::Number(_)) => self.number("a number").map(Some),
            Some(Token::Symbol('(')) => {
                self.enter()?;
                self.bump();
                let inner = self.optional_number()?;
                if inner.is_none() {
                    return Err(self.unexpected("a number"));
                }
                if !self.take_symbol(')') {
                    return Err(self.unexpected("`)`"));
                }
                self.leave();
                Ok(inner)
            }
            _ => Ok(None),
        }
    }

    /// `byte 3 > 5`. Its `&` and `|` are refused: libpcap compiles them without reading the packet.
    fn byte(&mut self, start: usize) -> Parsed<Primitive> {
        let index = self.number("an offset")?;
        if matches!(self.peek(), Some(Token::Symbol('&' | '|'))) {
            self.bump();
            return Err(FilterError::new(
                self.text,
                self.since(start),
                "unsupported: `byte` with `&` or `|`; write `link[OFFSET] & VALUE != 0`",
            ));
        }
        let (compare, negated) = match self.peek() {
            Some(Token::Symbol('=' | '<' | '>')) => match self.relation_operator() {
                Some(comparison) => comparison,
                None => return Err(self.unexpected("`=`, `<` or `>`")),
            },
            _ => return Err(self.unexpected("`=`, `<` or `>`")),
        };
        self.bump();
        Ok(Primitive::Byte {
            compare,
            negated,
            index,
            value: self.number("a value")?,
        })
    }

    fn llc_frame(&mut self) -> Parsed<LlcFrame> {
        let name = match self.peek() {
            Some(Token::Name(name)) => name.to_ascii_lowercase(),
            Some(Token::Keyword(Keyword::Rnr)) => "rnr".to_owned(),
            _ => return Ok(LlcFrame::Any),
        };
        // IEEE 802.2: the low bits tell the format, the poll bit (0x10) is not compared.
        let supervisory = |value| LlcFrame::Control { value, mask: 0x0f };
        let unnumbered = |value| LlcFrame::Control { value, mask: 0xef };
        let frame = match name.as_str() {
            "i" => LlcFrame::Information,
            "s" => LlcFrame::Control { value: 1, mask: 3 },
            "u" => LlcFrame::Control { value: 3, mask: 3 },
            "rr" => supervisory(0x01),
            "rnr" => supervisory(0x05),
            "rej" => supervisory(0x09),
            "ui" => unnumbered(0x03),
            "ua" => unnumbered(0x63),
            "disc" => unnumbered(0x43),
            "dm" => unnumbered(0x0f),
            "sabme" => unnumbered(0x6f),
            "test" => unnumbered(0xe3),
            "xid" => unnumbered(0xaf),
            "frmr" => unnumbered(0x87),
            _ => {
                return Err(self.unexpected(
                    "an 802.2 frame: i, s, u, rr, rnr, rej, ui, ua, disc, dm, sabme, test, xid, frmr",
                ));
            }
        };
        self.bump();
        Ok(frame)
    }
}
