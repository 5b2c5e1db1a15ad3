//! TCP conversations as a tap sees them, packet by packet, and the requests that the engine makes of them.
//!
//! Positions are those of payload: 0 is the first byte after the SYN. A FIN takes one position, as in the protocol.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Engine;
use tcplens_core::packet::{Batch, Interface, LinkType, Packet};
use tcplens_core::record::{Connection, Handshake, Request, RequestRef, RequestRow};
use tcplens_core::shard::{Counts, Settings};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::wire::{Checksum, DecodeSettings};

/// The sides of a conversation.
pub(crate) const C: usize = 0;
pub(crate) const S: usize = 1;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

pub(crate) const US: i64 = 1_000;
pub(crate) const MS: i64 = 1_000_000;

/// 2026-11-21T01:20:00Z; times in the tests count from here.
pub(crate) const START: i64 = 1_795_224_000_000_000_000;

/// A packet, and when it was captured.
#[derive(Clone)]
pub(crate) struct Captured {
    /// ns after [`START`].
    pub at: i64,
    pub bytes: Vec<u8>,
    /// Bytes at the end that were on the wire only.
    pub cut: u32,
    pub interface: u32,
}

/// What came of some packets.
pub(crate) struct Outcome {
    pub requests: Vec<Got>,
    pub handshakes: Vec<Handshake>,
    pub connections: Vec<Connection>,
    pub counts: Counts,
}

impl Outcome {
    /// A line for each request, in the order of their numbers.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut requests: Vec<&Got> = self.requests.iter().collect();
        requests.sort_by_key(|got| got.row.task);
        requests.into_iter().map(Got::line).collect()
    }
}

/// A request that was reported.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub row: RequestRow,
    words: Vec<u8>,
}

impl Got {
    fn new(of: RequestRef<'_>) -> Got {
        let mut row = of.row.clone();
        let mut words = Vec::new();
        for range in [&mut row.operation, &mut row.summary, &mut row.status_text] {
            let start = words.len() as u32;
            words.extend_from_slice(&of.words[range.start as usize..range.end as usize]);
            *range = start..words.len() as u32;
        }
        Got { row, words }
    }

    pub(crate) fn record(&self) -> Request<'_> {
        let (row, words) = (&self.row, &self.words);
        RequestRef {
            row,
            words,
            extra: None,
        }
        .record()
    }

    /// `1 redis GET "GET foo" 22 -> ok 9`, with code and text of the status where there are any; what cut it off stands at
    /// the end.
    pub(crate) fn line(&self) -> String {
        let record = self.record();
        let code = record.status_code.map(|code| format!(" {code}"));
        let text = record.status_text.map(|text| format!(" {text:?}"));
        let ended_by = match format!("{:?}", record.ended_by).as_str() {
            "Response" => String::new(),
            other => format!(" by {other}"),
        };
        format!(
            "{} {:?} {} {:?} {} -> {:?}{}{} {}{ended_by}",
            record.task,
            record.protocol,
            record.operation.unwrap_or("-"),
            record.summary.unwrap_or("-"),
            record.request_bytes,
            record.status,
            code.unwrap_or_default(),
            text.unwrap_or_default(),
            record.response_bytes,
        )
    }

    /// T0 to T4 after [`START`], in ns.
    pub(crate) fn times(&self) -> [Option<i64>; 5] {
        let times = self.row.times;
        [
            times.first_request,
            times.last_request,
            times.first_response,
            times.last_response,
            times.acknowledged,
        ]
        .map(|time| (time != Timestamp::MIN).then(|| time.0 - START))
    }

    /// The time budget, in ns, in the order of [`tcplens_core::record::Verdict`].
    pub(crate) fn budget(&self) -> [Option<u64>; 7] {
        let record = self.record();
        [
            record.in_client_us,
            record.in_queue_us,
            record.in_server_us,
            record.in_network_us,
            record.in_loss_us,
            record.in_window_us,
            record.in_transfer_us,
        ]
        .map(|span| span.map(Span::ns))
    }
}

/// What the contract says of every request, whatever the packets were.
pub(crate) fn keeps_the_contract(got: &Got) -> Result<(), String> {
    let record = got.record();
    let told = |what: &str| Err(format!("{what}: {record:?}"));
    let budget = got.budget();
    let parts: Vec<u64> = budget.iter().copied().flatten().collect();
    match parts.len() {
        0 if record.verdict.is_some() => return told("a verdict without a budget"),
        0 => {}
        7 => {
            let Some(total) = record.total_us else {
                return told("a budget without a total");
            };
            if parts.iter().sum::<u64>() != total.ns() {
                return told("the budget is not the total");
            }
            let Some(verdict) = record.verdict else {
                return told("a budget without a verdict");
            };
            if parts[verdict as usize] != *parts.iter().max().unwrap_or(&0) {
                return told("the verdict is not the largest");
            }
        }
        _ => return told("a part of a budget"),
    }
    if record.early && (!parts.is_empty() || record.process_us.is_some()) {
        return told("early, and yet a process time");
    }
    let spans = [record.upload_us, record.process_us, record.transfer_us];
    if let ([Some(upload), Some(process), Some(transfer)], Some(total)) = (spans, record.total_us)
        && upload.ns() + process.ns() + transfer.ns() != total.ns()
    {
        return told("the stages are not the total");
    }
    if record.task == 0 {
        return told("no number");
    }
    Ok(())
}

/// The packets as one batch.
pub(crate) fn batch(packets: &[Captured]) -> Batch {
    let interface = |name: &str| Interface {
        link_type: LinkType::ETHERNET,
        name: Some(name.to_string()),
        fcs_bytes: 0,
    };
    let mut batch = Batch {
        interfaces: Arc::new(vec![interface("one"), interface("two")]),
        ..Batch::default()
    };
    for packet in packets {
        let captured = packet.bytes.len() as u32 - packet.cut;
        batch.packets.push(Packet {
            time: Timestamp(START + packet.at),
            at: batch.bytes.len() as u32,
            captured,
            length: packet.bytes.len() as u32,
            interface: packet.interface,
        });
        batch
            .bytes
            .extend_from_slice(&packet.bytes[..captured as usize]);
    }
    batch
}

pub(crate) fn engine(settings: &Settings) -> Engine {
    let decode = DecodeSettings {
        hash_seed: 0,
        checksum: Checksum::All,
    };
    Engine::new(decode, settings)
}

/// Everything that the engine makes of the packets.
pub(crate) fn run(packets: &[Captured]) -> Outcome {
    run_with(&Settings::default(), packets)
}

pub(crate) fn run_with(settings: &Settings, packets: &[Captured]) -> Outcome {
    let mut engine = engine(settings);
    let (mut requests, mut handshakes, mut connections) = (Vec::new(), Vec::new(), Vec::new());
    let mut each = |record: AnyRecord<'_>| match record {
        AnyRecord::Request(request) => requests.push(Got::new(request)),
        AnyRecord::Handshake(handshake) => handshakes.push(handshake.clone()),
        AnyRecord::Connection(connection) => connections.push(connection.clone()),
    };
    engine.feed(&batch(packets), |_, _| true, &mut each);
    engine.finish(&mut each);
    Outcome {
        requests,
        handshakes,
        connections,
        counts: engine.counts(),
    }
}

/// A conversation between two ends.
#[derive(Clone)]
pub(crate) struct Talk {
    /// Client and server.
    pub ends: [SocketAddr; 2],
    pub isn: [u32; 2],
    /// How much each side has sent.
    pub sent: [u32; 2],
    /// As the next segments carry it, not scaled.
    pub window: [u16; 2],
    pub mss: u16,
    pub wscale: Option<u8>,
    pub timestamps: bool,
    pub interface: u32,
    pub ip_id: [u16; 2],
    pub packets: Vec<Captured>,
}

/// A segment to be sent.
#[derive(Clone, Copy)]
pub(crate) struct Seg<'a> {
    pub side: usize,
    /// Its position; with SYN, of the byte behind the SYN.
    pub at: u32,
    /// Position that it acknowledges up to.
    pub ack: Option<u32>,
    pub flags: u8,
    pub payload: &'a [u8],
}

impl Default for Talk {
    fn default() -> Talk {
        Talk::between("10.0.0.1:40000", "10.0.1.1:5000")
    }
}

impl Talk {
    pub(crate) fn between(client: &str, server: &str) -> Talk {
        Talk {
            ends: [client.parse().unwrap(), server.parse().unwrap()],
            isn: [1_000, 900_000],
            sent: [0; 2],
            window: [0xfff0; 2],
            mss: 1460,
            wscale: None,
            timestamps: false,
            interface: 0,
            ip_id: [1, 30_000],
            packets: Vec::new(),
        }
    }

    /// A conversation with a server on `port`.
    pub(crate) fn with_port(port: u16) -> Talk {
        let mut talk = Talk::default();
        talk.ends[S].set_port(port);
        talk
    }

    /// SYN, SYN-ACK and ACK at these times.
    pub(crate) fn handshake(&mut self, [syn, synack, ack]: [i64; 3]) {
        let seg = Seg {
            side: C,
            at: 0,
            ack: None,
            flags: SYN,
            payload: b"",
        };
        self.segment(syn, seg);
        let (side, answers) = (S, Some(0));
        let flags = SYN | ACK;
        self.segment(
            synack,
            Seg {
                side,
                ack: answers,
                flags,
                ..seg
            },
        );
        self.ack(ack, C);
    }

    /// A handshake half a millisecond and a millisecond long, from time 0: round trips of 0.5 ms to the server, 0.5 ms to
    /// the client.
    pub(crate) fn open() -> Talk {
        let mut talk = Talk::default();
        talk.handshake([0, 500 * US, 1000 * US]);
        talk
    }

    /// The next bytes of a side.
    pub(crate) fn data(&mut self, at: i64, side: usize, payload: &[u8]) {
        self.data_with(at, side, payload, self.sent[1 - side]);
    }

    /// The next bytes of a side, which has seen only so much of its peer's.
    pub(crate) fn data_with(&mut self, at: i64, side: usize, payload: &[u8], ack: u32) {
        let from = self.sent[side];
        self.sent[side] = from.wrapping_add(payload.len() as u32);
        self.piece(at, side, from, payload, ack);
    }

    /// Some bytes at a position.
    pub(crate) fn piece(&mut self, at: i64, side: usize, from: u32, payload: &[u8], ack: u32) {
        let seg = Seg {
            side,
            at: from,
            ack: Some(ack),
            flags: ACK,
            payload,
        };
        self.segment(at, seg);
    }

    /// An acknowledgment of all that the peer sent.
    pub(crate) fn ack(&mut self, at: i64, side: usize) {
        self.ack_of(at, side, self.sent[1 - side]);
    }

    pub(crate) fn ack_of(&mut self, at: i64, side: usize, ack: u32) {
        self.piece(at, side, self.sent[side], b"", ack);
    }

    pub(crate) fn fin(&mut self, at: i64, side: usize) {
        self.bare(at, side, FIN | ACK);
        self.sent[side] += 1;
    }

    pub(crate) fn rst(&mut self, at: i64, side: usize) {
        self.bare(at, side, RST | ACK);
    }

    fn bare(&mut self, at: i64, side: usize, flags: u8) {
        let seg = Seg {
            side,
            at: self.sent[side],
            ack: Some(self.sent[1 - side]),
            flags,
            payload: b"",
        };
        self.segment(at, seg);
    }

    /// Any segment.
    pub(crate) fn segment(&mut self, at: i64, seg: Seg<'_>) {
        let bytes = self.bytes(at, seg);
        self.packets.push(Captured {
            at,
            bytes,
            cut: 0,
            interface: self.interface,
        });
    }

    fn bytes(&mut self, at: i64, seg: Seg<'_>) -> Vec<u8> {
        let Seg { side, payload, .. } = seg;
        let mut options = Vec::new();
        if seg.flags & SYN != 0 {
            options.extend([2, 4]);
            options.extend(self.mss.to_be_bytes());
            if let Some(shift) = self.wscale {
                options.extend([1, 3, 3, shift]);
            }
        }
        if self.timestamps {
            options.extend([1, 1, 8, 10]);
            options.extend(((at / MS) as u32 + 77).to_be_bytes());
            options.extend([0; 4]);
        }
        let first = self.isn[side].wrapping_add(1).wrapping_add(seg.at);
        let seq = first.wrapping_sub(u32::from(seg.flags & SYN != 0));
        let ack = seg.ack.map_or(0, |ack| {
            self.isn[1 - side].wrapping_add(1).wrapping_add(ack)
        });
        let mut tcp = Vec::new();
        tcp.extend(self.ends[side].port().to_be_bytes());
        tcp.extend(self.ends[1 - side].port().to_be_bytes());
        tcp.extend(seq.to_be_bytes());
        tcp.extend(ack.to_be_bytes());
        tcp.extend([(20 + options.len() as u8) << 2, seg.flags]);
        tcp.extend(self.window[side].to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(options);
        tcp.extend(payload);
        self.ip_id[side] = self.ip_id[side].wrapping_add(1);
        let [from, to] = [side, 1 - side].map(|side| self.ends[side].ip());
        packet(from, to, self.ip_id[side], 6, &tcp)
    }
}

/// A datagram from one end to the other.
pub(crate) fn datagram(at: i64, from: &str, to: &str, payload: &[u8]) -> Captured {
    let [from, to]: [SocketAddr; 2] = [from, to].map(|end| end.parse().unwrap());
    let mut udp = Vec::new();
    udp.extend(from.port().to_be_bytes());
    udp.extend(to.port().to_be_bytes());
    udp.extend((8 + payload.len() as u16).to_be_bytes());
    udp.extend([0; 2]);
    udp.extend(payload);
    Captured {
        at,
        bytes: packet(from.ip(), to.ip(), (at / US) as u16, 17, &udp),
        cut: 0,
        interface: 0,
    }
}

/// Ethernet and IP around `body`.
fn packet(from: IpAddr, to: IpAddr, id: u16, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([0x08, 0, 0x45, 0]);
            bytes.extend((20 + body.len() as u16).to_be_bytes());
            bytes.extend(id.to_be_bytes());
            bytes.extend([0x40, 0, 64, protocol, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            bytes.extend((body.len() as u16).to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        _ => unreachable!("ends of two families"),
    }
    bytes.extend(body);
    bytes
}

/// Random numbers that are the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// From `low` to `high`, which may be it.
    pub(crate) fn from(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    /// The same, small ones as likely as large ones.
    pub(crate) fn scaled(&mut self, low: i64, high: i64) -> i64 {
        let share = self.next() as f64 / (1_u64 << 48) as f64;
        let (low, high) = (low as f64, high as f64);
        (low * (high / low).powf(share)) as i64
    }

    pub(crate) fn once_in(&mut self, n: i64) -> bool {
        self.from(1, n) == 1
    }
}

/// Redis, as the tests speak it most.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(bulk(word));
    }
    bytes
}

pub(crate) fn bulk(bytes: &[u8]) -> Vec<u8> {
    let head = format!("${}\r\n", bytes.len()).into_bytes();
    [&head, bytes, b"\r\n"].concat()
}

/// `GET key`, 22 bytes with a key of three.
pub(crate) fn get(key: &str) -> Vec<u8> {
    command(&[b"GET", key.as_bytes()])
}
