//! Which of several capture threads has a packet's flow. The kernel runs the same computation on each packet
//! (tcplens-capture, ring/fanout.rs), so that both directions come to one thread; what it cannot tell where it belongs
//! (fragments, ICMP errors) is handed on by it.

use crate::wire::segment::{FlowKey, IcmpError, Segment};

/// Spreads sums of addresses and ports over all bits. Chosen: 2^32 divided by the golden ratio.
pub const FACTOR: u32 = 0x9e37_79b1;

/// The thread, of `threads`, that has a TCP flow.
#[must_use]
pub fn owner(flow: &FlowKey, threads: usize) -> usize {
    let ports = u32::from(flow.ports[0] ^ flow.ports[1]);
    let mixed = (words(flow.low) ^ words(flow.high) ^ ports).wrapping_mul(FACTOR) >> 16;
    mixed as usize % threads.max(1)
}

/// All 32-bit words of an address, of IPv4 its only one.
fn words(address: [u64; 2]) -> u32 {
    let is_mapped = address[0] == 0 && address[1] >> 32 == 0xffff;
    let [a, b] = address;
    if is_mapped {
        b as u32
    } else {
        (a >> 32) as u32 ^ a as u32 ^ (b >> 32) as u32 ^ b as u32
    }
}

/// Something on its way to the thread that has its flow.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The thread.
    pub to: usize,
    /// What came.
    pub(crate) segment: Segment,
    /// The ICMP error that quotes it, if it is one.
    pub(crate) icmp: Option<IcmpError>,
    /// Its payload.
    pub(crate) payload: Vec<u8>,
}
