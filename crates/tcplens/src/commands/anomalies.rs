//! `anomalies`: what is abnormal in a store, since when, and which component is to blame.

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::record::Finding;
use tcplens_core::view::anomaly::finding;
use tcplens_output::Sink;
use tcplens_output::anomalies::{About, AnomalyOptions, Told, render};
use tcplens_output::glyphs::Glyphs;

use super::lines::Target;
use super::{no_format, report};
use crate::cli::{Anomalies, Format};
use crate::say::say;
use crate::status;
use learn::{Learned, STALE, learn, nanoseconds};

pub(crate) mod learn;
pub(crate) mod source;

pub(super) fn run(command: &Anomalies) -> Result<ExitCode> {
    if command.format == Format::Parquet {
        return Err(no_format(
            "anomalies",
            command.format,
            "write text, jsonl, csv or none",
        ));
    }
    let learned = learn(&command.history, STALE, |until| match command.since {
        Some(since) => since.resolve(until),
        None => until.plus(-nanoseconds(command.last)),
    })?;
    let mut target = match command.format {
        Format::None => Target::None,
        format => Target::to(format, Sink::open(command.output.as_deref(), None)?),
    };
    let is_colored = target.is_painted(command.color);
    let told = told(&learned);
    match &mut target {
        Target::Text(lines) => {
            let about = About {
                store: &command.history.store,
                window: learned.window,
                behind: learned.behind(),
                watching: learned.watching,
                places: learned.places,
                left_out: learned.left_out,
            };
            let options = AnomalyOptions {
                width: report::width(),
                color: is_colored,
                glyphs: Glyphs::choose(command.ascii),
            };
            let text = match learned.newest {
                Some(_) => render(&told, &about, options),
                None => format!("{}\n", nothing(&command.history.store)),
            };
            lines.write(None, |out| out.extend_from_slice(text.as_bytes()))?;
        }
        Target::Machine(writer) => {
            writer.expect::<Finding>()?;
            for told in &told {
                writer.write(&told.finding)?;
            }
        }
        Target::None => {}
    }
    target.finish()?;
    learned.damages.iter().for_each(say);
    Ok(match learned.damages.is_empty() {
        true => ExitCode::SUCCESS,
        false => status::partial(),
    })
}

/// Findings, ranked.
fn told(learned: &Learned) -> Vec<Told> {
    let ranked = learned.troubles.iter().zip(1..);
    ranked
        .map(|(trouble, rank)| Told {
            finding: finding(trouble, rank),
            goes_on: !trouble.is_over,
        })
        .collect()
}

/// What to say of a store without rollups.
pub(super) fn nothing(store: &str) -> String {
    format!(
        "{store} has no rollups: nothing was stored there yet; a live run writes the first after some minutes \
         (--store-interval)"
    )
}
