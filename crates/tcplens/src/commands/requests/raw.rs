//! `-m raw`: a line per packet, as tcpdump prints them. Not requests: nothing is paired, and no protocol is read.
//!
//! `01:08:27.037420 IP 10.77.0.1.51392 > 10.77.0.2.6379: Flags [P.], seq 2478026490:2478026521, ack 3014921635, window 63,
//! length 31`: sequence numbers are absolute, the window is not scaled, the length is that of the payload on the wire.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use tcplens_capture::file::{MergedSource, Options, Status};
use tcplens_core::engine::{Front, link_of};
use tcplens_core::packet::{Batch, Packet};
use tcplens_core::roles::end;
use tcplens_core::wire::Decoded;
use tcplens_core::wire::segment::{Segment, flags};
use tcplens_output::time_style::{TimeFormat, TimeStyle};

use crate::cli::Requests;

pub(super) fn run(_command: &Requests) -> Result<ExitCode> {
    anyhow::bail!("-m raw is not there yet")
}
