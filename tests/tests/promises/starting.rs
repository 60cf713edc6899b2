//! Starting a runtime: what can be wrong is said before the first command.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use onefold::{
    Aggregate, CodecError, CodecId, Config, DecodeError, Event, EventType, Limits, MemoryJournal, PayloadWriter,
    Runtime, StartError,
};

use crate::support::{Forger, Tally, World};

/// An event type that does nothing.
#[derive(Clone, Debug)]
pub(crate) struct Idled;

impl Event for Idled {
    const TYPES: &'static [EventType] = &[EventType { name: "idler.idled", revision: 1 }];

    fn event_type(&self) -> EventType {
        Self::TYPES[0]
    }

    fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Idled)
    }
}

macro_rules! idle_aggregate {
    ($name:ident, $kind:expr, $event:ty) => {
        #[derive(Default)]
        pub(crate) struct $name;

        impl Aggregate for $name {
            const TYPE: &'static str = $kind;
            type Event = $event;
            type Rejection = Infallible;
            type Services = ();

            fn apply(&mut self, _: &$event) {}
        }
    };
}

idle_aggregate!(Idler, "idler", Idled);
idle_aggregate!(Nameless, "Not A Name", Idled);
idle_aggregate!(Stutterer, "stutterer", Stuttered);
idle_aggregate!(Babbler, "babbler", Babbled);

/// An event type with a name that may not stand on disk.
#[derive(Clone, Debug)]
pub(crate) struct Babbled;

impl Event for Babbled {
    const TYPES: &'static [EventType] = &[EventType { name: "Babbled, and without end", revision: 1 }];

    fn event_type(&self) -> EventType {
        Self::TYPES[0]
    }

    fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Babbled)
    }
}

/// An event type that declares a name twice.
#[derive(Clone, Debug)]
pub(crate) struct Stuttered;

impl Event for Stuttered {
    const TYPES: &'static [EventType] =
        &[EventType { name: "stutterer.said", revision: 1 }, EventType { name: "stutterer.said", revision: 2 }];

    fn event_type(&self) -> EventType {
        Self::TYPES[0]
    }

    fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Stuttered)
    }
}

fn builder() -> onefold::RuntimeBuilder {
    Runtime::builder(MemoryJournal::new())
}

/// A type that was not registered is named, with what to do.
#[tokio::test]
async fn unregistered_type_is_named() {
    let world = World::start().await;
    let error = world.runtime.aggregates::<Idler>().unwrap_err();
    assert_eq!((error.aggregate_type, error.registered.as_slice()), ("idler", ["tally"].as_slice()));
    let message = error.to_string();
    assert!(message.contains("Idler") && message.contains(".aggregate::<"), "{message}");
    // The forger has the same name on disk and is another type.
    assert!(world.runtime.aggregates::<Forger>().is_err());
    world.end().await;
}

/// Two registrations of one name, or of one type, are refused by name.
#[tokio::test]
async fn registering_twice_is_refused() {
    let twice = builder().aggregate::<Tally>(Arc::default()).aggregate::<Forger>(()).start().await.unwrap_err();
    let StartError::RegisteredTwice { aggregate_type, one, other } = &twice else { panic!("{twice}") };
    assert_eq!(*aggregate_type, "tally");
    assert!(one.contains("Tally") && other.contains("Forger"), "{twice}");
    let twice = builder().aggregate::<Idler>(()).aggregate::<Idler>(()).start().await;
    assert!(matches!(twice, Err(StartError::RegisteredTwice { .. })));
}

/// A bad name, and an event declared twice.
#[tokio::test]
async fn bad_names_are_refused() {
    let nameless = builder().aggregate::<Nameless>(()).start().await.unwrap_err();
    assert!(matches!(nameless, StartError::InvalidType { .. }) && nameless.to_string().contains("Not A Name"));
    let babbler = builder().aggregate::<Babbler>(()).start().await.unwrap_err();
    assert!(matches!(babbler, StartError::InvalidEvent { event: "Babbled, and without end", .. }), "{babbler}");
    let stutterer = builder().aggregate::<Stutterer>(()).start().await.unwrap_err();
    assert!(matches!(stutterer, StartError::DuplicateEvent { event: "stutterer.said", .. }), "{stutterer}");
}

/// Without tokio the error says so.
#[test]
fn start_outside_of_tokio_is_an_error() {
    let started = futures_util::FutureExt::now_or_never(builder().aggregate::<Idler>(()).start()).unwrap();
    assert_eq!(started.unwrap_err(), StartError::NoTokio);
}

/// Without timers, which every deadline needs, the error says so.
#[test]
fn start_without_timers_is_an_error() {
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let started = tokio.block_on(builder().aggregate::<Idler>(()).start()).unwrap_err();
    assert_eq!(started, StartError::NoTimers);
    assert!(started.to_string().contains("enable_time"), "{started}");
}

/// P14: every bound is validated by name.
#[tokio::test]
async fn configuration_is_validated_by_name() {
    let default = Config::default;
    let wrong = [
        ("handler_timeout", Config { handler_timeout: Duration::ZERO, ..default() }),
        ("recovery_timeout", Config { recovery_timeout: Duration::ZERO, ..default() }),
        ("idle_timeout", Config { idle_timeout: Duration::ZERO, ..default() }),
        ("crash_window", Config { crash_window: Duration::ZERO, ..default() }),
        ("quarantine_min", Config { quarantine_min: Duration::ZERO, ..default() }),
        ("recoveries_max", Config { recoveries_max: 0, ..default() }),
        ("residency_line_max", Config { residency_line_max: 0, ..default() }),
        ("admitted_per_aggregate_max", Config { admitted_per_aggregate_max: 0, ..default() }),
        ("turn_commands_max", Config { turn_commands_max: 0, ..default() }),
        ("crashes_max", Config { crashes_max: 0, ..default() }),
        ("crash_records_max", Config { crash_records_max: 0, ..default() }),
        ("admitted_max", Config { admitted_max: 100, admitted_per_aggregate_max: 7, ..default() }),
        ("admitted_max", Config { admitted_max: 1 << 24, ..default() }),
        ("resident_bytes_max", Config { resident_bytes_max: 1, ..default() }),
        (
            "commit_bytes_max",
            Config { limits: Limits { commit_bytes_max: usize::MAX, ..Limits::default() }, ..default() },
        ),
    ];
    for (name, config) in wrong {
        let error = builder().config(config).start().await.unwrap_err();
        assert!(matches!(error, StartError::Config(_)) && error.to_string().contains(name), "{name}: {error}");
    }
}

/// The longest times make sense: they mean for ever.
#[tokio::test(start_paused = true)]
async fn times_without_end_are_for_ever() {
    let forever = Config {
        deadline: Duration::MAX,
        handler_timeout: Duration::MAX,
        recovery_timeout: Duration::MAX,
        idle_timeout: Duration::MAX,
        crash_window: Duration::MAX,
        quarantine_min: Duration::MAX,
        quarantine_max: Duration::MAX,
        crashes_max: 1,
        ..Config::default()
    };
    let world = World::with(forever).await;
    let yielding = crate::support::Do::new(|tally: &Tally, _| {
        futures_util::FutureExt::boxed(async move {
            tokio::task::yield_now().await;
            Ok(tally.reply(|tally| tally.sum))
        })
    });
    assert_eq!(world.tallies.ask("a", yielding).await, Ok(0));
    let panic = crate::support::Do::<()>::new(|_, _| panic!("on purpose"));
    world.tallies.ask("b", panic).await.unwrap_err();
    assert_eq!(world.runtime.quarantined().len(), 1);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert_eq!(world.runtime.stats().resident, 2);
    assert_eq!(world.tallies.lift_quarantine("b"), Ok(true));
    let report = world.runtime.shutdown(Duration::MAX).await;
    assert!(report.is_clean(), "{report:?}");
}

/// A journal may come by value, in an `Arc` of its own type, or in an `Arc<dyn Journal>`, which is not wrapped once more.
#[tokio::test]
async fn journal_may_be_shared() {
    let shared: Arc<dyn onefold::journal::Journal> = Arc::new(MemoryJournal::new());
    let runtime = Runtime::builder(shared.clone()).start().await.unwrap();
    assert!(Arc::ptr_eq(runtime.journal(), &shared));
    assert!(runtime.shutdown(Duration::from_secs(1)).await.is_clean());
    let runtime = Runtime::builder(Arc::new(MemoryJournal::new())).start().await.unwrap();
    assert!(runtime.shutdown(Duration::from_secs(1)).await.is_clean());
}

/// What is behind a rejection is told by the error, as by the rejection itself.
#[test]
fn rejection_tells_its_source() {
    #[derive(Debug, thiserror::Error)]
    #[error("the bank says no")]
    struct Refused(#[from] std::io::Error);
    let error = onefold::Error::Rejected(Refused(std::io::Error::other("no more paper")));
    assert_eq!(error.to_string(), "the bank says no");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no more paper");
}
