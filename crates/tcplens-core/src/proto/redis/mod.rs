//! Redis: RESP2, RESP3, inline commands; replies in the order of the requests.
//!
//! Read: requests and replies of any size (long values are skipped), pub/sub, MONITOR, CLIENT REPLY, transactions,
//! redirections (error replies), the stream from master to replica. Not read: RESP3's streamed strings and aggregates
//! (`$?`, `*?`), which no server sends; the cluster bus; what a transaction does to CLIENT REPLY and SUBSCRIBE when it is
//! executed.
//!
//! Reference: "Redis serialization protocol specification" (RESP) and the pages of the commands named here, redis.io;
//! where they are silent, redis 7.0: networking.c, pubsub.c, replication.c.

mod probe;
mod reply;
mod request;
#[cfg(test)]
mod tests;

use super::{Context, Guess, Loss, Parser, Step, Way};

/// A line, a request of the kinds that must be seen whole, and the words of a push are waited for up to this size.
/// Chosen: a quarter of what the stream layer keeps; an inline request of redis has at most 64 KiB.
const LONGEST_WAIT: usize = 16 * 1024;

/// The parser of one connection.
#[derive(Default)]
pub struct Redis {
    /// Values of the reply in progress that are still to come, those inside others included: nesting needs no stack.
    values_left: u32,
    /// Arguments of the request in progress that are still to come.
    arguments_left: u32,
    /// Connections that subscribe or replicate.
    rare: Option<Box<Rare>>,
    doing: Doing,
    /// In the middle of a simple string that is too long to wait for.
    in_line: bool,
    /// CLIENT REPLY OFF is in force.
    reply_off: bool,
    /// The next request owes nothing: CLIENT REPLY SKIP came before.
    skip_next: bool,
    /// Between MULTI and EXEC every command owes one `+QUEUED`.
    in_transaction: bool,
    /// PSYNC or SYNC was sent: the client is a replica.
    may_sync: bool,
}

/// What the value in progress is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doing {
    #[default]
    Reply,
    /// Said about the reply that comes next.
    Attribute,
    Aside,
}

#[derive(Default)]
struct Rare {
    channels: u32,
    patterns: u32,
    shards: u32,
    /// Confirmations that the oldest request has got.
    confirmed: u32,
    sync: Sync,
    /// The snapshot is the reply itself: SYNC, in place of PSYNC.
    sync_is_reply: bool,
}

/// How far a connection from replica to master is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sync {
    #[default]
    No,
    /// The snapshot will come; blank lines until then.
    Awaited,
    /// A snapshot of unknown length, up to this mark.
    UpTo([u8; MARK]),
    /// Commands that the master executed.
    Commands,
}

/// Length of the mark that ends a snapshot of unknown length (CONFIG_RUN_ID_SIZE).
const MARK: usize = 40;

impl Parser for Redis {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        match way {
            Way::ToServer => probe::request(bytes),
            Way::ToClient => probe::reply(bytes),
        }
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if bytes.is_empty() {
            return Step::Wait;
        }
        let unit = match way {
            Way::ToServer => self.request(bytes, context),
            Way::ToClient => self.reply(bytes, context),
        };
        match unit {
            Ok(unit) => unit.step(),
            Err(step) => step,
        }
    }

    fn lost(&mut self, way: Way) {
        match way {
            Way::ToServer => {
                self.arguments_left = 0;
                self.skip_next = false;
                self.in_transaction = false;
            }
            Way::ToClient => {
                self.values_left = 0;
                self.doing = Doing::Reply;
                self.in_line = false;
                if let Some(rare) = &mut self.rare {
                    rare.confirmed = 0;
                    if rare.sync != Sync::No {
                        rare.sync = Sync::Commands;
                    }
                }
            }
        }
    }
}

/// `Err` says why there is none.
type Read<T> = Result<T, Step>;

const MALFORMED: Step = Step::Lost(Loss::Malformed);

/// The decimal number at `at`, ended by CRLF, and where the next line begins.
fn number(bytes: &[u8], at: usize) -> Read<(i64, usize)> {
    let mut rest = bytes.get(at..).unwrap_or_default();
    let start = rest.len();
    let is_negative = rest.first() == Some(&b'-');
    if is_negative {
        rest = &rest[1..];
    }
    let digits = rest.len();
    let mut n: i64 = 0;
    while let [digit @ b'0'..=b'9', more @ ..] = rest {
        // Redis takes what fits an i64; more than that many digits is nothing it sends.
        if digits - rest.len() >= 18 {
            return Err(MALFORMED);
        }
        n = n * 10 + i64::from(digit - b'0');
        rest = more;
    }
    match rest {
        [] | [b'\r'] => Err(Step::Wait),
        [b'\r', b'\n', ..] if digits > rest.len() => {
            let next = at + (start - rest.len()) + 2;
            Ok((if is_negative { -n } else { n }, next))
        }
        _ => Err(MALFORMED),
    }
}

/// The line at `at` without its CRLF, and where the next begins.
fn line(bytes: &[u8], at: usize) -> Read<(&[u8], usize)> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        return Err(if rest.len() < LONGEST_WAIT {
            Step::Wait
        } else {
            Step::Lost(Loss::TooLong)
        });
    };
    match rest[..end].strip_suffix(b"\r") {
        Some(line) => Ok((line, at + end + 1)),
        None => Err(MALFORMED),
    }
}

/// The bytes of a string that begins at `start`, and where what follows its CRLF begins. `None`: not all is there.
#[inline]
fn string(bytes: &[u8], start: usize, length: usize) -> Option<(&[u8], usize)> {
    let end = start.checked_add(length)?;
    let next = end.checked_add(2)?;
    if next > bytes.len() {
        return None;
    }
    Some((bytes.get(start..end)?, next))
}
