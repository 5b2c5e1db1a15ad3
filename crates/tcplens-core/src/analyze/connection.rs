//! The record of a connection, or of a part of it.

use super::Context;
use crate::flow::{Flow, Phase};
use crate::record::{Close, Connection, End, Protocol, Sent};
use crate::roles::end;
use crate::tcp::track::Odd;
use crate::time::{Span, Timestamp};

/// The record of a connection as it stands. `part` is its ordinal if it is reported in parts; the last argument says what
/// is spoken, and how many requests there were, where requests are looked at.
#[must_use]
pub fn connection(
    context: &Context,
    flow: &Flow,
    part: Option<u64>,
    is_final: bool,
    (protocol, requests): (Option<Protocol>, Option<u64>),
) -> Connection {
    let (client_ip, client_port) = end(&flow.key, flow.client);
    let (server_ip, server_port) = end(&flow.key, 1 - flow.client);
    let direction = context.roles.direction(&flow.key, flow.client);
    let client = sent(flow, flow.client);
    let server = sent(flow, 1 - flow.client);
    Connection {
        time: flow.first,
        vantage: context.vantage,
        connection_id: context.id(flow),
        client_ip,
        client_port: u64::from(client_port),
        server_ip,
        server_port: u64::from(server_port),
        role_from: flow.role_from,
        direction,
        tap_side: context.roles.tap_side(direction, flow.tap_side),
        vlan: (flow.vlan != 0).then_some(u64::from(flow.vlan)),
        tunnel: flow.tunnel,
        first_frame: context.frame(flow.first_frame),
        last_frame: context.frame(flow.last_frame),
        capture_loss: client.missing_bytes > 0
            || server.missing_bytes > 0
            || context.has_lost_since(flow.first),
        duration_us: flow.last.since(flow.first),
        handshake: (flow.phase != Phase::Opening || is_final).then_some(flow.handshake),
        late: flow.late,
        close: if is_final { flow.close } else { Close::Open },
        part,
        is_final,
        protocol,
        requests,
        duplicates: u64::from(flow.duplicates),
        client,
        server,
        first_fin: flow.first_fin.map(|side| end_of(flow, side)),
        last_fin: flow
            .first_fin
            .map(|side| 1 - side)
            .filter(|side| flow.sides[usize::from(*side)].finished())
            .map(|side| end_of(flow, side)),
        owner: None,
        path: None,
    }
}

fn end_of(flow: &Flow, side: u8) -> End {
    if side == flow.client {
        End::Client
    } else {
        End::Server
    }
}

fn sent(flow: &Flow, side: u8) -> Sent {
    let (here, peer) = (
        &flow.sides[usize::from(side)],
        &flow.sides[usize::from(1 - side)],
    );
    let odd = flow.odd.get(usize::from(side));
    let rtt = here.rtt(odd);
    let plain = Sent {
        bytes: here.bytes,
        segments: here.segments(odd),
        data_segments: here.data_segments(odd),
        // What was acknowledged without a connection is no payload.
        missing_bytes: if flow.close == Close::Failed {
            0
        } else {
            here.missing_bytes(peer, odd)
        },
        max_segment_bytes: u64::from(here.max_segment),
        rtt_min_us: rtt.map(|(_, min, _)| Span::from_ns(min)),
        rtt_mean_us: rtt.map(|(samples, ..)| Span::from_ns(here.rtt_sum / u64::from(samples))),
        rtt_max_us: rtt.map(|(.., max)| Span::from_ns(max)),
        rtt_samples: rtt.map_or(0, |(samples, ..)| u64::from(samples)),
        ..Sent::default()
    };
    match odd {
        Some(odd) => with_odd(plain, odd, flow.last),
        None => plain,
    }
}

fn with_odd(plain: Sent, odd: &Odd, last: Timestamp) -> Sent {
    Sent {
        retransmits: odd.retransmits,
        partial_retransmits: odd.partial_retransmits,
        retransmitted_bytes: odd.retransmitted_bytes,
        dsacks: odd.dsacks,
        fills: odd.fills,
        fills_lost: odd.fills_lost,
        fills_reordered: odd.fills_reordered,
        keepalives: odd.keepalives,
        resets: odd.resets,
        zero_windows: odd.zero_windows,
        zero_window_us: Span::from_ns(odd.zero_window_ns(last)),
        opening_retransmits: odd.opening_retransmits,
        held_segments: odd.held_segments,
        held_us: Span::from_ns(odd.held_ns),
        ..plain
    }
}
