//! What is opened while there is privilege, and what is looked up then: netlink in the namespace that was asked for, counters,
//! names of interfaces, who has which socket. Then privileges go.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tcplens_capture::cgroup::Cgroups;
use tcplens_capture::diag::{Destroyed, Diag, DiagError};
use tcplens_capture::opened::Opened;
use tcplens_capture::owners::Owners;
use tcplens_capture::{interfaces, netns};
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::Socket;
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::archive::Uuid;

use super::inside::Inside;
use super::kernel::Asking;
use crate::answer::listen::Listeners;
use crate::kernel::this_host;
use crate::live::{CGROUPS, Live};
use crate::status::usage;

/// Room for what is destroyed while a look goes on, as the kernel counts it: 1.3 KiB each. Chosen: 25,000 ends, a quarter of a
/// second of a host that closes 100,000 connections a second.
pub(crate) const ROOM: usize = 32 << 20;

/// What is open.
pub(crate) struct Sources {
    /// Asked.
    pub diag: Asking,
    /// Told; not where the kernel has no such groups, or nobody wants to know.
    pub destroyed: Option<Result<Destroyed, DiagError>>,
    /// The kernel's own view, where it was asked for.
    pub inside: Option<Inside>,
    /// The kernel's own count.
    pub opened: Option<Opened>,
    /// Names of interfaces.
    pub interfaces: HashMap<u32, String>,
    /// This host's addresses, in that namespace.
    pub addresses: Vec<IpAddr>,
    /// Inode of the namespace.
    pub netns: Option<u64>,
    /// This host since it was started, in connection ids.
    pub host: u32,
    /// Who has which socket.
    pub owners: Owners,
    /// Paths of control groups.
    pub cgroups: Cgroups,
}

impl Sources {
    /// An expression about sockets, with the interfaces that there are.
    ///
    /// # Errors
    /// The word that does not fit, or an interface that is not there.
    pub(crate) fn filter(&self, text: &str) -> Result<RecordFilter> {
        filter(text, &self.interfaces)
    }
}

/// An expression about sockets where these are the interfaces.
///
/// # Errors
/// The word that does not fit, or an interface that is not there.
pub(crate) fn filter(text: &str, interfaces: &HashMap<u32, String>) -> Result<RecordFilter> {
    let unknown = RefCell::new(None);
    let number = |name: &str| {
        let mut all = interfaces.iter();
        let found = all.find(|(_, known)| *known == name);
        if found.is_none() {
            unknown.replace(Some(name.to_owned()));
        }
        found.map(|(number, _)| u64::from(*number))
    };
    let filter = RecordFilter::parse_with::<Socket<'_>>(text, &number)?;
    let Some(name) = unknown.take() else {
        return Ok(filter);
    };
    let mut have: Vec<&str> = interfaces.values().map(String::as_str).collect();
    have.sort_unstable();
    Err(usage(format!(
        "filter: there is no interface {name} (have: {}); no socket can be bound to it",
        have.join(", ")
    )))
}

/// What is wanted besides the sockets themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    /// To be told of their ends.
    pub ends: bool,
    /// Their processes.
    pub owners: bool,
    /// The kernel's own view.
    pub inside: bool,
}

/// Opens everything, in a network namespace; and looks up processes.
///
/// # Errors
/// What cannot be opened, and what to do.
pub(crate) fn open(netns: Option<&str>, wants: Wants) -> Result<Sources> {
    let here = || -> Result<Sources> {
        let destroyed = wants.ends.then(|| Destroyed::open(ROOM));
        let diag = Diag::open().context("cannot ask for sockets")?;
        // Without names there are numbers.
        let all = interfaces::list().unwrap_or_default();
        Ok(Sources {
            diag: Asking {
                diag,
                is_here: netns.is_none(),
            },
            destroyed,
            inside: None,
            opened: Opened::open().ok(),
            addresses: all
                .iter()
                .flat_map(|interface| interface.addresses.iter().copied())
                .collect(),
            interfaces: all
                .into_iter()
                .map(|interface| (interface.index, interface.name))
                .collect(),
            netns: None,
            host: this_host(),
            owners: Owners::default(),
            cgroups: Cgroups::default(),
        })
    };
    let (mut sources, path) = match netns {
        Some(name) => (netns::within(name, here)??, name),
        None => (here()?, "/proc/self/ns/net"),
    };
    sources.netns = netns::inode(path).ok().map(u64::from);
    // The programs see all namespaces: of the others nobody wants to know.
    sources.inside = match wants.inside {
        true => Some(Inside::open(sources.netns)?),
        false => None,
    };
    if wants.owners {
        sources.owners.look();
    }
    Ok(sources)
}

/// That the kernel does not tell of ends, and what that costs.
pub(crate) fn without_ends(error: &DiagError) -> String {
    format!(
        "the kernel does not tell of the ends of sockets: {error}; what lives shorter than the interval is missed, and how \
         much that is, is said at the end"
    )
}

/// Gives up what opening took.
///
/// # Errors
/// Something could not be given up: then nothing must go on.
pub(crate) fn give_up_privileges(live: &mut Live, listeners: &Listeners) -> Result<()> {
    live.reads(PathBuf::from(CGROUPS));
    live.give_up_privileges(Some(listeners).filter(|listeners| !listeners.is_empty()))
}

/// What connections are called: by --uuid-prefix or --uuid-prefix-file, else as tcp-info does: host, when it was started (s), and
/// that nobody vouches for it.
///
/// # Errors
/// The file cannot be read, or no file could have such a name.
pub(crate) fn uuid(prefix: Option<&str>, file: Option<&Path>) -> Result<Uuid> {
    if let Some(prefix) = prefix {
        return Uuid::new(prefix).map_err(|why| {
            usage(format!(
                "--uuid-prefix {prefix:?} cannot begin the names of files: {why}"
            ))
        });
    }
    if let Some(path) = file {
        let name = path.display();
        let bytes = std::fs::read(path)
            .with_context(|| format!("cannot read {name} (--uuid-prefix-file)"))?;
        return Uuid::of_file(&bytes)
            .with_context(|| format!("what is in {name} cannot begin the names of files"));
    }
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let host = read("/proc/sys/kernel/hostname");
    let started = read("/proc/stat").and_then(|stat| {
        let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        let seconds: i64 = line.trim().parse().ok()?;
        Some(Timestamp(0).plus(seconds.checked_mul(SECOND)?))
    });
    let uuid = Uuid::of_host(None, host.as_deref().map(str::trim), started);
    uuid.context("the host's name cannot begin the names of files; write --uuid-prefix")
}
