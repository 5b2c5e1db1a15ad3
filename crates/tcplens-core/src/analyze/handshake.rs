//! The record of a connection attempt.

use super::Context;
use crate::flow::Flow;
use crate::record::{Handshake, Outcome};
use crate::roles::end;
use crate::tcp::handshake::Opening;
use crate::time::Timestamp;
use crate::wire::segment::{SynOptions, syn_option};

/// The record of an attempt that is decided now. `flow` is its connection.
#[must_use]
pub fn handshake(
    context: &Context,
    flow: &Flow,
    opening: &Opening,
    outcome: Outcome,
    now: Timestamp,
) -> Handshake {
    let (client_ip, client_port) = end(&flow.key, flow.client);
    let (server_ip, server_port) = end(&flow.key, 1 - flow.client);
    let direction = context.roles.direction(&flow.key, flow.client);
    let times = opening.times();
    let established = if outcome == Outcome::Established {
        opening.concluded()
    } else {
        None
    };
    let wait = match opening.concluded() {
        Some(at) => at.since(times.first_syn),
        None => now.since(opening.first_clock),
    };
    let (client, server) = opening.options();
    let icmp = opening.icmp_error();
    let both = |bit: u8| server.map(|server| client.bits & server.bits & bit != 0);
    Handshake {
        time: times.first_syn,
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
        last_frame: context.frame(opening.last_frame),
        capture_loss: outcome == Outcome::OneSided && opening.server_seen()
            || context.has_lost_since(times.first_syn),
        outcome,
        handshake_us: established.and_then(|at| at.since(times.first_syn)),
        syn_to_synack_us: times.first_synack.and_then(|at| at.since(times.last_syn)),
        first_syn_to_synack_us: times.first_synack.and_then(|at| at.since(times.first_syn)),
        synack_to_ack_us: match times.first_synack {
            Some(_) => established.and_then(|at| at.since(times.last_synack)),
            None => None,
        },
        wait_us: wait,
        syn_retransmits: u64::from(opening.syn_retransmits),
        synack_retransmits: u64::from(opening.synack_retransmits),
        synack_seen: opening.synack_seen(),
        rst_acceptable: (outcome == Outcome::Refused).then(|| opening.rst_acceptable()),
        icmp_type: icmp.map(|(kind, ..)| u64::from(kind)),
        icmp_code: icmp.map(|(_, code, ..)| u64::from(code)),
        icmp_from: icmp.map(|(.., from)| from),
        error: error(
            outcome,
            icmp.map(|(kind, code, is_v6, _)| (kind, code, is_v6)),
        ),
        client_mss: option(client, syn_option::MSS, u64::from(client.mss)),
        server_mss: server
            .and_then(|server| option(server, syn_option::MSS, u64::from(server.mss))),
        client_wscale: option(client, syn_option::WSCALE, u64::from(client.wscale)),
        server_wscale: server
            .and_then(|server| option(server, syn_option::WSCALE, u64::from(server.wscale))),
        sack: both(syn_option::SACK),
        timestamps: both(syn_option::TIMESTAMPS),
        ecn: server.map(|_| opening.ecn()),
        fast_open: server.map(|_| opening.fast_open()),
        mptcp: both(syn_option::MPTCP),
        owner: None,
    }
}

fn option(options: SynOptions, bit: u8, value: u64) -> Option<u64> {
    (options.bits & bit != 0).then_some(value)
}

fn error(outcome: Outcome, icmp: Option<(u8, u8, bool)>) -> Option<&'static str> {
    match outcome {
        Outcome::Refused => Some("ECONNREFUSED"),
        Outcome::TimedOut => Some("ETIMEDOUT"),
        Outcome::Unreachable => icmp.and_then(|(kind, code, is_v6)| error_name(kind, code, is_v6)),
        _ => None,
    }
}

/// What connect() returns on Linux after an ICMP error (net/ipv4/icmp.c `icmp_err_convert`, net/ipv6/icmp.c
/// `tab_unreach`).
#[must_use]
pub fn error_name(kind: u8, code: u8, is_v6: bool) -> Option<&'static str> {
    Some(match (is_v6, kind, code) {
        (false, 3, 0 | 6 | 9 | 11) => "ENETUNREACH",
        (false, 3, 1 | 10 | 12..=15) => "EHOSTUNREACH",
        (false, 3, 2) => "ENOPROTOOPT",
        (false, 3, 3) => "ECONNREFUSED",
        (false, 3, 5) => "EOPNOTSUPP",
        (false, 3, 7) => "EHOSTDOWN",
        (false, 3, 8) => "ENONET",
        (true, 1, 0) => "ENETUNREACH",
        (true, 1, 1 | 5 | 6) => "EACCES",
        (true, 1, 2 | 3) => "EHOSTUNREACH",
        (true, 1, 4) => "ECONNREFUSED",
        _ => return None,
    })
}
