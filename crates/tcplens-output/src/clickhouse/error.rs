//! What a server refuses, and what to do about it. Codes: 18.16's dbms/src/Common/ErrorCodes.cpp; they never change.

use thiserror::Error;

use super::Target;
use crate::remote::http::{Answer, HttpError};

/// Why something did not come to pass.
#[derive(Debug, Error)]
pub enum ClickHouseError {
    /// Nobody answered, or not to the end: what was asked may have been done all the same.
    #[error("{0}; start the server, or name another one with --store")]
    Unreached(#[from] HttpError),
    /// The server said no.
    #[error("{target} refuses: {why}{}", advice(*code, target))]
    Refused {
        /// Which one.
        target: Box<Target>,
        /// ClickHouse's number of the trouble; 0 where it gave none.
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
    #[error(
        "the spool {path} is full ({size} bytes) and {target} takes nothing: {why}; start the server, or allow more with --spool-size"
    )]
    Full {
        /// Its directory.
        path: String,
        /// Its bound.
        size: u64,
        /// Which server.
        target: Box<Target>,
        /// What it last said.
        why: String,
    },
}

/// What is to be done about a code.
fn advice(code: u32, target: &Target) -> String {
    match code {
        16 | 60 | 47 => format!(
            "; the tables of this version are not there: tcplens schema clickhouse --apply '{target}'"
        ),
        81 => format!(
            "; make it, with its tables: tcplens schema clickhouse --apply '{target}'"
        ),
        192 | 193 | 194 | 516 | 497 => {
            "; the password comes from --store-password-file FILE or ?password_file=FILE, the user stands before the @"
                .to_owned()
        }
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

    /// Whether waiting does not help: a password, a database, a table.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            ClickHouseError::Refused { code, .. } => {
                matches!(code, 16 | 47 | 60 | 81 | 192 | 193 | 194 | 195 | 497 | 516)
            }
            ClickHouseError::Unreached(HttpError::Authorities { .. }) => true,
            _ => false,
        }
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
