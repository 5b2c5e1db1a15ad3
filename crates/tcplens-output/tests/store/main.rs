//! Stores: what was written is there once, whatever ended the run that wrote it.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "../../examples/sample/mod.rs"]
mod sample;

mod keeping;
mod place;
mod reading;
mod writing;
