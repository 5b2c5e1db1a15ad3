//! What is known of addresses, for text: labels of a file first, then names that answers of name servers gave in the traffic,
//! then those that the system's resolver tells; and where they are, by databases. Machine formats have none of it.
//!
//! Nobody asks here for a packet: only for an address that is shown. What is slow happens elsewhere (`reverse`), so the first
//! time an address is shown its name may be missing.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tcplens_core::batch::AnyRecord;
use tcplens_core::labels::{Labelled, Labels};
use tcplens_core::record::Protocol;
use tcplens_core::view;
use tcplens_output::hosts::{self, Hosts, Label};

use self::places::Places;
use self::reverse::{Reverse, System};
use crate::cli::{NamesFrom, Naming, Output};
use crate::live::Live;
use crate::say::say;

mod places;
mod reverse;
#[cfg(test)]
mod tests;

/// Largest file of labels. Chosen: a million lines of 60 letters, and some more.
const LARGEST_FILE: u64 = 128 << 20;

/// What all names of a run may keep its results waiting, where nothing is lost by it: those of a file, and the last ones.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Known {
    labels: Labels,
    /// Names that were answered.
    seen: Option<Mutex<view::Names>>,
    reverse: Option<Reverse>,
    places: Places,
    /// Nothing waits for a name, for packets may be lost meanwhile.
    is_live: bool,
}

impl Known {
    /// As the options say; `None`: nothing is to be known. Live, nothing waits for a name.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn open(naming: &Naming, is_live: bool) -> Result<Option<Arc<Known>>> {
        let is_asked =
            naming.names.is_some() || !naming.names_file.is_empty() || !naming.geoip.is_empty();
        if !is_asked {
            return Ok(None);
        }
        let mut labels = Labels::default();
        for path in &naming.names_file {
            read_labels(path, &mut labels)?;
        }
        let patience = if is_live { Duration::ZERO } else { PATIENCE };
        let looks_up = naming.names == Some(NamesFrom::Lookup);
        Ok(Some(Arc::new(Known {
            labels,
            seen: naming.names.map(|_| Mutex::default()),
            reverse: looks_up.then(|| Reverse::new(System, patience)),
            places: Places::open(&naming.geoip)?,
            is_live,
        })))
    }

    /// No packet comes any more: what is shown from here on may wait for names, as the results of files do.
    pub(crate) fn may_wait(&self) {
        if let Some(reverse) = self.reverse.as_ref().filter(|_| self.is_live) {
            reverse.grant(PATIENCE);
        }
    }

    /// Whether names that were answered in the traffic are of use.
    pub(crate) fn sees(&self) -> bool {
        self.seen.is_some()
    }

    /// What a confined process must still be able to read.
    pub(crate) fn reads_of(&self, live: &mut Live) {
        if self.reverse.is_some() {
            live.resolves();
        }
    }

    /// Takes note of what a record tells of names.
    pub(crate) fn learn(&self, record: AnyRecord<'_>) {
        if let (AnyRecord::Request(request), Some(seen)) = (record, &self.seen)
            && request.row.protocol == Protocol::Dns
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.learn(&request.record());
        }
    }

    /// What could not be told, once all is shown; `is_verbose`: also how it went.
    pub(crate) fn tell(&self, is_verbose: bool) {
        if let Some(seen) = &self.seen {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if is_verbose {
                let n = seen.len();
                say(format_args!(
                    "{n} addresses have names by DNS answers that were seen"
                ));
            }
            if seen.forgotten() > 0 {
                say(format_args!(
                    "{} names that were seen had to go for others: at most {} are kept",
                    seen.forgotten(),
                    view::NAMES
                ));
            }
        }
        if let Some(reverse) = &self.reverse {
            reverse.tell(is_verbose);
        }
    }

    fn name(&self, ip: IpAddr) -> Option<Arc<str>> {
        let seen = self.seen.as_ref().and_then(|seen| {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.of(ip).cloned()
        });
        seen.or_else(|| self.reverse.as_ref()?.of(ip))
    }
}

impl hosts::Labels for Known {
    fn of(&self, ip: IpAddr, port: Option<u16>) -> Label {
        let ip = ip.to_canonical();
        let place = self.places.of(ip);
        match self.labels.of(ip, port) {
            Some(Labelled::Host(name)) => Label {
                network: None,
                name: Some(name),
                place,
            },
            Some(Labelled::Network(network)) => Label {
                network: Some(network),
                name: self.name(ip),
                place,
            },
            None => Label {
                network: None,
                name: self.name(ip),
                place,
            },
        }
    }
}

/// Nothing is observed any more.
pub(crate) fn may_wait(known: Option<&Arc<Known>>) {
    if let Some(known) = known {
        known.may_wait();
    }
}

/// What could not be told of names.
pub(crate) fn tell(known: Option<&Arc<Known>>, output: &Output) {
    if let Some(known) = known {
        known.tell(output.verbose > 0);
    }
}

/// How text shows addresses.
pub(crate) fn hosts(known: Option<&Arc<Known>>) -> Hosts {
    match known {
        Some(known) => Hosts::named(known.clone()),
        None => Hosts::default(),
    }
}

fn read_labels(path: &Path, labels: &mut Labels) -> Result<()> {
    let shown = path.display();
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text));
    read.with_context(|| {
        format!(
            "cannot read labels from {shown}; name a text file like /etc/hosts with --names-file"
        )
    })?;
    if text.len() as u64 > LARGEST_FILE {
        bail!(
            "cannot read labels from {shown}: it has more than {} MiB; name a text file like /etc/hosts with --names-file",
            LARGEST_FILE >> 20
        );
    }
    labels
        .add(&text)
        .with_context(|| format!("cannot understand {shown}"))
}
