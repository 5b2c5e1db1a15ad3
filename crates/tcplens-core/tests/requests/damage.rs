//! Random conversations, and packets that were damaged: nothing panics, and what is reported keeps the contract.

use proptest::prelude::*;
use tcplens_core::shard::Settings;

use crate::conversations::all;
use crate::delivery::cases;
use crate::wire::*;

/// Redis with pipelining, in segments of any length. Some are lost before the tap or behind it and sent again, some were
/// not captured; windows close and open; who acknowledges what is left to chance.
fn troubled(seed: u64) -> Vec<Captured> {
    let mut random = Random::new(seed);
    let mut talk = Talk {
        mss: 500,
        wscale: random.once_in(2).then_some(2),
        timestamps: random.once_in(2),
        ..Talk::default()
    };
    talk.handshake([0, 500 * US, 1000 * US]);
    let mut now = 2 * MS;
    for _ in 0..random.from(1, 12) {
        let pipelined = random.from(1, 5);
        let length = random.scaled(1, 4000) as usize;
        let said = [
            command(&[b"ECHO", &vec![b'x'; length]]),
            bulk(&vec![b'y'; length]),
        ];
        for (side, said) in said.into_iter().enumerate() {
            let mut left = said.repeat(pipelined as usize);
            while !left.is_empty() {
                now += random.scaled(US, 5 * MS);
                let length = (random.from(1, 500) as usize).min(left.len());
                let segment: Vec<u8> = left.drain(..length).collect();
                if random.once_in(8) {
                    talk.window[side] = [0, 10, 100, 0xfff0][random.from(0, 3) as usize];
                }
                let from = talk.sent[side];
                let again = now + random.scaled(US, 400 * MS);
                talk.sent[side] += length as u32;
                let ack = talk.sent[1 - side];
                match random.from(0, 30) {
                    // Lost before the tap.
                    0 => talk.piece(again, side, from, &segment, ack),
                    // Lost behind it.
                    1 => {
                        talk.piece(now, side, from, &segment, ack);
                        talk.piece(again, side, from, &segment, ack);
                    }
                    // Not captured.
                    2 => {}
                    _ => talk.piece(now, side, from, &segment, ack),
                }
                if random.once_in(3) {
                    talk.ack(now + random.scaled(US, 50 * MS), 1 - side);
                }
            }
            if random.once_in(4) {
                now += random.scaled(US, 500 * MS);
            }
        }
    }
    talk.window = [0xfff0; 2];
    match random.from(0, 3) {
        0 => talk.rst(now + MS, random.once_in(2).into()),
        1 => talk.fin(now + MS, random.once_in(2).into()),
        _ => talk.ack(now + MS, C),
    }
    if random.once_in(4) {
        // As several queues hand them over.
        talk.packets.sort_by_key(|packet| packet.at / MS);
    } else {
        talk.packets.sort_by_key(|packet| packet.at);
    }
    talk.packets
}

#[derive(Clone, Debug)]
enum Damage {
    /// A byte of a packet is another.
    Change(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Drop,
    Repeat(prop::sample::Index),
    Swap(prop::sample::Index),
    /// ns.
    Delay(i64),
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let index = || any::<prop::sample::Index>();
    let damage = prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        1 => index().prop_map(Damage::Cut),
        1 => Just(Damage::Drop),
        1 => index().prop_map(Damage::Repeat),
        1 => index().prop_map(Damage::Swap),
        1 => (-10 * MS..1000 * MS).prop_map(Damage::Delay),
    ];
    (index(), damage)
}

fn apply(packets: &mut Vec<Captured>, damages: &[(prop::sample::Index, Damage)]) {
    for (which, damage) in damages {
        let n = which.index(packets.len());
        let length = packets[n].bytes.len();
        match damage {
            // Headers as often as payload.
            Damage::Change(at, byte) if *byte % 2 == 0 => {
                packets[n].bytes[at.index(length.min(66))] = *byte;
            }
            Damage::Change(at, byte) => packets[n].bytes[at.index(length)] = *byte,
            Damage::Cut(at) => packets[n].cut = at.index(length) as u32,
            Damage::Drop if packets.len() > 1 => drop(packets.remove(n)),
            Damage::Drop => {}
            Damage::Repeat(at) => {
                let packet = packets[n].clone();
                packets.insert(at.index(packets.len()), packet);
            }
            Damage::Swap(at) => {
                let other = at.index(packets.len());
                packets.swap(n, other);
            }
            Damage::Delay(ns) => packets[n].at += ns,
        }
    }
}

fn keep_the_contract(outcome: &Outcome) -> Result<(), TestCaseError> {
    let told = outcome.requests.iter().try_for_each(keeps_the_contract);
    told.map_err(TestCaseError::fail)?;
    // Connections count their requests; one that is cut in two by damage counts each part's.
    let requests: u64 = outcome
        .connections
        .iter()
        .filter_map(|connection| connection.requests)
        .sum();
    prop_assert_eq!(requests, outcome.requests.len() as u64);
    prop_assert!(outcome.handshakes.len() <= outcome.connections.len());
    Ok(())
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn budgets_sum_to_the_whole(seed in any::<u64>()) {
        keep_the_contract(&run(&troubled(seed)))?;
    }

    #[test]
    fn damaged_packets_of_troubled_conversations(
        seed in any::<u64>(),
        damages in prop::collection::vec(damage(), 1..12),
    ) {
        let mut packets = troubled(seed);
        apply(&mut packets, &damages);
        keep_the_contract(&run(&packets))?;
    }

    #[test]
    fn damaged_packets_of_every_protocol(
        which in any::<prop::sample::Index>(),
        length in prop::sample::select(vec![3_usize, 40, 1460]),
        damages in prop::collection::vec(damage(), 1..12),
        held in prop::sample::select(vec![0_usize, 64 << 10, 256 << 20]),
    ) {
        let conversations = all();
        let conversation = which.get(&conversations);
        let mut talk = Talk::with_port(conversation.port);
        talk.handshake([0, 500 * US, 1000 * US]);
        let mut now = MS;
        for turn in conversation.turns() {
            for segment in turn.bytes.chunks(length) {
                now += 50 * US;
                talk.data(now, turn.side, segment);
            }
        }
        apply(&mut talk.packets, &damages);
        let settings = Settings { limit_held: held, ..Settings::default() };
        keep_the_contract(&run_with(&settings, &talk.packets))?;
    }
}

/// Most of the random conversations' requests have a budget, and every cause has a part in some.
#[test]
fn troubled_conversations_are_troubled() {
    let (mut requests, mut whole, mut parts) = (0, 0, [0; 7]);
    for seed in 1..=100 {
        for got in run(&troubled(seed)).requests {
            requests += 1;
            let budget = got.budget();
            whole += i32::from(budget[0].is_some());
            for (count, part) in parts.iter_mut().zip(budget) {
                *count += i32::from(part.is_some_and(|ns| ns > 0));
            }
        }
    }
    assert!(whole * 2 > requests, "{whole} of {requests}");
    assert!(parts.iter().all(|count| *count > 20), "{parts:?}");
}
