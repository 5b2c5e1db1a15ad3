//! `events`: shows what an event socket tells, tcplens' own or tcp-info's.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tcplens_output::SinkEnd;
use tcplens_output::events::{self, REPLAY};

use crate::cli::{EventFormat, Events};
use crate::say::say;
use crate::{signals, status};

/// How often it is looked at whether to go on.
const TICK: Duration = Duration::from_millis(100);
/// Longest line that is understood. Chosen: events have some 200 bytes; tcp-info's client gives up at the same.
const LINE: usize = 64 << 10;

pub(super) fn run(command: &Events) -> Result<ExitCode> {
    let stop = signals::stop()?;
    signals::watch();
    let mut stream = connect(command)?;
    let end = command
        .duration
        .map(|span| Instant::now() + Duration::from_nanos(span.ns()));
    let mut shown = Shown::new(command);
    let mut bytes = vec![0; 64 << 10];
    while !stop.load(Ordering::Relaxed) && !shown.is_complete() {
        let now = Instant::now();
        let left = match end.map(|end| end.saturating_duration_since(now)) {
            Some(Duration::ZERO) => break,
            Some(left) => left.min(TICK),
            None => TICK,
        };
        // A time-out of zero means none.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(&mut bytes) {
            Ok(0) => {
                shown.last_line();
                break;
            }
            Ok(n) => shown.read(bytes.get(..n).unwrap_or_default()),
            Err(error) if waits(&error) => {}
            // The server was killed with bytes that it had not read.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => {
                let path = command.path.display();
                return Err(error).with_context(|| format!("cannot read events of {path}"));
            }
        }
        shown.print()?;
    }
    shown.print()?;
    if shown.damaged > 0 {
        say(format_args!(
            "{} lines of {} were no events that are known; is it the event socket of tcplens or tcp-info?",
            shown.damaged,
            command.path.display()
        ));
        return Ok(status::partial());
    }
    Ok(ExitCode::SUCCESS)
}

fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn connect(command: &Events) -> Result<UnixStream> {
    let path = &command.path;
    let advice = |error: &io::Error| match error.kind() {
        ErrorKind::NotFound => {
            "there is no such socket; start `tcplens sockets --watch --event-socket`, or name another socket"
        }
        ErrorKind::ConnectionRefused => {
            "nobody listens there any more; start `tcplens sockets --watch --event-socket` again"
        }
        ErrorKind::PermissionDenied => "only its owner and group may ask; run this as one of them",
        _ => "name the socket of a running `tcplens sockets --watch --event-socket`",
    };
    let mut stream = UnixStream::connect(path).map_err(|error| {
        anyhow::anyhow!(
            "cannot get events of {}: {error}: {}",
            path.display(),
            advice(&error)
        )
    })?;
    if command.replay {
        stream
            .write_all(format!("{REPLAY}\n").as_bytes())
            .with_context(|| format!("cannot ask {} for what is open", path.display()))?;
    }
    Ok(stream)
}

/// What was read, and what of it is to be shown.
struct Shown {
    format: EventFormat,
    /// Events that may come yet.
    left: Option<u64>,
    /// A line that is not complete.
    line: Vec<u8>,
    /// The rest of the line is passed over: it is too long.
    is_too_long: bool,
    /// Lines that are no events.
    damaged: u64,
    text: String,
}

impl Shown {
    fn new(command: &Events) -> Shown {
        Shown {
            format: command.format,
            left: command.count,
            line: Vec::new(),
            is_too_long: false,
            damaged: 0,
            text: String::new(),
        }
    }

    fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    fn read(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (part, is_end) = match part.strip_suffix(b"\n") {
                Some(part) => (part, true),
                None => (part, false),
            };
            self.is_too_long |= self.line.len() + part.len() > LINE;
            if !self.is_too_long {
                self.line.extend_from_slice(part);
            }
            if is_end {
                self.end_line();
            }
        }
    }

    /// There is no more: what has no end is a line, too.
    fn last_line(&mut self) {
        if !self.line.is_empty() || self.is_too_long {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let is_too_long = std::mem::take(&mut self.is_too_long);
        if self.is_complete() || (line.is_empty() && !is_too_long) {
            return;
        }
        let line = str::from_utf8(&line).ok().filter(|_| !is_too_long);
        let Some((line, event)) = line.and_then(|line| Some((line, events::read(line)?))) else {
            self.damaged += 1;
            return;
        };
        match self.format {
            EventFormat::Text => events::write_text(&mut self.text, &event),
            EventFormat::Jsonl => {
                self.text.push_str(line);
                self.text.push('\n');
            }
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    fn print(&mut self) -> Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let written = out
            .write_all(self.text.as_bytes())
            .and_then(|()| out.flush());
        self.text.clear();
        written.map_err(|error| match error.kind() {
            // The reader has seen enough.
            ErrorKind::BrokenPipe => SinkEnd::Closed {
                name: "standard output".into(),
            }
            .into(),
            _ => anyhow::Error::from(error).context("cannot write to standard output"),
        })
    }
}
