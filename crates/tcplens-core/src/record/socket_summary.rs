//! `socket_summary`: one row per connection of a socket that was watched.

use std::net::IpAddr;

use super::{ConnectionId, Limit, RoleFrom, SocketClose, SocketState, Vantage};
use crate::time::{Span, Timestamp};

record! {
    /// The life of one TCP socket's connection, as far as it was watched. Written when it ends, and for those that are open when
    /// the observation ends (`close` is `open`). Statistics are those of the last look (`final_info`: of the end itself).
    SocketSummary<'a> as "socket_summary" {
        /// When it was first seen; with a source that tells it, when it was opened.
        time: Timestamp = time,
        /// `socket`.
        vantage: Vantage = word,
        /// Joins the record kinds; absent where host or number is not known.
        connection_id: Option<ConnectionId> = id,
        /// The name in archives: prefix, `_`, the socket's number in 16 upper-case hex digits.
        uuid: Option<&'a str> = text,
        /// The socket's number (SO_COOKIE).
        socket_cookie: Option<u64> = count,
        /// Inode of the network namespace.
        netns: Option<u64> = count,
        /// The client's end, as `role_from` says.
        client_ip: Option<IpAddr> = ip,
        /// Its port.
        client_port: Option<u64> = count,
        /// The server's end.
        server_ip: Option<IpAddr> = ip,
        /// Its port.
        server_port: Option<u64> = count,
        /// How client and server were told apart: see `socket`.
        role_from: Option<RoleFrom> = word,
        /// This socket's own end.
        local_ip: IpAddr = ip,
        /// Its port.
        local_port: u64 = count,
        /// The other end.
        remote_ip: Option<IpAddr> = ip,
        /// Its port.
        remote_port: Option<u64> = count,
        /// A process that has or had it.
        pid: Option<u64> = count,
        /// That process's name.
        comm: Option<&'a str> = text,
        /// Its user.
        uid: Option<u64> = count,
        /// Path of its cgroup in the second hierarchy.
        cgroup: Option<&'a str> = text,
        /// The container, as the cgroup's path names it.
        container_id: Option<&'a str> = text,
        /// When it was first seen.
        first_seen: Timestamp = time,
        /// When it was last seen, or told as destroyed.
        last_seen: Timestamp = time,
        /// From `time` to `last_seen`. One that was never polled, and whose opening nobody told, has none.
        duration_us: Option<Span> = span,
        /// Looks at the kernel's sockets that showed it.
        polls: u64 = count,
        /// Records of it that were worth keeping, by the rule in force; thinning does not change this number.
        snapshots: u64 = count,
        /// How it ended: `fin` (its FIN was acknowledged), `reset` (it ended otherwise: RST of either side, or aborted;
        /// with `--kernel` `reset_sent` or `reset_received`),
        /// `timed_out`, `refused`, `failed` (it was to be opened and never was), `vanished` (its end was not seen), `unknown`, `open`.
        close: SocketClose = word,
        /// The last state that was polled; absent for one that never was.
        last_state: Option<SocketState> = word,
        /// Whether the statistics are those of the socket's end, and not of the last look before it.
        final_info: bool = flag,
        /// Payload that it sent, each byte once (`bytes_sent` - `bytes_retrans`): exact; without `final_info` that of the last look,
        /// or what the kernel's own view tells.
        sent_bytes: Option<u64> = count,
        /// Payload that it received: exact; without `final_info` as `sent_bytes`. Absent where it cannot be known whether the peer's
        /// FIN is in `bytes_received`; with `--kernel` that is known.
        received_bytes: Option<u64> = count,
        /// Sequence numbers received, a FIN among them or not.
        bytes_received: Option<u64> = count,
        /// Sequence numbers acknowledged by the peer, SYN and FIN among them.
        bytes_acked: Option<u64> = count,
        /// Payload bytes sent, repeated ones included.
        bytes_sent: Option<u64> = count,
        /// Payload bytes of these that were repeated.
        bytes_retrans: Option<u64> = count,
        /// What of `sent_bytes` was sent since `time`, per second of `duration_us`.
        send_rate: Option<u64> = count,
        /// What of `received_bytes` was received since then, likewise.
        receive_rate: Option<u64> = count,
        /// Segments sent.
        segs_out: Option<u64> = count,
        /// Segments received.
        segs_in: Option<u64> = count,
        /// Segments with payload sent.
        data_segs_out: Option<u64> = count,
        /// Segments with payload received.
        data_segs_in: Option<u64> = count,
        /// Segments retransmitted.
        total_retrans: Option<u64> = count,
        /// Segments retransmitted of a million that were sent.
        retransmits_per_million: Option<u64> = count,
        /// Segments delivered.
        delivered: Option<u64> = count,
        /// Of these acknowledged with ECE.
        delivered_ce: Option<u64> = count,
        /// Repeated for nothing.
        dsack_dups: Option<u64> = count,
        /// Times that reordering was seen.
        reord_seen: Option<u64> = count,
        /// Segments received out of order.
        rcv_ooopack: Option<u64> = count,
        /// Retransmission timeouts.
        total_rto: Option<u64> = count,
        /// The first smoothed round trip that was seen; absent: none was measured.
        first_rtt_us: Option<Span> = span,
        /// The same at last.
        rtt_us: Option<Span> = span,
        /// Largest that was seen.
        max_rtt_us: Option<Span> = span,
        /// Shortest round trip of the last five minutes, at last.
        min_rtt_us: Option<Span> = span,
        /// Mean deviation of the round trip, at last.
        rttvar_us: Option<Span> = span,
        /// Congestion window when it was first seen, in segments.
        first_snd_cwnd: Option<u64> = count,
        /// The same at last.
        snd_cwnd: Option<u64> = count,
        /// Largest that was seen.
        max_snd_cwnd: Option<u64> = count,
        /// Slow-start threshold at last, in segments; absent: none yet.
        snd_ssthresh: Option<u64> = count,
        /// Rate of delivery as last measured, bytes per second.
        delivery_rate: Option<u64> = count,
        /// Largest that was seen.
        max_delivery_rate: Option<u64> = count,
        /// Largest segment sent, in bytes.
        snd_mss: Option<u64> = count,
        /// Name of the congestion control.
        congestion: Option<&'a str> = text,
        /// Time in which something was sent and not acknowledged, or waited to be sent.
        busy_time_us: Option<Span> = span,
        /// Of it limited by the receiver's window.
        rwnd_limited_us: Option<Span> = span,
        /// Of it limited by the send buffer.
        sndbuf_limited_us: Option<Span> = span,
        /// Share of `duration_us` that it was busy, per million: without what of `busy_time_us` was before `time`.
        busy_per_million: Option<u64> = count,
        /// Share of `duration_us` that the receiver's window limited it, per million, likewise.
        rwnd_limited_per_million: Option<u64> = count,
        /// Share of `duration_us` that the send buffer limited it, per million, likewise.
        sndbuf_limited_per_million: Option<u64> = count,
        /// What its sending was limited by for the longest part of `duration_us`: `receiver_window` (`rwnd_limited_us`), `sender`
        /// (`sndbuf_limited_us`), `congestion` (the rest of `busy_time_us`: congestion window, pacing, waiting for ACKs), `application`
        /// (not busy: nothing to send), since `time`; of equals the first. Absent where the duration is not known.
        limited_by: Option<Limit> = word,
        /// ndt7's judgement: something was retransmitted.
        congested: Option<bool> = flag,
        /// ndt7's judgement: the last smoothed round trip is more than twice the shortest, and more than 1 ms.
        bloated: Option<bool> = flag,
        /// ndt7's judgement: fewer than 8192 bytes were acknowledged.
        small: Option<bool> = flag,
    }
}
