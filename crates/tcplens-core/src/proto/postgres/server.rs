//! What a PostgreSQL server says.

use super::message::{BadLength, Failure, HEADER, Header, u32_at};
use super::{Copying, Encryption, Postgres, enough, tag};
use crate::proto::{Context, Loss, Outcome, Part, Response, Step, Unit, sql};
use crate::record::Protocol;

/// What a message of the server is.
enum Meaning {
    Aside,
    /// Of a response that goes on.
    More,
    /// The last of a response.
    End,
}

impl Postgres {
    /// Reads messages up to the end of a response or of what is there.
    pub(super) fn read_server(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<Step, BadLength> {
        if let Some(asked) = self.encryption.take() {
            let answer = Unit::new(1, Part::Aside);
            match (bytes.first(), asked) {
                (Some(b'S'), Encryption::Tls) => {
                    return Ok(Step::Unit(Unit {
                        then: Some(Protocol::Tls),
                        ..answer
                    }));
                }
                (Some(b'G'), Encryption::Gss) => return Ok(Step::Lost(Loss::Unsupported)),
                (Some(b'N'), _) => return Ok(answer.step()),
                // A server that does not know the request answers with an error.
                _ => {}
            }
        }
        let asked = context.asked.oldest();
        let mut at = 0;
        let mut outcome = None;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let header = match Header::read(rest) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(bad) if at == 0 => return Err(bad),
                Err(_) => break,
            };
            let wanted = match header.kind {
                b'E' => header.whole,
                b'R' => header.whole.min(HEADER + 4),
                _ => HEADER,
            };
            let Some(body) = enough(rest, HEADER, wanted, context.is_end) else {
                break;
            };
            let Some(meaning) = self.meaning(header.kind, body, asked, &mut outcome, context)
            else {
                if at == 0 {
                    return Err(BadLength);
                }
                break;
            };
            at += header.whole;
            match meaning {
                Meaning::Aside => return Ok(Unit::new(at, Part::Aside).step()),
                Meaning::More => self.has_begun = true,
                Meaning::End => {
                    self.has_begun = false;
                    return Ok(piece(at, true, outcome));
                }
            }
        }
        Ok(match at {
            0 => Step::Wait,
            _ => piece(at, false, outcome),
        })
    }

    /// What a message of the server is; none if there is no such message. Only asides come as long as none has begun a
    /// response.
    fn meaning(
        &mut self,
        kind: u8,
        body: &[u8],
        asked: Option<u32>,
        outcome: &mut Option<Outcome>,
        context: &mut Context<'_>,
    ) -> Option<Meaning> {
        let is_idle = !self.has_begun && asked.is_none();
        if self.copying == Copying::Both {
            if kind == b'Z' {
                self.copying = Copying::No;
            }
            return Some(Meaning::Aside);
        }
        Some(match kind {
            b'Z' => {
                self.is_login = false;
                self.copying = Copying::No;
                Meaning::End
            }
            b'E' if is_idle => Meaning::Aside,
            b'E' => {
                let failure = Failure::read(body);
                if outcome.is_none() {
                    context.texts.status_text(|line| {
                        line.bytes(failure.state);
                        line.blank();
                        sql::write(line, failure.message);
                    });
                    *outcome = Some(Outcome {
                        is_error: true,
                        code: failure.code(),
                    });
                }
                if failure.is_fatal || asked == Some(tag::LOGIN) {
                    self.is_login = false;
                    return Some(Meaning::End);
                }
                Meaning::More
            }
            // What a login demands is an aside, that it is content is its answer.
            b'R' if u32_at(body, 0) == Some(0) => Meaning::More,
            // What may come at any time does not begin a response: notices are told while a command runs.
            b'R' | b'v' | b'A' | b'S' | b'N' if !self.has_begun => Meaning::Aside,
            b'G' => {
                self.copying = Copying::In;
                Meaning::More
            }
            b'W' => {
                // The request is done: what follows has no end.
                self.copying = Copying::Both;
                Meaning::End
            }
            b'R' | b'v' | b'A' | b'S' | b'N' | b'K' | b'T' | b'D' | b'C' | b'1' | b'2' | b'3'
            | b'n' | b's' | b't' | b'I' | b'H' | b'd' | b'c' | b'V' => Meaning::More,
            _ => return None,
        })
    }
}

fn piece(length: usize, ends: bool, outcome: Option<Outcome>) -> Step {
    let response = Response {
        outcome,
        ..Response::more(ends)
    };
    Unit::new(length, Part::Response(response)).step()
}
