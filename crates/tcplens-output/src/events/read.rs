//! Reads an event's line. Names that are not known are passed over, so that a later server may say more.

use std::net::IpAddr;

use super::EventKind;
use crate::read_json::Json;

/// A line as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLine {
    /// What happened.
    pub kind: EventKind,
    /// When: RFC 3339, as written.
    pub time: String,
    /// Of which connection.
    pub uuid: String,
    /// Its ends; tcp-info tells none of those that are gone.
    pub ends: Option<LineEnds>,
}

/// The ends of a connection, of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineEnds {
    /// The end at the host that tells it.
    pub local: (IpAddr, u16),
    /// The other end.
    pub remote: (IpAddr, u16),
}

impl EventLine {
    /// Its time of day to the millisecond: `01:07:22.384`.
    #[must_use]
    pub fn clock(&self) -> String {
        let of_day = self.time.split_once('T').map_or("", |(_, of_day)| of_day);
        let digits = of_day.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.');
        let of_day = of_day.get(..digits.unwrap_or(of_day.len()));
        let (seconds, fraction) = match of_day.unwrap_or_default().split_once('.') {
            Some(both) => both,
            None => (of_day.unwrap_or_default(), ""),
        };
        let fraction = fraction.get(..fraction.len().min(3)).unwrap_or_default();
        format!("{seconds}.{fraction:0<3}")
    }
}

/// Reads one line; `None`: it is no event that is known.
#[must_use]
pub fn read(line: &str) -> Option<EventLine> {
    let mut json = Json::new(line.as_bytes());
    let (mut kind, mut time, mut uuid, mut ends) = (None, None, None, None);
    json.object(|json, name| {
        match name.as_ref() {
            b"Event" => {
                kind = Some(match json.number()? {
                    0 => EventKind::Open,
                    1 => EventKind::Close,
                    _ => return None,
                });
            }
            b"Timestamp" => time = Some(json.text()?),
            b"UUID" => uuid = Some(json.text()?),
            b"ID" if !json.null() => ends = Some(read_ends(json)?),
            b"ID" => {}
            _ => json.skip()?,
        }
        Some(())
    })?;
    json.end()?;
    Some(EventLine {
        kind: kind?,
        time: time?,
        uuid: uuid?,
        ends,
    })
}

fn read_ends(json: &mut Json<'_>) -> Option<LineEnds> {
    let (mut ports, mut addresses) = ([None; 2], [None; 2]);
    json.object(|json, name| {
        let (is_port, end) = match name.as_ref() {
            b"SPort" => (true, 0),
            b"DPort" => (true, 1),
            b"SrcIP" => (false, 0),
            b"DstIP" => (false, 1),
            _ => return json.skip(),
        };
        if is_port {
            ports[end] = Some(u16::try_from(json.number()?).ok()?);
        } else {
            addresses[end] = Some(json.text()?.parse().ok()?);
        }
        Some(())
    })?;
    let [local_port, remote_port] = ports;
    let [local, remote] = addresses;
    Some(LineEnds {
        local: (local?, local_port?),
        remote: (remote?, remote_port?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcplens_core::time::Timestamp;

    use super::super::*;

    #[test]
    fn tcp_infos_close_has_no_ends_and_what_is_new_is_passed_over() {
        let line = r#" {"Event":1,"More":{"a":[1,{"b":"}"}],"c":null},"Timestamp":"2026-11-21T01:07:22.3+01:00","UUID":"u","ID":null} "#;
        let read = read(line).unwrap();
        assert_eq!((read.kind, read.ends), (EventKind::Close, None));
        assert_eq!(read.clock(), "01:07:22.300");
    }

    #[test]
    fn what_is_no_event_is_not_read() {
        let good = r#"{"Event":0,"Timestamp":"2026-11-21T01:07:22Z","UUID":"u","ID":null}"#;
        assert!(read(good).is_some());
        for end in 0..good.len() {
            assert_eq!(read(&good[..end]), None, "{end}");
        }
        let brackets = ["[".repeat(200), "]".repeat(200)].concat();
        let deep = format!("{}{brackets}}}", &good[..good.len() - "null}".len()]);
        for text in [
            "[]",
            r#"{"Event":2,"Timestamp":"2026-11-21T01:07:22Z","UUID":"u"}"#,
            r#"{"Event":0,"Timestamp":"2026-11-21T01:07:22Z","UUID":"u"} x"#,
            r#"{"Event":0,"Timestamp":"2026-11-21T01:07:22Z","UUID":"u","ID":{"SPort":70000,"DPort":1,"SrcIP":"::","DstIP":"::"}}"#,
            &deep,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_line_that_is_written_is_read_back(
            prefix in ".{0,20}", ns: i64, local: (u32, u16), remote: (u128, u16), interface: u32, cookie: u64, opens: bool,
        ) {
            let ends = SocketEnds {
                local: (std::net::Ipv4Addr::from(local.0).into(), local.1),
                remote: (std::net::Ipv6Addr::from(remote.0).to_canonical(), remote.1),
                interface,
                cookie,
            };
            let kind = if opens { EventKind::Open } else { EventKind::Close };
            let mut out = Vec::new();
            EventLines::new(&prefix).write(&mut out, &SocketEvent { kind, time: Timestamp(ns), ends });
            let line = String::from_utf8(out).unwrap();
            prop_assert!(line.ends_with('\n') && line.lines().count() == 1);
            let json: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(json["ID"]["Cookie"].as_i64(), Some(cookie.cast_signed()));
            let read = read(&line).unwrap();
            prop_assert_eq!(json["UUID"].as_str(), Some(read.uuid.as_str()));
            prop_assert_eq!(read.kind, kind);
            prop_assert_eq!(read.ends, Some(LineEnds { local: ends.local, remote: ends.remote }));
            prop_assert_eq!(json["Timestamp"].as_str(), Some(read.time.as_str()));
        }
    }
}
