//! What is captured live, and how: from the options to open rings, and how privileges go once everything is open.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tcplens_capture::ring::{Ring, RingOptions};
use tcplens_capture::{interfaces, landlock, netns, privilege};
use tcplens_core::roles::Network;

use crate::answer::listen::Listeners;
use crate::cli::{self, Common};
use crate::say::say;
use crate::sources::Words;

/// Live packets, as they were asked for.
pub(crate) struct Live {
    options: RingOptions,
    netns: Option<String>,
    privileges: privilege::Plan,
    /// Files that are written.
    outputs: Vec<PathBuf>,
    /// Whether to keep to these.
    is_confined: bool,
    is_verbose: bool,
}

/// What is open.
pub(crate) struct Opened {
    /// One for each thread.
    pub rings: Vec<Ring>,
    /// This host's addresses.
    pub local: Vec<Network>,
}

impl Live {
    /// As the options say; `words` name no file.
    ///
    /// # Errors
    /// There is no such user, or it cannot be become.
    pub(crate) fn new(common: &Common, words: &Words) -> Result<Live> {
        let cli::Live {
            buffer,
            snaplen,
            promiscuous,
            netns,
            user,
            ..
        } = &common.live;
        let files = [&common.output.output, &common.output.write];
        let files = files.into_iter().flatten();
        let outputs = files.filter(|path| path.as_os_str() != "-").cloned();
        Ok(Live {
            options: RingOptions {
                interfaces: words.interfaces.clone(),
                buffer: *buffer,
                snaplen: *snaplen,
                promiscuous: *promiscuous,
                filter: words.filter.clone(),
            },
            netns: netns.clone(),
            privileges: privilege::Plan::new(user.as_deref())?,
            outputs: outputs.collect(),
            is_confined: true,
            is_verbose: common.output.verbose > 0,
        })
    }

    /// A script may open files and run programs.
    pub(crate) fn unconfined(&mut self) {
        self.is_confined = false;
    }

    /// Names of interfaces, if they are in this network namespace.
    pub(crate) fn interfaces_here(&self) -> Vec<String> {
        match self.netns {
            Some(_) => Vec::new(),
            None => self.options.interfaces.clone(),
        }
    }

    /// Opens the rings, one for each thread, in the network namespace that was asked for.
    ///
    /// # Errors
    /// What cannot be opened, and what to do.
    pub(crate) fn open(&self, threads: usize) -> Result<Opened> {
        let open = || -> Result<Opened> {
            let rings = Ring::open(&self.options, threads)?;
            let local = interfaces::local_addresses()?;
            Ok(Opened {
                rings,
                local: local.into_iter().filter_map(alone).collect(),
            })
        };
        match &self.netns {
            Some(name) => netns::within(name, open)?,
            None => open(),
        }
    }

    /// Gives up what opening took. Call it when all is open and there is one thread.
    ///
    /// # Errors
    /// Something could not be given up: then nothing must be captured.
    pub(crate) fn give_up_privileges(&self, listeners: Option<&Listeners>) -> Result<()> {
        if let (Some(listeners), Some(user)) = (listeners, self.privileges.user()) {
            listeners.give_to(user.uid, user.gid)?;
        }
        for file in self.outputs.iter().filter(|file| file.exists()) {
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
            if let Some(warning) = dropped.warning(directory) {
                say(warning);
            }
        }
        if self.is_confined {
            directories.extend(listeners.and_then(Listeners::directory));
            // Where the kernel tells what interfaces dropped, for whoever asks.
            let counts = [Path::new("/sys/class/net"), Path::new("/sys/devices")];
            let inputs = if listeners.is_some() {
                &counts[..]
            } else {
                &[]
            };
            let confined = landlock::restrict(&directories, inputs);
            if self.is_verbose {
                say(confined);
            }
        }
        Ok(())
    }
}

/// The network of one address.
fn alone(address: IpAddr) -> Option<Network> {
    Network::new(address, if address.is_ipv4() { 32 } else { 128 })
}
