//! sock_diag on real sockets: what is dumped, what the kernel leaves out when it is asked to, what it tells of sockets that
//! are destroyed. In network namespaces of its own, which takes root: else SKIPPED aloud.

mod destroyed;
mod dump;
mod filter;
mod harness;
mod probes;
