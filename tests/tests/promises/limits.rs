//! P14: what is too large has an error of its own for each limit; nothing is stored, nothing applied.

use futures_util::FutureExt;
use onefold::{Aggregate, Config, Error, InvalidId, Limits, TooLarge};

use crate::support::{Add, Do, Happened, No, Seen, World};

fn small() -> Config {
    let limits = Limits {
        id_bytes_max: 8,
        event_bytes_max: 100,
        events_per_commit_max: 4,
        claims_per_commit_max: 8,
        reply_bytes_max: 100,
        commit_bytes_max: 300,
        metadata_bytes_max: 200,
    };
    Config { limits, ..Config::default() }
}

/// Decides on `count` events with so many bytes each.
fn filled(count: usize, bytes: usize) -> Do<Seen> {
    Do::new(move |tally, _| {
        async move {
            let events = (0..count).map(|_| Happened::Filled { filler: "x".repeat(bytes) });
            Ok(tally.emit_all(events).reply(|tally| Seen::at(tally.count, tally.sum)))
        }
        .boxed()
    })
}

/// Expects `TooLarge`, and that the aggregate is as it was.
async fn refused(world: &World, ask: onefold::Ask<crate::support::Tally, Do<Seen>>) -> TooLarge {
    let error = ask.await.unwrap_err();
    let Error::TooLarge { version, what, .. } = &error else { panic!("{error}") };
    assert!(!error.is_retry_safe() && error.is_surely_not_stored());
    assert_eq!(version.get(), 1);
    assert_eq!(world.tallies.read("a", |tally| tally.count).await, Ok(1));
    assert_eq!(world.journal.durable().borrow().position.get(), 1, "something was stored");
    *what
}

/// Events, number of events, commit and metadata, each beyond its limit.
#[tokio::test(start_paused = true)]
async fn each_limit_has_its_own_error() {
    let world = World::with(small()).await;
    let tallies = &world.tallies;
    tallies.ask("a", Add(1)).await.unwrap();
    let event = refused(&world, tallies.ask("a", filled(1, 101))).await;
    assert_eq!(event, TooLarge::Event { event: "tally.filled", limit: 100 });
    let events = refused(&world, tallies.ask("a", filled(5, 1))).await;
    assert_eq!(events, TooLarge::EventsPerCommit { actual: 5, limit: 4 });
    let commit = refused(&world, tallies.ask("a", filled(4, 90))).await;
    assert!(matches!(commit, TooLarge::Commit { limit: 300, .. }), "{commit}");
    let metadata = refused(&world, tallies.ask("a", filled(1, 1)).metadata("note", "x".repeat(200))).await;
    assert!(matches!(metadata, TooLarge::Metadata { limit: 200, .. }), "{metadata}");
    assert_eq!(tallies.ask("a", filled(2, 90)).await, Ok(Seen::at(3, 1)), "at the limit it is taken");
    assert_eq!(world.runtime.stats().activations, 1, "too large is no reason to rebuild");
    world.end().await;
}

/// The events and the metadata together make the commit.
#[tokio::test(start_paused = true)]
async fn metadata_counts_towards_the_commit() {
    let world = World::with(small()).await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    let both = refused(&world, world.tallies.ask("a", filled(2, 90)).metadata("note", "x".repeat(120))).await;
    assert!(matches!(both, TooLarge::Commit { limit: 300, .. }), "{both}");
    world.end().await;
}

/// An id that is too long, empty, or holds control characters never makes it to an aggregate.
#[tokio::test(start_paused = true)]
async fn invalid_ids_are_refused_before_anything_is_spent_on_them() {
    let world = World::with(small()).await;
    for (id, expected) in
        [("123456789", "may have 8 bytes, this one has 9"), ("", "must not be empty"), ("a\nb", "control characters")]
    {
        let refused: [Error<No>; 2] =
            [world.tallies.ask(id, Add(1)).await.unwrap_err(), world.tallies.version(id).await.unwrap_err()];
        for error in refused {
            assert!(matches!(error, Error::InvalidId(_)), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!error.is_retry_safe());
        }
    }
    assert!(matches!(world.tallies.events("", 0).map(drop), Err(InvalidId::Empty)));
    assert!(matches!(world.tallies.lift_quarantine(""), Err(InvalidId::Empty)));
    assert_eq!(world.runtime.stats().resident, 0);
    world.end().await;
}

/// The defaults are those of the documentation: 255 bytes of id, 1 MiB of event.
#[tokio::test(start_paused = true)]
async fn default_limits_are_as_documented() {
    let world = World::start().await;
    let id = "i".repeat(255);
    assert!(world.tallies.ask(&id, Add(1)).await.is_ok());
    assert!(matches!(world.tallies.ask(id + "i", Add(1)).await, Err(Error::InvalidId(_))));
    let refused = world.tallies.ask("a", filled(1, 1024 * 1024)).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { what: TooLarge::Event { limit: 1_048_576, .. }, .. }), "{refused}");
    assert!(world.tallies.ask("a", filled(1, 1024 * 1024 - 16)).await.is_ok());
    assert!(world.tallies.ask("b", filled(1024, 1)).await.is_ok());
    let refused = world.tallies.ask("b", filled(1025, 1)).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { what: TooLarge::EventsPerCommit { limit: 1024, .. }, .. }));
    let refused = world.tallies.ask("b", filled(5, 1_000_000)).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { what: TooLarge::Commit { limit: 4_194_304, .. }, .. }), "{refused}");
    world.end().await;
}
