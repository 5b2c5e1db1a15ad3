//! Another network namespace, for as long as sources are opened there: a socket stays in the namespace in which it was
//! made. Reference: network_namespaces(7), setns(2), ip-netns(8).

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::privilege::{Need, remedy};

/// Where ip-netns(8) keeps names.
const NAMED: &str = "/run/netns";

/// Why a namespace cannot be entered. The message says what was tried, why it failed and what to do.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// There is none of that name.
    #[error(
        "cannot enter network namespace {name}: no such namespace ({}); choose one with --netns",
        those(have)
    )]
    Missing {
        /// As the user named it.
        name: String,
        /// Those that have names.
        have: Vec<String>,
    },
    /// The file cannot be opened.
    #[error("cannot enter network namespace {name}: cannot open {}: {error}{}", path.display(),
        if error.kind() == io::ErrorKind::PermissionDenied { "; run as root" } else { "" })]
    Open {
        /// As the user named it.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is something else.
    #[error(
        "cannot enter network namespace {name}: {} is not a network namespace; name one of `ip netns`, or a file such as \
         /proc/PID/ns/net", path.display()
    )]
    Other {
        /// As the user named it.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The kernel refuses.
    #[error("cannot enter network namespace {name}: {error}{why}")]
    Enter {
        /// As the user named it.
        name: String,
        /// What the system said.
        error: io::Error,
        /// What is missing, and how to get it.
        why: String,
    },
    /// The thread is stuck in the other namespace: it must not go on.
    #[error("cannot return from network namespace {name}: {error}")]
    Return {
        /// As the user named it.
        name: String,
        /// What the system said.
        error: io::Error,
    },
}

/// Does something in a network namespace, and returns to the one before. `name` is one of /run/netns or, with a `/` in it, a
/// file (/proc/PID/ns/net). Only the calling thread goes there. Before privileges are given up.
///
/// # Errors
/// There is no such namespace, or it cannot be entered.
pub fn within<T>(name: &str, work: impl FnOnce() -> T) -> Result<T, NetnsError> {
    let (path, there) = open(name)?;
    let here_path = PathBuf::from("/proc/thread-self/ns/net");
    let here = File::open(&here_path).map_err(|error| NetnsError::Open {
        name: name.to_owned(),
        path: here_path,
        error,
    })?;
    enter(&there).map_err(|errno| match errno {
        // It is no namespace at all, or another kind of one.
        Errno::INVAL => NetnsError::Other {
            name: name.to_owned(),
            path,
        },
        _ => NetnsError::Enter {
            name: name.to_owned(),
            error: errno.into(),
            why: match errno {
                Errno::PERM => format!("; {}", remedy(Need::Namespace)),
                _ => String::new(),
            },
        },
    })?;
    // Should `work` panic, the thread is back all the same.
    let way_back = WayBack(Some(here));
    let done = work();
    way_back.take().map_err(|errno| NetnsError::Return {
        name: name.to_owned(),
        error: errno.into(),
    })?;
    Ok(done)
}

/// The inode of a network namespace, by which the kernel tells which is meant: of one of /run/netns or, with a `/` in it, of a
/// file; a number is one already.
///
/// # Errors
/// There is no such namespace, or its file cannot be looked at.
pub fn inode(name: &str) -> Result<u32, NetnsError> {
    if let Ok(inode) = name.parse() {
        return Ok(inode);
    }
    let (path, file) = open(name)?;
    let metadata = file.metadata().map_err(|error| NetnsError::Open {
        name: name.to_owned(),
        path: path.clone(),
        error,
    })?;
    // The kernel's numbers of namespaces have 32 bits (ns_common.inum).
    u32::try_from(metadata.ino()).map_err(|_| NetnsError::Other {
        name: name.to_owned(),
        path,
    })
}

/// Whether it is the number of a namespace, which cannot be entered by it.
#[must_use]
pub fn is_inode(name: &str) -> bool {
    name.parse::<u32>().is_ok()
}

/// The names of all namespaces that have one, in order.
#[must_use]
pub fn names() -> Vec<String> {
    // No directory: no names.
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn open(name: &str) -> Result<(PathBuf, File), NetnsError> {
    let is_path = name.contains('/');
    let path = if is_path {
        PathBuf::from(name)
    } else {
        PathBuf::from(NAMED).join(name)
    };
    // "", "." and ".." are directories.
    let error = match File::open(&path) {
        Ok(file) if !path.is_dir() => return Ok((path, file)),
        Ok(_) => io::Error::from(io::ErrorKind::NotFound),
        Err(error) => error,
    };
    if error.kind() == io::ErrorKind::NotFound {
        return Err(NetnsError::Missing {
            name: name.to_owned(),
            have: names(),
        });
    }
    Err(NetnsError::Open {
        name: name.to_owned(),
        path,
        error,
    })
}

fn enter(namespace: &File) -> rustix::io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

/// Returns to a namespace at the latest when it is dropped.
struct WayBack(Option<File>);

impl WayBack {
    fn take(mut self) -> rustix::io::Result<()> {
        self.0.take().map_or(Ok(()), |here| enter(&here))
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        if let Some(here) = self.0.take() {
            // Only while a panic unwinds, which tells of itself.
            let _ = enter(&here);
        }
    }
}

fn those(names: &[String]) -> String {
    if names.is_empty() {
        format!("{NAMED} has none")
    } else {
        format!("have: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_known_by_its_inode() {
        let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
        assert_eq!(u64::from(inode("/proc/self/ns/net").unwrap()), own);
        assert_eq!(inode("4026531840").unwrap(), 4_026_531_840);
        assert!(inode("no-such-namespace").is_err());
        assert!(is_inode("4026531840") && !is_inode("blue"));
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_those_that_are() {
        for name in ["no-such-namespace", "/no/such/file", "", ".", ".."] {
            let error = within(name, || ()).unwrap_err();
            assert!(
                matches!(error, NetnsError::Missing { .. }),
                "{name}: {error}"
            );
        }
        let names = ["blue".to_owned(), "red".to_owned()];
        assert_eq!(those(&names), "have: blue, red");
        assert_eq!(those(&[]), "/run/netns has none");
    }
}
