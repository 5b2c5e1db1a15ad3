//! TLS 1.0 to 1.3 and SSL 3.0 over TCP (RFC 8446, RFC 5246), with the hello of SSL 2.0 that offers them (RFC 5246 E.2).
//!
//! Read: hellos, alerts, and the headers of all records. Not read: certificates (X.509), what is encrypted; DTLS and QUIC.
//!
//! **The handshake** is one request. It is the ClientHello; the response is the server's answer to it: the first flight,
//! from ServerHello to ServerHelloDone, to the server's Finished (a resumed session), or in TLS 1.3 to its last record
//! before the client's Finished. A HelloRetryRequest begins the response; the second ClientHello is an aside. The
//! client's further messages are asides; the request stays open for an alert until the handshake is over.
//!
//! **After it**, data records are protocol-blind turns: the first data record of the client begins a request, further
//! ones extend it until the server's first data record begins the response; that ends where the client's next data
//! record comes. In TLS 1.3 handshake messages and alerts look like data. Told apart are: the Finished (by its length,
//! which the cipher suite gives), the end of early data, two or more session tickets of one length (as OpenSSL and
//! BoringSSL send them), and alerts (by their length). Not told apart: a single ticket that follows the first request,
//! a key update, data of two bytes that look like an alert.

mod hello;
mod probe;
mod record;
mod registry;
#[cfg(test)]
mod tests;
mod tickets;

use super::{Context, Guess, Loss, Outcome, Parser, Part, Request, Response, Step, Unit, Way};
use crate::record::Protocol;
use hello::{ClientHello, ServerHello, TLS13};
use probe::{probe_record, probe_ssl2};
use record::{First, HEADER, Record, Walk, content, first_message, handshake};
use tickets::{Ticket, Tickets};

/// What the content type and the usual tag add to a message in a record of TLS 1.3.
const OVERHEAD: u16 = 17;
/// An alert there.
const ALERT: u16 = 2 + OVERHEAD;
/// An EndOfEarlyData there.
const END_OF_EARLY_DATA: u16 = 4 + OVERHEAD;
/// A Finished with SHA-256, with SHA-384, with a short tag (CCM_8).
const FINISHED: [u16; 3] = [4 + 32 + OVERHEAD, 4 + 48 + OVERHEAD, 4 + 32 + OVERHEAD - 8];
/// A CertificateVerify there, by the usual keys: Ed25519, P-256, P-384, P-521, RSA with 2048, 3072 and 4096 bits.
const CERTIFICATE_VERIFY: [std::ops::RangeInclusive<u16>; 7] = [
    89..=89,
    93..=97,
    124..=129,
    158..=164,
    281..=281,
    409..=409,
    537..=537,
];

/// TLS on one connection.
#[derive(Debug, Default)]
pub struct Tls {
    stage: Stage,
    /// Who sent the last data record.
    turn: Option<Way>,
    is_13: bool,
    /// The ClientHello announced early data.
    offers_early: bool,
    /// The client takes session tickets of TLS 1.3.
    takes_tickets: bool,
    /// Up to TLS 1.2: what the server sends is encrypted from now on.
    server_encrypts: bool,
    /// The server's first flight is over.
    has_answered: bool,
    /// The handshake's response has ended, though the client's Finished is still to come.
    is_concluded: bool,
    /// Messages of the server are missing: their ends are not known.
    has_gap: bool,
    tickets: Tickets,
    /// Length of a Finished in TLS 1.3; 0: not known.
    finished: u16,
    /// Over the server's plain messages.
    walk: Walk,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing was seen.
    #[default]
    Start,
    /// The ClientHello was.
    Asked,
    /// The ServerHello was.
    Answered,
    /// The handshake is over, or was not seen.
    Open,
    /// A fatal alert was.
    Failed,
}

impl Parser for Tls {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        let Some(first) = bytes.first() else {
            return Guess::Maybe;
        };
        if way == Way::ToServer && first & 0x80 != 0 {
            return probe_ssl2(bytes);
        }
        if bytes.len() < HEADER {
            let is_start = matches!(first, content::CHANGE_CIPHER_SPEC..=content::DATA)
                && bytes.get(1).is_none_or(|major| *major == 3)
                && bytes.get(2).is_none_or(|minor| *minor <= 4);
            return if is_start { Guess::Maybe } else { Guess::No };
        }
        match Record::read(bytes) {
            Some(record) if record.is_plausible() => probe_record(way, record, bytes),
            _ => Guess::No,
        }
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if bytes.is_empty() {
            return self.close(way);
        }
        if self.stage == Stage::Start && way == Way::ToServer && bytes[0] & 0x80 != 0 {
            return self.ssl2_hello(bytes, context);
        }
        let Some(record) = Record::read(bytes) else {
            return if bytes.len() < HEADER {
                Step::Wait
            } else {
                Step::Lost(Loss::Malformed)
            };
        };
        let part = match (way, record.content) {
            (_, content::HANDSHAKE) => return self.handshake(way, record, bytes, context),
            (_, content::ALERT) if record.length == 2 => {
                let Some(&[level, alert]) = record.payload(bytes) else {
                    return Step::Wait;
                };
                self.alert(way, level, alert, context)
            }
            (Way::ToServer, content::DATA) => match self.client_data(record, bytes, context) {
                Some(part) => part,
                None => return Step::Wait,
            },
            (Way::ToClient, content::DATA) => self.server_data(record),
            (Way::ToClient, content::CHANGE_CIPHER_SPEC) => self.server_changes_cipher(),
            // Heartbeats, encrypted alerts.
            _ => self.aside(),
        };
        Unit::new(record.total(), part).step()
    }

    fn lost(&mut self, way: Way) {
        self.has_gap |= way == Way::ToClient;
    }
}

impl Tls {
    /// A record that tells nothing. One that comes first: the capture began in mid-connection.
    fn aside(&mut self) -> Part {
        if self.stage == Stage::Start {
            self.stage = Stage::Open;
        }
        Part::Aside
    }

    /// The server closed: the response to the last turn is complete.
    fn close(&mut self, way: Way) -> Step {
        if way == Way::ToServer || self.turn != Some(Way::ToClient) {
            return Step::Wait;
        }
        self.turn = None;
        Unit::new(0, Part::Response(Response::more(true))).step()
    }

    fn handshake(
        &mut self,
        way: Way,
        record: Record,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Step {
        let Some(kind) = bytes.get(HEADER) else {
            return Step::Wait;
        };
        match (way, self.stage, *kind) {
            (Way::ToServer, Stage::Start, handshake::CLIENT_HELLO) => match first_message(bytes) {
                First::Wait => Step::Wait,
                First::Broken => Step::Lost(Loss::Malformed),
                First::Message { body, length, .. } => {
                    self.ask(&ClientHello::read(&body), context);
                    Unit::new(length, Part::Request(Request::whole())).step()
                }
            },
            (Way::ToClient, Stage::Start | Stage::Asked, handshake::SERVER_HELLO) => {
                match first_message(bytes) {
                    First::Wait => Step::Wait,
                    First::Broken => Step::Lost(Loss::Malformed),
                    First::Message { body, all, length } => {
                        let part = self.answer(&ServerHello::read(&body), &all, context);
                        Unit::new(length, part).step()
                    }
                }
            }
            (Way::ToClient, Stage::Asked | Stage::Answered, _) => {
                if bytes.len() < record.total() {
                    return Step::Wait;
                }
                let part = self.server_handshake(record.payload(bytes).unwrap_or_default());
                Unit::new(record.total(), part).step()
            }
            _ => Unit::new(record.total(), self.aside()).step(),
        }
    }

    /// A ClientHello: `example.test TLS1.3 h2,http/1.1 0-RTT`.
    fn ask(&mut self, hello: &ClientHello<'_>, context: &mut Context<'_>) {
        self.stage = Stage::Asked;
        self.is_13 = hello.version == TLS13;
        self.offers_early = hello.has_early_data;
        self.takes_tickets = hello.takes_tickets;
        context.texts.operation(b"handshake");
        context.texts.summary(|line| {
            if !hello.server_name.is_empty() {
                line.bytes(hello.server_name);
                line.blank();
            }
            registry::version(line, hello.version);
            for (n, name) in hello.protocols().enumerate() {
                line.piece(if n == 0 { " " } else { "," });
                line.bytes(name);
            }
            if hello.has_early_data {
                line.piece(" 0-RTT");
            }
        });
    }

    /// A ServerHello and what else is in its record: `TLS1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 h2`.
    fn answer(&mut self, hello: &ServerHello<'_>, all: &[u8], context: &mut Context<'_>) -> Part {
        if hello.is_retry {
            // It ends early data: what was sent of it was not read (RFC 8446 4.2.10).
            self.stage = Stage::Asked;
            return Part::Response(Response::more(false));
        }
        self.stage = Stage::Answered;
        self.has_gap = false;
        self.is_13 = hello.version == TLS13;
        self.takes_tickets &= self.is_13 && !hello.is_resumption;
        self.finished = match hello.cipher {
            0x1302 => FINISHED[1],
            0x1305 => FINISHED[2],
            _ => FINISHED[0],
        };
        self.has_answered = !self.is_13 && self.walk.passes(all, handshake::SERVER_HELLO_DONE);
        context.texts.status_text(|line| {
            registry::version(line, hello.version);
            line.blank();
            registry::cipher(line, hello.cipher);
            if !hello.alpn.is_empty() {
                line.blank();
                line.bytes(hello.alpn);
            }
        });
        Part::Response(Response {
            outcome: Some(Outcome {
                is_error: false,
                code: None,
            }),
            ..Response::more(false)
        })
    }

    /// A further handshake record of the server, before the handshake is over.
    fn server_handshake(&mut self, payload: &[u8]) -> Part {
        if self.stage == Stage::Asked {
            // The ServerHello is missing.
            self.stage = Stage::Answered;
            self.is_13 = false;
            self.has_gap = true;
        }
        if self.server_encrypts {
            // Its Finished.
            self.stage = Stage::Open;
            return if self.has_answered {
                Part::Conclusion(None)
            } else {
                Part::Response(Response::more(true))
            };
        }
        if self.has_answered {
            // A session ticket.
            return Part::Aside;
        }
        self.has_answered =
            !self.has_gap && self.walk.passes(payload, handshake::SERVER_HELLO_DONE);
        Part::Response(Response::more(false))
    }

    fn server_changes_cipher(&mut self) -> Part {
        if !matches!(self.stage, Stage::Asked | Stage::Answered) {
            return self.aside();
        }
        self.server_encrypts = !self.is_13;
        if self.has_answered {
            Part::Aside
        } else {
            Part::Response(Response::more(false))
        }
    }

    /// A plain alert. After the handshake there is none.
    fn alert(&mut self, way: Way, level: u8, alert: u8, context: &mut Context<'_>) -> Part {
        if !matches!(self.stage, Stage::Asked | Stage::Answered) {
            return self.aside();
        }
        // In TLS 1.3 the level says nothing; close_notify and user_canceled are no errors (RFC 8446 6).
        let is_13 = self.is_13 && self.stage == Stage::Answered;
        let is_fatal = level == 2 || is_13 && !matches!(alert, 0 | 90);
        if !is_fatal {
            return Part::Aside;
        }
        self.stage = Stage::Failed;
        context.texts.status_text(|line| {
            registry::alert(line, alert);
            if way == Way::ToServer {
                line.piece(" by client");
            }
        });
        let code = Some(u32::from(alert));
        match way {
            Way::ToClient => Part::Response(Response::whole(true, code)),
            Way::ToServer => Part::Conclusion(Some(Outcome {
                is_error: true,
                code,
            })),
        }
    }

    /// A data record of the client. `None`: more bytes are needed to tell what it is.
    fn client_data(
        &mut self,
        record: Record,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Option<Part> {
        let length = record.length;
        match self.stage {
            Stage::Failed => Some(Part::Aside),
            Stage::Asked if self.offers_early => Some(self.turn_begins(context)),
            // Without a ServerHello: it is missing.
            Stage::Asked | Stage::Answered if self.is_13 => {
                let is_early = self.offers_early && self.turn.is_some();
                if self.is_finished(length) {
                    self.stage = Stage::Open;
                    return Some(if self.is_concluded {
                        Part::Aside
                    } else {
                        Part::Conclusion(None)
                    });
                }
                if is_early {
                    return Some(if length == END_OF_EARLY_DATA {
                        Part::Aside
                    } else {
                        self.turn_begins(context)
                    });
                }
                if length == self.alert_length() {
                    self.stage = Stage::Failed;
                    context
                        .texts
                        .status_text(|line| line.piece("encrypted alert by client"));
                    return Some(Part::Conclusion(Some(Outcome {
                        is_error: true,
                        code: None,
                    })));
                }
                let is_apart = self.is_certificate_apart(record, bytes, context.is_end)?;
                if is_apart {
                    return Some(Part::Aside);
                }
                self.stage = Stage::Open;
                Some(Part::Conclusion(None))
            }
            Stage::Open if self.is_13 && length == self.alert_length() => Some(Part::Aside),
            Stage::Start | Stage::Asked | Stage::Answered | Stage::Open => {
                self.stage = Stage::Open;
                Some(self.turn_begins(context))
            }
        }
    }

    /// The first record of a client with a certificate: whether its Finished comes in one of the next two records, not in
    /// this one with the rest.
    fn is_certificate_apart(&self, record: Record, bytes: &[u8], is_end: bool) -> Option<bool> {
        let mut at = record.total();
        for _ in 0..2 {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.len() < HEADER {
                return is_end.then_some(false);
            }
            let Some(next) = Record::read(rest).filter(|next| next.content == content::DATA) else {
                return Some(false);
            };
            if self.is_finished(next.length) {
                return Some(true);
            }
            if !CERTIFICATE_VERIFY
                .iter()
                .any(|usual| usual.contains(&next.length))
            {
                return Some(false);
            }
            at += next.total();
        }
        Some(false)
    }

    fn server_data(&mut self, record: Record) -> Part {
        let length = record.length;
        match self.stage {
            Stage::Failed => return Part::Aside,
            Stage::Asked | Stage::Answered if self.is_13 => {
                self.stage = Stage::Answered;
                if !self.has_answered {
                    // Its Finished is the last, where it has a record of its own.
                    self.has_answered = length == self.finished;
                    // Early data may be answered before the client's Finished: so the response to the handshake is done.
                    self.is_concluded = self.has_answered && self.turn.is_some();
                    return Part::Response(Response::more(self.is_concluded));
                }
            }
            Stage::Start | Stage::Asked | Stage::Answered | Stage::Open => self.stage = Stage::Open,
        }
        let restarts = match self.tickets.next(length, self.turn, self.takes_tickets) {
            Ticket::Is => {
                if self.tickets.is_in_response {
                    // It was none: the server has not answered yet.
                    self.turn = Some(Way::ToServer);
                }
                return Part::Aside;
            }
            Ticket::Was => true,
            Ticket::IsNot => false,
        };
        let is_alert = self.is_13 && length == self.alert_length();
        match self.turn {
            // Unasked: a ticket, a greeting.
            None => Part::Aside,
            Some(Way::ToClient) if is_alert => Part::Aside,
            Some(_) => {
                self.turn = Some(Way::ToClient);
                Part::Response(Response {
                    restarts,
                    ..Response::more(false)
                })
            }
        }
    }

    /// A data record of the client: a new turn, or more of this one.
    fn turn_begins(&mut self, context: &mut Context<'_>) -> Part {
        if self.turn == Some(Way::ToServer) {
            return Part::Request(Request::more(true));
        }
        self.turn = Some(Way::ToServer);
        self.tickets.is_in_response = false;
        let is_early = self.stage != Stage::Open;
        context.protocol = Some(Protocol::Turn);
        context.texts.operation(b"data");
        context.texts.summary(|line| {
            line.piece(if is_early { "TLS 0-RTT" } else { "TLS" });
        });
        Part::Request(Request {
            // The handshake goes on beside early data.
            closes: !is_early || self.is_concluded,
            ..Request::whole()
        })
    }

    fn is_finished(&self, length: u16) -> bool {
        length == self.finished || self.finished == 0 && FINISHED.contains(&length)
    }

    fn alert_length(&self) -> u16 {
        if self.finished == FINISHED[2] {
            ALERT - 8
        } else {
            ALERT
        }
    }

    fn ssl2_hello(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Step {
        match probe_ssl2(bytes) {
            Guess::Maybe => Step::Wait,
            Guess::No => Step::Lost(Loss::Malformed),
            Guess::Yes => {
                let hello = ClientHello {
                    version: u16::from_be_bytes([bytes[3], bytes[4]]),
                    ..ClientHello::default()
                };
                self.ask(&hello, context);
                let length = 2 + usize::from(u16::from_be_bytes([bytes[0] & 0x7f, bytes[1]]));
                Unit::new(length, Part::Request(Request::whole())).step()
            }
        }
    }
}
