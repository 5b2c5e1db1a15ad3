//! tcplens: shows why TCP is slow or failing. This file is the way in; `cli` says what can be
//! asked, `commands` answer.
#![forbid(unsafe_code)]

mod agent;
mod answer;
mod cli;
mod commands;
mod gate;
mod kernel;
mod live;
mod log;
mod names;
mod observe;
mod pace;
mod pipeline;
mod progress;
mod saver;
mod say;
#[cfg_attr(not(feature = "screen"), path = "no_screen.rs")]
mod screen;
mod script;
mod signals;
mod sockets;
mod sources;
mod status;
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(cli) => commands::run(cli.command).unwrap_or_else(|error| status::of_error(&error)),
        Err(error) => status::of_clap(&error),
    }
}
