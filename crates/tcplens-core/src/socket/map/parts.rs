//! The attributes of a message as parts of its record.

use super::super::TcpInfo;
use super::super::message::{Message, kind};
use super::{hex, push_hex, repeated, statistics, tail};
use crate::record::{SocketMemory, SocketOptions, SocketShutdown, TcpAlgorithm, TcpStatistics};
use crate::time::Span;

/// What the attributes say.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) tcp: Option<Box<TcpStatistics>>,
    pub(super) congestion: Option<&'a str>,
    pub(super) algorithm: Option<Box<TcpAlgorithm>>,
    pub(super) memory: Option<Box<SocketMemory>>,
    pub(super) options: Option<Box<SocketOptions>>,
    pub(super) shutdown: Option<SocketShutdown>,
    pub(super) cgroup_id: Option<u64>,
    pub(super) tcp_info_tail: Option<String>,
    pub(super) unknown: Option<String>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(message: Message<'a>) -> Parts<'a> {
        let mut parts = Parts::default();
        let repeated = repeated(message);
        for (kind, value) in message.attributes() {
            let is_repeated = 1_u64.checked_shl(u32::from(kind)).unwrap_or(0) & repeated != 0;
            let is_told = parts.take(kind, value) == Some(true);
            if !is_told || is_repeated {
                push_hex(&mut parts.unknown, kind, value);
            }
        }
        parts
    }

    /// `Some(true)`: the fields say all that it says.
    fn take(&mut self, kind: u16, value: &'a [u8]) -> Option<bool> {
        match kind {
            kind::INFO => return self.info(value),
            kind::CONG => {
                let name = std::str::from_utf8(value.strip_suffix(&[0])?).ok()?;
                let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
                self.congestion = Some(name).filter(|_| is_plain);
                return Some(is_plain);
            }
            kind::SHUTDOWN => {
                let [bits] = *value.first_chunk()?;
                self.shutdown = SocketShutdown::of(bits);
                return Some(self.shutdown.is_some() && value.len() == 1);
            }
            kind::CGROUP_ID => self.cgroup_id = Some(u64::from_ne_bytes(value.try_into().ok()?)),
            kind::MEMINFO => {
                let [rmem, wmem, fmem, tmem] = numbers(value)?;
                let memory = self.memory.get_or_insert_default();
                memory.mem_rmem = Some(rmem);
                memory.mem_wmem = Some(wmem);
                memory.mem_fmem = Some(fmem);
                memory.mem_tmem = Some(tmem);
            }
            kind::SKMEMINFO => return self.skmem(value),
            kind::VEGASINFO => {
                let [enabled, rttcnt, rtt, minrtt] = numbers(value)?;
                let vegas = self.algorithm.get_or_insert_default();
                vegas.vegas_enabled = Some(enabled != 0);
                vegas.vegas_rttcnt = Some(rttcnt);
                vegas.vegas_rtt_us = Some(micros(rtt));
                vegas.vegas_minrtt_us = (minrtt != 0x7fff_ffff).then(|| micros(minrtt));
                return Some(enabled <= 1);
            }
            kind::DCTCPINFO => {
                let (&[a, b, c, d], numbers_from) = value.split_first_chunk()?;
                let [alpha, ab_ecn, ab_tot] = numbers(numbers_from)?;
                let enabled = u16::from_ne_bytes([a, b]);
                let dctcp = self.algorithm.get_or_insert_default();
                dctcp.dctcp_enabled = Some(enabled != 0);
                dctcp.dctcp_ce_state = Some(u64::from(u16::from_ne_bytes([c, d])));
                dctcp.dctcp_alpha = Some(alpha);
                dctcp.dctcp_ab_ecn = Some(ab_ecn);
                dctcp.dctcp_ab_tot = Some(ab_tot);
                return Some(enabled <= 1);
            }
            kind::BBRINFO => {
                let [low, high, min_rtt, pacing, cwnd] = numbers(value)?;
                let bbr = self.algorithm.get_or_insert_default();
                bbr.bbr_bw = Some(low | high << 32);
                bbr.bbr_min_rtt_us = (min_rtt != 0xffff_ffff).then(|| micros(min_rtt));
                bbr.bbr_pacing_gain = Some(pacing);
                bbr.bbr_cwnd_gain = Some(cwnd);
            }
            _ => return self.option(kind, value),
        }
        Some(true)
    }

    fn info(&mut self, value: &[u8]) -> Option<bool> {
        let read = statistics::read(TcpInfo::new(value));
        self.tcp = Some(Box::new(read.statistics));
        let tail = tail(value);
        self.tcp_info_tail = (!tail.is_empty()).then(|| {
            let mut text = String::new();
            hex(&mut text, tail);
            text
        });
        Some(read.is_whole)
    }

    fn skmem(&mut self, value: &[u8]) -> Option<bool> {
        let memory = self.memory.get_or_insert_default();
        // Older kernels have fewer.
        let fields = [
            &mut memory.skmem_rmem_alloc,
            &mut memory.skmem_rcvbuf,
            &mut memory.skmem_wmem_alloc,
            &mut memory.skmem_sndbuf,
            &mut memory.skmem_fwd_alloc,
            &mut memory.skmem_wmem_queued,
            &mut memory.skmem_optmem,
            &mut memory.skmem_backlog,
            &mut memory.skmem_drops,
        ];
        let is_whole =
            value.len().is_multiple_of(4) && (4..=4 * fields.len()).contains(&value.len());
        let (words, _) = value.as_chunks();
        for (field, word) in fields.into_iter().zip(words) {
            *field = Some(u64::from(u32::from_ne_bytes(*word)));
        }
        Some(is_whole)
    }

    fn option(&mut self, kind: u16, value: &[u8]) -> Option<bool> {
        let byte = || match *value {
            [byte] => Some(u64::from(byte)),
            _ => None,
        };
        let word = || numbers(value).map(|[word]| word);
        match kind {
            kind::TOS => self.options().tos = Some(byte()?),
            kind::TCLASS => self.options().tclass = Some(byte()?),
            kind::CLASS_ID => self.options().class_id = Some(word()?),
            kind::MARK => self.options().mark = Some(word()?),
            kind::PROTOCOL => self.options().protocol = Some(byte()?),
            kind::SKV6ONLY => {
                let bits = byte()?;
                self.options().v6only = Some(bits != 0);
                return Some(bits <= 1);
            }
            kind::SOCKOPT => {
                let &[first, second] = value else {
                    return None;
                };
                let options = self.options();
                let bit = |byte: u8, bit: u8| Some(byte >> bit & 1 != 0);
                options.recverr = bit(first, 0);
                options.is_icsk = bit(first, 1);
                options.freebind = bit(first, 2);
                options.hdrincl = bit(first, 3);
                options.mc_loop = bit(first, 4);
                options.transparent = bit(first, 5);
                options.mc_all = bit(first, 6);
                options.nodefrag = bit(first, 7);
                options.bind_address_no_port = bit(second, 0);
                options.recverr_rfc4884 = bit(second, 1);
                options.defer_connect = bit(second, 2);
                return Some(second >> 3 == 0);
            }
            _ => return None,
        }
        Some(true)
    }

    fn options(&mut self) -> &mut SocketOptions {
        self.options.get_or_insert_default()
    }
}

/// Exactly as many numbers as there are.
fn numbers<const N: usize>(value: &[u8]) -> Option<[u64; N]> {
    let (words, rest) = value.as_chunks();
    if words.len() != N || !rest.is_empty() {
        return None;
    }
    let mut numbers = [0; N];
    for (number, word) in numbers.iter_mut().zip(words) {
        *number = u64::from(u32::from_ne_bytes(*word));
    }
    Some(numbers)
}

fn micros(us: u64) -> Span {
    Span::from_ns(us.saturating_mul(1000))
}
