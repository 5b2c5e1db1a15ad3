//! In place of `otlp` where the program was built without the feature `remote`: there is no collector that could be told.

use anyhow::{Result, bail};
use tcplens_core::record::Vantage;

use crate::cli::Collector;

/// There is none.
pub(crate) enum Otlp {}

impl Otlp {
    pub(crate) fn open(collector: &Collector, _: Option<&str>, _: Vantage) -> Result<Otlp> {
        let Collector {
            url,
            headers: _,
            ca: _,
            interval: _,
            slow_from: _,
        } = collector;
        bail!(
            "cannot send to {url}: this tcplens was built without the feature remote; leave --otlp out, or build with it \
             (cargo build --features remote)"
        )
    }
}
