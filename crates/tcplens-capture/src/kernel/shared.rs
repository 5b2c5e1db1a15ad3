//! What programs and we both see: a map of one value, mapped into our memory. It is read and changed without a system call,
//! and so without privileges. All that is unsafe about it is here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

/// A mapped value. The programs change it at any time: it is only accessed atomically.
pub(super) struct Shared {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread; all access is atomic.
unsafe impl Send for Shared {}

impl Shared {
    /// Maps `size` bytes of a map with BPF_F_MMAPABLE.
    pub(super) fn new(map: BorrowedFd<'_>, size: usize) -> io::Result<Shared> {
        // SAFETY: a new mapping of the kernel's choice; no memory that exists is touched.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Shared { start, size })
    }

    /// The byte at `at`.
    pub(super) fn u8(&self, at: usize) -> &AtomicU8 {
        // SAFETY: within the mapping (`place` checks), which lives as long as the borrow of `self`.
        unsafe { AtomicU8::from_ptr(self.place(at, 1)) }
    }

    /// The four bytes at `at`, a multiple of four.
    pub(super) fn u32(&self, at: usize) -> &AtomicU32 {
        // SAFETY: as in `u8`; aligned, for the mapping begins at a page.
        unsafe { AtomicU32::from_ptr(self.place(at, 4).cast()) }
    }

    /// The eight bytes at `at`, a multiple of eight.
    pub(super) fn u64(&self, at: usize) -> &AtomicU64 {
        // SAFETY: as in `u32`.
        unsafe { AtomicU64::from_ptr(self.place(at, 8).cast()) }
    }

    fn place(&self, at: usize, size: usize) -> *mut u8 {
        assert!(at.is_multiple_of(size) && at + size <= self.size);
        // SAFETY: within the mapping.
        unsafe { self.start.as_ptr().add(at) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, of which no borrow is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}
