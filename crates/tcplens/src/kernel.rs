//! The kernel's own view, as it was asked for: from options and ports to the programs in the kernel.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tcplens_capture::cgroup::Cgroups;
use tcplens_capture::kernel::{AcceptQueues, Kernel, KernelOptions, PortRule};
use tcplens_capture::netns;
use tcplens_core::filter::TupleFilter;
use tcplens_core::kernel::{self as mapper, Mapper, Mode};
use tcplens_core::record::Protocol;
use tcplens_core::shard::Settings;

use crate::cli::Common;

/// The kernel's own view.
pub(crate) struct KernelSource {
    /// How.
    pub options: KernelOptions,
    /// The only network namespace that is looked at: a name, a file or an inode.
    pub netns: Option<String>,
    /// Connections that are of interest.
    pub filter: Option<TupleFilter>,
    /// What first bytes may name.
    pub protocols: Vec<Protocol>,
    /// What to say if it cannot be had: how else to see the same.
    pub unless: &'static str,
}

/// The programs, and what makes records of what they tell.
pub(crate) struct InKernel {
    /// Where events come from.
    pub source: Kernel,
    /// What becomes of them.
    pub mapper: Mapper,
}

impl KernelSource {
    /// Loads and attaches the programs, which tell what the settings want.
    ///
    /// # Errors
    /// What this kernel or these rights do not allow, and what to do.
    /// `is_beside_packets`: sockets are told of from their first moment to their last, whatever records are wanted.
    pub(crate) fn open(&self, settings: &Settings, is_beside_packets: bool) -> Result<InKernel> {
        let mut options = self.options.clone();
        options.tasks = settings.requests || settings.connections || is_beside_packets;
        options.only_connections = is_beside_packets && !settings.requests;
        // Those that failed are connections too.
        options.attempts = settings.handshakes || settings.connections || is_beside_packets;
        options.netns = self.netns.as_deref().map(netns::inode).transpose()?;
        // Of a namespace that has no name it is not known.
        let queues = match self.netns.as_deref() {
            Some(name) => netns::within(name, AcceptQueues::open)
                .ok()
                .and_then(Result::ok),
            None => AcceptQueues::open().ok(),
        };
        let kernel = Kernel::open(&options).context(self.unless)?;
        let kernel = kernel.with_accept_queues(queues);
        let mut groups = Cgroups::default();
        let mapper = Mapper::new(mapper::Settings {
            summary_bytes: settings.summary_bytes,
            protocols: self.protocols.clone(),
            host: this_host(),
            first_frames: options.first_frames,
            filter: self.filter.clone(),
            side: settings.roles.side,
            handshakes: settings.handshakes,
            requests: settings.requests,
            connections: settings.connections,
            cgroup_path: Box::new(move |number| groups.path(number).map(str::to_owned)),
            ..mapper::Settings::default()
        });
        Ok(InKernel {
            source: kernel,
            mapper,
        })
    }

    /// The first bytes of requests are wanted, for these protocols; none for all.
    pub(crate) fn peeks(&mut self, protocols: &[Protocol]) {
        self.options.peek = true;
        self.protocols = match protocols {
            [] => Protocol::ALL.to_vec(),
            named => named.to_vec(),
        };
    }
}

/// This host since it was started, in connection ids: nearly always another number than any other host's.
pub(crate) fn this_host() -> u32 {
    // A service may see no more of /proc than processes.
    let files = [
        "/proc/sys/kernel/hostname",
        "/etc/machine-id",
        "/proc/sys/kernel/random/boot_id",
    ];
    let bytes = files
        .iter()
        .flat_map(|path| std::fs::read(path).unwrap_or_default());
    // FNV-1a.
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// What the options ask of the kernel.
pub(crate) fn options(common: &Common) -> KernelOptions {
    let (who, kernel) = (&common.who, &common.kernel);
    let has_frames = kernel.first_frame.iter().any(|&bytes| bytes > 0);
    let mode_of = |port: u16| {
        let mut modes = kernel.mode.iter();
        let (_, mode) = modes.find(|(range, _)| has(&[*range], port))?;
        Some(*mode)
    };
    let ports = port_rules(|is_peer, port| {
        let (serves, asks) = (has(&who.ports, port), has(&who.peer_ports, port));
        let is_named = if is_peer { asks } else { serves };
        let mode = match mode_of(port) {
            // A port that only a mode names is a server's.
            Some(mode) if is_named || (!is_peer && !asks) => mode,
            None if is_named => Mode::Default,
            Some(_) | None => return None,
        };
        Some((mode, has_frames))
    });
    KernelOptions {
        ports,
        buffer: common.live.buffer,
        peek: kernel.mode.iter().any(|(_, mode)| *mode != Mode::Default),
        first_frames: kernel.first_frame.clone(),
        device_times: kernel.device_times,
        flush: Some(kernel.flush),
        variant: kernel.programs.into(),
        ..KernelOptions::default()
    }
}

/// Whether a port is in one of these ranges.
pub(crate) fn has(ranges: &[(u16, u16)], port: u16) -> bool {
    let mut ranges = ranges.iter();
    ranges.any(|(low, high)| (*low..=*high).contains(&port))
}

/// Rules that do not overlap, first those of local servers. `of` a port, a peer's or not: its mode, and whether thresholds
/// count there; `None`: it is not looked at.
pub(crate) fn port_rules(of: impl Fn(bool, u16) -> Option<(Mode, bool)>) -> Vec<PortRule> {
    let mut rules: Vec<PortRule> = Vec::new();
    for is_peer in [false, true] {
        for port in 1..=u16::MAX {
            let Some((mode, first_frame)) = of(is_peer, port) else {
                continue;
            };
            let rule = PortRule {
                low: port,
                high: port,
                is_peer,
                mode,
                first_frame,
            };
            match rules.last_mut() {
                Some(last) if is_next(last, &rule) => last.high = port,
                _ => rules.push(rule),
            }
        }
    }
    rules
}

/// Whether a rule of one port is what another is, and its port the next.
fn is_next(last: &PortRule, rule: &PortRule) -> bool {
    let PortRule {
        low: _,
        high,
        is_peer,
        mode,
        first_frame,
    } = *last;
    high.checked_add(1) == Some(rule.low)
        && (is_peer, mode, first_frame) == (rule.is_peer, rule.mode, rule.first_frame)
}

/// Other ports for the kernel to look at, on their way to the thread that has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewPorts(Arc<Mutex<Option<Vec<PortRule>>>>);

impl NewPorts {
    /// These from here on.
    pub(crate) fn put(&self, rules: Vec<PortRule>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rules);
    }

    /// What came since this was last asked.
    pub(crate) fn take(&self) -> Option<Vec<PortRule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Command, Later};

    /// Of a command line: low, high, whether a peer's, mode, first frames.
    fn rules(words: &str) -> Vec<(u16, u16, bool, Mode, bool)> {
        let words = ["tcplens", "records", "-k"]
            .into_iter()
            .chain(words.split_whitespace());
        let parsed = cli::parse(words.map(Into::into)).unwrap();
        let Command::Records(Later(records)) = parsed.command else {
            panic!("{words:?} is another command", words = parsed.command);
        };
        let rules = options(&records.common).ports.into_iter();
        rules
            .map(|rule| {
                (
                    rule.low,
                    rule.high,
                    rule.is_peer,
                    rule.mode,
                    rule.first_frame,
                )
            })
            .collect()
    }

    #[test]
    fn without_ports_all_connections_are_looked_at() {
        assert_eq!(rules(""), []);
    }

    #[test]
    fn modes_split_ranges_and_name_ports_of_servers() {
        assert_eq!(
            rules("-p 8000-8002 --peer-port 443,3306 --mode 8001=http,443=https,9000=default"),
            [
                (8000, 8000, false, Mode::Default, false),
                (8001, 8001, false, Mode::Http, false),
                (8002, 8002, false, Mode::Default, false),
                (9000, 9000, false, Mode::Default, false),
                (443, 443, true, Mode::Https, false),
                (3306, 3306, true, Mode::Default, false),
            ]
        );
    }

    #[test]
    fn a_port_may_be_a_server_s_and_a_peer_s() {
        assert_eq!(
            rules("-p 80 --peer-port 80-81 --mode 80=http --first-frame 1448"),
            [
                (80, 80, false, Mode::Http, true),
                (80, 80, true, Mode::Http, true),
                (81, 81, true, Mode::Default, true),
            ]
        );
        assert_eq!(
            rules("-p 80 --first-frame 0"),
            [(80, 80, false, Mode::Default, false)]
        );
        assert_eq!(
            rules("-p 65535"),
            [(65535, 65535, false, Mode::Default, false)]
        );
    }
}
