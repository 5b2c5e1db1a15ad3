//! Adding rows of rollups up: counters and sums by addition, histograms by the counts of equal durations. What is known of
//! neither stays absent.

use crate::record::{ConnectionRollup, RequestRollup, Rollup};
use crate::time::Span;

impl Rollup {
    /// Counts everything that `other` counted; which minute, server and operation they are of is the caller's to compare.
    pub fn merge(&mut self, other: &Rollup) {
        self.capture_losses = self.capture_losses.saturating_add(other.capture_losses);
        if let Some(more) = &other.requests {
            let mine = self.requests.get_or_insert_default();
            requests(mine, more);
            lists(
                (&mut mine.total_ns, &mut mine.total_counts),
                (&more.total_ns, &more.total_counts),
            );
            lists(
                (&mut mine.process_ns, &mut mine.process_counts),
                (&more.process_ns, &more.process_counts),
            );
        }
        if let Some(more) = &other.connections {
            let mine = self.connections.get_or_insert_default();
            connections(mine, more);
            lists(
                (&mut mine.connect_ns, &mut mine.connect_counts),
                (&more.connect_ns, &more.connect_counts),
            );
        }
    }
}

pub(super) fn count(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

pub(super) fn span(sum: &mut Option<Span>, more: Option<Span>) {
    if let Some(more) = more {
        let so_far = sum.map_or(0, Span::ns);
        *sum = Some(Span::from_ns(so_far.saturating_add(more.ns())));
    }
}

/// All but the histograms.
pub(super) fn requests(into: &mut RequestRollup, other: &RequestRollup) {
    let RequestRollup {
        requests,
        answered,
        errors,
        unanswered,
        retransmits,
        request_bytes,
        response_bytes,
        upload_sum_us,
        process_sum_us,
        transfer_sum_us,
        total_sum_us,
        budgets,
        in_client_sum_us,
        in_queue_sum_us,
        in_server_sum_us,
        in_network_sum_us,
        in_loss_sum_us,
        in_window_sum_us,
        in_transfer_sum_us,
        total_ns: _,
        total_counts: _,
        process_ns: _,
        process_counts: _,
    } = into;
    for (sum, more) in [
        (requests, other.requests),
        (answered, other.answered),
        (errors, other.errors),
        (unanswered, other.unanswered),
        (retransmits, other.retransmits),
        (request_bytes, other.request_bytes),
        (response_bytes, other.response_bytes),
        (budgets, other.budgets),
    ] {
        count(sum, more);
    }
    for (sum, more) in [
        (upload_sum_us, other.upload_sum_us),
        (process_sum_us, other.process_sum_us),
        (transfer_sum_us, other.transfer_sum_us),
        (total_sum_us, other.total_sum_us),
        (in_client_sum_us, other.in_client_sum_us),
        (in_queue_sum_us, other.in_queue_sum_us),
        (in_server_sum_us, other.in_server_sum_us),
        (in_network_sum_us, other.in_network_sum_us),
        (in_loss_sum_us, other.in_loss_sum_us),
        (in_window_sum_us, other.in_window_sum_us),
        (in_transfer_sum_us, other.in_transfer_sum_us),
    ] {
        span(sum, more);
    }
}

/// All but the histogram.
pub(super) fn connections(into: &mut ConnectionRollup, other: &ConnectionRollup) {
    let ConnectionRollup {
        attempts,
        established,
        failed,
        refused,
        silent,
        syn_retransmits,
        connect_ns: _,
        connect_counts: _,
        ended,
        resets,
        client_bytes,
        server_bytes,
        data_segments,
        repeated_segments,
        zero_windows,
        rtt_sum_us,
        rtt_samples,
    } = into;
    for (sum, more) in [
        (attempts, other.attempts),
        (established, other.established),
        (failed, other.failed),
        (refused, other.refused),
        (silent, other.silent),
        (syn_retransmits, other.syn_retransmits),
        (ended, other.ended),
        (resets, other.resets),
        (client_bytes, other.client_bytes),
        (server_bytes, other.server_bytes),
        (data_segments, other.data_segments),
        (repeated_segments, other.repeated_segments),
        (zero_windows, other.zero_windows),
        (rtt_samples, other.rtt_samples),
    ] {
        count(sum, more);
    }
    span(rtt_sum_us, other.rtt_sum_us);
}

/// Durations, and how often each of them.
fn lists(mine: (&mut Vec<u64>, &mut Vec<u64>), other: (&Vec<u64>, &Vec<u64>)) {
    let own: Vec<_> = pairs(mine.0, mine.1).collect();
    let (mut own, mut more) = (
        own.into_iter().peekable(),
        pairs(other.0, other.1).peekable(),
    );
    mine.0.clear();
    mine.1.clear();
    loop {
        let next = match (own.peek(), more.peek()) {
            (Some(a), Some(b)) if a.0 == b.0 => {
                let (ns, sum) = (a.0, a.1.saturating_add(b.1));
                own.next();
                more.next();
                Some((ns, sum))
            }
            (Some(a), Some(b)) if a.0 < b.0 => own.next(),
            (_, Some(_)) => more.next(),
            (_, None) => own.next(),
        };
        let Some((ns, count)) = next else { return };
        mine.0.push(ns);
        mine.1.push(count);
    }
}

fn pairs<'l>(ns: &'l [u64], counts: &'l [u64]) -> impl Iterator<Item = (u64, u64)> + 'l {
    ns.iter().copied().zip(counts.iter().copied())
}
