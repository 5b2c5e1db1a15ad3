//! The same live traffic from packets and from the kernel, joined by tuple and time: the same requests, the same bytes, and
//! times within 20 µs at the 95th percentile.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::kernel::is_to_be_had;
use crate::kernel_redis::Client;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::programs::{are_there, nginx, redis};
use crate::records::{field, number, of};
use crate::tap::{Tap, alone, tcplens};

/// At p95.
const WITHIN_US: f64 = 20.0;
/// The two records of a request begin within this, in ns, also on a busy machine.
const NEAR_NS: u64 = 100_000_000;

/// Nanoseconds since midnight.
#[track_caller]
fn time(line: &str) -> u64 {
    let time = field(line, "time").unwrap().trim_matches('"');
    let (_, clock) = time.trim_end_matches('Z').split_once('T').unwrap();
    let (seconds, ns) = clock.split_once('.').unwrap();
    let mut whole = 0;
    for part in seconds.split(':') {
        whole = whole * 60 + part.parse::<u64>().unwrap();
    }
    whole * 1_000_000_000 + ns.parse::<u64>().unwrap()
}

/// What else runs on the machine comes between the two clocks: times are held against each other so often at most.
const ROUNDS: usize = 5;

/// Joins the requests of these clients, and holds them against each other; whether the times are near enough.
#[track_caller]
fn same(wire: &str, kernel: &str, clients: &[u16], requests: usize) -> bool {
    let mut are_near = true;
    let mut differences = [const { Vec::new() }; 5];
    let names = ["upload_us", "process_us", "total_us", "delivered_us"];
    for &port in clients {
        // In the order of their times, which are those of requests one after the other.
        let [of_kernel, of_wire] = [kernel, wire].map(|out| {
            let mut records = of(out, "request", port);
            records.sort_by_key(|line| time(line));
            records
        });
        assert_eq!(of_kernel.len(), of_wire.len(), "requests of port {port}");
        for (record, other) in of_kernel.into_iter().zip(of_wire) {
            let apart = time(other).abs_diff(time(record));
            assert!(apart < NEAR_NS, "{apart} ns apart:\n{record}\n{other}");
            for name in [
                "server_ip",
                "server_port",
                "client_ip",
                "task",
                "request_bytes",
                "response_bytes",
            ] {
                assert_eq!(
                    field(record, name),
                    field(other, name),
                    "{name}:\n{record}\n{other}"
                );
            }
            for (n, name) in names.into_iter().enumerate() {
                let [of_kernel, of_wire] = [record, other].map(|line| {
                    let value = field(line, name).and_then(|value| value.parse::<f64>().ok());
                    value.unwrap_or_else(|| panic!("no {name}: {line}"))
                });
                differences[n].push((of_kernel - of_wire).abs());
            }
            differences[names.len()].push(apart as f64 / 1000.0);
        }
    }
    for (differences, name) in differences
        .iter_mut()
        .zip(names.into_iter().chain(["time"]))
    {
        assert_eq!(differences.len(), requests);
        differences.sort_by(f64::total_cmp);
        let at = |percent: usize| differences[(differences.len() - 1) * percent / 100];
        let [median, p95, most] = [50, 95, 100].map(at);
        println!(
            "{name}: {requests} requests, differences of {median:.1} us (median), {p95:.1} (p95), {most:.1} (most)"
        );
        are_near &= p95 <= WITHIN_US;
    }
    are_near
}

/// Rounds of traffic, all of which are the same in both views, until one was not disturbed.
#[track_caller]
fn are_the_same(mut round: impl FnMut() -> bool) {
    let is_near = (0..ROUNDS).any(|_| round());
    assert!(
        is_near,
        "more than {WITHIN_US} us apart, or not the traffic that was meant, in each of {ROUNDS} rounds"
    );
}

/// Both views of what happens at the server, where `vb` is.
fn observe(b: &Namespace, place: &Place, port: &str) -> [Tap; 2] {
    // Room for all that happens, should it not run meanwhile.
    let on_wire = ["records", "-i", "vb", "-B", "64MiB", "--netns", &b.name()];
    let in_kernel = ["records", "-k", "-p", port];
    [
        Tap::start(alone(place, &on_wire)),
        Tap::start(tcplens(b, place, &in_kernel)),
    ]
}

#[track_caller]
fn ended(taps: [Tap; 2], clients: &[u16]) -> [String; 2] {
    taps.map(|tap| {
        for &port in clients {
            tap.until("connections", |out| !of(out, "connection", port).is_empty());
        }
        let ended = tap.interrupt();
        ended.is(0, &[]);
        ended.out
    })
}

#[test]
fn packets_and_the_kernel_tell_the_same_of_redis() {
    if !are_there(&["redis-server"]) || !is_to_be_had() {
        return;
    }
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("kernel-wire-redis");
    let _redis = redis(&b, &place);
    are_the_same(|| {
        let taps = observe(&b, &place, "6379");
        let (mut clients, mut requests) = (Vec::new(), 0);
        for _ in 0..8 {
            let mut client = Client::connect(&a, "10.9.0.2:6379");
            clients.push(client.port());
            for n in 0..50 {
                let value = "v".repeat(n * 40);
                client.ask(&["SET", "key", &value], 5);
                client.ask(
                    &["GET", "key"],
                    format!("${}\r\n", value.len()).len() + value.len() + 2,
                );
                requests += 2;
            }
        }
        let [wire, kernel] = ended(taps, &clients);
        let mut are_near = same(&wire, &kernel, &clients, requests);
        // Of a connection as well.
        for &port in &clients {
            let [wire, kernel] =
                [&wire, &kernel].map(|out| of(out, "connection", port).pop().unwrap());
            for name in ["client_bytes", "server_bytes", "requests", "close"] {
                assert_eq!(
                    field(wire, name),
                    field(kernel, name),
                    "{name}:\n{wire}\n{kernel}"
                );
            }
            // A busy machine sends again what is only late: not the traffic that was meant.
            are_near &= number(wire, "client_retransmits") == 0;
        }
        are_near
    });
}

#[test]
fn packets_and_the_kernel_tell_the_same_of_http() {
    if !are_there(&["nginx"]) || !is_to_be_had() {
        return;
    }
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("kernel-wire-http");
    let _nginx = nginx(&b, &place, 80, "listen 10.9.0.2:80;");
    are_the_same(|| {
        let taps = observe(&b, &place, "80");
        let (mut clients, mut requests) = (Vec::new(), 0);
        for n in 0..8 {
            let mut stream = a.within(|| TcpStream::connect("10.9.0.2:80")).unwrap();
            stream.set_nodelay(true).unwrap();
            clients.push(stream.local_addr().unwrap().port());
            for m in 0..50 {
                let (name, last) = if m % 10 == n {
                    ("large", b'l')
                } else {
                    ("small", b's')
                };
                let length = if last == b'l' { 300_000 } else { 16 };
                let request = format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                stream.write_all(request.as_bytes()).unwrap();
                let (mut answer, mut some) = (Vec::new(), [0; 65536]);
                let is_whole = |answer: &[u8]| {
                    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
                    head.is_some_and(|head| answer.len() == head + 4 + length)
                };
                while !is_whole(&answer) {
                    let read = stream.read(&mut some).unwrap();
                    assert!(read > 0);
                    answer.extend_from_slice(&some[..read]);
                }
                requests += 1;
            }
        }
        let [wire, kernel] = ended(taps, &clients);
        same(&wire, &kernel, &clients, requests)
    });
}

/// Asks so often with `lengths[0]` bytes for `lengths[1]`; the client's port.
fn exchange(a: &Namespace, b: &Namespace, times: usize, lengths: [usize; 2]) -> u16 {
    let listener = b.within(|| TcpListener::bind("10.9.0.2:7000")).unwrap();
    let [request, response] = lengths.map(|length| vec![b'x'; length]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; request.len()];
            // Then it closes, whatever of the last response waits in its queue.
            for _ in 0..times {
                stream.read_exact(&mut asked).unwrap();
                stream.write_all(&response).unwrap();
            }
        });
        let mut stream = a.within(|| TcpStream::connect("10.9.0.2:7000")).unwrap();
        let mut answer = vec![0; response.len()];
        for _ in 0..times {
            stream.write_all(&request).unwrap();
            stream.read_exact(&mut answer).unwrap();
        }
        stream.local_addr().unwrap().port()
    })
}

/// What is held back in its sender's own queue, some 30 ms for each segment, was sent for the stack when the queue had it,
/// and for packets and with --device-times when it left.
#[test]
fn what_waits_in_the_queue_is_sent_when_it_goes_to_the_device() {
    const TIMES: usize = 6;
    const HELD_US: f64 = 10_000.0;
    if !is_to_be_had() {
        return;
    }
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("kernel-device");
    // Who is looked at, his device, his port, what he sends, and the field that his own queue is in.
    for (own, device, ports, lengths, name) in [
        (&a, "va", "--peer-port", [1400, 100], "total_us"),
        (&a, "va", "--peer-port", [14_000, 100], "upload_us"),
        (&b, "vb", "-p", [100, 1400], "process_us"),
        (&b, "vb", "-p", [100, 14_000], "total_us"),
    ] {
        let queue = "qdisc replace dev DEVICE root tbf rate 400kbit burst 1600 latency 5s";
        let mut tc = own.command("tc");
        tc.args(queue.replace("DEVICE", device).split(' '));
        if !tc.status().is_ok_and(|status| status.success()) {
            println!("SKIPPED: no tc(8), or no token bucket in this kernel (sch_tbf)");
            return;
        }
        for programs in ["storage", "hash"] {
            are_the_same(|| {
                let kernel = ["records", "-k", ports, "7000", "--programs", programs];
                let at_device = [&kernel[..], &["--device-times"]].concat();
                let wire = ["records", "-i", device, "--netns", &own.name()];
                let taps = [
                    Tap::start(alone(&place, &wire)),
                    Tap::start(tcplens(own, &place, &at_device)),
                    Tap::start(tcplens(own, &place, &kernel)),
                ];
                let port = exchange(&a, &b, TIMES, lengths);
                let [wire, at_device, stack] = taps.map(|tap| {
                    tap.until("connections", |out| !of(out, "connection", port).is_empty());
                    let ended = tap.interrupt();
                    ended.is(0, &[]);
                    let records = of(&ended.out, "request", port);
                    assert_eq!(records.len(), TIMES, "{}", ended.out);
                    let value = |line: &&str| field(line, name).unwrap().parse::<f64>().unwrap();
                    records.iter().map(value).collect::<Vec<_>>()
                });
                // The first has all the tokens.
                let differences = |of: &[f64]| {
                    let pairs = of.iter().zip(&wire).skip(1);
                    let mut all: Vec<_> = pairs.map(|(a, b)| (a - b).abs()).collect();
                    all.sort_by(f64::total_cmp);
                    all
                };
                let [near, far] = [&at_device, &stack].map(|of| differences(of));
                println!(
                    "{name}, {programs}: differences of {:.1} us (most) at the device, {:.1} (least) in the stack",
                    near[near.len() - 1],
                    far[0]
                );
                // On a busy machine the queue may have tokens again.
                far[0] > HELD_US && near[near.len() - 1] <= WITHIN_US
            });
        }
    }
}
