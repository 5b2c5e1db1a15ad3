//! The page of `sockets --metrics`: tcp-info's metrics under its names (m-lab/tcp-info, metrics/metrics.go), and `tcplens_socket*`,
//! which are ours, in seconds and bytes. docs/metrics.md says where the edges of histograms are not tcp-info's.

use std::fmt::Write;

use tcplens_core::socket::metrics::{
    AnswerError, Family as AddressFamily, Histogram, LARGE, Queue, STATES, SocketCounts,
    SocketMetrics, Total,
};

use super::{Family, Kind, OTHER, Samples, seconds, write};
use crate::human::Endpoint;

/// The page.
#[must_use]
pub fn page(metrics: &SocketMetrics) -> String {
    write(FAMILIES, metrics)
}

families! {
    SocketMetrics: "";
    Histogram tcpinfo_syscall_time_histogram [af]
        "How long the kernel took to tell all sockets of a family (seconds)."
        |metrics, out| families(&metrics.syscall, |af, histogram| out.histogram(&[af], histogram));
    Histogram tcpinfo_polling_interval_histogram []
        "From one look at all sockets to the next (seconds)."
        |metrics, out| out.histogram(&[], &metrics.interval);
    Histogram tcpinfo_connection_count_histogram [af]
        "Sockets that a look found."
        |metrics, out| families(&metrics.connections, |af, histogram| out.histogram(&[af], histogram));
    Histogram tcpinfo_cache_count_histogram []
        "Sockets that were tracked after a look."
        |metrics, out| out.histogram(&[], &metrics.cache);
    Counter tcpinfo_error_total [type]
        "Answers of the kernel that were not whole, by reason."
        |metrics, out| {
            for (error, count) in AnswerError::ALL.into_iter().zip(metrics.errors) {
                out.count(&[error.word()], count);
            }
        };
    Counter tcpinfo_new_file_total []
        "Archive files that were begun."
        |metrics, out| out.count(&[], metrics.archive.unwrap_or_default().files);
    Counter tcplens_socket_archive_failures_total []
        "Attempts to write the archive that failed."
        |metrics, out| metrics.archive.into_iter().for_each(|archive| out.count(&[], archive.failures));
    Counter tcplens_socket_archive_dropped_total []
        "Lines of the archive that were dropped: they could not be written, or not in time."
        |metrics, out| metrics.archive.into_iter().for_each(|archive| out.count(&[], archive.dropped));
    Histogram tcpinfo_send_rate_histogram []
        "Bits sent per second by all connections, payload, repeated ones included."
        |metrics, out| out.histogram(&[], &metrics.send_rate);
    Histogram tcpinfo_receive_rate_histogram []
        "Bits received per second by all connections, payload."
        |metrics, out| out.histogram(&[], &metrics.receive_rate);
    Counter tcpinfo_snapshot_total []
        "Looks at a socket that were kept: it was new or had changed."
        |metrics, out| out.count(&[], metrics.snapshots);
    Counter tcpinfo_flow_events_total [event]
        "Connections that opened, those of the first look among them, and that ended."
        |metrics, out| {
            for (event, count) in ["open", "close"].into_iter().zip(metrics.events) {
                out.count(&[event], count);
            }
        };
    Counter large_netlink_total [type]
        "Attributes that were longer than what is known of them."
        |metrics, out| {
            for ((_, _, name), count) in LARGE.into_iter().zip(metrics.large) {
                out.count(&[name], count);
            }
        };
    Counter netlink_skipped_total [type]
        "Attributes that are not decoded, by number."
        |metrics, out| metrics.skipped().for_each(|(number, count)| {
            out.count(&[&number.to_string()], count);
        });
    Counter tcplens_socket_opened_total [server, side]
        "Connections that opened while it was looked."
        |metrics, out| servers(metrics, |labels, counts| out.count(labels, counts.opened));
    Counter tcplens_socket_closed_total [server, side, reason]
        "Connections that ended, by how."
        |metrics, out| servers(metrics, |[server, side], counts| {
            for (reason, count) in counts.closed() {
                out.count(&[server, side, reason], *count);
            }
        });
    Counter tcplens_socket_sent_bytes_total [server, side]
        "Payload that this end sent, repeated bytes included."
        |metrics, out| total(metrics, out, |counts| counts.sent_bytes);
    Counter tcplens_socket_retransmitted_bytes_total [server, side]
        "Payload of these that was repeated."
        |metrics, out| total(metrics, out, |counts| counts.repeated_bytes);
    Counter tcplens_socket_received_bytes_total [server, side]
        "Payload that this end received in order."
        |metrics, out| total(metrics, out, |counts| counts.received_bytes);
    Counter tcplens_socket_sent_data_segments_total [server, side]
        "Segments with payload that this end sent, repeated ones included."
        |metrics, out| total(metrics, out, |counts| counts.data_segments);
    Counter tcplens_socket_retransmitted_segments_total [server, side]
        "Segments that this end repeated, SYN and FIN included."
        |metrics, out| total(metrics, out, |counts| counts.retransmits);
    Counter tcplens_socket_busy_seconds_total [server, side]
        "Time of connections in which this end had something to send or not acknowledged."
        |metrics, out| servers(metrics, |labels, counts| {
            out.seconds(labels, u128::from(counts.busy_us.value()) * 1000);
        });
    Counter tcplens_socket_limited_seconds_total [server, side, by]
        "Time of these in which the peer's window (rwnd) or the send buffer (sndbuf) kept it from sending."
        |metrics, out| servers(metrics, |[server, side], counts| {
            for (by, us) in [("rwnd", counts.rwnd_limited_us), ("sndbuf", counts.sndbuf_limited_us)] {
                out.seconds(&[server, side, by], u128::from(us.value()) * 1000);
            }
        });
    Histogram tcplens_socket_rtt_seconds [server, side]
        "Smoothed round trip of a connection, at each look since which something was acknowledged."
        |metrics, out| servers(metrics, |labels, counts| out.buckets(labels, &counts.rtt));
    Histogram tcplens_socket_min_rtt_seconds [server, side]
        "Shortest round trip of a connection, when it ended."
        |metrics, out| servers(metrics, |labels, counts| out.buckets(labels, &counts.min_rtt));
    Histogram tcplens_socket_delivery_rate_bytes_per_second [server, side]
        "Rate of delivery of a connection, at each such look, where the application did not limit it."
        |metrics, out| servers(metrics, |labels, counts| out.histogram(labels, &counts.delivery_rate));
    Gauge tcplens_sockets [state]
        "Sockets that there are, by state."
        |metrics, out| {
            let standing = metrics.standing();
            // The first is no state.
            let all = STATES.into_iter().zip(standing.states).skip(usize::from(standing.states[0] == 0));
            all.filter(|_| standing.is_known).for_each(|(state, count)| out.count(&[state], count));
        };
    Gauge tcplens_socket_connections [server, side]
        "Connections that there are."
        |metrics, out| {
            let standing = metrics.standing();
            if !standing.is_known {
                return;
            }
            for ((ip, port), row) in metrics.servers() {
                let both = standing.connections.get(&(ip, port)).copied().unwrap_or_default();
                let server = Endpoint(ip, port).to_string();
                for (is_server, _) in row.sides() {
                    let at = usize::from(is_server);
                    out.count(&[&server, SIDES[at]], both[at]);
                }
            }
            for (side, count) in SIDES.into_iter().zip(standing.other_connections) {
                out.count(&[OTHER, side], count);
            }
        };
    Gauge tcplens_socket_accept_queue [server]
        "Connections that wait for accept(2)."
        |metrics, out| queues(metrics, |server, queue| out.count(&[server], queue.waiting));
    Gauge tcplens_socket_accept_queue_limit [server]
        "How many may wait: beyond, the kernel drops what completes a handshake."
        |metrics, out| queues(metrics, |server, queue| out.count(&[server], queue.limit));
    Counter tcplens_limit_hits_total [limit]
        "Times a bound was reached, by bound."
        |metrics, out| {
            out.counts(&metrics.health().limit_hits);
            out.counts(&metrics.limit_hits());
        };
    Counter tcplens_records_total [kind]
        "Records made, by kind."
        |metrics, out| out.counts(&metrics.health().records);
    Counter tcplens_records_dropped_total [sink]
        "Records that a sink did not take, by sink."
        |metrics, out| out.counts(&metrics.health().records_dropped);
    Counter tcplens_cpu_seconds_total []
        "User and system time of tcplens itself."
        |metrics, out| metrics.health().cpu.into_iter().for_each(|cpu| out.seconds(&[], cpu.ns().into()));
    Gauge tcplens_peak_resident_memory_bytes []
        "Largest resident set of tcplens itself."
        |metrics, out| metrics.health().peak_rss_bytes.into_iter().for_each(|n| out.count(&[], n));
    Gauge tcplens_listed_servers []
        "Servers that have a row of their own here."
        |metrics, out| out.count(&[], metrics.servers().count() as u64);
    Gauge tcplens_build_info [version]
        "1, with the version of tcplens."
        |_, out| out.count(&[env!("CARGO_PKG_VERSION")], 1);
}

/// Whose end this is, in the order of arrays in core.
const SIDES: [&str; 2] = ["client", "server"];

fn families(of: &[Histogram; 2], mut each: impl FnMut(&str, &Histogram)) {
    for (family, histogram) in AddressFamily::ALL.into_iter().zip(of) {
        each(
            match family {
                AddressFamily::V4 => "ipv4",
                AddressFamily::V6 => "ipv6",
            },
            histogram,
        );
    }
}

/// Each server and this host's side of its connections, and all others as one.
fn servers(metrics: &SocketMetrics, mut each: impl FnMut(&[&str; 2], &SocketCounts)) {
    let mut name = String::new();
    for ((ip, port), row) in metrics.servers() {
        name.clear();
        // Writing to a string cannot fail.
        let _ = write!(name, "{}", Endpoint(ip, port));
        for (is_server, counts) in row.sides() {
            each(&[&name, SIDES[usize::from(is_server)]], counts);
        }
    }
    for (is_server, counts) in metrics.other_servers().sides() {
        each(&[OTHER, SIDES[usize::from(is_server)]], counts);
    }
}

fn total(metrics: &SocketMetrics, out: &mut Samples<'_>, of: impl Fn(&SocketCounts) -> Total) {
    servers(metrics, |labels, counts| {
        out.count(labels, of(counts).value())
    });
}

fn queues(metrics: &SocketMetrics, mut each: impl FnMut(&str, Queue)) {
    let standing = metrics.standing();
    for ((ip, port), queue) in &standing.listeners {
        each(&Endpoint(*ip, *port).to_string(), *queue);
    }
    if let Some(queue) = standing.other_queue {
        each(OTHER, queue);
    }
}

impl Samples<'_> {
    fn histogram(&mut self, labels: &[&str], histogram: &Histogram) {
        let decimals = histogram.decimals();
        let mut edge = String::new();
        for (value, count) in histogram.at_most() {
            edge.clear();
            shortest(&mut edge, value, decimals);
            self.bucket(labels, &edge, count);
        }
        self.end_of_buckets(labels, histogram.count(), |page| {
            decimal(page, histogram.sum, decimals);
        });
    }
}

/// Exact, without trailing zeros: `value` with so many decimals behind the point.
fn decimal(page: &mut String, value: u128, decimals: u32) {
    // Tenths and whole numbers as seconds of so many ns.
    seconds(page, value * 10_u128.pow(9_u32.saturating_sub(decimals)));
}

/// As Go prints a number (strconv, format 'g' with the shortest precision), so that the label `le` is tcp-info's where the edge
/// is: `0.00125`, `79000`, `1.58e+06`.
fn shortest(page: &mut String, value: u64, decimals: u32) {
    let digits = value.to_string();
    // The exponent of the first digit.
    let exponent = digits.len() as i64 - 1 - i64::from(decimals);
    if value == 0 || (-4..6).contains(&exponent) {
        decimal(page, value.into(), decimals);
        return;
    }
    let (first, rest) = digits.split_at(1);
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    // As above.
    let _ = write!(page, "{first}{point}{rest}e{sign}{:02}", exponent.abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_printed_as_go_prints_them() {
        for (value, decimals, expected) in [
            (0, 0, "0"),
            (1, 0, "1"),
            (100_000, 0, "100000"),
            (631_000, 0, "631000"),
            (1_000_000, 0, "1e+06"),
            (1_580_000, 0, "1.58e+06"),
            (10_000_000_000, 0, "1e+10"),
            (125, 1, "12.5"),
            (790_000, 1, "79000"),
            (100_000_000, 1, "1e+07"),
            (1_250_000, 9, "0.00125"),
            (100_000, 9, "0.0001"),
            (50_000, 9, "5e-05"),
            (11_000_000_000, 9, "11"),
        ] {
            let mut text = String::new();
            shortest(&mut text, value, decimals);
            assert_eq!(text, expected);
        }
    }
}
