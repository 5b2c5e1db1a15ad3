//! How much finds room on a terminal of this size, and which line is where.

use super::super::columns::pages;
use super::super::paint::wrapped;
use super::{ABOVE, BELOW, State, Subject};

impl State {
    /// The terminal has this size from now on.
    pub(in super::super) fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        self.page = self.page.min(self.pages().len() - 1);
        self.go(self.rows.at);
        self.is_stale = true;
    }

    /// Columns and lines.
    #[cfg(test)]
    pub(in super::super) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Rows on the screen.
    pub(in super::super) fn height(&self) -> usize {
        usize::from(
            self.size
                .1
                .saturating_sub(ABOVE + BELOW + self.input_lines()),
        )
    }

    /// Lines below the rows that a filter takes.
    pub(in super::super) fn input_lines(&self) -> u16 {
        if self.input.is_none() {
            return 0;
        }
        // What points at the word, and what is wrong with it.
        let lines = self.error_lines().len();
        u16::try_from(lines).map_or(0, |lines| if lines > 0 { lines + 1 } else { 0 })
    }

    /// What is wrong with what is typed.
    pub(in super::super) fn error_lines(&self) -> Vec<String> {
        let Some(error) = &self.error else {
            return Vec::new();
        };
        let width = usize::from(self.size.0).saturating_sub(2);
        let mut lines = wrapped(&error.message, width);
        // Some rows are still to be seen.
        lines.truncate(3);
        lines
    }

    /// How wide a row's name is shown.
    pub(in super::super) fn name_width(&self) -> u16 {
        match self.size.0 {
            width @ 0..100 => (width * 27 / 100).clamp(8, 21),
            100..160 => 26,
            _ => 40,
        }
    }

    /// Columns by page.
    pub(in super::super) fn pages(&self) -> Vec<Vec<usize>> {
        pages(self.size.0.saturating_sub(self.name_width() + 1))
    }

    /// Lines of a destination that can be selected.
    pub(in super::super) fn line_count(&self) -> usize {
        let detail = self.detail.as_ref();
        detail.map_or(0, |detail| detail.slowest.len() + detail.connections.len())
    }

    /// What a line of a destination is.
    pub(in super::super) fn subject(&self, line: usize) -> Option<Subject> {
        let detail = self.detail.as_ref()?;
        match line.checked_sub(detail.slowest.len()) {
            None => Some(Subject::Request(line)),
            Some(connection) if connection < detail.connections.len() => {
                Some(Subject::Connection(connection))
            }
            Some(_) => None,
        }
    }

    /// Lines of a destination on the screen: what its plots leave.
    pub(in super::super) fn lines_height(&self) -> usize {
        usize::from(self.size.1).saturating_sub(usize::from(BELOW) + self.plots_height())
    }

    /// Lines of the plots above them, with the title.
    pub(in super::super) fn plots_height(&self) -> usize {
        let shades = self.shade_rows();
        // Title, what it is and what is wrong; then times and four sparklines; then a second line of what is wrong, three of
        // numbers, and the map, too.
        match self.size.1 {
            0..16 => 3,
            16..22 => 8,
            _ => 12 + shades,
        }
    }

    /// Lines of the heat map.
    pub(in super::super) fn shade_rows(&self) -> usize {
        match self.size.1 {
            0..22 => 0,
            22..30 => 4,
            30..45 => 6,
            _ => 9,
        }
    }

    /// How many lines of a destination's lists are passed over, their headings among them.
    pub(in super::super) fn lines_skipped(&self) -> usize {
        let slowest = self
            .detail
            .as_ref()
            .map_or(0, |detail| detail.slowest.len());
        let top = self.lines.top;
        // Where the second list begins its heading is shown.
        top + usize::from(top > 0 && top >= slowest)
    }

    /// Which line that can be selected is the `at`th of the lists, their headings among them.
    pub(super) fn line_at(&self, at: usize) -> Option<usize> {
        let slowest = self
            .detail
            .as_ref()
            .map_or(0, |detail| detail.slowest.len());
        let line = match at.checked_sub(1)? {
            line if line < slowest => line,
            line if line == slowest => return None,
            line => line - 1,
        };
        (line < self.line_count()).then_some(line)
    }

    pub(super) fn go_line(&mut self, to: usize) {
        let (count, height) = (self.line_count(), self.lines_height());
        // Headings are lines, too.
        self.lines.go(to, count, height.saturating_sub(2));
    }

    pub(super) fn clamp_lines(&mut self) {
        self.go_line(self.lines.at);
    }
}
