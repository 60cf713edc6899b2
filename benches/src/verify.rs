//! Does the reopened journal hold exactly what was acknowledged?
//!
//! Two ways through the journal, because either could be wrong alone: the whole log in global order, event by event,
//! which finds what is missing, doubled, changed or should not be there; then a sample of aggregates brought back by the
//! runtime, as a service would.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use onefold::journal::{FeedItem, Journal, RecordedPart};
use onefold::{Aggregate, Aggregates, Checkpoint, Config, StreamId};

use crate::contender;
use crate::counter::{Counter, CounterEvent};
use crate::ids::Ids;
use crate::ledger::{Account, Ledger};
use crate::store::Store;

/// Aggregates brought back by the runtime, evenly spread over all.
const REPLAYED_MAX: u32 = 10_000;

/// Of these at a time.
const REPLAYED_AT_A_TIME: usize = 256;

/// What was found.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Events in the journal.
    pub(crate) events: u64,
    /// What does not fit, in words.
    pub(crate) discrepancy: Option<String>,
}

/// Compares a reopened journal with what was acknowledged. Closes the journal.
pub(crate) async fn verify(store: &Store, ledger: &Ledger, event_bytes: u32, ids: &Ids) -> anyhow::Result<Verdict> {
    let mut held = Held::new(ledger.accounts().len(), event_bytes);
    let read = held.read(&store.journal()).await;
    let compared = read.and_then(|()| held.compare(ledger));
    let replayed = match compared {
        Ok(()) => replay(store, &held, ids).await?,
        differs => differs,
    };
    Ok(Verdict { events: held.events, discrepancy: replayed.err() })
}

/// What the journal holds.
struct Held {
    states: Vec<Counter>,
    events: u64,
    event_bytes: u32,
}

impl Held {
    fn new(aggregates: usize, event_bytes: u32) -> Self {
        Held { states: vec![Counter::default(); aggregates], events: 0, event_bytes }
    }

    /// Reads the whole log.
    async fn read(&mut self, journal: &Arc<dyn Journal>) -> Result<(), String> {
        let mut feed = journal.read_all(&Checkpoint::START);
        let mut next_position = 1;
        while let Some(item) = feed.try_next().await.map_err(|error| error.to_string())? {
            let FeedItem::Commit(commit) = item else { return Err("the feed tells of a removal".to_owned()) };
            for (stream, part) in &commit.parts {
                if part.first_position.get() != next_position {
                    return Err(format!("after position {} comes {}", next_position - 1, part.first_position));
                }
                next_position += u64::from(part.event_count);
                self.add(stream, part)?;
            }
        }
        self.events = next_position - 1;
        Ok(())
    }

    fn add(&mut self, stream: &StreamId, part: &RecordedPart) -> Result<(), String> {
        let aggregate = Ids::number(stream.aggregate_id()).filter(|_| stream.aggregate_type() == Counter::TYPE);
        let state = aggregate.and_then(|aggregate| self.states.get_mut(aggregate as usize));
        let state = state.ok_or_else(|| format!("{stream} was never written to"))?;
        for (index, frame) in (0u64..).zip(part.events()) {
            let version = part.first_version.plus(index);
            let frame = frame.ok_or_else(|| format!("{stream} at version {version}: the event does not parse"))?;
            let event: CounterEvent =
                frame.decode().map_err(|error| format!("{stream} at version {version}: {error}"))?;
            let CounterEvent::Added { entry } = &event;
            if version.get() != state.count + 1 || entry.sequence != version.get() {
                let (before, sequence) = (state.count, entry.sequence);
                return Err(format!("{stream}: after version {before} comes {version}, which says it is {sequence}"));
            }
            if frame.payload.len() != self.event_bytes as usize {
                return Err(format!("{stream} at version {version} has {} bytes", frame.payload.len()));
            }
            state.apply(&event);
        }
        Ok(())
    }

    fn compare(&self, ledger: &Ledger) -> Result<(), String> {
        for (aggregate, (state, account)) in self.states.iter().zip(ledger.accounts()).enumerate() {
            compare(state, account).map_err(|differs| format!("aggregate {aggregate}: {differs}"))?;
        }
        Ok(())
    }
}

fn compare(state: &Counter, account: &Account) -> Result<(), String> {
    let Account { acknowledged, unknown, digest } = *account;
    let allowed = u64::from(acknowledged)..=u64::from(acknowledged) + u64::from(unknown);
    if !allowed.contains(&state.count) {
        let count = state.count;
        return Err(format!(
            "the journal holds {count} events, {acknowledged} were acknowledged, {unknown} are unknown"
        ));
    }
    if unknown == 0 && state.digest != digest {
        return Err(format!("the journal holds {acknowledged} events, but not those that were acknowledged"));
    }
    Ok(())
}

/// Brings a sample back and compares its states with what the log holds.
async fn replay(store: &Store, held: &Held, ids: &Ids) -> anyhow::Result<Result<(), String>> {
    let runtime = contender::start(store, Config::default()).await?;
    let aggregates: Aggregates<Counter> = runtime.aggregates()?;
    let all = u32::try_from(held.states.len())?;
    let step = all.div_ceil(REPLAYED_MAX).max(1);
    let replayed = stream::iter((0..all).step_by(step as usize))
        .map(|aggregate| {
            let id = ids.get(aggregate);
            let read = aggregates.read(id, |counter| *counter);
            let expected = held.states[aggregate as usize];
            async move {
                match read.await {
                    Ok(state) if state == expected => Ok(()),
                    Ok(state) => Err(format!("{id} comes back as {state:?}, the log holds {expected:?}")),
                    Err(error) => Err(error.to_string()),
                }
            }
        })
        .buffer_unordered(REPLAYED_AT_A_TIME)
        .try_collect::<()>()
        .await;
    let report = runtime.shutdown(std::time::Duration::from_secs(60)).await;
    Ok(replayed.and_then(|()| if report.is_clean() { Ok(()) } else { Err(format!("{report:?}")) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closed_loop;
    use crate::contender::Contender;
    use crate::entry::Entry;
    use crate::recorder::Recorders;
    use crate::store::StoreOptions;

    /// A journal with some events, written by the runtime, and the ledger of their acknowledgements.
    async fn written() -> (Store, Recorders, Ids) {
        let (ids, recorders) = (Ids::new(10), Arc::new(Recorders::new(2, 10)));
        let contender = Contender::start(StoreOptions::memory(), Config::default()).await.unwrap();
        let target = contender.target(&ids, 80).unwrap();
        for round in 0..3 {
            closed_loop::prefill(&target, 4, 10, round, &recorders).await;
        }
        drop(target);
        let store = contender.stop().await.unwrap().reopen().unwrap();
        (store, Arc::into_inner(recorders).unwrap(), ids)
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_verified() {
        let (store, recorders, ids) = written().await;
        let verdict = verify(&store, &recorders.ledger(), 80, &ids).await.unwrap();
        assert_eq!((verdict.events, verdict.discrepancy), (30, None));
    }

    #[tokio::test]
    async fn a_lost_or_an_invented_event_is_found() {
        let (store, recorders, ids) = written().await;
        let mut more = recorders.ledger();
        more.acknowledged(3, 4, 7);
        let lost = verify(&store, &more, 80, &ids).await.unwrap().discrepancy;
        assert_eq!(
            lost.as_deref(),
            Some("aggregate 3: the journal holds 3 events, 4 were acknowledged, 0 are unknown")
        );
        let invented = verify(&store, &Ledger::new(10), 80, &ids).await.unwrap().discrepancy;
        assert!(
            invented.is_some_and(|discrepancy| discrepancy.starts_with("aggregate 0: the journal holds 3 events, 0"))
        );
        let resized = verify(&store, &recorders.ledger(), 81, &ids).await.unwrap().discrepancy;
        assert!(resized.is_some_and(|discrepancy| discrepancy.ends_with("has 80 bytes")));
    }

    fn account(acknowledged: u32, unknown: u32) -> Account {
        Account { acknowledged, unknown, digest: Entry::digest(1, 7) }
    }

    #[test]
    fn only_what_was_acknowledged_passes() {
        let state = |count| Counter { count, digest: Entry::digest(1, 7) };
        assert_eq!(compare(&state(1), &account(1, 0)), Ok(()));
        assert_eq!(compare(&state(2), &account(1, 1)), Ok(()));
        for (count, account) in [(0, account(1, 0)), (2, account(1, 0)), (3, account(1, 1)), (0, account(1, 5))] {
            assert!(compare(&state(count), &account).is_err(), "{count} {account:?}");
        }
        let other = Counter { count: 1, digest: 0 };
        assert!(compare(&other, &account(1, 0)).is_err_and(|differs| differs.contains("not those")));
    }
}
