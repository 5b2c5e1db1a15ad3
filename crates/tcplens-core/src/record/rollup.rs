//! `rollup`: a minute of one server, protocol and operation; and of one server's connections. What is kept when records are not.

use std::net::IpAddr;

use super::{Protocol, Vantage};
use crate::time::{Span, Timestamp};

record! {
    /// What ended within one minute of packet time at one server: either requests of one protocol and operation, or (without
    /// `protocol`) attempts to connect and connections. Rollups of the same minute and server add up, from whatever runs and
    /// hosts they are: counters and sums by addition, histograms by adding the counts of equal durations. There may be several
    /// of one minute, server and operation: what becomes known late makes one more. What did not end (open connections) counts
    /// by what each part adds.
    Rollup as "rollup" {
        /// Where the minute begins: a multiple of 60 s since 1970.
        time: Timestamp = time,
        /// Where it was observed: `file`, `wire` or `kernel`.
        vantage: Vantage = word,
        /// The server's address; absent of what found no row of its own.
        server_ip: Option<IpAddr> = ip,
        /// Its port.
        server_port: Option<u64> = count,
        /// What its requests speak; absent of connections.
        protocol: Option<Protocol> = word,
        /// Their operation; `other` of those that found no row of their own, absent where the protocol has none.
        operation: Option<String> = text,
        /// Attempts, connections and requests during which the capture itself lost something.
        capture_losses: u64 = count,
        /// What is known of requests.
        requests: Option<Box<RequestRollup>> = extra,
        /// What is known of attempts and connections.
        connections: Option<Box<ConnectionRollup>> = extra,
    }
}

extra! {
    /// Requests that ended within the minute.
    RequestRollup {
        /// Requests.
        requests: Option<u64> = count,
        /// Of these, answered to the end, with an error or without.
        answered: Option<u64> = count,
        /// Answered with an error, be it to the end or not: may be more than `answered`.
        errors: Option<u64> = count,
        /// Owed a response which never ended; cut off by the end of the observation, or where the capture lost something: not
        /// among them.
        unanswered: Option<u64> = count,
        /// Segments that were repeated while they ran.
        retransmits: Option<u64> = count,
        /// Their payload.
        request_bytes: Option<u64> = count,
        /// Payload of their responses.
        response_bytes: Option<u64> = count,
        /// Sum of what is known of `upload_us`.
        upload_sum_us: Option<Span> = span,
        /// Sum of what is known of `process_us`.
        process_sum_us: Option<Span> = span,
        /// Sum of what is known of `transfer_us`.
        transfer_sum_us: Option<Span> = span,
        /// Sum of what is known of `total_us`.
        total_sum_us: Option<Span> = span,
        /// Requests that have a time budget: whose sums follow.
        budgets: Option<u64> = count,
        /// Time that the client took.
        in_client_sum_us: Option<Span> = span,
        /// Time behind other requests.
        in_queue_sum_us: Option<Span> = span,
        /// Time that the server took.
        in_server_sum_us: Option<Span> = span,
        /// Time on the path.
        in_network_sum_us: Option<Span> = span,
        /// Time that losses took.
        in_loss_sum_us: Option<Span> = span,
        /// Time before a closed window.
        in_window_sum_us: Option<Span> = span,
        /// Time that the transfer took.
        in_transfer_sum_us: Option<Span> = span,
        /// Histogram of `total_us` (T0 to T2 where T3 is not known) of answered requests: the durations that occurred, in
        /// ns, ascending, each rounded to the middle of its bucket (within 0.8 %, exact below 64 ns).
        total_ns: Vec<u64> = list,
        /// How often each of them.
        total_counts: Vec<u64> = list,
        /// Histogram of `process_us`, likewise.
        process_ns: Vec<u64> = list,
        /// How often each of them.
        process_counts: Vec<u64> = list,
    }
}

extra! {
    /// Attempts that were concluded and connections that ended, or of which a part was told, within the minute.
    ConnectionRollup {
        /// Attempts to connect.
        attempts: Option<u64> = count,
        /// Of these, established.
        established: Option<u64> = count,
        /// Attempts that failed: refused, unreachable, timed out, without an answer, given up, reset. Too young to tell: not
        /// among them.
        failed: Option<u64> = count,
        /// Of these, refused.
        refused: Option<u64> = count,
        /// Of these, without an answer: `timed_out` and `unanswered`.
        silent: Option<u64> = count,
        /// SYNs and SYN-ACKs that were repeated.
        syn_retransmits: Option<u64> = count,
        /// Histogram of `handshake_us` of established attempts: durations in ns, as `total_ns`.
        connect_ns: Vec<u64> = list,
        /// How often each of them.
        connect_counts: Vec<u64> = list,
        /// Connections that ended, failed attempts not among them, nor what was open when the observation ended.
        ended: Option<u64> = count,
        /// Of these, by a RST of either end.
        resets: Option<u64> = count,
        /// Payload that clients sent, each byte once.
        client_bytes: Option<u64> = count,
        /// Payload that servers sent.
        server_bytes: Option<u64> = count,
        /// Segments with payload, both ways; absent where there are no packets.
        data_segments: Option<u64> = count,
        /// Segments of which nothing was new, both ways; of the kernel those of its own end.
        repeated_segments: Option<u64> = count,
        /// Times that either end closed its receive window; absent where there are no packets.
        zero_windows: Option<u64> = count,
        /// Sum of the round trips that were measured, both halves of the path: of what ended.
        rtt_sum_us: Option<Span> = span,
        /// How many were measured.
        rtt_samples: Option<u64> = count,
    }
}
