//! Where packets come from. All system calls and all `unsafe` of tcplens live in this crate; what a
//! packet means does not: that is `tcplens-core`.

pub mod cgroup;
pub mod clock;
pub mod diag;
pub mod fetch;
pub mod file;
pub mod interfaces;
pub mod kernel;
pub mod landlock;
mod net_counts;
pub mod netns;
pub mod opened;
pub mod owners;
pub mod privilege;
pub mod probe;
pub mod process;
pub mod resolve;
pub mod ring;
