//! The kernel gives exactly those sockets that a filter in user space gives.

use std::net::IpAddr;
use std::os::fd::AsRawFd;

use tcplens_capture::diag::{Bytecode, Condition, Diag, DiagError, Family, Request};
use tcplens_core::socket::Message;
use tcplens_core::socket::message::kind;

use crate::harness::{Pair, Space, dump, dump_of};

/// What a condition says, without the kernel.
fn holds(condition: &Condition, message: Message<'_>) -> bool {
    let number = |kind| {
        Some(u32::from_ne_bytes(
            message.attribute(kind)?.try_into().ok()?,
        ))
    };
    let cgroup = || {
        let bytes = message.attribute(kind::CGROUP_ID)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    match condition {
        Condition::And(all) => all.iter().all(|each| holds(each, message)),
        Condition::Or(any) => any.iter().any(|each| holds(each, message)),
        Condition::Not(inner) => !holds(inner, message),
        Condition::SourcePort(low, high) => (low..=high).contains(&&message.local().1),
        Condition::DestinationPort(low, high) => (low..=high).contains(&&message.remote().1),
        Condition::SourceNet(address, bits) => is_within(message.local().0, *address, *bits),
        Condition::DestinationNet(address, bits) => is_within(message.remote().0, *address, *bits),
        Condition::Interface(index) => message.interface() == *index,
        Condition::Cgroup(id) => cgroup() == Some(*id),
        Condition::Mark { mark, mask } => number(kind::MARK).unwrap_or(0) & mask == mark & mask,
    }
}

fn is_within(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    let is_same = |a: u128, b: u128, other: u32| (a ^ b).checked_shr(other).unwrap_or(0) == 0;
    let (net, bits) = match net {
        IpAddr::V6(all) if bits >= 96 && all.to_ipv4_mapped().is_some() => {
            (net.to_canonical(), bits - 96)
        }
        _ => (net, bits),
    };
    match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let (a, b) = (a.to_bits().into(), b.to_bits().into());
            is_same(a, b, 32 - u32::from(bits))
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => is_same(a.to_bits(), b.to_bits(), 128 - u32::from(bits)),
        _ => false,
    }
}

#[test]
fn the_kernel_decides_as_a_filter_in_user_space_does() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut diag = Diag::open().unwrap();
        let pairs = [
            Pair::new("127.0.0.1:0", "127.0.0.1:0"),
            Pair::new("127.0.0.1:0", "127.0.0.1:0"),
            Pair::new("127.200.0.1:0", "127.200.0.1:0"),
            Pair::new("[::1]:0", "[::1]:0"),
            Pair::new("[::]:0", "127.0.0.1:0"),
            Pair::new("[::]:0", "[::1]:0"),
        ];
        option(&pairs[0].client, libc::SO_MARK, 0x12);
        option(&pairs[1].client, libc::SO_MARK, 0x10);
        option(&pairs[4].server, libc::SO_BINDTOIFINDEX, 1);
        let all = dump(&mut diag);
        assert_eq!(all.len(), 18);
        let messages: Vec<Message<'_>> = all.iter().map(|b| Message::new(b).unwrap()).collect();
        let cgroup = messages[0].attribute(kind::CGROUP_ID).unwrap();
        let cgroup = u64::from_ne_bytes(cgroup.try_into().unwrap());

        let port = |pair: usize| pairs[pair].listener.local_addr().unwrap().port();
        let source = |port| Condition::SourcePort(port, port);
        let destination = |port| Condition::DestinationPort(port, port);
        let source_net = |text: &str, bits| Condition::SourceNet(text.parse().unwrap(), bits);
        let net = |text: &str, bits| Condition::DestinationNet(text.parse().unwrap(), bits);
        let not = |inner| Condition::Not(Box::new(inner));
        let either = |pair| Condition::Or(vec![source(port(pair)), destination(port(pair))]);
        let middle = port(0).min(port(1));
        let cases = vec![
            source(port(0)),
            destination(port(4)),
            either(3),
            Condition::SourcePort(middle, u16::MAX),
            Condition::SourcePort(0, middle),
            Condition::DestinationPort(1, 0),
            Condition::DestinationPort(0, 0),
            net("127.0.0.1", 32),
            net("127.0.0.0", 9),
            net("127.128.0.0", 9),
            source_net("0.0.0.0", 0),
            source_net("::", 0),
            source_net("::", 64),
            source_net("::", 128),
            source_net("::1", 128),
            source_net("::ffff:127.0.0.1", 128),
            source_net("::ffff:0:0", 96),
            net("::", 127),
            Condition::Interface(1),
            Condition::Interface(0),
            Condition::Cgroup(cgroup),
            Condition::Cgroup(cgroup + 1),
            Condition::Mark {
                mark: 0x10,
                mask: 0x10,
            },
            Condition::Mark {
                mark: 0x12,
                mask: 0xff,
            },
            Condition::And(vec![]),
            Condition::Or(vec![]),
            not(either(0)),
            not(not(source_net("127.0.0.0", 8))),
            Condition::And(vec![net("127.0.0.0", 8), not(either(0)), not(either(2))]),
            Condition::Or(vec![
                Condition::And(vec![net("::1", 128), not(destination(port(3)))]),
                Condition::And(vec![source(port(1)), source_net("127.0.0.1", 32)]),
                not(Condition::Or(vec![
                    Condition::SourcePort(1, u16::MAX),
                    net("::", 0),
                ])),
            ]),
        ];
        let mut sizes = std::collections::BTreeSet::new();
        for condition in &cases {
            let bytecode = Bytecode::new(condition).unwrap();
            let mut given = Vec::new();
            for family in [Family::V4, Family::V6] {
                let request = Request {
                    bytecode: Some(&bytecode),
                    ..Request::all(family)
                };
                for bytes in dump_of(&mut diag, &request) {
                    given.push(Message::new(&bytes).unwrap().cookie());
                }
            }
            let mut expected: Vec<u64> = messages
                .iter()
                .filter(|message| holds(condition, **message))
                .map(|message| message.cookie())
                .collect();
            given.sort_unstable();
            expected.sort_unstable();
            assert_eq!(given, expected, "{condition:?}");
            sizes.insert(given.len());
        }
        assert!(
            sizes.len() > 6,
            "the conditions tell nothing apart: {sizes:?}"
        );
    });
}

#[test]
fn the_longest_programs_are_taken_and_what_is_refused_is_told() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut diag = Diag::open().unwrap();
        let pair = Pair::new("127.0.0.1:0", "127.0.0.1:0");
        let port = pair.listener.local_addr().unwrap().port();
        let mut ports: Vec<Condition> = (1..3276).map(|n| Condition::SourcePort(n, n)).collect();
        ports.push(Condition::SourcePort(port, port));
        let bytecode = Bytecode::new(&Condition::Or(ports)).unwrap();
        assert!(bytecode.bytes().len() > 65_000);
        let request = Request {
            bytecode: Some(&bytecode),
            ..Request::all(Family::V4)
        };
        assert_eq!(dump_of(&mut diag, &request).len(), 2);
    });
    // Marks are for who has CAP_NET_ADMIN: the dump is refused, and the next one is answered.
    let refused = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let sets = rustix::thread::CapabilitySets {
                    effective: rustix::thread::CapabilitySet::empty(),
                    ..rustix::thread::capabilities(None).unwrap()
                };
                rustix::thread::set_capabilities(None, sets).unwrap();
                let mut diag = Diag::open().unwrap();
                let mark = Bytecode::new(&Condition::Mark { mark: 1, mask: 1 }).unwrap();
                let request = Request {
                    bytecode: Some(&mark),
                    ..Request::all(Family::V4)
                };
                let refused = diag.dump(&request, &mut |_, _| {});
                diag.dump(&Request::all(Family::V4), &mut |_, _| {})
                    .unwrap();
                refused
            })
            .join()
            .unwrap()
    });
    let Err(DiagError::Refused { error }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

/// Sets a number of SOL_SOCKET.
fn option(socket: &impl AsRawFd, option: i32, value: u32) {
    // SAFETY: the kernel reads a number that lives through the call.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            4,
        )
    };
    assert_eq!(status, 0, "option {option}");
}
