//! What happens to whom, when, and in what it shows: the truth that a detector is measured by.

use super::{FIRST_MINUTE, Place, Plan, Random};

/// How many of each kind are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub slow_servers: u64,
    pub slow_hosts: u64,
    pub lossy_racks: u64,
    pub failing_proxies: u64,
    pub drifts: u64,
    pub lost_traffic: u64,
    pub flash_crowds: u64,
}

impl Mix {
    pub const NONE: Mix = Mix {
        slow_servers: 0,
        slow_hosts: 0,
        lossy_racks: 0,
        failing_proxies: 0,
        drifts: 0,
        lost_traffic: 0,
        flash_crowds: 0,
    };
    /// For 1,000 servers and 22 days.
    pub const LARGE: Mix = Mix {
        slow_servers: 60,
        slow_hosts: 30,
        lossy_racks: 20,
        failing_proxies: 25,
        drifts: 30,
        lost_traffic: 20,
        flash_crowds: 60,
    };
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One server takes longer to answer: 1.7 to 6 times.
    SlowServer,
    /// All servers of a host do.
    SlowHost,
    /// The switch of a rack loses 0.5 to 5 % of segments.
    LossyRack,
    /// A proxy fails 3 to 50 % of what goes through it: it answers with errors, or not at all and refuses connections.
    FailingProxy,
    /// A server becomes slower over 12 to 96 hours, to 1.6 to 4 times, stays so for 12 hours, and is mended.
    SlowDrift,
    /// Clients no longer reach a server: 0 to 40 % of its requests come.
    LostTraffic,
    /// Five times the requests; latency as the load makes it. No fault.
    FlashCrowd,
}

/// What is shared by those to whom it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    Server(u64),
    Host(u64),
    Rack(u64),
    Proxy(u64),
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub component: Component,
    /// Its first minute, since 1970.
    pub start: i64,
    /// The minute after its last.
    pub end: i64,
    /// Of a drift: how many minutes it takes to become as large as it does.
    pub creeps: i64,
    /// The factor of the latency or of the load, or the share that fails or is lost.
    pub size: f64,
    /// Of a proxy: it does not answer at all.
    pub is_silent: bool,
}

impl Fault {
    pub fn concerns(&self, place: &Place) -> bool {
        match self.component {
            Component::Server(server) => place.server == server,
            Component::Host(host) => place.host == host,
            Component::Rack(rack) => place.rack == rack,
            Component::Proxy(proxy) => place.proxy == proxy,
        }
    }

    pub fn is_fault(&self) -> bool {
        self.kind != Kind::FlashCrowd
    }

    pub fn covers(&self, minute: i64) -> bool {
        (self.start..self.end).contains(&minute)
    }

    /// The metrics in which it shows.
    pub fn metrics(&self) -> &'static [&'static str] {
        match (self.kind, self.is_silent) {
            (Kind::SlowServer | Kind::SlowHost | Kind::SlowDrift, _) => &["total", "process"],
            (Kind::LossyRack, _) => &["retransmits", "network", "total", "connect", "transfer"],
            (Kind::FailingProxy, false) => &["errors"],
            (Kind::FailingProxy, true) => &["unanswered", "failed"],
            (Kind::LostTraffic, _) => &["throughput"],
            (Kind::FlashCrowd, _) => &[],
        }
    }
}

/// Draws faults that leave six hours between each other on every server.
pub(super) fn draw(plan: &Plan, places: &[Place]) -> Vec<Fault> {
    let mix = plan.mix;
    let kinds = [
        (Kind::SlowDrift, mix.drifts),
        (Kind::LossyRack, mix.lossy_racks),
        (Kind::FailingProxy, mix.failing_proxies),
        (Kind::SlowHost, mix.slow_hosts),
        (Kind::SlowServer, mix.slow_servers),
        (Kind::LostTraffic, mix.lost_traffic),
        (Kind::FlashCrowd, mix.flash_crowds),
    ];
    let mut random = Random::new(plan.seed, 2);
    let mut faults: Vec<Fault> = Vec::new();
    for (kind, count) in kinds {
        for _ in 0..count {
            // What finds no room after so many attempts is left out.
            let fitting = (0..200).find_map(|_| {
                let fault = one(kind, plan, &mut random);
                let clashes = faults.iter().any(|other| {
                    let near = fault.start < other.end + 360 && other.start < fault.end + 360;
                    let both = |place: &Place| fault.concerns(place) && other.concerns(place);
                    near && places.iter().any(both)
                });
                (!clashes).then_some(fault)
            });
            faults.extend(fitting);
        }
    }
    faults.sort_by_key(|fault| (fault.start, fault.component));
    faults
}

fn one(kind: Kind, plan: &Plan, random: &mut Random) -> Fault {
    let component = match kind {
        Kind::SlowServer | Kind::SlowDrift | Kind::LostTraffic | Kind::FlashCrowd => {
            Component::Server(random.below(plan.servers))
        }
        Kind::SlowHost => Component::Host(random.below(plan.hosts)),
        Kind::LossyRack => Component::Rack(random.below(plan.racks)),
        Kind::FailingProxy => Component::Proxy(random.below(plan.proxies)),
    };
    let size = match kind {
        Kind::SlowServer | Kind::SlowHost => random.log_between(1.7, 6.0),
        Kind::LossyRack => random.log_between(0.005, 0.05),
        Kind::FailingProxy => random.log_between(0.03, 0.5),
        Kind::SlowDrift => random.log_between(1.6, 4.0),
        Kind::LostTraffic => random.between(0.0, 0.4),
        Kind::FlashCrowd => 5.0,
    };
    let creeps = match kind {
        Kind::SlowDrift => random.log_between(720.0, 5760.0) as i64,
        _ => 0,
    };
    let lasts = match kind {
        Kind::SlowDrift => creeps + 720,
        _ => random.log_between(15.0, 180.0) as i64,
    };
    let room = (plan.days - plan.first_fault_day) * 1440 - lasts;
    let start = plan.first_fault_day * 1440 + (random.unit() * room.max(1) as f64) as i64;
    Fault {
        kind,
        component,
        start: FIRST_MINUTE + start,
        end: FIRST_MINUTE + start + lasts,
        creeps,
        size,
        is_silent: random.happens(0.5),
    }
}
