//! The options of the kernel's own view, and what cannot be asked for together with it.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};
use tcplens_capture::kernel::Variant;
use tcplens_core::kernel::Mode;
use tcplens_core::time::Span;

use super::requests::StatusChoice;
use super::{RequestFormat, SideChoice, values};

/// The kernel's own view.
#[derive(Args, Debug)]
#[command(next_help_heading = "Kernel")]
pub(crate) struct Kernel {
    /// Look from inside the kernel (eBPF), without packets
    #[arg(short, long)]
    pub kernel: bool,
    /// With -k: what is spoken there: 80=http,443=https
    #[arg(long, value_name = "PORT=MODE,...", value_delimiter = ',', value_parser = values::port_mode)]
    #[arg(requires = "kernel")]
    pub mode: Vec<((u16, u16), Mode)>,
    /// With -k: time so many bytes of responses, up to four
    #[arg(long, value_name = "BYTES,...", value_delimiter = ',', value_parser = values::first_frame)]
    #[arg(requires = "kernel")]
    pub first_frame: Vec<u32>,
    /// With -k: tell of answered requests after so long
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "1")]
    #[arg(requires = "kernel")]
    pub flush: Span,
    /// With -k: stamp what is sent at the device, as tcpdump does
    #[arg(long, requires = "kernel")]
    pub device_times: bool,
    /// With -k: the programs to use: best (that this kernel takes), storage (Linux 5.12) or hash (5.8)
    #[arg(long, value_name = "WHICH", default_value = "best", hide = true)]
    #[arg(requires = "kernel")]
    pub programs: VariantChoice,
}

/// `--programs`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VariantChoice {
    /// The best that there is.
    Best,
    /// BTF tracepoints and socket storage.
    Storage,
    /// Raw tracepoints and a hash of sockets.
    Hash,
}

impl From<VariantChoice> for Variant {
    fn from(choice: VariantChoice) -> Variant {
        match choice {
            VariantChoice::Best => Variant::Best,
            VariantChoice::Storage => Variant::Storage,
            VariantChoice::Hash => Variant::Hash,
        }
    }
}

/// Options that mean nothing to the kernel's view, by the names of their fields, and why.
const REFUSED: &[(&str, &str)] = &[
    ("read", "a file has packets; leave -k or -r out"),
    ("interface", "interfaces give packets; leave -k or -i out"),
    ("follow", "no file is read; leave --follow out"),
    (
        "exclude",
        "it is about packets; write an expression such as 'not port 22'",
    ),
    (
        "keep_duplicates",
        "no packet is seen twice: there are none; leave it out",
    ),
    (
        "checksum",
        "the kernel has checked them already; leave it out",
    ),
    ("snaplen", "no packet is copied; leave it out"),
    (
        "promiscuous",
        "only this host's connections are seen; leave it out",
    ),
    (
        "servers",
        "servers are known by their ports (-p), or by who connected to whom; leave --server out",
    ),
    (
        "local",
        "the kernel knows which end is this host's; leave it out",
    ),
    (
        "write",
        "there are no packets to save; capture them with -i IF -w FILE",
    ),
    (
        "threads",
        "one thread reads what the kernel tells; leave it out",
    ),
    (
        "limit_memory",
        "the kernel keeps the connections; leave it out",
    ),
    (
        "limit_connections",
        "the kernel keeps the connections; leave it out",
    ),
    (
        "timeout",
        "the kernel decides when an attempt has failed; leave it out",
    ),
    (
        "idle",
        "the kernel knows when a connection ends; leave it out",
    ),
    (
        "save_slow",
        "there are no packets to save; save all with -i IF -w FILE, and read that",
    ),
    ("payload", "there is no payload to print; leave -A out"),
];

/// Refuses what means something to the kernel's view, or to TCP-RT's lines, only.
fn check_without(matches: &ArgMatches) -> Result<(), clap::Error> {
    let has_peers = matches.try_contains_id("peer_ports").unwrap_or_default();
    let format = matches.try_get_one::<RequestFormat>("format");
    let is_tcprt = matches!(
        format,
        Ok(Some(RequestFormat::Tcprt | RequestFormat::TcprtStats))
    );
    if has_peers && !is_tcprt {
        let why = "--peer-port chooses TCP-RT's P lines (requests -f tcprt), or what the kernel looks at; write -f tcprt or -k";
        return Err(conflict(why));
    }
    Ok(())
}

/// Refuses what means nothing to the kernel's view; `matches` are those of a command.
pub(super) fn check(command: &str, matches: &ArgMatches) -> Result<(), clap::Error> {
    // Commands that look at no packets do not have it.
    let is_asked = matches.try_get_one("kernel").ok().flatten() == Some(&true);
    if !is_asked {
        return check_without(matches);
    }
    // Its sockets come from elsewhere: nothing of what it takes is about packets.
    if command == "sockets" {
        return Ok(());
    }
    let what = match command {
        "script" => Some("scripts look at"),
        "explain" => Some("explain tells of"),
        _ => None,
    };
    if let Some(what) = what {
        return Err(conflict(&format!(
            "-k shows no packets, which {what}; requests, handshakes, connections, records and report have it"
        )));
    }
    let frames = matches.get_many::<u32>("first_frame");
    if let Some(count @ 5..) = frames.map(Iterator::count) {
        return Err(conflict(&format!(
            "--first-frame has {count} numbers; four are looked at at most"
        )));
    }
    if let Ok(Some(SideChoice::Middle)) = matches.try_get_one("side") {
        let why = "--side middle cannot be used with -k (--kernel): it stands at ends; write server or client";
        return Err(conflict(why));
    }
    let statuses = matches.try_get_many::<StatusChoice>("status");
    if let Ok(Some(mut statuses)) = statuses
        && statuses.any(StatusChoice::is_what_was_answered)
    {
        return Err(conflict(
            "--status can be ok, none or unanswered with -k (--kernel): it does not see what was answered, so errors are ok there; \
             look at packets (-i) for these",
        ));
    }
    for (name, why) in REFUSED {
        let is_known = matches.try_contains_id(name).is_ok();
        let is_given = is_known
            && matches
                .value_source(name)
                .is_some_and(|source| source != ValueSource::DefaultValue);
        if is_given {
            let option = match *name {
                "servers" => "server".to_owned(),
                name => name.replace('_', "-"),
            };
            return Err(conflict(&format!(
                "--{option} cannot be used with -k (--kernel): {why}"
            )));
        }
    }
    Ok(())
}

fn conflict(why: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::ArgumentConflict, format!("{why}\n"))
}
