//! The story of a connection against its records: whatever the packets, what is told of segments sums to the counters of the
//! connection's record, what its time went to sums to its lifetime, and the bounds hold.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tcplens_core::batch::{AnyRecord, Moment};
use tcplens_core::engine::{Front, ICMP, Lane, Merge, Work};
use tcplens_core::packet::LinkType;
use tcplens_core::record::{Connection, ConnectionId, End, Sent};
use tcplens_core::shard::Settings;
use tcplens_core::view::explain::{
    Detail, Event, LEAST, Late, Share, Story, Teller, What, sentences, words,
};
use tcplens_core::wire::DecodeSettings;
use tcplens_core::wire::segment::has;

use packets::{ACK, FIN, Input, RST, SYN, Seg};

#[path = "invariants/packets.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod packets;

/// The stories of all connections: packets and records in the order in which the program shows them.
fn stories(input: &Input, settings: &Settings, detail: Detail) -> Vec<Story> {
    let mut front = Front::new(DecodeSettings::default());
    front.keep_packets();
    let mut lane = Lane::new(settings, 1);
    let mut merge = Merge::default();
    let mut work = [Work::default()];
    let mut tellers: BTreeMap<ConnectionId, Teller> = BTreeMap::new();
    let mut told = Vec::new();
    let batch = &input.batch;
    for packet in &batch.packets {
        front.packet(&batch.bytes, packet, LinkType::ETHERNET, &mut work);
        let mut owners = Vec::new();
        lane.run_and_tell(&work[0], &batch.bytes, &mut owners);
        lane.advance(front.clock);
        let segment = work[0].segments.first().copied();
        let segment = segment.filter(|seg| seg.has & (ICMP | has::DATAGRAM) == 0);
        work[0].clear();
        let moment = segment.map(|seg| Moment {
            clock: seg.clock,
            frame: seg.frame,
        });
        let mut waits = segment.zip(owners.first().copied());
        let mut show = |tellers: &mut BTreeMap<ConnectionId, Teller>| {
            if let Some((segment, owner)) = waits.take() {
                let fresh = || Teller::new(detail, settings.keep_duplicates);
                let teller = tellers.entry(owner.connection_id).or_insert_with(fresh);
                teller.segment(&segment, &owner);
            }
        };
        merge.merge_placed([&mut lane.records], front.watermark(), |place, record| {
            if moment.is_some_and(|moment| moment <= place.at) {
                show(&mut tellers);
            }
            told.extend(tell(&mut tellers, record));
        });
        show(&mut tellers);
    }
    front.finish();
    lane.end(front.clock);
    lane.end_until(u64::MAX);
    let last = tcplens_core::batch::Place::LAST;
    merge.merge([&mut lane.records], last, |record| {
        told.extend(tell(&mut tellers, record));
    });
    told
}

/// Takes a record; the story, if that was its last.
fn tell(tellers: &mut BTreeMap<ConnectionId, Teller>, record: AnyRecord<'_>) -> Option<Story> {
    match record {
        AnyRecord::Handshake(handshake) => {
            tellers
                .get_mut(&handshake.connection_id)?
                .handshake(handshake);
            None
        }
        AnyRecord::Request(request) => {
            tellers
                .get_mut(&request.row.connection_id)?
                .request(request);
            None
        }
        AnyRecord::Connection(connection) => {
            let teller = tellers.get_mut(&connection.connection_id)?;
            teller.connection(connection);
            if !connection.is_final {
                return None;
            }
            tellers.remove(&connection.connection_id)?.finish()
        }
    }
}

/// Segments of such events that this end sent.
fn segments(story: &Story, end: End, is: impl Fn(&What) -> bool) -> u64 {
    let events = story.events.iter();
    events
        .filter(|event| event.from == Some(end) && is(&event.what))
        .map(|event| event.segments)
        .sum()
}

/// What is told of one end is what its record counts.
fn agrees(story: &Story, end: End, sent: &Sent) {
    let of = |is: fn(&What) -> bool| segments(story, end, is);
    let peer = |is: fn(&What) -> bool| segments(story, end.other(), is);
    let told = [
        of(|what| matches!(what, What::Repeat { .. })),
        of(|what| matches!(what, What::Partial)),
        of(|what| matches!(what, What::Fill { .. })),
        of(|what| {
            matches!(
                what,
                What::Fill {
                    late: Late::Lost,
                    ..
                }
            )
        }),
        of(|what| {
            matches!(
                what,
                What::Fill {
                    late: Late::Overtaken,
                    ..
                }
            )
        }),
        of(|what| matches!(what, What::Probe { .. })),
        of(|what| matches!(what, What::Reset)),
        of(|what| matches!(what, What::WindowClosed)),
        peer(|what| matches!(what, What::Spurious)),
    ];
    let counted = [
        sent.retransmits,
        sent.partial_retransmits,
        sent.fills,
        sent.fills_lost,
        sent.fills_reordered,
        sent.keepalives,
        sent.resets,
        sent.zero_windows,
        sent.dsacks,
    ];
    assert_eq!(told, counted, "{end:?}: {story:#?}");
}

/// Where every segment is told, each is told once, with its bytes.
fn is_complete(story: &Story, end: End, sent: &Sent) {
    let window = |what: &What| matches!(what, What::WindowClosed | What::WindowOpened);
    let beside = |what: &What| {
        matches!(
            what,
            What::Hole { .. } | What::Spurious | What::SecondSighting
        )
    };
    let told = segments(story, end, |what| !window(what) && !beside(what));
    // An ACK that opens or closes a window is told by that alone.
    let most = told + segments(story, end, window);
    assert!(
        (told..=most).contains(&sent.segments),
        "{end:?}: {story:#?}"
    );
    let events = story.events.iter().filter(|event| event.from == Some(end));
    let new = |what: &What| {
        matches!(
            what,
            What::Data | What::Syn | What::SynAck | What::Fill { .. }
        )
    };
    let bytes: u64 = events
        .filter(|event| new(&event.what))
        .map(|event| event.bytes)
        .sum();
    if sent.partial_retransmits == 0 {
        assert_eq!(bytes, sent.bytes, "{end:?}: {story:#?}");
    }
}

fn all_agrees(story: &Story) {
    let Connection { client, server, .. } = &story.head.connection;
    agrees(story, End::Client, client);
    agrees(story, End::Server, server);
    let spent = &story.foot.spent;
    let lifetime = story
        .head
        .connection
        .duration_us
        .map_or(0, |span| span.ns());
    assert_eq!(spent.all(), lifetime, "{story:#?}");
    says_something(story);
}

/// Every word is found, and no line is empty.
fn says_something(story: &Story) {
    for event in &story.events {
        assert!(!words::label(event).is_empty(), "{event:?}");
        let _ = words::note(event, story);
    }
    assert!(sentences::limit(story).ends_with('.'), "{story:?}");
    assert!(!sentences::opening(story).is_empty() && !sentences::vantage(story).is_empty());
}

/// A segment of one of a few connections, anything in it.
fn any_segment() -> impl Strategy<Value = Seg> {
    let ends = (0u8..2, any::<bool>());
    // Near each other, so that most are odd in some way; sometimes far off.
    let numbers = (
        0u32..40,
        0u32..40,
        prop::sample::select(vec![0u32, 0, 0, 0, 1 << 31]),
    );
    let rest = (any::<u8>(), 0usize..4, any::<bool>(), 0u16..3);
    (ends, numbers, rest).prop_map(
        |((a, back), (seq, ack, far), (flags, length, is_plain, window))| Seg {
            client: [10, 0, 0, a],
            back,
            seq: far.wrapping_add(seq * 10),
            ack: ack * 10,
            flags: if is_plain {
                ACK
            } else {
                flags & (SYN | ACK | FIN | RST)
            },
            window,
            length: length * 10,
            ..Seg::default()
        },
    )
}

proptest! {
    #[test]
    fn whatever_comes_sums_to_the_records_and_stays_within_bounds(
        packets in prop::collection::vec((any_segment(), -2_000_000i64..400_000_000, 0u8..40), 1..150),
        keep_duplicates in any::<bool>(),
    ) {
        let mut input = Input::new(LinkType::ETHERNET);
        for (segment, after, long) in &packets {
            // Time that goes back leaves a lifetime unknown, which is not what is looked at here.
            input.after((*after).max(0) * if *long == 0 { 100 } else { 1 });
            input.segment(*segment);
        }
        let settings = Settings { keep_duplicates, ..Settings::default() };
        let whole = stories(&input, &settings, Detail::All);
        prop_assert!(!whole.is_empty());
        whole.iter().for_each(all_agrees);
        for story in &whole {
            is_complete(story, End::Client, &story.head.connection.client);
            is_complete(story, End::Server, &story.head.connection.server);
        }
        let runs = stories(&input, &settings, Detail::Lines(1000));
        runs.iter().for_each(all_agrees);
        for story in stories(&input, &settings, Detail::Lines(0)) {
            prop_assert!(story.events.len() <= LEAST, "{story:#?}");
            says_something(&story);
        }
    }

    #[test]
    fn no_bytes_panic(
        packets in prop::collection::vec((any_segment(), any::<prop::sample::Index>(), any::<u8>(), -5_000_000_000i64..5_000_000_000), 1..80),
    ) {
        let mut input = Input::new(LinkType::ETHERNET);
        for (segment, at, value, after) in &packets {
            let mut bytes = segment.bytes();
            let at = at.index(bytes.len());
            bytes[at] = *value;
            input.after(*after);
            input.packet(&bytes);
        }
        for detail in [Detail::All, Detail::Lines(20)] {
            stories(&input, &Settings::default(), detail).iter().for_each(says_something);
        }
    }
}

/// A segment of the connection that [`Input::handshake`] opens.
fn seg(back: bool, seq: u32, ack: u32, length: usize) -> Seg {
    Seg {
        back,
        seq,
        ack,
        flags: ACK,
        length,
        ..Seg::default()
    }
}

#[test]
fn a_long_connection_is_told_in_few_events_and_all_of_it_is_counted() {
    let mut input = Input::new(LinkType::ETHERNET);
    input.handshake([10, 0, 0, 1]);
    // As many as have to be folded while they come.
    let rounds = 30_000u32;
    for n in 0..rounds {
        input.after(300_000_000);
        input.segment(seg(false, 1 + n * 10, 1 + n * 20, 10));
        input.after(if n == 20_000 { 3_000_000_000 } else { 0 });
        input.segment(seg(true, 1 + n * 20, 11 + n * 10, 20));
    }
    let told = stories(&input, &Settings::default(), Detail::Lines(200));
    let [story] = &told[..] else {
        panic!("{} stories", told.len());
    };
    assert!(story.events.len() <= 200, "{}", story.events.len());
    let counted = |count: fn(&Event) -> u64| story.events.iter().map(count).sum::<u64>();
    let requests = counted(|event| match &event.what {
        What::Fold(folded) => folded.requests,
        _ => event.notes.as_ref().map_or(0, |notes| notes.asks),
    });
    assert_eq!(requests, story.foot.requests);
    assert_eq!(story.foot.requests, u64::from(rounds));
    let bytes = counted(|event| match event.what {
        What::Hole { .. } => 0,
        _ => event.bytes,
    });
    assert_eq!(bytes, u64::from(rounds) * 30);
    // The only thing worth a word is among what is left.
    let silence = story
        .events
        .iter()
        .find(|event| matches!(event.what, What::Silence(_)));
    assert_eq!(silence.unwrap().span.unwrap().ns() / 1_000_000_000, 3);
    assert_eq!(story.foot.spent.limit(), Some(Share::Server));
}
