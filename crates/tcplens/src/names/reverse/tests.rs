//! A resolver of the test's own: who waits for it, and who does not.

use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// How long anything may take. The machine may be busy.
const DEADLINE: Duration = Duration::from_secs(30);

/// Says what it was asked, and answers with what it is told.
struct Fake {
    asked: Mutex<Sender<IpAddr>>,
    answers: Mutex<Receiver<Resolved>>,
}

impl Resolve for Fake {
    fn name_of(&self, ip: IpAddr) -> Resolved {
        // A test that is over asks for nothing.
        let _ = self.asked.lock().unwrap().send(ip);
        let answer = self.answers.lock().unwrap().recv();
        answer.unwrap_or(Resolved::None)
    }
}

fn fake(patience: Duration) -> (Reverse, Receiver<IpAddr>, Sender<Resolved>) {
    let (asked, is_asked) = channel();
    let (answer, answers) = channel();
    let fake = Fake {
        asked: Mutex::new(asked),
        answers: Mutex::new(answers),
    };
    (Reverse::new(fake, patience), is_asked, answer)
}

fn host(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + n).into()
}

fn name(text: &str) -> Resolved {
    Resolved::Name(text.to_owned())
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn counts(reverse: &Reverse) -> Counts {
    reverse.shared.lock().counts.clone()
}

#[test]
fn who_asks_first_gets_nothing_and_later_the_name_of_one_look_up() {
    let (reverse, asked, answer) = fake(Duration::ZERO);
    // The resolver says nothing yet, and nobody waits for it.
    for _ in 0..100 {
        assert_eq!(reverse.of(host(1)), None);
    }
    assert_eq!(asked.recv_timeout(DEADLINE), Ok(host(1)));
    answer.send(name("db.example")).unwrap();
    until("the name", || {
        reverse.of(host(1)).as_deref() == Some("db.example")
    });
    assert_eq!(asked.try_recv().ok(), None);
    let expected = Counts {
        asked: 1,
        named: 1,
        ..Counts::default()
    };
    assert_eq!(counts(&reverse), expected);
}

#[test]
fn what_has_no_name_or_none_to_be_shown_is_remembered_too() {
    let (reverse, asked, answer) = fake(DEADLINE);
    for said in [
        Resolved::None,
        // Whoever has an address chooses what it is called.
        name("192.0.2.7"),
        name("a\u{1b}[2J"),
        Resolved::Failed("try again".to_owned()),
    ] {
        answer.send(said).unwrap();
    }
    for _ in 0..3 {
        for n in 1..=4 {
            assert_eq!(reverse.of(host(n)), None);
        }
    }
    assert_eq!(asked.try_iter().count(), 4);
    let expected = Counts {
        asked: 4,
        nameless: 1,
        odd: 2,
        failed: 1,
        reason: Some("try again".to_owned()),
        ..Counts::default()
    };
    assert_eq!(counts(&reverse), expected);
}

#[test]
fn a_resolver_that_hangs_costs_eight_threads_and_a_queue_and_no_more() {
    let (reverse, asked, _answer) = fake(Duration::ZERO);
    let most = AT_ONCE + WAITING;
    for n in 0..8 {
        assert_eq!(reverse.of(host(n)), None);
    }
    for _ in 0..AT_ONCE {
        asked.recv_timeout(DEADLINE).unwrap();
    }
    let begun = Instant::now();
    for n in 8..most as u32 + 500 {
        assert_eq!(reverse.of(host(n)), None);
    }
    assert!(begun.elapsed() < DEADLINE);
    let state = reverse.shared.lock();
    assert_eq!((state.threads, state.queue.len()), (AT_ONCE, WAITING));
    assert_eq!(state.counts.turned_away, 500);
    assert_eq!(state.known.len(), most);
}

#[test]
fn all_results_of_a_file_together_wait_no_longer_than_they_may() {
    let (reverse, _asked, _answer) = fake(Duration::from_millis(50));
    let begun = Instant::now();
    for n in 0..1000 {
        assert_eq!(reverse.of(host(n)), None);
    }
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(50) && took < DEADLINE,
        "{took:?}"
    );
    assert_eq!(reverse.shared.lock().patience, Duration::ZERO);
}

#[test]
fn a_name_that_comes_in_time_is_waited_for() {
    let (reverse, asked, answer) = fake(DEADLINE);
    let says = std::thread::spawn(move || {
        asked.recv_timeout(DEADLINE).unwrap();
        answer.send(name("late.example")).unwrap();
    });
    assert_eq!(reverse.of(host(1)).as_deref(), Some("late.example"));
    says.join().unwrap();
}

#[test]
fn of_too_many_addresses_the_first_is_forgotten() {
    struct Quick;
    impl Resolve for Quick {
        fn name_of(&self, _: IpAddr) -> Resolved {
            name("x.example")
        }
    }
    let reverse = Reverse::new(Quick, Duration::ZERO);
    let most = REMEMBERED as u32;
    for n in 0..most + 10 {
        until("room in the queue", || {
            reverse.of(host(n));
            reverse.shared.lock().known.contains_key(&host(n))
        });
    }
    let state = reverse.shared.lock();
    assert_eq!(
        (state.known.len(), state.order.len()),
        (REMEMBERED, REMEMBERED)
    );
    assert_eq!(state.counts.forgotten, 10);
    assert!(!state.known.contains_key(&host(9)) && state.known.contains_key(&host(10)));
}

#[test]
fn addresses_of_many_hosts_or_of_a_link_are_not_asked_for() {
    let (reverse, asked, _answer) = fake(Duration::ZERO);
    for ip in [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "169.254.1.1",
        "::",
        "ff02::1",
        "fe80::1",
    ] {
        assert_eq!(reverse.of(ip.parse().unwrap()), None);
    }
    assert_eq!(counts(&reverse), Counts::default());
    assert_eq!(asked.try_recv().ok(), None);
}
