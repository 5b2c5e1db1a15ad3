//! A story in plain words: what stands on an event's arrow, what is said beside it. Sentences about the whole are `sentences`.

use std::fmt::Write;
use std::sync::Arc;

use super::super::words::{count, duration};
use super::event::{Again, Asked, Event, Folded, Late, Notes, Silence, What};
use super::{Head, Story};
use crate::record::{End, EndedBy, Outcome, Status, Verdict, Word};
use crate::time::{Span, Timestamp};
use crate::wire::segment::flags;

/// `1,448`.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 byte`, `9,999 bytes`, `14.1 KiB`, `1.2 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    if bytes < 10_000 {
        return format!(
            "{} byte{}",
            grouped(bytes),
            if bytes == 1 { "" } else { "s" }
        );
    }
    let units = [
        (1 << 10, "KiB"),
        (1 << 20, "MiB"),
        (1 << 30, "GiB"),
        (1 << 40, "TiB"),
    ];
    let fits = |&&(unit, _): &&(u64, &str)| bytes / unit < 1000;
    let (unit, name) = units.iter().find(fits).copied().unwrap_or((1 << 40, "TiB"));
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// How long, in words.
#[must_use]
pub fn time(span: Span) -> String {
    duration(span.ns())
}

/// What stands on the arrow: `SYN`, `GET /cart (41 bytes)`, `1.2 MiB in 830 segments, 12.1 ms`.
#[must_use]
pub fn label(event: &Event) -> String {
    match &event.what {
        What::Syn if event.bytes > 0 => format!("SYN with {}", size(event.bytes)),
        What::Syn => "SYN".to_owned(),
        What::SynAck => "SYN-ACK".to_owned(),
        What::Ack if event.flags & flags::ACK == 0 => "nothing (no flags)".to_owned(),
        What::Ack | What::DelayedAck => "ACK".to_owned(),
        What::Data => message(event),
        What::Repeat { .. } => format!("{} again", content(event)),
        What::Partial => format!("{}, a part of it again", content(event)),
        What::Fill { .. } => format!("{}, late", content(event)),
        What::Hole { .. } => format!("{} missing", size(event.bytes)),
        What::DuplicateAcks if event.segments == 1 => "duplicate ACK".to_owned(),
        What::DuplicateAcks => format!("{} duplicate ACKs", grouped(event.segments)),
        What::Spurious => "D-SACK".to_owned(),
        What::WindowClosed => "window 0".to_owned(),
        What::WindowOpened => "window open".to_owned(),
        What::Probe { of_window } => {
            let what = if *of_window {
                "window probe"
            } else {
                "keep-alive"
            };
            match event.segments {
                1 => what.to_owned(),
                n => format!("{} {what}s", grouped(n)),
            }
        }
        What::Silence(_) => format!("nothing for {}", event.span.map_or_else(String::new, time)),
        What::Fin => "FIN".to_owned(),
        What::Reset => "RST".to_owned(),
        What::SecondSighting => format!("{}, seen a second time", content(event)),
        What::Fold(folded) => fold(folded),
    }
}

/// `SYN-ACK`, `1,448 bytes`, `1,448 bytes and FIN`.
fn content(event: &Event) -> String {
    let is = |flag: u8| event.flags & flag != 0;
    match (event.bytes, is(flags::SYN), is(flags::FIN)) {
        (_, true, _) if is(flags::ACK) => "SYN-ACK".to_owned(),
        (_, true, _) => "SYN".to_owned(),
        (0, _, true) => "FIN".to_owned(),
        (0, ..) if is(flags::RST) => "RST".to_owned(),
        (0, ..) => "ACK".to_owned(),
        (bytes, _, true) => format!("{} and FIN", size(bytes)),
        (bytes, ..) => size(bytes),
    }
}

/// Data: by what they are, and how much.
fn message(event: &Event) -> String {
    let much = size(event.bytes);
    let plain = || match run(event) {
        Some(run) => format!("{much} in {run}"),
        None => much.clone(),
    };
    let Some(notes) = &event.notes else {
        return plain();
    };
    match (notes.asks, notes.asked.first()) {
        (1, Some(asked)) => return format!("{} ({much})", asked.what),
        (0, _) | (_, None) => {}
        (n, _) => return format!("{} requests ({much})", grouped(n)),
    }
    match (notes.answers, notes.begun.is_empty()) {
        (0, true) => plain(),
        (0 | 1, _) => format!("response ({much})"),
        (n, _) => format!("{} responses ({much})", grouped(n)),
    }
}

/// `830 segments, 12.1 ms`; `None` of a single one.
fn run(event: &Event) -> Option<String> {
    let span = event.until.since(event.time).unwrap_or_default();
    (event.segments > 1).then(|| format!("{} segments, {}", grouped(event.segments), time(span)))
}

/// `812 events left out: 400 requests (up to 4.10 ms), 1.2 MiB from the client`.
fn fold(folded: &Folded) -> String {
    let mut text = format!("{} left out", count_grouped(folded.events, "event"));
    let mut parts = Vec::new();
    if folded.requests > 0 {
        let mut part = count_grouped(folded.requests, "request");
        if let Some(total) = folded.longest.as_ref().and_then(|asked| asked.total) {
            let _ = write!(part, " (up to {})", time(total));
        }
        parts.push(part);
    }
    for (name, bytes) in ["client", "server"].into_iter().zip(folded.bytes) {
        if bytes > 0 {
            parts.push(format!("{} from the {name}", size(bytes)));
        }
    }
    for (n, what) in [
        (folded.repeats, "segment sent again"),
        (folded.fills, "late segment"),
        (folded.closures, "closed window"),
    ] {
        if n == 1 {
            parts.push(format!("1 {what}"));
        } else if n > 1 {
            let what = what
                .replacen("segment", "segments", 1)
                .replacen("window", "windows", 1);
            parts.push(format!("{} {what}", grouped(n)));
        }
    }
    if !parts.is_empty() {
        let _ = write!(text, ": {}", parts.join(", "));
    }
    text
}

fn count_grouped(n: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// What is said beside it; `None` if it speaks for itself.
#[must_use]
pub fn note(event: &Event, story: &Story) -> Option<String> {
    let span = event.span.map(time);
    let mut said: Vec<String> = Vec::new();
    match &event.what {
        What::SynAck => said.extend(path(&story.head)),
        What::Repeat { why, of } => said.push(again(*why, *of, span)),
        What::Fill { late, seen_at } => said.push(filled(*late, *seen_at, span)),
        What::Partial => said.push("the rest of it is new".to_owned()),
        What::Hole { is_acknowledged } => said.push(
            if *is_acknowledged {
                "acknowledged, so they arrived: the capture has not got them"
            } else {
                "lost before this point, or late: what follows lies beyond them"
            }
            .to_owned(),
        ),
        What::DuplicateAcks => {
            said.push(format!(
                "the {} waits for something that is missing",
                name(event.from)
            ));
        }
        What::DelayedAck => said.push(format!(
            "held back for {}, and the {} waited for it: delayed ACK",
            span.unwrap_or_default(),
            name(event.from.map(End::other))
        )),
        What::Spurious => said.push(format!(
            "the {} got something twice: a repeat was not needed",
            name(event.from)
        )),
        What::WindowClosed => said.push(match span {
            Some(span) => format!(
                "the {} does not read: the {} must wait, for {span}",
                name(event.from),
                name(event.from.map(End::other))
            ),
            None => format!("the {} does not read", name(event.from)),
        }),
        What::WindowOpened => said.push(format!("after {}", span.unwrap_or_default())),
        What::Probe { of_window: true } => said.push("is there room again?".to_owned()),
        What::Probe { of_window: false } => said.push("is the other end still there?".to_owned()),
        What::Silence(why) => said.push(silence(event, *why)),
        What::Fin => {
            let is_first = event.notes.as_ref().is_some_and(|notes| notes.is_first);
            let end = name(event.from);
            said.push(if is_first {
                format!("the {end} closes first")
            } else {
                format!("the {end} closes, too")
            });
        }
        What::Reset => said.push(format!("the {} resets", name(event.from))),
        What::Syn | What::Ack | What::Data | What::SecondSighting | What::Fold(_) => {}
    }
    // What a message is takes the room of how it was sent.
    let is_message = |notes: &Notes| notes.asks + notes.answers > 0 || !notes.begun.is_empty();
    if event.what == What::Data && event.notes.as_deref().is_some_and(is_message) {
        said.extend(run(event).map(|run| format!("in {run}")));
    }
    if let Some(notes) = &event.notes {
        records(notes, story, &mut said);
    }
    (!said.is_empty()).then(|| said.join("; "))
}

fn name(end: Option<End>) -> &'static str {
    end.word().unwrap_or("other end")
}

fn path(head: &Head) -> Option<String> {
    let span = head.handshake.as_ref()?.syn_to_synack_us?;
    Some(format!("from here to the server and back: {}", time(span)))
}

fn again(why: Again, of: u64, after: Option<String>) -> String {
    let which = match after {
        Some(after) if of > 0 => format!("packet {of} once more, {after} later"),
        _ => "seen before".to_owned(),
    };
    match why {
        Again::Fast => format!("{which}: duplicate ACKs asked for it"),
        Again::Timeout => format!("{which}: no answer came in time"),
        Again::NotNeeded => format!("{which}, though acknowledged by then: not needed"),
        Again::Early | Again::Unknown => which,
    }
}

fn filled(late: Late, seen_at: u64, after: Option<String>) -> String {
    let which = match after {
        Some(after) if seen_at > 0 => format!("missing since packet {seen_at}, {after} ago"),
        _ => "missing until now".to_owned(),
    };
    match late {
        Late::Lost => format!("{which}: lost before this point and sent again"),
        Late::Overtaken => format!("{which}: overtaken on the way here"),
        Late::Unknown => format!("{which}: lost and sent again, or overtaken"),
    }
}

fn silence(event: &Event, why: Silence) -> String {
    let during = event
        .notes
        .as_ref()
        .and_then(|notes| notes.during.as_deref());
    if let Silence::Window(end) = why {
        return format!("the {}'s window is closed", name(Some(end)));
    }
    if let Some(asked) = during {
        return stage(event, asked);
    }
    match why {
        Silence::Opening => "no answer".to_owned(),
        Silence::After(End::Client) => "no answer from the server".to_owned(),
        Silence::After(End::Server) | Silence::NoData | Silence::Window(_) => {
            "nothing is asked".to_owned()
        }
    }
}

fn stage(event: &Event, asked: &Asked) -> String {
    let (task, times) = (asked.task, &asked.times);
    let is_unseen = |time: Timestamp| time == Timestamp::MIN;
    if !is_unseen(times.last_request) && event.until <= times.last_request {
        format!("in the middle of request {task}")
    } else if is_unseen(times.first_response) {
        format!("request {task} gets no answer")
    } else if event.until <= times.first_response {
        format!("the server has request {task}")
    } else {
        format!("in the middle of the response to request {task}")
    }
}

/// What the records say.
fn records(notes: &Notes, story: &Story, said: &mut Vec<String>) {
    if let (true, Some(handshake)) = (notes.concludes, &story.head.handshake) {
        said.extend(match (handshake.outcome, handshake.handshake_us) {
            (Outcome::Established, Some(span)) => Some(format!("established after {}", time(span))),
            (Outcome::Established, None) => Some("established".to_owned()),
            (Outcome::Refused, _) => Some("refused".to_owned()),
            (Outcome::Aborted, _) => Some("given up before it was established".to_owned()),
            (Outcome::Reset, _) => Some("not established after all".to_owned()),
            _ => None,
        });
    }
    if let Some(first) = notes.asked.first() {
        said.push(asks(first, notes));
    }
    if notes.answers == 0 {
        let begun = notes.begun.first();
        said.extend(begun.map(|asked| match wait(asked) {
            Some(wait) => format!("response to request {} begins, {wait} after it", asked.task),
            None => format!("response to request {} begins", asked.task),
        }));
    }
    // Of equals the first.
    let longest = notes.answered.iter().rev();
    let longest = longest.max_by_key(|asked| asked.total);
    if let (Some(longest), Some(first)) = (longest, notes.answered.first()) {
        said.push(match notes.answers {
            1 => took(first),
            n => format!(
                "{} answered; the longest, {}",
                count(n, "request"),
                took(longest)
            ),
        });
    }
}

fn asks(first: &Arc<Asked>, notes: &Notes) -> String {
    let mut text = match notes.asks {
        1 => format!("request {}", first.task),
        n => format!("requests {} to {}", first.task, first.task + n - 1),
    };
    let ends: Vec<_> = notes.asked.iter().filter_map(|asked| cut(asked)).collect();
    if let (Some(end), true) = (ends.first(), notes.asks == 1) {
        let _ = write!(text, ": {end}");
    } else if !ends.is_empty() {
        text.push_str(": not all of them are answered");
    }
    text
}

/// Why a request has no answer.
fn cut(asked: &Asked) -> Option<&'static str> {
    match (asked.status, asked.ended_by) {
        (Status::None, _) => Some("no answer is owed"),
        (Status::Unanswered, EndedBy::Observation) => {
            Some("no answer yet when the observation ended")
        }
        (Status::Unanswered, EndedBy::Gap) => Some("its answer was not seen whole"),
        (Status::Unanswered, _) => Some("never answered"),
        (Status::Ok | Status::Error, _) => None,
    }
}

fn wait(asked: &Asked) -> Option<String> {
    let times = &asked.times;
    let is_seen = times.last_request != Timestamp::MIN;
    let span = times.first_response.since(times.last_request)?;
    is_seen.then(|| time(span))
}

/// `request 3: 1.20 s (server 1.19 s, network 212 µs), error 500`.
#[must_use]
pub fn took(asked: &Asked) -> String {
    let mut text = format!("request {}", asked.task);
    if let Some(total) = asked.total {
        let _ = write!(text, ": {}", time(total));
    }
    if let Some(budget) = asked.budget {
        let _ = write!(text, " ({})", parts(budget));
    }
    if asked.status == Status::Error {
        text.push_str(", error");
        if let Some(code) = asked.status_code {
            let _ = write!(text, " {code}");
        }
        if let Some(words) = &asked.status_text {
            let _ = write!(text, " {words}");
        }
    }
    text
}

/// The parts of a budget that are at least a hundredth of it.
fn parts(budget: [u64; 7]) -> String {
    let all: u64 = budget.iter().fold(0, |sum, ns| sum.saturating_add(*ns));
    let parts = Verdict::ALL.iter().zip(budget);
    let parts = parts.filter(|(_, ns)| *ns > 0 && *ns >= all / 100);
    let parts: Vec<_> = parts
        .map(|(verdict, ns)| format!("{} {}", verdict.word().unwrap_or_default(), duration(ns)))
        .collect();
    match parts.is_empty() {
        true => "no time at all".to_owned(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_while_they_are_small() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (9_999, "9,999 bytes"),
            (10_000, "9.7 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_234_567, "1.1 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            let said = size(bytes);
            assert!(said == text || bytes == 1_048_575, "{bytes}: {said}");
        }
        assert_eq!(size(1_048_575), "0.9 MiB");
    }
}
