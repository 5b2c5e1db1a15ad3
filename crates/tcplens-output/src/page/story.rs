//! The lives of a few connections, for the page: what `explain` tells, as data that js/story.js draws; and a page of one of them
//! alone. Not a contract: it changes with the page.
//!
//! Bounded by who chooses the connections, and how many events are told of each; texts are cut at [`LETTERS`].

use std::collections::BTreeMap;

use tcplens_core::record::{ConnectionId, End};
use tcplens_core::time::Timestamp;
use tcplens_core::view::explain::words::{label, note, time};
use tcplens_core::view::explain::{Event, Share, Story, What, sentences};

use crate::color::Paint;
use crate::explain::{frames, paint};
use crate::human::Endpoint;
use crate::json::Json;

/// Letters of a text. Chosen: what is asked for may be 1 MB of SQL; a note with two requests has less.
const LETTERS: usize = 400;

/// The connections that are told.
#[derive(Clone, Debug, Default)]
pub struct Stories {
    /// What is told.
    pub all: Vec<Story>,
    /// Of which finding, by rank, one of these shows a packet.
    pub of_findings: BTreeMap<u64, ConnectionId>,
    /// The one that `explain` would tell unasked, and why.
    pub chosen: Option<(ConnectionId, String)>,
    /// Why there are none, where that has a reason that is not the traffic's.
    pub missing: Option<&'static str>,
}

impl Stories {
    /// `{"all":{ID:...},"chosen":[ID,WHY],"missing":WHY}`.
    pub(super) fn json(&self) -> String {
        let mut json = Json::new();
        json.open('{').name("all").open('{');
        for story in &self.all {
            json.name(&id(story.head.connection.connection_id));
            one(&mut json, story);
        }
        json.close('}');
        if let Some((chosen, why)) = &self.chosen {
            json.name("chosen").open('[').string(&id(*chosen));
            json.string(&cut(why)).close(']');
        }
        if let Some(why) = self.missing {
            json.name("missing").string(why);
        }
        json.close('}');
        json.into_string()
    }
}

/// The data of a page of this connection alone.
pub(super) fn alone(story: &Story, sources: &str, chosen: Option<&str>) -> String {
    let mut json = Json::new();
    json.open('{').name("sources").string(sources);
    if let Some(chosen) = chosen {
        json.name("chosen").string(&cut(chosen));
    }
    json.name("story");
    one(&mut json, story);
    json.close('}');
    json.into_string()
}

pub(super) fn id(id: ConnectionId) -> String {
    String::from_utf8_lossy(&id.text()).into_owned()
}

/// Who, its id, both ends, its first packet's time in µs, sentences, the parts of its time in ns, events, figures.
fn one(json: &mut Json, story: &Story) {
    let connection = &story.head.connection;
    json.open('{').name("who").string(&sentences::who(story));
    json.name("id").string(&id(connection.connection_id));
    if let (Some(first), Some(last)) = (connection.first_frame, connection.last_frame) {
        json.name("frames").open('[').number(first).number(last);
        json.close(']');
    }
    let client = Endpoint(connection.client_ip, connection.client_port);
    let server = Endpoint(connection.server_ip, connection.server_port);
    json.name("client").string(&client.to_string());
    json.name("server").string(&server.to_string());
    json.name("first")
        .integer(connection.time.0.div_euclid(1000));
    let lasted = connection.duration_us.map(time);
    let parts = [
        lasted.map(|lasted| format!("It lasted {lasted}.")),
        Some(sentences::vantage(story)),
        Some(sentences::opening(story)),
        sentences::closing(story),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    json.name("about").string(&parts.join(" "));
    json.name("limit").string(&sentences::limit(story));
    json.name("parts").open('[');
    for share in Share::ALL {
        let ns = story.foot.spent.of(share);
        if ns > 0 {
            json.open('[').string(share.word());
            json.string(sentences::meaning(share));
            json.number(ns).close(']');
        }
    }
    json.close(']').name("events").open('[');
    let mut before = None;
    for event in &story.events {
        self::event(json, event, &mut before, story);
    }
    json.close(']').name("figures").open('[');
    for line in sentences::figures(story) {
        json.string(&cut(&line));
    }
    json.close(']');
    json.name("left_out").number(story.foot.left_out).close('}');
}

/// When, after the connection's first packet, in ns; how long after the end of what came before, in words; 1: the client sent it, 2: the server, 0: nobody, 3: many events
/// in one; how odd it is, 0 to 3; its words; its packets; what is said of it.
fn event(json: &mut Json, event: &Event, before: &mut Option<Timestamp>, story: &Story) {
    let first = story.head.connection.time;
    let after = i128::from(event.time.0) - i128::from(first.0);
    let is_silence = matches!(event.what, What::Silence(_));
    let since = match is_silence {
        true => None,
        false => before
            .replace(event.until)
            .and_then(|before| event.time.since(before)),
    };
    json.open('[')
        .integer(i64::try_from(after).unwrap_or_default())
        .string(&since.map_or_else(String::new, time));
    let from: u64 = match (&event.what, event.from) {
        (What::Fold(_), _) => 3,
        (What::Silence(_) | What::Hole { .. }, _) | (_, None) => 0,
        (_, Some(End::Client)) => 1,
        (_, Some(End::Server)) => 2,
    };
    let odd: u64 = match paint(event) {
        Paint::Red => 3,
        Paint::Yellow => 2,
        Paint::Dim => 1,
        _ => 0,
    };
    json.number(from).number(odd).string(&cut(&label(event)));
    json.string(&frames(event));
    if let Some(note) = note(event, story) {
        json.string(&cut(&note));
    }
    json.close(']');
}

fn cut(text: &str) -> String {
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(LETTERS).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}
