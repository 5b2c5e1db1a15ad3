//! What this process has used so far, and the time that its supervisor counts in. For `health` and messages to the
//! supervisor; nothing else may depend on it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// User and system time of all threads.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    clock_gettime(ClockId::ProcessCPUTime).try_into().ok()
}

/// Time since the machine was started, sleep left out: what systemd compares a reload with (sd_notify(3)).
#[must_use]
pub fn monotonic() -> Option<Duration> {
    clock_gettime(ClockId::Monotonic).try_into().ok()
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
        assert!(super::monotonic() <= super::monotonic() && super::monotonic().is_some());
        assert!(super::peak_resident_bytes().is_none_or(|bytes| bytes > 100_000));
    }
}
