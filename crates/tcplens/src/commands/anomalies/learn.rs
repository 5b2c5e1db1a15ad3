//! From a store to what is abnormal: rollups are read from the beginning of the history on, a piece after the other, and every
//! minute is judged by those before.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::anomaly::{
    Change, Diagnosis, Server, Settings, Topology, Trouble, Watching, rank,
};

use super::source::{self, MINUTE, Source};
use crate::cli::History;
use crate::status::usage;
use crate::topology;

/// Most troubles that are over and kept. Chosen: nobody reads more.
const OVER: usize = 10_000;
/// Rollups of a piece that wait for their minute, unless an hour has more. Chosen: some 200 MB.
const PIECE: u64 = 500_000;
/// Pieces of history, in minutes: a day, six hours, an hour. It begins with the shortest, and takes the longest that has no more
/// rollups than [`PIECE`] if each of its minutes is like the fullest of the piece before.
const LENGTHS: [i64; 3] = [1440, 360, 60];
/// Hosts whose newest minute is older than this are not waited for: they stopped. Chosen: three intervals of a live run's files.
pub(crate) const STALE: Span = Span::from_ns(15 * MINUTE.unsigned_abs());

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
    /// From when until just before when is told: no farther than every host told all of.
    pub window: (Timestamp, Timestamp),
    /// Until when was asked for.
    pub until: Timestamp,
    /// The end of the newest minute before that, of any host.
    pub recorded: Option<Timestamp>,
    /// Servers of which anything was looked at within the last time in which a host may be silent, and whether something could
    /// be judged.
    pub servers: BTreeMap<Server, bool>,
    /// The end of the newest minute of the store, if it has any.
    pub newest: Option<Timestamp>,
    /// What could not be read.
    pub damages: Vec<String>,
}

impl Learned {
    /// How far what is judged ends before the newest record.
    pub(crate) fn behind(&self) -> Span {
        let recorded = self.recorded.unwrap_or(self.window.1);
        recorded.since(self.window.1).unwrap_or_default()
    }
}

/// Reads and judges. `stale`: after so long a silent host is not waited for; `since`: from when on is told, by the end of all.
///
/// # Errors
/// The store or the topology cannot be read.
pub(crate) fn learn(
    history: &History,
    stale: Span,
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
    let mut source = source::open(&history.store, history.store_password_file.as_deref())?;
    let hosts: Vec<&str> = history.host.iter().map(String::as_str).collect();
    let newest = source.newest(&hosts)?;
    let Some(end) = newest else {
        return Ok(Learned {
            troubles: Vec::new(),
            left_out: 0,
            watching: Watching::default(),
            places,
            window: (Timestamp(0), Timestamp(0)),
            until: Timestamp(0),
            recorded: None,
            servers: BTreeMap::new(),
            newest,
            damages: source.damages(),
        });
    };
    let asked = history.until.map_or(end, |until| until.resolve(end));
    let stale = nanoseconds(stale);
    let (until, recorded) = whole(&mut *source, asked, end, &hosts, stale)?;
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
    feed(&mut *source, from..until, &hosts, &mut diagnosis, &mut note)?;
    let mut troubles = over;
    let open = diagnosis.troubles().filter(|trouble| is_told(trouble));
    troubles.extend(open.cloned());
    rank(&mut troubles);
    let watching = diagnosis.watching();
    Ok(Learned {
        troubles,
        left_out,
        watching,
        places,
        window,
        until: asked,
        recorded: recorded.or(watching.last),
        servers: diagnosis.servers(until.plus(-stale)).collect(),
        newest,
        damages: source.damages(),
    })
}

/// Until when every host told all, but for those that were silent for `stale`; and the end of the newest minute before `until`, if
/// hosts may tell more yet. Live runs complete their files at different times, somewhere within a minute: beyond, a server that
/// several hosts see has only a part of its requests, and what goes on seems to be over.
fn whole(
    source: &mut dyn Source,
    until: Timestamp,
    end: Timestamp,
    hosts: &[&str],
    stale: i64,
) -> Result<(Timestamp, Option<Timestamp>)> {
    if until.plus(stale) <= end {
        return Ok((until, None));
    }
    let mut newest: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut recorded = None;
    source.rollups(until.plus(-stale)..end, hosts, &mut |host, rollup| {
        match newest.get_mut(host) {
            Some(newest) => *newest = rollup.time.max(*newest),
            None => drop(newest.insert(host.to_owned(), rollup.time)),
        }
        if rollup.time < until {
            recorded = recorded.max(Some(rollup.time.plus(MINUTE).min(until)));
        }
    })?;
    // Of its newest minute a host may have told a part.
    let least = newest.into_values().min().unwrap_or(until);
    Ok((least.min(until), recorded))
}

/// Lets a diagnosis see a time of a store, and judge all of it.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn feed(
    source: &mut dyn Source,
    range: Range<Timestamp>,
    hosts: &[&str],
    diagnosis: &mut Diagnosis,
    note: &mut dyn FnMut(Change, &Trouble),
) -> Result<()> {
    // Before there is nothing that could tell how full a minute is.
    let mut from = range.start.max(source.first().unwrap_or(range.end));
    let mut fullest = 0;
    while from < range.end {
        // To a boundary, so that a piece is a part of one day's files.
        let next = length(fullest) * MINUTE;
        let to = from.0.div_euclid(next).saturating_add(1);
        let to = Timestamp(to.saturating_mul(next)).min(range.end);
        let mut minutes: BTreeMap<Timestamp, u64> = BTreeMap::new();
        source.rollups(from..to, hosts, &mut |host, rollup| {
            *minutes.entry(rollup.time).or_default() += 1;
            diagnosis.add(host, &rollup);
        })?;
        diagnosis.advance(to, note);
        fullest = minutes.into_values().max().unwrap_or(0);
        from = to;
    }
    Ok(())
}

/// How long the next piece is, in minutes, when a minute has so many rollups; 0: that is not known.
fn length(fullest: u64) -> i64 {
    let [.., shortest] = LENGTHS;
    let fits = |length: &i64| fullest.saturating_mul(length.unsigned_abs()) <= PIECE;
    match fullest {
        0 => shortest,
        _ => LENGTHS.into_iter().find(fits).unwrap_or(shortest),
    }
}

/// As times count.
pub(crate) fn nanoseconds(span: Span) -> i64 {
    i64::try_from(span.ns()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_an_hour_at_first_and_as_long_as_what_waits_is_bounded() {
        assert_eq!(length(0), 60);
        assert_eq!(length(347), 1440);
        assert_eq!(length(348), 360);
        assert_eq!(length(1388), 360);
        assert_eq!(length(1389), 60);
        assert_eq!(length(u64::MAX), 60);
    }
}
