//! What asking for sockets came to: the record `health`, the closing line, and what was lost.

use std::time::Duration;

use tcplens_capture::kernel::KernelCounts;
use tcplens_capture::{clock, process};
use tcplens_core::record::{Health, SocketHealth, Vantage};
use tcplens_core::socket::tracker;
use tcplens_core::time::Span;
use tcplens_output::human;

use super::Consumer;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Looks that came to their end.
    pub polls: u64,
    /// Looks that were given up.
    pub abandoned: u64,
    /// Answers that were not whole.
    pub repeated: u64,
    /// Looks that were due while another one went on, and were left out.
    pub missed: u64,
    /// Sockets of other protocols among the answers of the last look.
    pub other_protocols: u64,
    /// From the first look to the last.
    pub span: Duration,
    /// CPU time of all looks.
    pub cpu: Duration,
    /// Sockets that were there at the first look.
    pub at_first: u64,
    /// Sockets of the last look that are no connections, where they were asked for.
    pub others: u64,
    /// Such that there was no room for: times seen.
    pub others_left_out: u64,
    /// Ends of connections that were asked for.
    pub ended: u64,
    /// There is more than one look.
    pub is_watching: bool,
    /// The kernel tells of ends.
    pub is_told: bool,
    /// Messages about ends that found no room; `None`: not told.
    pub lost: Option<u64>,
    /// Whether some found none.
    pub has_lost: bool,
    /// How often that was told.
    pub times_lost: u64,
    /// So many of these when the last look began.
    pub losses_answered: u64,
    /// Messages about ends that could not be read.
    pub damaged: u64,
    /// Sockets that the kernel has opened meanwhile, by its own count.
    pub opened: Option<u64>,
    /// Whether all sockets were asked for.
    pub is_all: bool,
    /// What the kernel's own view counted, where it runs.
    pub kernel: Option<KernelCounts>,
    /// Ends of sockets that came before the kernel's own view told of them.
    pub late_facts: u64,
    /// What it told of sockets and there was no room for.
    pub forgotten: u64,
    /// What the table of sockets counted.
    pub tracked: tracker::Counts,
    /// Records, by kind.
    pub records: [u64; 2],
    /// Records or lines that destinations did not take.
    pub dropped: Vec<(&'static str, u64)>,
}

impl Counts {
    /// Brings up to date what was dropped.
    pub(crate) fn drops(&mut self, consumers: &[Box<dyn Consumer>]) {
        self.dropped.clear();
        for one in consumers {
            let (name, count) = (one.destination(), one.dropped());
            if count == 0 {
                continue;
            }
            match self.dropped.iter_mut().find(|(known, _)| *known == name) {
                Some((_, all)) => *all += count,
                None => self.dropped.push((name, count)),
            }
        }
    }

    /// Sockets that were seen, alive or at their end.
    pub(crate) fn seen(&self) -> u64 {
        self.tracked.begun + self.tracked.never_polled
    }

    /// Of the sockets that were opened while it ran, how many were opened and how many never seen. Only where that can be
    /// known: the kernel counts all sockets of the namespace.
    pub(crate) fn unseen(&self) -> Option<(u64, u64)> {
        let opened = self.opened.filter(|_| self.is_all)?;
        // Those that were there before count as seen, and not as opened.
        let seen = self.seen().saturating_sub(self.at_first);
        Some((opened, opened.saturating_sub(seen)))
    }

    /// `N polls, N sockets, N ended, N destroy messages lost`.
    pub(crate) fn closing_line(&self) -> String {
        let mut line = format!(
            "{} polls, {} sockets, {} ended",
            self.polls,
            self.seen(),
            self.ended
        );
        if !self.is_watching {
            return format!("{} sockets", self.seen() + self.others);
        }
        match (self.is_told, self.lost, self.has_lost) {
            (false, ..) => line += ", ends not told by the kernel",
            (true, Some(lost), _) => line += &format!(", {lost} destroy messages lost"),
            (true, None, false) => line += ", 0 destroy messages lost",
            (true, None, true) => line += ", destroy messages lost",
        }
        line
    }

    /// `-v`: what asking cost.
    pub(crate) fn cost(&self) -> String {
        let each = |all: Duration, by: u64| {
            let ns = u64::try_from(all.as_nanos()).unwrap_or(u64::MAX);
            human::Duration(Span::from_ns(ns / by.max(1)))
        };
        let mut line = format!(
            "asked every {} on average, for {} of CPU time each; {} looks were due while another one went on, and left out; {} \
             answers were not whole and repeated; {} sockets were gone and there again, {} ends were told twice; {} sockets of \
             other protocols than TCP",
            each(self.span, self.polls.saturating_sub(1)),
            each(self.cpu, self.polls),
            self.missed,
            self.repeated,
            self.tracked.returned,
            self.tracked.late_ends,
            self.other_protocols,
        );
        if let Some(kernel) = self.kernel {
            line += &format!(
                "; {} events read from inside the kernel, {} of them later than the end they told of",
                kernel.events, self.late_facts
            );
        }
        line
    }

    /// What was lost, a sentence each.
    pub(crate) fn losses(&self) -> Vec<String> {
        let mut losses = Vec::new();
        if self.has_lost {
            losses.push(match self.lost {
                Some(lost) => format!(
                    "{lost} messages about ends of sockets found no room in the kernel: those connections end without their \
                     last statistics, and short ones are missing"
                ),
                None => "messages about ends of sockets found no room in the kernel: some connections end without their \
                         last statistics, and short ones are missing"
                    .to_owned(),
            });
        }
        if self.damaged > 0 {
            losses.push(format!(
                "{} messages about ends of sockets could not be read",
                self.damaged
            ));
        }
        if self.abandoned > 0 {
            losses.push(format!(
                "{} looks at all sockets were given up: the kernel's answer was not whole, several times in a row",
                self.abandoned
            ));
        }
        if let Some((opened, unseen @ 1..)) = self.unseen().filter(|_| !self.is_told) {
            losses.push(format!(
                "about {} % of connections were not seen ({unseen} of {opened} sockets that were opened meanwhile, by the \
                 kernel's count): they were opened and closed between two polls, and the kernel does not tell of ends here",
                percent(unseen, opened)
            ));
        }
        let kernel = self.kernel.unwrap_or_default();
        if kernel.drops > 0 {
            losses.push(format!(
                "{} events of the kernel's own view (-k) found no room in its ring buffer: some connections end without what \
                 it knows",
                kernel.drops
            ));
        }
        if kernel.storage_failed > 0 {
            losses.push(format!(
                "{} connections could not be observed from inside the kernel (-k): there was no memory for them",
                kernel.storage_failed
            ));
        }
        if self.forgotten > 0 {
            losses.push(format!(
                "what the kernel's own view (-k) told of {} sockets found no room",
                self.forgotten
            ));
        }
        if self.tracked.limit_hits + self.others_left_out > 0 {
            losses.push(
                "there are more sockets than --limit-connections: those beyond are not watched"
                    .to_owned(),
            );
        }
        for (name, dropped) in &self.dropped {
            losses.push(match *name {
                "archive" => format!(
                    "{dropped} lines of the archive were dropped: they could not be written, or not in time"
                ),
                name => format!("{dropped} records were dropped: {name} did not take them"),
            });
        }
        losses
    }

    /// Of these, what the record does not tell.
    pub(crate) fn other_losses(&self) -> Vec<String> {
        let mut others = self.clone();
        others.dropped.clear();
        (others.tracked.limit_hits, others.others_left_out) = (0, 0);
        others.losses()
    }

    /// The record.
    pub(crate) fn health(&self) -> Health {
        let intervals = self.polls.saturating_sub(1);
        let each = |all: Duration, by: u64| {
            let ns = u64::try_from(all.as_nanos()).unwrap_or(u64::MAX);
            ns.checked_div(by).map(Span::from_ns)
        };
        let limits = [
            ("sockets", self.tracked.limit_hits),
            ("other_sockets", self.others_left_out),
            ("socket_ends", self.tracked.forgotten),
            ("socket_facts", self.forgotten),
            (
                "kernel_storage",
                self.kernel.map_or(0, |kernel| kernel.storage_failed),
            ),
        ];
        Health {
            time: Some(clock::now()),
            kernel_events: self.kernel.map(|kernel| kernel.events),
            event_drops: self.kernel.map(|kernel| kernel.drops),
            connections: self.seen(),
            limit_hits: limits.into_iter().filter(|(_, hits)| *hits > 0).collect(),
            records: vec![
                ("socket", self.records[0]),
                ("socket_summary", self.records[1]),
            ],
            records_dropped: self.dropped.clone(),
            cpu_us: process::cpu_time().and_then(|time| each(time, 1)),
            peak_rss_bytes: process::peak_resident_bytes(),
            sockets: Some(Box::new(SocketHealth {
                polls: Some(self.polls),
                abandoned_polls: Some(self.abandoned),
                repeated_dumps: Some(self.repeated),
                poll_interval_us: each(self.span, intervals),
                poll_cpu_us: each(self.cpu, self.polls),
                sockets_seen: Some(self.seen()),
                sockets_ended: Some(self.ended),
                destroy_groups: Some(self.is_told),
                destroy_messages_lost: self.lost.filter(|_| self.is_told),
                sockets_opened: self.opened,
                sockets_unseen: self.unseen().map(|(_, unseen)| unseen),
                missed_polls: Some(self.missed),
                late_ends: Some(self.tracked.late_ends),
                returned_sockets: Some(self.tracked.returned),
                other_protocols: Some(self.other_protocols),
            })),
            ..Health::new(Vantage::Socket)
        }
    }
}

/// With one decimal.
fn percent(part: u64, all: u64) -> String {
    let per_mille = part.saturating_mul(1000) / all.max(1);
    format!("{}.{}", per_mille / 10, per_mille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        Counts {
            polls: 11,
            at_first: 100,
            is_watching: true,
            opened: Some(200),
            is_all: true,
            tracked: tracker::Counts {
                begun: 150,
                ..tracker::Counts::default()
            },
            ..Counts::default()
        }
    }

    #[test]
    fn what_was_never_seen_is_told_where_the_kernel_does_not_tell_of_ends() {
        let counts = counts();
        assert_eq!(counts.unseen(), Some((200, 150)));
        let losses = counts.losses();
        assert_eq!(losses.len(), 1);
        assert!(losses[0].starts_with("about 75.0 % of connections were not seen"));
        assert_eq!(
            counts.closing_line(),
            "11 polls, 150 sockets, 0 ended, ends not told by the kernel"
        );
        let only_some = Counts {
            is_all: false,
            ..counts
        };
        assert!(only_some.unseen().is_none() && only_some.losses().is_empty());
    }

    #[test]
    fn each_destination_that_did_not_take_all_is_told() {
        let counts = Counts {
            is_told: true,
            dropped: vec![("output", 3), ("archive", 5)],
            ..counts()
        };
        let losses = counts.losses();
        assert!(losses[0].starts_with("3 records were dropped: output"));
        assert!(losses[1].starts_with("5 lines of the archive were dropped"));
        assert_eq!(counts.health().records_dropped, counts.dropped);
    }

    #[test]
    fn a_run_without_loss_says_so() {
        let counts = Counts {
            is_told: true,
            lost: Some(0),
            opened: Some(50),
            ..counts()
        };
        assert!(counts.losses().is_empty());
        assert!(counts.closing_line().ends_with(", 0 destroy messages lost"));
    }
}
