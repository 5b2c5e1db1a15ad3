//! Two questions of rtnetlink, RTM_GETLINK and RTM_GETADDR, and how their answers read. Parsing is a function of bytes:
//! what is cut or lies about its length ends the walk, what is not known is passed over. Reference: netlink(7),
//! rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use super::Interface;

// nlmsghdr: length (4), type (2), flags (2), sequence (4), port (4).
const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
/// NLM_F_REQUEST | NLM_F_DUMP.
const REQUEST_ALL: u16 = 0x301;
/// NLM_F_DUMP_INTR: something changed meanwhile, ask again.
const INTERRUPTED: u16 = 0x10;

// ifinfomsg: family (1), pad (1), type (2), index (4), flags (4), change (4).
const LINK: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 1 << 3;
const IFF_RUNNING: u32 = 1 << 6;

// ifaddrmsg: family (1), prefix (1), flags (1), scope (1), index (4).
const ADDRESS: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Without the flags in the two highest bits of an attribute's type.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// The kernel fills at most 32 KiB at once (netlink_dump in net/netlink/af_netlink.c).
const BUFFER: usize = 64 * 1024;

/// Dumps that something changed are asked again so often; then they are taken as they are.
const ATTEMPTS: u32 = 5;

/// What has been answered so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    links: Vec<Interface>,
    addresses: Vec<(u32, IpAddr)>,
}

/// What a datagram of answers said at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// There is nothing more.
    is_done: bool,
    /// Something changed meanwhile.
    is_interrupted: bool,
    /// The kernel refused; its error number.
    error: Option<i32>,
}

impl Answers {
    /// Takes a datagram of answers.
    fn read(&mut self, mut bytes: &[u8]) -> Progress {
        let mut progress = Progress::default();
        while let Some((kind, flags, body, rest)) = message(bytes) {
            bytes = rest;
            progress.is_interrupted |= flags & INTERRUPTED != 0;
            match kind {
                DONE => progress.is_done = true,
                ERROR => {
                    let number = u32_at(body, 0).unwrap_or_default().cast_signed();
                    progress.error = Some(number.wrapping_neg());
                }
                NEW_LINK => self.links.extend(link(body)),
                NEW_ADDRESS => self.addresses.extend(address(body)),
                _ => {}
            }
        }
        progress
    }

    /// The interfaces by index, each with its addresses.
    pub(super) fn interfaces(self) -> Vec<Interface> {
        let mut all = self.links;
        all.sort_by_key(|interface| interface.index);
        for (index, address) in self.addresses {
            if let Ok(at) = all.binary_search_by_key(&index, |interface| interface.index)
                && let Some(interface) = all.get_mut(at)
            {
                interface.addresses.push(address);
            }
        }
        all
    }
}

/// Asks both questions.
pub(super) fn ask() -> io::Result<Answers> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // NETLINK_ROUTE is the default.
        None,
    )?;
    let mut buffer = vec![0; BUFFER];
    let mut answers = Answers::default();
    for attempt in 1..=ATTEMPTS {
        answers = Answers::default();
        let mut is_interrupted = false;
        for question in [question(GET_LINK, LINK), question(GET_ADDRESS, ADDRESS)] {
            send(&socket, &question, SendFlags::empty())?;
            loop {
                let (_, length) = recv(&socket, &mut *buffer, RecvFlags::TRUNC)?;
                let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                    return Err(io::Error::from(io::ErrorKind::InvalidData));
                };
                let progress = answers.read(bytes);
                if let Some(error) = progress.error {
                    return Err(io::Error::from_raw_os_error(error));
                }
                is_interrupted |= progress.is_interrupted;
                if progress.is_done {
                    break;
                }
            }
        }
        if !is_interrupted || attempt == ATTEMPTS {
            break;
        }
    }
    Ok(answers)
}

/// A request for all, of any family: a header, and a body of zeros.
fn question(kind: u16, body: usize) -> Vec<u8> {
    let mut bytes = vec![0; HEADER + body];
    let length = u32::try_from(bytes.len()).unwrap_or_default();
    bytes[0..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST_ALL.to_ne_bytes());
    bytes
}

/// The first message: type, flags, body, and what comes after it.
fn message(bytes: &[u8]) -> Option<(u16, u16, &[u8], &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER..length)?;
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((u16_at(bytes, 4)?, u16_at(bytes, 6)?, body, rest))
}

fn link(body: &[u8]) -> Option<Interface> {
    let flags = u32_at(body, 8)?;
    let mut interface = Interface {
        index: u32_at(body, 4)?,
        name: String::new(),
        hardware_type: u16_at(body, 2)?,
        is_up: flags & IFF_UP != 0,
        is_running: flags & IFF_RUNNING != 0,
        is_loopback: flags & IFF_LOOPBACK != 0,
        mtu: None,
        master: None,
        addresses: Vec::new(),
    };
    for (kind, value) in attributes(body.get(LINK..)?) {
        match kind {
            IFLA_IFNAME => {
                let name = value.split(|&byte| byte == 0).next().unwrap_or_default();
                interface.name = String::from_utf8_lossy(name).into_owned();
            }
            IFLA_MTU => interface.mtu = u32_at(value, 0),
            IFLA_MASTER => interface.master = u32_at(value, 0),
            _ => {}
        }
    }
    (!interface.name.is_empty()).then_some(interface)
}

/// Index of the interface, and an address of this host there.
fn address(body: &[u8]) -> Option<(u32, IpAddr)> {
    let family = *body.first()?;
    let index = u32_at(body, 4)?;
    let (mut local, mut other) = (None, None);
    for (kind, value) in attributes(body.get(ADDRESS..)?) {
        match kind {
            IFA_LOCAL => local = ip(family, value),
            // Of the other end, where the link has two and IFA_LOCAL says which is ours.
            IFA_ADDRESS => other = ip(family, value),
            _ => {}
        }
    }
    Some((index, local.or(other)?))
}

fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        AF_INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

/// Types and values (rtattr: length (2), type (2), value, up to a multiple of 4).
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & ATTRIBUTE_TYPE;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded on little endian, in a namespace with lo, veth0 (a port of br0, with an IPv4 address), its other end, br0 and
    /// tun0 (point to point, 10.9.0.1 to 10.9.0.2); the kernel's own bytes.
    const LINKS: &[u8] = include_bytes!("../../tests/data/rtnetlink-links.bin");
    const ADDRESSES: &[u8] = include_bytes!("../../tests/data/rtnetlink-addresses.bin");

    #[test]
    #[cfg(target_endian = "little")]
    fn recorded_answers_are_read() {
        let mut answers = Answers::default();
        assert_eq!(
            answers.read(LINKS),
            Progress {
                is_done: true,
                ..Progress::default()
            }
        );
        assert_eq!(
            answers.read(ADDRESSES),
            Progress {
                is_done: true,
                ..Progress::default()
            }
        );
        let shown: Vec<String> = answers.interfaces().iter().map(shown).collect();
        assert_eq!(
            shown,
            [
                r#"1 lo type 772 ["up", "running", "loopback"] mtu 65536 master None [127.0.0.1, ::1]"#,
                r#"2 veth1 type 1 ["up", "running"] mtu 1500 master None [fe80::d0ac:faff:fe8f:24ee]"#,
                r#"3 veth0 type 1 ["up", "running"] mtu 1500 master Some(4) [192.0.2.9, fe80::58f0:89ff:fe37:9bf3]"#,
                r#"4 br0 type 1 ["up", "running"] mtu 1500 master None [192.0.2.1, fe80::58f0:89ff:fe37:9bf3]"#,
                r#"5 tun0 type 65534 ["up"] mtu 1500 master None [10.9.0.1]"#,
            ]
        );
    }

    fn shown(interface: &Interface) -> String {
        let Interface {
            index,
            name,
            hardware_type,
            is_up,
            is_running,
            is_loopback,
            mtu,
            master,
            addresses,
        } = interface;
        let flags = [
            (is_up, "up"),
            (is_running, "running"),
            (is_loopback, "loopback"),
        ];
        let flags: Vec<&str> = flags
            .iter()
            .filter(|(is, _)| **is)
            .map(|(_, word)| *word)
            .collect();
        format!(
            "{index} {name} type {hardware_type} {flags:?} mtu {} master {master:?} {addresses:?}",
            mtu.unwrap_or_default()
        )
    }

    /// What is cut ends the walk: there is no panic, and what came before counts.
    #[test]
    fn any_cut_and_any_flipped_byte_is_survived() {
        for bytes in [LINKS, ADDRESSES] {
            for end in 0..bytes.len() {
                Answers::default().read(&bytes[..end]);
            }
            let mut changed = bytes.to_vec();
            for at in 0..changed.len() {
                for value in [0, 1, 3, 0xff] {
                    let old = std::mem::replace(&mut changed[at], value);
                    Answers::default().read(&changed);
                    changed[at] = old;
                }
            }
        }
    }

    #[test]
    fn a_refusal_is_an_error_number() {
        let mut bytes = question(ERROR, 20);
        bytes[HEADER..HEADER + 4].copy_from_slice(&(-1_i32).to_ne_bytes());
        let progress = Answers::default().read(&bytes);
        assert_eq!(progress.error, Some(1));
    }

    #[test]
    fn a_change_meanwhile_is_noticed() {
        let mut bytes = question(DONE, 4);
        bytes[6..8].copy_from_slice(&INTERRUPTED.to_ne_bytes());
        let progress = Answers::default().read(&bytes);
        assert!(progress.is_interrupted && progress.is_done);
    }

    /// An interface that came between the questions has addresses only.
    #[test]
    fn an_address_of_an_unknown_interface_is_passed_over() {
        let mut answers = Answers::default();
        answers.read(ADDRESSES);
        assert_eq!(answers.interfaces(), []);
    }
}
