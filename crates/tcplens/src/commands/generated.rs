//! `completions` and `man`: from the definitions of the options.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap_mangen::Man as Page;

use crate::cli::{self, Completions, Man};

pub(super) fn completions(command: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(
        command.shell,
        &mut cli::definition(),
        "tcplens",
        &mut script,
    );
    to_stdout(&script)
}

pub(super) fn man(command: &Man) -> Result<ExitCode> {
    let definition = cli::definition();
    let Some(directory) = &command.directory else {
        let mut page = Vec::new();
        Page::new(definition).render(&mut page)?;
        return to_stdout(&page);
    };
    pages(definition, directory).with_context(|| {
        format!(
            "cannot write manual pages to {}; name a directory",
            directory.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `tcplens.1`, and a page per command.
fn pages(definition: clap::Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(definition, directory)
}

fn to_stdout(bytes: &[u8]) -> Result<ExitCode> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result.context("cannot write to standard output")?,
    }
    Ok(ExitCode::SUCCESS)
}
