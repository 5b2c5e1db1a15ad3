//! The command that shows what a finding is about, to be copied into a shell. As the report of a terminal has it.

use std::fmt::Write;

use tcplens_core::record::Finding;

use super::About;
use crate::report::show::{self, is_stream};
use crate::shell::quoted;

/// `tcplens connections -r shop.pcap 'host 10.0.0.7'`.
pub(super) fn line(finding: &Finding, about: &About<'_>) -> String {
    let (command, options) = show::command(finding.code);
    let mut line = format!("tcplens {command}");
    if about.is_kernel {
        line.push_str(" -k");
    }
    for source in about.sources.iter().filter(|_| !about.is_kernel) {
        let source = if is_stream(source) {
            "FILE".to_owned()
        } else {
            quoted(source)
        };
        let option = if about.is_live { "-i" } else { "-r" };
        // Writing to a String cannot fail.
        let _ = write!(line, " {option} {source}");
    }
    if let Some(name) = about.netns {
        let _ = write!(line, " --netns {}", quoted(name));
    }
    line.push_str(options);
    if let Some(filter) = &finding.filter {
        // What concerns everything concerns what the user selected.
        let filter = match (filter.as_str(), about.filter) {
            ("tcp", Some(own)) => own,
            (filter, _) => filter,
        };
        let _ = write!(line, " '{}'", filter.replace('\'', "'\\''"));
    }
    line
}
