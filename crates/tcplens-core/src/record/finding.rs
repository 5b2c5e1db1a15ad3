//! `finding`: one thing that is wrong.

use super::Suspect;

record! {
    /// One thing that is wrong, with what it costs, who is suspected, and how to see it.
    Finding as "finding" {
        /// 1 is the worst.
        rank: u64 = count,
        /// What kind of thing it is: a stable word such as `refused`.
        code: &'static str = word,
        /// Connections or requests concerned.
        harm: u64 = count,
        /// Who is to blame.
        suspect: Suspect = word,
        /// What is wrong, in a sentence.
        text: Option<String> = text,
        /// The numbers behind it, in a sentence.
        evidence: Option<String> = text,
        /// The expression that shows the packets concerned.
        filter: Option<String> = text,
        /// Packets to look at.
        frames: Vec<u64> = list,
        /// What to do next, in a sentence.
        advice: Option<String> = text,
    }
}
