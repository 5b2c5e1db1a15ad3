//! How the agent watches what is abnormal at its host.

use std::path::PathBuf;

use tcplens_core::time::Span;

use super::not_empty;
use crate::agent::section::Section;
use crate::cli::values;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnomaliesConfig {
    /// Labels of addresses.
    pub topology: Option<PathBuf>,
    /// How much of the store is read at the start.
    pub history: Span,
    /// Servers and operations that are watched.
    pub limit_instances: u64,
}

/// `None` only if a problem was told.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<AnomaliesConfig> {
    Some(AnomaliesConfig {
        topology: section.one("topology", |text| not_empty(text).map(PathBuf::from)),
        history: section.one("history", values::seconds)?,
        limit_instances: section.one("limit_instances", values::at_least_one)?,
    })
}
