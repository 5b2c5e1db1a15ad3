//! What option values look like in words: ports, networks, seconds. Sizes and durations with units
//! are `tcplens_output::units`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use regex_lite::Regex;
use tcplens_core::kernel::Mode;
use tcplens_core::roles::Network;
use tcplens_core::time::{SECOND, Span};
use tcplens_output::units;

/// `80` or `8000-8100`.
pub(crate) fn ports(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!(
            "{text:?} is no port; write numbers from 1 to 65535, such as 80,443,8000-8100"
        )),
    };
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (port(low)?, port(high)?),
        None => (port(text)?, port(text)?),
    };
    if low > high {
        return Err(format!(
            "the range ends before it begins; write {high}-{low}"
        ));
    }
    Ok((low, high))
}

/// `80=http` or `8000-8100=default`.
pub(crate) fn port_mode(text: &str) -> Result<((u16, u16), Mode), String> {
    let Some((port, mode)) = text.split_once('=') else {
        return Err(format!("{text:?} is no port with a mode; write 443=https"));
    };
    Ok((ports(port)?, self::mode(mode)?))
}

/// What is spoken at a port, in TCP-RT's words.
pub(crate) fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "default" => Ok(Mode::Default),
        "http" => Ok(Mode::Http),
        "https" => Ok(Mode::Https),
        _ => Err(format!("{text:?} is no mode; write default, http or https")),
    }
}

/// Bytes of a response.
pub(crate) fn first_frame(text: &str) -> Result<u32, String> {
    text.parse::<u32>()
        .map_err(|_| format!("{text:?} is no number of bytes; write up to four, 0 for none"))
}

/// `10.0.0.7`, `10.0.0.0/8` or `fe80::/10`.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    let advice = "write addresses or networks, such as 10.0.0.7,192.168.0.0/16,fd00::/8";
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("{address:?} is no address; {advice}"))?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        Some(length) => length
            .parse()
            .map_err(|_| format!("/{length} is no prefix; {advice}"))?,
        None => width,
    };
    Network::new(address, length)
        .ok_or_else(|| format!("/{length} is too long, {address} has {width} bits; {advice}"))
}

/// The size of a capture ring: tcpdump counts KiB, tcpeek MB, so a bare number is refused if it is large enough to mean one.
pub(crate) fn ring(text: &str) -> Result<u64, String> {
    let size = match text.parse::<u64>() {
        Ok(n) if n > 1024 => {
            let mib = n.div_ceil(1024);
            return Err(format!(
                "tcpdump counts KiB here; write -B {mib}MiB if that was meant"
            ));
        }
        Ok(n) => n << 20,
        Err(_) => units::parse_size(text).map_err(|error| error.to_string())?,
    };
    match size {
        0..1_048_576 => Err("it is too small; write at least 1MiB".into()),
        size if size > 64 << 30 => Err("it is more than 64GiB".into()),
        size => Ok(size),
    }
}

/// Bytes of a packet that are kept: enough for the headers.
pub(crate) fn snap_length(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        // tcpdump's word for all of it.
        Ok(0) => Ok(MAX_SNAP_LENGTH),
        Ok(n) if (64..=MAX_SNAP_LENGTH).contains(&n) => Ok(n),
        _ => Err(format!("write bytes from 64 to {MAX_SNAP_LENGTH}")),
    }
}

/// tcpdump's default: more than any packet.
const MAX_SNAP_LENGTH: u32 = 262_144;

/// `127.0.0.1:33333`, `[::1]:9` or a port alone, which is on 127.0.0.1.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    address(text, 33333)
}

/// The same for metrics, whose usual port is another.
pub(crate) fn listen_metrics(text: &str) -> Result<SocketAddr, String> {
    address(text, 9760)
}

/// The same for the page.
pub(crate) fn listen_web(text: &str) -> Result<SocketAddr, String> {
    address(text, 9317)
}

/// Reads where `fleet` listens.
#[cfg(feature = "parquet")]
pub(crate) fn listen_fleet(text: &str) -> Result<SocketAddr, String> {
    address(text, 9318)
}

/// The URL of a collector.
pub(crate) fn collector(text: &str) -> Result<String, String> {
    let advice = "write http://127.0.0.1:4318 or https://HOST:4318";
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = rest else {
        return Err(format!("{text:?} is no URL of HTTP; {advice}"));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err(
            "every user of this machine can read the command line; write what authenticates to a file, and name that with \
             --otlp-headers (in the agent's file: headers)"
                .into(),
        );
    }
    if authority.is_empty() || text.contains(char::is_whitespace) || text.contains(['?', '#']) {
        return Err(format!("{text:?} names no server; {advice}"));
    }
    let text = text.trim_end_matches('/');
    for place in ["/v1/metrics", "/v1/traces"] {
        if let Some(base) = text.strip_suffix(place) {
            return Err(format!("{place} is added to it; write {base}"));
        }
    }
    Ok(text.to_owned())
}

/// How often metrics are sent.
pub(crate) fn otlp_interval(text: &str) -> Result<Span, String> {
    let interval = seconds(text)?;
    match interval.ns() {
        ..1_000_000_000 => Err("it is less than 1 s, which is the least".into()),
        _ => Ok(interval),
    }
}

fn address(text: &str, usual: u16) -> Result<SocketAddr, String> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| {
        format!(
            "{text:?} is no address and port; write 127.0.0.1:{usual}, [::1]:{usual}, or a port alone"
        )
    })
}

/// The path of a socket: with a slash, so that `-U port 80` does not take a word of the expression.
pub(crate) fn socket_path(text: &str) -> Result<PathBuf, String> {
    if text.contains('/') {
        return Ok(text.into());
    }
    Err(format!(
        "{text:?} is no path with a slash; write ./{text}, or the option behind the expression"
    ))
}

/// A name under which an instance remembers what was asked.
pub(crate) fn baseline(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 127 || text.contains(char::is_control) {
        return Err(format!(
            "{text:?} is no name; write a word of up to 127 bytes"
        ));
    }
    Ok(text.into())
}

/// A time above zero, in seconds where no unit is written.
pub(crate) fn seconds(text: &str) -> Result<Span, String> {
    let span = units::parse_duration_or(text, SECOND as u64).map_err(|error| error.to_string())?;
    match span.ns() {
        0 => Err("it is zero; write seconds, such as 60 or 0.5, or a time such as 250ms".into()),
        _ => Ok(span),
    }
}

/// How often something is asked for.
pub(crate) fn interval(text: &str) -> Result<Span, String> {
    let span = seconds(text)?;
    if span.ns() < SECOND as u64 / 1000 {
        return Err("it is below 1ms: asking takes longer; write a time such as 10ms".into());
    }
    Ok(span)
}

/// Percents of one core, above zero.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.trim().parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err(format!(
            "{text:?} is no share of a core; write percents from above 0 to 100, such as 2 or 0.5"
        )),
    }
}

/// A time, in milliseconds where no unit is written.
pub(crate) fn milliseconds(text: &str) -> Result<Span, String> {
    let ms = SECOND as u64 / 1000;
    units::parse_duration_or(text, ms).map_err(|error| error.to_string())
}

/// `100`, `1KiB-`, `-64KiB` or `1KiB-64KiB`: bytes, both ends included.
pub(crate) fn sizes(text: &str) -> Result<(u64, u64), String> {
    let size = |text: &str, absent| match text {
        "" => Ok(absent),
        _ => units::parse_size(text).map_err(|error| error.to_string()),
    };
    let (low, high) = match text.split_once('-') {
        Some(("", "")) => return Err("it has no end; write 1KiB-, -64KiB or 1KiB-64KiB".into()),
        Some((low, high)) => (size(low, 0)?, size(high, u64::MAX)?),
        None => match units::parse_size(text) {
            Ok(size) => (size, size),
            Err(error) => return Err(error.to_string()),
        },
    };
    if low > high {
        return Err(format!(
            "the range ends before it begins; write {high}-{low}"
        ));
    }
    Ok((low, high))
}

/// A regular expression.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        format!("{error}; write a regular expression, such as '^GET /api' or 'user:[0-9]+'")
    })
}

/// `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(format!(
            "{text:?} is no pair; write NAME=VALUE, such as ms=5"
        )),
    }
}

/// Memory in which Lua can begin at all.
pub(crate) fn script_memory(text: &str) -> Result<u64, String> {
    match units::parse_size(text).map_err(|error| error.to_string())? {
        0..MIB => Err("Lua itself needs that; write 1MiB or more".into()),
        bytes => Ok(bytes),
    }
}

const MIB: u64 = 1 << 20;

/// Where records are stored: `--store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreTarget {
    /// A directory of Parquet files.
    Directory(PathBuf),
    /// A ClickHouse server: `clickhouse://user@host:port/db`.
    #[cfg(feature = "remote")]
    ClickHouse(Box<tcplens_output::clickhouse::Target>),
}

/// Whose records these are.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 255 || text.contains(char::is_control) {
        return Err(format!(
            "{text:?} is no name; write a word of up to 255 bytes"
        ));
    }
    Ok(text.into())
}

#[cfg(feature = "remote")]
fn clickhouse(text: &str) -> Result<StoreTarget, String> {
    Ok(StoreTarget::ClickHouse(Box::new(text.parse()?)))
}

#[cfg(not(feature = "remote"))]
fn clickhouse(_: &str) -> Result<StoreTarget, String> {
    Err("this tcplens was built without remote stores; build it with --features remote".into())
}

/// A directory, or a server.
pub(crate) fn store(text: &str) -> Result<StoreTarget, String> {
    match text.split_once("://") {
        Some(("clickhouse" | "clickhouses", _)) => clickhouse(text),
        Some((scheme, _)) => Err(format!(
            "{scheme}:// is not known; write a directory, or clickhouse://user@host:port/db"
        )),
        None if text.is_empty() => Err("it is empty; write a directory".into()),
        None => Ok(StoreTarget::Directory(text.into())),
    }
}

/// A number above zero.
pub(crate) fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("it is zero; write a number from 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err(format!(
            "{text:?} is no whole number; write a number from 1"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_and_ranges() {
        assert_eq!(ports("80"), Ok((80, 80)));
        assert_eq!(ports("8000-8100"), Ok((8000, 8100)));
        assert!(ports("9-8").unwrap_err().contains("8-9"));
        for text in ["", "-", "0", "0-80", "70000", "80-", "http"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_ranges_open_at_either_end() {
        for (text, expected) in [
            ("100", (100, 100)),
            ("1KiB-", (1024, u64::MAX)),
            ("-64", (0, 64)),
            ("1-1KiB", (1, 1024)),
        ] {
            assert_eq!(sizes(text), Ok(expected), "{text}");
        }
        assert!(sizes("9-8").unwrap_err().contains("8-9"));
        for text in ["", "-", "x-", "1-2-3"] {
            assert!(sizes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn milliseconds_may_have_fractions_and_units() {
        for (text, ns) in [
            ("0.5", 500_000),
            ("100", 100_000_000),
            ("2s", 2_000_000_000),
        ] {
            assert_eq!(milliseconds(text).map(Span::ns), Ok(ns), "{text}");
        }
        assert!(milliseconds("-1").is_err());
    }

    #[test]
    fn shares_of_a_core_are_above_zero() {
        assert_eq!(percent("2"), Ok(2.0));
        assert_eq!(percent("0.5%"), Ok(0.5));
        for text in ["0", "-1", "101", "two", "", "nan", "inf"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_have_a_prefix_that_fits() {
        let full = Network::new("10.0.0.7".parse().unwrap(), 32).unwrap();
        assert_eq!(network("10.0.0.7"), Ok(full));
        assert!(network("fd00::/8").is_ok());
        for text in ["10.0.0.0/33", "10.0.0/8", "host", "10.0.0.0/x", "::/129"] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
