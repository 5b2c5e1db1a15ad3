//! The interfaces of the network namespace that the calling thread is in, with their addresses: asked over rtnetlink, for
//! /sys/class/net shows those of the namespace in which it was mounted. Reference: rtnetlink(7).

use std::io;
use std::net::IpAddr;

mod netlink;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number, for sockets.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// ARPHRD_ (linux/if_arp.h): what its packets begin with.
    pub hardware_type: u16,
    /// Switched on (IFF_UP).
    pub is_up: bool,
    /// Switched on and connected (IFF_RUNNING).
    pub is_running: bool,
    /// IFF_LOOPBACK.
    pub is_loopback: bool,
    /// The largest packet without its link header, in bytes; segments of offloading are larger.
    pub mtu: Option<u32>,
    /// The bridge, bond or VRF that it is a port of: packets are seen there again.
    pub master: Option<u32>,
    /// This host's addresses on it.
    pub addresses: Vec<IpAddr>,
}

/// Why interfaces cannot be told. The message says what was tried, why it failed and what to do.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// There is none of that name.
    #[error(
        "cannot open {name} for capture: no such interface (have: {}); choose one with -i",
        have.join(", ")
    )]
    Missing {
        /// As the user named it.
        name: String,
        /// Those that there are.
        have: Vec<String>,
    },
    /// The kernel does not tell.
    #[error("cannot list interfaces: {0}")]
    List(#[from] io::Error),
}

/// All interfaces, by index.
///
/// # Errors
/// The kernel does not tell.
pub fn list() -> Result<Vec<Interface>, InterfaceError> {
    Ok(netlink::ask()?.interfaces())
}

/// The interface of a name, `any` not included.
///
/// # Errors
/// There is none, or the kernel does not tell.
pub fn find(name: &str) -> Result<Interface, InterfaceError> {
    let all = list()?;
    match all.iter().find(|interface| interface.name == name) {
        Some(found) => Ok(found.clone()),
        None => Err(InterfaceError::Missing {
            name: name.to_owned(),
            have: all.into_iter().map(|interface| interface.name).collect(),
        }),
    }
}

/// All addresses of this host in this namespace: tells inbound from outbound.
///
/// # Errors
/// The kernel does not tell.
pub fn local_addresses() -> Result<Vec<IpAddr>, InterfaceError> {
    let mut all: Vec<IpAddr> = list()?
        .into_iter()
        .flat_map(|interface| interface.addresses)
        .collect();
    all.sort();
    all.dedup();
    Ok(all)
}
