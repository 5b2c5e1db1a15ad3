//! What is abnormal at this host, minute by minute: the agent's own records become rollups as their minutes end, and these are
//! judged by the history of each server. After a restart that history is what the store has. Not the models: those are
//! `tcplens_core::view::anomaly`.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::Builder;
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
use crate::commands::anomalies::source;
use crate::log::{Level, log};
use crate::store::Place;
use crate::topology;

/// How long after its end a minute is judged, in ns: for requests that are told late. Chosen: more than a live connection
/// lingers, and than a kernel's flush.
const GRACE: i64 = 10 * SECOND;
const MINUTE: i64 = 60 * SECOND;
/// How long a server may take for an answer, of which there is one for a part of the history.
#[cfg(feature = "remote")]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
/// What becomes of a history that cannot be read.
const ANEW: &str = "what is usual is learned anew";

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
    /// What is to be read before anything is judged.
    past: Option<(Place, AnomaliesConfig)>,
    /// What comes of that.
    lesson: Option<Receiver<Option<Lesson>>>,
    is_live: bool,
}

/// What the store told of the past.
struct Lesson {
    diagnosis: Diagnosis,
    /// The end of its newest minute.
    until: Timestamp,
}

impl Anomalies {
    /// Reads the topology; `store` is what will be read of this host's past. Live packets come while it is.
    ///
    /// # Errors
    /// The topology cannot be read.
    pub(crate) fn open(
        config: &AnomaliesConfig,
        store: Option<(&Place, String)>,
        is_live: bool,
    ) -> Result<Anomalies> {
        let topology = match &config.topology {
            Some(path) => topology::read(path)?,
            None => Topology::default(),
        };
        let settings = Settings {
            limit_instances: usize::try_from(config.limit_instances).unwrap_or(usize::MAX),
            ..Settings::default()
        };
        let host = store.as_ref().map(|(_, name)| name.clone());
        Ok(Anomalies {
            rollups: Rollups::default(),
            diagnosis: Diagnosis::new(settings, topology),
            host: host.unwrap_or_else(|| "this host".to_owned()),
            from: None,
            past: store.map(|(place, _)| (place.clone(), config.clone())),
            lesson: None,
            is_live,
        })
    }

    /// Learns from the store, on a thread of its own: privileges have been given up. Who reads capture files waits for it. A store
    /// that cannot be read is told, and nothing is known then.
    pub(crate) fn start(&mut self) {
        let Some((place, config)) = self.past.take() else {
            return;
        };
        let (host, mut diagnosis) = (self.host.clone(), self.diagnosis.clone());
        let (told, lesson) = sync_channel(1);
        let work = move || {
            let learned = learned(&config, &place, &host, &mut diagnosis);
            // Whoever waited for it may be gone.
            let _ = told.send(learned.map(|until| Lesson { diagnosis, until }));
        };
        match Builder::new().name("anomalies".into()).spawn(work) {
            Ok(_) if self.is_live => self.lesson = Some(lesson),
            Ok(_) => self.learn(lesson.recv().ok().flatten()),
            Err(error) => log(
                Level::Warning,
                format_args!("anomalies: no thread to read the store: {error}; {ANEW}"),
            ),
        }
    }

    /// What was read takes the place of knowing nothing.
    fn learn(&mut self, lesson: Option<Lesson>) {
        if let Some(lesson) = lesson {
            self.diagnosis = lesson.diagnosis;
            self.from = Some(lesson.until);
        }
    }

    /// Whether the store is still being read. What comes waits as rollups, as many as there may be; what finds no room is told.
    fn is_reading(&mut self) -> bool {
        match self.lesson.as_ref().map(Receiver::try_recv) {
            None => return false,
            Some(Err(TryRecvError::Empty)) => return true,
            Some(Ok(lesson)) => self.learn(lesson),
            // It has panicked, which was printed.
            Some(Err(TryRecvError::Disconnected)) => {}
        }
        self.lesson = None;
        let hits = self.rollups.limit_hits();
        if let Some((_, lost)) = hits.iter().find(|(what, _)| *what == "rollup_rows") {
            log(
                Level::Warning,
                format_args!(
                    "anomalies: {} records that came while the store was read found no room and are not judged",
                    Count(*lost)
                ),
            );
        }
        false
    }

    /// Takes a record that became final at `at` by the engine clock.
    pub(crate) fn record(&mut self, record: AnyRecord<'_>, at: Timestamp) {
        self.rollups.add(record, at);
    }

    /// Judges the minutes that are over at `at`; `None` if there is none.
    pub(crate) fn clock(&mut self, at: Timestamp) -> Option<News> {
        if self.is_reading() {
            return None;
        }
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
        // What is not read by now comes too late.
        self.is_reading();
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

/// Learns what this host has stored, and tells what came of it; until when, if there is anything.
fn learned(
    config: &AnomaliesConfig,
    place: &Place,
    host: &str,
    diagnosis: &mut Diagnosis,
) -> Option<Timestamp> {
    let began = Instant::now();
    match learn(config, place, &[host], diagnosis) {
        Ok(Some(until)) => {
            let watching = diagnosis.watching();
            log(
                Level::Info,
                format_args!(
                    "anomalies: learned from {} rollups since {} in {} ms",
                    Count(watching.rollups),
                    watching
                        .first
                        .map_or_else(String::new, tcplens_output::anomalies::minute),
                    began.elapsed().as_millis()
                ),
            );
            Some(until)
        }
        Ok(None) => {
            log(
                Level::Info,
                "anomalies: the store has no history yet: nothing is judged for the first three days",
            );
            None
        }
        Err(error) => {
            log(Level::Warning, format_args!("anomalies: {error:#}; {ANEW}"));
            None
        }
    }
}

/// What these hosts have stored; the end of its newest minute.
fn learn(
    config: &AnomaliesConfig,
    place: &Place,
    hosts: &[&str],
    diagnosis: &mut Diagnosis,
) -> Result<Option<Timestamp>> {
    let mut source = match place {
        Place::Directory(directory) if !directory.exists() => return Ok(None),
        Place::Directory(directory) => source::open(&directory.display().to_string(), None)?,
        #[cfg(feature = "remote")]
        Place::ClickHouse(_, remote) => {
            source::of_server(remote.server().clone().with_patience(PATIENCE))?
        }
    };
    let Some(newest) = source.newest(hosts)? else {
        return Ok(None);
    };
    let from = newest.plus(-nanoseconds(config.history));
    feed(&mut *source, from..newest, hosts, diagnosis, &mut |_, _| {})?;
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

#[cfg(test)]
#[cfg(feature = "parquet")]
mod tests {
    use std::path::{Path, PathBuf};

    use tcplens_core::time::Span;
    use tcplens_output::store::{Keep, StoreRecord, StoreSettings, StoreSink as _, StoreWriter};

    use super::*;
    use crate::agent::testing::samples;

    /// A store of host `a` with one attempt, removed at the end; and the end of its minute.
    struct Kept(PathBuf, Timestamp);

    impl Kept {
        fn new(name: &str) -> Kept {
            let dir = std::env::temp_dir().join(format!("tcplens-{name}-{}", std::process::id()));
            let handshake = samples().handshake;
            let settings = StoreSettings {
                host: "a".into(),
                start: handshake.time,
                is_live: false,
                interval: Span::from_ns(300_000_000_000),
                keep: None,
                keep_rollups: Keep::Days(400),
            };
            let mut writer = StoreWriter::open(&dir, settings).unwrap();
            let record = StoreRecord::Any(AnyRecord::Handshake(&handshake));
            writer.write(record, handshake.time).unwrap();
            writer.finish().unwrap();
            let minute = handshake.time.0.div_euclid(MINUTE) + 1;
            Kept(dir, Timestamp(minute * MINUTE))
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn open(store: &Path, is_live: bool) -> Anomalies {
        let config = AnomaliesConfig {
            topology: None,
            history: Span::from_ns(86_400_000_000_000),
            limit_instances: 10,
        };
        let place = Place::Directory(store.to_owned());
        Anomalies::open(&config, Some((&place, "a".into())), is_live).unwrap()
    }

    #[test]
    fn the_past_is_read_once_started_and_only_capture_files_wait_for_it() {
        let kept = Kept::new("past");
        let mut files = open(&kept.0, false);
        assert_eq!(files.from, None, "nothing is read before it is started");
        files.start();
        assert_eq!(files.from, Some(kept.1));
        assert_eq!(files.diagnosis.watching().rollups, 1);

        let mut live = open(&kept.0, true);
        live.start();
        assert_eq!(live.from, None, "it did not wait");
        let began = Instant::now();
        while live.is_reading() {
            assert!(began.elapsed().as_secs() < 60, "it is not read");
            std::thread::yield_now();
        }
        assert_eq!(live.from, Some(kept.1));
        assert_eq!(live.diagnosis.watching().rollups, 1);
    }

    #[test]
    fn of_a_store_that_cannot_be_read_nothing_is_known() {
        let file = std::env::temp_dir().join(format!("tcplens-no-store-{}", std::process::id()));
        std::fs::write(&file, "no directory").unwrap();
        let mut anomalies = open(&file, false);
        anomalies.start();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(anomalies.from, None);
        assert_eq!(anomalies.diagnosis.watching().rollups, 0);
    }
}
