//! What an adversary can make the engine hold: messages that never end, holes that are never filled, requests that are
//! never answered.

use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Engine;
use tcplens_core::shard::Settings;

use crate::wire::*;

const LIMIT: i64 = 1 << 20;
/// What an engine may need for a connection, whatever it waits for: the flow, what of it is odd, its exchange, and its share
/// of tables that double.
const PER_CONNECTION: i64 = 1280;

fn engine_with_limit() -> Engine {
    engine(&Settings {
        limit_held: LIMIT as usize,
        ..Settings::default()
    })
}

/// The `n`th connection of its kind, open.
fn connection(n: u32, at: i64) -> Talk {
    let [_, a, b, c] = n.to_be_bytes();
    let mut talk = Talk::between(&format!("10.{a}.{b}.{c}:40000"), "192.0.2.1:5000");
    talk.handshake([at, at + 10 * US, at + 20 * US]);
    talk
}

/// An engine after so many connections, in each of which `sends` says something after a time; and the most bytes that it
/// had in use meanwhile.
fn after(connections: u32, sends: impl Fn(u32, &mut Talk, i64)) -> (Engine, i64) {
    let mut engine = engine_with_limit();
    let measured = allocation_counter::measure(|| {
        for first in (0..connections).step_by(4) {
            let mut packets = Vec::new();
            let mut batched = None;
            allocation_counter::opt_out(|| {
                for n in first..first + 4 {
                    let at = i64::from(n) * 20 * US;
                    let mut talk = connection(n, at);
                    sends(n, &mut talk, at + 30 * US);
                    packets.append(&mut talk.packets);
                }
                packets.sort_by_key(|packet| packet.at);
                batched = Some(batch(&packets));
            });
            engine.feed(batched.as_ref().unwrap(), |_, _| true, |_| {});
            allocation_counter::opt_out(|| drop((std::mem::take(&mut packets), batched.take())));
        }
    });
    (engine, measured.bytes_max as i64)
}

fn hits(engine: &Engine, bound: &str) -> u64 {
    let counts = engine.counts();
    let hits = counts.read.limit_hits();
    hits.filter(|(name, _)| *name == bound)
        .map(|(_, hits)| hits)
        .sum()
}

/// Honest connections are read as ever.
fn still_reads(engine: &mut Engine) {
    let mut packets = Vec::new();
    for n in 0..500 {
        let at = 1000 * MS + i64::from(n) * MS;
        let mut talk = connection(1_000_000 + n, at);
        let request = get("honest");
        talk.data(at + 100 * US, C, &request);
        talk.data(at + 200 * US, S, &bulk(b"bar"));
        talk.ack(at + 300 * US, C);
        packets.append(&mut talk.packets);
    }
    let mut read = 0;
    engine.feed(
        &batch(&packets),
        |_, _| true,
        |record| {
            if let AnyRecord::Request(request) = record {
                let record = request.record();
                let is_whole = record.total_us.is_some();
                read += usize::from(record.summary == Some("GET honest") && is_whole);
            }
        },
    );
    assert_eq!(read, 500);
}

/// What may be said, and how often.
type Sends = fn(&mut Talk, i64);

/// The head of a request that does not end.
fn endless_head(talk: &mut Talk, at: i64) {
    let head = b"GET / HTTP/1.1\r\n".iter();
    let lines = b"X: 0123456789012345678901234567890123456789\r\n".iter();
    let head: Vec<u8> = head.chain(lines.cycle()).take(9_000).copied().collect();
    head.chunks(1400).for_each(|piece| talk.data(at, C, piece));
}

/// A command that announces more than ever comes.
fn half_a_command(talk: &mut Talk, at: i64) {
    let head = b"*3\r\n$3\r\nSET\r\n$3\r\nfoo\r\n$100000000\r\n";
    talk.data(at, C, &[&head[..], &[b'v'; 1000]].concat());
    talk.data(at + US, C, &[b'v'; 1400]);
}

/// Bytes beyond a hole.
fn behind_a_hole(talk: &mut Talk, at: i64) {
    talk.data(at, C, &get("foo"));
    talk.sent[C] += 10;
    for _ in 0..8 {
        talk.data(at, C, &[b'x'; 1400]);
    }
}

/// Requests that nobody answers.
fn unanswered(talk: &mut Talk, at: i64) {
    let request = command(&[b"GET", &[b'k'; 100]]);
    for _ in 0..5 {
        talk.data(at, C, &request.repeat(12));
    }
}

/// Two hundred requests, and answers to all but the last of them.
fn all_but_one_answered(talk: &mut Talk, at: i64) {
    let request = command(&[b"GET", &[b'k'; 100]]);
    for _ in 0..20 {
        talk.data(at, C, &request.repeat(10));
    }
    talk.data(at + US, S, &b"+OK\r\n".repeat(199));
    talk.ack(at + 2 * US, C);
}

/// A long command in short pieces, whole in the end, and half of another.
fn long_and_then_short(talk: &mut Talk, at: i64) {
    let long = command(&[b"GET", &[b'k'; 20_000]]);
    let pieces = long.chunks(100);
    pieces.for_each(|piece| talk.data(at, C, piece));
    talk.data(at + US, C, b"*2\r\n$3\r\nGET\r\n$3\r\nf");
}

/// A request, and a hole in the next that is filled when much lies behind it.
fn hole_that_is_filled(talk: &mut Talk, at: i64) {
    talk.data(at, C, &get("foo"));
    let from = talk.sent[C];
    let next = get("bar");
    talk.sent[C] += 1;
    talk.data(at, C, &next[1..]);
    for _ in 0..200 {
        talk.data(at, C, &next);
    }
    talk.data(at + US, S, &b"+OK\r\n".repeat(201));
    talk.piece(at + 2 * US, C, from, &next[..1], talk.sent[S]);
    talk.ack(at + 3 * US, C);
}

/// A message that a connection waits for, of each kind as small as it can be.
fn one_request(talk: &mut Talk, at: i64) {
    talk.data(at, C, &get("foo"));
}

fn half_a_request(talk: &mut Talk, at: i64) {
    talk.data(at, C, &get("foo")[..9]);
}

fn one_byte_behind_a_hole(talk: &mut Talk, at: i64) {
    talk.sent[C] += 1;
    talk.data(at, C, b"x");
}

/// Whatever was large and is small, or is small in each of very many connections: all of it counts.
#[test]
fn invariant_03_what_was_large_and_what_is_small_counts() {
    const CONNECTIONS: u32 = 2_000;
    let kinds: [Sends; 6] = [
        all_but_one_answered,
        long_and_then_short,
        hole_that_is_filled,
        one_request,
        half_a_request,
        one_byte_behind_a_hole,
    ];
    for (n, kind) in kinds.into_iter().enumerate() {
        let (mut engine, most) = after(CONNECTIONS, |_, talk, at| kind(talk, at));
        let bound = i64::from(CONNECTIONS) * PER_CONNECTION + 2 * LIMIT;
        assert!(most < bound, "{n}: {most} of {bound}");
        assert!(hits(&engine, "held_bytes") > 0, "{n}");
        still_reads(&mut engine);
    }
}

/// Sends of every kind, of 20,000 connections.
#[test]
fn invariant_03_an_adversary_holds_no_more_than_the_limit() {
    const CONNECTIONS: u32 = 20_000;
    let kinds: [Sends; 4] = [endless_head, half_a_command, behind_a_hole, unanswered];
    let (mut engine, most) = after(CONNECTIONS, |n, talk, at| kinds[n as usize % 4](talk, at));
    let bound = i64::from(CONNECTIONS) * PER_CONNECTION + LIMIT;
    assert!(most < bound, "{most} of {bound}");
    assert!(hits(&engine, "held_bytes") > 0);
    still_reads(&mut engine);
}

#[test]
fn invariant_03_every_kind_of_message_counts() {
    const CONNECTIONS: u32 = 1_000;
    let kinds: [Sends; 3] = [endless_head, behind_a_hole, unanswered];
    for (n, kind) in kinds.into_iter().enumerate() {
        let (mut engine, most) = after(CONNECTIONS, |_, talk, at| kind(talk, at));
        let bound = i64::from(CONNECTIONS) * PER_CONNECTION + 4 * LIMIT;
        assert!(most < bound, "{n}: {most} of {bound}");
        assert!(hits(&engine, "held_bytes") > 0, "{n}");
        still_reads(&mut engine);
    }
    // What need not be seen is not kept.
    let (mut engine, _) = after(CONNECTIONS / 10, |_, talk, at| half_a_command(talk, at));
    assert_eq!(hits(&engine, "held_bytes"), 0);
    still_reads(&mut engine);
}

/// One connection has bounds of its own.
#[test]
fn invariant_03_one_connection_holds_no_more_than_its_bounds() {
    let after_one = |sends: &dyn Fn(&mut Talk)| {
        let mut engine = engine(&Settings::default());
        let mut talk = connection(1, 0);
        sends(&mut talk);
        let packets = batch(&talk.packets);
        let measured = allocation_counter::measure(|| {
            engine.feed(&packets, |_, _| true, |_| {});
        });
        (engine, measured.bytes_max)
    };
    // 64 KiB of a head.
    let (engine, most) = after_one(&|talk| {
        let line = b"X: 0123456789\r\n";
        talk.data(MS, C, b"GET / HTTP/1.1\r\n");
        for n in 0..1000 {
            talk.data(2 * MS + n * US, C, &line.repeat(80));
        }
    });
    assert!(most < 512 << 10, "{most}");
    let too_long = engine.counts().read;
    assert!(too_long.unparsed().any(|told| told == ("http.too_long", 1)));
    // 512 KiB behind a hole.
    let (engine, most) = after_one(&|talk| {
        talk.data(MS, C, &get("foo"));
        talk.sent[C] += 10;
        for n in 0..1000 {
            talk.data(2 * MS + n * US, C, &[b'x'; 1400]);
        }
    });
    assert!(most < 1 << 20, "{most}");
    assert!(hits(&engine, "early_bytes") > 0);
    // 1024 requests; of those after them it would not be known which response is theirs.
    let (engine, most) = after_one(&|talk| {
        for n in 0..1000 {
            talk.data(2 * MS + n * US, C, &get("foo").repeat(40));
        }
    });
    // Of these most are records by now.
    let records = 40_000 * 1024;
    assert!(most < records, "{most}");
    assert_eq!(hits(&engine, "pending_requests"), 1024);
}

/// A flood of queries evicts none of the connections of TCP.
#[test]
fn invariant_03_flows_of_datagrams_go_before_connections() {
    const CONNECTIONS: u32 = 64;
    let mut engine = engine(&Settings {
        limit_connections: 64 * 32,
        ..Settings::default()
    });
    let mut packets = Vec::new();
    for n in 0..CONNECTIONS {
        packets.append(&mut connection(n, i64::from(n) * 20 * US).packets);
    }
    for n in 0..10_000_u32 {
        let [_, _, a, b] = n.to_be_bytes();
        let client = format!("10.9.{a}.{b}:40000");
        let query = crate::conversations::dns_query(1, b'a', 1);
        packets.push(datagram(
            10 * MS + i64::from(n) * US,
            &client,
            "192.0.2.1:53",
            &query,
        ));
    }
    let [mut queries, mut connections] = [0; 2];
    let mut each = |record: AnyRecord<'_>| match record {
        AnyRecord::Request(_) => queries += 1,
        AnyRecord::Connection(_) => connections += 1,
        AnyRecord::Handshake(_) => {}
    };
    engine.feed(&batch(&packets), |_, _| true, &mut each);
    let counts = engine.counts();
    assert_eq!(
        (counts.evicted, counts.connections),
        (0, u64::from(CONNECTIONS))
    );
    assert!(
        counts.evicted_datagrams >= 10_000 - 64 * 32,
        "{}",
        counts.evicted_datagrams
    );
    engine.finish(&mut each);
    assert_eq!((queries, connections), (10_000, CONNECTIONS));
}

/// The words of requests stay their own while others are given up around them.
#[test]
fn words_of_requests_that_are_given_up() {
    let mut talk = Talk::open();
    for n in 0..3000 {
        let key = format!("{n:0>90}");
        talk.data(10 * MS + n * US, C, &get(&key));
    }
    let requests = run(&talk.packets).requests;
    assert_eq!(requests.len(), 3000);
    for got in &requests {
        let record = got.record();
        let summary = format!("GET {:0>90}", record.task - 1);
        assert_eq!(record.operation, Some("GET"));
        assert_eq!(record.summary, Some(summary.as_str()));
    }
}
