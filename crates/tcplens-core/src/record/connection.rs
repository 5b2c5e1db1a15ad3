//! `connection`: one when it ends, parts of it on request.

use std::net::IpAddr;

use super::{
    Close, ConnectionId, Direction, End, HandshakeOutcome, PathState, Protocol, RoleFrom, Side,
    SocketOwner, Vantage,
};
use crate::time::{Span, Timestamp};
use crate::wire::segment::Tunnel;

part! {
    /// What one side of a connection sent, and the round trip between here and that side.
    Sent {
        /// Payload bytes it sent, each byte once.
        bytes: u64 = count,
        /// Segments it sent, as captured: offload may join several.
        segments: u64 = packet_count,
        /// Segments with payload.
        data_segments: u64 = packet_count,
        /// Segments whose whole range was seen before, SYN and FIN included; the kernel counts those of its own end.
        retransmits: u64 = own_count,
        /// Segments of which only a part was seen before.
        partial_retransmits: u64 = packet_count,
        /// Payload bytes that were seen before.
        retransmitted_bytes: u64 = packet_count,
        /// Duplicates that the peer reported (D-SACK, RFC 2883): spurious retransmissions.
        dsacks: u64 = packet_count,
        /// Segments below the highest sequence seen of which nothing was seen before.
        fills: u64 = packet_count,
        /// Of these, sent after the data beyond the hole: lost before this point of observation, and repeated.
        fills_lost: u64 = packet_count,
        /// Of these, sent before the data beyond the hole: reordered on the way here.
        fills_reordered: u64 = packet_count,
        /// Probes of zero or one byte, one below the next expected sequence number.
        keepalives: u64 = packet_count,
        /// Segments with RST.
        resets: u64 = packet_count,
        /// Times it closed its receive window.
        zero_windows: u64 = packet_count,
        /// How long its receive window was closed.
        zero_window_us: Span = packet_span,
        /// Payload bytes that its peer acknowledged and that were never seen here.
        missing_bytes: u64 = packet_count,
        /// Largest payload of one segment, as captured.
        max_segment_bytes: u64 = packet_count,
        /// From here to this side and back: the shortest.
        rtt_min_us: Option<Span> = span,
        /// The mean.
        rtt_mean_us: Option<Span> = span,
        /// The longest.
        rtt_max_us: Option<Span> = span,
        /// How many were measured.
        rtt_samples: u64 = packet_count,
        /// Of the retransmits, those that the server's accept queue may be behind: a client's first data, sent again before any of it
        /// was acknowledged; a server's SYN-ACK, sent again though it had been acknowledged here, and the
        /// client had repeated nothing.
        opening_retransmits: u64 = packet_count,
        /// Small segments (below 1200 bytes) that were held back until all before them was acknowledged: by Nagle's algorithm (RFC
        /// 896), while the peer delayed that acknowledgment. Counted where a bare ACK of all that was sent came 30 to 500 ms later
        /// than the peer's shortest round trip (`rtt_min_us`) would have it, and the segment after the ACK by that side's shortest
        /// round trip, 2 ms more or less, with no data of the peer between them: what comes sooner was sent before the ACK
        /// could be there. Of a side without round trips (`rtt_samples` 0) none is counted.
        held_segments: u64 = packet_count,
        /// By how much these acknowledgments were late by the same measure, all together.
        held_us: Span = packet_span,
    }
}

record! {
    /// One TCP connection, or a part of a long one: then counters are cumulative and `final` is false.
    Connection as "connection" {
        /// First segment seen; of the kernel, when it was established, or first seen.
        time: Timestamp = time,
        /// Where it was observed: `file`, `wire` or `kernel`.
        vantage: Vantage = word,
        /// Joins the record kinds.
        connection_id: ConnectionId = id,
        /// Who sent the first SYN, or as `role_from` says.
        client_ip: IpAddr = ip,
        /// Its port.
        client_port: u64 = count,
        /// The other end.
        server_ip: IpAddr = ip,
        /// Its port.
        server_port: u64 = count,
        /// How client and server were told apart.
        role_from: RoleFrom = word,
        /// `inbound`, `outbound`, `local`, `forwarded`: by the observed host's addresses, where they are known.
        direction: Option<Direction> = word,
        /// Where this observation stands between the two.
        tap_side: Side = word,
        /// Outermost VLAN id.
        vlan: Option<u64> = count,
        /// Innermost tunnel.
        tunnel: Tunnel = word,
        /// Packet number of the first segment, from 1.
        first_frame: Option<u64> = count,
        /// Packet number of the last segment.
        last_frame: Option<u64> = count,
        /// True when the ring dropped packets, or acknowledged bytes were never seen, while it lasted.
        capture_loss: bool = packet_flag,
        /// First to last segment seen; of the kernel, until it was closed.
        duration_us: Option<Span> = span,
        /// The handshake's outcome, or `missed`: the observation began after the SYN.
        handshake: Option<HandshakeOutcome> = word,
        /// The SYN-ACK came after the attempt had been given up.
        late: bool = packet_flag,
        /// How it ended.
        close: Close = word,
        /// Ordinal of this part, from 1; absent on a connection reported whole.
        part: Option<u64> = count,
        /// Whether this is its last record.
        is_final: bool = flag "final",
        /// What it speaks; absent when requests are not looked at, or there were none.
        protocol: Option<Protocol> = word,
        /// Requests on it.
        requests: Option<u64> = count,
        /// Segments that were seen a second time (mirror port, bridge, `any`) and are counted nowhere else.
        duplicates: u64 = packet_count,
        /// What the client sent.
        client: Sent = client_part,
        /// What the server sent.
        server: Sent = server_part,
        /// Whose FIN came first, `client` or `server`; absent where none was seen.
        first_fin: Option<End> = word,
        /// Whose FIN came last; absent unless both were seen.
        last_fin: Option<End> = word,
        /// The socket and whose it is.
        owner: Option<Box<SocketOwner>> = extra,
        /// What the kernel says of the path.
        path: Option<Box<PathState>> = extra,
    }
}
