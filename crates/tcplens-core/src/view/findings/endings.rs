//! Established connections that were reset, and receivers that did not read. A reset alone is no harm: many programs
//! close so. What the record tells is whether the side that was reset still owed or awaited an answer.

use super::thresholds::{
    ABANDONED_NS, CLIENT_RESETS_PER_MILLE, RESETS, RESETS_PER_MILLE, ZERO_WINDOW_NS, is_share,
};
use super::{Class, Draft};
use crate::record::Suspect;
use crate::view::words::{addresses, count, duration, endpoint, grouped, when};
use crate::view::{Cause, Peer, Report, Sighting};

pub(super) fn find(report: &Report) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for ((ip, port), peer) in report.servers.iter() {
        let (name, filter) = (
            endpoint(ip, port),
            format!("tcp and host {ip} and port {port}"),
        );
        let trouble = report.troubles.servers.get(&(ip, port));
        let was_cut_off = trouble.is_some_and(|trouble| trouble.cut_off >= RESETS);
        for (cause, rule) in RULES {
            // Where all that was asked is known to be answered, nobody was harmed.
            let is_read = matches!(cause, Cause::ResetByServerRead | Cause::ClientResetRead);
            if is_read && !was_cut_off {
                continue;
            }
            let draft = peer.cause(*cause).and_then(|seen| rule(&name, peer, seen));
            drafts.extend(draft.map(|draft| {
                Draft {
                    filter: filter.clone(),
                    ..draft
                }
                .about(ip)
            }));
        }
        let what = format!("Server {name}");
        drafts.extend(
            zero_window(&what, "client", Suspect::Server, peer)
                .map(|draft| Draft { filter, ..draft }),
        );
    }
    for (ip, peer) in report.clients.iter() {
        let what = format!("Client {ip}");
        let filter = format!("tcp and host {ip}");
        drafts.extend(
            zero_window(&what, "server", Suspect::Client, peer)
                .map(|draft| Draft { filter, ..draft }),
        );
    }
    drafts
}

type Rule = fn(&str, &Peer, &Sighting) -> Option<Draft>;

const RULES: &[(Cause, Rule)] = &[
    (Cause::ResetUnanswered, unanswered),
    (Cause::ResetEmpty, empty),
    (Cause::ResetStale, stale),
    (Cause::ResetByServer, by_server),
    (Cause::ResetByServerRead, by_server),
    (Cause::ClientAbandoned, abandoned),
    (Cause::ClientReset, by_client),
    (Cause::ClientResetRead, by_client),
];

/// `4 of 12 connections, with 1 client (10.0.0.1), open for up to 2.00 s; first .., last ..`
fn share(peer: &Peer, seen: &Sighting) -> String {
    format!(
        "{} of {}, with {}, open for up to {}; {}.",
        grouped(seen.count),
        count(peer.connections, "connection"),
        addresses(&seen.peers, "client"),
        duration(seen.longest_ns),
        when(seen.first, seen.last)
    )
}

fn unanswered(name: &str, peer: &Peer, seen: &Sighting) -> Option<Draft> {
    let text = format!(
        "{name} accepts connections, gets data, and resets them (RST) without having sent a single byte."
    );
    let draft = Draft::new(
        Class::Failed,
        "reset_unanswered",
        Suspect::Server,
        seen,
        peer.connections,
    );
    Some(draft.says(text, share(peer, seen), String::new()))
}

fn empty(name: &str, peer: &Peer, seen: &Sighting) -> Option<Draft> {
    if seen.count < RESETS {
        return None;
    }
    let text =
        format!("{name} accepts connections and resets them (RST) before anybody has sent data.");
    let draft = Draft::new(
        Class::Note,
        "reset_empty",
        Suspect::Server,
        seen,
        peer.connections,
    );
    Some(draft.says(text, share(peer, seen), String::new()))
}

fn stale(name: &str, peer: &Peer, seen: &Sighting) -> Option<Draft> {
    if seen.count < RESETS {
        return None;
    }
    let text = format!(
        "{name} answers older connections with RST only: it, or a firewall or load balancer between, no longer knows them \
         (restart, idle limit)."
    );
    Some(
        Draft::new(
            Class::Failed,
            "reset_stale",
            Suspect::Server,
            seen,
            peer.connections,
        )
        .says(text, share(peer, seen), String::new()),
    )
}

fn by_server(name: &str, peer: &Peer, seen: &Sighting) -> Option<Draft> {
    if seen.count < RESETS || !is_share(seen.count, peer.closed, RESETS_PER_MILLE) {
        return None;
    }
    let text = format!(
        "{name} ends connections with RST after it has sent data: it may have left requests unanswered, or close so by \
         habit."
    );
    Some(
        Draft::new(
            Class::Note,
            "reset_by_server",
            Suspect::Server,
            seen,
            peer.connections,
        )
        .says(text, share(peer, seen), String::new()),
    )
}

fn abandoned(name: &str, peer: &Peer, seen: &Sighting) -> Option<Draft> {
    let waited = seen.longest_ns >= ABANDONED_NS;
    let (class, suspect) = if waited {
        (Class::Failed, Suspect::Server)
    } else {
        (Class::Note, Suspect::Client)
    };
    let text = format!("Clients of {name} sent data, got none, and gave up with RST.");
    Some(
        Draft::new(class, "abandoned", suspect, seen, peer.connections).says(
            text,
            share(peer, seen),
            String::new(),
        ),
    )
}

fn by_client(name: &str, peer: &Peer, seen: &Sighting) -> Option<Draft> {
    if seen.count < RESETS || !is_share(seen.count, peer.closed, CLIENT_RESETS_PER_MILLE) {
        return None;
    }
    let text = format!(
        "Clients of {name} end connections with RST after they got data: a habit of theirs, or they did not wait."
    );
    Some(
        Draft::new(
            Class::Note,
            "reset_by_client",
            Suspect::Client,
            seen,
            peer.connections,
        )
        .says(text, share(peer, seen), String::new()),
    )
}

fn zero_window(what: &str, other: &str, suspect: Suspect, peer: &Peer) -> Option<Draft> {
    let seen = peer
        .cause(Cause::ZeroWindow)
        .filter(|_| peer.zero_window_ns >= ZERO_WINDOW_NS)?;
    let text = format!(
        "{what} reads too slowly: its receive buffer was full (closed window), and the {other} had to wait."
    );
    let evidence = format!(
        "Window closed {}, for {} in total, {} at most on one connection; on {} of {}; seen {}.",
        count(peer.zero_windows, "time"),
        duration(peer.zero_window_ns),
        duration(seen.longest_ns),
        grouped(seen.count),
        count(peer.connections, "connection"),
        when(seen.first, seen.last)
    );
    Some(
        Draft::new(Class::Slow, "zero_window", suspect, seen, peer.connections).says(
            text,
            evidence,
            String::new(),
        ),
    )
}
