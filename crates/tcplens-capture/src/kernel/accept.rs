//! Connections that were established and then dropped, because the server did not accept them fast enough: no tracepoint
//! tells, but the kernel counts them by namespace. Reference: tcp_v4_syn_recv_sock, LINUX_MIB_LISTENOVERFLOWS.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// That count, from when it was opened. It is read on without privileges, and from any namespace.
#[derive(Debug)]
pub struct AcceptQueues {
    file: File,
    before: u64,
}

impl AcceptQueues {
    /// Of the network namespace of this thread.
    ///
    /// # Errors
    /// /proc is not there, or tells nothing of it.
    pub fn open() -> io::Result<AcceptQueues> {
        let file = File::open("/proc/thread-self/net/netstat")?;
        let before = read(&file)?.ok_or(io::ErrorKind::InvalidData)?;
        Ok(AcceptQueues { file, before })
    }

    /// How many since then; `None`: it cannot be read any more.
    #[must_use]
    pub fn overflows(&self) -> Option<u64> {
        read(&self.file)
            .ok()?
            .map(|now| now.wrapping_sub(self.before))
    }
}

fn read(file: &File) -> io::Result<Option<u64>> {
    // Some 4 KiB on Linux 6.18.
    let mut bytes = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match file.read_at(&mut bytes[length..], length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    Ok(count(&String::from_utf8_lossy(&bytes[..length])))
}

/// Of lines in pairs: names, values.
fn count(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let names = lines.next()?.split_whitespace();
    let values = lines.next()?.split_whitespace();
    let (_, value) = names
        .zip(values)
        .find(|(name, _)| *name == "ListenOverflows")?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_is_found_by_its_name() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 22 333\n\
                    IpExt: InNoRoutes ListenOverflows\nIpExt: 7 8\n";
        assert_eq!(count(text), Some(22));
        assert_eq!(count("IpExt: ListenOverflows\nIpExt: 8\n"), None);
        assert_eq!(count("TcpExt: ListenOverflows\n"), None);
    }

    #[test]
    fn this_machine_has_one() {
        match AcceptQueues::open() {
            Ok(queues) => assert!(queues.overflows().is_some()),
            Err(why) => println!("SKIPPED: /proc/thread-self/net/netstat: {why}"),
        }
    }
}
