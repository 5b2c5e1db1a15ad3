//! Small segments that wait for a delayed acknowledgment: Nagle's algorithm on one side, delayed acknowledgments on the other.
//! What is counted is `connection.client_held_segments` and `server_held_segments`.

use super::thresholds::{HELD, HELD_NS};
use super::{Class, Draft};
use crate::record::Suspect;
use crate::view::words::{addresses, count, duration, endpoint, when};
use crate::view::{Cause, Report};

pub(super) fn find(report: &Report) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for ((ip, port), peer) in report.servers.iter() {
        for (n, cause, suspect) in [
            (0, Cause::HeldByClient, Suspect::Client),
            (1, Cause::HeldByServer, Suspect::Server),
        ] {
            let held = peer.held_segments[n];
            let Some(seen) = peer
                .cause(cause)
                .filter(|seen| held >= HELD && seen.time_ns >= HELD_NS)
            else {
                continue;
            };
            let server = endpoint(ip, port);
            let (who, what, other) = match suspect {
                Suspect::Client => (
                    format!("Clients of {server} send"),
                    "requests",
                    "the server",
                ),
                _ => (format!("{server} sends"), "answers", "the client"),
            };
            let each = duration(seen.time_ns / held);
            let text = format!(
                "{who} their {what} in small pieces, and each time the next piece waits {each} until {other} has acknowledged the \
                 one before (Nagle's algorithm and delayed acknowledgments; TCP_NODELAY is not set)."
            )
            .replace("sends their", "sends its");
            let evidence = format!(
                "{} waited for {} in all, on {} of {}, with {}; {}.",
                count(held, "small segment"),
                duration(seen.time_ns),
                seen.count,
                count(peer.connections, "connection"),
                addresses(&seen.peers, "client"),
                when(seen.first, seen.last)
            );
            let of = held.max(
                report
                    .requests
                    .server((ip, port))
                    .map_or(0, |group| group.requests()),
            );
            let draft = Draft {
                harm: held,
                ..Draft::new(Class::Slow, "delayed_ack", suspect, seen, of)
            };
            drafts.push(draft.says(text, evidence, format!("tcp and host {ip} and port {port}")));
        }
    }
    drafts
}
