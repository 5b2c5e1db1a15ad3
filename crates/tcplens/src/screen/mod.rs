//! The screen of `top`. It has a thread of its own, which reads keys and draws on a clock; the numbers belong to the thread that
//! has the records, and are asked for over a link that neither side waits at. A slow terminal holds up nobody but itself.
//!
//! ```text
//! run          the thread: keys, questions, frames       terminal   lent, and given back whatever happens
//!   | state    what is shown, changed by keys and answers (keys, input)
//!   | link     questions and answers: `Answers` is with the view
//! paint        state to characters: table, destination (plot, verdict), fields, help; columns, look, labels
//! ```
//!
//! Bounds: one question and one answer under way; 4 frames a second, 30 while keys are pressed.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tcplens_core::record::Health;
use tcplens_core::time::Timestamp;
use tcplens_core::view::top::{Marks, TopQuery, TopSnapshot};
use tcplens_output::glyphs::Glyphs;
use tcplens_output::hosts::Hosts;

use self::link::{Answers, Questions, link};
use self::look::{Clock, Symbols};
use self::state::{Begin, State};
use self::terminal::Terminal;
use crate::cli::{self, Theme};
use crate::say::say;

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
mod verdict;

/// A screen, and the end of its link that is with the numbers. The terminal is as it was when this is dropped.
pub(crate) struct OnScreen {
    answers: Answers,
    /// Until it begins.
    ready: Option<Ready>,
    thread: Option<JoinHandle<TopQuery>>,
    /// Tells the thread to end.
    is_closed: Arc<AtomicBool>,
}

/// What its thread begins with.
struct Ready {
    terminal: Terminal,
    begin: Begin,
    symbols: &'static Symbols,
    clock: Clock,
    questions: Questions,
    stop: Arc<AtomicBool>,
}

/// Makes a screen ready, if there is a terminal that can show one; nothing is drawn before it begins. To be called before
/// privileges go. `stop` ends it, and is set when the user ends it.
pub(crate) fn open(
    command: &cli::Top,
    marks: Marks,
    query: &TopQuery,
    source: String,
    hosts: Hosts,
    stop: &Arc<AtomicBool>,
) -> Option<OnScreen> {
    let output = &command.common.output;
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if is_dumb || !std::io::stdout().is_terminal() {
        return None;
    }
    let terminal = match Terminal::open() {
        Ok(terminal) => terminal,
        Err(error) => {
            say(format_args!(
                "no screen: {error:#}; this is a table instead"
            ));
            return None;
        }
    };
    let (questions, answers) = link();
    let theme = match (command.theme, output.color.enabled(true)) {
        (Some(theme), _) => theme,
        (None, true) => Theme::Dark,
        (None, false) => Theme::Mono,
    };
    let ready = Ready {
        terminal,
        begin: Begin {
            source,
            by: query.by,
            over: query.over,
            sort: command.sort,
            filter: query.filter.clone(),
            theme,
            marks,
            hosts,
        },
        symbols: Symbols::of(Glyphs::choose(output.ascii)),
        clock: Clock::new(output.time),
        questions,
        stop: Arc::clone(stop),
    };
    Some(OnScreen {
        answers,
        ready: Some(ready),
        thread: None,
        is_closed: Arc::default(),
    })
}

/// How long the end waits for the screen's thread: a terminal that takes nothing must not keep the program.
const PATIENCE: Duration = Duration::from_secs(1);

impl OnScreen {
    /// Takes the terminal, and begins its thread.
    pub(crate) fn begin(&mut self) {
        let Some(Ready {
            terminal,
            begin,
            symbols,
            clock,
            questions,
            stop,
        }) = self.ready.take()
        else {
            return;
        };
        let is_closed = Arc::clone(&self.is_closed);
        let thread = std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                let state = State::new(begin, terminal.size());
                run::Shown {
                    terminal,
                    state,
                    symbols,
                    clock,
                    questions,
                    is_closed,
                    stop,
                }
                .run()
            });
        match thread {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => say(format_args!("no screen: cannot begin its thread: {error}")),
        }
    }

    /// Answers, if the screen asks. Never waits.
    pub(crate) fn serve(&mut self, answer: impl FnOnce(&TopQuery) -> TopSnapshot) {
        self.answers.serve(answer);
    }

    /// What was counted so far.
    pub(crate) fn health(&mut self, health: &Health) {
        self.answers.health(health);
    }

    /// The time of the first packet.
    pub(crate) fn first_packet(&mut self, at: Timestamp) {
        self.answers.first_packet(at);
    }

    /// All was read: answers until the user, or a signal, ends it.
    pub(crate) fn stay(&mut self, answer: impl FnMut(&TopQuery) -> TopSnapshot) {
        if self.thread.is_some() {
            self.answers.serve_on(answer);
        }
    }

    /// Gives the terminal back. What was asked for last, if it is known, of all rows.
    pub(crate) fn close(&mut self) -> Option<TopQuery> {
        let thread = self.thread.take()?;
        self.is_closed.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let query = if thread.is_finished() {
            thread.join().ok()
        } else {
            None
        };
        terminal::give_back();
        query
    }
}

impl Drop for OnScreen {
    fn drop(&mut self) {
        self.close();
    }
}
