//! Which packets are looked at: the filter expression, `--exclude`, `-c`, `--duration`; and `-w`, which saves them.

use anyhow::{Context as _, Result};
use tcplens_core::filter::packet::{PacketFilter, Program};
use tcplens_core::packet::{Lent, LinkType, Packet};
use tcplens_core::time::Timestamp;

use crate::observe::Plan;
use crate::saver::{Saved, Saver};

/// See the module.
pub(crate) struct Gate {
    /// Every packet passes, and nothing is done with it here.
    is_open: bool,
    filter: Option<PacketFilter>,
    exclude: Option<PacketFilter>,
    compiled: Vec<(LinkType, Option<Program>, Option<Program>)>,
    saver: Option<Saver>,
    left: u64,
    duration: Option<u64>,
    /// Time of the first packet.
    first: Option<Timestamp>,
    is_live: bool,
    /// The last packet that was asked for has been seen, or something failed.
    is_closed: bool,
    error: Option<anyhow::Error>,
}

impl Gate {
    /// As the plan says.
    pub(crate) fn new(plan: &Plan) -> Result<Gate> {
        // A ring filters itself, and its time is the clock's.
        let is_live = plan.live.is_some();
        let filter = plan.filter.as_ref().filter(|_| !is_live);
        let duration = plan.duration.filter(|_| !is_live);
        let has_filter = filter.is_some() || plan.exclude.is_some();
        let has_limit = plan.count.is_some() || duration.is_some();
        Ok(Gate {
            is_open: !has_filter && !has_limit && plan.write.is_none(),
            filter: filter.cloned(),
            exclude: plan.exclude.clone(),
            compiled: Vec::new(),
            saver: plan
                .write
                .as_deref()
                .map(|path| Saver::create(path, plan.rotate, is_live))
                .transpose()?,
            is_live,
            left: plan.count.unwrap_or(u64::MAX),
            duration: duration.map(|span| span.ns()),
            first: None,
            is_closed: plan.count == Some(0),
            error: None,
        })
    }

    /// Whether a packet is to be looked at. Saves it if so.
    #[inline]
    pub(crate) fn takes(&mut self, batch: &Lent<'_>, packet: &Packet, link: LinkType) -> bool {
        self.is_open || self.decides(batch, packet, link)
    }

    #[inline(never)] // So that the registers are for those that are open.
    fn decides(&mut self, batch: &Lent<'_>, packet: &Packet, link: LinkType) -> bool {
        if self.is_closed {
            return false;
        }
        let first = *self.first.get_or_insert(packet.time);
        let age = packet.time.since(first).map_or(0, |span| span.ns());
        if self.duration.is_some_and(|duration| age > duration) {
            self.is_closed = true;
            return false;
        }
        let taken = self.matches(batch, packet, link).and_then(|matches| {
            if matches && let Some(saver) = &mut self.saver {
                saver.write(packet, batch.data(packet), batch.interfaces)?;
            }
            Ok(matches)
        });
        match taken {
            Ok(false) => return false,
            Ok(true) => {}
            Err(error) => {
                self.error = Some(error);
                self.is_closed = true;
                return false;
            }
        }
        self.left -= 1;
        self.is_closed = self.left == 0;
        true
    }

    fn matches(&mut self, batch: &Lent<'_>, packet: &Packet, link: LinkType) -> Result<bool> {
        if self.filter.is_none() && self.exclude.is_none() {
            return Ok(true);
        }
        let at = match self.compiled.iter().position(|(known, ..)| *known == link) {
            Some(at) => at,
            None => {
                let compile = |filter: &PacketFilter| filter.compile(link);
                let filter = self.filter.as_ref().map(compile).transpose()?;
                let exclude = self.exclude.as_ref().map(compile).transpose();
                let exclude = match exclude {
                    // Another kind of interface may come at any time: there it excludes nothing.
                    Err(_) if self.is_live => None,
                    exclude => exclude.context("in --exclude")?,
                };
                self.compiled.push((link, filter, exclude));
                self.compiled.len() - 1
            }
        };
        let (_, filter, exclude) = &self.compiled[at];
        let matches = |program: &Program| program.matches(batch.data(packet), packet.length);
        Ok(filter.as_ref().is_none_or(matches) && !exclude.as_ref().is_some_and(matches))
    }

    /// Whether to go on reading.
    ///
    /// # Errors
    /// What failed since it was last asked.
    pub(crate) fn goes_on(&mut self) -> Result<bool> {
        match self.error.take() {
            Some(error) => Err(error),
            None => Ok(!self.is_closed),
        }
    }

    /// Some time has passed: what is saved is handed over. `is_due`: files may have been moved.
    pub(crate) fn tick(&mut self, is_reopening_due: bool) {
        if let Some(saver) = &mut self.saver {
            let ticked = saver.tick(is_reopening_due);
            self.error = self.error.take().or(ticked.err());
        }
    }

    /// Ends the saved file.
    pub(crate) fn finish(self) -> Result<Option<Saved>> {
        self.saver.map(Saver::finish).transpose()
    }
}
