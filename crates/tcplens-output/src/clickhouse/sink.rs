//! A ClickHouse server as a store: records and the rollups that are made of them, into a [`Writer`].

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Rollup;
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_core::view::Rollups;
use tcplens_core::view::rollup::LAG;

use super::writer::{Settings, Writer};
use super::{ClickHouseError, Target};
use crate::sink::{SinkEnd, SinkError};
use crate::store::line::LineReader;
use crate::store::{StoreCounters, StoreKind, StoreRecord, StoreSink};

/// How often what rollups have counted is sent, live, in ns: a process that is killed loses no more of them. What comes after makes
/// one more row of the same minute.
const ROLLUPS: i64 = 30 * SECOND;
/// How long the end of a run waits for a server that takes nothing. Live: shorter than whoever waits for this.
const PATIENCE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(10)];
/// Messages that wait to be told; what is beyond is not told.
const MESSAGES: usize = 16;

/// See the module.
pub struct ClickHouseSink {
    writer: Writer,
    target: Target,
    is_live: bool,
    rollups: Rollups,
    /// When rollups were last sent: by the wall clock live, by the engine clock of files.
    sent: Timestamp,
    lines: Vec<LineReader>,
    /// Lines that are no records.
    unread: u64,
    messages: Arc<Mutex<VecDeque<String>>>,
}

impl ClickHouseSink {
    /// Opens a store; where troubles are told is set here.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open(mut settings: Settings) -> Result<ClickHouseSink, ClickHouseError> {
        let messages: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let told = Arc::clone(&messages);
        settings.say = Arc::new(move |what| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() < MESSAGES {
                told.push_back(what.to_owned());
            }
        });
        Ok(ClickHouseSink {
            target: settings.server.target().clone(),
            is_live: settings.is_live,
            rollups: Rollups::default(),
            sent: Timestamp::MIN,
            lines: Vec::new(),
            unread: 0,
            writer: Writer::open(settings)?,
            messages,
        })
    }

    fn any(&mut self, record: AnyRecord<'_>, at: Timestamp) -> Result<(), SinkEnd> {
        let written = match record {
            AnyRecord::Handshake(handshake) => {
                self.rollups.handshake(handshake, at);
                self.writer.write(handshake)
            }
            AnyRecord::Request(request) => {
                let request = request.record();
                self.rollups.request(&request, at);
                self.writer.write(&request)
            }
            AnyRecord::Connection(connection) => {
                self.rollups.connection(connection, at);
                self.writer.write(connection)
            }
        };
        self.done(written)?;
        if self.rollups.is_full() {
            self.send_rollups(Timestamp::MAX)?;
        } else if !self.is_live && at.0 >= self.sent.0.saturating_add(LAG) {
            self.sent = at;
            self.send_rollups(at.plus(-LAG))?;
        }
        Ok(())
    }

    fn send_rollups(&mut self, until: Timestamp) -> Result<(), SinkEnd> {
        let mut rows: Vec<Rollup> = Vec::new();
        self.rollups
            .take_until(until, &mut |rollup| rows.push(rollup));
        let written = rows.iter().try_for_each(|rollup| self.writer.write(rollup));
        self.done(written)
    }

    fn line(&mut self, kind: StoreKind, line: &[u8]) -> Result<(), SinkEnd> {
        let known = self.lines.iter().position(|reader| reader.kind() == kind);
        let known = known.unwrap_or_else(|| {
            self.lines.push(LineReader::new(kind));
            self.lines.len() - 1
        });
        let Some(reader) = self.lines.get_mut(known) else {
            return Ok(());
        };
        let time = reader.time();
        let Some(read) = reader.read(line) else {
            self.unread += 1;
            return Ok(());
        };
        let cells = std::mem::take(read.cells);
        let written = self.writer.write_cells(kind.word(), time, &cells);
        self.done(written)
    }

    fn done(&self, written: Result<(), ClickHouseError>) -> Result<(), SinkEnd> {
        written.map_err(|error| self.end(error.to_string()))
    }

    /// What waits in the spool, if anything does, and what becomes of it.
    fn waiting(&self) -> Option<String> {
        let counts = self.writer.told().counts;
        let own = self.writer.spool();
        // Those of earlier runs are beside it.
        let all = own.parent().unwrap_or(own).display();
        (counts.waiting > 0).then(|| {
            format!(
                "{} batches ({} bytes) wait in {all}: the next run with this --store and the same --spool sends them; remove that \
                 directory if none of them is wanted",
                counts.waiting, counts.waiting_bytes,
            )
        })
    }

    /// The server refuses a live run.
    fn refused(&self, error: &ClickHouseError) -> SinkEnd {
        let waiting = self.waiting().map(|waiting| format!("; {waiting}"));
        SinkEnd::Failed(SinkError::Store(format!(
            "{error}{}",
            waiting.unwrap_or_default()
        )))
    }

    fn end(&self, why: String) -> SinkEnd {
        SinkEnd::Failed(SinkError::Write {
            name: self.target.to_string(),
            why,
            advice: "what was sent before is stored",
        })
    }
}

impl StoreSink for ClickHouseSink {
    fn write(&mut self, record: StoreRecord<'_>, at: Timestamp) -> Result<(), SinkEnd> {
        let written = match record {
            StoreRecord::Any(record) => return self.any(record, at),
            StoreRecord::Line(kind, line) => return self.line(kind, line),
            StoreRecord::Socket(socket) => self.writer.write(socket),
            StoreRecord::Finding(finding) => self.writer.write(finding),
            StoreRecord::Health(health) => self.writer.write(health),
        };
        self.done(written)
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), SinkEnd> {
        // A clock that was set back would be waited for.
        let is_due = now < self.sent || now.0 >= self.sent.0.saturating_add(ROLLUPS);
        if self.is_live && is_due {
            self.sent = now;
            self.send_rollups(Timestamp::MAX)?;
        }
        match self.writer.tick(Instant::now()) {
            Err(error) if self.is_live => Err(self.refused(&error)),
            ticked => self.done(ticked),
        }
    }

    fn progress(&self) -> Option<Arc<AtomicU64>> {
        Some(self.writer.progress())
    }

    fn counters(&self) -> StoreCounters {
        let told = self.writer.told();
        let mut limit_hits = self.rollups.limit_hits();
        if told.counts.unreadable > 0 {
            limit_hits.push(("store_unreadable_batches", told.counts.unreadable));
        }
        if told.counts.beyond_files > 0 {
            limit_hits.push(("store_spool_files", told.counts.beyond_files));
        }
        StoreCounters {
            written: told.counts.stored,
            dropped: told.counts.dropped + self.unread,
            files: told.counts.batches,
            bytes: told.counts.bytes,
            left_out: told.left_out,
            limit_hits,
            ..StoreCounters::default()
        }
    }

    fn take_trouble(&mut self) -> Option<String> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.pop_front()
    }

    fn cut_short(&self) -> String {
        let told = self.writer.told();
        let waiting = self.waiting().map(|waiting| format!("; {waiting}"));
        format!(
            "the run ended before all was read: {} records were sent to {} already and stay{}",
            told.counts.stored,
            self.target,
            waiting.unwrap_or_default(),
        )
    }

    fn finish(&mut self) -> Result<(), SinkEnd> {
        self.send_rollups(Timestamp::MAX)?;
        let told = match self.writer.finish(PATIENCE[usize::from(self.is_live)]) {
            Err(error) if self.is_live => return Err(self.refused(&error)),
            finished => finished.map_err(|error| self.end(error.to_string()))?,
        };
        let Some(waiting) = self.waiting() else {
            return Ok(());
        };
        let why = told.trouble.unwrap_or_else(|| "the server is slow".into());
        match self.is_live {
            true => {
                let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
                messages.push_back(format!("{waiting} ({why})"));
                Ok(())
            }
            false => Err(SinkEnd::Failed(SinkError::Store(format!(
                "cannot store all in {}, {} records are stored: {why}; {waiting}",
                self.target, told.counts.stored,
            )))),
        }
    }
}
