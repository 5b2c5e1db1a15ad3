//! SIGHUP: the file is read again, and views are exchanged between two records. Flows, protocols and sources stay as they
//! are; what of the file would change them is told to need a restart. A file that is wrong changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tcplens_capture::kernel::PortRule;
use tcplens_core::time::Timestamp;
use tcplens_output::Sink;

use super::config::{AgentConfig, Answering, Role};
use super::fan::Slot;
use super::load;
use super::notify::Notify;
use super::plan;
use super::sockets::WatchedSockets;
use super::view::AgentView;
use super::yaml::What;
use crate::kernel::NewPorts;
use crate::log::{self, Level, log};

/// Keys that take effect at once; of `ports` the thresholds and roles do, of `sockets` what it says itself.
const AT_ONCE: [&str; 5] = [
    "views",
    "handshake_filters",
    "ports",
    "log_level",
    "sockets",
];

/// What is needed to read the file again.
#[derive(Debug)]
pub(crate) struct Reload {
    path: PathBuf,
    asked: Arc<AtomicBool>,
    /// What the run began with: what needs a restart is compared with it.
    began: AgentConfig,
    has_answers: bool,
    /// For the kernel to look at from then on.
    new_ports: NewPorts,
    /// What it looks at.
    rules: Vec<PortRule>,
}

impl Reload {
    /// Of a run that began with `began`, read from `path`; `asked` is set by the signal.
    pub(crate) fn new(
        path: PathBuf,
        began: AgentConfig,
        asked: Arc<AtomicBool>,
        new_ports: NewPorts,
    ) -> Reload {
        Reload {
            path,
            asked,
            has_answers: began.answering != Answering::default() || began.otlp.is_some(),
            rules: plan::port_rules(&began),
            began,
            new_ports,
        }
    }

    /// Whether the signal came since this was last asked.
    pub(crate) fn is_asked(&self) -> bool {
        // The swap costs more than the look, and this is asked for every record.
        self.asked.load(Ordering::Relaxed) && self.asked.swap(false, Ordering::Relaxed)
    }

    /// Whether somebody may ask while the agent runs.
    pub(crate) fn has_answers(&self) -> bool {
        self.has_answers
    }

    /// Reads the file and exchanges the views.
    pub(crate) fn run(
        &mut self,
        slots: &mut Vec<Slot>,
        first_packet: Option<Timestamp>,
        notify: &Notify,
        sockets: Option<&mut WatchedSockets>,
    ) {
        notify.reloading();
        match load::load(&self.path) {
            Ok(loaded) => {
                for note in &loaded.notes {
                    log(Level::Info, note);
                }
                log::start(loaded.config.log_level);
                self.of_sockets(&loaded.config, sockets);
                self.exchange(&loaded.config, slots, first_packet);
            }
            Err(error) => {
                log(Level::Error, format_args!("{error:#}"));
                log(Level::Error, "the configuration stays as it was");
            }
        }
        notify.ready();
    }

    fn of_sockets(&self, config: &AgentConfig, sockets: Option<&mut WatchedSockets>) {
        match sockets {
            Some(watched) => watched.change(config.sockets.as_ref()),
            None if config.sockets != self.began.sockets => log(
                Level::Warning,
                "sockets changed: that takes effect with a restart",
            ),
            None => {}
        }
    }

    fn exchange(
        &mut self,
        config: &AgentConfig,
        slots: &mut Vec<Slot>,
        first_packet: Option<Timestamp>,
    ) {
        for key in needs_restart(&self.began, config) {
            log(
                Level::Warning,
                format_args!("{key} changed: that takes effect with a restart"),
            );
        }
        // There is nothing that views could show.
        if plan::from(&self.began) == plan::From::Sockets {
            log(Level::Info, "configuration read again");
            return;
        }
        let is_of_kernel = |config| matches!(plan::from(config), plan::From::Live(_, Some(_)));
        if is_of_kernel(&self.began) && is_of_kernel(config) {
            let rules = plan::port_rules(config);
            if rules != self.rules {
                log(
                    Level::Info,
                    "the kernel looks at the ports of the file from here on: connections that are open keep what they were",
                );
                self.new_ports.put(rules.clone());
                self.rules = rules;
            }
        }
        let mut old: Vec<Slot> = std::mem::take(slots);
        let mut taken: Vec<Option<Slot>> = Vec::new();
        for view in &config.views {
            let is_same = |slot: &Slot| {
                let is_whole = slot.missed.is_none() && !slot.view.is_moved();
                is_whole && slot.view.can_become(view)
            };
            taken.push(old.iter().position(is_same).map(|n| old.remove(n)));
        }
        // Before others are opened: they may write to the same files.
        let ended = old.len();
        for slot in old {
            let missed = slot.missed.unwrap_or_default();
            let name = slot.view.config.name.clone();
            if missed > 0 {
                log(
                    Level::Warning,
                    format_args!("{name}: {missed} records were missed"),
                );
            } else if slot.missed.is_none()
                && let Err(end) = slot.view.finish(None)
            {
                log(Level::Error, format_args!("{name}: {end}"));
            }
        }
        let mut opened = 0;
        let mut changed = 0;
        let kept = taken.iter().flatten().count();
        for (view, slot) in config.views.iter().zip(taken) {
            if let Some(mut slot) = slot {
                changed += u32::from(slot.view.config.which != view.which);
                slot.view.become_like(view.clone(), config);
                slots.push(slot);
                continue;
            }
            match AgentView::open(view.clone(), config) {
                Ok(mut view) => {
                    if let Some(at) = first_packet {
                        view.first_packet(at);
                    }
                    opened += 1;
                    slots.push(Slot { view, missed: None });
                }
                Err(error) => {
                    log(
                        Level::Error,
                        format_args!(
                            "{}: {error:#}; the others go on, and what it misses is counted (a directory that was not used \
                             before takes a restart)",
                            view.name
                        ),
                    );
                    // What it would have shown counts as missed.
                    let nowhere = Sink::from_writer(&view.name, Box::new(std::io::sink()));
                    slots.push(Slot {
                        view: AgentView::to(view.clone(), config, nowhere),
                        missed: Some(0),
                    });
                }
            }
        }
        let changed = match changed {
            0 => String::new(),
            n => format!(" ({n} of them with other thresholds or selections)"),
        };
        log(
            Level::Info,
            format_args!(
                "configuration read again: {kept} views go on{changed}, {ended} ended, {opened} opened"
            ),
        );
    }
}

/// Keys whose change needs a restart.
fn needs_restart(began: &AgentConfig, now: &AgentConfig) -> Vec<String> {
    let entries = |config: &AgentConfig| match &config.effective.what {
        What::Map(entries) => entries.clone(),
        What::Nothing | What::Text(_) | What::List(_) => Vec::new(),
    };
    let (before, after) = (entries(began), entries(now));
    let value = |entries: &[(super::yaml::Word, super::yaml::Node)], name: &str| {
        let found = entries.iter().find(|(word, _)| word.text == name);
        found.map(|(_, node)| node.what.text())
    };
    let mut keys: Vec<String> = super::keys::TOP
        .keys
        .iter()
        .map(|key| key.name)
        .filter(|name| !AT_ONCE.contains(name))
        .filter(|name| value(&before, name) != value(&after, name))
        .map(str::to_owned)
        .collect();
    let ports = |config: &AgentConfig| -> Vec<_> {
        let rules = config.ports.iter();
        let rules = rules.map(|rule| (rule.ports.clone(), rule.protocols.clone(), rule.role));
        rules.collect()
    };
    let spoken = |config: &AgentConfig| -> Vec<_> {
        let rules = ports(config).into_iter();
        rules
            .map(|(ports, protocols, _): (_, _, Role)| (ports, protocols))
            .collect()
    };
    // The kernel takes other ports while it goes on.
    let is_kernel_alone = match plan::from(began) {
        plan::From::Live(rings, kernel) => rings.is_empty() && kernel.is_some(),
        plan::From::Files { .. } | plan::From::Sockets => false,
    };
    if spoken(began) != spoken(now) && !is_kernel_alone {
        keys.push("ports (port or protocol)".to_owned());
    }
    let (computed, wanted) = (plan::wanted(began), plan::wanted(now));
    let lacks = [
        (wanted.handshakes && !computed.handshakes, "handshakes"),
        (wanted.requests && !computed.requests, "requests"),
        (wanted.connections && !computed.connections, "connections"),
    ];
    for (_, kind) in lacks.iter().filter(|(is_lacking, _)| *is_lacking) {
        keys.push(format!(
            "views ({kind} were not asked for before, so they are not computed)"
        ));
    }
    keys
}

#[cfg(test)]
mod tests;
