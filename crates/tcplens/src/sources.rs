//! Trailing words: which are capture files, which tcpeek filters, and which one pcap-filter
//! expression. Existing files are sources; so is what can only be meant as one.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::Result;
use tcplens_capture::file::{FileSource, Options};
use tcplens_capture::interfaces;
use tcplens_core::filter::packet::PacketFilter;
use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::filter::{FilterError, TupleFilter};
use tcplens_core::record::{Protocol, Word};

use crate::cli::{self, Common};
use crate::status::usage;

/// Ends of names that no expression has.
const SUFFIXES: [&str; 9] = [
    ".pcap", ".pcapng", ".cap", ".dmp", ".dump", ".ntar", ".gz", ".zst", ".snoop",
];

/// What the words of a command line name.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Capture files.
    pub files: Vec<PathBuf>,
    /// Interfaces to capture on, if there are no files.
    pub interfaces: Vec<String>,
    /// tcpeek's filters.
    pub handshake_filters: Vec<HandshakeFilter>,
    /// The packet filter.
    pub filter: Option<PacketFilter>,
    /// Instead of it, where there are no packets.
    pub tuple_filter: Option<TupleFilter>,
}

/// Sorts the words of a command; `takes_handshake_filters`: those of tcpeek are among them.
///
/// # Errors
/// Nothing names a source, or an expression cannot be understood.
pub(crate) fn sort(common: &Common, takes_handshake_filters: bool) -> Result<Words> {
    let source = &common.source;
    let mut words = Words {
        files: source.read.clone(),
        ..Words::default()
    };
    let mut expression: Vec<&OsStr> = Vec::new();
    for word in &source.words {
        let text = word.to_str().unwrap_or_default();
        if is_source(word) {
            words.files.push(word.into());
        } else if takes_handshake_filters && is_handshake_filter(text) {
            words.handshake_filters.push(HandshakeFilter::parse(text)?);
        } else {
            expression.push(word);
        }
    }
    if !expression.is_empty() && common.kernel.kernel {
        words.tuple_filter = Some(understood(&expression, TupleFilter::parse)?);
    } else if !expression.is_empty() {
        words.filter = Some(understood(&expression, PacketFilter::parse)?);
    }
    words.interfaces.clone_from(&common.live.interface);
    if let (Some(file), Some(interface)) = (words.files.first(), words.interfaces.first()) {
        return Err(usage(format!(
            "cannot read {} and capture on {interface} at once; leave one of them out",
            file.display()
        )));
    }
    if let (Some(file), true) = (words.files.first(), common.kernel.kernel) {
        return Err(usage(format!(
            "cannot read {} and look from inside the kernel (-k) at once; leave one of them out",
            file.display()
        )));
    }
    if common.kernel.kernel {
        return Ok(words);
    }
    if words.files.is_empty() && words.interfaces.is_empty() {
        words.interfaces.push("any".into());
    }
    Ok(words)
}

/// The expression that the words make up.
fn understood<T>(words: &[&OsStr], parse: fn(&str) -> Result<T, FilterError>) -> Result<T> {
    let text: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    parse(&text.join(" ")).map_err(|error| {
        let error = anyhow::Error::from(error);
        let mut before: Option<&OsStr> = None;
        let meaning = words.iter().find_map(|word| {
            let is_first = before.replace(word).is_none_or(is_joint);
            other_meaning(word, is_first)
        });
        match meaning {
            Some(meaning) => usage(format!("{error}\n{meaning}")),
            None => error,
        }
    })
}

/// Whether an expression begins anew behind a word.
fn is_joint(word: &OsStr) -> bool {
    ["and", "or", "not", "&&", "||", "!", "("]
        .iter()
        .any(|joint| word == *joint)
}

/// What a word of an expression that makes no sense may have been meant as; `is_first`: it stands where a primitive begins.
fn other_meaning(word: &OsStr, is_first: bool) -> Option<String> {
    let text = word.to_string_lossy();
    let names = cli::command_names();
    if names.iter().any(|name| *name == text) {
        return Some(format!(
            "{text} is a command: write it first (tcplens {text} ...)"
        ));
    }
    if is_handshake_filter(&text) {
        return Some(format!(
            "{text} is for another command: tcplens handshakes FILE {text}"
        ));
    }
    if Path::new(word).is_dir() {
        return Some(format!(
            "{text} is a directory; name the capture files in it ({text}/*.pcap)"
        ));
    }
    if !is_first {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    if Protocol::ALL
        .iter()
        .any(|protocol| protocol.word() == Some(lower.as_str()))
    {
        return Some(format!(
            "{text} is a protocol of requests, not of packets: tcplens requests FILE -m {lower}"
        ));
    }
    if text.parse::<u16>().is_ok() {
        return Some(format!(
            "{text} alone is nothing; packets of a port: port {text}; to say that it is a server's: -p {text}"
        ));
    }
    if text.contains('/') && text.contains(|c: char| c.is_ascii_alphabetic()) {
        return Some(format!(
            "{text} is no file either: there is none of that name"
        ));
    }
    if is_interface(&text) {
        return Some(format!(
            "{text} is an interface; to capture on it: -i {text}"
        ));
    }
    // `tcp` is meant, though it is near `top`.
    if PacketFilter::parse(&text).is_ok() {
        return None;
    }
    let near = names.iter().find(|name| is_near(name, &lower))?;
    Some(format!(
        "did you mean the command {near}? tcplens {near} -r FILE"
    ))
}

/// Whether an interface has this name, in the network namespace of this process.
fn is_interface(name: &str) -> bool {
    interfaces::find(name).is_ok()
}

/// Whether a word is the beginning of a name, at least three letters of it, or one letter wrong, too many or missing.
fn is_near(name: &str, word: &str) -> bool {
    if word.len() >= 3 && name.starts_with(word) {
        return true;
    }
    let same = name
        .bytes()
        .zip(word.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let (name, word) = (&name.as_bytes()[same..], &word.as_bytes()[same..]);
    let without_first = |text: &[u8]| text.get(1..).map(<[u8]>::to_vec);
    match name.len().cmp(&word.len()) {
        Ordering::Equal => without_first(name) == without_first(word),
        Ordering::Greater => without_first(name).as_deref() == Some(word),
        Ordering::Less => without_first(word).as_deref() == Some(name),
    }
}

/// `[name]:(RX|TX)@...`; no packet filter has an `@`.
fn is_handshake_filter(text: &str) -> bool {
    text.contains('@')
}

/// Whether a word names a source: an existing file, or a file that should exist.
fn is_source(word: &OsStr) -> bool {
    if word == "-" {
        return true;
    }
    let text = word.to_string_lossy();
    let is_path = ["/", "./", "../"]
        .iter()
        .any(|start| text.starts_with(start));
    let is_capture = SUFFIXES.iter().any(|suffix| text.ends_with(suffix));
    match fs::metadata(word) {
        Ok(metadata) => is_readable(metadata.file_type()) || is_path,
        Err(_) => is_path || is_capture,
    }
}

fn is_readable(kind: FileType) -> bool {
    kind.is_file() || kind.is_fifo() || kind.is_char_device()
}

/// Looks at every file before an output is created: what cannot be read destroys nothing, and an
/// output that is one of them is refused.
///
/// # Errors
/// As reading them would; or an output is one of them.
pub(crate) fn check(files: &[PathBuf], follow: bool, outputs: [Option<&Path>; 2]) -> Result<()> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    for file in files.iter().filter(|file| file.as_os_str() != "-") {
        let Ok(metadata) = fs::metadata(file) else {
            // Says why, and what to do; a followed file may come later.
            FileSource::open(
                file,
                Options {
                    follow,
                    ..Options::default()
                },
            )?;
            continue;
        };
        if metadata.is_file() || metadata.is_dir() {
            FileSource::open(
                file,
                Options {
                    follow,
                    ..Options::default()
                },
            )?;
        }
        for output in outputs.into_iter().flatten() {
            if metadata.is_file() && identity(output) == Some((metadata.dev(), metadata.ino())) {
                return Err(usage(format!(
                    "cannot write {}: it is read as {}; write to another file",
                    output.display(),
                    file.display()
                )));
            }
        }
    }
    Ok(())
}
