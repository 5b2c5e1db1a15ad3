//! DNS over UDP and TCP (RFC 1035; updates RFC 2136, notify RFC 1996, transfers RFC 5936 and RFC 1995, EDNS RFC 6891).
//!
//! Read: header, question, the types of all records, OPT for the extended rcode, SOA serials of a transfer, the addresses of
//! answers (whoever's name they stand behind a CNAME, RFC 1034 3.6.2: they answer the question). Not read: what other
//! answers say, EDNS options, signatures. mDNS, LLMNR and NetBIOS names are left out by their ports
//! ([`is_lookalike_port`]): they are no request with one answer.
//!
//! A request is one message with QR clear. Its number is the DNS id together with a hash of opcode and name,
//! so that a late or forged answer to another question pairs with nothing (RFC 5452 section 9.1).

mod message;
mod registry;
#[cfg(test)]
mod tests;

use super::{
    Asked, Context, Guess, Line, Loss, Outcome, Parser, Part, Request, Response, Step, Unit, Way,
};
use message::{Header, Question, Records, kind, opcode};

/// The port where a datagram needs no proof to be DNS.
pub const PORT: u16 = 53;

/// Octets of the length before each message over TCP (RFC 1035 4.2.2).
const LENGTH_PREFIX: usize = 2;
/// What a parser may wait for, less than the largest message (65537 with its length).
const LONGEST_WAIT: usize = 65536;
/// How many outstanding queries are looked at for an answer that does not repeat its question. Chosen.
const SEARCHED: usize = 256;

/// Ports of mDNS (RFC 6762), LLMNR (RFC 4795) and NetBIOS names (RFC 1002): the same format, but one question has many
/// answers, or none.
#[must_use]
pub fn is_lookalike_port(port: u16) -> bool {
    matches!(port, 137 | 5353 | 5355)
}

/// Which way a datagram goes if it is DNS: `ToServer` for a query. On any port what it holds must be DNS beyond
/// reasonable doubt; where `is_dns_port`, a header suffices.
#[must_use]
pub fn probe_datagram(bytes: &[u8], is_dns_port: bool) -> Option<Way> {
    let header = Header::read(bytes)?;
    let is_dns = if is_dns_port {
        registry::opcode(header.opcode()).is_some()
    } else {
        message::judge(bytes, None) == Guess::Yes
    };
    is_dns.then(|| sender_way(header))
}

/// Reads a datagram: one unit of all of it. `context.asked` are the queries of this 5-tuple that wait.
///
/// A query whose `id` (and `tag`, which is the same number) waits already is a retransmission of that one.
pub fn datagram(way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
    let Some(header) = Header::read(bytes) else {
        return Step::Lost(Loss::Malformed);
    };
    let part = if sender_way(header) != way {
        Part::Aside
    } else if header.is_response() {
        Part::Response(answer(header, bytes, context))
    } else {
        Part::Request(query(header, bytes, context))
    };
    Unit::new(bytes.len(), part).step()
}

fn sender_way(header: Header) -> Way {
    if header.is_response() {
        Way::ToClient
    } else {
        Way::ToServer
    }
}

/// DNS over one TCP connection.
#[derive(Debug, Default)]
pub struct Dns {
    transfer: Option<Transfer>,
    /// Serial that the latest IXFR query said the client has.
    client_serial: Option<u32>,
}

/// A zone transfer under way: many messages answer one query. Only the latest is followed; another one that goes on
/// between its messages ends at the first message that ends with a SOA.
#[derive(Debug)]
struct Transfer {
    key: u32,
    /// Serial of the SOA that began it.
    serial: u32,
    /// SOAs since that one.
    soas: u32,
    /// Messages are missing: how many SOAs there were is not known.
    has_gap: bool,
}

impl Parser for Dns {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        let Some((prefix, message)) = bytes.split_first_chunk::<LENGTH_PREFIX>() else {
            return Guess::Maybe;
        };
        let length = usize::from(u16::from_be_bytes(*prefix));
        let message = message.get(..length).unwrap_or(message);
        match Header::read(message) {
            Some(header) if sender_way(header) != way => Guess::No,
            _ => message::judge(message, Some(length)),
        }
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let Some(prefix) = bytes.first_chunk::<LENGTH_PREFIX>() else {
            return Step::Wait;
        };
        let length = LENGTH_PREFIX + usize::from(u16::from_be_bytes(*prefix));
        if length < LENGTH_PREFIX + message::HEADER {
            return Step::Lost(Loss::Malformed);
        }
        if bytes.len() < length.min(LONGEST_WAIT) && !context.is_end {
            return Step::Wait;
        }
        let message = bytes.get(LENGTH_PREFIX..bytes.len().min(length));
        let Some((header, message)) = message.and_then(|m| Some((Header::read(m)?, m))) else {
            return Step::Wait;
        };
        if registry::opcode(header.opcode()).is_none() {
            return Step::Lost(Loss::Malformed);
        }
        let part = if sender_way(header) != way {
            // A server's own request (RFC 8490).
            Part::Aside
        } else if header.is_response() {
            let mut answer = answer(header, message, context);
            let key = answer.id.map_or(0, |id| id as u32);
            if transfer_of(key).is_some() {
                answer.ends = self.transfer_ends(key, header, message);
            }
            Part::Response(answer)
        } else {
            let query = query(header, message, context);
            if transfer_of(query.tag) == Some(kind::IXFR) {
                self.client_serial = soa_serial_of_query(header, message);
            }
            Part::Request(query)
        };
        Unit::new(length, part).step()
    }

    fn lost(&mut self, way: Way) {
        if way == Way::ToClient
            && let Some(transfer) = &mut self.transfer
        {
            transfer.has_gap = true;
        }
    }
}

impl Dns {
    /// Whether this message of a transfer is its last: it has the second SOA (RFC 5936 2.2). In an incremental one
    /// (RFC 1995 4) each difference has two, old and new, and then the first one comes again: as the third, fifth...
    fn transfer_ends(&mut self, key: u32, header: Header, message: &[u8]) -> bool {
        let mut records = Records::new(header, message);
        let mut answers = records.by_ref().take_while(|record| record.section == 0);
        let transfer = self.transfer.take().filter(|transfer| transfer.key == key);
        let is_first = transfer.is_none();
        let mut transfer = match transfer {
            Some(transfer) => transfer,
            None => {
                if header.rcode() != 0 || header.answers() == 0 {
                    return true;
                }
                let serial = answers.next().and_then(|first| first.soa_serial(message));
                Transfer {
                    key,
                    serial: serial.unwrap_or_default(),
                    soas: 0,
                    has_gap: serial.is_none(),
                }
            }
        };
        let is_incremental = transfer_of(key) == Some(kind::IXFR);
        let mut ends = header.rcode() != 0;
        let mut last_is_soa = false;
        for record in answers {
            last_is_soa = record.kind == kind::SOA;
            if last_is_soa {
                transfer.soas = transfer.soas.saturating_add(1);
                let is_same = record.soa_serial(message) == Some(transfer.serial);
                ends |= !transfer.has_gap
                    && (!is_incremental || is_same && !transfer.soas.is_multiple_of(2));
            }
        }
        ends |= transfer.has_gap && last_is_soa;
        // One SOA and nothing else: the client is up to date (RFC 1995 2).
        if is_first && is_incremental && header.answers() == 1 && !transfer.has_gap {
            let is_newer = |client: u32| (transfer.serial.wrapping_sub(client) as i32) > 0;
            ends |= !self.client_serial.is_some_and(is_newer);
        }
        transfer.has_gap |= records.is_broken();
        if !ends {
            self.transfer = Some(transfer);
        }
        ends
    }
}

/// A query as a request; what it asks for goes to the texts.
fn query(header: Header, message: &[u8], context: &mut Context<'_>) -> Request {
    let question = header.question(message);
    let texts = &mut context.texts;
    let mut digits = [0; registry::LONGEST];
    let is_query = header.opcode() == opcode::QUERY;
    match &question {
        Some(question) if is_query => {
            texts.operation(registry::kind(question.kind, &mut digits));
        }
        _ => texts.operation(
            registry::opcode(header.opcode())
                .unwrap_or("QUERY")
                .as_bytes(),
        ),
    }
    texts.summary(|line| summary(line, header, question.as_ref()));
    let key = key(header, question.as_ref());
    Request {
        id: Some(u64::from(key)),
        tag: key,
        ..Request::whole()
    }
}

/// `A example.test.`, `CH TXT version.bind.`, `NOTIFY SOA example.test.`.
fn summary(line: &mut Line<'_>, header: Header, question: Option<&Question<'_>>) {
    let mut digits = [0; registry::LONGEST];
    let is_query = header.opcode() == opcode::QUERY;
    if !is_query || question.is_none() {
        line.piece(registry::opcode(header.opcode()).unwrap_or("QUERY"));
    }
    let Some(question) = question else {
        return;
    };
    if !is_query {
        line.blank();
    }
    if question.class != message::class::IN {
        line.bytes(registry::class(question.class, &mut digits));
        line.blank();
    }
    line.bytes(registry::kind(question.kind, &mut digits));
    line.blank();
    question.write_name(line);
}

/// An answer; its rcode's name goes to the texts.
fn answer(header: Header, message: &[u8], context: &mut Context<'_>) -> Response {
    let rcode = header.extended_rcode(message);
    context.texts.status_text(|line| {
        line.bytes(registry::rcode(rcode, &mut [0; registry::LONGEST]));
        if header.is_truncated() {
            line.piece(" truncated");
        }
    });
    let question = header.question(message);
    let is_asked = |question: &Question<'_>| matches!(question.kind, kind::A | kind::AAAA);
    if (header.opcode(), rcode) == (opcode::QUERY, 0) && question.as_ref().is_some_and(is_asked) {
        let records = Records::new(header, message).take_while(|record| record.section == 0);
        let addresses = records.filter_map(|record| record.address(message));
        context.texts.answers(addresses);
    }
    let key = match question {
        Some(question) => key(header, Some(&question)),
        // Errors and further messages of a transfer may leave the question out.
        None => waiting_with(context.asked, header.id).unwrap_or_else(|| key(header, None)),
    };
    Response {
        id: Some(u64::from(key)),
        outcome: Some(Outcome {
            is_error: !matches!(rcode, 0 | 3),
            code: Some(u32::from(rcode)),
        }),
        ..Response::more(true)
    }
}

fn waiting_with(asked: &dyn Asked, id: u16) -> Option<u32> {
    (0..SEARCHED)
        .map_while(|n| asked.nth(n))
        .find(|key| key >> 16 == u32::from(id))
}

/// What a query and its answer have in common: id, 14 bits of a hash of the question, and 2 that tell a transfer.
fn key(header: Header, question: Option<&Question<'_>>) -> u32 {
    let Some(question) = question else {
        return u32::from(header.id) << 16;
    };
    let transfer = match question.kind {
        kind::AXFR => 1,
        kind::IXFR => 2,
        _ => 0,
    };
    let hash = question.hash() ^ u32::from(header.opcode());
    u32::from(header.id) << 16 | (hash & 0x3fff) << 2 | transfer
}

fn transfer_of(key: u32) -> Option<u16> {
    match key & 3 {
        1 => Some(kind::AXFR),
        2 => Some(kind::IXFR),
        _ => None,
    }
}

/// The SOA in the authority section of an IXFR query (RFC 1995 3).
fn soa_serial_of_query(header: Header, message: &[u8]) -> Option<u32> {
    Records::new(header, message)
        .find(|record| record.kind == kind::SOA)?
        .soa_serial(message)
}
