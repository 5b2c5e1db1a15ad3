//! The name of an address, as the system's resolver tells it: hosts(5), DNS and whatever else nsswitch.conf(5) names. It may send
//! packets, and wait for many seconds: never call it where packets are taken. Not the names that are seen in packets. Reference:
//! getnameinfo(3), resolv.conf(5).

use std::ffi::CStr;
use std::net::IpAddr;
use std::ptr;

use libc::{AF_INET, AF_INET6, c_char, c_int, sa_family_t, socklen_t};

/// What the resolver reads while it works: its configuration, and the libraries that it loads for what nsswitch.conf(5) names.
/// Whoever restricts the process to some files leaves these readable.
pub const FILES: &[&str] = &[
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    // Where resolv.conf points to, and is replaced.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
];

/// Longest name that is taken, in bytes with the zero byte behind it: NI_MAXHOST of getnameinfo(3).
const LONGEST: usize = 1025;

/// What the resolver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The name, as it came: it may have any bytes that are text.
    Name(String),
    /// The address has none.
    None,
    /// That cannot be told now; why.
    Failed(String),
}

/// Asks for the name of an address, and waits for the answer, as long as the resolver does (resolv.conf(5): by default up to
/// 10 s for each server).
#[must_use]
pub fn name_of(ip: IpAddr) -> Resolved {
    match ip {
        IpAddr::V4(ip) => {
            let address = libc::sockaddr_in {
                sin_family: AF_INET as sa_family_t,
                sin_port: 0,
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(ip.octets()),
                },
                sin_zero: [0; 8],
            };
            ask(&address)
        }
        IpAddr::V6(ip) => {
            let address = libc::sockaddr_in6 {
                sin6_family: AF_INET6 as sa_family_t,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr {
                    s6_addr: ip.octets(),
                },
                sin6_scope_id: 0,
            };
            ask(&address)
        }
    }
}

/// What getnameinfo(3) takes for a `sockaddr`.
trait Address {}

impl Address for libc::sockaddr_in {}
impl Address for libc::sockaddr_in6 {}

fn ask<A: Address>(address: &A) -> Resolved {
    let mut name: [c_char; LONGEST] = [0; LONGEST];
    // SAFETY: `address` is a whole sockaddr of its family, which is its first field, and is read only within the length given;
    // `name` is writable for the length given, and getnameinfo ends what it writes there with a zero byte; there is no service,
    // whose length is zero.
    let code = unsafe {
        libc::getnameinfo(
            ptr::from_ref(address).cast(),
            size_of::<A>() as socklen_t,
            name.as_mut_ptr(),
            LONGEST as socklen_t,
            ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    match code {
        0 => match CStr::from_bytes_until_nul(&name.map(|byte| byte as u8)) {
            Ok(name) => match name.to_str() {
                Ok(name) => Resolved::Name(name.to_owned()),
                Err(_) => Resolved::None,
            },
            Err(_) => Resolved::None,
        },
        libc::EAI_NONAME | libc::EAI_NODATA => Resolved::None,
        code => Resolved::Failed(reason(code)),
    }
}

fn reason(code: c_int) -> String {
    if code == libc::EAI_SYSTEM {
        return std::io::Error::last_os_error().to_string();
    }
    // SAFETY: gai_strerror takes any number, and gives a text that nobody changes or frees; it is copied here.
    let text = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_address_is_asked_for_without_harm() {
        // What it is called is this machine's: usually localhost, by /etc/hosts.
        for ip in ["127.0.0.1", "::1"] {
            if let Resolved::Name(name) = name_of(ip.parse().unwrap()) {
                assert!(!name.is_empty() && !name.contains('\0'), "{name:?}");
            }
        }
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        let names = hosts
            .lines()
            .filter_map(|line| line.strip_prefix("127.0.0.1"));
        let mut names = names.flat_map(str::split_whitespace);
        match names.next() {
            Some(name) => {
                let found = name_of("127.0.0.1".parse().unwrap());
                assert_eq!(found, Resolved::Name(name.to_owned()));
            }
            None => println!("SKIPPED: /etc/hosts does not name 127.0.0.1"),
        }
    }

    #[test]
    fn a_reason_is_told_in_words() {
        assert!(
            reason(libc::EAI_AGAIN).len() > 5,
            "{}",
            reason(libc::EAI_AGAIN)
        );
    }
}
