//! One socket as sock_diag tells it (sock_diag(7), include/uapi/linux/inet_diag.h): `struct inet_diag_msg`, 72 bytes, and
//! attributes behind it, all in the host's order but for ports and addresses.
//!
//! Bytes are kept as they came: what is not known here is not lost.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::tcp_info::TcpInfo;

/// Bytes of `struct inet_diag_msg`.
pub const HEAD: usize = 72;

/// The numbers of attributes: `INET_DIAG_*`.
pub mod kind {
    /// struct inet_diag_meminfo: rmem, wmem, fmem, tmem.
    pub const MEMINFO: u16 = 1;
    /// struct tcp_info.
    pub const INFO: u16 = 2;
    /// struct tcpvegas_info.
    pub const VEGASINFO: u16 = 3;
    /// The congestion control's name, ends with a zero byte.
    pub const CONG: u16 = 4;
    /// IPv4's type of service, one byte.
    pub const TOS: u16 = 5;
    /// IPv6's traffic class, one byte.
    pub const TCLASS: u16 = 6;
    /// sock_diag's memory: nine numbers (SK_MEMINFO_*).
    pub const SKMEMINFO: u16 = 7;
    /// Which directions are shut down: 1 receiving, 2 sending.
    pub const SHUTDOWN: u16 = 8;
    /// struct tcp_dctcp_info.
    pub const DCTCPINFO: u16 = 9;
    /// The protocol, one byte.
    pub const PROTOCOL: u16 = 10;
    /// The socket is for IPv6 only, one byte.
    pub const SKV6ONLY: u16 = 11;
    /// Local addresses (SCTP).
    pub const LOCALS: u16 = 12;
    /// Peers (SCTP).
    pub const PEERS: u16 = 13;
    /// Padding.
    pub const PAD: u16 = 14;
    /// SO_MARK, four bytes; only for who has CAP_NET_ADMIN.
    pub const MARK: u16 = 15;
    /// struct tcp_bbr_info.
    pub const BBRINFO: u16 = 16;
    /// net_cls class, four bytes.
    pub const CLASS_ID: u16 = 17;
    /// MD5 signatures.
    pub const MD5SIG: u16 = 18;
    /// State of an upper layer (kernel TLS, MPTCP), nested.
    pub const ULP_INFO: u16 = 19;
    /// BPF socket storages, nested.
    pub const SK_BPF_STORAGES: u16 = 20;
    /// Number of the control group, eight bytes.
    pub const CGROUP_ID: u16 = 21;
    /// Socket options, bits.
    pub const SOCKOPT: u16 = 22;
}

/// The states of a TCP socket (include/net/tcp_states.h).
pub mod state {
    /// Data flows.
    pub const ESTABLISHED: u8 = 1;
    /// SYN sent.
    pub const SYN_SENT: u8 = 2;
    /// SYN received: not a socket yet.
    pub const SYN_RECV: u8 = 3;
    /// FIN sent.
    pub const FIN_WAIT1: u8 = 4;
    /// FIN sent and acknowledged.
    pub const FIN_WAIT2: u8 = 5;
    /// Waits for late segments; no socket any more.
    pub const TIME_WAIT: u8 = 6;
    /// Closed.
    pub const CLOSE: u8 = 7;
    /// The peer's FIN came.
    pub const CLOSE_WAIT: u8 = 8;
    /// The peer's FIN came, ours was sent.
    pub const LAST_ACK: u8 = 9;
    /// Takes connections.
    pub const LISTEN: u8 = 10;
    /// Both FINs were sent at once.
    pub const CLOSING: u8 = 11;
    /// SYN received, as the kernel keeps it apart since 4.4.
    pub const NEW_SYN_RECV: u8 = 12;
}

/// A socket, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    head: &'a [u8; HEAD],
    attributes: &'a [u8],
}

/// The ends, by their families: IPv4-mapped addresses are IPv4.
pub type End = (IpAddr, u16);

impl<'a> Message<'a> {
    /// Of the payload of one netlink message; `None`: it is too short.
    #[must_use]
    pub fn new(payload: &'a [u8]) -> Option<Message<'a>> {
        let (head, attributes) = payload.split_first_chunk()?;
        Some(Message { head, attributes })
    }

    /// Of its two parts.
    #[must_use]
    pub fn of(head: &'a [u8; HEAD], attributes: &'a [u8]) -> Message<'a> {
        Message { head, attributes }
    }

    /// `struct inet_diag_msg`.
    #[must_use]
    pub fn head(self) -> &'a [u8; HEAD] {
        self.head
    }

    /// The attributes as they came.
    #[must_use]
    pub fn attribute_bytes(self) -> &'a [u8] {
        self.attributes
    }

    fn bytes<const N: usize>(self, at: usize) -> [u8; N] {
        let bytes = self
            .head
            .get(at..at + N)
            .and_then(|all| all.try_into().ok());
        bytes.unwrap_or([0; N])
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(at))
    }

    /// AF_INET (2) or AF_INET6 (10).
    #[inline]
    #[must_use]
    pub fn family(self) -> u8 {
        self.head[0]
    }

    /// One of [`state`].
    #[inline]
    #[must_use]
    pub fn state(self) -> u8 {
        self.head[1]
    }

    /// Which timer runs: 0 none, 1 retransmission, 2 keep-alive, 3 TIME_WAIT, 4 window probe, 5 delayed ACK.
    #[must_use]
    pub fn timer(self) -> u8 {
        self.head[2]
    }

    /// How often that timer has fired.
    #[must_use]
    pub fn retransmits(self) -> u8 {
        self.head[3]
    }

    /// Our end.
    #[must_use]
    pub fn local(self) -> End {
        (self.address(8), u16::from_be_bytes(self.bytes(4)))
    }

    /// The other end; unspecified for a listener.
    #[must_use]
    pub fn remote(self) -> End {
        (self.address(24), u16::from_be_bytes(self.bytes(6)))
    }

    /// By the family: an anonymised IPv6 address may look like an IPv4 one.
    fn address(self, at: usize) -> IpAddr {
        const AF_INET: u8 = 2;
        if self.family() == AF_INET {
            return Ipv4Addr::from_octets(self.bytes(at)).into();
        }
        IpAddr::from(Ipv6Addr::from_octets(self.bytes(at))).to_canonical()
    }

    /// Number of the interface it is bound to; 0: none.
    #[must_use]
    pub fn interface(self) -> u32 {
        self.u32(40)
    }

    /// The kernel's number for the socket: never used twice until the machine is started again. 0 or all ones: it has none.
    #[inline]
    #[must_use]
    pub fn cookie(self) -> u64 {
        u64::from(self.u32(44)) | u64::from(self.u32(48)) << 32
    }

    /// Until the timer fires, ms.
    #[must_use]
    pub fn expires_ms(self) -> u32 {
        self.u32(52)
    }

    /// Bytes that the application has not read; of a listener: connections that wait for accept(2).
    #[must_use]
    pub fn rqueue(self) -> u32 {
        self.u32(56)
    }

    /// Bytes that are not acknowledged, FIN and all that is not sent included; of a listener: how many may wait.
    #[must_use]
    pub fn wqueue(self) -> u32 {
        self.u32(60)
    }

    /// Whose it is.
    #[must_use]
    pub fn uid(self) -> u32 {
        self.u32(64)
    }

    /// Its inode: what /proc/PID/fd points to; 0: no process has it.
    #[must_use]
    pub fn inode(self) -> u32 {
        self.u32(68)
    }

    /// Its attributes, in the order in which they came.
    #[inline]
    #[must_use]
    pub fn attributes(self) -> Attributes<'a> {
        Attributes(self.attributes)
    }

    /// The first attribute of a kind.
    #[must_use]
    pub fn attribute(self, kind: u16) -> Option<&'a [u8]> {
        self.attributes()
            .find_map(|(found, value)| (found == kind).then_some(value))
    }

    /// The statistics; absent for listeners of old kernels and for what is left of a socket in TIME_WAIT or FIN_WAIT2.
    #[must_use]
    pub fn tcp_info(self) -> Option<TcpInfo<'a>> {
        self.attribute(kind::INFO).map(TcpInfo::new)
    }

    /// An orphan's remains (`struct inet_timewait_sock`): TIME_WAIT, or FIN_WAIT2 without statistics.
    #[must_use]
    pub fn is_remains(self) -> bool {
        match self.state() {
            state::TIME_WAIT => true,
            state::FIN_WAIT2 => self.attribute(kind::INFO).is_none(),
            _ => false,
        }
    }
}

/// Attributes, as netlink(7) lays them out: length and kind of two bytes each, value, padding to four bytes.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Of what comes behind a head.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Attributes<'a> {
        Attributes(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    /// One that claims more than there is ends them.
    #[inline]
    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        /// NLA_TYPE_MASK: the two highest bits are flags.
        const KIND: u16 = 0x3fff;
        let (&[a, b, c, d], _) = self.0.split_first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & KIND, value))
    }
}

/// Appends an attribute, padded.
pub fn push_attribute(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // Longer ones are none: the length has two bytes.
    let Ok(length) = u16::try_from(value.len() + 4) else {
        return;
    };
    to.extend_from_slice(&length.to_ne_bytes());
    to.extend_from_slice(&kind.to_ne_bytes());
    to.extend_from_slice(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10.10.0.1:5001 to 10.10.0.2:20001, cookie 0x1007: of golden/tcp-info's sample for Linux 6.18.
    fn sample() -> Vec<u8> {
        let mut head = vec![0; HEAD];
        head[..8].copy_from_slice(&[2, 1, 0, 0, 0x13, 0x89, 0x4e, 0x21]);
        head[8..12].copy_from_slice(&[10, 10, 0, 1]);
        head[24..28].copy_from_slice(&[10, 10, 0, 2]);
        head[40..44].copy_from_slice(&3_u32.to_ne_bytes());
        head[44..48].copy_from_slice(&0x1007_u32.to_ne_bytes());
        head[48..52].copy_from_slice(&1_u32.to_ne_bytes());
        push_attribute(&mut head, kind::CONG, b"bbr\0");
        push_attribute(&mut head, kind::SHUTDOWN, &[1]);
        push_attribute(&mut head, 99, b"");
        head
    }

    #[test]
    fn ends_cookie_and_attributes_are_read() {
        let bytes = sample();
        let message = Message::new(&bytes).unwrap();
        assert_eq!(message.local(), ("10.10.0.1".parse().unwrap(), 5001));
        assert_eq!(message.remote(), ("10.10.0.2".parse().unwrap(), 20001));
        assert_eq!((message.interface(), message.cookie()), (3, 0x1_0000_1007));
        let attributes: Vec<_> = message.attributes().collect();
        let expected: [(u16, &[u8]); 3] = [(4, b"bbr\0"), (8, &[1]), (99, b"")];
        assert_eq!(attributes, expected);
        assert_eq!(message.attribute(8), Some(&[1_u8][..]));
        assert!(message.tcp_info().is_none() && !message.is_remains());
    }

    #[test]
    fn the_family_decides_what_an_address_is() {
        let mut bytes = sample();
        bytes[0] = 10;
        // fd00:20:: shortened to a /48, twelve zero bytes behind it.
        bytes[8..24].copy_from_slice(&[0xfd, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes[24..40].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3]);
        let message = Message::new(&bytes).unwrap();
        assert_eq!(message.local().0, "fd00:20::".parse::<IpAddr>().unwrap());
        assert_eq!(message.remote().0, "10.1.2.3".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn attributes_that_lie_about_their_length_end_the_walk() {
        for cut in 0..sample().len() {
            let bytes = &sample()[..cut];
            if let Some(message) = Message::new(bytes) {
                assert!(message.attributes().count() <= 3);
            }
        }
        for length in [0_u16, 1, 3, 5, 0xffff] {
            let bytes = [&length.to_ne_bytes()[..], &[1, 0]].concat();
            assert_eq!(Attributes::new(&bytes).count(), 0, "{length}");
        }
    }
}
