//! However a conversation is cut into segments, repeated and reordered, its requests are the same, and a byte counts as
//! seen when it and all before it were captured.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use tcplens_core::proto::AnyParser;
use tcplens_core::record::Protocol;

use crate::conversations::{Conversation, all};
use crate::wire::*;

/// The same cases in every run, and more of them where `PROPTEST_CASES` asks for more.
pub(crate) fn cases(few: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let is_named = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if is_named { default.cases } else { few },
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..default
    }
}

/// How bytes are brought; lists are used again and again from the front.
#[derive(Clone, Debug)]
struct Delivery {
    /// Lengths of segments.
    lengths: Vec<u32>,
    /// By how many segments of its turn each one is late.
    late: Vec<usize>,
    /// Before which segment of all, and which bytes that were sent before it: where they begin, how many.
    repeats: Vec<(Index, Index, u32)>,
    /// Whether the other side acknowledges a segment at once.
    acks: Vec<bool>,
    /// us between packets.
    gaps: Vec<i64>,
    timestamps: bool,
}

fn delivery(late: usize, repeats: usize) -> impl Strategy<Value = Delivery> {
    let lengths = prop_oneof![
        prop::collection::vec(1_u32..4, 1..6),
        prop::collection::vec(1_u32..60, 1..6),
        prop::collection::vec(1_u32..1460, 1..6),
    ];
    let repeat = (any::<Index>(), any::<Index>(), 1_u32..1460);
    (
        lengths,
        prop::collection::vec(0..=late, 1..8),
        prop::collection::vec(repeat, 0..=repeats),
        prop::collection::vec(any::<bool>(), 1..5),
        prop::collection::vec(1_i64..300, 1..5),
        any::<bool>(),
    )
        .prop_map(
            |(lengths, late, repeats, acks, gaps, timestamps)| Delivery {
                lengths,
                late,
                repeats,
                acks,
                gaps,
                timestamps,
            },
        )
}

/// A segment of a side: from a position, so many bytes.
#[derive(Clone, Copy, Debug)]
struct Piece {
    side: usize,
    from: u32,
    length: u32,
}

impl Delivery {
    /// The segments in the order of their capture.
    fn pieces(&self, conversation: &Conversation) -> Vec<Piece> {
        let mut lengths = self.lengths.iter().copied().cycle();
        let mut late = self.late.iter().copied().cycle();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut at = [0; 2];
        // Where each side stands when a segment is sent: a repeat has nothing of what comes later.
        let mut ends = Vec::new();
        for turn in conversation.turns() {
            let side = turn.side;
            let mut left = turn.bytes.len() as u32;
            let mut of_turn: Vec<(usize, Piece)> = Vec::new();
            while left > 0 {
                let length = lengths.next().unwrap_or(1).min(left);
                let from = at[side];
                let place = of_turn.len() + late.next().unwrap_or(0);
                of_turn.push((place, Piece { side, from, length }));
                at[side] += length;
                left -= length;
            }
            of_turn.sort_by_key(|(place, _)| *place);
            ends.extend(of_turn.iter().map(|_| at));
            pieces.extend(of_turn.into_iter().map(|(_, piece)| piece));
        }
        let mut repeats: Vec<(usize, Piece)> = Vec::new();
        for (before, start, length) in &self.repeats {
            let before = before.index(pieces.len());
            let side = pieces[before].side;
            let sent = ends[before][side];
            let from = start.index(sent as usize) as u32;
            let length = (*length).min(sent - from);
            repeats.push((before, Piece { side, from, length }));
        }
        repeats.sort_by_key(|(before, _)| std::cmp::Reverse(*before));
        for (before, piece) in repeats {
            pieces.insert(before, piece);
        }
        pieces
    }

    /// The conversation as captured, and of each byte of either side when it was captured and when it and all before it
    /// were.
    fn capture(&self, conversation: &Conversation) -> (Talk, [Vec<[i64; 2]>; 2]) {
        let mut streams = [Vec::new(), Vec::new()];
        for said in &conversation.said {
            streams[said.side].extend(&said.bytes);
        }
        let mut here = streams.each_ref().map(|stream| vec![false; stream.len()]);
        let mut first = streams
            .each_ref()
            .map(|stream| vec![i64::MAX; stream.len()]);
        let mut seen: [Vec<[i64; 2]>; 2] = Default::default();
        let mut talk = Talk::with_port(conversation.port);
        talk.timestamps = self.timestamps;
        talk.handshake([0, 500 * US, 1000 * US]);
        let mut gaps = self.gaps.iter().copied().cycle();
        let mut acks = self.acks.iter().copied().cycle();
        let mut now = MS;
        for Piece { side, from, length } in self.pieces(conversation) {
            now += gaps.next().unwrap_or(1) * US;
            let range = from as usize..(from + length) as usize;
            let ack = seen[1 - side].len() as u32;
            talk.piece(now, side, from, &streams[side][range.clone()], ack);
            for at in range {
                here[side][at] = true;
                first[side][at] = first[side][at].min(now);
            }
            while here[side].get(seen[side].len()) == Some(&true) {
                let captured = first[side][seen[side].len()];
                seen[side].push([captured, now]);
            }
            if acks.next() == Some(true) {
                now += 7 * US;
                talk.sent = [0, 1].map(|side| seen[side].len() as u32);
                talk.ack(now, 1 - side);
            }
        }
        assert_eq!(seen.each_ref().map(Vec::len), streams.map(|s| s.len()));
        talk.sent = [0, 1].map(|side| seen[side].len() as u32);
        talk.ack(now + MS, C);
        (talk, seen)
    }
}

/// T0 to T3 of each request, by the definition.
fn times(conversation: &Conversation, seen: &[Vec<[i64; 2]>; 2]) -> Vec<[Option<i64>; 4]> {
    let places = conversation.places();
    let times = places.iter().map(|[asked, answered]| {
        let begins_and_ends = |side: usize, runs: &[(u32, u32)]| {
            let bytes = |&(first, last): &(u32, u32)| &seen[side][first as usize..=last as usize];
            let captured = runs.iter().flat_map(bytes).map(|[captured, _]| *captured);
            let known = runs.iter().flat_map(bytes).map(|[_, known]| *known);
            [captured.min(), known.max()]
        };
        let [t0, t1] = begins_and_ends(C, asked);
        let [t2, t3] = begins_and_ends(S, answered);
        [t0, t1, t2, t3]
    });
    times.collect()
}

fn check(conversation: &Conversation, delivery: &Delivery) -> Result<(), TestCaseError> {
    let (talk, seen) = delivery.capture(conversation);
    let outcome = run(&talk.packets);
    let protocol = conversation.protocol;
    prop_assert_eq!(
        outcome.lines(),
        conversation.lines,
        "{:?}",
        conversation.protocol
    );
    let mut requests: Vec<&Got> = outcome.requests.iter().collect();
    requests.sort_by_key(|got| got.row.task);
    for (got, bytes) in requests.iter().zip(conversation.bytes()) {
        let record = got.record();
        prop_assert_eq!([record.request_bytes, record.response_bytes], bytes);
    }
    for (got, expected) in requests.iter().zip(times(conversation, &seen)) {
        keeps_the_contract(got).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&got.times()[..4], expected, "{:?} {}", protocol, got.line());
        let record = got.record();
        prop_assert!(!record.gap && !record.cut, "{}", got.line());
        let delivered = record
            .delivered_us
            .is_none_or(|span| Some(span) >= record.total_us);
        prop_assert!(delivered, "{}", got.line());
    }
    Ok(())
}

/// Every segment as long as its turn.
#[test]
fn a_segment_for_each_turn() {
    let plain = Delivery {
        lengths: vec![u32::MAX],
        late: vec![0],
        repeats: Vec::new(),
        acks: vec![false],
        gaps: vec![100],
        timestamps: false,
    };
    for conversation in all() {
        check(&conversation, &plain).unwrap();
    }
}

/// The table of conversations has every protocol that is recognised, and turns.
#[test]
fn every_protocol_has_a_conversation() {
    let conversations = all();
    let spoken = |protocol| conversations.iter().any(|c| c.protocol == protocol);
    for protocol in AnyParser::RECOGNISED {
        assert!(spoken(*protocol), "{protocol:?}");
    }
    assert!(spoken(Protocol::Turn));
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn segments_of_any_length(delivery in delivery(0, 0)) {
        for conversation in all() {
            check(&conversation, &delivery)?;
        }
    }

    #[test]
    fn segments_in_any_order(delivery in delivery(5, 0)) {
        for conversation in all() {
            check(&conversation, &delivery)?;
        }
    }

    #[test]
    fn segments_repeated_and_reordered(delivery in delivery(3, 8)) {
        for conversation in all() {
            check(&conversation, &delivery)?;
        }
    }
}
