//! Observes while something is done, until what is waited for has been told.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tcplens_capture::kernel::{Kernel, KernelError, KernelOptions, PortRule, Variant};
use tcplens_core::kernel::{Connection, Event, Mode, Task, What};
use tcplens_core::time::Span;

/// How long an event may take to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Both ways in which the programs can be loaded.
pub(crate) const BOTH: [Variant; 2] = [Variant::Storage, Variant::Hash];

/// Server ports that are looked at, nothing else: other tests run beside.
pub(crate) fn server(port: u16) -> KernelOptions {
    KernelOptions {
        ports: vec![rule(port, false)],
        tasks: true,
        attempts: true,
        ..KernelOptions::default()
    }
}

/// The same of remote servers.
pub(crate) fn peer(port: u16) -> KernelOptions {
    KernelOptions {
        ports: vec![rule(port, true)],
        ..server(port)
    }
}

fn rule(port: u16, is_peer: bool) -> PortRule {
    PortRule {
        low: port,
        high: port,
        is_peer,
        mode: Mode::Default,
        first_frame: false,
    }
}

/// Loads the programs; `None`, said aloud: it is not permitted here.
pub(crate) fn open(options: &KernelOptions) -> Option<Kernel> {
    match Kernel::open(options) {
        Ok(kernel) => Some(kernel),
        Err(why @ (KernelError::NotPermitted { .. } | KernelError::NoTypes(_))) => {
            println!("SKIPPED: {why}");
            None
        }
        Err(why) => panic!("{why}"),
    }
}

/// What is told while `act` goes on and after, until `is_all` says that it is enough. `None`: not permitted here.
pub(crate) fn observe(
    options: &KernelOptions,
    act: impl FnOnce(),
    is_all: impl Fn(&[Event]) -> bool,
) -> Option<Vec<Event>> {
    let mut kernel = open(options)?;
    act();
    let mut events = Vec::new();
    let began = Instant::now();
    while !is_all(&events) {
        assert!(began.elapsed() < PATIENCE, "only this came: {events:#?}");
        let polled = kernel.poll(Duration::from_millis(5), &mut |event| events.push(event));
        polled.expect("polls");
    }
    assert_eq!(kernel.counts().drops, 0);
    Some(events)
}

/// The tasks among events.
pub(crate) fn tasks(events: &[Event]) -> Vec<&Task> {
    let mut found = Vec::new();
    for event in events {
        if let What::Task(task) = &event.what {
            found.push(&**task);
        }
    }
    found
}

/// The connections among events.
pub(crate) fn connections(events: &[Event]) -> Vec<&Connection> {
    let mut found = Vec::new();
    for event in events {
        if let What::Connection(connection) = &event.what {
            found.push(connection);
        }
    }
    found
}

/// A connection has been closed.
pub(crate) fn is_closed(events: &[Event]) -> bool {
    connections(events).iter().any(|one| one.closed.is_some())
}

/// A server of one connection, which is done with `behave`.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Server {
    pub(crate) fn v4(behave: impl FnOnce(TcpStream) + Send + 'static) -> Server {
        Server::at(Ipv4Addr::LOCALHOST.into(), behave)
    }

    pub(crate) fn v6(behave: impl FnOnce(TcpStream) + Send + 'static) -> Server {
        Server::at(Ipv6Addr::UNSPECIFIED.into(), behave)
    }

    fn at(address: IpAddr, behave: impl FnOnce(TcpStream) + Send + 'static) -> Server {
        let listener = TcpListener::bind((address, 0)).expect("listens");
        let address = listener.local_addr().expect("has an address");
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("accepts");
            stream.set_nodelay(true).expect("sends at once");
            behave(stream);
        });
        Server { address, thread }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).expect("connects");
        stream.set_nodelay(true).expect("sends at once");
        stream
    }

    pub(crate) fn join(self) {
        self.thread.join().expect("served");
    }
}

/// Reads so many bytes.
pub(crate) fn take(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut taken = vec![0; bytes];
    stream.read_exact(&mut taken).expect("reads");
    taken
}

/// Sends so many bytes.
pub(crate) fn give(stream: &mut TcpStream, bytes: usize) {
    stream.write_all(&vec![b'x'; bytes]).expect("sends");
}

/// So many µs, at least.
pub(crate) fn us(us: u64) -> Span {
    Span::from_ns(us * 1000)
}
