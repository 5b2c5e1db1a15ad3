//! In place of `otlp` where the program was built without the feature `remote`.

use anyhow::Result;
use tcplens_core::record::{Health, Vantage};

use crate::cli::Collector;
use crate::observe::{Plan, View};
use crate::status::usage;

/// There is none.
pub(crate) enum Otlp {}

/// None either.
pub(crate) enum OtlpView<'v> {
    /// Never.
    None(&'v mut dyn View, Otlp),
}

impl Otlp {
    pub(crate) fn open(
        _collector: &Collector,
        _host: Option<&str>,
        _vantage: Vantage,
    ) -> Result<Otlp> {
        Err(usage(
            "this tcplens was built without the feature `remote`, which OpenTelemetry (--otlp) needs; leave it out, or build \
             with it: cargo build --release --features remote",
        ))
    }

    pub(crate) fn around<'v>(self, _view: &'v mut dyn View, _plan: &mut Plan) -> OtlpView<'v> {
        match self {}
    }
}

impl OtlpView<'_> {
    pub(crate) fn finish(self, _health: &mut Health, _is_verbose: bool) {
        match self {
            OtlpView::None(_, otlp) => match otlp {},
        }
    }

    pub(crate) fn as_view(&mut self) -> &mut dyn View {
        match self {
            OtlpView::None(_, otlp) => match *otlp {},
        }
    }
}
