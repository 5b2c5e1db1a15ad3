//! What live capture adds to the engine: packets that were lost before they were seen, time that goes on without packets,
//! and several threads that share the packets.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use tcplens_core::batch::{AnyRecord, Place};
use tcplens_core::engine::{Front, Lane, Merge, Work};
use tcplens_core::packet::{Batch, LinkType, Packet};
use tcplens_core::pending::Pending;
use tcplens_core::record::Vantage;
use tcplens_core::shard::Settings;
use tcplens_core::share::owner;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::wire::DecodeSettings;

use packets::{ACK, FIN, Input, RST, SYN, Seg};

#[path = "invariants/packets.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod packets;

/// One capture thread: its decoding and its flows.
struct Thread {
    front: Front,
    lane: Lane,
    work: [Work; 1],
}

impl Thread {
    fn new(me: usize, of: usize) -> Thread {
        Thread::sharing(me, of, Settings::default())
    }

    fn with(settings: Settings) -> Thread {
        Thread::sharing(0, 1, settings)
    }

    fn sharing(me: usize, of: usize, settings: Settings) -> Thread {
        let settings = Settings {
            vantage: Vantage::Wire,
            ..settings
        };
        let mut front = Front::new(DecodeSettings::default());
        front.keep_packets();
        front.share(me, of);
        Thread {
            front,
            lane: Lane::new(&settings, 1),
            work: [Work::default()],
        }
    }

    fn packets<'p>(&mut self, batch: &Batch, packets: impl IntoIterator<Item = &'p Packet>) {
        for packet in packets {
            self.front
                .packet(&batch.bytes, packet, LinkType::ETHERNET, &mut self.work);
        }
        self.lane.run(&self.work[0], &batch.bytes);
        self.work[0].clear();
        self.lane.advance(self.front.clock);
    }

    fn end(&mut self) {
        self.front.finish();
        self.lane.end(self.front.clock);
        self.lane.end_until(u64::MAX);
    }

    /// What it has made so far.
    fn records(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        Merge::default().merge([&mut self.lane.records], Place::LAST, |record| {
            all.push(text(record));
        });
        all
    }
}

/// Kind, client, how it ended, and whether something may be missing.
fn text(record: AnyRecord<'_>) -> String {
    match record {
        AnyRecord::Handshake(h) => {
            format!("{} {:?} lost={}", h.client_ip, h.outcome, h.capture_loss)
        }
        AnyRecord::Request(r) => {
            let r = r.record();
            format!(
                "{} {} lost={}",
                r.client_ip,
                r.summary.unwrap_or_default(),
                r.capture_loss
            )
        }
        AnyRecord::Connection(c) => {
            format!("{} {:?} lost={}", c.client_ip, c.close, c.capture_loss)
        }
    }
}

/// A request over HTTP on a connection that is open.
fn exchange(input: &mut Input, client: [u8; 4]) {
    let seg = Seg {
        client,
        flags: ACK,
        ..Seg::default()
    };
    let (asked, answered) = (
        b"GET /a HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    );
    input.segment(Seg {
        seq: 1,
        ack: 1,
        text: asked,
        ..seg
    });
    input.segment(Seg {
        seq: 1,
        ack: 1 + asked.len() as u32,
        back: true,
        text: answered,
        ..seg
    });
    input.segment(Seg {
        seq: 1 + asked.len() as u32,
        ack: 1 + answered.len() as u32,
        flags: RST | ACK,
        ..seg
    });
}

#[test]
fn what_is_under_way_when_packets_are_lost_is_marked_and_nothing_else() {
    let (before, during, after) = ([10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]);
    let mut input = Input::new(LinkType::ETHERNET);
    input.handshake(before);
    exchange(&mut input, before);
    input.handshake(during);
    let lost_at = input.batch.packets.len();
    exchange(&mut input, during);
    input.handshake(after);
    exchange(&mut input, after);
    let mut thread = Thread::new(0, 1);
    let batch = &input.batch;
    thread.packets(batch, &batch.packets[..lost_at]);
    // As the ring tells it: with the first packet behind the gap.
    thread.lane.lost(batch.packets[lost_at].time.plus(-1));
    thread.packets(batch, &batch.packets[lost_at..]);
    // The connections linger; none is silent for so long.
    thread.end();
    let mut records = thread.records();
    records.sort();
    assert_eq!(
        records,
        [
            "10.0.0.1 Established lost=false",
            "10.0.0.1 GET /a lost=false",
            "10.0.0.1 RstByClient lost=true",
            "10.0.0.2 Established lost=false",
            "10.0.0.2 GET /a lost=false",
            "10.0.0.2 RstByClient lost=true",
            "10.0.0.3 Established lost=false",
            "10.0.0.3 GET /a lost=false",
            "10.0.0.3 RstByClient lost=false",
        ]
    );
}

#[test]
fn a_request_that_waits_while_packets_are_lost_is_marked() {
    let mut input = Input::new(LinkType::ETHERNET);
    let client = [10, 0, 0, 1];
    input.handshake(client);
    exchange(&mut input, client);
    let batch = &input.batch;
    let mut thread = Thread::new(0, 1);
    // Handshake and request; then the gap; then the response.
    thread.packets(batch, &batch.packets[..4]);
    thread.lane.lost(batch.packets[4].time);
    thread.packets(batch, &batch.packets[4..]);
    thread.end();
    let records = thread.records();
    assert!(
        records.contains(&"10.0.0.1 GET /a lost=true".to_owned()),
        "{records:?}"
    );
}

#[test]
fn connections_expire_though_no_packet_comes() {
    let mut input = Input::new(LinkType::ETHERNET);
    input.handshake([10, 0, 0, 1]);
    let batch = &input.batch;
    let mut thread = Thread::new(0, 1);
    thread.packets(batch, &batch.packets);
    let last = batch.packets.last().unwrap().time;
    let mut at = |seconds: i64| {
        thread.front.tick(last.plus(seconds * SECOND));
        let clock = thread.front.clock;
        thread.lane.advance(clock);
        thread.records()
    };
    assert_eq!(at(0), ["10.0.0.1 Established lost=false"]);
    assert_eq!(at(299), [""; 0]);
    assert_eq!(at(301), ["10.0.0.1 Idle lost=false"]);
    // A clock that was set back does not go back here.
    thread.front.tick(Timestamp(0));
    assert_eq!(thread.front.clock, last.plus(301 * SECOND));
}

/// Somebody waits for the record.
#[test]
fn a_connection_that_is_over_is_told_when_it_has_lingered() {
    let mut input = Input::new(LinkType::ETHERNET);
    let client = [10, 0, 0, 1];
    input.handshake(client);
    exchange(&mut input, client);
    let batch = &input.batch;
    let mut thread = Thread::with(Settings {
        linger: 2 * SECOND,
        ..Settings::default()
    });
    thread.packets(batch, &batch.packets);
    assert_eq!(thread.records().len(), 2);
    let over = thread.front.clock;
    thread.lane.advance(over.plus(2 * SECOND - 1));
    assert_eq!(thread.records(), [""; 0]);
    thread.lane.advance(over.plus(2 * SECOND));
    assert_eq!(thread.records(), ["10.0.0.1 RstByClient lost=false"]);
    // The server's answer to the RST that crossed it.
    thread.front.tick(over.plus(3 * SECOND));
    let late = Seg {
        client,
        seq: 1,
        ack: 1,
        flags: ACK,
        ..Seg::default()
    };
    let mut input = Input::new(LinkType::ETHERNET);
    input.segment(late);
    thread.packets(&input.batch, &input.batch.packets);
    assert_eq!(thread.lane.counts().late_segments, 1);
    thread.end();
    assert_eq!(thread.records(), [""; 0]);
}

#[test]
fn attempts_that_nothing_answers_are_pending_until_something_does() {
    let mut input = Input::new(LinkType::ETHERNET);
    let syn = Seg {
        flags: SYN,
        ..Seg::default()
    };
    // Two to a server that is silent, the one of them twice; one that is refused, one that is established.
    let silent = [10, 0, 9, 9];
    for n in [1, 2, 1] {
        input.segment(Seg {
            client: [10, 0, 0, n],
            server: silent,
            ..syn
        });
        input.after(SECOND);
    }
    let refused = Seg {
        client: [10, 0, 0, 3],
        ..syn
    };
    input.segment(refused);
    input.segment(Seg {
        flags: RST | ACK,
        ack: 1,
        back: true,
        ..refused
    });
    input.handshake([10, 0, 0, 4]);
    let answer = input.batch.packets.len();
    input.segment(Seg {
        client: [10, 0, 0, 1],
        server: silent,
        flags: SYN | ACK,
        ack: 1,
        back: true,
        ..Seg::default()
    });
    let batch = &input.batch;
    let mut thread = Thread::new(0, 1);
    let pending = |thread: &Thread| {
        let pending = thread.lane.pending(thread.front.clock);
        let seconds = |span: Span| span.ns() / SECOND as u64;
        let servers: Vec<_> = (pending.busiest(9).into_iter())
            .map(|((ip, port), it)| (format!("{ip}:{port}"), it.attempts, seconds(it.oldest)))
            .collect();
        (pending.attempts, pending.oldest.map(seconds), servers)
    };
    let server = || "10.0.9.9:80".to_owned();
    thread.packets(batch, &batch.packets[..answer]);
    assert_eq!(pending(&thread), (2, Some(3), vec![(server(), 2, 3)]));
    thread.packets(batch, &batch.packets[answer..]);
    assert_eq!(pending(&thread), (1, Some(2), vec![(server(), 1, 2)]));
    let given_up = thread.front.clock.plus(61 * SECOND);
    thread.lane.advance(given_up);
    assert_eq!(thread.lane.pending(given_up), Pending::default());
}

/// In a flood the attempts are counted all the same, and a few servers are told.
#[test]
fn pending_attempts_of_a_flood_are_counted_and_few_servers_are_kept() {
    let mut input = Input::new(LinkType::ETHERNET);
    for n in 0..30_000_u32 {
        let [_, _, high, low] = n.to_be_bytes();
        input.segment(Seg {
            server: [10, 9, high, low],
            flags: SYN,
            ..Seg::default()
        });
    }
    let batch = &input.batch;
    let mut thread = Thread::new(0, 1);
    thread.packets(batch, &batch.packets);
    let mut pending = thread.lane.pending(thread.front.clock);
    assert_eq!(pending.attempts, 30_000);
    assert!(pending.busiest(usize::MAX).len() <= 64 * 256);
    pending.shorten();
    assert_eq!(pending.busiest(usize::MAX).len(), 64);
    assert_eq!(pending.attempts, 30_000);
}

/// Linux repeats a SYN that nothing answers 9 to 33 s after the one before. Whoever waits is told after the timeout, and the
/// repeat is none of a second attempt, however many connections closed meanwhile.
#[test]
fn silence_counts_from_the_first_syn_and_a_later_one_is_no_second_attempt() {
    let syn = Seg {
        flags: SYN,
        ..Seg::default()
    };
    let mut input = Input::new(LinkType::ETHERNET);
    input.segment(syn);
    for gap in [19, 16] {
        input.after(gap * SECOND);
        input.segment(syn);
    }
    input.after(26 * SECOND);
    for n in 0..20_000_u32 {
        let [_, _, high, low] = n.to_be_bytes();
        let client = [10, 1, high, low];
        input.handshake(client);
        input.segment(Seg {
            client,
            seq: 1,
            ack: 1,
            flags: RST | ACK,
            ..Seg::default()
        });
    }
    let until_repeat = input.batch.packets.len();
    input.after(8 * SECOND);
    input.segment(syn);
    let batch = &input.batch;
    let mut thread = Thread::new(0, 1);
    thread.packets(batch, &batch.packets[..until_repeat]);
    let about_it = |records: Vec<String>| -> Vec<String> {
        let all = records.into_iter();
        all.filter(|record| record.starts_with("10.0.0.1 "))
            .collect()
    };
    assert_eq!(
        about_it(thread.records()),
        ["10.0.0.1 TimedOut lost=false"],
        "61 s after the first SYN, 26 s after the last"
    );
    thread.packets(batch, &batch.packets[until_repeat..]);
    assert_eq!(thread.lane.counts().late_syns, 1);
    thread.end();
    assert_eq!(about_it(thread.records()), ["10.0.0.1 Failed lost=false"]);
}

/// Bytes of an Ethernet frame from its IPv4 header on: which ports, if it is whole TCP.
fn sent_to(bytes: &[u8], threads: usize) -> usize {
    let ip = &bytes[14..];
    let is_whole_tcp = ip[9] == 6 && ip[6] & 0x3f == 0 && ip[7] == 0;
    let word = |at: usize| u32::from_be_bytes(ip[at..at + 4].try_into().unwrap());
    let ports = if is_whole_tcp {
        u32::from(u16::from_be_bytes([ip[20], ip[21]]) ^ u16::from_be_bytes([ip[22], ip[23]]))
    } else {
        0
    };
    // As the kernel's program computes it (tcplens-capture, ring/fanout.rs, has the test that it does).
    let mixed = (word(12) ^ word(16) ^ ports).wrapping_mul(tcplens_core::share::FACTOR) >> 16;
    mixed as usize % threads
}

/// A TCP segment in two fragments.
fn in_fragments(input: &mut Input, segment: Seg) {
    let whole = segment.bytes();
    let (link, ip) = whole.split_at(14);
    let (header, body) = ip.split_at(20);
    for (at, part, more) in [(0, &body[..24], true), (24, &body[24..], false)] {
        let mut header = header.to_vec();
        header[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
        let place = (at / 8) as u16 | u16::from(more) << 13;
        header[6..8].copy_from_slice(&place.to_be_bytes());
        input.packet(&[link, &header, part].concat());
    }
}

/// A router says that a SYN cannot be delivered.
fn unreachable(input: &mut Input, client: [u8; 4]) {
    let syn = Seg {
        client,
        flags: SYN,
        ..Seg::default()
    };
    input.segment(syn);
    let quoted = &syn.bytes()[14..14 + 28];
    let mut bytes = syn.bytes()[..14].to_vec();
    bytes.extend([0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 172, 16, 0, 9]);
    bytes.extend(client);
    bytes.extend([3, 1, 0, 0, 0, 0, 0, 0]);
    bytes.extend(quoted);
    input.packet(&bytes);
}

/// Whatever the number of threads, the records are the same: what comes to the wrong thread is handed on.
#[test]
fn threads_that_share_packets_make_the_records_of_one() {
    let mut input = Input::new(LinkType::ETHERNET);
    for n in 1..=40 {
        let client = [10, 0, 0, n];
        input.handshake(client);
        let (asked, answered) = (
            b"GET /a HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
        );
        let seg = Seg {
            client,
            flags: ACK,
            ..Seg::default()
        };
        in_fragments(
            &mut input,
            Seg {
                seq: 1,
                ack: 1,
                text: asked,
                ..seg
            },
        );
        input.segment(Seg {
            seq: 1,
            ack: 1 + asked.len() as u32,
            back: true,
            text: answered,
            flags: ACK | FIN,
            ..seg
        });
        unreachable(&mut input, [10, 0, 1, n]);
    }
    let batch = &input.batch;
    let mut alone = Thread::new(0, 1);
    alone.packets(batch, &batch.packets);
    alone.end();
    let mut expected = alone.records();
    expected.sort();
    assert!(expected.iter().any(|record| record.contains("GET /a")));
    assert!(expected.iter().any(|record| record.contains("Unreachable")));
    for of in 2..=4 {
        let mut threads: Vec<Thread> = (0..of).map(|me| Thread::new(me, of)).collect();
        let mut handed_on = 0;
        for packet in &batch.packets {
            let to = sent_to(batch.data(packet), of);
            threads[to].packets(batch, [packet]);
            for moved in std::mem::take(&mut threads[to].front.moved) {
                handed_on += 1;
                let thread = &mut threads[moved.to];
                thread.front.adopt(moved, &mut thread.work);
                thread.lane.run(&thread.work[0], &[]);
                thread.work[0].clear();
            }
        }
        let mut records = Vec::new();
        for thread in &mut threads {
            thread.end();
            records.extend(thread.records());
        }
        records.sort();
        assert_eq!(records, expected, "{of} threads");
        assert!(handed_on > 0, "{of} threads");
    }
}

#[test]
fn both_directions_of_a_flow_have_one_owner() {
    let key = |low: u64, high: u64, ports: [u16; 2]| tcplens_core::wire::segment::FlowKey {
        low: [0, 0xffff_0000_0000 | low],
        high: [0, 0xffff_0000_0000 | high],
        ports,
        context: 0,
    };
    let spread: std::collections::BTreeSet<usize> = (40_000..40_100)
        .map(|port| owner(&key(1, 2, [port, 80]), 4))
        .collect();
    assert_eq!(spread.len(), 4, "ports spread over all threads");
    assert_eq!(
        owner(&key(1, 2, [9, 80]), 4),
        owner(&key(2, 1, [80, 9]), 4),
        "either end may be the lower"
    );
}
