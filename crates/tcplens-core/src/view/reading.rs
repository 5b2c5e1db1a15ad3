//! What one record means for a report: how it ended, what was lost on which side of this point of observation. Pure
//! functions of a record; adding up is done in `view`.

use super::{Cause, Leg, thresholds};
use crate::record::{
    Close, Connection, Handshake, HandshakeOutcome, Outcome, Protocol, Sent, Side, Vantage,
};
use crate::time::Span;

/// Largest payload of a segment over Ethernet with timestamps (RFC 7323).
const USUAL_MSS: u64 = 1448;

/// How long the client waited because its first SYN had no answer that came by here.
pub(super) fn lost_to_silence(handshake: &Handshake) -> Option<Span> {
    let (first, last) = (
        handshake.first_syn_to_synack_us?,
        handshake.syn_to_synack_us?,
    );
    first
        .ns()
        .checked_sub(last.ns())
        .filter(|&ns| ns > 0)
        .map(Span::from_ns)
}

/// Whether a SYN was repeated although the SYN-ACK had come by here.
pub(super) fn syns_after_synack(handshake: &Handshake) -> bool {
    handshake.syn_retransmits > 0 && handshake.synack_seen && lost_to_silence(handshake).is_none()
}

pub(super) fn is_one_sided(connection: &Connection) -> bool {
    let (client, server) = (connection.client.segments, connection.server.segments);
    client.min(server) == 0 && client.max(server) >= thresholds::ONE_SIDED_SEGMENTS
}

/// How a connection was reset, if it was.
pub(super) fn ending(connection: &Connection) -> Option<Cause> {
    let (client, server) = (connection.client.bytes, connection.server.bytes);
    let is_missed = connection.handshake == Some(HandshakeOutcome::Missed);
    let is_read = connection
        .protocol
        .is_some_and(|protocol| protocol != Protocol::Turn);
    match (connection.close, client > 0, server > 0) {
        (Close::RstByClient, _, true) if is_read => Some(Cause::ClientResetRead),
        (Close::RstByServer, _, true) if is_read => Some(Cause::ResetByServerRead),
        (Close::RstByClient, _, true) => Some(Cause::ClientReset),
        (Close::RstByClient, true, false) => Some(Cause::ClientAbandoned),
        (Close::RstByServer, _, true) => Some(Cause::ResetByServer),
        (Close::RstByServer, true, false) if is_missed => Some(Cause::ResetStale),
        (Close::RstByServer, true, false) => Some(Cause::ResetUnanswered),
        (Close::RstByServer, false, false) if !is_missed => Some(Cause::ResetEmpty),
        _ => None,
    }
}

/// SYNs and SYN-ACKs that [`legs`] counts as lost on the paths to the client and to the server.
pub(super) fn repeats(handshake: &Handshake) -> [u64; 2] {
    if handshake.outcome != Outcome::Established {
        return [0, 0];
    }
    let (syn, synack) = (handshake.syn_retransmits, handshake.synack_retransmits);
    match handshake.tap_side {
        Side::Client => [0, syn],
        Side::Server => [synack, 0],
        Side::Both | Side::Middle | Side::Unknown => [synack, syn],
    }
}

/// What opened a connection and had to be sent again, as far as [`legs`] counts it as lost on the paths to the client and to the
/// server.
pub(super) fn openings(connection: &Connection) -> [u64; 2] {
    let (client, server) = (
        connection.client.opening_retransmits,
        connection.server.opening_retransmits,
    );
    match connection.tap_side {
        Side::Client => [0, client],
        Side::Server => [server, 0],
        Side::Both | Side::Middle | Side::Unknown => [server, client],
    }
}

/// The paths to the client and to the server. What a side repeated after it had come by here was lost beyond here. At
/// the receiver itself nothing is beyond: then the repetition was in vain, or an ACK was lost, and neither is loss of
/// data. Seen in live_tap_loss (22 late segments, 31 lost): so counted, the client's side tells the 31.
pub(super) fn legs(connection: &Connection) -> [Leg; 2] {
    let (client, server) = (&connection.client, &connection.server);
    let lost = |sent: &Sent| sent.retransmits.saturating_sub(sent.dsacks);
    let syn = u64::from(connection.handshake != Some(HandshakeOutcome::Missed));
    let fin = u64::from(connection.close == Close::Fin);
    let data = |sent: &Sent| match connection.vantage {
        Vantage::File | Vantage::Wire => sent.data_segments,
        // The kernel counts bytes. As many as were needed at least, and one for each request and response.
        Vantage::Kernel | Vantage::Socket => {
            let mss = connection.path.as_ref().and_then(|path| path.mss);
            let full = sent.bytes / mss.unwrap_or(USUAL_MSS).max(1);
            full + connection.requests.unwrap_or(0).max(1)
        }
    };
    let segments = data(client) + data(server) + 2 * (syn + fin);
    let (to_client, to_server) = match connection.tap_side {
        Side::Client => (0, lost(client)),
        Side::Server => (lost(server), 0),
        Side::Both | Side::Middle | Side::Unknown => (lost(server), lost(client)),
    };
    [
        Leg {
            segments,
            lost_to: to_client,
            lost_from: client.fills_lost,
        },
        Leg {
            segments,
            lost_to: to_server,
            lost_from: server.fills_lost,
        },
    ]
}
