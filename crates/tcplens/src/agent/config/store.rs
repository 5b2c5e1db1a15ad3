//! Where the agent keeps records: as `--store` and the options beside it.

use crate::agent::section::Section;
use crate::cli::{self, values};
use crate::store::StorePlan;
use tcplens_output::store::Keep;
use tcplens_output::units;

/// `None` only if a problem was told.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<StorePlan> {
    let target = section.one("to", values::store);
    if !section.has("to") {
        section.problem_here("it does not say where; write to: /var/lib/tcplens/store");
    }
    let options = cli::Store {
        spool: section.one("spool", |text| Ok::<_, String>(text.into())),
        spool_size: section.one("spool_size", |text| {
            units::parse_size(text).map_err(|error| error.to_string())
        })?,
        store_password_file: section.one("password_file", |text| Ok::<_, String>(text.into())),
        host: section.one("host", values::host),
        keep: section.one("keep", |text| {
            Keep::parse(text).map_err(|error| error.to_string())
        }),
        keep_rollups: section.one("keep_rollups", |text| {
            Keep::parse_days(text).map_err(|error| error.to_string())
        })?,
        store_interval: section.one("interval", values::seconds)?,
        store: Some(target?),
    };
    match StorePlan::of(&options) {
        Ok(plan) => plan,
        Err(error) => {
            section.problem_here(format!("{error:#}"));
            None
        }
    }
}
