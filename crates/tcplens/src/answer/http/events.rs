//! What changes, to one browser, as server-sent events (HTML section 9.2): each second the desk is asked for what is new since
//! what the browser knows. One event at a time: while one is under way nothing more is asked for, so that nothing waits here but
//! that; a browser that does not take it in time is let go, and comes again by itself, if it is there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::LOOK;
use super::head::Known;
use super::pages::Pages;
use crate::answer::{Asked, Question};

/// From one event to the next.
const EVERY: Duration = Duration::from_secs(1);
/// Time for an event to be fetched.
const WRITING: Duration = Duration::from_secs(10);

/// Said at the end of the run.
const END: &[u8] = b"event: end\ndata: {}\n\n";

/// One browser that follows.
pub(super) struct Events {
    /// Until when it knows everything, once what is under way is there.
    known: Known,
    /// What is under way, how much of it is sent, and until when it has to be.
    out: Vec<u8>,
    sent: usize,
    deadline: Instant,
    asked: Option<Receiver<Vec<u8>>>,
    /// When to ask.
    next: Instant,
}

/// What became of it.
pub(super) enum Went {
    /// It goes on.
    On,
    /// It did not take what was sent in time.
    Slow,
}

impl Events {
    /// Begins with the head of the response.
    pub(super) fn new(head: Vec<u8>, known: Known, now: Instant) -> Events {
        Events {
            known,
            out: head,
            sent: 0,
            deadline: now + WRITING,
            asked: None,
            next: now,
        }
    }

    fn is_writing(&self) -> bool {
        self.sent < self.out.len()
    }

    pub(super) fn waits_for(&self) -> PollFlags {
        match self.is_writing() {
            true => PollFlags::IN | PollFlags::OUT,
            false => PollFlags::IN,
        }
    }

    /// When to look at it again although nothing has come.
    pub(super) fn look_at(&self, now: Instant) -> Instant {
        match &self.asked {
            _ if self.is_writing() => self.deadline,
            Some(_) => now + LOOK,
            None => self.next.max(now),
        }
    }

    /// Does what can be done without waiting.
    ///
    /// # Errors
    /// The browser has gone, or the run is over.
    pub(super) fn go_on(
        &mut self,
        stream: &mut TcpStream,
        seen: PollFlags,
        now: Instant,
        (desk, pages): (&SyncSender<Asked>, &Pages),
    ) -> io::Result<Went> {
        if seen.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            // It has nothing to say any more but that it goes.
            match stream.read(&mut [0; 512]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        if !self.is_writing() {
            self.ask(now, desk, pages)?;
        }
        if self.is_writing() {
            match self.send(stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                sent => sent?,
            }
            if self.is_writing() && now >= self.deadline {
                return Ok(Went::Slow);
            }
        }
        Ok(Went::On)
    }

    /// Asks the desk when it is time, or looks whether it has answered.
    fn ask(&mut self, now: Instant, desk: &SyncSender<Asked>, pages: &Pages) -> io::Result<()> {
        match self.asked.as_ref().map(Receiver::try_recv) {
            Some(Ok(event)) => {
                self.known = known(&event).unwrap_or_default();
                self.out = event;
                self.sent = 0;
                self.deadline = now + WRITING;
                self.next = now + EVERY;
                self.asked = None;
            }
            Some(Err(TryRecvError::Empty)) => {}
            Some(Err(TryRecvError::Disconnected)) => return Err(ErrorKind::BrokenPipe.into()),
            // Others have just asked.
            None if now >= self.next && !pages.may_ask(now) => self.next = now + LOOK,
            None if now >= self.next => {
                let (reply, answer) = sync_channel(1);
                let question = Question::PageSince(self.known);
                match desk.try_send(Asked { question, reply }) {
                    Ok(()) => self.asked = Some(answer),
                    // Others are before it.
                    Err(TrySendError::Full(_)) => self.next = now + LOOK,
                    Err(TrySendError::Disconnected(_)) => {
                        return Err(ErrorKind::BrokenPipe.into());
                    }
                }
            }
            None => {}
        }
        Ok(())
    }

    fn send(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        while let Some(rest @ [_, ..]) = self.out.get(self.sent..) {
            match stream.write(rest)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                length => self.sent += length,
            }
        }
        self.out = Vec::new();
        self.sent = 0;
        Ok(())
    }

    /// The run is over.
    pub(super) fn say_goodbye(&mut self, stream: &mut TcpStream) {
        if !self.is_writing() {
            // Who takes nothing now finds out by itself.
            let _ = stream.write(END);
        }
    }
}

/// What an event makes known: its id.
fn known(event: &[u8]) -> Option<Known> {
    let line = event.split(|&byte| byte == b'\n').next()?;
    Known::read(std::str::from_utf8(line).ok()?.strip_prefix("id: ")?)
}
