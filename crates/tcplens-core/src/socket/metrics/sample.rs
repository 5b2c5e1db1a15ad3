//! One look at a connection, as far as it is counted. A number that the kernel did not tell is absent.

use super::super::message::{Message, state};
use crate::time::Span;

/// See the module. The default is a connection that has done nothing so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// `bytes_sent`: payload, repeated bytes included.
    pub sent_bytes: Option<u64>,
    /// `bytes_retrans`.
    pub repeated_bytes: Option<u64>,
    /// Payload: `bytes_received` without the peer's FIN. Of a destroyed socket it takes more than its last word to know whether
    /// that is among it: who knows puts it here.
    pub received_bytes: Option<u64>,
    /// `bytes_acked`.
    pub acked_bytes: Option<u64>,
    /// `total_retrans`.
    pub retransmits: Option<u32>,
    /// `data_segs_out`.
    pub data_segments: Option<u32>,
    /// `busy_time`.
    pub busy_us: Option<u64>,
    /// `rwnd_limited`.
    pub rwnd_limited_us: Option<u64>,
    /// `sndbuf_limited`.
    pub sndbuf_limited_us: Option<u64>,
    /// `rtt`.
    pub rtt_us: Option<u32>,
    /// `min_rtt`.
    pub min_rtt_us: Option<u32>,
    /// `delivery_rate` where it was not limited by the application.
    pub delivery_rate: Option<u64>,
    /// It is not established yet.
    pub is_attempt: bool,
}

impl Sample {
    /// Of a message; without statistics there are no numbers.
    #[must_use]
    pub fn of(message: Message<'_>) -> Sample {
        let is_attempt = matches!(
            message.state(),
            state::SYN_SENT | state::SYN_RECV | state::NEW_SYN_RECV
        );
        let Some(info) = message.tcp_info() else {
            return Sample {
                is_attempt,
                ..Sample::default()
            };
        };
        // That beside the statistics is older than they are.
        let state = info.state().filter(|state| *state != 0);
        let has_fin = matches!(
            state.unwrap_or(message.state()),
            state::CLOSE_WAIT | state::LAST_ACK | state::CLOSING | state::TIME_WAIT
        );
        let received = info.bytes_received();
        let is_free = info.delivery_rate_app_limited() == Some(false);
        Sample {
            sent_bytes: info.bytes_sent(),
            repeated_bytes: info.bytes_retrans(),
            received_bytes: received.map(|bytes| bytes.saturating_sub(u64::from(has_fin))),
            acked_bytes: info.bytes_acked(),
            retransmits: info.total_retrans(),
            data_segments: info.data_segs_out(),
            busy_us: info.busy_time(),
            rwnd_limited_us: info.rwnd_limited(),
            sndbuf_limited_us: info.sndbuf_limited(),
            rtt_us: info.rtt(),
            min_rtt_us: info.min_rtt(),
            delivery_rate: info.delivery_rate().filter(|_| is_free),
            is_attempt,
        }
    }

    /// The smoothed round trip, if one was measured.
    #[must_use]
    pub fn rtt(&self) -> Option<Span> {
        self.rtt_us.filter(|&us| us > 0).map(micros)
    }

    /// The shortest round trip, if one was measured.
    #[must_use]
    pub fn min_rtt(&self) -> Option<Span> {
        let measured = self.min_rtt_us.filter(|&us| us > 0 && us != u32::MAX);
        measured.map(micros)
    }
}

fn micros(us: u32) -> Span {
    Span::from_ns(u64::from(us) * 1000)
}
