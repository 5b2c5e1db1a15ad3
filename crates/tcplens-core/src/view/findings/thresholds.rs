//! From where on something is a finding. One place, so that a reader of a report can look them up.

/// Most findings in a report. Chosen: nobody reads more; what is left out is counted.
pub const FINDINGS: usize = 100;

/// Findings alike from here on are told as one: a scan, or one broken path. Chosen: more than the services one host
/// usually offers.
pub const ALIKE: usize = 6;

/// Repeated SYNs or SYN-ACKs are a finding from this many attempts on. Each costs its user a second (RFC 6298 section
/// 2.1); a single one happens.
pub const REPEATED: u64 = 2;
/// And from this share of the established attempts on, in per mille. Chosen: a tenth of [`LOSS_PER_MILLE`].
pub const REPEATED_PER_MILLE: u64 = 1;

/// Attempts with an unheard first SYN from which on the server is suspected of dropping SYNs, if other segments get lost
/// far less often. Chosen: fewer may be chance.
pub const SYN_DROPS: u64 = 5;

/// Lost segments between here and one peer, at least. Chosen: two may be one event.
pub const LOST: u64 = 3;

/// Segments there, at least, for a share to mean something. Chosen.
pub const LOSS_SEGMENTS: u64 = 20;

/// Share of lost segments in per mille. At 1 % and 40 ms one connection gets about 3.5 Mbit/s, whatever the line
/// (Mathis, Semke, Mahdavi 1997: MSS / RTT * 1.22 / sqrt(p)).
pub const LOSS_PER_MILLE: u64 = 10;

/// A peer's loss is its own, not everybody's, from this multiple of the others' share on. Chosen.
pub const LOSS_CONTRAST: u64 = 3;

/// Time with a closed receive window, in ns, at one peer. Chosen: a stall that a person feels.
pub const ZERO_WINDOW_NS: u64 = 100_000_000;

/// Connections reset by the server after it had sent something: at least so many, and one in ten. Chosen: some servers
/// close so by habit.
pub const RESETS: u64 = 3;
/// See [`RESETS`].
pub const RESETS_PER_MILLE: u64 = 100;

/// Connections reset by clients after the server had sent something: one in five. Chosen: browsers and health checks
/// close so by habit.
pub const CLIENT_RESETS_PER_MILLE: u64 = 200;

/// A client that got no answer and resets has waited this long, in ns, for the server to be suspected. Chosen.
pub const ABANDONED_NS: u64 = 1_000_000_000;

/// Shortest round trip, in ns, from which on a peer is called far. Chosen: above any path between two continents.
pub const FAR_NS: u64 = 300_000_000;
/// Round trips measured, at least. Chosen: one may have been a late ACK.
pub const FAR_SAMPLES: u64 = 3;

/// Mean round trip above the shortest, in ns, from which on something on the path queues. A receiver may wait up to
/// 200 ms (40 ms on Linux) with an ACK; this is more.
pub const QUEUE_NS: u64 = 250_000_000;
/// Round trips measured, at least. Chosen.
pub const QUEUE_SAMPLES: u64 = 20;
/// A peer nearer than this, in ns, has no path to queue on: it acknowledges late itself. Chosen.
pub const NEAR_NS: u64 = 1_000_000;

/// A request is slow from here on, in ns. Chosen: up to a tenth of a second feels immediate to a person (Nielsen 1993,
/// after Miller 1968); programs that ask many times have less.
pub const SLOW_NS: u64 = 100_000_000;
/// Slow requests to one server for one reason, at least. Chosen: one or two happen.
pub const SLOW_REQUESTS: u64 = 3;
/// And from this share of its answered requests on, in per mille. Chosen: the slowest hundredth is what people complain of.
pub const SLOW_PER_MILLE: u64 = 10;

/// A request that took less than this, in ns, is not behind a slow one of the server that sent it. Chosen: a tenth of
/// [`SLOW_NS`]; what is quicker may be anybody's, and happens all the time.
pub const BEHIND_NS: u64 = 10_000_000;
/// Share of the time inside a server during which it waits for its own requests, from which on these are the likely cause,
/// in per mille: most of it.
pub const BEHIND_PER_MILLE: u64 = 500;

/// Requests to one server that were answered with an error: at least so many, and one in twenty. Chosen: single misses are
/// everyday.
pub const REQUEST_ERRORS: u64 = 3;
/// See [`REQUEST_ERRORS`].
pub const REQUEST_ERRORS_PER_MILLE: u64 = 50;

/// Requests to one server that got no answer: at least so many, and one in a hundred. Chosen: a single one may be a program
/// that ended.
pub const UNANSWERED: u64 = 2;
/// See [`UNANSWERED`].
pub const UNANSWERED_PER_MILLE: u64 = 10;

/// A query for a name that was not answered within so long, in ns, is unanswered: what the C library waits before it asks
/// again (resolv.conf(5), `timeout`).
pub const NAME_SILENCE_NS: i64 = 5_000_000_000;
/// Queries for names that do not exist: at least so many, and one in four. Chosen: search lists make some of them.
pub const NAMELESS: u64 = 5;
/// See [`NAMELESS`].
pub const NAMELESS_PER_MILLE: u64 = 250;

/// A query for a name is slow from here on, in ns. Chosen: a resolver that has to ask others needs less, mostly; and who waits
/// for a name has not even begun to connect.
pub const SLOW_NAME_NS: u64 = 200_000_000;
/// Slow queries of one resolver: at least [`SLOW_REQUESTS`], and this share of those it answered, in per mille. Chosen: names
/// that are in no cache are a few.
pub const SLOW_NAMES_PER_MILLE: u64 = 50;

/// A receive window limits where it would carry less than this over the shortest round trip: `view::usual` says what is usual.
/// So many requests of one server, or so much time of any number, in ns. Chosen: one download may have been somebody's test.
pub const SMALL_WINDOW_NS: u64 = 1_000_000_000;

/// Small segments that waited for a delayed acknowledgment, of one server's clients or of the server: at least so many, and so
/// much time in all, in ns. Chosen: a few happen by chance, where a program writes just when the ACK comes.
pub const HELD: u64 = 5;
/// See [`HELD`].
pub const HELD_NS: u64 = 200_000_000;

/// Connections with one request each, of one client to one server: at least so many. Chosen: a page and its pictures are
/// fewer.
pub const CHURN: u64 = 20;
/// And this share of its connections, in per mille: nearly all.
pub const CHURN_SINGLE_PER_MILLE: u64 = 900;
/// And this share of what the client waits for, in per mille, goes to handshakes. Chosen: a quarter is worth a change.
pub const CHURN_HANDSHAKES_PER_MILLE: u64 = 250;
/// And so much of it, in ns. Chosen: near a server it takes thousands of connections.
pub const CHURN_NS: u64 = 500_000_000;

/// Connections of one server whose opening was not heard although the handshake was over as seen here: at least so many. Chosen:
/// one may be chance. See `connection.client_opening_retransmits`.
pub const OPENINGS: u64 = 2;

/// Connections of which one side only was captured, in per mille of all. Chosen.
pub const ONE_SIDED_PER_MILLE: u64 = 100;
/// A connection counts as one-sided from so many segments on. Chosen: a lone RST or keep-alive proves nothing.
pub const ONE_SIDED_SEGMENTS: u64 = 3;
/// From here on they mislead about the rest: half of all.
pub const MISLED_PER_MILLE: u64 = 500;

/// Segments captured twice, in per mille. Chosen: a mirror of both ports doubles all, a few are noise.
pub const DUPLICATES_PER_MILLE: u64 = 100;

/// Segments with data, of clients and of servers each, of which this share, in per mille, came again: no path loses so much
/// both ways and still carries connections, so they were captured twice at points too far apart to be told. Chosen: a half is
/// what two points show.
pub const DOUBLED_PER_MILLE: u64 = 400;
/// Segments with data, of either, at least. Chosen.
pub const DOUBLED_SEGMENTS: u64 = 20;

/// Packets with a time before that of an earlier one, in per mille. Chosen: rings of several processors interleave a few.
pub const REVERSALS_PER_MILLE: u64 = 10;

/// Whether `part` is at least `per_mille` of a thousand of `whole`.
pub(super) fn is_share(part: u64, whole: u64, per_mille: u64) -> bool {
    u128::from(part) * 1000 >= u128::from(whole) * u128::from(per_mille)
}
