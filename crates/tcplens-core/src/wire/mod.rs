//! Views over packet bytes: link layer, tunnels, IP, TCP, UDP, ICMP. Lax: what can be decoded is, and what
//! cannot is counted with a reason.

pub mod segment;
