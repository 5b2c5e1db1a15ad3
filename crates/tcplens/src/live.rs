//! What is captured live, and how: from the options to open rings.

use anyhow::Result;
use tcplens_capture::ring::{Ring, RingOptions};

use crate::cli;
use crate::sources::Words;

/// Live packets, as they were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    options: RingOptions,
}

impl Live {
    /// As the options say; `words` name no file.
    pub(crate) fn new(options: &cli::Live, words: &Words) -> Live {
        Live {
            options: RingOptions {
                interfaces: words.interfaces.clone(),
                buffer: options.buffer,
                snaplen: options.snaplen,
                promiscuous: options.promiscuous,
                filter: words.filter.clone(),
            },
        }
    }

    /// Opens the rings.
    pub(crate) fn open(&self) -> Result<Vec<Ring>> {
        Ok(vec![Ring::open(&self.options)?])
    }

    /// What is captured on, for people.
    pub(crate) fn name(&self) -> String {
        self.options.interfaces.join(", ")
    }
}
