//! A row of rollups in the making: the record's own counters, and histograms that can be added to. Not which row a record
//! belongs to.

use super::merge;
use crate::record::{
    Close, Connection, ConnectionRollup, EndedBy, Handshake, Outcome, Protocol, Request,
    RequestRollup, Rollup, Status, Vantage,
};
use crate::time::{Span, Timestamp};
use crate::view::metrics::Traffic;
use crate::view::requests::{budget, is_undecided, took};
use crate::view::series::Attempt;
use crate::view::{Histogram, ServerKey};

/// Requests of one protocol and operation.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestSums {
    /// Its lists stay empty: see the histograms.
    counts: RequestRollup,
    total: Histogram,
    process: Histogram,
    capture_losses: u64,
}

/// Attempts and connections of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionSums {
    /// Its lists stay empty.
    counts: ConnectionRollup,
    connect: Histogram,
    capture_losses: u64,
}

/// A row that has counted nothing.
pub(super) fn bare(time: Timestamp, vantage: Vantage, server: Option<ServerKey>) -> Rollup {
    let (server_ip, server_port) = server.unzip();
    Rollup {
        time,
        vantage,
        server_ip,
        server_port,
        protocol: None,
        operation: None,
        capture_losses: 0,
        requests: None,
        connections: None,
    }
}

impl RequestSums {
    pub(super) fn add(&mut self, request: &Request<'_>) {
        let is_answered = matches!(request.status, Status::Ok | Status::Error)
            && request.ended_by == EndedBy::Response;
        let is_unanswered = request.status == Status::Unanswered && !is_undecided(request);
        self.capture_losses += u64::from(request.capture_loss);
        let counts = &mut self.counts;
        for (sum, more) in [
            (&mut counts.requests, 1),
            (&mut counts.answered, u64::from(is_answered)),
            (
                &mut counts.errors,
                u64::from(request.status == Status::Error),
            ),
            (&mut counts.unanswered, u64::from(is_unanswered)),
            (&mut counts.retransmits, request.retransmits),
            (&mut counts.request_bytes, request.request_bytes),
            (&mut counts.response_bytes, request.response_bytes),
        ] {
            merge::count(sum, Some(more));
        }
        for (sum, more) in [
            (&mut counts.upload_sum_us, request.upload_us),
            (&mut counts.process_sum_us, request.process_us),
            (&mut counts.transfer_sum_us, request.transfer_us),
            (&mut counts.total_sum_us, request.total_us),
        ] {
            merge::span(sum, more);
        }
        let budget = budget(request);
        merge::count(&mut counts.budgets, Some(u64::from(budget.is_some())));
        let sums = [
            &mut counts.in_client_sum_us,
            &mut counts.in_queue_sum_us,
            &mut counts.in_server_sum_us,
            &mut counts.in_network_sum_us,
            &mut counts.in_loss_sum_us,
            &mut counts.in_window_sum_us,
            &mut counts.in_transfer_sum_us,
        ];
        for (sum, part) in sums.into_iter().zip(budget.into_iter().flatten()) {
            merge::span(sum, Some(part));
        }
        if let Some(took) = took(request).filter(|_| is_answered) {
            self.total.add(took);
        }
        if let Some(process) = request.process_us.filter(|_| is_answered) {
            self.process.add(process);
        }
    }

    pub(super) fn merge(&mut self, other: &RequestRollup, capture_losses: u64) {
        merge::requests(&mut self.counts, other);
        self.total
            .merge(&histogram(&other.total_ns, &other.total_counts));
        self.process
            .merge(&histogram(&other.process_ns, &other.process_counts));
        self.capture_losses = self.capture_losses.saturating_add(capture_losses);
    }

    pub(super) fn rollup(
        self,
        bare: Rollup,
        protocol: Protocol,
        operation: Option<String>,
    ) -> Rollup {
        let (total_ns, total_counts) = lists(&self.total);
        let (process_ns, process_counts) = lists(&self.process);
        Rollup {
            protocol: Some(protocol),
            operation,
            capture_losses: self.capture_losses,
            requests: Some(Box::new(RequestRollup {
                total_ns,
                total_counts,
                process_ns,
                process_counts,
                ..self.counts
            })),
            ..bare
        }
    }
}

impl ConnectionSums {
    pub(super) fn attempt(&mut self, handshake: &Handshake) {
        let attempt = Attempt::of(handshake);
        let is_silent = matches!(handshake.outcome, Outcome::TimedOut | Outcome::Unanswered);
        let repeated = handshake
            .syn_retransmits
            .saturating_add(handshake.synack_retransmits);
        let is = |outcome| u64::from(handshake.outcome == outcome);
        self.capture_losses += u64::from(handshake.capture_loss);
        let counts = &mut self.counts;
        for (sum, more) in [
            (&mut counts.attempts, 1),
            (&mut counts.established, is(Outcome::Established)),
            (&mut counts.failed, u64::from(attempt.has_failed)),
            (&mut counts.refused, is(Outcome::Refused)),
            (
                &mut counts.silent,
                u64::from(is_silent && attempt.has_failed),
            ),
            (&mut counts.syn_retransmits, repeated),
        ] {
            merge::count(sum, Some(more));
        }
        if let Some(took) = attempt.connected {
            self.connect.add(took);
        }
    }

    /// `news`: what the client and the server sent that was not counted yet, as far as that is known.
    pub(super) fn connection(&mut self, connection: &Connection, news: Option<[Traffic; 2]>) {
        let is_final = connection.is_final;
        let has_ended = is_final && connection.close != Close::Open;
        let is_reset = matches!(connection.close, Close::RstByClient | Close::RstByServer);
        let sees_packets = connection.vantage.sees_packets();
        self.capture_losses += u64::from(is_final && connection.capture_loss);
        let counts = &mut self.counts;
        merge::count(&mut counts.ended, Some(u64::from(has_ended)));
        merge::count(&mut counts.resets, Some(u64::from(has_ended && is_reset)));
        if let Some([client, server]) = news {
            let both = |of: fn(&Traffic) -> u64| of(&client).saturating_add(of(&server));
            let of_packets = |of| sees_packets.then(|| both(of));
            for (sum, more) in [
                (&mut counts.client_bytes, Some(client.payload_bytes)),
                (&mut counts.server_bytes, Some(server.payload_bytes)),
                (
                    &mut counts.data_segments,
                    of_packets(|sent| sent.data_segments),
                ),
                (
                    &mut counts.repeated_segments,
                    Some(both(|sent| sent.retransmits)),
                ),
                (
                    &mut counts.zero_windows,
                    of_packets(|sent| sent.zero_windows),
                ),
            ] {
                merge::count(sum, more);
            }
        }
        if has_ended && sees_packets {
            for sent in [&connection.client, &connection.server] {
                if let Some(mean) = sent.rtt_mean_us {
                    let sum = Span::from_ns(mean.ns().saturating_mul(sent.rtt_samples));
                    merge::span(&mut counts.rtt_sum_us, Some(sum));
                    merge::count(&mut counts.rtt_samples, Some(sent.rtt_samples));
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: &ConnectionRollup, capture_losses: u64) {
        merge::connections(&mut self.counts, other);
        self.connect
            .merge(&histogram(&other.connect_ns, &other.connect_counts));
        self.capture_losses = self.capture_losses.saturating_add(capture_losses);
    }

    pub(super) fn rollup(self, bare: Rollup) -> Rollup {
        let (connect_ns, connect_counts) = lists(&self.connect);
        Rollup {
            capture_losses: self.capture_losses,
            connections: Some(Box::new(ConnectionRollup {
                connect_ns,
                connect_counts,
                ..self.counts
            })),
            ..bare
        }
    }
}

fn histogram(ns: &[u64], counts: &[u64]) -> Histogram {
    Histogram::from_counts(ns, counts)
}

fn lists(histogram: &Histogram) -> (Vec<u64>, Vec<u64>) {
    histogram.counts().unzip()
}
