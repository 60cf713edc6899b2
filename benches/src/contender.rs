//! The runtime on one of its journals, as something to put under load. Every operation goes through `ask` or `read`, with
//! the bounds that users have.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::ensure;
use onefold::{Aggregates, Ask, Config, Error, ReadState, Runtime, RuntimeStats};

use crate::counter::{Add, Counter};
use crate::footprint;
use crate::ids::Ids;
use crate::options::JournalKind;
use crate::store::{Store, StoreOptions, Written};
use crate::target::{Outcome, Target};
use crate::workload::{Operation, OperationKind};

/// How long a shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(120);

/// A running runtime and the journal under it.
pub(crate) struct Contender {
    options: StoreOptions,
    store: Store,
    runtime: Runtime,
}

impl Contender {
    /// Opens the journal and starts the runtime.
    pub(crate) async fn start(options: StoreOptions, config: Config) -> anyhow::Result<Self> {
        let store = options.open()?;
        let runtime = start(&store, config).await?;
        Ok(Contender { options, store, runtime })
    }

    /// What clients send their operations to.
    pub(crate) fn target(&self, ids: &Ids, event_bytes: u32) -> anyhow::Result<ContenderTarget> {
        Ok(ContenderTarget { aggregates: self.aggregates()?, ids: ids.clone(), event_bytes, keys: false })
    }

    /// The runtime's handle to the aggregates.
    pub(crate) fn aggregates(&self) -> anyhow::Result<Aggregates<Counter>> {
        Ok(self.runtime.aggregates()?)
    }

    /// The journal, for a second runtime on it.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The runtime's counters.
    pub(crate) fn stats(&self) -> RuntimeStats {
        self.runtime.stats()
    }

    /// The journal's counters.
    pub(crate) fn written(&self) -> Option<Written> {
        self.store.written()
    }

    /// Shuts down cleanly. What comes back is closed: reopen it.
    pub(crate) async fn stop(self) -> anyhow::Result<Stopped> {
        let report = self.runtime.shutdown(SHUTDOWN).await;
        ensure!(report.is_clean(), "the shutdown was not clean: {report:?}");
        Ok(Stopped { options: self.options, store: self.store })
    }
}

/// Starts a runtime with the aggregate under load on a journal.
pub(crate) async fn start(store: &Store, config: Config) -> anyhow::Result<Runtime> {
    Ok(Runtime::builder(store.journal()).config(config).aggregate::<Counter>(()).start().await?)
}

/// A closed journal.
pub(crate) struct Stopped {
    options: StoreOptions,
    store: Store,
}

impl Stopped {
    /// What the journal occupies on disk; `None` of one that has no disk.
    pub(crate) fn disk_bytes(&self) -> anyhow::Result<Option<u64>> {
        let on_disk = self.options.kind == JournalKind::Sled;
        on_disk.then(|| footprint::disk_bytes(&self.options.directory)).transpose()
    }

    /// Opens the journal again, from what is on disk.
    pub(crate) fn reopen(self) -> anyhow::Result<Store> {
        self.store.reopen(&self.options)
    }
}

/// One client's end.
#[derive(Clone)]
pub(crate) struct ContenderTarget {
    aggregates: Aggregates<Counter>,
    ids: Ids,
    event_bytes: u32,
    keys: bool,
}

impl ContenderTarget {
    /// Gives each command an idempotency key of its own, or none.
    pub(crate) fn with_keys(self, keys: bool) -> Self {
        ContenderTarget { keys, ..self }
    }
}

impl Target for ContenderTarget {
    fn call(&self, operation: Operation) -> impl Future<Output = Outcome> + Send + use<> {
        let id = self.ids.get(operation.aggregate);
        let call = match operation.kind {
            OperationKind::Write { nonce } => {
                let ask = self.aggregates.ask(id, Add { nonce, event_bytes: self.event_bytes });
                Call::Write(if self.keys { ask.idempotency_key(text(&hex(nonce))) } else { ask })
            }
            OperationKind::Read => Call::Read(self.aggregates.read(id, |counter| counter.count)),
        };
        async move {
            let answer = match call {
                Call::Write(ask) => ask.await.map(|sequence| Outcome::Written { sequence }),
                Call::Read(read) => read.await.map(|_| Outcome::Read),
            };
            answer.unwrap_or_else(failure)
        }
    }
}

/// A key for a command. Clients have theirs at hand, so what it takes to write one down here is not to be measured.
fn hex(nonce: u64) -> [u8; 16] {
    std::array::from_fn(|index| {
        let digit = nonce >> (60 - 4 * index) & 0xF;
        b"0123456789abcdef"[usize::try_from(digit).unwrap_or(0)]
    })
}

fn text(key: &[u8; 16]) -> &str {
    std::str::from_utf8(key).unwrap_or_default()
}

/// What an error means to the ledger.
pub(crate) fn failure(error: Error<Infallible>) -> Outcome {
    match error {
        Error::OutcomeUnknown(_) => Outcome::Unknown(error.to_string()),
        Error::Overloaded { bound, .. } => Outcome::Overloaded { bound },
        _ => Outcome::Failed(error.to_string()),
    }
}

/// What is awaited.
enum Call {
    Write(Ask<Counter, Add>),
    Read(ReadState<Counter, u64>),
}
