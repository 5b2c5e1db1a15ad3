//! How text shows addresses: as they are, or by the names that somebody knows for them. Not where names come from: whoever has
//! them implements [`Labels`]. Machine formats have addresses only, and do not come here.
//!
//! - `10.0.0.1:80` becomes `web.example:80`; of a label for a network the rest stays: `office/10.0.0.7:80`.
//! - Where more is known of an address it stands behind it: `dns.google:53 (US, AS15169 Google)`.
//! - Within sentences addresses stay, and what is known of them stands behind: `10.0.0.1:80 (web.example)`.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::human::Endpoint;

/// Who knows names of addresses. Asked for every address that is shown, so it never waits long.
pub trait Labels: Send + Sync {
    /// What is known of an address; of a port of it, if it is asked for one.
    fn of(&self, ip: IpAddr, port: Option<u16>) -> Label;
}

/// What is known of an address. All of it is printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// What the network that it is in is called.
    pub network: Option<Arc<str>>,
    /// What it is called.
    pub name: Option<Arc<str>>,
    /// Where it is, and whose: `DE, AS64500 Example`.
    pub place: Option<Arc<str>>,
}

impl Label {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.network.is_none() && self.name.is_none() && self.place.is_none()
    }

    /// `office/web.example, DE`: behind an address in a sentence.
    fn write_aside(&self, out: &mut String) {
        let name = match (&self.network, &self.name) {
            (Some(network), Some(name)) => Some(Cow::from(format!("{network}/{name}"))),
            (network, name) => network
                .as_ref()
                .or(name.as_ref())
                .map(|one| (&**one).into()),
        };
        let place = self.place.as_deref().map(Cow::from);
        for (n, part) in name.into_iter().chain(place).enumerate() {
            out.push_str(if n == 0 { "" } else { ", " });
            out.push_str(&part);
        }
    }
}

/// How addresses are shown.
#[derive(Clone, Default)]
pub struct Hosts(Option<Arc<dyn Labels>>);

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Hosts(named)",
            None => "Hosts(as they are)",
        })
    }
}

impl Hosts {
    /// By what is known of them. Without ([`Hosts::default`]) they are shown as they are.
    #[must_use]
    pub fn named(labels: Arc<dyn Labels>) -> Hosts {
        Hosts(Some(labels))
    }

    /// Whether they are shown as they are.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.is_none()
    }

    /// What is known of an address; of a port of it, if it is asked for one.
    #[must_use]
    pub fn label(&self, ip: IpAddr, port: Option<u16>) -> Label {
        match &self.0 {
            Some(labels) => labels.of(ip, port),
            None => Label::default(),
        }
    }

    /// An address and a port.
    #[must_use]
    pub fn end(&self, ip: IpAddr, port: u64) -> Shown {
        Shown {
            ip,
            port: Some(port),
            label: self.label(ip, u16::try_from(port).ok()),
        }
    }

    /// An address.
    #[must_use]
    pub fn host(&self, ip: IpAddr) -> Shown {
        Shown {
            ip,
            port: None,
            label: self.label(ip, None),
        }
    }

    /// A sentence, with what is known of the addresses in it behind each where it stands first.
    #[must_use]
    pub fn sentence<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(labels) = &self.0 else {
            return text.into();
        };
        let mut out = String::with_capacity(text.len());
        let mut told = Vec::new();
        let mut rest = text;
        // Words with what stands around them: blanks, brackets that are not an address's, commas, a full stop.
        while let Some(from) = rest.find(|c| !is_between(c)) {
            let (between, word) = rest.split_at(from);
            let word = word.split(is_between).next().unwrap_or_default();
            let core = word.trim_end_matches([':', '.']);
            out.push_str(between);
            out.push_str(core);
            if let Some((ip, port)) = end_of(core)
                && !told.contains(&(ip, port))
            {
                told.push((ip, port));
                let label = labels.of(ip, port);
                if !label.is_empty() {
                    out.push_str(" (");
                    label.write_aside(&mut out);
                    out.push(')');
                }
            }
            rest = &rest[from + core.len()..];
            let dots = rest.len() - rest.trim_start_matches([':', '.']).len();
            out.push_str(&rest[..dots]);
            rest = &rest[dots..];
        }
        out.push_str(rest);
        out.into()
    }
}

/// Whether a letter can be no part of an address and its port.
fn is_between(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '[' | ']'))
}

fn end_of(word: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(end) = word.parse::<SocketAddr>() {
        return Some((end.ip(), Some(end.port())));
    }
    word.parse().ok().map(|ip| (ip, None))
}

/// An address as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    ip: IpAddr,
    port: Option<u64>,
    label: Label,
}

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Label {
            network,
            name,
            place,
        } = &self.label;
        if let Some(network) = network {
            write!(f, "{network}/")?;
        }
        match (name, self.port) {
            (Some(name), Some(port)) => write!(f, "{name}:{port}")?,
            (Some(name), None) => f.write_str(name)?,
            (None, Some(port)) => Endpoint(self.ip, port).fmt(f)?,
            (None, None) => self.ip.fmt(f)?,
        }
        match place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of these addresses something is known.
    struct Some4;

    impl Labels for Some4 {
        fn of(&self, ip: IpAddr, port: Option<u16>) -> Label {
            let label = |network: &str, name: &str, place: &str| {
                let part = |text: &str| (!text.is_empty()).then(|| text.into());
                Label {
                    network: part(network),
                    name: part(name),
                    place: part(place),
                }
            };
            match (ip.to_string().as_str(), port) {
                ("10.0.0.1", Some(6379)) => label("", "cache", ""),
                ("10.0.0.1", _) => label("", "web.example", ""),
                ("10.0.0.7", _) => label("office", "", ""),
                ("10.0.0.8", _) => label("office", "printer", "DE"),
                ("192.0.2.1", _) => label("", "", "DE, AS64500 Example"),
                ("2001:db8::1", _) => label("", "six.example", ""),
                _ => Label::default(),
            }
        }
    }

    #[test]
    fn ends_are_shown_by_name_with_their_port_and_what_else_is_known() {
        let (plain, named) = (Hosts::default(), Hosts::named(Arc::new(Some4)));
        assert!(plain.is_plain() && !named.is_plain());
        for (ip, shown) in [
            ("10.0.0.1", "web.example:80"),
            ("10.0.0.7", "office/10.0.0.7:80"),
            ("10.0.0.8", "office/printer:80 (DE)"),
            ("10.0.0.9", "10.0.0.9:80"),
            ("192.0.2.1", "192.0.2.1:80 (DE, AS64500 Example)"),
            ("2001:db8::1", "six.example:80"),
            ("2001:db8::2", "[2001:db8::2]:80"),
        ] {
            let ip = ip.parse().unwrap();
            assert_eq!(named.end(ip, 80).to_string(), shown);
            assert_eq!(plain.end(ip, 80).to_string(), Endpoint(ip, 80).to_string());
            assert_eq!(plain.host(ip).to_string(), ip.to_string());
        }
        let one = "10.0.0.1".parse().unwrap();
        assert_eq!(named.host(one).to_string(), "web.example");
        assert_eq!(named.end(one, 6379).to_string(), "cache:6379");
    }

    #[test]
    fn in_sentences_addresses_stay_and_are_explained_once() {
        let named = Hosts::named(Arc::new(Some4));
        for (text, expected) in [
            (
                "10.0.0.1:80 refuses; by 1 client (10.0.0.8), 10.0.0.1:80 again.",
                "10.0.0.1:80 (web.example) refuses; by 1 client (10.0.0.8 (office/printer, DE)), 10.0.0.1:80 again.",
            ),
            (
                "It asked 10.0.0.1:6379, and 10.0.0.1.",
                "It asked 10.0.0.1:6379 (cache), and 10.0.0.1 (web.example).",
            ),
            (
                "Far: 192.0.2.1: [2001:db8::1]:443 and 2001:db8::1.",
                "Far: 192.0.2.1 (DE, AS64500 Example): [2001:db8::1]:443 (six.example) and 2001:db8::1 (six.example).",
            ),
            (
                "2.5 of 10.0.0.9 (8.1 %), 04:03:16 µs, 1.2.3.4.5: nothing... ok",
                "2.5 of 10.0.0.9 (8.1 %), 04:03:16 µs, 1.2.3.4.5: nothing... ok",
            ),
            ("", ""),
        ] {
            assert_eq!(named.sentence(text), expected);
            assert_eq!(Hosts::default().sentence(text), text);
        }
    }
}
