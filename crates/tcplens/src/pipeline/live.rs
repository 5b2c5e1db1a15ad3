//! Live packets, and what the kernel tells. Each ring has a thread that decodes and analyses what lies in it, where it lies,
//! and so has the kernel; the thread that was there shows what they found, and answers. Between them is a queue that never
//! makes capture wait: records that find no room in it are dropped, and counted.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use tcplens_core::batch::Place;
use tcplens_core::kernel::{Joins, SOCKETS};
use tcplens_core::pending::Pending;
use tcplens_core::record::Health;
use tcplens_core::shard::Settings;
use tcplens_core::time::{Span, Timestamp};

use super::Ran;
use super::capture::{Capture, Captured, Inbox, Round, Seat};
use super::kernel::{Heard, Listening};
use super::show::{Show, finish};
use crate::answer::server::Servers;
use crate::answer::{Desk, unanswered};
use crate::gate::Gate;
use crate::live::{Live, Opened};
use crate::observe::{Packets, Plan, Totals, View, health};
use crate::say::say;
use crate::signals::Request;

/// Blocks whose records wait to be shown, for all rings.
const QUEUE: usize = 64;
/// How often to look at signals and questions at least.
const LOOK: Duration = Duration::from_millis(100);

/// Captures until it is told to stop, or nothing more can come.
///
/// # Errors
/// A ring failed. What was captured before is shown.
pub(crate) fn run(
    plan: &Plan,
    opened: Opened,
    mut gates: Vec<Gate>,
    view: &mut dyn View,
    answering: Option<(Desk, Servers)>,
) -> Result<Ran> {
    let (desk, servers) = answering.unzip();
    let mut show = Show::new(view, plan);
    show.desk = desk;
    show.left = plan.count.filter(|_| opened.kernel.is_some());
    show.counted = plan.counted;
    let packets = show.packets;
    let Opened {
        rings: sources,
        kernel,
        ..
    } = opened;
    let (rounds, arriving) = sync_channel(QUEUE);
    let mut give_back = Vec::new();
    let count: usize = sources.iter().map(Vec::len).sum();
    // Every bound is for all threads together.
    let settings = Settings {
        limit_connections: (plan.settings.limit_connections / count.max(1)).max(1),
        limit_held: plan.settings.limit_held / count.max(1),
        ..plan.settings.clone()
    };
    let kernel = kernel.map(|mut kernel| {
        if count > 0 {
            let most = plan.settings.limit_connections.min(SOCKETS);
            kernel.mapper.look_out(most);
            // A record of packets comes when they have been silent for that long, or lingered; and then some.
            let keep = plan.settings.idle.max(plan.settings.timeout) + plan.settings.linger;
            let keep = Span::from_ns(u64::try_from(keep).unwrap_or(u64::MAX) / 4 * 5);
            show.joins = Some(Joins::new(most, keep));
        }
        kernel
    });
    let inboxes: Vec<Inbox> = (0..count).map(|_| Inbox::default()).collect();
    let (mut captured, mut heard) = (Vec::new(), None);
    let mut totals = vec![Totals::default(); count + usize::from(kernel.is_some())];
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        // Those of a source share its packets.
        let mut rings = Vec::new();
        for source in sources {
            let (first, of) = (rings.len(), source.len());
            rings.extend(source.into_iter().map(|ring| (ring, first, of)));
        }
        for (number, (ring, first, of)) in rings.into_iter().enumerate().rev() {
            let (spare_to, spare) = sync_channel(QUEUE);
            give_back.push(spare_to);
            let Some(gate) = gates.pop() else { break };
            let capture = Capture::new(
                (plan, &settings),
                Seat { number, first, of },
                ring,
                gate,
                packets,
                (&inboxes, kernel.is_some()),
                (rounds.clone(), spare),
            );
            threads.push(scope.spawn(|| capture.run()));
        }
        give_back.reverse();
        let kernel = kernel.map(|kernel| {
            let (spare_to, spare) = sync_channel(QUEUE);
            give_back.push(spare_to);
            let listening = Listening::new(
                count,
                plan,
                (kernel.source, kernel.mapper),
                (rounds.clone(), spare),
            )
            .beside(count > 0);
            scope.spawn(|| listening.run())
        });
        drop(rounds);
        show_all(plan, &mut show, &arriving, &give_back, &mut totals);
        for thread in threads {
            match thread.join() {
                Ok(done) => captured.push(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        heard = kernel.map(|thread| match thread.join() {
            Ok(heard) => heard,
            Err(panic) => std::panic::resume_unwind(panic),
        });
    });
    for one in &mut captured {
        claim(one, &inboxes);
    }
    end(captured, heard, show, servers)
}

/// What others have handed on to a thread that had ended.
fn claim(one: &mut Captured, inboxes: &[Inbox]) {
    let Some(inbox) = inboxes.get(one.number) else {
        return;
    };
    for moved in inbox.take() {
        one.decode.front.adopt(moved, &mut one.work);
    }
    for (lane, work) in one.lanes.iter_mut().zip(&mut one.work) {
        lane.run(work, &[]);
        work.clear();
    }
    one.decode.front.finish();
    one.totals.unclaimed = inbox.refused.load(Ordering::Relaxed);
}

/// Shows what comes until all threads are done.
fn show_all(
    plan: &Plan,
    show: &mut Show<'_>,
    arriving: &Receiver<Round>,
    give_back: &[SyncSender<Round>],
    totals: &mut [Totals],
) {
    // Before all records that each ring may still give.
    let mut marks = vec![Place::default(); totals.len()];
    let mut told = Instant::now();
    let until = plan
        .duration
        .map(|span| Instant::now() + Duration::from_nanos(span.ns()));
    loop {
        match arriving.recv_timeout(LOOK) {
            Ok(mut round) => {
                let ring = round.ring;
                let until = match &mut show.joins {
                    // What packets tell waits for what the kernel tells of their sockets.
                    Some(joins) if ring + 1 == totals.len() => {
                        round.sights.drain(..).for_each(|sight| joins.note(sight));
                        if round.watermark == Place::LAST {
                            joins.end(round.clock);
                        }
                        later(round.watermark)
                    }
                    _ => round.watermark,
                };
                marks[ring] = marks[ring].max(until);
                show.begin(round.first);
                let mark = marks.iter().min().copied().unwrap_or_default();
                match show.packets {
                    Packets::None => {
                        show.records(&mut round.records, mark);
                        show.clock(mark.at.clock);
                    }
                    Packets::Plain | Packets::Owned => show.packets_and_records(
                        &mut round.kept,
                        &mut round.owners,
                        &mut round.records,
                        (mark, round.clock),
                    ),
                }
                if let Some(joins) = &mut show.joins
                    && mark != Place::LAST
                {
                    joins.forget(mark.at.clock);
                }
                show.merge.give_back(&mut round.records);
                if let Some(told) = round.totals.take() {
                    totals[ring] = *told;
                    // The kernel's view tells of attempts when they are over: none that is pending is known there.
                    if !plan.live.as_ref().is_some_and(Live::is_kernel_alone) {
                        show.view.pending(&pending_now(totals));
                    }
                }
                if round.is_ending && show.end.is_none() {
                    show.end = show.view.settle().err();
                }
                // It may be gone already.
                let _ = give_back[ring].try_send(round);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        show.idle();
        if let Some(mut desk) = show.desk.take() {
            desk.serve(|| (health_now(plan, totals, show), pending_now(totals)));
            show.desk = Some(desk);
        }
        if plan
            .interval
            .is_some_and(|interval| told.elapsed().as_nanos() >= u128::from(interval.ns()))
        {
            told = Instant::now();
            show.health(&health_now(plan, totals, show));
        }
        for request in plan.requests.take() {
            match request {
                Request::Summary => {
                    let health = health_now(plan, totals, show);
                    say(so_far(&health));
                    let pending = pending_now(totals);
                    if pending.attempts > 0 {
                        say(unanswered(&pending));
                    }
                    show.summary(&health);
                }
                Request::Reopen => {
                    plan.reopenings.announce();
                    show.reopen();
                }
            }
        }
        let is_over = until.is_some_and(|until| Instant::now() >= until);
        if is_over || show.end.is_some() || show.left == Some(0) {
            plan.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// A mark of the kernel's, as far as its sockets are known for sure.
fn later(watermark: Place) -> Place {
    if watermark == Place::LAST {
        return watermark;
    }
    Place::after(watermark.at.clock.plus(-Joins::LATER_NS), 0)
}

/// What was counted so far, a moment ago at most.
fn health_now(plan: &Plan, totals: &[Totals], show: &Show<'_>) -> Health {
    let mut all = Totals::default();
    for one in totals {
        all.add(one);
    }
    all.records_dropped += show.view.dropped();
    all.joined = show.joins.as_ref().map(Joins::counts);
    health(plan, &all, show.records)
}

/// The attempts that nothing has answered, a moment ago at most.
fn pending_now(totals: &[Totals]) -> Pending {
    let mut all = Pending::default();
    for one in totals {
        all.add(&one.pending);
    }
    all
}

/// What was counted, in a line.
fn so_far(health: &Health) -> String {
    let records = health.records.iter().filter(|(_, n)| *n > 0);
    let records: Vec<_> = records
        .map(|(kind, n)| format!("{n} {kind} records"))
        .collect();
    let seen = match health.kernel_events {
        Some(_) => seen(health),
        None => format!(
            "{} packets captured, {} dropped by kernel",
            health.packets,
            health.kernel_drops.unwrap_or_default()
        ),
    };
    format!(
        "so far {seen}; {} connections; {}",
        health.connections,
        records.join(", ")
    )
}

/// What was looked at, and what was not for there was no room.
pub(crate) fn seen(health: &Health) -> String {
    // As tcpdump says it, for whoever looks for it.
    let packets = format!(
        "{} packets captured, {} packets dropped by kernel",
        health.packets,
        health.kernel_drops.unwrap_or_default()
    );
    let Some(events) = health.kernel_events else {
        return packets;
    };
    let events = format!(
        "{events} events read, {} dropped in the ring buffer",
        health.event_drops.unwrap_or_default()
    );
    match health.kernel_drops {
        Some(_) => format!("{packets}; {events}"),
        None => events,
    }
}

/// Ends what is under way, and adds up.
fn end(
    captured: Vec<Captured>,
    heard: Option<Heard>,
    mut show: Show<'_>,
    servers: Option<Servers>,
) -> Result<Ran> {
    let mut totals = Totals::default();
    let (mut lanes, mut gates, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
    let (mut clock, mut link, mut failed) = (Timestamp::MIN, None, None);
    for one in captured {
        clock = clock.max(one.decode.front.clock);
        link = link.or(one.decode.link);
        totals.add(&one.totals);
        // Counted anew when they have ended.
        totals.shards = Default::default();
        // What was pending is a record now.
        totals.pending = Default::default();
        lanes.extend(one.lanes);
        gates.push(one.decode.gate);
        troubles.extend(one.error.map(|error| error.to_string()));
        failed = failed.or(one.failed);
    }
    finish(clock, &mut lanes, &mut show);
    for lane in &lanes {
        totals.shards += lane.counts();
    }
    if let Some(heard) = heard {
        totals.add(&heard.totals);
        troubles.extend(heard.error);
    }
    totals.joined = show.joins.as_ref().map(Joins::counts);
    Ok(Ran {
        source: None,
        gates,
        totals,
        records: show.records,
        end: show.end,
        link,
        troubles,
        failed,
        answering: show.desk.zip(servers),
    })
}
