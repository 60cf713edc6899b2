//! The graceful end, in order: admission, commands, instances, journal.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onefold_core::StreamId;
use onefold_core::journal::CloseError;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::shared::{KindEntry, Shared};
use crate::instant;

/// How long appends that are with the journal may take to be decided once the deadline has passed and everything else has
/// been answered.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the journal's own close may take at least, whatever the deadline.
const CLOSE_TIMEOUT_MIN: Duration = Duration::from_secs(5);

/// How many aggregates with unanswered commands a report names at most.
const REPORTED_MAX: usize = 1_000;

/// How a shutdown went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Commands and reads that could not come to their end in time. Those not yet with the journal were answered with
    /// `NotStored(ShuttingDown)`.
    pub unanswered: usize,
    /// Which aggregates they were for, and how many each; in order, at most 1,000 aggregates.
    pub unanswered_by_aggregate: Vec<(StreamId, usize)>,
    /// Whether the journal closed cleanly. If not, everything acknowledged is safe all the same.
    pub journal: Result<(), CloseError>,
}

impl ShutdownReport {
    /// Whether everything was answered and the journal closed cleanly.
    pub fn is_clean(&self) -> bool {
        self.unanswered == 0 && self.journal.is_ok()
    }
}

pub(super) async fn run(
    shared: &Arc<Shared>,
    kinds: &BTreeMap<TypeId, KindEntry>,
    deadline: Duration,
) -> ShutdownReport {
    let end = instant::after(Instant::now(), deadline);
    shared.begin_closing();
    let (mut unanswered, mut by_aggregate) = (0, Vec::new());
    if timeout_at(end, shared.admission.until_empty()).await.is_err() {
        unanswered = shared.admission.count();
        by_aggregate = kinds.values().flat_map(|entry| entry.ops.unanswered(REPORTED_MAX)).collect();
        by_aggregate.sort();
        by_aggregate.truncate(REPORTED_MAX);
    }
    kinds.values().for_each(|entry| entry.ops.close_all());
    if unanswered > 0 {
        // What was queued or in a handler has been answered; what is with the journal may still be decided.
        let _ = timeout(SETTLE_TIMEOUT, shared.admission.until_empty()).await;
    }
    let limit = end.saturating_duration_since(Instant::now()).max(CLOSE_TIMEOUT_MIN);
    let journal = match timeout(limit, shared.journal.close()).await {
        Ok(closed) => closed,
        Err(_) => Err(CloseError { reason: format!("it took longer than {limit:?}").into() }),
    };
    // Its last acknowledgements may still be with the releaser.
    for _ in 0..10 {
        if shared.admission.count() == 0 {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    ShutdownReport { unanswered, unanswered_by_aggregate: by_aggregate, journal }
}
