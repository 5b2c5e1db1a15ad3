//! The programs in the kernel, on real traffic over lo: what they tell of each kind of task and end, in both ways in which
//! they can be loaded. Takes root (or CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN): else SKIPPED aloud.

mod attempts;
mod connections;
mod harness;
mod programs;
mod responses;
mod tasks;
mod unseen;
