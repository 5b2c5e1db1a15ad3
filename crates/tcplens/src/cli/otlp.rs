//! OpenTelemetry's options, in every command that looks at packets.

use std::path::PathBuf;

use clap::Args;
use tcplens_core::time::Span;

use super::values;

/// Where telemetry goes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Answering")]
pub(crate) struct Otlp {
    /// Metrics, slow requests as spans, to an OpenTelemetry collector
    #[arg(long, value_name = "URL", value_parser = values::collector)]
    pub otlp: Option<String>,
    /// What --otlp sends in HTTP headers, such as a key: NAME: VALUE, a line each [default: what OTEL_EXPORTER_OTLP_HEADERS says]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub otlp_headers: Option<PathBuf>,
    /// Certificates (PEM) that --otlp trusts, in place of the machine's
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub otlp_ca: Option<PathBuf>,
    /// Send metrics every so often while live
    #[arg(long, value_name = "TIME", value_parser = values::otlp_interval, default_value = "10", hide_short_help = true)]
    pub otlp_interval: Span,
}

/// A collector, and what it gets: from the options, or from the agent's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collector {
    /// `/v1/metrics` and `/v1/traces` are below it.
    pub url: String,
    /// A file of headers.
    pub headers: Option<PathBuf>,
    /// Certificates to trust.
    pub ca: Option<PathBuf>,
    /// How often metrics go there.
    pub interval: Span,
    /// What is slow, if that is said here.
    pub slow_from: Option<Span>,
}

impl Otlp {
    /// The collector, if one is named.
    pub(crate) fn collector(&self) -> Option<Collector> {
        Some(Collector {
            url: self.otlp.clone()?,
            headers: self.otlp_headers.clone(),
            ca: self.otlp_ca.clone(),
            interval: self.otlp_interval,
            slow_from: None,
        })
    }
}
