//! Where the agent keeps records: as `--store` and the options beside it.

use crate::agent::section::Section;
use crate::cli::values;
use crate::store::StorePlan;
use tcplens_output::store::Keep;

/// `None` only if a problem was told.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<StorePlan> {
    let target = section.one("to", values::store);
    if !section.has("to") {
        section.problem_here("it does not say where; write to: /var/lib/tcplens/store");
    }
    Some(StorePlan {
        host: section.one("host", values::host),
        keep: section.one("keep", |text| {
            Keep::parse(text).map_err(|error| error.to_string())
        }),
        keep_rollups: section.one("keep_rollups", |text| {
            Keep::parse_days(text).map_err(|error| error.to_string())
        })?,
        interval: section.one("interval", values::seconds)?,
        target: target?,
    })
}
