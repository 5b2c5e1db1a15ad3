//! The system calls on an AF_PACKET socket (packet(7)), each as a safe function.

use std::ffi::c_int;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tcplens_core::filter::packet::Instruction;

use super::error::RingError;
use super::frames::{Names, TAG};
use super::interfaces::Interfaces;
use crate::privilege::{Need, remedy};

/// linux/if_packet.h.
mod option {
    use std::ffi::c_int;
    pub(super) const ADD_MEMBERSHIP: c_int = 1;
    pub(super) const RX_RING: c_int = 5;
    pub(super) const STATISTICS: c_int = 6;
    pub(super) const VERSION: c_int = 10;
    pub(super) const RESERVE: c_int = 12;
    pub(super) const FANOUT: c_int = 18;
    pub(super) const FANOUT_DATA: c_int = 22;
}

/// Which ring a packet comes to: what a program says (PACKET_FANOUT_CBPF).
const FANOUT_BY_PROGRAM: u32 = 6;
/// The kernel chooses a number that no other group has (PACKET_FANOUT_FLAG_UNIQUEID, Linux 4.12).
const FANOUT_UNIQUE: u32 = 0x2000;

const TPACKET_V3: c_int = 2;
const PROMISCUOUS: u16 = 1;

/// `struct tpacket_req3`.
#[repr(C)]
struct RingRequest {
    block_size: u32,
    blocks: u32,
    frame_size: u32,
    frames: u32,
    retire_ms: u32,
    private_size: u32,
    features: u32,
}
const _: () = assert!(size_of::<RingRequest>() == 28);

/// `struct tpacket_stats_v3`.
#[repr(C)]
#[derive(Default)]
struct Statistics {
    packets: u32,
    drops: u32,
    freezes: u32,
}
const _: () = assert!(size_of::<Statistics>() == 12);

/// `struct packet_mreq`.
#[repr(C)]
struct Membership {
    index: c_int,
    kind: u16,
    address_length: u16,
    address: [u8; 8],
}
const _: () = assert!(size_of::<Membership>() == 16);

/// An AF_PACKET socket.
pub(super) struct Socket {
    fd: OwnedFd,
    /// What was asked for, for messages.
    name: String,
}

impl Socket {
    /// A socket that receives nothing yet.
    pub(super) fn open(name: &str) -> Result<Socket, RingError> {
        // SAFETY: no pointers; the result is checked before it becomes an owner.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => RingError::NotPermitted {
                    interface: name.to_owned(),
                    remedy: remedy(Need::Packets).to_string(),
                },
                _ => RingError::System {
                    interface: name.to_owned(),
                    what: "open a packet socket",
                    error,
                },
            });
        }
        // SAFETY: a descriptor that was just opened, and that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Socket {
            fd,
            name: name.to_owned(),
        })
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The number that an interface has now, in the socket's network namespace.
    pub(super) fn index_of(&self, name: &str) -> Option<u32> {
        rustix::net::netdevice::name_to_index(&self.fd, name).ok()
    }

    pub(super) fn ring_version(&self) -> Result<(), RingError> {
        self.set(option::VERSION, &TPACKET_V3, "ask for TPACKET_V3")
    }

    /// Room before each packet for a VLAN tag.
    pub(super) fn reserve_vlan_tag(&self) -> Result<(), RingError> {
        let room = TAG as c_int;
        self.set(option::RESERVE, &room, "reserve room for VLAN tags")
    }

    pub(super) fn make_ring(
        &self,
        block: usize,
        blocks: usize,
        retire: Duration,
    ) -> Result<(), RingError> {
        // Frames of TPACKET_V3 have any size; the kernel only wants the numbers to fit each other.
        const FRAME: usize = 2048;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let request = RingRequest {
            block_size: number(block),
            blocks: number(blocks),
            frame_size: number(FRAME),
            frames: number(block / FRAME * blocks),
            retire_ms: number(retire.as_millis() as usize),
            private_size: 0,
            features: 0,
        };
        let made = self.set(option::RX_RING, &request, "make a ring");
        made.map_err(|error| match error {
            RingError::System { error, .. } if error.raw_os_error() == Some(libc::ENOMEM) => {
                RingError::NoMemory {
                    interface: self.name.clone(),
                    mib: (block * blocks) >> 20,
                }
            }
            other => other,
        })
    }

    /// Runs a program on each packet from now on, in place of the one before.
    pub(super) fn attach(&self, program: &[Instruction]) -> Result<(), RingError> {
        let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
        self.set_program(level, option, program, "attach the filter")
    }

    /// Joins the rings that share packets, or founds them; gives their number.
    pub(super) fn join(&self, group: Option<u16>) -> Result<u16, RingError> {
        let what = "share packets among threads";
        let (id, flags) = match group {
            Some(id) => (id, 0),
            None => (0, FANOUT_UNIQUE),
        };
        let asked = u32::from(id) | (FANOUT_BY_PROGRAM | flags) << 16;
        self.set(option::FANOUT, &asked, what)?;
        let mut group = 0_u32;
        let mut size = size_of::<u32>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `size` bytes, a number, into a value that lives through the call.
        let status = unsafe {
            libc::getsockopt(
                self.raw(),
                libc::SOL_PACKET,
                option::FANOUT,
                (&raw mut group).cast(),
                &mut size,
            )
        };
        if status == 0 {
            Ok((group & 0xffff) as u16)
        } else {
            Err(self.failed(what))
        }
    }

    /// The program that says which of the rings gets a packet.
    pub(super) fn share_by(&self, program: &[Instruction]) -> Result<(), RingError> {
        let (level, option) = (libc::SOL_PACKET, option::FANOUT_DATA);
        self.set_program(level, option, program, "share packets among threads")
    }

    fn set_program(
        &self,
        level: c_int,
        option: c_int,
        program: &[Instruction],
        what: &'static str,
    ) -> Result<(), RingError> {
        let mut program: Vec<libc::sock_filter> = program
            .iter()
            .map(|i| libc::sock_filter {
                code: i.code,
                jt: i.jt,
                jf: i.jf,
                k: i.k,
            })
            .collect();
        let Ok(len) = u16::try_from(program.len()) else {
            return Err(self.error(what, io::ErrorKind::InvalidInput.into()));
        };
        let whole = libc::sock_fprog {
            len,
            filter: program.as_mut_ptr(),
        };
        self.set_at(level, option, &whole, what)
    }

    /// Receives packets of an interface, or of all for 0.
    pub(super) fn bind(&self, index: u32) -> Result<(), RingError> {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
            sll_ifindex: index.cast_signed(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: `address` is a whole sockaddr_ll and lives through the call, which copies it.
        let status = unsafe {
            libc::bind(
                self.raw(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if status == 0 {
            Ok(())
        } else {
            Err(self.failed("bind to the interface"))
        }
    }

    pub(super) fn promiscuous(&self, index: u32) -> Result<(), RingError> {
        let membership = Membership {
            index: index.cast_signed(),
            kind: PROMISCUOUS,
            address_length: 0,
            address: [0; 8],
        };
        self.set(
            option::ADD_MEMBERSHIP,
            &membership,
            "switch to promiscuous mode",
        )
    }

    /// Packets dropped since this was last asked.
    pub(super) fn drops(&self) -> u64 {
        let mut statistics = Statistics::default();
        let mut size = size_of::<Statistics>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `size` bytes, all of them numbers, into a value that lives through the call.
        let status = unsafe {
            libc::getsockopt(
                self.raw(),
                libc::SOL_PACKET,
                option::STATISTICS,
                (&raw mut statistics).cast(),
                &mut size,
            )
        };
        if status == 0 {
            u64::from(statistics.drops)
        } else {
            0
        }
    }

    /// Waits until there may be a block, or for `wait`.
    pub(super) fn wait(&self, wait: Duration, of: &Interfaces) -> Result<(), RingError> {
        let mut polled = [PollFd::new(&self.fd, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        match poll(&mut polled, Some(&timeout)) {
            // A signal: whoever waits looks at what it says.
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(self.error("wait for packets", error.into())),
        }
        if polled[0].revents().contains(PollFlags::ERR) {
            return self.trouble(of);
        }
        Ok(())
    }

    /// What the kernel reports when an interface goes down or away.
    #[cold]
    fn trouble(&self, of: &Interfaces) -> Result<(), RingError> {
        let error = match rustix::net::sockopt::socket_error(self.fd.as_fd()) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) | Err(error) => error,
        };
        match of.asked() {
            // Down and still there: when it comes up again, so do its packets.
            [(index, _)] if self.name_of(*index).is_some() => Ok(()),
            [(_, name)] if error == rustix::io::Errno::NETDOWN => Err(RingError::Gone {
                interface: name.clone(),
            }),
            _ if error == rustix::io::Errno::NETDOWN => Ok(()),
            _ => Err(self.error("wait for packets", error.into())),
        }
    }

    fn set<T>(&self, option: c_int, value: &T, what: &'static str) -> Result<(), RingError> {
        self.set_at(libc::SOL_PACKET, option, value, what)
    }

    fn set_at<T>(
        &self,
        level: c_int,
        option: c_int,
        value: &T,
        what: &'static str,
    ) -> Result<(), RingError> {
        // SAFETY: the kernel reads `size_of::<T>()` bytes of a value that lives through the call; a pointer in it (the
        // filter's) is to memory of the caller that does too.
        let status = unsafe {
            libc::setsockopt(
                self.raw(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if status == 0 {
            Ok(())
        } else {
            Err(self.failed(what))
        }
    }

    /// The latest system call failed.
    pub(super) fn failed(&self, what: &'static str) -> RingError {
        self.error(what, io::Error::last_os_error())
    }

    fn error(&self, what: &'static str, error: io::Error) -> RingError {
        RingError::System {
            interface: self.name.clone(),
            what,
            error,
        }
    }
}

impl Names for Socket {
    fn name_of(&self, index: u32) -> Option<String> {
        rustix::net::netdevice::index_to_name(&self.fd, index).ok()
    }
}
