//! Packet filters for who has no packets: the language of [`packet`](super::packet) as far as it speaks of addresses and
//! ports, for connections of which only the two ends are known. A connection passes if a segment of either direction would.
//!
//! There is one meaning of `src net 10.0.0.0/8 and not port 22`, and it is the packet filter's: what is asked of two ends is
//! asked of two empty segments between them.

use std::net::IpAddr;

use super::FilterError;
use super::packet::{PacketFilter, Program, Unanswerable};
use crate::packet::LinkType;

/// A filter for the ends of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TupleFilter {
    text: String,
    program: Program,
}

/// Longest packet that is made: IPv6 and TCP without options.
const LONGEST: usize = 60;
/// TCP's header without options.
const TCP: usize = 20;

impl TupleFilter {
    /// Parses an expression; an empty one lets every connection pass.
    ///
    /// # Errors
    /// The word that does not fit, or that asks for more than addresses and ports.
    pub fn parse(text: &str) -> Result<TupleFilter, FilterError> {
        let filter = PacketFilter::parse(text)?;
        if let Some((at, Unanswerable(what))) = filter.beyond_tuples() {
            let message = format!(
                "{what}; there are no packets here: write host, net, port, portrange with src or dst, ip, ip6, tcp, \
                 and, or, not"
            );
            return Err(FilterError::new(text, at, message));
        }
        Ok(TupleFilter {
            text: text.to_owned(),
            program: filter.compile(LinkType::RAW)?,
        })
    }

    /// The expression as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a connection between these ends passes.
    #[must_use]
    pub fn matches(&self, local: (IpAddr, u16), remote: (IpAddr, u16)) -> bool {
        self.passes(local, remote) || self.passes(remote, local)
    }

    fn passes(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> bool {
        let mut packet = [0; LONGEST];
        let length = segment(&mut packet, from, to);
        // At most LONGEST.
        self.program
            .matches(packet.get(..length).unwrap_or_default(), length as u32)
    }
}

/// An empty TCP segment (RFC 791, RFC 8200, RFC 9293) from one end to another, checksums left out.
fn segment(packet: &mut [u8; LONGEST], from: (IpAddr, u16), to: (IpAddr, u16)) -> usize {
    const VERSION_4: u8 = 0x45;
    const VERSION_6: u8 = 0x60;
    const IS_TCP: u8 = 6;
    const TTL: u8 = 64;
    let ip = match (from.0.to_canonical(), to.0.to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet[0] = VERSION_4;
            packet[3] = 20 + TCP as u8;
            packet[8] = TTL;
            packet[9] = IS_TCP;
            packet[12..16].copy_from_slice(&from.octets());
            packet[16..20].copy_from_slice(&to.octets());
            20
        }
        (from, to) => {
            let wide = |ip: IpAddr| match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            packet[0] = VERSION_6;
            packet[5] = TCP as u8;
            packet[6] = IS_TCP;
            packet[7] = TTL;
            packet[8..24].copy_from_slice(&wide(from));
            packet[24..40].copy_from_slice(&wide(to));
            40
        }
    };
    packet[ip..ip + 2].copy_from_slice(&from.1.to_be_bytes());
    packet[ip + 2..ip + 4].copy_from_slice(&to.1.to_be_bytes());
    // Five words of header; ACK.
    packet[ip + 12] = 0x50;
    packet[ip + 13] = 0x10;
    ip + TCP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> (IpAddr, u16) {
        let end: std::net::SocketAddr = text.parse().unwrap();
        (end.ip(), end.port())
    }

    fn passes(filter: &str, local: &str, remote: &str) -> bool {
        let filter = TupleFilter::parse(filter).unwrap();
        let (local, remote) = (end(local), end(remote));
        assert_eq!(
            filter.matches(local, remote),
            filter.matches(remote, local),
            "{} depends on who is local",
            filter.text()
        );
        filter.matches(local, remote)
    }

    #[test]
    fn either_direction_may_match() {
        let (local, remote) = ("10.0.0.1:80", "192.0.2.7:40000");
        for filter in [
            "",
            "host 10.0.0.1",
            "src host 10.0.0.1",
            "dst host 10.0.0.1",
            "src 192.0.2.7 and dst port 80",
            "net 10.0.0.0/8",
            "net 10",
            "port 80",
            "port http",
            "src port 40000",
            "portrange 79-81",
            "tcp",
            "ip",
            "tcp port 80 and host 192.0.2.7",
            "not port 22",
            "port 22 or port 80",
            "not (ip6 or port 443)",
            "tcp dst portrange 39999-40001",
        ] {
            assert!(passes(filter, local, remote), "{filter}");
        }
        for filter in [
            "host 10.0.0.2",
            "src host 10.0.0.1 and dst port 80",
            "net 11.0.0.0/8",
            "port 443",
            "portrange 81-90",
            "ip6",
            "not tcp",
            "not host 192.0.2.7",
            "port 80 and port 22",
        ] {
            assert!(!passes(filter, local, remote), "{filter}");
        }
    }

    #[test]
    fn ipv6_and_mapped_addresses() {
        let (local, remote) = ("[2001:db8::1]:443", "[2001:db8::2]:5000");
        assert!(passes("ip6 and port 443", local, remote));
        assert!(passes("net 2001:db8::/32", local, remote));
        assert!(!passes("ip or host 2001:db8::3", local, remote));
        let (local, remote) = ("[::ffff:10.0.0.1]:443", "[::ffff:10.0.0.2]:5000");
        assert!(passes("ip and host 10.0.0.2", local, remote));
        assert!(!passes("ip6", local, remote));
    }

    #[test]
    fn what_needs_a_packet_is_an_error_at_its_word() {
        for (filter, word) in [
            ("tcp[13] & 2 != 0 and port 80", "tcp[13] & 2 != 0"),
            ("port 80 and greater 100", "greater 100"),
            ("port 80 or udp", "udp"),
            ("udp port 53", "53"),
            ("vlan 3 and port 80", "vlan 3"),
            ("ether host 00:11:22:33:44:55", "00:11:22:33:44:55"),
            ("not broadcast", "broadcast"),
            ("inbound", "inbound"),
            ("ip proto 17", "17"),
        ] {
            let error = TupleFilter::parse(filter).unwrap_err();
            assert_eq!(&filter[error.at.clone()], word, "{error}");
            assert!(error.message.contains("no packets here"), "{error}");
        }
        let error = TupleFilter::parse("port 80 and").unwrap_err();
        assert!(!error.message.contains("no packets here"), "{error}");
        assert!(TupleFilter::parse("host example.test").is_err());
    }
}
