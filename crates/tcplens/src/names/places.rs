//! Where addresses are and whose, by databases in MaxMind's format (MaxMind DB file format specification 2.0): GeoLite2, DB-IP and
//! others like them. Files only: nothing is downloaded or asked.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use maxminddb::{PathElement, Reader, path};

/// Largest database: it is kept in memory. Chosen: several times the largest that is known.
const LARGEST: u64 = 1 << 30;

/// Addresses whose place is remembered; of more, all are looked up anew. Chosen: about 8 MB.
const REMEMBERED: usize = 65_536;

/// Longest name that is shown, in letters.
const LONGEST: usize = 64;

/// See the module.
pub(super) struct Places {
    databases: Vec<Reader<Vec<u8>>>,
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
        // Of each the first database that has it counts.
        let text = |ways: &[&[PathElement<'_>]]| -> Option<String> {
            let mut found = self.databases.iter().flat_map(|database| {
                ways.iter().filter_map(|way| {
                    let text: String = database.lookup(ip).ok()?.decode_path(way).ok()??;
                    Some(printable(&text)).filter(|text| !text.is_empty())
                })
            });
            found.next()
        };
        let number = self.databases.iter().find_map(|database| {
            let way = path!["autonomous_system_number"];
            let number: u32 = database.lookup(ip).ok()?.decode_path(&way).ok()??;
            Some(format!("AS{number}"))
        });
        let country = text(&[&path!["country", "iso_code"], &path!["country_code"]]);
        let city = text(&[&path!["city", "names", "en"]]);
        let number = number.or_else(|| text(&[&path!["asn"]]));
        let owner = text(&[&path!["autonomous_system_organization"], &path!["as_name"]]);
        let network: Vec<_> = number.into_iter().chain(owner).collect();
        let network = Some(network.join(" ")).filter(|text| !text.is_empty());
        let parts: Vec<_> = [country, city, network].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

fn open(file: &Path) -> Result<Reader<Vec<u8>>> {
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
    Reader::from_source(bytes)
        .with_context(|| format!("cannot understand the database {shown}; {what_to_do}"))
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
            error.ends_with("; name a file in MaxMind's format (.mmdb) with --geoip"),
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
                if let Ok(reader) = Reader::from_source(damaged) {
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

    #[test]
    fn what_is_remembered_has_a_bound() {
        let places = places(&[database(&[])]).unwrap();
        for n in 0..REMEMBERED as u32 + 1 {
            places.of(std::net::Ipv4Addr::from_bits(n).into());
        }
        assert_eq!(places.remembered.lock().unwrap().len(), 1);
    }
}
