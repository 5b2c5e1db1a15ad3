//! How far reading has come: a bar on stderr, for files, where a person looks at it.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Fed with what was read; draws at most five times a second, or not at all.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Draws nothing.
    pub(crate) fn hidden() -> Progress {
        Progress { bar: None }
    }

    /// Draws on stderr if that is a terminal.
    pub(crate) fn on_stderr() -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress::hidden();
        }
        let target = ProgressDrawTarget::stderr_with_hz(5);
        let bar = ProgressBar::with_draw_target(None, target).with_style(style(false));
        Progress { bar: Some(bar) }
    }

    /// `read` bytes of the (compressed) files were read, of `total` if that is known.
    pub(crate) fn at(&self, read: u64, total: Option<u64>) {
        let Some(bar) = &self.bar else { return };
        if bar.length() != total {
            bar.set_style(style(total.is_some()));
            match total {
                Some(total) => bar.set_length(total),
                None => bar.unset_length(),
            }
        }
        bar.set_position(read);
    }

    /// Takes the bar away: what is printed next begins on an empty line.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn style(is_sized: bool) -> ProgressStyle {
    let template = if is_sized {
        "reading {bar:32} {percent:>3} %  {binary_bytes_per_sec}  {left} left"
    } else {
        "reading {binary_bytes}  {binary_bytes_per_sec}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key(
            "left",
            |state: &ProgressState, f: &mut dyn std::fmt::Write| {
                // The bar's own text: there is nobody to tell.
                let _ = write!(f, "{} s", state.eta().as_secs());
            },
        )
}
