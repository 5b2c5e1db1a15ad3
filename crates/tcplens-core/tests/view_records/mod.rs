//! Records made by hand for tests of views: a plain one of each kind, to be changed where a test differs.

use tcplens_core::record::*;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::wire::segment::Tunnel;

/// 2026-11-21T01:08:00Z.
pub(crate) const START: Timestamp = Timestamp(1_795_223_280 * SECOND);

pub(crate) fn ms(ms: u64) -> Option<Span> {
    Some(Span::from_ns(ms * 1_000_000))
}

/// An attempt of `client` at `second`, established within 20 ms.
pub(crate) fn handshake(second: i64, client: &str, server: &str, port: u64) -> Handshake {
    let time = START.plus(second * SECOND);
    Handshake {
        time,
        vantage: Vantage::File,
        connection_id: ConnectionId::Packets {
            first: time,
            flow: 7,
        },
        client_ip: client.parse().expect("an address"),
        client_port: 40_000 + second.unsigned_abs(),
        server_ip: server.parse().expect("an address"),
        server_port: port,
        role_from: RoleFrom::Syn,
        direction: None,
        tap_side: Side::Middle,
        vlan: None,
        tunnel: Tunnel::None,
        first_frame: Some(10 * second.unsigned_abs() + 1),
        last_frame: Some(10 * second.unsigned_abs() + 3),
        capture_loss: false,
        outcome: Outcome::Established,
        handshake_us: ms(20),
        syn_to_synack_us: ms(8),
        first_syn_to_synack_us: ms(8),
        synack_to_ack_us: ms(12),
        wait_us: ms(20),
        syn_retransmits: 0,
        synack_retransmits: 0,
        synack_seen: true,
        rst_acceptable: None,
        icmp_type: None,
        icmp_code: None,
        icmp_from: None,
        error: None,
        client_mss: None,
        server_mss: None,
        client_wscale: None,
        server_wscale: None,
        sack: None,
        timestamps: None,
        ecn: None,
        fast_open: None,
        mptcp: None,
        owner: None,
    }
}

/// The same attempt, failed after `wait_ms` without a SYN-ACK.
pub(crate) fn failed(outcome: Outcome, wait_ms: u64, established: Handshake) -> Handshake {
    Handshake {
        outcome,
        wait_us: ms(wait_ms),
        handshake_us: None,
        syn_to_synack_us: None,
        first_syn_to_synack_us: None,
        synack_to_ack_us: None,
        synack_seen: false,
        ..established
    }
}

/// A connection of one second with 100 data segments each way, closed with FIN.
pub(crate) fn connection(second: i64, client: &str, server: &str, port: u64) -> Connection {
    let from = handshake(second, client, server, port);
    let sent = |rtt: u64| Sent {
        bytes: 100_000,
        segments: 150,
        data_segments: 100,
        rtt_min_us: ms(rtt),
        rtt_mean_us: ms(rtt + 1),
        rtt_max_us: ms(rtt + 3),
        rtt_samples: 90,
        ..Sent::default()
    };
    Connection {
        time: from.time,
        vantage: Vantage::File,
        connection_id: from.connection_id,
        client_ip: from.client_ip,
        client_port: from.client_port,
        server_ip: from.server_ip,
        server_port: port,
        role_from: RoleFrom::Syn,
        direction: None,
        tap_side: Side::Middle,
        vlan: None,
        tunnel: Tunnel::None,
        first_frame: from.first_frame,
        last_frame: from.last_frame,
        capture_loss: false,
        duration_us: ms(1000),
        handshake: Some(HandshakeOutcome::Established),
        late: false,
        close: Close::Fin,
        part: None,
        is_final: true,
        protocol: None,
        requests: None,
        duplicates: 0,
        client: sent(12),
        server: sent(8),
        first_fin: None,
        last_fin: None,
        owner: None,
        path: None,
    }
}

pub(crate) fn health() -> Health {
    Health {
        time: Some(START.plus(60 * SECOND)),
        packets: 1000,
        bytes: 500_000,
        tcp_segments: 1000,
        ..Health::new(Vantage::File)
    }
}
