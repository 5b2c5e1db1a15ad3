//! `request`: one per request/response pair.

use std::net::IpAddr;

use super::{
    ConnectionId, Direction, EndedBy, PathState, Protocol, RoleFrom, Side, SocketOwner, Status,
    TaskMarks, Vantage, Verdict,
};
use crate::time::{Span, Timestamp};
use crate::wire::segment::Tunnel;

record! {
    /// One request and its response. T0 is when the first byte of the request was captured, T1 when the last was, T2 and T3
    /// the same of the response, T4 the ACK that covers it. Where data comes out of order, first and last are meant in time.
    /// The kernel of a server knows T0 to T4 (its T4 is TCP-RT's T3), that of a client T0, T2, T3, and T1 if the request's
    /// last segment was not acknowledged before the response came. A server's T3 there is when the last of its response was
    /// sent, in several segments also again; of a response that the next request did not wait for T3 and T4 are not known. Where
    /// the other end's window held it up, where something was sent again or came out of order, and where a request did not wait
    /// for the one before, the kernel has no time budget.
    Request<'a> as "request" {
        /// T0.
        time: Timestamp = time,
        /// Where it was observed: `file`, `wire` or `kernel`.
        vantage: Vantage = word,
        /// Joins the record kinds.
        connection_id: ConnectionId = id,
        /// Who asked.
        client_ip: IpAddr = ip,
        /// Its port.
        client_port: u64 = count,
        /// Who was asked.
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
        /// True when bytes of the connection were acknowledged and never seen here, or the ring dropped packets, while the
        /// request lasted.
        capture_loss: bool = packet_flag,
        /// What the connection speaks; `turn`: nothing that is known, client bytes and then server bytes.
        protocol: Protocol = word,
        /// The verb: `SET`, `GET`, `COM_QUERY`, `A`, `login`.
        operation: Option<&'a str> = text,
        /// One printable line that says what was asked for, cut at `--summary-bytes`.
        summary: Option<&'a str> = text,
        /// How it went: `ok`, `error`, `none` (no reply is owed), `unanswered`; of a response that was cut off as far as it
        /// told, and `ended_by` says what cut it off.
        status: Status = word,
        /// The protocol's number for it.
        status_code: Option<u64> = count,
        /// The protocol's words for it.
        status_text: Option<&'a str> = text,
        /// What ended it: the response, or what cut it off.
        ended_by: EndedBy = word,
        /// Payload of the request.
        request_bytes: u64 = count,
        /// Payload of the response.
        response_bytes: u64 = count,
        /// T1 - T0.
        upload_us: Option<Span> = span,
        /// T2 - T1; absent when the response began before the request ended.
        process_us: Option<Span> = span,
        /// T3 - T2.
        transfer_us: Option<Span> = span,
        /// T3 - T0.
        total_us: Option<Span> = span,
        /// T4 - T0: contains the receiver's delayed ACK.
        delivered_us: Option<Span> = span,
        /// Requests that were outstanding on this connection when it was sent; of the kernel 1 for any number of them.
        queued: u64 = count,
        /// Ordinal on its connection, from 1.
        task: u64 = count,
        /// Segments that were retransmitted, in either direction, while it ran; the kernel counts those of its own end.
        retransmits: u64 = count,
        /// Data came out of order while it ran.
        reordered: bool = flag,
        /// Payload was cut by the snap length.
        cut: bool = packet_flag,
        /// Bytes of it were never seen.
        gap: bool = packet_flag,
        /// The response began before the request ended.
        early: bool = packet_flag,
        /// Shortest round trip from here to the client and back, so far.
        client_rtt_us: Option<Span> = span,
        /// Shortest round trip from here to the server and back, so far.
        server_rtt_us: Option<Span> = span,
        /// Time budget: the client was sending the request.
        in_client_us: Option<Span> = span,
        /// Time budget: an earlier request of the connection was still being answered.
        in_queue_us: Option<Span> = span,
        /// Time budget: the server had it.
        in_server_us: Option<Span> = span,
        /// Time budget: it, or the first byte of the response, was on its way between here and the server.
        in_network_us: Option<Span> = span,
        /// Time budget: something lost was not yet repaired.
        in_loss_us: Option<Span> = span,
        /// Time budget: data waited for a closed receive window.
        in_window_us: Option<Span> = span,
        /// Time budget: the response was being sent.
        in_transfer_us: Option<Span> = span,
        /// The largest of the budget.
        verdict: Option<Verdict> = word,
        /// Packet number of T0.
        request_frame: Option<u64> = count,
        /// Packet number of T2.
        response_frame: Option<u64> = count,
        /// Largest receive window that the client, for the response, or the server, for the request, had announced by then: where
        /// that is what limited it. There are six such windows of it at least, and it took between 0.8 and 1.8 round trips
        /// (client to server and back, the shortest) for each.
        window_limit_bytes: Option<u64> = count,
        /// The socket and whose it is.
        owner: Option<&'a SocketOwner> = extra,
        /// What the kernel says of the path.
        path: Option<&'a PathState> = extra,
        /// TCP-RT's marks.
        marks: Option<&'a TaskMarks> = extra,
        /// DNS: the addresses that were answered for the name that was asked for, with a blank between them, as far as 512
        /// bytes hold them.
        answers: Option<&'a str> = text,
    }
}
