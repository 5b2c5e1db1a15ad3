//! TCP-RT's lines, taken apart.

/// One line: what it is, of whom, and its columns.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// `V6` or `V7`.
    pub version: String,
    /// `R`, `R.AF`, `E`.
    pub kind: String,
    /// Peer and local end.
    pub ends: [String; 2],
    pub columns: Vec<u64>,
}

impl Line {
    /// Column `n`, counted from 1 as TCP-RT's documents do.
    #[track_caller]
    pub(crate) fn column(&self, n: usize) -> u64 {
        let found = self.columns.get(n - 1).copied();
        found.unwrap_or_else(|| panic!("no column {n}: {self:?}"))
    }

    /// `V7 R.H`.
    pub(crate) fn what(&self) -> String {
        format!("{} {}", self.version, self.kind)
    }
}

/// All lines that are whole, but those of statistics.
#[track_caller]
pub(crate) fn lines(out: &str) -> Vec<Line> {
    let whole = out
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let tasks = whole.filter(|line| line.starts_with('V'));
    tasks.map(parse).collect()
}

#[track_caller]
fn parse(line: &str) -> Line {
    // Each has a blank before its end.
    let words = line
        .strip_suffix(" \n")
        .map(|rest| rest.split(' ').collect());
    let words: Vec<&str> = words.unwrap_or_else(|| panic!("no blank at the end: {line:?}"));
    let [version, kind, seconds, us, peer, local, columns @ ..] = &words[..] else {
        panic!("too short: {line:?}");
    };
    let number = |word: &&str| -> u64 { word.parse().unwrap_or_else(|_| panic!("{line:?}")) };
    assert!(
        number(seconds) > 1_700_000_000 && number(us) < 1_000_000,
        "{line:?}"
    );
    Line {
        version: (*version).to_owned(),
        kind: (*kind).to_owned(),
        ends: [(*peer).to_owned(), (*local).to_owned()],
        columns: columns.iter().map(number).collect(),
    }
}

/// What they are, in order.
pub(crate) fn kinds(lines: &[Line]) -> Vec<String> {
    lines.iter().map(Line::what).collect()
}

/// The lines of statistics: each its words.
pub(crate) fn statistics(out: &str) -> Vec<Vec<String>> {
    let whole = out
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let lines = whole.filter(|line| line.contains(" all "));
    lines
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}
