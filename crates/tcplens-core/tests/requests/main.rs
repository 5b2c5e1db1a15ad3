//! Requests, from packets to records: every protocol over TCP as it comes off a wire; times, pairing, the time budget and
//! its verdict; bounds; damaged packets.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod bounds;
mod causes;
mod conversations;
mod damage;
mod delivery;
mod footing;
mod held;
mod pairing;
mod udp;
mod wire;
