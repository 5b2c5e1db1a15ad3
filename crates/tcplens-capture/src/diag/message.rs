//! How an answer of sock_diag reads, as a function of bytes: netlink's messages in a datagram, and what each says of the dump
//! that asked. Reference: netlink(7), linux/netlink.h, sock_diag(7).

use tcplens_core::socket::{Message, message};
use tcplens_core::time::Timestamp;

use super::error::DiagError;

/// `struct nlmsghdr`: length (4), kind (2), flags (2), sequence (4), port (4).
pub(super) const HEADER: usize = 16;
/// Of requests and of what they are answered with, SOCK_DIAG_BY_FAMILY.
pub(super) const BY_FAMILY: u16 = 20;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const OVERRUN: u16 = 4;
/// NLM_F_DUMP_INTR: the table changed meanwhile.
const INTERRUPTED: u16 = 0x10;
const TCP: u8 = 6;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// The messages of a datagram. What is left when there are no more is damage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    #[inline]
    fn next(&mut self) -> Option<Part<'a>> {
        let (head, rest) = self.0.split_first_chunk::<HEADER>()?;
        let &[l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = head;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let length = length.checked_sub(HEADER)?;
        let body = rest.get(..length)?;
        self.0 = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Part {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            body,
        })
    }
}

/// What a dump gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpCounts {
    /// Sockets that were handed over.
    pub sockets: u64,
    /// Datagrams that were received.
    pub batches: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sockets of other protocols than TCP, left out.
    pub other_protocols: u64,
    /// Messages that do not belong to this dump: of an earlier one, of somebody else, of a kind that is not known.
    pub strangers: u64,
}

/// A dump while its answers are read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Of the request, and so of its answers.
    sequence: u32,
    pub(super) counts: DumpCounts,
    is_interrupted: bool,
    is_overrun: bool,
    is_damaged: bool,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// The kernel's error number, positive.
    Refused(i32),
}

impl Reading {
    pub(super) fn new(sequence: u32) -> Reading {
        Reading {
            sequence,
            counts: DumpCounts::default(),
            is_interrupted: false,
            is_overrun: false,
            is_damaged: false,
            end: None,
        }
    }

    /// Takes a datagram of the kernel's.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        bytes: &[u8],
        each: &mut dyn FnMut(Timestamp, &[u8]),
    ) {
        self.counts.batches += 1;
        self.counts.bytes += bytes.len() as u64;
        let mut parts = Parts(bytes);
        for part in parts.by_ref() {
            if part.sequence != self.sequence {
                self.counts.strangers += 1;
                continue;
            }
            self.is_interrupted |= part.flags & INTERRUPTED != 0;
            match part.kind {
                BY_FAMILY => match tcp(part.body) {
                    Socket::Tcp => {
                        self.counts.sockets += 1;
                        each(at, part.body);
                    }
                    Socket::Other => self.counts.other_protocols += 1,
                    Socket::Damaged => self.is_damaged = true,
                },
                DONE => self.end = Some(number(part.body).map_or(End::Whole, End::Refused)),
                // Number 0 acknowledges, and ends nothing.
                ERROR if part.body.len() < 4 => self.is_damaged = true,
                ERROR => self.end = number(part.body).map(End::Refused).or(self.end),
                OVERRUN => self.is_overrun = true,
                _ => self.counts.strangers += 1,
            }
        }
        self.is_damaged |= !parts.0.is_empty();
    }

    /// One that somebody else sent.
    pub(super) fn take_strange(&mut self) {
        self.counts.strangers += 1;
    }

    /// Nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Whether it is whole, once it is over.
    pub(super) fn result(&self) -> Result<DumpCounts, DiagError> {
        match self.end {
            Some(End::Refused(number)) => Err(DiagError::refused(number)),
            _ if self.is_damaged => Err(DiagError::Damaged),
            _ if self.is_overrun => Err(DiagError::Lost),
            _ if self.is_interrupted => Err(DiagError::Interrupted),
            Some(End::Whole) => Ok(self.counts),
            None => Err(DiagError::Silent),
        }
    }
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Tcp,
    Other,
    Damaged,
}

/// Messages that name no protocol are of the one that was asked for.
#[inline]
pub(super) fn tcp(body: &[u8]) -> Socket {
    let Some(message) = Message::new(body) else {
        return Socket::Damaged;
    };
    match message.attribute(message::kind::PROTOCOL) {
        None | Some([TCP, ..]) => Socket::Tcp,
        Some(_) => Socket::Other,
    }
}

/// The error number of NLMSG_ERROR or NLMSG_DONE, positive; `None`: there is none, it is 0, or it is no error.
fn number(body: &[u8]) -> Option<i32> {
    let number = i32::from_ne_bytes(*body.first_chunk()?);
    (number < 0).then(|| number.saturating_neg())
}

#[cfg(test)]
mod tests {
    use tcplens_core::socket::message::{HEAD, kind, push_attribute};

    use super::*;

    const OURS: u32 = 7;

    fn part(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + body.len())
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn socket(cookie: u8) -> Vec<u8> {
        let mut body = vec![0; HEAD];
        body[44] = cookie;
        body
    }

    fn of_protocol(cookie: u8, protocol: u8) -> Vec<u8> {
        let mut body = socket(cookie);
        push_attribute(&mut body, kind::TOS, &[0]);
        push_attribute(&mut body, kind::PROTOCOL, &[protocol]);
        body
    }

    fn done() -> Vec<u8> {
        part(DONE, 2, OURS, &0_i32.to_ne_bytes())
    }

    /// The cookies that were handed over, and what came of it.
    fn read(datagrams: &[Vec<u8>]) -> (Vec<u8>, Reading) {
        let mut reading = Reading::new(OURS);
        let mut cookies = Vec::new();
        for datagram in datagrams {
            reading.take(Timestamp(1), datagram, &mut |_, body| {
                cookies.push(body[44])
            });
        }
        (cookies, reading)
    }

    fn error_of(datagrams: &[Vec<u8>]) -> String {
        let (_, reading) = read(datagrams);
        assert!(reading.is_over());
        format!("{:?}", reading.result().unwrap_err())
    }

    #[test]
    fn sockets_come_until_it_is_done() {
        let first = [
            part(BY_FAMILY, 2, OURS, &socket(1)),
            part(BY_FAMILY, 2, OURS, &of_protocol(2, 6)),
        ]
        .concat();
        let (cookies, reading) = read(std::slice::from_ref(&first));
        assert_eq!(cookies, [1, 2]);
        assert!(!reading.is_over());
        assert!(matches!(reading.result(), Err(DiagError::Silent)));
        let last = [part(BY_FAMILY, 2, OURS, &socket(3)), done()].concat();
        let (cookies, reading) = read(&[first.clone(), last.clone()]);
        assert_eq!(cookies, [1, 2, 3]);
        assert!(reading.is_over());
        let counts = DumpCounts {
            sockets: 3,
            batches: 2,
            bytes: (first.len() + last.len()) as u64,
            ..DumpCounts::default()
        };
        assert_eq!(reading.result().unwrap(), counts);
    }

    #[test]
    fn what_an_earlier_dump_left_is_passed_over() {
        let old = [
            part(BY_FAMILY, 0x12, OURS - 1, &socket(9)),
            part(DONE, 2, OURS - 1, &(-105_i32).to_ne_bytes()),
            part(ERROR, 0, OURS - 1, &(-16_i32).to_ne_bytes()),
        ]
        .concat();
        let new = [part(BY_FAMILY, 2, OURS, &socket(1)), done()].concat();
        let (cookies, reading) = read(&[old, new]);
        assert_eq!(cookies, [1]);
        assert_eq!(reading.result().unwrap().strangers, 3);
    }

    #[test]
    fn a_change_meanwhile_is_told_once_all_was_read() {
        for marked in 0..3 {
            let flags = |at| if at == marked { 2 | INTERRUPTED } else { 2 };
            let datagrams = [
                part(BY_FAMILY, flags(0), OURS, &socket(1)),
                part(BY_FAMILY, flags(1), OURS, &socket(2)),
                part(DONE, flags(2), OURS, &[0; 4]),
            ];
            assert_eq!(read(&datagrams).0, [1, 2]);
            assert_eq!(error_of(&datagrams), "Interrupted", "{marked}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_number_wherever_it_stands() {
        let invalid = (-22_i32).to_ne_bytes();
        for kind in [ERROR, DONE] {
            let (_, reading) = read(&[part(kind, 0, OURS, &invalid)]);
            let Err(DiagError::Refused { error }) = reading.result() else {
                panic!("{kind}: {:?}", reading.result());
            };
            assert_eq!(error.raw_os_error(), Some(22));
        }
        let (_, reading) = read(&[part(ERROR, 0, OURS, &[0; 4])]);
        assert!(!reading.is_over(), "an acknowledgment ends nothing");
        // Kernels before 4.14 have no number there.
        assert!(read(&[part(DONE, 2, OURS, &[])]).1.result().is_ok());
    }

    #[test]
    fn overruns_and_damage_are_never_taken_for_a_whole_dump() {
        assert_eq!(error_of(&[part(OVERRUN, 0, OURS, &[]), done()]), "Lost");
        let short = part(BY_FAMILY, 2, OURS, &socket(1)[..HEAD - 1]);
        assert_eq!(error_of(&[short, done()]), "Damaged");
        let whole = [
            part(BY_FAMILY, 2, OURS, &socket(1)),
            part(BY_FAMILY, 2, OURS, &socket(2)),
        ]
        .concat();
        for cut in 1..whole.len() {
            let (cookies, reading) = read(&[whole[..cut].to_vec(), done()]);
            let is_between = cut == whole.len() / 2;
            assert_eq!(reading.result().is_ok(), is_between, "{cut}");
            assert_eq!(cookies.len(), cut / (whole.len() / 2), "{cut}");
        }
        for length in [0_u32, 15, 17, u32::MAX] {
            let mut liar = part(BY_FAMILY, 2, OURS, &[]);
            liar[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(error_of(&[liar, done()]), "Damaged", "{length}");
        }
    }

    #[test]
    fn other_protocols_and_unknown_kinds_are_left_out_and_counted() {
        let datagram = [
            part(BY_FAMILY, 2, OURS, &of_protocol(1, 132)),
            part(BY_FAMILY, 2, OURS, &of_protocol(2, 6)),
            part(1, 2, OURS, &[]),
            part(99, 2, OURS, &socket(3)),
            done(),
        ]
        .concat();
        let (cookies, reading) = read(&[datagram]);
        assert_eq!(cookies, [2]);
        let counts = reading.result().unwrap();
        assert_eq!((counts.other_protocols, counts.strangers), (1, 2));
    }
}
