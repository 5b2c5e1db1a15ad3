//! Control groups by their numbers: the kernel's programs tell a number, people and container runtimes know paths. The number
//! of a group of the second hierarchy is the inode of its directory (cgroups(7), bpf_get_current_cgroup_id in
//! bpf-helpers(7)). Reading takes no privilege.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the second hierarchy may be: beside those of the first, or alone (systemd's file-hierarchy).
const ROOTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
/// Groups that are remembered. Chosen: some thousand containers, each with a few.
const MOST: usize = 65_536;
/// How deep they are looked for; the kernel has no limit by default, container runtimes use about six levels.
const DEEPEST: usize = 32;
/// How often they are looked for at most: a host with 5,000 groups takes some 20 ms.
const REFRESH: Duration = Duration::from_secs(1);

/// The paths of control groups.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    known: BTreeMap<u64, String>,
    looked: Option<Instant>,
}

impl Default for Cgroups {
    fn default() -> Cgroups {
        Cgroups::below(&root().unwrap_or_else(|| PathBuf::from(ROOTS[1])))
    }
}

/// Where the second hierarchy is; `None`: it is not mounted.
pub(crate) fn root() -> Option<PathBuf> {
    let mut roots = ROOTS.map(PathBuf::from).into_iter();
    roots.find(|root| root.join("cgroup.controllers").exists())
}

impl Cgroups {
    /// Those below a directory.
    #[must_use]
    pub fn below(root: &Path) -> Cgroups {
        Cgroups {
            root: root.to_owned(),
            known: BTreeMap::new(),
            looked: None,
        }
    }

    /// The path of a group, `/system.slice/nginx.service`; `None` if there is none of that number, or it came within the last
    /// second and is not known yet. One that was removed keeps its path until others are looked for.
    pub fn path(&mut self, number: u64) -> Option<&str> {
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= REFRESH);
        if is_due && !self.known.contains_key(&number) {
            self.known.clear();
            self.look();
            self.looked = Some(Instant::now());
        }
        self.known.get(&number).map(String::as_str)
    }

    fn look(&mut self) {
        let Ok(root) = fs::metadata(&self.root) else {
            return;
        };
        self.known.insert(root.ino(), "/".to_owned());
        let mut waiting = vec![(self.root.clone(), String::new(), 0)];
        while let Some((directory, path, depth)) = waiting.pop() {
            // One that is gone by now has no groups.
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if self.known.len() >= MOST {
                    return;
                }
                let below = format!("{path}/{}", entry.file_name().to_string_lossy());
                self.known.insert(entry.ino(), below.clone());
                if depth < DEEPEST {
                    waiting.push((entry.path(), below, depth + 1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_the_inodes_of_their_directories() {
        let root = std::env::temp_dir().join(format!("tcplens-cgroups-{}", std::process::id()));
        let inner = root.join("system.slice/web.service");
        fs::create_dir_all(&inner).unwrap();
        fs::write(root.join("cgroup.procs"), "1\n").unwrap();
        let number = |path: &Path| fs::metadata(path).unwrap().ino();
        let mut groups = Cgroups::below(&root);
        assert_eq!(groups.path(number(&root)), Some("/"));
        let found = groups.path(number(&inner));
        assert_eq!(found, Some("/system.slice/web.service"));
        assert_eq!(groups.path(number(&root.join("cgroup.procs"))), None);
        // One that came just now is looked for in a second.
        let late = root.join("late");
        fs::create_dir(&late).unwrap();
        assert_eq!(groups.path(number(&late)), None);
        groups.looked = groups.looked.and_then(|at| at.checked_sub(REFRESH));
        assert_eq!(groups.path(number(&late)), Some("/late"));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_host_without_groups_has_none() {
        assert_eq!(
            Cgroups::below(Path::new("/no/such/directory")).path(1),
            None
        );
    }
}
