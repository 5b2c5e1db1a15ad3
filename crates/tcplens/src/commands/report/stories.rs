//! The lives of connections on the page: files are read once more, and a few connections are followed: those with the slowest
//! requests, those that findings name first, and the one that `explain` would tell unasked. Not which these are by harm: that is
//! `findings`, `view::page` and `explain::choice`.
//!
//! Bounded: [`SLOW`], [`FOUND`] and one connections, [`LINES`] events of each, so some 400 KB of the page at most.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Transport;
use tcplens_core::record::{ConnectionId, Protocol};
use tcplens_core::view::explain::choice::Choice;
use tcplens_core::view::explain::{Detail, Teller};
use tcplens_core::view::{Findings, PageView};
use tcplens_output::SinkEnd;
use tcplens_output::page::Stories;

use crate::observe::{Packets, Plan, Seen, View, observe};

/// Connections with the slowest requests. Chosen: more than anybody reads.
const SLOW: usize = 6;
/// Findings of which a connection is told. Chosen: what fits some screens.
const FOUND: usize = 10;
/// Events of each connection.
const LINES: usize = 60;

/// Said where files cannot be read again.
pub(super) const ONCE: &str = "The lives of single connections are told of files only, which are read a second time for it: save packets (-w) and \
                               make the page of the file.";

/// Reads the files again and tells of the connections that matter.
///
/// # Errors
/// They cannot be read any longer.
pub(super) fn tell(
    plan: Plan,
    page: &PageView,
    findings: &Findings,
    choice: &Choice,
    keeps_duplicates: bool,
) -> Result<Stories> {
    let mut wanted = BTreeSet::new();
    for slow in page.slow().iter() {
        // Most of DNS goes over UDP, which has no connections.
        if slow.protocol != Protocol::Dns && wanted.len() < SLOW {
            wanted.insert(slow.connection_id);
        }
    }
    let chosen = choice
        .chosen()
        .map(|chosen| (chosen.connection.connection_id, chosen.reason(choice)));
    wanted.extend(chosen.iter().map(|(id, _)| *id));
    let mut frames = BTreeMap::<u64, Vec<u64>>::new();
    for finding in &findings.findings {
        for &frame in &finding.frames {
            frames.entry(frame).or_default().push(finding.rank);
        }
    }
    let first = findings.findings.iter().take(FOUND);
    let mut view = StoriesView {
        wanted,
        begins: first.filter_map(|it| it.frames.first().copied()).collect(),
        frames,
        keeps_duplicates,
        followed: BTreeMap::new(),
        of_findings: BTreeMap::new(),
    };
    let observed = observe(plan, &mut view)?;
    if let Some(failure) = observed.failure {
        return Err(failure);
    }
    let all = view.followed.into_values().filter_map(|followed| {
        let story = followed.teller.finish()?;
        let first = story.head.connection.first_frame;
        // What a finding names need not be where its connection began.
        let is_whole = followed.begun.is_none_or(|frame| first == Some(frame));
        is_whole.then_some(story)
    });
    let all: Vec<_> = all.collect();
    let is_told = |id: ConnectionId| {
        all.iter()
            .any(|story| story.head.connection.connection_id == id)
    };
    Ok(Stories {
        of_findings: (view.of_findings.into_iter())
            .filter(|(_, id)| is_told(*id))
            .collect(),
        chosen: chosen.filter(|(id, _)| is_told(*id)),
        missing: None,
        all,
    })
}

struct StoriesView {
    /// By id.
    wanted: BTreeSet<ConnectionId>,
    /// By the packet that may be their first.
    begins: BTreeSet<u64>,
    /// Packets that findings name, and which.
    frames: BTreeMap<u64, Vec<u64>>,
    keeps_duplicates: bool,
    followed: BTreeMap<ConnectionId, Followed>,
    of_findings: BTreeMap<u64, ConnectionId>,
}

struct Followed {
    teller: Teller,
    /// The packet by which it was found, if its id was not known.
    begun: Option<u64>,
    is_over: bool,
}

impl View for StoriesView {
    fn packets(&self) -> Packets {
        Packets::Owned
    }

    fn packet(&mut self, seen: &Seen<'_>) -> Result<(), SinkEnd> {
        let (Transport::Tcp, Some(owner)) = (seen.transport, seen.owner) else {
            return Ok(());
        };
        let (id, frame) = (owner.connection_id, seen.segment.frame);
        let begins = self.begins.contains(&frame);
        if !self.followed.contains_key(&id) && (begins || self.wanted.contains(&id)) {
            let followed = Followed {
                teller: Teller::new(Detail::Brief(LINES), self.keeps_duplicates),
                begun: (!self.wanted.contains(&id)).then_some(frame),
                is_over: false,
            };
            self.followed.insert(id, followed);
        }
        let Some(followed) = self.followed.get_mut(&id).filter(|it| !it.is_over) else {
            return Ok(());
        };
        for &rank in self.frames.get(&frame).into_iter().flatten() {
            self.of_findings.entry(rank).or_insert(id);
        }
        followed.teller.segment(seen.segment, owner);
        Ok(())
    }

    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        let id = match record {
            AnyRecord::Handshake(handshake) => handshake.connection_id,
            AnyRecord::Request(request) => request.row.connection_id,
            AnyRecord::Connection(connection) => connection.connection_id,
        };
        let Some(followed) = self.followed.get_mut(&id).filter(|it| !it.is_over) else {
            return Ok(());
        };
        match record {
            AnyRecord::Handshake(handshake) => followed.teller.handshake(handshake),
            AnyRecord::Request(request) => followed.teller.request(request),
            AnyRecord::Connection(connection) => {
                followed.teller.connection(connection);
                followed.is_over = connection.is_final;
            }
        }
        Ok(())
    }
}
