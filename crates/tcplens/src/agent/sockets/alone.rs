//! An agent that has no sources but sockets: the main thread waits for signals, tells the supervisor, and reads the file again.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;

use super::{OpenSockets, Outcome};
use crate::agent::notify::Notify;
use crate::agent::reload::Reload;
use crate::log::{Level, log};
use crate::status;

/// How often to look at signals, and at the thread.
const LOOK: Duration = Duration::from_millis(100);

/// Watches until `stop`. To be called when privileges have been given up.
///
/// # Errors
/// There is no thread for it, or it could not go on.
pub(crate) fn watch(
    sockets: OpenSockets,
    mut reload: Reload,
    mut notify: Notify,
    stop: &AtomicBool,
) -> Result<ExitCode> {
    let mut watched = sockets.start()?;
    notify.ready();
    let mut beats = 0;
    while !stop.load(Ordering::Relaxed) && !watched.is_over() {
        std::thread::sleep(LOOK);
        if watched.alive.goes_on(&mut beats) {
            notify.pulse(|| watched.alive.to_string());
        }
        if reload.is_asked() {
            reload.run(&mut Vec::new(), None, &notify, Some(&mut watched));
        }
    }
    notify.stopping();
    let Outcome { losses, .. } = watched.end()?;
    for loss in &losses {
        log(Level::Warning, loss);
    }
    Ok(match losses.is_empty() {
        true => ExitCode::SUCCESS,
        false => status::partial(),
    })
}
