//! The kernel's own view of TCP: programs attached to its tracepoints tell of tasks, connections and attempts to connect
//! through a ring buffer. No packet is copied.

mod accept;
mod error;
mod iterator;
mod layout;
mod programs;
mod shared;

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};
use tcplens_core::kernel::{Event, Mode};
use tcplens_core::time::Span;

pub use accept::AcceptQueues;
pub use error::KernelError;
use layout::{Offset, port};
use programs::Programs;

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
    /// With `tasks`: of connections only, for whoever has no use for requests.
    pub only_connections: bool,
    /// Tells of attempts to connect.
    pub attempts: bool,
    /// Copies the first bytes of requests.
    pub peek: bool,
    /// Up to four numbers of bytes of a response; when they were acknowledged is told, at ports that ask for it.
    pub first_frames: Vec<u32>,
    /// Where tasks are told of, what is sent is stamped when it goes to the device, as tcpdump does, and not when the stack
    /// begins to send it: a program runs for each packet sent.
    pub device_times: bool,
    /// A task whose response is acknowledged is told after so long without more; `None`: when the next one begins.
    pub flush: Option<Span>,
    /// Which programs are used.
    pub variant: Variant,
    /// For tests: payload that ends at a multiple of this sequence number is not shown to the program on tcp_probe, as the
    /// kernel does not show all; 0: what comes is shown.
    pub skips: u32,
}

impl KernelOptions {
    /// Whether times at the device are told of anything.
    fn has_device_times(&self) -> bool {
        self.device_times && self.tasks && !self.only_connections
    }
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
    /// Requests whose first bytes were asked for and not seen.
    pub heads_missed: u64,
    /// Requests whose times were to be those at the device and are the stack's.
    pub times_missed: u64,
    /// How often segments with data came that the programs were not told of.
    pub probes_missed: u64,
    /// Tasks that were told of after [`KernelOptions::flush`] and whose response went on after that.
    pub told_early: u64,
    /// Connections that were dropped because nobody accepted them; `None`: it is not known.
    pub accept_overflows: Option<u64>,
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

/// Events that are handed over at once at most.
const AT_ONCE: usize = 8192;
/// How often to look at the ring buffer at least: nobody is woken for a single event.
const LOOK: Duration = Duration::from_millis(20);
/// How often the time of day is compared with the programs' time.
const COMPARE: Duration = Duration::from_secs(1);
/// Passes at the end in which what found no room may find it.
const PASSES: u32 = 1000;

/// Places in `struct counts`.
const DROPS: usize = 0;
const STORAGE_FAILED: usize = 8;
const HEADS_MISSED: usize = 16;
const POSTPONED: usize = 24;
const TIMES_MISSED: usize = 32;
const PROBES_MISSED: usize = 40;
const TOLD_EARLY: usize = 48;
/// Places in `struct control`, and what its mode may be.
const FLUSH: usize = 0;
const MODE: usize = 8;
const FLUSHES: u32 = 0;
const TELLS: u32 = 1;
const ENDS: u32 = 2;

/// The attached programs. Dropping it detaches them; nothing stays in the kernel.
pub struct Kernel {
    programs: Programs,
    events: u64,
    offset: Offset,
    compared: Instant,
    flush: Option<Duration>,
    flushed: Instant,
    /// Once it is told to end: how often all were asked.
    ending: Option<u32>,
    /// What the programs had cost when they were detached.
    costs: Option<Vec<ProgramCost>>,
    accept_queues: Option<AcceptQueues>,
    /// What they said last.
    overflows: Option<u64>,
}

impl Kernel {
    /// Loads and attaches the programs. Takes CAP_BPF and CAP_PERFMON, and CAP_NET_ADMIN for `peek`, or root; what follows
    /// takes none.
    ///
    /// # Errors
    /// What this kernel or these rights do not allow, and what to do.
    pub fn open(options: &KernelOptions) -> Result<Kernel, KernelError> {
        let mut programs = Programs::open(options)?;
        let flush = options.flush.map(|span| Duration::from_nanos(span.ns()));
        let ns = options.flush.map_or(0, Span::ns);
        programs.control.u64(FLUSH).store(ns, Ordering::Relaxed);
        mark(&programs, &options.ports);
        programs.attach()?;
        let now = Instant::now();
        Ok(Kernel {
            programs,
            events: 0,
            offset: offset(),
            compared: now,
            flush,
            flushed: now,
            ending: None,
            costs: None,
            accept_queues: None,
            overflows: None,
        })
    }

    /// Counts what these say, too.
    #[must_use]
    pub fn with_accept_queues(mut self, queues: Option<AcceptQueues>) -> Kernel {
        self.accept_queues = queues;
        self.look_at_queues();
        self
    }

    fn look_at_queues(&mut self) {
        let queues = self.accept_queues.as_ref();
        self.overflows = queues.and_then(AcceptQueues::overflows);
    }

    /// What does not work here, a line each, for the user; empty mostly.
    #[must_use]
    pub fn limitations(&self) -> &[String] {
        &self.programs.limitations
    }

    /// Hands over what has happened, in about the order in which it did, after waiting for up to `wait` if there is nothing.
    /// At most some ten thousand events at once. Says whether the ring buffer was emptied.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn poll(
        &mut self,
        wait: Duration,
        each: &mut dyn FnMut(Event),
    ) -> Result<bool, KernelError> {
        self.compare();
        self.tell_idle()?;
        let told = self.drain(each);
        if told == AT_ONCE {
            return Ok(false);
        }
        if told > 0 || self.ending.is_some() {
            return self.is_ended();
        }
        let wait = wait.min(LOOK);
        let mut fds = [PollFd::new(&self.programs.ring, PollFlags::IN)];
        let wait = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        match poll(&mut fds, Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(KernelError::System {
                    what: "wait for the kernel's events",
                    error: error.into(),
                });
            }
        }
        // Also when nobody woke us.
        Ok(self.drain(each) < AT_ONCE)
    }

    /// Hands over what has happened without a system call, mostly, and without waiting. At most some ten thousand events at once.
    /// Says whether the ring buffer was emptied.
    pub fn read(&mut self, each: &mut dyn FnMut(Event)) -> bool {
        self.compare();
        self.drain(each) < AT_ONCE
    }

    fn compare(&mut self) {
        if self.compared.elapsed() >= COMPARE {
            self.offset = offset();
            self.compared = Instant::now();
            self.look_at_queues();
        }
    }

    /// Makes all connections tell how they stand: they come with the next polls. For `--active`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn tell_all(&mut self) -> Result<(), KernelError> {
        self.run(TELLS)
    }

    /// Detaches, after every connection and task under way has told how it stands; they come with the next polls, until
    /// one says that the ring buffer was emptied.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn close(&mut self) -> Result<(), KernelError> {
        self.costs = Some(self.programs.costs());
        self.look_at_queues();
        self.programs.detach();
        self.ending = Some(0);
        self.run(ENDS)
    }

    /// Other ports from here on; connections that are looked at stay so. Takes no privilege.
    pub fn set_ports(&mut self, ports: &[PortRule]) {
        mark(&self.programs, ports);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> KernelCounts {
        let count = |at| self.programs.counts.u64(at).load(Ordering::Relaxed);
        KernelCounts {
            events: self.events,
            drops: count(DROPS),
            storage_failed: count(STORAGE_FAILED),
            heads_missed: count(HEADS_MISSED),
            times_missed: count(TIMES_MISSED),
            probes_missed: count(PROBES_MISSED),
            told_early: count(TOLD_EARLY),
            accept_overflows: self.overflows,
        }
    }

    /// What each program cost so far.
    #[must_use]
    pub fn costs(&self) -> Vec<ProgramCost> {
        match &self.costs {
            Some(costs) => costs.clone(),
            None => self.programs.costs(),
        }
    }

    /// What waits in the ring buffer; says how much that was.
    fn drain(&mut self, each: &mut dyn FnMut(Event)) -> usize {
        let mut told = 0;
        while told < AT_ONCE
            && let Some(bytes) = self.programs.ring.next()
        {
            if let Some(event) = layout::event(&bytes, self.offset) {
                each(event);
            }
            told += 1;
        }
        self.events += told as u64;
        told
    }

    /// Tasks that nothing has happened to for long are told.
    fn tell_idle(&mut self) -> Result<(), KernelError> {
        let Some(flush) = self.flush else {
            return Ok(());
        };
        let often = (flush / 2).clamp(LOOK, Duration::from_secs(1));
        if self.ending.is_some() || self.flushed.elapsed() < often {
            return Ok(());
        }
        self.flushed = Instant::now();
        self.run(FLUSHES)
    }

    /// At the end: whether all have told how they stand. What found no room is asked again.
    fn is_ended(&mut self) -> Result<bool, KernelError> {
        let Some(passes) = self.ending else {
            return Ok(true);
        };
        let postponed = self.programs.counts.u64(POSTPONED);
        let waiting = postponed.swap(0, Ordering::Relaxed);
        if waiting == 0 {
            return Ok(true);
        }
        if passes >= PASSES {
            // They are not asked again.
            let drops = self.programs.counts.u64(DROPS);
            drops.fetch_add(waiting, Ordering::Relaxed);
            return Ok(true);
        }
        self.ending = Some(passes + 1);
        self.run(ENDS)?;
        Ok(false)
    }

    fn run(&mut self, mode: u32) -> Result<(), KernelError> {
        let Some(iterator) = &self.programs.iterator else {
            return Ok(());
        };
        let control = self.programs.control.u32(MODE);
        control.store(mode, Ordering::Release);
        match iterator.run() {
            Ok(()) => Ok(()),
            // Linux before 5.19 lets nobody who has given up the right to (kernel.unprivileged_bpf_disabled); then idle
            // connections tell when they are used again.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.programs.iterator = None;
                self.programs
                    .limitations
                    .push(format!("{}: {error}", programs::IDLE));
                Ok(())
            }
            Err(error) => Err(KernelError::System {
                what: "ask all connections how they stand",
                error,
            }),
        }
    }
}

/// Which part connections play, by their ports; without any, by who connected.
fn mark(programs: &Programs, rules: &[PortRule]) {
    let bits = |number: u16| {
        if number == 0 && rules.is_empty() {
            return port::ALL;
        }
        let named = rules
            .iter()
            .filter(|rule| number > 0 && (rule.low..=rule.high).contains(&number));
        named.fold(0, |bits, rule| {
            let role = if rule.is_peer {
                port::PEER
            } else {
                port::LOCAL
            };
            let mode = match rule.mode {
                Mode::Default => 0,
                Mode::Http => port::HTTP,
                Mode::Https => port::HTTPS,
            };
            let frame = if rule.first_frame {
                port::FIRST_FRAME
            } else {
                0
            };
            bits | role | mode | frame
        })
    };
    for number in 0..=u16::MAX {
        let slot = programs.ports.u8(usize::from(number));
        slot.store(bits(number), Ordering::Relaxed);
    }
}

/// From CLOCK_MONOTONIC to CLOCK_REALTIME, now.
fn offset() -> Offset {
    let ns = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    // Of several tries the one in which the least time went by.
    let tries = (0..3).map(|_| {
        let before = ns(ClockId::Monotonic);
        let real = ns(ClockId::Realtime);
        let after = ns(ClockId::Monotonic);
        (after - before, real - (before + (after - before) / 2))
    });
    Offset(tries.min().map_or(0, |(_, offset)| offset))
}
