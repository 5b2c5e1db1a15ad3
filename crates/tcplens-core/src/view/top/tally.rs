//! What is counted of one row within one slice of time. Additive: the sum of two is what both counted, and what was added can
//! be taken away again, exactly.

use super::parts::Sums;
use crate::record::{Handshake, Outcome, Request, Status};
use crate::time::Span;
use crate::view::requests::{self, took};
use crate::view::{Histogram, is_undecided};

macro_rules! counters {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $fdoc:literal])+ $field:ident ),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(super) struct $name { $( $(#[doc = $fdoc])+ pub(super) $field: u64, )+ }

        impl $name {
            // Wrapping: so that taking away is exact whatever was added.
            pub(super) fn add(&mut self, other: &$name) {
                $( self.$field = self.$field.wrapping_add(other.$field); )+
            }

            /// The counter of a field.
            pub(super) fn of_field(name: &str) -> Option<fn(&$name) -> u64> {
                match name {
                    $( stringify!($field) => Some(|counters| counters.$field), )+
                    _ => None,
                }
            }

            pub(super) fn subtract(&mut self, other: &$name) {
                $( self.$field = self.$field.wrapping_sub(other.$field); )+
            }
        }
    };
}

counters! {
    /// See the fields of `peer` with the same names.
    Counters {
        /// Attempts.
        attempts,
        /// Answered with SYN-ACK.
        syn_acks,
        /// Established.
        established,
        /// Failed.
        failed,
        /// Refused.
        refused,
        /// Without an answer.
        silent,
        /// Repeated SYNs.
        syn_retransmits,
        /// Connections that ended.
        connections,
        /// By a RST.
        resets,
        /// Closed by the near end first.
        fins_out,
        /// By the far one.
        fins_in,
        /// Requests.
        requests,
        /// With a byte of response.
        responses,
        /// Answered with an error.
        errors,
        /// Not answered.
        unanswered,
        /// Payload of the near end.
        bytes_out,
        /// Of the far end.
        bytes_in,
        /// Segments with payload.
        data_segments,
        /// Segments with nothing new.
        retransmits,
        /// Segments out of order.
        reordered,
        /// Closed receive windows.
        zero_windows,
        /// How many round trips to the far end were measured.
        rtt_samples,
        /// All of them together, in ns.
        rtt_sum_ns,
        /// With loss in the capture.
        capture_losses,
        /// Bytes that were never seen.
        missing_bytes,
    }
}

impl What {
    pub(super) const ALL: [What; 4] = [What::Connect, What::Request, What::Process, What::Reuse];
}

/// The histograms of a tally, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// First SYN to the ACK that established.
    Connect,
    /// How long answered requests took.
    Request,
    /// T2 - T1.
    Process,
    /// Requests per connection that ended, as ns.
    Reuse,
}

/// See the module. 248 bytes, and of each histogram in use 64 and 16 for each of its buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) counters: Counters,
    /// The shortest round trip to the far end.
    pub(super) rtt_min: Option<Span>,
    /// By [`What`]; most rows have few of them.
    histograms: [Option<Box<Histogram>>; 4],
}

impl Tally {
    pub(super) fn histogram(&self, what: What) -> Option<&Histogram> {
        self.histograms[what as usize].as_deref()
    }

    pub(super) fn set(&mut self, what: What, histogram: Histogram) {
        self.histograms[what as usize] = Some(Box::new(histogram));
    }

    fn put(&mut self, what: What, span: Span) {
        self.histograms[what as usize]
            .get_or_insert_default()
            .add(span);
    }

    pub(super) fn attempt(&mut self, handshake: &Handshake) {
        let counters = &mut self.counters;
        counters.attempts += 1;
        counters.syn_acks += u64::from(handshake.synack_seen);
        counters.syn_retransmits += handshake.syn_retransmits;
        counters.capture_losses += u64::from(handshake.capture_loss);
        let has_failed = match handshake.outcome {
            Outcome::Established => {
                counters.established += 1;
                let took = handshake.handshake_us.into_iter();
                took.for_each(|span| self.put(What::Connect, span));
                return;
            }
            // It went on: that its SYN-ACK is missing here says nothing about it.
            Outcome::OneSided => return,
            Outcome::Refused => {
                counters.refused += 1;
                counters.resets += 1;
                true
            }
            Outcome::Reset | Outcome::Aborted => {
                counters.resets += 1;
                true
            }
            Outcome::TimedOut | Outcome::Unanswered => {
                let is_silent = !is_undecided(handshake);
                counters.silent += u64::from(is_silent);
                is_silent
            }
            Outcome::Unacknowledged => !is_undecided(handshake),
            Outcome::Unreachable => true,
        };
        counters.failed += u64::from(has_failed);
    }

    pub(super) fn request(&mut self, request: &Request<'_>) {
        let counters = &mut self.counters;
        counters.requests += 1;
        counters.responses += u64::from(request.response_bytes > 0);
        counters.errors += u64::from(request.status == Status::Error);
        let is_unanswered =
            request.status == Status::Unanswered && !requests::is_undecided(request);
        counters.unanswered += u64::from(is_unanswered);
        counters.capture_losses += u64::from(request.capture_loss);
        if let Some(took) = took(request) {
            self.put(What::Request, took);
        }
        if let Some(process) = request.process_us {
            self.put(What::Process, process);
        }
    }

    /// What became known of a connection.
    pub(super) fn connection(&mut self, news: &News) {
        let counters = &mut self.counters;
        let Sums {
            bytes: [bytes_near, bytes_far],
            rtt_samples: [_, rtt_samples],
            rtt_sum_ns: [_, rtt_sum_ns],
            data_segments,
            retransmits,
            reordered,
            zero_windows,
            missing_bytes,
        } = news.sums;
        counters.bytes_out = counters.bytes_out.wrapping_add(bytes_near);
        counters.bytes_in = counters.bytes_in.wrapping_add(bytes_far);
        counters.data_segments += data_segments;
        counters.retransmits += retransmits;
        counters.reordered += reordered;
        counters.zero_windows += zero_windows;
        counters.missing_bytes = counters.missing_bytes.wrapping_add(missing_bytes);
        counters.rtt_samples += rtt_samples;
        counters.rtt_sum_ns = counters.rtt_sum_ns.wrapping_add(rtt_sum_ns);
        counters.connections += u64::from(news.has_ended);
        counters.resets += u64::from(news.is_reset);
        counters.fins_out += u64::from(news.first_fin == Some(true));
        counters.fins_in += u64::from(news.first_fin == Some(false));
        counters.capture_losses += u64::from(news.has_capture_loss);
        self.rtt_min = self.rtt_min.into_iter().chain(news.rtt_min).min();
        if let Some(requests) = news.reuse {
            self.put(What::Reuse, Span::from_ns(requests));
        }
    }

    /// Counts everything that `other` counted.
    pub(super) fn merge(&mut self, other: &Tally) {
        self.counters.add(&other.counters);
        self.rtt_min = self.rtt_min.into_iter().chain(other.rtt_min).min();
        for (mine, other) in self.histograms.iter_mut().zip(&other.histograms) {
            if let Some(other) = other {
                mine.get_or_insert_default().merge(other);
            }
        }
    }

    /// Takes away what `other` counted, which was counted here; `rest` is what this is then the sum of.
    pub(super) fn subtract<'t>(
        &mut self,
        other: &Tally,
        rest: impl Iterator<Item = &'t Tally> + Clone,
    ) {
        self.counters.subtract(&other.counters);
        self.rtt_min = rest.clone().filter_map(|one| one.rtt_min).min();
        let all = self.histograms.iter_mut().zip(&other.histograms);
        for (n, (mine, other)) in all.enumerate() {
            if let (Some(histogram), Some(other)) = (mine.as_mut(), other) {
                let rest = rest.clone().filter_map(|one| one.histograms[n].as_deref());
                histogram.subtract(other, rest);
                if histogram.count() == 0 {
                    *mine = None;
                }
            }
        }
    }
}

/// What a record of a connection adds to what was known of it: near and far are those of the row.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    /// Of each pair the first is the near end's.
    pub(super) sums: Sums,
    /// To the far end, since the connection began.
    pub(super) rtt_min: Option<Span>,
    pub(super) has_ended: bool,
    pub(super) is_reset: bool,
    /// Whether the near end closed first.
    pub(super) first_fin: Option<bool>,
    pub(super) has_capture_loss: bool,
    /// Requests on it, where they tell how connections are used.
    pub(super) reuse: Option<u64>,
}
