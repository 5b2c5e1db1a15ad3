//! What `convert` writes.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context as _, Result};
use tcplens_core::record::{Socket, SocketClose, Word};
use tcplens_core::socket::{Context, Polled, map};
use tcplens_output::archive::csvtool::{CsvTool, Shape};
use tcplens_output::archive::{Archive, ArchiveSettings, Entry, Metadata, Rewriter};
use tcplens_output::rfc3339::Rfc3339;
use tcplens_output::{MachineFormat, RecordWriter, Sink, SinkEnd};

use super::super::lines::{parquet_files, tell_left_out};
use crate::cli::{Convert, ConvertFormat};
use crate::say::say;
use crate::status::usage;

/// Bytes gathered before they go to the sink.
const BATCH: usize = 64 * 1024;

/// A format and where it goes.
pub(super) enum Target {
    /// csvtool's columns.
    Csv(CsvTool, Box<Text>),
    /// Records `socket`.
    Records(Box<Records>),
    /// Lines, one after another.
    Lines(Box<Lines>),
    /// A directory with a file per connection and segment.
    Layout(Box<Layout>),
}

/// What was read and is not in what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Lines that belong nowhere.
    pub lines: u64,
    /// Attributes of kinds that an archive has no place for.
    pub attributes: u64,
    /// Segments whose file is there already, or cannot be named.
    pub segments: u64,
    /// Why, of the first.
    pub first_segment: Option<String>,
}

/// Lines of an archive.
pub(super) struct Lines {
    clock: Rfc3339,
    text: Text,
    /// Attributes.
    left_out: u64,
}

/// Text on its way.
pub(super) struct Text {
    buffer: Vec<u8>,
    sink: Sink,
}

/// What a record tells besides its line.
pub(super) struct Records {
    writer: RecordWriter,
    /// Of the segment that is read.
    metadata: Option<Metadata>,
    /// The line before, of this socket.
    before: Option<(u64, Polled)>,
    /// Lines without a time.
    untimed: u64,
}

/// Segments by their own metadata, and connections without by their sockets' numbers.
pub(super) struct Layout {
    rewriter: Rewriter,
    archive: Archive,
    /// Lines that belong nowhere.
    unplaced: u64,
}

impl Target {
    /// Opens what the options name.
    pub(super) fn open(command: &Convert) -> Result<Target> {
        let output = command.output.as_deref();
        if command.compat && command.format != ConvertFormat::TcpInfoCsv {
            return Err(usage("--compat is for -f tcp-info-csv; leave it out"));
        }
        if let Some(path) = output
            && command.format != ConvertFormat::Archive
            && is_directory(path)
        {
            return Err(usage(format!(
                "cannot write one text to {}: it is a directory; name a file with -o",
                path.display()
            )));
        }
        if let (Some(path), ConvertFormat::Archive) = (output, command.format)
            && is_directory(path)
        {
            let settings = ArchiveSettings::new(path.into(), command.uuid_prefix.clone());
            return Ok(Target::Layout(Box::new(Layout {
                rewriter: Rewriter::new(path.into())?,
                archive: Archive::new(settings)?,
                unplaced: 0,
            })));
        }
        if command.format == ConvertFormat::Parquet {
            let Some(path) = output.filter(|path| path.as_os_str() != "-") else {
                return Err(usage(
                    "Parquet is for files, not for standard output; name one with -o FILE",
                ));
            };
            let mut writer = parquet_files(path, false)?;
            writer.expect::<Socket<'_>>()?;
            return Ok(Target::Records(Records::to(writer)));
        }
        let sink = Sink::open(output, None)?;
        let mut text = Text {
            buffer: Vec::new(),
            sink,
        };
        let records =
            |format, text: Text| Target::Records(Records::to(RecordWriter::new(format, text.sink)));
        Ok(match command.format {
            ConvertFormat::Jsonl => records(MachineFormat::Jsonl, text),
            ConvertFormat::Csv => records(MachineFormat::Csv, text),
            // It has a destination of its own.
            ConvertFormat::Parquet => return Err(usage("Parquet is for files")),
            ConvertFormat::TcpInfoCsv => {
                let shape = match command.compat {
                    true => Shape::Compat,
                    false => Shape::Corrected,
                };
                let tool = CsvTool::new(shape);
                tool.header(&mut text.buffer);
                Target::Csv(tool, Box::new(text))
            }
            ConvertFormat::Archive => Target::Lines(Box::new(Lines {
                clock: Rfc3339::default(),
                text,
                left_out: 0,
            })),
        })
    }

    /// Another file begins.
    pub(super) fn begin(&mut self) {
        match self {
            Target::Csv(tool, _) => tool.begin(),
            Target::Records(records) => (records.metadata, records.before) = (None, None),
            Target::Lines(..) | Target::Layout(_) => {}
        }
    }

    /// A line of it.
    pub(super) fn take(&mut self, entry: &Entry<'_>) -> Result<()> {
        match self {
            Target::Csv(tool, text) => tool.row(&mut text.buffer, entry),
            Target::Records(records) => return Ok(records.take(entry)?),
            Target::Lines(lines) => {
                let buffer = &mut lines.text.buffer;
                lines.left_out += entry.line().write(buffer, &mut lines.clock);
            }
            Target::Layout(layout) => {
                return layout.take(entry).context("cannot write the archive");
            }
        }
        self.hand_over(BATCH)?;
        Ok(())
    }

    /// It ends.
    pub(super) fn end(&mut self) -> Result<()> {
        match self {
            Target::Csv(..) | Target::Lines(..) | Target::Records(_) => Ok(()),
            Target::Layout(layout) => layout.rewriter.end().context("cannot write the archive"),
        }
    }

    /// All files are read. Returns what had no place.
    pub(super) fn finish(mut self) -> Result<LeftOut> {
        self.hand_over(0)?;
        let mut left_out = LeftOut::default();
        match self {
            Target::Csv(_, text) => text.sink.finish()?,
            Target::Lines(lines) => {
                lines.text.sink.finish()?;
                left_out.attributes = lines.left_out;
            }
            Target::Records(records) => {
                tell_left_out(&records.writer);
                records.writer.finish()?;
                left_out.lines = records.untimed;
            }
            Target::Layout(mut layout) => {
                let counters = layout.archive.finish();
                layout.trouble();
                let lost = counters.dropped + counters.without_cookie;
                left_out.lines = layout.unplaced + lost;
                let rewriter = &layout.rewriter;
                left_out.attributes = counters.attributes_left_out + rewriter.attributes_left_out();
                left_out.segments = rewriter.refused();
                left_out.first_segment = rewriter.first_refused().map(str::to_owned);
            }
        }
        Ok(left_out)
    }

    fn hand_over(&mut self, beyond: usize) -> Result<(), SinkEnd> {
        match self {
            Target::Csv(_, text) => text.hand_over(beyond),
            Target::Lines(lines) => lines.text.hand_over(beyond),
            Target::Records(_) | Target::Layout(_) => Ok(()),
        }
    }
}

impl Text {
    fn hand_over(&mut self, beyond: usize) -> Result<(), SinkEnd> {
        if self.buffer.len() < beyond {
            return Ok(());
        }
        let result = self.sink.write(&self.buffer);
        self.buffer.clear();
        result
    }
}

impl Records {
    fn to(writer: RecordWriter) -> Box<Records> {
        Box::new(Records {
            writer,
            metadata: None,
            before: None,
            untimed: 0,
        })
    }

    fn take(&mut self, entry: &Entry<'_>) -> Result<(), SinkEnd> {
        if let Some(metadata) = &entry.metadata {
            self.metadata = Some(metadata.clone());
        }
        let Some(message) = entry.message else {
            return Ok(());
        };
        let Some(time) = entry.at.at else {
            self.untimed += 1;
            return Ok(());
        };
        let metadata = self.metadata.as_ref();
        let ended = entry.ended.as_ref();
        let is_same = |&(cookie, _): &(u64, Polled)| cookie == message.cookie();
        let context = Context {
            time,
            uuid: metadata.map(|metadata| metadata.uuid.as_str()),
            sequence: metadata.map(|metadata| metadata.sequence.into()),
            first_seen: metadata.and_then(|metadata| metadata.start_time.at),
            before: self.before.filter(is_same).map(|(_, before)| before),
            is_final: ended.is_some_and(|ended| ended.reason.as_deref() != Some("open")),
            close: ended.and_then(|ended| close(ended.reason.as_deref()?)),
            ..Context::default()
        };
        self.before = Some((message.cookie(), Polled::of(time, message)));
        self.writer.write(&map::socket(message, &context))
    }
}

/// As the word says.
fn close(word: &str) -> Option<SocketClose> {
    let mut all = SocketClose::ALL.iter().copied();
    all.find(|close| close.word() == Some(word))
}

impl Layout {
    fn take(&mut self, entry: &Entry<'_>) -> Result<()> {
        if self.rewriter.take(entry)? {
            return Ok(());
        }
        let (Some(at), Some(message)) = (entry.at.at, entry.message) else {
            self.unplaced += 1;
            return Ok(());
        };
        let cookie = message.cookie();
        match &entry.ended {
            Some(ended) => self.archive.ended(at, at, cookie, Some(message), ended),
            None => self.archive.snapshot(at, at, cookie, message),
        }
        self.archive.tick(at);
        self.trouble();
        Ok(())
    }

    fn trouble(&mut self) {
        if let Some(trouble) = self.archive.take_trouble() {
            say(trouble);
        }
    }
}

/// One that is there, or that can only be meant as one.
fn is_directory(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/")
}
