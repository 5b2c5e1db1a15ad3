//! The traffic of one server, minute after minute: load with seasons, latencies with heavy tails that depend on the load a
//! little, losses that come in bursts, errors that come in bursts, and what faults do to all of it.

use tcplens_core::view::anomaly::{Durations, Sample};

use super::random::shared;
use super::{Fault, Kind, Place, Random};

/// The constants of one server.
#[derive(Clone, Debug)]
struct Nature {
    /// Requests per minute on an average day.
    requests: f64,
    /// Swing of the day and of its half, in logarithms, and the hour of most load.
    daily: [f64; 2],
    peak_hour: f64,
    /// Logarithm of the load of Saturday and Sunday against other days.
    weekend: f64,
    /// A job at a fixed time: its first minute of the day, how long, times as much load, times as slow; only on this weekday.
    job: Option<(i64, i64, f64, f64, Option<i64>)>,
    /// Requests per minute that it could answer at most.
    capacity: f64,
    /// How much waiting there is: times load / (1 - load).
    waiting: f64,
    /// Times in ns: typical of what the server takes, of the path, of request and response.
    process: f64,
    path: f64,
    upload: f64,
    transfer: f64,
    /// Widths, of logarithms, of the server's part and of the path.
    width: f64,
    path_width: f64,
    /// Share of requests that take at least 5 times as long, and the exponent of how much longer.
    slow_share: f64,
    slow_alpha: f64,
    /// How much the server's level wanders, minute by minute and within hours.
    shock: f64,
    wander: f64,
    /// Segments with payload of a request and its response.
    segments: f64,
    loss: f64,
    /// Attempts to connect per request.
    attempts: f64,
    errors: f64,
    unanswered: f64,
    failed: f64,
}

/// One minute as it is before chance: what a [`Sample`] or rollups are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Intensity {
    pub requests: u64,
    /// Typical times, in ns.
    pub process: f64,
    pub path: f64,
    pub upload: f64,
    pub transfer: f64,
    pub width: f64,
    pub path_width: f64,
    pub slow_share: f64,
    pub slow_alpha: f64,
    pub segments: f64,
    /// Shares.
    pub loss: f64,
    pub errors: f64,
    pub unanswered: f64,
    pub failed: f64,
    /// Attempts per request.
    pub attempts: f64,
}

/// The traffic of one server. Minutes are drawn in order.
#[derive(Clone, Debug)]
pub struct Traffic {
    seed: u64,
    pub place: Place,
    nature: Nature,
    faults: Vec<Fault>,
    pub random: Random,
    /// What wanders: load, latency, path, loss, errors.
    load: f64,
    level: f64,
    path: f64,
    loss: f64,
    errors: f64,
    day: i64,
    day_load: f64,
    day_level: f64,
}

impl Traffic {
    pub fn new(seed: u64, place: Place, faults: Vec<Fault>) -> Traffic {
        let mut random = Random::new(seed, 1000 + place.server);
        Traffic {
            seed,
            place,
            nature: nature(&mut random, place.zone),
            faults,
            random,
            load: 0.0,
            level: 0.0,
            path: 0.0,
            loss: 0.0,
            errors: 0.0,
            day: i64::MIN,
            day_load: 0.0,
            day_level: 0.0,
        }
    }

    /// Draws what this minute is like; minutes ascend.
    pub fn intensity(&mut self, minute: i64) -> Intensity {
        let nature = &self.nature;
        let random = &mut self.random;
        let day = minute.div_euclid(1440);
        if day != self.day {
            self.day = day;
            self.day_load = 0.06 * random.normal();
            self.day_level = 0.02 * random.normal();
        }
        self.load = 0.95 * self.load + 0.025 * random.normal();
        self.level = 0.97 * self.level + 0.24 * nature.wander * random.normal();
        self.path = 0.9 * self.path + 0.02 * random.normal();
        self.loss = 0.9 * self.loss + 0.25 * random.normal();
        self.errors = 0.9 * self.errors + 0.15 * random.normal();

        let hour = minute.rem_euclid(1440) as f64 / 60.0 - nature.peak_hour;
        let turn = hour / 24.0 * std::f64::consts::TAU;
        let mut ln_load = nature.daily[0] * turn.cos() + nature.daily[1] * (2.0 * turn).cos();
        // 1970 began on a Thursday: 0 is Sunday.
        let weekday = (day + 4).rem_euclid(7);
        if weekday == 0 || weekday == 6 {
            ln_load += nature.weekend;
        }
        let mut slower = 1.0;
        if let Some((first, lasts, load, slow, only)) = nature.job {
            let into = minute.rem_euclid(1440) - first;
            if (0..lasts).contains(&into) && only.is_none_or(|only| only == weekday) {
                ln_load += load.ln();
                slower *= slow;
            }
        }
        let mut load = nature.requests * (ln_load + self.load + self.day_load).exp();

        let rack = shared(self.seed, 7000 + self.place.rack, minute.div_euclid(10));
        let mut loss = nature.loss * (self.loss + 0.4 * rack).exp();
        let mut errors = nature.errors * self.errors.exp();
        let mut unanswered = nature.unanswered;
        let mut failed = nature.failed;
        // One client that does everything wrong, for a minute.
        if random.happens(0.0003) {
            errors = (errors * 30.0).min(0.2);
        }
        if random.happens(0.0003) {
            loss = (loss * 50.0).min(0.1);
        }
        for fault in self.faults.iter().filter(|fault| fault.covers(minute)) {
            match fault.kind {
                Kind::SlowServer | Kind::SlowHost => slower *= fault.size,
                Kind::SlowDrift => {
                    let done = (minute - fault.start) as f64 / fault.creeps.max(1) as f64;
                    slower *= fault.size.powf(done.min(1.0));
                }
                Kind::LossyRack => loss += fault.size,
                Kind::FailingProxy if fault.is_silent => {
                    unanswered += fault.size;
                    failed += fault.size;
                }
                Kind::FailingProxy => errors += fault.size,
                Kind::LostTraffic | Kind::FlashCrowd => load *= fault.size,
            }
        }
        let busy = (load / nature.capacity).min(0.9);
        let queue = 1.0 + nature.waiting * busy / (1.0 - busy);
        let mut shock = nature.shock * random.student();
        // A pause (collection, compaction) now and then, for a minute.
        if random.happens(0.0005) {
            shock += random.between(0.3, 1.5);
        }
        let level = (self.level + self.day_level + shock).exp();
        let path = nature.path * (self.path + 0.01 * random.student()).exp();
        Intensity {
            requests: random.poisson(load),
            process: nature.process * queue * slower * level,
            path,
            upload: nature.upload,
            transfer: nature.transfer,
            width: nature.width,
            path_width: nature.path_width,
            slow_share: nature.slow_share,
            slow_alpha: nature.slow_alpha,
            segments: nature.segments,
            loss: loss.min(0.5),
            errors: errors.min(1.0),
            unanswered: unanswered.min(1.0),
            failed: failed.min(1.0),
            attempts: nature.attempts,
        }
    }

    /// Draws the minute as sums.
    pub fn sample(&mut self, minute: i64) -> Sample {
        let is = self.intensity(minute);
        let random = &mut self.random;
        let requests = is.requests;
        let unanswered = random
            .poisson(requests as f64 * is.unanswered)
            .min(requests);
        let answered = requests - unanswered;
        let errors = random.poisson(answered as f64 * is.errors).min(answered);
        let attempts = random.poisson(requests as f64 * is.attempts);
        let failed = random.poisson(attempts as f64 * is.failed).min(attempts);
        let established = attempts - failed;
        let segments = (requests as f64 * is.segments) as u64;
        let repeated = random.poisson(segments as f64 * is.loss).min(segments);
        // Three of ten losses have to wait for a timeout.
        let waits = random.poisson(answered as f64 * is.segments * is.loss * 0.3);
        let lost_ns = 2.2e8 * random.exponentials(waits)
            + 2.0 * is.path * (repeated.saturating_sub(waits)) as f64;

        let n = answered as f64;
        let noise = random.normal();
        let slow = random.poisson(n * is.slow_share).min(answered);
        let excess = slow as f64 * 5_f64.ln() + random.exponentials(slow) / is.slow_alpha;
        let process = durations(random, is.process, is.width, answered, noise, excess);
        let whole = is.process + is.path + is.upload + is.transfer;
        // What does not vary with the server makes the whole vary less.
        let part = is.process / whole;
        let width = (is.width * part)
            .hypot(is.path_width * is.path / whole)
            .max(0.1);
        let late = waits.min(answered) as f64 * (1.0 + 2.2e8 / whole).ln();
        let total = durations(random, whole, width, answered, noise, excess * part + late);

        let syn_waits = random
            .poisson(established as f64 * 2.0 * is.loss)
            .min(established);
        let extra = syn_waits as f64 * (1.0 + 1e9 / is.path).ln();
        let own = random.normal();
        let connect = durations(random, is.path, is.path_width, established, own, extra);
        Sample {
            requests: Some(requests),
            answered,
            errors,
            unanswered,
            total,
            process,
            upload_ns: sum(random, is.upload, 1.0, answered) as u64,
            transfer_ns: (is.transfer * 0.4 * random.paretos(answered, 1.6) + 0.5 * lost_ns) as u64,
            budgets: answered,
            network_ns: (sum(random, is.path, is.path_width, answered) + lost_ns) as u64,
            attempts,
            failed,
            connect,
            data_segments: segments,
            repeated_segments: repeated,
        }
    }
}

fn durations(
    random: &mut Random,
    typical: f64,
    width: f64,
    count: u64,
    noise: f64,
    excess: f64,
) -> Durations {
    let mut durations = Durations::default();
    if count == 0 {
        return durations;
    }
    let n = count as f64;
    let mean = (typical + 1000.0).ln() + width * noise / n.sqrt() + excess / n;
    let variance = width * width * (1.0 + (2.0 / n).sqrt() * random.normal()).max(0.05);
    durations.add_ln(n * mean, n * (mean * mean + variance), count);
    durations
}

/// The sum of `count` log-normal times around `typical`.
fn sum(random: &mut Random, typical: f64, width: f64, count: u64) -> f64 {
    if count <= 8 {
        let each = (0..count).map(|_| typical * (width * random.normal()).exp());
        return each.sum();
    }
    let n = count as f64;
    let square = width * width;
    let mean = (square / 2.0).exp();
    let spread = mean * (square.exp() - 1.0).sqrt();
    (typical * (n * mean + n.sqrt() * spread * random.normal())).max(0.0)
}

fn nature(random: &mut Random, zone: u64) -> Nature {
    let requests = random.log_between(20.0, 2000.0);
    let job = random.happens(0.3).then(|| {
        let only = random.happens(0.3).then(|| random.below(7) as i64);
        let first = random.below(24 * 4) as i64 * 15;
        let lasts = 15 + random.below(4) as i64 * 15;
        let (load, slow) = (random.between(1.5, 4.0), random.between(1.2, 2.5));
        (first, lasts, load, slow, only)
    });
    Nature {
        requests,
        daily: [random.between(0.2, 0.9), random.between(0.0, 0.25)],
        peak_hour: 14.0 + 6.0 * zone as f64 + random.normal(),
        weekend: -random.between(0.0, 1.0),
        job,
        capacity: requests * random.between(14.0, 40.0),
        waiting: random.between(0.3, 1.5),
        process: random.log_between(1e5, 3e7),
        path: random.log_between(5e4, 2e6),
        upload: random.log_between(5e3, 5e5),
        transfer: random.log_between(2e4, 5e6),
        width: random.between(0.3, 1.0),
        path_width: random.between(0.1, 0.4),
        slow_share: random.log_between(0.002, 0.03),
        slow_alpha: random.between(1.2, 2.5),
        shock: random.between(0.005, 0.03),
        wander: random.between(0.01, 0.05),
        segments: random.between(2.0, 12.0),
        loss: random.log_between(1e-5, 1e-3),
        attempts: random.log_between(0.02, 1.0),
        errors: random.log_between(1e-5, 2e-2),
        unanswered: random.log_between(1e-6, 1e-4),
        failed: random.log_between(1e-5, 1e-3),
    }
}
