//! Packets that interfaces lost before anybody could capture them: tcpeek's `ifdrop`. The kernel counts them per interface
//! (Documentation/ABI/testing/sysfs-class-net-statistics); only what came since the beginning is told.

use std::fs;
use std::path::PathBuf;

/// What the kernel counted for some interfaces of this network namespace.
#[derive(Debug)]
pub(super) struct InterfaceDrops {
    root: PathBuf,
    names: Vec<String>,
    /// When it began; unknown if there are no interfaces, or none that can be looked at.
    before: Option<u64>,
}

impl InterfaceDrops {
    /// Of these interfaces; `any` is all there are.
    pub(super) fn new(names: Vec<String>) -> InterfaceDrops {
        InterfaceDrops::under("/sys/class/net".into(), names)
    }

    fn under(root: PathBuf, names: Vec<String>) -> InterfaceDrops {
        let mut drops = InterfaceDrops {
            root,
            names,
            before: None,
        };
        drops.before = drops.counted();
        drops
    }

    /// Since it began.
    pub(super) fn since_begin(&self) -> Option<u64> {
        // An interface that came anew counts from zero again.
        Some(self.counted()?.saturating_sub(self.before?))
    }

    fn counted(&self) -> Option<u64> {
        let mut names = self.names.clone();
        if names.iter().any(|name| name == "any") {
            let all = fs::read_dir(&self.root).ok()?;
            names = all
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect();
        }
        // Some are gone, perhaps; what is left is still counted.
        let known = names.iter().filter_map(|name| self.of(name));
        known.reduce(u64::saturating_add)
    }

    /// No room in the card's buffers, or in its queue: what libpcap counts.
    fn of(&self, name: &str) -> Option<u64> {
        let statistics = self.root.join(name).join("statistics");
        let read = |what| -> Option<u64> {
            let text = fs::read_to_string(statistics.join(what)).ok()?;
            text.trim().parse().ok()
        };
        Some(read("rx_missed_errors")?.saturating_add(read("rx_fifo_errors")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_the_beginning_is_summed_over_those_that_are_there() {
        let name = format!("tcplens-{}-interfaces", std::process::id());
        let root = std::env::temp_dir().join(name);
        let set = |interface: &str, missed: u64, fifo: u64| {
            let statistics = root.join(interface).join("statistics");
            fs::create_dir_all(&statistics).unwrap();
            fs::write(statistics.join("rx_missed_errors"), format!("{missed}\n")).unwrap();
            fs::write(statistics.join("rx_fifo_errors"), format!("{fifo}\n")).unwrap();
        };
        set("a", 3, 4);
        set("b", 100, 0);
        let of = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned());
            InterfaceDrops::under(root.clone(), names.collect())
        };
        let (one, all, none) = (of(&["a"]), of(&["any"]), of(&["c"]));
        set("a", 5, 10);
        set("b", 200, 0);
        let seen = [&one, &all, &none, &of(&[])].map(InterfaceDrops::since_begin);
        assert_eq!(seen, [Some(8), Some(108), None, None]);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(one.since_begin(), None);
    }
}
