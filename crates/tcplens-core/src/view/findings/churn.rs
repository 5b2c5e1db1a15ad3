//! Clients that open a new connection for each request, where that costs them much of their time.

use super::thresholds::{
    CHURN, CHURN_HANDSHAKES_PER_MILLE, CHURN_NS, CHURN_SINGLE_PER_MILLE, is_share,
};
use super::{Class, Draft};
use crate::record::Suspect;
use crate::view::Report;
use crate::view::words::{count, duration, endpoint, percent, when};

pub(super) fn find(report: &Report) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (client, (ip, port), pair) in report.churn.pairs() {
        let (seen, all) = (&pair.single, pair.connections);
        let openings_ns = pair.openings_ns();
        let waited_ns = openings_ns.saturating_add(pair.request_ns);
        let is_churn = seen.count >= CHURN
            && is_share(seen.count, all, CHURN_SINGLE_PER_MILLE)
            && openings_ns >= CHURN_NS
            && is_share(openings_ns, waited_ns, CHURN_HANDSHAKES_PER_MILLE);
        if !is_churn {
            continue;
        }
        let server = endpoint(ip, port);
        let text = format!(
            "{client} opens a new connection for each request to {server}: {} of the time that it waits there goes to opening them.",
            percent(openings_ns, waited_ns)
        );
        let evidence = format!(
            "{} of {} with one request only; opening them took {}, {} each; what was asked took {}; {}.",
            seen.count,
            count(all, "connection"),
            duration(openings_ns),
            duration(pair.opening_ns()),
            duration(pair.request_ns),
            when(seen.first, seen.last)
        );
        let filter = format!("tcp and host {client} and host {ip} and port {port}");
        let draft = Draft::new(Class::Slow, "no_reuse", Suspect::Client, seen, all);
        let draft = Draft {
            time_ns: openings_ns,
            ..draft
        };
        drafts.push(draft.says(text, evidence, filter));
    }
    drafts
}
