//! One client: its request comes in, the desk is asked, the response goes out, the connection closes; or events go out until it
//! has gone (`events`). Never blocks; each step has a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use tcplens_output::prometheus;

use super::LOOK;
use super::asks::Said;
use super::events::{Events, Went};
use super::head::{self, Page, Refused, Request, Site};
use super::pages::Pages;
use crate::answer::{Asked, Question};

/// Time for a request to come in. Chosen: it is one segment, over loopback.
const READING: Duration = Duration::from_secs(5);
/// Time for the desk to answer; it does so within a tenth of a second, unless records come faster than they are counted.
const ASKING: Duration = Duration::from_secs(5);
/// Time for a store to be read: longer than whoever reads it takes at most.
const READING_A_STORE: Duration = Duration::from_secs(40);
/// Time for a response to be fetched. Chosen: Prometheus gives up after 10 s by default.
const WRITING: Duration = Duration::from_secs(10);
/// Time for a client to close after it has its response.
const LEAVING: Duration = Duration::from_secs(1);

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const WELCOME: &str = "tcplens: metrics for Prometheus are at /metrics\n";
const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// Whether a client is to be served any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Go,
}

/// One client.
pub(super) struct Client {
    stream: TcpStream,
    step: Step,
    deadline: Instant,
}

enum Step {
    /// What came of its request.
    Read(Vec<u8>),
    /// The desks answer, one after the other.
    Ask(Asking),
    /// Somebody reads a store for it; whether it wants no more than the head.
    Wait(Receiver<Said>, bool),
    /// It follows what changes.
    Follow(Box<Events>),
    /// The response, and how much of it is sent.
    Write(Vec<u8>, usize),
    /// Everything is sent. Closing now, with something unread, would be a RST, and might take the response away.
    Leave,
}

/// A page on its way.
struct Asking {
    /// What the desks before have said, if any has.
    page: Option<Vec<u8>>,
    /// Which one is asked.
    desk: usize,
    /// It will answer; without it, it has too many who ask.
    answer: Option<Receiver<Vec<u8>>>,
    /// The client wants no more than the head.
    is_head: bool,
}

impl Client {
    pub(super) fn new(stream: TcpStream, now: Instant) -> Client {
        Client {
            stream,
            step: Step::Read(Vec::new()),
            deadline: now + READING,
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether it has not asked yet, or has its answer.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.step, Step::Read(_) | Step::Leave)
    }

    pub(super) fn waits_for(&self) -> PollFlags {
        match &self.step {
            Step::Follow(events) => events.waits_for(),
            Step::Read(_) | Step::Leave => PollFlags::IN,
            Step::Ask(..) | Step::Wait(..) => PollFlags::empty(),
            Step::Write(..) => PollFlags::OUT,
        }
    }

    /// When to look at it again although nothing has come.
    pub(super) fn look_at(&self, now: Instant) -> Instant {
        match &self.step {
            Step::Follow(events) => events.look_at(now),
            Step::Ask(..) | Step::Wait(..) => self.deadline.min(now + LOOK),
            Step::Read(_) | Step::Write(..) | Step::Leave => self.deadline,
        }
    }

    /// Does what can be done without waiting.
    pub(super) fn go_on(
        &mut self,
        seen: PollFlags,
        now: Instant,
        desks: &[SyncSender<Asked>],
        pages: &Pages,
    ) -> Next {
        let is_late = now >= self.deadline;
        let went = match &mut self.step {
            // It has closed both ways: nobody waits for the answer any more.
            Step::Ask(..) | Step::Wait(..) if !seen.is_empty() => return Next::Go,
            Step::Ask(..) => self.ask(is_late, now, desks, pages),
            Step::Wait(..) => self.wait(is_late, now, pages),
            Step::Follow(events) => {
                match events.go_on(&mut self.stream, seen, now, (&desks[0], pages)) {
                    Ok(Went::On) => Ok(()),
                    Ok(Went::Slow) => {
                        pages.refuse();
                        return Next::Go;
                    }
                    Err(error) => Err(error),
                }
            }
            Step::Read(_) | Step::Write(..) | Step::Leave if is_late => return Next::Go,
            _ if seen.is_empty() => Ok(()),
            Step::Read(_) => self.read(now, desks, pages),
            Step::Write(..) => self.send(now),
            Step::Leave => self.leave(),
        };
        match went {
            Ok(()) => Next::Stay,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Next::Stay,
            Err(error) if error.kind() == ErrorKind::Interrupted => Next::Stay,
            // It has gone, or is as good as gone.
            Err(_) => Next::Go,
        }
    }

    fn read(&mut self, now: Instant, desks: &[SyncSender<Asked>], pages: &Pages) -> io::Result<()> {
        let Step::Read(got) = &mut self.step else {
            return Ok(());
        };
        let mut some = [0; 2048];
        let length = self.stream.read(&mut some)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        got.extend_from_slice(&some[..length]);
        match head::read(got, pages.site) {
            None => Ok(()),
            Some(Ok(request)) => self.answer(request, now, desks, pages),
            Some(Err(refused)) => {
                let (status, more) = match refused {
                    Refused::Malformed => ("400 Bad Request", ""),
                    Refused::TooLong => ("431 Request Header Fields Too Large", ""),
                    Refused::Unknown => ("404 Not Found", ""),
                    Refused::Method => ("405 Method Not Allowed", "Allow: GET, HEAD\r\n"),
                    Refused::Strange => ("403 Forbidden", ""),
                };
                let body = match (pages.site, refused) {
                    (Site::Metrics, _) => format!("{status}; {WELCOME}"),
                    (Site::Page | Site::Fleet, Refused::Strange) => format!(
                        "{status}; ask by address, such as http://127.0.0.1, and not from another site's page\n"
                    ),
                    (Site::Page | Site::Fleet, _) => {
                        format!("{status}; tcplens: the page is at /\n")
                    }
                };
                let kind = format!("{TEXT}\r\n{more}");
                let body = body.as_bytes();
                self.write(pages.response(status, kind.trim_end(), body, false), now)
            }
        }
    }

    fn answer(
        &mut self,
        request: Request,
        now: Instant,
        desks: &[SyncSender<Asked>],
        pages: &Pages,
    ) -> io::Result<()> {
        let Request { page, is_head } = request;
        let whole = |kind, body: &[u8]| pages.response("200 OK", kind, body, is_head);
        match page {
            Page::Welcome => self.write(whole(TEXT, WELCOME.as_bytes()), now),
            Page::Browser => self.write(whole(HTML, &pages.page), now),
            Page::Metrics | Page::Data => {
                self.step = Step::Ask(Asking {
                    page: None,
                    desk: 0,
                    answer: None,
                    is_head,
                });
                self.deadline = now + ASKING;
                self.ask(false, now, desks, pages)
            }
            Page::Asked(target) => {
                let asked = match &pages.asks {
                    Some(asks) => asks.ask(&target),
                    None => Err(Said::text("404 Not Found", "tcplens: the page is at /")),
                };
                match asked {
                    Ok(answer) => {
                        self.step = Step::Wait(answer, is_head);
                        self.deadline = now + READING_A_STORE;
                        self.wait(false, now, pages)
                    }
                    Err(Said { status, kind, body }) => {
                        self.write(pages.response(status, kind, &body, is_head), now)
                    }
                }
            }
            Page::Events(_) if is_head => self.write(pages.stream(true), now),
            Page::Events(known) => {
                let events = Events::new(pages.stream(false), known, now);
                self.step = Step::Follow(Box::new(events));
                Ok(())
            }
        }
    }

    /// Asks a desk, or looks whether it has answered; then the next. One that is gone has nothing more to say.
    fn ask(
        &mut self,
        is_late: bool,
        now: Instant,
        desks: &[SyncSender<Asked>],
        pages: &Pages,
    ) -> io::Result<()> {
        let Step::Ask(asking) = &mut self.step else {
            return Ok(());
        };
        let is_head = asking.is_head;
        let kind = match pages.site {
            Site::Metrics => prometheus::CONTENT_TYPE,
            Site::Page | Site::Fleet => JSON,
        };
        let busy = || {
            let body = b"503 Service Unavailable; no answer in time, try again\n";
            pages.response("503 Service Unavailable", TEXT, body, is_head)
        };
        while let Some(desk) = desks.get(asking.desk) {
            let answer = match &asking.answer {
                Some(answer) => answer.try_recv(),
                None if is_late => Err(TryRecvError::Empty),
                // Others have just asked: when it is looked at again.
                None if !pages.may_ask(now) => return Ok(()),
                None => {
                    let (reply, answer) = sync_channel(1);
                    let question = match pages.site {
                        Site::Metrics => Question::Metrics,
                        Site::Page | Site::Fleet => Question::Page,
                    };
                    match desk.try_send(Asked { question, reply }) {
                        Ok(()) => asking.answer = Some(answer),
                        // Others are before it: once more when it is looked at again.
                        Err(TrySendError::Full(_)) => {}
                        Err(TrySendError::Disconnected(_)) => {
                            asking.desk += 1;
                            continue;
                        }
                    }
                    Err(TryRecvError::Empty)
                }
            };
            match answer {
                Ok(page) => {
                    asking.page = Some(match &asking.page {
                        None => page,
                        Some(before) => join(before, &page),
                    });
                }
                Err(TryRecvError::Disconnected) => {}
                Err(TryRecvError::Empty) if is_late => {
                    let response = busy();
                    return self.write(response, now);
                }
                Err(TryRecvError::Empty) => return Ok(()),
            }
            asking.answer = None;
            asking.desk += 1;
        }
        let response = match &asking.page {
            None => busy(),
            Some(page) => pages.response("200 OK", kind, page, is_head),
        };
        self.write(response, now)
    }

    /// Looks whether the store was read.
    fn wait(&mut self, is_late: bool, now: Instant, pages: &Pages) -> io::Result<()> {
        let Step::Wait(answer, is_head) = &self.step else {
            return Ok(());
        };
        let failed = |status, text: &str| Said::text(status, text);
        let Said { status, kind, body } = match answer.try_recv() {
            Ok(said) => said,
            Err(TryRecvError::Disconnected) => failed(
                "503 Service Unavailable",
                "whoever read the store gave up; try again",
            ),
            Err(TryRecvError::Empty) if is_late => failed(
                "504 Gateway Timeout",
                "the store does not answer: reading it takes too long, or its disk hangs; choose a shorter time, or try again",
            ),
            Err(TryRecvError::Empty) => return Ok(()),
        };
        let response = pages.response(status, kind, &body, *is_head);
        self.write(response, now)
    }

    fn write(&mut self, response: Vec<u8>, now: Instant) -> io::Result<()> {
        self.step = Step::Write(response, 0);
        self.deadline = now + WRITING;
        self.send(now)
    }

    fn send(&mut self, now: Instant) -> io::Result<()> {
        let Step::Write(response, sent) = &mut self.step else {
            return Ok(());
        };
        while let rest @ [_, ..] = &response[*sent..] {
            match self.stream.write(rest)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                length => *sent += length,
            }
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.step = Step::Leave;
        self.deadline = now + LEAVING;
        Ok(())
    }

    /// The run is over.
    pub(super) fn say_goodbye(&mut self) {
        if let Step::Follow(events) = &mut self.step {
            events.say_goodbye(&mut self.stream);
        }
    }

    /// Reads what nobody wants, until the client closes.
    fn leave(&mut self) -> io::Result<()> {
        match self.stream.read(&mut [0; 2048])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy;
    prometheus::join(&text(first), &text(second)).into_bytes()
}
