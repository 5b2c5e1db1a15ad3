//! The agent's file: read, recognised (a tcprt.yaml is one, too), understood; and what is wrong with it, by line.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::config::{self, AgentConfig};
use super::tcprt;
use super::yaml::{self, Problem};

/// Longest file: no configuration is as long, and a wrong name may be a capture's.
const LONGEST: u64 = 1 << 20;

/// A file that was understood.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What it says.
    pub config: AgentConfig,
    /// What of it has no effect, a sentence each.
    pub notes: Vec<String>,
}

/// A file that was not understood: a sentence per problem, with line and column.
#[derive(Debug)]
pub(crate) struct Wrong {
    path: PathBuf,
    problems: Vec<Problem>,
}

impl Wrong {
    /// What is wrong, in the order of the file.
    pub(crate) fn sentences(&self) -> impl Iterator<Item = String> {
        let problems = self.problems.iter();
        problems.map(|problem| sentence(&self.path, problem))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences: Vec<_> = self.sentences().collect();
        f.write_str(&sentences.join("\n"))
    }
}

impl std::error::Error for Wrong {}

/// Reads a file.
///
/// # Errors
/// It cannot be read, or (as [`Wrong`]) it says what cannot be done.
pub(crate) fn load(path: &Path) -> Result<Loaded> {
    let length = std::fs::metadata(path).map_or(0, |file| file.len());
    let cannot = || {
        format!(
            "cannot read {} as a configuration; name a file with --config",
            path.display()
        )
    };
    if length > LONGEST {
        anyhow::bail!("{}: it is longer than 1 MiB", cannot());
    }
    let text = std::fs::read_to_string(path).with_context(cannot)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    understand(path, &text, cpus as u64).map_err(Into::into)
}

/// Understands the text of a file, on a machine with so many processors.
pub(crate) fn understand(path: &Path, text: &str, cpus: u64) -> Result<Loaded, Wrong> {
    let wrong = |problems| Wrong {
        path: path.to_owned(),
        problems,
    };
    let tree = yaml::parse(text).map_err(|problem| wrong(vec![problem]))?;
    if !config::has_key(&tree, &tcprt::TOP_KEYS) {
        let config = config::of_tree(&tree).map_err(wrong)?;
        let notes = Vec::new();
        return Ok(Loaded { config, notes });
    }
    let (tree, notes) = tcprt::translate(&tree, cpus).map_err(wrong)?;
    Ok(Loaded {
        config: config::of_tree(&tree).map_err(wrong)?,
        notes: notes.iter().map(|note| sentence(path, note)).collect(),
    })
}

/// `tcplens.yaml:12:9: what is wrong`, which editors jump to. Further lines of a message are indented.
fn sentence(path: &Path, problem: &Problem) -> String {
    let message = problem.message.trim_end().replace('\n', "\n    ");
    format!(
        "{}:{}:{}: {message}",
        path.display(),
        problem.at.line,
        problem.at.column
    )
}
