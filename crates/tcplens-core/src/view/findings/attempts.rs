//! Attempts that failed or took too long, by server: refused, unanswered, unreachable, given up, repeated. Not what
//! happens once a connection is established.

use std::net::IpAddr;

use super::queue;
use super::server::{Change, Host, Server};
use super::thresholds::{REPEATED, REPEATED_PER_MILLE, is_share};
use super::{Class, Draft};
use crate::record::{Outcome, Suspect};
use crate::view::words::{addresses, count, duration, grouped, percent, when};
use crate::view::{Cause, Peer, Report, Sighting};

type Rule = fn(&Server<'_>, &Sighting) -> Draft;

const RULES: &[(Cause, Rule)] = &[
    (Cause::Refused, refused),
    (Cause::Silent, silent),
    (Cause::Unreachable, unreachable),
    (Cause::Aborted, aborted),
    (Cause::HalfOpen, half_open),
    (Cause::ResetInHandshake, reset),
    (Cause::Unacknowledged, unacknowledged),
];

pub(super) fn find(report: &Report) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let mut host: Option<Host> = None;
    for (key, peer) in report.servers.iter() {
        let host = match host.take() {
            Some(known) if known.ip == key.0 => host.insert(known),
            _ => host.insert(Host::new(report, key.0)),
        };
        let server = Server {
            host,
            key,
            peer,
            decided: peer.decided(),
        };
        let queue = queue::find(&server);
        for (cause, rule) in RULES {
            if let Some(sighting) = peer.cause(*cause)
                && (queue.is_none() || *cause != Cause::Silent)
            {
                drafts.push(rule(&server, sighting).about(key.0));
            }
        }
        if let Some(sighting) = peer
            .cause(Cause::SynUnheard)
            .filter(|seen| queue.is_none() && is_often(seen, peer))
        {
            drafts.push(syn_unheard(&server, sighting));
        }
        drafts.extend(queue);
    }
    for (ip, peer) in report.clients.iter() {
        if let Some(sighting) = peer
            .cause(Cause::SynAckRepeated)
            .filter(|seen| is_often(seen, peer))
        {
            drafts.push(synack_repeated(ip, peer, sighting));
        }
    }
    drafts
}

fn is_often(repeated: &Sighting, peer: &Peer) -> bool {
    let established = peer.outcome(Outcome::Established);
    repeated.count >= REPEATED && is_share(repeated.count, established, REPEATED_PER_MILLE)
}

fn times(seen: &Sighting) -> String {
    when(seen.first, seen.last)
}

fn refused(server: &Server<'_>, seen: &Sighting) -> Draft {
    let name = server.name();
    let text = match server.change(seen) {
        Change::Never => format!(
            "{name} refuses every connection: nothing listens on that port (or a firewall rejects)."
        ),
        Change::Stopped(when) => {
            format!(
                "{name} accepted connections until {when} and refuses them since: nothing listens there any more."
            )
        }
        Change::Began(when) => {
            format!(
                "{name} refused connections at first and accepts them since {when}: nothing listened before."
            )
        }
        Change::Mixed => {
            format!(
                "{name} refuses some connections and accepts others: it restarts, or some of its instances are down."
            )
        }
    };
    let evidence = format!(
        "{}, each within {}; {}.",
        server.share(seen, "refused (RST)"),
        duration(seen.longest_ns),
        times(seen)
    );
    Draft::new(
        Class::Failed,
        "refused",
        Suspect::Server,
        seen,
        server.decided,
    )
    .says(text, evidence, server.filter())
}

fn silent(server: &Server<'_>, seen: &Sighting) -> Draft {
    let name = server.name();
    let half = server.peer.half.quantile(500).map(|median| {
        format!(
            "; the others were answered within {} (median)",
            duration(median.ns())
        )
    });
    let (suspect, text) = match (server.change(seen), server.answers_elsewhere()) {
        (Change::Never, Some(port)) => (
            Suspect::Server,
            format!(
                "{name} answers no connection attempt, though its host answers on port {port}: a firewall drops them, or \
                 the service's accept queue is full."
            ),
        ),
        (Change::Never, None) => (
            Suspect::Network,
            format!(
                "{name} answers no connection attempt, and no other TCP came from that host: it is down, the address is \
                 wrong, or a route or firewall swallows the packets."
            ),
        ),
        (Change::Stopped(when), _) => (
            Suspect::Server,
            format!(
                "{name} answered until {when} and not since: it hangs, its accept queue is full, or the way to it broke."
            ),
        ),
        (Change::Began(when), _) => (
            Suspect::Server,
            format!(
                "{name} did not answer at first, and does since {when}: it, or the way to it, came up then."
            ),
        ),
        (Change::Mixed, _) if server.is_path_lossy() => (
            Suspect::Network,
            format!(
                "{name} leaves some connection attempts unanswered, and the path to it loses packets."
            ),
        ),
        (Change::Mixed, _) => (
            Suspect::Server,
            format!(
                "{name} leaves some connection attempts unanswered and answers others: its accept queue may be full, a \
                 limit may drop SYNs, or packets get lost."
            ),
        ),
    };
    let lossy = if server.all(seen) || server.path().segments == 0 {
        String::new()
    } else {
        format!("; {}", server.path_words())
    };
    let evidence = format!(
        "{}, watched for up to {}{}{}; {}.",
        server.share(seen, "without any answer"),
        duration(seen.longest_ns),
        half.unwrap_or_default(),
        lossy,
        times(seen)
    );
    Draft::new(Class::Failed, "unanswered", suspect, seen, server.decided).says(
        text,
        evidence,
        server.filter(),
    )
}

fn unreachable(server: &Server<'_>, seen: &Sighting) -> Draft {
    let mut reasons = Vec::new();
    let mut suspect = Suspect::Network;
    for &(kind, code, from) in server.peer.icmp.least() {
        if from == server.key.0 {
            suspect = Suspect::Server;
        }
        let itself = if from == server.key.0 {
            "the host itself"
        } else {
            "the router"
        };
        reasons.push(format!(
            "\"{}\" ({itself}, {from}, type {kind} code {code})",
            icmp_words(server.key.0, kind, code)
        ));
    }
    let text = format!(
        "{} cannot be reached{}: ICMP says {}.",
        server.name(),
        if server.all(seen) { "" } else { " at times" },
        reasons.join(" and ")
    );
    let evidence = format!(
        "{}; {}.",
        server.share(seen, "answered by ICMP"),
        times(seen)
    );
    let icmp = if server.key.0.is_ipv4() {
        "icmp"
    } else {
        "icmp6"
    };
    let filter = format!("({}) or {icmp}", server.filter());
    Draft::new(Class::Failed, "unreachable", suspect, seen, server.decided)
        .says(text, evidence, filter)
}

/// RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1; RFC 4443 section 3.1.
fn icmp_words(server: IpAddr, kind: u64, code: u64) -> &'static str {
    match (server.is_ipv4(), kind, code) {
        (true, 3, 0 | 6 | 11) => "network unreachable",
        (true, 3, 1 | 7 | 8 | 12) => "host unreachable",
        (true, 3, 2) => "protocol unreachable",
        (true, 3, 3) => "port unreachable",
        (true, 3, 4) => "packet too big",
        (true, 3, 9 | 10 | 13) => "forbidden by a filter",
        (false, 1, 0) => "no route",
        (false, 1, 1) => "forbidden by a filter",
        (false, 1, 3) => "address unreachable",
        (false, 1, 4) => "port unreachable",
        (false, 1, 5 | 6) => "rejected by policy",
        _ => "unreachable",
    }
}

fn aborted(server: &Server<'_>, seen: &Sighting) -> Draft {
    let text = format!("Clients gave up (RST) before {} answered.", server.name());
    let evidence = format!(
        "{}, after up to {}; {}.",
        server.share(seen, "given up"),
        duration(seen.longest_ns),
        times(seen)
    );
    Draft::new(
        Class::Failed,
        "aborted",
        Suspect::Client,
        seen,
        server.decided,
    )
    .says(text, evidence, server.filter())
}

fn half_open(server: &Server<'_>, seen: &Sighting) -> Draft {
    let text = format!(
        "{} answered, and the client sent RST instead of finishing the handshake: a port check, or the answer came too late for it.",
        server.name()
    );
    let evidence = format!(
        "{}, after up to {}; {}.",
        server.share(seen, "given up"),
        duration(seen.longest_ns),
        times(seen)
    );
    Draft::new(
        Class::Note,
        "aborted",
        Suspect::Client,
        seen,
        server.decided,
    )
    .says(text, evidence, server.filter())
}

fn reset(server: &Server<'_>, seen: &Sighting) -> Draft {
    let text = format!(
        "{} accepts a connection and resets it before the handshake is finished.",
        server.name()
    );
    let evidence = format!(
        "{}; {}.",
        server.share(seen, "reset after the SYN-ACK"),
        times(seen)
    );
    Draft::new(
        Class::Failed,
        "reset_in_handshake",
        Suspect::Server,
        seen,
        server.decided,
    )
    .says(text, evidence, server.filter())
}

fn unacknowledged(server: &Server<'_>, seen: &Sighting) -> Draft {
    let (class, suspect, text) = match seen.peers.only() {
        Some(client) => (
            Class::Failed,
            Suspect::Network,
            format!(
                "{} answers {client} (SYN-ACK), and {client} never goes on: the answer does not arrive there, or {client} is gone.",
                server.name()
            ),
        ),
        None => (
            Class::Failed,
            Suspect::Client,
            format!(
                "{} answers SYNs, but the clients never go on: forged addresses (SYN flood), a scan, or a path that loses the answers.",
                server.name()
            ),
        ),
    };
    let evidence = format!(
        "{}; {}.",
        server.share(seen, "without an ACK to the SYN-ACK"),
        times(seen)
    );
    Draft::new(class, "unacknowledged", suspect, seen, server.decided).says(
        text,
        evidence,
        server.filter(),
    )
}

fn syn_unheard(server: &Server<'_>, seen: &Sighting) -> Draft {
    let name = server.name();
    let (suspect, why) = if server.is_path_lossy() {
        (Suspect::Network, "the path to it loses packets")
    } else if server.drops_syns(seen.count) {
        (
            Suspect::Server,
            "connections lose far less once they are established, so the server itself seems to drop SYNs (accept queue \
             full, SYN limit)",
        )
    } else {
        (
            Suspect::Network,
            "SYN or answer got lost beyond here, or the server dropped the SYN (accept queue full)",
        )
    };
    let text = format!("Connecting to {name} took more than one try (SYN): {why}.");
    let evidence = format!(
        "{} of {} that it accepted needed a repeated SYN, by {}, waited {} longer in total, {} at most; {}; {}.",
        grouped(seen.count),
        count(server.peer.outcome(Outcome::Established), "attempt"),
        addresses(&seen.peers, "client"),
        duration(seen.time_ns),
        duration(seen.longest_ns),
        server.path_words(),
        times(seen)
    );
    let of = server.peer.outcome(Outcome::Established);
    Draft::new(Class::Slow, "syn_repeated", suspect, seen, of).says(text, evidence, server.filter())
}

fn synack_repeated(client: IpAddr, peer: &Peer, seen: &Sighting) -> Draft {
    let of = peer.outcome(Outcome::Established);
    let text = format!(
        "Answers to connection attempts of {client} got lost or came back late: SYN-ACKs were repeated, or answered by another SYN."
    );
    let evidence = format!(
        "{} of {} ({}), with {}; {}.",
        grouped(seen.count),
        count(of, "established attempt"),
        percent(seen.count, of),
        addresses(&seen.peers, "server"),
        times(seen)
    );
    let filter = format!("tcp and host {client} and tcp[tcpflags] & tcp-syn != 0");
    Draft::new(Class::Slow, "synack_repeated", Suspect::Network, seen, of)
        .says(text, evidence, filter)
}
