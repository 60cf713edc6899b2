//! P6: panics of an aggregate's code while a caller runs it: answered, attributed, and none reaches the caller's task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use onefold::{Aggregate, Aggregates, Config, Context, Decision, Error, Event, Handle, MemoryJournal, NotStoredReason};
use onefold::{Runtime, StreamVersion};
use serde::{Deserialize, Serialize};

use crate::support::poll_once;

/// Breaks wherever it is told to.
#[derive(Default)]
struct Fragile {
    cracks: u64,
    weight_panics: bool,
    drop_panics: bool,
}

#[derive(Clone, Copy, Debug, Event, Serialize, Deserialize)]
#[event(prefix = "fragile")]
enum Cracked {
    Somewhere,
    AtApply,
    AtWeight,
    AtDrop,
}

impl Aggregate for Fragile {
    const TYPE: &'static str = "fragile";
    type Event = Cracked;
    type Rejection = std::convert::Infallible;
    type Services = ();

    fn apply(&mut self, event: &Cracked) {
        self.cracks += 1;
        match event {
            Cracked::Somewhere => (),
            Cracked::AtApply => panic!("at apply"),
            Cracked::AtWeight => self.weight_panics = true,
            Cracked::AtDrop => self.drop_panics = true,
        }
    }

    fn weight(&self) -> usize {
        assert!(!self.weight_panics, "at weight");
        0
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        if self.drop_panics && !std::thread::panicking() {
            panic!("at drop");
        }
    }
}

/// Panics when it is dropped.
struct Landmine;

impl Drop for Landmine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("stepped on a landmine");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Break {
    Handle,
    HandleWithAMine,
    Apply,
    Reply,
    ReplyAndDrop,
    Weight,
}

impl Handle<Break> for Fragile {
    type Reply = u64;

    async fn handle(&self, command: Break, _: &Context<Self>) -> Result<Decision<Self, u64>, Self::Rejection> {
        Ok(match command {
            Break::Handle => panic!("at handle"),
            Break::HandleWithAMine => std::panic::panic_any(Landmine),
            Break::Apply => self.emit(Cracked::AtApply).reply(|fragile| fragile.cracks),
            Break::Reply => self.emit(Cracked::Somewhere).reply(|_| panic!("at reply")),
            Break::ReplyAndDrop => self.emit(Cracked::AtDrop).reply(|_| panic!("at reply")),
            Break::Weight => self.emit(Cracked::AtWeight).reply(|fragile| fragile.cracks),
        })
    }
}

/// Cracks, and panics when it is dropped unhandled.
struct Mined(Landmine);

impl Handle<Mined> for Fragile {
    type Reply = ();

    async fn handle(&self, command: Mined, _: &Context<Self>) -> Result<Decision<Self, ()>, Self::Rejection> {
        std::mem::forget(command.0);
        Ok(self.emit(Cracked::Somewhere))
    }
}

struct Crack;

impl Handle<Crack> for Fragile {
    type Reply = u64;

    async fn handle(&self, _: Crack, _: &Context<Self>) -> Result<Decision<Self, u64>, Self::Rejection> {
        Ok(self.emit(Cracked::Somewhere).reply(|fragile| fragile.cracks))
    }
}

async fn start() -> (Runtime, Aggregates<Fragile>) {
    let config = Config { crashes_max: u32::MAX, ..Config::default() };
    let builder = Runtime::builder(MemoryJournal::new()).config(config).aggregate::<Fragile>(());
    let runtime = builder.start().await.expect("it starts");
    let fragiles = runtime.aggregates::<Fragile>().expect("registered");
    (runtime, fragiles)
}

/// Runs at the caller, whose own task does not notice a panic; tells where it was attributed to, and the version named.
fn broken<C: Send + 'static>(fragiles: &Aggregates<Fragile>, command: C, version: u64) -> (&'static str, String)
where
    Fragile: Handle<C>,
    <Fragile as Handle<C>>::Reply: std::fmt::Debug,
{
    let mut ask = Box::pin(fragiles.ask("a", command).expect_version(version));
    let polled = catch_unwind(AssertUnwindSafe(|| poll_once(ask.as_mut())));
    let Poll::Ready(answer) = polled.expect("no panic reaches the caller") else {
        panic!("it did not run at its caller")
    };
    match answer.unwrap_err() {
        Error::NotStored(error) => match error.reason {
            NotStoredReason::Panicked { stage, message } => (stage, message),
            other => panic!("expected a panic, got {other}"),
        },
        other => panic!("expected NotStored, got {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn panic_at_a_caller_is_answered_attributed_and_does_not_reach_it() {
    let (runtime, fragiles) = start().await;
    let breaks = [
        (Break::Handle, "handle", "at handle"),
        (Break::HandleWithAMine, "handle", "a value that is no text"),
        (Break::Apply, "apply", "at apply"),
        (Break::Reply, "reply", "at reply"),
        (Break::ReplyAndDrop, "reply", "at reply"),
        (Break::Weight, "weight", "at weight"),
    ];
    for (round, (command, stage, message)) in (1u64..).zip(breaks) {
        assert_eq!(fragiles.ask("a", Crack).await, Ok(round), "before {command:?}");
        assert_eq!(broken(&fragiles, command, round), (stage, message.to_owned()), "{command:?}");
        let look = fragiles.read_with_version("a", |fragile, version| (fragile.cracks, version)).await;
        assert_eq!(look, Ok((round, StreamVersion::new(round))), "after {command:?}");
    }
    assert_eq!(runtime.stats().activations, 7, "each of them was rebuilt, once");
    assert_eq!(runtime.stats().admitted, 0);
    assert!(runtime.shutdown(std::time::Duration::from_secs(1)).await.is_clean());
}

/// P2, P7: found by simulation. A panic in `weight` strikes when the events are applied and not stored, and its error named the
/// version that the state had by then: one that was never reached.
#[tokio::test(start_paused = true)]
async fn panic_names_no_version_that_was_not_reached() {
    let (_runtime, fragiles) = start().await;
    for command in [Break::Handle, Break::Apply, Break::Reply, Break::Weight] {
        assert!(fragiles.ask("a", Crack).await.is_ok());
        let durable = fragiles.version("a").await.unwrap();
        let Err(Error::NotStored(error)) = fragiles.ask("a", command).await else { panic!("{command:?} breaks") };
        assert!(error.version.is_none_or(|version| version == durable), "{command:?} at {durable}: {error}");
    }
}

/// A command that panics when it is dropped because it came with the wrong version: it is the handler's stage that fails.
#[tokio::test(start_paused = true)]
async fn command_that_panics_when_it_conflicts_is_attributed_to_handle() {
    let (runtime, fragiles) = start().await;
    fragiles.ask("a", Crack).await.unwrap();
    let (stage, message) = broken(&fragiles, Mined(Landmine), 1_000);
    assert_eq!((stage, message.as_str()), ("handle", "stepped on a landmine"));
    assert_eq!(fragiles.ask("a", Mined(Landmine)).await, Ok(()));
    assert_eq!(fragiles.ask("a", Crack).await, Ok(3));
    assert!(runtime.shutdown(std::time::Duration::from_secs(1)).await.is_clean());
}

/// P14: a panic's message is bounded, wherever it is shown.
#[tokio::test(start_paused = true)]
async fn long_panic_message_is_cut() {
    use futures_util::FutureExt;
    let world = crate::support::World::start().await;
    let wordy = || crate::support::Do::<()>::new(|_, _| async { panic!("{}", "ä".repeat(100_000)) }.boxed());
    for _ in 0..3 {
        let NotStoredReason::Panicked { message, .. } = crate::support::reason(world.tallies.ask("a", wordy()).await)
        else {
            panic!("expected a panic");
        };
        assert!((1_000..1_100).contains(&message.len()) && message.ends_with("ä…"), "{} bytes", message.len());
    }
    assert!(world.runtime.quarantined()[0].reason.len() < 1_200);
    world.end().await;
}

/// P6: a journal must not panic. Should one do so under a caller, that caller is alone with it.
#[tokio::test(start_paused = true)]
async fn journal_that_panics_at_a_caller_stops_nobody_else() {
    use crate::support::{Add, Seen, SlowJournal, World, settle};
    let (journal, valve) = SlowJournal::new();
    valve.open();
    let world = World::on(std::sync::Arc::new(journal), Config::default()).await;
    world.tallies.version("a").await.unwrap();
    valve.panic_at_next();
    let mut ask = Box::pin(world.tallies.ask("a", Add(1)));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(ask.as_mut()))).is_err());
    drop(ask);
    let started = tokio::time::Instant::now();
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)), "rebuilt, without what was lost");
    assert_eq!(started.elapsed(), std::time::Duration::ZERO);
    settle().await;
    world.end().await;
}
