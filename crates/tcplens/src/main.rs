//! tcplens: shows why TCP is slow or failing. This file is the way in; `cli` says what can be asked, `commands` answer.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod observe;
mod status;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    commands::run(cli).unwrap_or_else(|error| {
        eprintln!("tcplens: {error:#}");
        status::FAILED
    })
}
