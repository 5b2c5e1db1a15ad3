//! Which process has a socket: the kernel tells a socket's inode, /proc/PID/fd tells which process has that open. Reference:
//! proc_pid_fd(5), proc_pid_comm(5).
//!
//! What one may not read (other users' processes, without CAP_SYS_PTRACE) is counted, not an error. Processes are those of the
//! PID namespace that /proc belongs to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::readlinkat;

/// Sockets whose owner is remembered; about 16 MiB. Chosen: as many as a busy host has open.
const MOST: usize = 1 << 20;

/// A process that has a socket open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its name: at most 15 bytes, chosen by itself. Empty: it was gone when it was asked for.
    pub comm: String,
}

/// What was found at the latest look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerCounts {
    /// Processes whose files could be read. 0: /proc cannot be read at all (landlock), for oneself is there always.
    pub processes: u64,
    /// Processes whose files may not be read: their sockets have no owner here.
    pub unreadable: u64,
    /// Sockets beyond those that are remembered: they have no owner here.
    pub beyond: u64,
}

/// The owners of all sockets, as of the latest look.
#[derive(Debug)]
pub struct Owners {
    proc: PathBuf,
    most: usize,
    owners: Vec<Owner>,
    /// By inode, a place among the owners.
    sockets: HashMap<u32, u32>,
    counts: OwnerCounts,
}

impl Default for Owners {
    fn default() -> Owners {
        Owners::below(Path::new("/proc"))
    }
}

impl Owners {
    /// Those that another /proc tells of. Nothing is known before the first look.
    #[must_use]
    pub fn below(proc: &Path) -> Owners {
        Owners {
            proc: proc.to_owned(),
            most: MOST,
            owners: Vec::new(),
            sockets: HashMap::new(),
            counts: OwnerCounts::default(),
        }
    }

    /// Looks at all processes again: a system call for each of their files, so some 0.1 s for 100,000.
    pub fn look(&mut self) -> OwnerCounts {
        self.owners.clear();
        self.sockets.clear();
        self.counts = OwnerCounts::default();
        // No /proc: nobody owns anything.
        let entries = fs::read_dir(&self.proc).into_iter().flatten().flatten();
        let mut pids: Vec<u32> = entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        for pid in pids {
            self.look_at(pid);
        }
        self.counts
    }

    /// What the latest look found.
    #[must_use]
    pub fn counts(&self) -> OwnerCounts {
        self.counts
    }

    /// Who has the socket of an inode open: of several processes the one with the lowest number. `None`: none that may be
    /// looked at had it then.
    #[must_use]
    pub fn of(&self, inode: u32) -> Option<&Owner> {
        let place = usize::try_from(*self.sockets.get(&inode)?).ok()?;
        self.owners.get(place)
    }

    fn look_at(&mut self, pid: u32) {
        let files = self.proc.join(format!("{pid}/fd"));
        let opened = fs::read_dir(&files).and_then(|entries| Ok((entries, File::open(&files)?)));
        let (entries, directory) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // Else it has ended meanwhile.
                let is_refused = error.kind() == io::ErrorKind::PermissionDenied;
                self.counts.unreadable += u64::from(is_refused);
                return;
            }
        };
        self.counts.processes += 1;
        let place = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        let mut has_sockets = false;
        let mut link = Vec::new();
        for entry in entries.flatten() {
            // Closed meanwhile.
            let Ok(target) = readlinkat(&directory, entry.file_name(), link) else {
                link = Vec::new();
                continue;
            };
            link = target.into_bytes();
            let Some(inode) = socket(&link) else {
                continue;
            };
            let is_full = self.sockets.len() >= self.most;
            // Processes come in order: who is there already has the lower number.
            match self.sockets.entry(inode) {
                Entry::Occupied(_) => {}
                Entry::Vacant(_) if is_full => self.counts.beyond += 1,
                Entry::Vacant(vacant) => {
                    vacant.insert(place);
                    has_sockets = true;
                }
            }
        }
        if has_sockets {
            let comm = fs::read(self.proc.join(format!("{pid}/comm"))).unwrap_or_default();
            let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
            self.owners.push(Owner {
                pid,
                comm: String::from_utf8_lossy(comm).into_owned(),
            });
        }
    }
}

/// The inode in `socket:[4711]`.
fn socket(link: &[u8]) -> Option<u32> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    struct Proc(PathBuf);

    impl Proc {
        fn new(name: &str) -> Proc {
            let own = format!("tcplens-owners-{name}-{}", std::process::id());
            Proc(std::env::temp_dir().join(own))
        }

        fn process(&self, pid: u32, comm: &str, files: &[&str]) -> PathBuf {
            let own = self.0.join(pid.to_string());
            let directory = own.join("fd");
            fs::create_dir_all(&directory).unwrap();
            fs::write(own.join("comm"), format!("{comm}\n")).unwrap();
            for (n, target) in files.iter().enumerate() {
                symlink(target, directory.join(n.to_string())).unwrap();
            }
            directory
        }
    }

    impl Drop for Proc {
        fn drop(&mut self) {
            // Left in the temporary directory at worst.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_lowest_process_that_has_it_open_is_the_owner() {
        let proc = Proc::new("lowest");
        proc.process(20, "worker", &["socket:[7]", "/dev/null", "socket:[8]"]);
        proc.process(3, "server", &["pipe:[9]", "socket:[7]", "socket:[x]"]);
        proc.process(100, "idle", &["/dev/null"]);
        fs::create_dir_all(proc.0.join("self/fd")).unwrap();
        let mut owners = Owners::below(&proc.0);
        assert_eq!(owners.of(7), None);
        let counts = OwnerCounts {
            processes: 3,
            ..OwnerCounts::default()
        };
        assert_eq!(owners.look(), counts);
        let name = |inode| owners.of(inode).map(|one| (one.pid, one.comm.as_str()));
        assert_eq!(name(7), Some((3, "server")));
        assert_eq!(name(8), Some((20, "worker")));
        assert_eq!(name(9), None);
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted() {
        let proc = Proc::new("beyond");
        proc.process(1, "many", &["socket:[1]", "socket:[2]", "socket:[3]"]);
        proc.process(2, "more", &["socket:[4]"]);
        let mut owners = Owners::below(&proc.0);
        owners.most = 2;
        assert_eq!(owners.look().beyond, 2);
        assert_eq!((1..5).filter_map(|inode| owners.of(inode)).count(), 2);
    }

    #[test]
    fn the_own_socket_is_found_and_gone_after_it_was_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = format!("/proc/self/fd/{}", listener.as_raw_fd());
        let inode = u32::try_from(fs::metadata(link).unwrap().ino()).unwrap();
        let mut owners = Owners::default();
        owners.look();
        let owner = owners.of(inode).unwrap();
        assert_eq!(owner.pid, std::process::id());
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(owner.comm, comm.trim_end());
        drop(OwnedFd::from(listener));
        owners.look();
        assert_eq!(owners.of(inode), None);
    }

    #[test]
    fn processes_that_may_not_be_read_are_counted() {
        if rustix::process::geteuid().is_root() {
            println!("SKIPPED: root may read all");
            return;
        }
        let proc = Proc::new("unreadable");
        let files = proc.process(5, "secret", &["socket:[7]"]);
        fs::set_permissions(&files, fs::Permissions::from_mode(0o0)).unwrap();
        let mut owners = Owners::below(&proc.0);
        assert_eq!(owners.look().unreadable, 1);
        fs::set_permissions(&files, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
