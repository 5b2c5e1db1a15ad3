//! Records in, batches out: a block for each table and day, handed to [`super::sender`] when it is large or old enough.
//! Who has the records never waits for the server, unless they come from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tcplens_core::record::Record;
use tcplens_core::time::Timestamp;

use super::block::Block;
use super::schema::{TABLES, Table};
use super::sender::{Counts, How, Say, Sender};
use super::spool::Spool;
use super::{ClickHouseError, Server, names};
use crate::cell::Cell;

/// Rows of a batch, at most: one block of the server's, whatever its settings.
pub const BATCH_ROWS: usize = 65_536;
/// Bytes of a batch, about.
pub const BATCH_BYTES: usize = 8 << 20;
/// Bytes of all batches in the making; then all are handed over.
pub const OPEN_BYTES: usize = 24 << 20;
/// Days of a table whose batches are in the making at once; then the oldest is handed over.
pub const OPEN_DAYS: usize = 4;
/// Age of a batch, unless another is asked for.
pub const BATCH_AGE: Duration = Duration::from_secs(5);
/// Bytes of the spool, unless another bound is asked for.
pub const SPOOL_BYTES: u64 = 1 << 30;
/// Files of the spool: some two days of a live run whose server is away. Their names take 20 MB.
pub const SPOOL_FILES: usize = 131_072;
/// Rows between two looks at bytes.
const LOOK: usize = 256;

/// What a writer is told.
#[derive(Clone)]
pub struct Settings {
    /// Where to.
    pub server: Server,
    /// This machine's name, in every row.
    pub host: String,
    /// When this run began, by the clock: part of its batches' ids, and the date of records without a time.
    pub start: Timestamp,
    /// Where batches wait.
    pub spool: PathBuf,
    /// Bytes of them, at most.
    pub spool_bytes: u64,
    /// How old a batch gets before it is handed over.
    pub batch_age: Duration,
    /// Records come as they happen: they are dropped where they find no room. Else they wait.
    pub is_live: bool,
    /// Tells the user of troubles, from another thread.
    pub say: Say,
}

impl Settings {
    /// With what is usual; troubles are told to nobody.
    #[must_use]
    pub fn new(server: Server, host: String, start: Timestamp, spool: PathBuf) -> Settings {
        Settings {
            batch_age: server.target().every.unwrap_or(BATCH_AGE),
            server,
            host,
            start,
            spool,
            spool_bytes: SPOOL_BYTES,
            is_live: true,
            say: Arc::new(|_| {}),
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Rows and batches.
    pub counts: Counts,
    /// Why batches wait, where some do.
    pub trouble: Option<String>,
    /// Values that no column can hold, and that are absent for it.
    pub left_out: u64,
}

/// Takes records.
pub struct Writer {
    host: String,
    start: Timestamp,
    batch_age: Duration,
    spool: PathBuf,
    sender: Sender,
    open: Vec<Open>,
    next: u64,
    left_out: u64,
    /// Rows that were never handed over, for the server refuses.
    lost: u64,
}

struct Open {
    block: Block,
    since: Instant,
    /// Its bytes when it was last looked at.
    bytes: usize,
}

impl Writer {
    /// Looks at the server and opens the spool. A server that does not answer is no error: it may come. Live, it is looked at while
    /// records come already, and [`tick`](Self::tick) tells what it refuses.
    ///
    /// # Errors
    /// The server refuses the password, or the database, or has no tables; the spool cannot be made.
    pub fn open(settings: Settings) -> Result<Writer, ClickHouseError> {
        let Settings {
            server,
            host,
            start,
            spool,
            spool_bytes,
            batch_age,
            is_live,
            say,
        } = settings;
        let target = server.target().clone();
        let tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        let mut told = None;
        let checked = match is_live {
            true => Ok(()),
            false => server.version().and_then(|_| server.check(&tables)),
        };
        match checked {
            Ok(()) => {}
            // Whoever waits for a run of files is told at once of what the server says.
            Err(error) if error.may_come() => {
                told = Some(error.to_string());
                say(&format!(
                    "{error} (records are kept and sent when it takes them)"
                ));
            }
            Err(error) => return Err(error),
        }
        let process = std::process::id();
        let run = names::run(start, process);
        let (spool, found) = Spool::open(&spool, &target, &run)?;
        let place = spool.path().to_owned();
        let path = place.display().to_string();
        let how = How {
            limit: spool_bytes,
            files: SPOOL_FILES,
            waits: !is_live,
            say,
            told,
            tables: if is_live { tables } else { Vec::new() },
        };
        let sender = Sender::start(server, spool, found, how);
        Ok(Writer {
            next: names::first_batch(&host, start, process),
            host,
            start,
            batch_age,
            spool: place,
            sender: sender.map_err(|why| ClickHouseError::File {
                what: "start a thread for the spool",
                path,
                why,
                advice: "allow this user more of them (ulimit -u)",
            })?,
            open: Vec::new(),
            left_out: 0,
            lost: 0,
        })
    }

    /// Takes a record. Kinds that have no table are passed over.
    ///
    /// # Errors
    /// Of files only: nothing can be stored any more.
    pub fn write<R: Record>(&mut self, record: &R) -> Result<(), ClickHouseError> {
        let Some(table) = Table::of(R::KIND) else {
            return Ok(());
        };
        let day = Block::day_of(record, self.start);
        let at = self.at(table, day)?;
        if let Some(open) = self.open.get_mut(at) {
            self.left_out += open.block.push(record);
        }
        self.pushed(at)
    }

    /// Hands the block over if it is large.
    #[inline]
    fn pushed(&mut self, at: usize) -> Result<(), ClickHouseError> {
        let Some(open) = self.open.get_mut(at) else {
            return Ok(());
        };
        let rows = open.block.rows();
        if !rows.is_multiple_of(LOOK) {
            return Ok(());
        }
        open.bytes = open.block.size();
        if rows >= BATCH_ROWS || open.bytes >= BATCH_BYTES {
            self.hand_over(at)?;
        } else if self.open.iter().map(|open| open.bytes).sum::<usize>() >= OPEN_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Takes a record as the values of its fields, in their order; `time` is where among them its time is.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(super) fn write_cells(
        &mut self,
        kind: &str,
        time: Option<usize>,
        cells: &[Cell],
    ) -> Result<(), ClickHouseError> {
        let Some(table) = Table::of(kind) else {
            return Ok(());
        };
        let time = time.and_then(|time| cells.get(time));
        let ns = match time {
            Some(Cell::Number(ns)) => Some(*ns),
            _ => None,
        };
        let day = Block::day_at(ns, self.start);
        let at = self.at(table, day)?;
        let Some(open) = self.open.get_mut(at) else {
            return Ok(());
        };
        open.block.push_cells(cells);
        self.pushed(at)
    }

    #[inline]
    fn at(&mut self, table: &'static Table, day: i64) -> Result<usize, ClickHouseError> {
        match self.position(table, day) {
            Some(at) => Ok(at),
            None => self.begin(table, day),
        }
    }

    #[inline]
    fn position(&self, table: &Table, day: i64) -> Option<usize> {
        self.open
            .iter()
            .position(|open| open.block.day() == day && open.block.table().name == table.name)
    }

    /// A block for another day, in place of the oldest of the table where there are many.
    fn begin(&mut self, table: &'static Table, day: i64) -> Result<usize, ClickHouseError> {
        let of_table = |open: &Open| open.block.table().name == table.name;
        if self.open.iter().filter(|open| of_table(open)).count() >= OPEN_DAYS
            && let Some(oldest) = self.open.iter().position(of_table)
        {
            self.hand_over(oldest)?;
        }
        self.open.push(Open {
            block: Block::new(table, day),
            since: Instant::now(),
            bytes: 0,
        });
        Ok(self.open.len() - 1)
    }

    fn hand_over(&mut self, at: usize) -> Result<(), ClickHouseError> {
        let mut open = self.open.remove(at);
        let batch = open.block.take(&self.host, self.next);
        self.next = self.next.wrapping_add(1);
        match batch.rows {
            0 => Ok(()),
            _ => self.sender.submit(batch),
        }
    }

    /// Hands over what is old enough; called from time to time, as `now` goes on.
    ///
    /// # Errors
    /// As [`write`](Self::write). Live: the server refuses the password, or the database, or has no tables. What is not in the
    /// spool yet is dropped then.
    pub fn tick(&mut self, now: Instant) -> Result<(), ClickHouseError> {
        if let Some(error) = self.sender.failure() {
            let open = self.open.drain(..);
            self.lost += open.map(|open| open.block.rows() as u64).sum::<u64>();
            self.sender.finish(Duration::ZERO);
            return Err(error);
        }
        let age = self.batch_age;
        let is_due = |open: &Open| now.duration_since(open.since) >= age;
        while let Some(at) = self.open.iter().position(is_due) {
            self.hand_over(at)?;
        }
        Ok(())
    }

    /// Hands over everything.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), ClickHouseError> {
        while !self.open.is_empty() {
            self.hand_over(0)?;
        }
        Ok(())
    }

    /// Where batches wait.
    #[must_use]
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// Waits until what was handed over is in the spool, or dropped.
    pub fn spooled(&self) {
        self.sender.spooled();
    }

    /// Rows that nobody will ever have, so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sender.counts().dropped + self.lost
    }

    /// Goes up with each batch that came into the spool, or left it.
    #[must_use]
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.sender.progress()
    }

    /// What became of rows so far.
    #[must_use]
    pub fn told(&self) -> Told {
        let counts = self.sender.counts();
        Told {
            counts: Counts {
                dropped: counts.dropped + self.lost,
                ..counts
            },
            trouble: self.sender.trouble(),
            left_out: self.left_out,
        }
    }

    /// Hands over everything and waits until the server has it, or until it has taken nothing for `patience`; the rest waits in
    /// the spool for another run.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(&mut self, patience: Duration) -> Result<Told, ClickHouseError> {
        let flushed = self.flush();
        self.sender.finish(patience);
        flushed?;
        match self.sender.failure() {
            Some(error) => Err(error),
            None => Ok(self.told()),
        }
    }
}
