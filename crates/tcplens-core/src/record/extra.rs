//! What only some vantages know: the socket and whose it is, what its kernel says of the path, TCP-RT's marks.

use std::ops::Deref;
use std::sync::Arc;

use super::{PortMode, TagsFrom};
use crate::time::Span;

extra! {
    /// A socket and who has it.
    SocketOwner {
        /// Kernel: the socket's number (SO_COOKIE), never used twice. Of packets too, where the agent looks from inside the kernel
        /// as well: the socket with the same ends at that time; of two on this host, the server's.
        socket_cookie: Option<u64> = count,
        /// Inode of the socket's network namespace.
        netns: Option<u64> = count,
        /// Kernel: the process that used the socket first, as the initial namespace numbers it.
        pid: Option<u64> = count,
        /// Kernel: its name.
        comm: Option<Short> = text,
        /// Kernel: its user.
        uid: Option<u64> = count,
        /// Kernel: path of its cgroup in the second hierarchy; its number, where the path cannot be found any more.
        cgroup: Option<Arc<str>> = text,
        /// Kernel: the container, as the cgroup's path names it (docker, containerd, CRI-O, podman).
        container_id: Option<Arc<str>> = text,
    }
}

extra! {
    /// What the kernel says of a connection's way to its other end, at the end of the record's life.
    PathState {
        /// Kernel: smoothed round trip.
        rtt_us: Option<Span> = span,
        /// Kernel: congestion window.
        cwnd_segments: Option<u64> = count,
        /// Kernel: largest segment that the observed end sends.
        mss: Option<u64> = count,
        /// Kernel: written by the application and not yet sent.
        unsent_bytes: Option<u64> = count,
        /// Kernel: sent and not acknowledged.
        unacked_bytes: Option<u64> = count,
    }
}

extra! {
    /// What TCP-RT tells of a task beyond its times.
    TaskMarks {
        /// Kernel, ports in mode http or https: letters. A: a close_notify alert; C: Expect: 100-continue and its reply;
        /// F: has first frames; H: a TLS handshake; Z: with early data.
        tags: Option<Short> = text,
        /// What the tags were told from: `payload`, or `size` where only the number of bytes speaks for it.
        tags_from: Option<TagsFrom> = word,
        /// Kernel: what payload at this port is taken for, `http` or `https`; absent where it is not looked at.
        mode: Option<PortMode> = word,
        /// TLS 1.3: from T0 of the handshake to T0 of what came next.
        handshake_us: Option<Span> = span,
        /// Kernel, ports with first_frame: when the response passed each threshold.
        first_frames: Vec<FirstFrame> = frames,
    }
}

/// When a response passed a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstFrame {
    /// The threshold.
    pub threshold_bytes: u64,
    /// Bytes that were acknowledged then; `None`: the response never got so far.
    pub bytes: Option<u64>,
    /// From T2 to that ACK, in whole µs.
    pub us: Option<u64>,
}

/// What the kernel tells of a request besides its row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestExtra {
    /// The socket.
    pub owner: SocketOwner,
    /// The path.
    pub path: PathState,
    /// The task.
    pub marks: TaskMarks,
}

/// At most 16 bytes of text, in place: a process's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Short {
    bytes: [u8; 16],
    length: u8,
}

impl Short {
    /// The text up to the first zero byte; what is not printable ASCII or part of valid UTF-8 becomes `?`.
    #[must_use]
    pub fn new(text: &[u8]) -> Short {
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = text.get(..16).unwrap_or(text);
        let is_plain = std::str::from_utf8(text).is_ok_and(|text| !text.contains(char::is_control));
        let mut bytes = [0; 16];
        for (to, &from) in bytes.iter_mut().zip(text) {
            *to = match from {
                b' '..=b'~' => from,
                _ if is_plain => from,
                _ => b'?',
            };
        }
        Short {
            bytes,
            length: text.len().min(16) as u8,
        }
    }
}

impl Deref for Short {
    type Target = str;

    fn deref(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length));
        // Made of whole letters.
        std::str::from_utf8(text.unwrap_or_default()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_and_ends_at_its_zero_byte() {
        assert_eq!(&*Short::new(b"nginx\0rest"), "nginx");
        assert_eq!(&*Short::new(b"a\x1b[2J"), "a?[2J");
        assert_eq!(&*Short::new("k\u{fc}che".as_bytes()), "k\u{fc}che");
        assert_eq!(&*Short::new(b"\xff\xfe"), "??");
        assert_eq!(&*Short::new(b"0123456789abcdefgh"), "0123456789abcdef");
    }
}
