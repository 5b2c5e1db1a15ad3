//! Many findings alike told as one: one client that fails with many ports or hosts is a scan or a broken path, and one
//! host of which many ports fail is one host. Only drafts about one server each come here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::thresholds::ALIKE;
use super::{Class, Draft};
use crate::record::{Outcome, Suspect};
use crate::view::words::{count, grouped, when};
use crate::view::{Report, Sighting};

/// By only client first, then by server address; what is in no large group stays as it is.
pub(super) fn alike(report: &Report, drafts: Vec<Draft>) -> Vec<Draft> {
    let drafts = gather(
        drafts,
        |draft| draft.server.and(draft.client),
        |ip, group| of_client(report, ip, group),
    );
    gather(drafts, |draft| draft.server, of_host)
}

fn gather(
    drafts: Vec<Draft>,
    key: impl Fn(&Draft) -> Option<IpAddr>,
    together: impl Fn(IpAddr, &[Draft]) -> Draft,
) -> Vec<Draft> {
    let mut groups = BTreeMap::<(&'static str, IpAddr), Vec<Draft>>::new();
    let mut rest = Vec::new();
    for draft in drafts {
        match key(&draft) {
            Some(ip) => groups.entry((draft.code, ip)).or_default().push(draft),
            None => rest.push(draft),
        }
    }
    for ((_, ip), group) in groups {
        if group.len() >= ALIKE {
            rest.push(together(ip, &group));
        } else {
            rest.extend(group);
        }
    }
    rest
}

fn of_client(report: &Report, client: IpAddr, group: &[Draft]) -> Draft {
    let hosts: BTreeSet<_> = group.iter().filter_map(|draft| draft.server).collect();
    let (ports, seen, of) = sum(group);
    let only = hosts.first().filter(|_| hosts.len() == 1);
    let (where_to, filter) = match only {
        Some(host) => (
            format!("{ports} ports of {host}"),
            format!("tcp and host {client} and host {host}"),
        ),
        None => (
            format!("{ports} ports of {}", count(hosts.len() as u64, "host")),
            format!("tcp and host {client}"),
        ),
    };
    let code = group[0].code;
    let is_lost = code == "unanswered"
        && only.is_none()
        && report
            .clients
            .get(client)
            .is_some_and(|peer| peer.outcome(Outcome::Established) == 0);
    // A scanner asks each port once or twice. A client with work to do comes back.
    let (class, suspect, why) = if is_lost {
        (
            Class::Failed,
            Suspect::Network,
            "nobody answers it, so its way out or back may be broken (or it scans)",
        )
    } else if of <= 2 * ports {
        (
            Class::Note,
            Suspect::Client,
            "it looks like a scan, or a list of peers that are gone",
        )
    } else {
        (
            group[0].class,
            group[0].suspect,
            "its configuration or its way there may be wrong",
        )
    };
    let text = format!("{client} tried {where_to} in vain ({code}): {why}.");
    Draft::new(class, code, suspect, &seen, of).says(text, evidence(&seen, of), filter)
}

fn of_host(host: IpAddr, group: &[Draft]) -> Draft {
    let (ports, seen, of) = sum(group);
    let text = format!("{host} fails on {ports} ports ({}).", group[0].code);
    let draft = Draft::new(group[0].class, group[0].code, group[0].suspect, &seen, of);
    draft.says(text, evidence(&seen, of), format!("tcp and host {host}"))
}

fn evidence(seen: &Sighting, of: u64) -> String {
    format!(
        "{} of {}; {}.",
        grouped(seen.count),
        count(of, "attempt"),
        when(seen.first, seen.last)
    )
}

/// Servers, all that was seen, attempts with these servers.
fn sum(group: &[Draft]) -> (u64, Sighting, u64) {
    let mut seen = Sighting::default();
    group.iter().for_each(|draft| seen.merge(&draft.sighting));
    (
        group.len() as u64,
        seen,
        group.iter().map(|draft| draft.of).sum(),
    )
}
