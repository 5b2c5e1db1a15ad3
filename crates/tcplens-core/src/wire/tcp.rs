//! TCP header and option walk (RFC 9293 section 3.1, RFC 7323, RFC 2018, RFC 2883, RFC 7413, RFC 8684). Tolerant: stops
//! at the first bad option, keeps the earlier ones. Knows no state: what a segment means is the tracker's business.

use super::counts::Undecoded;
use super::segment::{Segment, SynOptions, flags, has, syn_option};
use super::view::{View, be16, be32, chunk};

// RFC 9293 section 3.1:
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// |          Source Port          |       Destination Port        |
// |                        Sequence Number                        |
// |                    Acknowledgment Number                      |
// | DOffset | Rsrvd |    Flags    |            Window             |
// |           Checksum            |         Urgent Pointer        |
// |                           Options ...                         |
const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const SEQ: usize = 4;
const ACK: usize = 8;
const DATA_OFFSET: usize = 12;
const FLAGS: usize = 13;
const WINDOW: usize = 14;
pub(super) const CHECKSUM: usize = 16;
/// Length of the header without options.
pub(super) const HEADER: u32 = 20;

/// Option kinds (IANA "TCP Option Kind Numbers").
mod kind {
    pub(super) const END: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const MSS: u8 = 2;
    pub(super) const WSCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMPS: u8 = 8;
    pub(super) const MPTCP: u8 = 30;
    pub(super) const FAST_OPEN: u8 = 34;
    pub(super) const EXPERIMENT: u8 = 254;
}

/// NOP, NOP, timestamps, length 10: how nearly every stack begins the options of an established connection
/// (RFC 7323 appendix A).
const ALIGNED_TIMESTAMPS: u32 = 0x0101_080a;
/// Length of those options.
const ALIGNED_TIMESTAMPS_LENGTH: u32 = 12;
/// Length of a Linux SYN's options.
const LINUX_SYN_LENGTH: u32 = 20;
/// RFC 7323 section 2.3: a larger shift count counts as 14.
const MAX_WSCALE: u8 = 14;
/// RFC 6994 experiment id of fast open (RFC 7413 section 4.1.1).
const FAST_OPEN_MAGIC: [u8; 2] = [0xf9, 0x89];

/// The ports of a TCP header.
#[inline(always)]
pub(super) fn ports(header: &[u8; HEADER as usize]) -> (u16, u16) {
    (be16(header, SOURCE_PORT), be16(header, DESTINATION_PORT))
}

/// The sequence number, given ports and sequence number as ICMP quotes them.
pub(super) fn quoted_seq(quote: &[u8; 8]) -> u32 {
    be32(quote, SEQ)
}

/// Fills everything that the TCP header tells: but for the ports, which make the key together with the addresses.
///
/// `view` begins at the TCP header and ends where IP says. `has` must be set before: bits are added.
#[inline(always)]
pub(super) fn fill(
    out: &mut Segment,
    view: View<'_>,
    header: &[u8; HEADER as usize],
) -> Result<(), Undecoded> {
    let header_length = u32::from(header[DATA_OFFSET] >> 4) * 4;
    if header_length < HEADER || header_length > view.length {
        return Err(Undecoded::BadTcpHeader);
    }
    out.seq = be32(header, SEQ);
    out.ack = be32(header, ACK);
    out.flags = header[FLAGS];
    out.window = be16(header, WINDOW);
    out.payload_length = view.length - header_length;
    let captured = view.captured();
    // An offset within the batch, even if the header itself was cut.
    let payload_at = header_length.min(captured);
    let payload_captured = (captured - payload_at).min(out.payload_length);
    (out.payload_at, out.payload_captured) = if view.in_batch {
        (view.at.wrapping_add(payload_at), payload_captured)
    } else {
        (0, 0)
    };
    out.syn = SynOptions::default();
    fill_options(out, view.bytes, header_length - HEADER);
    Ok(())
}

/// Fills what the options tell; `segment` begins at the TCP header and may be cut anywhere.
#[inline(always)]
fn fill_options(out: &mut Segment, segment: &[u8], length: u32) {
    (out.ts_value, out.ts_echo) = (0, 0);
    if length == 0 {
        return;
    }
    if length == ALIGNED_TIMESTAMPS_LENGTH
        && out.flags & flags::SYN == 0
        && let Some(options) = chunk::<{ ALIGNED_TIMESTAMPS_LENGTH as usize }>(segment, HEADER)
        && be32(options, 0) == ALIGNED_TIMESTAMPS
    {
        out.ts_value = be32(options, 4);
        out.ts_echo = be32(options, 8);
        out.has |= has::TIMESTAMPS;
        return;
    }
    if length == LINUX_SYN_LENGTH
        && let Some(options) = chunk::<{ LINUX_SYN_LENGTH as usize }>(segment, HEADER)
        && linux_syn(out, options)
    {
        return;
    }
    let options = segment.get(HEADER as usize..).unwrap_or_default();
    let cut = options.len() < length as usize;
    let options = options.get(..length as usize).unwrap_or(options);
    if walk(out, options).is_none() || cut {
        out.has |= has::OPTIONS_CUT;
    }
}

/// The options of a SYN in the order and alignment of Linux (net/ipv4/tcp_output.c, `tcp_options_write`): MSS, SACK
/// permitted, timestamps, NOP, window scale. False, and nothing filled, if they are others.
#[inline]
fn linux_syn(out: &mut Segment, options: &[u8; LINUX_SYN_LENGTH as usize]) -> bool {
    let is_layout = out.flags & flags::SYN != 0
        && be16(options, 0) == 0x0204
        && be32(options, 4) == 0x0402_080a
        && be32(options, 16) >> 8 == 0x0001_0303;
    if is_layout {
        out.syn.mss = be16(options, 2);
        out.syn.wscale = options[19].min(MAX_WSCALE);
        out.syn.bits =
            syn_option::MSS | syn_option::SACK | syn_option::TIMESTAMPS | syn_option::WSCALE;
        out.ts_value = be32(options, 8);
        out.ts_echo = be32(options, 12);
        out.has |= has::TIMESTAMPS;
    }
    is_layout
}

/// Walks the options; `None` at the first one that is malformed or goes beyond the end.
#[inline(never)]
fn walk(out: &mut Segment, mut options: &[u8]) -> Option<()> {
    let is_syn = out.flags & flags::SYN != 0;
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            kind::END => return Some(()),
            kind::NOP => options = rest,
            _ => {
                let length = usize::from(*rest.first()?);
                let body = options.get(2..length)?;
                one(out, kind, body, is_syn)?;
                options = options.get(length..)?;
            }
        }
    }
    Some(())
}

/// One option; `None` if its length is wrong. Those that only a SYN may carry are ignored elsewhere.
fn one(out: &mut Segment, kind: u8, body: &[u8], is_syn: bool) -> Option<()> {
    match kind {
        kind::TIMESTAMPS => {
            let body: &[u8; 8] = body.try_into().ok()?;
            out.ts_value = be32(body, 0);
            out.ts_echo = be32(body, 4);
            out.has |= has::TIMESTAMPS;
            if is_syn {
                out.syn.bits |= syn_option::TIMESTAMPS;
            }
        }
        kind::SACK => {
            let (blocks, partial) = body.as_chunks::<8>();
            if blocks.is_empty() || !partial.is_empty() {
                return None;
            }
            if out.flags & flags::ACK != 0 && is_dsack(blocks, out.ack) {
                out.has |= has::DSACK;
            }
        }
        kind::MSS if is_syn => {
            let body: &[u8; 2] = body.try_into().ok()?;
            out.syn.mss = be16(body, 0);
            out.syn.bits |= syn_option::MSS;
        }
        kind::WSCALE if is_syn => {
            let &[shift] = body else { return None };
            out.syn.wscale = shift.min(MAX_WSCALE);
            out.syn.bits |= syn_option::WSCALE;
        }
        kind::SACK_PERMITTED if is_syn => {
            if !body.is_empty() {
                return None;
            }
            out.syn.bits |= syn_option::SACK;
        }
        kind::FAST_OPEN if is_syn => fast_open(out, body),
        kind::EXPERIMENT if is_syn => {
            if let Some(cookie) = body.strip_prefix(&FAST_OPEN_MAGIC) {
                fast_open(out, cookie);
            }
        }
        kind::MPTCP if is_syn => out.syn.bits |= syn_option::MPTCP,
        _ => {}
    }
    Some(())
}

fn fast_open(out: &mut Segment, cookie: &[u8]) {
    out.syn.bits |= syn_option::FAST_OPEN;
    if !cookie.is_empty() {
        out.syn.bits |= syn_option::FAST_OPEN_COOKIE;
    }
}

/// RFC 2883 section 4: the first block reports a duplicate if it begins below the acknowledgment number, or lies
/// within the second block. (Linux decides alike: tcp_check_dsack in net/ipv4/tcp_input.c.)
fn is_dsack(blocks: &[[u8; 8]], ack: u32) -> bool {
    let edges = |block: &[u8; 8]| (be32(block, 0), be32(block, 4));
    let Some((left, right)) = blocks.first().map(edges) else {
        return false;
    };
    if !before(left, right) {
        return false;
    }
    if before(left, ack) {
        return true;
    }
    blocks
        .get(1)
        .map(edges)
        .is_some_and(|(outer_left, outer_right)| {
            before(outer_left, outer_right)
                && !before(left, outer_left)
                && !before(outer_right, right)
        })
}

/// `a` is before `b` in sequence space.
fn before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes a segment with these flags, acknowledging 1000, and these options (padded with END).
    fn segment(flag_bits: u8, options: &[u8]) -> Segment {
        let mut bytes = vec![0_u8; 20];
        bytes[8..12].copy_from_slice(&1000_u32.to_be_bytes());
        bytes.extend_from_slice(options);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes[12] = u8::try_from(bytes.len() / 4).unwrap() << 4;
        bytes[13] = flag_bits;
        let length = u32::try_from(bytes.len()).unwrap();
        let view = View {
            bytes: &bytes,
            length,
            at: 0,
            in_batch: true,
            is_claimed: false,
        };
        let mut out = Segment::default();
        fill(&mut out, view, view.head().unwrap()).unwrap();
        out
    }

    fn sack(blocks: &[(u32, u32)]) -> Vec<u8> {
        let mut option = vec![5, u8::try_from(blocks.len() * 8 + 2).unwrap()];
        for (left, right) in blocks {
            option.extend_from_slice(&left.to_be_bytes());
            option.extend_from_slice(&right.to_be_bytes());
        }
        option
    }

    #[test]
    fn syn_of_linux_gives_all_its_options() {
        let out = segment(
            flags::SYN,
            &[
                2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 3, 3, 7,
            ],
        );
        assert_eq!(out.syn.mss, 1460);
        assert_eq!(out.syn.wscale, 7);
        assert_eq!(
            out.syn.bits,
            syn_option::MSS | syn_option::SACK | syn_option::TIMESTAMPS | syn_option::WSCALE
        );
        assert_eq!(
            (out.has, out.ts_value, out.ts_echo),
            (has::TIMESTAMPS, 7, 0)
        );
    }

    #[test]
    fn window_scale_above_fourteen_counts_as_fourteen() {
        assert_eq!(segment(flags::SYN, &[3, 3, 200]).syn.wscale, 14);
    }

    #[test]
    fn syn_options_without_syn_are_ignored() {
        assert_eq!(
            segment(flags::ACK, &[2, 4, 5, 0xb4, 3, 3, 7, 4, 2]).syn,
            SynOptions::default()
        );
    }

    #[test]
    fn fast_open_is_found_in_both_forms_with_and_without_cookie() {
        use syn_option::{FAST_OPEN, FAST_OPEN_COOKIE};
        let bits = |options: &[u8]| segment(flags::SYN, options).syn.bits;
        assert_eq!(bits(&[34, 2]), FAST_OPEN);
        assert_eq!(bits(&[34, 6, 1, 2, 3, 4]), FAST_OPEN | FAST_OPEN_COOKIE);
        assert_eq!(bits(&[254, 4, 0xf9, 0x89]), FAST_OPEN);
        assert_eq!(
            bits(&[254, 8, 0xf9, 0x89, 1, 2, 3, 4]),
            FAST_OPEN | FAST_OPEN_COOKIE
        );
        assert_eq!(bits(&[254, 4, 0xe2, 0xd4]), 0);
    }

    #[test]
    fn mptcp_is_found() {
        assert_eq!(
            segment(flags::SYN, &[30, 4, 0, 1]).syn.bits,
            syn_option::MPTCP
        );
    }

    #[test]
    fn a_bad_option_ends_the_walk_and_keeps_the_earlier_ones() {
        for bad in [&[8, 3, 0][..], &[5, 0], &[77, 40], &[3, 4, 1, 1]] {
            let mut options = vec![2, 4, 5, 0xb4];
            options.extend_from_slice(bad);
            options.extend_from_slice(&[4, 2]);
            let out = segment(flags::SYN, &options);
            assert_eq!(
                (out.syn.mss, out.syn.bits),
                (1460, syn_option::MSS),
                "{bad:?}"
            );
            assert_eq!(out.has, has::OPTIONS_CUT);
        }
    }

    #[test]
    fn dsack_is_a_first_block_below_the_ack_or_within_the_second() {
        let dsack =
            |blocks: &[(u32, u32)]| segment(flags::ACK, &sack(blocks)).has & has::DSACK != 0;
        assert!(dsack(&[(900, 950)]));
        assert!(dsack(&[(900, 1000), (2000, 3000)]));
        assert!(dsack(&[(2100, 2200), (2000, 3000)]));
        assert!(dsack(&[(2000, 3000), (2000, 3000)]));
        assert!(!dsack(&[(2000, 3000)]));
        assert!(!dsack(&[(2000, 3000), (2100, 2200)]));
        assert!(!dsack(&[(1000, 1100)]));
        assert!(
            !dsack(&[(950, 900)]),
            "a block that ends before it begins is no report"
        );
        assert!(dsack(&[(u32::MAX - 5, 3)]), "sequence space wraps");
    }

    #[test]
    fn options_cut_by_the_snap_length_are_marked() {
        let mut bytes = [0_u8; 28];
        bytes[12] = 8 << 4;
        bytes[20..28].copy_from_slice(&[1, 1, 8, 10, 0, 0, 0, 1]);
        let view = View {
            bytes: &bytes,
            length: 132,
            at: 0,
            in_batch: true,
            is_claimed: false,
        };
        let mut out = Segment::default();
        fill(&mut out, view, view.head().unwrap()).unwrap();
        assert_eq!(
            (out.has, out.payload_length, out.payload_captured),
            (has::OPTIONS_CUT, 100, 0)
        );
    }

    #[test]
    fn a_header_that_is_too_short_or_longer_than_its_packet_is_refused() {
        let bytes = [0x40_u8; 20];
        let view = View {
            bytes: &bytes,
            length: 20,
            at: 0,
            in_batch: true,
            is_claimed: false,
        };
        let mut out = Segment::default();
        assert_eq!(
            fill(&mut out, view, view.head().unwrap()),
            Err(Undecoded::BadTcpHeader)
        );
        let bytes = [0x60_u8; 24];
        let view = View {
            bytes: &bytes,
            length: 23,
            at: 0,
            in_batch: true,
            is_claimed: false,
        };
        assert_eq!(
            fill(&mut out, view, view.head().unwrap()),
            Err(Undecoded::BadTcpHeader)
        );
    }
}
