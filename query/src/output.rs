//! Where answers go, and in which form: printed by `tcplens_output::answer`, or a Parquet file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use tcplens_output::Sink;
use tcplens_output::answer::{Format, Printer, Settings, Value};
use tcplens_output::glyphs::Glyphs;
use tcplens_output::named::Named;

use crate::options::{PlotWhen, Query, QueryFormat};
use crate::trouble::{Result, Trouble};
use crate::values;

/// Columns where the terminal does not tell.
const WIDTH: usize = 100;

/// Where answers go.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    path: Option<PathBuf>,
    is_parquet: bool,
    color: tcplens_output::color::ColorChoice,
    settings: Settings,
}

impl Output {
    /// As the options say; `named`: the query that came along, which may be drawn.
    pub(crate) fn new(query: &Query, named: Option<&Named>) -> Output {
        let plot = named.and_then(|named| named.plot);
        // What goes over time has a row for each minute.
        let usual = match named.is_some_and(|named| named.takes_per) {
            true => PlotWhen::Only,
            false => PlotWhen::Yes,
        };
        let when = query.plot.unwrap_or(usual);
        let format = match query.format {
            QueryFormat::Text => Format::Text,
            QueryFormat::Jsonl => Format::Jsonl,
            QueryFormat::Csv => Format::Csv,
            QueryFormat::Parquet | QueryFormat::None => Format::None,
        };
        Output {
            path: query.output.clone(),
            is_parquet: query.format == QueryFormat::Parquet,
            color: query.color,
            settings: Settings {
                format,
                color: false,
                glyphs: Glyphs::choose(query.ascii),
                time: query.time,
                width: width(),
                most_rows: None,
                // Without a plot there is nothing but the table.
                has_table: plot.is_none() || when != PlotWhen::Only,
                plot: plot.filter(|_| when != PlotWhen::No),
                nothing: named.map(Named::nothing),
            },
        }
    }

    /// The same for a shell: so many rows at most.
    pub(crate) fn with_most_rows(mut self, most: u64) -> Output {
        self.settings.most_rows = Some(most);
        self
    }

    /// The same in another format.
    pub(crate) fn with_format(mut self, format: Format) -> Output {
        self.settings.format = format;
        self
    }

    /// Whether there is room for the answer of one statement only.
    pub(crate) fn takes_one(&self) -> bool {
        self.is_parquet
    }

    /// Text as it is, to standard output.
    pub(crate) fn words(text: &str) -> Result<()> {
        let mut sink = Sink::stdout().map_err(|error| Trouble::Failed(error.to_string()))?;
        sink.write(text.as_bytes())?;
        Ok(sink.finish()?)
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<Printed> {
        if self.is_parquet {
            let Some(path) = &self.path else {
                return Err(Trouble::usage(
                    "a Parquet file is written to a file: name it with -o FILE",
                ));
            };
            return Ok(Printed {
                to: To::Parquet(Box::new(Parquet::create(path)?)),
                rows: 0,
            });
        }
        let sink = Sink::open(self.path.as_deref(), None)
            .map_err(|error| Trouble::Failed(error.to_string()))?;
        let mut settings = self.settings;
        settings.color = self.color.enabled(sink.is_terminal());
        Ok(Printed {
            to: To::Text {
                sink: Box::new(sink),
                settings,
                printer: None,
                is_explained: false,
                answers: 0,
            },
            rows: 0,
        })
    }
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map(|(width, _)| usize::from(width.0))
        .or(columns)
        .unwrap_or(WIDTH)
}

/// An open output.
pub(crate) struct Printed {
    to: To,
    rows: u64,
}

enum To {
    Text {
        sink: Box<Sink>,
        settings: Settings,
        printer: Option<Box<Printer>>,
        is_explained: bool,
        answers: u64,
    },
    Parquet(Box<Parquet>),
}

impl Printed {
    /// Rows of this answer so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// An answer begins.
    pub(crate) fn begin(&mut self, schema: &SchemaRef, explains: bool) -> Result<()> {
        self.rows = 0;
        match &mut self.to {
            To::Text {
                settings,
                printer,
                is_explained,
                answers,
                sink,
            } => {
                *is_explained = explains && settings.format == Format::Text;
                if *answers > 0 && settings.format == Format::Text {
                    sink.write(b"\n")?;
                }
                *printer = Some(Box::new(Printer::new(values::columns(schema), *settings)));
                Ok(())
            }
            To::Parquet(file) => file.begin(schema),
        }
    }

    /// Rows of it.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        match &mut self.to {
            To::Text {
                sink,
                printer: Some(printer),
                is_explained,
                ..
            } => {
                let mut row = Vec::with_capacity(batch.num_columns());
                for n in 0..batch.num_rows() {
                    row.clear();
                    row.extend(
                        batch
                            .columns()
                            .iter()
                            .map(|column| values::value(column, n)),
                    );
                    if *is_explained {
                        sink.write(plan(&row).as_bytes())?;
                        continue;
                    }
                    printer.push(&row);
                    if printer.bytes().len() >= 64 * 1024 {
                        sink.write(printer.bytes())?;
                        printer.clear();
                    }
                }
                Ok(())
            }
            To::Text { .. } => Ok(()),
            To::Parquet(file) => file.push(batch),
        }
    }

    /// The answer ends; `note` stands below it, in text.
    pub(crate) fn end(&mut self, note: &str) -> Result<()> {
        if let To::Text {
            sink,
            printer,
            is_explained,
            settings,
            answers,
        } = &mut self.to
        {
            *answers += 1;
            if let Some(mut printer) = printer.take().filter(|_| !*is_explained) {
                printer.finish();
                sink.write(printer.bytes())?;
            }
            if !note.is_empty() && settings.format == Format::Text {
                sink.write(note.as_bytes())?;
            }
            sink.flush()?;
        }
        Ok(())
    }

    /// Nothing more comes.
    pub(crate) fn finish(self) -> Result<()> {
        match self.to {
            To::Text { sink, .. } => Ok(sink.finish()?),
            To::Parquet(file) => file.finish(),
        }
    }
}

/// A plan: a heading, and lines as they are.
fn plan(row: &[Value]) -> String {
    let text = |n: usize| match row.get(n) {
        Some(Value::Text(text)) => text.trim_end(),
        _ => "",
    };
    format!("{}:\n{}\n\n", text(0), text(1))
}

/// A Parquet file in the making: written aside, and renamed when it is whole.
struct Parquet {
    path: PathBuf,
    part: PathBuf,
    writer: Option<ArrowWriter<File>>,
}

impl Parquet {
    fn create(path: &Path) -> Result<Parquet> {
        let mut part = path.to_owned().into_os_string();
        part.push(".part");
        Ok(Parquet {
            path: path.to_owned(),
            part: part.into(),
            writer: None,
        })
    }

    fn begin(&mut self, schema: &SchemaRef) -> Result<()> {
        let fields = schema.fields().iter().map(|field| signed(field));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        // What a run that was killed has left there goes; a link that somebody put there is not followed.
        if let Err(error) = fs::remove_file(&self.part)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(self.failed(&error));
        }
        let file = File::create_new(&self.part).map_err(|error| self.failed(&error))?;
        let level = ZstdLevel::try_new(1).map_err(|error| self.failed(&error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(format!("tcplens-query {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties));
        self.writer = Some(writer.map_err(|error| self.failed(&error))?);
        Ok(())
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let fields = batch.schema();
        let columns = fields.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| cast(column, signed(field).data_type()));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>();
        let fields = fields
            .fields()
            .iter()
            .map(|field| signed(field))
            .collect::<Vec<_>>();
        let batch = columns
            .and_then(|columns| RecordBatch::try_new(Arc::new(Schema::new(fields)), columns));
        let batch = batch.map_err(|error| self.failed(&error))?;
        let written = self
            .writer
            .as_mut()
            .map_or(Ok(()), |writer| writer.write(&batch));
        written.map_err(|error| self.failed(&error))
    }

    fn finish(mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            writer.close().map_err(|error| self.failed(&error))?;
            fs::rename(&self.part, &self.path).map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Trouble {
        Trouble::Failed(format!("cannot write {}: {error}", self.path.display()))
    }
}

impl Drop for Parquet {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Nothing can be read of it; where it cannot go, its name says what it is.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// A column of numbers without sign as one with: not every engine reads the others. Views as what they are views of.
fn signed(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Utf8View => DataType::Utf8,
        other => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}
