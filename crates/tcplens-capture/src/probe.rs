//! What this machine allows, found by trying: for `doctor`. Nothing is left open.

use std::io;

use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};

/// Opens a packet socket, which gets no packets. What it takes is CAP_NET_RAW.
///
/// # Errors
/// What the kernel said.
pub fn packet_socket() -> io::Result<()> {
    let family = AddressFamily::PACKET;
    // Without a protocol nothing is delivered (packet(7)).
    socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    Ok(())
}

/// Opens a socket of sock_diag(7), which tells of the kernel's own sockets. It takes no privilege.
///
/// # Errors
/// What the kernel said.
pub fn socket_diagnosis() -> io::Result<()> {
    socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    Ok(())
}
