//! One lock per aggregate, for libraries whose commands on one aggregate would
//! otherwise race and be retried.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Locks by aggregate id. The map keeps every id it has seen; the load
/// generator bounds their number.
#[derive(Default)]
pub struct KeyedLocks {
    locks: DashMap<String, Arc<Mutex<()>>>,
}

impl KeyedLocks {
    /// Waits, first come first served, until nobody else holds `id`.
    pub async fn lock(&self, id: &str) -> OwnedMutexGuard<()> {
        let known = self.locks.get(id).map(|lock| Arc::clone(&lock));
        let lock = known.unwrap_or_else(|| Arc::clone(&self.locks.entry(id.to_owned()).or_default()));
        lock.lock_owned().await
    }
}
