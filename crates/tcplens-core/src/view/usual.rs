//! How long it takes to send so many bytes where nothing is wrong: what takes longer is worth a look. Not a model of TCP: a
//! generous bound, so that a file that is large, or a reader who is far, is no finding.

use crate::record::{Request, Verdict};
use crate::time::Span;

/// What goes out before the first acknowledgment: ten segments (RFC 6928) of 1448 bytes.
const FIRST_FLIGHT: u64 = 14_480;
/// What a usual line carries, in ns per byte: 1 MB/s (8 Mbit/s). Chosen: less feels slow.
pub(super) const NS_PER_BYTE: u64 = 1_000;

/// The longest that is usual for `bytes` over a round trip of `rtt` ns: two round trips for each doubling of what is on the way
/// (slow start, RFC 5681, with delayed acknowledgments and a pause), two more, and the line's time.
pub(super) fn transfer_ns(bytes: u64, rtt: u64) -> u64 {
    let flights = bytes.div_ceil(FIRST_FLIGHT).max(1);
    let doublings = u64::from(u64::BITS - (flights - 1).leading_zeros());
    let round_trips = rtt.saturating_mul(2 + 2 * doublings);
    round_trips.saturating_add(bytes.saturating_mul(NS_PER_BYTE))
}

/// The shortest round trip between client and server, in ns, as far as it is known.
pub(super) fn round_trip_ns(request: &Request<'_>) -> u64 {
    let ns = |span: Option<Span>| span.map_or(0, Span::ns);
    ns(request.client_rtt_us).saturating_add(ns(request.server_rtt_us))
}

/// Whether a request took long because it, or its answer, is large or comes from far, and for no other reason.
pub(super) fn is_usual(request: &Request<'_>, verdict: Verdict, took: Span) -> bool {
    let bytes = match verdict {
        Verdict::Client => request.request_bytes,
        Verdict::Transfer => request.response_bytes,
        Verdict::Queue | Verdict::Server | Verdict::Network | Verdict::Loss | Verdict::Window => {
            return false;
        }
    };
    took.ns() <= transfer_ns(bytes, round_trip_ns(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_doubling_of_what_is_on_the_way_may_take_two_round_trips() {
        let ms = 1_000_000;
        assert_eq!(transfer_ns(0, 100 * ms), 200 * ms);
        assert_eq!(transfer_ns(14_480, 100 * ms), 200 * ms + 14_480_000);
        assert_eq!(transfer_ns(14_481, 100 * ms), 400 * ms + 14_481_000);
        assert_eq!(transfer_ns(150_000, 100 * ms), 1_000 * ms + 150 * ms);
        assert_eq!(transfer_ns(u64::MAX, u64::MAX), u64::MAX);
    }
}
