//! The terminal, lent for a while: raw, the other screen, the mouse, no cursor; and given back as it was whatever happens:
//! at the end, after a panic in any thread, and while the program is stopped. Not what is drawn: see `paint`.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::backend::{Backend, ClearType, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event;
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::low_level::emulate_default_handler;

use crate::say;

/// The other screen, no cursor, presses of the mouse as numbers.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1006h";
/// The reverse of it, and no colour.
const LEAVE: &[u8] = b"\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l";
/// What is between these appears at once (synchronized output; terminals that do not know it pass it over).
const FRAME: [&[u8]; 2] = [b"\x1b[?2026h", b"\x1b[?2026l"];

/// How long somebody who must give the terminal back waits for a frame to be written: a terminal may take nothing for ever.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether the terminal is lent.
static IS_LENT: AtomicBool = AtomicBool::new(false);
/// Held while something is written to it.
static WRITING: Mutex<()> = Mutex::new(());

/// What came while waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Keys, the mouse, a signal; or nothing so far.
    Perhaps,
    /// Nobody is there any more.
    HungUp,
}

/// A terminal that is ready to be lent.
pub(super) struct Terminal {
    output: File,
    input: File,
    shown: Buffer,
    next: Buffer,
    /// The program was asked to stop, and goes on after a stop.
    is_asked_to_stop: Arc<AtomicBool>,
    goes_on: Arc<AtomicBool>,
}

impl Terminal {
    /// Opens it and changes nothing. To be called while there is privilege: files cannot be opened later.
    ///
    /// # Errors
    /// Standard output is no terminal, or keys cannot be read.
    pub(super) fn open() -> Result<Terminal> {
        let output = io::stdout().as_fd().try_clone_to_owned();
        let output = File::from(output.context("cannot write to the terminal")?);
        let stdin = io::stdin();
        let input = if stdin.is_terminal() {
            stdin.as_fd().try_clone_to_owned().map(File::from)
        } else {
            // Standard input may be a capture.
            File::open("/dev/tty")
        };
        let input = input.context("cannot read keys from the terminal (/dev/tty)")?;
        // Opens what keys are read with.
        event::poll(Duration::ZERO).context("cannot read keys from the terminal")?;
        let (is_asked_to_stop, goes_on) = (Arc::default(), Arc::default());
        for (signal, flag) in [(SIGTSTP, &is_asked_to_stop), (SIGCONT, &goes_on)] {
            signal_hook::flag::register(signal, Arc::clone(flag))
                .with_context(|| format!("cannot wait for signal {signal}"))?;
        }
        Ok(Terminal {
            output,
            input,
            shown: Buffer::empty(Rect::ZERO),
            next: Buffer::empty(Rect::ZERO),
            is_asked_to_stop,
            goes_on,
        })
    }

    /// Takes it; what is said is kept from here on.
    ///
    /// # Errors
    /// It cannot be set up.
    pub(super) fn take(&mut self) -> io::Result<()> {
        restore_after_panics();
        enable_raw_mode()?;
        IS_LENT.store(true, Ordering::SeqCst);
        say::keep_all();
        self.write(ENTER)?;
        self.redraw();
        Ok(())
    }

    /// Columns and lines; as if it had 80 and 24 where it does not tell.
    pub(super) fn size(&self) -> (u16, u16) {
        let size = terminal_size::terminal_size_of(&self.output);
        size.map_or((80, 24), |(width, height)| (width.0, height.0))
    }

    /// From here on everything is drawn anew.
    pub(super) fn redraw(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }

    /// Draws what has changed. Waits for a terminal that is slow, which is why it has a thread of its own.
    ///
    /// # Errors
    /// It takes nothing any more.
    pub(super) fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        let (width, height) = self.size();
        let area = Rect::new(0, 0, width, height);
        self.next.resize(area);
        self.next.reset();
        paint(&mut self.next);
        let drawn = changes(&mut self.shown, &self.next)?;
        std::mem::swap(&mut self.shown, &mut self.next);
        if drawn.is_empty() {
            return Ok(());
        }
        self.write(&[FRAME[0], &drawn, FRAME[1]].concat())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have given it back meanwhile.
        if IS_LENT.load(Ordering::SeqCst) {
            self.output.write_all(bytes)?;
        }
        Ok(())
    }

    /// Waits for keys.
    pub(super) fn wait(&self, at_most: Duration) -> Came {
        let timeout = Timespec::try_from(at_most).ok();
        let mut fds = [PollFd::new(&self.input, PollFlags::IN)];
        // An error is a signal; there is nothing then.
        let came =
            poll(&mut fds, timeout.as_ref()).map_or(PollFlags::empty(), |_| fds[0].revents());
        // What reads keys would read for ever.
        if came.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            Came::HungUp
        } else {
            Came::Perhaps
        }
    }

    /// Stops the program if it was asked to by a signal, or `is_asked` says so, and goes on when it is continued; whether
    /// anything happened to the terminal meanwhile.
    ///
    /// # Errors
    /// The terminal cannot be set up again.
    pub(super) fn stop_and_go_on(&mut self, is_asked: bool) -> io::Result<bool> {
        let is_signalled = self.is_asked_to_stop.swap(false, Ordering::SeqCst);
        if is_asked || is_signalled {
            give_back();
            // Returns when the program goes on.
            emulate_default_handler(SIGTSTP)?;
        } else if !self.goes_on.load(Ordering::SeqCst) {
            return Ok(false);
        } else {
            // Stopped without being asked (SIGSTOP): the shell may have changed everything.
            give_back();
        }
        self.goes_on.store(false, Ordering::SeqCst);
        self.take()?;
        Ok(true)
    }
}

/// What makes `next` of what is shown; of another size all of it.
///
/// # Errors
/// None: it goes to memory.
pub(super) fn changes(shown: &mut Buffer, next: &Buffer) -> io::Result<Vec<u8>> {
    let mut drawn = Vec::new();
    let mut backend = CrosstermBackend::new(&mut drawn);
    if shown.area != next.area {
        shown.resize(next.area);
        shown.reset();
        backend.clear_region(ClearType::All)?;
    }
    let changes = shown.diff(next);
    if !changes.is_empty() {
        backend.draw(changes.into_iter())?;
    }
    Ok(drawn)
}

/// Gives the terminal back as it was, if it is lent, and prints what was said meanwhile. From any thread, also after a panic.
pub(super) fn give_back() {
    if !IS_LENT.swap(false, Ordering::SeqCst) {
        return;
    }
    // A frame that is being written ends first; in a panic it may be this very thread's, and a terminal that takes nothing
    // is not waited for.
    let begun = Instant::now();
    let writing = loop {
        match WRITING.try_lock() {
            Ok(writing) => break Some(writing),
            Err(TryLockError::Poisoned(writing)) => break Some(writing.into_inner()),
            Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => break None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // There is no terminal any more if these fail.
    let _ = disable_raw_mode();
    if writing.is_some()
        && let Ok(output) = io::stdout().as_fd().try_clone_to_owned()
    {
        let _ = File::from(output).write_all(LEAVE);
    }
    drop(writing);
    say::print_kept();
}

/// What a panic says is printed on a terminal that shows it.
fn restore_after_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            usual(panic);
        }));
    });
}

#[cfg(test)]
#[path = "../../tests/screen/tmux.rs"]
#[expect(dead_code, reason = "tests of the whole program use the rest")]
mod tmux;

#[cfg(test)]
mod tests {
    use super::tmux::Tmux;
    use super::*;

    /// What makes this very test program panic on a terminal.
    const CHILD: &str = "TCPLENS_TEST_OF_PANIC";

    /// Not a test of its own: what the next one runs in a terminal.
    #[test]
    fn child_that_panics() {
        let Ok(who) = std::env::var(CHILD) else {
            return;
        };
        let mut terminal = Terminal::open().unwrap();
        terminal.take().unwrap();
        terminal
            .draw(|buffer| {
                buffer.set_string(0, 0, "it is drawn", ratatui::style::Style::new());
            })
            .unwrap();
        crate::say::say("kept until then");
        let mut draws = move || {
            let _ = terminal.draw(|_| panic!("while it draws"));
        };
        match who.as_str() {
            "drawing" => draws(),
            // Another thread panics; the one that has the screen cannot draw any more.
            _ => {
                let other = std::thread::spawn(|| panic!("in another thread"));
                assert!(other.join().is_err());
                assert!(!IS_LENT.load(Ordering::SeqCst));
            }
        }
    }

    #[test]
    fn a_panic_in_any_thread_gives_the_terminal_back_and_is_told() {
        let program = std::env::current_exe().unwrap().display().to_string();
        for (who, said) in [
            ("drawing", "while it draws"),
            ("other", "in another thread"),
        ] {
            let Some(tmux) = Tmux::start(&format!("panic-{who}"), 150, 40) else {
                return;
            };
            tmux.line(&format!(
                "clear; RUST_BACKTRACE=0 {CHILD}={who} {program} --nocapture screen::terminal::tests::child_that_panics"
            ));
            tmux.until("it panicked", |text| {
                text.contains(said) && text.contains("test result")
            });
            let shown = tmux.is_as_before();
            assert!(shown.contains("tcplens: kept until then"), "{shown}");
            assert!(!shown.contains("it is drawn"), "{shown}");
        }
    }
}
