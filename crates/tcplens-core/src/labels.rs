//! Labels that somebody gave to addresses, networks and ports of addresses, in a text like hosts(5): an address, a name. Not
//! names that are found out: those of DNS are `view::Names`. Which file the text is of is the caller's to know.
//!
//! ```text
//! # comment
//! 10.0.0.1       shop-db           # further words are hosts(5)'s aliases, and left out
//! 10.0.0.1:6379  shop-cache        # that port of it
//! 10.0.0.0/8     office            # every address that has no label of its own
//! [2001:db8::7]:443  shop-web
//! ```

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use places::Said;

pub use places::Places;

pub mod places;

/// Most lines of a text, comments among them. Chosen: about 100 MB of labels.
pub const LINES: usize = 1_000_000;
/// Longest label in bytes. Chosen: as long as a host's name may be.
const LONGEST: usize = 253;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    places: Places<Arc<str>>,
}

/// What a label is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labelled {
    /// That address, or that port of it.
    Host(Arc<str>),
    /// A network that it is in.
    Network(Arc<str>),
}

/// A line that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelError {
    /// Which, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for LabelError {}

impl Labels {
    /// Adds the labels of a text. Of two for the same the first counts, as in hosts(5).
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn add(&mut self, text: &str) -> Result<(), LabelError> {
        for (line, number) in text.lines().zip(1..) {
            let error = |problem| LabelError {
                line: number,
                problem,
            };
            if number > LINES {
                return Err(error(format!(
                    "there are more than {LINES} lines; give networks a label instead of each address"
                )));
            }
            let words = line.split('#').next().unwrap_or_default();
            let mut words = words.split_whitespace();
            let Some(address) = words.next() else {
                continue;
            };
            let label = words.next().ok_or_else(|| {
                error(format!(
                    "{address:?} has no label; write an address or network, a blank and a label"
                ))
            })?;
            self.line(address, label).map_err(error)?;
        }
        Ok(())
    }

    fn line(&mut self, address: &str, label: &str) -> Result<(), String> {
        if label.len() > LONGEST || label.contains(char::is_control) {
            return Err(format!(
                "the label {:?} is no label: at most {LONGEST} bytes, all printable",
                label.chars().take(40).collect::<String>()
            ));
        }
        self.places.insert(address, label.into())
    }

    /// The label of an address, at a port if it is about one: that of the port, of the address, of the smallest network that
    /// it is in.
    #[must_use]
    pub fn of(&self, ip: IpAddr, port: Option<u16>) -> Option<Labelled> {
        self.places.of(ip, port).next().map(|said| match said {
            Said::OfAddress(label) => Labelled::Host(label.clone()),
            Said::OfNetwork(label) => Labelled::Network(label.clone()),
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(text: &str) -> Labels {
        let mut labels = Labels::default();
        labels.add(text).unwrap();
        labels
    }

    /// `host name`, `network name` or `-`.
    fn of(labels: &Labels, end: &str) -> String {
        let (ip, port) = match places::end(end) {
            Some((ip, port)) => (ip, Some(port)),
            None => (end.parse().unwrap(), None),
        };
        match labels.of(ip, port) {
            Some(Labelled::Host(label)) => format!("host {label}"),
            Some(Labelled::Network(label)) => format!("network {label}"),
            None => "-".to_owned(),
        }
    }

    #[test]
    fn what_is_narrower_wins_wherever_it_stands() {
        let labels = labels(
            "# who is who\n\n\
             10.0.0.0/8 office # all of it\n\
             10.1.2.0/24\tlab\n\
             10.1.2.3 scope alias other\n\
             10.1.2.3:6379 cache\n\
             0.0.0.0/0 v4\n\
             2001:db8::/32 far\n\
             2001:db8::7 seven\n\
             [2001:db8::7]:443 web\n\
             fe80::1%lo0 gate\n\
             192.0.2.0/32 alone\n",
        );
        for (end, expected) in [
            ("10.1.2.3:6379", "host cache"),
            ("10.1.2.3:80", "host scope"),
            ("10.1.2.3", "host scope"),
            ("::ffff:10.1.2.3", "host scope"),
            ("10.1.2.4", "network lab"),
            ("10.9.9.9:1", "network office"),
            ("11.0.0.1", "network v4"),
            ("192.0.2.0", "host alone"),
            ("[2001:db8::7]:443", "host web"),
            ("[2001:db8::7]:80", "host seven"),
            ("2001:db8:ffff::1", "network far"),
            ("2001:db9::1", "-"),
            ("fe80::1", "host gate"),
        ] {
            assert_eq!(of(&labels, end), expected, "{end}");
        }
    }

    #[test]
    fn of_two_labels_for_the_same_the_first_counts_over_files_too() {
        let mut labels = labels("10.0.0.1 a\n10.0.0.1 b\n10.0.0.0/8 c\n10.0.0.0/8 d\n");
        labels.add("10.0.0.1 e\n10.0.0.2 f\n").unwrap();
        let found = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| of(&labels, ip));
        assert_eq!(found, ["host a", "host f", "network c"]);
        assert!(!labels.is_empty() && Labels::default().is_empty());
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named_with_what_to_do() {
        for (text, expected) in [
            (
                "10.0.0.1 a\n\n10.0.0.2\n",
                "line 3: \"10.0.0.2\" has no label; write an address or network, a blank and a label",
            ),
            (
                "web 10.0.0.1",
                "line 1: \"web\" is no address; write 10.0.0.1, 10.0.0.0/8, 10.0.0.1:6379, 2001:db8::1 or [2001:db8::1]:443",
            ),
            (
                "10.0.0.0/33 a",
                "line 1: /33 is too long, 10.0.0.0 has 32 bits",
            ),
            (
                "10.0.0.0/x a",
                "line 1: /x is no prefix; write bits, such as 10.0.0.0/8",
            ),
            (
                "10.0.0.1 a\u{1b}[2J",
                "line 1: the label \"a\\u{1b}[2J\" is no label: at most 253 bytes, all printable",
            ),
        ] {
            let error = Labels::default().add(text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_text_of_too_many_lines_is_refused() {
        let text = "#\n".repeat(LINES);
        let mut labels = labels(&text);
        let error = labels.add(&(text + "#\n")).unwrap_err();
        assert_eq!(error.line, LINES + 1);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_an_error_names_one_of_its_lines(text in "[0-9a-f.:/%# \n\t\\[\\]x]{0,80}|\\PC{0,40}") {
            if let Err(error) = Labels::default().add(&text) {
                prop_assert!(error.line >= 1 && error.line <= text.lines().count());
            }
        }

        #[test]
        fn the_smallest_network_is_found_as_by_looking_at_all(
            networks in prop::collection::vec((any::<u32>(), 0_u8..=32), 1..12),
            ip in any::<u32>(),
            of in any::<prop::sample::Index>(),
            kept in 0_u8..=32,
        ) {
            // An address near one of the networks.
            let mask = u32::MAX.checked_shl(u32::from(32 - kept)).unwrap_or(0);
            let ip = IpAddr::from(((networks[of.index(networks.len())].0 & mask) | (ip & !mask)).to_be_bytes());
            let text: String = networks
                .iter()
                .enumerate()
                .map(|(n, (ip, bits))| format!("{}/{bits} n{n}\n", IpAddr::from(ip.to_be_bytes())))
                .collect();
            let nets = networks.iter().map(|&(ip, bits)| crate::roles::Network::new(IpAddr::from(ip.to_be_bytes()), bits).unwrap());
            // The narrowest; of equals the first.
            let holding = nets.enumerate().filter(|(_, net)| net.holds(ip));
            let expected = holding.map(|(n, _)| n).min_by_key(|&n| (32 - networks[n].1, n));
            let found = labels(&text).of(ip, None).map(|label| match label {
                Labelled::Host(label) | Labelled::Network(label) => label.to_string(),
            });
            prop_assert_eq!(found, expected.map(|n| format!("n{n}")));
        }
    }
}
