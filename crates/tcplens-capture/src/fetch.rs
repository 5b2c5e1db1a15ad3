//! Asking the processor for memory before it is read, without waiting for it.

/// A cache line of x86-64 and of most aarch64 processors, in bytes.
const LINE: usize = 64;

/// Asks for the cache lines of so many bytes from there on. A hint: nothing is read, and nothing happens on other processors than
/// x86-64, or where the address is of nothing.
pub fn fetch(at: *const u8, bytes: usize) {
    for offset in (0..bytes).step_by(LINE).chain(bytes.checked_sub(1)) {
        fetch_line(at.wrapping_add(offset));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch_line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: SSE is part of x86-64, and a prefetch of any address is allowed (Intel 64 manual, volume 2, PREFETCHh).
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn fetch_line(_: *const u8) {}
