//! Lines of text on their way to a destination: gathered, rotated, flushed when someone waits.

use std::path::Path;

use anyhow::Result;
use tcplens_core::record::Record;
use tcplens_core::time::Timestamp;
use tcplens_output::color::ColorChoice;
#[cfg(feature = "parquet")]
use tcplens_output::parquet::ParquetFiles;
use tcplens_output::{MachineFormat, RecordWriter, Sink, SinkEnd};

use crate::cli::{Format, Output};
use crate::say::say;
use crate::status::usage;

/// Bytes of lines gathered before they go to the sink.
const BATCH: usize = 64 * 1024;

/// Text lines and where they go.
pub(crate) struct Lines {
    buffer: Vec<u8>,
    sink: Sink,
    /// What comes next is the first of another file.
    begins_again: bool,
}

/// Where results go, by `--format`.
pub(crate) enum Target {
    /// Text.
    Text(Box<Lines>),
    /// Records of any kind.
    Machine(RecordWriter),
    /// Nowhere.
    None,
}

impl Lines {
    /// Appends what `write` writes of something that began at `time`: whole lines.
    pub(crate) fn write(
        &mut self,
        time: Option<Timestamp>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), SinkEnd> {
        self.write_headed(time, |_, out| write(out))
    }

    /// The same of lines that have a header; `write` is told whether they are the first of another file than before.
    pub(crate) fn write_headed(
        &mut self,
        time: Option<Timestamp>,
        write: impl FnOnce(bool, &mut Vec<u8>),
    ) -> Result<(), SinkEnd> {
        if self.sink.rotates() && self.sink.is_due(time, self.buffer.len()) {
            self.hand_over()?;
            self.sink.rotate()?;
            self.begins_again = true;
        }
        write(std::mem::take(&mut self.begins_again), &mut self.buffer);
        if self.buffer.len() >= BATCH {
            self.hand_over()?;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), SinkEnd> {
        let result = self.sink.write(&self.buffer);
        self.buffer.clear();
        result
    }
}

/// What to say if a file has the name of another format than the text that it gets.
fn text_for(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
    let format = ["jsonl", "csv", "parquet"]
        .into_iter()
        .find(|format| plain.ends_with(&format!(".{format}")))?;
    Some(format!(
        "{} gets text; write -f {format} for that",
        path.display()
    ))
}

impl Target {
    /// Opens the destination of a command's results. Live packets do not wait for it.
    pub(crate) fn open(format: Format, output: &Output, is_live: bool) -> Result<Target> {
        match format {
            Format::None => return Ok(Target::None),
            Format::Parquet => return parquet(output, false),
            Format::Text | Format::Jsonl | Format::Csv => {}
        }
        if let (Format::Text, Some(path)) = (format, output.output.as_deref()) {
            text_for(path).iter().for_each(say);
        }
        // Standard output is one; then it is the saved packets that rotate.
        let rotate = output.rotate.filter(|_| output.output.is_some());
        let sink = Sink::open(output.output.as_deref(), rotate)?;
        let sink = if is_live { sink.queued() } else { sink };
        Ok(Target::to(format, sink))
    }

    /// The same of a command that has several kinds of records: what holds one kind becomes a directory of files.
    pub(crate) fn open_kinds(format: Format, output: &Output, is_live: bool) -> Result<Target> {
        match format {
            Format::Parquet => parquet(output, true),
            Format::Text | Format::Jsonl | Format::Csv | Format::None => {
                Target::open(format, output, is_live)
            }
        }
    }

    /// Says that records of a kind may come: [`RecordWriter::expect`].
    pub(crate) fn expect<R: Record>(&mut self) -> Result<(), SinkEnd> {
        match self {
            Target::Machine(writer) => writer.expect::<R>(),
            Target::Text(_) | Target::None => Ok(()),
        }
    }

    /// Results of a format into an open destination. Parquet has destinations of its own: [`open`](Self::open).
    pub(crate) fn to(format: Format, sink: Sink) -> Target {
        match format {
            Format::Text => Target::Text(Box::new(Lines {
                buffer: Vec::new(),
                sink,
                begins_again: false,
            })),
            Format::Jsonl => Target::Machine(RecordWriter::new(MachineFormat::Jsonl, sink)),
            Format::Csv => Target::Machine(RecordWriter::new(MachineFormat::Csv, sink)),
            Format::Parquet | Format::None => Target::None,
        }
    }

    /// Whether a new file may begin between two lines.
    pub(crate) fn rotates(&self) -> bool {
        match self {
            Target::Text(lines) => lines.sink.rotates(),
            Target::Machine(writer) => writer.rotates(),
            Target::None => false,
        }
    }

    /// Whether text is to be coloured.
    pub(crate) fn is_colored(&self, output: &Output) -> bool {
        self.is_painted(output.color)
    }

    /// The same, as somebody chose.
    pub(crate) fn is_painted(&self, choice: ColorChoice) -> bool {
        match self {
            Target::Text(lines) => choice.enabled(lines.sink.is_terminal()),
            Target::Machine(_) | Target::None => false,
        }
    }

    /// Hands over what there is, if someone waits for it.
    pub(crate) fn idle(&mut self) -> Result<(), SinkEnd> {
        let trouble = match self {
            Target::Text(lines) => lines.sink.take_trouble(),
            Target::Machine(writer) => writer.take_trouble(),
            Target::None => None,
        };
        if let Some(trouble) = trouble {
            say(trouble);
        }
        match self {
            Target::Text(lines) if lines.sink.wants_all() => {
                lines.hand_over()?;
                lines.sink.flush()
            }
            Target::Machine(writer) if writer.wants_all() => writer.flush(),
            Target::Text(_) | Target::Machine(_) | Target::None => Ok(()),
        }
    }

    /// Goes on in a new file, whatever became of the old one.
    pub(crate) fn reopen(&mut self) -> Result<(), SinkEnd> {
        match self {
            Target::Text(lines) => {
                lines.hand_over()?;
                lines.begins_again = true;
                lines.sink.reopen()
            }
            Target::Machine(writer) => writer.reopen(),
            Target::None => Ok(()),
        }
    }

    /// Hands over what there is, whoever waits.
    pub(crate) fn hand_over(&mut self) -> Result<(), SinkEnd> {
        match self {
            Target::Text(lines) => {
                lines.hand_over()?;
                lines.sink.flush()
            }
            Target::Machine(writer) => writer.flush(),
            Target::None => Ok(()),
        }
    }

    /// Waits for the destination, but not for ever: what it has not taken then, is dropped and counted.
    pub(crate) fn settle(&mut self) -> Result<(), SinkEnd> {
        match self {
            Target::Text(lines) => {
                lines.hand_over()?;
                lines.sink.settle()
            }
            Target::Machine(writer) => writer.settle(),
            Target::None => Ok(()),
        }
    }

    /// Lines that were dropped because the destination took none.
    pub(crate) fn dropped(&self) -> u64 {
        match self {
            Target::Text(lines) => lines.sink.dropped(),
            Target::Machine(writer) => writer.dropped(),
            Target::None => 0,
        }
    }

    /// Writes what is left and ends the file.
    pub(crate) fn finish(self) -> Result<(), SinkEnd> {
        match self {
            Target::Text(mut lines) => {
                lines.hand_over()?;
                lines.sink.finish()
            }
            Target::Machine(writer) => {
                tell_left_out(&writer);
                writer.finish()
            }
            Target::None => Ok(()),
        }
    }
}

/// What Parquet has no place for.
pub(super) fn tell_left_out(writer: &RecordWriter) {
    let left_out = writer.left_out();
    if left_out > 0 {
        say(format_args!(
            "{left_out} numbers are larger than Parquet's signed 64 bits (18 digits of a duration) hold; they are absent from \
             the file"
        ));
    }
}

/// Parquet is a file's format: what reads it begins at its end.
fn parquet(output: &Output, has_kinds: bool) -> Result<Target> {
    let place = output
        .output
        .as_deref()
        .filter(|path| path.as_os_str() != "-");
    let Some(place) = place else {
        return Err(usage(
            "Parquet is for files, not for standard output; name one with -o FILE, or a directory for a file of each kind with \
             -o DIR/",
        ));
    };
    if output.rotate.is_some() {
        return Err(usage(
            "--rotate makes no further Parquet files yet; leave it out, or write -f jsonl",
        ));
    }
    Ok(Target::Machine(parquet_files(place, has_kinds)?))
}

/// Parquet's destinations.
#[cfg(feature = "parquet")]
pub(super) fn parquet_files(place: &Path, has_kinds: bool) -> Result<RecordWriter> {
    let suffix = place.extension().and_then(|suffix| suffix.to_str());
    if let Some(suffix @ ("zst" | "gz")) = suffix {
        return Err(usage(format!(
            "Parquet is compressed inside; leave .{suffix} out of {}",
            place.display()
        )));
    }
    let files = ParquetFiles::open(place, has_kinds)?;
    Ok(RecordWriter::parquet(files))
}

/// As it was built.
#[cfg(not(feature = "parquet"))]
pub(super) fn parquet_files(_: &Path, _: bool) -> Result<RecordWriter> {
    Err(usage(
        "this tcplens was built without Parquet; build it with --features parquet, or write -f jsonl",
    ))
}
