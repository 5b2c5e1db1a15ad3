//! `report --compare`: what changed from a baseline to now. Not the judgment: `tcplens_core::view::compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use tcplens_capture::file::MergedSource;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Health;
use tcplens_core::time::Timestamp;
use tcplens_core::view::compare::{self, Split};
use tcplens_output::SinkEnd;
use tcplens_output::glyphs::Glyphs;
use tcplens_output::period::Period;
use tcplens_output::report::{ComparedSide, ReportOptions, render_comparison};
use tcplens_output::time_style::TimeFormat;

use super::super::lines::Target;
use super::super::{Prints, Wanted, plan, recognise, tell};
use crate::cli::Report;
use crate::observe::{Observed, Plan, View, observe, observe_files, open};
use crate::say::say;
use crate::status::usage;
use crate::{sources, status};

/// What is compared with.
enum Baseline {
    /// Captures, one observation.
    Files(Vec<PathBuf>),
    /// A part of what is looked at.
    Period(Period),
}

pub(super) fn run(command: &Report) -> Result<ExitCode> {
    let common = &command.common;
    let output = &common.output;
    let baseline = baseline(&command.compare)?;
    let wanted = Wanted {
        handshakes: true,
        requests: true,
        connections: true,
    };
    let words = sources::sort(common, false)?;
    let files = words.files.iter().map(|file| file.display().to_string());
    let interfaces = words.interfaces.iter().cloned();
    let mut sources: Vec<_> = files.chain(interfaces).collect();
    let is_live = words.files.is_empty();
    let name = named(&command.compare);
    if let (Baseline::Files(_), true) = (&baseline, common.kernel.kernel) {
        return Err(usage(format!(
            "cannot compare what the kernel tells with {name}: one is of sockets, the other of packets; capture (-i), or compare periods \
             (--compare 300s)"
        )));
    }
    let mut earlier = match &baseline {
        Baseline::Files(files) => {
            let mut words = sources::sort(common, false)?;
            words.files.clone_from(files);
            words.interfaces.clear();
            let mut plan = plan(common, words, wanted, Prints::AtEnd)?;
            recognise(&mut plan, &command.protocols);
            plan.write = None;
            plan.follow = false;
            plan.listeners = None;
            plan.store = None;
            plan.otlp = None;
            if is_live {
                // These are about what is captured now; and who ends that wants to see the comparison.
                (plan.duration, plan.count) = (None, None);
                plan.stop = Arc::default();
            }
            Some(plan)
        }
        Baseline::Period(_) => None,
    };
    // Before the first is run, so that a signal ends both.
    let is_bare = is_live && common.live.interface.is_empty() && !common.kernel.kernel;
    let mut now = plan(common, words, wanted, Prints::AtEnd)?;
    recognise(&mut now, &command.protocols);
    let is_endless = now.duration.is_none() && now.count.is_none();
    if is_bare && is_endless && matches!(baseline, Baseline::Files(_)) {
        now.duration = Some(super::BARE);
        say("capturing on all interfaces for 10 s; -i and --duration choose others");
    }
    let mut target = Target::open(command.format, output, is_live)?;
    if common.kernel.kernel {
        sources.push("the kernel".to_owned());
    }
    let (before, view, observed) = match (&baseline, earlier.take()) {
        (Baseline::Period(period), _) => {
            let mut view = Compared::of(Some(*period));
            let observed = observe(now, &mut view)?;
            view.finish(&observed.health);
            (None, view, observed)
        }
        (Baseline::Files(_), Some(earlier)) if is_live => {
            // Privileges are given up before anything is captured, and its files may need them: they are open before.
            let source = open(&earlier)?;
            let mut view = Compared::of(None);
            let observed = observe(now, &mut view)?;
            view.finish(&observed.health);
            let (before, was) = look_back(earlier, Some(source))?;
            (Some((before, was)), view, observed)
        }
        (Baseline::Files(_), Some(earlier)) => {
            let (before, was) = look_back(earlier, None)?;
            let mut view = Compared::of(None);
            let observed = observe(now, &mut view)?;
            view.finish(&observed.health);
            (Some((before, was)), view, observed)
        }
        (Baseline::Files(_), None) => bail!("no baseline was planned"),
    };
    let shown = sources.join(", ");
    let split = &view.split;
    let (earlier, later, is_period) = match &before {
        Some((before, _)) => (&before.split.now, &split.now, false),
        None => (&split.before, &split.now, true),
    };
    if is_period && earlier.observed().ns() == 0 {
        return Err(usage(format!(
            "the period {name} holds nothing of {shown}; choose one that lies within it"
        )));
    }
    if is_period && later.observed().ns() == 0 {
        return Err(usage(format!(
            "the period {name} is all of {shown}: there is no rest to compare it with; choose a shorter one"
        )));
    }
    let comparison = compare::compare(earlier, later);
    let color = target.is_colored(output);
    match &mut target {
        Target::Text(lines) => {
            let rest = format!("the rest of {shown}");
            let options = ReportOptions {
                width: super::width(),
                glyphs: Glyphs::choose(output.ascii),
                color,
                sources: &sources,
                is_live,
                is_kernel: common.kernel.kernel,
                first_packet: if is_period { view.first } else { None },
                ..ReportOptions::plain(TimeFormat::new(output.time))
            };
            let (before_span, now_span) = match &before {
                Some((before, _)) => (before.whole(), view.whole()),
                None => (view.baseline(), None),
            };
            let text = render_comparison(
                &comparison,
                ComparedSide {
                    name: &name,
                    period: earlier,
                    span: before_span,
                },
                ComparedSide {
                    name: if is_period { &rest } else { &shown },
                    period: later,
                    span: now_span,
                },
                split.astride,
                options,
            );
            lines.write(None, |out| out.extend_from_slice(text.as_bytes()))?;
        }
        Target::Machine(writer) => {
            for change in &comparison.changes {
                writer.write(change)?;
            }
            writer.write(&observed.health)?;
        }
        Target::None => {}
    }
    target.finish()?;
    tell(common, &observed.health);
    let of_now = status::of_run(&observed);
    // What is wrong with either is wrong with the comparison.
    let Some((_, was)) = before else {
        return Ok(of_now);
    };
    let of_before = status::of_run(&was);
    Ok(if of_now == ExitCode::SUCCESS {
        of_before
    } else {
        of_now
    })
}

/// Looks at the baseline, whose files may be open already.
fn look_back(plan: Plan, source: Option<MergedSource>) -> Result<(Compared, Observed)> {
    let stop = Arc::clone(&plan.stop);
    let mut view = Compared::of(None);
    let observed = match source {
        Some(source) => observe_files(plan, source, &mut view)?,
        None => observe(plan, &mut view)?,
    };
    if stop.load(Ordering::Relaxed) {
        bail!("interrupted while the baseline was read: nothing is compared");
    }
    view.finish(&observed.health);
    if view.first.is_none() {
        say("the baseline has no packets that were looked at");
    }
    Ok((view, observed))
}

/// A period if it reads as one, else files.
fn baseline(words: &[PathBuf]) -> Result<Baseline> {
    let period = |word: &Path| word.to_str().and_then(|text| text.parse::<Period>().ok());
    if let [word] = words
        && let Some(period) = period(word)
    {
        return Ok(Baseline::Period(period));
    }
    if let Some(word) = words.iter().find(|word| period(word).is_some()) {
        return Err(usage(format!(
            "cannot compare with {} and other baselines at once; name one period, or files (a file with such a name as ./{})",
            word.display(),
            word.display()
        )));
    }
    if let Some(word) = words
        .iter()
        .find(|word| word.as_os_str() != "-" && !word.exists())
    {
        let text = word.display().to_string();
        let why = text.parse::<Period>().err().unwrap_or_default();
        return Err(usage(format!(
            "cannot compare with {text}: there is no such file, and {why}"
        )));
    }
    Ok(Baseline::Files(words.to_vec()))
}

fn named(words: &[PathBuf]) -> String {
    let words: Vec<_> = words
        .iter()
        .map(|word| word.display().to_string())
        .collect();
    words.join(", ")
}

/// Takes records of one observation: as a baseline and the rest, or all of them as `now`.
struct Compared {
    period: Option<Period>,
    split: Split,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Compared {
    fn of(period: Option<Period>) -> Compared {
        Compared {
            period,
            split: nothing(),
            first: None,
            last: None,
        }
    }

    fn finish(&mut self, health: &Health) {
        self.last = health.time;
        if let Some((first, last)) = self.whole() {
            // The last packet belongs to it.
            self.split.covers(first, last.plus(1));
        }
    }

    fn whole(&self) -> Option<(Timestamp, Timestamp)> {
        self.first.zip(self.last)
    }

    /// What of the period was observed.
    fn baseline(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = self.whole()?;
        let (from, to) = self.period?.within(first);
        (first <= last).then(|| (from.clamp(first, last), to.clamp(first, last)))
    }
}

/// A baseline that holds nothing.
fn nothing() -> Split {
    Split::new(Timestamp::MIN, Timestamp::MIN)
}

impl View for Compared {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        if self.first.is_none() {
            // The kernel has no packets: what it tells first is as early.
            self.first_packet(match record {
                AnyRecord::Handshake(it) => it.time,
                AnyRecord::Request(it) => it.record().time,
                AnyRecord::Connection(it) => it.time,
            });
        }
        self.split.add(record);
        Ok(())
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.first = Some(at);
        if let Some(period) = self.period {
            let (from, to) = period.within(at);
            self.split = Split::new(from, to);
        }
    }
}
