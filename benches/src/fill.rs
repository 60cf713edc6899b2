//! Writes a log whose order is known to the last event: straight into the journal, without a runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use onefold::journal::{
    Acknowledge, Acknowledgement, Append, AppendOutcome, AppendPart, EncodedEvents, Journal, Session, record,
    record::EncodedFacts,
};
use onefold::{
    Aggregate, Clock, CodecId, CommandId, CorrelationId, ExpectedVersion, Limits, Metadata, StreamId, SystemClock,
};

use crate::counter::{Counter, CounterEvent};
use crate::entry::Entry;
use crate::ids::Ids;
use crate::rng::Rng;

/// Streams opened at a time.
const OPENED_AT_A_TIME: usize = 256;

/// What was written.
#[derive(Debug)]
pub(crate) struct Filled {
    /// The state each aggregate must come back with, by its number.
    pub(crate) states: Vec<Counter>,
    /// Bytes of all records, as they stand in a log.
    pub(crate) log_bytes: u64,
}

/// Appends one event to each of the aggregates that `order` names, in that order, one commit each.
pub(crate) async fn fill(
    journal: &Arc<dyn Journal>,
    ids: &Ids,
    aggregates: u32,
    order: impl Iterator<Item = u32>,
    event_bytes: u32,
) -> anyhow::Result<Filled> {
    let sessions: Vec<Session> = stream::iter(0..aggregates)
        .map(|aggregate| {
            let stream = StreamId::new(Counter::TYPE, ids.get(aggregate)).expect("our ids are valid");
            let opened = journal.open(&stream);
            async move { opened.await.map(|opened| opened.session) }
        })
        .buffered(OPENED_AT_A_TIME)
        .try_collect()
        .await?;
    let mut filled = Filled { states: vec![Counter::default(); aggregates as usize], log_bytes: 0 };
    let tally = Arc::new(Tally::default());
    let (mut rng, mut submitted) = (Rng::new(1, 0, 0), 0);
    for aggregate in order {
        let state = &mut filled.states[aggregate as usize];
        let entry = Entry::new(state.count + 1, rng.bits(), event_bytes);
        submitted += 1;
        let part = AppendPart {
            session: sessions[aggregate as usize].clone(),
            expected: ExpectedVersion::from(state.count),
            events: EncodedEvents::encode(&[CounterEvent::Added { entry }], CodecId::Bincode, &Limits::default())?,
            claims: Vec::new(),
        };
        state.apply(&CounterEvent::Added { entry });
        let append = Append::new(part, metadata(submitted)?, Acknowledgement::new(tally.clone()));
        filled.log_bytes += record::encoded_len(&append, &EncodedFacts::default()) as u64;
        let mut handed_back = journal.append(append);
        while let Err(append) = handed_back {
            journal.capacity().await;
            handed_back = journal.append(append);
        }
    }
    tally.wait_for(submitted).await?;
    Ok(filled)
}

/// As the runtime writes it.
fn metadata(number: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let metadata = Metadata {
        command_id: CommandId::from_u128(number.into()),
        correlation_id: CorrelationId::from_u128(number.into()),
        timestamp: SystemClock.now(),
        ..Metadata::default()
    };
    metadata.encode(&Limits::default(), &mut bytes).context("metadata without entries")?;
    Ok(bytes)
}

/// Counts acknowledgements.
#[derive(Debug, Default)]
struct Tally {
    stored: AtomicU64,
    failed: AtomicU64,
}

impl Acknowledge for Tally {
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome) {
        let counter = if outcome.is_ok() { &self.stored } else { &self.failed };
        counter.fetch_add(1, Ordering::Release);
    }
}

impl Tally {
    async fn wait_for(&self, submitted: u64) -> anyhow::Result<()> {
        loop {
            let (stored, failed) = (self.stored.load(Ordering::Acquire), self.failed.load(Ordering::Acquire));
            ensure!(failed == 0, "{failed} appends failed while the log was written");
            if stored == submitted {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
