//! `struct tcp_info` and its record, both ways, from one table: record's field, kernel's field, how.

use super::super::tcp_info::{PLACES, Place, TcpInfo};
use crate::record::{CaState, TcpStatistics};
use crate::time::Span;

/// Negotiated: window scale.
const WSCALE: u8 = 4;
/// The bits of `limited` that are known.
const LIMITED: u8 = 7;

/// What of a structure has fields.
pub(in super::super) struct Read {
    /// The record's part.
    pub(in super::super) statistics: TcpStatistics,
    /// Whether the fields say all that the known bytes do.
    pub(in super::super) is_whole: bool,
}

/// `number`, `micros`, `millis`; `but` names the value that means: none.
macro_rules! table {
    ($with:ident) => {
        $with! {
            tcp_state: state number,
            retransmits: retransmits number,
            probes: probes number,
            backoff: backoff number,
            tcp_options: options number,
            rto_us: rto micros,
            ato_us: ato micros,
            snd_mss: snd_mss number,
            rcv_mss: rcv_mss number,
            unacked: unacked number,
            sacked: sacked number,
            lost: lost number,
            retrans: retrans number,
            fackets: fackets number,
            last_data_sent_us: last_data_sent millis,
            last_ack_sent_us: last_ack_sent millis,
            last_data_recv_us: last_data_recv millis,
            last_ack_recv_us: last_ack_recv millis,
            pmtu: pmtu number,
            rcv_ssthresh: rcv_ssthresh number,
            rtt_us: rtt micros but 0,
            rttvar_us: rttvar micros,
            snd_ssthresh: snd_ssthresh number but 0x7fff_ffff,
            snd_cwnd: snd_cwnd number,
            advmss: advmss number,
            reordering: reordering number,
            rcv_rtt_us: rcv_rtt micros but 0,
            rcv_space: rcv_space number,
            total_retrans: total_retrans number,
            pacing_rate: pacing_rate number but 0xffff_ffff_ffff_ffff,
            max_pacing_rate: max_pacing_rate number but 0xffff_ffff_ffff_ffff,
            bytes_acked: bytes_acked number,
            bytes_received: bytes_received number,
            segs_out: segs_out number,
            segs_in: segs_in number,
            notsent_bytes: notsent_bytes number,
            min_rtt_us: min_rtt micros but 0xffff_ffff,
            data_segs_in: data_segs_in number,
            data_segs_out: data_segs_out number,
            delivery_rate: delivery_rate number,
            busy_time_us: busy_time micros,
            rwnd_limited_us: rwnd_limited micros,
            sndbuf_limited_us: sndbuf_limited micros,
            delivered: delivered number,
            delivered_ce: delivered_ce number,
            bytes_sent: bytes_sent number,
            bytes_retrans: bytes_retrans number,
            dsack_dups: dsack_dups number,
            reord_seen: reord_seen number,
            rcv_ooopack: rcv_ooopack number,
            snd_wnd: snd_wnd number,
            rcv_wnd: rcv_wnd number,
            rehash: rehash number,
            total_rto: total_rto number,
            total_rto_recoveries: total_rto_recoveries number,
            total_rto_time_us: total_rto_time millis,
            received_ce: received_ce number,
            delivered_e1_bytes: delivered_e1_bytes number,
            delivered_e0_bytes: delivered_e0_bytes number,
            delivered_ce_bytes: delivered_ce_bytes number,
            received_e1_bytes: received_e1_bytes number,
            received_e0_bytes: received_e0_bytes number,
            received_ce_bytes: received_ce_bytes number,
            accecn_fail_mode: accecn_fail_mode number,
            accecn_opt_seen: accecn_opt_seen number,
        }
    };
}

macro_rules! from_raw {
    (number, $raw:expr) => {
        $raw
    };
    (micros, $raw:expr) => {
        $raw.map(|us| Span::from_ns(us.saturating_mul(1000)))
    };
    (millis, $raw:expr) => {
        $raw.map(|ms| Span::from_ns(ms.saturating_mul(1_000_000)))
    };
}

macro_rules! to_raw {
    (number, $value:expr) => {
        $value
    };
    (micros, $value:expr) => {
        $value.map(|span| span.ns() / 1000)
    };
    (millis, $value:expr) => {
        $value.map(|span| span.ns() / 1_000_000)
    };
}

pub(in super::super) fn read(info: TcpInfo<'_>) -> Read {
    let options = info.options();
    let bit = |bit: u8| options.map(|options| options & bit != 0);
    let ca_state = info.ca_state().map(CaState::of);
    // Not negotiated they are 0.
    let scale = |scale: Option<u8>| {
        scale
            .filter(|scale| *scale != 0 || bit(WSCALE) == Some(true))
            .map(u64::from)
    };
    macro_rules! statistics {
        ($( $field:ident: $from:ident $how:ident $(but $none:literal)? ),+ $(,)?) => {
            TcpStatistics {
                tcp_info_bytes: u64::try_from(info.bytes().len()).ok(),
                ca_state: ca_state.flatten(),
                timestamps: bit(1),
                sack: bit(2),
                ecn: bit(8),
                ecn_seen: bit(16),
                syn_data: bit(32),
                snd_wscale: scale(info.snd_wscale()),
                rcv_wscale: scale(info.rcv_wscale()),
                delivery_rate_app_limited: info.delivery_rate_app_limited(),
                fastopen_client_fail: info.fastopen_client_fail().map(u64::from),
                $( $field: from_raw!($how, info.$from().map(u64::from)$(.filter(|raw| *raw != $none))?), )+
            }
        };
    }
    let is_known_limit = info.limited().is_none_or(|bits| bits & !LIMITED == 0);
    // Times of 64 bits: what no span holds is cut.
    let times = [info.busy_time(), info.rwnd_limited(), info.sndbuf_limited()];
    let fits = |us: Option<u64>| us.is_none_or(|us| us <= u64::MAX / 1000);
    Read {
        statistics: table!(statistics),
        is_whole: is_known_limit && ca_state != Some(None) && times.into_iter().all(fits),
    }
}

/// Appends the structure, as long as it was; `tail` is what came behind the fields.
pub(in super::super) fn write(statistics: &TcpStatistics, tail: &[u8], to: &mut Vec<u8>) {
    let length = statistics.tcp_info_bytes.unwrap_or(0);
    // An attribute's length has two bytes: more than that is no message.
    let length = usize::try_from(length.min(0xffff)).unwrap_or(0);
    let start = to.len();
    to.resize(start + length.saturating_sub(tail.len()), 0);
    let all = &mut to[start..];
    let mut put = |place: Place, raw: u64| {
        let end = place.offset + place.width;
        let Some(to) = all.get_mut(place.offset..end) else {
            return;
        };
        // Each width is written as the host orders it; a number too large for it is cut, which no kernel's is.
        match place.width {
            1 => to.copy_from_slice(&(raw as u8).to_ne_bytes()),
            2 => to.copy_from_slice(&(raw as u16).to_ne_bytes()),
            4 => to.copy_from_slice(&(raw as u32).to_ne_bytes()),
            _ => to.copy_from_slice(&raw.to_ne_bytes()),
        }
    };
    macro_rules! puts {
        ($( $field:ident: $from:ident $how:ident $(but $none:literal)? ),+ $(,)?) => {
            $(
                const { assert!(place(stringify!($from)).width > 0) };
                let none: u64 = 0 $(| $none)?;
                put(const { place(stringify!($from)) }, to_raw!($how, statistics.$field).unwrap_or(none));
            )+
        };
    }
    table!(puts);
    let ca_state = statistics.ca_state.map_or(0, CaState::number);
    put(const { place("ca_state") }, u64::from(ca_state));
    let scales =
        (statistics.snd_wscale.unwrap_or(0) & 15) | statistics.rcv_wscale.unwrap_or(0) << 4;
    put(const { place("wscales") }, scales);
    let is_limited = statistics.delivery_rate_app_limited == Some(true);
    let fail = statistics.fastopen_client_fail.unwrap_or(0) & 3;
    put(
        const { place("limited") },
        u64::from(is_limited) | fail << 1,
    );
    to.extend_from_slice(tail);
}

/// The place of a field, at compile time; a name that is none has no width.
const fn place(name: &'static str) -> Place {
    let mut at = 0;
    while at < PLACES.len() {
        let place = PLACES[at];
        if is_same(place.name, name) {
            return place;
        }
        at += 1;
    }
    Place {
        name,
        offset: 0,
        width: 0,
    }
}

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
