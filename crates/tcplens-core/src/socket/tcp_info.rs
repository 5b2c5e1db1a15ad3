//! `struct tcp_info` as the kernel hands it out (include/uapi/linux/tcp.h, Linux 6.18: 280 bytes). Kernels append fields and
//! never move one: any length is normal. A field beyond the end is absent, what is beyond the fields that we know is
//! [`TcpInfo::tail`].

/// A view over the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo<'a>(&'a [u8]);

/// A field's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The kernel's name without `tcpi_`.
    pub name: &'static str,
    /// Its first byte.
    pub offset: usize,
    /// Its bytes: 1, 2, 4 or 8, in the host's order.
    pub width: usize,
}

macro_rules! fields {
    ($( $(#[doc = $doc:literal])+ $name:ident : $ty:ident @ $offset:literal ),+ $(,)?) => {
        impl<'a> TcpInfo<'a> {
            $(
                $(#[doc = $doc])+
                #[inline]
                #[must_use]
                pub fn $name(self) -> Option<$ty> {
                    let bytes = self.0.get($offset..$offset + size_of::<$ty>())?;
                    bytes.try_into().ok().map($ty::from_ne_bytes)
                }
            )+
        }

        /// All fields that are known, in the kernel's order.
        pub const PLACES: &[Place] = &[
            $( Place { name: stringify!($name), offset: $offset, width: size_of::<$ty>() } ),+
        ];
    };
}

fields! {
    /// State (include/net/tcp_states.h).
    state: u8 @ 0,
    /// State of congestion avoidance: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss.
    ca_state: u8 @ 1,
    /// Timeouts of the segment that waits, in a row.
    retransmits: u8 @ 2,
    /// Window or keep-alive probes without an answer.
    probes: u8 @ 3,
    /// Exponent of the retransmission timer's back-off.
    backoff: u8 @ 4,
    /// Bits: 1 timestamps, 2 SACK, 4 window scale, 8 ECN, 16 ECN seen, 32 data on the SYN was acknowledged, 64 microseconds.
    options: u8 @ 5,
    /// Window scales: the low four bits are the peer's (`snd_wscale`), the high four ours.
    wscales: u8 @ 6,
    /// Bit 0: `delivery_rate_app_limited`; bits 1 and 2: `fastopen_client_fail`.
    limited: u8 @ 7,
    /// Retransmission timeout, µs.
    rto: u32 @ 8,
    /// Delayed ACK's timeout, µs.
    ato: u32 @ 12,
    /// Largest segment sent, bytes.
    snd_mss: u32 @ 16,
    /// Largest segment received, bytes (estimated).
    rcv_mss: u32 @ 20,
    /// Segments sent and not acknowledged; of a listener: connections that wait for accept(2).
    unacked: u32 @ 24,
    /// Segments acknowledged selectively; of a listener: how many may wait.
    sacked: u32 @ 28,
    /// Segments taken for lost.
    lost: u32 @ 32,
    /// Segments retransmitted and not acknowledged yet.
    retrans: u32 @ 36,
    /// No longer counted by the kernel.
    fackets: u32 @ 40,
    /// Since data was last sent, ms.
    last_data_sent: u32 @ 44,
    /// Not remembered by the kernel.
    last_ack_sent: u32 @ 48,
    /// Since data was last received, ms.
    last_data_recv: u32 @ 52,
    /// Since an ACK was last received, ms.
    last_ack_recv: u32 @ 56,
    /// Path MTU, bytes.
    pmtu: u32 @ 60,
    /// Receiver's slow-start threshold, bytes.
    rcv_ssthresh: u32 @ 64,
    /// Smoothed round trip, µs.
    rtt: u32 @ 68,
    /// Its mean deviation, µs.
    rttvar: u32 @ 72,
    /// Slow-start threshold, segments; 0x7fffffff: none yet.
    snd_ssthresh: u32 @ 76,
    /// Congestion window, segments.
    snd_cwnd: u32 @ 80,
    /// MSS that was announced to the peer, bytes.
    advmss: u32 @ 84,
    /// Reordering that is tolerated, segments.
    reordering: u32 @ 88,
    /// The receiver's round trip, µs.
    rcv_rtt: u32 @ 92,
    /// The receiver's queue space, bytes.
    rcv_space: u32 @ 96,
    /// Segments retransmitted in all.
    total_retrans: u32 @ 100,
    /// Bytes per second; all ones: not limited.
    pacing_rate: u64 @ 104,
    /// Bytes per second; all ones: not limited.
    max_pacing_rate: u64 @ 112,
    /// Sequence numbers acknowledged by the peer, SYN (of the client) and FIN among them.
    bytes_acked: u64 @ 120,
    /// Sequence numbers received in order, FIN among them.
    bytes_received: u64 @ 128,
    /// Segments sent.
    segs_out: u32 @ 136,
    /// Segments received.
    segs_in: u32 @ 140,
    /// Bytes written by the application and not yet sent.
    notsent_bytes: u32 @ 144,
    /// Smallest round trip, µs; all ones: none was measured.
    min_rtt: u32 @ 148,
    /// Segments with data received.
    data_segs_in: u32 @ 152,
    /// Segments with data sent.
    data_segs_out: u32 @ 156,
    /// Rate of delivery as last measured, bytes per second.
    delivery_rate: u64 @ 160,
    /// Time with data outstanding or waiting, µs.
    busy_time: u64 @ 168,
    /// Of it limited by the peer's window, µs.
    rwnd_limited: u64 @ 176,
    /// Of it limited by the send buffer, µs.
    sndbuf_limited: u64 @ 184,
    /// Segments delivered, retransmitted ones included.
    delivered: u32 @ 192,
    /// Of these acknowledged with ECE.
    delivered_ce: u32 @ 196,
    /// Payload bytes sent, repeated ones included.
    bytes_sent: u64 @ 200,
    /// Payload bytes sent again.
    bytes_retrans: u64 @ 208,
    /// D-SACKs received: repeated for nothing.
    dsack_dups: u32 @ 216,
    /// Reordering seen, events.
    reord_seen: u32 @ 220,
    /// Segments received out of order.
    rcv_ooopack: u32 @ 224,
    /// The peer's window as last seen, bytes.
    snd_wnd: u32 @ 228,
    /// Our window as last told, bytes.
    rcv_wnd: u32 @ 232,
    /// Times that another path was tried (the flow's hash was drawn again).
    rehash: u32 @ 236,
    /// Retransmission timeouts in all.
    total_rto: u16 @ 240,
    /// Recoveries from them.
    total_rto_recoveries: u16 @ 242,
    /// Time spent in them, ms.
    total_rto_time: u32 @ 244,
    /// Segments received with CE.
    received_ce: u32 @ 248,
    /// Accurate ECN: bytes delivered with ECT(1).
    delivered_e1_bytes: u32 @ 252,
    /// Accurate ECN: bytes delivered with ECT(0).
    delivered_e0_bytes: u32 @ 256,
    /// Accurate ECN: bytes delivered with CE.
    delivered_ce_bytes: u32 @ 260,
    /// Accurate ECN: bytes received with ECT(1).
    received_e1_bytes: u32 @ 264,
    /// Accurate ECN: bytes received with ECT(0).
    received_e0_bytes: u32 @ 268,
    /// Accurate ECN: bytes received with CE.
    received_ce_bytes: u32 @ 272,
    /// Accurate ECN: how negotiation failed, bits.
    accecn_fail_mode: u16 @ 276,
    /// Accurate ECN: option seen.
    accecn_opt_seen: u16 @ 278,
}

/// Bytes of all known fields.
pub const KNOWN: usize = 280;

impl<'a> TcpInfo<'a> {
    /// Any length is taken.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> TcpInfo<'a> {
        TcpInfo(bytes)
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// What a newer kernel appended; empty on this or an older one.
    #[must_use]
    pub fn tail(self) -> &'a [u8] {
        self.0.get(KNOWN..).unwrap_or_default()
    }

    /// What the peer scales its window by (bits).
    #[must_use]
    pub fn snd_wscale(self) -> Option<u8> {
        self.wscales().map(|both| both & 15)
    }

    /// What we scale our window by (bits).
    #[must_use]
    pub fn rcv_wscale(self) -> Option<u8> {
        self.wscales().map(|both| both >> 4)
    }

    /// The delivery rate was limited by the application when it was measured.
    #[must_use]
    pub fn delivery_rate_app_limited(self) -> Option<bool> {
        self.limited().map(|bits| bits & 1 != 0)
    }

    /// Why fast open failed (enum tcp_fastopen_client_fail).
    #[must_use]
    pub fn fastopen_client_fail(self) -> Option<u8> {
        self.limited().map(|bits| bits >> 1 & 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_leave_no_gap_and_end_where_linux_6_18_ends() {
        let mut at = 0;
        for place in PLACES {
            assert_eq!(place.offset, at, "{}", place.name);
            assert_eq!(place.offset % place.width, 0, "{}", place.name);
            at += place.width;
        }
        assert_eq!(at, KNOWN);
    }

    #[test]
    fn any_length_is_normal_and_what_is_beyond_is_absent() {
        let bytes: Vec<u8> = (0..=255).chain(0..44).collect();
        for length in 0..=bytes.len() {
            let info = TcpInfo::new(&bytes[..length]);
            assert_eq!(info.state(), (length > 0).then_some(0));
            let rtt = u32::from_ne_bytes([68, 69, 70, 71]);
            assert_eq!(info.rtt(), (length >= 72).then_some(rtt));
            assert_eq!(info.tail().len(), length.saturating_sub(KNOWN));
        }
    }

    #[test]
    fn bits_are_told_apart() {
        let info = TcpInfo::new(&[1, 0, 0, 0, 0, 7, 0xa7, 0b101]);
        assert_eq!((info.snd_wscale(), info.rcv_wscale()), (Some(7), Some(10)));
        assert_eq!(info.delivery_rate_app_limited(), Some(true));
        assert_eq!(info.fastopen_client_fail(), Some(2));
    }
}
