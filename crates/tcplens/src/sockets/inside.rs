//! `--kernel`: the kernel's own view runs beside. It tells when a connection was established and by whom, how it ended, and what it
//! received without a FIN; `World` keeps that until the socket's end is told.
//!
//! An event is in the ring buffer before the kernel begins to tell of the socket's end. So the ring is read when such a message
//! has come, before it is looked at: then what is to be known is known.

use anyhow::{Context, Result};
use tcplens_capture::kernel::{Kernel, KernelCounts, KernelOptions};
use tcplens_core::socket::{Opened, Tracker};

use super::{Consumer, World};
use crate::say::say;

/// Times that the ring is read at once at most: with some ten thousand events each, more than any buffer holds.
const MOST_READS: usize = 10_000;

/// The programs, and what was told of them.
pub(crate) struct Inside {
    kernel: Kernel,
    /// What does not work and was told.
    limitations: usize,
}

impl Inside {
    /// Loads and attaches the programs, for one network namespace.
    ///
    /// # Errors
    /// What this kernel or these rights do not allow, and what to do.
    pub(crate) fn open(netns: Option<u64>) -> Result<Inside> {
        let kernel = Kernel::open(&KernelOptions {
            netns: netns.and_then(|inode| u32::try_from(inode).ok()),
            tasks: true,
            only_connections: true,
            attempts: true,
            ..KernelOptions::default()
        });
        let kernel = kernel.context(
            "cannot look from inside the kernel (-k); without -k sockets are watched all the same, but for how connections \
             were opened and who reset them",
        )?;
        Ok(Inside {
            kernel,
            limitations: 0,
        })
    }

    /// Takes what was told since the last time.
    pub(super) fn read(
        &mut self,
        tracker: &Tracker,
        world: &mut World,
        consumers: &mut [Box<dyn Consumer>],
    ) {
        for _ in 0..MOST_READS {
            let is_all = self.kernel.read(&mut |event| {
                let Some(opened) = world.known.take(&event) else {
                    return;
                };
                // One that was looked at already was told then.
                if !world.has_filter() && tracker.find(opened.cookie).is_none() {
                    let shown = Opened {
                        local: (world.anonymize.ip(opened.local.0), opened.local.1),
                        remote: (world.anonymize.ip(opened.remote.0), opened.remote.1),
                        ..opened
                    };
                    consumers.iter_mut().for_each(|one| one.opened(&shown));
                }
            });
            if is_all {
                break;
            }
        }
        let limitations = self.kernel.limitations();
        limitations.iter().skip(self.limitations).for_each(say);
        self.limitations = limitations.len();
    }

    /// What was counted.
    pub(super) fn counts(&self) -> KernelCounts {
        self.kernel.counts()
    }
}
