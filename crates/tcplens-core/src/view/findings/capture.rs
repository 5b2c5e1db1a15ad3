//! What the observation itself missed or got wrong, where that changes what the rest of a report means. Plain counts of
//! losses are in `health` and at the foot of a report.

use super::thresholds::{
    DOUBLED_PER_MILLE, DOUBLED_SEGMENTS, DUPLICATES_PER_MILLE, MISLED_PER_MILLE,
    ONE_SIDED_PER_MILLE, REVERSALS_PER_MILLE, is_share,
};
use super::{Class, Draft};
use crate::record::{Health, Suspect};
use crate::view::words::{addresses, count, grouped, percent, when};
use crate::view::{Report, Sighting};

pub(super) fn find(report: &Report, health: &Health) -> Vec<Draft> {
    [
        one_sided(report),
        missing(report),
        dropped(report, health),
        duplicates(report, health),
        reversals(report, health),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn one_sided(report: &Report) -> Option<Draft> {
    let (part, all) = (report.totals.one_sided, report.totals.connections);
    if part == 0 || !is_share(part, all, ONE_SIDED_PER_MILLE) {
        return None;
    }
    let class = if is_share(part, all, MISLED_PER_MILLE) {
        Class::Misled
    } else {
        Class::Remark
    };
    let seen = &report.one_sided;
    let text = format!(
        "Only one direction of {} was captured: what this report says about answers, loss and delay on these does not hold.",
        if part == all {
            "every connection".to_owned()
        } else {
            format!("{} of {}", grouped(part), count(all, "connection"))
        }
    );
    let evidence = format!(
        "{} of {} with segments of one side only, sent by {}; seen {}.",
        grouped(part),
        count(all, "connection"),
        addresses(&seen.peers, "host"),
        when(seen.first, seen.last)
    );
    Some(
        Draft::new(class, "one_direction", Suspect::Capture, seen, all).says(
            text,
            evidence,
            "tcp".to_owned(),
        ),
    )
}

fn missing(report: &Report) -> Option<Draft> {
    let (part, all) = (report.totals.with_missing_bytes, report.totals.connections);
    if part == 0 {
        return None;
    }
    let seen = &report.missing;
    let text = "The capture is incomplete: data was acknowledged that is not in it. Silence and pauses on these \
                connections may be the capture's."
        .to_owned();
    let evidence = format!(
        "{} missing ({} of all data) on {} of {}; seen {}.",
        count(report.totals.missing_bytes, "byte"),
        percent(
            report.totals.missing_bytes,
            report
                .totals
                .bytes
                .saturating_add(report.totals.missing_bytes)
        ),
        grouped(part),
        count(all, "connection"),
        when(seen.first, seen.last)
    );
    Some(
        Draft::new(Class::Remark, "capture_loss", Suspect::Capture, seen, all).says(
            text,
            evidence,
            "tcp".to_owned(),
        ),
    )
}

fn remark(code: &'static str, report: &Report, text: &str, evidence: String) -> Draft {
    let all = report.totals.connections;
    let seen = Sighting {
        count: all,
        ..Sighting::default()
    };
    Draft::new(Class::Remark, code, Suspect::Capture, &seen, all).says(
        text.to_owned(),
        evidence,
        "tcp".to_owned(),
    )
}

fn dropped(report: &Report, health: &Health) -> Option<Draft> {
    let drops = health.kernel_drops.filter(|&drops| drops > 0)?;
    let all = health.packets.saturating_add(drops);
    let evidence = format!(
        "{} of {} packets ({}) dropped by the kernel.",
        grouped(drops),
        grouped(all),
        percent(drops, all)
    );
    let text = "The capture was too slow: the kernel dropped packets before they were read. Use a larger buffer or a filter.";
    Some(remark("kernel_drops", report, text, evidence))
}

/// What makes loss doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Copies that are told from repeats: those that come later may not be.
    Copies,
    /// Nearly everything comes again, and is not told from repeats.
    Doubled,
}

fn doubt(report: &Report, health: &Health) -> Option<Doubt> {
    let totals = &report.totals;
    let is_doubled = totals
        .data_segments
        .iter()
        .zip(totals.repeated)
        .all(|(&all, part)| all >= DOUBLED_SEGMENTS && is_share(part, all, DOUBLED_PER_MILLE));
    let (part, all) = (health.duplicates, health.tcp_segments);
    let is_copied = part > 0 && is_share(part, all, DUPLICATES_PER_MILLE);
    match (is_doubled, is_copied) {
        (true, _) => Some(Doubt::Doubled),
        (false, true) => Some(Doubt::Copies),
        (false, false) => None,
    }
}

/// Says of findings about loss that they are doubtful, where packets were captured twice, and has that said before them.
pub(super) fn cast_doubt(report: &Report, health: &Health, drafts: &mut [Draft]) {
    let Some(doubt) = doubt(report, health) else {
        return;
    };
    let mut is_cast = doubt == Doubt::Doubled;
    for draft in drafts.iter_mut().filter(|draft| is_of_loss(draft)) {
        is_cast = true;
        draft.text.push_str(match doubt {
            Doubt::Copies => {
                " Doubtful: packets were captured twice, and a copy that comes late looks like one sent again."
            }
            Doubt::Doubled => {
                draft.class = draft.class.max(Class::Note);
                " Doubtful: packets seem to be in this capture twice."
            }
        });
    }
    for draft in drafts.iter_mut().filter(|draft| draft.code == "duplicates") {
        if is_cast {
            draft.class = Class::Misled;
        }
    }
}

/// Whether it is made of segments that came again.
fn is_of_loss(draft: &Draft) -> bool {
    matches!(
        draft.code,
        "lossy_client"
            | "lossy_clients"
            | "lossy_server"
            | "lossy_servers"
            | "syn_repeated"
            | "synack_repeated"
            | "loss_slows_requests"
            | "delay_varies"
    )
}

fn duplicates(report: &Report, health: &Health) -> Option<Draft> {
    let (part, all) = (health.duplicates, health.tcp_segments);
    let mut evidence = format!(
        "{} of {} segments ({}) were seen a second time.",
        grouped(part),
        grouped(all),
        percent(part, all)
    );
    let text = match doubt(report, health)? {
        Doubt::Copies => {
            "Packets were captured twice (mirror of both ports, bridge, or all interfaces). Each is counted once here."
        }
        Doubt::Doubled => {
            let totals = &report.totals;
            evidence = format!(
                "Clients sent {} with data and repeated {} in all, servers {} and {}, too late to be known as copies (2 ms); \
                 {evidence}",
                count(totals.data_segments[0], "segment"),
                grouped(totals.repeated[0]),
                grouped(totals.data_segments[1]),
                grouped(totals.repeated[1])
            );
            "Packets seem to be in this capture twice, from two points far apart: most come a second time. Loss, \
             repeats and delays below are doubtful; analyse what each point saw alone."
        }
    };
    Some(remark("duplicates", report, text, evidence))
}

fn reversals(report: &Report, health: &Health) -> Option<Draft> {
    let (part, all) = (health.time_reversals, health.packets);
    if part == 0 || !is_share(part, all, REVERSALS_PER_MILLE) {
        return None;
    }
    let evidence = format!(
        "{} of {} packets ({}) are older than one before them.",
        grouped(part),
        grouped(all),
        percent(part, all)
    );
    let text = "The capture's clock goes back, or its packets are out of order: durations may be wrong or absent.";
    Some(remark("clock", report, text, evidence))
}
