//! A story as JSON Lines: an object per event, one at the end that says what it amounts to. docs/explain.md has the fields.
//! Records of the connection are `jsonl`'s.

use tcplens_core::record::{Verdict, Word};
use tcplens_core::time::Span;
use tcplens_core::view::explain::words::{label, note};
use tcplens_core::view::explain::{Again, Asked, Event, Share, Story, What, sentences};

use crate::json::Json;

/// Its lines.
#[must_use]
pub fn json(story: &Story) -> String {
    let mut lines = String::new();
    for (n, event) in story.events.iter().enumerate() {
        lines.push_str(&one(n, event, story));
        lines.push('\n');
    }
    lines.push_str(&whole(story));
    lines.push('\n');
    lines
}

fn id(json: &mut Json, story: &Story) {
    let id = story.head.connection.connection_id.text();
    json.name("connection_id")
        .string(&String::from_utf8_lossy(&id));
}

fn one(n: usize, event: &Event, story: &Story) -> String {
    let mut json = Json::new();
    json.open('{').name("kind").string("event");
    id(&mut json, story);
    json.name("event").number(n as u64 + 1);
    json.name("time").time(event.time);
    if let Some(span) = event.time.since(story.head.connection.time) {
        json.name("since_start_us").micros(span);
    }
    if let Some(span) = event.until.since(event.time).filter(|span| span.ns() > 0) {
        json.name("lasted_us").micros(span);
    }
    if let Some(from) = event.from.word() {
        json.name("from").string(from);
    }
    json.name("what").string(event.what.word());
    // Live packets have numbers of their own.
    let is_file = story.head.connection.first_frame.is_some();
    let is_sent = !matches!(event.what, What::Silence(_) | What::Hole { .. });
    if is_file && is_sent {
        json.name("first_frame").number(event.frames[0]);
        json.name("last_frame").number(event.frames[1]);
    }
    json.name("segments").number(event.segments);
    json.name("bytes").number(event.bytes);
    if let Some(span) = event.span {
        json.name("span_us").micros(span);
    }
    match &event.what {
        What::Repeat { why, of } => {
            if is_file && *of > 0 {
                json.name("of_frame").number(*of);
            }
            json.name("why").string(match why {
                Again::Fast => "duplicate_acks",
                Again::Timeout => "timeout",
                Again::NotNeeded => "not_needed",
                Again::Early => "early",
                Again::Unknown => "unknown",
            });
        }
        What::Fill { seen_at, .. } if is_file && *seen_at > 0 => {
            json.name("of_frame").number(*seen_at);
        }
        What::Fold(folded) => {
            json.name("events").number(folded.events);
            json.name("requests").number(folded.requests);
        }
        _ => {}
    }
    if let Some(notes) = &event.notes {
        tasks(&mut json, "asks", &notes.asked);
        tasks(&mut json, "begins_answer_to", &notes.begun);
        tasks(&mut json, "answers", &notes.answered);
        let during = notes.during.as_slice();
        tasks(&mut json, "during", during);
    }
    json.name("text").string(&label(event));
    if let Some(note) = note(event, story) {
        json.name("note").string(&note);
    }
    json.close('}');
    json.into_string()
}

fn tasks(json: &mut Json, name: &str, requests: &[std::sync::Arc<Asked>]) {
    if requests.is_empty() {
        return;
    }
    json.name(name).open('[');
    for asked in requests {
        json.number(asked.task);
    }
    json.close(']');
}

fn whole(story: &Story) -> String {
    let foot = &story.foot;
    let mut json = Json::new();
    json.open('{').name("kind").string("story");
    id(&mut json, story);
    if let Some(first) = story.head.closed_first.word() {
        json.name("closed_first").string(first);
    }
    if let Some(limit) = foot.spent.limit() {
        json.name("limited_by").string(limit.word());
    }
    for share in Share::ALL {
        json.name(&format!("{}_us", share.word()));
        json.micros(Span::from_ns(foot.spent.of(share)));
    }
    json.name("requests").number(foot.requests);
    json.name("answered").number(foot.answered);
    if let Some(asked) = &foot.longest
        && let Some(total) = asked.total
    {
        json.name("longest_task").number(asked.task);
        json.name("longest_us").micros(total);
        let verdict: Option<Verdict> = asked.verdict;
        if let Some(verdict) = verdict.word() {
            json.name("longest_verdict").string(verdict);
        }
    }
    for (end, rate) in ["client", "server"].into_iter().zip(foot.rates) {
        if let Some(rate) = rate {
            json.name(&format!("{end}_sending_bytes_per_second"))
                .number(rate);
        }
    }
    json.name("left_out").number(foot.left_out);
    json.name("text").string(&sentences::limit(story));
    json.close('}');
    json.into_string()
}
