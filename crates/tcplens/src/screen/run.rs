//! The thread of the screen: keys at once, questions and frames by the clock.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::crossterm::event;
use tcplens_core::view::top::TopQuery;

use super::link::Questions;
use super::look::{Clock, Symbols};
use super::paint::paint;
use super::state::{Effect, State};
use super::terminal::{Came, Terminal, give_back};
use crate::say;

/// How often new numbers are asked for.
const NUMBERS: Duration = Duration::from_millis(250);
/// The least time between two frames.
const FRAME: Duration = Duration::from_millis(33);
/// The longest time without a look at signals, and at the size of the terminal.
const LOOK: Duration = Duration::from_millis(100);
/// The same while an answer is waited for.
const ANSWER: Duration = Duration::from_millis(20);

/// All that the thread has.
pub(super) struct Shown {
    pub terminal: Terminal,
    pub state: State,
    pub symbols: &'static Symbols,
    pub clock: Clock,
    pub questions: Questions,
    /// The program is about to end.
    pub is_closed: Arc<AtomicBool>,
    /// Ends the run.
    pub stop: Arc<AtomicBool>,
}

impl Shown {
    /// Until the user or the run ends it; what was asked for last.
    pub(super) fn run(mut self) -> TopQuery {
        // A terminal that takes nothing any more: nobody looks.
        let _ = self.terminal.take().and_then(|()| self.look());
        give_back();
        self.stop.store(true, Ordering::Relaxed);
        let mut query = self.state.query();
        // Of the whole table.
        (query.skip, query.rows, query.detail) = (0, usize::MAX, None);
        query
    }

    fn look(&mut self) -> io::Result<()> {
        let mut asked: Option<Instant> = None;
        let mut numbers = Instant::now();
        let mut drawn = Instant::now();
        let mut is_first = true;
        let mut is_dirty = true;
        let mut size = self.terminal.size();
        while !self.is_closed.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
            if asked.is_none() {
                let is_time = is_first || numbers.elapsed() >= NUMBERS;
                if let Some(question) = self.state.ask(is_time) {
                    self.questions.ask(question);
                    (asked, numbers, is_first) = (Some(Instant::now()), Instant::now(), false);
                }
            }
            if is_dirty && drawn.elapsed() >= FRAME {
                let (state, symbols, clock) = (&self.state, self.symbols, &self.clock);
                self.terminal
                    .draw(|buffer| paint(state, symbols, clock, buffer))?;
                (drawn, is_dirty) = (Instant::now(), false);
            }
            let mut wait = if asked.is_some() { ANSWER } else { LOOK };
            if is_dirty {
                wait = wait.min(FRAME);
            } else if asked.is_none() {
                wait = wait.min(NUMBERS.saturating_sub(numbers.elapsed()));
            }
            if self.terminal.wait(wait) == Came::HungUp {
                return Ok(());
            }
            let mut effect = Effect::None;
            // Also without input: what came with a key before may still be in the queue of what reads keys.
            while !matches!(effect, Effect::Quit | Effect::Suspend) && event::poll(Duration::ZERO)?
            {
                match self.state.on(&event::read()?) {
                    Effect::None => {}
                    more => effect = more,
                }
                is_dirty = true;
            }
            if effect == Effect::Quit {
                return Ok(());
            }
            if self.terminal.stop_and_go_on(effect == Effect::Suspend)? || effect == Effect::Redraw
            {
                self.terminal.redraw();
                is_dirty = true;
            }
            let now = self.terminal.size();
            if now != size {
                size = now;
                self.state.resize(size);
                is_dirty = true;
            }
            match self.questions.told() {
                Ok(Some(told)) => {
                    asked = None;
                    if let Some(first) = told.facts.first {
                        self.clock.begin(first);
                    }
                    is_dirty |= self.state.take(told);
                }
                Ok(None) => {}
                // The run has failed: what it says is printed when the terminal is given back.
                Err(()) => return Ok(()),
            }
            let silent = asked.map_or(0, |at| at.elapsed().as_secs());
            if silent != self.state.silent_s {
                self.state.silent_s = silent;
                is_dirty = true;
            }
            let said = say::last_kept();
            if said != self.state.message {
                self.state.message = said;
                is_dirty = true;
            }
        }
        Ok(())
    }
}
