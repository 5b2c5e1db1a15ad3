//! What handshakes amount to: counts by outcome, repeats, percentiles. One summary per filter, side or server; who
//! counts where is the caller's decision. Not per server: see `peers`.

use super::Histogram;
use crate::record::{Handshake, Outcome};
use crate::time::SECOND;

/// An attempt that had no answer when the observation ended counts as failed from this age on: the client repeats a SYN
/// after one second (RFC 6298 section 2.1), so that by then it was at least late.
pub const SILENCE_NS: u64 = SECOND as u64;

/// Repeated SYNs or SYN-ACKs: how many segments, in how many attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// Repeated segments.
    pub segments: u64,
    /// Attempts with at least one.
    pub attempts: u64,
}

impl Repeats {
    fn add(&mut self, segments: u64) {
        self.segments += segments;
        self.attempts += u64::from(segments > 0);
    }

    fn merge(&mut self, other: Repeats) {
        self.segments += other.segments;
        self.attempts += other.attempts;
    }
}

/// Counts and durations of connection attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandshakeSummary {
    outcomes: [u64; Outcome::ALL.len()],
    /// Of the unanswered: younger than [`SILENCE_NS`] when the observation ended. Neither success nor failure.
    pub undecided: u64,
    /// Repeated SYNs of established attempts.
    pub syn_established: Repeats,
    /// Repeated SYN-ACKs of established attempts.
    pub synack_established: Repeats,
    /// Repeated SYNs of all others.
    pub syn_failed: Repeats,
    /// Repeated SYN-ACKs of all others.
    pub synack_failed: Repeats,
    /// First SYN to the ACK that established.
    pub handshake: Histogram,
    /// The server's half: last SYN before the first SYN-ACK, to it.
    pub syn_to_synack: Histogram,
    /// The client's half: last SYN-ACK before the ACK, to the ACK.
    pub synack_to_ack: Histogram,
}

impl HandshakeSummary {
    /// Counts one attempt.
    pub fn add(&mut self, handshake: &Handshake) {
        self.outcomes[handshake.outcome as usize] += 1;
        self.undecided += u64::from(is_undecided(handshake));
        let (syn, synack) = match handshake.outcome {
            Outcome::Established => (&mut self.syn_established, &mut self.synack_established),
            _ => (&mut self.syn_failed, &mut self.synack_failed),
        };
        syn.add(handshake.syn_retransmits);
        synack.add(handshake.synack_retransmits);
        for (histogram, span) in [
            (&mut self.handshake, handshake.handshake_us),
            (&mut self.syn_to_synack, handshake.syn_to_synack_us),
            (&mut self.synack_to_ack, handshake.synack_to_ack_us),
        ] {
            if let Some(span) = span {
                histogram.add(span);
            }
        }
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &HandshakeSummary) {
        for (count, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *count += more;
        }
        self.undecided += other.undecided;
        self.syn_established.merge(other.syn_established);
        self.synack_established.merge(other.synack_established);
        self.syn_failed.merge(other.syn_failed);
        self.synack_failed.merge(other.synack_failed);
        self.handshake.merge(&other.handshake);
        self.syn_to_synack.merge(&other.syn_to_synack);
        self.synack_to_ack.merge(&other.synack_to_ack);
    }

    /// Attempts that ended so.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// All attempts.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Attempts of which it is known how they ended: all but the one-sided and the undecided.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.attempts() - self.outcome(Outcome::OneSided) - self.undecided
    }
}

/// Whether the observation ended too soon to tell how the attempt ends.
#[must_use]
pub fn is_undecided(handshake: &Handshake) -> bool {
    let waits = matches!(
        handshake.outcome,
        Outcome::Unanswered | Outcome::Unacknowledged
    );
    waits
        && handshake.syn_retransmits == 0
        && handshake.wait_us.is_none_or(|wait| wait.ns() < SILENCE_NS)
}
