//! A directory of a test, and what is in it.

use std::fs;
use std::path::{Path, PathBuf};

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Rollup;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_output::store::{
    Keep, StoreKind, StoreReader, StoreRecord, StoreSettings, StoreSink, StoreWriter,
};

use crate::sample;

/// When runs of tests begin: 2026-11-21T01:08:22Z, that of the sample's records.
pub(crate) const START: Timestamp = Timestamp(1_795_223_302 * SECOND);

/// A directory that is empty, and goes with its test.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Place {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Names of all files, from here on, ascending.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut directories = vec![self.0.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let name = path.strip_prefix(&self.0).unwrap();
                    files.push(name.display().to_string());
                }
            }
        }
        files.sort();
        files
    }

    /// Those of a kind that are whole.
    pub(crate) fn whole(&self, kind: &str) -> Vec<String> {
        let mut files = self.files();
        let of_kind = format!("kind={kind}/");
        files.retain(|name| name.starts_with(&of_kind) && name.ends_with(".parquet"));
        files
    }

    /// Segments of the journal.
    pub(crate) fn segments(&self) -> Vec<String> {
        let mut files = self.files();
        files.retain(|name| name.starts_with("journal/") && name.ends_with(".jsonl"));
        files
    }

    /// What whole files of a kind have in two columns, as text, by file and row.
    pub(crate) fn values(&self, kind: &str, columns: [&str; 2]) -> Vec<[String; 2]> {
        let mut values = Vec::new();
        for name in self.whole(kind) {
            let file = fs::File::open(self.0.join(name)).unwrap();
            let reader = SerializedFileReader::new(file).unwrap();
            for row in reader.get_row_iter(None).unwrap() {
                let row = row.unwrap();
                let find = |name: &str| {
                    let mut all = row.get_column_iter();
                    let (_, value) = all.find(|(column, _)| *column == name).unwrap();
                    value.to_string().trim_matches('"').to_owned()
                };
                values.push(columns.map(find));
            }
        }
        values
    }

    /// All rollups, by host.
    pub(crate) fn rollups(&self) -> Vec<(String, Rollup)> {
        let mut rollups = Vec::new();
        let mut reader = StoreReader::open(&self.0).unwrap();
        reader.rollups(Timestamp::MIN..Timestamp::MAX, &[], &mut |host, rollup| {
            rollups.push((host.to_owned(), rollup));
        });
        assert_eq!(reader.damages(), (&[][..], 0));
        rollups
    }

    /// Attempts that rollups tell of.
    pub(crate) fn attempts(&self) -> u64 {
        let all = self.rollups();
        let of = |(_, rollup): &(String, Rollup)| rollup.connections.as_ref()?.attempts;
        all.iter().filter_map(of).sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

pub(crate) fn settings(host: &str, is_live: bool) -> StoreSettings {
    StoreSettings {
        host: host.into(),
        start: START,
        is_live,
        interval: Span::from_ns(300 * SECOND as u64),
        keep: None,
        keep_rollups: Keep::ROLLUPS,
    }
}

/// Attempts of the sample, from the `from`th to the `to`th.
pub(crate) fn attempts(writer: &mut StoreWriter, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let record = sample::handshake(n);
        let at = record.time.plus(SECOND);
        let record = StoreRecord::Any(AnyRecord::Handshake(&record));
        writer.write(record, at).unwrap();
    }
}

/// Which of the sample's attempts there are.
pub(crate) fn numbers(place: &Place) -> Vec<u64> {
    let values = place.values(StoreKind::Handshake.word(), ["host", "first_frame"]);
    let of = |[_, frame]: [String; 2]| (frame.parse::<u64>().unwrap() - 1) / 12;
    values.into_iter().map(of).collect()
}
