//! Servers whose accept queue overflows. Linux then drops what would open a connection, and says nothing: SYNs, and the ACK that
//! ends a handshake (net/ipv4/tcp_ipv4.c, `tcp_conn_request`, `tcp_v4_syn_recv_sock`). So SYNs are repeated, and of connections
//! that are established for their client the first data, or the SYN-ACK, while nothing else gets lost on the way.

use super::server::Server;
use super::thresholds::{OPENINGS, SYN_DROPS};
use super::{Class, Draft};
use crate::record::{Outcome, Suspect};
use crate::view::words::{addresses, count, duration, when};
use crate::view::{Cause, Sighting};

pub(super) fn find(server: &Server<'_>) -> Option<Draft> {
    let peer = server.peer;
    let established = peer.outcome(Outcome::Established);
    let opening = peer
        .cause(Cause::OpeningUnheard)
        .filter(|seen| seen.count >= OPENINGS)?;
    let unheard = peer.cause(Cause::SynUnheard);
    // What never got an answer belongs to it where others did.
    let silent = peer.cause(Cause::Silent).filter(|_| established > 0);
    let mut seen = Sighting::default();
    let all = [Some(opening), unheard, silent];
    all.into_iter().flatten().for_each(|part| seen.merge(part));
    let n = |part: Option<&Sighting>| part.map_or(0, |part| part.count);
    // One attempt may be among those with a repeated SYN and among those with repeated data.
    seen.count = n(unheard).max(opening.count) + n(silent);
    if seen.count < SYN_DROPS || server.is_path_lossy() || !server.drops_syns(seen.count) {
        return None;
    }
    let name = server.name();
    let text = format!(
        "{name} accepts connections too slowly: its accept queue is full at times, and its kernel drops what would open another. \
         Connecting takes seconds then, or fails."
    );
    let evidence = format!(
        "Of {}, {} needed more than one SYN and waited {} longer in all, {} had to send their first data, or to get the SYN-ACK, \
         again, and {} got no answer; by {}; {}; {}.",
        count(server.decided, "attempt"),
        n(unheard),
        duration(unheard.map_or(0, |part| part.time_ns)),
        opening.count,
        n(silent),
        addresses(&seen.peers, "client"),
        server.path_words(),
        when(seen.first, seen.last)
    );
    let class = match silent {
        Some(_) => Class::Failed,
        None => Class::Slow,
    };
    let draft = Draft::new(
        class,
        "accept_queue",
        Suspect::Server,
        &seen,
        server.decided,
    );
    Some(draft.says(text, evidence, server.filter()))
}
