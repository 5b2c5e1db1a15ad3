//! What can go wrong with a ring, in words that say what to do.

use std::io;

use tcplens_core::filter::FilterError;

use crate::interfaces::InterfaceError;

/// Why packets cannot be captured.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The process may not.
    #[error("cannot capture on {interface}: not permitted; {remedy}")]
    NotPermitted {
        /// What was asked for.
        interface: String,
        /// What to do.
        remedy: String,
    },
    /// There is no such interface, or interfaces cannot be told.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The interface was removed.
    #[error(
        "{interface} is gone: it was removed while it was captured on; nothing more can come from it"
    )]
    Gone {
        /// Its name.
        interface: String,
    },
    /// The kernel has no memory for it.
    #[error(
        "cannot capture on {interface}: the kernel has no memory for a ring of {mib} MiB; ask for less with -B"
    )]
    NoMemory {
        /// What was asked for.
        interface: String,
        /// The size.
        mib: usize,
    },
    /// The filter has no meaning for these packets.
    #[error(transparent)]
    Filter(FilterError),
    /// Something else.
    #[error("cannot capture on {interface}: {what}: {error}")]
    System {
        /// What was asked for.
        interface: String,
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}
