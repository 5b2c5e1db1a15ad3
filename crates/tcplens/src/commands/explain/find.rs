//! The first of two passes: which connection is meant. By its end or the beginning of its id from the records of all; by a
//! packet when that comes, and then nothing more is read; without a name the one that is worth it.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Transport;
use tcplens_core::record::{Connection, ConnectionId, Health};
use tcplens_core::view::explain::choice::Choice;
use tcplens_output::SinkEnd;

use super::name::{Named, ambiguous, text, unknown};
use super::{TOLD, read_from};
use crate::observe::{Observed, Packets, Plan, Seen, View, observe};

/// The connection, and why, if nobody named it.
pub(super) struct Found {
    pub id: ConnectionId,
    pub reason: Option<String>,
}

/// Finds it.
///
/// # Errors
/// The files cannot be read, or there is none, or several are called so.
pub(super) fn find(plan: Plan, named: Option<&Named>) -> Result<Found> {
    let sources = read_from(&plan);
    let has_filter = plan.filter.is_some() || plan.exclude.is_some();
    match named {
        Some(Named::Frame(frame)) => {
            let mut view = FrameView {
                frame: *frame,
                seen: None,
                is_passed: false,
            };
            let observed = checked(observe(plan, &mut view)?)?;
            let id = view.found(&observed.health, &sources, has_filter)?;
            Ok(Found { id, reason: None })
        }
        Some(named) => {
            let mut view = NameView {
                named,
                found: Vec::new(),
            };
            checked(observe(plan, &mut view)?)?;
            match view.found.split_first() {
                None => bail!(unknown(Some(named), &sources)),
                Some((&id, [])) => Ok(Found { id, reason: None }),
                Some((&first, others)) => Err(ambiguous(Some(named), first, others)),
            }
        }
        None => {
            let mut view = ChoiceView(Choice::default());
            checked(observe(plan, &mut view)?)?;
            let Some(chosen) = view.0.chosen() else {
                bail!(unknown(None, &sources));
            };
            Ok(Found {
                id: chosen.connection.connection_id,
                reason: Some(chosen.reason(&view.0)),
            })
        }
    }
}

/// What failed while looking for it.
fn checked(mut observed: Observed) -> Result<Observed> {
    match observed.failure.take() {
        Some(failure) => Err(failure),
        None => Ok(observed),
    }
}

/// Looks for a packet.
struct FrameView {
    frame: u64,
    /// What carried it, and whose it was.
    seen: Option<(Transport, Option<ConnectionId>)>,
    /// Later packets came.
    is_passed: bool,
}

impl View for FrameView {
    fn packets(&self) -> Packets {
        Packets::Owned
    }

    fn packet(&mut self, seen: &Seen<'_>) -> Result<(), SinkEnd> {
        if seen.segment.frame < self.frame {
            return Ok(());
        }
        if seen.segment.frame == self.frame {
            let id = seen.owner.map(|owner| owner.connection_id);
            self.seen = Some((seen.transport, id));
        }
        self.is_passed = true;
        // It is found, or was none: the rest need not be read.
        Err(SinkEnd::Closed {
            name: String::new(),
        })
    }

    fn record(&mut self, _record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        Ok(())
    }
}

impl FrameView {
    fn found(&self, health: &Health, sources: &str, has_filter: bool) -> Result<ConnectionId> {
        let frame = self.frame;
        let why = match self.seen {
            Some((Transport::Tcp, Some(id))) => return Ok(id),
            Some((Transport::Tcp, None)) => {
                "it came after its connection had been concluded, and belongs to none".to_owned()
            }
            Some((Transport::Udp, _)) => {
                "it is UDP, which has no connections; requests shows what DNS asks".to_owned()
            }
            None if frame == 0 => "packets are counted from 1".to_owned(),
            None if has_filter => {
                "the expression leaves it out, or it is not TCP; leave the expression out"
                    .to_owned()
            }
            None if !self.is_passed && health.packets < frame => {
                format!("there are {} packets only", health.packets)
            }
            None => "it is not TCP, or could not be decoded".to_owned(),
        };
        bail!("cannot explain packet {frame} of {sources}: {why}")
    }
}

/// Looks for a name among the records.
struct NameView<'n> {
    named: &'n Named,
    /// The first few that are called so.
    found: Vec<ConnectionId>,
}

impl View for NameView<'_> {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        let AnyRecord::Connection(connection) = record else {
            return Ok(());
        };
        let id = connection.connection_id;
        let is_meant = match self.named {
            Named::Id(prefix) => text(id).starts_with(prefix),
            Named::End(end) => has_end(connection, *end),
            Named::Frame(_) => false,
        };
        if is_meant && connection.is_final && self.found.len() < TOLD {
            self.found.push(id);
        }
        Ok(())
    }
}

fn has_end(connection: &Connection, end: SocketAddr) -> bool {
    let ends = [
        (connection.client_ip, connection.client_port),
        (connection.server_ip, connection.server_port),
    ];
    ends.contains(&(end.ip().to_canonical(), end.port().into()))
}

/// Looks for the one that is worth it.
struct ChoiceView(Choice);

impl View for ChoiceView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        match record {
            AnyRecord::Handshake(_) => {}
            AnyRecord::Request(request) => self.0.request(&request.record()),
            AnyRecord::Connection(connection) => self.0.connection(connection),
        }
        Ok(())
    }
}
