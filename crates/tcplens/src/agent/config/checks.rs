//! What is wrong with the file as a whole: keys that are right alone and not together.

use tcplens_core::kernel::Mode;

use super::{Answering, PortRule, Source, ViewConfig};
use crate::agent::section::Section;
use crate::cli::ChecksumChoice;

/// What no single key can be blamed for.
pub(super) fn checked_as_a_whole(
    top: &Section<'_, '_>,
    sources: &[Option<Source>],
    views: &[Option<ViewConfig>],
) {
    let has_none = sources.is_empty() && !matches!(top.list_length("sources"), Some(1..));
    if has_none && top.has("sockets") {
        return;
    }
    if has_none {
        top.problem(
            "sources",
            "there is none; write what to capture on (- interface: any), to read (- read: FILE.pcap), or - kernel: true; or sockets: \
             for the kernel's sockets alone",
        );
    }
    let is_seen = ["answering", "otlp", "store", "anomalies"]
        .into_iter()
        .any(|name| top.has(name));
    if views.is_empty() && !is_seen && !matches!(top.list_length("views"), Some(1..)) {
        top.problem(
            "views",
            "there is none, and nothing under answering, otlp or store: nobody would see anything; write one (- kind: requests)",
        );
    }
    let known: Vec<_> = sources.iter().flatten().collect();
    let kernels = known
        .iter()
        .filter(|source| matches!(source, Source::Kernel(_)));
    let kernels = kernels.count();
    if kernels > 1 {
        top.problem(
            "sources",
            "the kernel is there more than once: it tells of all network namespaces; leave all but one out",
        );
    }
    let is_live = |source: &&Source| matches!(source, Source::Live(_));
    let live = known.iter().filter(|source| is_live(source)).count();
    let files = known
        .iter()
        .filter(|source| matches!(source, Source::Files { .. }));
    let files = files.count();
    if live > 0 && files > 0 {
        top.problem(
            "sources",
            "files and interfaces do not go together: packets of files have times of their own; start one agent for each",
        );
    }
    if kernels > 0 && files > 0 {
        top.problem(
            "sources",
            "files and the kernel's view do not go together: packets of files are of another time; start one agent for each",
        );
    }
    let follows = |follow: bool| {
        known
            .iter()
            .any(|source| matches!(source, Source::Files { follow: is, .. } if *is == follow))
    };
    if follows(true) && follows(false) {
        top.problem(
            "sources",
            "some files are followed, others are not, but all are merged by time; write follow: true for all or none",
        );
    }
    for (n, view) in views.iter().enumerate() {
        let Some(ViewConfig {
            output: Some(path), ..
        }) = view
        else {
            continue;
        };
        let same = |other: &&Option<ViewConfig>| matches!(other, Some(other) if other.output.as_ref() == Some(path));
        if views[..n].iter().any(|other| same(&other)) {
            top.problem(
                "views",
                format_args!("two views write to {}; give each a file", path.display()),
            );
        }
    }
}

/// What has no meaning where sockets are all that is looked at.
pub(super) fn checked_without_sources(
    top: &Section<'_, '_>,
    sources: &[Option<Source>],
    views: &[Option<ViewConfig>],
    answering: &Answering,
) {
    let is_alone = sources.is_empty() && !matches!(top.list_length("sources"), Some(1..));
    if !is_alone || !top.has("sockets") {
        return;
    }
    for name in [
        "filter",
        "exclude",
        "who",
        "ports",
        "protocol",
        "handshake_filters",
        "otlp",
        "anomalies",
    ] {
        if top.has(name) {
            top.problem(
                name,
                "it is about what sources see, and there is none; leave it out",
            );
        }
    }
    if !views.is_empty() {
        top.problem(
            "views",
            "they show what sources see, and there is none; write sources, or leave them out",
        );
    }
    if answering.stats_port.is_some() || answering.socket.is_some() {
        top.problem(
            "answering",
            "stats_port and socket tell what sources see, and there is none; metrics tell of sockets, too",
        );
    }
}

/// What has a meaning for packets only, or for the kernel's view only.
pub(super) fn checked_for_the_kernel(
    top: &Section<'_, '_>,
    sources: &[Option<Source>],
    ports: &[PortRule],
    (checksum, keep_duplicates): (Option<ChecksumChoice>, bool),
    is_who: bool,
) {
    let has = |is: fn(&Source) -> bool| sources.iter().flatten().any(is);
    let has_packets = has(|source| !matches!(source, Source::Kernel(_)));
    if has(|source| matches!(source, Source::Kernel(_))) {
        let is_checked = checksum.is_some_and(|checksum| checksum != ChecksumChoice::None);
        for (name, is_there) in [
            ("exclude", top.has("exclude")),
            ("checksum", is_checked && !has_packets),
            ("keep_duplicates", keep_duplicates && !has_packets),
        ] {
            if is_there {
                top.problem(
                    name,
                    match has_packets {
                        true => "packets and the kernel must leave out the same; write it into filter (filter: not ...)",
                        false => "it is about packets, which the kernel's view does not have; leave it out",
                    },
                );
            }
        }
        if is_who {
            top.problem(
                "who",
                "the kernel knows which end is this host's, and servers by their ports; leave all out but side: server or client",
            );
        }
        return;
    }
    let is_kernel_s = |rule: &PortRule| rule.mode != Mode::Default || rule.first_frame;
    if ports.iter().any(is_kernel_s) {
        top.problem(
            "ports",
            "mode and first_frame are about the kernel's view; write - kernel: true under sources, or leave them out",
        );
    }
}
