//! The screen of `top`. It has a thread of its own, which reads keys and draws on a clock; the numbers belong to the thread that
//! has the records, and are asked for over a link that neither side waits at. A slow terminal holds up nobody but itself.
//!
//! ```text
//! run          the thread: keys, questions, frames       terminal   lent, and given back whatever happens
//!   | state    what is shown, changed by keys and answers (keys, input)
//!   | link     questions and answers: `Answers` is with the view
//! paint        state to characters: table, destination (plot, verdict), fields, help; columns, thresholds, look, labels
//! ```
//!
//! Bounds: one question and one answer under way; 4 frames a second, 30 while keys are pressed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::GroupBy;
use tcplens_core::view::top::{Over, TopQuery};
use tcplens_output::time_style::TimeStyle;

pub(crate) use link::Answers;
pub(crate) use look::Theme;
pub(crate) use thresholds::{Highlight, Thresholds};

use self::link::{Questions, link};
use self::look::{Clock, Symbols};
use self::state::{Begin, State};
use self::terminal::Terminal;

mod columns;
mod destination;
mod fields;
mod help;
mod input;
mod keys;
mod labels;
mod link;
mod look;
mod paint;
mod plot;
mod run;
#[cfg(test)]
mod sample;
mod state;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod thresholds;
mod verdict;

/// What a screen begins with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What is looked at, in a few words: the file, the interface.
    pub source: String,
    /// What the rows are.
    pub by: GroupBy,
    /// Of which time.
    pub over: Over,
    /// The field of `peer` that orders; else how long requests took.
    pub sort: Option<String>,
    /// Which rows.
    pub filter: Option<RecordFilter>,
    /// Its colours.
    pub theme: Theme,
    /// Only characters that every terminal has.
    pub is_ascii: bool,
    /// How times are shown.
    pub time: TimeStyle,
    /// From where on values are marked.
    pub thresholds: Thresholds,
}

/// A screen that is ready and has not begun.
pub(crate) struct Ready {
    terminal: Terminal,
    settings: Settings,
    questions: Questions,
    stop: Arc<AtomicBool>,
}

/// A screen. The terminal is as it was when this is dropped.
pub(crate) struct Screen {
    thread: Option<JoinHandle<TopQuery>>,
    is_closed: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

/// Makes a screen ready, and the other end of its link; nothing is drawn before it begins. To be called before privileges go.
/// `stop` ends it, and it sets that when the user ends it.
///
/// # Errors
/// There is no terminal.
pub(crate) fn ready(settings: Settings, stop: Arc<AtomicBool>) -> Result<(Ready, Answers)> {
    let terminal = Terminal::open()?;
    let (questions, answers) = link();
    let ready = Ready { terminal, settings, questions, stop };
    Ok((ready, answers))
}

impl Ready {
    /// Takes the terminal, and begins a thread.
    ///
    /// # Errors
    /// There can be no thread.
    pub(crate) fn begin(self) -> Result<Screen> {
        let Ready { terminal, settings, questions, stop } = self;
        let is_closed = Arc::<AtomicBool>::default();
        let is_over = Arc::<AtomicBool>::default();
        let (closed, over) = (Arc::clone(&is_closed), Arc::clone(&is_over));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| {
            std::env::var(name).ok().filter(|value| !value.is_empty())
        });
        let symbols = Symbols::of(settings.is_ascii, locale.as_deref());
        let clock = Clock::new(settings.time);
        let begin = Begin {
            by: settings.by,
            over: settings.over,
            sort: settings.sort,
            filter: settings.filter,
            theme: settings.theme,
            thresholds: settings.thresholds,
            source: settings.source,
        };
        let thread = std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
            let state = State::new(begin, terminal.size());
            let shown = run::Shown { terminal, state, symbols, clock, questions, is_closed: closed, is_over: over, stop };
            shown.run()
        });
        let thread = thread.context("cannot begin the thread of the screen")?;
        Ok(Screen { thread: Some(thread), is_closed, is_over })
    }
}

/// How long the end waits for the screen's thread: a terminal that takes nothing must not keep the program.
const PATIENCE: Duration = Duration::from_secs(1);

impl Screen {
    /// Whether the user still looks.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Gives the terminal back. What was asked for last, if it is known: a table that is printed afterwards is that one.
    pub(crate) fn close(mut self) -> Option<TopQuery> {
        self.end()
    }

    fn end(&mut self) -> Option<TopQuery> {
        let thread = self.thread.take()?;
        self.is_closed.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let query = if thread.is_finished() { thread.join().ok() } else { None };
        terminal::give_back();
        query
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end();
    }
}
