//! Several views as one: each record goes to all of them. A view whose destination fails is told and dropped, the others go
//! on; what it then misses is counted. Between two records the views can be exchanged (`reload`), flows untouched.

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Finding, Health};
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;

use super::anomalies::{Anomalies, News};
use super::config::{AgentConfig, Shows};
use super::notify::Notify;
use super::reload::Reload;
use super::sockets::{OpenSockets, WatchedSockets};
use super::view::{AgentView, Ending, Record};
use crate::log::{Level, log};
use crate::observe::{Observed, View};
use crate::store::{Feeder, StoreView};

/// Calls of `clock` between two looks at the machine's clock; where records are few, pauses look each time.
const CALLS: u32 = 256;

/// See the module.
pub(crate) struct Fan {
    slots: Vec<Slot>,
    /// Whether somebody may ask: then it goes on without any view.
    has_answers: bool,
    notify: Notify,
    reload: Option<Reload>,
    /// To be watched from the start on.
    open_sockets: Option<OpenSockets>,
    sockets: Option<WatchedSockets>,
    anomalies: Option<Anomalies>,
    /// What nobody beside the views has been told.
    news: Option<News>,
    /// The engine clock.
    now: Timestamp,
    first_packet: Option<Timestamp>,
    /// Handshakes, requests, connections.
    records: [u64; 3],
    calls: u32,
}

/// A view and its state.
pub(crate) struct Slot {
    /// The view; without its destination once that has failed.
    pub view: AgentView,
    /// Since its destination failed: records that it missed.
    pub missed: Option<u64>,
}

impl Fan {
    /// Opens all views.
    ///
    /// # Errors
    /// One of them cannot be opened: at the start that is a mistake.
    pub(crate) fn open(config: &AgentConfig, notify: Notify) -> Result<Fan> {
        let views = config.views.iter().cloned();
        let views = views.map(|view| AgentView::open(view, config));
        let views = views.collect::<Result<Vec<_>>>()?;
        Ok(Fan::of(config, views, notify))
    }

    /// Of open views.
    pub(crate) fn of(config: &AgentConfig, views: Vec<AgentView>, notify: Notify) -> Fan {
        let slots = views.into_iter().map(|view| Slot { view, missed: None });
        Fan {
            slots: slots.collect(),
            has_answers: config.answering != super::config::Answering::default()
                || config.otlp.is_some(),
            notify,
            reload: None,
            open_sockets: None,
            sockets: None,
            anomalies: None,
            news: None,
            now: Timestamp::MIN,
            first_packet: None,
            records: [0; 3],
            calls: 0,
        }
    }

    /// From here on the views can be exchanged.
    pub(crate) fn set_reload(&mut self, reload: Option<Reload>) {
        self.reload = reload;
    }

    /// The kernel's sockets are watched beside.
    pub(crate) fn set_sockets(&mut self, sockets: Option<OpenSockets>) {
        self.open_sockets = sockets;
    }

    /// What is abnormal is watched.
    pub(crate) fn set_anomalies(&mut self, anomalies: Option<Anomalies>) {
        self.anomalies = anomalies;
    }

    /// Tells the views what is abnormal, and keeps it for the others.
    fn tell(&mut self, mut news: News) -> Result<(), SinkEnd> {
        for finding in &news.findings {
            for slot in &mut self.slots {
                if let Some(missed) = &mut slot.missed
                    && slot.view.takes_finding(finding)
                {
                    *missed += 1;
                }
            }
            self.each(|view| match view.takes_finding(finding) {
                true => view.finding(finding),
                false => Ok(()),
            })?;
        }
        if let Some(before) = self.news.take() {
            news.findings.splice(0..0, before.findings);
        }
        self.news = Some(news);
        Ok(())
    }

    /// The last records were shown: what they say of the last minutes.
    fn conclude(&mut self) -> Vec<Finding> {
        let Some(mut anomalies) = self.anomalies.take() else {
            return Vec::new();
        };
        let news = anomalies.finish(self.now);
        let findings = news.findings.clone();
        // A view that fails is told and dropped.
        let _ = self.tell(news);
        findings
    }

    /// Ends what is watched beside where nothing came of the run.
    pub(crate) fn abandon_sockets(&mut self) {
        if let Some(watched) = self.sockets.take() {
            watched.abandon();
        }
    }

    /// Records that views missed, by what they show.
    pub(crate) fn missed(&self) -> Vec<(&'static str, u64)> {
        let mut missed: Vec<(&'static str, u64)> = Vec::new();
        for slot in &self.slots {
            let Some(n) = slot.missed.filter(|&n| n > 0) else {
                continue;
            };
            let noun = match slot.view.config.shows {
                Shows::Records(_) => "a view of records",
                Shows::Handshakes => "a view of handshakes",
                Shows::Requests(_) => "a view of requests",
                Shows::Connections => "a view of connections",
                Shows::Report => "a report",
            };
            match missed.iter_mut().find(|(known, _)| *known == noun) {
                Some((_, sum)) => *sum += n,
                None => missed.push((noun, n)),
            }
        }
        missed
    }

    /// Ends all views.
    ///
    /// # Errors
    /// The first that failed; all are ended.
    pub(crate) fn finish(mut self, health: &Health, sources: &[String]) -> Result<(), SinkEnd> {
        self.notify.stopping();
        self.conclude();
        let end = Ending { health, sources };
        let mut result = Ok(());
        for slot in self.slots.drain(..).filter(|slot| slot.missed.is_none()) {
            let name = slot.view.config.name.clone();
            if let Err(end) = slot.view.finish(Some(&end)) {
                log(Level::Error, format_args!("{name}: {end}"));
                result = result.and(Err(end));
            }
        }
        result
    }

    /// Each view with a destination does something; one that fails is dropped. Ends the run only if nobody is left who
    /// would see anything, nor could come back.
    fn each(
        &mut self,
        mut does: impl FnMut(&mut AgentView) -> Result<(), SinkEnd>,
    ) -> Result<(), SinkEnd> {
        let mut last = None;
        for slot in self.slots.iter_mut().filter(|slot| slot.missed.is_none()) {
            if let Err(end) = does(&mut slot.view) {
                let name = &slot.view.config.name;
                log(
                    Level::Error,
                    format_args!(
                        "{name}: {end}; it is dropped, and what it misses counted, until SIGHUP opens it again"
                    ),
                );
                slot.missed = Some(0);
                last = Some(end);
            }
        }
        let is_over = self.reload.is_none() && !self.has_answers;
        match last {
            Some(end) if is_over && self.slots.iter().all(|slot| slot.missed.is_some()) => Err(end),
            _ => Ok(()),
        }
    }

    /// `is_joined`: the kernel tells of its connection, too.
    fn show(&mut self, record: &Record<'_>, is_joined: bool) -> Result<(), SinkEnd> {
        let takes = |view: &AgentView| {
            let is_once = !is_joined || matches!(view.config.shows, Shows::Records(_));
            is_once && view.takes(record)
        };
        for slot in &mut self.slots {
            if let Some(missed) = &mut slot.missed
                && takes(&slot.view)
            {
                *missed += 1;
            }
        }
        self.each(|view| match takes(view) {
            true => view.show(record),
            false => Ok(()),
        })
    }

    /// Between two records: exchanges the views if that was asked for.
    fn between(&mut self) {
        let Some(reload) = &mut self.reload else {
            return;
        };
        if reload.is_asked() {
            let sockets = self.sockets.as_mut();
            reload.run(&mut self.slots, self.first_packet, &self.notify, sockets);
            self.has_answers = reload.has_answers();
        }
    }

    fn pulse(&mut self) {
        let [handshakes, requests, connections] = self.records;
        let dropped = self.slots.iter().filter(|slot| slot.missed.is_some());
        let dropped = dropped.count();
        self.notify.pulse(|| {
            let mut status =
                format!("{handshakes} handshakes, {requests} requests, {connections} connections");
            if dropped > 0 {
                status += &format!("; {dropped} views without their destination");
            }
            status
        });
    }
}

impl View for Fan {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        let is_joined = record.is_joined();
        if let Some(anomalies) = &mut self.anomalies
            && !is_joined
        {
            anomalies.record(record, self.now);
        }
        match record {
            AnyRecord::Handshake(handshake) => {
                self.records[0] += u64::from(!is_joined);
                self.show(&Record::Handshake(handshake), is_joined)
            }
            AnyRecord::Request(reference) => {
                self.records[1] += u64::from(!is_joined);
                self.show(&Record::Request(&reference.record(), record), is_joined)
            }
            AnyRecord::Connection(connection) => {
                self.records[2] += u64::from(!is_joined);
                self.show(&Record::Connection(connection), is_joined)
            }
        }
    }

    fn started(&mut self) {
        // Privileges have been given up.
        if let Some(anomalies) = &mut self.anomalies {
            anomalies.start();
        }
        if let Some(sockets) = self.open_sockets.take() {
            match sockets.start() {
                Ok(watched) => self.sockets = Some(watched),
                Err(error) => log(Level::Error, format_args!("{error:#}")),
            }
        }
        self.notify.ready();
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.first_packet = Some(at);
        for slot in &mut self.slots {
            slot.view.first_packet(at);
        }
    }

    fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        self.between();
        self.now = self.now.max(at);
        let anomalies = self.anomalies.as_mut();
        if let Some(news) = anomalies.and_then(|anomalies| anomalies.clock(at)) {
            self.tell(news)?;
        }
        self.each(|view| view.clock(at))?;
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(CALLS) {
            self.pulse();
        }
        Ok(())
    }

    fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        self.each(|view| view.health(health))
    }

    fn findings(&mut self, _: &Health) -> Vec<Finding> {
        self.conclude()
    }

    fn anomalies(&mut self) -> Option<News> {
        self.news.take()
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.each(AgentView::settle)
    }

    fn stored(&mut self, store: &Feeder) {
        if let Some(sockets) = &mut self.open_sockets {
            sockets.set_store(StoreView::beside(store));
        }
    }

    fn ended(&mut self, observed: &mut Observed) {
        if let Some(watched) = self.sockets.take() {
            watched.finish(observed);
        }
    }

    fn dropped(&self) -> u64 {
        self.slots.iter().map(|slot| slot.view.dropped()).sum()
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.between();
        self.pulse();
        self.each(AgentView::idle)
    }
}

#[cfg(test)]
mod tests;
