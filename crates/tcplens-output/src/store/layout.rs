//! How files of a store are called. Not where they are: `places`.

use std::path::PathBuf;

use tcplens_core::record::{
    Connection, Finding, Handshake, Health, Record, Request, Rollup, Socket,
};
use tcplens_core::time::Timestamp;

use crate::rfc3339::{self, Date, Rfc3339};

/// The record kinds of a store: those of [`FileName`] directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreKind {
    /// Attempts to connect.
    Handshake,
    /// Requests.
    Request,
    /// Connections.
    Connection,
    /// Sockets.
    Socket,
    /// Findings.
    Finding,
    /// What observations saw and lost.
    Health,
    /// Minutes of servers.
    Rollup,
}

impl StoreKind {
    /// All of them.
    pub const ALL: [StoreKind; 7] = [
        StoreKind::Handshake,
        StoreKind::Request,
        StoreKind::Connection,
        StoreKind::Socket,
        StoreKind::Finding,
        StoreKind::Health,
        StoreKind::Rollup,
    ];

    /// The record's `kind`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            StoreKind::Handshake => Handshake::KIND,
            StoreKind::Request => Request::KIND,
            StoreKind::Connection => Connection::KIND,
            StoreKind::Socket => Socket::KIND,
            StoreKind::Finding => Finding::KIND,
            StoreKind::Health => Health::KIND,
            StoreKind::Rollup => Rollup::KIND,
        }
    }

    /// What SQL calls all of them.
    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            StoreKind::Handshake => "handshakes",
            StoreKind::Request => "requests",
            StoreKind::Connection => "connections",
            StoreKind::Socket => "sockets",
            StoreKind::Finding => "findings",
            StoreKind::Health => "health",
            StoreKind::Rollup => "rollups",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<StoreKind> {
        let mut all = StoreKind::ALL.into_iter();
        all.find(|kind| kind.word() == word)
    }
}

/// `<host>-<start>-<n>`: ascending names of a host are ascending in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName {
    /// See [`host_word`].
    pub host: String,
    /// When the run began that wrote it: `20261121T010822384589048Z`.
    pub start: String,
    /// Which of its run and kind, from 1.
    pub number: u32,
}

impl FileName {
    /// A name; `start` in words.
    #[must_use]
    pub fn new(host: &str, start: Timestamp, number: u32) -> FileName {
        FileName {
            host: host_word(host),
            start: start_text(start),
            number,
        }
    }

    /// Reads what [`Display`](std::fmt::Display) writes.
    #[must_use]
    pub fn parse(stem: &str) -> Option<FileName> {
        let mut parts = stem.split('-');
        let (host, start, number) = (parts.next()?, parts.next()?, parts.next()?);
        let is_start = start.len() == 25
            && start.bytes().enumerate().all(|(n, byte)| match n {
                8 => byte == b'T',
                24 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            });
        let is_number = number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_host = !host.is_empty() && host_word(host) == host;
        if parts.next().is_some() || !is_start || !is_number || !is_host {
            return None;
        }
        Some(FileName {
            host: host.into(),
            start: start.into(),
            number: number.parse().ok()?,
        })
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{:05}", self.host, self.start, self.number)
    }
}

/// A host's name as files have it: everything but letters, digits, `.` and `_` is `_`; at most 64 bytes of it.
#[must_use]
pub fn host_word(host: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '_'
        }
    };
    let word: String = host.chars().take(64).map(plain).collect();
    match word.trim_start_matches('.') {
        "" => "_".into(),
        word => word.into(),
    }
}

/// The date of a moment in UTC: `2026-11-21`.
#[must_use]
pub fn date_text(day: i64) -> String {
    let Date { year, month, day } = Date::from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

fn start_text(at: Timestamp) -> String {
    let mut text = [0; rfc3339::LENGTH];
    Rfc3339::default().write(&mut text, at);
    let kept = text.iter().filter(|byte| !b"-:.".contains(byte));
    kept.map(|&byte| char::from(byte)).collect()
}

/// A file that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// What is in it.
    pub kind: StoreKind,
    /// Days since 1970 of its records' `time`.
    pub day: i64,
    /// Whose it is.
    pub name: FileName,
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let at = Timestamp(1_795_223_302_384_589_048);
        let name = FileName::new("web-1.example", at, 7);
        assert_eq!(
            name.to_string(),
            "web_1.example-20261121T010822384589048Z-00007"
        );
        assert_eq!(FileName::parse(&name.to_string()), Some(name));
        for odd in [
            "",
            "web-20261121T010822384589048Z",
            "web-20261121T010822384589048-00001",
            "a-b-20261121T010822384589048Z-00001",
            "web-20261121T010822384589048Z-1",
            "web-20261121T010822384589048Z-00001-x",
            "-20261121T010822384589048Z-00001",
        ] {
            assert_eq!(FileName::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_host_has_a_name_that_is_one_of_a_file() {
        for (host, expected) in [
            ("db7", "db7"),
            ("a b/c-d", "a_b_c_d"),
            ("..", "_"),
            (".hidden", "hidden"),
            ("", "_"),
            ("b\u{fc}ro", "b_ro"),
        ] {
            assert_eq!(host_word(host), expected);
        }
    }
}
