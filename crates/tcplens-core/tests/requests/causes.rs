//! Slow requests of which it is known why they are slow: the verdict must be that cause.
//!
//! ```text
//! client ---- a ---- tap ---- b ---- server        one-way delays; all times are those of the tap
//! ```
//! Senders send flights that double, and wait for their acknowledgment; receivers acknowledge at once or every second
//! segment.

use tcplens_core::record::Verdict;

use crate::wire::*;

/// Requests of each cause, and how many of them must be told right.
const INSTANCES: u64 = 200;
const ENOUGH: usize = 190;

/// What happens to one flight of a stream.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Its last segment is lost behind the tap, and sent again after so long.
    LostBehind(i64),
    /// Its second segment, which is not the last, is lost before the tap, and sent again after so long. (Of a request that
    /// loses its first one nothing was seen before: it begins with the repeat.)
    LostBefore(i64),
    /// The receiver closes its window for so long.
    Closed(i64),
}

#[derive(Clone)]
struct Scene {
    talk: Talk,
    a: i64,
    b: i64,
    /// Whether receivers acknowledge every second segment only.
    lazy: bool,
    /// Speaks HTTP, or else redis.
    is_http: bool,
}

/// An exchange: what is said, and how fast.
#[derive(Clone)]
struct Exchange {
    request: Vec<u8>,
    response: Vec<u8>,
    /// Between segments of one flight.
    pace: [i64; 2],
    delay: i64,
    /// By side, with the flight that it happens to.
    trouble: [Option<(usize, Trouble)>; 2],
}

impl Scene {
    fn new(random: &mut Random) -> Scene {
        let mut talk = Talk {
            mss: [536, 1400, 1460][random.from(0, 2) as usize],
            timestamps: random.once_in(2),
            wscale: (random.once_in(2)).then_some(7),
            ..Talk::default()
        };
        let a = random.scaled(5 * US, 20 * MS);
        let b = random.scaled(5 * US, 20 * MS);
        talk.handshake([0, 2 * b, 2 * a + 2 * b]);
        let lazy = random.once_in(2);
        let is_http = random.once_in(2);
        Scene {
            talk,
            a,
            b,
            lazy,
            is_http,
        }
    }

    /// From the tap to the receiver of what `side` sends, and back.
    fn far(&self, side: usize) -> i64 {
        2 * [self.b, self.a][side]
    }

    fn segments(&self, bytes: &[u8]) -> usize {
        bytes.len().div_ceil(usize::from(self.talk.mss))
    }

    /// Sends `bytes` from `at` on; when the last of them passed, and when the last one reached the other side and an
    /// answer to it would be here.
    fn stream(
        &mut self,
        at: i64,
        side: usize,
        bytes: &[u8],
        pace: i64,
        trouble: Option<(usize, Trouble)>,
    ) -> (i64, i64) {
        let (far, near) = (self.far(side), self.far(1 - side));
        let mut segments = bytes.chunks(usize::from(self.talk.mss)).peekable();
        let (mut flights, mut size, mut now) = (0, 10, at);
        loop {
            let flight: Vec<&[u8]> = segments.by_ref().take(size).collect();
            let trouble = trouble.filter(|&(n, _)| n == flights);
            let lost_before = matches!(trouble, Some((_, Trouble::LostBefore(_))));
            let base = self.talk.sent[side];
            let hole = base + flight[0].len() as u32;
            let ack = self.talk.sent[1 - side];
            let (mut last, mut from) = (now, base);
            let mut ends = Vec::new();
            for (n, segment) in flight.iter().enumerate() {
                last = now + n as i64 * pace;
                if !(lost_before && n == 1) {
                    self.talk.piece(last, side, from, segment, ack);
                }
                from += segment.len() as u32;
                ends.push(from);
            }
            self.talk.sent[side] = from;
            // The acknowledgments of all but the last.
            for (n, end) in ends.iter().enumerate().take(flight.len() - 1) {
                if !self.lazy || n % 2 == 1 {
                    let acked = if lost_before { hole } else { *end };
                    self.ack(now + n as i64 * pace + far, side, acked);
                }
            }
            let mut repaired = last;
            match trouble {
                Some((_, Trouble::LostBehind(after))) => {
                    let segment = flight[flight.len() - 1];
                    let start = from - segment.len() as u32;
                    repaired = last + after;
                    self.talk.piece(repaired, side, start, segment, ack);
                }
                Some((_, Trouble::LostBefore(after))) => {
                    self.ack(last + far, side, hole);
                    repaired = last + after;
                    last = repaired;
                    self.talk.piece(repaired, side, hole, flight[1], ack);
                }
                _ => {}
            }
            let mut heard = repaired + far;
            if let Some((_, Trouble::Closed(long))) = trouble {
                self.window(heard, side, from, 0);
                if long > 250 * MS {
                    // A probe of a byte that was acknowledged, and its answer.
                    let probe = heard + 200 * MS;
                    self.talk.piece(probe, side, from - 1, b"", ack);
                    self.window(probe + far, side, from, 0);
                }
                heard += long;
                self.window(heard, side, from, 0xfff0);
            }
            if segments.peek().is_none() {
                return (last, heard);
            }
            self.ack(heard, side, from);
            flights += 1;
            size *= 2;
            now = (heard + near).max(last + pace);
        }
    }

    /// An acknowledgment of what `side` sent.
    fn ack(&mut self, at: i64, side: usize, end: u32) {
        let position = self.talk.sent[1 - side];
        self.talk.piece(at, 1 - side, position, b"", end);
    }

    /// The same, which sets the window.
    fn window(&mut self, at: i64, side: usize, end: u32, window: u16) {
        self.talk.window[1 - side] = window;
        self.ack(at, side, end);
    }

    /// T0 to T3, and when the tap saw the end acknowledged.
    fn exchange(&mut self, at: i64, exchange: &Exchange) -> [i64; 5] {
        let [up, down] = exchange.trouble;
        let (sent, heard) = self.stream(at, C, &exchange.request, exchange.pace[C], up);
        let answered = heard + exchange.delay;
        let (last, heard) = self.stream(answered, S, &exchange.response, exchange.pace[S], down);
        self.talk.ack(heard, C);
        [at, sent, answered, last, heard]
    }

    /// A few quick requests; when they are over.
    fn warm(&mut self, random: &mut Random) -> i64 {
        let mut now = 2 * self.a + 2 * self.b + random.scaled(10 * US, 10 * MS);
        for _ in 0..random.from(0, 3) {
            let (request, response) = self.said([3, 3]);
            let quick = Exchange {
                request,
                response,
                pace: [0; 2],
                delay: random.scaled(20 * US, MS),
                trouble: [None; 2],
            };
            let [.., over] = self.exchange(now, &quick);
            now = over + random.scaled(2 * self.a + 1, 100 * MS);
        }
        now
    }

    /// A request whose message and whose answer have about so many bytes.
    fn said(&self, bytes: [i64; 2]) -> (Vec<u8>, Vec<u8>) {
        let [up, down] = bytes.map(|bytes| vec![b'x'; bytes as usize]);
        if !self.is_http {
            return (command(&[b"ECHO", &up]), bulk(&down));
        }
        let [asked, answered] = bytes;
        let request = format!("POST /a HTTP/1.1\r\nContent-Length: {asked}\r\n\r\n");
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {answered}\r\n\r\n");
        (
            [request.as_bytes(), &up].concat(),
            [response.as_bytes(), &down].concat(),
        )
    }

    /// The requests, in the order of their numbers.
    fn requests(mut self) -> Vec<Got> {
        self.talk.packets.sort_by_key(|packet| packet.at);
        let mut requests = run(&self.talk.packets).requests;
        requests.sort_by_key(|got| got.row.task);
        requests
    }
}

/// An exchange with nothing wrong: up to so many segments each way.
fn ordinary(random: &mut Random, scene: &Scene, most: [i64; 2]) -> Exchange {
    let mss = i64::from(scene.talk.mss);
    let bytes = most.map(|most| random.scaled(1, most * mss));
    let (request, response) = scene.said(bytes);
    Exchange {
        request,
        response,
        pace: [C, S].map(|_| random.scaled(US, 50 * US)),
        delay: random.scaled(20 * US, MS),
        trouble: [None; 2],
    }
}

/// The longest of upload, network, server and transfer when nothing is wrong.
fn longest(scene: &Scene, exchange: &Exchange) -> i64 {
    let [t0, t1, t2, t3, _] = scene.clone().exchange(0, exchange);
    (t1 - t0).max(t2 - t1).max(t3 - t2).max(MS)
}

/// More than anything else takes: by a third, or by far.
fn more(random: &mut Random, than: i64) -> i64 {
    than * random.scaled(133, 2000) / 100
}

/// The flight of a stream that something happens to: not the last.
fn flight(random: &mut Random, segments: usize) -> usize {
    let flights = ((segments.max(1) - 1) / 10 + 1).ilog2() as i64;
    random.from(0, flights.max(1) - 1) as usize
}

fn check(expected: Verdict, mut instance: impl FnMut(&mut Random) -> (Scene, i64, Exchange)) {
    let mut right = 0;
    let mut wrong = Vec::new();
    for seed in 1..=INSTANCES {
        let mut random = Random::new(seed);
        let (mut scene, now, exchange) = instance(&mut random);
        let times = scene.exchange(now, &exchange);
        let requests = scene.requests();
        requests.iter().try_for_each(keeps_the_contract).unwrap();
        let got = requests.last().unwrap();
        let what = (exchange.request.len(), exchange.response.len());
        let expected_times = times.map(Some);
        assert_eq!(
            got.times()[..4],
            expected_times[..4],
            "{seed} {}",
            got.line()
        );
        if got.record().verdict == Some(expected) {
            right += 1;
        } else {
            let trouble = exchange.trouble;
            let budget = got.budget();
            wrong.push(format!("{seed}: {what:?} {trouble:?} {budget:?}"));
        }
    }
    assert!(right >= ENOUGH, "{right} right; wrong: {wrong:#?}");
}

#[test]
fn slow_servers() {
    check(Verdict::Server, |random| {
        let mut scene = Scene::new(random);
        let now = scene.warm(random);
        let mut exchange = ordinary(random, &scene, [30, 30]);
        exchange.delay = more(random, longest(&scene, &exchange));
        (scene, now, exchange)
    });
}

#[test]
fn segments_of_requests_lost_behind_the_tap() {
    check(Verdict::Loss, |random| {
        let mut scene = Scene::new(random);
        let now = scene.warm(random);
        let mut exchange = ordinary(random, &scene, [30, 30]);
        let after = more(random, longest(&scene, &exchange)).max(200 * MS);
        let flight = if random.once_in(2) {
            0
        } else {
            flight(random, scene.segments(&exchange.request))
        };
        exchange.trouble[C] = Some((flight, Trouble::LostBehind(after)));
        (scene, now, exchange)
    });
}

#[test]
fn segments_of_responses_lost_behind_the_tap() {
    check(Verdict::Loss, |random| {
        let mut scene = Scene::new(random);
        let now = scene.warm(random);
        let mss = i64::from(scene.talk.mss);
        let mut exchange = ordinary(random, &scene, [12, 1]);
        let bytes = random.from(12 * mss, 60 * mss);
        (exchange.request, exchange.response) = scene.said([20, bytes]);
        let after = more(random, longest(&scene, &exchange)).max(200 * MS);
        let flight = flight(random, scene.segments(&exchange.response));
        exchange.trouble[S] = Some((flight, Trouble::LostBehind(after)));
        (scene, now, exchange)
    });
}

#[test]
fn segments_lost_before_the_tap() {
    check(Verdict::Loss, |random| {
        let mut scene = Scene::new(random);
        let now = scene.warm(random);
        let mss = i64::from(scene.talk.mss);
        let mut exchange = ordinary(random, &scene, [1, 1]);
        let long = random.from(3 * mss, 40 * mss);
        let side = random.from(0, 1) as usize;
        let bytes = if side == C { [long, 20] } else { [20, long] };
        (exchange.request, exchange.response) = scene.said(bytes);
        let after = more(random, longest(&scene, &exchange)).max(200 * MS);
        exchange.trouble[side] = Some((0, Trouble::LostBefore(after)));
        (scene, now, exchange)
    });
}

#[test]
fn closed_windows() {
    check(Verdict::Window, |random| {
        let mut scene = Scene::new(random);
        let now = scene.warm(random);
        let mss = i64::from(scene.talk.mss);
        let mut exchange = ordinary(random, &scene, [1, 1]);
        let long = random.from(12 * mss, 60 * mss);
        let side = random.from(0, 1) as usize;
        let bytes = if side == C { [long, 20] } else { [20, long] };
        (exchange.request, exchange.response) = scene.said(bytes);
        let closed = more(random, longest(&scene, &exchange));
        let stream = [&exchange.request, &exchange.response][side];
        let flight = flight(random, scene.segments(stream));
        exchange.trouble[side] = Some((flight, Trouble::Closed(closed)));
        (scene, now, exchange)
    });
}

#[test]
fn slow_uploads_and_transfers() {
    for (side, verdict) in [(C, Verdict::Client), (S, Verdict::Transfer)] {
        check(verdict, |random| {
            let mut scene = Scene::new(random);
            let now = scene.warm(random);
            let mss = i64::from(scene.talk.mss);
            let mut exchange = ordinary(random, &scene, [1, 1]);
            let segments = random.from(2, 9);
            let bytes = segments * mss;
            let bytes = if side == C { [bytes, 20] } else { [20, bytes] };
            (exchange.request, exchange.response) = scene.said(bytes);
            exchange.pace[side] = more(random, longest(&scene, &exchange)) / (segments - 1);
            (scene, now, exchange)
        });
    }
}

/// Requests sent one behind the other; the first is slow.
#[test]
fn pipelines_behind_a_slow_request() {
    let mut right = 0;
    let mut wrong = Vec::new();
    for seed in 1..=INSTANCES {
        let mut random = Random::new(seed);
        let mut scene = Scene::new(&mut random);
        scene.is_http = false;
        let mut now = scene.warm(&mut random);
        let (first, rtt) = (now, 2 * scene.b);
        let requests = random.from(2, 8);
        let behind = random.scaled(US, 500 * US);
        for _ in 0..requests {
            scene.talk.data(now, C, &get("foo"));
            now += random.from(1, behind);
        }
        let delay = more(&mut random, (requests * behind).max(rtt).max(MS));
        let mut answered = (first + rtt + delay).max(now);
        let before = scene.talk.sent[S];
        for _ in 0..requests {
            scene.talk.data(answered, S, &bulk(b"bar"));
            answered += random.from(0, 20 * US);
        }
        let after = scene.talk.sent[S];
        scene.ack(answered + 2 * scene.a, S, after);
        assert!(after > before);
        let got = scene.requests();
        got.iter().try_for_each(keeps_the_contract).unwrap();
        let verdicts: Vec<_> = got.iter().map(|got| got.record().verdict).collect();
        let (warm, of_queue) = verdicts.split_at(verdicts.len() - requests as usize);
        let (slow, queued) = of_queue.split_at(1);
        assert!(warm.len() <= 3);
        let is_right = slow[0] == Some(Verdict::Server)
            && queued
                .iter()
                .all(|verdict| *verdict == Some(Verdict::Queue));
        if is_right {
            right += 1;
        } else {
            wrong.push(format!("{seed}: {of_queue:?}"));
        }
    }
    assert!(right >= ENOUGH, "{right} right; wrong: {wrong:#?}");
}
