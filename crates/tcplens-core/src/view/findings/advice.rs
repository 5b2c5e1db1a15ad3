//! What to do next about each kind of finding: one action, for whoever is on call. The table is also the list of all codes;
//! docs/findings.md explains each.

/// Every code of a finding, and what to do next.
pub const ADVICE: &[(&str, &str)] = &[
    (
        "refused",
        "Start the service, or correct the address that clients use; `ss -ltn` on the server shows what listens.",
    ),
    (
        "unanswered",
        "Find out who drops it: capture on the server, too; if the SYNs arrive there, look at its firewall and at `ss -ltn`, else at \
         the route.",
    ),
    (
        "unreachable",
        "Ask whoever runs the host that sent the ICMP message why it rejects this.",
    ),
    (
        "aborted",
        "Look into the client why it gave up: its connect timeout, or a check that only tests the port.",
    ),
    (
        "reset_in_handshake",
        "Look into the log of the service, or of the load balancer before it, for connections that it does not want.",
    ),
    (
        "unacknowledged",
        "Check the way from the server back to these clients; if they are many and unknown, it is a flood: turn SYN cookies on.",
    ),
    (
        "accept_queue",
        "Make the service accept faster (more workers), or its backlog longer; `ss -ltn` and `nstat -az TcpExtListenOverflows` on \
         the server show the queue.",
    ),
    (
        "syn_repeated",
        "Run `nstat -az TcpExtListenDrops` on the server: if it rises, its accept queue is full; if not, look for a firewall that \
         limits SYNs.",
    ),
    (
        "synack_repeated",
        "Capture nearer to the client to see where its packets, or those to it, get lost.",
    ),
    (
        "lossy_client",
        "Measure the way to this client (`mtr`), and capture nearer to it to see where packets get lost.",
    ),
    (
        "lossy_clients",
        "Check what all clients share: the uplink, its load, and errors of its interfaces (`ip -s link`).",
    ),
    (
        "lossy_server",
        "Check the way to this server: errors and drops of interfaces (`ip -s link`, the switch), and its load.",
    ),
    (
        "lossy_servers",
        "Check what all servers share: this host's interface (`ip -s link`), its switch, and their load.",
    ),
    (
        "far",
        "Put the service nearer to it, or ask less often: each question costs one round trip at least.",
    ),
    (
        "delay_varies",
        "Look for a full queue on the way: the load of the lines between, at the times when round trips are long.",
    ),
    (
        "reset_unanswered",
        "Look into the log of the service at these times: it, or a proxy before it, drops the request.",
    ),
    (
        "reset_empty",
        "Look into the log of the service: it may be full, or not allow this client.",
    ),
    (
        "reset_stale",
        "Let clients send keep-alives, or close idle connections, sooner than the idle limit of the firewall or load balancer.",
    ),
    (
        "reset_by_server",
        "Look into the log of the service at these times, if clients complain; else it is its way to close.",
    ),
    (
        "abandoned",
        "Find out why the service did not answer in time: its log, and its load at these times.",
    ),
    (
        "reset_by_client",
        "Look into the log of the client: it may have had a timeout, or enough of the answer.",
    ),
    (
        "zero_window",
        "Look at the program that reads: what it does, or waits for, at these times.",
    ),
    (
        "slow_server",
        "Look at what the server does at these times: its load, locks, and the slowest of these requests.",
    ),
    (
        "slow_dns",
        "Ask the resolver for one of these names (`dig`); if it is slow then too, look at the servers that it asks. A cache on the host \
         hides it.",
    ),
    (
        "slow_tls",
        "Look at the processor load of the server at these times; let clients keep connections, or resume sessions.",
    ),
    (
        "slow_network",
        "Ask less often, or more at once: each question costs one round trip; or move the two nearer to each other.",
    ),
    (
        "loss_slows_requests",
        "Find where packets get lost, before looking at the service: see the findings about loss.",
    ),
    (
        "window_limited",
        "Look at the program that reads: what it does, or waits for, at these times.",
    ),
    (
        "small_window",
        "Let the receiving program leave its buffer to the kernel (no SO_RCVBUF), or check the limits in net.ipv4.tcp_rmem and a \
         proxy between.",
    ),
    (
        "queueing",
        "Ask slow and quick things on different connections; then look at the slow ones.",
    ),
    (
        "slow_upload",
        "Look at the line of the client, and at how it makes what it sends.",
    ),
    (
        "slow_transfer",
        "Look at the line to the client, and at how the server makes what it sends.",
    ),
    (
        "delayed_ack",
        "Set TCP_NODELAY on the socket of the sender, or write each message at once instead of in pieces.",
    ),
    (
        "no_reuse",
        "Let the client keep connections and use them again (HTTP keep-alive, a connection pool); check that the server allows it.",
    ),
    (
        "request_errors",
        "Look into the log of the service at these times.",
    ),
    (
        "no_such_name",
        "Correct the name, or the search list (resolv.conf), of these clients; a dot at the end of a name avoids the list.",
    ),
    (
        "unanswered_requests",
        "Look into the log of the service at these times.",
    ),
    (
        "one_direction",
        "Capture where both directions come by: on the host itself, or a mirror of both ports.",
    ),
    (
        "capture_loss",
        "Capture again with a larger buffer (-B), or less (a filter), if what is missing matters.",
    ),
    (
        "kernel_drops",
        "Capture again with a larger buffer (-B), or less (a filter).",
    ),
    (
        "duplicates",
        "Capture at one point only, or analyse what each point saw alone.",
    ),
    (
        "clock",
        "Merge captures by time (mergecap), and let the clock alone while capturing.",
    ),
    (
        "abnormal_errors",
        "Look into the logs of the service, and what was changed there, at the time at which it began.",
    ),
    (
        "abnormal_connect",
        "Look whether the service runs and accepts (`ss -ltn` there), and at the way to it, since the time at which it began.",
    ),
    (
        "abnormal_loss",
        "Check what the servers concerned share: interfaces (`ip -s link`), the switch, the load of the line.",
    ),
    (
        "abnormal_latency",
        "Look at what changed when it began: a release, the load, what the server itself waits for.",
    ),
    (
        "abnormal_traffic",
        "Ask who sends these requests why there are fewer: a failing client, a name or route that leads elsewhere.",
    ),
];

/// What to do next; every code has something.
pub(in crate::view) fn of(code: &str) -> Option<&'static str> {
    let row = ADVICE.iter().find(|(known, _)| *known == code);
    debug_assert!(row.is_some(), "no advice for {code}");
    row.map(|(_, advice)| *advice)
}
