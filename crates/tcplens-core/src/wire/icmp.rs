//! ICMP (RFC 792) and ICMPv6 (RFC 4443) errors that quote a TCP segment. Not echo, not neighbour discovery, and no
//! quoted tunnels.

use super::ip::{self, Body, Ip, protocol};
use super::tcp;
use super::view::{View, be16};

/// Both: type, code, checksum, four bytes that depend on the type, then the packet that caused it.
const TYPE: usize = 0;
const CODE: usize = 1;
const HEADER: u32 = 8;
/// Of the quoted TCP header: ports and sequence number, which is what RFC 792 guarantees.
const QUOTED_TCP: usize = 8;
/// Chosen: extension headers in a quote; more than any real one has.
const MAX_QUOTED_HEADERS: usize = 8;

/// An error message and what it quotes.
pub(super) struct Quote {
    pub(super) kind: u8,
    pub(super) code: u8,
    pub(super) ip: Ip,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) seq: u32,
}

/// Reads an error that quotes TCP; `None` for everything else.
pub(super) fn quote(view: View<'_>, is_v6: bool) -> Option<Quote> {
    let header = view.head::<{ HEADER as usize }>()?;
    let kind = header[TYPE];
    let is_error = if is_v6 {
        matches!(kind, 1..=4) // destination unreachable, packet too big, time exceeded, parameter problem
    } else {
        matches!(kind, 3 | 4 | 11 | 12) // destination unreachable, source quench, time exceeded, parameter problem
    };
    if !is_error {
        return None;
    }
    // The quote is cut and may have been rewritten on the way: its lengths and checksums are not looked at.
    let (quoted_ip, body, quoted) = ip::header(view.skip(HEADER)?, false).ok()?;
    let segment = quoted_tcp(body, quoted, quoted_ip.is_v6)?;
    let ports = segment.head::<QUOTED_TCP>()?;
    Some(Quote {
        kind,
        code: header[CODE],
        ip: quoted_ip,
        source_port: be16(ports, 0),
        destination_port: be16(ports, 2),
        seq: tcp::quoted_seq(ports),
    })
}

/// Steps over extension headers to a TCP header; a quoted first fragment has one too.
fn quoted_tcp(mut body: Body, mut view: View<'_>, is_v6: bool) -> Option<View<'_>> {
    for _ in 0..MAX_QUOTED_HEADERS {
        let next = match body {
            Body::Protocol(next) => next,
            Body::Fragment(fragment) if fragment.offset == 0 => fragment.protocol,
            Body::Fragment(_) => return None,
        };
        (body, view) = match next {
            protocol::TCP => return Some(view),
            protocol::FRAGMENT if is_v6 => ip::v6_fragment(view).ok()?,
            protocol::AUTHENTICATION => ip::authentication(view)
                .map(|(next, view)| (Body::Protocol(next), view))
                .ok()?,
            next if is_v6 && ip::is_extension(next) => ip::extension(view)
                .map(|(next, view)| (Body::Protocol(next), view))
                .ok()?,
            _ => return None,
        };
    }
    None
}
