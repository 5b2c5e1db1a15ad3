//! How many TCP connections a network namespace has opened: the kernel counts each, also those that nobody saw. Reference:
//! RFC 4022 (tcpActiveOpens, tcpPassiveOpens), proc_net_snmp in Documentation/networking/snmp_counter.rst of the kernel.

use std::fs::File;
use std::io;

use crate::net_counts;

/// Those counts, from when it was opened. They are read on without privileges, and from any namespace.
#[derive(Debug)]
pub struct Opened {
    file: File,
    before: u64,
}

impl Opened {
    /// Of the network namespace of this thread.
    ///
    /// # Errors
    /// /proc is not there, or tells nothing of it.
    pub fn open() -> io::Result<Opened> {
        let file = File::open("/proc/thread-self/net/snmp")?;
        let before = read(&file)?.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Opened { file, before })
    }

    /// Sockets that have connected, or tried to, and those that were made for somebody who connected, since then; each end
    /// counts where both are here. `None`: it cannot be read any more.
    #[must_use]
    pub fn since(&self) -> Option<u64> {
        read(&self.file)
            .ok()?
            .map(|now| now.wrapping_sub(self.before))
    }

    /// From now on.
    pub fn begin_again(&mut self) {
        if let Ok(Some(now)) = read(&self.file) {
            self.before = now;
        }
    }
}

fn read(file: &File) -> io::Result<Option<u64>> {
    Ok(count(&net_counts::read(file)?))
}

fn count(text: &str) -> Option<u64> {
    let value = |name| net_counts::value(text, "Tcp:", name);
    value("ActiveOpens")?.checked_add(value("PassiveOpens")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_opening_count() {
        let text = "Ip: ActiveOpens\nIp: 7\nTcp: MaxConn ActiveOpens PassiveOpens AttemptFails\nTcp: -1 20 300 4\n";
        assert_eq!(count(text), Some(320));
        assert_eq!(count("Tcp: ActiveOpens\nTcp: 8\n"), None);
        assert_eq!(count("Tcp: ActiveOpens PassiveOpens\n"), None);
    }

    #[test]
    fn this_machine_counts_what_is_opened() {
        let opened = match Opened::open() {
            Ok(opened) => opened,
            Err(why) => return println!("SKIPPED: /proc/thread-self/net/snmp: {why}"),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        assert!(opened.since() >= Some(2));
    }
}
