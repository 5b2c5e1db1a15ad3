//! The table that `process` gets: which fields it has, and what is handed over for them.
//!
//! It is fresh for every packet, for scripts keep packets. A constructor in Lua fills it, which is several times cheaper
//! than setting fields from outside; and only with fields that the script's text names, for what nobody reads would cost
//! most.

use std::collections::HashSet;

use mlua::{Lua, LuaString, Nil, Result, Value};
use tcplens_core::engine::Transport;
use tcplens_core::record::Word;
use tcplens_core::roles::Roles;
use tcplens_core::time::SECOND;
use tcplens_core::wire::segment::{Tunnel, flags, has, syn_option};
use tcplens_output::digits;

use super::sandbox::{Failure, Runner, Sandbox};
use crate::observe::{Packets, Seen};

/// Fields in the order in which their values are handed over, and what they mean.
pub(crate) const FIELDS: [(&str, &str); 31] = [
    ("tv_sec", "capture time: whole seconds since 1970"),
    ("tv_usec", "its microseconds"),
    ("sip", "source address, as text"),
    ("sport", "source port"),
    ("dip", "destination address"),
    ("dport", "destination port"),
    ("payload", "captured payload bytes, as a string of bytes"),
    ("size", "how many these are"),
    ("seq", "TCP: sequence number"),
    ("ack", "TCP: acknowledgment number"),
    (
        "flags",
        "TCP: sum of FIN 1, SYN 2, RST 4, PSH 8, ACK 16; the other flags are left out, as in tcpkit",
    ),
    ("window", "TCP: window as it stands, not scaled"),
    (
        "request",
        "whether it goes to the server. TCP: as the connection's record has it; UDP: by --server, -p, or the lower port",
    ),
    ("protocol", "`tcp` or `udp`"),
    ("tv_nsec", "nanoseconds of the capture time"),
    ("frame", "packet number, from 1"),
    (
        "interface",
        "name of the capturing interface, or its number where the capture has no name",
    ),
    ("vlan", "outermost VLAN id; nil outside VLANs"),
    (
        "tunnel",
        "innermost tunnel (`gre`, `vxlan`...); nil outside tunnels",
    ),
    ("ttl", "IPv4 time to live, IPv6 hop limit"),
    ("ip_version", "4 or 6"),
    ("wire_size", "bytes on the wire, all headers included"),
    (
        "payload_bytes",
        "payload bytes by the headers: more than `size` if the snap length cut them",
    ),
    (
        "direction",
        "`outbound`, `inbound`, `local` or `forwarded`, of this packet, where --local tells; else nil",
    ),
    (
        "connection",
        "TCP: the `connection_id` of the records; nil for what is late for a connection that is gone",
    ),
    (
        "tcp_flags",
        "TCP: all eight flags: those of `flags`, URG 32, ECE 64, CWR 128",
    ),
    ("mss", "SYN: maximum segment size option, or nil"),
    ("wscale", "SYN: window scale option, or nil"),
    ("sack_permitted", "SYN: true with that option, else nil"),
    ("ts_val", "TCP: timestamp option's value, or nil"),
    ("ts_ecr", "TCP: its echo reply, or nil"),
];

/// Numbers of fields that cost something.
const PAYLOAD: usize = 6;
const REQUEST: usize = 12;
const INTERFACE: usize = 16;
const TUNNEL: usize = 18;
const DIRECTION: usize = 23;
const CONNECTION: usize = 24;

/// How many of them come first and are all that most scripts need.
const FEW: usize = 14;

/// Calls `process`.
pub(crate) struct PacketRunner {
    runner: Runner,
    /// By number in [`FIELDS`].
    wanted: [bool; FIELDS.len()],
    /// Beyond the first [`FEW`].
    wants_more: bool,
    roles: Roles,
    tcp: LuaString,
    udp: LuaString,
    empty: LuaString,
    sources: Addresses,
    destinations: Addresses,
}

impl PacketRunner {
    /// For a script whose text has these words; `None`: any field may be asked for.
    pub(crate) fn new(
        sandbox: &Sandbox,
        words: Option<&HashSet<&str>>,
        roles: Roles,
    ) -> Result<PacketRunner> {
        let wanted = FIELDS.map(|(name, _)| words.is_none_or(|words| words.contains(name)));
        let wants_more = wanted[FEW..].contains(&true);
        let handed_over = if wants_more { FIELDS.len() } else { FEW };
        let names = FIELDS.map(|(name, _)| name);
        // Not the names themselves: a script's globals have nothing to do with them.
        let parameters: Vec<_> = (0..handed_over).map(|n| format!("a{n}")).collect();
        let fields: Vec<_> = (0..handed_over)
            .filter(|&n| wanted[n])
            .map(|n| format!("{} = a{n}", names[n]))
            .collect();
        let arguments = format!("{{{}}}", fields.join(", "));
        let lua = sandbox.lua();
        Ok(PacketRunner {
            runner: sandbox.runner("process", &parameters.join(", "), &arguments)?,
            wanted,
            wants_more,
            roles,
            tcp: lua.create_string("tcp")?,
            udp: lua.create_string("udp")?,
            empty: lua.create_string("")?,
            sources: Addresses::default(),
            destinations: Addresses::default(),
        })
    }

    /// What it needs of packets.
    pub(crate) fn packets(&self) -> Packets {
        if self.wanted[REQUEST] || self.wanted[CONNECTION] {
            Packets::Owned
        } else {
            Packets::Plain
        }
    }

    /// Calls `process` with a packet.
    pub(crate) fn call(
        &mut self,
        sandbox: &Sandbox,
        seen: &Seen<'_>,
    ) -> std::result::Result<(), Failure> {
        let failed = |error| sandbox.failed(&error);
        let lua = sandbox.lua();
        let seg = seen.segment;
        let is_tcp = seen.transport == Transport::Tcp;
        let (low, high) = (
            (seg.flow.low, seg.flow.ports[0]),
            (seg.flow.high, seg.flow.ports[1]),
        );
        let (source, destination) = if seg.from == 0 {
            (low, high)
        } else {
            (high, low)
        };
        let nanos = seg.time.0.rem_euclid(SECOND);
        let more = (self.wants_more)
            .then(|| self.more(lua, seen, nanos))
            .transpose()
            .map_err(failed)?;
        let sip = self.sources.text(lua, source.0).map_err(failed)?;
        let dip = self.destinations.text(lua, destination.0).map_err(failed)?;
        let made;
        let payload = if seen.payload.is_empty() {
            &self.empty
        } else {
            // Costs a copy; nothing if nobody reads it.
            let bytes = if self.wanted[PAYLOAD] {
                seen.payload
            } else {
                &[]
            };
            made = lua.create_string(bytes).map_err(failed)?;
            &made
        };
        let of_tcp = |value: u32| is_tcp.then_some(i64::from(value));
        let request = match seen.owner {
            Some(owner) => Some(owner.is_from_client),
            None if is_tcp => None,
            None => Some(self.roles.server(&seg.flow, seg.from).0 != seg.from),
        };
        let few = (
            seg.time.0.div_euclid(SECOND),
            nanos / 1000,
            sip,
            source.1,
            dip,
            destination.1,
            payload,
            seen.payload.len(),
            of_tcp(seg.seq),
            of_tcp(seg.ack),
            of_tcp(u32::from(seg.flags & 0x1f)),
            of_tcp(u32::from(seg.window)),
            request,
        );
        let protocol = if is_tcp { &self.tcp } else { &self.udp };
        let (a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12) = few;
        let Some(more) = more else {
            let all = (
                a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, protocol,
            );
            return sandbox.call(&mut self.runner, 1, all);
        };
        let all = (
            a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, protocol, more,
        );
        sandbox.call(&mut self.runner, 1, all)
    }

    /// The values beyond the first.
    fn more(
        &self,
        lua: &Lua,
        seen: &Seen<'_>,
        nanos: i64,
    ) -> Result<impl mlua::IntoLuaMulti + use<>> {
        let seg = seen.segment;
        let is_tcp = seen.transport == Transport::Tcp;
        let text = |field: usize, text: Option<&str>| -> Result<Value> {
            match text {
                Some(text) if self.wanted[field] => Ok(Value::String(lua.create_string(text)?)),
                _ => Ok(Nil),
            }
        };
        let named = seen.interfaces.get(seg.interface as usize);
        let interface = match named.and_then(|interface| interface.name.as_deref()) {
            Some(name) => text(INTERFACE, Some(name))?,
            None => Value::Integer(i64::from(seg.interface)),
        };
        let tunnel = match seg.tunnel {
            Tunnel::None => None,
            tunnel => tunnel.word(),
        };
        let id = seen
            .owner
            .filter(|_| self.wanted[CONNECTION])
            .map(|owner| owner.connection_id.text());
        let id = id.as_ref().and_then(|id| std::str::from_utf8(id).ok());
        let direction = self.wanted[DIRECTION]
            .then(|| self.roles.direction(&seg.flow, seg.from))
            .flatten();
        let has_option = |bit: u8| seg.syn.bits & bit != 0;
        let stamps = seg.has & has::TIMESTAMPS != 0;
        let is_v4 = seg.flow.low[0] == 0 && seg.flow.low[1] >> 32 == 0xffff;
        debug_assert!(is_tcp || seg.flags & flags::SYN == 0, "UDP has no flags");
        Ok((
            nanos,
            seg.frame,
            interface,
            (seg.vlan != 0).then_some(seg.vlan),
            text(TUNNEL, tunnel)?,
            seg.ttl,
            if is_v4 { 4 } else { 6 },
            seen.wire_length,
            seg.payload_length,
            text(DIRECTION, direction.word())?,
            text(CONNECTION, id)?,
            is_tcp.then_some(seg.flags),
            has_option(syn_option::MSS).then_some(seg.syn.mss),
            has_option(syn_option::WSCALE).then_some(seg.syn.wscale),
            has_option(syn_option::SACK).then_some(true),
            (
                stamps.then_some(seg.ts_value),
                stamps.then_some(seg.ts_echo),
            ),
        ))
    }
}

/// Texts of addresses seen lately: the same few come again and again.
struct Addresses {
    slots: Vec<Option<([u64; 2], LuaString)>>,
}

/// Chosen: a power of two, a few hundred KiB at most.
const SLOTS: usize = 1024;

impl Default for Addresses {
    fn default() -> Addresses {
        Addresses {
            slots: vec![None; SLOTS],
        }
    }
}

impl Addresses {
    fn text(&mut self, lua: &Lua, address: [u64; 2]) -> Result<&LuaString> {
        let mixed = (address[0] ^ address[1]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = &mut self.slots[(mixed >> 54) as usize % SLOTS];
        if slot.as_ref().is_none_or(|(known, _)| *known != address) {
            let mut text = [0; digits::IP];
            let ip = tcplens_core::wire::segment::address(address);
            let length = digits::ip(&mut text, ip);
            *slot = Some((address, lua.create_string(&text[..length])?));
        }
        match slot {
            Some((_, text)) => Ok(text),
            None => Err(mlua::Error::runtime("no address")),
        }
    }
}

/// The numbers name the fields they are called after.
#[cfg(test)]
pub(super) fn check_numbers() {
    for (number, name) in [
        (PAYLOAD, "payload"),
        (REQUEST, "request"),
        (INTERFACE, "interface"),
        (TUNNEL, "tunnel"),
        (DIRECTION, "direction"),
        (CONNECTION, "connection"),
        (FEW - 1, "protocol"),
    ] {
        assert_eq!(FIELDS[number].0, name);
    }
}
