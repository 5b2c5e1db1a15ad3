//! Records into a destination in a machine format: where encoder, rotation and header lines meet.

use std::net::IpAddr;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{Span, Timestamp};

use crate::sink::{Sink, SinkEnd};
use crate::{Csv, Jsonl};

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
        Self { encoder, sink }
    }

    /// Writes one record; rotates before it where that is due, and repeats the header in the new
    /// file.
    ///
    /// # Errors
    /// [`SinkEnd::Closed`] when the reader went away, else what failed.
    pub fn write<R: Record>(&mut self, record: &R) -> Result<(), SinkEnd> {
        if self.sink.rotates() {
            self.rotate_if_due(time_of(record))?;
        }
        let pending = match &mut self.encoder {
            Encoder::Jsonl(jsonl) => {
                jsonl.encode(record);
                jsonl.bytes().len()
            }
            Encoder::Csv(csv) => {
                csv.encode(record);
                csv.bytes().len()
            }
        };
        if pending >= BATCH {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Hands everything to the reader. Call it when someone waits ([`Sink::is_live`]).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), SinkEnd> {
        self.hand_over()?;
        self.sink.flush()
    }

    /// Writes what is left and ends the file.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(mut self) -> Result<(), SinkEnd> {
        self.hand_over()?;
        self.sink.finish()
    }

    /// Waits for the destination, but not for ever: [`Sink::settle`].
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn settle(&mut self) -> Result<(), SinkEnd> {
        self.hand_over()?;
        self.sink.settle()
    }

    /// Goes on in a new file of the same name.
    ///
    /// # Errors
    /// As [`Sink::reopen`].
    pub fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.hand_over()?;
        self.sink.reopen()?;
        if let Encoder::Csv(csv) = &mut self.encoder {
            csv.forget_headers();
        }
        Ok(())
    }

    /// Where it writes.
    #[must_use]
    pub fn sink(&self) -> &Sink {
        &self.sink
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
