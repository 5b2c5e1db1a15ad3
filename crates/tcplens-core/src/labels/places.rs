//! What is said of addresses, ports of addresses and networks: what is narrower wins. Not what it is that is said: labels of a
//! hosts file ([`Labels`](super::Labels)), or those of a topology.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// See the module.
#[derive(Clone, Debug)]
pub struct Places<T> {
    ends: BTreeMap<(IpAddr, u16), T>,
    addresses: BTreeMap<IpAddr, T>,
    /// By how many bits they leave open, the fewest first, and by their first address; of IPv4, of IPv6.
    networks: [BTreeMap<u8, BTreeMap<IpAddr, T>>; 2],
}

impl<T> Default for Places<T> {
    fn default() -> Places<T> {
        Places {
            ends: BTreeMap::new(),
            addresses: BTreeMap::new(),
            networks: [BTreeMap::new(), BTreeMap::new()],
        }
    }
}

/// What something is said of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'p, T> {
    /// That address, or that port of it.
    OfAddress(&'p T),
    /// A network that it is in.
    OfNetwork(&'p T),
}

impl<T> Places<T> {
    /// Says something of `10.0.0.1`, `10.0.0.1:80`, `10.0.0.0/8`, `2001:db8::1`, `[2001:db8::1]:443` or `2001:db8::/32`. Of two
    /// for the same the first counts.
    ///
    /// # Errors
    /// What is wrong with the place, and what to write.
    pub fn insert(&mut self, place: &str, value: T) -> Result<(), String> {
        if let Some(end) = end(place) {
            self.ends.entry(end).or_insert(value);
            return Ok(());
        }
        let Some((ip, bits)) = place.split_once('/') else {
            let ip = address(place)?;
            self.addresses.entry(ip).or_insert(value);
            return Ok(());
        };
        let ip = address(ip)?;
        let width = width(ip);
        let bits: u8 = bits
            .parse()
            .map_err(|_| format!("/{bits} is no prefix; write bits, such as 10.0.0.0/8"))?;
        let Some(open) = width.checked_sub(bits) else {
            return Err(format!("/{bits} is too long, {ip} has {width} bits"));
        };
        if open == 0 {
            self.addresses.entry(ip).or_insert(value);
        } else {
            let networks = &mut self.networks[usize::from(ip.is_ipv6())];
            let alike = networks.entry(open).or_default();
            alike.entry(first(ip, open)).or_insert(value);
        }
        Ok(())
    }

    /// All that is said of an address, at a port if it is about one, the narrowest first: of the port, of the address, of the
    /// networks that it is in.
    pub fn of(&self, ip: IpAddr, port: Option<u16>) -> impl Iterator<Item = Said<'_, T>> {
        let ip = ip.to_canonical();
        let end = port.and_then(|port| self.ends.get(&(ip, port)));
        let own = end.into_iter().chain(self.addresses.get(&ip));
        let networks = self.networks[usize::from(ip.is_ipv6())].iter();
        let networks = networks.filter_map(move |(&open, alike)| alike.get(&first(ip, open)));
        own.map(Said::OfAddress)
            .chain(networks.map(Said::OfNetwork))
    }

    /// Whether nothing is said of any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
            && self.addresses.is_empty()
            && self.networks.iter().all(BTreeMap::is_empty)
    }
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// An address and a port: `10.0.0.1:80`, `[2001:db8::1]:80`.
pub(super) fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.rsplit_once(':')?;
    let ip: IpAddr = match ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        Some(ip) => ip.parse().ok().filter(IpAddr::is_ipv6)?,
        None => ip.parse().ok().filter(IpAddr::is_ipv4)?,
    };
    Some((ip.to_canonical(), port.parse().ok()?))
}

/// An address; hosts(5) on some systems names the interface of a link-local one (`fe80::1%lo0`), which no packet tells.
fn address(text: &str) -> Result<IpAddr, String> {
    let without_zone = text.split('%').next().unwrap_or_default();
    match without_zone.parse::<IpAddr>() {
        Ok(ip) => Ok(ip.to_canonical()),
        Err(_) => Err(format!(
            "{text:?} is no address; write 10.0.0.1, 10.0.0.0/8, 10.0.0.1:6379, 2001:db8::1 or [2001:db8::1]:443"
        )),
    }
}

/// The first address of the network that an address is in, which leaves so many bits open.
fn first(ip: IpAddr, open: u8) -> IpAddr {
    let open = u32::from(open);
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(open).unwrap_or(0);
            IpAddr::from((ip.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(open).unwrap_or(0);
            IpAddr::from((ip.to_bits() & mask).to_be_bytes())
        }
    }
}
