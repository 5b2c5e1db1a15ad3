//! What a server serves that does not change, and what each of its responses says in its head.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tcplens_output::page;

use super::asks::Asks;
use super::head::Site;
use crate::answer::server::Room;

/// From one question about the page to the next, of all browsers together: a document may have a megabyte, and whoever makes it
/// has the records wait. Chosen: each of [`CLIENTS`](super::CLIENTS) can ask once a second.
const PACE: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct Pages {
    /// Who is served.
    pub(super) site: Site,
    /// Header fields of every response, each with its end.
    fields: String,
    /// The page for browsers.
    pub(super) page: Vec<u8>,
    /// Counts who was turned away.
    room: Option<Arc<Room>>,
    /// Who has what is asked for, of the page over a store.
    pub(super) asks: Option<Box<dyn Asks>>,
    /// When the next question may be put.
    ask_from: Cell<Option<Instant>>,
}

impl Pages {
    /// For monitoring systems: they run no scripts.
    pub(super) fn metrics() -> Pages {
        Pages {
            site: Site::Metrics,
            fields: String::new(),
            page: Vec::new(),
            room: None,
            asks: None,
            ask_from: Cell::new(None),
        }
    }

    /// For browsers, which are told that nothing but the page's own scripts runs, that no other page may show it or load it, and
    /// that nothing of it is kept.
    pub(super) fn browser(room: Arc<Room>) -> Pages {
        Pages {
            room: Some(room),
            ..Pages::safe(Site::Page, &page::live_policy(), page::live())
        }
    }

    /// The page over a store, served likewise.
    #[cfg(feature = "parquet")]
    pub(super) fn fleet(asks: Box<dyn Asks>) -> Pages {
        let (policy, live) = (page::fleet::live_policy(), page::fleet::live());
        Pages {
            asks: Some(asks),
            ..Pages::safe(Site::Fleet, &policy, live)
        }
    }

    fn safe(site: Site, policy: &str, page: String) -> Pages {
        Pages {
            site,
            fields: format!(
                "Content-Security-Policy: {policy}\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n\
                 Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
                 Cross-Origin-Opener-Policy: same-origin\r\nCache-Control: no-store\r\n"
            ),
            page: page.into_bytes(),
            room: None,
            asks: None,
            ask_from: Cell::new(None),
        }
    }

    /// Whether a question may be put now; then it is.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        let may = self.ask_from.get().is_none_or(|from| now >= from);
        if may && self.site == Site::Page {
            self.ask_from.set(Some(now + PACE));
        }
        may
    }

    /// Somebody was turned away.
    pub(super) fn refuse(&self) {
        if let Some(room) = &self.room {
            room.refuse();
        }
    }

    /// A whole response.
    pub(super) fn response(&self, status: &str, kind: &str, body: &[u8], is_head: bool) -> Vec<u8> {
        let (length, fields) = (body.len(), &self.fields);
        let mut response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{fields}Connection: close\r\n\r\n"
        )
        .into_bytes();
        if !is_head {
            response.extend_from_slice(body);
        }
        response
    }

    /// The beginning of one that does not end, and when a browser that lost it tries again.
    pub(super) fn stream(&self, is_head: bool) -> Vec<u8> {
        let (fields, retry) = (&self.fields, if is_head { "" } else { "retry: 2000\n\n" });
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{fields}Connection: close\r\n\r\n{retry}"
        )
        .into_bytes()
    }
}
