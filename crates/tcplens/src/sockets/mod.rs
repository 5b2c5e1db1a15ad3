//! `sockets`: what its poll loop hands to others.

#[cfg_attr(not(test), expect(dead_code, reason = "the poll loop joins it"))]
pub(crate) mod events;
