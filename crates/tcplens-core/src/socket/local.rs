//! Traffic that stays on the host or the link: what tcp-info always leaves out (spec 3.2).

use std::net::IpAddr;

use super::Message;

/// Whether either end is one that never leaves the host or the link: loopback, link-local, multicast or unspecified. Private
/// addresses (RFC 1918, RFC 4193) are not local. Of a connection that was taken from its socket (tcp_disconnect) the other end's
/// address is left, and decides.
#[must_use]
pub fn is_local(message: Message<'_>) -> bool {
    let (local, remote) = (message.local().0, message.remote().0);
    let is_taken = message.remote().1 == 0 && !remote.is_unspecified();
    is_local_address(remote) || (!is_taken && is_local_address(local))
}

fn is_local_address(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_unspecified()
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unicast_link_local()
                || ip.is_multicast()
                || ip.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_connection_that_was_taken_away_the_other_end_decides() {
        let message = |local: [u8; 4], remote: [u8; 4], port: u16| {
            let mut head = [0; super::super::message::HEAD];
            head[0] = 2;
            head[8..12].copy_from_slice(&local);
            head[24..28].copy_from_slice(&remote);
            head[6..8].copy_from_slice(&port.to_be_bytes());
            is_local(Message::of(&head, &[]))
        };
        assert!(!message([10, 0, 0, 1], [10, 0, 0, 2], 80));
        assert!(!message([0; 4], [10, 0, 0, 2], 0));
        assert!(message([0; 4], [127, 0, 0, 1], 0));
        assert!(message([0; 4], [0; 4], 0) && message([127, 0, 0, 1], [10, 0, 0, 2], 80));
    }

    #[test]
    fn what_never_leaves_host_or_link_is_local() {
        for (address, expected) in [
            ("127.9.0.1", true),
            ("169.254.1.1", true),
            ("224.0.0.1", true),
            ("0.0.0.0", true),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("ff02::1", true),
            ("10.0.0.1", false),
            ("192.168.0.1", false),
            ("fd00::1", false),
            ("2001:db8::1", false),
            ("8.8.8.8", false),
        ] {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(is_local_address(ip), expected, "{address}");
        }
    }
}
