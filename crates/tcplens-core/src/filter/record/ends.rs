//! What packet filters ask of the two ends of a connection (pcap-filter(7)): `[ip|ip6|tcp] [src|dst|src or dst|src and dst]
//! host|net|port|portrange VALUE`, lists of values too, and `ip`, `ip6`, `tcp` alone. The meaning is that of
//! [`TupleFilter`](crate::filter::TupleFilter): a record passes if a segment of either direction would.

use super::ast::{Direction, Expr, Family, Test, What};
use super::lexer::{Sign, Token};
use super::parser::{Parsed, Parser, one_or};
use super::value::{self, Net};
use crate::filter::packet;

#[derive(Clone, Copy)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
}

impl Parser<'_> {
    /// A test that begins with a word of packet filters; `None`: it does not.
    pub(super) fn of_ends(&mut self, word: &str) -> Parsed<Option<Expr>> {
        let family = match word {
            "ip" => Some(Family::Ip),
            "ip6" => Some(Family::Ip6),
            "tcp" => Some(Family::Tcp),
            _ => None,
        };
        let ahead = usize::from(family.is_some());
        let (direction, length) = self.direction(ahead);
        let kind = self.peek_at(ahead + length).and_then(kind);
        let is_ours = match (family, kind) {
            (None, None) => length == 3,
            _ => true,
        };
        if !is_ours {
            return Ok(None);
        }
        if self.schema.ends().is_none() {
            let kind = self.schema.kind;
            return Err(self.wrong(&format!("the record `{kind}` has no ends of a connection")));
        }
        for _ in 0..ahead + length + usize::from(kind.is_some()) {
            self.bump();
        }
        let test = |family| Expr::Test(Test::Family(family));
        if let (Some(family), 0, None) = (family, length, kind) {
            return Ok(Some(test(family)));
        }
        // A list stands for what would be in parentheses, and with a protocol before it for two pairs of them.
        self.enter()?;
        self.enter()?;
        let values = self.values(direction, kind.unwrap_or(Kind::Host), family)?;
        self.leave();
        self.leave();
        Ok(Some(match family {
            None | Some(Family::Tcp) => values,
            Some(family) => Expr::And(vec![test(family), values]),
        }))
    }

    /// The direction that stands there, and of how many words it is.
    fn direction(&self, at: usize) -> (Direction, usize) {
        let other = |word: &str| if word == "src" { "dst" } else { "src" };
        let Some(Token::Word(word @ ("src" | "dst"))) = self.peek_at(at) else {
            return (Direction::Either, 0);
        };
        let is_joined =
            matches!(self.peek_at(at + 2), Some(Token::Word(next)) if *next == other(word));
        match self.peek_at(at + 1) {
            Some(Token::Sign(Sign::Or)) if is_joined => (Direction::Either, 3),
            Some(Token::Sign(Sign::And)) if is_joined => (Direction::Both, 3),
            _ if *word == "src" => (Direction::Src, 1),
            _ => (Direction::Dst, 1),
        }
    }

    fn values(&mut self, direction: Direction, kind: Kind, family: Option<Family>) -> Parsed<Expr> {
        let mut all = vec![self.one_end(direction, kind, family)?];
        let Some(sign @ (Sign::And | Sign::Or)) = self.peek().and_then(sign) else {
            return Ok(one_or(all, Expr::Or));
        };
        while self.is(sign) && self.is_value(1) {
            self.bump();
            all.push(self.one_end(direction, kind, family)?);
        }
        let join = if sign == Sign::And {
            Expr::And
        } else {
            Expr::Or
        };
        Ok(one_or(all, join))
    }

    /// Whether a bare value stands there: a number or an address.
    fn is_value(&self, ahead: usize) -> bool {
        match self.peek_at(ahead) {
            Some(Token::Word(word)) => {
                word.starts_with(|c: char| c.is_ascii_digit()) || value::net(word, false).is_ok()
            }
            _ => false,
        }
    }

    fn one_end(
        &mut self,
        direction: Direction,
        kind: Kind,
        family: Option<Family>,
    ) -> Parsed<Expr> {
        let Some(Token::Word(word)) = self.peek() else {
            return Err(self.unexpected(kind.expected()));
        };
        let word = *word;
        let mut what = kind.read(word).map_err(|message| self.wrong(&message))?;
        if let What::Net(net) = &what {
            let is_other = matches!(
                (family, net.address.is_ipv4()),
                (Some(Family::Ip), false) | (Some(Family::Ip6), true) | (Some(Family::Tcp), _)
            );
            if is_other {
                return Err(self.wrong("this address does not go with the protocol before it"));
            }
        }
        self.bump();
        if let (Kind::Net, What::Net(net), Some(Token::Word("mask"))) = (kind, &what, self.peek()) {
            let net = *net;
            self.bump();
            what = What::Net(self.mask(word, net)?);
        }
        if let What::Net(net) = &what
            && let (net, true) = value::masked(*net)
        {
            self.next_back();
            return Err(self.wrong(&format!(
                "the address has bits outside the prefix; write {net}"
            )));
        }
        Ok(Expr::Test(Test::Ends(direction, what)))
    }

    /// `net 10.0.0.0 mask 255.0.0.0`.
    fn mask(&mut self, word: &str, net: Net) -> Parsed<Net> {
        let mask = match self.peek() {
            Some(Token::Word(mask)) => mask.parse().ok(),
            _ => None,
        };
        let mask = mask.map(|mask: std::net::Ipv4Addr| u32::from(mask));
        let prefix = mask.filter(|mask| mask.leading_ones() == mask.count_ones());
        let (Some(prefix), true) = (prefix, net.address.is_ipv4() && !word.contains('/')) else {
            return Err(self.unexpected("the mask of an IPv4 network, such as 255.255.0.0"));
        };
        self.bump();
        Ok(Net {
            address: net.address,
            // At most 32.
            prefix: prefix.leading_ones() as u8,
        })
    }
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Kind::Host => "an IP address",
            Kind::Net => "a network such as 10.0.0.0/8",
            Kind::Port => "a port",
            Kind::PortRange => "a range of ports such as 8000-8100",
        }
    }

    fn read(self, word: &str) -> Result<What, String> {
        let refusal = || format!("expected {}, not `{word}`", self.expected());
        let port = |word: &str| {
            let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
            let port: Option<u16> = word.parse().ok().filter(|_| is_number);
            port.or_else(|| packet::port_named(word))
        };
        match self {
            Kind::Host => {
                let net = value::net(word, false).ok().filter(|_| !word.contains('/'));
                net.map(What::Net).ok_or_else(|| {
                    let hint = "names are not looked up; a network takes `net`";
                    format!("{} ({hint})", refusal())
                })
            }
            Kind::Net => network(word).map(What::Net).ok_or_else(refusal),
            Kind::Port => {
                let port = port(word).ok_or_else(|| format!("no port is called `{word}` here"))?;
                Ok(What::Ports(port, port))
            }
            Kind::PortRange => {
                let (low, high) = word.split_once('-').unwrap_or((word, word));
                let (low, high) = port(low).zip(port(high)).ok_or_else(refusal)?;
                Ok(What::Ports(low.min(high), low.max(high)))
            }
        }
    }
}

/// `net 10` is 10.0.0.0/8, `net 192.168` 192.168.0.0/16.
fn network(word: &str) -> Option<Net> {
    if let Ok(net) = value::net(word, true) {
        return Some(net);
    }
    let parts = word.split('.').count();
    if parts >= 4 || word.contains('/') {
        return None;
    }
    // At most 3 parts.
    value::net(&format!("{word}/{}", 8 * parts), true).ok()
}

fn kind(token: &Token<'_>) -> Option<Kind> {
    match token {
        Token::Word("host") => Some(Kind::Host),
        Token::Word("net") => Some(Kind::Net),
        Token::Word("port") => Some(Kind::Port),
        Token::Word("portrange") => Some(Kind::PortRange),
        _ => None,
    }
}

fn sign(token: &Token<'_>) -> Option<Sign> {
    match token {
        Token::Sign(sign) => Some(*sign),
        _ => None,
    }
}
