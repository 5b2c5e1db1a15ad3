//! Requests that are slow, fail, or get no answer, per server. Why a request was slow is its own record's verdict: the
//! largest part of its time budget.

use std::fmt::Write;

use super::thresholds::{
    BEHIND_PER_MILLE, NAME_SILENCE_NS, NAMELESS, NAMELESS_PER_MILLE, REQUEST_ERRORS,
    REQUEST_ERRORS_PER_MILLE, SLOW_NS, SLOW_PER_MILLE, SLOW_REQUESTS, UNANSWERED,
    UNANSWERED_PER_MILLE, is_share,
};
use super::{Class, Draft};
use crate::record::{EndedBy, Health, Suspect, Verdict};
use crate::view::troubles::{Errors, Kinds, Lookups, Slow, Trouble};
use crate::view::waits::Wait;
use crate::view::words::{addresses, count, duration, endpoint, grouped, percent, when};
use crate::view::{Report, RequestGroup, ServerKey};

pub(super) fn find(report: &Report, health: &Health) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let waits = report.waits.find();
    let silent = report.troubles.silent(health.time);
    for (&(ip, port), trouble) in &report.troubles.servers {
        let Some(group) = report.requests.server((ip, port)) else {
            continue;
        };
        let server = Server {
            name: endpoint(ip, port),
            filter: format!("host {ip} and port {port}"),
            key: (ip, port),
            group,
            wait: waits
                .get(&(ip, port))
                .filter(|wait| is_share(wait.waited_ns, wait.in_server_ns, BEHIND_PER_MILLE)),
        };
        for &verdict in Verdict::ALL {
            let slow = trouble.slow(verdict);
            drafts.extend(slow.and_then(|slow| server.slow(verdict, slow)));
        }
        drafts.extend(server.slow_names(trouble.slow_names()));
        drafts.extend(server.slow_handshakes(trouble.slow_handshakes()));
        for of_server in [false, true] {
            let small = trouble.small_window(of_server);
            drafts.extend(small.and_then(|small| server.small_window(of_server, small)));
        }
        drafts.extend(server.errors(trouble));
        drafts.extend(server.unanswered(trouble.unanswered()));
        drafts.extend(server.nameless(trouble.nameless()));
        drafts.extend(server.silent(silent.get(&(ip, port))));
    }
    drafts
}

/// A server and all requests to it.
pub(super) struct Server<'r> {
    pub(super) name: String,
    pub(super) filter: String,
    key: ServerKey,
    pub(super) group: &'r RequestGroup,
    /// What its slow requests seem to wait for.
    wait: Option<&'r Wait>,
}

impl Server<'_> {
    fn slow(&self, verdict: Verdict, slow: &Slow) -> Option<Draft> {
        let (seen, answered) = (&slow.seen, self.group.total.count());
        if seen.count < SLOW_REQUESTS || !is_share(seen.count, answered, SLOW_PER_MILLE) {
            return None;
        }
        let name = &self.name;
        let [asked, answer] = slow.bytes;
        let (class, code, suspect, text) = match verdict {
            Verdict::Server => (
                Class::Slow,
                "slow_server",
                Suspect::Server,
                match self.wait {
                    Some(wait) => format!(
                        "{name} takes long, and the likely cause is another server: most of the time inside it, it was \
                         waiting for its own {} to {}.",
                        match (wait.asked, wait.attempts) {
                            (_, 0) => "requests",
                            (0, _) => "connection attempts",
                            _ => "requests and connection attempts",
                        },
                        endpoint(wait.server.0, wait.server.1)
                    ),
                    None => format!(
                        "{name} itself takes long: most of the time of its slow requests passes inside it."
                    ),
                },
            ),
            Verdict::Network => (
                Class::Note,
                "slow_network",
                Suspect::Network,
                format!(
                    "It is far from here to {name}: most of the time of slow requests is one round trip between here and it."
                ),
            ),
            Verdict::Loss => (
                Class::Slow,
                "loss_slows_requests",
                Suspect::Network,
                format!(
                    "Loss makes requests to {name} slow: most of their time they wait for what has to be sent again."
                ),
            ),
            Verdict::Window if answer >= asked => (
                Class::Slow,
                "window_limited",
                Suspect::Client,
                format!(
                    "Clients of {name} read too slowly: most of the time of slow requests their receive buffer is full (closed window), and \
                     {name} must wait."
                ),
            ),
            Verdict::Window => (
                Class::Slow,
                "window_limited",
                Suspect::Server,
                format!(
                    "{name} reads too slowly: most of the time of slow requests its receive buffer is full (closed window), and clients \
                     must wait."
                ),
            ),
            Verdict::Queue => (
                Class::Slow,
                "queueing",
                Suspect::Client,
                format!(
                    "Requests to {name} queue: most of their time they wait for others on the same connection. More \
                     connections help, or a look at those others."
                ),
            ),
            Verdict::Client => (
                Class::Note,
                "slow_upload",
                Suspect::Client,
                format!(
                    "Clients of {name} take long to send their requests ({}).",
                    rate(asked, seen.time_ns)
                ),
            ),
            Verdict::Transfer => (
                Class::Note,
                "slow_transfer",
                Suspect::Network,
                format!(
                    "Responses of {name} take long to arrive ({}).",
                    rate(answer, seen.time_ns)
                ),
            ),
        };
        let mut evidence = self.cost(slow, "answered request", SLOW_NS);
        mostly(&mut evidence, &slow.operations, seen.count);
        let wait = self.wait.filter(|_| verdict == Verdict::Server);
        if let Some(wait) = wait {
            behind(&mut evidence, wait, self.key);
        }
        // Writing to a String cannot fail.
        let _ = write!(
            evidence,
            "; by {}; {}.",
            addresses(&seen.peers, "client"),
            when(seen.first, seen.last)
        );
        let draft = Draft {
            slow: Some(self.key),
            cause: wait.map(|wait| wait.server),
            ..Draft::new(class, code, suspect, seen, answered)
        };
        Some(draft.says(text, evidence, self.filter.clone()))
    }

    /// `4 of 100 answered requests took 100 ms or more, ...; the median of all takes 4.00 ms`
    pub(super) fn cost(&self, slow: &Slow, what: &str, from_ns: u64) -> String {
        let (seen, answered) = (&slow.seen, self.group.total.count());
        let median = self.group.total.quantile(500);
        format!(
            "{} of {} took {} or more, mostly for that: it cost {} of their {} ({}), up to {} of one; the median of all \
             takes {}",
            grouped(seen.count),
            count(answered, what),
            duration(from_ns),
            duration(seen.time_ns),
            duration(slow.total_ns),
            percent(seen.time_ns, slow.total_ns),
            duration(seen.longest_ns),
            duration(median.map_or(0, crate::time::Span::ns)),
        )
    }

    /// The client's mistakes and the server's failures apart, if these are many; else the more frequent of both.
    fn errors(&self, trouble: &Trouble) -> Vec<Draft> {
        let decided = self.group.decided();
        let is_many = |n| n >= REQUEST_ERRORS && is_share(n, decided, REQUEST_ERRORS_PER_MILLE);
        let both = [false, true].map(|of_client| (of_client, trouble.errors(of_client)));
        let n = |errors: Option<&Errors>| errors.map_or(0, |errors| errors.seen.count);
        let all = both.iter().map(|(_, errors)| n(*errors)).sum();
        if !is_many(all) {
            return Vec::new();
        }
        let are_apart = both.iter().any(|(_, errors)| is_many(n(*errors)));
        let most = usize::from(n(both[1].1) > n(both[0].1));
        both.into_iter()
            .enumerate()
            .filter(|(at, (_, errors))| match are_apart {
                true => is_many(n(*errors)),
                false => *at == most,
            })
            .filter_map(|(_, (of_client, errors))| Some(self.errors_of(of_client, errors?)))
            .collect()
    }

    fn errors_of(&self, of_client: bool, errors: &Errors) -> Draft {
        let (seen, decided) = (&errors.seen, self.group.decided());
        let (suspect, who) = match of_client {
            true => (
                Suspect::Client,
                ", and says that what was asked is wrong, unknown or not allowed",
            ),
            false => (Suspect::Server, ""),
        };
        let text = format!(
            "{} answers {} of its requests with an error{who}.",
            self.name,
            percent(seen.count, decided)
        );
        let mut evidence = format!("{} of {}", grouped(seen.count), count(decided, "request"));
        if errors.words.top(2).len() > 1 {
            // Writing to a String cannot fail.
            let _ = write!(evidence, ": {}", names(&errors.words));
        } else {
            mostly(&mut evidence, &errors.words, seen.count);
        }
        if !errors.names.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(evidence, "; for {}", names(&errors.names));
        }
        // Writing to a String cannot fail.
        let _ = write!(
            evidence,
            "; by {}; {}.",
            addresses(&seen.peers, "client"),
            when(seen.first, seen.last)
        );
        let draft = Draft::new(Class::Failed, "request_errors", suspect, seen, decided);
        // The time they took is not what they cost.
        let draft = Draft {
            time_ns: 0,
            ..draft
        };
        draft.says(text, evidence, self.filter.clone())
    }

    /// Names that do not exist are the asker's, and everyday: they are worth knowing, not an error.
    fn nameless(&self, nameless: Option<&Lookups>) -> Option<Draft> {
        let Lookups { seen, names: asked } = nameless?;
        let decided = self.group.decided();
        if seen.count < NAMELESS || !is_share(seen.count, decided, NAMELESS_PER_MILLE) {
            return None;
        }
        let text = format!(
            "{} of the names that {} is asked for do not exist (NXDOMAIN): misspelt, gone, or made by a search list.",
            percent(seen.count, decided),
            self.name
        );
        let evidence = format!(
            "{} of {}, for {}; by {}; {}.",
            grouped(seen.count),
            count(decided, "request"),
            names(asked),
            addresses(&seen.peers, "client"),
            when(seen.first, seen.last)
        );
        let draft = Draft::new(Class::Note, "no_such_name", Suspect::Client, seen, decided);
        Some(draft.says(text, evidence, self.filter.clone()))
    }

    fn silent(&self, silent: Option<&Lookups>) -> Option<Draft> {
        let Lookups { seen, names: asked } = silent?;
        let answered = self.group.decided();
        let all = answered.saturating_add(seen.count);
        if seen.count < UNANSWERED || !is_share(seen.count, all, UNANSWERED_PER_MILLE) {
            return None;
        }
        let name = &self.name;
        let (suspect, text) = match answered {
            0 => (
                Suspect::Network,
                format!(
                    "{name} answers no DNS query: it is down, the address is wrong, or a route or firewall swallows the \
                     packets."
                ),
            ),
            _ => (
                Suspect::Server,
                format!(
                    "{name} leaves DNS queries unanswered, and answers others: the servers of these names may be down, a \
                     limit may drop them, or packets get lost."
                ),
            ),
        };
        let evidence = format!(
            "{} of {} without an answer within {}, for {}; by {}; {}.",
            grouped(seen.count),
            count(all, "request"),
            duration(NAME_SILENCE_NS.unsigned_abs()),
            names(asked),
            addresses(&seen.peers, "client"),
            when(seen.first, seen.last)
        );
        let draft = Draft::new(Class::Failed, "unanswered_requests", suspect, seen, all);
        Some(draft.says(text, evidence, self.filter.clone()))
    }

    fn unanswered(&self, unanswered: Option<&crate::view::troubles::Unanswered>) -> Option<Draft> {
        let unanswered = unanswered?;
        let (seen, decided) = (&unanswered.seen, self.group.decided());
        if seen.count < UNANSWERED || !is_share(seen.count, decided, UNANSWERED_PER_MILLE) {
            return None;
        }
        let ended: Vec<_> = [
            (EndedBy::ServerClose, "the server closed"),
            (EndedBy::Reset, "the connection was reset"),
            (EndedBy::ClientClose, "the client closed"),
        ]
        .into_iter()
        .map(|(by, words)| (unanswered.ended_by[by as usize], words))
        .filter(|(n, _)| *n > 0)
        .map(|(n, words)| format!("{words} ({})", grouped(n)))
        .collect();
        let text = format!(
            "{} leaves requests unanswered: {}.",
            self.name,
            match ended.is_empty() {
                true => "nothing came".to_owned(),
                false => format!("instead {}", ended.join(", ")),
            }
        );
        let mut evidence = format!("{} of {}", grouped(seen.count), count(decided, "request"));
        mostly(&mut evidence, &unanswered.operations, seen.count);
        // Writing to a String cannot fail.
        let _ = write!(
            evidence,
            "; by {}; {}.",
            addresses(&seen.peers, "client"),
            when(seen.first, seen.last)
        );
        let suspect = Suspect::Server;
        let draft = Draft::new(Class::Failed, "unanswered_requests", suspect, seen, decided);
        Some(draft.says(text, evidence, self.filter.clone()))
    }
}

/// `A shop.example. (12), AAAA db.example. (1) and others`.
pub(super) fn names(kinds: &Kinds) -> String {
    let top = kinds.top(4);
    let is_all = kinds.others == 0 && top.len() < 4;
    let named: Vec<_> = top
        .iter()
        .take(3)
        .map(|(name, n)| format!("{name} ({})", grouped(*n)))
        .collect();
    named.join(", ") + if is_all { "" } else { " and others" }
}

/// Appends `, mostly GET (12)`, if there is a word for them.
pub(super) fn mostly(text: &mut String, kinds: &Kinds, of: u64) {
    if let Some((word, n)) = kinds.most().filter(|(word, _)| !word.is_empty()) {
        // Writing to a String cannot fail.
        let _ = match n == of {
            true => write!(text, ", all {word}"),
            false => write!(text, ", most often {word} ({})", grouped(n)),
        };
    }
}

/// Appends what the host of a server asked of another while it had slow requests.
fn behind(text: &mut String, wait: &Wait, (ip, _): ServerKey) {
    let mut what = Vec::new();
    if wait.asked > 0 {
        what.push(count(wait.asked, "own request"));
    }
    if wait.attempts > 0 {
        what.push(count(wait.attempts, "connection attempt"));
    }
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "; during {} of {} slow ones {ip} waited for {} to {}",
        wait.waited,
        wait.slow,
        what.join(" and "),
        endpoint(wait.server.0, wait.server.1),
    );
    mostly(text, &wait.operations, wait.asked);
    let _ = write!(
        text,
        ", which covers {} of the {} inside it ({})",
        duration(wait.waited_ns),
        duration(wait.in_server_ns),
        percent(wait.waited_ns, wait.in_server_ns)
    );
}

/// `1.5 MB in 12 s`: what was sent and how long that took.
fn rate(bytes: u64, ns: u64) -> String {
    format!("{} bytes in {}", grouped(bytes), duration(ns))
}
