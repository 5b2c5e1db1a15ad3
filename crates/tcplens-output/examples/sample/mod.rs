//! Typical records, for the measurement and for tests.

use std::net::IpAddr;

use tcplens_core::record::{
    Close, Connection, ConnectionId, Handshake, HandshakeOutcome, Outcome, RoleFrom, Sent, Side,
    Vantage,
};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::wire::segment::Tunnel;

/// An established handshake over IPv4. `n` varies what varies in a capture.
pub(crate) fn handshake(n: u64) -> Handshake {
    Handshake {
        time: time(n),
        vantage: Vantage::File,
        connection_id: ConnectionId::Packets {
            first: time(n),
            flow: (n as u32).wrapping_mul(0x9E37_79B9),
        },
        client_ip: IpAddr::from([10, 77, (n >> 8) as u8, n as u8]),
        client_port: 32_768 + n * 7 % 28_000,
        server_ip: IpAddr::from([10, 77, 0, 2]),
        server_port: 443,
        role_from: RoleFrom::Syn,
        direction: None,
        tap_side: Side::Client,
        vlan: None,
        tunnel: Tunnel::None,
        first_frame: Some(1 + n * 12),
        last_frame: Some(3 + n * 12),
        capture_loss: false,
        outcome: Outcome::Established,
        handshake_us: Some(Span::from_ns(10_412_000 + n * 1000)),
        syn_to_synack_us: Some(Span::from_ns(10_373_000 + n * 1000)),
        first_syn_to_synack_us: Some(Span::from_ns(10_373_000 + n * 1000)),
        synack_to_ack_us: Some(Span::from_ns(39_000)),
        wait_us: Some(Span::from_ns(10_412_000 + n * 1000)),
        syn_retransmits: 0,
        synack_retransmits: 0,
        synack_seen: true,
        rst_acceptable: None,
        icmp_type: None,
        icmp_code: None,
        icmp_from: None,
        error: None,
        client_mss: Some(1460),
        server_mss: Some(1460),
        client_wscale: Some(7),
        server_wscale: Some(7),
        sack: Some(true),
        timestamps: Some(true),
        ecn: Some(false),
        fast_open: Some(false),
        mptcp: Some(false),
        owner: None,
    }
}

/// A closed connection without trouble.
pub(crate) fn connection(n: u64) -> Connection {
    let sent = |bytes: u64| Sent {
        bytes: bytes + n * 31 % 5_000,
        segments: 7 + n % 5,
        data_segments: 3 + n % 5,
        max_segment_bytes: bytes.min(1448),
        rtt_min_us: Some(Span::from_ns(210_000 + n * 1000)),
        rtt_mean_us: Some(Span::from_ns(260_333 + n * 1001)),
        rtt_max_us: Some(Span::from_ns(512_000 + n * 1000)),
        rtt_samples: 5,
        ..Sent::default()
    };
    Connection {
        time: time(n),
        vantage: Vantage::File,
        connection_id: ConnectionId::Packets {
            first: time(n),
            flow: (n as u32).wrapping_mul(0x9E37_79B9),
        },
        client_ip: IpAddr::from([10, 77, (n >> 8) as u8, n as u8]),
        client_port: 32_768 + n * 7 % 28_000,
        server_ip: IpAddr::from([10, 77, 0, 2]),
        server_port: 443,
        role_from: RoleFrom::Syn,
        direction: None,
        tap_side: Side::Client,
        vlan: None,
        tunnel: Tunnel::None,
        first_frame: Some(1 + n * 12),
        last_frame: Some(12 + n * 12),
        capture_loss: false,
        duration_us: Some(Span::from_ns(183_412_000 + n * 1000)),
        handshake: Some(HandshakeOutcome::Established),
        late: false,
        close: Close::Fin,
        part: None,
        is_final: true,
        protocol: None,
        requests: None,
        duplicates: 0,
        client: sent(512),
        server: sent(18_244),
        first_fin: None,
        last_fin: None,
        owner: None,
        path: None,
    }
}

fn time(n: u64) -> Timestamp {
    Timestamp(1_795_223_302_384_589_048).plus((n * 713_211) as i64)
}
