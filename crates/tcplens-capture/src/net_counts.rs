//! The counters of a network namespace, as /proc/net/snmp and /proc/net/netstat tell them: lines in pairs, names and values.
//! Reference: snmp_seq_show and netstat_seq_show in net/ipv4/proc.c of the kernel.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The whole file, from its beginning whatever was read before: some 4 KiB on Linux 6.18, 64 KiB at most.
pub(crate) fn read(file: &File) -> io::Result<String> {
    let mut bytes = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match file.read_at(&mut bytes[length..], length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A counter of a group (`Tcp:`), by its name.
pub(crate) fn value(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut both = names.split_whitespace().zip(values.split_whitespace());
    both.find(|(found, _)| *found == name)?.1.parse().ok()
}
