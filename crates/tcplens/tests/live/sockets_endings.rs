//! Connections that end in every way, and what this process wrote and read at each end of them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_tcp_user_timeout};

use crate::namespace::Namespace;
use crate::tap::until;
use crate::traffic::listen;

/// An end of a connection whose server has this port, and what is right of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right {
    /// How it ended.
    pub what: &'static str,
    pub server_port: u16,
    pub is_server: bool,
    pub sent: u64,
    pub received: u64,
    pub close: &'static str,
    /// How many such ends there are.
    pub count: usize,
    /// The kernel takes its ends from it before it tells that it is destroyed: without a look at it, or the kernel's own view,
    /// nobody knows which one it was.
    pub is_disconnected: bool,
    /// It was never established.
    pub is_attempt: bool,
}

/// Both ends of a connection, with what was written to and read from each.
struct Both {
    what: &'static str,
    port: u16,
    listener: Option<TcpListener>,
    client: TcpStream,
    server: TcpStream,
    sent: [u64; 2],
    received: [u64; 2],
}

impl Both {
    fn open(
        what: &'static str,
        (from, to): (&Namespace, &Namespace),
        address: &str,
        port: u16,
    ) -> Both {
        let address: SocketAddr = format!("{address}:{port}").parse().unwrap();
        let listener = listen(to, address);
        let client = from.within(|| TcpStream::connect(address)).unwrap();
        let (server, _) = listener.accept().unwrap();
        Both {
            what,
            port,
            listener: Some(listener),
            client,
            server,
            sent: [0; 2],
            received: [0; 2],
        }
    }

    /// The client writes so much, which the server reads.
    fn ask(&mut self, bytes: usize) {
        pass(&mut self.client, &mut self.server, bytes);
        self.sent[0] += bytes as u64;
        self.received[1] += bytes as u64;
    }

    /// The server writes so much, which the client reads.
    fn answer(&mut self, bytes: usize) {
        pass(&mut self.server, &mut self.client, bytes);
        self.sent[1] += bytes as u64;
        self.received[0] += bytes as u64;
    }

    /// What is right of both ends, the client's first.
    fn right(&self, closes: [&'static str; 2]) -> [Right; 2] {
        [0, 1].map(|end| Right {
            what: self.what,
            server_port: self.port,
            is_server: end == 1,
            sent: self.sent[end],
            received: self.received[end],
            close: closes[end],
            count: 1,
            is_disconnected: false,
            is_attempt: false,
        })
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) {
    let mut from = from.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || from.write_all(&vec![b'x'; bytes]).unwrap());
        to.read_exact(&mut vec![0; bytes]).unwrap();
    });
}

/// Nothing more comes.
fn ends(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
}

/// The other end has sent a RST.
fn is_reset(stream: &mut TcpStream) {
    assert!(stream.read(&mut [0; 16]).is_err());
}

/// All ways within a namespace: both ends are seen.
pub(crate) fn local(lo: &Namespace) -> Vec<Right> {
    let mut all = Vec::new();
    let open = |what, port| {
        let mut both = Both::open(what, (lo, lo), "127.0.0.1", port);
        both.ask(1000);
        both.answer(2000);
        both
    };

    let mut both = open("a FIN of the client", 7001);
    all.extend(both.right(["fin", "fin"]));
    drop(both.client);
    ends(&mut both.server);
    drop(both.server);

    let mut both = open("a FIN of the server", 7002);
    all.extend(both.right(["fin", "fin"]));
    drop(both.server);
    ends(&mut both.client);
    drop(both.client);

    let mut both = open("a RST of the client", 7003);
    let [mut client, server] = both.right(["reset_sent", "reset_received"]);
    client.is_disconnected = true;
    all.extend([client, server]);
    set_socket_linger(&both.client, Some(Duration::ZERO)).unwrap();
    drop(both.client);
    is_reset(&mut both.server);
    drop(both.server);

    let mut both = open("a RST of the server", 7004);
    let [client, mut server] = both.right(["reset_received", "reset_sent"]);
    server.is_disconnected = true;
    all.extend([client, server]);
    set_socket_linger(&both.server, Some(Duration::ZERO)).unwrap();
    drop(both.server);
    is_reset(&mut both.client);
    drop(both.client);

    let mut both = open("a RST for what was not read", 7005);
    both.client.write_all(&[b'x'; 1500]).unwrap();
    let [mut client, mut server] = both.right(["reset_received", "reset_sent"]);
    client.sent += 1500;
    server.received += 1500;
    all.extend([client, server]);
    until("all of it has come", || {
        both.server.peek(&mut [0; 4096]).unwrap() == 1500
    });
    drop(both.server);
    is_reset(&mut both.client);
    drop(both.client);

    let mut both = open("data after half of it was closed", 7006);
    both.ask(5000);
    both.client.shutdown(Shutdown::Write).unwrap();
    ends(&mut both.server);
    both.answer(7000);
    all.extend(both.right(["fin", "fin"]));
    drop(both.server);
    ends(&mut both.client);
    drop(both.client);

    let mut both = open("data from half of it that the server closed", 7007);
    both.server.shutdown(Shutdown::Write).unwrap();
    ends(&mut both.client);
    both.ask(300_000);
    all.extend(both.right(["fin", "fin"]));
    drop(both.client);
    ends(&mut both.server);
    drop(both.server);

    let mut both = open("an orphan whose other end never closes", 7008);
    let [client, mut server] = both.right(["fin", "reset_received"]);
    server.sent += 100;
    all.extend([client, server]);
    let local = both.client.local_addr().unwrap().port();
    drop(both.client);
    ends(&mut both.server);
    until("nothing is left of it", || !has_local(lo, local));
    both.server.write_all(&[b'x'; 100]).unwrap();
    until("it is answered by a RST", || {
        both.server.write_all(&[]).is_err() || both.server.take_error().unwrap().is_some()
    });
    drop(both.server);

    let times = 100;
    for _ in 0..times {
        let mut both = open("both at once", 7009);
        drop(both.listener.take());
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for stream in [&both.client, &both.server] {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    stream.shutdown(Shutdown::Write).unwrap();
                });
            }
        });
        ends(&mut both.client);
        ends(&mut both.server);
    }
    for is_server in [false, true] {
        all.push(Right {
            what: "both at once",
            server_port: 7009,
            is_server,
            sent: if is_server { 2000 } else { 1000 },
            received: if is_server { 1000 } else { 2000 },
            close: "fin",
            count: times,
            is_disconnected: false,
            is_attempt: false,
        });
    }

    // Nothing but the handshake.
    let both = Both::open("no data at all", (lo, lo), "127.0.0.1", 7010);
    all.extend(both.right(["fin", "fin"]));
    drop(both);

    let listener = listen(lo, "127.0.0.1:7011".parse().unwrap());
    let mut client = lo.within(|| TcpStream::connect("127.0.0.1:7011")).unwrap();
    client.write_all(&[b'x'; 300]).unwrap();
    let right = Right {
        what: "not accepted before the listener closed",
        server_port: 7011,
        is_server: false,
        sent: 300,
        received: 0,
        close: "reset_received",
        count: 1,
        is_disconnected: false,
        is_attempt: false,
    };
    all.extend([
        right,
        Right {
            is_server: true,
            sent: 0,
            received: 300,
            close: "reset_sent",
            is_disconnected: true,
            ..right
        },
    ]);
    drop(listener);
    is_reset(&mut client);
    drop(client);

    assert!(lo.within(|| TcpStream::connect("127.0.0.1:7012")).is_err());
    all.push(Right {
        what: "refused",
        server_port: 7012,
        sent: 0,
        received: 0,
        close: "refused",
        is_disconnected: true,
        is_attempt: true,
        ..right
    });
    all
}

/// Whether a socket with this port is there, or what is left of it.
fn has_local(lo: &Namespace, port: u16) -> bool {
    let table = lo.within(|| std::fs::read_to_string("/proc/thread-self/net/tcp"));
    let end = format!(":{port:04X}");
    let table = table.unwrap();
    let mut locals = table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1));
    locals.any(|local| local.ends_with(&end))
}

/// All ways in which the other end falls silent: only the client's end is seen.
pub(crate) fn silent(here: &Namespace, there: &Namespace) -> Vec<Right> {
    let nobody = "lladdr 02:00:00:00:00:99 dev va nud permanent";
    here.ip(&format!("neighbor replace 10.9.0.99 {nobody}"));
    let connected = here.within(|| TcpStream::connect("10.9.0.99:7021"));
    assert!(connected.is_err());
    let attempt = Right {
        what: "an attempt that nobody answers",
        server_port: 7021,
        is_server: false,
        sent: 0,
        received: 0,
        close: "timed_out",
        count: 1,
        is_disconnected: true,
        is_attempt: true,
    };

    let mut both = Both::open(
        "the other end falls silent",
        (here, there),
        "10.9.0.2",
        7022,
    );
    both.ask(3000);
    both.answer(200);
    set_tcp_user_timeout(&both.client, 600).unwrap();
    here.ip(&format!("neighbor replace 10.9.0.2 {nobody}"));
    both.client.write_all(&[b'x'; 4000]).unwrap();
    is_reset(&mut both.client);
    let [mut client, _] = both.right(["timed_out", ""]);
    client.sent += 4000;
    vec![attempt, client]
}
