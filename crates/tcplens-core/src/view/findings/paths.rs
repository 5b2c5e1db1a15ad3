//! Loss and delay between here and each peer, compared with the other peers. Which side of this point of observation it
//! is on follows from where the original was seen; see `view::legs`.

use std::net::IpAddr;

use super::thresholds::{
    FAR_NS, FAR_SAMPLES, LOSS_CONTRAST, LOSS_PER_MILLE, LOSS_SEGMENTS, LOST, NEAR_NS, QUEUE_NS,
    QUEUE_SAMPLES, is_share,
};
use super::{Class, Draft};
use crate::record::Suspect;
use crate::view::words::{count, duration, grouped, percent, when};
use crate::view::{Cause, Leg, Peer, Report, Sighting};

pub(super) fn find(report: &Report) -> Vec<Draft> {
    let clients: Vec<_> = report
        .clients
        .iter()
        .map(|(ip, peer)| Host::new(ip, "client", std::iter::once(peer)))
        .collect();
    let mut servers: Vec<Host> = Vec::new();
    for ((ip, _), peer) in report.servers.iter() {
        match servers.last_mut().filter(|host| host.ip == ip) {
            Some(host) => host.add(peer),
            None => servers.push(Host::new(ip, "server", std::iter::once(peer))),
        }
    }
    let mut drafts = loss(&clients);
    drafts.extend(loss(&servers));
    drafts.extend(clients.iter().chain(&servers).filter_map(delay));
    drafts
}

/// One address, over all its ports.
struct Host {
    ip: IpAddr,
    /// `client` or `server`.
    role: &'static str,
    path: Leg,
    /// Without SYNs and SYN-ACKs: a server that drops SYNs is no lossy path.
    established: Leg,
    connections: u64,
    lossy: Sighting,
    rtt_min_ns: Option<u64>,
    rtt_sum: (u128, u64),
}

impl Host {
    fn new<'p>(ip: IpAddr, role: &'static str, peers: impl Iterator<Item = &'p Peer>) -> Host {
        let (path, established, lossy) = (Leg::default(), Leg::default(), Sighting::default());
        let mut host = Host {
            ip,
            role,
            path,
            established,
            connections: 0,
            lossy,
            rtt_min_ns: None,
            rtt_sum: (0, 0),
        };
        peers.for_each(|peer| host.add(peer));
        host
    }

    fn add(&mut self, peer: &Peer) {
        self.path.merge(peer.leg);
        self.established.merge(peer.path_established());
        self.connections += peer.connections;
        peer.cause(Cause::Lossy)
            .into_iter()
            .for_each(|seen| self.lossy.merge(seen));
        let least = peer.rtt.min().map(crate::time::Span::ns);
        self.rtt_min_ns = self.rtt_min_ns.into_iter().chain(least).min();
        self.rtt_sum.0 += peer.rtt_sum.0;
        self.rtt_sum.1 += peer.rtt_sum.1;
    }

    fn is_lossy(&self) -> bool {
        let (lost, segments) = (self.established.lost(), self.established.segments);
        lost >= LOST && segments >= LOSS_SEGMENTS && is_share(lost, segments, LOSS_PER_MILLE)
    }
}

/// One finding per lossy peer; one for all of them if most are.
fn loss(hosts: &[Host]) -> Vec<Draft> {
    let mut all = Leg::default();
    hosts.iter().for_each(|host| all.merge(host.path));
    let lossy: Vec<_> = hosts.iter().filter(|host| host.is_lossy()).collect();
    let judged = hosts
        .iter()
        .filter(|host| host.path.segments >= LOSS_SEGMENTS)
        .count();
    if lossy.len() >= 3 && lossy.len() * 2 > judged {
        return vec![loss_of_all(&lossy, judged)];
    }
    lossy.into_iter().map(|host| loss_of(host, all)).collect()
}

fn loss_of(host: &Host, all: Leg) -> Draft {
    let (path, role) = (host.path, host.role);
    let rest = (all.lost() - path.lost(), all.segments - path.segments);
    let stands_out = rest.1 >= LOSS_SEGMENTS
        && u128::from(path.lost()) * u128::from(rest.1)
            >= u128::from(LOSS_CONTRAST) * u128::from(rest.0) * u128::from(path.segments);
    let compared = match rest.1 {
        0 => format!("no other {role} to compare with"),
        segments => format!(
            "all other {role}s: {} of {} ({})",
            grouped(rest.0),
            grouped(segments),
            percent(rest.0, segments)
        ),
    };
    let only = if stands_out {
        format!(" It is this {role} only.")
    } else {
        String::new()
    };
    let text = format!(
        "Between here and {role} {}, {} of the packets get lost.{only}",
        host.ip,
        percent(path.lost(), path.segments)
    );
    let evidence = format!(
        "{} of {} segments lost ({} on the way to it, {} from it), on {} of {}; {compared}; seen {}.",
        grouped(path.lost()),
        grouped(path.segments),
        grouped(path.lost_to),
        grouped(path.lost_from),
        grouped(host.lossy.count),
        count(host.connections, "connection"),
        when(host.lossy.first, host.lossy.last)
    );
    let code = if role == "client" {
        "lossy_client"
    } else {
        "lossy_server"
    };
    Draft::new(
        Class::Slow,
        code,
        Suspect::Network,
        &host.lossy,
        host.connections,
    )
    .says(text, evidence, format!("tcp and host {}", host.ip))
}

fn loss_of_all(lossy: &[&Host], judged: usize) -> Draft {
    let (mut path, mut seen, mut connections) = (Leg::default(), Sighting::default(), 0);
    for host in lossy {
        path.merge(host.path);
        seen.merge(&host.lossy);
        connections += host.connections;
    }
    let role = lossy.first().map_or("peer", |host| host.role);
    let text = format!(
        "Most {role}s lose packets: what all {role}s share on that side of here loses {} of them.",
        percent(path.lost(), path.segments)
    );
    let evidence = format!(
        "{} of {judged} {role}s; {} of {} segments lost ({} towards them, {} from them), on {} of {}; seen {}.",
        lossy.len(),
        grouped(path.lost()),
        grouped(path.segments),
        grouped(path.lost_to),
        grouped(path.lost_from),
        grouped(seen.count),
        count(connections, "connection"),
        when(seen.first, seen.last)
    );
    let code = if role == "client" {
        "lossy_clients"
    } else {
        "lossy_servers"
    };
    Draft::new(Class::Slow, code, Suspect::Network, &seen, connections).says(
        text,
        evidence,
        "tcp".to_owned(),
    )
}

fn delay(host: &Host) -> Option<Draft> {
    let least = host.rtt_min_ns?;
    let mean = u64::try_from(host.rtt_sum.0.checked_div(u128::from(host.rtt_sum.1))?).ok()?;
    let what = format!("{} {}", host.role, host.ip);
    let itself = if host.role == "client" {
        Suspect::Client
    } else {
        Suspect::Server
    };
    let (code, suspect, text) = if least >= FAR_NS && host.rtt_sum.1 >= FAR_SAMPLES {
        (
            "far",
            Suspect::Network,
            format!(
                "It is far from here to {what}: no round trip from here took less than {}.",
                duration(least)
            ),
        )
    } else if mean.saturating_sub(least) >= QUEUE_NS && host.rtt_sum.1 >= QUEUE_SAMPLES {
        let (suspect, why) = match least {
            ..NEAR_NS => (
                itself,
                "it is near, so it acknowledges late, or waits for what got lost",
            ),
            _ => (
                Suspect::Network,
                "packets queue on the way, or it is slow to acknowledge",
            ),
        };
        let (mean, least) = (duration(mean), duration(least));
        let text = format!(
            "Round trips between here and {what} take {mean} on average, {least} at best: {why}."
        );
        ("delay_varies", suspect, text)
    } else {
        return None;
    };
    let seen = Sighting {
        count: host.connections,
        ..Sighting::default()
    };
    let evidence = format!(
        "Shortest {}, mean {} of {}, on {}.",
        duration(least),
        duration(mean),
        count(host.rtt_sum.1, "round trip"),
        count(host.connections, "connection")
    );
    let filter = format!("tcp and host {}", host.ip);
    Some(
        Draft::new(Class::Note, code, suspect, &seen, host.connections)
            .says(text, evidence, filter),
    )
}
