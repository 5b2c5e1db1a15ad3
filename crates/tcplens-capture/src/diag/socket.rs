//! The system calls on a netlink socket that rustix has no safe form of, each as a safe function. Reference: netlink(7),
//! recvmmsg(2).

use std::ffi::{c_int, c_uint};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};

/// `struct sockaddr_nl` of who sent, and the bytes of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received<'a> {
    /// The kernel sent it.
    pub(super) is_kernel: bool,
    /// All that there is room for.
    pub(super) bytes: &'a [u8],
    /// There was more.
    pub(super) is_cut: bool,
}

/// How many messages the kernel could not put into the socket so far, modulo 2^32 (SO_MEMINFO, Linux 4.12).
pub(super) fn drops(socket: &OwnedFd) -> Option<u32> {
    const NUMBERS: usize = 9;
    const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
    let mut numbers = [0_u32; NUMBERS];
    let mut size = size_of::<[u32; NUMBERS]>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes, all of them numbers, into an array that lives through the call.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &mut size,
        )
    };
    let has_drops = size as usize >= (DROPS + 1) * size_of::<u32>();
    (status == 0 && has_drops).then_some(numbers[DROPS])
}

/// How many datagrams are received with one call.
pub(super) const SLOTS: usize = 32;

/// Receives what is there without waiting: at most [`SLOTS`] datagrams, each into its share of `room`.
///
/// With recvmmsg(2), 32 at once: 1.07 µs each against 1.28 µs with recvfrom(2), medians of twelve runs of 20,000 messages
/// of destroyed sockets (Linux 6.18, a C program); 8 at once 1.11 µs. At 100,000 a second that is 2 % of a core.
pub(super) fn receive(
    socket: &OwnedFd,
    room: &mut [u8],
    each: &mut dyn FnMut(Received<'_>),
) -> io::Result<usize> {
    let size = room.len() / SLOTS;
    // SAFETY: all zeros is a value of these structures of the kernel's: numbers, and pointers that may be null.
    let (mut headers, mut senders, mut places) = unsafe {
        (
            std::mem::zeroed::<[libc::mmsghdr; SLOTS]>(),
            std::mem::zeroed::<[libc::sockaddr_nl; SLOTS]>(),
            std::mem::zeroed::<[libc::iovec; SLOTS]>(),
        )
    };
    let all = headers.iter_mut().zip(&mut senders).zip(&mut places);
    for (((header, sender), place), slot) in all.zip(room.chunks_exact_mut(size.max(1))) {
        place.iov_base = slot.as_mut_ptr().cast();
        place.iov_len = slot.len();
        header.msg_hdr.msg_name = std::ptr::from_mut(sender).cast();
        header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        header.msg_hdr.msg_iov = place;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: SLOTS headers, each with a sender and a place of its own, all of which live through the call and which nothing
    // else refers to meanwhile; one without a place (room for fewer) has lengths of 0.
    let count = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            SLOTS as c_uint,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(io::Error::last_os_error());
    };
    let slots = room.chunks_exact(size.max(1));
    for ((header, sender), slot) in headers.iter().zip(&senders).zip(slots).take(count) {
        const MSG_TRUNC: c_int = libc::MSG_TRUNC;
        let length = usize::try_from(header.msg_len).unwrap_or(usize::MAX);
        each(Received {
            is_kernel: sender.nl_pid == 0
                && header.msg_hdr.msg_namelen as usize >= size_of::<libc::sockaddr_nl>(),
            bytes: slot.get(..length).unwrap_or(slot),
            is_cut: header.msg_hdr.msg_flags & MSG_TRUNC != 0,
        });
    }
    Ok(count)
}
