//! Builds a runtime; checks everything that can be checked before the first command.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use onefold_core::journal::Journal;
use onefold_core::{Aggregate, Clock, Event, InvalidId, StreamId, SystemClock};

use super::shared::{KindEntry, Shared};
use super::sweeper;
use super::{End, Runtime};
use crate::aggregate::kind::Kind;
use crate::aggregate::recovery::duplicate_event_name;
use crate::config::{Config, ConfigError};

type Register = Box<dyn FnOnce(&Arc<Shared>) -> KindEntry + Send>;

/// See [`Runtime::builder`].
#[must_use = "a builder does nothing until start()"]
pub struct RuntimeBuilder {
    journal: Arc<dyn Journal>,
    config: Config,
    clock: Arc<dyn Clock>,
    seed: Option<u64>,
    kinds: Vec<Registration>,
}

struct Registration {
    id: TypeId,
    rust_type: &'static str,
    aggregate_type: &'static str,
    invalid_event: Option<&'static str>,
    duplicate_event: Option<&'static str>,
    register: Register,
}

impl RuntimeBuilder {
    pub(super) fn new(journal: impl Journal) -> Self {
        RuntimeBuilder {
            journal: shared(journal),
            config: Config::default(),
            clock: Arc::new(SystemClock),
            seed: None,
            kinds: Vec::new(),
        }
    }

    /// Sets all bounds.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the source of the time of day; for tests and simulations.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Fixes what is otherwise random, for tests and simulations that must repeat exactly: the ids of commands, which
    /// instances are looked at for eviction, and the pauses of retries.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Registers an aggregate type with what its handlers may use.
    pub fn aggregate<A: Aggregate>(mut self, services: A::Services) -> Self {
        self.kinds.push(Registration {
            id: TypeId::of::<A>(),
            rust_type: type_name::<A>(),
            aggregate_type: A::TYPE,
            invalid_event: A::Event::TYPES.iter().find(|kind| !kind.is_valid()).map(|kind| kind.name),
            duplicate_event: duplicate_event_name::<A>(),
            register: Box::new(|shared| {
                let kind = Kind::<A>::new(shared.clone(), services);
                KindEntry { aggregate_type: A::TYPE, typed: kind.clone(), ops: kind }
            }),
        });
        self
    }

    /// Starts the runtime on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the configuration or a registration is wrong, or when there is no tokio runtime, or one without
    /// timers.
    // Async, so that it can only be called where there is a tokio runtime, and so that a journal may need to be asked.
    #[expect(clippy::unused_async, reason = "room for journals that must be asked at start")]
    pub async fn start(self) -> Result<Runtime, StartError> {
        self.config.validate()?;
        let tokio = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoTokio)?;
        // There is no way to ask; the attempt panics.
        std::panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| StartError::NoTimers)?;
        check(&self.kinds)?;
        let shared = Shared::new(self.config, self.journal, self.clock, self.seed, tokio);
        let names = self.kinds.iter().map(|kind| kind.aggregate_type).collect();
        let mut kinds = BTreeMap::new();
        let mut ops = Vec::new();
        for kind in self.kinds {
            let entry = (kind.register)(&shared);
            ops.push(Arc::downgrade(&entry.ops));
            kinds.insert(kind.id, entry);
        }
        let sweeper = sweeper::start(&shared, ops);
        let kinds = Arc::new(kinds);
        let end = End { shared: shared.clone(), kinds: kinds.clone(), is_reached: AtomicBool::new(false) };
        Ok(Runtime { shared, kinds, end: Arc::new(end), names, sweeper })
    }
}

/// A journal that comes in an `Arc<dyn Journal>` is taken as it is; another one on top would cost a look-up per append.
fn shared(journal: impl Journal) -> Arc<dyn Journal> {
    let mut journal = Some(journal);
    let known: &mut dyn Any = &mut journal;
    match known.downcast_mut::<Option<Arc<dyn Journal>>>().and_then(Option::take) {
        Some(shared) => shared,
        None => Arc::new(journal.expect("not taken")),
    }
}

fn check(kinds: &[Registration]) -> Result<(), StartError> {
    for (index, kind) in kinds.iter().enumerate() {
        StreamId::check_type(kind.aggregate_type)
            .map_err(|error| StartError::InvalidType { rust_type: kind.rust_type, error })?;
        let twice = |earlier: &&Registration| earlier.aggregate_type == kind.aggregate_type || earlier.id == kind.id;
        if let Some(earlier) = kinds[..index].iter().find(twice) {
            let (one, other) = (earlier.rust_type, kind.rust_type);
            return Err(StartError::RegisteredTwice { aggregate_type: kind.aggregate_type, one, other });
        }
        if let Some(event) = kind.invalid_event {
            return Err(StartError::InvalidEvent { rust_type: kind.rust_type, event });
        }
        if let Some(event) = kind.duplicate_event {
            return Err(StartError::DuplicateEvent { rust_type: kind.rust_type, event });
        }
    }
    Ok(())
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.aggregate_type).collect();
        f.debug_struct("RuntimeBuilder").field("aggregates", &kinds).finish_non_exhaustive()
    }
}

/// Why a runtime did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A bound makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no tokio runtime here.
    #[error("a onefold runtime starts inside a tokio runtime: call start() from async code that tokio runs")]
    NoTokio,
    /// The tokio runtime has no timers.
    #[error("a onefold runtime needs tokio's timers: build the tokio runtime with enable_time() or enable_all()")]
    NoTimers,
    /// An aggregate type's name breaks the rules.
    #[error("{rust_type}: {error}")]
    InvalidType {
        /// The Rust type.
        rust_type: &'static str,
        /// Which rule.
        error: InvalidId,
    },
    /// Two registrations share a name, or one type is registered twice.
    #[error("aggregate type {aggregate_type:?} is registered twice, by {one} and {other}")]
    RegisteredTwice {
        /// The name.
        aggregate_type: &'static str,
        /// The first Rust type.
        one: &'static str,
        /// The second.
        other: &'static str,
    },
    /// An event's name breaks the rules.
    #[error("{rust_type} declares the event {event:?}: a name has 1 to 128 bytes of a-z, 0-9, '_', '-' and '.'")]
    InvalidEvent {
        /// The Rust type.
        rust_type: &'static str,
        /// The event's name.
        event: &'static str,
    },
    /// Two kinds of event of one aggregate share a name.
    #[error("{rust_type} declares the event {event:?} twice")]
    DuplicateEvent {
        /// The Rust type.
        rust_type: &'static str,
        /// The event's name.
        event: &'static str,
    },
}
