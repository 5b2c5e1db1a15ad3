//! Where results go, and what of them.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Result;
use tcplens_core::filter::record::position;
use tcplens_core::record::{Health, Socket, SocketSummary};
use tcplens_output::Fields;
use tcplens_output::text::SocketOrder;
use tcplens_output::time_style::TimeFormat;

use crate::cli::{Format, SocketKind, Sockets, Sort};
use crate::commands::lines::Target;
use crate::live::Live;
use crate::names::{self, Known};
use crate::sockets::{Consumer, MachineView, Screen, TextOptions, TextView};
use crate::status::usage;

/// Who looks at what is found.
///
/// # Errors
/// Their destination cannot be opened, or a field is not known.
pub(super) fn consumers(
    command: &Sockets,
    live: &mut Live,
    known: Option<&Arc<Known>>,
) -> Result<Vec<Box<dyn Consumer>>> {
    let kinds = kinds(command);
    let chosen = Chosen::read(command, &kinds)?;
    let mut target = target(command, live)?;
    let most = command.when.count;
    let is_watching = command.is_watching();
    Ok(match command.format() {
        Format::None => Vec::new(),
        Format::Text => {
            let options = TextOptions {
                order: match &command.sort {
                    Some(Sort(order)) => *order,
                    None => SocketOrder::Trouble,
                },
                is_extended: command.extended,
                color: target.is_colored(&command.output),
                screen: match (is_watching, is_in_place(command)) {
                    (false, _) => Screen::Once,
                    (true, true) => Screen::InPlace,
                    (true, false) => Screen::Blocks,
                },
                is_terminal: to_terminal(command),
                is_quiet: command.output.quiet,
                most,
                time: TimeFormat::new(command.output.time),
                hosts: names::hosts(known),
                fields: chosen.map(|chosen| chosen.socket),
            };
            vec![Box::new(TextView::new(target, options))]
        }
        Format::Jsonl | Format::Csv | Format::Parquet => {
            // A kind that has none of them has nothing to show.
            let is_shown = |kind: &SocketKind| match (&chosen, kind) {
                (Some(chosen), SocketKind::Socket) => !chosen.socket.is_empty(),
                (Some(chosen), SocketKind::SocketSummary) => !chosen.summary.is_empty(),
                (None, _) | (_, SocketKind::Health) => true,
            };
            let kinds: Vec<_> = kinds.into_iter().filter(is_shown).collect();
            for kind in &kinds {
                match kind {
                    SocketKind::Socket => target.expect::<Socket<'_>>()?,
                    SocketKind::SocketSummary => target.expect::<SocketSummary<'_>>()?,
                    SocketKind::Health => target.expect::<Health>()?,
                }
            }
            vec![Box::new(MachineView::new(
                target,
                kinds,
                chosen.map(|chosen| [chosen.socket, chosen.summary]),
                !is_watching,
                most,
            ))]
        }
    })
}

fn to_terminal(command: &Sockets) -> bool {
    command.output.output.is_none() && std::io::stdout().is_terminal()
}

/// Whether each table takes the place of the one before.
pub(super) fn is_in_place(command: &Sockets) -> bool {
    command.format() == Format::Text && command.is_watching() && to_terminal(command)
}

/// Opens the destination.
fn target(command: &Sockets, live: &mut Live) -> Result<Target> {
    let (format, output, is_watching) = (command.format(), &command.output, command.is_watching());
    let has_kinds = command.kind.len() != 1;
    if format == Format::Parquet {
        live.finishes(output, has_kinds)?;
    }
    match has_kinds {
        true => Target::open_kinds(format, output, is_watching),
        false => Target::open(format, output, is_watching),
    }
}

/// Kinds of records that are shown.
fn kinds(command: &Sockets) -> Vec<SocketKind> {
    match (command.kind.as_slice(), command.format()) {
        (_, Format::Text) | ([], Format::Csv) => vec![SocketKind::Socket],
        ([], _) => vec![
            SocketKind::Socket,
            SocketKind::SocketSummary,
            SocketKind::Health,
        ],
        (kinds, _) => kinds.to_vec(),
    }
}

/// `--fields`: those of each kind.
struct Chosen {
    socket: Fields,
    summary: Fields,
}

impl Chosen {
    /// `None`: all of them.
    ///
    /// # Errors
    /// None of the kinds that are shown has a field of such a name.
    fn read(command: &Sockets, kinds: &[SocketKind]) -> Result<Option<Chosen>> {
        if command.fields.is_empty() {
            return Ok(None);
        }
        let (mut socket, mut summary) = (Vec::new(), Vec::new());
        // Every record has its kind.
        for name in command.fields.iter().filter(|name| *name != "kind") {
            let mut near: Vec<&'static str> = Vec::new();
            let mut is_known = false;
            for kind in kinds {
                let (found, positions) = match kind {
                    SocketKind::Socket => (position::<Socket<'_>>(name), &mut socket),
                    SocketKind::SocketSummary => {
                        (position::<SocketSummary<'_>>(name), &mut summary)
                    }
                    SocketKind::Health => continue,
                };
                match found {
                    Ok(at) => {
                        is_known = true;
                        if !positions.contains(&at) {
                            positions.push(at);
                        }
                    }
                    Err(names) => near.extend(names),
                }
            }
            if !is_known {
                return Err(usage(unknown(name, near)));
            }
        }
        Ok(Some(Chosen {
            socket: Fields::at(socket),
            summary: Fields::at(summary),
        }))
    }
}

/// Why there is no such field, and which there are.
fn unknown(name: &str, mut near: Vec<&'static str>) -> String {
    near.dedup();
    let is_summary_s = position::<SocketSummary<'_>>(name).is_ok();
    let advice = if is_summary_s {
        "it is one of socket_summary: write --kind socket_summary with -f csv, or -f jsonl"
            .to_owned()
    } else if position::<Socket<'_>>(name).is_ok() {
        "it is one of socket: write --kind socket".to_owned()
    } else if near.is_empty() {
        "write names of docs/records.md, such as local_port,remote_ip,rtt_us".to_owned()
    } else {
        format!("near it are: {}", near.join(", "))
    };
    format!("--fields: there is no field {name:?} in what is shown; {advice}")
}
