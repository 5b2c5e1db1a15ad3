//! The shell: SQL over several lines up to a `;`, words that begin with a point, history. Ctrl-C gives up the line or the query,
//! Ctrl-D ends.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};
use tcplens_output::answer::Format;
use tcplens_output::human::{Bytes, Count};
use tcplens_output::named::{self, Dialect, Named, Parameters};
use tcplens_output::store::{StoreKind, date_text};
use tokio::runtime::Runtime;

use crate::engine::Engine;
use crate::options::Query;
use crate::output::Output;
use crate::say;
use crate::schema;
use crate::statements;
use crate::trouble::{Result, Trouble};

/// Rows that the shell shows of an answer.
const ROWS: u64 = 1000;
/// Lines of history.
const HISTORY: usize = 1000;

const HELP: &str = "\
SQL ends with a semicolon and may take several lines. At most 1,000 rows are shown (-o FILE, or `tcplens query ... -f csv`, has all).
  .tables            the tables: files, bytes, dates
  .schema TABLE      its columns and what they mean
  .named             queries that come along; .named NAME runs one, .sql NAME shows it
  .explain SQL       how it would be run, and which files would be read
  .format FORMAT     text, jsonl or csv
  .quit              ends; so does Ctrl-D
";

/// Reads and answers until the end.
pub(crate) fn run(engine: &Engine, runtime: &Runtime, query: &Query) -> Result<()> {
    let failed =
        |error: ReadlineError| Trouble::Failed(format!("cannot use the terminal: {error}"));
    let config = Config::builder()
        .max_history_size(HISTORY)
        .map_err(failed)?
        .auto_add_history(true)
        .build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).map_err(failed)?;
    editor.set_helper(Some(Words::new()));
    let history = history();
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
    }
    Output::words("SQL over the store; .help says more.\n")?;
    let mut shell = Shell {
        engine,
        runtime,
        query,
        output: Output::new(query, None).with_most_rows(ROWS),
    };
    loop {
        match editor.readline("tcplens> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => match shell.answer(line.trim()) {
                Ok(true) => {}
                Ok(false) | Err(Trouble::Closed) => break,
                Err(trouble) => say(trouble),
            },
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    if let Some(path) = &history {
        if let Some(parent) = path.parent() {
            // A history that cannot be kept is no reason to fail.
            let _ = fs::create_dir_all(parent);
        }
        let _ = editor.save_history(path);
    }
    Ok(())
}

/// `$XDG_STATE_HOME/tcplens/query_history`.
fn history() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state =
        set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("tcplens/query_history"))
}

struct Shell<'a> {
    engine: &'a Engine,
    runtime: &'a Runtime,
    query: &'a Query,
    output: Output,
}

impl Shell<'_> {
    /// `false` if that was the end.
    fn answer(&mut self, line: &str) -> Result<bool> {
        if !line.starts_with('.') {
            self.sql(line, false, &self.output)?;
            return Ok(true);
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim().trim_end_matches(';');
        match (word.trim_end_matches(';'), rest) {
            (".quit" | ".exit", _) => return Ok(false),
            (".help", _) => Output::words(HELP)?,
            (".tables", _) => Output::words(&self.tables())?,
            (".schema", "") => {
                return Err(Trouble::usage(
                    ".schema TABLE shows the columns of a table; .tables lists these",
                ));
            }
            (".schema", table) => Output::words(&columns(table)?)?,
            (".named", "") => Output::words(&named::list())?,
            (".named", name) => {
                let named = Named::find(name).map_err(Trouble::Usage)?;
                let output = Output::new(self.query, Some(named)).with_most_rows(ROWS);
                self.sql(&text(named)?, false, &output)?;
            }
            (".sql", name) => {
                Output::words(&(text(Named::find(name).map_err(Trouble::Usage)?)? + "\n"))?
            }
            (".explain", sql) => self.sql(sql, true, &self.output)?,
            (".format", word) => {
                let format = word.parse::<Format>().map_err(Trouble::Usage)?;
                self.output = self.output.clone().with_format(format);
            }
            (word, _) => {
                return Err(Trouble::Usage(format!(
                    "{word} is not known; .help says what is"
                )));
            }
        }
        Ok(true)
    }

    fn sql(&self, sql: &str, is_explained: bool, output: &Output) -> Result<()> {
        self.runtime
            .block_on(self.engine.run_all(sql, is_explained, output))
    }

    fn tables(&self) -> String {
        let mut text = String::new();
        for (kind, files) in &self.engine.files {
            let bytes = files.iter().map(|file| file.bytes).sum();
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{:11}  {:>7} files  {:>9}",
                kind.table(),
                Count(files.len() as u64).to_string(),
                Bytes(bytes).to_string(),
            );
            if let (Some(first), Some(last)) = (files.first(), files.last()) {
                let _ = write!(
                    text,
                    "  {} to {}",
                    date_text(first.day),
                    date_text(last.day)
                );
            }
            text.push('\n');
        }
        text
    }
}

fn text(named: &Named) -> Result<String> {
    let sql = named.sql(Dialect::Standard, &Parameters::default());
    Ok(sql.map_err(Trouble::Usage)?.unwrap_or_default())
}

/// The columns of a table, a line each.
fn columns(table: &str) -> Result<String> {
    let kind = StoreKind::ALL
        .into_iter()
        .find(|kind| kind.table() == table);
    let kind = kind.ok_or_else(|| {
        let tables = StoreKind::ALL.map(StoreKind::table);
        Trouble::Usage(format!(
            "no table is called {table:?} (have: {})",
            tables.join(", ")
        ))
    })?;
    let fields = schema::fields(kind);
    let width = fields
        .iter()
        .map(|field| field.name.len())
        .max()
        .unwrap_or(0);
    let line = |name: &str, word: &str, doc: &str| {
        let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{name:width$}  {word:14}  {doc}\n")
    };
    let mut text = line(schema::HOST, "text", "The host that it is from.");
    for field in fields {
        text.push_str(&line(field.name, schema::type_word(field), field.doc));
    }
    text.push_str(&line(
        schema::DATE,
        "date",
        "The day of its time, in UTC: what directories are called.",
    ));
    Ok(text)
}

/// What can be completed, and when a line is whole.
struct Words(Vec<String>);

impl Words {
    fn new() -> Words {
        let dotted = [
            ".tables", ".schema", ".named", ".sql", ".explain", ".format", ".help", ".quit",
        ];
        let sql = [
            "SELECT",
            "FROM",
            "WHERE",
            "GROUP BY",
            "ORDER BY",
            "LIMIT",
            "HAVING",
            "DESC",
            "count(*)",
            "sum(",
            "avg(",
            "min(",
            "max(",
            "approx_percentile_cont(",
            "date_trunc('minute', time)",
        ];
        let mut words: Vec<String> = dotted
            .iter()
            .chain(&sql)
            .map(|word| (*word).to_owned())
            .collect();
        words.extend(named::ALL.iter().map(|named| named.name.to_owned()));
        for kind in StoreKind::ALL {
            words.push(kind.table().to_owned());
            words.extend(
                schema::fields(kind)
                    .iter()
                    .map(|field| field.name.to_owned()),
            );
        }
        words.sort();
        words.dedup();
        Words(words)
    }
}

impl Helper for Words {}
impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let line = context.input();
        let is_open =
            !line.trim().is_empty() && !line.starts_with('.') && statements::is_open(line);
        Ok(match is_open {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..at).unwrap_or_default();
        let begin = before
            .rfind(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)))
            .map_or(0, |at| at + 1);
        let word = before.get(begin..).unwrap_or_default();
        if word.is_empty() {
            return Ok((begin, Vec::new()));
        }
        let lower = word.to_lowercase();
        let matching = self
            .0
            .iter()
            .filter(|known| known.to_lowercase().starts_with(&lower));
        let pairs = matching.map(|known| Pair {
            display: known.clone(),
            replacement: known.clone(),
        });
        Ok((begin, pairs.collect()))
    }
}
