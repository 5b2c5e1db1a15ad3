//! Exit statuses (docs: README, "Exit status").

use std::process::ExitCode;

/// Everything was read and written.
pub const COMPLETE: ExitCode = ExitCode::SUCCESS;
/// Nothing could be done: cannot open, not permitted, no packet of a known link type, a sink failed.
pub const FAILED: ExitCode = ExitCode::FAILURE;

/// The input was damaged or something was lost; stderr and `health` say what.
pub fn partial() -> ExitCode {
    ExitCode::from(3)
}
