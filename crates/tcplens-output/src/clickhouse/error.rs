//! What a server refuses, and what to do about it. Codes: 18.16's dbms/src/Common/ErrorCodes.cpp; they never change.

use thiserror::Error;

use super::Target;
use crate::remote::http::{Answer, HttpError};

/// What stands before a server, or is one of many, says so while there is nobody to ask (RFC 9110 section 15.6, RFC 6585 section 4).
const AWAY: [u16; 4] = [429, 502, 503, 504];

/// Why something did not come to pass.
#[derive(Debug, Error)]
pub enum ClickHouseError {
    /// Nobody answered, or not to the end, or a proxy in its place: what was asked may have been done all the same.
    #[error("{0}; start the server, or name another one with --store")]
    Unreached(HttpError),
    /// The server said no.
    #[error("{target} refuses: {why}{}", advice(*code, target))]
    Refused {
        /// Which one.
        target: Box<Target>,
        /// ClickHouse's number of the trouble; 0 where it is ours: the table is one that rows may not be put into.
        code: u32,
        /// The first line of what it said.
        why: String,
    },
    /// The answer is none of ClickHouse's.
    #[error(
        "{target} does not answer as ClickHouse does: {why}; name the HTTP port (8123, with TLS 8443)"
    )]
    Strange {
        /// Which one.
        target: Box<Target>,
        /// What it said.
        why: String,
    },
    /// The answer began well, and is not whole or none of what was asked for.
    #[error(
        "cannot read what {target} answers: {why}; ask again, and look into its log if it stays so"
    )]
    Answer {
        /// Which one.
        target: Box<Target>,
        /// What is wrong with it.
        why: String,
    },
    /// A file or directory of ours.
    #[error("cannot {what} {path}: {why}; {advice}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        why: std::io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The spool is full, and nothing gets out of it.
    #[error("the spool {path} is full ({bound}) and {target} takes nothing: {why}; {advice}")]
    Full {
        /// Its directory.
        path: String,
        /// Its bound, in words.
        bound: String,
        /// What to do.
        advice: &'static str,
        /// Which server.
        target: Box<Target>,
        /// What it last said.
        why: String,
    },
}

/// Its words are those of the whole: no cause stands behind, to be told once more.
impl From<HttpError> for ClickHouseError {
    fn from(error: HttpError) -> ClickHouseError {
        ClickHouseError::Unreached(error)
    }
}

/// What is to be done about a code.
fn advice(code: u32, target: &Target) -> String {
    match code {
        16 | 60 | 47 | 81 if target.database.ends_with("_all") => format!(
            "; name the database of all shards, or make it on each: tcplens schema clickhouse --cluster NAME --apply '{}'",
            Target {
                database: target.database.trim_end_matches("_all").to_owned(),
                ..target.clone()
            }
        ),
        16 | 60 | 47 => format!(
            "; the tables of this version are not there: tcplens schema clickhouse --apply '{target}'"
        ),
        81 => format!(
            "; make it, with its tables: tcplens schema clickhouse --apply '{target}'"
        ),
        192 | 193 | 194 | 291 | 516 | 497 => {
            "; the password comes from --store-password-file FILE or ?password_file=FILE, the user stands before the @"
                .to_owned()
        }
        159 | 160 => "; choose a shorter time, or fewer hosts".to_owned(),
        241 => "; it allows this user less memory than that takes (max_memory_usage)".to_owned(),
        _ => String::new(),
    }
}

impl ClickHouseError {
    /// What the server said.
    pub(super) fn refused(target: &Target, answer: &Answer) -> ClickHouseError {
        let why = answer.first_line();
        match code(&why) {
            Some(code) => ClickHouseError::Refused {
                target: Box::new(target.clone()),
                code,
                why: short(&why),
            },
            None if AWAY.contains(&answer.status) => {
                let status = format!("HTTP status {}", answer.status);
                ClickHouseError::Unreached(HttpError::Unreached {
                    url: target.url(),
                    why: match why == status {
                        true => status,
                        false => format!("{status}: {why}"),
                    },
                })
            }
            None => ClickHouseError::Strange {
                target: Box::new(target.clone()),
                why,
            },
        }
    }

    /// ClickHouse's number of the trouble.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            ClickHouseError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether waiting does not help: a password, a database, a table, a right.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            ClickHouseError::Refused { code, .. } => {
                matches!(
                    code,
                    0 | 16 | 47 | 60 | 81 | 192 | 193 | 194 | 195 | 291 | 497 | 516
                )
            }
            ClickHouseError::Unreached(HttpError::Authorities { .. }) => true,
            _ => false,
        }
    }

    /// Whether it did not answer, and may yet.
    pub(super) fn may_come(&self) -> bool {
        matches!(self, ClickHouseError::Unreached(_)) && !self.is_final()
    }

    /// The same, or whether it may say otherwise later: too many queries, memory, time.
    pub(super) fn may_pass(&self) -> bool {
        let is_refused = matches!(self, ClickHouseError::Refused { .. }) && !self.is_final();
        is_refused || self.may_come()
    }

    /// Whether the server has looked at the batch itself and cannot take it, ever: it is not made as the table is.
    pub(super) fn is_about_data(&self) -> bool {
        // Parsing, types, sizes.
        matches!(
            self.code(),
            Some(6 | 9 | 20 | 27 | 32 | 33 | 50 | 53 | 62 | 70 | 117 | 128 | 130 | 131 | 190 | 441)
        )
    }
}

/// `Code: 81, e.displayText() = DB::Exception: Database x doesn't exist` of 18.16; `Code: 81. DB::Exception: ...` of later ones.
fn code(line: &str) -> Option<u32> {
    let rest = &line[line.find("Code: ")? + 6..];
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

/// Without what repeats in all of them.
fn short(line: &str) -> String {
    let said = line
        .rsplit_once("DB::Exception: ")
        .map_or(line, |(_, said)| said);
    let said = said.split(", e.what()").next().unwrap_or(said);
    let said = said.split(" (version ").next().unwrap_or(said);
    said.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> ClickHouseError {
        let target = "clickhouse://joe@db1/net".parse().unwrap();
        let answer = Answer {
            status: 500,
            body: text.as_bytes().to_vec(),
        };
        ClickHouseError::refused(&target, &answer)
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for code in [159, 202, 241, 252, 999] {
            let error = refused(&format!("Code: {code}. DB::Exception: no. (X)"));
            assert!(error.may_pass() && !error.may_come(), "{error}");
        }
        for code in [16, 60, 81, 193, 291, 497, 516] {
            let error = refused(&format!("Code: {code}. DB::Exception: no. (X)"));
            assert!(!error.may_pass(), "{error}");
        }
        assert!(!refused("<html>nginx</html>").may_pass());
        for (status, body, said) in [
            (503, "<html>nginx</html>", "503: <html>nginx</html>"),
            (504, "", "504"),
        ] {
            let answer = Answer {
                status,
                body: body.into(),
            };
            let target = "clickhouse://joe@db1/net".parse().unwrap();
            let error = ClickHouseError::refused(&target, &answer);
            assert!(error.may_come() && error.may_pass(), "{error}");
            assert_eq!(
                error.to_string(),
                format!(
                    "cannot reach http://db1:8123/: HTTP status {said}; start the server, or name another one with --store"
                )
            );
        }
    }

    #[test]
    fn refusals_of_old_and_new_servers_say_what_to_do() {
        let old = refused(
            "Code: 81, e.displayText() = DB::Exception: Database net doesn't exist, e.what() = DB::Exception\n",
        );
        assert_eq!(
            old.to_string(),
            "clickhouse://joe@db1:8123/net refuses: Database net doesn't exist; make it, with its tables: \
             tcplens schema clickhouse --apply 'clickhouse://joe@db1:8123/net'"
        );
        let new = refused(
            "Code: 516. DB::Exception: joe: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED) (version 24.8.1.1 (official build))\n",
        );
        assert_eq!(new.code(), Some(516));
        assert!(new.is_final());
        assert_eq!(
            new.to_string(),
            "clickhouse://joe@db1:8123/net refuses: joe: Authentication failed: password is incorrect. \
             (AUTHENTICATION_FAILED); the password comes from --store-password-file FILE or ?password_file=FILE, the \
             user stands before the @"
        );
        let busy = refused(
            "Code: 252, e.displayText() = DB::Exception: Too many parts (300). Merges are processing significantly slower than inserts., e.what() = DB::Exception",
        );
        assert!(!busy.is_final() && !busy.is_about_data());
        assert!(
            refused("<html>nginx</html>")
                .to_string()
                .contains("does not answer as ClickHouse does: <html>nginx")
        );
    }
}
