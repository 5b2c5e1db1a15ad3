//! What the target of a request means: a path and parameters, each of which is checked; or what is wrong, in words for who typed it.

use std::net::IpAddr;

use tcplens_core::record::{Protocol, Word};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::fleet::FleetFilter;
use tcplens_output::named::{Named, Server};
use tcplens_output::store::look::{VIEWS, View};

/// Longest name of a host or operation that is looked for, in bytes.
const LONGEST: usize = 512;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// What the page shows.
    Fleet(Time, FleetFilter),
    /// Single records of a view.
    Records(&'static str, Time, FleetFilter),
    /// Which queries there are.
    Queries,
    /// One of them.
    Query(&'static str, Time, FleetFilter),
}

/// Of which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Time {
    /// So long before the newest rollup.
    Last(Span),
    /// All that there is.
    All,
    /// From one moment to another.
    Between(Timestamp, Timestamp),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// There is no such page.
    Unknown,
    /// A parameter says nothing that can be understood; the words say which.
    Parameter(String),
}

/// Reads `/fleet.json?last=6h&server=10.0.0.7:6379`.
pub(super) fn read(target: &str) -> Result<Question, Wrong> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut asked = Asked::default();
    let expected: &[&str] = match path {
        "/fleet.json" => &[
            "last",
            "from",
            "to",
            "host",
            "server",
            "protocol",
            "operation",
        ],
        "/records.json" => &[
            "view",
            "last",
            "from",
            "to",
            "host",
            "server",
            "protocol",
            "operation",
        ],
        // Protocol and operation are the page's; queries have no such parameter.
        "/query.json" => &[
            "name",
            "last",
            "from",
            "to",
            "host",
            "server",
            "protocol",
            "operation",
        ],
        "/queries.json" => &[],
        _ => return Err(Wrong::Unknown),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !expected.contains(&name) {
            let known = match expected {
                [] => "none".to_owned(),
                expected => expected.join(", "),
            };
            return wrong(format!(
                "{path} has no parameter {}; it has: {known}",
                shown(name)
            ));
        }
        let value = decode(value).ok_or_else(|| {
            Wrong::Parameter(format!(
                "{name}: its text cannot be read (percent-encoded UTF-8)"
            ))
        })?;
        asked.take(name, &value)?;
    }
    let time = asked.time()?;
    Ok(match path {
        "/fleet.json" => Question::Fleet(time, asked.filter),
        "/records.json" => {
            let view = asked.view.ok_or_else(|| {
                let names: Vec<_> = VIEWS.iter().map(|view| view.name).collect();
                Wrong::Parameter(format!("view is missing: one of {}", names.join(", ")))
            })?;
            Question::Records(view.name, time, asked.filter)
        }
        "/query.json" => {
            let missing = "name is missing: /queries.json has those that there are";
            let named = asked
                .named
                .ok_or_else(|| Wrong::Parameter(missing.into()))?;
            Question::Query(named.name, time, asked.filter)
        }
        _ => Question::Queries,
    })
}

#[derive(Default)]
struct Asked {
    last: Option<Time>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    filter: FleetFilter,
    view: Option<&'static View>,
    named: Option<&'static Named>,
}

impl Asked {
    fn take(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let text = || match value.len() {
            0 => wrong(format!("{name} is empty; leave it out")),
            1..=LONGEST => Ok(value.to_owned()),
            _ => wrong(format!("{name} is longer than {LONGEST} bytes")),
        };
        let second = || {
            super::seconds(value).map_or_else(
                || {
                    wrong(format!(
                        "{name}: {} is no number of seconds since 1970",
                        shown(value)
                    ))
                },
                Ok,
            )
        };
        match name {
            "last" => self.last = Some(last(value)?),
            "from" => self.from = Some(second()?),
            "to" => self.to = Some(second()?),
            "host" => self.filter.host = Some(text()?),
            "operation" => self.filter.operation = Some(text()?),
            "server" => self.filter.server = Some(server(value)?),
            "protocol" => {
                let mut all = Protocol::ALL.iter().copied();
                let found = all.find(|protocol| protocol.word() == Some(value));
                if found.is_none() {
                    return wrong(format!("protocol: there is none called {}", shown(value)));
                }
                self.filter.protocol = found;
            }
            "view" => {
                self.view = View::find(value);
                if self.view.is_none() {
                    return wrong(format!("view: there is none called {}", shown(value)));
                }
            }
            _ => {
                self.named = Named::find(value).ok();
                if self.named.is_none() {
                    return wrong(format!("name: there is no query called {}", shown(value)));
                }
            }
        }
        Ok(())
    }

    fn time(&self) -> Result<Time, Wrong> {
        match (self.from, self.to, self.last) {
            (None, None, last) => {
                Ok(last.unwrap_or(Time::Last(Span::from_ns(6 * 3600 * 1_000_000_000))))
            }
            (Some(from), Some(to), None) if from < to => Ok(Time::Between(from, to)),
            (Some(_), Some(_), None) => wrong("from is not before to".into()),
            (_, _, Some(_)) => wrong("last and from, to: one of them".into()),
            _ => wrong("from and to: both, or none".into()),
        }
    }
}

/// `90s`, `30m`, `6h`, `7d`, `all`.
fn last(text: &str) -> Result<Time, Wrong> {
    if text == "all" {
        return Ok(Time::All);
    }
    let no = || {
        format!(
            "last: {} is no time; write 90s, 30m, 6h, 7d or all",
            shown(text)
        )
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return wrong(no()),
    };
    let span = (digits.parse::<i64>().ok().filter(|&count| count > 0))
        .and_then(|count| count.checked_mul(unit)?.checked_mul(SECOND))
        .and_then(|ns| u64::try_from(ns).ok());
    span.map_or_else(|| wrong(no()), |ns| Ok(Time::Last(Span::from_ns(ns))))
}

fn server(text: &str) -> Result<(IpAddr, u64), Wrong> {
    match text.parse::<Server>() {
        Ok(Server {
            ip,
            port: Some(port),
        }) => Ok((ip, port.into())),
        Ok(Server { port: None, .. }) | Err(_) => wrong(format!(
            "server: {} is no address and port; write 10.0.0.7:6379 or [2001:db8::7]:6379",
            shown(text)
        )),
    }
}

/// A value as an answer repeats it: short, and nothing but what is seen.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("{short:?}")
}

fn wrong<T>(what: String) -> Result<T, Wrong> {
    Err(Wrong::Parameter(what))
}

/// `%41`, and `+` for a blank, as forms write (URL Standard, application/x-www-form-urlencoded).
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> FleetFilter {
        FleetFilter::default()
    }

    #[test]
    fn parameters_are_read_as_forms_write_them() {
        let six = Time::Last(Span::from_ns(6 * 3600 * 1_000_000_000));
        assert_eq!(read("/fleet.json"), Ok(Question::Fleet(six, all())));
        assert_eq!(
            read("/fleet.json?last=all"),
            Ok(Question::Fleet(Time::All, all()))
        );
        let filter = FleetFilter {
            host: Some("web 1/\u{fc}".into()),
            server: Some(("2001:db8::7".parse().unwrap(), 6379)),
            protocol: Some(Protocol::Redis),
            operation: Some("GET&=%".into()),
        };
        let between = Time::Between(Timestamp(60 * SECOND), Timestamp(120 * SECOND));
        assert_eq!(
            read(
                "/records.json?view=slow-requests&from=60&to=120&host=web+1%2F%C3%BC&server=%5B2001:db8::7%5D:6379&protocol=redis&operation=GET%26%3D%25"
            ),
            Ok(Question::Records("slow-requests", between, filter))
        );
        assert_eq!(
            read("/query.json?name=top-servers&last=7d"),
            Ok(Question::Query(
                "top-servers",
                Time::Last(Span::from_ns(7 * 86_400 * 1_000_000_000)),
                all()
            ))
        );
        assert_eq!(read("/queries.json"), Ok(Question::Queries));
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_words() {
        for (target, words) in [
            (
                "/fleet.json?last=6",
                "last: \"6\" is no time; write 90s, 30m, 6h, 7d or all",
            ),
            (
                "/fleet.json?last=-6h",
                "last: \"-6h\" is no time; write 90s, 30m, 6h, 7d or all",
            ),
            (
                "/fleet.json?last=99999999999999d",
                "last: \"99999999999999d\" is no time; write 90s, 30m, 6h, 7d or all",
            ),
            ("/fleet.json?from=1", "from and to: both, or none"),
            ("/fleet.json?from=2&to=1", "from is not before to"),
            (
                "/fleet.json?from=1&to=2&last=6h",
                "last and from, to: one of them",
            ),
            (
                "/fleet.json?from=x&to=2",
                "from: \"x\" is no number of seconds since 1970",
            ),
            (
                "/fleet.json?from=1&to=99999999999999",
                "to: \"99999999999999\" is no number of seconds since 1970",
            ),
            (
                "/fleet.json?server=10.0.0.7",
                "server: \"10.0.0.7\" is no address and port; write 10.0.0.7:6379 or [2001:db8::7]:6379",
            ),
            (
                "/fleet.json?protocol=<b>",
                "protocol: there is none called \"<b>\"",
            ),
            (
                "/fleet.json?host=%C3",
                "host: its text cannot be read (percent-encoded UTF-8)",
            ),
            ("/fleet.json?host=", "host is empty; leave it out"),
            (
                "/fleet.json?sql=DROP",
                "/fleet.json has no parameter \"sql\"; it has: last, from, to, host, server, protocol, operation",
            ),
            (
                "/queries.json?a",
                "/queries.json has no parameter \"a\"; it has: none",
            ),
            (
                "/records.json",
                "view is missing: one of slow-requests, bad-requests, new-requests, failed-attempts, slow-attempts, lossy-connections, reset-connections",
            ),
            (
                "/records.json?view=all",
                "view: there is none called \"all\"",
            ),
            (
                "/query.json",
                "name is missing: /queries.json has those that there are",
            ),
            (
                "/query.json?name=SELECT%201",
                "name: there is no query called \"SELECT 1\"",
            ),
        ] {
            assert_eq!(
                read(target),
                Err(Wrong::Parameter(words.into())),
                "{target}"
            );
        }
        let long = format!("/fleet.json?host={}", "x".repeat(LONGEST + 1));
        assert_eq!(
            read(&long),
            Err(Wrong::Parameter("host is longer than 512 bytes".into()))
        );
        for unknown in ["/", "/data", "/fleet.json/x", "/../etc/passwd"] {
            assert_eq!(read(unknown), Err(Wrong::Unknown), "{unknown}");
        }
    }
}
