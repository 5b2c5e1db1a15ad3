//! `explain` as text for people: a sequence diagram, client left, server right, time downwards, between a head and a foot. Not
//! the story itself: that is `tcplens_core::view::explain`, and its words. For machines: [`json`].

mod json;

use std::fmt::Write;

use tcplens_core::record::End;
use tcplens_core::time::Timestamp;
use tcplens_core::view::explain::words::{label, note, time};
use tcplens_core::view::explain::{Again, Event, Late, Story, What, sentences};

pub use json::json;

use crate::color::Paint;
use crate::glyphs::Glyphs;
use crate::hosts::Hosts;
use crate::human::{Count, Endpoint};
use crate::report::prose;
use crate::time_style::TimeFormat;

/// The narrowest screen that is drawn for.
const NARROWEST: usize = 72;

/// How to print it.
#[derive(Debug)]
pub struct ExplainOptions<'a> {
    /// Columns of the terminal: 72 at least.
    pub width: usize,
    /// Whether to colour.
    pub color: bool,
    /// What it is drawn with.
    pub glyphs: Glyphs,
    /// How to print when it began; lines count seconds from there.
    pub time: TimeFormat,
    /// Why this connection, where nobody named it.
    pub chosen: Option<&'a str>,
    /// What is known of its ends, for the sentence that names them.
    pub hosts: Hosts,
}

/// The story as text.
#[must_use]
pub fn render(story: &Story, options: ExplainOptions<'_>) -> String {
    let mut page = Page {
        text: String::new(),
        sizes: Sizes::of(story, options.width.max(NARROWEST)),
        options,
        first: story.head.connection.time,
        before: None,
    };
    page.head(story);
    page.diagram(story);
    page.foot(story);
    if page.options.glyphs == Glyphs::Ascii {
        page.text = ascii(&page.text);
    }
    page.text
}

/// Columns of a line.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    all: usize,
    time: usize,
    arrow: usize,
    frame: usize,
}

/// Columns of how long after the line before.
const AFTER: usize = 8;

impl Sizes {
    fn of(story: &Story, all: usize) -> Sizes {
        let first = story.head.connection.time;
        let times = story.events.iter().map(|event| seconds(event.time, first));
        let frames = story.events.iter().map(|event| frames(event).len());
        let time = times.map(|text| text.len()).max().unwrap_or(0).max(8);
        let frame = frames.max().unwrap_or(0).max(6);
        // Long numbers of packets leave less for arrows.
        let room = all.saturating_sub(time + AFTER + frame + 6).max(24);
        Sizes {
            all,
            time,
            arrow: (all * 42 / 100).clamp(32, 64).min(room),
            frame,
        }
    }

    /// Where arrows begin.
    fn indent(self) -> usize {
        self.time + 2 + AFTER + 2
    }
}

/// What has been printed so far, and how.
struct Page<'a> {
    text: String,
    options: ExplainOptions<'a>,
    sizes: Sizes,
    /// The connection's first packet.
    first: Timestamp,
    /// When the line before ended.
    before: Option<Timestamp>,
}

impl Page<'_> {
    fn head(&mut self, story: &Story) {
        let connection = &story.head.connection;
        let who = sentences::who(story);
        let who = self.options.hosts.sentence(&who).into_owned();
        self.painted(Paint::Bold, &who);
        let id = connection.connection_id.text();
        let mut rest = format!("; connection {}", String::from_utf8_lossy(&id));
        if let (Some(first), Some(last)) = (connection.first_frame, connection.last_frame) {
            let _ = write!(rest, "; packets {first} to {last}");
        }
        self.prose(&rest);
        if let Some(chosen) = self.options.chosen {
            self.prose(&format!("Chosen because {chosen}."));
        }
        let mut line = "From ".to_owned();
        self.options.time.write(&mut line, connection.time);
        if let Some(span) = connection.duration_us {
            let _ = write!(line, ", for {}", time(span));
        }
        let parts = [
            Some(format!("{line}.")),
            Some(sentences::vantage(story)),
            Some(sentences::opening(story)),
            sentences::closing(story),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        self.prose(&parts.join(" "));
        self.painted(Paint::Bold, "What limited it: ");
        self.prose(&sentences::limit(story));
    }

    fn diagram(&mut self, story: &Story) {
        let sizes = self.sizes;
        let connection = &story.head.connection;
        let ends = [
            Endpoint(connection.client_ip, connection.client_port).to_string(),
            Endpoint(connection.server_ip, connection.server_port).to_string(),
        ];
        let room = sizes
            .arrow
            .saturating_sub(ends[0].len() + ends[1].len() + 1);
        let named = match room {
            14.. => [format!("client {}", ends[0]), format!("server {}", ends[1])],
            1.. => ends,
            0 => ["CLIENT".to_owned(), "SERVER".to_owned()],
        };
        let gap = sizes.arrow.saturating_sub(named[0].len() + named[1].len());
        let title = format!(
            "{:>time$}  {:>AFTER$}  {}{}{}  {:>frame$}",
            "TIME",
            "AFTER",
            named[0],
            " ".repeat(gap),
            named[1],
            "PACKET",
            time = sizes.time,
            frame = sizes.frame,
        );
        self.text.push('\n');
        self.painted(Paint::Bold, &title);
        self.text.push('\n');
        for event in &story.events {
            self.event(event, story);
        }
    }

    fn event(&mut self, event: &Event, story: &Story) {
        let sizes = self.sizes;
        let is_silence = matches!(event.what, What::Silence(_));
        let is_fold = matches!(event.what, What::Fold(_));
        let (mut at, mut after) = (String::new(), String::new());
        if !is_silence {
            at = seconds(event.time, self.first);
            let since = self.before.and_then(|before| event.time.since(before));
            after = since.map_or_else(String::new, time);
            self.before = Some(event.until);
        }
        let paint = paint(event);
        self.painted(Paint::Dim, &format!("{at:>width$}", width = sizes.time));
        let _ = write!(self.text, "  {after:>AFTER$}  ");
        if is_fold {
            let begun = sizes.indent();
            let text = format!("⋮ {}", printable(&label(event)));
            self.wrapped(paint, begun, &text);
            return;
        }
        let arrow = arrow(event, sizes.arrow);
        self.painted(paint, &arrow);
        let frame = frames(event);
        let said = note(event, story).map(|text| printable(&text));
        let Some(said) = said else {
            if !frame.is_empty() {
                let _ = write!(self.text, "  {frame:>width$}", width = sizes.frame);
            }
            self.end_line();
            return;
        };
        let begun = sizes.indent() + sizes.arrow + 2 + sizes.frame + 2;
        if begun + said.chars().count() <= sizes.all {
            let _ = write!(self.text, "  {frame:>width$}  ", width = sizes.frame);
            self.painted(note_paint(paint), &said);
            self.end_line();
            return;
        }
        if !frame.is_empty() {
            let _ = write!(self.text, "  {frame:>width$}", width = sizes.frame);
        }
        self.end_line();
        let indent = sizes.indent() + 3;
        self.text.push_str(&" ".repeat(indent));
        self.wrapped(note_paint(paint), indent, &said);
    }

    /// Ends a line, without blanks before its end.
    fn end_line(&mut self) {
        let length = self.text.trim_end_matches(' ').len();
        self.text.truncate(length);
        self.text.push('\n');
    }

    /// Text from a column on, in as many lines as it takes.
    fn wrapped(&mut self, paint: Paint, column: usize, text: &str) {
        let indent = " ".repeat(column);
        let mut lines = String::new();
        prose::wrap(&mut lines, column, &indent, text, self.sizes.all);
        for (n, line) in lines.lines().enumerate() {
            let body = line.trim_start_matches(' ');
            if n > 0 {
                self.text.push_str(&indent);
            }
            self.painted(paint, body);
            self.text.push('\n');
        }
    }

    fn foot(&mut self, story: &Story) {
        self.text.push('\n');
        if story.foot.left_out > 0 {
            self.prose(&format!(
                "{} events of {} are left out above; --all shows every segment, --lines N more of them.",
                Count(story.foot.left_out),
                Count(story.foot.left_out + story.events.len() as u64),
            ));
        }
        for line in sentences::figures(story) {
            self.prose(&line);
        }
    }

    fn prose(&mut self, text: &str) {
        let begun = self.text.rsplit('\n').next().map_or(0, prose::columns);
        prose::wrap(&mut self.text, begun, "", &printable(text), self.sizes.all);
    }

    fn painted(&mut self, paint: Paint, text: &str) {
        let (before, after) = if self.options.color {
            paint.sequences()
        } else {
            ("", "")
        };
        let _ = write!(self.text, "{before}{text}{after}");
    }
}

/// `0.000212`: seconds after the first packet.
fn seconds(at: Timestamp, first: Timestamp) -> String {
    let ns = i128::from(at.0) - i128::from(first.0);
    let sign = if ns < 0 { "-" } else { "" };
    let us = ns.unsigned_abs() / 1000;
    format!("{sign}{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// `12`, `12-840`.
pub(crate) fn frames(event: &Event) -> String {
    if matches!(
        event.what,
        What::Silence(_) | What::Fold(_) | What::Hole { .. }
    ) {
        return String::new();
    }
    match event.frames {
        [first, last] if first == last => first.to_string(),
        [first, last] => format!("{first}-{last}"),
    }
}

/// What an event looks like between the two.
fn arrow(event: &Event, width: usize) -> String {
    let label = shortened(&printable(&label(event)), width.saturating_sub(8));
    let room = width.saturating_sub(label.chars().count() + 2);
    let is_sent = !matches!(event.what, What::Hole { .. } | What::Silence(_));
    match event.from.filter(|_| is_sent) {
        Some(End::Client) => format!("── {label} {}▶", "─".repeat(room.saturating_sub(3))),
        Some(End::Server) => format!("◀{} {label} ──", "─".repeat(room.saturating_sub(3))),
        None => {
            let before = room / 2;
            let dots = |n: usize| "· ".repeat(n / 2);
            let (left, right) = (dots(before), dots(room - before));
            let left = format!("{left:>before$}");
            format!("{left} {label} {right}").trim_end().to_owned()
        }
    }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    // What is in brackets at the end says how much it is.
    let (name, much) = match text.rfind(" (").map(|at| text.split_at(at)) {
        Some((name, much)) if much.chars().count() + 6 <= most => (name, much),
        _ => (text, ""),
    };
    let room = most.saturating_sub(much.chars().count() + 1);
    let name: String = name.chars().take(room).collect();
    format!("{}…{much}", name.trim_end())
}

pub(crate) fn paint(event: &Event) -> Paint {
    match &event.what {
        What::Repeat {
            why: Again::NotNeeded,
            ..
        }
        | What::Fill {
            late: Late::Overtaken,
            ..
        } => Paint::Yellow,
        What::Reset | What::Repeat { .. } | What::Fill { .. } | What::Hole { .. } => Paint::Red,
        What::Partial
        | What::DuplicateAcks
        | What::DelayedAck
        | What::Spurious
        | What::WindowClosed
        | What::WindowOpened
        | What::Probe { .. } => Paint::Yellow,
        What::Silence(_) | What::Fold(_) | What::SecondSighting => Paint::Dim,
        What::Syn | What::SynAck | What::Ack | What::Data | What::Fin => Paint::Plain,
    }
}

/// What is said of something odd is as odd.
fn note_paint(paint: Paint) -> Paint {
    match paint {
        Paint::Plain => Paint::Dim,
        paint => paint,
    }
}

/// Without control characters, which may come from the network.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// The same with ASCII only.
fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '─' => '-',
            '▶' => '>',
            '◀' => '<',
            '·' | '…' => '.',
            '⋮' => ':',
            'µ' => 'u',
            c if c.is_ascii() => c,
            _ => '?',
        })
        .collect()
}
