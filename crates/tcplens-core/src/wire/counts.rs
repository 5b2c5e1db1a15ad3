//! What decoding counts: packets that gave no segment, each with one reason, and bounds that were reached.
//!
//! Every packet is in exactly one of `tcp_segments`, `icmp_errors` and `undecoded`.

/// Why a packet gave neither a TCP segment nor an ICMP error that quotes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Undecoded {
    /// Address resolution (also RARP).
    Arp,
    /// UDP that carries no tunnel known here.
    Udp,
    /// ICMP that is no error, or an error that quotes no TCP.
    Icmp,
    /// Another IP protocol.
    OtherIpProtocol,
    /// Another ethertype, LLC protocol, PPP protocol or address family.
    OtherEthertype,
    /// An IP fragment that is not the one which completes its datagram.
    Fragment,
    /// A link type that is not read here.
    UnknownLinkType,
    /// Captured bytes end in a link, VLAN, MPLS or PPP header.
    CutLinkHeader,
    /// Captured bytes end in an IP header or extension header.
    CutIpHeader,
    /// Captured bytes end in the header of GRE or of a tunnel over UDP.
    CutTunnelHeader,
    /// Captured bytes end in the first 20 bytes of a TCP header.
    CutTcpHeader,
    /// Not IP version 4 or 6, or lengths that contradict themselves.
    BadIpHeader,
    /// A TCP header shorter than 20 bytes, or longer than the IP packet that carries it.
    BadTcpHeader,
    /// A fragment that fits no datagram: empty, beyond 64 KiB, or contradicting those before it.
    BadFragment,
    /// A fragment of a datagram that was given up: it stayed incomplete, or there were too many.
    FragmentIncomplete,
    /// More headers than [`MAX_HEADERS`](super::decode::MAX_HEADERS).
    TooManyHeaders,
}

impl Undecoded {
    /// All of them, in the order of their numbers.
    pub const ALL: [Undecoded; 16] = [
        Undecoded::Arp,
        Undecoded::Udp,
        Undecoded::Icmp,
        Undecoded::OtherIpProtocol,
        Undecoded::OtherEthertype,
        Undecoded::Fragment,
        Undecoded::UnknownLinkType,
        Undecoded::CutLinkHeader,
        Undecoded::CutIpHeader,
        Undecoded::CutTunnelHeader,
        Undecoded::CutTcpHeader,
        Undecoded::BadIpHeader,
        Undecoded::BadTcpHeader,
        Undecoded::BadFragment,
        Undecoded::FragmentIncomplete,
        Undecoded::TooManyHeaders,
    ];

    /// Its name in `health`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Undecoded::Arp => "arp",
            Undecoded::Udp => "udp",
            Undecoded::Icmp => "icmp",
            Undecoded::OtherIpProtocol => "other_ip_protocol",
            Undecoded::OtherEthertype => "other_ethertype",
            Undecoded::Fragment => "fragment",
            Undecoded::UnknownLinkType => "unknown_link_type",
            Undecoded::CutLinkHeader => "cut_link_header",
            Undecoded::CutIpHeader => "cut_ip_header",
            Undecoded::CutTunnelHeader => "cut_tunnel_header",
            Undecoded::CutTcpHeader => "cut_tcp_header",
            Undecoded::BadIpHeader => "bad_ip_header",
            Undecoded::BadTcpHeader => "bad_tcp_header",
            Undecoded::BadFragment => "bad_fragment",
            Undecoded::FragmentIncomplete => "fragment_incomplete",
            Undecoded::TooManyHeaders => "too_many_headers",
        }
    }

    /// True if TCP may have been missed; false for ordinary traffic that is not TCP.
    #[must_use]
    pub fn is_defect(self) -> bool {
        match self {
            Undecoded::Arp
            | Undecoded::Udp
            | Undecoded::Icmp
            | Undecoded::OtherIpProtocol
            | Undecoded::OtherEthertype
            | Undecoded::Fragment => false,
            Undecoded::UnknownLinkType
            | Undecoded::CutLinkHeader
            | Undecoded::CutIpHeader
            | Undecoded::CutTunnelHeader
            | Undecoded::CutTcpHeader
            | Undecoded::BadIpHeader
            | Undecoded::BadTcpHeader
            | Undecoded::BadFragment
            | Undecoded::FragmentIncomplete
            | Undecoded::TooManyHeaders => true,
        }
    }
}

/// Everything a [`Decoder`](super::Decoder) counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Packets that gave a TCP segment.
    pub tcp_segments: u64,
    /// Packets that gave an ICMP error which quotes a TCP segment.
    pub icmp_errors: u64,
    /// Packets of which fewer bytes were captured than were on the wire.
    pub cut_packets: u64,
    /// IP fragments, whatever became of them.
    pub fragments: u64,
    /// Wrong TCP and IPv4 header checksums, where they are checked.
    pub bad_checksums: u64,
    /// Datagrams given up because too many were incomplete at once.
    pub fragment_datagram_limit_hits: u64,
    /// Datagrams given up because all fragments together took too many bytes.
    pub fragment_byte_limit_hits: u64,
    /// Datagrams given up because one consisted of too many separate pieces.
    pub fragment_piece_limit_hits: u64,
    pub(super) undecoded: [u64; Undecoded::ALL.len()],
}

impl DecodeCounts {
    /// Packets that gave nothing, for one reason.
    #[must_use]
    pub fn undecoded(&self, reason: Undecoded) -> u64 {
        self.undecoded[reason as usize]
    }

    /// Packets that gave nothing, by reason, those with none left out.
    pub fn all_undecoded(&self) -> impl Iterator<Item = (Undecoded, u64)> + '_ {
        Undecoded::ALL
            .into_iter()
            .zip(self.undecoded)
            .filter(|&(_, packets)| packets > 0)
    }

    /// Bounds that were reached, by name, those that were not left out.
    pub fn limit_hits(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        [
            ("fragment_datagrams", self.fragment_datagram_limit_hits),
            ("fragment_bytes", self.fragment_byte_limit_hits),
            ("fragment_pieces", self.fragment_piece_limit_hits),
            ("headers", self.undecoded(Undecoded::TooManyHeaders)),
        ]
        .into_iter()
        .filter(|&(_, hits)| hits > 0)
    }

    /// All packets that were decoded or counted.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.tcp_segments + self.icmp_errors + self.undecoded.iter().sum::<u64>()
    }

    /// Adds what another decoder counted.
    pub fn add(&mut self, other: &DecodeCounts) {
        let DecodeCounts {
            tcp_segments,
            icmp_errors,
            cut_packets,
            fragments,
            bad_checksums,
            fragment_datagram_limit_hits,
            fragment_byte_limit_hits,
            fragment_piece_limit_hits,
            undecoded,
        } = other;
        self.tcp_segments += tcp_segments;
        self.icmp_errors += icmp_errors;
        self.cut_packets += cut_packets;
        self.fragments += fragments;
        self.bad_checksums += bad_checksums;
        self.fragment_datagram_limit_hits += fragment_datagram_limit_hits;
        self.fragment_byte_limit_hits += fragment_byte_limit_hits;
        self.fragment_piece_limit_hits += fragment_piece_limit_hits;
        for (count, more) in self.undecoded.iter_mut().zip(undecoded) {
            *count += more;
        }
    }

    #[cold]
    pub(super) fn count(&mut self, reason: Undecoded) {
        self.undecoded[reason as usize] += 1;
    }

    /// Moves fragments that were held to the reason they are now counted under.
    pub(super) fn give_up_fragments(&mut self, packets: u64) {
        let held = &mut self.undecoded[Undecoded::Fragment as usize];
        debug_assert!(*held >= packets, "every held fragment was counted");
        *held = held.saturating_sub(packets);
        self.undecoded[Undecoded::FragmentIncomplete as usize] += packets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_in_the_order_of_their_numbers_with_different_words() {
        for (number, reason) in Undecoded::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            assert_eq!(
                Undecoded::ALL
                    .iter()
                    .filter(|r| r.word() == reason.word())
                    .count(),
                1
            );
        }
    }
}
