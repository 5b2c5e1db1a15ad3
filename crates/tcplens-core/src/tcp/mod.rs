//! TCP itself: sequence space, what was seen of it, and the handshake's state machine.

pub mod handshake;
pub mod seen;
pub mod seq;
pub mod track;
