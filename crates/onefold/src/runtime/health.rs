//! How a runtime is.

use onefold_core::journal::JournalHealth;

/// How a runtime and its journal are, for a health endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The journal. Anything but healthy needs somebody's attention.
    pub journal: JournalHealth,
    /// Whether commands are taken; false once the shutdown began.
    pub accepting: bool,
    /// How many aggregates are in quarantine, see [`Runtime::quarantined`](crate::Runtime::quarantined).
    pub quarantined: usize,
}

impl Health {
    /// Whether commands are taken and can be stored. Quarantined aggregates don't count: their neighbours are well.
    pub fn is_healthy(&self) -> bool {
        self.accepting && self.journal.is_healthy()
    }
}
