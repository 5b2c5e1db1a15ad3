//! The commands.

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_output::{MachineFormat, RecordWriter, Sink};

use crate::cli::{Cli, Command, Format};
use crate::observe;

/// Runs what was asked for.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Records(records) => {
            let mut writer = match records.format {
                Format::Jsonl => Some(RecordWriter::new(MachineFormat::Jsonl, Sink::stdout()?)),
                Format::Csv => Some(RecordWriter::new(MachineFormat::Csv, Sink::stdout()?)),
                Format::None => None,
            };
            let (health, status) = observe::observe(&records.source, |record| {
                if let Some(writer) = &mut writer {
                    let _ = match record {
                        AnyRecord::Handshake(r) => writer.write(r),
                        AnyRecord::Connection(r) => writer.write(r),
                    };
                }
            })?;
            if let Some(mut writer) = writer {
                writer.write(&health)?;
                writer.finish()?;
            }
            Ok(status)
        }
    }
}
