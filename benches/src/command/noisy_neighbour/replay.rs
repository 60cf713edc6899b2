//! Replays a long stream, over and over.
//!
//! Somebody else opens the stream and takes it over. The next command finds that out, is refused, and the state in memory is
//! thrown away; so the next read has to bring it back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use onefold::journal::Journal;
use onefold::{Aggregate, Aggregates, Error, NotStoredReason, StreamId};
use tokio::task::JoinHandle;

use crate::contender::Contender;
use crate::counter::{Add, Counter};

/// How long one replay may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The long stream.
#[derive(Clone)]
pub(super) struct Replayer {
    journal: Arc<dyn Journal>,
    aggregates: Aggregates<Counter>,
    stream: StreamId,
    expected: Counter,
}

impl Replayer {
    /// The stream is brought into memory for the first time.
    pub(super) async fn new(contender: &Contender, id: &str, expected: Counter) -> anyhow::Result<Self> {
        let (journal, aggregates) = (contender.store().journal(), contender.aggregates()?);
        let replayer = Replayer { journal, aggregates, stream: StreamId::new(Counter::TYPE, id)?, expected };
        replayer.read().await?;
        Ok(replayer)
    }

    /// Replays until then, and a little longer: the last replay is finished. Resolves to how many there were.
    pub(super) fn replay_until(&self, end: Instant) -> JoinHandle<anyhow::Result<u64>> {
        let replayer = self.clone();
        tokio::spawn(async move {
            let mut replays = 0;
            while Instant::now() < end {
                replayer.take_over().await?;
                replayer.read().await?;
                replays += 1;
            }
            Ok(replays)
        })
    }

    async fn take_over(&self) -> anyhow::Result<()> {
        self.journal.open(&self.stream).await?;
        let refused = self.aggregates.ask(self.stream.aggregate_id(), Add { nonce: 0, event_bytes: 80 }).await;
        match refused {
            Err(Error::NotStored(error)) if error.reason == NotStoredReason::Superseded => Ok(()),
            other => bail!("the long stream was taken over, but its aggregate answered {other:?}"),
        }
    }

    async fn read(&self) -> anyhow::Result<()> {
        let read = self.aggregates.read(self.stream.aggregate_id(), |counter| *counter);
        let state = read.deadline(PATIENCE).await?;
        ensure!(state == self.expected, "the long stream came back as {state:?}");
        Ok(())
    }
}
