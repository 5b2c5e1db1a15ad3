//! The two ways to the kernel's sockets that the loop has, as it sees them: one that is asked, one that tells. Behind them is
//! `capture::diag`; in tests, answers that no kernel here gives.

use std::io;
use std::time::Duration;

use tcplens_capture::diag::{Destroyed, Diag, DiagError, DumpCounts, Read, Request, wait_readable};
use tcplens_core::time::Timestamp;

/// Is asked for sockets: [`Diag::dump`].
pub(crate) trait Asked {
    /// Hands over each socket that the request is about.
    ///
    /// # Errors
    /// What was handed over is a part.
    fn dump(
        &mut self,
        request: &Request<'_>,
        each: &mut dyn FnMut(Timestamp, &[u8]),
    ) -> Result<DumpCounts, DiagError>;
}

/// Tells of sockets that are destroyed: [`Destroyed`].
pub(crate) trait Told {
    /// Hands over what waits.
    ///
    /// # Errors
    /// It cannot be read any more.
    fn read(&mut self, each: &mut dyn FnMut(Timestamp, &[u8])) -> Result<Read, DiagError>;
    /// How many messages found no room, where that is told.
    fn drops(&self) -> Option<u32>;
    /// Waits until there is something to read, for `most` at the longest.
    ///
    /// # Errors
    /// The system cannot wait for it.
    fn wait(&self, most: Duration) -> io::Result<bool>;
}

/// The kernel's.
pub(crate) struct Asking {
    /// It.
    pub diag: Diag,
    /// It asks in the namespace that the program is in, so another one can be opened in its place.
    pub is_here: bool,
}

impl Asked for Asking {
    fn dump(
        &mut self,
        request: &Request<'_>,
        each: &mut dyn FnMut(Timestamp, &[u8]),
    ) -> Result<DumpCounts, DiagError> {
        let dumped = self.diag.dump(request, each);
        // A dump that got stuck for want of memory blocks its socket for good.
        if self.is_here
            && let Err(DiagError::Refused { error }) = &dumped
            && error.kind() == io::ErrorKind::ResourceBusy
            && let Ok(another) = Diag::open()
        {
            self.diag = another;
        }
        dumped
    }
}

impl Told for Destroyed {
    fn read(&mut self, each: &mut dyn FnMut(Timestamp, &[u8])) -> Result<Read, DiagError> {
        Destroyed::read(self, each)
    }

    fn drops(&self) -> Option<u32> {
        Destroyed::drops(self)
    }

    fn wait(&self, most: Duration) -> io::Result<bool> {
        wait_readable(self, most)
    }
}
