//! Sockets as the kernel tells them when it is asked (sock_diag): from raw messages to what changed, and to records.
//!
//! [`message`] and [`tcp_info`] are views over bytes; [`metrics`] counts what a monitoring system wants to know.

pub mod message;
pub mod metrics;
pub mod tcp_info;

pub use message::Message;
pub use metrics::SocketMetrics;
pub use tcp_info::TcpInfo;
