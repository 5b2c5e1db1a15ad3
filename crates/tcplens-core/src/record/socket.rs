//! `socket`: one look at one socket. What comes with `struct tcp_info`, memory and options: socket_parts.rs.

use std::net::IpAddr;

use super::{
    ConnectionId, RoleFrom, SocketClose, SocketFamily, SocketMemory, SocketOptions, SocketShutdown,
    SocketState, SocketTimer, TcpAlgorithm, TcpStatistics, Vantage,
};
use crate::time::{Span, Timestamp};

record! {
    /// One look at one TCP socket of the kernel: what sock_diag tells of it, under the kernel's own names (`tcp_info` without
    /// `tcpi_`). Counters are those of the socket's whole life.
    Socket<'a> as "socket" {
        /// When the kernel's answer was read.
        time: Timestamp = time,
        /// `socket`.
        vantage: Vantage = word,
        /// Joins the record kinds: of the host and the socket's number. Absent where the host or the number is not known.
        connection_id: Option<ConnectionId> = id,
        /// The name in archives: prefix, `_`, the socket's number in 16 upper-case hex digits.
        uuid: Option<&'a str> = text,
        /// Archives: the number of the segment (file) it stands in, from 0.
        sequence: Option<u64> = count,
        /// When it was first seen; in archives `StartTime`.
        first_seen: Option<Timestamp> = time,
        /// The socket's number (SO_COOKIE), never used twice while the machine runs.
        socket_cookie: Option<u64> = count,
        /// Inode of the network namespace.
        netns: Option<u64> = count,
        /// Its state, in the words of ss(8). What was left of a connection that this end closed first (`time_wait`, and
        /// `fin_wait2` without statistics) is no socket any more; a socket that has been destroyed is `close`.
        state: Option<SocketState> = word,
        /// The client's end, as `role_from` says; absent for a listener.
        client_ip: Option<IpAddr> = ip,
        /// Its port.
        client_port: Option<u64> = count,
        /// The server's end.
        server_ip: Option<IpAddr> = ip,
        /// Its port.
        server_port: Option<u64> = count,
        /// How client and server were told apart: `socket`: a socket with a listener on its local port is the server's,
        /// any other the client's; `port`: nobody knows of listeners (archives), the higher port is the client.
        role_from: Option<RoleFrom> = word,
        /// This socket's own end.
        local_ip: IpAddr = ip,
        /// Its port.
        local_port: u64 = count,
        /// The other end; absent for a listener.
        remote_ip: Option<IpAddr> = ip,
        /// Its port.
        remote_port: Option<u64> = count,
        /// `ipv4` or `ipv6`: the socket's own family. One for IPv6 may talk IPv4; its addresses are shown as IPv4.
        family: Option<SocketFamily> = word,
        /// Name of the interface it is bound to; absent where it is bound to none, or the name is not known.
        interface: Option<&'a str> = text,
        /// Number of that interface.
        ifindex: Option<u64> = count,
        /// A process that has it.
        pid: Option<u64> = count,
        /// That process's name.
        comm: Option<&'a str> = text,
        /// Its user; absent for what is no socket any more.
        uid: Option<u64> = count,
        /// Its inode, to which `/proc/PID/fd` points; absent: no process has it (any more, or not accepted yet).
        inode: Option<u64> = count,
        /// Path of its cgroup in the second hierarchy.
        cgroup: Option<&'a str> = text,
        /// Number of that cgroup.
        cgroup_id: Option<u64> = count,
        /// The container, as the cgroup's path names it.
        container_id: Option<&'a str> = text,
        /// Whether this is its last record.
        is_final: bool = flag "final",
        /// How it ended; absent while it lives.
        close: Option<SocketClose> = word,
        /// Since it was first seen.
        duration_us: Option<Span> = span,
        /// Since the look before, which the rates are of.
        interval_us: Option<Span> = span,
        /// Payload sent since the look before, each byte once, per second.
        send_rate: Option<u64> = count,
        /// Payload received in order since the look before, per second (a FIN among it counts as one byte).
        receive_rate: Option<u64> = count,
        /// Segments retransmitted since the look before, per second, rounded up.
        retransmit_rate: Option<u64> = count,
        /// The timer that fires next: `retransmit`, `keepalive`, `time_wait`, `persist` (window probe), `delayed_ack`.
        timer: Option<SocketTimer> = word,
        /// Until it fires; absent without a timer.
        timer_us: Option<Span> = span,
        /// How often that timer has fired in a row.
        timer_retransmits: u64 = count,
        /// Received in order and not read by the application; a FIN that was not read counts as one byte.
        rqueue_bytes: Option<u64> = count,
        /// Written by the application and not acknowledged, sent or not; SYN and FIN count as one byte each.
        wqueue_bytes: Option<u64> = count,
        /// Listeners: connections that wait for accept(2).
        accept_queue: Option<u64> = count,
        /// Listeners: how many may wait.
        accept_queue_max: Option<u64> = count,
        /// Which directions are shut down: `none`, `receive` (the peer's FIN came), `send`, `both`; a destroyed socket always
        /// says `both`.
        shutdown: Option<SocketShutdown> = word,
        /// Statistics.
        tcp: Option<Box<TcpStatistics>> = extra,
        /// Name of the congestion control.
        congestion: Option<&'a str> = text,
        /// What the algorithm tells of itself.
        algorithm: Option<Box<TcpAlgorithm>> = extra,
        /// Memory.
        memory: Option<Box<SocketMemory>> = extra,
        /// Options.
        options: Option<Box<SocketOptions>> = extra,
        /// What a newer kernel appended to `tcp_info` behind the fields above, as hex digits.
        tcp_info_tail: Option<String> = text,
        /// Attributes that are not known here or are not as expected: `kind:hex;kind:hex`.
        unknown_attributes: Option<String> = text,
    }
}
