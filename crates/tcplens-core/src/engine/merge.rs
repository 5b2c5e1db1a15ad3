//! From the records of lanes, each in order, to one order that does not depend on lanes.

use crate::batch::{AnyRecord, Place, Records};

/// Interleaves the records of lanes in the one order that does not depend on lanes.
#[derive(Default)]
pub struct Merge {
    /// Records that were not before the watermark when their batch was merged, one run per merge.
    held: Vec<Held>,
    /// Emptied batches, for their memory.
    spare: Vec<Records>,
    tree: Tree,
}

#[derive(Default)]
struct Held {
    records: Records,
    next: usize,
}

impl Merge {
    /// Takes batches of records and calls `each` with every record placed before `until`, in order; keeps the rest.
    /// All records yet to come must be placed at or after `until`.
    pub fn merge<'r>(
        &mut self,
        batches: impl IntoIterator<Item = &'r mut Records>,
        until: Place,
        mut each: impl FnMut(AnyRecord<'_>),
    ) {
        self.merge_placed(batches, until, |_, record| each(record));
    }

    /// The same, with the place of each record.
    pub fn merge_placed<'r>(
        &mut self,
        batches: impl IntoIterator<Item = &'r mut Records>,
        until: Place,
        mut each: impl FnMut(Place, AnyRecord<'_>),
    ) {
        for batch in batches {
            if !batch.is_empty() {
                batch.sort();
                let records = std::mem::replace(batch, self.spare.pop().unwrap_or_default());
                self.held.push(Held { records, next: 0 });
            }
        }
        self.tree.begin(self.held.iter().map(Held::place));
        while let Some((run, place)) = self.tree.first()
            && place < until
        {
            let held = &mut self.held[run];
            if let Some((_, record)) = held.records.get(held.next) {
                each(place, record);
            }
            held.next += 1;
            self.tree.replace_first(held.place());
        }
        for held in self
            .held
            .extract_if(.., |held| held.next == held.records.len())
        {
            let mut records = held.records;
            records.clear();
            self.spare.push(records);
        }
    }

    /// Gives emptied batches back to who fills them next: so there is one set, which stays in the cache.
    pub fn give_back<'r>(&mut self, batches: impl IntoIterator<Item = &'r mut Records>) {
        for batch in batches.into_iter().filter(|batch| batch.is_empty()) {
            if let Some(spare) = self.spare.pop() {
                *batch = spare;
            }
        }
    }
}

impl Held {
    /// Of its next record; after everything if there is none.
    #[inline]
    fn place(&self) -> Place {
        self.records.place(self.next).unwrap_or(Place::LAST)
    }
}

/// Which of several runs goes on with the lowest place: a tree of losers (Knuth, The Art of Computer Programming, volume 3,
/// section 5.4.1). Each node keeps the run that lost there, so that a run that goes on is compared with one other on each
/// level, and not with two as in a heap.
#[derive(Default)]
struct Tree {
    /// Of each run the place of its next record.
    heads: Vec<Place>,
    /// `losers[0]` is the run with the lowest place of all; the children of node `n` are `2 n` and `2 n + 1`, and behind
    /// the nodes would be the runs.
    losers: Vec<usize>,
}

impl Tree {
    /// With new runs, which begin with these places.
    fn begin(&mut self, heads: impl Iterator<Item = Place>) {
        self.heads.clear();
        self.heads.extend(heads);
        let runs = self.heads.len();
        self.losers.clear();
        self.losers.resize(runs, usize::MAX);
        // From the last, so that every match has its two sides: the second to come plays.
        for run in (0..runs).rev() {
            self.climb(run);
        }
    }

    /// The run that goes on, and with which place.
    #[inline]
    fn first(&self) -> Option<(usize, Place)> {
        let run = *self.losers.first()?;
        Some((run, *self.heads.get(run)?))
    }

    /// The first run goes on with another place.
    #[inline]
    fn replace_first(&mut self, place: Place) {
        let run = self.losers[0];
        self.heads[run] = place;
        self.climb(run);
    }

    /// Plays a run's matches until it comes where nobody has played, or is the first.
    #[inline]
    fn climb(&mut self, run: usize) {
        let mut winner = run;
        let mut node = (run + self.losers.len()) / 2;
        while node > 0 {
            let other = self.losers[node];
            if other == usize::MAX {
                self.losers[node] = winner;
                return;
            }
            // Who wins cannot be predicted: no branch depends on it.
            let is_other = self.is_before(other, winner);
            self.losers[node] = if is_other { winner } else { other };
            winner = if is_other { other } else { winner };
            node /= 2;
        }
        self.losers[0] = winner;
    }

    /// Of two that are equal, the run that came first.
    #[inline]
    fn is_before(&self, a: usize, b: usize) -> bool {
        let (of_a, of_b) = (&self.heads[a], &self.heads[b]);
        let (clock_a, clock_b) = (of_a.at.clock, of_b.at.clock);
        if clock_a == clock_b {
            return (of_a, a) < (of_b, b);
        }
        clock_a < clock_b
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Moment;
    use crate::time::Timestamp;

    fn place(clock: i64) -> Place {
        Place::from(Moment::tick(Timestamp(clock)))
    }

    #[test]
    fn any_number_of_runs_comes_out_in_order_and_of_equals_the_first_run() {
        for runs in 0..40_usize {
            // A run of each length from none to many, with equals within and among them.
            let all: Vec<Vec<i64>> = (0..runs)
                .map(|run| {
                    (0..run as i64 * 3 % 17)
                        .map(|n| n * (run as i64 % 5) / 2)
                        .collect()
                })
                .collect();
            let mut next = vec![0; runs];
            let mut tree = Tree::default();
            let head =
                |run: usize, next: usize| all[run].get(next).map_or(Place::LAST, |&at| place(at));
            tree.begin((0..runs).map(|run| head(run, 0)));
            let mut found = Vec::new();
            while let Some((run, at)) = tree.first()
                && at < Place::LAST
            {
                found.push((at, run));
                next[run] += 1;
                tree.replace_first(head(run, next[run]));
            }
            let runs = all.iter().enumerate();
            let mut expected: Vec<(Place, usize)> = runs
                .flat_map(|(run, all)| all.iter().map(move |&at| (place(at), run)))
                .collect();
            expected.sort();
            assert_eq!(found, expected);
        }
    }
}
