//! A fleet with known truth: servers on hosts in racks, behind proxies, with traffic that has seasons and heavy tails, and
//! faults of which it is known when, where and in what they show. Written from the description of the problem, before any
//! detector was looked at; every number below is a choice of what is usual, and none was changed to please a detector.
//!
//! The same seed gives the same fleet, minute by minute and server by server, in any order.

pub mod faults;
pub mod random;
pub mod rollups;
pub mod traffic;

pub use faults::{Component, Fault, Kind, Mix};
pub use random::Random;
pub use traffic::Traffic;

/// Monday, 2026-11-02T00:00:00Z, in minutes since 1970.
pub const FIRST_MINUTE: i64 = 20_759 * 1440;

/// How large a fleet, and with what faults.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub servers: u64,
    pub hosts: u64,
    pub racks: u64,
    pub proxies: u64,
    pub days: i64,
    /// Faults before this day there are none.
    pub first_fault_day: i64,
    pub mix: Mix,
}

impl Plan {
    /// The measure: 1,000 instances on 100 hosts in 20 racks behind 25 proxies, 30 days.
    pub fn large(seed: u64) -> Plan {
        Plan {
            seed,
            servers: 1000,
            hosts: 100,
            racks: 20,
            proxies: 25,
            days: 30,
            first_fault_day: 8,
            mix: Mix::LARGE,
        }
    }

    /// 100 instances without any fault, and without flash crowds where `crowds` is 0.
    pub fn clean(seed: u64, days: i64, crowds: u64) -> Plan {
        Plan {
            seed,
            servers: 100,
            hosts: 10,
            racks: 2,
            proxies: 3,
            days,
            first_fault_day: 0,
            mix: Mix {
                flash_crowds: crowds,
                ..Mix::NONE
            },
        }
    }
}

/// Where a server stands: what it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub server: u64,
    pub host: u64,
    pub rack: u64,
    pub proxy: u64,
    pub zone: u64,
}

/// Servers, and what happens to them.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub plan: Plan,
    pub places: Vec<Place>,
    pub faults: Vec<Fault>,
}

impl Fleet {
    pub fn new(plan: Plan) -> Fleet {
        let mut random = Random::new(plan.seed, 1);
        let places: Vec<Place> = (0..plan.servers)
            .map(|server| {
                let host = server % plan.hosts;
                let rack = host * plan.racks / plan.hosts;
                Place {
                    server,
                    host,
                    rack,
                    // Proxies cross racks and hosts.
                    proxy: random.below(plan.proxies),
                    zone: rack * 2 / plan.racks,
                }
            })
            .collect();
        let faults = faults::draw(&plan, &places);
        Fleet {
            plan,
            places,
            faults,
        }
    }

    /// Minutes of the whole plan.
    pub fn minutes(&self) -> std::ops::Range<i64> {
        FIRST_MINUTE..FIRST_MINUTE + self.plan.days * 1440
    }

    /// What happens to this server.
    pub fn faults_of(&self, server: u64) -> impl Iterator<Item = &Fault> {
        let place = self.places[usize::try_from(server).expect("few servers")];
        self.faults.iter().filter(move |f| f.concerns(&place))
    }

    /// The traffic of one server, from the first minute on.
    pub fn traffic(&self, server: u64) -> Traffic {
        let place = self.places[usize::try_from(server).expect("few servers")];
        let faults = self.faults_of(server).cloned().collect();
        Traffic::new(self.plan.seed, place, faults)
    }
}
