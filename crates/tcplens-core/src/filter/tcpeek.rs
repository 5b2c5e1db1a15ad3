//! tcpeek's handshake filters, `[name]:(RX|TX)@addr:port{:port}{,addr:port...}`: which attempts count
//! where. Not packet filters: they see attempts, not bytes. Reference: tcpeek's own syntax, with masked
//! prefixes, IPv6 in brackets and port ranges added. User's view: docs/filter.md.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Range, RangeInclusive};

use crate::filter::FilterError;
use crate::record::Direction;

/// Longest name in bytes: tcpeek's own limit.
const NAME: usize = 127;
/// Most addresses in one filter; chosen: far above any written by hand.
const RULES: usize = 1024;
/// Most ports of one address; chosen likewise.
const PORTS: usize = 1024;

/// Which end the observed host has to be for an attempt to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Attempts that arrive here; the address is the client's.
    Rx,
    /// Attempts made from here; the address is the server's.
    Tx,
}

/// One filter expression. A filter without a name excludes what it matches from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeFilter {
    name: String,
    side: Side,
    rules: Vec<Rule>,
}

/// Remote addresses with their ports; an empty list of ports is any port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    network: Network,
    ports: Vec<RangeInclusive<u16>>,
}

/// Addresses under a mask. The address has no bits outside the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Any,
    V4 { address: u32, mask: u32 },
    V6 { address: u128, mask: u128 },
}

impl HandshakeFilter {
    /// Parses one expression, such as `web:RX@%:80:443` or `:TX@10.0.0.0/8:22,[fe80::]/10:%`.
    ///
    /// # Errors
    /// The part that does not fit, and what would.
    pub fn parse(text: &str) -> Result<HandshakeFilter, FilterError> {
        Parser { text }.filter()
    }

    /// tcpeek's two filters that are always there and come first.
    #[must_use]
    pub fn built_in() -> [HandshakeFilter; 2] {
        [Side::Rx, Side::Tx].map(|side| HandshakeFilter {
            name: match side {
                Side::Rx => "RX".to_owned(),
                Side::Tx => "TX".to_owned(),
            },
            side,
            rules: vec![Rule {
                network: Network::Any,
                ports: Vec::new(),
            }],
        })
    }

    /// Its name; empty for an exclusion.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which attempts it looks at.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// Whether it drops what it matches instead of counting it.
    #[must_use]
    pub fn is_exclusion(&self) -> bool {
        self.name.is_empty()
    }

    /// Whether an attempt matches; once, however many of its rules do. Without a direction, because
    /// no local addresses are known, RX and TX cannot be told apart: only address and port count.
    #[must_use]
    pub fn matches(
        &self,
        direction: Option<Direction>,
        client: IpAddr,
        server: IpAddr,
        server_port: u16,
    ) -> bool {
        let (is_mine, remote) = match self.side {
            Side::Rx => (
                matches!(
                    direction,
                    None | Some(Direction::Inbound | Direction::Local)
                ),
                client,
            ),
            Side::Tx => (
                matches!(
                    direction,
                    None | Some(Direction::Outbound | Direction::Local)
                ),
                server,
            ),
        };
        is_mine
            && self
                .rules
                .iter()
                .any(|rule| rule.matches(remote, server_port))
    }
}

impl Rule {
    fn matches(&self, remote: IpAddr, port: u16) -> bool {
        self.network.contains(remote)
            && (self.ports.is_empty() || self.ports.iter().any(|ports| ports.contains(&port)))
    }
}

impl Network {
    fn contains(self, remote: IpAddr) -> bool {
        match (self, remote.to_canonical()) {
            (Network::Any, _) => true,
            (Network::V4 { address, mask }, IpAddr::V4(remote)) => {
                remote.to_bits() & mask == address
            }
            (Network::V6 { address, mask }, IpAddr::V6(remote)) => {
                remote.to_bits() & mask == address
            }
            (Network::V4 { .. }, IpAddr::V6(_)) | (Network::V6 { .. }, IpAddr::V4(_)) => false,
        }
    }
}

/// All filters of a run: the built-in ones, then the named ones in the order given. Names may repeat;
/// each filter has counters of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSet {
    counted: Vec<HandshakeFilter>,
    exclusions: Vec<HandshakeFilter>,
}

impl FilterSet {
    /// Sorts the filters of a run into those that count and those that exclude.
    #[must_use]
    pub fn new(filters: impl IntoIterator<Item = HandshakeFilter>) -> FilterSet {
        let mut counted = Vec::from(HandshakeFilter::built_in());
        let mut exclusions = Vec::new();
        for filter in filters {
            if filter.is_exclusion() {
                exclusions.push(filter);
            } else {
                counted.push(filter);
            }
        }
        FilterSet {
            counted,
            exclusions,
        }
    }

    /// The filters that count, `RX` and `TX` first; an index into this stays valid.
    #[must_use]
    pub fn counted(&self) -> &[HandshakeFilter] {
        &self.counted
    }

    /// Indices into [`FilterSet::counted`] of the filters an attempt counts in. Exclusions come
    /// before all filters, whatever the order they were given in. Allocates nothing.
    pub fn matching(
        &self,
        direction: Option<Direction>,
        client: IpAddr,
        server: IpAddr,
        server_port: u16,
    ) -> impl Iterator<Item = usize> {
        let matches = move |f: &HandshakeFilter| f.matches(direction, client, server, server_port);
        let counted = if self.exclusions.iter().any(matches) {
            &[][..]
        } else {
            &self.counted[..]
        };
        counted
            .iter()
            .enumerate()
            .filter(move |(_, f)| matches(f))
            .map(|(index, _)| index)
    }
}

struct Parser<'a> {
    text: &'a str,
}

impl Parser<'_> {
    fn filter(&self) -> Result<HandshakeFilter, FilterError> {
        let text = self.text;
        let Some((name, _)) = text.split_once(':') else {
            return Err(self.error(
                0..text.len(),
                "no `:` after the name; write NAME:RX@ADDR:PORT",
            ));
        };
        if let Some((side @ ("RX" | "TX"), _)) = name.split_once('@') {
            return Err(self.error(
                0..side.len(),
                format!(
                    "no name; write web:{text} for a summary called web, or :{text} to leave these attempts out"
                ),
            ));
        }
        if name.len() > NAME {
            return Err(self.error(0..name.len(), format!("a name has at most {NAME} bytes")));
        }
        if let Some(at) = name.find(|c: char| c.is_control()) {
            return Err(self.error(at..at + 1, "a name has no control characters"));
        }
        let at = name.len() + 1;
        let rest = text.get(at..).unwrap_or_default();
        let Some((side, _)) = rest.split_once('@') else {
            return Err(self.error(at..text.len(), "no `@`; write RX@ADDR:PORT or TX@ADDR:PORT"));
        };
        let side = match side {
            "RX" => Side::Rx,
            "TX" => Side::Tx,
            _ => {
                return Err(self.error(
                    at..at + side.len(),
                    "the direction is RX (attempts that arrive) or TX (attempts from here)",
                ));
            }
        };
        let mut at = at + 3;
        let mut rules = Vec::new();
        for rule in text.get(at..).unwrap_or_default().split(',') {
            if rules.len() == RULES {
                return Err(self.error(at..text.len(), format!("more than {RULES} addresses")));
            }
            rules.push(self.rule(at..at + rule.len())?);
            at += rule.len() + 1;
        }
        Ok(HandshakeFilter {
            name: name.to_owned(),
            side,
            rules,
        })
    }

    /// `addr:port{:port}`; an IPv6 address stands in brackets, its prefix length behind them.
    fn rule(&self, at: Range<usize>) -> Result<Rule, FilterError> {
        let text = self.part(&at);
        let address_length = match text.strip_prefix('[') {
            None => text.find(':'),
            Some(_) => match text.find(']') {
                None => return Err(self.error(at, "no `]` after the IPv6 address")),
                Some(bracket) => text
                    .get(bracket..)
                    .and_then(|behind| behind.find(':'))
                    .map(|colon| bracket + colon),
            },
        };
        let Some(length) = address_length else {
            let is_port = text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('.');
            if is_port && at.start > 0 && self.text.as_bytes()[at.start - 1] == b',' {
                return Err(self.error(
                    at,
                    format!("no address before the port; behind a comma comes another address, further ports behind a colon (:{text})"),
                ));
            }
            return Err(self.error(at, "no port; write ADDR:PORT, or ADDR:% for any port"));
        };
        let network = self.network(at.start..at.start + length)?;
        let mut ports = Vec::new();
        let mut any = false;
        let mut start = at.start + length + 1;
        for (count, port) in self.part(&(start..at.end)).split(':').enumerate() {
            let here = start..start + port.len();
            if count == PORTS {
                return Err(self.error(here, format!("more than {PORTS} ports of one address")));
            }
            match port {
                "%" | "*" => any = true,
                _ => ports.push(self.ports(here)?),
            }
            start += port.len() + 1;
        }
        if any {
            ports.clear();
        }
        Ok(Rule { network, ports })
    }

    fn network(&self, at: Range<usize>) -> Result<Network, FilterError> {
        let text = self.part(&at);
        if matches!(text, "%" | "*") {
            return Ok(Network::Any);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let prefix = |most: u32| match bits.map(str::parse::<u32>) {
            None => Ok(most),
            Some(Ok(bits)) if bits <= most => Ok(bits),
            Some(_) => {
                let slash = at.start + address.len() + 1;
                Err(self.error(
                    slash..at.end,
                    format!("a prefix length here is 0 to {most}"),
                ))
            }
        };
        let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
        if let Some(address) = bare.and_then(|a| a.parse::<Ipv6Addr>().ok()) {
            let mask = u128::MAX.checked_shl(128 - prefix(128)?).unwrap_or(0);
            return Ok(Network::V6 {
                address: address.to_bits() & mask,
                mask,
            });
        }
        if let Ok(address) = address.parse::<Ipv4Addr>() {
            let mask = u32::MAX.checked_shl(32 - prefix(32)?).unwrap_or(0);
            return Ok(Network::V4 {
                address: address.to_bits() & mask,
                mask,
            });
        }
        let message = if text.is_empty() {
            "no address; write %, 10.0.0.1, 10.0.0.0/8 or [fe80::]/10"
        } else {
            "no address; write %, 10.0.0.1, 10.0.0.0/8 or an IPv6 address in brackets, [fe80::]/10"
        };
        Err(self.error(at, message))
    }

    fn ports(&self, at: Range<usize>) -> Result<RangeInclusive<u16>, FilterError> {
        let text = self.part(&at);
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let number = |digits: &str| {
            digits
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| digits.parse::<u16>().ok())
                .flatten()
        };
        match (number(low), number(high)) {
            (Some(low), Some(high)) if low <= high => Ok(low..=high),
            (Some(_), Some(_)) => Err(self.error(at, "the range ends before it begins")),
            _ => Err(self.error(at, "a port is %, 0 to 65535, or a range such as 8000-8999")),
        }
    }

    fn part(&self, at: &Range<usize>) -> &str {
        self.text.get(at.clone()).unwrap_or_default()
    }

    fn error(&self, at: Range<usize>, message: impl Into<String>) -> FilterError {
        FilterError::new(self.text, at, message)
    }
}

#[cfg(test)]
mod tests;
