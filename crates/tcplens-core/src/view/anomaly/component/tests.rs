use super::*;

/// A fleet: for each server its components, as `host=h1 rack=r1`.
struct Fleet {
    components: Vec<Component>,
    members: Vec<Member>,
}

impl Fleet {
    fn new(servers: impl IntoIterator<Item = (String, bool)>) -> Fleet {
        let mut fleet = Fleet {
            components: Vec::new(),
            members: Vec::new(),
        };
        for (labels, is_abnormal) in servers {
            let components = labels.split(' ').map(|text| fleet.place(text)).collect();
            fleet.members.push(Member {
                components,
                is_abnormal,
            });
        }
        fleet
    }

    fn place(&mut self, text: &str) -> usize {
        let (label, name) = text.split_once('=').unwrap();
        let component = Component {
            label: label.into(),
            name: name.into(),
        };
        let known = self.components.iter().position(|known| *known == component);
        known.unwrap_or_else(|| {
            self.components.push(component);
            self.components.len() - 1
        })
    }

    fn told(&self) -> Vec<String> {
        let explained = explain(&self.members, &self.components);
        let mut told: Vec<_> = explained
            .suspects
            .iter()
            .map(|suspect| {
                let Suspected {
                    component,
                    inside,
                    elsewhere,
                    ..
                } = suspect;
                let component = &self.components[*component];
                format!(
                    "{component} {}/{} {}/{}",
                    inside.hits, inside.of, elsewhere.hits, elsewhere.of
                )
            })
            .collect();
        if let Some(Share { hits, of }) = explained.all {
            told.push(format!("all {hits}/{of}"));
        }
        if !explained.alone.is_empty() {
            told.push(format!("alone {:?}", explained.alone));
        }
        told
    }
}

/// 1,000 servers: ten on each of 100 hosts, five hosts in a rack, ten racks in a zone; proxies across all of them, whose 33 or
/// 34 servers are every thirtieth.
fn fleet(is_abnormal: impl Fn(usize) -> bool) -> Fleet {
    Fleet::new((0..1000).map(|n| {
        let labels = format!(
            "host=h{} proxy=p{} rack=r{} zone=z{} address=a{}",
            n / 10,
            n % 30,
            n / 50,
            n / 500,
            n / 10
        );
        (labels, is_abnormal(n))
    }))
}

#[test]
fn the_probability_is_that_of_the_exact_test_times_components_tried() {
    let mut servers = vec![("rack=a".to_owned(), true); 3];
    servers.extend(vec![("rack=b".to_owned(), false); 7]);
    let fleet = Fleet::new(servers);
    let explained = explain(&fleet.members, &fleet.components);
    // 1 of C(10, 3) ways, and two racks were tried.
    let p = explained.suspects[0].ln_p.exp();
    assert!((p - 2.0 / 120.0).abs() < 1e-12, "{p}");
    assert_eq!(fleet.told(), ["rack=a 3/3 0/7"]);
}

#[test]
fn the_host_is_told_if_only_it_is_abnormal_and_the_rack_if_all_its_hosts_are() {
    assert_eq!(fleet(|n| n / 10 == 17).told(), ["host=h17 10/10 0/990"]);
    assert_eq!(fleet(|n| n / 50 == 3).told(), ["rack=r3 50/50 0/950"]);
    assert_eq!(fleet(|n| n / 500 == 1).told(), ["zone=z1 500/500 0/500"]);
}

#[test]
fn a_proxy_across_racks_is_told_though_not_all_of_it_is_abnormal_and_some_elsewhere_is() {
    let told = fleet(|n| (n % 30 == 3 && n != 303 && n != 603) || n == 500 || n == 777).told();
    assert_eq!(told, ["proxy=p3 32/34 2/966", "alone [500, 777]"]);
}

#[test]
fn two_hosts_of_a_rack_are_two_faults_and_a_rack_that_is_seen_in_parts_is_one() {
    assert_eq!(
        fleet(|n| n / 10 == 15 || n / 10 == 16).told(),
        ["host=h15 10/10 10/990", "host=h16 10/10 0/980"]
    );
    // At its beginning two of three servers of each host are seen.
    assert_eq!(
        fleet(|n| n / 50 == 3 && n % 3 != 0).told(),
        ["rack=r3 33/50 0/950"]
    );
}

#[test]
fn several_faults_at_once_are_told_apart_also_where_they_cross() {
    let told = fleet(|n| n / 50 == 3 || n % 30 == 7 || n / 10 == 80 || n == 999).told();
    assert_eq!(
        told,
        [
            "rack=r3 50/50 43/950",
            "proxy=p7 32/32 11/918",
            "host=h80 10/10 1/908",
            "alone [999]"
        ]
    );
}

#[test]
fn nothing_is_made_of_chance() {
    // One each on five hosts of five racks.
    let told = fleet(|n| [5, 105, 255, 405, 655].contains(&n)).told();
    assert_eq!(told, ["alone [5, 105, 255, 405, 655]"]);
    assert!(fleet(|_| false).told().is_empty());
    assert!(Fleet::new([]).told().is_empty());
}

#[test]
fn where_everything_is_abnormal_no_component_is_to_blame() {
    let told = fleet(|n| n % 100 != 0).told();
    assert_eq!(told[0], "all 990/1000");
    assert_eq!(told.len(), 2);
}

#[test]
fn of_components_with_the_same_servers_the_written_and_finer_one_is_told() {
    // A rack of one host: the host, and not its address.
    let servers = (0..40).map(|n| {
        let (host, rack) = (n / 4, n / 8);
        let rack = if host == 0 { 99 } else { rack };
        (
            format!("address=10.0.0.{host} rack=r{rack} host=h{host}"),
            host == 0,
        )
    });
    assert_eq!(Fleet::new(servers).told(), ["host=h0 4/4 0/36"]);
}

/// Numbers that are the same each time: the high bits of Knuth's generator (MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// 1,000 servers on 100 hosts in 20 racks of two zones, and one of 25 proxies each: 400 times a host, a rack or a proxy fails,
/// one or two at once, is seen at seven of ten of its servers in that minute, and two in a thousand are abnormal for nothing.
#[test]
fn of_four_hundred_faults_at_least_95_in_100_are_told_by_their_component_and_hardly_any_other() {
    let mut dice = Dice(7);
    let places: Vec<[u64; 4]> = (0..1000)
        .map(|n| {
            let host = n % 100;
            [host, host / 5, dice.below(25), host / 50]
        })
        .collect();
    let labels = ["host", "rack", "proxy", "zone"];
    let (mut right, mut wrong, mut of) = (0, 0, 0);
    while of < 400 {
        let faults: Vec<(usize, u64)> = (0..=dice.below(2))
            .map(|_| {
                let kind = dice.below(3) as usize;
                (kind, dice.below([100, 20, 25][kind]))
            })
            .collect();
        // A host in a rack that fails is no fault of its own, nor is the same twice.
        if let [(a, x), (b, y)] = faults[..]
            && (a == b && x == y
                || a == 0 && b == 1 && x / 5 == y
                || a == 1 && b == 0 && y / 5 == x)
        {
            continue;
        }
        let servers: Vec<_> = places
            .iter()
            .map(|place| {
                let fails = faults.iter().any(|&(kind, name)| place[kind] == name);
                let is_abnormal = fails && dice.below(10) < 7 || dice.below(1000) < 2;
                let names = labels.iter().zip(place);
                let names: Vec<_> = names
                    .map(|(label, name)| format!("{label}={name}"))
                    .collect();
                (names.join(" "), is_abnormal)
            })
            .collect();
        let fleet = Fleet::new(servers);
        let explained = explain(&fleet.members, &fleet.components);
        let told: Vec<String> = explained
            .suspects
            .iter()
            .map(|suspect| fleet.components[suspect.component].to_string())
            .collect();
        for (kind, name) in &faults {
            of += 1;
            right += usize::from(told.contains(&format!("{}={name}", labels[*kind])));
        }
        wrong += told
            .iter()
            .filter(|told| {
                let mut true_ones = faults.iter();
                !true_ones.any(|(kind, name)| **told == format!("{}={name}", labels[*kind]))
            })
            .count();
    }
    println!("{right} of {of} right, {wrong} others told");
    assert!(right * 100 >= of * 95, "{right} of {of}");
    assert!(wrong * 100 <= of * 2, "{wrong} wrong of {of}");
}
