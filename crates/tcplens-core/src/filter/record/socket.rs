//! ss's words (ss(8), FILTER): `state`, `exclude`, `sport`, `dport`, `src`, `dst`, `dev`, `fwmark`, `cgroup`. `src` is the
//! local end, `dst` the remote one.

use super::ast::{Compare, Expr, Family, Side, Test};
use super::lexer::Token;
use super::parser::{Parsed, Parser, is_operator};
use super::schema::Named;
use super::value::{self, Literal, Net};
use super::{tcp_state, value::masked};
use crate::filter::packet;

/// Where the second hierarchy of control groups is mounted: ss takes paths with it, records have them without.
const MOUNTS: &[&str] = &["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// ss's words before an address or a port, and the family of sockets that they ask for. (There, all of the expression is about
/// this family; here it is what stands behind.)
const FAMILIES: &[(&str, &str, Family)] = &[
    ("inet:", "ipv4", Family::Ip),
    ("inet6:", "ipv6", Family::Ip6),
];
/// ss's words for sockets that are none of TCP's.
const OTHERS: &[&str] = &["unix:", "link:", "netlink:", "vsock:", "tipc:", "xdp:"];

impl Parser<'_> {
    /// A test that begins with a word of ss; `None`: it does not.
    pub(super) fn of_socket(&mut self, word: &str) -> Parsed<Option<Expr>> {
        let test = match word {
            "sport" => return self.port_of(Side::Local).map(Some),
            "dport" => return self.port_of(Side::Remote).map(Some),
            "src" => return self.address_of(Side::Local).map(Some),
            "dst" => return self.address_of(Side::Remote).map(Some),
            "state" | "exclude" => self.states()?,
            "dev" => self.device()?,
            "fwmark" => self.mark()?,
            "cgroup" if self.is_path_next() => {
                let field = self.of_sockets("cgroup", &["cgroup"])?;
                self.bump();
                self.path(field)?
            }
            "autobound" => {
                return Err(self.wrong(
                    "`autobound` is not supported: the kernel does not tell it; compare local_port with \
                     net.ipv4.ip_local_port_range, such as `local_port in 32768-60999`",
                ));
            }
            _ => return Ok(None),
        };
        Ok(Some(Expr::Test(test)))
    }

    /// Takes `inet:` or `inet6:` from a word: what is behind it, and what it asks for.
    fn of_family<'w>(&self, word: &'w str) -> Parsed<(&'w str, Option<Expr>)> {
        if let Some(other) = OTHERS.iter().find(|other| word.starts_with(**other)) {
            return Err(self.wrong(&format!(
                "`{other}` names sockets that are not TCP's, and there are none here; write inet: or inet6:, or leave it out"
            )));
        }
        let found = FAMILIES
            .iter()
            .find_map(|(prefix, name, family)| Some((word.strip_prefix(prefix)?, *name, *family)));
        let Some((rest, name, family)) = found else {
            return Ok((word, None));
        };
        // Where the socket's own family is not known, its addresses'.
        let test = match self.schema.exactly("family") {
            Some(field) => Test::Compare(field, Compare::Equal, Literal::Text(name.to_owned())),
            None => Test::Family(family),
        };
        Ok((rest, Some(Expr::Test(test))))
    }

    fn is_path_next(&self) -> bool {
        match self.peek_at(1) {
            Some(Token::Word(next)) => !is_operator(next),
            Some(Token::Quoted(_)) => true,
            _ => false,
        }
    }

    /// As ss reads them, a row of `state` adds up, and `exclude` takes away.
    fn states(&mut self) -> Parsed<Test> {
        let Some(field) = self.schema.tcp_state() else {
            let kind = self.schema.kind;
            return Err(self.wrong(&format!("the record `{kind}` has no state of a socket")));
        };
        let mut mask = None;
        while let Some(Token::Word(word @ ("state" | "exclude"))) = self.peek() {
            let is_added = *word == "state";
            if is_added && !matches!(self.peek_at(1), Some(Token::Word(next)) if !is_operator(next))
            {
                break;
            }
            self.bump();
            let bits = match self.peek() {
                Some(Token::Word(name)) => tcp_state::of_group(name),
                _ => None,
            };
            let Some(bits) = bits else {
                return Err(self.unexpected(&format!(
                    "{}, or all, connected, synchronized, bucket, big",
                    tcp_state::NAMES
                )));
            };
            self.bump();
            mask = Some(match (mask, is_added) {
                (None, true) => bits,
                (None, false) => !bits,
                (Some(mask), true) => mask | bits,
                (Some(mask), false) => mask & !bits,
            });
        }
        match mask {
            Some(mask) => Ok(Test::State(field, mask)),
            // `state` alone.
            None => {
                self.bump();
                Ok(Test::Has(field))
            }
        }
    }

    fn port_of(&mut self, side: Side) -> Parsed<Expr> {
        self.socket_ends()?;
        self.bump();
        let compare = self.compare();
        if compare.is_some() {
            self.bump();
        }
        let word = match self.peek() {
            Some(Token::Word(word)) => *word,
            _ => "",
        };
        let (word, family) = self.of_family(word)?;
        let word = word.strip_prefix('*').unwrap_or(word);
        let word = word.strip_prefix(':').unwrap_or(word);
        let Some(port) = port(word) else {
            return Err(self.unexpected("a port: :443, :https"));
        };
        self.bump();
        let test = Test::Port(side, compare.unwrap_or(Compare::Equal), port);
        Ok(with(family, test))
    }

    fn address_of(&mut self, side: Side) -> Parsed<Expr> {
        self.socket_ends()?;
        self.bump();
        let is_equal = self.equality()?;
        let Some(Token::Word(word)) = self.peek() else {
            return Err(self
                .unexpected("an address: 10.0.0.1, 10.0.0.0/8, 10.0.0.1:443, [fd00::]/8, *:443"));
        };
        let (word, family) = self.of_family(word)?;
        let (net, port) = host(word).map_err(|message| self.wrong(&message))?;
        self.bump();
        let test = Test::Address {
            side,
            is_equal,
            net,
            port,
        };
        Ok(with(family, test))
    }

    /// A number is looked for in the field that has numbers; a name there too, where its number is known, else among names.
    fn device(&mut self) -> Parsed<Test> {
        const FIELDS: &[&str] = &["ifindex", "interface_index", "interface"];
        self.of_sockets("dev", FIELDS)?;
        self.bump();
        let is_equal = self.equality()?;
        let name = match self.peek() {
            Some(Token::Word(word)) => (*word).to_owned(),
            Some(Token::Quoted(text)) => text.clone(),
            _ => return Err(self.unexpected("an interface, by number or name")),
        };
        let fields = || FIELDS.iter().filter_map(|name| self.schema.exactly(name));
        let numbers = fields().find(|named| named.field.kind == "count");
        let names = fields().find(|named| named.field.kind != "count");
        let number = name.parse().ok().or_else(|| (self.interfaces)(&name));
        let test = match (numbers, number, names) {
            (Some(field), Some(number), _) => Test::Device(field, is_equal, number),
            (_, _, Some(field)) => Test::DeviceName(field, is_equal, name),
            _ => {
                return Err(self.wrong(&format!(
                    "no interface `{name}` is known here; write its number (`ip link` shows it)"
                )));
            }
        };
        self.bump();
        Ok(test)
    }

    fn mark(&mut self) -> Parsed<Test> {
        let field = self.of_sockets("fwmark", &["mark", "fwmark"])?;
        self.bump();
        let is_equal = self.equality()?;
        let read = match self.peek() {
            Some(Token::Word(word)) => {
                let (mark, mask) = word.split_once('/').unwrap_or((word, "0xffffffff"));
                let number = |word| value::count(word, "mark").ok();
                number(mark).zip(number(mask))
            }
            _ => None,
        };
        let Some((value, mask)) = read else {
            return Err(self.unexpected("a mark: 0x1, or 0x1/0xff with a mask"));
        };
        self.bump();
        Ok(Test::Mark {
            field,
            is_equal,
            value,
            mask,
        })
    }

    fn path(&mut self, field: Named) -> Parsed<Test> {
        let path = match self.peek() {
            Some(Token::Word(word)) => *word,
            Some(Token::Quoted(text)) => text,
            _ => return Err(self.unexpected("the path of a control group")),
        };
        let inside = MOUNTS.iter().find_map(|mount| {
            let rest = path.strip_prefix(mount)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        });
        let path = match inside {
            Some("") => "/".to_owned(),
            Some(path) => path.to_owned(),
            None => path.to_owned(),
        };
        self.bump();
        Ok(Test::Cgroup(field, path))
    }

    /// `=`, `!=` or nothing.
    fn equality(&mut self) -> Parsed<bool> {
        let is_equal = match self.compare() {
            None => return Ok(true),
            Some(Compare::Equal) => true,
            Some(Compare::Unequal) => false,
            Some(_) => return Err(self.unexpected("`=` or `!=`")),
        };
        self.bump();
        Ok(is_equal)
    }

    fn of_sockets(&self, word: &str, names: &[&str]) -> Parsed<Named> {
        self.schema.first_of(names).ok_or_else(|| {
            let kind = self.schema.kind;
            self.wrong(&format!(
                "the record `{kind}` has nothing that `{word}` asks for"
            ))
        })
    }

    fn socket_ends(&self) -> Parsed<()> {
        let kind = self.schema.kind;
        match self.schema.ends() {
            Some(ends) if ends.is_socket => Ok(()),
            Some(_) => Err(self.wrong(&format!(
                "the record `{kind}` has no local and remote end; write client_ip, client_port, server_ip, server_port, or \
                 `src host ...`, `dst port ...`"
            ))),
            None => Err(self.wrong(&format!("the record `{kind}` has no ends"))),
        }
    }
}

/// Both, where there are two.
fn with(family: Option<Expr>, test: Test) -> Expr {
    match family {
        Some(family) => Expr::And(vec![family, Expr::Test(test)]),
        None => Expr::Test(test),
    }
}

fn port(word: &str) -> Option<u16> {
    let is_number = word.bytes().all(|b| b.is_ascii_digit());
    match word.parse() {
        Ok(port) if is_number => Some(port),
        _ => packet::port_named(word),
    }
}

/// `ADDRESS[/PREFIX][:PORT]`, IPv6 in brackets, `*` for any. Bits outside the prefix do not count, as in ss.
fn host(word: &str) -> Result<(Option<Net>, Option<u16>), String> {
    let expected = || {
        format!(
            "expected an address (10.0.0.1, 10.0.0.0/8, 10.0.0.1:443, [fd00::]/8, *:443), not `{word}`"
        )
    };
    // An IPv6 address without brackets has no port.
    let is_bare = !word.starts_with('[') && word.matches(':').count() > 1;
    let bracket = word.find(']').map_or(0, |at| at + 1);
    let rest = word.get(bracket..).unwrap_or_default();
    let (address, named) = match rest.rfind(':').filter(|_| !is_bare) {
        Some(at) => {
            let (address, named) = word.split_at_checked(bracket + at).ok_or_else(expected)?;
            (address, named.strip_prefix(':'))
        }
        None => (word, None),
    };
    let port = match named {
        None | Some("*") => None,
        Some(name) => {
            Some(port(name).ok_or_else(|| format!("`{name}` is no port that is known here"))?)
        }
    };
    let net = match address {
        "*" => None,
        "" if named.is_some() => None,
        "" => return Err(expected()),
        // ss takes brackets around IPv4, too.
        address => match address
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((inside, prefix)) if !inside.contains(':') => {
                Some(masked(value::net(&format!("{inside}{prefix}"), true)?).0)
            }
            _ => Some(masked(value::net(address, true)?).0),
        },
    };
    Ok((net, port))
}
