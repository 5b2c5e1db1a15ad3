//! `completions` and `man`: from the definitions of the options.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::builder::{Resettable, StyledStr};
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
    let mut definition = cli::definition();
    definition.build();
    let Some(directory) = &command.what else {
        return to_stdout(&page(&definition)?);
    };
    let name = directory.to_str().unwrap_or_default();
    let is_named = |command: &&clap::Command| {
        command.get_name() == name || command.get_display_name() == Some(name)
    };
    let mut commands = std::iter::once(&definition).chain(definition.get_subcommands());
    if let Some(command) = commands.find(is_named) {
        return to_stdout(&page(command)?);
    }
    pages(&definition, directory).with_context(|| {
        format!(
            "cannot write manual pages to {}; name a directory, or a command to see its page",
            directory.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `tcplens.1`, and a page per command.
fn pages(definition: &clap::Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for command in std::iter::once(definition).chain(definition.get_subcommands()) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        std::fs::write(directory.join(format!("{name}.1")), page(command)?)?;
    }
    Ok(())
}

/// One page, with the examples as they are: the generator would fill their lines.
fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let examples = command.get_after_help().map(ToString::to_string);
    let generated = Page::new(command.clone().after_help(Resettable::<StyledStr>::Reset));
    let mut page = Vec::new();
    let source = concat!("tcplens ", env!("CARGO_PKG_VERSION"));
    generated
        .source(source)
        .manual("tcplens")
        .render(&mut page)?;
    let text = examples
        .unwrap_or_default()
        .replace('\\', "\\e")
        .replace('-', "\\-");
    write!(page, ".SH NOTES\n.nf\n{text}\n.fi\n")?;
    Ok(page)
}

/// Prints what was made; a reader who went away has seen enough.
pub(super) fn to_stdout(bytes: &[u8]) -> Result<ExitCode> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result.context("cannot write to standard output")?,
    }
    Ok(ExitCode::SUCCESS)
}
