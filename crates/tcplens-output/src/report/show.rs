//! Which command shows what a finding is about. The report of a terminal and the page
//! both say it; neither what is around it nor its colour is here.

/// The command, and its options: those that find the records that a finding of this code counted.
pub(crate) fn command(code: &str) -> (&'static str, &'static str) {
    match code {
        "slow_server"
        | "slow_network"
        | "loss_slows_requests"
        | "window_limited"
        | "queueing"
        | "slow_tls"
        | "small_window"
        | "slow_upload"
        | "slow_transfer" => ("requests", " -t 100 --columns budget"),
        "slow_dns" => ("requests", " -t 200"),
        "request_errors" => ("requests", " --status error"),
        "no_such_name" => ("requests", " --status NXDOMAIN"),
        "unanswered_requests" => ("requests", " --status unanswered"),
        "refused" | "unanswered" | "unreachable" | "aborted" | "reset_in_handshake"
        | "unacknowledged" | "accept_queue" | "syn_repeated" | "synack_repeated" => {
            ("handshakes", "")
        }
        _ => ("connections", ""),
    }
}

/// Standard input, or what a shell made for `<(...)`.
pub(crate) fn is_stream(source: &str) -> bool {
    source == "-" || source.starts_with("/dev/")
}
