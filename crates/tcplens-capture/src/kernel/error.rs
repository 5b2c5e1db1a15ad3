//! Why the kernel's view cannot be had. How else to see the same is for the caller to say.

use std::io;

/// Why the kernel's view cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The process may not.
    #[error("cannot load programs into the kernel: not permitted; {remedy}")]
    NotPermitted {
        /// What to do.
        remedy: String,
    },
    /// The kernel does not describe its types.
    #[error(
        "cannot load programs into the kernel: it has no description of its types (/sys/kernel/btf/vmlinux, \
         CONFIG_DEBUG_INFO_BTF): {0}"
    )]
    NoTypes(String),
    /// A program that is needed cannot be loaded or attached.
    #[error("cannot {what} {program}: {why}")]
    Program {
        /// `load` or `attach`.
        what: &'static str,
        /// Which.
        program: &'static str,
        /// What the kernel said.
        why: String,
    },
    /// Something else.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}
