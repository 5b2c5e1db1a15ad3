//! `health`: what the observation itself saw and lost.

use super::{SCHEMA_VERSION, Vantage};
use crate::time::{Span, Timestamp};

record! {
    /// All that the observation itself saw and lost, at its end. Every bound in the program has a counter here.
    Health as "health" {
        /// The last packet's time.
        time: Option<Timestamp> = time,
        /// Where it was observed: `file`, `wire`, `kernel` or `socket`.
        vantage: Vantage = word,
        /// Packets read.
        packets: u64 = count,
        /// Their bytes on the wire.
        bytes: u64 = count,
        /// TCP segments among them.
        tcp_segments: u64 = count,
        /// UDP datagrams that requests were read from.
        datagrams: u64 = count,
        /// Packets that were none of these, nor ICMP errors that quote a TCP segment, by reason.
        undecoded: Vec<(&'static str, u64)> = counts,
        /// Packets the kernel dropped.
        kernel_drops: Option<u64> = count,
        /// Events that the kernel's programs told: ends of requests, connections and attempts; absent where it was not asked.
        kernel_events: Option<u64> = count,
        /// Events that found no room in the ring buffer.
        event_drops: Option<u64> = count,
        /// Established connections that the kernel dropped because the server's accept queue was full (ListenOverflows), in
        /// the observed network namespace; absent where it is not known.
        accept_overflows: Option<u64> = count,
        /// How often each of the programs ran, where the kernel measures that (`kernel.bpf_stats_enabled`).
        probe_runs: Vec<(&'static str, u64)> = counts,
        /// How long they took together, in ns, likewise.
        probe_ns: Vec<(&'static str, u64)> = counts,
        /// Fragments and ICMP errors that came to one capture thread and were another's; absent with one thread.
        handed_on: Option<u64> = count,
        /// Packets cut by the snap length.
        cut_packets: u64 = count,
        /// IP fragments seen.
        fragments: u64 = count,
        /// Segments seen a second time.
        duplicates: u64 = count,
        /// Wrong checksums; absent when none were checked.
        bad_checksums: Option<u64> = count,
        /// Packets whose time is before that of an earlier one, and durations left out for it.
        time_reversals: u64 = count,
        /// Connections seen.
        connections: u64 = count,
        /// Connections given up because a table was full.
        evicted_connections: u64 = count,
        /// Connections of packets that got no socket though the kernel told of sockets too, by reason: `several_namespaces`, their
        /// ends are sockets of more than one; `no_socket`, the kernel told of none (translated or forwarded, or a port of which it
        /// was not asked).
        unjoined_connections: Vec<(&'static str, u64)> = counts,
        /// SYNs of attempts that had been concluded.
        late_syns: u64 = count,
        /// Segments of connections whose record had been written.
        late_segments: u64 = count,
        /// Holes in what requests are read from: bytes that were acknowledged and never seen here.
        stream_gaps: u64 = count,
        /// Messages that could not be read, by protocol and reason; `unpaired`: responses to requests that were not seen.
        unparsed_messages: Vec<(&'static str, u64)> = counts,
        /// Times a bound was reached, by bound.
        limit_hits: Vec<(&'static str, u64)> = counts,
        /// Records made, by kind.
        records: Vec<(&'static str, u64)> = counts,
        /// Records that a sink did not take, by sink.
        records_dropped: Vec<(&'static str, u64)> = counts,
        /// Byte offset at which the input was damaged.
        damaged_at: Option<u64> = count,
        /// What asking the kernel for its sockets came to.
        sockets: Option<Box<SocketHealth>> = extra,
        /// User and system time of this run.
        cpu_us: Option<Span> = span,
        /// Largest resident set of this run.
        peak_rss_bytes: Option<u64> = count,
        /// Version of the record contract.
        schema_version: u64 = count,
    }
}

impl Health {
    /// Packets and events that the kernel dropped, where that is known.
    #[must_use]
    pub fn dropped(&self) -> Option<u64> {
        match (self.kernel_drops, self.event_drops) {
            (Some(packets), Some(events)) => Some(packets + events),
            (packets, events) => packets.or(events),
        }
    }

    /// Of an observation that has seen nothing: what is always counted is 0, all else is absent.
    #[must_use]
    pub fn new(vantage: Vantage) -> Health {
        Health {
            time: None,
            vantage,
            packets: 0,
            bytes: 0,
            tcp_segments: 0,
            datagrams: 0,
            undecoded: Vec::new(),
            kernel_drops: None,
            kernel_events: None,
            event_drops: None,
            accept_overflows: None,
            probe_runs: Vec::new(),
            probe_ns: Vec::new(),
            handed_on: None,
            cut_packets: 0,
            fragments: 0,
            duplicates: 0,
            bad_checksums: None,
            time_reversals: 0,
            connections: 0,
            evicted_connections: 0,
            unjoined_connections: Vec::new(),
            late_syns: 0,
            late_segments: 0,
            stream_gaps: 0,
            unparsed_messages: Vec::new(),
            limit_hits: Vec::new(),
            records: Vec::new(),
            records_dropped: Vec::new(),
            damaged_at: None,
            sockets: None,
            cpu_us: None,
            peak_rss_bytes: None,
            schema_version: SCHEMA_VERSION,
        }
    }
}

extra! {
    /// What asking the kernel for its sockets came to; absent where it was not asked.
    SocketHealth {
        /// Looks at all sockets that came to their end.
        polls: Option<u64> = count,
        /// Looks that were given up: the kernel's answer was not whole, several times in a row. Nothing was concluded from them.
        abandoned_polls: Option<u64> = count,
        /// Answers of the kernel that were not whole, and asked for again.
        repeated_dumps: Option<u64> = count,
        /// From one look to the next, on average.
        poll_interval_us: Option<Span> = span,
        /// CPU time that a look took, on average, with what was made of it.
        poll_cpu_us: Option<Span> = span,
        /// Sockets that were seen.
        sockets_seen: Option<u64> = count,
        /// Sockets whose end was seen, or found out.
        sockets_ended: Option<u64> = count,
        /// Whether the kernel told of the end of each socket.
        destroy_groups: Option<bool> = flag,
        /// Messages about ends that found no room in the kernel; absent where that is not told.
        destroy_messages_lost: Option<u64> = count,
        /// Sockets that connected, or were connected to, meanwhile, in this network namespace: by the kernel's own count. Absent
        /// where it is not known.
        sockets_opened: Option<u64> = count,
        /// How many of these were never seen; absent where only some sockets were asked for.
        sockets_unseen: Option<u64> = count,
        /// Looks that were due while another one went on, and were left out.
        missed_polls: Option<u64> = count,
        /// Ends that the kernel told of sockets whose end was known already: a look had found them gone before.
        late_ends: Option<u64> = count,
        /// Sockets that a look found gone, and a later one there again: the kernel's answer had left them out. Each counts as two.
        returned_sockets: Option<u64> = count,
        /// Sockets of other protocols than TCP (MPTCP) among the kernel's answers to the last look; they are left out.
        other_protocols: Option<u64> = count,
    }
}
