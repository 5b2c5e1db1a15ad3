//! Why privileges cannot be given up as asked, in words for the user.

use std::io;

/// Why privileges cannot be given up as asked.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// There is no such user.
    #[error(
        "cannot run as {user}: no such user in /etc/passwd{}; choose another --user, or give its number",
        if *.has_entries { " (directory services are not asked)" } else { ", which cannot be read or is empty" }
    )]
    UnknownUser {
        /// The name.
        user: String,
        /// Whether /etc/passwd tells of anybody.
        has_entries: bool,
    },
    /// Only root can become somebody else.
    #[error(
        "cannot become {user}: not permitted (running as uid {uid} without CAP_SETUID and CAP_SETGID); leave --user out, \
         or start as root"
    )]
    NotPermitted {
        /// The name.
        user: String,
        /// Who it is.
        uid: u32,
    },
    /// The user exists outside this user namespace only.
    #[error(
        "cannot become {user}: uid {uid} or its group does not exist in this user namespace; choose another --user \
         (--user root stays)"
    )]
    NotMapped {
        /// The name.
        user: String,
        /// Its number.
        uid: u32,
    },
    /// Identity and capabilities are a thread's own, so the others would keep theirs.
    #[error(
        "cannot give up privileges: {} threads run already, and each has its own; this is a defect of tcplens", threads.map_or("unknown".to_owned(), |n| n.to_string())
    )]
    Threads {
        /// How many; `None` if /proc does not tell.
        threads: Option<u32>,
    },
    /// A system call failed.
    #[error("cannot give up privileges: {call}: {error}")]
    Call {
        /// Which.
        call: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// All calls succeeded, and yet.
    #[error("cannot give up privileges: after all is done, {what} is still there")]
    StillHeld {
        /// What.
        what: &'static str,
    },
}
