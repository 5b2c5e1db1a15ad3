//! Connections that were established and then dropped, because the server did not accept them fast enough: no tracepoint
//! tells, but the kernel counts them by namespace. Reference: tcp_v4_syn_recv_sock, LINUX_MIB_LISTENOVERFLOWS.

use std::fs::File;
use std::io;

use crate::net_counts;

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
    Ok(count(&net_counts::read(file)?))
}

fn count(text: &str) -> Option<u64> {
    net_counts::value(text, "TcpExt:", "ListenOverflows")
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
