//! `events`, `ids` and `health`: what can be seen besides commands and reads.

use futures_util::{StreamExt, TryStreamExt};
use onefold::journal::{JournalHealth, ReadError};
use onefold::{Config, EventsError, Runtime};
use onefold_testkit::faults::{ReadFault, When};

use crate::support::{Add, Forged, Forger, Happened, World};

/// Events come from any version on, typed, with their numbers.
#[tokio::test(start_paused = true)]
async fn events_begin_after_any_version() {
    let world = World::start().await;
    for amount in 1..=700u64 {
        world.tallies.ask("a", Add(amount)).await.unwrap();
    }
    for after in [0u64, 1, 255, 256, 257, 699, 700, 701, 10_000] {
        let events: Vec<_> = world.tallies.events("a", after).unwrap().try_collect().await.unwrap();
        assert!(events.iter().map(|event| event.version.get()).eq(after + 1..=700), "after {after}");
        let amounts = events.iter().map(|event| event.event.clone());
        assert!(amounts.eq((after + 1..=700).map(|amount| Happened::Added { amount })), "after {after}");
        assert!(events.is_sorted_by(|one, other| one.position < other.position && one.commit < other.commit));
    }
    assert_eq!(world.tallies.events("nobody", 0).unwrap().count().await, 0);
    world.end().await;
}

/// An aggregate is not woken for its events.
#[tokio::test(start_paused = true)]
async fn reading_events_wakes_nobody() {
    let world = World::start().await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    let before = world.runtime.stats();
    assert_eq!(world.tallies.events("a", 0).unwrap().count().await, 1);
    assert_eq!(world.tallies.events("b", 0).unwrap().count().await, 0);
    assert_eq!(world.runtime.stats(), before);
    world.end().await;
}

/// P12: an event that does not decode ends the stream with an error that names it; those before it are handed out.
#[tokio::test(start_paused = true)]
async fn events_end_at_one_that_does_not_decode() {
    let world = World::start().await;
    let forged = [Forged::Added { amount: 1 }, Forged::Unheard, Forged::Added { amount: 2 }];
    World::forge(&world.journal, "a", forged).await;
    let items: Vec<_> = world.tallies.events("a", 0).unwrap().collect().await;
    assert_eq!(items.len(), 2, "nothing is skipped");
    assert_eq!(items[0].as_ref().unwrap().event, Happened::Added { amount: 1 });
    let error = items[1].as_ref().unwrap_err();
    assert!(matches!(error, EventsError::Decode { version, .. } if version.get() == 2), "{error}");
    assert!(error.to_string().starts_with("tally/a at version 2: event \"tally.unheard\""), "{error}");
    let behind: Vec<_> = world.tallies.events("a", 2).unwrap().try_collect().await.unwrap();
    assert_eq!(behind.len(), 1, "passing it is the reader's explicit act");
    world.end().await;
}

/// P12: a journal that fails ends the stream with its error.
#[tokio::test(start_paused = true)]
async fn events_end_at_the_journals_error() {
    let (world, faults) = World::faulty(Config::default()).await;
    for _ in 0..300 {
        world.tallies.ask("a", Add(1)).await.unwrap();
    }
    let error = ReadError::Storage { reason: "scripted".into() };
    faults.read(When::nth(1), ReadFault::FailAfter { items: 1, error });
    let items: Vec<_> = world.tallies.events("a", 0).unwrap().collect().await;
    let (last, good) = items.split_last().unwrap();
    assert!(!good.is_empty() && good.iter().all(Result::is_ok));
    assert!(matches!(last, Err(EventsError::Read { .. })), "{last:?}");
    world.end().await;
}

/// Ids come in order, whatever the number of pages; other types are not among them, nor those without events.
#[tokio::test(start_paused = true)]
async fn ids_come_in_order_over_many_pages() {
    const COUNT: usize = 2 * 1024 + 1;
    let world = World::start().await;
    assert_eq!(world.tallies.ids().count().await, 0);
    for id in 0..COUNT {
        world.tallies.ask(format!("t{:05}", (id * 7_919) % COUNT), Add(1)).await.unwrap();
    }
    world.tallies.version("without events").await.unwrap();
    let ids: Vec<_> = world.tallies.ids().try_collect().await.unwrap();
    assert!(ids.iter().map(ToString::to_string).eq((0..COUNT).map(|id| format!("t{id:05}"))));
    world.end().await;
}

/// Exactly one page, and ids that sort in odd ways.
#[tokio::test(start_paused = true)]
async fn ids_of_exactly_one_page_and_of_odd_letters() {
    let world = World::start().await;
    for id in 0..1_021 {
        world.tallies.ask(format!("t{id:04}"), Add(1)).await.unwrap();
    }
    for odd in [" ", "/", "ü/ü"] {
        world.tallies.ask(odd, Add(1)).await.unwrap();
    }
    let ids: Vec<_> = world.tallies.ids().try_collect().await.unwrap();
    assert_eq!(ids.len(), 1_024);
    assert!(ids.is_sorted());
    world.end().await;
}

/// Health tells of the journal, of the shutdown, and of quarantines.
#[tokio::test(start_paused = true)]
async fn health_tells_what_is_wrong() {
    let (world, faults) = World::faulty(Config::default()).await;
    let health = world.runtime.health();
    assert!(health.is_healthy() && health.accepting && health.quarantined == 0);
    assert_eq!(health.journal, JournalHealth::Healthy);
    faults.poison("scripted");
    let health = world.runtime.health();
    assert!(!health.is_healthy() && health.accepting);
    assert_eq!(health.journal, JournalHealth::Poisoned { reason: "scripted".into() });
}

/// The handle of another type over the same journal sees its own ids only.
#[tokio::test(start_paused = true)]
async fn ids_are_those_of_one_type() {
    let world = World::start().await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    let other = Runtime::builder(world.journal.clone()).aggregate::<Forger>(()).start().await.unwrap();
    let forgers = other.aggregates::<Forger>().unwrap();
    let ids: Vec<_> = forgers.ids().try_collect().await.unwrap();
    assert_eq!(ids.len(), 1, "the forger writes under the same type");
    let runtime =
        Runtime::builder(world.journal.clone()).aggregate::<crate::starting::Idler>(()).start().await.unwrap();
    assert_eq!(runtime.aggregates::<crate::starting::Idler>().unwrap().ids().count().await, 0);
    world.end().await;
}
