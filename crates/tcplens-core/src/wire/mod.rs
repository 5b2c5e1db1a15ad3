//! Views over packet bytes: link layer, tunnels, IP, TCP, UDP, ICMP. Lax: what can be decoded is, and what
//! cannot is counted with a reason.
//!
//! [`Decoder::decode`] is the way in. A packet is a chain of headers; each layer's file has functions from a
//! `view::View` to the next header and the view of what it carries, and [`decode`] walks the chain.
//! `fast` is the same for the few chains that nearly all packets are.

mod checksum;
pub mod counts;
pub mod decode;
mod fast;
mod fastest;
pub mod fragment;
mod icmp;
mod ip;
mod kept;
pub mod key;
mod link;
pub mod segment;
mod tcp;
mod tunnel;
mod view;
mod wifi;

pub use counts::{DecodeCounts, Undecoded};
pub use decode::{Checksum, DecodeSettings, Decoded, Decoder};
pub use key::HashKey;
