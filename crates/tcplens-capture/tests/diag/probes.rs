//! What `doctor` asks.

use tcplens_capture::probe;

#[test]
fn this_kernel_dumps_its_sockets_and_tells_of_destroyed_ones() {
    let found = probe::sock_diag().unwrap();
    assert!(
        found.tcp_info_bytes.is_some_and(|bytes| bytes >= 232),
        "{found:?}"
    );
    let found = probe::destroy_groups(4 << 20).unwrap();
    assert!(found.buffer_bytes > 0 && found.is_told, "{found:?}");
}
