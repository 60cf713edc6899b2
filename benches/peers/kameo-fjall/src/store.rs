//! Events in one fjall keyspace.
//!
//! ```text
//! aggregate id ‖ '/' ‖ version (u64, big-endian)  →  payload
//! ```

use std::path::Path;

use anyhow::{Context, Result};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

/// A cheap handle on the database and its only keyspace.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) database: Database,
    pub(crate) events: Keyspace,
}

impl Store {
    pub(crate) fn open(data: &Path) -> Result<Self> {
        let database = Database::builder(data).open()?;
        let events = database.keyspace("events", KeyspaceCreateOptions::default)?;
        Ok(Self { database, events })
    }

    pub(crate) fn key(id: &str, version: u64) -> Vec<u8> {
        let mut key = Self::prefix(id);
        key.extend_from_slice(&version.to_be_bytes());
        key
    }

    /// Reads the events of one aggregate back; here all that matters of them
    /// is how many there are.
    pub(crate) fn replay(&self, id: &str) -> Result<u64> {
        let mut version = 0;
        for event in self.events.prefix(Self::prefix(id)) {
            let (key, _payload) = event.into_inner()?;
            let (_, suffix) = key.split_last_chunk().context("an event's key is too short")?;
            version = u64::from_be_bytes(*suffix);
        }
        Ok(version)
    }

    pub(crate) fn count_events(&self) -> Result<u64> {
        let mut events = 0;
        for event in self.events.iter() {
            event.into_inner()?;
            events += 1;
        }
        Ok(events)
    }

    fn prefix(id: &str) -> Vec<u8> {
        let mut prefix = Vec::with_capacity(id.len() + 1 + size_of::<u64>());
        prefix.extend_from_slice(id.as_bytes());
        prefix.push(b'/');
        prefix
    }
}
