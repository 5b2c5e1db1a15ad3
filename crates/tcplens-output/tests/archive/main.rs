//! tcp-info's archives: what the real program wrote and printed, and what ours does.

mod golden;
mod reading;
mod tools;
mod writing;
