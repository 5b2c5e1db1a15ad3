//! From where on a value is marked. Defaults: trtop's, and where it has none what an operator would look at.

use std::str::FromStr;

use tcplens_core::time::Span;
use tcplens_output::units;

use super::columns::Cell;

/// Which values have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Attempts answered with SYN-ACK, less than.
    SynAck,
    /// Attempts established, less than.
    Established,
    /// Ends by RST, more than.
    Reset,
    /// Requests per connection, less than.
    Reuse,
    /// Time to connect, more than.
    Connect,
    /// Time of requests, more than.
    Request,
    /// Errors, more than.
    Error,
    /// Requests without a response, more than.
    Unanswered,
    /// Repeated segments, more than.
    Retransmits,
    /// Round trip, more than.
    Rtt,
    /// Losses of the capture, more than.
    Lost,
}

/// What a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    /// Percent.
    Share(f64),
    /// Things.
    Count(u64),
    /// A duration.
    Span(Span),
    /// Never marked.
    Off,
}

/// A limit's word, whether less is bad, and its default.
struct Known {
    limit: Limit,
    word: &'static str,
    is_least: bool,
    usual: Value,
}

const MS: u64 = 1_000_000;

const KNOWN: [Known; 11] = [
    Known { limit: Limit::SynAck, word: "syn-ack", is_least: true, usual: Value::Share(90.0) },
    Known { limit: Limit::Established, word: "established", is_least: true, usual: Value::Share(90.0) },
    Known { limit: Limit::Reset, word: "reset", is_least: false, usual: Value::Share(10.0) },
    // trtop marks everything below 100, which is nearly everything.
    Known { limit: Limit::Reuse, word: "reuse", is_least: true, usual: Value::Off },
    Known { limit: Limit::Connect, word: "connect", is_least: false, usual: Value::Span(Span::from_ns(20 * MS)) },
    Known { limit: Limit::Request, word: "request", is_least: false, usual: Value::Span(Span::from_ns(100 * MS)) },
    Known { limit: Limit::Error, word: "error", is_least: false, usual: Value::Share(1.0) },
    Known { limit: Limit::Unanswered, word: "unanswered", is_least: false, usual: Value::Count(0) },
    Known { limit: Limit::Retransmits, word: "retransmits", is_least: false, usual: Value::Share(1.0) },
    Known { limit: Limit::Rtt, word: "rtt", is_least: false, usual: Value::Off },
    Known { limit: Limit::Lost, word: "lost", is_least: false, usual: Value::Count(0) },
];

/// All of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thresholds {
    values: [Value; KNOWN.len()],
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            values: KNOWN.map(|known| known.usual),
        }
    }
}

/// `--highlight`: one of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Highlight {
    at: usize,
    value: Value,
}

impl FromStr for Highlight {
    type Err = String;

    /// `request=250ms`, `error=0.5%`, `unanswered=3`, `reset=off`.
    fn from_str(text: &str) -> Result<Highlight, String> {
        let words = || KNOWN.map(|known| known.word).join(", ");
        let Some((word, value)) = text.split_once('=') else {
            return Err(format!("write WORD=VALUE; words are {}", words()));
        };
        let Some(at) = KNOWN.iter().position(|known| known.word == word) else {
            return Err(format!("there is no {word:?}; words are {}", words()));
        };
        if value == "off" {
            return Ok(Highlight { at, value: Value::Off });
        }
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        let value = match KNOWN[at].limit {
            Limit::Connect | Limit::Request | Limit::Rtt => Value::Span(
                units::parse_duration(value)
                    .map_err(|error| format!("{error}, such as {word}=100ms, or {word}=off"))?,
            ),
            Limit::Unanswered | Limit::Lost | Limit::Reuse => {
                Value::Count(value.parse().map_err(|_| {
                    format!("cannot read {value:?} as a number; write {word}=3, or {word}=off")
                })?)
            }
            Limit::SynAck | Limit::Established | Limit::Reset | Limit::Error | Limit::Retransmits => {
                let share = number(value.strip_suffix('%').unwrap_or(value));
                Value::Share(share.ok_or_else(|| {
                    format!("cannot read {value:?} as percent; write {word}=90%, or {word}=off")
                })?)
            }
        };
        Ok(Highlight { at, value })
    }
}

impl Thresholds {
    /// The defaults, but for these.
    pub(crate) fn with(highlights: &[Highlight]) -> Thresholds {
        let mut thresholds = Thresholds::default();
        for highlight in highlights {
            thresholds.values[highlight.at] = highlight.value;
        }
        thresholds
    }

    /// Whether a value is beyond its threshold; what is absent is not.
    pub(super) fn is_beyond(&self, limit: Limit, cell: Cell) -> bool {
        let at = KNOWN.iter().position(|known| known.limit == limit);
        let Some((known, value)) = at.map(|at| (&KNOWN[at], self.values[at])) else {
            return false;
        };
        let is = |is_less: bool, is_more: bool| if known.is_least { is_less } else { is_more };
        match (cell, value) {
            (Cell::Share(part, of), Value::Share(limit)) if of > 0 => {
                let share = part as f64 * 100.0 / of as f64;
                is(share < limit, share > limit)
            }
            (Cell::Count(count), Value::Count(limit)) => is(count < limit, count > limit),
            (Cell::Span(span), Value::Span(limit)) => {
                is(span.ns() < limit.ns(), span.ns() > limit.ns())
            }
            _ => false,
        }
    }

    /// From which duration on a time is marked, if from any.
    pub(super) fn span(&self, limit: Limit) -> Option<Span> {
        let at = KNOWN.iter().position(|known| known.limit == limit)?;
        match self.values[at] {
            Value::Span(span) => Some(span),
            Value::Share(_) | Value::Count(_) | Value::Off => None,
        }
    }

    /// What is marked, for the help.
    pub(super) fn told(&self) -> impl Iterator<Item = String> {
        KNOWN.iter().zip(&self.values).map(|(known, value)| {
            let than = if known.is_least { "below" } else { "above" };
            match value {
                Value::Share(share) => format!("{} {than} {share} %", known.word),
                Value::Count(count) => format!("{} {than} {count}", known.word),
                Value::Span(span) => {
                    format!("{} {than} {}", known.word, tcplens_output::human::Duration(*span))
                }
                Value::Off => format!("{} never", known.word),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_can_be_told_and_what_is_absent_never_is() {
        let usual = Thresholds::default();
        assert!(usual.is_beyond(Limit::Established, Cell::Share(8, 10)));
        assert!(!usual.is_beyond(Limit::Established, Cell::Share(9, 10)));
        assert!(!usual.is_beyond(Limit::Established, Cell::Share(0, 0)));
        assert!(!usual.is_beyond(Limit::Request, Cell::Absent));
        assert!(usual.is_beyond(Limit::Request, Cell::Span(Span::from_ns(101 * MS))));
        let mine: Vec<Highlight> = ["request=250ms", "established=off", "error=50%", "unanswered=3"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let mine = Thresholds::with(&mine);
        assert!(!mine.is_beyond(Limit::Request, Cell::Span(Span::from_ns(101 * MS))));
        assert!(!mine.is_beyond(Limit::Established, Cell::Share(0, 10)));
        assert!(mine.is_beyond(Limit::Error, Cell::Share(6, 10)));
        assert!(!mine.is_beyond(Limit::Unanswered, Cell::Count(3)));
    }

    #[test]
    fn an_error_says_what_to_write() {
        let words = KNOWN.map(|known| known.word).join(", ");
        for (text, expected) in [
            ("request", format!("write WORD=VALUE; words are {words}")),
            ("latency=3", format!("there is no \"latency\"; words are {words}")),
            (
                "error=many",
                "cannot read \"many\" as percent; write error=90%, or error=off".to_owned(),
            ),
            (
                "lost=1.5",
                "cannot read \"1.5\" as a number; write lost=3, or lost=off".to_owned(),
            ),
        ] {
            assert_eq!(text.parse::<Highlight>(), Err(expected));
        }
    }
}
