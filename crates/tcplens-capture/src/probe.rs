//! What this machine allows, found by trying and by reading /proc and /sys: for `doctor`. Nothing is left open or changed,
//! and nothing is judged here.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::geteuid;
use tcplens_core::kernel::Mode;
use tcplens_core::socket::Message;

use crate::diag::{
    Bytecode, Condition, Destroyed, Diag, DiagError, Family, Request, wait_readable,
};
use crate::interfaces::{self, Interface};
use crate::kernel::{Kernel, KernelOptions, PortRule};
use crate::privilege::{Need, Plan, remedy};
use crate::ring::Ring;
use crate::{landlock, netns};

/// What this machine allows. `None`: not known.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `Linux 6.12.1`.
    pub kernel: Option<String>,
    /// Who runs this.
    pub uid: u32,
    /// Whom a live run becomes; `None` if it stays who it is.
    pub becomes: Option<String>,
    /// Why it stays root.
    pub still_root: Option<String>,
    /// Packets can be captured; or what the kernel said, and what to do.
    pub packets: Result<(), Refusal>,
    /// A ring can be made and shared among threads; or why not.
    pub ring: Result<(), String>,
    /// Bytes that can still be had.
    pub available_memory: Option<u64>,
    /// The interfaces, or why they cannot be told.
    pub interfaces: Result<Vec<Interface>, String>,
    /// Other network namespaces can be entered, or what to do.
    pub namespaces: Result<(), String>,
    /// The names of those that have one.
    pub namespace_names: Vec<String>,
    /// Which version of landlock there is.
    pub landlock: Option<u32>,
    /// What dumps of the kernel's sockets give; or what the kernel said.
    pub sockets: Result<SockDiag, String>,
    /// What the kernel tells of the ends of sockets; or what it said.
    pub ends: Result<DestroyGroups, String>,
    /// The kernel describes its types (BTF).
    pub btf: bool,
    /// Programs in the kernel are permitted, or what to do.
    pub hooks: Result<(), String>,
    /// How far the kernel is locked down: `none`, `integrity` or `confidentiality`.
    pub lockdown: Option<String>,
    /// The kernel measures what programs cost.
    pub measures_programs: Option<bool>,
    /// The kernel's view can be had, but for these things; or why not. `None`: not tried, for it is not permitted.
    pub kernel_view: Option<Result<Vec<String>, String>>,
    /// Where the kernel's time comes from.
    pub clock: Option<String>,
}

/// What the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it said.
    pub error: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Machine {
    /// Looks at this one; for ends of sockets that wait it asks for so many bytes.
    #[must_use]
    pub fn look(ends_bytes: usize) -> Machine {
        let word = |path: &str| Some(fs::read_to_string(path).ok()?.trim().to_owned());
        let permitted = |need| {
            let remedy = remedy(need);
            if remedy.is_needed() {
                Err(remedy.to_string())
            } else {
                Ok(())
            }
        };
        let plan = Plan::new(None).ok();
        let hooks = permitted(Need::Kernel);
        Machine {
            kernel: word("/proc/sys/kernel/osrelease").map(|release| format!("Linux {release}")),
            uid: geteuid().as_raw(),
            becomes: plan
                .as_ref()
                .and_then(|plan| Some(plan.user()?.name.clone())),
            still_root: plan
                .as_ref()
                .and_then(|plan| Some(plan.still_root()?.to_owned())),
            packets: packet_socket().map_err(|error| Refusal {
                remedy: (error.kind() == io::ErrorKind::PermissionDenied)
                    .then(|| remedy(Need::Packets).to_string()),
                error: error.to_string(),
            }),
            ring: Ring::probe().map_err(|error| error.to_string()),
            available_memory: fs::read_to_string("/proc/meminfo")
                .ok()
                .and_then(|text| available(&text)),
            interfaces: interfaces::list().map_err(|error| error.to_string()),
            namespaces: permitted(Need::Namespace),
            namespace_names: netns::names(),
            landlock: landlock::version(),
            sockets: sock_diag().map_err(|error| error.to_string()),
            ends: destroy_groups(ends_bytes).map_err(|error| error.to_string()),
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            lockdown: word("/sys/kernel/security/lockdown").and_then(|words| chosen(&words)),
            measures_programs: word("/proc/sys/kernel/bpf_stats_enabled").map(|word| word != "0"),
            kernel_view: hooks.is_ok().then(kernel_view),
            hooks,
            clock: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        }
    }
}

/// Attaches the programs of the kernel's view, and takes them away again. What does not work with them.
fn kernel_view() -> Result<Vec<String>, String> {
    let options = KernelOptions {
        tasks: true,
        attempts: true,
        peek: true,
        // No port has this number: nothing is looked at.
        ports: vec![PortRule {
            low: 0,
            high: 0,
            is_peer: false,
            mode: Mode::Default,
            first_frame: false,
        }],
        ..KernelOptions::default()
    };
    let kernel = Kernel::open(&options).map_err(|error| error.to_string())?;
    Ok(kernel.limitations().to_vec())
}

/// The word in brackets: `none [integrity] confidentiality`.
fn chosen(words: &str) -> Option<String> {
    let (_, word) = words.split_once('[')?;
    Some(word.split_once(']')?.0.to_owned())
}

/// Opens a packet socket, which gets no packets. What it takes is CAP_NET_RAW.
///
/// # Errors
/// What the kernel said.
pub fn packet_socket() -> io::Result<()> {
    let family = AddressFamily::PACKET;
    // Without a protocol nothing is delivered (packet(7)).
    socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    Ok(())
}

/// What dumps of the kernel's sockets give here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockDiag {
    /// Bytes of this kernel's tcp_info; `None`: not known, for no socket could be made to ask for.
    pub tcp_info_bytes: Option<usize>,
    /// The kernel decides conditions itself.
    pub filters: bool,
}

/// Dumps a socket of our own. It takes no privilege.
///
/// # Errors
/// What the kernel said.
pub fn sock_diag() -> Result<SockDiag, DiagError> {
    let mut diag = Diag::open()?;
    // A listener: nobody can connect before it is gone.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|own| Ok((own.local_addr()?.port(), own)))
        .ok();
    let number = port.as_ref().map_or(0, |(port, _)| *port);
    let bytecode = Bytecode::new(&Condition::SourcePort(number, number)).ok();
    let mut tcp_info_bytes = None;
    let mut look = |bytecode: Option<&Bytecode>| {
        let request = Request {
            bytecode,
            ..Request::all(Family::V4)
        };
        diag.dump(&request, &mut |_, bytes| {
            let info = Message::new(bytes).and_then(Message::tcp_info);
            tcp_info_bytes = tcp_info_bytes.or(info.map(|info| info.bytes().len()));
        })
    };
    let filters = match look(bytecode.as_ref()) {
        Ok(_) => true,
        Err(DiagError::Refused { .. }) => {
            look(None)?;
            false
        }
        Err(error) => return Err(error),
    };
    Ok(SockDiag {
        tcp_info_bytes,
        filters,
    })
}

/// What the groups of destroyed sockets give here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestroyGroups {
    /// A socket of our own was told of when it was closed.
    pub is_told: bool,
    /// Bytes that may wait, as the kernel counts them.
    pub buffer_bytes: usize,
}

/// Joins the groups, with room for so many bytes as far as that is permitted, and closes a socket. It takes no privilege.
///
/// # Errors
/// What the kernel said.
pub fn destroy_groups(buffer_bytes: usize) -> Result<DestroyGroups, DiagError> {
    /// The kernel tells by a worker of its own, within milliseconds.
    const PATIENCE: Duration = Duration::from_secs(1);
    let mut destroyed = Destroyed::open(buffer_bytes)?;
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let port = own.and_then(|own| own.local_addr()).map(|end| end.port());
    let began = Instant::now();
    let mut is_told = false;
    while let Ok(port) = port
        && !is_told
        && began.elapsed() < PATIENCE
    {
        destroyed.read(&mut |_, bytes| {
            is_told |= Message::new(bytes).is_some_and(|message| message.local().1 == port);
        })?;
        if !is_told && wait_readable(&destroyed, PATIENCE).is_err() {
            break;
        }
    }
    Ok(DestroyGroups {
        is_told,
        buffer_bytes: destroyed.buffer_bytes(),
    })
}

/// MemAvailable of /proc/meminfo, in bytes. It is what bounds a ring: its pages are the kernel's, so that neither
/// RLIMIT_MEMLOCK nor the limit of a control group counts them (alloc_pg_vec in net/packet/af_packet.c).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text = "MemTotal:       4000000 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(available(text), Some(1 << 20));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: many kB\n"), None);
    }

    #[test]
    fn how_far_the_kernel_is_locked_down_stands_in_brackets() {
        let word = |text: &str| chosen(text);
        assert_eq!(
            word("none [integrity] confidentiality").as_deref(),
            Some("integrity")
        );
        assert_eq!(
            word("[none] integrity confidentiality").as_deref(),
            Some("none")
        );
        assert_eq!(word(""), None);
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let machine = Machine::look(1 << 20);
        assert!(machine.kernel.is_some());
        assert!(machine.interfaces.is_ok());
        assert_eq!(machine.packets.is_err(), packet_socket().is_err());
    }
}
