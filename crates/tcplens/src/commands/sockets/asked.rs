//! What was asked for, and what of it makes no sense.

use anyhow::Result;
use tcplens_core::filter::record::RecordFilter;

use crate::cli::{Format, Sockets};
use crate::say::say;
use crate::sockets::open::Sources;
use crate::status::usage;

/// Which sockets.
pub(super) struct Expressions {
    /// Those that are shown.
    pub filter: Option<RecordFilter>,
    /// Those of them that are left out.
    pub exclude: Option<RecordFilter>,
}

impl Expressions {
    /// As they were written, with the interfaces that there are.
    ///
    /// # Errors
    /// The word that does not fit.
    pub(super) fn read(command: &Sockets, sources: &Sources) -> Result<Expressions> {
        let words = command.which.words.iter();
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let text = words.join(" ");
        let text = Some(text.as_str()).filter(|text| !text.trim().is_empty());
        let exclude = command.which.exclude.as_deref();
        let read = |text: Option<&str>| text.map(|text| sources.filter(text)).transpose();
        let read = Expressions {
            filter: read(text)?,
            exclude: read(exclude)?,
        };
        if [text, exclude].into_iter().flatten().any(asks_for_marks) {
            say(
                "the kernel tells marks to who has CAP_NET_ADMIN when it asks, which is given up before: no socket has one here; ss shows them",
            );
        }
        Ok(read)
    }
}

/// Whether an expression looks at SO_MARK.
fn asks_for_marks(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| matches!(word, "mark" | "fwmark"))
}

/// Refuses what makes no sense.
pub(super) fn check(command: &Sockets) -> Result<()> {
    let output = &command.output;
    if output.write.is_some() {
        return Err(usage(
            "sockets sees no packets to save; leave -w (--write) out, or save them with tcplens connections -i any -w FILE",
        ));
    }
    if output.rotate.is_some() && output.output.is_none() {
        return Err(usage("--rotate is for files; name one with -o (--output)"));
    }
    let telling = [
        ("--event-socket", command.telling.event_socket.is_some()),
        ("--metrics", command.telling.metrics.is_some()),
    ];
    if let Some((option, _)) = telling.iter().find(|(_, is_asked)| *is_asked)
        && !command.is_watching()
    {
        return Err(usage(format!(
            "{option} tells of what comes; it takes --watch, or --duration or --polls"
        )));
    }
    if command.when.kernel && !command.is_watching() {
        return Err(usage(
            "-k (--kernel) tells how connections open and end; it takes --watch, --archive, --duration or --polls",
        ));
    }
    if !command.fields.is_empty() {
        match command.format() {
            Format::Text | Format::Jsonl | Format::Csv => {}
            Format::Parquet => {
                return Err(usage(
                    "--fields is not for Parquet, whose columns are chosen by who reads them; leave it out, or write -f csv",
                ));
            }
            Format::None => {
                return Err(usage(
                    "--fields says what is shown, and nothing is; write -f jsonl or csv, or leave it out (an archive has all)",
                ));
            }
        }
    }
    if command.extended && command.format() != Format::Text {
        return Err(usage(
            "-e (--extended) is for text; other formats have all fields always",
        ));
    }
    Ok(())
}
