//! Dumps against what is known otherwise: the sockets that the test holds, and /proc/net/tcp.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use tcplens_capture::clock;
use tcplens_capture::diag::{Destroyed, Diag, Family, Request};
use tcplens_core::socket::Message;
use tcplens_core::socket::message::state;

use crate::harness::{Pair, Space, dump, dump_of};

const PAIRS: [(&str, &str); 4] = [
    ("127.0.0.1:0", "127.0.0.1:0"),
    ("[::1]:0", "[::1]:0"),
    // Dual-stack: both ends' view of IPv4 over a listener of IPv6.
    ("[::]:0", "127.0.0.1:0"),
    ("0.0.0.0:0", "127.0.0.9:0"),
];

#[test]
fn every_socket_is_in_the_dump_with_its_cookie_and_ends() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut diag = Diag::open().unwrap();
        let pairs = PAIRS.map(|(listen, connect)| Pair::new(listen, connect));
        let before = clock::now();
        let all = dump(&mut diag);
        let after = clock::now();
        let messages: BTreeMap<u64, Message<'_>> = all
            .iter()
            .map(|bytes| Message::new(bytes).unwrap())
            .map(|message| (message.cookie(), message))
            .collect();
        assert_eq!((messages.len(), all.len()), (12, 12));
        for (pair, (listen, _)) in pairs.iter().zip(PAIRS) {
            let [listener, client, server] = pair.cookies();
            let [listener, client, server] =
                [&listener, &client, &server].map(|cookie| messages[cookie]);
            assert_eq!(listener.state(), state::LISTEN);
            assert_eq!(listener.family() == 10, listen.starts_with('['));
            assert_eq!(server.family(), listener.family());
            for (message, socket) in [(client, &pair.client), (server, &pair.server)] {
                assert_eq!(message.state(), state::ESTABLISHED);
                let canonical = |end: std::net::SocketAddr| (end.ip().to_canonical(), end.port());
                assert_eq!(message.local(), canonical(socket.local_addr().unwrap()));
                assert_eq!(message.remote(), canonical(socket.peer_addr().unwrap()));
                assert!(message.tcp_info().unwrap().bytes().len() >= 232);
                assert!(message.inode() != 0 && !message.is_remains());
            }
        }
        // The same socket of netlink again, and the times of its batches.
        let mut times = Vec::new();
        let request = Request::all(Family::V4);
        let counts = diag.dump(&request, &mut |at, _| times.push(at)).unwrap();
        assert_eq!((counts.sockets, counts.strangers), (7, 0));
        assert!(before <= after && times.iter().all(|&at| at >= after && at <= clock::now()));
    });
}

#[test]
fn states_and_extensions_are_those_that_are_asked_for() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut diag = Diag::open().unwrap();
        let pair = Pair::new("127.0.0.1:0", "127.0.0.1:0");
        let request = Request {
            states: 1 << state::LISTEN,
            extensions: 0,
            ..Request::all(Family::V4)
        };
        let all = dump_of(&mut diag, &request);
        assert_eq!(all.len(), 1);
        let message = Message::new(&all[0]).unwrap();
        assert_eq!(message.cookie(), pair.cookies()[0]);
        assert!(message.tcp_info().is_none());
    });
}

#[test]
fn large_dumps_come_in_batches_and_are_whole() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut diag = Diag::open().unwrap();
        let pairs: Vec<Pair> = (0..200)
            .map(|_| Pair::new("127.0.0.1:0", "127.0.0.1:0"))
            .collect();
        let expected: BTreeSet<u64> = pairs.iter().flat_map(Pair::cookies).collect();
        let mut cookies = BTreeSet::new();
        let mut latest = clock::now();
        let counts = diag.dump(&Request::all(Family::V4), &mut |at, bytes| {
            assert!(at >= latest);
            latest = at;
            assert!(cookies.insert(Message::new(bytes).unwrap().cookie()));
        });
        let counts = counts.unwrap();
        assert!(counts.batches > 5 && counts.bytes > 600 * 300, "{counts:?}");
        assert_eq!(cookies, expected);
    });
}

#[test]
fn a_dump_is_what_proc_tells() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut diag = Diag::open().unwrap();
        let mut pairs = PAIRS.map(|(listen, connect)| Pair::new(listen, connect));
        // One in TIME_WAIT and one in CLOSE_WAIT and FIN_WAIT2.
        let [gone, half, ..] = &mut pairs;
        half.client.shutdown(std::net::Shutdown::Write).unwrap();
        gone.client.shutdown(std::net::Shutdown::Write).unwrap();
        gone.server.shutdown(std::net::Shutdown::Write).unwrap();
        for (family, file) in [(Family::V4, "tcp"), (Family::V6, "tcp6")] {
            let all = dump_of(&mut diag, &Request::all(family));
            let mut dumped: Vec<Line> = all.iter().map(|bytes| Line::dumped(bytes)).collect();
            // Of this thread: its namespace is not the process's.
            let text = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap();
            let mut told: Vec<Line> = text.lines().skip(1).map(Line::told).collect();
            dumped.sort();
            told.sort();
            assert!(told.len() >= 4);
            assert_eq!(dumped, told);
        }
    });
}

#[test]
fn a_socket_of_another_namespace_stays_there() {
    let Some(space) = Space::new() else { return };
    let mut diag = space.within(Diag::open).unwrap();
    assert_eq!(dump(&mut diag).len(), 0);
    let pair = space.within(|| Pair::new("127.0.0.1:0", "127.0.0.1:0"));
    assert_eq!(dump(&mut diag).len(), 3);
    drop(pair);
}

#[test]
fn dumps_and_destroyed_sockets_take_no_privilege() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let _pair = Pair::new("127.0.0.1:0", "127.0.0.1:0");
        let uid = rustix::process::geteuid();
        assert!(uid.is_root());
        let nobody = || {
            // A thread of its own, in the same namespace: the kernel has identities for each.
            let (uid, gid) = (Uid::from_raw(65534), Gid::from_raw(65534));
            set_thread_res_gid(gid, gid, gid).unwrap();
            set_thread_res_uid(uid, uid, uid).unwrap();
            assert!(std::fs::read("/proc/kmsg").is_err(), "nothing is left");
            let mut diag = Diag::open().unwrap();
            assert_eq!(dump(&mut diag).len(), 3);
            let destroyed = Destroyed::open(1 << 30).unwrap();
            (destroyed.buffer_bytes(), destroyed.drops())
        };
        let (allowed, drops) = std::thread::scope(|scope| scope.spawn(nobody).join()).unwrap();
        assert_eq!(drops, Some(0));
        let forced = Destroyed::open(64 << 20).unwrap().buffer_bytes();
        assert_eq!(forced, 64 << 20);
        assert!(allowed < forced, "{allowed}");
    });
}

/// A socket as both tell it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: u8,
    inode: u32,
}

impl Line {
    fn dumped(bytes: &[u8]) -> Line {
        let message = Message::new(bytes).unwrap();
        Line {
            local: message.local(),
            remote: message.remote(),
            state: message.state(),
            inode: message.inode(),
        }
    }

    fn told(line: &str) -> Line {
        let words: Vec<&str> = line.split_whitespace().collect();
        Line {
            local: end(words[1]),
            remote: end(words[2]),
            state: u8::from_str_radix(words[3], 16).unwrap(),
            inode: words[9].parse().unwrap(),
        }
    }
}

/// `0100007F:1F90`: words of the address as numbers of the host.
fn end(text: &str) -> (IpAddr, u16) {
    let (address, port) = text.split_once(':').unwrap();
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).unwrap(), 16).unwrap();
        bytes.extend(word.to_ne_bytes());
    }
    let address: IpAddr = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(four) => Ipv4Addr::from(four).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[..]).unwrap()).into(),
    };
    let port = u16::from_str_radix(port, 16).unwrap();
    (address.to_canonical(), port)
}
