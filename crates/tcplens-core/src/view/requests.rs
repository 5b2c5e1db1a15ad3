//! What requests amount to: counts, latency, bytes and the time budget, per server and per operation. Blind to where they
//! were observed. Not what is wrong: see `findings`. Bounded: at most [`GROUPS`] of each kind are told apart, the rest is
//! counted as one. Exactly mergeable, whatever the order.

use std::collections::BTreeMap;

use super::{Histogram, ServerKey};
use crate::record::{EndedBy, Protocol, Request, Status, Vantage, Verdict};
use crate::time::Span;

/// Most servers, and most operations, that are told apart. Chosen: with about 2 KB each, 2 MB for either.
pub const GROUPS: usize = 1024;

/// The upper edges of tcpkit's latency buckets in ns, each inclusive; the last bucket is for what is above all of them.
pub const BUCKET_EDGES_NS: [u64; BUCKETS - 1] = {
    let ms = 1_000_000;
    let s = 1000 * ms;
    [
        ms / 10,
        ms / 5,
        ms / 2,
        ms,
        5 * ms,
        10 * ms,
        20 * ms,
        50 * ms,
        100 * ms,
        200 * ms,
        500 * ms,
        s,
        2 * s,
        3 * s,
        5 * s,
        10 * s,
        20 * s,
    ]
};
/// tcpkit's latency buckets.
pub const BUCKETS: usize = 18;

/// How long a request took, for a comparison with a threshold: T0 to T3. Where the end of the response was not seen, T0 to
/// its first byte, which is the least that it took.
#[must_use]
pub fn latency(request: &Request<'_>) -> Option<Span> {
    request.total_us.or_else(|| {
        let (upload, process) = (request.upload_us?, request.process_us?);
        Some(Span::from_ns(upload.ns().saturating_add(process.ns())))
    })
}

/// How long a request that was answered took: T0 to T3. The kernel of a server does not know T3 of a response that the next
/// request did not wait for: then T0 to its first byte.
#[must_use]
pub fn took(request: &Request<'_>) -> Option<Span> {
    let is_answered = matches!(request.status, Status::Ok | Status::Error)
        && request.ended_by == EndedBy::Response;
    match request.vantage {
        Vantage::Kernel if is_answered => latency(request),
        Vantage::Kernel | Vantage::Socket | Vantage::File | Vantage::Wire => request.total_us,
    }
}

/// The time budget, in the order of [`Verdict::ALL`].
#[must_use]
pub fn budget(request: &Request<'_>) -> Option<[Span; Verdict::ALL.len()]> {
    Some([
        request.in_client_us?,
        request.in_queue_us?,
        request.in_server_us?,
        request.in_network_us?,
        request.in_loss_us?,
        request.in_window_us?,
        request.in_transfer_us?,
    ])
}

/// Requests counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestGroup {
    statuses: [u64; Status::ALL.len()],
    /// Unanswered, and the observation ended, or lost bytes, before an answer could have been seen.
    pub undecided: u64,
    /// Of all: ended by bytes that were never seen.
    pub gaps: u64,
    /// That took at least as long as the threshold.
    pub slow: u64,
    /// With at least one byte of response.
    pub responses: u64,
    /// How long those took that were answered: see [`took`].
    pub total: Histogram,
    /// The same in tcpkit's buckets.
    pub buckets: [u64; BUCKETS],
    /// Payload of requests.
    pub request_bytes: u64,
    /// Payload of responses.
    pub response_bytes: u64,
    /// Segments retransmitted while they ran.
    pub retransmits: u64,
    /// Requests whose time budget is known.
    pub budgeted: u64,
    /// Their time budgets in ns, in the order of [`Verdict::ALL`].
    pub budget_ns: [u64; Verdict::ALL.len()],
    protocols: u32,
}

impl Default for RequestGroup {
    fn default() -> Self {
        RequestGroup {
            statuses: [0; Status::ALL.len()],
            undecided: 0,
            gaps: 0,
            slow: 0,
            responses: 0,
            total: Histogram::default(),
            buckets: [0; BUCKETS],
            request_bytes: 0,
            response_bytes: 0,
            retransmits: 0,
            budgeted: 0,
            budget_ns: [0; Verdict::ALL.len()],
            protocols: 0,
        }
    }
}

/// What is counted of one request, in however many groups.
struct Counted {
    status: Status,
    is_undecided: bool,
    is_gap: bool,
    is_slow: bool,
    /// See [`took`]; with its place in [`BUCKET_EDGES_NS`].
    total: Option<(Span, usize)>,
    bytes: [u64; 2],
    retransmits: u64,
    budget: Option<[Span; Verdict::ALL.len()]>,
    protocol: Protocol,
}

impl Counted {
    fn new(request: &Request<'_>, slow_from: Option<Span>) -> Counted {
        Counted {
            status: request.status,
            is_undecided: is_undecided(request),
            is_gap: request.ended_by == EndedBy::Gap,
            is_slow: is_slow(request, slow_from),
            total: took(request).map(|total| (total, bucket(total))),
            bytes: [request.request_bytes, request.response_bytes],
            retransmits: request.retransmits,
            budget: budget(request),
            protocol: request.protocol,
        }
    }
}

impl RequestGroup {
    /// Counts one request; slow is what took at least `slow_from`.
    pub fn add(&mut self, request: &Request<'_>, slow_from: Option<Span>) {
        self.count(&Counted::new(request, slow_from));
    }

    fn count(&mut self, one: &Counted) {
        self.statuses[one.status as usize] += 1;
        self.undecided += u64::from(one.is_undecided);
        self.gaps += u64::from(one.is_gap);
        self.slow += u64::from(one.is_slow);
        self.responses += u64::from(one.bytes[1] > 0);
        if let Some((total, bucket)) = one.total {
            self.total.add(total);
            self.buckets[bucket] += 1;
        }
        add(&mut self.request_bytes, one.bytes[0]);
        add(&mut self.response_bytes, one.bytes[1]);
        add(&mut self.retransmits, one.retransmits);
        if let Some(budget) = one.budget {
            self.budgeted += 1;
            for (sum, part) in self.budget_ns.iter_mut().zip(budget) {
                add(sum, part.ns());
            }
        }
        self.protocols |= 1 << one.protocol as u32;
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &RequestGroup) {
        let RequestGroup {
            statuses,
            undecided,
            gaps,
            slow,
            responses,
            total,
            buckets,
            request_bytes,
            response_bytes,
            retransmits,
            budgeted,
            budget_ns,
            protocols,
        } = self;
        merge(statuses, &other.statuses);
        *undecided += other.undecided;
        *gaps += other.gaps;
        *slow += other.slow;
        *responses += other.responses;
        total.merge(&other.total);
        merge(buckets, &other.buckets);
        add(request_bytes, other.request_bytes);
        add(response_bytes, other.response_bytes);
        add(retransmits, other.retransmits);
        *budgeted += other.budgeted;
        merge(budget_ns, &other.budget_ns);
        *protocols |= other.protocols;
    }

    /// All requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// Requests that went so.
    #[must_use]
    pub fn status(&self, status: Status) -> u64 {
        self.statuses[status as usize]
    }

    /// Requests that owed a reply, and of which it is known whether they got it.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.requests() - self.status(Status::None) - self.undecided
    }

    /// Unanswered, and an answer would have been seen.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.status(Status::Unanswered) - self.undecided
    }

    /// The protocols that were spoken.
    pub fn protocols(&self) -> impl Iterator<Item = Protocol> {
        let all = Protocol::ALL.iter().copied();
        all.filter(|&protocol| self.protocols & 1 << protocol as u32 != 0)
    }
}

/// Where the time of requests went that are alike: of one server, in one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// All of them.
    pub requests: u64,
    /// Those whose time budget is known.
    pub budgeted: u64,
    /// The time budgets of these in ns, in the order of [`Verdict::ALL`].
    pub budget_ns: [u64; Verdict::ALL.len()],
}

impl Population {
    /// Counts one request.
    pub fn add(&mut self, request: &Request<'_>) {
        self.requests += 1;
        if let Some(budget) = budget(request) {
            self.budgeted += 1;
            for (sum, part) in self.budget_ns.iter_mut().zip(budget) {
                add(sum, part.ns());
            }
        }
    }

    /// All of their time, in ns.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        let parts = self.budget_ns.iter();
        parts.fold(0, |sum: u64, part| sum.saturating_add(*part))
    }
}

/// Whether an answer could still have come when the observation ended, or came where nobody saw it.
#[must_use]
pub fn is_undecided(request: &Request<'_>) -> bool {
    request.status == Status::Unanswered
        && (matches!(request.ended_by, EndedBy::Observation | EndedBy::Gap) || request.capture_loss)
}

/// Whether a request took at least so long. Without a threshold, or with one of zero, nothing is slow.
#[must_use]
pub fn is_slow(request: &Request<'_>, slow_from: Option<Span>) -> bool {
    match (latency(request), slow_from) {
        (Some(latency), Some(from)) => from.ns() > 0 && latency >= from,
        _ => false,
    }
}

/// Which of tcpkit's buckets a latency is in.
#[must_use]
pub fn bucket(latency: Span) -> usize {
    BUCKET_EDGES_NS.partition_point(|&edge| edge < latency.ns())
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

fn merge<const N: usize>(sums: &mut [u64; N], more: &[u64; N]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        add(sum, *more);
    }
}

/// Requests per server and per operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestSummary {
    slow_from: Option<Span>,
    servers: BTreeMap<ServerKey, RequestGroup>,
    /// All servers beyond [`GROUPS`].
    other_servers: RequestGroup,
    /// By protocol and operation; an operation that its protocol does not name is empty.
    operations: BTreeMap<Protocol, BTreeMap<Box<str>, RequestGroup>>,
    operations_known: usize,
    /// All operations beyond [`GROUPS`].
    other_operations: RequestGroup,
}

impl RequestSummary {
    /// Slow is what takes at least `slow_from`.
    #[must_use]
    pub fn new(slow_from: Option<Span>) -> RequestSummary {
        RequestSummary {
            slow_from,
            ..RequestSummary::default()
        }
    }

    /// The threshold.
    #[must_use]
    pub fn slow_from(&self) -> Option<Span> {
        self.slow_from.filter(|from| from.ns() > 0)
    }

    /// Counts one request.
    pub fn add(&mut self, request: &Request<'_>) {
        let one = Counted::new(request, self.slow_from);
        let key = (request.server_ip, request.server_port);
        self.server_mut(key).count(&one);
        let operation = request.operation.unwrap_or_default();
        self.operation(request.protocol, operation).count(&one);
    }

    /// Counts everything that `other` counted. Exact as long as neither had more groups than fit.
    pub fn merge(&mut self, other: &RequestSummary) {
        for (&key, group) in &other.servers {
            self.server_mut(key).merge(group);
        }
        self.other_servers.merge(&other.other_servers);
        for (protocol, operation, group) in other.operations() {
            self.operation(protocol, operation).merge(group);
        }
        self.other_operations.merge(&other.other_operations);
    }

    /// All requests as one.
    #[must_use]
    pub fn all(&self) -> RequestGroup {
        let mut all = self.other_servers.clone();
        self.servers.values().for_each(|group| all.merge(group));
        all
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// By server, ascending by address and port.
    pub fn servers(&self) -> impl Iterator<Item = (ServerKey, &RequestGroup)> {
        self.servers.iter().map(|(key, group)| (*key, group))
    }

    /// One of the servers that are told apart.
    #[must_use]
    pub fn server(&self, key: ServerKey) -> Option<&RequestGroup> {
        self.servers.get(&key)
    }

    /// By protocol and operation, ascending.
    pub fn operations(&self) -> impl Iterator<Item = (Protocol, &str, &RequestGroup)> {
        let all = self.operations.iter();
        all.flat_map(|(protocol, operations)| {
            operations
                .iter()
                .map(|(operation, group)| (*protocol, &**operation, group))
        })
    }

    /// Requests to servers that were too many to be told apart.
    #[must_use]
    pub fn other_servers(&self) -> &RequestGroup {
        &self.other_servers
    }

    /// Requests with operations that were too many to be told apart.
    #[must_use]
    pub fn other_operations(&self) -> &RequestGroup {
        &self.other_operations
    }

    fn server_mut(&mut self, key: ServerKey) -> &mut RequestGroup {
        if self.servers.len() >= GROUPS && !self.servers.contains_key(&key) {
            return &mut self.other_servers;
        }
        self.servers.entry(key).or_default()
    }

    fn operation(&mut self, protocol: Protocol, operation: &str) -> &mut RequestGroup {
        let known = self.operations.entry(protocol).or_default();
        // Twice, for the borrow checker does not see that a returned entry is the end of it.
        if known.contains_key(operation) {
            return known
                .get_mut(operation)
                .unwrap_or(&mut self.other_operations);
        }
        if self.operations_known >= GROUPS {
            return &mut self.other_operations;
        }
        self.operations_known += 1;
        known.entry(operation.into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_edges_belong_to_their_bucket_and_what_is_above_all_has_its_own() {
        for (us, expected) in [
            (0, 0),
            (100, 0),
            (101, 1),
            (1_000, 3),
            (1_001, 4),
            (20_000_000, 16),
            (20_000_001, 17),
            (60_000_000, 17),
        ] {
            assert_eq!(bucket(Span::from_ns(us * 1000)), expected, "{us}");
        }
    }

    #[test]
    fn operations_and_servers_beyond_the_limit_are_one() {
        let mut summary = RequestSummary::default();
        for n in 0..GROUPS as u64 + 10 {
            summary.server_mut(([10, 0, 0, 1].into(), n)).gaps += 1;
            let name = format!("OP{n}");
            summary.operation(Protocol::Redis, &name).gaps += 1;
            summary.operation(Protocol::Redis, "OP7").slow += 1;
        }
        assert_eq!(summary.servers().count(), GROUPS);
        assert_eq!(summary.operations().count(), GROUPS);
        assert_eq!(
            (summary.other_servers.gaps, summary.other_operations.gaps),
            (10, 10)
        );
        assert_eq!(
            summary.operations[&Protocol::Redis]["OP7"].slow,
            GROUPS as u64 + 10
        );
    }
}
