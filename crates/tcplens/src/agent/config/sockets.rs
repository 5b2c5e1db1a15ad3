//! What the agent does with the kernel's sockets, beside its sources or without any: as `tcplens sockets --archive --event-socket`.

use std::path::PathBuf;

use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::Socket;
use tcplens_core::time::Span;

use super::{Source, not_empty, path_with_slash, word};
use crate::agent::section::Section;
use crate::cli::{AnonymizeChoice, SaveWhen, values};

/// See the module. What it means is said at the options of the same names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SocketsConfig {
    /// Where tcp-info's files go.
    pub archive: Option<PathBuf>,
    /// What names of connections begin with.
    pub uuid_prefix: Option<String>,
    /// Where that is read.
    pub uuid_prefix_file: Option<PathBuf>,
    /// The archive has also connections within this host or link.
    pub include_local: bool,
    /// How often the kernel is asked.
    pub interval: Option<Span>,
    /// Percent of a core, where that does not say.
    pub cpu_budget: f64,
    /// What a change is.
    pub save_when: SaveWhen,
    /// Sockets to leave out: an expression that was read once.
    pub exclude: Option<String>,
    /// What is done to addresses.
    pub anonymize: AnonymizeChoice,
    /// Who is told of connections that open and end.
    pub event_socket: Option<PathBuf>,
    /// The namespace that is looked at.
    pub netns: Option<String>,
}

/// `None` only if a problem was told.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    sources: &[Option<Source>],
    is_seen: bool,
) -> Option<SocketsConfig> {
    let archive = section.one("archive", |text| not_empty(text).map(PathBuf::from));
    let event_socket = section.one("event_socket", path_with_slash);
    if !section.has("archive") && !section.has("event_socket") && !is_seen {
        section.problem_here(
            "neither archive nor event_socket, nor a store, nor metrics under answering: nobody would see anything",
        );
    }
    if section.has("uuid_prefix") && section.has("uuid_prefix_file") {
        section.problem(
            "uuid_prefix_file",
            "uuid_prefix says it already; leave one out",
        );
    }
    let of_files = |source: &Option<Source>| matches!(source, Some(Source::Files { .. }));
    if sources.iter().any(of_files) {
        section.problem_here(
            "sockets are those of now, files have times of their own; start an agent for each",
        );
    }
    Some(SocketsConfig {
        archive,
        uuid_prefix: section.one("uuid_prefix", not_empty),
        uuid_prefix_file: section.one("uuid_prefix_file", |text| {
            not_empty(text).map(PathBuf::from)
        }),
        include_local: section.flag("include_local"),
        interval: section.one("interval", values::seconds),
        cpu_budget: section.one("cpu_budget", values::percent)?,
        save_when: section.one("save_when", word::<SaveWhen>)?,
        exclude: section.one("exclude", expression),
        anonymize: section.one("anonymize", word::<AnonymizeChoice>)?,
        event_socket,
        netns: section.one("netns", not_empty),
    })
}

/// Names of interfaces are known when it begins: any may be one.
fn expression(text: &str) -> Result<String, String> {
    let read = RecordFilter::parse_with::<Socket<'_>>(text, &|_| Some(0));
    read.map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}
