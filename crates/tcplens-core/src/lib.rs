//! tcplens-core: from packets to records, purely.
//!
//! Nothing here reads a clock, a file, a socket or an environment variable; nothing spawns a thread
//! or logs; there is no unsafe code. The same packets give the same records, byte for byte.
#![forbid(unsafe_code)]

pub mod analyze;
pub mod anonymize;
pub mod batch;
pub mod engine;
pub mod filter;
pub mod flow;
pub mod kernel;
pub mod labels;
pub mod packet;
pub mod pending;
pub mod proto;
pub mod record;
pub mod roles;
pub mod shard;
pub mod share;
pub mod socket;
pub mod tcp;
pub mod time;
pub mod view;
pub mod wire;
