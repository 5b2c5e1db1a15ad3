//! What addresses are called, by the answers of name servers that were seen: the name that was asked for, not the one that it
//! stands for (CNAME). The newest answer counts, however long it was meant to live: who connected by that name did so when the
//! answer was fresh. Names that somebody gave are `labels`; looking names up is no business of a view.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::record::{Protocol, Request};

/// Most addresses whose name is known; of more, the one goes whose latest answer is oldest. Chosen: with names of 30 letters
/// about 10 MB.
pub const NAMES: usize = 65_536;

/// Longest name (RFC 1035 3.1, without the root's dot).
const LONGEST: usize = 253;

/// See the module.
#[derive(Clone, Debug)]
pub struct Names {
    most: usize,
    /// The number of the latest answer, and the name that it is for.
    names: BTreeMap<IpAddr, (u64, Arc<str>)>,
    /// By the number of the answer.
    addresses: BTreeMap<u64, IpAddr>,
    next: u64,
    forgotten: u64,
}

impl Default for Names {
    fn default() -> Names {
        Names::new(NAMES)
    }
}

impl Names {
    /// None yet; at most so many addresses, one at least.
    #[must_use]
    pub fn new(most: usize) -> Names {
        Names {
            most: most.max(1),
            names: BTreeMap::new(),
            addresses: BTreeMap::new(),
            next: 0,
            forgotten: 0,
        }
    }

    /// Takes note of what a request of DNS was answered. Others tell nothing, nor does one whose summary is too short
    /// (`--summary-bytes`) to hold the name.
    pub fn learn(&mut self, request: &Request<'_>) {
        let Some((name, answers)) = answered(request) else {
            return;
        };
        let name: Arc<str> = name.to_ascii_lowercase().into();
        for ip in answers.split(' ').filter_map(|text| text.parse().ok()) {
            self.insert(ip, &name);
        }
    }

    /// The name of an address.
    #[must_use]
    pub fn of(&self, ip: IpAddr) -> Option<&Arc<str>> {
        let (_, name) = self.names.get(&ip.to_canonical())?;
        Some(name)
    }

    /// How many addresses have one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Addresses whose name had to go for others'.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn insert(&mut self, ip: IpAddr, name: &Arc<str>) {
        let ip = ip.to_canonical();
        let number = self.next;
        self.next += 1;
        match self.names.get_mut(&ip) {
            Some((before, known)) => {
                self.addresses.remove(before);
                *before = number;
                *known = name.clone();
            }
            None => {
                if self.names.len() >= self.most
                    && let Some((_, oldest)) = self.addresses.pop_first()
                {
                    self.names.remove(&oldest);
                    self.forgotten += 1;
                }
                self.names.insert(ip, (number, name.clone()));
            }
        }
        self.addresses.insert(number, ip);
    }
}

/// The name that was asked for, and the addresses that were answered.
fn answered<'r>(request: &Request<'r>) -> Option<(&'r str, &'r str)> {
    if request.protocol != Protocol::Dns {
        return None;
    }
    let answers = request.answers?;
    // `AAAA example.test.`; without the last dot it was cut.
    let asked = request.summary?.strip_prefix(request.operation?)?;
    let name = asked.strip_prefix(' ')?.strip_suffix('.')?;
    is_host_name(name).then_some((name, answers))
}

/// Whether a text can be shown as a host's name in place of an address: letters, digits, hyphens, underscores and dots, and not
/// itself an address, which could be taken for another host's.
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    // Names of top-level domains have letters (RFC 3696 2), addresses have not, however they are written: `127.1`.
    let last = name.rsplit('.').next().unwrap_or_default();
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(is_plain)
        && last.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !last.starts_with("0x")
}
