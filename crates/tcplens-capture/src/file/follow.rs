//! A followed file: what its end means, and the file that takes its place.

use super::input::{Change, Input};
use super::reader::{FileSource, State, Status};

impl FileSource {
    /// Whether the end of the file is not the end.
    pub(super) fn is_followed(&self) -> bool {
        self.options.follow && self.is_regular()
    }

    /// At the end of a followed file: another file may have taken its place.
    pub(super) fn wait_at_end(&mut self) -> Status {
        let (State::Open(input), Some(path)) = (&self.state, &self.path) else {
            self.pause();
            return Status::Idle;
        };
        match input.change(path) {
            Change::None => self.pause(),
            // What its writer appended between our read and the replacement comes first.
            Change::Replaced if !self.saw_replaced => self.saw_replaced = true,
            Change::Replaced | Change::Shrunk => {
                if let Some(what) = self.cut() {
                    self.remember(what);
                }
                self.restart();
            }
        }
        Status::Idle
    }

    /// What to say without an open file.
    pub(super) fn nothing_now(&mut self) -> Status {
        match (&self.state, &self.path) {
            (State::Ended, _) => Status::End,
            (State::Open(_), _) => Status::Idle,
            (State::Waiting(Some(input)), Some(path)) if input.change(path) == Change::None => {
                self.pause();
                Status::Idle
            }
            (State::Waiting(_), _) => {
                self.restart();
                Status::Idle
            }
        }
    }

    /// Begins anew with the file that is at the path now.
    fn restart(&mut self) {
        self.position = self.position();
        self.format = None;
        self.carry.clear();
        (self.need, self.offset, self.saw_replaced, self.is_restarted) = (4, 0, false, true);
        let Some(path) = &self.path else { return };
        match Input::open(path, self.options.wait) {
            Ok(input) => self.state = State::Open(input),
            Err(error) => {
                let is_new = !matches!(self.state, State::Waiting(None));
                self.state = State::Waiting(None);
                if is_new {
                    self.remember(format!("the next file there cannot be opened: {error}"));
                }
                self.pause();
            }
        }
    }

    fn pause(&self) {
        if !self.options.wait.is_zero() {
            std::thread::sleep(self.options.wait);
        }
    }
}
