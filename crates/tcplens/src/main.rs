//! tcplens: shows why TCP is slow or failing. This file is the way in; `cli` says what can be
//! asked, `commands` answer.
#![forbid(unsafe_code)]

mod agent;
mod answer;
mod cli;
mod commands;
#[cfg(feature = "parquet")]
mod fleet;
mod gate;
mod kernel;
mod live;
mod log;
mod names;
mod observe;
#[cfg_attr(not(feature = "remote"), path = "no_otlp.rs")]
mod otlp;
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
mod topology;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(cli) => commands::run(cli.command).unwrap_or_else(|error| status::of_error(&error)),
        // Its exit statuses are others.
        Err(error) if cli::is_check(std::env::args_os()) => status::of_check(&error),
        Err(error) => status::of_clap(&error),
    }
}
