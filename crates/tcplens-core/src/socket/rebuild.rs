//! From a record back to the message: what archives hold. All that is known of a message comes back, ages included; attributes come
//! in the kernel's order, what was unknown behind them.

use std::net::IpAddr;

use super::map::statistics;
use super::message::{HEAD, kind, push_attribute};
use crate::record::{
    Socket, SocketFamily, SocketMemory, SocketOptions, SocketShutdown, SocketState, SocketTimer,
    TcpAlgorithm,
};
use crate::time::Span;

/// `struct inet_diag_msg` and the attributes.
#[must_use]
pub fn message(socket: &Socket<'_>) -> Vec<u8> {
    let mut to = head(socket).to_vec();
    let unknown = unknown(socket.unknown_attributes.as_deref());
    // What is unknown in full replaces what its fields say.
    let mut push = |kind: u16, value: Option<&[u8]>| {
        if let Some(value) = value
            && unknown.iter().all(|(other, _)| *other != kind)
        {
            push_attribute(&mut to, kind, value);
        }
    };
    let byte = |value: Option<u64>| value.and_then(|value| u8::try_from(value).ok());
    let options = socket.options.as_deref();
    let memory = socket.memory.as_deref();
    let algorithm = socket.algorithm.as_deref();
    let shutdown = socket.shutdown.map(SocketShutdown::number);
    push(
        kind::SHUTDOWN,
        shutdown
            .map(|bits| [bits])
            .as_ref()
            .map(<[u8; 1]>::as_slice),
    );
    for (kind, value) in [
        (kind::TOS, options.and_then(|options| byte(options.tos))),
        (
            kind::TCLASS,
            options.and_then(|options| byte(options.tclass)),
        ),
        (
            kind::SKV6ONLY,
            options.and_then(|options| options.v6only.map(u8::from)),
        ),
    ] {
        push(
            kind,
            value.map(|value| [value]).as_ref().map(<[u8; 1]>::as_slice),
        );
    }
    for (kind, value) in [
        (kind::MARK, options.and_then(|options| options.mark)),
        (kind::CLASS_ID, options.and_then(|options| options.class_id)),
    ] {
        push(kind, words([value]).as_deref());
    }
    let cgroup = socket.cgroup_id.map(u64::to_ne_bytes);
    push(kind::CGROUP_ID, cgroup.as_ref().map(<[u8; 8]>::as_slice));
    let sockopt = options.and_then(sockopt);
    push(kind::SOCKOPT, sockopt.as_ref().map(<[u8; 2]>::as_slice));
    push(kind::MEMINFO, memory.and_then(meminfo).as_deref());
    push(kind::SKMEMINFO, memory.and_then(skmeminfo).as_deref());
    let info = socket.tcp.as_deref().map(|statistics| {
        let tail = bytes(socket.tcp_info_tail.as_deref().unwrap_or_default());
        let mut info = Vec::new();
        statistics::write(statistics, &tail.unwrap_or_default(), &mut info);
        info
    });
    push(kind::INFO, info.as_deref());
    let congestion = socket
        .congestion
        .map(|name| [name.as_bytes(), &[0]].concat());
    push(kind::CONG, congestion.as_deref());
    push(kind::VEGASINFO, algorithm.and_then(vegas).as_deref());
    push(kind::DCTCPINFO, algorithm.and_then(dctcp).as_deref());
    push(kind::BBRINFO, algorithm.and_then(bbr).as_deref());
    let protocol = options.and_then(|options| byte(options.protocol));
    push(
        kind::PROTOCOL,
        protocol
            .map(|number| [number])
            .as_ref()
            .map(<[u8; 1]>::as_slice),
    );
    for (kind, value) in &unknown {
        push_attribute(&mut to, *kind, value);
    }
    to
}

fn head(socket: &Socket<'_>) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let by_address = match socket.local_ip {
        IpAddr::V4(_) => SocketFamily::Ipv4,
        IpAddr::V6(_) => SocketFamily::Ipv6,
    };
    let family = socket.family.unwrap_or(by_address);
    head[0] = family.number();
    head[1] = socket.state.map_or(0, SocketState::number);
    head[2] = socket.timer.map_or(0, SocketTimer::number);
    head[3] = u8::try_from(socket.timer_retransmits).unwrap_or(u8::MAX);
    let port = |port: u64| u16::try_from(port).unwrap_or(0).to_be_bytes();
    head[4..6].copy_from_slice(&port(socket.local_port));
    head[6..8].copy_from_slice(&port(socket.remote_port.unwrap_or(0)));
    address(family, socket.local_ip, &mut head[8..24]);
    if let Some(ip) = socket.remote_ip {
        address(family, ip, &mut head[24..40]);
    }
    let number = |value: Option<u64>| u32::try_from(value.unwrap_or(0)).unwrap_or(u32::MAX);
    let cookie = socket.socket_cookie.unwrap_or(0);
    let expires = socket.timer_us.map(|span| span.ns() / 1_000_000);
    for (at, value) in [
        (40, number(socket.ifindex)),
        // Its low half, then its high half, whatever the host's order.
        (44, number(Some(cookie & 0xffff_ffff))),
        (48, number(Some(cookie >> 32))),
        (52, number(expires)),
        (56, number(socket.rqueue_bytes.or(socket.accept_queue))),
        (60, number(socket.wqueue_bytes.or(socket.accept_queue_max))),
        (64, number(socket.uid)),
        (68, number(socket.inode)),
    ] {
        head[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    head
}

/// A socket for IPv6 has IPv4 addresses as mapped ones.
fn address(family: SocketFamily, ip: IpAddr, to: &mut [u8]) {
    match (family, ip) {
        (SocketFamily::Ipv4, IpAddr::V4(ip)) => to[..4].copy_from_slice(&ip.octets()),
        (SocketFamily::Ipv6, IpAddr::V4(ip)) => {
            to.copy_from_slice(&ip.to_ipv6_mapped().octets());
        }
        (_, IpAddr::V6(ip)) => to.copy_from_slice(&ip.octets()),
    }
}

/// `None` where one is absent, or no number of four bytes.
fn words<const N: usize>(values: [Option<u64>; N]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4 * N);
    for value in values {
        bytes.extend_from_slice(&u32::try_from(value?).ok()?.to_ne_bytes());
    }
    Some(bytes)
}

fn micros(span: Option<Span>) -> Option<u64> {
    span.map(|span| span.ns() / 1000)
}

fn meminfo(memory: &SocketMemory) -> Option<Vec<u8>> {
    words([
        memory.mem_rmem,
        memory.mem_wmem,
        memory.mem_fmem,
        memory.mem_tmem,
    ])
}

/// As many as there are: older kernels have fewer.
fn skmeminfo(memory: &SocketMemory) -> Option<Vec<u8>> {
    let all = [
        memory.skmem_rmem_alloc,
        memory.skmem_rcvbuf,
        memory.skmem_wmem_alloc,
        memory.skmem_sndbuf,
        memory.skmem_fwd_alloc,
        memory.skmem_wmem_queued,
        memory.skmem_optmem,
        memory.skmem_backlog,
        memory.skmem_drops,
    ];
    let mut bytes = Vec::with_capacity(36);
    for value in all.into_iter().map_while(|value| value) {
        bytes.extend_from_slice(&u32::try_from(value).ok()?.to_ne_bytes());
    }
    (!bytes.is_empty()).then_some(bytes)
}

fn sockopt(options: &SocketOptions) -> Option<[u8; 2]> {
    let bits = |all: &[Option<bool>]| {
        let mut byte = 0;
        for (at, bit) in all.iter().enumerate() {
            byte |= u8::from((*bit)?) << at;
        }
        Some(byte)
    };
    Some([
        bits(&[
            options.recverr,
            options.is_icsk,
            options.freebind,
            options.hdrincl,
            options.mc_loop,
            options.transparent,
            options.mc_all,
            options.nodefrag,
        ])?,
        bits(&[
            options.bind_address_no_port,
            options.recverr_rfc4884,
            options.defer_connect,
        ])?,
    ])
}

fn vegas(algorithm: &TcpAlgorithm) -> Option<Vec<u8>> {
    words([
        algorithm.vegas_enabled.map(u64::from),
        algorithm.vegas_rttcnt,
        micros(algorithm.vegas_rtt_us),
        micros(algorithm.vegas_minrtt_us).or(Some(0x7fff_ffff)),
    ])
}

fn dctcp(algorithm: &TcpAlgorithm) -> Option<Vec<u8>> {
    let ce_state = u16::try_from(algorithm.dctcp_ce_state?).ok()?;
    let enabled = u16::from(algorithm.dctcp_enabled?);
    let numbers = words([
        algorithm.dctcp_alpha,
        algorithm.dctcp_ab_ecn,
        algorithm.dctcp_ab_tot,
    ])?;
    let (enabled, ce_state) = (enabled.to_ne_bytes(), ce_state.to_ne_bytes());
    Some([&enabled[..], &ce_state[..], &numbers].concat())
}

fn bbr(algorithm: &TcpAlgorithm) -> Option<Vec<u8>> {
    words([
        algorithm.bbr_bw.map(|bw| bw & 0xffff_ffff),
        algorithm.bbr_bw.map(|bw| bw >> 32),
        micros(algorithm.bbr_min_rtt_us).or(Some(0xffff_ffff)),
        algorithm.bbr_pacing_gain,
        algorithm.bbr_cwnd_gain,
    ])
}

/// `kind:hex;kind:hex`; what is no such thing is left out.
fn unknown(text: Option<&str>) -> Vec<(u16, Vec<u8>)> {
    let parts = text.unwrap_or_default().split(';');
    let read = |part: &str| {
        let (kind, value) = part.split_once(':')?;
        Some((kind.parse().ok()?, bytes(value)?))
    };
    parts.filter_map(read).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    pairs
        .iter()
        .map(byte)
        .collect::<Option<Vec<u8>>>()
        .filter(|_| rest.is_empty())
}
