use proptest::prelude::*;

use super::super::message::{push_attribute, state};
use super::super::testing::Make;
use super::*;

fn why(rule: SaveWhen, before: &Make, now: &Make) -> Option<Why> {
    let (before, now) = (before.bytes(), now.bytes());
    let message = |bytes| Message::new(bytes).unwrap();
    changed(rule, message(&before), message(&now))
}

fn both(before: &Make, now: &Make) -> [Option<Why>; 2] {
    [SaveWhen::TcpInfo, SaveWhen::Changed].map(|rule| why(rule, before, now))
}

#[test]
fn ages_and_the_time_until_the_timer_fires_are_no_change() {
    let before = Make::new(1);
    let ages = [
        "last_data_sent",
        "last_ack_sent",
        "last_data_recv",
        "last_ack_recv",
    ];
    let now = before.clone().expires(30).set(&ages.map(|age| (age, 9)));
    assert_eq!(both(&before, &now), [None, None]);
}

#[test]
fn what_tcp_info_does_not_look_at_is_a_change_by_the_other_rule() {
    let before = Make::new(1);
    for name in [
        "busy_time",
        "delivered",
        "bytes_sent",
        "snd_wnd",
        "accecn_opt_seen",
    ] {
        let now = before.clone().set(&[(name, 77)]);
        assert_eq!(both(&before, &now), [None, Some(Why::Counters)], "{name}");
    }
    let longer = |tail: u8| {
        let mut make = Make::new(1);
        make.info.as_mut().unwrap().extend_from_slice(&[tail; 8]);
        make
    };
    assert_eq!(both(&longer(1), &longer(2)), [None, Some(Why::Counters)]);
    for now in [before.clone().queues(1, 0), before.clone().uid(1000, 78)] {
        assert_eq!(both(&before, &now), [None, Some(Why::Head)]);
    }
}

#[test]
fn both_rules_see_state_measurements_and_attributes() {
    let before = Make::new(1);
    for (now, expected) in [
        (before.clone().state(state::CLOSE_WAIT), Why::State),
        (before.clone().no_info(), Why::Presence),
        (before.clone().set(&[("delivery_rate", 1)]), Why::Counters),
        (before.clone().set(&[("pmtu", 1)]), Why::Counters),
        (before.clone().set(&[("fackets", 1)]), Why::Sending),
        (before.clone().set(&[("rto", 1)]), Why::Sending),
        (
            before.clone().attribute(kind::CGROUP_ID, &[1; 8]),
            Why::Attributes,
        ),
        (
            before.clone().attribute(kind::TOS, &[1]),
            Why::Attribute(kind::TOS),
        ),
        (
            before.clone().attribute(kind::MEMINFO, &[]),
            Why::Attribute(kind::MEMINFO),
        ),
        (
            before.clone().attribute(kind::CONG, b"bbr\0"),
            Why::Attribute(kind::CONG),
        ),
    ] {
        assert_eq!(both(&before, &now), [Some(expected); 2]);
        // Looked at the other way round it is a change as well.
        assert!(both(&now, &before).iter().all(Option::is_some));
    }
}

/// tcp-info wrote a record at every poll of these (D4).
#[test]
fn without_statistics_in_both_nothing_has_changed() {
    let remains = Make::new(1).no_info().state(state::FIN_WAIT2);
    assert_eq!(both(&remains, &remains.clone().expires(9)), [None, None]);
}

/// Looked at in another way: the rule by its words, whatever the order of the attributes.
fn by_words(rule: SaveWhen, before: Message<'_>, now: Message<'_>) -> bool {
    let mask = |message: Message<'_>| {
        let mut head = message.head().to_vec();
        match rule {
            SaveWhen::TcpInfo => head = vec![head[1]],
            SaveWhen::Changed => head[EXPIRES].fill(0),
        }
        let mut all = Vec::new();
        for (found, value) in message.attributes() {
            let mut value = value.to_vec();
            if found == kind::INFO {
                for (at, byte) in value.iter_mut().enumerate() {
                    let is_age = (44..60).contains(&at);
                    if is_age || rule == SaveWhen::TcpInfo && at >= BUSY_TIME {
                        *byte = 0;
                    }
                }
                if rule == SaveWhen::TcpInfo {
                    value.truncate(BUSY_TIME);
                }
                // A structure that ends within the ages has none.
                if (44..60).contains(&value.len()) {
                    value.truncate(44);
                }
            }
            all.push((found, value));
        }
        all.sort();
        (head, all)
    };
    mask(before) != mask(now)
}

prop_compose! {
    fn any_message()(
        head in prop::collection::vec(0_u8..2, HEAD),
        attributes in prop::collection::btree_map(
            prop::sample::select(vec![1_u16, 2, 4, 8, 16, 22]),
            prop_oneof![
                prop::collection::vec(0_u8..2, 0..4),
                (0_usize..300, 0_usize..300).prop_map(|(length, at)| {
                    let mut bytes = vec![0; length];
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = 1;
                    }
                    bytes
                }),
            ],
            0..4,
        ).prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle(),
        is_plain in any::<bool>(),
    ) -> Vec<u8> {
        let mut bytes = if is_plain { vec![0; HEAD] } else { head };
        for (kind, value) in attributes {
            push_attribute(&mut bytes, kind, &value);
        }
        bytes
    }
}

proptest! {
    #[test]
    fn the_quick_way_and_the_rules_words_agree(
        before in any_message(),
        now in any_message(),
        flip in prop::option::of((0_usize..400, any::<bool>())),
    ) {
        // Alike but for one byte, or altogether another.
        let now = match flip {
            Some((at, _)) => {
                let mut now = before.clone();
                // Lengths and kinds of attributes stay.
                let is_value = at < HEAD || info_place(&before[HEAD..])
                    .is_some_and(|(start, length)| (start..start + length).contains(&(at - HEAD)));
                if let Some(byte) = now.get_mut(at).filter(|_| is_value) {
                    *byte ^= 2;
                }
                now
            }
            None => now,
        };
        let (was, is) = (Message::new(&before).unwrap(), Message::new(&now).unwrap());
        for rule in [SaveWhen::TcpInfo, SaveWhen::Changed] {
            let found = changed(rule, was, is);
            prop_assert_eq!(found.is_some(), by_words(rule, was, is), "{:?} {:?}", rule, found);
            prop_assert_eq!(changed(rule, was, was), None);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(before in prop::collection::vec(any::<u8>(), HEAD..500), now in prop::collection::vec(any::<u8>(), HEAD..500)) {
        let (before, now) = (Message::new(&before).unwrap(), Message::new(&now).unwrap());
        for rule in [SaveWhen::TcpInfo, SaveWhen::Changed] {
            let _ = changed(rule, before, now);
        }
    }
}
