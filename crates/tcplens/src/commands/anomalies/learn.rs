//! From a store to what is abnormal: rollups are read from the beginning of the history on, a piece after the other, and every
//! minute is judged by those before.

use std::ops::Range;

use anyhow::Result;
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::anomaly::{Change, Diagnosis, Settings, Topology, Trouble, Watching, rank};

use super::source::{MINUTE, Source};
use crate::cli::History;
use crate::status::usage;
use crate::topology;

/// Most troubles that are over and kept. Chosen: nobody reads more.
const OVER: usize = 10_000;
/// Rollups of a piece that wait for their minute. Chosen: some 200 MB.
const PIECE: u64 = 500_000;
/// Pieces of history, in minutes: a day, six hours, an hour; the next shorter one when one has more rollups than [`PIECE`].
const LENGTHS: [i64; 3] = [1440, 360, 60];

/// What came of it.
pub(crate) struct Learned {
    /// What was abnormal in the window: the worst first.
    pub troubles: Vec<Trouble>,
    /// Troubles that were too many.
    pub left_out: u64,
    /// What was watched.
    pub watching: Watching,
    /// Addresses, networks and hosts that the topology names.
    pub places: usize,
    /// From when until just before when is told.
    pub window: (Timestamp, Timestamp),
    /// The end of the newest minute of the store, if it has any.
    pub newest: Option<Timestamp>,
    /// What could not be read.
    pub damages: Vec<String>,
}

/// Reads and judges. `since`: from when on is told, by the end of all.
///
/// # Errors
/// The store or the topology cannot be read.
pub(crate) fn learn(
    history: &History,
    since: impl FnOnce(Timestamp) -> Timestamp,
) -> Result<Learned> {
    let mut topology = match &history.topology {
        Some(path) => topology::read(path)?,
        None => Topology::default(),
    };
    topology
        .only(&history.by)
        .map_err(|error| usage(format!("--by: {error}")))?;
    let places = topology.places();
    let mut source = Source::open(&history.store)?;
    let hosts: Vec<&str> = history.host.iter().map(String::as_str).collect();
    let newest = source.newest(&hosts)?;
    let Some(end) = newest else {
        return Ok(Learned {
            troubles: Vec::new(),
            left_out: 0,
            watching: Watching::default(),
            places,
            window: (Timestamp(0), Timestamp(0)),
            newest,
            damages: source.damages(),
        });
    };
    let until = history.until.map_or(end, |until| until.resolve(end));
    let window = (since(until), until);
    let settings = Settings {
        limit_instances: usize::try_from(history.limit_instances).unwrap_or(usize::MAX),
        ..Settings::default()
    };
    let mut diagnosis = Diagnosis::new(settings, topology);
    let mut over = Vec::new();
    let mut left_out = 0_u64;
    let is_told = |trouble: &Trouble| trouble.until > window.0 && trouble.since < window.1;
    let mut note = |change: Change, trouble: &Trouble| {
        if change != Change::Ended || !is_told(trouble) {
            return;
        }
        match over.len() < OVER {
            true => over.push(trouble.clone()),
            false => left_out += 1,
        }
    };
    let from = until.plus(-nanoseconds(history.history));
    feed(&mut source, from..until, &hosts, &mut diagnosis, &mut note)?;
    let mut troubles = over;
    let open = diagnosis.troubles().filter(|trouble| is_told(trouble));
    troubles.extend(open.cloned());
    rank(&mut troubles);
    Ok(Learned {
        troubles,
        left_out,
        watching: diagnosis.watching(),
        places,
        window,
        newest,
        damages: source.damages(),
    })
}

/// Lets a diagnosis see a time of a store, and judge all of it.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn feed(
    source: &mut Source,
    range: Range<Timestamp>,
    hosts: &[&str],
    diagnosis: &mut Diagnosis,
    note: &mut dyn FnMut(Change, &Trouble),
) -> Result<()> {
    let mut from = range.start;
    let mut length = 0;
    while from < range.end {
        // To a boundary, so that a piece is a part of one day's files.
        let next = LENGTHS[length] * MINUTE;
        let to = from.0.div_euclid(next).saturating_add(1);
        let to = Timestamp(to.saturating_mul(next)).min(range.end);
        let mut count = 0;
        source.rollups(from..to, hosts, &mut |host, rollup| {
            count += 1;
            diagnosis.add(host, &rollup);
        })?;
        diagnosis.advance(to, note);
        if count > PIECE && length + 1 < LENGTHS.len() {
            length += 1;
        }
        from = to;
    }
    Ok(())
}

/// As times count.
pub(crate) fn nanoseconds(span: Span) -> i64 {
    i64::try_from(span.ns()).unwrap_or(i64::MAX)
}
