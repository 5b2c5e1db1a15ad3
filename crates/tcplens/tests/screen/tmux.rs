//! A terminal of a test's own: tmux with a shell in it. Everything waits for what it expects, with a deadline.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// Far longer than anything takes.
const LONG: Duration = Duration::from_secs(60);

/// A tmux server with one shell, and a directory for files.
pub(crate) struct Tmux {
    socket: String,
    /// For files of the test; where the shell is.
    pub directory: PathBuf,
}

impl Tmux {
    /// Starts it; `None` where there is no tmux, and that is said.
    pub(crate) fn start(name: &str, width: u16, height: u16) -> Option<Tmux> {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("SKIPPED: no tmux (apt-get install tmux)");
            return None;
        }
        let name = format!("tcplens-test-{}-{name}", process::id());
        let directory = env::temp_dir().join(&name);
        fs::create_dir_all(&directory).unwrap();
        let tmux = Tmux {
            socket: name,
            directory,
        };
        let (width, height) = (width.to_string(), height.to_string());
        let path = env::var("PATH").unwrap_or_default();
        let shell = format!("env -i PATH='{path}' TERM=screen LC_ALL=C.UTF-8 'PS1=$ ' sh -i");
        let arguments = [
            "-u",
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &width,
            "-y",
            &height,
            &shell,
        ];
        let started = tmux.run(&arguments);
        assert!(started.status.success(), "{started:?}");
        tmux.line(&format!("cd {}", tmux.directory.display()));
        tmux.line("stty -g >before; echo rea''dy");
        tmux.until("the shell is there", |text| text.contains("ready"));
        Some(tmux)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("tmux")
            .args(["-L", &self.socket])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Presses keys, as tmux calls them.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let arguments = [&["send-keys"], keys].concat();
        assert!(self.run(&arguments).status.success(), "{keys:?}");
    }

    /// Types text as it is.
    pub(crate) fn types(&self, text: &str) {
        assert!(
            self.run(&["send-keys", "-l", text]).status.success(),
            "{text}"
        );
    }

    /// Types a line, and Enter.
    pub(crate) fn line(&self, text: &str) {
        self.types(text);
        self.keys(&["Enter"]);
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, width: u16, height: u16) {
        let (width, height) = (width.to_string(), height.to_string());
        assert!(
            self.run(&["resize-window", "-x", &width, "-y", &height])
                .status
                .success()
        );
    }

    /// What it shows.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.run(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// Waits until it shows what is expected, and returns that.
    pub(crate) fn until(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let shown = self.shown();
            if is_it(&shown) {
                return shown;
            }
            assert!(begun.elapsed() < LONG, "not so: {what}; there is\n{shown}");
            thread::sleep(Duration::from_millis(30));
        }
    }

    /// Whether the other screen is shown, whether there is a cursor, whether the mouse is told of.
    pub(crate) fn modes(&self) -> String {
        let modes = self.run(&[
            "display-message",
            "-p",
            "#{alternate_on} #{cursor_flag} #{mouse_any_flag}",
        ]);
        String::from_utf8_lossy(&modes.stdout).trim().to_owned()
    }

    /// Waits for the shell, and asserts that the terminal is as it was before.
    pub(crate) fn is_as_before(&self) -> String {
        let shown = self.until("the shell has the terminal", |text| {
            text.trim_end().ends_with('$') && !text.contains(" help")
        });
        assert_eq!(self.modes(), "0 1 0", "other screen, cursor, mouse");
        let after = self.directory.join("after");
        // What was there of an earlier look says nothing.
        let _ = fs::remove_file(&after);
        self.line("stty -g >after; echo do''ne");
        self.until("stty told", |text| text.contains("done"));
        let read = |name: &str| fs::read_to_string(self.directory.join(name)).unwrap();
        assert_eq!(read("after"), read("before"), "stty -g");
        shown
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
        // Its files are of no use any more; what is left of them is the system's to clean up.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
