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
