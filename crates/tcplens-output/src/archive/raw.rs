//! Netlink messages one behind another as recvmsg(2) gave them (struct nlmsghdr, include/uapi/linux/netlink.h): what
//! tcp-info's `NewRawReader` reads.

/// Bytes of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;

/// SOCK_DIAG_BY_FAMILY: the messages that tell of a socket.
const SOCKET: u16 = 20;
/// NLMSG_DONE: ends an answer.
const DONE: u16 = 3;

/// The header of the message that comes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Bytes of the message, the header's included.
    pub(super) length: usize,
    /// It tells of a socket.
    pub(super) is_socket: bool,
}

/// `None`: too few bytes for one.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    let (&[a, b, c, d, kind, upper, ..], _) = bytes.split_first_chunk::<HEADER>()?;
    let length = u32::from_ne_bytes([a, b, c, d]);
    Some(Header {
        length: usize::try_from(length).unwrap_or(usize::MAX),
        is_socket: u16::from_ne_bytes([kind, upper]) == SOCKET,
    })
}

/// Whether a file begins like such messages: no text does, for the length's upper bytes are zero.
pub(super) fn is_raw(bytes: &[u8]) -> bool {
    let kind = bytes.get(4..6).and_then(|kind| kind.try_into().ok());
    let is_known = kind.is_some_and(|kind| [SOCKET, DONE].contains(&u16::from_ne_bytes(kind)));
    is_known && header(bytes).is_some_and(|header| (HEADER..1 << 20).contains(&header.length))
}
