//! Tests that compare the filter evaluator with libpcap, packet by packet. See `tests/`.
