//! What a service tells systemd (sd_notify(3)): a datagram to $NOTIFY_SOCKET. Without one nothing is said.
//!
//! No library: the protocol is lines of text in a datagram, and the standard library has the socket, abstract names
//! included. Sending never waits: a supervisor that does not read harms no capture.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use tcplens_capture::process;

/// How often the status may change.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// The way to the supervisor.
#[derive(Debug, Default)]
pub(crate) struct Notify {
    socket: Option<UnixDatagram>,
    /// Half of the time in which the supervisor wants to hear something.
    watchdog: Option<Duration>,
    heard: Option<Instant>,
    told: Option<Instant>,
}

impl Notify {
    /// As the environment says. Called before privileges go: the socket stays open.
    pub(crate) fn from_environment() -> Notify {
        let variable = |name: &str| std::env::var_os(name);
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // Meant for another process, which started this one.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| is_ours);
        Notify {
            socket: variable("NOTIFY_SOCKET").and_then(|name| connect(&name)),
            watchdog: watchdog.map(|us| Duration::from_micros(us / 2)),
            ..Notify::default()
        }
    }

    /// Packets are looked at from here on; also after a reload.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is being read again.
    pub(crate) fn reloading(&self) {
        let now = process::monotonic().unwrap_or_default().as_micros();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// It is about to end.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Still alive, and what `status` says, as often as the supervisor wants to know. To be called at least ten times a
    /// second by the thread that has the records: another one would say so even if that thread were stuck.
    pub(crate) fn pulse(&mut self, status: impl FnOnce() -> String) {
        if self.socket.is_none() {
            return;
        }
        let now = Instant::now();
        let is_due = |last: Option<Instant>, every: Duration| {
            last.is_none_or(|last| now.duration_since(last) >= every)
        };
        if let Some(every) = self.watchdog
            && is_due(self.heard, every)
        {
            self.heard = Some(now);
            self.send("WATCHDOG=1");
        }
        if is_due(self.told, STATUS_EVERY) {
            self.told = Some(now);
            self.send(&format!("STATUS={}", status()));
        }
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // A supervisor that does not take it knows that best; there is no other way to tell it.
            let _ = socket.send(message.as_bytes());
        }
    }
}

/// A socket that sends there without waiting.
fn connect(name: &OsString) -> Option<UnixDatagram> {
    let bytes = name.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect_addr(&address.ok()?).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_at_abstract_and_named_sockets() {
        let abstract_name = format!("tcplens-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&abstract_name);
        let listeners = [
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()),
                OsString::from(format!("@{abstract_name}")),
            ),
            (UnixDatagram::bind(&path), path.clone().into_os_string()),
        ];
        for (listener, name) in listeners {
            let listener = listener.unwrap();
            let mut notify = Notify {
                socket: connect(&name),
                watchdog: Some(Duration::from_secs(3600)),
                ..Notify::default()
            };
            notify.ready();
            notify.reloading();
            notify.pulse(|| "well".into());
            notify.pulse(|| "well".into());
            notify.stopping();
            let next = || {
                let mut buffer = [0; 256];
                let n = listener.recv(&mut buffer).unwrap();
                String::from_utf8_lossy(&buffer[..n]).into_owned()
            };
            assert_eq!(next(), "READY=1");
            let reloading = next();
            let us = reloading
                .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
                .unwrap();
            assert!(us.parse::<u64>().unwrap() > 0);
            assert_eq!(next(), "WATCHDOG=1");
            assert_eq!(next(), "STATUS=well");
            assert_eq!(next(), "STOPPING=1");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_a_supervisor_nothing_is_said() {
        let mut notify = Notify::default();
        notify.ready();
        notify.pulse(|| panic!("nobody asked"));
        assert!(connect(&OsString::from("/nonexistent/socket")).is_none());
    }
}
