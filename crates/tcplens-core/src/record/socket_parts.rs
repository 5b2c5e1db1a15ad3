//! What a `socket` record has from `struct tcp_info` and the attributes beside it: fields that are absent together.

use super::CaState;
use crate::time::Span;

extra! {
    /// `struct tcp_info` (include/uapi/linux/tcp.h), all fields through Linux 6.18. What this kernel's structure has not is absent.
    TcpStatistics {
        /// Length of the kernel's `struct tcp_info`; fields beyond it are absent.
        tcp_info_bytes: Option<u64> = count,
        /// The state that the statistics were taken in (the number; a moment later than `state`).
        tcp_state: Option<u64> = count,
        /// Congestion avoidance: `open`, `disorder`, `cwr`, `recovery`, `loss`.
        ca_state: Option<CaState> = word,
        /// Timeouts of the segment that waits, in a row.
        retransmits: Option<u64> = count,
        /// Window or keep-alive probes without an answer.
        probes: Option<u64> = count,
        /// Exponent of the retransmission timer's back-off.
        backoff: Option<u64> = count,
        /// Bits: 1 timestamps, 2 SACK, 4 window scale, 8 ECN, 16 ECN seen, 32 data on the SYN was acknowledged, 64 microseconds in
        /// timestamps, 128 first to use fast open.
        tcp_options: Option<u64> = count,
        /// Of these: timestamps were negotiated.
        timestamps: Option<bool> = flag,
        /// SACK was negotiated.
        sack: Option<bool> = flag,
        /// ECN was negotiated.
        ecn: Option<bool> = flag,
        /// A segment with ECT was received.
        ecn_seen: Option<bool> = flag,
        /// Data on the SYN was acknowledged (fast open).
        syn_data: Option<bool> = flag,
        /// Bits that the peer scales its window by; absent where scaling was not negotiated.
        snd_wscale: Option<u64> = count,
        /// Bits that this end scales its window by; likewise.
        rcv_wscale: Option<u64> = count,
        /// `delivery_rate` was limited by the application when it was measured.
        delivery_rate_app_limited: Option<bool> = flag,
        /// Why fast open failed (enum tcp_fastopen_client_fail): 0 it did not, 1 no cookie, 2 data not acknowledged, 3 repeated.
        fastopen_client_fail: Option<u64> = count,
        /// Retransmission timeout.
        rto_us: Option<Span> = span,
        /// Timeout of the delayed ACK.
        ato_us: Option<Span> = span,
        /// Largest segment sent, in bytes.
        snd_mss: Option<u64> = count,
        /// Largest segment received, in bytes (an estimate).
        rcv_mss: Option<u64> = count,
        /// Segments sent and not acknowledged; of a listener: connections that wait for accept(2).
        unacked: Option<u64> = count,
        /// Segments acknowledged selectively; of a listener: how many may wait.
        sacked: Option<u64> = count,
        /// Segments taken for lost.
        lost: Option<u64> = count,
        /// Segments retransmitted and not acknowledged yet.
        retrans: Option<u64> = count,
        /// No longer counted by the kernel.
        fackets: Option<u64> = count,
        /// Since data was last sent, in steps of ms.
        last_data_sent_us: Option<Span> = span,
        /// Not remembered by the kernel: 0.
        last_ack_sent_us: Option<Span> = span,
        /// Since data was last received.
        last_data_recv_us: Option<Span> = span,
        /// Since an ACK was last received.
        last_ack_recv_us: Option<Span> = span,
        /// Path MTU, in bytes.
        pmtu: Option<u64> = count,
        /// Slow-start threshold of the receive window, in bytes.
        rcv_ssthresh: Option<u64> = count,
        /// Smoothed round trip; absent: none was measured.
        rtt_us: Option<Span> = span,
        /// Its mean deviation.
        rttvar_us: Option<Span> = span,
        /// Slow-start threshold, in segments; absent: none yet.
        snd_ssthresh: Option<u64> = count,
        /// Congestion window, in segments.
        snd_cwnd: Option<u64> = count,
        /// Segment size that was announced to the peer, in bytes.
        advmss: Option<u64> = count,
        /// Reordering that is tolerated, in segments.
        reordering: Option<u64> = count,
        /// Round trip as the receiver estimates it; absent: it was not.
        rcv_rtt_us: Option<Span> = span,
        /// Space of the receive queue, in bytes.
        rcv_space: Option<u64> = count,
        /// Segments retransmitted in all.
        total_retrans: Option<u64> = count,
        /// Bytes per second that pacing allows; absent: no limit.
        pacing_rate: Option<u64> = count,
        /// The most that it may be (SO_MAX_PACING_RATE); absent: no limit.
        max_pacing_rate: Option<u64> = count,
        /// Sequence numbers that the peer acknowledged: payload, one for this end's SYN where it is the client, and one for an
        /// acknowledged FIN.
        bytes_acked: Option<u64> = count,
        /// Sequence numbers received in order: payload, and one for the peer's FIN.
        bytes_received: Option<u64> = count,
        /// Segments sent.
        segs_out: Option<u64> = count,
        /// Segments received.
        segs_in: Option<u64> = count,
        /// Bytes written by the application and not yet sent.
        notsent_bytes: Option<u64> = count,
        /// Shortest round trip of the last five minutes; absent: none was measured.
        min_rtt_us: Option<Span> = span,
        /// Segments with payload received.
        data_segs_in: Option<u64> = count,
        /// Segments with payload sent.
        data_segs_out: Option<u64> = count,
        /// Rate of delivery as last measured, bytes per second.
        delivery_rate: Option<u64> = count,
        /// Time in which something was sent and not acknowledged, or waited to be sent.
        busy_time_us: Option<Span> = span,
        /// Of it limited by the receiver's window.
        rwnd_limited_us: Option<Span> = span,
        /// Of it limited by the send buffer.
        sndbuf_limited_us: Option<Span> = span,
        /// Segments delivered, retransmitted ones and the SYN included.
        delivered: Option<u64> = count,
        /// Of these acknowledged with ECE.
        delivered_ce: Option<u64> = count,
        /// Payload bytes sent, repeated ones included; no SYN, no FIN.
        bytes_sent: Option<u64> = count,
        /// Payload bytes of these that were repeated: the difference is each byte once.
        bytes_retrans: Option<u64> = count,
        /// Duplicates that the peer reported (D-SACK): repeated for nothing.
        dsack_dups: Option<u64> = count,
        /// Times that reordering was seen.
        reord_seen: Option<u64> = count,
        /// Segments received out of order.
        rcv_ooopack: Option<u64> = count,
        /// The peer's window as last seen, in bytes.
        snd_wnd: Option<u64> = count,
        /// This end's window as last told, in bytes.
        rcv_wnd: Option<u64> = count,
        /// Times that another path was tried after timeouts.
        rehash: Option<u64> = count,
        /// Retransmission timeouts in all.
        total_rto: Option<u64> = count,
        /// Recoveries from them.
        total_rto_recoveries: Option<u64> = count,
        /// Time spent in them, in steps of ms.
        total_rto_time_us: Option<Span> = span,
        /// Segments received with CE.
        received_ce: Option<u64> = count,
        /// Accurate ECN: payload bytes delivered with ECT(1).
        delivered_e1_bytes: Option<u64> = count,
        /// Accurate ECN: with ECT(0).
        delivered_e0_bytes: Option<u64> = count,
        /// Accurate ECN: with CE.
        delivered_ce_bytes: Option<u64> = count,
        /// Accurate ECN: payload bytes received with ECT(1).
        received_e1_bytes: Option<u64> = count,
        /// Accurate ECN: with ECT(0).
        received_e0_bytes: Option<u64> = count,
        /// Accurate ECN: with CE.
        received_ce_bytes: Option<u64> = count,
        /// Accurate ECN: how negotiation failed, bits.
        accecn_fail_mode: Option<u64> = count,
        /// Accurate ECN: whether its option was seen.
        accecn_opt_seen: Option<u64> = count,
    }
}

extra! {
    /// What a congestion control tells of itself; only some do.
    TcpAlgorithm {
        /// Vegas is in use (tcp_vegas, and others that answer as it does).
        vegas_enabled: Option<bool> = flag,
        /// Vegas: round trips measured in this window.
        vegas_rttcnt: Option<u64> = count,
        /// Vegas: round trip.
        vegas_rtt_us: Option<Span> = span,
        /// Vegas: smallest round trip; absent: none was measured.
        vegas_minrtt_us: Option<Span> = span,
        /// DCTCP is in use.
        dctcp_enabled: Option<bool> = flag,
        /// DCTCP: the last segment had CE.
        dctcp_ce_state: Option<u64> = count,
        /// DCTCP: share of marked bytes, of 1024.
        dctcp_alpha: Option<u64> = count,
        /// DCTCP: bytes acknowledged with ECE in this window.
        dctcp_ab_ecn: Option<u64> = count,
        /// DCTCP: bytes acknowledged in this window.
        dctcp_ab_tot: Option<u64> = count,
        /// BBR: estimated bandwidth, bytes per second.
        bbr_bw: Option<u64> = count,
        /// BBR: smallest round trip; absent: none was measured.
        bbr_min_rtt_us: Option<Span> = span,
        /// BBR: gain of the pacing rate, times 256.
        bbr_pacing_gain: Option<u64> = count,
        /// BBR: gain of the window, times 256.
        bbr_cwnd_gain: Option<u64> = count,
    }
}

extra! {
    /// Memory of a socket, in bytes of the kernel's own accounting.
    SocketMemory {
        /// Memory of what was received.
        mem_rmem: Option<u64> = count,
        /// Memory of what waits to be sent or acknowledged.
        mem_wmem: Option<u64> = count,
        /// Memory reserved and not used.
        mem_fmem: Option<u64> = count,
        /// Memory of what was handed to the network device and has not left it.
        mem_tmem: Option<u64> = count,
        /// Memory of what was received.
        skmem_rmem_alloc: Option<u64> = count,
        /// The most that it may be (SO_RCVBUF).
        skmem_rcvbuf: Option<u64> = count,
        /// Memory of what was handed to the network device and has not left it.
        skmem_wmem_alloc: Option<u64> = count,
        /// The most that waits to be sent or acknowledged (SO_SNDBUF).
        skmem_sndbuf: Option<u64> = count,
        /// Memory reserved and not used.
        skmem_fwd_alloc: Option<u64> = count,
        /// Memory of what waits to be sent or acknowledged.
        skmem_wmem_queued: Option<u64> = count,
        /// Memory of options and ancillary data.
        skmem_optmem: Option<u64> = count,
        /// Memory of what came while the application held the socket.
        skmem_backlog: Option<u64> = count,
        /// Segments that the socket dropped.
        skmem_drops: Option<u64> = count,
    }
}

extra! {
    /// Options of a socket.
    SocketOptions {
        /// IPv4's type of service.
        tos: Option<u64> = count,
        /// IPv6's traffic class.
        tclass: Option<u64> = count,
        /// Class of net_cls, or SO_PRIORITY.
        class_id: Option<u64> = count,
        /// SO_MARK; only for who may see it (CAP_NET_ADMIN).
        mark: Option<u64> = count,
        /// The protocol's number, where it is told: 6 is TCP.
        protocol: Option<u64> = count,
        /// IPV6_V6ONLY.
        v6only: Option<bool> = flag,
        /// IP_RECVERR.
        recverr: Option<bool> = flag,
        /// It is a connection-oriented socket of the kernel's.
        is_icsk: Option<bool> = flag,
        /// IP_FREEBIND.
        freebind: Option<bool> = flag,
        /// IP_HDRINCL.
        hdrincl: Option<bool> = flag,
        /// IP_MULTICAST_LOOP.
        mc_loop: Option<bool> = flag,
        /// IP_TRANSPARENT.
        transparent: Option<bool> = flag,
        /// IP_MULTICAST_ALL.
        mc_all: Option<bool> = flag,
        /// IP_NODEFRAG.
        nodefrag: Option<bool> = flag,
        /// IP_BIND_ADDRESS_NO_PORT.
        bind_address_no_port: Option<bool> = flag,
        /// IP_RECVERR_RFC4884.
        recverr_rfc4884: Option<bool> = flag,
        /// TCP_FASTOPEN_CONNECT: the SYN waits for data.
        defer_connect: Option<bool> = flag,
    }
}
