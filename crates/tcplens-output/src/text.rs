//! Text views: a line per record for people, written for one record kind each. For what a machine
//! reads see `jsonl`.

use tcplens_core::record::SocketOwner;

mod connections;
mod handshakes;
mod request_summary;
mod requests;
mod sockets;
mod top;

pub use connections::ConnectionText;
pub use handshakes::HandshakeText;
pub use request_summary::{RequestEnd, histograms, summary};
pub(crate) use request_summary::{operation_name, time_of};
pub use requests::{RequestColumn, RequestText};
pub use sockets::{SocketKey, SocketOrder, SocketText, SocketTotal};
pub use top::TopText;

/// `nginx[4242]`: whose socket it is, as far as that is known.
fn process(owner: &SocketOwner) -> Option<String> {
    let pid = owner.pid?;
    let name = owner.comm.as_deref().unwrap_or("?");
    Some(format!("{name}[{pid}]"))
}
