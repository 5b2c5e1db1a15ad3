//! Traffic that stays on the host or the link: what tcp-info always leaves out (spec 3.2).

use std::net::IpAddr;

use super::Message;

/// Whether either end is one that never leaves the host or the link: loopback, link-local, multicast or unspecified. Private
/// addresses (RFC 1918, RFC 4193) are not local.
#[must_use]
pub fn is_local(message: Message<'_>) -> bool {
    is_local_address(message.local().0) || is_local_address(message.remote().0)
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
