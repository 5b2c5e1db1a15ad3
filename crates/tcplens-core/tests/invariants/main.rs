//! The invariants of ARCHITECTURE.md that concern what the engine does with packets: 2, 3 and 4. The others are in
//! crates/tcplens/tests/invariants.rs.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use proptest::prelude::*;
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Engine;
use tcplens_core::packet::LinkType;
use tcplens_core::shard::{SHARDS, Settings};
use tcplens_core::tcp::seen::MAX_HOLES;
use tcplens_core::time::SECOND;
use tcplens_core::wire::fragment::{MAX_BYTES, MAX_DATAGRAMS, MAX_PIECES};
use tcplens_core::wire::{Checksum, DecodeSettings};

use packets::{ACK, FIN, Input, RST, SYN, Seg, fragment};

mod packets;

/// Connections that one shard remembers, and those that linger in it (flow/gone.rs, shard.rs).
const REMEMBERED: usize = 64;
const LINGERING: usize = 64;

const DECODE: DecodeSettings = DecodeSettings {
    hash_seed: 0,
    checksum: Checksum::All,
};

fn engine(settings: &Settings) -> Engine {
    Engine::new(DECODE, settings)
}

/// Everything, with the records as text.
fn run(engine: &mut Engine, input: &Input) -> Vec<String> {
    let mut records = Vec::new();
    let mut each = |record: AnyRecord<'_>| records.push(format!("{record:?}"));
    engine.feed(&input.batch, |_, _| true, &mut each);
    engine.finish(&mut each);
    records
}

/// Every packet is in exactly one of the counters.
fn all_are_counted(engine: &Engine, packets: usize) {
    let counts = engine.front.counts();
    let undecoded: u64 = counts.all_undecoded().map(|(_, packets)| packets).sum();
    assert_eq!(
        packets as u64,
        counts.tcp_segments + counts.icmp_errors + undecoded
    );
    assert_eq!(engine.front.packets(), packets as u64);
}

fn limit_hits(engine: &Engine, bound: &str) -> u64 {
    let hits = engine.front.counts().limit_hits();
    hits.filter(|(name, _)| *name == bound)
        .map(|(_, hits)| hits)
        .sum()
}

/// A segment of one of a few connections, anything in it.
fn any_segment() -> impl Strategy<Value = Vec<u8>> {
    let ends = (0u8..3, 0u8..2, any::<bool>());
    let numbers = (0u32..4, 0u32..4, 0u32..3000, 0u32..3000);
    let rest = (any::<u8>(), 0usize..1400, any::<bool>());
    (ends, numbers, rest).prop_map(
        |((a, b, back), (high, ahigh, seq, ack), (flags, length, wild))| {
            let mut segment = Seg {
                client: [10, 0, 0, a],
                server: [10, 0, 1, b],
                back,
                seq: (high << 30).wrapping_add(seq),
                ack: (ahigh << 30).wrapping_add(ack),
                flags: if wild {
                    flags
                } else {
                    flags & (SYN | ACK | FIN | RST)
                },
                length,
                ..Seg::default()
            };
            segment.window = flags.into();
            segment.bytes()
        },
    )
}

/// Bytes that are nearly a packet: some of them changed, the end cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (
        any_segment(),
        changes,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(mut bytes, changes, end, cut)| {
            for (at, value) in changes {
                // Mostly headers: that is where decisions are made.
                let at = at.index(bytes.len().min(80));
                bytes[at] = value;
            }
            if cut {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        })
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any_segment(),
        4 => mutated(),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #[test]
    fn invariant_02_no_bytes_panic_and_every_packet_is_counted(
        packets in prop::collection::vec((any_packet(), -3_000_000_000i64..40_000_000_000, 0u32..300), 1..120),
        link in prop::sample::select(vec![1u32, 1, 1, 0, 101, 113, 228, 276, 9999]),
        active in prop::option::of(1i64..100_000_000_000),
        limit in prop::sample::select(vec![1usize, 64, 1_000_000]),
    ) {
        let mut input = Input::new(LinkType(link));
        for (bytes, after, uncaptured) in &packets {
            input.after(*after);
            input.cut(bytes, *uncaptured);
        }
        let settings = Settings { active, limit_connections: limit, ..Settings::default() };
        let mut first = engine(&settings);
        let records = run(&mut first, &input);
        all_are_counted(&first, packets.len());
        // The first invariant's second half: the same packets give the same records.
        let mut second = engine(&settings);
        prop_assert_eq!(records, run(&mut second, &input));
        prop_assert_eq!(first.counts(), second.counts());
    }
}

#[test]
fn invariant_03_the_table_of_connections_evicts_half_open_ones_and_counts_them() {
    let per_shard = 8;
    let settings = Settings {
        limit_connections: per_shard * SHARDS,
        ..Settings::default()
    };
    let mut engine = engine(&settings);
    let mut input = Input::new(LinkType::ETHERNET);
    let established = 20;
    for client in 0..established {
        input.handshake([10, 0, 0, client]);
    }
    let attempts = 20_000u32;
    for n in 0..attempts {
        let [_, a, b, c] = n.to_be_bytes();
        input.segment(Seg {
            client: [198, 18 + a, b, c],
            flags: SYN,
            ..Seg::default()
        });
    }
    let records = run(&mut engine, &input);
    let evicted = engine.counts().evicted;
    let kept = per_shard * SHARDS;
    assert!(evicted as usize >= attempts as usize - kept, "{evicted}");
    assert_eq!(
        engine.counts().connections,
        u64::from(attempts) + u64::from(established)
    );
    // Nothing is lost without a record: each attempt and each connection has its own.
    let count = |what: &str| {
        records
            .iter()
            .filter(|record| record.contains(what))
            .count()
    };
    assert_eq!(
        records.len(),
        2 * (attempts as usize + usize::from(established))
    );
    // No established connection was evicted: all are open when the observation ends.
    assert_eq!(count("close: Open"), usize::from(established));
}

#[test]
fn invariant_03_holes_beyond_the_bound_are_given_up_and_counted() {
    let mut engine = engine(&Settings::default());
    let mut input = Input::new(LinkType::ETHERNET);
    input.handshake([10, 0, 0, 1]);
    let holes = 3 * MAX_HOLES as u32;
    for n in 1..=holes {
        input.segment(Seg {
            seq: 1 + n * 200,
            ack: 1,
            flags: ACK,
            length: 100,
            ..Seg::default()
        });
    }
    run(&mut engine, &input);
    assert_eq!(engine.counts().holes, 2 * MAX_HOLES as u64);
}

#[test]
fn invariant_03_fragments_beyond_the_bounds_are_given_up_and_counted() {
    // Too many datagrams at once.
    let mut engine_ = engine(&Settings::default());
    let mut input = Input::new(LinkType::ETHERNET);
    let many = MAX_DATAGRAMS + 10;
    for id in 0..many {
        input.packet(&fragment(id as u16, 0, 8, true));
    }
    run(&mut engine_, &input);
    assert_eq!(limit_hits(&engine_, "fragment_datagrams"), 10);
    all_are_counted(&engine_, many);

    // Too many bytes.
    let mut engine_ = engine(&Settings::default());
    let mut input = Input::new(LinkType::ETHERNET);
    let piece = 1024;
    for n in 0..2 * MAX_BYTES / piece {
        let (id, at) = (n / 60, n % 60 * piece);
        input.packet(&fragment(id as u16, at + 8, piece, true));
    }
    run(&mut engine_, &input);
    assert!(limit_hits(&engine_, "fragment_bytes") > 0);
    all_are_counted(&engine_, 2 * MAX_BYTES / piece);

    // Too many pieces of one.
    let mut engine_ = engine(&Settings::default());
    let mut input = Input::new(LinkType::ETHERNET);
    for n in 0..=MAX_PIECES {
        input.packet(&fragment(1, n * 16, 8, true));
    }
    run(&mut engine_, &input);
    assert_eq!(limit_hits(&engine_, "fragment_pieces"), 1);
    all_are_counted(&engine_, MAX_PIECES + 1);
}

#[test]
fn invariant_03_headers_beyond_the_bound_are_counted() {
    let mut engine = engine(&Settings::default());
    let mut input = Input::new(LinkType::ETHERNET);
    let mut bytes = vec![0; 12];
    for _ in 0..60 {
        bytes.extend([0x81, 0, 0, 1]);
    }
    bytes.extend([0x08, 0]);
    input.packet(&bytes);
    run(&mut engine, &input);
    assert_eq!(limit_hits(&engine, "headers"), 1);
    all_are_counted(&engine, 1);
}

/// Of closed connections few linger, of reported ones few are remembered: what comes too late for both is a connection of its
/// own, and so visible in the number of connections.
#[test]
fn invariant_03_late_segments_of_closed_connections_are_counted() {
    let mut engine = engine(&Settings::default());
    let mut input = Input::new(LinkType::ETHERNET);
    let connections = 30_000u32;
    let of = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        [10, 1 + a, b, c]
    };
    for n in 0..connections {
        input.handshake(of(n));
        for back in [false, true] {
            let flags = FIN | ACK;
            let client = of(n);
            input.segment(Seg {
                client,
                back,
                seq: 1,
                ack: 1 + u32::from(back),
                flags,
                ..Seg::default()
            });
        }
        input.after(10_000);
    }
    // The last ACK of each, after 5 s.
    input.after(5 * SECOND);
    for n in 0..connections {
        input.segment(Seg {
            client: of(n),
            seq: 2,
            ack: 2,
            flags: ACK,
            ..Seg::default()
        });
    }
    run(&mut engine, &input);
    let counts = engine.counts();
    let anew = counts.connections - u64::from(connections);
    assert!(counts.late_segments > 0);
    assert!(anew + counts.late_segments <= u64::from(connections));
    // What neither lingers nor is remembered shows as a connection.
    let kept = (REMEMBERED + LINGERING) * SHARDS;
    assert!(anew as usize >= connections as usize - kept, "{anew}");
}

/// `rounds` of a request and its response on each of 100 connections that are open, from a second on.
fn exchanges(second: i64, first: u32, rounds: u32, [asked, answered]: [&'static [u8]; 2]) -> Input {
    let mut input = Input::new(LinkType::ETHERNET);
    input.after(second * SECOND);
    for n in first..first + rounds {
        for client in 0..100 {
            let data = Seg {
                client: [10, 0, 0, client],
                flags: ACK,
                ..Seg::default()
            };
            let [sent, received] = [asked, answered].map(|text| 1 + n * text.len() as u32);
            input.segment(Seg {
                seq: sent,
                ack: received,
                text: asked,
                ..data
            });
            input.segment(Seg {
                seq: received,
                ack: sent + asked.len() as u32,
                text: answered,
                back: true,
                ..data
            });
        }
    }
    input
}

/// Packets of open connections on an engine that has seen some; how many requests they were.
fn allocates_nothing(text: [&'static [u8]; 2]) -> usize {
    let mut engine = engine(&Settings::default());
    let mut opening = Input::new(LinkType::ETHERNET);
    for client in 0..100 {
        opening.handshake([10, 0, 0, client]);
    }
    let (mut handshakes, mut requests) = (0, 0);
    let mut count = |record: AnyRecord<'_>| match record {
        AnyRecord::Request(_) => requests += 1,
        _ => handshakes += 1,
    };
    let opened = allocation_counter::measure(|| {
        engine.feed(&opening.batch, |_, _| true, &mut count);
    });
    assert!(opened.count_total > 0, "the measure sees what is allocated");
    for input in [exchanges(1, 0, 20, text), exchanges(2, 20, 20, text)] {
        engine.feed(&input.batch, |_, _| true, &mut count);
    }
    let input = exchanges(3, 40, 20, text);
    let measured = allocation_counter::measure(|| {
        engine.feed(&input.batch, |_, _| true, &mut count);
    });
    assert_eq!(input.batch.packets.len(), 4000);
    assert_eq!(measured.count_total, 0, "{measured:?}");
    assert_eq!(handshakes, 100, "and nothing more");
    assert_eq!(engine.counts().connections, 100);
    requests
}

#[test]
fn invariant_04_nothing_is_allocated_for_packets_of_established_connections() {
    // Nothing is known of these: the first bytes of a connection may still become something.
    allocates_nothing([&[b'x'; 100], &[b'x'; 100]]);
}

#[test]
fn invariant_04_nothing_is_allocated_for_requests() {
    let redis: [&[u8]; 2] = [b"*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n", b"+OK\r\n"];
    // The last of each connection waits for its acknowledgment.
    assert_eq!(allocates_nothing(redis), 100 * (3 * 20 - 1));
    let http: [&[u8]; 2] = [
        b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ];
    assert_eq!(allocates_nothing(http), 100 * (3 * 20 - 1));
    let turn: [&[u8]; 2] = [&[0xfe; 40], &[0xfd; 80]];
    assert_eq!(allocates_nothing(turn), 100 * (3 * 20 - 1));
}
