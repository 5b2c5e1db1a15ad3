//! Which component is it: of the servers with something in common the share that is abnormal, against that of all others. Pure
//! counting within one minute; how long something lasts is `trouble`'s to know. Why so: docs/anomalies.md, "Which component".
//!
//! Fisher's exact test, one-sided, corrected for the number of components tried (Bonferroni). The least probable by chance is
//! the suspect, so a rack whose every host is abnormal comes before each of these hosts. Then it is looked into: a part of it
//! that is more abnormal than its rest takes its place. What it explains is put aside, and the rest looked at again.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::topology::Component;
use crate::view::numerics::ln_at_least;

/// Most suspects of one minute; servers beyond are told alone. Chosen: nobody reads more.
pub const SUSPECTS: usize = 64;
/// The probability, corrected, below which a share is beyond chance. Chosen: the usual one, for that the servers are abnormal is
/// known already, and all that may go wrong is that two of them are told as one.
const CHANCE: f64 = 0.05;
/// The same for a part within a suspect: what begins is not seen everywhere at once.
const CHANCE_WITHIN: f64 = 0.01;
/// Least share of a component that is abnormal. Chosen: what concerns fewer is a part of it that has no label.
const LEAST_PERCENT: u64 = 30;
/// From this share on it concerns all, if nothing explains it.
const ALL_PERCENT: u64 = 80;

/// A server that can be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is part of: places in the list of components.
    pub components: Vec<usize>,
    /// Whether something about it is.
    pub is_abnormal: bool,
}

/// Abnormal ones, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Abnormal ones.
    pub hits: u64,
    /// Of so many.
    pub of: u64,
}

impl Share {
    fn is_above(self, other: Share) -> bool {
        u128::from(self.hits) * u128::from(other.of) > u128::from(other.hits) * u128::from(self.of)
    }
}

/// A component that explains what is abnormal.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspected {
    /// Its place in the list of components.
    pub component: usize,
    /// Of its servers.
    pub inside: Share,
    /// Of all other servers, but for those that a worse suspect explains.
    pub elsewhere: Share,
    /// Natural logarithm of the probability that chance alone does as much, corrected.
    pub ln_p: f64,
    /// Its servers: places in the list of members.
    pub members: Vec<usize>,
}

/// What explains the abnormal servers of a minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    /// Components, the least probable by chance first.
    pub suspects: Vec<Suspected>,
    /// Where nothing explains them and (almost) all the rest is abnormal: its share.
    pub all: Option<Share>,
    /// The abnormal servers that no component explains: places in the list of members.
    pub alone: Vec<usize>,
}

/// See the module. `components` are all that members name.
#[must_use]
pub fn explain(members: &[Member], components: &[Component]) -> Explained {
    let mut explained = Explained::default();
    let mut is_left = vec![true; members.len()];
    let whole = count(members, &is_left, components.len());
    let tried = tried(members, &whole);
    let order = Order::new(components);
    let mut counts = whole;
    while counts.all.hits >= 2 && explained.suspects.len() < SUSPECTS {
        let candidates = counts.of.iter().enumerate().filter_map(|(n, &inside)| {
            let elsewhere = Share {
                hits: counts.all.hits - inside.hits,
                of: counts.all.of - inside.of,
            };
            let is_one = inside.hits >= 2
                && inside.hits * 100 >= inside.of * LEAST_PERCENT
                && inside.is_above(elsewhere);
            is_one.then(|| (n, corrected(inside, counts.all, tried)))
        });
        let best = candidates.min_by(|&a, &b| order.of(a, b, components));
        let Some((component, ln_p)) = best.filter(|(_, ln_p)| *ln_p < CHANCE.ln()) else {
            break;
        };
        let within = narrowed((component, ln_p), members, &is_left, &order, components);
        let (component, _) = within;
        let inside = counts.of[component];
        let is_in = |n: usize| members[n].components.contains(&component);
        let of_it: Vec<_> = (0..members.len())
            .filter(|&n| is_left[n] && is_in(n))
            .collect();
        of_it.iter().for_each(|&n| is_left[n] = false);
        explained.suspects.push(Suspected {
            component,
            inside,
            elsewhere: Share {
                hits: counts.all.hits - inside.hits,
                of: counts.all.of - inside.of,
            },
            ln_p: corrected(inside, counts.all, tried),
            members: of_it,
        });
        counts = count(members, &is_left, components.len());
    }
    let Share { hits, of } = counts.all;
    explained.all = (hits >= 2 && hits * 100 >= of * ALL_PERCENT).then_some(counts.all);
    let left = members.iter().zip(&is_left).enumerate();
    explained.alone = left
        .filter(|(_, (member, is_left))| **is_left && member.is_abnormal)
        .map(|(n, _)| n)
        .collect();
    explained
}

/// A part of the component that is more abnormal than the rest of it, or itself.
fn narrowed(
    mut suspect: (usize, f64),
    members: &[Member],
    is_left: &[bool],
    order: &Order,
    components: &[Component],
) -> (usize, f64) {
    loop {
        let is_in: Vec<bool> = members
            .iter()
            .zip(is_left)
            .map(|(member, is_left)| *is_left && member.components.contains(&suspect.0))
            .collect();
        let all = count(members, is_left, components.len());
        let within = count(members, &is_in, components.len());
        // A part has no servers elsewhere.
        let is_part = |n: usize| {
            let (inside, all) = (within.of[n], all.of[n]);
            inside.of == all.of && inside.of < within.all.of && inside.of > 0
        };
        let tried = (0..components.len()).filter(|&n| is_part(n)).count();
        let parts = (0..components.len()).filter(|&n| is_part(n) && within.of[n].hits >= 2);
        let parts = parts.map(|n| (n, corrected(within.of[n], within.all, tried)));
        let best = parts.min_by(|&a, &b| order.of(a, b, components));
        match best.filter(|(_, ln_p)| *ln_p < CHANCE_WITHIN.ln()) {
            Some(part) => suspect = part,
            None => return suspect,
        }
    }
}

/// How many components there are to choose from: of several with the same servers one.
fn tried(members: &[Member], whole: &Counts) -> usize {
    let mut sums = vec![0_u64; whole.of.len()];
    for (member, n) in members.iter().zip(1_u64..) {
        // Any numbers do whose sums are hardly ever the same: splitmix64.
        let mut mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        for &component in &member.components {
            sums[component] = sums[component].wrapping_add(mixed ^ (mixed >> 31));
        }
    }
    let several = sums.iter().zip(&whole.of);
    // What has all servers is told from none.
    let several = several.filter(|(_, share)| (2..whole.all.of).contains(&share.of));
    let distinct: BTreeSet<_> = several.map(|(sum, _)| *sum).collect();
    distinct.len()
}

fn corrected(inside: Share, all: Share, tried: usize) -> f64 {
    let ln_p = ln_at_least(inside.hits, inside.of, all.hits, all.of);
    // So many components are far below 2^53.
    (ln_p + (tried.max(1) as f64).ln()).min(0.0)
}

struct Counts {
    of: Vec<Share>,
    all: Share,
}

fn count(members: &[Member], is_counted: &[bool], components: usize) -> Counts {
    let mut counts = Counts {
        of: vec![Share::default(); components],
        all: Share::default(),
    };
    let counted = members.iter().zip(is_counted).filter(|(_, is)| **is);
    for (member, _) in counted {
        let hit = u64::from(member.is_abnormal);
        for &n in &member.components {
            let share = &mut counts.of[n];
            share.of += 1;
            share.hits += hit;
        }
        counts.all.of += 1;
        counts.all.hits += hit;
    }
    counts
}

/// Which of two components comes first: the less probable; of two that are alike one that somebody wrote down, then the finer,
/// then by their names.
struct Order {
    /// By component: how many have the same label.
    siblings: Vec<usize>,
}

impl Order {
    fn new(components: &[Component]) -> Order {
        let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
        for component in components {
            *labels.entry(&component.label).or_default() += 1;
        }
        let siblings = components.iter().map(|component| labels[&*component.label]);
        Order {
            siblings: siblings.collect(),
        }
    }

    fn of(&self, a: (usize, f64), b: (usize, f64), components: &[Component]) -> Ordering {
        // What is as probable but for the last digits is as probable.
        let is_alike = (a.1 - b.1).abs() <= 1e-9 * a.1.abs().max(1.0);
        let probable = if is_alike {
            Ordering::Equal
        } else {
            a.1.total_cmp(&b.1)
        };
        let (of_a, of_b) = (&components[a.0], &components[b.0]);
        probable
            .then(of_a.is_own().cmp(&of_b.is_own()))
            .then(self.siblings[b.0].cmp(&self.siblings[a.0]))
            .then_with(|| of_a.cmp(of_b))
    }
}

#[cfg(test)]
mod tests;
