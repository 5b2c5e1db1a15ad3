//! Requests made by hand: a plain one, to be changed where a test differs.

use tcplens_core::record::*;
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_core::wire::segment::Tunnel;

use super::view_records::{START, ms};

/// `GET shop` to a redis server, the `n`th, begun `n` seconds after START: 1 ms of client, `server_ms` of server, 2 ms of
/// network, 1 ms of transfer.
pub(crate) fn request(n: u64, server: &str, port: u64, server_ms: u64) -> Request<'static> {
    let time = START.plus(n as i64 * SECOND);
    Request {
        time,
        vantage: Vantage::File,
        connection_id: ConnectionId::Packets {
            first: START,
            flow: 7,
        },
        client_ip: "192.0.2.7".parse().expect("an address"),
        client_port: 40_000,
        server_ip: server.parse().expect("an address"),
        server_port: port,
        role_from: RoleFrom::Syn,
        direction: None,
        tap_side: Side::Middle,
        vlan: None,
        tunnel: Tunnel::None,
        capture_loss: false,
        protocol: Protocol::Redis,
        operation: Some("GET"),
        summary: Some("GET shop"),
        status: Status::Ok,
        status_code: None,
        status_text: None,
        ended_by: EndedBy::Response,
        request_bytes: 31,
        response_bytes: 500,
        upload_us: ms(1),
        process_us: ms(server_ms + 2),
        transfer_us: ms(1),
        total_us: ms(server_ms + 4),
        delivered_us: ms(server_ms + 5),
        queued: 0,
        task: n + 1,
        retransmits: 0,
        reordered: false,
        cut: false,
        gap: false,
        early: false,
        client_rtt_us: ms(1),
        server_rtt_us: ms(2),
        in_client_us: ms(1),
        in_queue_us: ms(0),
        in_server_us: ms(server_ms),
        in_network_us: ms(2),
        in_loss_us: ms(0),
        in_window_us: ms(0),
        in_transfer_us: ms(1),
        verdict: Some(Verdict::Server),
        request_frame: Some(100 + 10 * n),
        response_frame: Some(102 + 10 * n),
        window_limit_bytes: None,
        owner: None,
        path: None,
        marks: None,
        answers: None,
    }
}

/// The same without an answer: nothing is known of its response.
pub(crate) fn unanswered(ended_by: EndedBy, request: Request<'static>) -> Request<'static> {
    Request {
        status: Status::Unanswered,
        ended_by,
        response_bytes: 0,
        process_us: None,
        transfer_us: None,
        total_us: None,
        delivered_us: None,
        in_client_us: None,
        in_queue_us: None,
        in_server_us: None,
        in_network_us: None,
        in_loss_us: None,
        in_window_us: None,
        in_transfer_us: None,
        verdict: None,
        response_frame: None,
        ..request
    }
}

/// When it began.
pub(crate) fn at(n: u64) -> Timestamp {
    START.plus(n as i64 * SECOND)
}
