//! `peer`: one window of one destination: trtop's columns with the definitions that these deserve, and more.

use std::net::IpAddr;
use std::sync::Arc;

use super::{GroupBy, Vantage};
use crate::time::{Span, Timestamp};

record! {
    /// What was seen of one destination (or client, port, process, container: see `by`) within a window of packet time. The
    /// row's end of a connection is the far one, and the other one the near one; of a process or container the far end is the
    /// remote one. Each counter holds what became known within the window: an attempt counts when it is concluded, a
    /// connection in parts by what each part adds. A rate is the counter over `window_us`. Percentiles are by nearest rank,
    /// within 0.8 %, and exact where they are the largest value. The last record of a table is the sum of all.
    Peer as "peer" {
        /// Where the window begins.
        time: Timestamp = time,
        /// Where it was observed: `file`, `wire` or `kernel`.
        vantage: Vantage = word,
        /// How long the window is, in packet time.
        window_us: Option<Span> = span,
        /// What the rows are: `peer`, `server`, `client`, `port`, `process`, `container`.
        by: GroupBy = word,
        /// True for the row of all rows together, and for that of what found no room among the rows.
        is_sum: bool = flag "sum",
        /// Its address.
        ip: Option<IpAddr> = ip,
        /// Its port: of rows by server and by port.
        port: Option<u64> = count,
        /// Its process: of rows by process.
        pid: Option<u64> = count,
        /// The name of that; of a sum `all`, or `others`: what found no row of its own.
        comm: Option<Arc<str>> = text,
        /// Its container: of rows by container; `none` of what is in no container.
        container_id: Option<Arc<str>> = text,
        /// Attempts to connect (a repeated SYN is not another one).
        attempts: u64 = count,
        /// Of these, answered with SYN-ACK.
        syn_acks: u64 = count,
        /// Of these, established.
        established: u64 = count,
        /// Attempts that failed: refused, unreachable, timed out, without an answer, given up, reset. Too young to tell: not
        /// among them.
        failed: u64 = count,
        /// Of these, refused.
        refused: u64 = count,
        /// Of these, without an answer: `timed_out` and `unanswered`.
        silent: u64 = count,
        /// SYNs that were repeated.
        syn_retransmits: u64 = count,
        /// Attempts that nothing has answered yet, now; live, of rows by peer and by server.
        pending: Option<u64> = count,
        /// Connections that ended, failed attempts not among them, nor what was open when the observation ended.
        connections: u64 = count,
        /// Connections that are open now, of those told of in parts; at the end of the observation all that are.
        open: u64 = count,
        /// Attempts and connections that a RST ended, whoever sent it.
        resets: u64 = count,
        /// Connections that the near end closed first, with a FIN.
        fins_out: u64 = count,
        /// Connections that the far end closed first, with a FIN.
        fins_in: u64 = count,
        /// First SYN to the ACK that established: the median.
        connect_p50_us: Option<Span> = span,
        /// 95th percentile.
        connect_p95_us: Option<Span> = span,
        /// 99th percentile.
        connect_p99_us: Option<Span> = span,
        /// Requests, whoever asked.
        requests: u64 = count,
        /// Requests with at least one byte of response.
        responses: u64 = count,
        /// Requests that were answered with an error.
        errors: u64 = count,
        /// Requests that were owed a response which never ended; cut off by the end of the observation, or where the capture
        /// lost something: not among them.
        unanswered: u64 = count,
        /// How long answered requests took, T0 to T3: the median.
        request_p50_us: Option<Span> = span,
        /// 95th percentile.
        request_p95_us: Option<Span> = span,
        /// 99th percentile.
        request_p99_us: Option<Span> = span,
        /// The longest, exact.
        request_max_us: Option<Span> = span,
        /// T2 - T1: the median.
        process_p50_us: Option<Span> = span,
        /// 95th percentile.
        process_p95_us: Option<Span> = span,
        /// 99th percentile.
        process_p99_us: Option<Span> = span,
        /// Requests per connection, of established connections that ended with at least one: the 95th percentile, rounded to
        /// 1/64 from 128 on.
        reuse_p95: Option<u64> = count,
        /// Requests so far per connection that is open, of those with at least one: the 95th percentile, likewise rounded.
        open_reuse_p95: Option<u64> = count,
        /// Payload that the near end sent, each byte once.
        bytes_out: u64 = count,
        /// Payload that the far end sent.
        bytes_in: u64 = count,
        /// Segments with payload, both ways; absent where there are no packets.
        data_segments: Option<u64> = count,
        /// Segments of which nothing was new, both ways; of the kernel those of its own end.
        retransmits: u64 = count,
        /// Segments that came out of order, both ways; absent where there are no packets.
        reordered: Option<u64> = count,
        /// Times that either end closed its receive window; absent where there are no packets.
        zero_windows: Option<u64> = count,
        /// Shortest round trip between here and the far end, since each connection began, of those with news in the window.
        rtt_min_us: Option<Span> = span,
        /// The mean of those measured in the window; of the kernel that of the smoothed ones, of each connection as often as it
        /// had news.
        rtt_mean_us: Option<Span> = span,
        /// Attempts, connections and requests during which the capture itself lost something.
        capture_losses: u64 = count,
        /// Bytes that were acknowledged and never seen here; absent where there are no packets.
        missing_bytes: Option<u64> = count,
    }
}
