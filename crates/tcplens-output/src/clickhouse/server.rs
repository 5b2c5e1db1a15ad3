//! A server, asked over HTTP: which version it is, what is stored, and to take a batch. One attempt each; who tries again is
//! [`super::sender`].

use std::fmt;
use std::fs;
use std::io::Read;
use std::time::Duration;

use super::block::{Batch, quoted};
use super::native;
use super::rows::{self, Rows};
use super::target::encoded;
use super::{ClickHouseError, Target};
use crate::remote::http::{Http, HttpSettings};

/// For a connection to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// For one insert, or one question about it: one that takes longer is looked after, and sent again where it came to nothing.
pub(super) const INSERT: Duration = Duration::from_secs(30);
/// For a query of a person.
const QUERY: Duration = Duration::from_secs(3600);

/// ClickHouse's version, as far as anything depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The year, of those since 18.
    pub major: u32,
    /// Within it.
    pub minor: u32,
}

impl Version {
    /// Debian's.
    pub const OLDEST: Version = Version {
        major: 18,
        minor: 16,
    };
    /// One that has everything.
    pub const CURRENT: Version = Version {
        major: 24,
        minor: 8,
    };

    /// Of `18.16.1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Version> {
        let mut parts = text.trim().split('.');
        Some(Version {
            major: parts.next()?.parse().ok()?,
            minor: parts.next()?.parse().ok()?,
        })
    }

    fn since(self, major: u32, minor: u32) -> bool {
        self >= Version { major, minor }
    }

    /// Rows go by themselves when they are old, by whole parts.
    #[must_use]
    pub fn has_ttl(self) -> bool {
        self.since(20, 3)
    }

    /// Inserts carry tokens, and tables without replicas remember them.
    #[must_use]
    pub fn has_tokens(self) -> bool {
        self.since(22, 3)
    }

    /// What must be set before tables are made.
    #[must_use]
    pub fn schema_settings(self) -> &'static [(&'static str, &'static str)] {
        match self.since(19, 4) {
            true => &[],
            false => &[("allow_experimental_low_cardinality_type", "1")],
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A server and how it is spoken to.
#[derive(Clone)]
pub struct Server {
    target: Target,
    password: String,
    inserts: Http,
    queries: Http,
    /// How long a query may take, where whoever asks waits for less than [`QUERY`].
    patience: Option<Duration>,
}

/// Without the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the password and certificates; nothing is connected yet.
    ///
    /// # Errors
    /// One of these files cannot be read.
    pub fn new(target: &Target) -> Result<Server, ClickHouseError> {
        let password = match &target.password_file {
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|why| ClickHouseError::File {
                    what: "read the password from",
                    path: path.display().to_string(),
                    why,
                    advice: "name a file that this user may read",
                })?;
                text.lines().next().unwrap_or_default().to_owned()
            }
            None => String::new(),
        };
        let http = |whole| {
            Http::new(&HttpSettings {
                connect: CONNECT,
                whole,
                authorities: target.authorities.clone(),
                is_abrupt: true,
            })
        };
        Ok(Server {
            password,
            inserts: http(INSERT)?,
            queries: http(QUERY)?,
            patience: None,
            target: target.clone(),
        })
    }

    /// The same, for whoever waits no longer than that for a query's whole answer. The server, too, gives it up then.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Server {
        Server {
            patience: Some(patience),
            ..self
        }
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    fn url(&self, parameters: &[(&str, &str)]) -> String {
        let mut url = self.target.url();
        for (n, (name, value)) in parameters.iter().enumerate() {
            url.push(if n == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encoded(value));
        }
        url
    }

    /// In headers: servers write addresses into their logs.
    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = vec![("X-ClickHouse-User", self.target.user.as_str())];
        if !self.password.is_empty() {
            headers.push(("X-ClickHouse-Key", &self.password));
        }
        headers
    }

    /// What it says to a query, in memory.
    ///
    /// # Errors
    /// It does not answer, or says no.
    pub fn ask(&self, sql: &str, settings: &[(&str, &str)]) -> Result<String, ClickHouseError> {
        let answer = self
            .inserts
            .post(&self.url(settings), &self.headers(), sql.as_bytes())?;
        match answer.is_ok() {
            true => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
            false => Err(ClickHouseError::refused(&self.target, &answer)),
        }
    }

    /// The rows that a query has in the database, as they come. Only what reads is let through. The server waits with the first row
    /// until it knows that there is no error.
    ///
    /// # Errors
    /// It does not answer, or says no, or not in rows.
    pub fn query(&self, sql: &str) -> Result<Rows<impl Read + Send + use<>>, ClickHouseError> {
        let answer = self.stream(sql, &[("default_format", rows::FORMAT)], &[])?;
        Rows::new(answer).map_err(|why| ClickHouseError::Strange {
            target: Box::new(self.target.clone()),
            why: why.to_string(),
        })
    }

    /// The answer to a query of ours, in the format Native.
    pub(super) fn native(&self, sql: &str) -> Result<impl Read + Send + use<>, ClickHouseError> {
        let settings = [("max_block_size", native::ROWS)];
        self.stream(&format!("{sql} FORMAT Native"), &[], &settings)
    }

    /// What the server answers in the database, as it comes. It waits with the beginning until it knows that there is no error.
    fn stream(
        &self,
        sql: &str,
        parameters: &[(&str, &str)],
        settings: &[(&str, &str)],
    ) -> Result<impl Read + Send + use<>, ClickHouseError> {
        let seconds = self.patience.map(|patience| patience.as_secs().to_string());
        let mut settings = settings.to_vec();
        settings.extend(seconds.as_deref().map(|s| ("max_execution_time", s)));
        settings.push(("readonly", "1"));
        let ask = |settings: &[(&str, &str)]| {
            let always = [
                ("database", self.target.database.as_str()),
                ("wait_end_of_query", "1"),
            ];
            let url = self.url(&[&always[..], parameters, settings].concat());
            let (headers, body) = (self.headers(), sql.as_bytes());
            let answer = self.queries.stream(&url, &headers, body, self.patience)?;
            answer.map_err(|answer| ClickHouseError::refused(&self.target, &answer))
        };
        match ask(&settings) {
            // Users who may only read may not say so, nor set anything. What reading does not allow has the same code, and is never
            // asked again.
            Err(error) if is_about_settings(&error.to_string()) => ask(&[]),
            answer => answer,
        }
    }

    /// The answer came, and is none.
    pub(super) fn unreadable(&self, why: &str) -> ClickHouseError {
        ClickHouseError::Answer {
            target: Box::new(self.target.clone()),
            why: why.to_owned(),
        }
    }

    /// Which version it is.
    ///
    /// # Errors
    /// It does not answer, or says no, or is none.
    pub fn version(&self) -> Result<Version, ClickHouseError> {
        let said = self.ask("SELECT version()", &[])?;
        let version = Version::parse(&said).ok_or_else(|| ClickHouseError::Strange {
            target: Box::new(self.target.clone()),
            why: said
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(100)
                .collect(),
        })?;
        match version >= Version::OLDEST {
            true => Ok(version),
            false => Err(ClickHouseError::Strange {
                target: Box::new(self.target.clone()),
                why: format!("it is version {version}, older than {}", Version::OLDEST),
            }),
        }
    }

    /// Whether the tables are there, and are what rows are put into: not those that pass them on to shards, for these take a
    /// batch before it is stored.
    ///
    /// # Errors
    /// They are not, or it does not answer.
    pub fn check(&self, tables: &[&str]) -> Result<(), ClickHouseError> {
        let database = &self.target.database;
        let refused = |code, why| ClickHouseError::Refused {
            target: Box::new(self.target.clone()),
            code,
            why,
        };
        // Says itself where there is no such database.
        self.ask("SELECT 1", &[("database", database)])?;
        let found = self.ask(
            &format!(
                "SELECT name, engine FROM system.tables WHERE database = {}",
                quoted(database)
            ),
            &[],
        )?;
        for table in tables {
            let mut lines = found.lines().filter_map(|line| line.split_once('\t'));
            match lines.find(|(name, _)| name == table) {
                Some((_, "Distributed")) => {
                    let why = format!(
                        "{database}.{table} passes rows on to shards (Distributed), and says that it has them before they are \
                         stored; name a shard's own database"
                    );
                    return Err(refused(0, why));
                }
                Some(_) => {}
                None => return Err(refused(60, format!("there is no table {database}.{table}"))),
            }
        }
        Ok(())
    }

    /// Sends a batch.
    pub(super) fn insert(&self, batch: &Batch, version: Version) -> Result<(), ClickHouseError> {
        let database = &self.target.database;
        let sql = format!(
            "INSERT INTO {database}.{} ({}) FORMAT Native",
            batch.table, batch.columns
        );
        let id = batch.id.as_str();
        let mut parameters = vec![("query", sql.as_str()), ("query_id", id)];
        if version.has_tokens() {
            parameters.extend([
                ("insert_deduplicate", "1"),
                ("insert_deduplication_token", id),
                ("deduplicate_blocks_in_dependent_materialized_views", "1"),
                // What waits in the server's memory is not stored.
                ("async_insert", "0"),
            ]);
        }
        let answer = self
            .inserts
            .post(&self.url(&parameters), &self.headers(), &batch.body)?;
        match answer.is_ok() {
            true => Ok(()),
            false => Err(ClickHouseError::refused(&self.target, &answer)),
        }
    }

    /// Whether an insert still runs.
    pub(super) fn is_running(&self, id: &str) -> Result<bool, ClickHouseError> {
        let sql = format!(
            "SELECT count() FROM system.processes WHERE query_id = {}",
            quoted(id)
        );
        Ok(self.ask(&sql, &[])?.trim() != "0")
    }

    /// Whether a batch is stored. It is stored whole or not at all.
    pub(super) fn has(&self, batch: &Batch) -> Result<bool, ClickHouseError> {
        let database = &self.target.database;
        let sql = format!(
            "SELECT count() FROM {database}.{} WHERE {}",
            batch.table, batch.probe
        );
        Ok(self.ask(&sql, &[])?.trim() != "0")
    }

    /// Makes the tables, and adds columns that an earlier version of this program did not have. What was made, in words.
    ///
    /// # Errors
    /// It does not answer, or says no.
    pub fn apply(
        &self,
        keep: super::schema::Keep,
        cluster: Option<&str>,
    ) -> Result<Vec<String>, ClickHouseError> {
        let version = self.version()?;
        let database = &self.target.database;
        let known = self.columns(database)?;
        let mut done = Vec::new();
        let statements = super::schema::Place {
            database,
            version,
            keep,
            cluster,
        }
        .statements();
        // Columns first: what reads the tables (views, other shards) is made with them.
        for table in &super::schema::TABLES {
            if known.iter().all(|(of, _)| of != table.name) {
                done.push(format!("table {database}.{}", table.name));
                continue;
            }
            for (name, of) in table.columns() {
                if known
                    .iter()
                    .any(|(t, column)| t == table.name && *column == name)
                {
                    continue;
                }
                let sql = format!(
                    "ALTER TABLE {database}.{} ADD COLUMN `{name}` {of}",
                    table.name
                );
                self.ask(&sql, version.schema_settings())?;
                done.push(format!("column {name} of {database}.{}", table.name));
            }
        }
        for statement in &statements {
            self.ask(statement, version.schema_settings())?;
        }
        if cluster.is_some() {
            done.push(format!("database {database}_all, which reads all shards"));
        }
        if !version.has_ttl() && (keep.records.is_some() || keep.rollups.is_some()) {
            done.push(format!(
                "nothing that removes old rows: version {version} has no TTL (docs/clickhouse.md says what to do)"
            ));
        }
        Ok(done)
    }

    /// Tables and columns of a database.
    fn columns(&self, database: &str) -> Result<Vec<(String, String)>, ClickHouseError> {
        let sql = format!(
            "SELECT table, name FROM system.columns WHERE database = {}",
            quoted(database)
        );
        let said = self.ask(&sql, &[])?;
        let pairs = said.lines().filter_map(|line| line.split_once('\t'));
        Ok(pairs
            .map(|(table, name)| (table.to_owned(), name.to_owned()))
            .collect())
    }
}

/// Whether a server complains that settings came along: 18.16 of overriding, later ones of modifying.
fn is_about_settings(why: &str) -> bool {
    [
        "Cannot modify '",
        "Cannot override setting",
        "Setting 'readonly' cannot",
    ]
    .iter()
    .any(|words| why.contains(words))
}
