//! Values as they are written: numbers, sizes, durations, times (RFC 3339), addresses and networks. Each is read for a field
//! of a known type, and an error says what that type expects.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ast::Quoted;
use super::instant;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Number(u64),
    /// Nanoseconds.
    Span(u64),
    /// Nanoseconds since 1970.
    Time(i64),
    /// An address alone, where it ends a range.
    Net(Net),
    Text(String),
    Flag(bool),
}

/// A network: the address has no bits outside the prefix, and is never an IPv4-mapped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// Its first address.
    pub address: IpAddr,
    /// Its length in bits.
    pub prefix: u8,
}

impl Net {
    /// One address.
    pub(super) fn host(address: IpAddr) -> Net {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Net { address, prefix }
    }

    /// Its first and last address, as numbers.
    pub(super) fn bounds(self) -> (u128, u128) {
        let (first, bits) = number(self.address);
        let free = u32::from(bits.saturating_sub(self.prefix));
        let ones = 1u128.checked_shl(free).map_or(u128::MAX, |bit| bit - 1);
        (first, first | ones)
    }

    /// Whether an address lies in it; an IPv4-mapped one is IPv4.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let (low, high) = self.bounds();
        address.is_ipv4() == self.address.is_ipv4() && (low..=high).contains(&number(address).0)
    }

    /// Whether the address that stands for none lies in it.
    pub(super) fn has_unspecified(self) -> bool {
        self.address.is_unspecified()
    }
}

/// An address as a number, and its bits.
pub(super) fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Number(number) => write!(f, "{number}"),
            Literal::Span(ns) => {
                let unit = DURATIONS.iter().find(|(_, size)| ns % size == 0);
                let (unit, size) = unit.copied().unwrap_or(("ns", 1));
                write!(f, "{}{unit}", ns / size)
            }
            Literal::Time(ns) => instant::write(f, *ns),
            Literal::Net(net) => {
                let (address, prefix) = (net.address, net.prefix);
                if *net == Net::host(address) {
                    write!(f, "{address}")
                } else {
                    write!(f, "{address}/{prefix}")
                }
            }
            Literal::Text(text) => write!(f, "{}", Quoted(text)),
            Literal::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// Largest first, for printing.
const DURATIONS: &[(&str, u64)] = &[
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("ns", 1),
];

/// Thousands without an `i`, 1024s with it.
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("k", 1_000),
    ("K", 1_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("Ki", 1 << 10),
    ("KiB", 1 << 10),
    ("M", 1_000_000),
    ("MB", 1_000_000),
    ("Mi", 1 << 20),
    ("MiB", 1 << 20),
    ("G", 1_000_000_000),
    ("GB", 1_000_000_000),
    ("Gi", 1 << 30),
    ("GiB", 1 << 30),
    ("T", 1_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("Ti", 1 << 40),
    ("TiB", 1 << 40),
];

/// Digits for decimals that are kept; more than the smallest unit of the largest has.
const DECIMALS: u32 = 18;

/// Whether a word is a unit that was written apart from its number.
pub(super) fn is_unit(word: &str) -> bool {
    let mut all = DURATIONS.iter().chain(SIZES);
    all.any(|(unit, _)| *unit == word)
}

/// A whole number, `0x` too, or a size; of a field whose name ends in a unit of time also a duration.
pub(super) fn count(word: &str, field: &str) -> Result<u64, String> {
    if let Some(hex) = word.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).map_err(|_| format!("`{word}` is no number"));
    }
    let (digits, unit) = split(word);
    if unit.is_empty() {
        return scaled(digits, 1).ok_or_else(|| {
            format!(
                "expected a whole number of at most 64 bits, or a size such as 10KiB, not `{word}`"
            )
        });
    }
    if let Some((_, size)) = SIZES.iter().find(|(name, _)| *name == unit) {
        return scaled(digits, *size)
            .ok_or_else(|| format!("`{word}` is no whole number of at most 64 bits"));
    }
    let of_field = DURATIONS.iter().find(|(name, _)| {
        field
            .strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('_'))
    });
    if let (Some((name, size)), Some((_, scale))) =
        (of_field, DURATIONS.iter().find(|(name, _)| *name == unit))
    {
        return scaled(digits, *scale)
            .filter(|ns| ns % size == 0)
            .map(|ns| ns / size)
            .ok_or_else(|| format!("`{field}` has whole {name}; `{word}` is none"));
    }
    Err(format!(
        "`{unit}` is no unit of a number; expected a number, or a size with k, M, G, KiB, MiB, GiB"
    ))
}

/// A duration in nanoseconds.
pub(super) fn span(word: &str) -> Result<u64, String> {
    let (digits, unit) = split(word);
    if unit.is_empty() && scaled(digits, 1) == Some(0) {
        return Ok(0);
    }
    if unit.is_empty() && decimal(digits).is_some() {
        return Err(format!(
            "the unit is missing; write {digits}us, {digits}ms or {digits}s (units: ns us ms s m h)"
        ));
    }
    let Some((_, size)) = DURATIONS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!(
            "expected a duration such as 100ms (units: ns us ms s m h), not `{word}`"
        ));
    };
    // The last number is no duration (`Span`).
    let ns = scaled(digits, *size).filter(|ns| *ns < u64::MAX);
    ns.ok_or_else(|| format!("`{word}` is no whole number of nanoseconds, or more than 500 years"))
}

/// A network, or one address; an IPv4 network may leave out its last zeros where `is_short`.
pub(super) fn net(word: &str, is_short: bool) -> Result<Net, String> {
    let (text, prefix) = match word.split_once('/') {
        Some((text, prefix)) => (text, Some(prefix)),
        None => (word, None),
    };
    let address = address(text, is_short && prefix.is_some()).ok_or_else(|| {
        format!("expected an IP address or a network such as 10.0.0.0/8, not `{word}`")
    })?;
    let Some(prefix) = prefix else {
        return Ok(Net::host(address));
    };
    let digits = prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix: Option<u8> = prefix.parse().ok().filter(|_| digits);
    let longest = number(address).1;
    let prefix = prefix
        .filter(|prefix| *prefix <= longest)
        .ok_or_else(|| format!("a prefix of this address is a number from 0 to {longest}"))?;
    // A mapped network is IPv4's.
    match address.to_canonical() {
        IpAddr::V4(v4) if address.is_ipv6() && prefix >= 96 => Ok(Net {
            address: IpAddr::V4(v4),
            prefix: prefix - 96,
        }),
        _ => Ok(Net { address, prefix }),
    }
}

fn address(text: &str, is_short: bool) -> Option<IpAddr> {
    let inside = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    if let Some(inside) = inside {
        return inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let parts = text.split('.').count();
    if !is_short || parts >= 4 {
        return None;
    }
    let padded = format!("{text}{}", ".0".repeat(4 - parts));
    padded.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

/// The network with nothing outside its prefix, and whether there was something.
pub(super) fn masked(net: Net) -> (Net, bool) {
    let (address, bits) = number(net.address);
    let free = u32::from(bits.saturating_sub(net.prefix));
    let mask = u128::MAX.checked_shl(free).unwrap_or(0);
    let first = match net.address {
        // The mask leaves at most the 32 bits that were there.
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(
            u32::try_from(address & mask).unwrap_or_default(),
        )),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(address & mask)),
    };
    let is_outside = first != net.address;
    let prefix = net.prefix;
    (
        Net {
            address: first,
            prefix,
        },
        is_outside,
    )
}

/// Digits with `_` and at most one point, and what is behind them.
fn split(word: &str) -> (&str, &str) {
    let is_digit = |c: char| c.is_ascii_digit() || c == '_' || c == '.';
    let length = word.find(|c| !is_digit(c)).unwrap_or(word.len());
    word.split_at(length)
}

/// Whole part and decimals.
fn decimal(digits: &str) -> Option<(u64, &str)> {
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = whole.starts_with(|c: char| c.is_ascii_digit())
        && !whole.ends_with('_')
        && decimals.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == whole.len() || !decimals.is_empty());
    let whole = whole.replace('_', "").parse().ok().filter(|_| is_plain)?;
    Some((whole, decimals))
}

/// The number times a unit, where that is whole and has 64 bits.
fn scaled(digits: &str, unit: u64) -> Option<u64> {
    let (whole, decimals) = decimal(digits)?;
    let decimals = decimals.trim_end_matches('0');
    let length = u32::try_from(decimals.len())
        .ok()
        .filter(|n| *n <= DECIMALS)?;
    let part: u128 = match decimals {
        "" => 0,
        decimals => decimals.parse().ok()?,
    };
    let part = part * u128::from(unit);
    let scale = 10u128.pow(length);
    if !part.is_multiple_of(scale) {
        return None;
    }
    let all = u128::from(whole) * u128::from(unit) + part / scale;
    u64::try_from(all).ok()
}
