//! P18: the wall clock never decides order, identity or correctness.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use onefold::{Config, Error, MemoryJournal, Runtime, Timestamp};
use onefold_testkit::ManualClock;

use crate::support::{Add, Do, Seen, Spend, Tally};

/// P18: the clock jumps back and forth between commands; versions, order, ids, quarantines and passivation don't care.
#[tokio::test(start_paused = true)]
async fn clock_that_jumps_backwards_changes_nothing() {
    let clock = ManualClock::at(Timestamp::from_micros(1_000_000_000));
    let config = Config { idle_timeout: Duration::from_secs(1), crashes_max: 1, ..Config::default() };
    let builder = Runtime::builder(MemoryJournal::new()).clock(clock.clone()).config(config);
    let runtime = builder.aggregate::<Tally>(Arc::default()).start().await.unwrap();
    let tallies = runtime.aggregates::<Tally>().unwrap();
    for (version, micros) in (1..).zip([900_000_000, 1, 0, u64::MAX, 5, 1_000_000_000]) {
        clock.set(Timestamp::from_micros(micros));
        assert_eq!(tallies.ask("a", Add(1)).await, Ok(Seen::at(version, version)));
        assert!(matches!(tallies.ask("a", Spend(100)).await, Err(Error::Rejected(_))));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(runtime.stats().resident, 0, "let go by idle time, not by the clock on the wall");
    }
    clock.set(Timestamp::from_micros(u64::MAX));
    tallies.ask("b", Do::<()>::new(|_, _| panic!("on purpose"))).await.unwrap_err();
    clock.set(Timestamp::from_micros(0));
    assert!(matches!(tallies.ask("b", Add(1)).await, Err(Error::Quarantined(_))));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(tallies.ask("b", Add(1)).await, Ok(Seen::at(1, 1)), "the quarantine ends in its own time");
    let events: Vec<_> = tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    let times: Vec<_> = events.iter().map(|event| event.metadata.timestamp.as_micros()).collect();
    assert_eq!(times, [900_000_000, 1, 0, u64::MAX, 5, 1_000_000_000], "told as it was, in the order of versions");
    assert!(runtime.shutdown(Duration::from_secs(1)).await.is_clean());
}
