//! Runs a program once for every socket that has a state. Reference: include/uapi/linux/bpf.h, kernel/bpf/bpf_iter.c,
//! net/core/bpf_sk_storage.c.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `enum bpf_cmd`.
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_ITER_CREATE: libc::c_int = 33;
/// `enum bpf_attach_type`.
const BPF_TRACE_ITER: u32 = 28;

/// `union bpf_attr`, as BPF_LINK_CREATE takes it.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    /// A pointer to `union bpf_iter_link_info`.
    info: u64,
    info_length: u32,
    padding: u32,
}
const _: () = assert!(size_of::<LinkCreate>() == 32);

/// `union bpf_iter_link_info`, of a map.
#[repr(C)]
struct LinkInfo {
    map: u32,
}

/// `union bpf_attr`, as BPF_ITER_CREATE takes it.
#[repr(C)]
struct IterCreate {
    link: u32,
    flags: u32,
}

/// A program that is ready to run.
pub(super) struct Iterator {
    link: OwnedFd,
}

impl Iterator {
    /// Of a loaded program and the map whose entries it is run for.
    pub(super) fn new(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<Iterator> {
        let info = LinkInfo {
            map: map.as_raw_fd() as u32,
        };
        let attr = LinkCreate {
            program: program.as_raw_fd() as u32,
            target: 0,
            attach_type: BPF_TRACE_ITER,
            flags: 0,
            info: (&raw const info) as u64,
            info_length: size_of::<LinkInfo>() as u32,
            padding: 0,
        };
        let link = bpf(BPF_LINK_CREATE, &attr)?;
        Ok(Iterator { link })
    }

    /// Runs it for all.
    pub(super) fn run(&self) -> io::Result<()> {
        let attr = IterCreate {
            link: self.link.as_raw_fd() as u32,
            flags: 0,
        };
        let mut file = File::from(bpf(BPF_ITER_CREATE, &attr)?);
        // It writes nothing; reading is what runs it. After very many it says EAGAIN, and goes on.
        loop {
            match file.read(&mut [0; 64]) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

/// bpf(2), of a command that gives a file descriptor.
fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is what this command reads, of the size that is said, and lives until it returns, as does what it
    // points to; these commands write nothing there.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}
