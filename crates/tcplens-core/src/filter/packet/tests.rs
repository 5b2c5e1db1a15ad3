//! Verdicts and errors that need no libpcap; the comparison with libpcap is in crates/oracle.

use super::*;

fn verdict(expression: &str, packet: &[u8]) -> bool {
    let filter = PacketFilter::parse(expression).unwrap();
    filter
        .compile(LinkType::ETHERNET)
        .unwrap()
        .matches(packet, packet.len() as u32)
}

#[test]
fn empty_expression_accepts_everything() {
    assert!(verdict("", b""));
}
