//! SIGHUP: what of the section `sockets` takes effect at once, and what takes a restart: whatever was opened while there was
//! privilege, and names of connections, which must not change while they last.

use tcplens_core::socket::Pace;

use super::WatchedSockets;
use crate::agent::config::SocketsConfig;
use crate::log::{Level, log};
use crate::sockets::{Change, open};

/// How often the kernel is asked.
pub(super) fn pace(config: &SocketsConfig) -> Pace {
    match config.interval {
        Some(interval) => Pace::Fixed(interval.ns()),
        None => Pace::Budget(config.cpu_budget / 100.0),
    }
}

impl WatchedSockets {
    /// Goes on as the file says now, as far as that is possible.
    pub(crate) fn change(&mut self, now: Option<&SocketsConfig>) {
        let Some(now) = now else {
            log(
                Level::Warning,
                "sockets is not in the file any more: that takes effect with a restart",
            );
            return;
        };
        for key in needs_restart(&self.config, now) {
            log(
                Level::Warning,
                format_args!("sockets.{key} changed: that takes effect with a restart"),
            );
        }
        let next = SocketsConfig {
            archive: self.config.archive.clone(),
            uuid_prefix: self.config.uuid_prefix.clone(),
            uuid_prefix_file: self.config.uuid_prefix_file.clone(),
            event_socket: self.config.event_socket.clone(),
            netns: self.config.netns.clone(),
            ..now.clone()
        };
        if next == self.config {
            return;
        }
        let exclude = next.exclude.as_deref();
        let exclude = match exclude
            .map(|text| open::filter(text, &self.interfaces))
            .transpose()
        {
            Ok(exclude) => exclude,
            Err(error) => {
                log(
                    Level::Error,
                    format_args!("sockets.exclude: {error:#}; sockets stay as they were"),
                );
                return;
            }
        };
        let change = Change {
            pace: pace(&next),
            save_when: next.save_when.into(),
            exclude,
            anonymize: next.anonymize.with(self.addresses.clone()),
            includes_local: next.include_local,
        };
        // Where the thread has ended that was told, and it is over.
        if self.changes.send(change).is_ok() {
            log(Level::Info, "sockets are watched as the file says now");
            self.config = next;
        }
    }
}

/// Keys whose change needs a restart.
fn needs_restart(before: &SocketsConfig, now: &SocketsConfig) -> Vec<&'static str> {
    let keys = [
        ("archive", before.archive != now.archive),
        ("event_socket", before.event_socket != now.event_socket),
        ("uuid_prefix", before.uuid_prefix != now.uuid_prefix),
        (
            "uuid_prefix_file",
            before.uuid_prefix_file != now.uuid_prefix_file,
        ),
        ("netns", before.netns != now.netns),
    ];
    let changed = keys.into_iter().filter(|(_, is_other)| *is_other);
    changed.map(|(key, _)| key).collect()
}
