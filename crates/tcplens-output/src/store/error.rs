//! Why a store cannot be opened, in words for the user.

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A directory or file cannot be made.
    #[error(
        "cannot open the store: {name}: {why}; make the directory writable, or choose another with --store"
    )]
    Open {
        /// Which.
        name: String,
        /// The system's reason.
        why: String,
    },
    /// Somebody else writes there as the same host.
    #[error(
        "cannot write to the store in {directory} as host {host}: process {process} does; give this run another name with --host, \
         or another directory"
    )]
    Locked {
        /// The directory.
        directory: String,
        /// The host.
        host: String,
        /// Its process id, as it wrote it.
        process: String,
    },
}
