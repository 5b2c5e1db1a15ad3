//! Loads the programs and attaches them; what is not needed for tasks may be missing.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{Map, MapData, RingBuf};
use aya::programs::links::CgroupAttachMode;
use aya::programs::{
    BtfTracePoint, CgroupSkb, CgroupSkbAttachType, Iter, Program, ProgramError, RawTracePoint,
};
use aya::{Btf, Ebpf, EbpfLoader};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::error::KernelError;
use super::iterator::Iterator;
use super::shared::Shared;
use super::{KernelOptions, ProgramCost, Variant};
use crate::cgroup;
use crate::privilege::{Need, remedy};

/// The programs as clang made them (ebpf/tasks/build).
const STORAGE: &[u8] = aya::include_bytes_aligned!("../../ebpf/tasks/storage.bpf.o");
const HASH: &[u8] = aya::include_bytes_aligned!("../../ebpf/tasks/hash.bpf.o");

/// `struct ports`.
const PORTS: usize = 65_536;
/// `struct counts`.
const COUNTS: usize = 56;
/// `struct control`.
const CONTROL: usize = 16;
/// The ring buffer, where nobody asks for another size.
const USUAL_BUFFER: u64 = 8 << 20;
/// The reader is woken when so much of it is full: in between it looks some 50 times a second.
const WAKES_AT: u32 = 1 << 20;

/// What is told where the iterator is missing.
pub(super) const IDLE: &str = "a connection that is idle does not tell of its last request until it is used again or \
                               closed, nor how it stands at the end";

/// Programs on tracepoints: its name, the tracepoint, and what is not known without it.
struct Hook {
    program: &'static str,
    tracepoint: &'static str,
    /// Empty: nothing is known without it.
    without: &'static str,
}

/// In the order in which they are attached: states are cleared up before there are any.
const HOOKS: [Hook; 8] = [
    Hook {
        program: "tl_destroy",
        tracepoint: "tcp_destroy_sock",
        without: "",
    },
    Hook {
        program: "tl_state",
        tracepoint: "inet_sock_set_state",
        without: "",
    },
    Hook {
        program: "tl_read",
        tracepoint: "tcp_rcv_space_adjust",
        without: "the processes of servers, and responses that came after a client's FIN",
    },
    Hook {
        program: "tl_error",
        tracepoint: "inet_sk_error_report",
        without: "why an attempt failed whose error its process took before it was over",
    },
    Hook {
        program: "tl_reset_in",
        tracepoint: "tcp_receive_reset",
        without: "who reset a connection",
    },
    Hook {
        program: "tl_reset_out",
        tracepoint: "tcp_send_reset",
        without: "who reset a connection, and attempts that were refused here",
    },
    Hook {
        program: "tl_synack",
        tracepoint: "tcp_retransmit_synack",
        without: "attempts whose SYN-ACK was never acknowledged",
    },
    Hook {
        program: "tl_probe",
        tracepoint: "tcp_probe",
        without: "",
    },
];

/// The one that is attached only where it is asked for.
const AT_DEVICE: Hook = Hook {
    program: "tl_leaves",
    tracepoint: "net_dev_start_xmit",
    without: "times at the device, for which the stack's are taken,",
};

/// How the programs are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Make {
    /// BTF tracepoints, a state in each socket.
    Storage,
    /// Raw tracepoints, a hash of states.
    Hash,
}

/// What is loaded and attached. Dropping it detaches.
pub(super) struct Programs {
    make: Make,
    hooks: Vec<&'static Hook>,
    /// Holds programs and links.
    loaded: Ebpf,
    pub ring: RingBuf<MapData>,
    pub ports: Shared,
    pub counts: Shared,
    pub control: Shared,
    /// Where the kernel has it.
    pub iterator: Option<Iterator>,
    /// What is not known here, for the user.
    pub limitations: Vec<String>,
}

impl Programs {
    /// Of the make that was asked for, or the best that this kernel takes; attached, but for what tells.
    pub(super) fn open(options: &KernelOptions) -> Result<Programs, KernelError> {
        let make = match options.variant {
            Variant::Best | Variant::Storage => Make::Storage,
            Variant::Hash => Make::Hash,
        };
        match Programs::of(make, options) {
            Err(KernelError::Program { why, .. }) if options.variant == Variant::Best => {
                let mut programs = Programs::of(Make::Hash, options)?;
                programs.limitations.push(format!(
                    "an older way is used, which costs the traffic more: {why}"
                ));
                Ok(programs)
            }
            done => done,
        }
    }

    fn of(make: Make, options: &KernelOptions) -> Result<Programs, KernelError> {
        let btf = Btf::from_sys_fs().map_err(|error| KernelError::NoTypes(error.to_string()))?;
        let mut loaded = load(make, options, &btf)?;
        let mut limitations = Vec::new();
        let shared = |name, size| {
            Shared::new(map_fd(&loaded, name)?, size).map_err(|error| KernelError::System {
                what: "map what the programs share",
                error,
            })
        };
        let (ports, counts, control) = (
            shared("ports", PORTS)?,
            shared("counts", COUNTS)?,
            shared("control", CONTROL)?,
        );
        let ring = loaded.take_map("events").ok_or_else(|| missing("events"))?;
        let ring = RingBuf::try_from(ring).map_err(|error| KernelError::System {
            what: "map the ring buffer",
            error: io::Error::other(error),
        })?;
        let is_old = || "it takes socket storage, which is not used here".to_owned();
        if options.peek {
            let done = match make {
                Make::Storage => peek(&mut loaded),
                Make::Hash => Err(is_old()),
            };
            if let Err(why) = done {
                limitations.push(format!(
                    "the first bytes of requests are not seen, so no protocol is known: {why}"
                ));
            }
        }
        let iterator = match make {
            Make::Storage => iterate(&mut loaded, &btf),
            Make::Hash => Err(is_old()),
        };
        let iterator = iterator
            .map_err(|why| limitations.push(format!("{IDLE}: {why}")))
            .ok();
        let at_device = options.has_device_times().then_some(&AT_DEVICE);
        let mut programs = Programs {
            make,
            hooks: at_device.into_iter().chain(&HOOKS).collect(),
            loaded,
            ring,
            ports,
            counts,
            control,
            iterator,
            limitations,
        };
        // A program that this kernel does not take is found out now, while there is still another way.
        programs.load_hooks(&btf)?;
        Ok(programs)
    }

    fn load_hooks(&mut self, btf: &Btf) -> Result<(), KernelError> {
        for hook in self.hooks.clone() {
            let done = match self.make {
                Make::Storage => program::<BtfTracePoint>(&mut self.loaded, hook.program)
                    .and_then(|it| it.load(hook.tracepoint, btf)),
                Make::Hash => program::<RawTracePoint>(&mut self.loaded, hook.program)
                    .and_then(RawTracePoint::load),
            };
            self.is_there(hook, "load", done)?;
        }
        Ok(())
    }

    /// Whether a hook can be had: one that cannot be missed must.
    fn is_there(
        &mut self,
        hook: &Hook,
        what: &'static str,
        done: Result<(), ProgramError>,
    ) -> Result<bool, KernelError> {
        match done {
            Ok(()) => Ok(true),
            Err(error) if hook.without.is_empty() => Err(refused(what, hook.tracepoint, &error)),
            Err(error) => {
                self.limitations
                    .push(format!("{} are not known: {}", hook.without, whole(&error)));
                Ok(false)
            }
        }
    }

    /// Attaches them to the tracepoints: from here on there are events.
    pub(super) fn attach(&mut self) -> Result<(), KernelError> {
        for hook in self.hooks.clone() {
            let done = match self.make {
                Make::Storage => program::<BtfTracePoint>(&mut self.loaded, hook.program)
                    .and_then(|it| it.attach().map(|_| ())),
                Make::Hash => program::<RawTracePoint>(&mut self.loaded, hook.program)
                    .and_then(|it| it.attach(hook.tracepoint).map(|_| ())),
            };
            // What was not loaded has been told of.
            if !matches!(done, Err(ProgramError::NotLoaded)) {
                self.is_there(hook, "attach to", done)?;
            }
        }
        Ok(())
    }

    /// Nothing is told any more but what the iterator tells.
    pub(super) fn detach(&mut self) {
        for (name, program) in self.loaded.programs_mut() {
            if name == "tl_all" {
                continue;
            }
            // What is not attached need not be detached.
            match program {
                Program::BtfTracePoint(program) => drop(program.unload()),
                Program::RawTracePoint(program) => drop(program.unload()),
                Program::CgroupSkb(program) => drop(program.unload()),
                _ => {}
            }
        }
    }

    /// What each cost so far, where the kernel measures.
    pub(super) fn costs(&self) -> Vec<ProgramCost> {
        let cost = |(name, program): (&str, &Program)| {
            let info = program.info().ok()?;
            Some(ProgramCost {
                name: HOOKS
                    .iter()
                    .map(|hook| hook.program)
                    .chain([AT_DEVICE.program, "tl_in", "tl_out", "tl_all"])
                    .find(|known| *known == name)?,
                runs: info.run_count(),
                ns: u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX),
            })
        };
        let mut costs: Vec<_> = self.loaded.programs().filter_map(cost).collect();
        costs.sort_by_key(|cost| cost.name);
        costs
    }
}

/// Makes the maps, and fits the programs to this kernel.
fn load(make: Make, options: &KernelOptions, btf: &Btf) -> Result<Ebpf, KernelError> {
    let flag = |is: bool| u32::from(is);
    let buffer = options.buffer.unwrap_or(USUAL_BUFFER).max(1 << 16);
    // A power of two, in pages.
    let buffer = u32::try_from(buffer.next_power_of_two()).unwrap_or(1 << 31);
    let asks = flag(options.ports.is_empty() || options.ports.iter().any(|rule| rule.is_peer));
    let (tasks, only_connections, attempts, peeks) = (
        flag(options.tasks),
        flag(options.only_connections),
        flag(options.attempts),
        flag(options.peek),
    );
    let at_device = flag(options.has_device_times());
    let netns = options.netns.unwrap_or(0);
    let wakes_at = WAKES_AT.min(buffer / 8);
    let mut thresholds = [0_u32; 4];
    for (slot, bytes) in thresholds.iter_mut().zip(&options.first_frames) {
        *slot = *bytes;
    }
    let object = match make {
        Make::Storage => STORAGE,
        Make::Hash => HASH,
    };
    let load = || {
        EbpfLoader::new()
            .btf(Some(btf))
            .map_max_entries("events", buffer)
            .override_global("asks", &asks, true)
            .override_global("wants_tasks", &tasks, true)
            .override_global("only_connections", &only_connections, true)
            .override_global("wants_attempts", &attempts, true)
            .override_global("peeks", &peeks, true)
            .override_global("at_device", &at_device, true)
            .override_global("only_netns", &netns, true)
            .override_global("wakes_at", &wakes_at, true)
            .override_global("thresholds", &thresholds[..], true)
            .override_global("skips", &options.skips, true)
            .load(object)
    };
    let loaded = match load() {
        Err(error) if is_refused(&error) && may_lock_memory() => load(),
        loaded => loaded,
    };
    loaded.map_err(|error| match is_refused(&error) {
        true => KernelError::NotPermitted {
            remedy: remedy(Need::Kernel).to_string(),
        },
        false => KernelError::Program {
            what: "load",
            program: "the programs",
            why: whole(&error),
        },
    })
}

/// Before Linux 5.11 maps are locked memory, of which a process may have little; later only the control group counts them.
fn may_lock_memory() -> bool {
    let no_limit = Rlimit {
        current: None,
        maximum: None,
    };
    setrlimit(Resource::Memlock, no_limit).is_ok()
}

/// First bytes of requests: on the way in for servers, on the way out for clients.
fn peek(loaded: &mut Ebpf) -> Result<(), String> {
    let root = cgroup::root().ok_or("the second hierarchy of cgroups is not mounted")?;
    let root = File::open(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    for (name, way) in [
        ("tl_in", CgroupSkbAttachType::Ingress),
        ("tl_out", CgroupSkbAttachType::Egress),
    ] {
        let done = program::<CgroupSkb>(loaded, name).and_then(|it| {
            it.load()?;
            it.attach(&root, way, CgroupAttachMode::Single).map(|_| ())
        });
        done.map_err(|error| whole(&error))?;
    }
    Ok(())
}

fn iterate(loaded: &mut Ebpf, btf: &Btf) -> Result<Iterator, String> {
    let it = program::<Iter>(loaded, "tl_all").map_err(|error| whole(&error))?;
    it.load("bpf_sk_storage_map", btf)
        .map_err(|error| whole(&error))?;
    let states = map_fd(loaded, "states").map_err(|error| error.to_string())?;
    let it = match loaded.program("tl_all") {
        Some(Program::Iter(it)) => it,
        _ => return Err("it is missing".to_owned()),
    };
    let fd = it.fd().map_err(|error| whole(&error))?;
    Iterator::new(fd.as_fd(), states).map_err(|error| error.to_string())
}

fn program<'p, T>(loaded: &'p mut Ebpf, name: &str) -> Result<&'p mut T, ProgramError>
where
    &'p mut T: TryFrom<&'p mut Program, Error = ProgramError>,
{
    loaded
        .program_mut(name)
        .ok_or(ProgramError::NotLoaded)?
        .try_into()
}

fn map_fd<'m>(loaded: &'m Ebpf, name: &'static str) -> Result<BorrowedFd<'m>, KernelError> {
    match loaded.map(name) {
        Some(Map::Array(data) | Map::SkStorage(data)) => Ok(data.fd().as_fd()),
        _ => Err(missing(name)),
    }
}

fn missing(program: &'static str) -> KernelError {
    KernelError::Program {
        what: "find",
        program,
        why: "the programs do not have it".to_owned(),
    }
}

fn refused(what: &'static str, program: &'static str, error: &ProgramError) -> KernelError {
    if is_refused(error) {
        return KernelError::NotPermitted {
            remedy: remedy(Need::Kernel).to_string(),
        };
    }
    KernelError::Program {
        what,
        program,
        why: whole(error),
    }
}

/// Whether it comes down to missing rights.
fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // EACCES is what the verifier says.
            return error.raw_os_error() == Some(libc::EPERM);
        }
        next = error.source();
    }
    false
}

/// An error and what is behind it, in one line that is not endless: the verifier says much.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
    let last = lines.next().unwrap_or_default().trim().to_owned();
    match text.lines().next() {
        Some(first) if text.lines().count() > 1 => format!("{} … {last}", first.trim()),
        _ => text,
    }
}
