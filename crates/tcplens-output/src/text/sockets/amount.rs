//! A field's value as people read it: with its unit, large numbers in groups, bytes and rates shortened.

use tcplens_core::record::ConnectionId;

use crate::digits;
use crate::human::{Bytes, Count, Duration, Short};
use crate::rfc3339::{self, Rfc3339};
use crate::values::Value;

/// Bytes whose names do not say so.
const BYTES: &[&str] = &[
    "snd_wnd",
    "rcv_wnd",
    "rcv_space",
    "rcv_ssthresh",
    "skmem_rmem_alloc",
    "skmem_rcvbuf",
    "skmem_wmem_alloc",
    "skmem_sndbuf",
    "skmem_fwd_alloc",
    "skmem_wmem_queued",
    "skmem_optmem",
    "skmem_backlog",
    "mem_rmem",
    "mem_wmem",
    "mem_fmem",
    "mem_tmem",
];

/// Numbers that name something: they are no amounts.
const NAMES: &[&str] = &[
    "socket_cookie",
    "netns",
    "ifindex",
    "uid",
    "inode",
    "cgroup_id",
    "mark",
    "class_id",
    "protocol",
    "pid",
    "local_port",
    "remote_port",
    "client_port",
    "server_port",
];

/// The value of the field of this name; `None`: it is absent.
pub(super) fn text(name: &str, value: &Value) -> Option<String> {
    Some(match value {
        Value::Absent => return None,
        Value::Count(n) if NAMES.contains(&name) => n.to_string(),
        Value::Count(n) if name == "retransmit_rate" => format!("{}/s", Count(*n)),
        Value::Count(n) if name.ends_with("_rate") => {
            format!("{} bit/s", Short(n.saturating_mul(8)))
        }
        Value::Count(n) if is_bytes(name) => Bytes(*n).to_string(),
        Value::Count(n) => Count(*n).to_string(),
        Value::Span(span) => Duration(*span).to_string(),
        Value::Word(word) => (*word).to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => text.clone(),
        Value::Ip(ip) => ip.to_string(),
        Value::Time(at) => {
            let mut out = [0; rfc3339::LENGTH];
            Rfc3339::default().write(&mut out, *at);
            String::from_utf8_lossy(&out).into_owned()
        }
        Value::Id(id) => id_text(*id),
    })
}

fn id_text(id: ConnectionId) -> String {
    let mut out = [0; digits::ID];
    digits::id(&mut out, id);
    String::from_utf8_lossy(&out).into_owned()
}

fn is_bytes(name: &str) -> bool {
    name.ends_with("_bytes") || name.starts_with("bytes_") || BYTES.contains(&name)
}
