//! Slow requests with a reason of their own: names, TLS handshakes, small receive windows. The rest is in `requests`.

use super::requests::{Server, mostly};
use super::thresholds::{
    SLOW_NAME_NS, SLOW_NAMES_PER_MILLE, SLOW_NS, SLOW_PER_MILLE, SLOW_REQUESTS, SMALL_WINDOW_NS,
    is_share,
};
use super::{Class, Draft};
use crate::record::Suspect;
use crate::view::troubles::{Slow, SmallWindow};
use crate::view::words::{addresses, duration, when};

impl Server<'_> {
    pub(super) fn slow_names(&self, slow: Option<&Slow>) -> Option<Draft> {
        let slow = slow?;
        let (seen, answered) = (&slow.seen, self.group.total.count());
        if seen.count < SLOW_REQUESTS || !is_share(seen.count, answered, SLOW_NAMES_PER_MILLE) {
            return None;
        }
        let text = format!(
            "The name server {} takes long to answer: whoever asks it for a name (DNS) waits before it can even connect.",
            self.name
        );
        let mut evidence = self.cost(slow, "answered look-up", SLOW_NAME_NS);
        self.who(&mut evidence, slow);
        let draft = Draft::new(Class::Slow, "slow_dns", Suspect::Server, seen, answered);
        Some(draft.says(text, evidence, self.filter.clone()))
    }

    pub(super) fn slow_handshakes(&self, slow: Option<&Slow>) -> Option<Draft> {
        let slow = slow?;
        let (seen, answered) = (&slow.seen, self.group.total.count());
        if seen.count < SLOW_REQUESTS || !is_share(seen.count, answered, SLOW_PER_MILLE) {
            return None;
        }
        let text = format!(
            "{} takes long to open encrypted connections: for most of the time of slow TLS handshakes the client waits for its part.",
            self.name
        );
        let mut evidence = self.cost(slow, "answered request", SLOW_NS);
        self.who(&mut evidence, slow);
        let draft = Draft::new(Class::Slow, "slow_tls", Suspect::Server, seen, answered);
        Some(draft.says(text, evidence, self.filter.clone()))
    }

    pub(super) fn small_window(&self, of_server: bool, small: &SmallWindow) -> Option<Draft> {
        let SmallWindow {
            slow,
            least,
            farthest_ns,
        } = small;
        let (seen, answered) = (&slow.seen, self.group.total.count());
        let is_much = seen.count >= SLOW_REQUESTS || seen.time_ns >= SMALL_WINDOW_NS;
        if !is_much || !is_share(seen.count, answered, SLOW_PER_MILLE) {
            return None;
        }
        let name = &self.name;
        let (suspect, text) = if of_server {
            (
                Suspect::Server,
                format!(
                    "{name} lets clients send no more than {} at once, for that is all its receive buffer takes: each such piece costs \
                     a round trip.",
                    bytes(*least)
                ),
            )
        } else {
            (
                Suspect::Client,
                format!(
                    "Clients of {name} let it send no more than {} at once, for that is all their receive buffer takes: each such \
                     piece costs a round trip.",
                    bytes(*least)
                ),
            )
        };
        let mut evidence = self.cost(slow, "answered request", SLOW_NS);
        evidence.push_str("; the round trip is up to ");
        evidence.push_str(&duration(*farthest_ns));
        self.who(&mut evidence, slow);
        let draft = Draft::new(Class::Slow, "small_window", suspect, seen, answered);
        Some(draft.says(text, evidence, self.filter.clone()))
    }

    /// Appends what was asked, by whom and when.
    fn who(&self, evidence: &mut String, slow: &Slow) {
        let seen = &slow.seen;
        mostly(evidence, &slow.operations, seen.count);
        evidence.push_str("; by ");
        evidence.push_str(&addresses(&seen.peers, "client"));
        evidence.push_str("; ");
        evidence.push_str(&when(seen.first, seen.last));
        evidence.push('.');
    }
}

fn bytes(window: Option<u64>) -> String {
    crate::view::words::count(window.unwrap_or(0), "byte")
}
