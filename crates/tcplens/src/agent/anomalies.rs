//! What is abnormal at this host, minute by minute: the agent's own records become rollups as their minutes end, and these are
//! judged by the history of each server. After a restart that history is what the store has. Not the models: those are
//! `tcplens_core::view::anomaly`.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Finding;
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_core::view::Rollups;
use tcplens_core::view::anomaly::{
    Change, Diagnosis, Present, Settings, Topology, Trouble, finding, rank,
};
use tcplens_output::human::{Count, Duration};

use super::config::AnomaliesConfig;
use crate::commands::anomalies::learn::{feed, nanoseconds};
use crate::commands::anomalies::source::Source;
use crate::log::{Level, log};
use crate::topology;

/// How long after its end a minute is judged, in ns: for requests that are told late. Chosen: more than a live connection
/// lingers, and than a kernel's flush.
const GRACE: i64 = 10 * SECOND;
const MINUTE: i64 = 60 * SECOND;

/// What changed, and what is abnormal now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct News {
    /// Troubles that were noticed, moved to another component, or ended: as they are now.
    pub findings: Vec<Finding>,
    /// What is abnormal.
    pub present: Present,
}

/// See the module.
pub(crate) struct Anomalies {
    rollups: Rollups,
    diagnosis: Diagnosis,
    host: String,
    /// Where the first minute begins that is not judged.
    from: Option<Timestamp>,
}

impl Anomalies {
    /// Reads the topology, and what the store of this host has.
    ///
    /// # Errors
    /// The topology cannot be read. A store that cannot be read is told, and nothing is known then.
    pub(crate) fn open(
        config: &AnomaliesConfig,
        store: Option<(&Path, String)>,
    ) -> Result<Anomalies> {
        let topology = match &config.topology {
            Some(path) => topology::read(path)?,
            None => Topology::default(),
        };
        let settings = Settings {
            limit_instances: usize::try_from(config.limit_instances).unwrap_or(usize::MAX),
            ..Settings::default()
        };
        let mut diagnosis = Diagnosis::new(settings, topology);
        let mut from = None;
        let mut host = "this host".to_owned();
        if let Some((directory, name)) = store {
            host = name;
            let began = Instant::now();
            let hosts = [host.as_str()];
            match learn(config, directory, &hosts, &mut diagnosis) {
                Ok(Some(until)) => {
                    let watching = diagnosis.watching();
                    log(
                        Level::Info,
                        format_args!(
                            "anomalies: learned from {} rollups since {} in {} ms",
                            Count(watching.rollups),
                            watching.first.map_or_else(String::new, |first| {
                                tcplens_output::anomalies::minute(first)
                            }),
                            began.elapsed().as_millis()
                        ),
                    );
                    from = Some(until);
                }
                Ok(None) => log(
                    Level::Info,
                    "anomalies: the store has no history yet: nothing is judged for the first two days",
                ),
                Err(error) => log(
                    Level::Warning,
                    format_args!("anomalies: {error:#}; what is usual is learned anew"),
                ),
            }
        }
        Ok(Anomalies {
            rollups: Rollups::default(),
            diagnosis,
            host,
            from,
        })
    }

    /// Takes a record that became final at `at` by the engine clock.
    pub(crate) fn record(&mut self, record: AnyRecord<'_>, at: Timestamp) {
        self.rollups.add(record, at);
    }

    /// Judges the minutes that are over at `at`; `None` if there is none.
    pub(crate) fn clock(&mut self, at: Timestamp) -> Option<News> {
        let over = at.plus(-GRACE).0.div_euclid(MINUTE).saturating_mul(MINUTE);
        let over = Timestamp(over);
        if self.from.is_some_and(|from| over <= from) {
            return None;
        }
        let is_first = self.from.is_none();
        self.from = Some(over);
        // The first call only says where time is.
        if is_first && self.rollups.rows() == 0 {
            return None;
        }
        Some(self.judge(over))
    }

    /// Judges what is left: no record comes any more. Of the last minute only a part was seen: it is not judged.
    pub(crate) fn finish(&mut self, at: Timestamp) -> News {
        let over = at.0.div_euclid(MINUTE).saturating_mul(MINUTE);
        self.judge(Timestamp(over))
    }

    fn judge(&mut self, over: Timestamp) -> News {
        let Anomalies {
            rollups,
            diagnosis,
            host,
            ..
        } = self;
        rollups.take_until(over, &mut |rollup| diagnosis.add(host, &rollup));
        let mut changed: Vec<(Change, Trouble)> = Vec::new();
        diagnosis.advance(over, &mut |change, trouble| {
            changed.push((change, trouble.clone()));
        });
        let mut open: Vec<Trouble> = diagnosis.troubles().cloned().collect();
        rank(&mut open);
        let findings = changed.iter().map(|(change, trouble)| {
            let place = open.iter().position(|open| open.number == trouble.number);
            // What is over comes behind what goes on.
            let rank = place.unwrap_or(open.len()) as u64 + 1;
            let finding = finding(trouble, rank);
            let text = finding.text.as_deref().unwrap_or_default();
            match change {
                Change::Began | Change::Moved => {
                    log(Level::Warning, format_args!("abnormal: {text}"))
                }
                Change::Ended => log(Level::Info, format_args!("abnormal no more: {text}")),
            }
            finding
        });
        News {
            findings: findings.collect(),
            present: diagnosis.present(),
        }
    }
}

/// What these hosts have stored; the end of its newest minute.
fn learn(
    config: &AnomaliesConfig,
    directory: &Path,
    hosts: &[&str],
    diagnosis: &mut Diagnosis,
) -> Result<Option<Timestamp>> {
    let name = directory.display().to_string();
    if !directory.exists() {
        return Ok(None);
    }
    let mut source = Source::open(&name)?;
    let Some(newest) = source.newest(hosts)? else {
        return Ok(None);
    };
    let from = newest.plus(-nanoseconds(config.history));
    feed(&mut source, from..newest, hosts, diagnosis, &mut |_, _| {})?;
    for damage in source.damages() {
        log(Level::Warning, format_args!("anomalies: {damage}"));
    }
    let watching = diagnosis.watching();
    if let (Some(first), Some(last)) = (watching.first, watching.last)
        && let Some(length) = last.since(first)
        && watching.judged == 0
    {
        log(
            Level::Info,
            format_args!(
                "anomalies: {} of history are too few to judge by",
                Duration(length)
            ),
        );
    }
    Ok(Some(newest))
}
