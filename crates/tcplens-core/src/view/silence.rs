//! Queries for names that are not answered. What that means is in `findings::requests`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::troubles::{Lookups, is_silent, name_words};
use super::{ServerKey, thresholds};
use crate::record::{ConnectionId, Request};
use crate::time::Timestamp;

/// Queries for names without an answer. Nothing ends these but time: those that began shortly before the end may still be
/// answered, and wait here until something later is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) servers: BTreeMap<ServerKey, Lookups>,
    young: BTreeMap<(Timestamp, ConnectionId, u64), Young>,
    /// Start of the latest request.
    latest: Option<Timestamp>,
}

/// Young queries that are remembered; beyond, the latest stay undecided. Chosen: with about 150 bytes each, 600 KB.
const YOUNG: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Young {
    server: ServerKey,
    client: IpAddr,
    frame: Option<u64>,
    name: String,
}

impl Silence {
    pub(super) fn add(&mut self, request: &Request<'_>) {
        self.latest = self.latest.max(Some(request.time));
        if !is_silent(request) {
            return;
        }
        let young = Young {
            server: (request.server_ip, request.server_port),
            client: request.client_ip,
            frame: request.request_frame,
            name: name_words(request),
        };
        let place = (request.time, request.connection_id, request.task);
        self.young.insert(place, young);
        if self.young.len() > YOUNG {
            self.settle(self.latest);
        }
        if self.young.len() > YOUNG {
            self.young.pop_last();
        }
    }

    /// Counts those that are not young any more.
    pub(super) fn settle(&mut self, now: Option<Timestamp>) {
        let Some(now) = now.max(self.latest) else {
            return;
        };
        while let Some(oldest) = self.young.first_entry() {
            let (time, ..) = *oldest.key();
            if time.plus(thresholds::NAME_SILENCE_NS) > now {
                return;
            }
            let young = oldest.remove();
            let lookups = self.servers.entry(young.server).or_default();
            lookups.seen.add(time, None, young.frame, young.client);
            lookups.names.add(&young.name);
        }
    }
}
