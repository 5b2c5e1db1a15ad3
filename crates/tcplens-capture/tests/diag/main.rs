//! sock_diag on real sockets: what is dumped, what the kernel leaves out when it is asked to, what it tells of sockets that
//! are destroyed. In network namespaces of its own, which takes root: else SKIPPED aloud.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod destroyed;
mod dump;
mod filter;
mod harness;
mod probes;
