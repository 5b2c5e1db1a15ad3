//! tcp-info's archives: what the real program wrote and printed, and what ours does.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod golden;
mod reading;
mod tools;
mod writing;
