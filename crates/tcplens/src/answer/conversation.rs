//! What servers and their clients say to each other: tcpkit's statistics to whoever connects; over the unix socket one
//! question per connection, a line, in tcpeek's words or ours.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tcplens_output::json::Json;
use tcplens_output::tcpkit::TcpkitShape;

use super::client::{ASKING, Client, LINE, NoQuestion, Socket, Stop, TICK};
use super::streams::CHUNKS;
use super::{Asked, Kinds, Question};

/// How long the desk may take. It is asked ten times a second or more; a run that reads a file on a busy machine may not be.
const ANSWERING: Duration = Duration::from_secs(10);
/// Longest name of a baseline in bytes: tcpeek's of filters.
const NAME: usize = 127;

/// Said to who comes too late.
const ENDED: &str = "the run has ended";

/// What `help` answers.
const HELP: &str = "\
GET                    handshake totals since the beginning (tcpeek)
REFRESH [NAME]         the same since this name last asked
stats [SHAPE]          latencies by server (tcpkit, tcpkit1, tcpkit0)
summary                everything that was counted, one line
summary text           the same for people
health                 what was seen and lost, one line
records [KIND,...]     records as they become final, until you leave
                       (handshake, request, connection)
help                   this
";

/// Brings questions to the desk.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) desk: SyncSender<Asked>,
    pub(super) stop: Stop,
}

impl Asker {
    /// The answer, or why there is none as a line of JSON.
    fn ask(&self, question: Question) -> Vec<u8> {
        let begin = Instant::now();
        let answer = match self.put(question, 1) {
            Ok(answer) => answer,
            Err(why) => return why,
        };
        loop {
            match answer.recv_timeout(TICK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout)
                    if begin.elapsed() < ANSWERING && !self.stop.is_over() => {}
                Err(RecvTimeoutError::Timeout) => {
                    return error("no answer in time; ask again later").into_bytes();
                }
                Err(RecvTimeoutError::Disconnected) => return error(ENDED).into_bytes(),
            }
        }
    }

    /// Puts a question to the desk; its answers come, and so many of them wait. Or why not.
    fn put(&self, question: Question, room: usize) -> Result<Receiver<Vec<u8>>, Vec<u8>> {
        let (reply, answers) = sync_channel(room);
        match self.desk.try_send(Asked { question, reply }) {
            Ok(()) => Ok(answers),
            Err(TrySendError::Full(_)) => {
                Err(error("too much is asked at once; ask again later").into_bytes())
            }
            Err(TrySendError::Disconnected(_)) => Err(error(ENDED).into_bytes()),
        }
    }
}

/// tcpkit's statistics, unasked.
pub(super) fn stats<S: Socket>(mut client: Client<S>, asker: &Asker, shape: TcpkitShape) {
    if client.write(&asker.ask(Question::Stats(shape))) {
        client.leave();
    }
}

/// One question over the unix socket.
pub(super) fn question<S: Socket>(mut client: Client<S>, asker: &Asker) {
    let line = match client.line() {
        Ok(line) => line,
        Err(NoQuestion::Gone) => return,
        Err(why) => {
            let text = match why {
                NoQuestion::TooLong => format!("a question has at most {LINE} bytes"),
                NoQuestion::NoText => "the question is no UTF-8".to_owned(),
                NoQuestion::Silent | NoQuestion::Gone => {
                    format!("no question within {} s; write help", ASKING.as_secs())
                }
            };
            if client.write(error(&text).as_bytes()) {
                client.leave();
            }
            return;
        }
    };
    let is_written = match understand(&line) {
        Ok(Said::Ask(Question::Records(kinds))) => return pass_on(client, asker, kinds),
        Ok(Said::Ask(question)) => client.write(&asker.ask(question)),
        Ok(Said::Help) => client.write(HELP.as_bytes()),
        Err(why) => client.write(error(&why).as_bytes()),
    };
    if is_written {
        client.leave();
    }
}

/// Writes records until the client leaves, takes none for too long, or the run ends.
fn pass_on<S: Socket>(mut client: Client<S>, asker: &Asker, kinds: Kinds) {
    let chunks = match asker.put(Question::Records(kinds), CHUNKS) {
        Ok(chunks) => chunks,
        Err(why) => {
            if client.write(&why) {
                client.leave();
            }
            return;
        }
    };
    loop {
        let goes_on = match chunks.recv_timeout(TICK) {
            Ok(chunk) if chunk.is_empty() => client.is_there(),
            Ok(chunk) => client.write(&chunk),
            Err(RecvTimeoutError::Timeout) => client.is_there() && !asker.stop.is_over(),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if !goes_on {
            return;
        }
    }
    client.leave();
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ask(Question),
    Help,
}

/// Understands a line. An empty one asks for totals, as anything did that tcpeek did not know.
pub(super) fn understand(line: &str) -> Result<Said, String> {
    let line = line.trim();
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let takes_nothing = |said: Said| match rest {
        "" => Ok(said),
        _ => Err(format!("{word} takes no words behind it; write help")),
    };
    match word.to_ascii_lowercase().as_str() {
        "" | "get" => takes_nothing(Said::Ask(Question::Totals)),
        "refresh" if rest.len() > NAME => Err(format!("a name has at most {NAME} bytes")),
        "refresh" => Ok(Said::Ask(Question::TotalsSince(rest.to_owned()))),
        "stats" if rest.is_empty() => Ok(Said::Ask(Question::Stats(TcpkitShape::Tcpkit))),
        "stats" => rest.parse().map(|shape| Said::Ask(Question::Stats(shape))),
        "summary" if rest == "text" => Ok(Said::Ask(Question::SummaryText)),
        "summary" => takes_nothing(Said::Ask(Question::Summary)),
        "health" => takes_nothing(Said::Ask(Question::Health)),
        "records" => kinds(rest).map(|kinds| Said::Ask(Question::Records(kinds))),
        "help" => takes_nothing(Said::Help),
        _ => Err(format!("{word:?} is no question; write help")),
    }
}

/// `handshake,request`; nothing is all of them.
fn kinds(text: &str) -> Result<Kinds, String> {
    if text.is_empty() {
        return Ok(Kinds::ALL);
    }
    let mut kinds = Kinds::default();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        match word {
            "handshake" => kinds.handshakes = true,
            "request" => kinds.requests = true,
            "connection" => kinds.connections = true,
            _ => {
                return Err(format!(
                    "{word:?} is no kind of record; write handshake, request or connection"
                ));
            }
        }
    }
    Ok(kinds)
}

/// Why there is no answer, as a line of JSON.
pub(super) fn error(text: &str) -> String {
    let mut json = Json::new();
    json.open('{').name("error").string(text).close('}');
    json.into_string() + "\n"
}
