//! Records into a destination in a machine format: where encoder, rotation and header lines meet.

use std::net::IpAddr;
use std::time::Duration;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{Span, Timestamp};

#[cfg(feature = "parquet")]
use crate::parquet::ParquetFiles;
use crate::sink::{Sink, SinkEnd};
use crate::{Csv, Fields, Jsonl};

/// Bytes of lines gathered before they go to the sink.
const BATCH: usize = 64 * 1024;

/// The formats that show every record kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineFormat {
    /// JSON Lines.
    Jsonl,
    /// CSV.
    Csv,
}

/// Writes records of any kind.
pub struct RecordWriter {
    to: To,
}

enum To {
    Lines(Box<Lines>),
    #[cfg(feature = "parquet")]
    Parquet(ParquetFiles),
}

/// Encoded records on their way to a sink.
struct Lines {
    encoder: Encoder,
    sink: Sink,
}

enum Encoder {
    Jsonl(Jsonl),
    Csv(Csv),
}

impl RecordWriter {
    /// Writes `format` to `sink`.
    #[must_use]
    pub fn new(format: MachineFormat, sink: Sink) -> Self {
        let encoder = match format {
            MachineFormat::Jsonl => Encoder::Jsonl(Jsonl::new()),
            MachineFormat::Csv => Encoder::Csv(Csv::new()),
        };
        Self {
            to: To::Lines(Box::new(Lines { encoder, sink })),
        }
    }

    /// Writes Parquet.
    #[cfg(feature = "parquet")]
    #[must_use]
    pub fn parquet(files: ParquetFiles) -> Self {
        Self {
            to: To::Parquet(files),
        }
    }

    /// Says that records of a kind may come: what has a file for them has one even if none comes.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn expect<R: Record>(&mut self) -> Result<(), SinkEnd> {
        match &mut self.to {
            To::Lines(_) => Ok(()),
            #[cfg(feature = "parquet")]
            To::Parquet(files) => files.expect::<R>(),
        }
    }

    /// Writes one record; rotates before it where that is due, and repeats the header in the new
    /// file.
    ///
    /// # Errors
    /// [`SinkEnd::Closed`] when the reader went away, else what failed.
    #[inline]
    pub fn write<R: Record>(&mut self, record: &R) -> Result<(), SinkEnd> {
        match &mut self.to {
            To::Lines(lines) => lines.write(record, None),
            #[cfg(feature = "parquet")]
            To::Parquet(files) => files.write(record),
        }
    }

    /// Writes some fields of a record; Parquet has all of them always.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_fields<R: Record>(&mut self, record: &R, fields: &Fields) -> Result<(), SinkEnd> {
        match &mut self.to {
            To::Lines(lines) => lines.write(record, Some(fields)),
            #[cfg(feature = "parquet")]
            To::Parquet(files) => files.write(record),
        }
    }

    /// Hands everything to the reader, where it can be read before the end. Call it when someone waits
    /// ([`wants_all`](Self::wants_all)).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), SinkEnd> {
        match &mut self.to {
            To::Lines(lines) => {
                lines.hand_over()?;
                lines.sink.flush()
            }
            #[cfg(feature = "parquet")]
            To::Parquet(_) => Ok(()),
        }
    }

    /// Writes what is left and ends the file.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(self) -> Result<(), SinkEnd> {
        match self.to {
            To::Lines(mut lines) => {
                lines.hand_over()?;
                lines.sink.finish()
            }
            #[cfg(feature = "parquet")]
            To::Parquet(files) => files.finish(),
        }
    }

    /// Waits for the destination, but not for ever: [`Sink::settle`].
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn settle(&mut self) -> Result<(), SinkEnd> {
        match &mut self.to {
            To::Lines(lines) => {
                lines.hand_over()?;
                lines.sink.settle()
            }
            #[cfg(feature = "parquet")]
            To::Parquet(_) => Ok(()),
        }
    }

    /// Goes on in a new file of the same name; Parquet in the old one, which is not complete.
    ///
    /// # Errors
    /// As [`Sink::reopen`].
    pub fn reopen(&mut self) -> Result<(), SinkEnd> {
        match &mut self.to {
            To::Lines(lines) => lines.reopen(),
            #[cfg(feature = "parquet")]
            To::Parquet(_) => Ok(()),
        }
    }

    /// Whether a new file may begin between two records.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.sink().is_some_and(Sink::rotates)
    }

    /// Whether to [`flush`](Self::flush) at each pause of the input.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.sink().is_some_and(Sink::wants_all)
    }

    /// What went wrong behind a queue and ends nothing, once.
    #[must_use]
    pub fn take_trouble(&self) -> Option<String> {
        self.sink().and_then(Sink::take_trouble)
    }

    /// Records that were dropped because the destination took none.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sink().map_or(0, Sink::dropped)
    }

    /// Values that are absent because the format has no place for them; 0 but for Parquet.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        match &self.to {
            To::Lines(_) => 0,
            #[cfg(feature = "parquet")]
            To::Parquet(files) => files.left_out(),
        }
    }

    /// See [`Sink::wait_for_room`].
    pub fn wait_for_room(&self, most: Duration) {
        if let Some(sink) = self.sink() {
            sink.wait_for_room(most);
        }
    }

    fn sink(&self) -> Option<&Sink> {
        match &self.to {
            To::Lines(lines) => Some(&lines.sink),
            #[cfg(feature = "parquet")]
            To::Parquet(_) => None,
        }
    }
}

impl Lines {
    #[inline]
    fn write<R: Record>(&mut self, record: &R, fields: Option<&Fields>) -> Result<(), SinkEnd> {
        if self.sink.rotates() {
            self.rotate_if_due(time_of(record))?;
        }
        let pending = match &mut self.encoder {
            Encoder::Jsonl(jsonl) => {
                match fields {
                    None => jsonl.encode(record),
                    Some(fields) => jsonl.encode_fields(record, fields),
                }
                jsonl.bytes().len()
            }
            Encoder::Csv(csv) => {
                match fields {
                    None => csv.encode(record),
                    Some(fields) => csv.encode_fields(record, fields),
                }
                csv.bytes().len()
            }
        };
        if pending >= BATCH {
            self.hand_over()?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.hand_over()?;
        self.sink.reopen()?;
        if let Encoder::Csv(csv) = &mut self.encoder {
            csv.forget_headers();
        }
        Ok(())
    }

    fn rotate_if_due(&mut self, time: Option<Timestamp>) -> Result<(), SinkEnd> {
        let pending = match &self.encoder {
            Encoder::Jsonl(jsonl) => jsonl.bytes().len(),
            Encoder::Csv(csv) => csv.bytes().len(),
        };
        if !self.sink.is_due(time, pending) {
            return Ok(());
        }
        self.hand_over()?;
        self.sink.rotate()?;
        if let Encoder::Csv(csv) = &mut self.encoder {
            csv.forget_headers();
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), SinkEnd> {
        match &mut self.encoder {
            Encoder::Jsonl(jsonl) => {
                let result = self.sink.write(jsonl.bytes());
                jsonl.clear();
                result
            }
            Encoder::Csv(csv) => {
                let result = self.sink.write(csv.bytes());
                csv.clear();
                result
            }
        }
    }
}

/// The record's field `time`, if it has one.
#[inline]
pub fn time_of<R: Record>(record: &R) -> Option<Timestamp> {
    let mut finder = TimeFinder(None);
    record.visit(&mut finder);
    finder.0
}

struct TimeFinder(Option<Timestamp>);

impl Visitor for TimeFinder {
    #[inline]
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        if field.name == "time" {
            self.0 = value;
        }
    }
    #[inline]
    fn count(&mut self, _: &'static Field, _: Option<u64>) {}
    #[inline]
    fn span(&mut self, _: &'static Field, _: Option<Span>) {}
    #[inline]
    fn ip(&mut self, _: &'static Field, _: Option<IpAddr>) {}
    #[inline]
    fn word(&mut self, _: &'static Field, _: Option<&'static str>) {}
    #[inline]
    fn flag(&mut self, _: &'static Field, _: Option<bool>) {}
    #[inline]
    fn text(&mut self, _: &'static Field, _: Option<&str>) {}
    #[inline]
    fn id(&mut self, _: &'static Field, _: Option<ConnectionId>) {}
    #[inline]
    fn counts(&mut self, _: &'static Field, _: &[(&'static str, u64)]) {}
    #[inline]
    fn list(&mut self, _: &'static Field, _: &[u64]) {}
    #[inline]
    fn frames(&mut self, _: &'static Field, _: &[FirstFrame]) {}
}
