//! Lines of text on their way to a destination: gathered, rotated, flushed when someone waits.

use anyhow::Result;
use tcplens_core::time::Timestamp;
use tcplens_output::{MachineFormat, RecordWriter, Sink, SinkEnd};

use crate::cli::{Format, Output};
use crate::say::say;

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
    Text(Lines),
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

impl Target {
    /// Opens the destination of a command's results. Live packets do not wait for it.
    pub(crate) fn open(format: Format, output: &Output, is_live: bool) -> Result<Target> {
        if format == Format::None {
            return Ok(Target::None);
        }
        // Standard output is one; then it is the saved packets that rotate.
        let rotate = output.rotate.filter(|_| output.output.is_some());
        let sink = Sink::open(output.output.as_deref(), rotate)?;
        let sink = if is_live { sink.queued() } else { sink };
        Ok(Target::to(format, sink))
    }

    /// Results of a format into an open destination.
    pub(crate) fn to(format: Format, sink: Sink) -> Target {
        match format {
            Format::Text => Target::Text(Lines {
                buffer: Vec::new(),
                sink,
                begins_again: false,
            }),
            Format::Jsonl => Target::Machine(RecordWriter::new(MachineFormat::Jsonl, sink)),
            Format::Csv => Target::Machine(RecordWriter::new(MachineFormat::Csv, sink)),
            Format::None => Target::None,
        }
    }

    /// Whether a new file may begin between two lines.
    pub(crate) fn rotates(&self) -> bool {
        match self {
            Target::Text(lines) => lines.sink.rotates(),
            Target::Machine(writer) => writer.sink().rotates(),
            Target::None => false,
        }
    }

    /// Whether text is to be coloured.
    pub(crate) fn is_colored(&self, output: &Output) -> bool {
        match self {
            Target::Text(lines) => output.color.enabled(lines.sink.is_terminal()),
            Target::Machine(_) | Target::None => false,
        }
    }

    /// Hands over what there is, if someone waits for it.
    pub(crate) fn idle(&mut self) -> Result<(), SinkEnd> {
        let trouble = match self {
            Target::Text(lines) => lines.sink.take_trouble(),
            Target::Machine(writer) => writer.sink().take_trouble(),
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
            Target::Machine(writer) if writer.sink().wants_all() => writer.flush(),
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
            Target::Machine(writer) => writer.sink().dropped(),
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
            Target::Machine(writer) => writer.finish(),
            Target::None => Ok(()),
        }
    }
}
