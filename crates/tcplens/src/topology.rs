//! The file of a topology: which labels addresses, ports of them, networks and hosts have. Its shape is here, what labels mean in
//! `tcplens_core::view::anomaly`.
//!
//! ```yaml
//! labels:
//!   10.0.0.7: {host: db1, proxy: p3}
//!   10.0.0.7:6379: {proxy: p4}
//!   10.1.0.0/16: {zone: b}
//!   db1: {rack: r17, zone: a}
//! ```

use std::path::Path;

use anyhow::{Context, Result};
use tcplens_core::view::anomaly::Topology;

use crate::agent::yaml::{self, Node, Problem, What};
use crate::status::usage;

/// The one key of the file.
const KEY: &str = "labels";

/// Reads a file.
///
/// # Errors
/// It cannot be read, or what it says makes no sense: where first, and how often.
pub(crate) fn read(path: &Path) -> Result<Topology> {
    let cannot = || format!("cannot read topology {}", path.display());
    let text = std::fs::read_to_string(path).with_context(cannot)?;
    parse(&text).map_err(|problems| {
        let more = match problems.len() {
            0 | 1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        let Some(Problem { at, message }) = problems.into_iter().next() else {
            return usage(cannot());
        };
        let path = path.display();
        usage(format!("{path}:{}:{}: {message}{more}", at.line, at.column))
    })
}

fn parse(text: &str) -> Result<Topology, Vec<Problem>> {
    let tree = yaml::parse(text).map_err(|problem| vec![problem])?;
    let mut topology = Topology::default();
    let mut problems = Vec::new();
    let shape = "write labels: {10.0.0.7: {host: db1, rack: r17}}";
    let wrong = |node: &Node, message: String| Problem {
        at: node.at,
        message,
    };
    let What::Map(entries) = &tree.what else {
        let message = format!(
            "the file has keys and values, this is {}; {shape}",
            tree.noun()
        );
        return Err(vec![wrong(&tree, message)]);
    };
    for (word, node) in entries {
        if word.text != KEY {
            problems.push(Problem {
                at: word.at,
                message: format!("there is no key {:?} here; {shape}", word.text),
            });
            continue;
        }
        let What::Map(places) = &node.what else {
            let message = format!(
                "{KEY} has places and their labels, this is {}; {shape}",
                node.noun()
            );
            problems.push(wrong(node, message));
            continue;
        };
        for (place, labels) in places {
            if let Err(message) =
                self::labels(labels).and_then(|labels| topology.add(&place.text, &labels))
            {
                problems.push(Problem {
                    at: place.at,
                    message: format!("{KEY}.{}: {message}", place.text),
                });
            }
        }
    }
    match problems.is_empty() {
        true => Ok(topology),
        false => Err(problems),
    }
}

fn labels(node: &Node) -> Result<Vec<(String, String)>, String> {
    let What::Map(entries) = &node.what else {
        return Err(format!(
            "it has labels and their values, this is {}; write {{host: db1, rack: r17}}",
            node.noun()
        ));
    };
    let one = |(word, value): &(yaml::Word, Node)| match &value.what {
        What::Text(text) => Ok((word.text.clone(), text.clone())),
        What::Nothing | What::List(_) | What::Map(_) => Err(format!(
            "{} takes one word, this is {}; write {}: r17",
            word.text,
            value.noun(),
            word.text
        )),
    };
    entries.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_addresses_ports_networks_and_hosts() {
        let topology = parse(
            "\
# the shop
labels:
  10.0.0.7: {host: db1, proxy: 7}
  10.0.0.7:6379: {proxy: p4}
  10.0.0.0/8:
    zone: b
  '[2001:db8::7]:443': {rack: r9}
  2001:db8::/32: {zone: c}
  db1: {rack: r17}
",
        )
        .unwrap();
        assert_eq!(topology.places(), 6);
        let of = |ip: &str, port| {
            let all = topology.components(ip.parse().unwrap(), Some(port), None);
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            all.join(" ")
        };
        assert_eq!(
            of("10.0.0.7", 6379),
            "address=10.0.0.7 host=db1 port=6379 proxy=p4 rack=r17 zone=b"
        );
        assert_eq!(
            of("10.0.0.7", 80),
            "address=10.0.0.7 host=db1 port=80 proxy=7 rack=r17 zone=b"
        );
        assert_eq!(
            of("2001:db8::7", 443),
            "address=2001:db8::7 port=443 rack=r9 zone=c"
        );
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place() {
        for (text, line, expected) in [
            (
                "- a\n",
                1,
                "the file has keys and values, this is a list; write labels: {10.0.0.7: {host: db1, rack: r17}}",
            ),
            (
                "label: {}\n",
                1,
                "there is no key \"label\" here; write labels: {10.0.0.7: {host: db1, rack: r17}}",
            ),
            (
                "labels: r1\n",
                1,
                "labels has places and their labels, this is a single value; write labels: {10.0.0.7: {host: db1, rack: r17}}",
            ),
            (
                "labels:\n  10.0.0.1: r1\n",
                2,
                "labels.10.0.0.1: it has labels and their values, this is a single value; write {host: db1, rack: r17}",
            ),
            (
                "labels:\n  10.0.0.1: {rack: [a, b]}\n",
                2,
                "labels.10.0.0.1: rack takes one word, this is a list; write rack: r17",
            ),
            (
                "labels:\n  10.0.0.1/33: {rack: a}\n",
                2,
                "labels.10.0.0.1/33: /33 is too long, 10.0.0.1 has 32 bits",
            ),
        ] {
            let problems = parse(text).unwrap_err();
            assert_eq!(
                (problems[0].at.line, problems[0].message.as_str()),
                (line, expected)
            );
        }
    }
}
