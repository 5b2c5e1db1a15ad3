//! The interfaces that a ring has seen packets of: from the kernel's index to the observation's.

use std::collections::HashMap;
use std::sync::Arc;

use tcplens_core::packet::{Interface, LinkType};

/// Interfaces that are told apart. Chosen: containers come and go for months; beyond, they share one name.
const MOST: usize = 4096;

/// Stands for all beyond; no interface has this number.
const OTHERS: u32 = 0;

/// Hardware types (include/uapi/linux/if_arp.h).
mod arphrd {
    pub(super) const ETHER: u16 = 1;
    pub(super) const LOOPBACK: u16 = 772;
    pub(super) const IEEE80211: u16 = 801;
    pub(super) const IEEE80211_RADIOTAP: u16 = 803;
}

/// How a packet begins, by the hardware type of its interface, and whether it is handed out from its link-layer header on;
/// else from its network header, for that is all that interfaces without a header of their own (tun, ipip, ppp) agree on.
pub(super) fn link_of(hardware: u16) -> (LinkType, bool) {
    match hardware {
        arphrd::ETHER | arphrd::LOOPBACK => (LinkType::ETHERNET, true),
        arphrd::IEEE80211 => (LinkType(105), true),
        arphrd::IEEE80211_RADIOTAP => (LinkType(127), true),
        _ => (LinkType::RAW, false),
    }
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    index: u32,
    hardware: u16,
    /// In the observation's table.
    pub number: u32,
    pub link: LinkType,
    /// Whether packets are handed out from their link-layer header on.
    pub has_header: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Interfaces {
    /// Those that were asked for by name: index and name.
    asked: Vec<(u32, String)>,
    known: Vec<Known>,
    /// Where they are in `known`, by index and hardware type.
    places: HashMap<(u32, u16), usize>,
    /// Where the latest packet's is in `known`.
    latest: usize,
    table: Arc<Vec<Interface>>,
}

impl Interfaces {
    pub(super) fn new(asked: Vec<(u32, String)>) -> Interfaces {
        Interfaces {
            asked,
            known: Vec::new(),
            places: HashMap::new(),
            latest: 0,
            table: Arc::default(),
        }
    }

    pub(super) fn table(&self) -> &Arc<Vec<Interface>> {
        &self.table
    }

    /// Those that were asked for by name.
    pub(super) fn asked(&self) -> &[(u32, String)] {
        &self.asked
    }

    /// They have other numbers now.
    pub(super) fn set_asked(&mut self, asked: Vec<(u32, String)>) {
        self.asked = asked;
    }

    /// The interface with the kernel's `index`; `name` is asked for at its first packet.
    pub(super) fn get(
        &mut self,
        index: u32,
        hardware: u16,
        name: impl FnOnce() -> Option<String>,
    ) -> Known {
        let is_it = |known: &Known| known.index == index && known.hardware == hardware;
        if let Some(known) = self.known.get(self.latest).filter(|known| is_it(known)) {
            return *known;
        }
        if let Some(&at) = self.places.get(&(index, hardware)) {
            self.latest = at;
            return self.known[at];
        }
        self.add(index, hardware, name)
    }

    #[cold]
    fn add(&mut self, index: u32, hardware: u16, name: impl FnOnce() -> Option<String>) -> Known {
        let (link, has_header) = link_of(hardware);
        let is_full = self.known.len() >= MOST;
        let others = self
            .known
            .iter()
            .position(|known| known.index == OTHERS && known.link == link);
        if let (true, Some(at)) = (is_full, others) {
            self.latest = at;
            return self.known[at];
        }
        let (index, name) = if is_full {
            (OTHERS, Some("other".to_owned()))
        } else {
            (index, name())
        };
        let known = Known {
            index,
            hardware,
            number: self.table.len() as u32,
            link,
            has_header,
        };
        Arc::make_mut(&mut self.table).push(Interface {
            link_type: link,
            name,
            fcs_bytes: 0,
        });
        self.places.insert((index, hardware), self.known.len());
        self.latest = self.known.len();
        self.known.push(known);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_one_number_and_is_asked_for_its_name_once() {
        let mut interfaces = Interfaces::new(Vec::new());
        let mut get = |index, hardware, name: &str| {
            interfaces
                .get(index, hardware, || Some(name.to_owned()))
                .number
        };
        assert_eq!(get(2, 1, "eth0"), 0);
        assert_eq!(get(3, 65534, "tun0"), 1);
        assert_eq!(get(2, 1, "other"), 0);
        let names: Vec<_> = interfaces.table().iter().map(|i| i.name.clone()).collect();
        assert_eq!(names, [Some("eth0".into()), Some("tun0".into())]);
        assert_eq!(interfaces.table()[1].link_type, LinkType::RAW);
    }

    #[test]
    fn beyond_the_bound_interfaces_share() {
        let mut interfaces = Interfaces::new(Vec::new());
        for index in 1..MOST as u32 + 10 {
            interfaces.get(index, 1, || None);
        }
        assert_eq!(interfaces.table().len(), MOST + 1);
        let other = interfaces.get(9999, 1, || None).number;
        assert_eq!(
            interfaces.table()[other as usize].name.as_deref(),
            Some("other")
        );
    }
}
