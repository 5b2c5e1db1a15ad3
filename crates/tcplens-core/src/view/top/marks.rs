//! What is marked in a row: values beyond a threshold. Not what is wrong: see `findings`.

use super::show::number;
use crate::filter::FilterError;
use crate::filter::record::RecordFilter;
use crate::record::{Field, Peer, Record};

/// What is marked if nobody says otherwise: trtop's thresholds, and what is never meant to be. (trtop marks a reuse below 100,
/// which is nearly everything; here it is a connection for each request.)
pub const USUAL_MARKS: [&str; 10] = [
    "syn_acks<90%",
    "established<90%",
    "resets>10%",
    "reuse_p95<2",
    "connect_p95>20ms",
    "request_p95>100ms",
    "errors>1%",
    "unanswered>0",
    "retransmits>1%",
    "capture_losses>0",
];

/// Thresholds of some fields.
#[derive(Clone, Debug)]
pub struct Marks {
    all: Vec<Mark>,
}

#[derive(Clone, Debug)]
struct Mark {
    field: &'static str,
    /// As it was written.
    text: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// As the record filter says.
    Filter(Box<RecordFilter>),
    /// A share of what the field is a part of, in hundredths of a percent.
    Share { is_above: bool, limit: u64 },
}

impl Default for Marks {
    fn default() -> Marks {
        let usual = USUAL_MARKS.iter().filter_map(|text| Mark::parse(text).ok());
        Marks {
            all: usual.collect(),
        }
    }
}

impl Marks {
    /// None at all.
    #[must_use]
    pub fn none() -> Marks {
        Marks { all: Vec::new() }
    }

    /// Marks a field as `text` says, in place of what was said of it before: `FIELD<VALUE`, or any comparison of the record
    /// filter's; of counters of attempts, requests and segments also a share of them, as in `resets>10%`.
    ///
    /// # Errors
    /// The word that does not fit.
    pub fn set(&mut self, text: &str) -> Result<(), FilterError> {
        let mark = Mark::parse(text)?;
        self.all.retain(|known| known.field != mark.field);
        self.all.push(mark);
        Ok(())
    }

    /// All of them, each with its field, as they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.all.iter().map(|mark| (mark.field, mark.text.as_str()))
    }

    /// Whether the value of a field is marked. One that is absent is not, and neither is a share of nothing.
    #[must_use]
    pub fn marks(&self, peer: &Peer, field: &str) -> bool {
        let mark = self.all.iter().find(|mark| mark.field == field);
        mark.is_some_and(|mark| match &mark.test {
            Test::Filter(filter) => filter.matches(peer),
            Test::Share { is_above, limit } => {
                let Some((part, whole)) = number(peer, field).zip(whole_of(peer, field)) else {
                    return false;
                };
                let (part, limit) = (u128::from(part) * 10_000, u128::from(*limit));
                let limit = limit * u128::from(whole);
                whole > 0
                    && if *is_above {
                        part > limit
                    } else {
                        part < limit
                    }
            }
        })
    }
}

/// What a counter is a part of, if it is one.
#[must_use]
pub fn whole_of(peer: &Peer, field: &str) -> Option<u64> {
    match field {
        "syn_acks" | "established" | "failed" | "refused" | "silent" | "resets" | "fins_out"
        | "fins_in" => Some(peer.attempts),
        "responses" | "errors" | "unanswered" => Some(peer.requests),
        "retransmits" | "reordered" => peer.data_segments,
        _ => None,
    }
}

impl Mark {
    fn parse(text: &str) -> Result<Mark, FilterError> {
        let error = |message: String| FilterError {
            message,
            at: 0..text.len(),
            expression: text.to_owned(),
        };
        if !text.contains(['<', '>', '=']) {
            return Err(error(expected()));
        }
        let ends = text.find(['<', '>', '=', '!', ' ']).unwrap_or(text.len());
        let (name, rest) = text.split_at(ends);
        let share = rest.trim().strip_suffix('%');
        let Some(share) = share else {
            let filter = RecordFilter::parse::<Peer>(text)?;
            let field = field(|known| filter.asks(known.name));
            let field = field.ok_or_else(|| error(expected()))?;
            return Ok(Mark {
                field,
                text: text.to_owned(),
                test: Test::Filter(Box::new(filter)),
            });
        };
        let known = field(|known| known.name == name && whole_name(known.name).is_some());
        let field = known.ok_or_else(|| {
            error(format!(
                "`{name}` is no part of anything; a share can be asked of {}",
                PARTS.join(", ")
            ))
        })?;
        let (is_above, limit) = match (share.strip_prefix('>'), share.strip_prefix('<')) {
            (Some(limit), _) => (true, limit),
            (_, Some(limit)) => (false, limit),
            (None, None) => return Err(error(expected())),
        };
        let limit = hundredths(limit.trim());
        let limit = limit.ok_or_else(|| error(expected()))?;
        Ok(Mark {
            field,
            text: text.to_owned(),
            test: Test::Share { is_above, limit },
        })
    }
}

/// The fields of `peer` that are a part of another one: see [`whole_of`].
pub const PARTS: [&str; 13] = [
    "syn_acks",
    "established",
    "failed",
    "refused",
    "silent",
    "resets",
    "fins_out",
    "fins_in",
    "responses",
    "errors",
    "unanswered",
    "retransmits",
    "reordered",
];

fn whole_name(field: &str) -> Option<&'static str> {
    PARTS.into_iter().find(|part| *part == field)
}

fn expected() -> String {
    "expected FIELD<VALUE or FIELD>VALUE, such as resets>10%, connect_p95>20ms or reuse_p95<2"
        .to_owned()
}

/// The first field of `peer` of which that is so.
fn field(mut is_it: impl FnMut(&'static Field) -> bool) -> Option<&'static str> {
    let mut found = None;
    Peer::fields(&mut |field| {
        if found.is_none() && is_it(field) {
            found = Some(field.name);
        }
    });
    found
}

/// `10`, `0.5`, `99.99`: hundredths.
fn hundredths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 2 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let part: u64 = format!("{part:0<2}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(100)?
        .checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_understood_and_can_be_replaced() {
        let mut marks = Marks::default();
        assert_eq!(marks.all.len(), USUAL_MARKS.len());
        marks.set("connect_p95 > 1s").unwrap();
        marks.set("retransmits>0.5%").unwrap();
        let fields: Vec<_> = marks.all.iter().map(|mark| mark.field).collect();
        assert_eq!(
            fields,
            [
                "syn_acks",
                "established",
                "resets",
                "reuse_p95",
                "request_p95_us",
                "errors",
                "unanswered",
                "capture_losses",
                "connect_p95_us",
                "retransmits"
            ]
        );
    }

    #[test]
    fn what_is_no_threshold_is_told() {
        for (text, said) in [
            ("connect_p95>20%", "is no part of anything"),
            ("resets=10%", "expected FIELD<VALUE"),
            ("resets>x%", "expected FIELD<VALUE"),
            ("nothing>5", "nothing"),
            ("resets", "expected FIELD<VALUE"),
            ("", "expected FIELD<VALUE"),
        ] {
            let error = Marks::none().set(text).unwrap_err();
            assert!(error.message.contains(said), "{text}: {error}");
        }
    }
}
