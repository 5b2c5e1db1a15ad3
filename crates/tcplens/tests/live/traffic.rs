//! Traffic with known answers: real sockets of this process, in the namespaces of the test.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::namespace::Namespace;

/// Nothing here waits for longer.
const PATIENCE: Duration = Duration::from_secs(20);

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// Listens in a namespace. A process that another test starts holds the descriptor of the listener before for a moment,
/// between fork and exec: then the address is in use.
pub(crate) fn listen(namespace: &Namespace, address: SocketAddr) -> TcpListener {
    let end = Instant::now() + PATIENCE;
    loop {
        match namespace.within(|| TcpListener::bind(address)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(2));
            }
            bound => return bound.unwrap(),
        }
    }
}

/// Both ends of an open connection.
pub(crate) struct Connection {
    pub client: TcpStream,
    pub server: TcpStream,
}

impl Connection {
    /// From `client` to a port of `address` in `server`.
    pub(crate) fn open(client: &Namespace, server: &Namespace, address: &str) -> Connection {
        let address: SocketAddr = address.parse().unwrap();
        let listener = listen(server, address);
        let connect = || TcpStream::connect_timeout(&address, PATIENCE);
        let client = client.within(connect).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_nodelay(true).unwrap();
            end.set_read_timeout(Some(PATIENCE)).unwrap();
            end.set_write_timeout(Some(PATIENCE)).unwrap();
        }
        Connection { client, server }
    }

    /// The client's port.
    pub(crate) fn port(&self) -> u16 {
        self.client.local_addr().unwrap().port()
    }

    /// One request and its response.
    pub(crate) fn ping(&mut self) {
        self.pipeline(1);
    }

    /// So many requests at once, and their responses.
    pub(crate) fn pipeline(&mut self, requests: usize) {
        self.client.write_all(&PING.repeat(requests)).unwrap();
        let mut asked = vec![0; PING.len() * requests];
        self.server.read_exact(&mut asked).unwrap();
        self.server.write_all(&PONG.repeat(requests)).unwrap();
        let mut answered = vec![0; PONG.len() * requests];
        self.client.read_exact(&mut answered).unwrap();
    }

    /// A request of so many bytes, and its response.
    pub(crate) fn upload(&mut self, bytes: usize) {
        let mut request = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${bytes}\r\n").into_bytes();
        request.resize(request.len() + bytes, b'x');
        request.extend(b"\r\n");
        let Connection { client, server } = self;
        std::thread::scope(|scope| {
            let length = request.len();
            scope.spawn(move || {
                server.read_exact(&mut vec![0; length]).unwrap();
                server.write_all(b"+OK\r\n").unwrap();
            });
            client.write_all(&request).unwrap();
            client.read_exact(&mut [0; 5]).unwrap();
        });
    }

    /// A request, and a response with a value of so many bytes.
    pub(crate) fn download(&mut self, bytes: usize) {
        let request = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        let mut response = format!("${bytes}\r\n").into_bytes();
        response.resize(response.len() + bytes, b'x');
        response.extend(b"\r\n");
        let Connection { client, server } = self;
        client.write_all(request).unwrap();
        server.read_exact(&mut [0; 20]).unwrap();
        std::thread::scope(|scope| {
            let length = response.len();
            scope.spawn(move || client.read_exact(&mut vec![0; length]).unwrap());
            server.write_all(&response).unwrap();
        });
    }

    /// Closes it, the client first; each FIN is acknowledged when this returns.
    pub(crate) fn close(mut self) -> u16 {
        let port = self.port();
        self.client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        self.server.read_to_end(&mut rest).unwrap();
        self.server.shutdown(std::net::Shutdown::Write).unwrap();
        self.client.read_to_end(&mut rest).unwrap();
        port
    }
}

/// A connection with so many requests, one after the other; the client's port.
pub(crate) fn pings(client: &Namespace, server: &Namespace, address: &str, requests: usize) -> u16 {
    let mut connection = Connection::open(client, server, address);
    for _ in 0..requests {
        connection.ping();
    }
    connection.close()
}

/// An attempt that nobody listens to.
pub(crate) fn refused(client: &Namespace, address: &str) {
    let address: SocketAddr = address.parse().unwrap();
    let connect = || TcpStream::connect_timeout(&address, PATIENCE);
    assert!(client.within(connect).is_err());
}

/// A datagram to a port where somebody listens.
pub(crate) fn datagram(from: &Namespace, to: &Namespace, address: &str) {
    let receiver = to.within(|| UdpSocket::bind(address)).unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let sender = from.within(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
    sender.send_to(b"hello", address).unwrap();
    receiver.recv(&mut [0; 16]).unwrap();
}
