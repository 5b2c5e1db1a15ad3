//! `handshake`: one per connection attempt.

use std::net::IpAddr;

use super::{ConnectionId, Direction, Outcome, RoleFrom, Side, SocketOwner, Vantage};
use crate::time::{Span, Timestamp};
use crate::wire::segment::Tunnel;

record! {
    /// One attempt to open a TCP connection. A new initial sequence number is a new attempt; repeats of the same SYN are
    /// not.
    Handshake as "handshake" {
        /// The first SYN; of the kernel of a server, which does not know that, the SYN-ACK.
        time: Timestamp = time,
        /// Where it was observed: `file`, `wire` or `kernel`.
        vantage: Vantage = word,
        /// Joins the record kinds.
        connection_id: ConnectionId = id,
        /// Who sent the SYN.
        client_ip: IpAddr = ip,
        /// Who sent the SYN.
        client_port: u64 = count,
        /// Whom the SYN was sent to.
        server_ip: IpAddr = ip,
        /// Whom the SYN was sent to.
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
        /// Packet number of the first SYN, from 1.
        first_frame: Option<u64> = count,
        /// Packet number of what concluded the attempt, or its last packet.
        last_frame: Option<u64> = count,
        /// True when the ring dropped packets while it lasted, or the server's SYN-ACK was missed.
        capture_loss: bool = packet_flag,
        /// How the attempt ended.
        outcome: Outcome = word,
        /// First SYN to the ACK that established the connection; of the kernel of a client, to the SYN-ACK, with which that ACK
        /// leaves. The kernel of a server does not know it, nor anything else that begins with the SYN.
        handshake_us: Option<Span> = span,
        /// Last SYN before the first SYN-ACK, to it.
        syn_to_synack_us: Option<Span> = span,
        /// First SYN to first SYN-ACK.
        first_syn_to_synack_us: Option<Span> = span,
        /// Last SYN-ACK before the ACK, to the ACK; of the kernel of a server, if no SYN-ACK was repeated.
        synack_to_ack_us: Option<Span> = span,
        /// First SYN to the conclusion, whatever it was.
        wait_us: Option<Span> = span,
        /// SYNs repeated with the same initial sequence number; the kernel knows its own.
        syn_retransmits: u64 = client_count,
        /// SYN-ACKs repeated with the same initial sequence number; the kernel knows its own.
        synack_retransmits: u64 = server_count,
        /// Whether a SYN-ACK that acknowledges the SYN was seen.
        synack_seen: bool = packet_flag,
        /// Refused only: whether a RST acknowledges the SYN (a client ignores one that does not, RFC 9293 3.10.7.3).
        rst_acceptable: Option<bool> = flag,
        /// Type of the last ICMP error that quotes the SYN.
        icmp_type: Option<u64> = count,
        /// Its code.
        icmp_code: Option<u64> = count,
        /// Who sent it.
        icmp_from: Option<IpAddr> = ip,
        /// What connect() returns on Linux: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH... Of the kernel it is what it returned.
        error: Option<&'static str> = word,
        /// Maximum segment size the client announced.
        client_mss: Option<u64> = count,
        /// Maximum segment size the server announced.
        server_mss: Option<u64> = count,
        /// Window scale shift the client offered.
        client_wscale: Option<u64> = count,
        /// Window scale shift the server offered.
        server_wscale: Option<u64> = count,
        /// Whether both sides permit selective acknowledgment; absent without SYN-ACK.
        sack: Option<bool> = flag,
        /// Whether both sides use timestamps; absent without SYN-ACK.
        timestamps: Option<bool> = flag,
        /// Whether ECN was negotiated (RFC 3168); absent without SYN-ACK.
        ecn: Option<bool> = flag,
        /// Whether data on the SYN was accepted, or a fast open option exchanged (RFC 7413).
        fast_open: Option<bool> = flag,
        /// Whether both sides speak MPTCP (RFC 8684); absent without SYN-ACK.
        mptcp: Option<bool> = flag,
        /// The socket and whose it is.
        owner: Option<Box<SocketOwner>> = extra,
    }
}
