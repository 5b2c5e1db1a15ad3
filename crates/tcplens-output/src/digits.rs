//! Numbers, spans, addresses and ids as ASCII, written into fixed arrays: no formatting machinery,
//! no allocation, and bounds that the compiler proves. Not for people (see `human`): units are
//! fixed, nothing is rounded.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcplens_core::record::ConnectionId;
use tcplens_core::time::Span;

/// Room for any `u64`.
pub const DECIMAL: usize = 20;
/// Room for any span in microseconds: 17 digits, a point, three digits.
pub const MICROS: usize = 24;
/// Room for any address; the longest is IPv4 in IPv6, `ffff:...:255.255.255.255`.
pub const IP: usize = 48;
/// Longest word that [`quoted`] takes.
pub const WORD: usize = 16;
/// Room for a connection id.
pub const ID: usize = ConnectionId::LENGTH;

/// Writes `value` and returns its length.
#[inline]
pub fn decimal(out: &mut [u8; DECIMAL], value: u64) -> usize {
    if value < 10 {
        out[0] = b'0' + value as u8;
        return 1;
    }
    decimal_long(out, value)
}

/// Two digits and more. Out of line: most counters of a record are below ten.
#[inline(never)]
fn decimal_long(out: &mut [u8; DECIMAL], value: u64) -> usize {
    if value < 10_000 {
        return short(out, value as u32);
    }
    if value < 100_000_000 {
        let (high, low) = ((value / 10_000) as u32, (value % 10_000) as u32);
        let len = short(out, high);
        put4(out, len, low);
        return len + 4;
    }
    let (high, low) = (value / 100_000_000, (value % 100_000_000) as u32);
    // At most 184467440737, twelve digits; two levels deep.
    let len = if high < 10_000 {
        short(out, high as u32)
    } else {
        decimal_long(out, high)
    };
    put4(out, len, low / 10_000);
    put4(out, len + 4, low % 10_000);
    len + 8
}

/// Writes `value` below 10000 without leading zeros.
#[inline]
fn short(out: &mut [u8; DECIMAL], value: u32) -> usize {
    let text = quad(value);
    let len = 1 + usize::from(value > 9) + usize::from(value > 99) + usize::from(value > 999);
    // The four digits as one number, the leading zeros shifted out.
    let shifted = u32::from_le_bytes(text) >> (8 * (4 - len));
    out[..4].copy_from_slice(&shifted.to_le_bytes());
    len
}

/// Writes four digits of `value` (below 10000) at `at`.
#[inline]
fn put4<const N: usize>(out: &mut [u8; N], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&quad(value));
}

/// Four digits of `value` (below 10000).
#[inline]
fn quad(value: u32) -> [u8; 4] {
    let ([a, b], [c, d]) = (
        PAIRS[(value / 100 % 100) as usize],
        PAIRS[(value % 100) as usize],
    );
    [a, b, c, d]
}

/// Writes `span` in microseconds with up to three decimals and no trailing zeros, and returns the
/// length.
#[inline(never)]
pub fn micros(out: &mut [u8; MICROS], span: Span) -> usize {
    let (whole, fraction) = (span.ns() / 1000, (span.ns() % 1000) as u32);
    let Some(head) = out.first_chunk_mut::<DECIMAL>() else {
        return 0;
    };
    let len = decimal(head, whole);
    if fraction == 0 {
        return len;
    }
    // `.ddd`: the zero that stands before three digits becomes the point.
    let mut text = quad(fraction);
    text[0] = b'.';
    out[len..len + 4].copy_from_slice(&text);
    len + 4 - usize::from(fraction.is_multiple_of(10)) - usize::from(fraction.is_multiple_of(100))
}

/// Writes nine digits of `nanos` (below 10^9).
#[inline]
pub fn nanos(out: &mut [u8; 9], nanos: u32) {
    out[0] = b'0' + (nanos / 100_000_000 % 10) as u8;
    put4(out, 1, nanos / 10_000 % 10_000);
    put4(out, 5, nanos % 10_000);
}

/// Writes two digits of `value` (below 100).
#[inline]
pub fn two(out: &mut [u8; 2], value: u32) {
    *out = PAIRS[(value % 100) as usize];
}

/// Writes the address as `std` prints it (RFC 5952 for IPv6) and returns the length.
#[inline]
pub fn ip(out: &mut [u8; IP], ip: IpAddr) -> usize {
    match ip {
        IpAddr::V4(v4) => ipv4(out, v4),
        IpAddr::V6(v6) => ipv6(out, v6),
    }
}

#[inline]
fn ipv4(out: &mut [u8; IP], ip: Ipv4Addr) -> usize {
    let mut len = 0;
    for octet in ip.octets() {
        let (text, digits) = OCTETS[usize::from(octet)];
        out[len..len + 4].copy_from_slice(&text);
        len += usize::from(digits) + 1;
    }
    len - 1
}

#[inline(never)]
fn ipv6(out: &mut [u8; IP], ip: Ipv6Addr) -> usize {
    if ip.to_ipv4_mapped().is_some() {
        let mut rest = &mut out[..];
        // Cannot fail: IP is longer than any address.
        let _ = write!(rest, "{ip}");
        return IP - rest.len();
    }
    let groups = ip.segments();
    let (start, end) = longest_zeros(&groups);
    let mut len = 0;
    for (n, &group) in groups.iter().enumerate() {
        if (start..end).contains(&n) {
            if n == start {
                out[len..len + 2].copy_from_slice(b"::");
                len += 2;
            }
            continue;
        }
        if n != 0 && n != end {
            out[len] = b':';
            len += 1;
        }
        let digits = (4 - group.leading_zeros() as usize / 4).max(1);
        for place in (0..digits).rev() {
            out[len] = HEX[usize::from(group >> (4 * place) & 15)];
            len += 1;
        }
    }
    len
}

/// The first of the longest runs of at least two zero groups, or an empty range past the end.
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut run) = ((9, 9), (0, 0));
    for (n, &group) in groups.iter().enumerate() {
        run = match group {
            0 if run.1 == n => (run.0, n + 1),
            0 => (n, n + 1),
            _ => continue,
        };
        if run.1 - run.0 >= 2 && run.1 - run.0 > best.1 - best.0 {
            best = run;
        }
    }
    best
}

/// Writes the connection id as `ConnectionId::text` does.
#[inline]
pub fn id(out: &mut [u8; ID], id: ConnectionId) {
    match id {
        ConnectionId::Packets { first, flow } => {
            hex(&mut out[..16], &first.0.to_be_bytes());
            out[16] = b'-';
            hex(&mut out[17..], &flow.to_be_bytes());
        }
        ConnectionId::Socket { cookie, host } => {
            hex(&mut out[..8], &host.to_be_bytes());
            out[8] = b'_';
            hex(&mut out[9..], &cookie.to_be_bytes());
        }
    }
}

/// Writes `"word"` and returns the length. Words longer than [`WORD`] are cut: the caller looks
/// first.
///
/// Copies of constant length that overlap: a call of memcpy for so few bytes costs more than the
/// bytes.
#[inline(never)]
pub fn quoted(out: &mut [u8; WORD + 2], word: &str) -> usize {
    let bytes = &word.as_bytes()[..word.len().min(WORD)];
    let len = bytes.len();
    out[0] = b'"';
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        out[1..9].copy_from_slice(head);
        out[len - 7..len + 1].copy_from_slice(tail);
    } else if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        out[1..5].copy_from_slice(head);
        out[len - 3..len + 1].copy_from_slice(tail);
    } else {
        out[1..=len].copy_from_slice(bytes);
    }
    out[len + 1] = b'"';
    len + 2
}

/// `byte` as two hex digits.
#[inline]
#[must_use]
pub fn hex_pair(byte: u8) -> [u8; 2] {
    HEX_PAIRS[usize::from(byte)]
}

#[inline]
fn hex(out: &mut [u8], bytes: &[u8]) {
    for (pair, &byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&hex_pair(byte));
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

static HEX_PAIRS: [[u8; 2]; 256] = {
    let mut table = [[0; 2]; 256];
    let mut n = 0;
    while n < 256 {
        table[n] = [HEX[n >> 4], HEX[n & 15]];
        n += 1;
    }
    table
};

/// `00` to `99`.
static PAIRS: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        table[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    table
};

/// An octet with the point after it, and its number of digits.
static OCTETS: [([u8; 4], u8); 256] = {
    let mut table = [([b'.'; 4], 0); 256];
    let mut n = 0;
    while n < 256 {
        let (a, b, c) = (
            b'0' + (n / 100) as u8,
            b'0' + (n / 10 % 10) as u8,
            b'0' + (n % 10) as u8,
        );
        table[n] = match n {
            0..10 => ([c, b'.', b'.', b'.'], 1),
            10..100 => ([b, c, b'.', b'.'], 2),
            _ => ([a, b, c, b'.'], 3),
        };
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcplens_core::time::Timestamp;

    use super::*;

    fn decimal_text(value: u64) -> String {
        let mut out = [b'x'; DECIMAL];
        let len = decimal(&mut out, value);
        String::from_utf8_lossy(&out[..len]).into_owned()
    }

    fn micros_text(ns: u64) -> String {
        let mut out = [b'x'; MICROS];
        let len = micros(&mut out, Span::from_ns(ns));
        String::from_utf8_lossy(&out[..len]).into_owned()
    }

    fn ip_text(address: IpAddr) -> String {
        let mut out = [b'x'; IP];
        let len = ip(&mut out, address);
        String::from_utf8_lossy(&out[..len]).into_owned()
    }

    #[test]
    fn numbers_at_every_length_are_as_std_prints_them() {
        let mut value = 1_u64;
        loop {
            for v in [
                value - 1,
                value,
                value.saturating_add(1),
                value.saturating_mul(9),
            ] {
                assert_eq!(decimal_text(v), v.to_string());
            }
            let Some(next) = value.checked_mul(10) else {
                break;
            };
            value = next;
        }
        assert_eq!(decimal_text(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn spans_are_microseconds_without_trailing_zeros() {
        for (ns, expected) in [
            (0, "0"),
            (1, "0.001"),
            (10, "0.01"),
            (500, "0.5"),
            (999, "0.999"),
            (1_000, "1"),
            (12_345, "12.345"),
            (12_340, "12.34"),
            (12_300, "12.3"),
            (12_005, "12.005"),
            (102_000_000, "102000"),
            (u64::MAX - 1, "18446744073709551.614"),
        ] {
            assert_eq!(micros_text(ns), expected);
        }
    }

    #[test]
    fn ipv6_is_shortened_as_rfc_5952_says() {
        for text in [
            "::",
            "::1",
            "1::",
            "2001:db8::1",
            "2001:db8:0:1:1:1:1:1",
            "2001:0:0:1::1",
            "1::4:0:0:7:8",
            "::ffff:10.0.0.1",
            "::10",
            "1:2:3:4:5:6:7::",
            "fe80::a:b",
            "0:1:2:3:4:5:6:7",
            "1:0:0:2::",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(ip_text(address), address.to_string());
        }
    }

    proptest! {
        #[test]
        fn any_word_is_quoted_whole(word in "[a-z_]{0,16}") {
            let mut out = [b'x'; WORD + 2];
            let len = quoted(&mut out, &word);
            prop_assert_eq!(String::from_utf8_lossy(&out[..len]), format!("\"{word}\""));
        }

        #[test]
        fn any_number_is_as_std_prints_it(value: u64, shift in 0..64_u32) {
            prop_assert_eq!(decimal_text(value >> shift), (value >> shift).to_string());
        }

        #[test]
        fn any_span_reads_back_as_its_nanoseconds(ns in 0..u64::MAX, shift in 0..64_u32) {
            let ns = ns >> shift;
            let text = micros_text(ns);
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            prop_assert!(!fraction.ends_with('0') && fraction.len() <= 3);
            let read = whole.parse::<u64>().unwrap() * 1000 + format!("{fraction:0<3}").parse::<u64>().unwrap();
            prop_assert_eq!(read, ns);
        }

        #[test]
        fn any_address_is_as_std_prints_it(v4: u32, groups: [u16; 8], zeros: u8) {
            prop_assert_eq!(ip_text(Ipv4Addr::from(v4).into()), Ipv4Addr::from(v4).to_string());
            let mut groups = groups;
            for (n, group) in groups.iter_mut().enumerate() {
                *group = if zeros >> n & 1 == 1 { 0 } else { *group >> (n * 2) };
            }
            prop_assert_eq!(ip_text(Ipv6Addr::from(groups).into()), Ipv6Addr::from(groups).to_string());
        }

        #[test]
        fn any_id_is_as_core_prints_it(first: i64, flow: u32) {
            let value = ConnectionId::Packets { first: Timestamp(first), flow };
            let mut out = [0; ID];
            id(&mut out, value);
            prop_assert_eq!(out, value.text());
        }
    }
}
