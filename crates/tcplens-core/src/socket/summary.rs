//! `socket_summary`: what a connection was, from its end.

use super::close::{Ending, Facts};
use super::map::{Context, cookie, per_second, remote, remote_ip, roles, uid};
use super::message::kind;
use super::tracker::{Before, End};
use crate::record::{ConnectionId, Limit, SocketState, SocketSummary, Vantage};
use crate::time::Span;

/// ndt7: a connection is small that had fewer bytes acknowledged.
const SMALL: u64 = 8192;
/// ndt7: a smoothed round trip below 1 ms is not bloated.
const BLOATED: Span = Span::from_ns(1_000_000);

/// The summary of a connection; of `context` ids, roles, owner are taken, and nothing of time.
#[must_use]
pub fn summary<'a>(
    end: &'a End<'_>,
    ending: &Ending,
    facts: &Facts,
    context: &Context<'a>,
) -> SocketSummary<'a> {
    let message = end.message;
    let context = Context {
        is_server: context.is_server.or(match context.listeners {
            Some(_) => None,
            None => ending.is_server,
        }),
        ..*context
    };
    let roles = roles(message, &context);
    let other = remote(message);
    let entry = end.entry;
    let was_polled = entry.polls > 0;
    let first = facts.opened.unwrap_or(entry.first_seen);
    let last = match was_polled && end.told.is_none() {
        true => entry.last_seen,
        false => end.at,
    };
    let is_lasting = was_polled || facts.opened.is_some();
    let duration = last.since(first).filter(|_| is_lasting);
    let info = message.tcp_info();
    let mut extremes = entry.extremes;
    extremes.take(message);
    let number = |value: Option<u32>| value.map(u64::from);
    let micros = |value: Option<u32>, none: u32| {
        let us = value.filter(|us| *us != none)?;
        Some(Span::from_ns(u64::from(us) * 1000))
    };
    let positive = |value: u32| (value != 0).then_some(u64::from(value));
    let rtt = micros(info.and_then(|info| info.rtt()), 0);
    let min_rtt = micros(info.and_then(|info| info.min_rtt()), u32::MAX);
    let retransmits = info.and_then(|info| info.total_retrans());
    let sent_segments = info.and_then(|info| info.segs_out());
    let times = info.and_then(|info| {
        let all = [
            info.busy_time()?,
            info.rwnd_limited()?,
            info.sndbuf_limited()?,
        ];
        Some(all.map(|us| Span::from_ns(us.saturating_mul(1000))))
    });
    // A connection may be older than the first look at it: what it did before then is no part of the duration.
    let before = match facts.opened {
        Some(_) => Before::default(),
        None => entry.before,
    };
    let since = |counted: Option<u64>, before: u64| Some(counted?.saturating_sub(before));
    let watched = times.map(|times| {
        let mut before = before.limited_us.into_iter();
        times.map(|time| {
            let before = before.next().unwrap_or(0).saturating_mul(1000);
            Span::from_ns(time.ns().saturating_sub(before))
        })
    });
    let shares = watched.zip(duration).filter(|(_, all)| all.ns() > 0);
    let share = |n: usize| {
        shares.map(|(times, all)| {
            let millionths = u128::from(times[n].ns()) * 1_000_000 / u128::from(all.ns());
            // Both clocks are the kernel's and ours: a share may come out a little above all.
            u64::try_from(millionths).unwrap_or(u64::MAX)
        })
    };
    let connection_id = cookie(message).zip(context.host);
    SocketSummary {
        time: first,
        vantage: Vantage::Socket,
        connection_id: connection_id.map(|(cookie, host)| ConnectionId::Socket { cookie, host }),
        uuid: context.uuid,
        socket_cookie: cookie(message),
        netns: context.netns,
        client_ip: roles.client.map(|end| end.0),
        client_port: roles.client.map(|end| u64::from(end.1)),
        server_ip: roles.server.map(|end| end.0),
        server_port: roles.server.map(|end| u64::from(end.1)),
        role_from: Some(roles.from),
        local_ip: message.local().0,
        local_port: u64::from(message.local().1),
        remote_ip: remote_ip(message),
        remote_port: other.map(|end| u64::from(end.1)),
        pid: context.owner.pid.or(facts.pid),
        comm: context.owner.comm,
        uid: uid(message),
        cgroup: context.owner.cgroup,
        container_id: context.owner.container_id,
        first_seen: entry.first_seen,
        last_seen: last,
        duration_us: duration,
        polls: entry.polls,
        snapshots: entry.snapshots + u64::from(end.is_snapshot && was_polled),
        close: ending.close,
        last_state: SocketState::of(entry.message().state()).filter(|_| was_polled),
        final_info: end.is_final_info,
        sent_bytes: ending.sent,
        received_bytes: ending.received,
        bytes_received: info.and_then(|info| info.bytes_received()),
        bytes_acked: info.and_then(|info| info.bytes_acked()),
        bytes_sent: info.and_then(|info| info.bytes_sent()),
        bytes_retrans: info.and_then(|info| info.bytes_retrans()),
        send_rate: since(ending.sent, before.sent)
            .zip(duration)
            .and_then(|(bytes, of)| per_second(bytes, of)),
        receive_rate: since(ending.received, before.received)
            .zip(duration)
            .and_then(|(bytes, of)| per_second(bytes, of)),
        segs_out: number(sent_segments),
        segs_in: number(info.and_then(|info| info.segs_in())),
        data_segs_out: number(info.and_then(|info| info.data_segs_out())),
        data_segs_in: number(info.and_then(|info| info.data_segs_in())),
        total_retrans: number(retransmits),
        retransmits_per_million: retransmits
            .zip(sent_segments)
            .and_then(|(again, all)| (u64::from(again) * 1_000_000).checked_div(u64::from(all))),
        delivered: number(info.and_then(|info| info.delivered())),
        delivered_ce: number(info.and_then(|info| info.delivered_ce())),
        dsack_dups: number(info.and_then(|info| info.dsack_dups())),
        reord_seen: number(info.and_then(|info| info.reord_seen())),
        rcv_ooopack: number(info.and_then(|info| info.rcv_ooopack())),
        total_rto: info.and_then(|info| info.total_rto()).map(u64::from),
        first_rtt_us: micros(Some(extremes.first_rtt), 0),
        rtt_us: rtt,
        max_rtt_us: micros(Some(extremes.max_rtt), 0),
        min_rtt_us: min_rtt,
        rttvar_us: micros(info.and_then(|info| info.rttvar()), u32::MAX),
        first_snd_cwnd: positive(extremes.first_snd_cwnd),
        snd_cwnd: number(info.and_then(|info| info.snd_cwnd())),
        max_snd_cwnd: positive(extremes.max_snd_cwnd),
        snd_ssthresh: number(info.and_then(|info| info.snd_ssthresh()))
            .filter(|segments| *segments != 0x7fff_ffff),
        delivery_rate: info.and_then(|info| info.delivery_rate()),
        max_delivery_rate: (extremes.max_delivery_rate != 0).then_some(extremes.max_delivery_rate),
        snd_mss: number(info.and_then(|info| info.snd_mss())),
        congestion: message
            .attribute(kind::CONG)
            .and_then(|name| std::str::from_utf8(name.strip_suffix(&[0])?).ok()),
        busy_time_us: times.map(|times| times[0]),
        rwnd_limited_us: times.map(|times| times[1]),
        sndbuf_limited_us: times.map(|times| times[2]),
        busy_per_million: share(0),
        rwnd_limited_per_million: share(1),
        sndbuf_limited_per_million: share(2),
        limited_by: shares.map(|(times, all)| limit(times, all)),
        congested: retransmits.map(|segments| segments > 0),
        bloated: rtt
            .zip(min_rtt)
            .map(|(rtt, min)| rtt.ns() > 2 * min.ns() && rtt > BLOATED),
        small: info
            .and_then(|info| info.bytes_acked())
            .map(|bytes| bytes < SMALL),
    }
}

/// What took the longest part of the time; of equals the first.
fn limit([busy, window, buffer]: [Span; 3], all: Span) -> Limit {
    let (busy, window, buffer) = (busy.ns(), window.ns(), buffer.ns());
    let parts = [
        (Limit::ReceiverWindow, window),
        (Limit::Sender, buffer),
        (
            Limit::Congestion,
            busy.saturating_sub(window).saturating_sub(buffer),
        ),
        (Limit::Application, all.ns().saturating_sub(busy)),
    ];
    let mut largest = parts[0];
    for part in parts {
        if part.1 > largest.1 {
            largest = part;
        }
    }
    largest.0
}

#[cfg(test)]
mod tests;
