//! What tcp-info calls a connection and its files (spec/tcp-info.md 3.3): `<prefix>_<cookie>`, the prefix naming the host and
//! when it was started, for cookies begin again then; and `YYYY/MM/DD/<that>.<segment>.jsonl.zst`. Pure: nothing here asks
//! the host.

use std::path::PathBuf;

use tcplens_core::time::{SECOND, Timestamp};

use crate::rfc3339::Date;

/// Longest prefix: a name of a file has at most 255 bytes, of which cookie, segment and suffix need up to 40.
pub const LONGEST_PREFIX: usize = 200;

/// Names connections of one host, from its start to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uuid {
    prefix: String,
}

/// Why there is no such prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UuidError {
    /// Names of files are made of it.
    #[error(
        "it has a character that no file name should have ('/', a line end or another control character)"
    )]
    Path,
    /// Nobody would know whose they are.
    #[error("it is empty")]
    Empty,
    /// It would not fit a file's name.
    #[error("it is longer than {LONGEST_PREFIX} bytes")]
    TooLong,
    /// It goes into JSON.
    #[error("it is no UTF-8")]
    Encoding,
}

impl Uuid {
    /// By a prefix that somebody chose.
    ///
    /// # Errors
    /// No file could have such a name.
    pub fn new(prefix: impl Into<String>) -> Result<Uuid, UuidError> {
        let prefix = prefix.into();
        if prefix.is_empty() {
            return Err(UuidError::Empty);
        }
        if prefix.contains(|c: char| c == '/' || c.is_control()) {
            return Err(UuidError::Path);
        }
        if prefix.len() > LONGEST_PREFIX {
            return Err(UuidError::TooLong);
        }
        Ok(Uuid { prefix })
    }

    /// By the bytes of the file of `--uuid-prefix-file`, all of them. tcp-info takes an end of line for a part of the prefix, and
    /// gets names of files with it; here it is refused.
    ///
    /// # Errors
    /// No file could have such a name.
    pub fn of_file(bytes: &[u8]) -> Result<Uuid, UuidError> {
        Uuid::new(str::from_utf8(bytes).map_err(|_| UuidError::Encoding)?)
    }

    /// tcp-info's own: the pod (`POD_NAME`, if it is not empty) or the host, and when the kernel was started (now less the
    /// time it is up, whole seconds). `_unsafe`: two hosts may be called alike. What is not known has its words.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_host(
        pod: Option<&str>,
        host: Option<&str>,
        started: Option<Timestamp>,
    ) -> Result<Uuid, UuidError> {
        let Some(name) = pod.filter(|name| !name.is_empty()).or(host) else {
            return Uuid::new("BADPREFIX");
        };
        match started {
            Some(at) => Uuid::new(format!("{name}_{}_unsafe", at.0.div_euclid(SECOND))),
            None => Uuid::new(format!("{name}_BADBOOTTIME")),
        }
    }

    /// What all names begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A connection's name.
    #[must_use]
    pub fn name(&self, cookie: u64) -> String {
        format!("{}_{cookie:016X}", self.prefix)
    }
}

/// The directory below the archive's for segments of a day (UTC).
#[must_use]
pub fn day(at: Timestamp) -> PathBuf {
    let date = Date::from_days(at.0.div_euclid(86_400 * SECOND));
    format!("{:04}/{:02}/{:02}", date.year, date.month, date.day).into()
}

/// A segment's file name.
#[must_use]
pub fn file(uuid: &str, sequence: u32) -> String {
    format!("{uuid}.{sequence:05}.jsonl.zst")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tcp_infos() {
        let started = Some(Timestamp(1_795_222_357_999_999_999));
        for (pod, host, started, name) in [
            (
                None,
                Some("host"),
                started,
                "host_1795222357_unsafe_0000000000001007",
            ),
            (
                Some(""),
                Some("host"),
                started,
                "host_1795222357_unsafe_0000000000001007",
            ),
            (
                Some("ndt-1"),
                Some("host"),
                started,
                "ndt-1_1795222357_unsafe_0000000000001007",
            ),
            (
                None,
                Some("host"),
                None,
                "host_BADBOOTTIME_0000000000001007",
            ),
            (None, None, started, "BADPREFIX_0000000000001007"),
        ] {
            assert_eq!(
                Uuid::of_host(pod, host, started).unwrap().name(0x1007),
                name
            );
        }
        let chosen = Uuid::of_file(b"ndt-jdczh_1553815964").unwrap();
        let name = chosen.name(0xABCD_EF01_2345_6789);
        assert_eq!(name, "ndt-jdczh_1553815964_ABCDEF0123456789");
        assert_eq!(file(&name, 183), format!("{name}.00183.jsonl.zst"));
        assert_eq!(file("x", 123_456), "x.123456.jsonl.zst");
        assert_eq!(
            day(Timestamp(1_795_223_302_384_589_048)),
            PathBuf::from("2026/11/21")
        );
    }

    #[test]
    fn a_prefix_that_no_file_can_have_is_refused() {
        assert_eq!(Uuid::new("../../etc/x"), Err(UuidError::Path));
        assert_eq!(Uuid::of_file(b"a\0"), Err(UuidError::Path));
        assert_eq!(Uuid::of_file(b"\xff"), Err(UuidError::Encoding));
        assert_eq!(Uuid::new("x".repeat(201)), Err(UuidError::TooLong));
    }
}
