//! What this process has used so far. For `health`; nothing else may depend on it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// User and system time of all threads.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    clock_gettime(ClockId::ProcessCPUTime).try_into().ok()
}

/// The largest resident set so far, in bytes; `None` without /proc (proc_pid_status(5), `VmHWM`).
#[must_use]
pub fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_running_process_has_used_something() {
        assert!(super::cpu_time().is_some());
        assert!(super::peak_resident_bytes().is_none_or(|bytes| bytes > 100_000));
    }
}
