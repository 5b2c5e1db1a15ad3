//! Where files of a store lie, and which ones are there. Not what is in them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tcplens_core::time::{SECOND, Timestamp};

#[cfg(any(feature = "parquet", test))]
use super::layout::date_text;
use super::layout::{FileName, StoreFile, StoreKind};
use crate::archive::Stamp;

/// What ends the name of a file that is whole.
const ENDING: &str = ".parquet";

/// The day since 1970 of `2026-11-21`.
pub(super) fn day_of_text(text: &str) -> Option<i64> {
    let stamp = Stamp::parse(format!("{text}T00:00:00Z").as_bytes())?;
    (text.len() == 10).then_some(day_of(stamp.at?))
}

/// The day since 1970 in which a moment is.
pub(super) fn day_of(at: Timestamp) -> i64 {
    at.0.div_euclid(86_400 * SECOND)
}

/// Where a file lies.
#[cfg(feature = "parquet")]
pub(super) fn path(dir: &Path, kind: StoreKind, day: i64, name: &FileName) -> PathBuf {
    partition(dir, kind, day).join(format!("{name}{ENDING}"))
}

/// Where the files of a kind and date lie.
#[cfg(feature = "parquet")]
pub(super) fn partition(dir: &Path, kind: StoreKind, day: i64) -> PathBuf {
    let date = format!("date={}", date_text(day));
    dir.join(format!("kind={}", kind.word())).join(date)
}

/// Reads what [`path`] makes, seen from the directory; nothing else.
#[cfg(feature = "parquet")]
pub(super) fn parse(inside: &str) -> Option<(StoreKind, i64, FileName)> {
    let mut parts = inside.split('/');
    let kind = StoreKind::of_word(parts.next()?.strip_prefix("kind=")?)?;
    let day = day_of_text(parts.next()?.strip_prefix("date=")?)?;
    let name = FileName::parse(parts.next()?.strip_suffix(ENDING)?)?;
    parts.next().is_none().then_some((kind, day, name))
}

/// All files of a kind, by date, host, start and number; `odd` is told of files that end alike and are called otherwise. Nothing
/// where the directory has none.
///
/// # Errors
/// A directory cannot be read.
pub fn files(
    dir: &Path,
    kind: StoreKind,
    odd: &mut dyn FnMut(PathBuf),
) -> io::Result<Vec<StoreFile>> {
    let mut files = Vec::new();
    for date in entries(&dir.join(format!("kind={}", kind.word())))? {
        let text = date.file_name();
        let text = text.and_then(OsStr::to_str);
        let Some(day) = text.and_then(|text| day_of_text(text.strip_prefix("date=")?)) else {
            continue;
        };
        for path in entries(&date)? {
            let stem = path.file_name().and_then(OsStr::to_str);
            let Some(stem) = stem.and_then(|name| name.strip_suffix(ENDING)) else {
                continue;
            };
            match FileName::parse(stem) {
                Some(name) => files.push(StoreFile {
                    kind,
                    day,
                    name,
                    bytes: fs::metadata(&path).map_or(0, |metadata| metadata.len()),
                    path,
                }),
                None => odd(path),
            }
        }
    }
    files.sort_by(|a, b| (a.day, &a.name).cmp(&(b.day, &b.name)));
    Ok(files)
}

/// What is in a directory; nothing where it is not there.
pub(super) fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // A file where a directory would be is none of ours.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (day, text) in [
            (0, "1970-01-01"),
            (20_778, "2026-11-21"),
            (-1, "1969-12-31"),
        ] {
            assert_eq!(
                (date_text(day).as_str(), day_of_text(text)),
                (text, Some(day))
            );
        }
        assert_eq!(day_of_text("2026-13-01"), None);
        assert_eq!(day_of(Timestamp(-1)), -1);
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn paths_are_read_as_they_are_made_and_no_others() {
        let name = FileName::new("web", Timestamp(1_795_223_302_384_589_048), 7);
        let made = path(Path::new(""), StoreKind::Rollup, 20_778, &name);
        let made = made.to_str().unwrap();
        assert_eq!(
            made,
            "kind=rollup/date=2026-11-21/web-20261121T010822384589048Z-00007.parquet"
        );
        assert_eq!(parse(made), Some((StoreKind::Rollup, 20_778, name)));
        for odd in [
            "",
            "/etc/x",
            "../../x",
            &format!("/{made}"),
            &format!("../{made}"),
            &format!("{made}/.."),
            &format!("{made}.part"),
            &made.replace("rollup", ".."),
            &made.replace("2026-11-21", ".."),
            &made.replace("web", "../web"),
            &made.replacen('/', "//", 1),
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
