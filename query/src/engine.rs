//! The engine: tables over a store's directory, bounds, and nothing else that SQL could reach. No other file, no table of its own, no
//! statement that changes something.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::answer::Value;
use tcplens_output::store::{self, StoreFile, StoreKind};
use tokio::runtime::Runtime;

use crate::damage::Told;
use crate::options::Query;
use crate::say;
use crate::table::Table;
use crate::trouble::{Result, Trouble};

/// Temporary files of sorting and grouping, at most.
const TEMPORARY_BYTES: u64 = 64 << 30;
/// Footers that are kept from query to query, at most.
const FOOTER_BYTES: usize = 128 << 20;
/// Who needs most memory is named, so many of them.
const CONSUMERS: NonZeroUsize = NonZeroUsize::MIN;

/// Tables of one store.
pub(crate) struct Engine {
    pub context: SessionContext,
    pub told: Arc<Told>,
    /// What there is, by kind.
    pub files: Vec<(StoreKind, Vec<StoreFile>)>,
}

/// Threads for a query.
pub(crate) fn runtime(threads: Option<u64>) -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(usize::try_from(threads).unwrap_or(1));
    }
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Trouble::Failed(format!("cannot start threads: {error}")))
}

impl Engine {
    /// The tables of a directory.
    pub(crate) fn open(dir: &Path, query: &Query) -> Result<Engine> {
        let place = dir.display();
        if dir.to_string_lossy().starts_with("clickhouse://") {
            return Err(Trouble::usage(
                "this program reads directories; `tcplens query --store clickhouse://...` asks ClickHouse",
            ));
        }
        // The engine takes whole paths only.
        let whole = fs::canonicalize(dir)
            .and_then(|whole| fs::read_dir(&whole).map(|_| whole))
            .map_err(|error| {
                Trouble::Failed(format!(
                    "cannot read the store {place}: {error}; it is the directory that --store of other commands filled"
                ))
            })?;
        let told = Arc::new(Told::default());
        let context = context(query)?;
        let mut all = Vec::new();
        for kind in StoreKind::ALL {
            let mut odd = |path: std::path::PathBuf| {
                told.damaged(&path, "its name is not one of a store's files")
            };
            let files = store::files(&whole, kind, &mut odd).map_err(|error| {
                Trouble::Failed(format!("cannot read the store {place}: {error}"))
            })?;
            let table = Table::new(kind, files.clone(), Arc::clone(&told));
            context
                .register_table(kind.table(), Arc::new(table))
                .map_err(|error| Trouble::Failed(error.strip_backtrace()))?;
            all.push((kind, files));
        }
        if all.iter().all(|(_, files)| files.is_empty()) {
            say(format_args!(
                "{place} has no files of a store (kind=.../date=.../*.parquet): all tables are empty"
            ));
        }
        Ok(Engine {
            context,
            told,
            files: all,
        })
    }

    /// The end of the newest rollup's minute.
    pub(crate) async fn newest(&self) -> Result<Timestamp> {
        let rollups = self
            .files
            .iter()
            .find(|(kind, _)| *kind == StoreKind::Rollup);
        let last = rollups.and_then(|(_, files)| files.last());
        let nothing = || {
            Trouble::usage(
                "the store has no rollups, from whose end a time such as 2h would count back; write 2026-11-21T10:05",
            )
        };
        let day = last.ok_or_else(nothing)?.day;
        // Only that day's footers are read.
        let sql = format!(
            "{} WHERE date = DATE '{}'",
            tcplens_output::named::NEWEST,
            store::date_text(day)
        );
        match self.one_value(&sql).await? {
            Value::Time(at) => Ok(at.plus(60 * SECOND)),
            _ => Err(nothing()),
        }
    }

    /// Says which files were left out; `false` if any was.
    pub(crate) fn tell_damages(&self) -> bool {
        let sentences = self.told.sentences();
        sentences.iter().for_each(say);
        sentences.is_empty()
    }
}

fn context(query: &Query) -> Result<SessionContext> {
    let bytes = usize::try_from(query.limit_memory).unwrap_or(usize::MAX);
    let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), CONSUMERS);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_max_temp_directory_size(TEMPORARY_BYTES)
        .with_metadata_cache_limit(FOOTER_BYTES)
        .build_arc()
        .map_err(|error| Trouble::Failed(error.strip_backtrace()))?;
    let mut config = SessionConfig::new().with_information_schema(true);
    if let Some(threads) = query.threads {
        config = config.with_target_partitions(usize::try_from(threads).unwrap_or(1));
    }
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".into());
    // Words in messages are shown where they stand.
    options.sql_parser.collect_spans = true;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}
