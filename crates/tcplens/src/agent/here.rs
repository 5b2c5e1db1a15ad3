//! What of a file that says nothing wrong will not work on this machine: missing interfaces, files and directories, more
//! memory than there is. Only looked at for `--check`: a run says it by failing.

use std::path::Path;

use tcplens_capture::interfaces;
use tcplens_capture::privilege::can_create_in;
use tcplens_output::human::Bytes;

use super::config::AgentConfig;
use super::plan::{self, From};
use crate::topology;

/// What of a file that says nothing wrong will not work on this machine, now and for this user. The file may be for another
/// one, so it is told and no more.
pub(crate) fn troubles(config: &AgentConfig) -> Vec<String> {
    let mut troubles = Vec::new();
    match plan::from(config) {
        From::Files { files, .. } => {
            let missing = files.iter().filter(|file| !file.exists());
            troubles.extend(missing.map(|file| format!("there is no {} to read", file.display())));
        }
        // What it takes is asked of the kernel when it begins; `doctor` tells.
        From::Sockets => {}
        From::Live(live, _) => {
            // Another namespace takes a privilege to look into.
            let here = live.iter().filter(|source| source.netns.is_none());
            let names = here.flat_map(|source| &source.interfaces);
            for name in names.filter(|name| *name != "any") {
                troubles.extend(interfaces::find(name).err().map(|error| error.to_string()));
            }
        }
    }
    for (view, output) in config
        .views
        .iter()
        .filter_map(|view| Some((&view.name, view.output.as_deref()?)))
    {
        let directory = match output.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let why = if !directory.is_dir() {
            "there is no such directory; make it first"
        } else if !output.exists() && !can_create_in(directory) {
            "it is not writable for this user"
        } else {
            continue;
        };
        troubles.push(format!(
            "{view}: cannot write {}: {}: {why}",
            output.display(),
            directory.display()
        ));
    }
    let anomalies = config.anomalies.as_ref();
    if let Some(path) = anomalies.and_then(|anomalies| anomalies.topology.as_deref())
        && let Err(error) = topology::read(path)
    {
        troubles.push(format!("anomalies.topology: {error:#}"));
    }
    if let (Some(limit), Some(all)) = (config.bounds.limit_memory, memory())
        && limit > all
    {
        troubles.push(format!(
            "bounds.limit_memory: {} is more than there is ({})",
            Bytes(limit),
            Bytes(all)
        ));
    }
    troubles
}

/// Bytes of memory of this machine (proc_meminfo(5)).
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::load::understand;

    #[test]
    fn what_is_not_here_is_told() {
        let text = "\
sources: [{interface: nosuch0}, {interface: any}, {interface: x, netns: other}]
views: [{kind: requests, output: /nonexistent/x}, {kind: requests, name: fine, output: Cargo.toml}]
bounds: {limit_memory: 1000000g}
";
        let loaded = understand(Path::new("a.yaml"), text, 1).unwrap();
        let troubles = troubles(&loaded.config);
        let [interface, output, memory] = troubles.as_slice() else {
            panic!("{troubles:#?}");
        };
        assert!(interface.starts_with("cannot open nosuch0 for capture: no such interface"));
        assert!(
            output.ends_with(
                ": cannot write /nonexistent/x: /nonexistent: there is no such directory; make it first"
            ),
            "{output}"
        );
        assert!(memory.starts_with("bounds.limit_memory: "), "{memory}");
        assert!(memory.contains(" is more than there is ("), "{memory}");
    }
}
