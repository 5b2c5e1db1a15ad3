//! Why the kernel's sockets cannot be told. Whether to ask again is for the caller.

use std::io;

/// Why a dump is not whole, or why there is none. What was handed over before an error is a part: nothing may be concluded
/// from what is missing.
#[derive(Debug, thiserror::Error)]
pub enum DiagError {
    /// A system call failed.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The kernel refused the dump, or broke it off. `EPERM`: marks are for who has CAP_NET_ADMIN; `EINVAL`: this kernel does
    /// not know one of the conditions; `EBUSY`: an earlier dump goes on yet, or got stuck for want of memory: then a new
    /// [`super::Diag`] is needed.
    #[error("the kernel refused to dump its sockets (sock_diag): {error}")]
    Refused {
        /// Its error number.
        error: io::Error,
    },
    /// The table of sockets changed meanwhile (NLM_F_DUMP_INTR).
    #[error("the dump of sockets was interrupted: the table changed meanwhile")]
    Interrupted,
    /// The kernel had no room for all of it (ENOBUFS, NLMSG_OVERRUN).
    #[error("the kernel had no room for the dump of its sockets, a part is lost")]
    Lost,
    /// What came is cut or contradicts itself.
    #[error("the dump of sockets is damaged: cut off, or not of the form of netlink(7)")]
    Damaged,
    /// The kernel did not go on.
    #[error("the kernel did not answer the request for its sockets (sock_diag) within 0.2 s")]
    Silent,
}

impl DiagError {
    /// The same question may be answered if it is asked again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            DiagError::Interrupted | DiagError::Lost | DiagError::Damaged | DiagError::Silent => {
                true
            }
            DiagError::Refused { error } => {
                matches!(
                    error.raw_os_error(),
                    Some(libc::EAGAIN | libc::ENOMEM | libc::ENOBUFS | libc::EINTR | libc::EBUSY)
                )
            }
            DiagError::System { .. } => false,
        }
    }

    pub(super) fn refused(number: i32) -> DiagError {
        DiagError::Refused {
            error: io::Error::from_raw_os_error(number),
        }
    }

    pub(super) fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> DiagError {
        move |errno| DiagError::System {
            what,
            error: errno.into(),
        }
    }
}
