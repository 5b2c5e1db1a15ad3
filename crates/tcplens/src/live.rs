//! What is captured live or asked of the kernel, and how: from the options to open rings and programs, and how privileges go once everything is open.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tcplens_capture::ring::{Ring, RingOptions};
use tcplens_capture::{interfaces, landlock, netns, privilege, resolve};
use tcplens_core::record::Protocol;
use tcplens_core::roles::Network;
use tcplens_core::shard::Settings;

use crate::answer::listen::Listeners;
use crate::answer::page::Observed;
use crate::cli::{self, Common};
use crate::kernel::{self, InKernel, KernelSource};
use crate::say::say;
use crate::sources::Words;

/// Live packets, as they were asked for.
pub(crate) struct Live {
    sources: Vec<Source>,
    /// The kernel itself.
    kernel: Option<KernelSource>,
    privileges: privilege::Plan,
    /// Files that are written.
    outputs: Vec<PathBuf>,
    /// Directories in which files and directories are made later.
    archives: Vec<PathBuf>,
    /// Directories of unix sockets, beside those that the run itself answers at.
    served: Vec<PathBuf>,
    /// Files that are read later.
    inputs: Vec<PathBuf>,
    /// Whether more files are made later (the agent's reload, and its rotation).
    makes_files: bool,
    /// Whether the run is worth nothing where that fails (`--rotate`).
    rotates: bool,
    /// Whether to keep to these.
    is_confined: bool,
    is_verbose: bool,
    /// Whether to say that packets are captured.
    is_announced: bool,
}

/// Interfaces of one network namespace.
pub(crate) struct Source {
    /// Which, and how.
    pub options: RingOptions,
    /// The namespace.
    pub netns: Option<String>,
}

/// What is open.
pub(crate) struct Opened {
    /// The programs in the kernel.
    pub kernel: Option<InKernel>,
    /// By source, one for each thread.
    pub rings: Vec<Vec<Ring>>,
    /// This host's addresses.
    pub local: Vec<Network>,
    /// Interfaces that are switched off.
    pub down: Vec<String>,
}

impl Live {
    /// As the options say; `words` name no file.
    ///
    /// # Errors
    /// There is no such user, or it cannot be become.
    pub(crate) fn new(common: &Common, words: &Words) -> Result<Live> {
        if common.kernel.kernel {
            let source = KernelSource {
                options: kernel::options(common),
                netns: common.live.netns.clone(),
                filter: words.tuple_filter.clone(),
                protocols: Vec::new(),
                unless: "cannot look from inside the kernel (-k); -i any shows the same from packets",
            };
            return Live::with(common, Vec::new(), Some(source));
        }
        let cli::Live {
            buffer,
            snaplen,
            promiscuous,
            netns,
            ..
        } = &common.live;
        let source = Source {
            options: RingOptions {
                interfaces: words.interfaces.clone(),
                buffer: buffer.unwrap_or(RING),
                snaplen: *snaplen,
                promiscuous: *promiscuous,
                filter: words.filter.clone(),
            },
            netns: netns.clone(),
        };
        Live::with(common, vec![source], None)
    }

    fn with(common: &Common, sources: Vec<Source>, kernel: Option<KernelSource>) -> Result<Live> {
        let live = Live::of_output(&common.output, common.live.user.as_deref())?;
        Ok(Live {
            sources,
            kernel,
            ..live
        })
    }

    /// Of no source yet: what is written, and whom the process becomes.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn of_output(output: &cli::Output, user: Option<&str>) -> Result<Live> {
        let files = [&output.output, &output.write];
        let outputs = files.into_iter().flatten().cloned().collect();
        let live = Live::of(Vec::new(), None, user, outputs, output.verbose > 0)?;
        Ok(Live {
            makes_files: false,
            rotates: output.rotate.is_some(),
            is_announced: !output.quiet,
            ..live
        })
    }

    /// Of several sources; `outputs` are files that are written.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn of(
        sources: Vec<Source>,
        kernel: Option<KernelSource>,
        user: Option<&str>,
        outputs: Vec<PathBuf>,
        is_verbose: bool,
    ) -> Result<Live> {
        let is_file = |path: &PathBuf| path.as_os_str() != "-";
        Ok(Live {
            sources,
            kernel,
            privileges: privilege::Plan::new(user)?,
            outputs: outputs.into_iter().filter(is_file).collect(),
            archives: Vec::new(),
            served: Vec::new(),
            inputs: Vec::new(),
            is_confined: true,
            is_verbose,
            makes_files: true,
            rotates: false,
            is_announced: false,
        })
    }

    /// Says on which interfaces packets are captured.
    pub(crate) fn announced(mut self) -> Live {
        self.is_announced = true;
        self
    }

    /// Whether what begins is told.
    pub(crate) fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// Whether it is the kernel that tells, and nothing else.
    pub(crate) fn is_kernel_alone(&self) -> bool {
        self.kernel.is_some() && self.sources.is_empty()
    }

    /// The first bytes of requests are wanted, for these protocols; none for all.
    pub(crate) fn peeks(&mut self, protocols: &[Protocol]) {
        if let Some(kernel) = &mut self.kernel {
            kernel.peeks(protocols);
        }
    }

    /// A file that is read later.
    pub(crate) fn reads(&mut self, path: PathBuf) {
        self.inputs.push(path);
    }

    /// Names of servers are looked up later.
    pub(crate) fn resolves(&mut self) {
        self.inputs.extend(resolve::FILES.iter().map(PathBuf::from));
    }

    /// Somebody answers at these later, beside the run itself.
    ///
    /// # Errors
    /// A socket cannot become the new user's.
    pub(crate) fn serves(&mut self, listeners: &Listeners) -> Result<()> {
        if let Some(user) = self.privileges.user() {
            listeners.give_to(user.uid, user.gid)?;
        }
        self.served
            .extend(listeners.directory().map(Path::to_path_buf));
        Ok(())
    }

    /// A directory in which files are made later, by whomever the process becomes. One that is made now is that user's.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn keeps(&mut self, directory: PathBuf) -> Result<()> {
        if !directory.exists() {
            let made =
                fs::create_dir_all(&directory).and_then(|()| self.privileges.give_path(&directory));
            made.with_context(|| {
                format!(
                    "cannot make the directory {}; name another one",
                    directory.display()
                )
            })?;
        }
        self.archives.push(directory);
        Ok(())
    }

    /// Parquet files get their names when they are complete, from whomever the process has become; `has_kinds`: they are in a
    /// directory of their own.
    ///
    /// # Errors
    /// That directory cannot be made.
    pub(crate) fn finishes(&mut self, output: &cli::Output, has_kinds: bool) -> Result<()> {
        let Some(place) = output
            .output
            .as_deref()
            .filter(|path| path.as_os_str() != "-")
        else {
            return Ok(());
        };
        let ends_so = place.as_os_str().as_encoded_bytes().ends_with(b"/");
        if has_kinds || ends_so || place.is_dir() {
            return self.keeps(place.to_owned());
        }
        match place.parent() {
            Some(parent) if parent != Path::new("") => self.keeps(parent.to_owned()),
            _ => self.keeps(PathBuf::from(".")),
        }
    }

    /// Which processes have which sockets is looked up later, too.
    pub(crate) fn keeps_processes(&mut self) {
        self.privileges = self.privileges.clone().keeping_processes();
        // Landlock forbids to look at processes outside of it.
        self.is_confined = false;
    }

    /// A script may open files and run programs.
    pub(crate) fn unconfined(&mut self) {
        self.is_confined = false;
    }

    /// What is observed, for people. Where several sources have filters of their own, none is told.
    pub(crate) fn observed(&self) -> Observed {
        let filters = self
            .sources
            .iter()
            .filter_map(|source| source.options.filter.as_ref());
        let mut filters = filters.map(|filter| filter.text().to_owned());
        let kernel = self.kernel.as_ref();
        let mut netns = self
            .sources
            .iter()
            .filter_map(|source| source.netns.clone());
        let names = self.sources.iter();
        let names = names.flat_map(|source| source.options.interfaces.iter().cloned());
        let of_kernel = kernel.and_then(|kernel| kernel.filter.as_ref());
        Observed {
            sources: names
                .chain(kernel.map(|_| "the kernel".to_owned()))
                .collect(),
            is_kernel: self.is_kernel_alone(),
            filter: filters
                .next()
                .filter(|_| self.sources.len() == 1)
                .or_else(|| of_kernel.map(|filter| filter.text().to_owned())),
            netns: netns
                .next()
                .or_else(|| kernel.and_then(|kernel| kernel.netns.clone())),
        }
    }

    /// Names of interfaces, if all are in this network namespace.
    pub(crate) fn interfaces_here(&self) -> Vec<String> {
        let sources = self.sources.iter();
        let names = sources.flat_map(|source| source.options.interfaces.iter().cloned());
        match self.sources.iter().any(|source| source.netns.is_some()) {
            true => Vec::new(),
            false => names.collect(),
        }
    }

    /// Opens the rings, one for each thread, in the network namespaces that were asked for; and the kernel's view, which tells
    /// what the settings want.
    ///
    /// # Errors
    /// What cannot be opened, and what to do.
    pub(crate) fn open(&self, threads: usize, settings: &Settings) -> Result<Opened> {
        let mut opened = Opened {
            kernel: None,
            rings: Vec::new(),
            local: Vec::new(),
            down: Vec::new(),
        };
        for source in &self.sources {
            let open = || -> Result<_> {
                let rings = Ring::open(&source.options, threads)?;
                let all = interfaces::list()?;
                let is_asked = |name: &String| source.options.interfaces.contains(name);
                let down = all
                    .iter()
                    .filter(|one| !one.is_up)
                    .map(|one| one.name.clone());
                let down: Vec<_> = down.filter(is_asked).collect();
                Ok((rings, interfaces::local_addresses()?, down))
            };
            let (rings, local, down) = match &source.netns {
                Some(name) => netns::within(name, open)??,
                None => open()?,
            };
            opened.rings.push(rings);
            opened.down.extend(down);
            opened.local.extend(local.into_iter().filter_map(alone));
        }
        if let Some(source) = &self.kernel {
            opened.kernel = Some(source.open(settings, !self.sources.is_empty())?);
            let local = match &source.netns {
                Some(name) if !netns::is_inode(name) => {
                    netns::within(name, interfaces::local_addresses)??
                }
                _ => interfaces::local_addresses()?,
            };
            opened.local.extend(local.into_iter().filter_map(alone));
        }
        Ok(opened)
    }

    /// Gives up what opening took. Call it when all is open and there is one thread.
    ///
    /// # Errors
    /// Something could not be given up: then nothing must be captured.
    pub(crate) fn give_up_privileges(&self, listeners: Option<&Listeners>) -> Result<()> {
        if let (Some(listeners), Some(user)) = (listeners, self.privileges.user()) {
            listeners.give_to(user.uid, user.gid)?;
        }
        // A device, a pipe or what a link points to belongs to others.
        let is_own =
            |file: &&PathBuf| fs::symlink_metadata(file).is_ok_and(|metadata| metadata.is_file());
        for file in self.outputs.iter().filter(is_own) {
            self.privileges.give_path(file).with_context(|| {
                format!(
                    "cannot make {} the new user's; --user names another",
                    file.display()
                )
            })?;
        }
        let dropped = self.privileges.drop()?;
        let directories = self.outputs.iter().map(|file| match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        });
        let mut directories: Vec<&Path> = directories.collect();
        if let Some(why) = &dropped.still_root {
            say(format_args!("still root: {why}"));
        }
        for directory in &directories {
            if self.makes_files
                && let Some(warning) = dropped.warning(directory)
            {
                say(warning);
            }
            // Told now and not by the first rotation, hours later.
            if self.rotates
                && let Some((why, what_to_do)) = dropped.refusal(directory)
            {
                bail!("cannot rotate files: {why}; {what_to_do}");
            }
        }
        for directory in &self.archives {
            if let Some((why, what_to_do)) = dropped.refusal(directory) {
                bail!("cannot make files there later: {why}; {what_to_do}");
            }
        }
        let served = self.served.iter().map(PathBuf::as_path);
        let served: Vec<&Path> = served
            .chain(listeners.and_then(Listeners::directory))
            .collect();
        for directory in &served {
            if let Some((why, what_to_do)) = dropped.refusal(directory) {
                say(format_args!(
                    "the socket stays behind at the end, and the next start replaces it: {why}; {what_to_do}"
                ));
            }
        }
        if self.is_confined {
            directories.extend(served);
            directories.extend(self.archives.iter().map(PathBuf::as_path));
            // Where the kernel tells what interfaces dropped, for whoever asks.
            let counts = [Path::new("/sys/class/net"), Path::new("/sys/devices")];
            let mut inputs: Vec<&Path> = self.inputs.iter().map(PathBuf::as_path).collect();
            if listeners.is_some() {
                inputs.extend(counts);
            }
            if self.kernel.is_some() {
                inputs.push(Path::new(CGROUPS));
            }
            let confined = landlock::restrict(&directories, &inputs);
            if self.is_verbose {
                say(confined);
            }
        }
        Ok(())
    }

    /// Says that packets are captured from now on: nothing else may be seen of it for long; and on which interfaces nothing
    /// can come, for they are `down`.
    pub(crate) fn announce(&self, down: &[String]) {
        for name in down {
            say(format_args!(
                "{name} is down: no packet comes before it is up (ip link set {name} up)"
            ));
        }
        for source in self.sources.iter().filter(|_| self.is_announced) {
            let on = source.options.interfaces.join(", ");
            match &source.netns {
                Some(name) => say(format_args!(
                    "capturing on {on} in network namespace {name}"
                )),
                None => say(format_args!("capturing on {on}")),
            }
        }
        if let Some(source) = self.kernel.as_ref().filter(|_| self.is_announced) {
            match &source.netns {
                Some(name) => say(format_args!(
                    "observing the kernel's connections in network namespace {name}"
                )),
                None => say("observing the kernel's connections"),
            }
        }
    }
}

/// A ring's bytes, if nobody says.
pub(crate) const RING: u64 = 64 << 20;

/// Where control groups are, for their names.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";

/// The network of one address.
fn alone(address: IpAddr) -> Option<Network> {
    Network::new(address, if address.is_ipv4() { 32 } else { 128 })
}
