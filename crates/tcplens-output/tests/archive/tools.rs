//! What the tests share.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use tcplens_core::socket::message::{HEAD, push_attribute};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::archive::csvtool::{CsvTool, Shape};
use tcplens_output::archive::{Damage, Reader};
use tcplens_output::rfc3339::Rfc3339;

/// 2026-11-21T01:07:22.384589048Z.
pub(crate) const START: Timestamp = Timestamp(1_795_223_242_384_589_048);

/// So many seconds later.
pub(crate) fn after(seconds: i64) -> Timestamp {
    START.plus(seconds * SECOND)
}

/// The files that the real program wrote, or why there are none.
pub(crate) fn golden() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/tcp-info");
    if path.is_dir() {
        return Some(path);
    }
    println!("SKIPPED: no {}", path.display());
    None
}

/// A directory of a test, empty.
pub(crate) struct Scratch(pub PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let name = format!("tcplens-archive-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Of a run that was killed.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// All files below, by name, without the directory's.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        below(&self.0, &mut files);
        let prefix = self.0.as_path();
        let mut names: Vec<_> = files
            .iter()
            .map(|file| file.strip_prefix(prefix).unwrap().display().to_string())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn below(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// A socket as the kernel tells it.
pub(crate) fn message(cookie: u64, sent: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    bytes[..8].copy_from_slice(&[2, 1, 0, 0, 0x13, 0x89, 0x4e, 0x21]);
    bytes[8..12].copy_from_slice(&[10, 10, 0, 1]);
    bytes[24..28].copy_from_slice(&[10, 10, 0, 2]);
    bytes[44..52].copy_from_slice(&cookie.to_le_bytes());
    let mut info = vec![0; 280];
    info[136..140].copy_from_slice(&sent.to_le_bytes());
    push_attribute(&mut bytes, 2, &info);
    push_attribute(&mut bytes, 4, b"bbr\0");
    push_attribute(&mut bytes, 8, &[0]);
    bytes
}

/// What is in an archive, as lines; and what could not be read.
pub(crate) fn lines(bytes: Vec<u8>) -> (String, Damage) {
    let mut reader = Reader::new(Cursor::new(bytes)).unwrap();
    let (mut out, mut clock) = (Vec::new(), Rfc3339::default());
    while let Some(entry) = reader.next().unwrap() {
        assert_eq!(entry.line().write(&mut out, &mut clock), 0);
    }
    (String::from_utf8(out).unwrap(), reader.damage().clone())
}

/// The same of a file that is whole.
pub(crate) fn lines_of(path: &Path) -> String {
    let (lines, damage) = lines(fs::read(path).unwrap());
    assert!(damage.is_none(), "{}: {damage:?}", path.display());
    lines
}

/// An archive as CSV.
pub(crate) fn csv(shape: Shape, source: impl std::io::Read + 'static) -> String {
    let mut reader = Reader::new(source).unwrap();
    let (mut tool, mut out) = (CsvTool::new(shape), Vec::new());
    tool.header(&mut out);
    tool.begin();
    while let Some(entry) = reader.next().unwrap() {
        tool.row(&mut out, &entry);
    }
    assert!(reader.damage().is_none());
    String::from_utf8(out).unwrap()
}

/// The same of a file.
pub(crate) fn csv_of(shape: Shape, path: &Path) -> String {
    csv(shape, File::open(path).unwrap())
}
