//! A request as it travels.

use tcplens_core::batch::{Kind, Place, Records};
use tcplens_core::record::*;
use tcplens_core::time::Timestamp;
use tcplens_core::wire::segment::{FlowKey, Tunnel, v4_words};

use super::records::START;

/// `GET shop` to 10.0.0.1:`port`, answered after so many ms.
pub(super) fn request(port: u16, ms: i64) -> Records {
    let mut records = Records::default();
    let [operation, summary, status_text] = records.words(&[0..3, 0..8, 0..0], b"GET shop");
    let answered = START.plus(ms * 1_000_000);
    let row = RequestRow {
        flow: FlowKey {
            low: v4_words(0x0a00_0001),
            high: v4_words(0x0a00_0009),
            ports: [port, 40000],
            context: 0,
        },
        client: 1,
        role_from: RoleFrom::Syn,
        vantage: Vantage::Wire,
        direction: None,
        tap_side: Side::Unknown,
        tunnel: Tunnel::None,
        vlan: 0,
        connection_id: ConnectionId::Packets {
            first: START,
            flow: 1,
        },
        protocol: Protocol::Redis,
        status: Status::Ok,
        ended_by: EndedBy::Response,
        capture_loss: false,
        reordered: false,
        cut: false,
        gap: false,
        status_code: None,
        operation,
        summary,
        status_text,
        times: Times {
            first_request: START,
            last_request: START,
            first_response: answered,
            last_response: answered,
            acknowledged: Timestamp::MIN,
        },
        request_bytes: 31,
        response_bytes: 5,
        task: 1,
        queued: 0,
        retransmits: 0,
        rtt: [None, Some(1000)],
        queue_end: Timestamp::MIN,
        troubled: None,
        is_held_up: false,
        frames: [4, 5],
        windows: [0; 2],
    };
    let place = Place {
        kind: Kind::Request,
        ..Place::default()
    };
    records.request(place, row);
    records
}
