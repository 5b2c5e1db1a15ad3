//! Where addresses are and whose, by databases in MaxMind's format (MaxMind DB file format specification 2.0): GeoLite2, DB-IP and
//! others like them. Files only: nothing is downloaded or asked.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use tcplens_core::mmdb::Mmdb;

/// Largest database: it is kept in memory. Chosen: several times the largest that is known.
const LARGEST: u64 = 1 << 30;

/// Addresses whose place is remembered; of more, all are looked up anew. Chosen: about 8 MB.
const REMEMBERED: usize = 65_536;

/// Longest name that is shown, in letters.
const LONGEST: usize = 64;

/// See the module.
pub(super) struct Places {
    databases: Vec<Mmdb>,
    remembered: Mutex<BTreeMap<IpAddr, Option<Arc<str>>>>,
}

impl Places {
    /// By these files.
    ///
    /// # Errors
    /// One cannot be read, or is no such database.
    pub(super) fn open(files: &[PathBuf]) -> Result<Places> {
        let databases = files.iter().map(|file| open(file));
        Ok(Places {
            databases: databases.collect::<Result<_>>()?,
            remembered: Mutex::default(),
        })
    }

    /// `DE, Berlin, AS64500 Example`: what the databases have of it.
    pub(super) fn of(&self, ip: IpAddr) -> Option<Arc<str>> {
        if self.databases.is_empty() {
            return None;
        }
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = remembered.get(&ip) {
            return place.clone();
        }
        let place: Option<Arc<str>> = self.look_up(ip).map(Arc::from);
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(ip, place.clone());
        place
    }

    fn look_up(&self, ip: IpAddr) -> Option<String> {
        let entries = self
            .databases
            .iter()
            .filter_map(|database| database.find(ip));
        let entries: Vec<_> = entries.collect();
        // Of each the first database that has it counts.
        let text = |path: &[&str]| {
            let mut found = entries.iter().filter_map(|entry| entry.text(path));
            found.next().map(printable).filter(|text| !text.is_empty())
        };
        let mut numbers = entries
            .iter()
            .filter_map(|entry| entry.number(&["autonomous_system_number"]));
        let number = numbers.next().map(|number| format!("AS{number}"));
        // What stands second is how ipinfo calls it.
        let country = text(&["country", "iso_code"]).or_else(|| text(&["country_code"]));
        let city = text(&["city", "names", "en"]);
        let number = number.or_else(|| text(&["asn"]));
        let owner = text(&["autonomous_system_organization"]).or_else(|| text(&["as_name"]));
        let network: Vec<_> = number.into_iter().chain(owner).collect();
        let network = Some(network.join(" ")).filter(|text| !text.is_empty());
        let parts: Vec<_> = [country, city, network].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

fn open(file: &Path) -> Result<Mmdb> {
    let shown = file.display();
    let what_to_do = "name a file in MaxMind's format (.mmdb) with --geoip";
    let length = fs::metadata(file).map_or(0, |metadata| metadata.len());
    if length > LARGEST {
        bail!(
            "cannot open the database {shown}: it has more than {} MiB; {what_to_do}",
            LARGEST >> 20
        );
    }
    let bytes = fs::read(file)
        .with_context(|| format!("cannot open the database {shown}; {what_to_do}"))?;
    match Mmdb::new(bytes) {
        Ok(database) => Ok(database),
        Err(why) => bail!("cannot understand the database {shown}: {why}; {what_to_do}"),
    }
}

/// Without what moves a cursor, and short enough for a column.
fn printable(text: &str) -> String {
    let letters = text.chars().filter(|c| !c.is_control());
    letters.take(LONGEST).collect()
}

#[cfg(test)]
#[path = "../../tests/mmdb/mod.rs"]
mod mmdb;

#[cfg(test)]
mod tests {
    use super::mmdb::{Value, database, map};
    use super::*;

    /// A database in a file of its own, removed at once: it is in memory then.
    fn places(databases: &[Vec<u8>]) -> Result<Places> {
        let name = |n| format!("tcplens-places-{}-{n}", std::process::id());
        let own: usize = databases.iter().map(|bytes| bytes.as_ptr().addr()).sum();
        let files: Vec<PathBuf> = (0..databases.len())
            .map(|n| std::env::temp_dir().join(name(own + n)))
            .collect();
        for (file, bytes) in files.iter().zip(databases) {
            fs::write(file, bytes).unwrap();
        }
        let places = Places::open(&files);
        for file in &files {
            fs::remove_file(file).unwrap();
        }
        places
    }

    fn of(places: &Places, ip: &str) -> String {
        let place = places.of(ip.parse().unwrap());
        place.as_deref().unwrap_or("-").to_owned()
    }

    #[test]
    fn country_city_and_owner_are_told_as_far_as_the_databases_have_them() {
        let text = |text: &str| Value::Text(text.to_owned());
        let country = |code: &str| map(&[("iso_code", text(code))]);
        let city = map(&[
            (
                "city",
                map(&[(
                    "names",
                    map(&[("de", text("Koeln")), ("en", text("Cologne"))]),
                )]),
            ),
            ("country", country("DE")),
        ]);
        let cities = database(&[
            ("192.0.2.0/24", city),
            ("198.51.100.0/25", map(&[("country", country("FR"))])),
            ("2001:db8::/32", map(&[("country", country("JP"))])),
        ]);
        let owners = database(&[
            (
                "192.0.2.0/25",
                map(&[
                    ("autonomous_system_number", Value::Number(64500)),
                    (
                        "autonomous_system_organization",
                        text("Example\u{1b}[2J Net"),
                    ),
                ]),
            ),
            (
                "203.0.113.0/24",
                map(&[("autonomous_system_number", Value::Number(64501))]),
            ),
            // As others write it.
            (
                "198.51.100.128/25",
                map(&[
                    ("country_code", text("NL")),
                    ("asn", text("AS64502")),
                    ("as_name", text("Other")),
                ]),
            ),
        ]);
        let places = places(&[cities, owners]).unwrap();
        for _ in 0..2 {
            for (ip, expected) in [
                ("192.0.2.7", "DE, Cologne, AS64500 Example[2J Net"),
                ("192.0.2.200", "DE, Cologne"),
                ("198.51.100.1", "FR"),
                ("198.51.100.129", "NL, AS64502 Other"),
                ("203.0.113.9", "AS64501"),
                ("2001:db8::1", "JP"),
                ("10.0.0.1", "-"),
                ("::1", "-"),
            ] {
                assert_eq!(of(&places, ip), expected, "{ip}");
            }
        }
        assert_eq!(places.remembered.lock().unwrap().len(), 8);
    }

    #[test]
    fn what_is_no_database_is_refused_and_a_damaged_one_harms_nobody() {
        let whole = database(&[(
            "192.0.2.0/24",
            map(&[(
                "country",
                map(&[("iso_code", Value::Text("DE".to_owned()))]),
            )]),
        )]);
        let error = places(&[b"no database".to_vec()])
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.starts_with("cannot understand the database "),
            "{error}"
        );
        assert!(
            error.ends_with(
                ": it has no metadata; name a file in MaxMind's format (.mmdb) with --geoip"
            ),
            "{error}"
        );
        let missing = Places::open(&[PathBuf::from("/no/such.mmdb")])
            .err()
            .unwrap();
        assert_eq!(
            missing.to_string(),
            "cannot open the database /no/such.mmdb; name a file in MaxMind's format (.mmdb) with --geoip"
        );
        for at in 0..whole.len() {
            for byte in [0, 0x20, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                if let Ok(reader) = Mmdb::new(damaged) {
                    let places = Places {
                        databases: vec![reader],
                        remembered: Mutex::default(),
                    };
                    of(&places, "192.0.2.7");
                    of(&places, "2001:db8::1");
                }
            }
        }
    }

    /// Records of every size, pointers of several, and another reader's opinion.
    #[test]
    fn look_ups_are_those_of_maxminds_own_reader() {
        use maxminddb::{Reader, path};
        let text = |text: String| Value::Text(text);
        let networks: Vec<_> = (0..=255_u32)
            .map(|n| {
                let names: Vec<_> = (0..8)
                    .map(|k| (format!("k{k}"), text("x".repeat(40 * k))))
                    .collect();
                let city = map(&[
                    ("other", Value::Map(names)),
                    ("names", map(&[("en", text(format!("city {}", n / 2)))])),
                ]);
                let value = map(&[
                    ("list", Value::Empty),
                    ("city", city),
                    (
                        "country",
                        map(&[("iso_code", text("DE".to_owned())), ("n", Value::Short(7))]),
                    ),
                    ("autonomous_system_number", Value::Number(n * 70_000)),
                    (
                        "autonomous_system_organization",
                        text("long ".repeat(n as usize)),
                    ),
                ]);
                match n % 3 {
                    0 => (format!("2001:db8:{n:x}::/48"), value),
                    1 => (format!("10.{n}.0.0/16"), value),
                    _ => (format!("11.{n}.7.0/29"), value),
                }
            })
            .collect();
        let networks: Vec<_> = networks
            .iter()
            .map(|(net, value)| (net.as_str(), value.clone()))
            .collect();
        for record_size in [24, 28, 32] {
            let bytes = mmdb::database_of(record_size, &networks);
            let (ours, theirs) = (
                Mmdb::new(bytes.clone()).unwrap(),
                Reader::from_source(bytes).unwrap(),
            );
            let mut found = 0;
            for n in 0..=255 {
                for ip in [
                    format!("2001:db8:{n:x}::1"),
                    format!("10.{n}.1.2"),
                    format!("11.{n}.7.1"),
                    format!("11.{n}.7.9"),
                    format!("{n}.0.0.1"),
                    format!("{n:x}::"),
                ] {
                    let ip: IpAddr = ip.parse().unwrap();
                    let entry = ours.find(ip);
                    let result = theirs.lookup(ip).unwrap();
                    let texts: [(&[&str], Option<String>); 3] = [
                        (
                            &["city", "names", "en"],
                            result.decode_path(&path!["city", "names", "en"]).unwrap(),
                        ),
                        (
                            &["country", "iso_code"],
                            result.decode_path(&path!["country", "iso_code"]).unwrap(),
                        ),
                        (
                            &["autonomous_system_organization"],
                            result
                                .decode_path(&path!["autonomous_system_organization"])
                                .unwrap(),
                        ),
                    ];
                    for (path, expected) in texts {
                        let own = entry.and_then(|entry| entry.text(path));
                        assert_eq!(own, expected.as_deref(), "{ip} {path:?} {record_size}");
                        found += usize::from(own.is_some());
                    }
                    let number: Option<u32> = result
                        .decode_path(&path!["autonomous_system_number"])
                        .unwrap();
                    let own = entry.and_then(|entry| entry.number(&["autonomous_system_number"]));
                    assert_eq!(own, number.map(u64::from), "{ip}");
                    assert_eq!(entry.and_then(|entry| entry.text(&["city"])), None);
                    assert_eq!(entry.and_then(|entry| entry.number(&["list"])), None);
                }
            }
            assert!(found >= 3 * 256, "{found}");
        }
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let places = places(&[database(&[])]).unwrap();
        for n in 0..REMEMBERED as u32 + 1 {
            places.of(std::net::Ipv4Addr::from_bits(n).into());
        }
        assert_eq!(places.remembered.lock().unwrap().len(), 1);
    }
}
