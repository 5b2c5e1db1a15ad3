//! The command that shows what a finding is about, to be copied into a shell. As the report of a terminal has it.

use std::fmt::Write;

use tcplens_core::record::Finding;

use super::About;

/// `tcplens connections -r shop.pcap 'host 10.0.0.7'`.
pub(super) fn show(finding: &Finding, about: &About<'_>) -> String {
    let (command, options) = match finding.code {
        "slow_server"
        | "slow_network"
        | "loss_slows_requests"
        | "window_limited"
        | "queueing"
        | "slow_upload"
        | "slow_transfer" => ("requests", " -t 100 --columns budget"),
        "request_errors" => ("requests", " --status error"),
        "no_such_name" => ("requests", " --status NXDOMAIN"),
        "unanswered_requests" => ("requests", " --status unanswered"),
        "refused" | "unanswered" | "unreachable" | "aborted" | "reset_in_handshake"
        | "unacknowledged" | "syn_repeated" | "synack_repeated" => ("handshakes", ""),
        _ => ("connections", ""),
    };
    let mut line = format!("tcplens {command}");
    if about.is_kernel {
        line.push_str(" -k");
    }
    for source in about.sources.iter().filter(|_| !about.is_kernel) {
        let is_stream = source == "-" || source.starts_with("/dev/");
        let source = if is_stream {
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

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
