//! The page of metrics, the page for browsers and what changes on it, or the page over a store, over HTTP/1.1 (RFC 9112), on one thread for all clients.
//! One request per connection: a scrape every few seconds needs no more. Not a web server: it knows a few pages, reads no bodies,
//! and sends no dates. By hand: a framework with its runtime (axum, tokio) is thirty packages more than there are for these pages.
//!
//! No client can harm another, or whoever has the records: no call blocks, each step of a client has a deadline, and at most
//! [`CLIENTS`] are served; when one more comes, the one goes that has asked nothing for longest, or, where all have asked, has
//! been there for longest. Desks are asked over bounded channels that never make this thread wait.

mod asks;
mod client;
mod events;
mod head;
mod pages;
#[cfg(test)]
mod tests;

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Asked;
use super::server::Room;
#[cfg_attr(
    not(feature = "parquet"),
    expect(unused_imports, reason = "only the page over a store asks so")
)]
pub(crate) use asks::{Asks, Said};
use client::{Client, Next};
pub(crate) use head::Known;
use pages::Pages;

/// Most clients at a time. Chosen: one monitoring system, a second one, and people who look.
pub(super) const CLIENTS: usize = 16;
/// How often to look whether the desk has answered; it does so ten times a second.
const LOOK: Duration = Duration::from_millis(10);
/// How long not to accept after that failed: out of file descriptors, say, which passes.
const PAUSE: Duration = Duration::from_millis(200);

/// A running server. It stops when it is dropped, at once and whatever its clients do.
pub(crate) struct Http {
    /// Closed to tell the thread to stop.
    wake: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Http {
    /// Serves whoever comes to `listener`, and asks each of `desks`: what they say is one page, in their order.
    ///
    /// # Errors
    /// No thread or no socket can be had.
    pub(crate) fn start(listener: TcpListener, desks: Vec<SyncSender<Asked>>) -> io::Result<Http> {
        Http::of("metrics", listener, desks, Pages::metrics())
    }

    /// The same for browsers; who is turned away, or reads too slowly, is counted in `room`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(crate) fn start_page(
        listener: TcpListener,
        desk: SyncSender<Asked>,
        room: Arc<Room>,
    ) -> io::Result<Http> {
        Http::of("web", listener, vec![desk], Pages::browser(room))
    }

    /// The page over a store: all but the page itself is asked of `asks`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[cfg(feature = "parquet")]
    pub(crate) fn start_fleet(listener: TcpListener, asks: Box<dyn Asks>) -> io::Result<Http> {
        Http::of("web", listener, Vec::new(), Pages::fleet(asks))
    }

    fn of(
        name: &str,
        listener: TcpListener,
        desks: Vec<SyncSender<Asked>>,
        pages: Pages,
    ) -> io::Result<Http> {
        listener.set_nonblocking(true)?;
        let (wake, told) = UnixStream::pair()?;
        let thread = Builder::new().name(name.into());
        let thread = thread.spawn(move || serve(&listener, &told, &desks, &pages))?;
        Ok(Http {
            wake: Some(wake),
            thread: Some(thread),
        })
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            // It has panicked, which was printed, or it is over: nothing is left to be done about either.
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, told: &UnixStream, desks: &[SyncSender<Asked>], pages: &Pages) {
    let mut clients: Vec<Client> = Vec::with_capacity(CLIENTS);
    let mut accept_from = Instant::now();
    loop {
        let now = Instant::now();
        let accepting = now >= accept_from;
        let mut events = vec![
            PollFd::new(told, PollFlags::IN),
            PollFd::new(
                listener,
                if accepting {
                    PollFlags::IN
                } else {
                    PollFlags::empty()
                },
            ),
        ];
        for client in &clients {
            events.push(PollFd::new(client.stream(), client.waits_for()));
        }
        let resume = (!accepting).then_some(accept_from);
        let steps = clients.iter().map(|client| client.look_at(now));
        let until = steps.chain(resume).min();
        match poll(&mut events, until.map(|at| timeout(at, now)).as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            // Cannot happen with so few descriptors, all open; without poll nothing can be served.
            Err(_) => return,
        }
        let mut seen = events.iter().map(PollFd::revents);
        if seen.next().is_none_or(|flags| !flags.is_empty()) {
            clients.iter_mut().for_each(Client::say_goodbye);
            return;
        }
        let has_guest = seen.next().is_some_and(|flags| !flags.is_empty());
        let seen: Vec<PollFlags> = seen.collect();
        let now = Instant::now();
        let mut seen = seen.into_iter();
        clients.retain_mut(|client| {
            let flags = seen.next().unwrap_or(PollFlags::empty());
            client.go_on(flags, now, desks, pages) == Next::Stay
        });
        if has_guest {
            accept_from = accept(listener, &mut clients, pages, now);
        }
    }
}

/// Takes in who has come. Returns from when on to look for more.
fn accept(
    listener: &TcpListener,
    clients: &mut Vec<Client>,
    pages: &Pages,
    now: Instant,
) -> Instant {
    // As many as there is room for, then the others get their turn.
    for _ in 0..CLIENTS {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionAborted => now,
                    _ => now + PAUSE,
                };
            }
        };
        // Who cannot be served without waiting is not served.
        if stream.set_nonblocking(true).is_err() {
            continue;
        }
        if clients.len() == CLIENTS {
            // In the order in which they came.
            let idle = clients.iter().position(Client::is_idle);
            clients.remove(idle.unwrap_or(0));
            pages.refuse();
        }
        clients.push(Client::new(stream, now));
    }
    now
}

/// From `now` to `at`, rounded up, so that poll does not return just before.
fn timeout(at: Instant, now: Instant) -> Timespec {
    let left = at.saturating_duration_since(now) + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    }
}
