//! A network namespace of its own for each test, and sockets in it. Everything happens on the test's thread: connections are
//! established by the kernel before anybody accepts them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_cookie;
use tcplens_capture::diag::{Destroyed, Diag, Family, Read, Request, wait_readable};
use tcplens_capture::netns;

/// How long something may take to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace in which lo is up.
pub(crate) struct Space(String);

impl Space {
    /// `None`, said aloud: it cannot be had here.
    pub(crate) fn new() -> Option<Space> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcplens-diag-{}-{count}", std::process::id());
        match Command::new("ip").args(["netns", "add", &name]).output() {
            Ok(output) if output.status.success() => {}
            Ok(_) => {
                println!("SKIPPED: network namespaces are not permitted here");
                return None;
            }
            Err(_) => {
                println!("SKIPPED: no ip(8)");
                return None;
            }
        }
        let space = Space(name);
        let up = ["-n", &space.0, "link", "set", "lo", "up"];
        assert!(Command::new("ip").args(up).status().unwrap().success());
        Some(space)
    }

    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        netns::within(&self.0, work).unwrap()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // Left behind at worst.
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// A connection, both its ends held.
pub(crate) struct Pair {
    pub(crate) listener: TcpListener,
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
}

impl Pair {
    /// Listens there and connects to it by another address, perhaps.
    pub(crate) fn new(listen: &str, connect: &str) -> Pair {
        let listener = TcpListener::bind(listen).unwrap();
        let mut to: SocketAddr = connect.parse().unwrap();
        to.set_port(listener.local_addr().unwrap().port());
        let client = TcpStream::connect(to).unwrap();
        let (server, _) = listener.accept().unwrap();
        Pair {
            listener,
            client,
            server,
        }
    }

    /// The numbers that the kernel has for listener, client, server.
    pub(crate) fn cookies(&self) -> [u64; 3] {
        let cookie = |fd: &dyn AsFd| socket_cookie(fd.as_fd()).unwrap();
        [
            cookie(&self.listener),
            cookie(&self.client),
            cookie(&self.server),
        ]
    }
}

/// All that is dumped of both families, as it came.
pub(crate) fn dump(diag: &mut Diag) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for family in [Family::V4, Family::V6] {
        all.extend(dump_of(diag, &Request::all(family)));
    }
    all
}

pub(crate) fn dump_of(diag: &mut Diag, request: &Request<'_>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let counts = diag
        .dump(request, &mut |_, bytes| all.push(bytes.to_vec()))
        .unwrap();
    assert_eq!(counts.sockets, all.len() as u64);
    all
}

/// Reads what is told of destroyed sockets until it is enough.
pub(crate) fn read_until(
    destroyed: &mut Destroyed,
    mut is_enough: impl FnMut(&Destroyed, Read, &[Vec<u8>]) -> bool,
) -> (Read, Vec<Vec<u8>>) {
    let began = Instant::now();
    let (mut all, mut messages) = (Read::default(), Vec::new());
    loop {
        let read = destroyed
            .read(&mut |_, bytes| messages.push(bytes.to_vec()))
            .unwrap();
        all = Read {
            messages: all.messages + read.messages,
            lost: all.lost | read.lost,
            damaged: all.damaged + read.damaged,
            strangers: all.strangers + read.strangers,
        };
        if is_enough(destroyed, all, &messages) {
            return (all, messages);
        }
        assert!(began.elapsed() < PATIENCE, "only this came: {all:?}");
        wait_readable(destroyed, Duration::from_millis(20)).unwrap();
    }
}
