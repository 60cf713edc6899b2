//! Metadata: a command's ids, its time, and the caller's own entries, stored with its events and passed on to commands
//! that its handler sends.

use futures_util::{FutureExt, TryStreamExt};
use onefold::{Aggregate, CommandId, CorrelationId, Metadata, Runtime, Timestamp};
use onefold_testkit::ManualClock;

use crate::support::{Add, Do, Happened, Tally, World};

/// The metadata of all events of `id`.
async fn stored(world: &World, id: &str) -> Vec<Metadata> {
    let events: Vec<_> = world.tallies.events(id, 0).unwrap().try_collect().await.unwrap();
    events.into_iter().map(|event| (*event.metadata).clone()).collect()
}

/// What the caller says is stored, and what the handler sees.
#[tokio::test(start_paused = true)]
async fn what_the_caller_says_is_stored_with_the_events() {
    let world = World::start().await;
    let seeing = Do::new(|tally, cx| {
        let seen = cx.metadata().clone();
        async move { Ok(tally.emit(Happened::Added { amount: 1 }).reply(move |_| seen)) }.boxed()
    });
    let ask = world.tallies.ask("a", seeing);
    let ask = ask.correlation(CorrelationId::from_u128(7)).causation(CommandId::from_u128(8));
    let seen = ask.metadata("user", "ann").metadata("user", "bob").metadata("ip", "::1").await.unwrap();
    assert_eq!(seen.correlation_id, CorrelationId::from_u128(7));
    assert_eq!(seen.causation_id, Some(CommandId::from_u128(8)));
    assert_eq!(seen.entries.get("user"), Some("bob"), "the last word counts");
    assert_eq!(seen.entries.len(), 2);
    assert_eq!(stored(&world, "a").await, [seen]);
    world.end().await;
}

/// Every command has an id of its own, and begins a correlation unless it is part of one.
#[tokio::test(start_paused = true)]
async fn command_ids_are_unique_and_begin_a_correlation() {
    let world = World::start().await;
    for _ in 0..100 {
        world.tallies.ask("a", Add(1)).await.unwrap();
    }
    let metadata = stored(&world, "a").await;
    let ids: std::collections::BTreeSet<_> = metadata.iter().map(|metadata| metadata.command_id).collect();
    assert_eq!(ids.len(), 100);
    for metadata in metadata {
        assert_eq!(metadata.correlation_id.as_u128(), metadata.command_id.as_u128());
        assert_eq!(metadata.causation_id, None);
        assert!(metadata.entries.is_empty());
    }
    world.end().await;
}

/// A command sent by a handler carries the correlation, and names its cause; the one after that names the next cause.
#[tokio::test(start_paused = true)]
async fn nested_commands_carry_correlation_and_name_their_cause() {
    let world = World::start().await;
    let innermost = Do::new(|tally, cx| {
        async move {
            let others = cx.services().tallies.get().unwrap();
            others.ask("c", Add(1)).await.unwrap();
            Ok(tally.emit(Happened::Added { amount: 1 }))
        }
        .boxed()
    });
    let outermost = Do::new(|tally, cx| {
        async move {
            tokio::task::yield_now().await;
            let others = cx.services().tallies.get().unwrap();
            others.ask("b", innermost).await.unwrap();
            Ok(tally.emit(Happened::Added { amount: 1 }))
        }
        .boxed()
    });
    let correlation = CorrelationId::from_u128(99);
    world.tallies.ask("a", outermost).correlation(correlation).await.unwrap();
    let [a, b, c] = [stored(&world, "a").await, stored(&world, "b").await, stored(&world, "c").await];
    assert_eq!([a[0].correlation_id, b[0].correlation_id, c[0].correlation_id], [correlation; 3]);
    assert_eq!([a[0].causation_id, b[0].causation_id], [None, Some(a[0].command_id)]);
    assert_eq!(c[0].causation_id, Some(b[0].command_id));
    world.end().await;
}

/// What the caller names inside a handler beats what is inherited; a neighbour's command inherits nothing.
#[tokio::test(start_paused = true)]
async fn named_ids_beat_inherited_ones() {
    let world = World::start().await;
    let naming = Do::new(|tally, cx| {
        async move {
            let others = cx.services().tallies.get().unwrap();
            let own = others.ask("b", Add(1)).correlation(CorrelationId::from_u128(5));
            own.causation(CommandId::from_u128(6)).await.unwrap();
            Ok(tally.emit(Happened::Added { amount: 1 }))
        }
        .boxed()
    });
    world.tallies.ask("a", naming).await.unwrap();
    world.tallies.ask("b", Add(1)).await.unwrap();
    let b = stored(&world, "b").await;
    assert_eq!((b[0].correlation_id, b[0].causation_id), (CorrelationId::from_u128(5), Some(CommandId::from_u128(6))));
    assert_eq!(b[1].causation_id, None, "nothing sticks to the thread");
    world.end().await;
}

/// The time is the clock's, at admission.
#[tokio::test(start_paused = true)]
async fn timestamp_is_the_clocks() {
    let clock = ManualClock::at(Timestamp::from_micros(5_000_000));
    let builder = Runtime::builder(onefold::MemoryJournal::new()).clock(clock.clone());
    let runtime = builder.aggregate::<Tally>(std::sync::Arc::default()).start().await.unwrap();
    let tallies = runtime.aggregates::<Tally>().unwrap();
    let moving = Do::new({
        let clock = clock.clone();
        move |tally, cx| {
            clock.advance(std::time::Duration::from_secs(1));
            let (then, now) = (cx.metadata().timestamp, cx.now());
            async move { Ok(tally.emit(Happened::Added { amount: 1 }).reply(move |_| (then, now))) }.boxed()
        }
    });
    let (then, now) = tallies.ask("a", moving).await.unwrap();
    assert_eq!((then.as_micros(), now.as_micros()), (5_000_000, 6_000_000));
    let events: Vec<_> = tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    assert_eq!(events[0].metadata.timestamp, then);
}
