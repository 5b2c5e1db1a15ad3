//! Every expression of the shared list, and more, on every shared capture: the same verdict as libpcap.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use tcplens_core::packet::LinkType;
use tcplens_oracle::{Outcome, compare, expressions, files, read, shared};

/// Expressions beyond the shared list: precedence, lists, nesting, odd spacing, every kind of primitive.
const MORE: &str = include_str!("more-expressions.txt");

/// Link types that are filtered.
const KNOWN: [LinkType; 12] = [
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::NULL,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::PPP,
    LinkType::PPP_HDLC,
    LinkType::PPP_ETHER,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::NFLOG,
];

#[test]
fn verdicts_equal_libpcap_on_every_capture() {
    let Some(shared) = shared() else {
        println!("SKIPPED: no ../shared beside the workspace");
        return;
    };
    let list = std::fs::read_to_string(shared.join("spec/filter-expressions.txt")).unwrap();
    let listed = expressions(&list);
    let all: Vec<&str> = listed.iter().copied().chain(expressions(MORE)).collect();
    let mut unopened = 0;
    let mut foreign = 0;
    let mut compared = 0;
    let mut packets_read = 0;
    let mut verdicts = 0usize;
    let mut passed = 0;
    let mut refused = 0;
    let mut nothing = 0;
    let mut per_link = BTreeMap::new();
    let mut differences = Vec::new();
    for path in files(&shared.join("captures")) {
        let Some((link_type, packets)) = read(&path) else {
            unopened += 1;
            continue;
        };
        if !KNOWN.contains(&link_type) {
            foreign += 1;
            continue;
        }
        compared += 1;
        packets_read += packets.len();
        *per_link.entry(link_type.0).or_insert(0) += 1;
        for expression in &all {
            match compare(&path, link_type, &packets, expression) {
                Outcome::Same(n) => {
                    verdicts += packets.len();
                    passed += n;
                }
                Outcome::BothRefuse => refused += 1,
                Outcome::NothingPasses(_) => nothing += 1,
                Outcome::Different(how) => {
                    let what = format!("{} `{expression}`: {how}", path.display());
                    differences.push((*expression, what));
                }
            }
        }
    }
    println!(
        "{} listed and {} more expressions on {compared} files ({packets_read} packets; link type: \
         files {per_link:?}): {verdicts} equal verdicts ({passed} passed), {refused} refused by \
         both, {nothing} refused by one as matching nothing while the other passes nothing, \
         {} different; {unopened} files libpcap cannot open, {foreign} of link types that \
         are not filtered",
        listed.len(),
        all.len() - listed.len(),
        differences.len()
    );
    // One example of each expression is enough to see what is wrong.
    let mut shown = std::collections::BTreeSet::new();
    for (expression, difference) in &differences {
        if shown.insert(expression) {
            println!("{difference}");
        }
    }
    assert!(differences.is_empty(), "{} differences", differences.len());
}

#[test]
fn nothing_of_the_shared_list_is_unsupported_on_ethernet_or_cooked() {
    let Some(shared) = shared() else {
        println!("SKIPPED: no ../shared beside the workspace");
        return;
    };
    let list = std::fs::read_to_string(shared.join("spec/filter-expressions.txt")).unwrap();
    for expression in expressions(&list) {
        let compiles = [LinkType::ETHERNET, LinkType::LINUX_SLL]
            .into_iter()
            .any(|link_type| tcplens_oracle::compile(expression, link_type).is_ok());
        assert!(compiles, "{expression}");
    }
}
