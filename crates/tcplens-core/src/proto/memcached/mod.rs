//! Memcached over TCP: text commands, meta commands, binary protocol.
//!
//! Requests are carried out in the order in which they come, in all three; quiet ones are answered only if there is
//! something to say, so a reply is first given to the request that it fits: by opcode, opaque and key (binary), by the
//! opaque or key that a meta reply repeats, else by its kind. Values are skipped, never stored.
//!
//! Not read: UDP; what `watch` streams (asides); the values of `set` where a server takes them for commands because the
//! line before was wrong in a way that only it knows. An error reply to a `noreply` command cannot be told from the reply
//! to the command after it.
//!
//! Reference: memcached's doc/protocol.txt (1.6) and its wiki page "BinaryProtocolRevamped"; tried with memcached 1.6.18.

mod binary;
#[cfg(test)]
mod tests;
mod text;

use super::{Context, Guess, Parser, Step, Way};

/// The parser of one connection.
#[derive(Default)]
pub struct Memcached {
    /// The text reply in progress.
    reply: Reply,
    /// In the middle of a `get` whose line is too long to wait for.
    in_line: bool,
    /// A quiet meta command was seen: from then on text requests carry numbers.
    has_quiet: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reply {
    /// None: the next line begins one.
    #[default]
    No,
    /// To the oldest request.
    ToOldest,
    /// To the oldest with this tag.
    To(u32),
}

/// First bytes of the binary protocol.
const MAGIC_REQUEST: u8 = 0x80;
const MAGIC_RESPONSE: u8 = 0x81;

/// Longest key (KEY_MAX_LENGTH).
const LONGEST_KEY: usize = 250;

impl Parser for Memcached {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        match (way, bytes.first()) {
            (_, None) => Guess::Maybe,
            (Way::ToServer, Some(&MAGIC_REQUEST)) | (Way::ToClient, Some(&MAGIC_RESPONSE)) => {
                binary::probe(way, bytes)
            }
            (Way::ToServer, _) => text::probe_request(bytes),
            (Way::ToClient, _) => text::probe_reply(bytes),
        }
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let is_between = match way {
            Way::ToServer => !self.in_line,
            Way::ToClient => self.reply == Reply::No,
        };
        let unit = match (way, bytes.first()) {
            (_, None) => Err(Step::Wait),
            (Way::ToServer, Some(&MAGIC_REQUEST)) if is_between => binary::request(bytes, context),
            (Way::ToClient, Some(&MAGIC_RESPONSE)) if is_between => binary::reply(bytes, context),
            (Way::ToServer, _) => self.request(bytes, context),
            (Way::ToClient, _) => self.reply(bytes, context),
        };
        match unit {
            Ok(unit) => unit.step(),
            Err(step) => step,
        }
    }

    fn lost(&mut self, way: Way) {
        match way {
            Way::ToServer => self.in_line = false,
            Way::ToClient => self.reply = Reply::No,
        }
    }
}

/// 24 bits of FNV-1a: tells keys and opaques of outstanding requests apart, where nothing else does.
fn hash(seed: u8, bytes: &[u8]) -> u32 {
    let start = (0x811c_9dc5 ^ u32::from(seed)).wrapping_mul(0x0100_0193);
    let hash = bytes.iter().fold(start, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    (hash ^ hash >> 24) & 0x00ff_ffff
}
