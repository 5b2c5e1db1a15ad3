//! Names and numbers that are nobody else's: of runs, batches, and how long is waited before another attempt.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tcplens_core::time::Timestamp;

use crate::rfc3339::{LENGTH, Rfc3339};

/// The shortest wait after an attempt that failed.
pub(super) const SHORTEST: Duration = Duration::from_millis(250);
/// The longest.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// The number of a run's first batch; the next are those after it. Runs of one host that begin in the same nanosecond differ by
/// their process. (FNV-1a: the same in every version of this program.)
pub(super) fn first_batch(host: &str, start: Timestamp, process: u32) -> u64 {
    let bytes = host
        .bytes()
        .chain(start.0.to_le_bytes())
        .chain(process.to_le_bytes());
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The highest bits of FNV are poor; and batches are many: a million of them to the next run's.
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}

/// As the insert of a batch is called at the server.
pub(super) fn insert(host: &str, batch: u64) -> String {
    format!("tcplens-{host}-{batch:016x}")
}

/// `20261121T010822384589048Z-4711`: sorts by time.
pub(super) fn run(start: Timestamp, process: u32) -> String {
    let mut text = [0; LENGTH];
    Rfc3339::default().write(&mut text, start);
    let digits = text.iter().filter(|byte| !b"-:.".contains(byte));
    let time: String = digits.map(|&byte| char::from(byte)).collect();
    format!("{time}-{process}")
}

/// The wait before attempt `n`, from 1 on: twice as long each time, and between half and all of that by chance, so that many who
/// lost a server do not come back together.
pub(super) fn wait(n: u32) -> Duration {
    let whole = SHORTEST
        .saturating_mul(1 << n.saturating_sub(1).min(16))
        .min(LONGEST);
    let chance = RandomState::new().build_hasher().finish() % 1000;
    whole / 2 + whole.mul_f64(chance as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_and_sort_by_time() {
        let at = Timestamp(1_790_000_000_000_000_001);
        assert_eq!(run(at, 7), "20260921T141320000000001Z-7");
        let batches = [
            first_batch("a", at, 7),
            first_batch("a", at, 8),
            first_batch("b", at, 7),
            first_batch("a", at.plus(1), 7),
        ];
        for (n, one) in batches.iter().enumerate() {
            for other in &batches[..n] {
                assert!(one.abs_diff(*other) > 1 << 32, "{batches:x?}");
            }
        }
    }

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        for n in 1..40 {
            let most = SHORTEST.saturating_mul(1 << (n - 1).min(16)).min(LONGEST);
            let waits: Vec<_> = (0..20).map(|_| wait(n)).collect();
            assert!(waits.iter().all(|wait| *wait >= most / 2 && *wait <= most));
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }
}
