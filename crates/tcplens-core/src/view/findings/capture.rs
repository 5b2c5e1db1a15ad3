//! What the observation itself missed or got wrong, where that changes what the rest of a report means. Plain counts of
//! losses are in `health` and at the foot of a report.

use super::thresholds::{
    DUPLICATES_PER_MILLE, MISLED_PER_MILLE, ONE_SIDED_PER_MILLE, REVERSALS_PER_MILLE, is_share,
};
use super::{Class, Draft};
use crate::record::{Health, Suspect};
use crate::view::words::{addresses, count, percent, when};
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
            format!("{part} of {all} connections")
        }
    );
    let evidence = format!(
        "{part} of {} with segments of one side only, sent by {}; seen {}.",
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
        "{} missing ({} of all data) on {part} of {}; seen {}.",
        count(report.totals.missing_bytes, "byte"),
        percent(
            report.totals.missing_bytes,
            report
                .totals
                .bytes
                .saturating_add(report.totals.missing_bytes)
        ),
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
        "{drops} of {all} packets ({}) dropped by the kernel.",
        percent(drops, all)
    );
    let text = "The capture was too slow: the kernel dropped packets before they were read. Use a larger buffer or a filter.";
    Some(remark("kernel_drops", report, text, evidence))
}

fn duplicates(report: &Report, health: &Health) -> Option<Draft> {
    let (part, all) = (health.duplicates, health.tcp_segments);
    if part == 0 || !is_share(part, all, DUPLICATES_PER_MILLE) {
        return None;
    }
    let evidence = format!(
        "{part} of {all} segments ({}) were seen a second time.",
        percent(part, all)
    );
    let text = "Packets were captured twice (mirror of both ports, bridge, or all interfaces). Each is counted once here.";
    Some(remark("duplicates", report, text, evidence))
}

fn reversals(report: &Report, health: &Health) -> Option<Draft> {
    let (part, all) = (health.time_reversals, health.packets);
    if part == 0 || !is_share(part, all, REVERSALS_PER_MILLE) {
        return None;
    }
    let evidence = format!(
        "{part} of {all} packets ({}) are older than one before them.",
        percent(part, all)
    );
    let text = "The capture's clock goes back, or its packets are out of order: durations may be wrong or absent.";
    Some(remark("clock", report, text, evidence))
}
