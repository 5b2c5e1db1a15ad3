//! Live capture against real traffic, in network namespaces that belong to the test: no interface of the host is touched.
//! Needs root, and unshare, ip and nsenter; where something is missing, a test is SKIPPED aloud. Nothing here waits for a time
//! to pass: conditions are polled, up to a deadline, and what runs after it is killed.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[cfg(feature = "parquet")]
mod agents;
mod answers;
#[cfg(feature = "remote")]
#[path = "../collector/mod.rs"]
mod collector;
mod comparison;
mod endings;
mod explain;
mod filters;
mod frames;
mod kernel;
mod kernel_handshakes;
mod kernel_http;
mod kernel_join;
mod kernel_records;
mod kernel_redis;
mod kernel_report;
mod kernel_tls;
mod kernel_wire;
mod killed;
mod lines;
mod names;
mod namespace;
#[cfg(feature = "remote")]
mod otlp;
mod outputs;
mod place;
mod privileges;
mod programs;
mod records;
mod sightings;
mod socket_archives;
mod socket_events;
mod sockets;
mod sockets_endings;
mod sockets_ends;
mod sockets_short;
#[cfg(feature = "parquet")]
mod store;
mod tap;
mod time;
mod top;
mod traffic;
mod troubles;
