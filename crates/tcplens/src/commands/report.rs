//! `report`: what is wrong, ranked.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Report;
use crate::sources;
use crate::status::usage;

pub(super) fn run(command: &Report) -> Result<ExitCode> {
    sources::sort(&command.common.source, false)?;
    Err(usage("report is not there yet"))
}
