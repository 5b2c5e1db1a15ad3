//! Sockets as the kernel tells them when it is asked (sock_diag): from raw messages to what changed, and to records.
//!
//! [`message`] and [`tcp_info`] are views over bytes. [`Tracker`] has what was seen of each socket, [`change`] says what is worth
//! keeping, [`close`] how one ended; [`map`] and [`summary`] make records, [`rebuild`] makes messages of records again; [`pace`]
//! says how often to ask. [`metrics`] counts what a monitoring system wants to know.

pub mod change;
pub mod close;
pub mod known;
pub mod local;
pub mod map;
pub mod message;
pub mod metrics;
pub mod pace;
pub mod rebuild;
pub mod summary;
pub mod tcp_info;
#[cfg(test)]
mod testing;
pub mod tracker;

pub use change::{SaveWhen, Why};
pub use close::{Ending, Facts};
pub use known::{Known, KnownSockets, Opened};
pub use map::{Context, Listeners, Owner};
pub use message::Message;
pub use metrics::SocketMetrics;
pub use pace::{Pace, Pacer};
pub use tcp_info::TcpInfo;
pub use tracker::{End, Ended, Entry, Polled, Seen, Tracker, What};
