use proptest::prelude::*;

use super::super::message::{HEAD, kind, push_attribute};
use super::super::rebuild;
use super::super::testing::Make;
use super::*;
use crate::record::CaState;

fn record<'a>(bytes: &'a [u8], context: &Context<'a>) -> Socket<'a> {
    socket(Message::new(bytes).unwrap(), context)
}

#[test]
fn ends_have_the_roles_that_listeners_give_them() {
    let bytes = Make::new(7).bytes();
    let mut listeners = Listeners::default();
    let context = Context {
        listeners: Some(&listeners),
        host: Some(0xab),
        ..Context::default()
    };
    let client = record(&bytes, &context);
    assert_eq!(
        (client.client_port, client.server_port),
        (Some(5001), Some(40000))
    );
    assert_eq!(client.role_from, Some(RoleFrom::Socket));
    let id = ConnectionId::Socket {
        cookie: 7,
        host: 0xab,
    };
    assert_eq!(client.connection_id, Some(id));
    let listener = Make::new(8).state(state::LISTEN).queues(2, 128).bytes();
    listeners.see(Message::new(&listener).unwrap());
    assert!(listeners.has(5001) && !listeners.has(5000));
    let context = Context {
        listeners: Some(&listeners),
        ..Context::default()
    };
    let server = record(&bytes, &context);
    assert_eq!(
        (server.client_port, server.server_port),
        (Some(40000), Some(5001))
    );
    let listener = record(&listener, &context);
    assert_eq!(
        (listener.accept_queue, listener.accept_queue_max),
        (Some(2), Some(128))
    );
    assert_eq!(
        (
            listener.remote_ip,
            listener.client_ip,
            listener.rqueue_bytes
        ),
        (None, None, None)
    );
    let guessed = record(&bytes, &Context::default());
    assert_eq!(
        (guessed.server_port, guessed.role_from),
        (Some(5001), Some(RoleFrom::Port))
    );
}

#[test]
fn what_is_none_is_absent() {
    let bytes = Make::new(7)
        .set(&[
            ("snd_ssthresh", 0x7fff_ffff),
            ("pacing_rate", u64::MAX),
            ("wscales", 0),
            ("last_data_sent", 20),
            ("rto", 204_000),
            ("ca_state", 3),
        ])
        .bytes();
    let record = record(&bytes, &Context::default());
    let tcp = record.tcp.unwrap();
    assert_eq!(
        (tcp.rtt_us, tcp.min_rtt_us, tcp.snd_ssthresh),
        (None, None, None)
    );
    assert_eq!((tcp.pacing_rate, tcp.max_pacing_rate), (None, Some(0)));
    assert_eq!((tcp.snd_wscale, tcp.total_rto), (None, Some(0)));
    assert_eq!(tcp.ca_state, Some(CaState::Recovery));
    assert_eq!(tcp.last_data_sent_us, Some(Span::from_ns(20_000_000)));
    assert_eq!(tcp.rto_us, Some(Span::from_ns(204_000_000)));
    assert_eq!((record.congestion, record.timer_us), (Some("cubic"), None));
    // An older kernel's.
    let mut older = Make::new(7);
    older.info.as_mut().unwrap().truncate(104);
    let bytes = older.bytes();
    let tcp = socket(Message::new(&bytes).unwrap(), &Context::default())
        .tcp
        .unwrap();
    assert_eq!(
        (tcp.total_retrans, tcp.bytes_acked, tcp.tcp_info_bytes),
        (Some(0), None, Some(104))
    );
}

#[test]
fn rates_are_differences_to_the_poll_before() {
    let before = Make::new(7).traffic(1000, 900, 50, 1).bytes();
    let now = Make::new(7)
        .traffic(4000, 3000, 550, 2)
        .set(&[("bytes_retrans", 500), ("total_retrans", 1)])
        .bytes();
    let context = Context {
        time: Timestamp(3_000_000_000),
        first_seen: Some(Timestamp(1_000_000_000)),
        before: Some(Polled::of(
            Timestamp(2_500_000_000),
            Message::new(&before).unwrap(),
        )),
        ..Context::default()
    };
    let record = record(&now, &context);
    assert_eq!(
        (record.send_rate, record.receive_rate),
        (Some(5000), Some(1000))
    );
    assert_eq!(record.retransmit_rate, Some(2));
    assert_eq!(record.interval_us, Some(Span::from_ns(500_000_000)));
    assert_eq!(record.duration_us, Some(Span::from_ns(2_000_000_000)));
}

#[test]
fn what_is_not_known_is_kept_as_it_came() {
    let mut make = Make::new(7)
        .attribute(kind::ULP_INFO, &[1, 2])
        .attribute(kind::TOS, &[1, 2, 3])
        .attribute(99, &[]);
    make.info
        .as_mut()
        .unwrap()
        .extend_from_slice(&[0xab, 1, 0, 0]);
    let bytes = make.bytes();
    let record = record(&bytes, &Context::default());
    assert_eq!(record.tcp_info_tail.as_deref(), Some("ab010000"));
    assert_eq!(
        record.unknown_attributes.as_deref(),
        Some("19:0102;5:010203;99:")
    );
}

fn sorted(bytes: &[u8]) -> (Vec<u8>, Vec<(u16, Vec<u8>)>) {
    let message = Message::new(bytes).unwrap();
    let mut all: Vec<_> = message
        .attributes()
        .map(|(kind, value)| (kind, value.to_vec()))
        .collect();
    all.sort();
    (message.head().to_vec(), all)
}

prop_compose! {
    fn any_bytes()(
        mut head in prop::collection::vec(any::<u8>(), HEAD),
        family in prop::sample::select(vec![2_u8, 10]),
        state in 1_u8..=13,
        timer in 0_u8..=5,
        is_mapped in any::<bool>(),
        attributes in prop::collection::vec((
            prop_oneof![0_u16..24, Just(kind::INFO), Just(63), Just(200)],
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                prop::collection::vec(any::<u8>(), 1..=1),
                prop::collection::vec(any::<u8>(), 16..=16),
                prop::collection::vec(any::<u8>(), 200..320),
                prop::collection::vec(Just(0xff_u8), 0..300),
                prop::collection::vec(Just(0_u8), 0..300),
                Just(b"bbr\0".to_vec()),
            ],
        ), 0..12),
    ) -> Vec<u8> {
        head[0] = family;
        head[1] = state;
        head[2] = timer;
        if family == 2 {
            // As the kernel leaves them.
            head[12..24].fill(0);
            head[28..40].fill(0);
        } else if is_mapped {
            head[8..20].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        }
        // A listener has no other end, and who has none has no address.
        if state == 10 || head[6..8] == [0, 0] {
            head[6..8].fill(0);
            head[24..40].fill(0);
        }
        // Without a number: 0.
        if head[44..52] == [0xff; 8] {
            head[44..52].fill(0);
        }
        for (kind, value) in attributes {
            push_attribute(&mut head, kind, &value);
        }
        head
    }
}

proptest! {
    #[test]
    fn a_message_comes_back_from_its_record(bytes in any_bytes()) {
        let record = record(&bytes, &Context::default());
        prop_assert_eq!(sorted(&rebuild::message(&record)), sorted(&bytes));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), HEAD..600)) {
        let record = record(&bytes, &Context::default());
        let _ = rebuild::message(&record);
    }
}

#[test]
fn times_that_no_field_can_hold_do_not_wrap() {
    let bytes = Make::new(7).set(&[("busy_time", u64::MAX)]).bytes();
    let record = record(&bytes, &Context::default());
    let tcp = record.tcp.as_ref().unwrap();
    assert_eq!(tcp.busy_time_us, Some(Span::from_ns(u64::MAX)));
    // And come back all the same.
    assert_eq!(sorted(&rebuild::message(&record)), sorted(&bytes));
}
