//! Records `socket` as JSON Lines (docs/records.md), read back: what the kernel said is made of their fields again.

use std::borrow::Cow;
use std::net::IpAddr;

use tcplens_core::record::{
    CaState, Socket, SocketClose, SocketFamily, SocketMemory, SocketOptions, SocketShutdown,
    SocketState, SocketTimer, TcpAlgorithm, TcpStatistics, Word,
};
use tcplens_core::socket::message::HEAD;
use tcplens_core::socket::{Context, Message, map, rebuild};
use tcplens_core::time::{Span, Timestamp};

use super::super::line::{Final, Metadata};
use super::super::stamp::Stamp;
use super::parse::Found;
use crate::read_json::{Json, Value};

/// How lines of records begin: the kind is first.
const BEGINNING: &[u8] = b"{\"kind\":\"socket\",";

/// Names and values of one line.
struct Fields<'a>(Vec<(Cow<'a, [u8]>, Value<'a>)>);

impl<'a> Fields<'a> {
    /// `None`: another type, or a word that is not known.
    fn read<T: Read<'a>>(&'a self, name: &str) -> Option<Option<T>> {
        let mut all = self.0.iter();
        let Some((_, value)) = all.find(|(found, _)| **found == *name.as_bytes()) else {
            return Some(None);
        };
        match value {
            Value::Null => Some(None),
            value => T::read(value).map(Some),
        }
    }
}

/// A type that a field may have.
trait Read<'a>: Sized {
    fn read(value: &'a Value<'a>) -> Option<Self>;
}

/// Whether this line is a record's.
pub(super) fn is_record(text: &[u8]) -> bool {
    text.starts_with(BEGINNING)
}

/// Reads a line; its message goes to `message`.
pub(super) fn parse(text: &[u8], message: &mut Vec<u8>) -> Result<Found, &'static str> {
    const BAD: &str = "a record that cannot be understood";
    let mut fields = Fields(Vec::new());
    let mut json = Json::new(text);
    json.object(|json, name| {
        fields.0.push((name.clone(), json.value()?));
        Some(())
    })
    .and_then(|()| json.end())
    .ok_or("no JSON object")?;
    let time = fields.read::<Timestamp>("time").flatten().ok_or(BAD)?;
    let head = [0; HEAD];
    // All fields that matter are set, be it to nothing.
    let mut socket = map::socket(Message::of(&head, &[]), &Context::default());
    fill(&mut socket, &fields).ok_or(BAD)?;
    message.clear();
    message.extend_from_slice(&rebuild::message(&socket));
    let metadata = socket.uuid.zip(socket.sequence);
    let metadata = metadata.and_then(|(uuid, sequence)| {
        Some(Metadata {
            uuid: uuid.into(),
            sequence: u32::try_from(sequence).ok()?,
            start_time: Stamp {
                at: socket.first_seen,
                offset_minutes: 0,
            },
        })
    });
    let ended = socket.is_final.then(|| Final {
        reason: socket.close.and_then(Word::word).map(Into::into),
        duration: socket.duration_us,
        polls: None,
        snapshots: None,
    });
    Ok(Found {
        at: time.into(),
        metadata,
        has_message: true,
        places: 1,
        ended,
    })
}

/// Sets fields by their names; the value is how many of them there are.
macro_rules! fill {
    ($to:expr, $fields:ident: $($name:ident),+ $(,)?) => {{
        let mut present = 0_u32;
        $(
            $to.$name = $fields.read(stringify!($name))?;
            present += u32::from($to.$name.is_some());
        )+
        present
    }};
}

fn fill<'a>(socket: &mut Socket<'a>, fields: &'a Fields<'a>) -> Option<()> {
    socket.local_ip = fields.read("local_ip")??;
    socket.local_port = fields.read("local_port")??;
    socket.timer_retransmits = fields.read("timer_retransmits")?.unwrap_or_default();
    socket.is_final = fields.read("final")?.unwrap_or_default();
    fill!(socket, fields: state, remote_ip, remote_port, family, ifindex, uid, inode, cgroup_id, timer, timer_us, rqueue_bytes, wqueue_bytes, accept_queue, accept_queue_max, shutdown, congestion, tcp_info_tail, unknown_attributes, socket_cookie, uuid, sequence, first_seen, close, duration_us);
    let mut tcp = TcpStatistics::default();
    let tcp_present = fill!(tcp, fields: tcp_info_bytes, tcp_state, ca_state, retransmits, probes, backoff, tcp_options, timestamps, sack, ecn, ecn_seen, syn_data, snd_wscale, rcv_wscale, delivery_rate_app_limited, fastopen_client_fail, rto_us, ato_us, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets, last_data_sent_us, last_ack_sent_us, last_data_recv_us, last_ack_recv_us, pmtu, rcv_ssthresh, rtt_us, rttvar_us, snd_ssthresh, snd_cwnd, advmss, reordering, rcv_rtt_us, rcv_space, total_retrans, pacing_rate, max_pacing_rate, bytes_acked, bytes_received, segs_out, segs_in, notsent_bytes, min_rtt_us, data_segs_in, data_segs_out, delivery_rate, busy_time_us, rwnd_limited_us, sndbuf_limited_us, delivered, delivered_ce, bytes_sent, bytes_retrans, dsack_dups, reord_seen, rcv_ooopack, snd_wnd, rcv_wnd, rehash, total_rto, total_rto_recoveries, total_rto_time_us, received_ce, delivered_e1_bytes, delivered_e0_bytes, delivered_ce_bytes, received_e1_bytes, received_e0_bytes, received_ce_bytes, accecn_fail_mode, accecn_opt_seen);
    let mut algorithm = TcpAlgorithm::default();
    let algorithm_present = fill!(algorithm, fields: vegas_enabled, vegas_rttcnt, vegas_rtt_us, vegas_minrtt_us, dctcp_enabled, dctcp_ce_state, dctcp_alpha, dctcp_ab_ecn, dctcp_ab_tot, bbr_bw, bbr_min_rtt_us, bbr_pacing_gain, bbr_cwnd_gain);
    let mut memory = SocketMemory::default();
    let memory_present = fill!(memory, fields: mem_rmem, mem_wmem, mem_fmem, mem_tmem, skmem_rmem_alloc, skmem_rcvbuf, skmem_wmem_alloc, skmem_sndbuf, skmem_fwd_alloc, skmem_wmem_queued, skmem_optmem, skmem_backlog, skmem_drops);
    let mut options = SocketOptions::default();
    let options_present = fill!(options, fields: tos, tclass, class_id, mark, protocol, v6only, recverr, is_icsk, freebind, hdrincl, mc_loop, transparent, mc_all, nodefrag, bind_address_no_port, recverr_rfc4884, defer_connect);
    socket.tcp = (tcp_present > 0).then(|| Box::new(tcp));
    socket.algorithm = (algorithm_present > 0).then(|| Box::new(algorithm));
    socket.memory = (memory_present > 0).then(|| Box::new(memory));
    socket.options = (options_present > 0).then(|| Box::new(options));
    Some(())
}

impl<'a> Read<'a> for &'a str {
    fn read(value: &'a Value<'a>) -> Option<&'a str> {
        match value {
            Value::Text(text) => str::from_utf8(text).ok(),
            Value::Null | Value::Other(_) => None,
        }
    }
}

impl<'a> Read<'a> for String {
    fn read(value: &'a Value<'a>) -> Option<String> {
        <&str>::read(value).map(Into::into)
    }
}

impl<'a> Read<'a> for IpAddr {
    fn read(value: &'a Value<'a>) -> Option<IpAddr> {
        <&str>::read(value)?.parse().ok()
    }
}

impl<'a> Read<'a> for Timestamp {
    fn read(value: &'a Value<'a>) -> Option<Timestamp> {
        Stamp::parse(<&str>::read(value)?.as_bytes())?.at
    }
}

impl<'a> Read<'a> for u64 {
    fn read(value: &'a Value<'a>) -> Option<u64> {
        match value {
            Value::Other(digits) => str::from_utf8(digits).ok()?.parse().ok(),
            Value::Null | Value::Text(_) => None,
        }
    }
}

impl<'a> Read<'a> for bool {
    fn read(value: &'a Value<'a>) -> Option<bool> {
        match value {
            Value::Other(b"true") => Some(true),
            Value::Other(b"false") => Some(false),
            Value::Null | Value::Text(_) | Value::Other(_) => None,
        }
    }
}

/// Microseconds with up to three decimals.
impl<'a> Read<'a> for Span {
    fn read(value: &'a Value<'a>) -> Option<Span> {
        let Value::Other(digits) = value else {
            return None;
        };
        let text = str::from_utf8(digits).ok()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let below: u64 = format!("{fraction:0<3}").parse().ok()?;
        Some(Span::from_ns(whole.checked_mul(1000)?.checked_add(below)?))
    }
}

macro_rules! words {
    ($($name:ident),+) => {
        $(
            impl<'a> Read<'a> for $name {
                fn read(value: &'a Value<'a>) -> Option<$name> {
                    let text = <&str>::read(value)?;
                    $name::ALL.iter().copied().find(|word| word.word() == Some(text))
                }
            }
        )+
    };
}

words!(
    CaState,
    SocketClose,
    SocketFamily,
    SocketShutdown,
    SocketState,
    SocketTimer
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcplens_core::record::Record;

    use super::*;

    /// What follows from other fields, or is not the kernel's word.
    const DERIVED: [&str; 22] = [
        "time",
        "vantage",
        "connection_id",
        "netns",
        "client_ip",
        "client_port",
        "server_ip",
        "server_port",
        "role_from",
        "local_ip",
        "local_port",
        "interface",
        "pid",
        "comm",
        "cgroup",
        "container_id",
        "final",
        "timer_retransmits",
        "interval_us",
        "send_rate",
        "receive_rate",
        "retransmit_rate",
    ];

    #[test]
    fn every_field_of_a_record_is_read_back_or_known_to_follow_from_others() {
        let source = include_str!("record.rs");
        let filled = source.split("mod tests").next().unwrap();
        let mut missing = Vec::new();
        Socket::fields(&mut |field| {
            let is_read = filled
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .any(|word| word == field.name);
            if !is_read && !DERIVED.contains(&field.name) {
                missing.push(field.name);
            }
        });
        assert_eq!(missing, [""; 0]);
    }

    proptest! {
        #[test]
        fn any_record_is_read_or_refused(name in "[a-z_]{1,12}", value in "[0-9a-z\":;.\\\\{}-]{0,24}") {
            let begin = r#"{"kind":"socket","time":"2026-11-21T01:07:22Z","local_ip":"::1","local_port":1"#;
            let text = format!("{begin},\"{name}\":{value}}}");
            let _ = parse(text.as_bytes(), &mut Vec::new());
        }
    }
}
