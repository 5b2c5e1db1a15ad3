//! Which components servers are parts of: labels such as `host`, `rack`, `switch`, `proxy` and `zone`, and their values. Where
//! they are written down is the caller's to know (docs/anomalies.md, "Topology").

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::labels::Places;
use crate::labels::places::Said;

/// Most places of a topology. Chosen: ten for each of 100,000 hosts.
pub const PLACES: usize = 1_000_000;
/// Longest label or value in bytes. Chosen: as long as a host's name may be.
const LONGEST: usize = 253;
/// The label whose value is a host's name, whose own labels then count, too.
const HOST: &str = "host";
/// Labels that every server has without being told. Chosen so that nobody writes them into a topology.
const OWN: [&str; 2] = ["address", "port"];

/// Something that several servers have in common: `rack=r17`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Component {
    /// What it is.
    pub label: Arc<str>,
    /// Which one.
    pub name: Arc<str>,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.label, self.name)
    }
}

impl Component {
    /// Whether it is known without a topology: `address=10.0.0.7`, `port=6379`.
    #[must_use]
    pub fn is_own(&self) -> bool {
        OWN.contains(&&*self.label)
    }
}

type Values = Vec<(Arc<str>, Arc<str>)>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    places: Places<Values>,
    hosts: BTreeMap<Arc<str>, Values>,
    count: usize,
    /// Those that count; all of them if there are none.
    only: BTreeSet<String>,
    labels: BTreeSet<Arc<str>>,
}

impl Topology {
    /// Gives labels to an address, a port of it, a network (`10.0.0.7`, `10.0.0.7:6379`, `10.1.0.0/16`) or, where it has
    /// letters and no colon, a host of that name.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn add(&mut self, place: &str, labels: &[(String, String)]) -> Result<(), String> {
        if self.count >= PLACES {
            return Err(format!(
                "there are more than {PLACES} places; give networks labels instead of each address"
            ));
        }
        let is_word = |text: &str| {
            !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control)
        };
        for (label, value) in labels {
            if !is_word(label) || label.contains('=') {
                return Err(format!("{label:?} is no label; write a word, such as rack"));
            }
            if OWN.contains(&label.as_str()) {
                return Err(format!(
                    "{label:?} is known of every server; choose another word"
                ));
            }
            if !is_word(value) {
                return Err(format!(
                    "{value:?} is no name of a {label}; write a word, such as r17"
                ));
            }
        }
        let values: Values = labels
            .iter()
            .map(|(label, value)| (label.as_str().into(), value.as_str().into()))
            .collect();
        for (label, _) in &values {
            self.labels.insert(label.clone());
        }
        let is_name = !place.contains([':', '/'])
            && place.parse::<IpAddr>().is_err()
            && place.contains(|c: char| c.is_ascii_alphabetic());
        if is_name && is_word(place) {
            if self.hosts.insert(place.into(), values).is_some() {
                return Err(format!("{place} is there twice; make one of the two"));
            }
        } else {
            self.places.insert(place, values).map_err(|error| {
                error.replace("is no address;", "is neither an address nor a host's name;")
            })?;
        }
        self.count += 1;
        Ok(())
    }

    /// From here on only components of these labels are told; all, if there are none.
    ///
    /// # Errors
    /// A label that no server can have.
    pub fn only(&mut self, labels: &[String]) -> Result<(), String> {
        let known = self.labels.iter().map(|label| &**label);
        let known: BTreeSet<&str> = known.chain(OWN).chain([HOST]).collect();
        for label in labels {
            if !known.contains(label.as_str()) {
                let known: Vec<_> = known.into_iter().collect();
                return Err(format!(
                    "the topology has no label {label:?}; its labels are {}",
                    known.join(", ")
                ));
            }
        }
        self.only = labels.iter().cloned().collect();
        Ok(())
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many addresses, networks and hosts it names.
    #[must_use]
    pub fn places(&self) -> usize {
        self.count
    }

    /// What a server is part of, each once, in order. Of two values for one label the narrower counts: of the port, the address,
    /// the host, the smallest network. `observer` is the host that alone tells of it: taken for its own, if nothing says more.
    #[must_use]
    pub fn components(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        observer: Option<&str>,
    ) -> Vec<Component> {
        let mut found: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        let add = |found: &mut BTreeMap<Arc<str>, Arc<str>>, values: &Values| {
            for (label, value) in values {
                found.entry(label.clone()).or_insert(value.clone());
            }
        };
        let said: Vec<_> = self.places.of(ip, port).collect();
        for said in &said {
            if let Said::OfAddress(values) = said {
                add(&mut found, values);
            }
        }
        if let (None, Some(observer)) = (found.get(HOST), observer) {
            found.insert(HOST.into(), observer.into());
        }
        let host = found.get(HOST).cloned();
        if let Some(values) = host.and_then(|host| self.hosts.get(&host)) {
            add(&mut found, values);
        }
        for said in &said {
            if let Said::OfNetwork(values) = said {
                add(&mut found, values);
            }
        }
        found.insert(OWN[0].into(), ip.to_string().into());
        if let Some(port) = port {
            found.insert(OWN[1].into(), port.to_string().into());
        }
        let of_it = found.into_iter();
        let of_it = of_it.filter(|(label, _)| self.only.is_empty() || self.only.contains(&**label));
        of_it
            .map(|(label, name)| Component { label, name })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(places: &[(&str, &[(&str, &str)])]) -> Topology {
        let mut topology = Topology::default();
        for (place, labels) in places {
            let owned = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
            let labels: Vec<_> = labels.iter().map(owned).collect();
            topology.add(place, &labels).unwrap();
        }
        topology
    }

    fn of(topology: &Topology, ip: &str, port: u16, observer: Option<&str>) -> String {
        let all = topology.components(ip.parse().unwrap(), Some(port), observer);
        let all: Vec<_> = all.iter().map(Component::to_string).collect();
        all.join(" ")
    }

    #[test]
    fn what_is_narrower_wins_label_by_label_and_a_host_brings_its_own() {
        let topology = topology(&[
            ("10.0.0.0/8", &[("zone", "a"), ("rack", "unknown")]),
            ("10.1.0.0/16", &[("zone", "b")]),
            ("10.1.0.7", &[("host", "db1")]),
            ("10.1.0.7:6379", &[("proxy", "p3")]),
            ("db1", &[("rack", "r17"), ("zone", "c")]),
            ("db2", &[("rack", "r18")]),
        ]);
        for (ip, port, observer, expected) in [
            (
                "10.1.0.7",
                6379,
                None,
                "address=10.1.0.7 host=db1 port=6379 proxy=p3 rack=r17 zone=c",
            ),
            (
                "10.1.0.7",
                80,
                Some("collector"),
                "address=10.1.0.7 host=db1 port=80 rack=r17 zone=c",
            ),
            (
                "10.1.0.8",
                80,
                Some("db2"),
                "address=10.1.0.8 host=db2 port=80 rack=r18 zone=b",
            ),
            (
                "10.2.0.8",
                80,
                None,
                "address=10.2.0.8 port=80 rack=unknown zone=a",
            ),
            ("::1", 80, None, "address=::1 port=80"),
        ] {
            assert_eq!(of(&topology, ip, port, observer), expected, "{ip}:{port}");
        }
        let mut narrow = topology.clone();
        narrow
            .only(&["rack".to_owned(), "port".to_owned()])
            .unwrap();
        assert_eq!(of(&narrow, "10.1.0.7", 80, None), "port=80 rack=r17");
        assert_eq!(
            narrow.only(&["switch".to_owned()]).unwrap_err(),
            "the topology has no label \"switch\"; its labels are address, host, port, proxy, rack, zone"
        );
        assert_eq!(topology.places(), 6);
        assert!(!topology.is_empty() && Topology::default().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_to_write() {
        for (place, label, value, expected) in [
            (
                "10.0.0.300",
                "rack",
                "r1",
                "\"10.0.0.300\" is neither an address nor a host's name; write 10.0.0.1, 10.0.0.0/8, 10.0.0.1:6379, 2001:db8::1 or \
                 [2001:db8::1]:443",
            ),
            (
                "10.0.0.0/40",
                "rack",
                "r1",
                "/40 is too long, 10.0.0.0 has 32 bits",
            ),
            (
                "10.0.0.1",
                "",
                "r1",
                "\"\" is no label; write a word, such as rack",
            ),
            (
                "10.0.0.1",
                "rack",
                "",
                "\"\" is no name of a rack; write a word, such as r17",
            ),
            (
                "10.0.0.1",
                "port",
                "80",
                "\"port\" is known of every server; choose another word",
            ),
        ] {
            let labels = [(label.to_owned(), value.to_owned())];
            let error = Topology::default().add(place, &labels).unwrap_err();
            assert_eq!(error, expected);
        }
        let mut twice = topology(&[("db1", &[("rack", "r1")])]);
        let error = twice.add("db1", &[]).unwrap_err();
        assert_eq!(error, "db1 is there twice; make one of the two");
    }
}
