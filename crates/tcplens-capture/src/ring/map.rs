//! The ring's memory, shared with the kernel. All that is unsafe about it is here.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::RingError;
use super::socket::Socket;

/// Where the status is in a block (`struct tpacket_block_desc`).
const STATUS: usize = 8;
/// The block is ours.
const USER: u32 = 1;
/// Packets were dropped before it.
const LOSING: u32 = 1 << 2;

/// A mapped ring.
pub(super) struct Map {
    start: NonNull<u8>,
    block: usize,
    blocks: usize,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Map {}

impl Map {
    pub(super) fn new(socket: &Socket, block: usize, blocks: usize) -> Result<Map, RingError> {
        // SAFETY: a new mapping of the kernel's choice; no memory that exists is touched.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                block * blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.raw(),
                0,
            )
        };
        let failed = || socket.failed("map the ring");
        if start == libc::MAP_FAILED {
            return Err(failed());
        }
        let start = NonNull::new(start.cast()).ok_or_else(failed)?;
        Ok(Map {
            start,
            block,
            blocks,
        })
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Whether the kernel has handed a block over.
    pub(super) fn is_ours(&self, number: usize) -> bool {
        // Pairs with the smp_wmb of prb_close_block (net/packet/af_packet.c): what it wrote is seen after its status.
        self.status(number).load(Ordering::Acquire) & USER != 0
    }

    /// The bytes of a block that is ours, and whether packets were dropped before it.
    pub(super) fn bytes(&mut self, number: usize) -> (&mut [u8], bool) {
        let status = self.status(number).load(Ordering::Acquire);
        if status & USER == 0 {
            debug_assert!(false, "the kernel still owns block {number}");
            return (&mut [], false);
        }
        // SAFETY: within the mapping (`at` checks), which lives as long as `self`; the kernel does not touch a block with
        // USER set until `release`, which needs `&mut self` and so no borrow of these bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.at(number).as_ptr(), self.block) };
        (bytes, status & LOSING != 0)
    }

    /// The same to read.
    pub(super) fn read(&self, number: usize) -> &[u8] {
        if !self.is_ours(number) {
            return &[];
        }
        // SAFETY: as in `bytes`.
        unsafe { std::slice::from_raw_parts(self.at(number).as_ptr(), self.block) }
    }

    /// Gives a block back to the kernel.
    pub(super) fn release(&mut self, number: usize) {
        // Pairs with the kernel's read of the status before it opens the block again: our reads are over by then.
        self.status(number).store(0, Ordering::Release);
    }

    fn status(&self, number: usize) -> &AtomicU32 {
        // SAFETY: within the mapping and aligned to 4, for blocks are whole pages; kernel and we only access it atomically.
        unsafe { AtomicU32::from_ptr(self.at(number).as_ptr().add(STATUS).cast()) }
    }

    fn at(&self, number: usize) -> NonNull<u8> {
        assert!(number < self.blocks, "block {number} of {}", self.blocks);
        // SAFETY: `number` is below `blocks`, so the result is within the mapping.
        unsafe { self.start.add(number * self.block) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, of which no borrow is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.block * self.blocks) };
    }
}
