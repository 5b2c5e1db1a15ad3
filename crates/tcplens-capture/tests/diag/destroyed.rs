//! What is told of destroyed sockets, and what is told when there is no room for it.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{SendFlags, getsockname, sendto};
use tcplens_capture::diag::Destroyed;
use tcplens_core::socket::Message;
use tcplens_core::socket::message::{kind, state};

use crate::harness::{Pair, Space, read_until};

/// Connects and closes, so often.
fn connect_and_close(listener: &TcpListener, times: usize) {
    let address = listener.local_addr().unwrap();
    for _ in 0..times {
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        drop(client);
        drop(server);
    }
}

#[test]
fn both_ends_of_every_connection_are_told_with_their_statistics() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut destroyed = Destroyed::open(8 << 20).unwrap();
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let v6 = TcpListener::bind("[::1]:0").unwrap();
        connect_and_close(&v4, 150);
        connect_and_close(&v6, 150);
        let (read, messages) = read_until(&mut destroyed, |_, read, _| read.messages >= 600);
        assert_eq!((read.lost, read.damaged, read.strangers), (false, 0, 0));
        assert_eq!(destroyed.drops(), Some(0));
        let mut cookies = BTreeSet::new();
        let mut families = [0, 0];
        for bytes in &messages {
            let message = Message::new(bytes).unwrap();
            assert!(cookies.insert(message.cookie()), "told twice");
            assert!(message.tcp_info().unwrap().bytes().len() >= 232);
            assert_eq!(message.state(), state::CLOSE);
            assert_eq!((message.uid(), message.inode()), (0, 0));
            let kinds: Vec<u16> = message.attributes().map(|(kind, _)| kind).collect();
            assert!(
                kinds
                    .iter()
                    .all(|kind| [kind::PROTOCOL, kind::PAD, kind::INFO].contains(kind))
            );
            families[usize::from(message.family() == 10)] += 1;
            let own = [&v4, &v6].map(|one| one.local_addr().unwrap().port());
            assert!(own.contains(&message.local().1) || own.contains(&message.remote().1));
        }
        assert_eq!(families, [300, 300]);
    });
}

#[test]
fn the_cookie_is_that_of_the_socket() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut destroyed = Destroyed::open(1 << 20).unwrap();
        let pair = Pair::new("[::]:0", "127.0.0.1:0");
        let expected: BTreeSet<u64> = pair.cookies().into();
        drop(pair);
        let (_, messages) = read_until(&mut destroyed, |_, read, _| read.messages >= 3);
        let told = messages.iter().map(|b| Message::new(b).unwrap().cookie());
        assert_eq!(told.collect::<BTreeSet<u64>>(), expected);
    });
}

#[test]
fn what_finds_no_room_is_told_as_lost_and_counted() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut destroyed = Destroyed::open(4096).unwrap();
        assert!(destroyed.buffer_bytes() <= 8192);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        connect_and_close(&listener, 300);
        let (read, _) = read_until(&mut destroyed, |destroyed, read, _| {
            read.messages + u64::from(destroyed.drops().unwrap()) >= 600
        });
        assert!(
            read.lost && read.messages > 0 && read.messages < 600,
            "{read:?}"
        );
        // All that waited was read: it goes on.
        connect_and_close(&listener, 1);
        let (read, _) = read_until(&mut destroyed, |_, read, _| read.messages >= 2);
        assert!(!read.lost);
        println!("{} messages fitted", read.messages);
    });
}

#[test]
fn what_somebody_else_sends_is_left_out_and_counted() {
    let Some(space) = Space::new() else { return };
    space.within(|| {
        let mut destroyed = Destroyed::open(1 << 20).unwrap();
        let other = Destroyed::open(1 << 20).unwrap();
        let own = SocketAddrNetlink::try_from(getsockname(&destroyed).unwrap()).unwrap();
        // A whole message of a socket, by its form: 88 bytes, SOCK_DIAG_BY_FAMILY.
        let mut forged = [0; 88];
        forged[..4].copy_from_slice(&88_u32.to_ne_bytes());
        forged[4..6].copy_from_slice(&20_u16.to_ne_bytes());
        let to = SocketAddrNetlink::new(own.pid(), 0);
        sendto(&other, &forged, SendFlags::empty(), &to).unwrap();
        let (read, _) = read_until(&mut destroyed, |_, read, _| read.strangers >= 1);
        assert_eq!((read.messages, read.damaged), (0, 0));
    });
}
