//! Where a store is: `clickhouse://user@host:port/db?secure=1&ca=FILE&password_file=FILE&every=10s`. The password is never part of it:
//! command lines are seen by everybody on the machine.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::units::parse_duration;

/// Port of the HTTP interface, without and with TLS, as ClickHouse's own configuration has it.
const PORTS: [u16; 2] = [8123, 8443];

/// A database of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whom the server knows us as; `default` where none is named.
    pub user: String,
    /// A name or an address; of IPv6 in brackets.
    pub host: String,
    /// Of its HTTP interface.
    pub port: u16,
    /// The database; `default` where none is named.
    pub database: String,
    /// Whether TLS is spoken.
    pub is_secure: bool,
    /// Certificates to trust in place of the machine's.
    pub authorities: Option<PathBuf>,
    /// How old a batch gets before it is sent.
    pub every: Option<Duration>,
    /// What is in this file, without the end of the line, is the password.
    pub password_file: Option<PathBuf>,
}

impl Target {
    /// What a text must begin with.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.starts_with("clickhouse://") || text.starts_with("clickhouses://")
    }

    /// Where HTTP goes.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}:{}/", self.host, self.port)
    }
}

/// As it may be shown: what it is, and nothing about files.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_secure {
            "clickhouses"
        } else {
            "clickhouse"
        };
        let Target {
            user,
            host,
            port,
            database,
            ..
        } = self;
        write!(f, "{scheme}://{user}@{host}:{port}/{database}")
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        const FORM: &str = "write clickhouse://USER@HOST:PORT/DATABASE, clickhouses:// for TLS";
        let (mut is_secure, rest) = match text.split_once("://") {
            Some(("clickhouse", rest)) => (false, rest),
            Some(("clickhouses", rest)) => (true, rest),
            _ => {
                return Err(format!(
                    "cannot read {text:?} as a ClickHouse server; {FORM}"
                ));
            }
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (decoded(user)?, place),
            None => (String::new(), place),
        };
        if user.contains(':') {
            return Err(
                "a password in the address is seen by everybody on this machine (ps); write it into a file and name \
                 that with ?password_file=FILE or --store-password-file"
                    .to_owned(),
            );
        }
        let (mut authorities, mut password_file, mut every) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (name, decoded(value)?.as_str()) {
                ("secure", "1" | "") => is_secure = true,
                ("secure", "0") => is_secure = false,
                ("ca", file) if !file.is_empty() => authorities = Some(file.into()),
                ("password_file", file) if !file.is_empty() => password_file = Some(file.into()),
                ("every", age) => {
                    let age = parse_duration(age).map_err(|error| error.to_string())?;
                    every = Some(Duration::from_nanos(age.ns()));
                }
                ("password", _) => {
                    return Err(
                        "a password in the address is seen by everybody; write password_file=FILE"
                            .to_owned(),
                    );
                }
                _ => {
                    return Err(format!(
                        "cannot read {name:?} of the server's address; known are secure=1, ca=FILE, password_file=FILE, every=10s"
                    ));
                }
            }
        }
        // An IPv6 address has colons of its own, in brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse();
                (
                    host,
                    port.map_err(|_| format!("no port in {place:?}; {FORM}"))?,
                )
            }
            _ => (place, PORTS[usize::from(is_secure)]),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/?#@".contains(c)) {
            return Err(format!("no host in {text:?}; {FORM}"));
        }
        let or = |text: String, otherwise: &str| match text.is_empty() {
            true => otherwise.to_owned(),
            false => text,
        };
        let database = or(decoded(database)?, "default");
        if !is_name(&database) {
            return Err(format!(
                "{database:?} is no name of a database: letters, digits and _ only"
            ));
        }
        Ok(Target {
            user: or(user, "default"),
            host: host.to_owned(),
            port,
            database,
            is_secure,
            authorities,
            every,
            password_file,
        })
    }
}

/// Whether it is a name in SQL without quotes.
#[must_use]
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `%41` is `A`.
fn decoded(text: &str) -> Result<String, String> {
    let failed = || format!("cannot read {text:?}: % is not followed by two hex digits of UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(failed());
        };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| failed())
}

/// In a URL's query; letters, digits and little else stay as they are.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in crate::digits::hex_pair(byte) {
                out.push(char::from(digit));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_whole_and_shown_without_files() {
        let target: Target =
            "clickhouse://joe@db1:9123/net?secure=1&ca=/etc/ca.pem&password_file=/run/pw%20x&every=10s"
                .parse()
                .unwrap();
        let expected = Target {
            user: "joe".into(),
            host: "db1".into(),
            port: 9123,
            database: "net".into(),
            is_secure: true,
            authorities: Some("/etc/ca.pem".into()),
            every: Some(Duration::from_secs(10)),
            password_file: Some("/run/pw x".into()),
        };
        assert_eq!(target, expected);
        assert_eq!(target.to_string(), "clickhouses://joe@db1:9123/net");
        assert_eq!(target.url(), "https://db1:9123/");
        let short: Target = "clickhouse://[::1]".parse().unwrap();
        assert_eq!(short.to_string(), "clickhouse://default@[::1]:8123/default");
    }

    #[test]
    fn what_is_no_address_is_told_with_the_form_that_is_one() {
        let why = |text: &str| text.parse::<Target>().unwrap_err();
        assert!(why("http://x").contains("write clickhouse://USER@HOST:PORT/DATABASE"));
        assert!(why("clickhouse://joe:secret@x/db").contains("password_file"));
        assert!(!why("clickhouse://joe:secret@x/db").contains("secret"));
        assert!(!why("clickhouse://joe@x/db?password=secret").contains("secret"));
        assert!(why("clickhouse://x:http/db").contains("no port"));
        assert!(why("clickhouse:///db").contains("no host"));
        assert!(why("clickhouse://x/a`b").contains("no name of a database"));
        assert!(why("clickhouse://x/db?speed=1").contains("secure=1"));
    }
}
