//! Connections that live shorter than the time between two looks: all are told of where the kernel tells of ends, and where it
//! does not, how many were missed is known and said.

use std::collections::HashSet;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, number, of_kind};
use crate::sockets::watching;

/// Connections that are made one after the other, and live so long.
fn short(lo: &Namespace, connections: usize, life: Duration) {
    let listener = lo.within(|| TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..connections {
        let client = lo.within(|| TcpStream::connect(address)).unwrap();
        let (server, _) = listener.accept().unwrap();
        // This is the traffic, not a wait for something to happen.
        std::thread::sleep(life);
        drop((client, server));
    }
}

#[test]
fn every_connection_has_a_last_record_however_short_it_was() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-short");
    for life in [0, 2, 10] {
        let tap = watching(&lo, &place, &["-f", "jsonl", "--interval", "50ms"]);
        short(&lo, 150, Duration::from_millis(life));
        let is_final = |line: &&str| field(line, "final") == Some("true");
        tap.until("all ends", |out| {
            of_kind(out, "socket").into_iter().filter(is_final).count() >= 300
        });
        let ended = tap.interrupt();
        ended.is(0, &[" 300 ended, 0 destroy messages lost\n"]);
        let finals = of_kind(&ended.out, "socket").into_iter().filter(is_final);
        let finals: Vec<_> = finals.collect();
        let cookies: HashSet<_> = finals
            .iter()
            .map(|line| number(line, "socket_cookie"))
            .collect();
        assert_eq!((finals.len(), cookies.len()), (300, 300));
        assert!(finals.iter().all(|line| field(line, "segs_out").is_some()));
        let health = of_kind(&ended.out, "health")[0];
        let (opened, unseen) = ["sockets_opened", "sockets_unseen"]
            .map(|name| number(health, name))
            .into();
        assert_eq!((opened, unseen), (300, 0), "{health}");
    }
}

#[test]
fn without_word_of_ends_the_loss_is_stated_within_five_points() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-loss");
    // Those that were there before are none of those that were opened meanwhile.
    let before = crate::traffic::Connection::open(&lo, &lo, "127.0.0.1:6379");
    for life in [0, 2, 10] {
        let words = ["-f", "jsonl", "--interval", "25ms", "--no-destroy"];
        let tap = watching(&lo, &place, &words);
        let (connections, life) = (150, Duration::from_millis(life));
        short(&lo, connections, life);
        let ended = tap.interrupt();
        let records = of_kind(&ended.out, "socket").into_iter();
        let seen: HashSet<_> = records
            .filter(|line| {
                let port = before.port().to_string();
                !["local_port", "remote_port"]
                    .iter()
                    .any(|name| field(line, name) == Some(&port))
            })
            .map(|line| number(line, "socket_cookie"))
            .collect();
        let opened = 2 * connections;
        let missed = 100.0 * (opened - seen.len()) as f64 / opened as f64;
        let health = of_kind(&ended.out, "health")[0];
        assert_eq!(field(health, "destroy_groups"), Some("false"));
        let stated = 100.0 * number(health, "sockets_unseen") as f64
            / number(health, "sockets_opened") as f64;
        assert!(
            (stated - missed).abs() <= 5.0,
            "{life:?}: {stated} for {missed}\n{health}"
        );
        if seen.len() < opened {
            ended.is(
                3,
                &[
                    "ends not told by the kernel\n",
                    "% of connections were not seen",
                ],
            );
        }
    }
}
