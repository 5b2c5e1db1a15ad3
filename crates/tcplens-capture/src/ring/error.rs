//! What can go wrong with a ring, in words that say what to do.

use std::io;

use tcplens_core::filter::FilterError;

/// Why packets cannot be captured.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The process may not.
    #[error(
        "cannot capture on {interface}: not permitted (it takes CAP_NET_RAW); run as root, or once: sudo setcap \
         cap_net_raw=ep {program}"
    )]
    NotPermitted {
        /// What was asked for.
        interface: String,
        /// The program's own path.
        program: String,
    },
    /// There is no such interface.
    #[error(
        "cannot open {interface} for capture: no such interface (have: {have}); choose one with -i"
    )]
    NoInterface {
        /// What was asked for.
        interface: String,
        /// Those that there are.
        have: String,
    },
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
