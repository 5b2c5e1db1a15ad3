//! tcplens.
fn main() {}
