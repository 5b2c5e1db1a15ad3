//! `top`: a table of destinations, once or again and again. Text, or a record for each row.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::pending::Pending;
use tcplens_core::record::{GroupBy, Health, Peer, Vantage};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::top::{Over, Top, TopQuery, TopSettings};
use tcplens_output::SinkEnd;
use tcplens_output::text::TopText;
use tcplens_output::time_style::TimeFormat;

use super::lines::Target;
use super::{LIVE_LINGER, Prints, Wanted, nanoseconds, plan, recognise, tell};
use crate::cli::{self, Common, Format, NamesFrom};
use crate::names::{self, Known};
use crate::observe::{Plan, View, observe};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::screen::{self, OnScreen};
use crate::{sources, status};

/// The window, if nobody says.
const WINDOW: Span = Span::from_ns(10 * SECOND.unsigned_abs());

/// How often connections tell what was sent meanwhile, where more than one table is shown.
const ACTIVE: i64 = SECOND;

pub(super) fn run(command: &cli::Top) -> Result<ExitCode> {
    let common = &command.common;
    let (filter, marks) = (command.filter()?, command.marks()?);
    let words = sources::sort(common, false)?;
    let wanted = Wanted {
        handshakes: true,
        requests: true,
        connections: true,
    };
    let is_live = words.files.is_empty();
    // A whole file is one table, unless several are asked for.
    let is_once = command.once
        || (!is_live
            && command.batch.is_none()
            && command.interval.is_none()
            && command.replay.is_none()
            && !common.source.follow);
    // A screen, unless tables were asked for.
    let has_tables = command.once
        || command.batch.is_some()
        || command.interval.is_some()
        || command.format != Format::Text
        || (common.output.write.as_deref()).is_some_and(|path| path.as_os_str() == "-");
    let prints = match command.format {
        format if !is_once => Prints::of(format),
        Format::None => Prints::Nothing,
        Format::Text | Format::Jsonl | Format::Csv | Format::Parquet => Prints::AtEnd,
    };
    if let (Some(_), true) = (command.replay, is_live) {
        return Err(status::usage(
            "--replay is for files; live packets have their own pace",
        ));
    }
    let window = command.window.or(command.interval).unwrap_or(WINDOW);
    let interval = command.interval.unwrap_or(window);
    let mut plan = plan(common, words, wanted, prints)?;
    recognise(&mut plan, &command.protocols);
    if !is_once {
        // As live: what a connection was is told when it is over, not a minute later.
        plan.settings.linger = LIVE_LINGER;
        plan.settings.active = plan
            .settings
            .active
            .filter(|_| common.bounds.active.is_some());
        plan.settings.active.get_or_insert(ACTIVE);
    }
    if is_once && is_live && plan.duration.is_none() && plan.count.is_none() {
        plan.duration = Some(window);
    }
    if let (Format::Parquet, Some(live)) = (command.format, &mut plan.live) {
        live.finishes(&common.output, false)?;
    }
    let known = known(command, is_live, has_tables)?;
    plan.named(known.as_ref());
    let mut target = Target::open(command.format, &common.output, is_live)?;
    target.expect::<Peer>()?;
    let color = target.is_colored(&common.output);
    let over = match command.over {
        Some(over) => over.into(),
        None if is_once => Over::Start,
        None => Over::Window,
    };
    let by = GroupBy::from(command.by);
    let rows = command.rows.unwrap_or(u64::MAX);
    let query = TopQuery {
        by,
        over,
        sort: command.sort.map_or("attempts", |sort| sort.field),
        by_share: command.sort.is_some_and(|sort| sort.by_share),
        descending: command.sort.is_none_or(|sort| sort.descending),
        filter,
        skip: 0,
        rows: usize::try_from(rows).unwrap_or(usize::MAX),
        detail: None,
    };
    let on_screen = match has_tables {
        true => None,
        false => screen::open(
            command,
            marks.clone(),
            &query,
            source(&plan, common),
            names::hosts(known.as_ref()),
            &plan.stop,
        ),
    };
    let has_screen = on_screen.is_some();
    let mut groups = match has_screen {
        true => groups(plan.settings.vantage),
        false => Vec::new(),
    };
    if !groups.contains(&by) {
        groups.push(by);
    }
    if has_screen {
        plan.progress = Progress::hidden();
        plan.settings.linger = LIVE_LINGER;
        plan.settings.active = Some(common.bounds.active.map_or(ACTIVE, nanoseconds));
        plan.interval = Some(HEALTH);
        // Only what is asked for: the table that was shown last, into a file.
        if common.output.output.is_none() {
            target = Target::None;
        }
    }
    let mut view = TopView {
        top: Top::new(TopSettings {
            vantage: plan.settings.vantage,
            groups,
            window,
            rows: usize::try_from(command.limit_rows).unwrap_or(usize::MAX),
            idle: Span::from_ns(plan.settings.idle.unsigned_abs()),
            details: has_screen,
        }),
        query,
        text: TopText::new(TimeFormat::new(common.output.time), color, marks)
            .with_hosts(names::hosts(known.as_ref()))
            .with_width(common.output.output.is_none().then(screen_width).flatten()),
        target,
        interval: (!is_once && !has_screen).then_some(nanoseconds(interval)),
        left: command.batch,
        due: None,
        has_news: true,
        is_over: false,
        is_begun: false,
        pace: command
            .replay
            .map(|speed| Pace::new(speed, Arc::clone(&plan.stop))),
        stop: Arc::clone(&plan.stop),
        on_screen,
    };
    let mut observed = observe(plan, &mut view)?;
    if let Some(on_screen) = &mut view.on_screen {
        if let Some(at) = observed.health.time.filter(|_| !is_live && !view.is_over) {
            view.top.clock(at);
        }
        on_screen.health(&observed.health);
        // Live, the end is the end.
        if !is_live && observed.failure.is_none() {
            on_screen.stay(|query| view.top.snapshot(query));
        }
        if let Some(last) = on_screen.close() {
            view.query = TopQuery {
                rows: view.query.rows,
                ..last
            };
        }
    }
    if !observed.reader_gone {
        if let Some(at) = observed.health.time.filter(|_| !is_live && !view.is_over) {
            view.top.clock(at);
        }
        // What was shown is not shown again, where each table has its own time.
        if let (Some(due), true) = (view.due, interval >= window) {
            view.top.window_from(due.plus(-nanoseconds(interval)));
        }
        // What came since the last table, if that was not the last one that was asked for.
        if view.has_news {
            view.table()?;
        }
        view.target.finish()?;
    }
    observed.health.limit_hits.extend(view.top.limit_hits());
    tell(common, &observed.health);
    names::tell(known.as_ref(), &common.output);
    Ok(status::of_run(&observed))
}

/// What addresses are called, in text. On a screen also, unasked, what answers of name servers say that are seen anyhow; a
/// screen waits for no name.
fn known(command: &cli::Top, is_live: bool, has_tables: bool) -> Result<Option<Arc<Known>>> {
    let mut naming = command.naming.clone();
    if !has_tables && std::io::stdout().is_terminal() {
        naming.names.get_or_insert(NamesFrom::Seen);
        return Known::open(&naming, true);
    }
    match command.format {
        Format::Text => Known::open(&naming, is_live),
        _ => Ok(None),
    }
}

/// Columns of the terminal that standard output is, if it is one.
fn screen_width() -> Option<usize> {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map(|(width, _)| usize::from(width.0))
}

struct TopView {
    top: Top,
    query: TopQuery,
    text: TopText,
    target: Target,
    /// Between two tables, in ns; none: there is one at the end.
    interval: Option<i64>,
    /// Tables that are still to come.
    left: Option<u64>,
    /// When the next one is.
    due: Option<Timestamp>,
    /// Something came since the last one, or there was none yet.
    has_news: bool,
    /// Nothing more is looked at: all tables were shown, or a replay was ended.
    is_over: bool,
    is_begun: bool,
    pace: Option<Pace>,
    stop: Arc<AtomicBool>,
    /// In place of tables.
    on_screen: Option<OnScreen>,
}

/// How often a screen is told what was counted, live.
const HEALTH: Span = Span::from_ns(SECOND.unsigned_abs());

/// What the rows of a screen can be: all that this vantage knows.
fn groups(vantage: Vantage) -> Vec<GroupBy> {
    let is_known = |by: &GroupBy| match by {
        GroupBy::Peer | GroupBy::Server | GroupBy::Client | GroupBy::Port => true,
        GroupBy::Process | GroupBy::Container => !vantage.sees_packets(),
    };
    GroupBy::ALL.iter().copied().filter(is_known).collect()
}

/// What is looked at, in a few words.
fn source(plan: &Plan, common: &Common) -> String {
    let names: Vec<_> = match plan.files.as_slice() {
        [] => common.live.interface.clone(),
        files => {
            let name = |path: &PathBuf| path.file_name().unwrap_or(path.as_os_str()).to_owned();
            let names = files.iter().map(name);
            names
                .map(|name| name.to_string_lossy().into_owned())
                .collect()
        }
    };
    match names.as_slice() {
        [] => "kernel".to_owned(),
        [name] if name == "-" => "standard input".to_owned(),
        [name] => name.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

impl TopView {
    /// Answers what the screen asks, if it does.
    fn serve(&mut self) {
        if let Some(on_screen) = &mut self.on_screen {
            on_screen.serve(|query| self.top.snapshot(query));
        }
    }

    /// One table of what there is now.
    fn table(&mut self) -> Result<(), SinkEnd> {
        self.has_news = false;
        let snapshot = self.top.snapshot(&self.query);
        match &mut self.target {
            Target::Text(lines) => {
                let (text, query) = (&mut self.text, &self.query);
                lines.write(snapshot.at, |out| text.encode(query, &snapshot, out))
            }
            // Without any time there is nothing to tell.
            Target::Machine(_) if snapshot.at.is_none() => Ok(()),
            Target::Machine(writer) => {
                for (_, peer) in &snapshot.rows {
                    writer.write(peer)?;
                }
                if let Some(others) = &snapshot.others {
                    writer.write(others)?;
                }
                writer.write(&snapshot.totals)
            }
            Target::None => Ok(()),
        }
    }

    /// Time begins.
    fn begin(&mut self, at: Timestamp) {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.due = self.interval.map(|interval| at.plus(interval));
            self.text.set_origin(at);
            self.top.clock(at);
            self.wait(at);
        }
    }

    /// Waits until packet time may be there. What is to end before that is over now.
    fn wait(&mut self, at: Timestamp) {
        let TopView {
            pace,
            top,
            on_screen,
            ..
        } = self;
        let meanwhile = || {
            if let Some(on_screen) = on_screen {
                on_screen.serve(|query| top.snapshot(query));
            }
        };
        if let Some(pace) = pace
            && !pace.wait(at, meanwhile)
        {
            self.is_over = true;
        }
    }

    /// The tables that are due by then.
    fn tables(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        let Some(interval) = self.interval else {
            return Ok(());
        };
        let Some(mut due) = self.due else {
            return Ok(());
        };
        while due <= at && !self.is_over {
            self.wait(due);
            if self.is_over {
                break;
            }
            self.top.clock(due);
            self.table()?;
            self.target.idle()?;
            due = due.plus(interval);
            self.due = Some(due);
            if let Some(left) = &mut self.left {
                *left -= 1;
                if *left == 0 {
                    self.is_over = true;
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }
}

impl View for TopView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        if !self.is_over {
            self.top.add(record);
            self.has_news = true;
        }
        Ok(())
    }

    fn first_packet(&mut self, at: Timestamp) {
        if let Some(on_screen) = &mut self.on_screen {
            on_screen.first_packet(at);
        }
        self.begin(at);
    }

    fn started(&mut self) {
        if let Some(on_screen) = &mut self.on_screen {
            on_screen.begin();
        }
    }

    fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        if let Some(on_screen) = &mut self.on_screen {
            on_screen.health(health);
        }
        Ok(())
    }

    fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        // Before the first packet there is no time.
        if self.is_over || at <= Timestamp::default() {
            return Ok(());
        }
        self.begin(at);
        self.tables(at)?;
        self.wait(at);
        if !self.is_over {
            self.top.clock(at);
        }
        self.serve();
        Ok(())
    }

    fn pending(&mut self, pending: &Pending) {
        self.top.pending(pending);
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.serve();
        self.target.idle()
    }

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.target.reopen()
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.target.settle()
    }

    fn dropped(&self) -> u64 {
        self.target.dropped()
    }
}
