//! Which files can hold what a query asks for, by their names alone: the date of their directory, which bounds `time` as well, and
//! the host. What is left is pruned once more by the engine, by the times of row groups.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Date32Array, TimestampNanosecondArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use tcplens_output::store::{StoreFile, host_word};

use crate::schema::{DATE, HOST};

const DAY_NS: i64 = 86_400_000_000_000;

/// What became of a table's files.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Those that may hold something, by position.
    pub files: Vec<usize>,
    /// How many were left out by date.
    pub by_date: usize,
    /// How many more were left out by host.
    pub by_host: usize,
}

/// Leaves out files that cannot hold rows for which all of `filters` are true.
pub(crate) fn prune(
    files: &[StoreFile],
    filters: &[Expr],
    schema: &SchemaRef,
    state: &dyn Session,
) -> Result<Kept> {
    let all = || (0..files.len()).collect();
    let Some(filter) = conjunction(filters.to_vec()) else {
        return Ok(Kept {
            files: all(),
            ..Kept::default()
        });
    };
    let df_schema = DFSchema::try_from(Arc::clone(schema))?;
    let filter = state.create_physical_expr(filter, &df_schema)?;
    let predicate = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(schema))
        .try_build(filter)?;
    let by = |has_dates, has_hosts| {
        predicate.prune(&Names {
            files,
            has_dates,
            has_hosts,
        })
    };
    let (dated, both) = (by(true, false)?, by(true, true)?);
    let mut kept = Kept::default();
    for (n, (dated, both)) in dated.into_iter().zip(both).enumerate() {
        match (dated, both) {
            (_, true) => kept.files.push(n),
            (false, _) => kept.by_date += 1,
            (true, false) => kept.by_host += 1,
        }
    }
    Ok(kept)
}

/// What names say of files.
struct Names<'a> {
    files: &'a [StoreFile],
    has_dates: bool,
    has_hosts: bool,
}

impl Names<'_> {
    /// Of each file's day: itself, and the time that begins it, or the one that ends it.
    fn bound(&self, column: &Column, is_end: bool) -> Option<ArrayRef> {
        if !self.has_dates {
            return None;
        }
        let days = self.files.iter().map(|file| file.day);
        match column.name() {
            DATE => Some(Arc::new(Date32Array::from_iter(
                days.map(|day| i32::try_from(day).ok()),
            ))),
            "time" => {
                let times = days.map(|day| {
                    let day = if is_end { day.checked_add(1)? } else { day };
                    day.checked_mul(DAY_NS)?.checked_sub(i64::from(is_end))
                });
                let times = TimestampNanosecondArray::from_iter(times).with_timezone("UTC");
                Some(Arc::new(times))
            }
            _ => None,
        }
    }
}

impl PruningStatistics for Names<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, false)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, true)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    /// A file's name has the host's without its odd letters: it tells where a host is not, never where it is.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        if !self.has_hosts || column.name() != HOST {
            return None;
        }
        let texts = values.iter().map(|value| value.try_as_str().flatten());
        let words: HashSet<String> = texts
            .map(|text| text.map(host_word))
            .collect::<Option<_>>()?;
        let files = self.files.iter();
        let mut known = files.map(|file| (!words.contains(&file.name.host)).then_some(false));
        Some(BooleanArray::from_iter(&mut known))
    }
}
