//! A table: all files of a record kind. Per query it prunes them by name, reads the footers of the rest (which are kept for the next
//! query), leaves out those that are damaged, and hands what is left to the engine's Parquet source.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue, Statistics, project_schema};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::object_store::ObjectStore;
use datafusion::object_store::path::Path as StorePath;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use tcplens_output::store::{StoreFile, StoreKind};
use tokio::task::JoinSet;

use crate::damage::{Scan, Told};
use crate::pruning::{self, Kept};
use crate::schema::{self, DATE};

/// Footers that are read at a time.
const FOOTERS: usize = 32;

/// The files of a record kind.
#[derive(Debug)]
pub(crate) struct Table {
    kind: StoreKind,
    schema: TableSchema,
    files: Vec<StoreFile>,
    told: Arc<Told>,
}

impl Table {
    pub(crate) fn new(kind: StoreKind, files: Vec<StoreFile>, told: Arc<Told>) -> Table {
        let date = Field::new(DATE, DataType::Date32, false);
        Table {
            kind,
            schema: TableSchema::builder(schema::of_files(kind))
                .with_table_partition_cols(vec![Arc::new(date)])
                .build(),
            files,
            told,
        }
    }

    /// What is left of these files: with what their footers say. Those without one are told, and left out.
    async fn open(&self, state: &dyn Session, kept: &Kept) -> Result<Vec<PartitionedFile>> {
        let store = state
            .runtime_env()
            .object_store(ObjectStoreUrl::local_filesystem())?;
        let mut opened = Vec::with_capacity(kept.files.len());
        let mut wanted = kept
            .files
            .iter()
            .filter_map(|&n| Some((n, self.files.get(n)?)));
        let mut running = JoinSet::new();
        loop {
            while running.len() < FOOTERS {
                let Some((n, file)) = wanted.next() else {
                    break;
                };
                let footer = Footer {
                    path: file.path.clone(),
                    bytes: file.bytes,
                    day: file.day,
                    store: Arc::clone(&store),
                    schema: Arc::clone(self.schema.file_schema()),
                    cache: state.runtime_env().cache_manager.get_file_metadata_cache(),
                };
                running.spawn(async move { (n, footer.read().await) });
            }
            match running.join_next().await {
                None => break,
                Some(Ok((n, Ok(file)))) => opened.push((n, file)),
                Some(Ok((n, Err(error)))) => {
                    self.damaged(n, &format!("damaged: {}", error.strip_backtrace()))
                }
                // The decoder panicked. Which file it was is found out by whoever reads all of them.
                Some(Err(error)) => return Err(DataFusionError::External(Box::new(error))),
            }
        }
        // In order of their names, whichever was read first.
        opened.sort_by_key(|(n, _)| *n);
        Ok(opened.into_iter().map(|(_, file)| file).collect())
    }

    fn damaged(&self, n: usize, why: &str) {
        if let Some(file) = self.files.get(n) {
            let why = why.replace("Parquet error: ", "").replace("External: ", "");
            self.told.damaged(&file.path, &why);
        }
    }
}

/// A footer to be read.
struct Footer {
    path: std::path::PathBuf,
    bytes: u64,
    day: i64,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    cache: Arc<FileMetadataCache>,
}

impl Footer {
    async fn read(self) -> Result<PartitionedFile> {
        let mut file = PartitionedFile::new("", self.bytes);
        file.object_meta.location = location(&self.path)?;
        let metadata = DFParquetMetadata::new(self.store.as_ref(), &file.object_meta)
            .with_file_metadata_cache(Some(self.cache));
        let statistics = metadata.fetch_statistics(&self.schema).await?;
        let day = ScalarValue::Date32(i32::try_from(self.day).ok());
        Ok(file
            .with_partition_values(vec![day])
            .with_statistics(Arc::new(statistics)))
    }
}

fn location(path: &Path) -> Result<StorePath> {
    StorePath::from_absolute_path(path).map_err(|error| DataFusionError::External(Box::new(error)))
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Names and statistics leave out what cannot match; what is left is looked at.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let mut kept = pruning::prune(&self.files, filters, &schema, state)?;
        kept.files.retain(|&n| {
            self.files
                .get(n)
                .is_some_and(|file| !self.told.is_damaged(&file.path))
        });
        let files = self.open(state, &kept).await?;
        let whole = kept.files.iter().filter_map(|&n| self.files.get(n));
        let whole: Vec<_> = whole
            .filter(|file| !self.told.is_damaged(&file.path))
            .collect();
        self.told.scanned(Scan {
            table: self.kind.table(),
            bytes: whole.iter().map(|file| file.bytes).sum(),
            files: whole.iter().map(|file| file.path.clone()).collect(),
            of: (
                self.files.len(),
                self.files.iter().map(|file| file.bytes).sum(),
            ),
            left_out: (kept.by_date, kept.by_host),
        });
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(
                &schema, projection,
            )?)));
        }
        let statistics = files.iter().filter_map(|file| file.statistics.as_deref());
        let statistics = Statistics::try_merge_iter(statistics, &schema)?;
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let format = ParquetFormat::default().with_options(state.default_table_options().parquet);
        let source = format.file_source(self.schema.clone());
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        format.create_physical_plan(state, scan).await
    }
}
