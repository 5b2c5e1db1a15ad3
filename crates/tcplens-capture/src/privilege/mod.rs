//! Privileges: held only until all sources, sockets and output files are open, then given up for good. [`remedy`] says
//! how to get those that are missing. Reference: capabilities(7), credentials(7).
//!
//! The order, on one thread and before there is another:
//! 1. [`Plan::new`]: whose rights to go on with; before anything is opened, for the name may be wrong.
//! 2. Open everything; [`Plan::give_file`] what is opened again later.
//! 3. [`Plan::drop`].
//! 4. [`Dropped::warning`] for directories in which files are created later; `landlock::restrict`.
//! 5. Start threads.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{fchown, lchown};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags, accessat, statvfs};
use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

pub use error::PrivilegeError;
pub use need::{Need, Remedy, missing, remedy};
pub use users::User;

mod error;
mod need;
mod users;

/// What `--user root` keeps: the right to write where root can. It is what root is asked for (rotation into any directory).
const ROOT_KEEPS: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::FOWNER);

/// What [`Plan::keeping_processes`] keeps: the right to read which files other users' processes have open (proc_pid_fd(5)).
const PROCESSES_KEEP: CapabilitySet =
    CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH);

/// Whose rights to go on with, once everything is open.
#[derive(Clone, Debug)]
pub struct Plan {
    target: Target,
    /// Capabilities that are not given up, if they are there.
    keeps: CapabilitySet,
}

#[derive(Clone, Debug)]
enum Target {
    /// The user that it is already, who is not root.
    Same,
    /// Root, because it was asked for.
    Root,
    /// Root, because nobody else is there to become; why.
    OnlyRoot(String),
    /// Somebody else.
    Other(User),
}

/// What has been given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The user whom the process became, if it changed.
    pub became: Option<User>,
    /// Why it is still root where that was not asked for: to be told.
    pub still_root: Option<String>,
}

impl Plan {
    /// By the name or number of `--user`. Without it: root becomes `nobody` (65534 if /etc/passwd has no entry), or stays
    /// root without capabilities where that is impossible (a user namespace without `nobody`, a container without
    /// CAP_SETUID); others stay who they are.
    ///
    /// # Errors
    /// The user does not exist, or this process cannot become that user.
    pub fn new(user: Option<&str>) -> Result<Plan, PrivilegeError> {
        let uid = geteuid().as_raw();
        if user.is_none() && uid != 0 {
            return Ok(Plan {
                target: Target::Same,
                keeps: CapabilitySet::empty(),
            });
        }
        // Without either file there are still numbers, nobody and root.
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let other = User::find(
            user.unwrap_or("nobody"),
            &read("/etc/passwd"),
            &read("/etc/group"),
        )?;
        let target = match (become_problem(&other, uid), user) {
            _ if other.uid == uid && uid == 0 => Target::Root,
            _ if other.uid == uid => Target::Same,
            (None, _) => Target::Other(other),
            (Some(problem), Some(_)) => return Err(problem),
            (Some(PrivilegeError::NotMapped { uid, .. }), None) => {
                Target::OnlyRoot(format!("uid {uid} does not exist in this user namespace"))
            }
            (Some(_), None) => Target::OnlyRoot("CAP_SETUID or CAP_SETGID is missing".to_owned()),
        };
        Ok(Plan {
            target,
            keeps: CapabilitySet::empty(),
        })
    }

    /// The same, but CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH stay, where they are: because it was asked for to tell the processes of
    /// sockets that are yet to come. Who has them can read what other processes have, and landlock forbids that, so it must be
    /// left out then.
    #[must_use]
    pub fn keeping_processes(self) -> Plan {
        Plan {
            keeps: PROCESSES_KEEP,
            ..self
        }
    }

    /// The user whom the process becomes; `None` if it stays who it is.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        match &self.target {
            Target::Other(user) => Some(user),
            Target::Same | Target::Root | Target::OnlyRoot(_) => None,
        }
    }

    /// Why root will go on as root though nobody asked for it; `None` otherwise.
    #[must_use]
    pub fn still_root(&self) -> Option<&str> {
        match &self.target {
            Target::OnlyRoot(why) => Some(why),
            Target::Same | Target::Root | Target::Other(_) => None,
        }
    }

    /// Makes an open regular file that user's, so that it can be opened again or renamed later; others (a device, a pipe)
    /// and those of a process that stays who it is are left as they are.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn give_file(&self, file: &File) -> io::Result<()> {
        match self.user() {
            Some(user) if file.metadata()?.is_file() => {
                fchown(file, Some(user.uid), Some(user.gid))
            }
            _ => Ok(()),
        }
    }

    /// Likewise for what has no file open: a socket, or the directory that was created for it. Links are not followed.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn give_path(&self, path: &Path) -> io::Result<()> {
        match self.user() {
            Some(user) => lchown(path, Some(user.uid), Some(user.gid)),
            None => Ok(()),
        }
    }

    /// Gives up everything, for good: identity, all capabilities (also those that programs started from here could get), and
    /// the way to new ones. The process must have one thread: all this is a thread's own, and others inherit it.
    /// `--user root` keeps the identity and the right to write everywhere.
    ///
    /// # Errors
    /// There are other threads, or the kernel refuses. Then nothing must go on: what is left is not known.
    pub fn drop(&self) -> Result<Dropped, PrivilegeError> {
        match threads() {
            Some(1) => {}
            threads => return Err(PrivilegeError::Threads { threads }),
        }
        // While CAP_SETPCAP is there.
        empty_bounding_set();
        let keeps_any = !self.keeps.is_empty();
        // Else they go with the identity.
        if keeps_any {
            call("keepcaps", set_keep_capabilities(true))?;
        }
        match &self.target {
            Target::Other(user) => become_user(user)?,
            // A way back to whom it was before, as programs that are setuid have.
            Target::Same => set_ids(geteuid(), getegid())?,
            Target::Root | Target::OnlyRoot(_) => {}
        }
        // Unknown to kernels before 4.3, which have none.
        let _ = clear_ambient_capability_set();
        let kept = match self.target {
            Target::Root => ROOT_KEEPS | self.keeps,
            Target::Same | Target::OnlyRoot(_) | Target::Other(_) => self.keeps,
        };
        let kept = held()?.permitted & kept;
        let sets = CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        };
        call("capset", set_capabilities(None, sets))?;
        if keeps_any {
            call("keepcaps", set_keep_capabilities(false))?;
        }
        call("no_new_privs", set_no_new_privs(true))?;
        self.verify(sets)?;
        Ok(Dropped {
            became: self.user().cloned(),
            still_root: self.still_root().map(str::to_owned),
        })
    }

    /// Believes no return value: in Linux 2.2.15 a setuid could succeed and leave the way back open.
    fn verify(&self, expected: CapabilitySets) -> Result<(), PrivilegeError> {
        if held()? != expected {
            return Err(PrivilegeError::StillHeld {
                what: "a capability",
            });
        }
        let (uid, gid) = match &self.target {
            Target::Other(user) => (user.uid, user.gid),
            Target::Same => (geteuid().as_raw(), getegid().as_raw()),
            Target::Root | Target::OnlyRoot(_) => return Ok(()),
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let is = |name: &str, id: u32| {
            // Real, effective, saved, file system.
            let ids = field(&status, name).map(str::split_whitespace);
            ids.is_some_and(|mut ids| ids.all(|each| each.parse() == Ok(id)))
        };
        if !is("Uid", uid) {
            return Err(PrivilegeError::StillHeld {
                what: "the old user",
            });
        }
        if !is("Gid", gid) {
            return Err(PrivilegeError::StillHeld {
                what: "the old group",
            });
        }
        Ok(())
    }
}

impl Dropped {
    /// What to tell at the start of a run that creates files in a directory later (rotation, SIGHUP) and now cannot; `None`
    /// if it can.
    #[must_use]
    pub fn warning(&self, directory: &Path) -> Option<String> {
        let (why, what_to_do) = self.refusal(directory)?;
        Some(format!(
            "{why}: new files there (--rotate, SIGHUP) will fail; {what_to_do}"
        ))
    }

    /// Why no file can be created in a directory from now on, and what to do about it; `None` if files can.
    #[must_use]
    pub fn refusal(&self, directory: &Path) -> Option<(String, String)> {
        if can_create_in(directory) {
            return None;
        }
        let place = directory.display();
        // Rights may be missing besides, but would not help.
        let flags = statvfs(directory).map(|filesystem| filesystem.f_flag);
        if flags.is_ok_and(|flags| flags.contains(StatVfsMountFlags::RDONLY)) {
            return Some((
                format!("{place} is on a file system that is mounted read-only"),
                "mount it for writing, or choose another directory".to_owned(),
            ));
        }
        Some(match &self.became {
            Some(User { name, .. }) => (
                format!("{place} is not writable for {name}, whom tcplens has become"),
                format!("`chown {name} {place}` before, or let it stay root (--user root)"),
            ),
            None => (
                format!("{place} is not writable"),
                "choose another directory".to_owned(),
            ),
        })
    }
}

/// [`Plan::new`] and [`Plan::drop`] at once, where nothing is opened again later.
///
/// # Errors
/// Theirs.
pub fn drop_to(user: Option<&str>) -> Result<Dropped, PrivilegeError> {
    Plan::new(user)?.drop()
}

/// Whether files can be created in a directory, with the rights left after [`Plan::drop`] (landlock's rules apart). For what
/// is created later: rotation of outputs.
#[must_use]
pub fn can_create_in(directory: &Path) -> bool {
    // The empty parent of a bare name.
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let access = Access::WRITE_OK | Access::EXEC_OK;
    // By the real user, who is the effective one; asking for that takes a system call that old containers forbid.
    accessat(CWD, directory, access, AtFlags::empty()).is_ok()
}

/// Why this process, of user `uid`, cannot become another; `None` if it can.
fn become_problem(other: &User, uid: u32) -> Option<PrivilegeError> {
    let both = CapabilitySet::SETUID | CapabilitySet::SETGID;
    if !held().is_ok_and(|sets| sets.effective.contains(both)) {
        return Some(PrivilegeError::NotPermitted {
            user: other.name.clone(),
            uid,
        });
    }
    let is_mapped = |path: &str, id: u32| {
        // Kernels without user namespaces have no such file: everybody exists.
        fs::read_to_string(path).map_or(true, |map| maps(&map, id))
    };
    let exists =
        is_mapped("/proc/self/uid_map", other.uid) && is_mapped("/proc/self/gid_map", other.gid);
    (!exists).then(|| PrivilegeError::NotMapped {
        user: other.name.clone(),
        uid: other.uid,
    })
}

/// Whether an id exists by a uid_map or gid_map: lines of first inside, first outside, how many.
fn maps(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.nth(1)) {
            (Some(Ok(first)), Some(Ok(length))) => {
                (first..first.saturating_add(length)).contains(&u64::from(id))
            }
            _ => false,
        }
    })
}

fn become_user(user: &User) -> Result<(), PrivilegeError> {
    // In a user namespace that its creator mapped alone, groups cannot be changed (user_namespaces(7)); those that are there
    // are the creator's.
    let may_set_groups =
        fs::read_to_string("/proc/self/setgroups").map_or(true, |word| word.trim() != "deny");
    if may_set_groups {
        let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
        call("setgroups", set_thread_groups(&groups))?;
    }
    set_ids(Uid::from_raw(user.uid), Gid::from_raw(user.gid))
}

/// Real, effective and saved; the group first, while it may be changed.
fn set_ids(uid: Uid, gid: Gid) -> Result<(), PrivilegeError> {
    call("setresgid", set_thread_res_gid(gid, gid, gid))?;
    call("setresuid", set_thread_res_uid(uid, uid, uid))
}

/// As far as allowed: it takes CAP_SETPCAP. Without it nothing is lost, for no_new_privs says the same.
fn empty_bounding_set() {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) if remove_capability_from_bounding_set(one).is_err() => return,
            Ok(_) => {}
            // The kernel knows no more.
            Err(_) => return,
        }
    }
}

fn held() -> Result<CapabilitySets, PrivilegeError> {
    call("capget", capabilities(None))
}

fn call<T>(call: &'static str, result: rustix::io::Result<T>) -> Result<T, PrivilegeError> {
    result.map_err(|errno| PrivilegeError::Call {
        call,
        error: errno.into(),
    })
}

/// Of this process.
fn threads() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    field(&status, "Threads")?.parse().ok()
}

/// A field of /proc/self/status (proc_pid_status(5)).
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_tells_who_exists() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert!(maps(map, 0) && maps(map, 1) && maps(map, 65536));
        assert!(!maps(map, 65537));
        assert!(maps("0 0 4294967295\n", 65534));
        assert!(!maps("nonsense\n", 0));
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Name:\tx\nUid:\t1\t1\t1\t1\nThreads:\t3\n";
        assert_eq!(field(status, "Threads"), Some("3"));
        assert_eq!(field(status, "Uid"), Some("1\t1\t1\t1"));
        assert_eq!(field(status, "Thread"), None);
    }

    /// The test harness has threads.
    #[test]
    fn with_other_threads_nothing_is_given_up() {
        let before = held().unwrap();
        let other = std::thread::spawn(|| drop_to(None));
        let error = other.join().unwrap().unwrap_err();
        assert!(matches!(error, PrivilegeError::Threads { threads: Some(n) } if n > 1));
        assert_eq!(held().unwrap(), before);
    }
}
