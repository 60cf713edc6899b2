//! What a peer has to offer to be measured.

use std::path::Path;

use anyhow::Result;

/// One contender: a store and the runtime in front of it.
pub trait Peer: Sized + Send + Sync + 'static {
    /// The name in reports and on the command line.
    const NAME: &'static str;

    /// Opens (or creates) the store under `data`.
    fn open(data: &Path) -> impl Future<Output = Result<Self>> + Send;

    /// Starts what the peer keeps per aggregate, before the clock starts and
    /// before any command. Peers whose first command costs little more than
    /// the next ones leave this out.
    fn activate(&self, id: &str) -> impl Future<Output = Result<()>> + Send {
        let _ = id;
        async { Ok(()) }
    }

    /// Handles one command: appends one event to the aggregate `id`.
    ///
    /// MUST return `Ok` only after the event has been synced to the disk.
    fn append(&self, id: &str, event: String) -> impl Future<Output = Result<()>> + Send;

    /// How often a command was retried because another one was faster.
    fn conflicts(&self) -> u64 {
        0
    }

    /// Ends every actor and thread and closes the store.
    fn close(self) -> impl Future<Output = Result<()>> + Send;

    /// Opens the closed store again and counts its events by reading them;
    /// `None` where the store offers no way to do so.
    fn stored_events(data: &Path) -> impl Future<Output = Result<Option<u64>>> + Send;
}
