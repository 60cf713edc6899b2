//! P8 for keys of every form, and for more of them than are looked at one by one.

use std::sync::Arc;

use onefold::{Config, Error, MemoryJournal};

use crate::support::{Add, Seen, World};

/// More than an aggregate looks through one by one; of some of them more than one piece of memory is full.
const KEYS: u64 = 150;

/// Those that are packed differently, and those that differ in what packing might lose: case, a leading zero, dashes.
fn key(number: u64) -> String {
    match number % 5 {
        0 => format!("order {number}"),
        1 => format!("{number:08x}-10b1-426f-9247-bb680e5fe0c8"),
        2 => format!("{:08X}-10B1-426F-9247-BB680E5FE0C8", number - 1),
        3 => format!("{:08x}10b1426f9247bb680e5fe0c8", number - 2),
        _ => format!("{:09x}10b1426f9247bb680e5fe0c8", number - 3),
    }
}

async fn all_are_repeats(world: &World) {
    for number in 0..KEYS {
        let again = world.tallies.ask("a", Add(number + 1)).idempotency_key(key(number)).await;
        let sum = (number + 1) * (number + 2) / 2;
        assert_eq!(again, Ok(Seen::at(number + 1, sum)), "{}", key(number));
    }
}

/// Each is answered with its own reply, from memory and after a restart; and one that is used for something else is named as it was
/// given.
#[tokio::test(start_paused = true)]
async fn keys_of_every_form_are_told_apart_and_known_again() {
    let journal = MemoryJournal::new();
    let world = World::on(Arc::new(journal.clone()), Config::default()).await;
    for number in 0..KEYS {
        let first = world.tallies.ask("a", Add(number + 1)).idempotency_key(key(number)).await;
        assert_eq!(first.map(|seen| seen.version.get()), Ok(number + 1), "{} is new", key(number));
    }
    all_are_repeats(&world).await;
    world.end().await;
    journal.reopen();
    let world = World::on(Arc::new(journal), Config::default()).await;
    all_are_repeats(&world).await;
    for number in 0..5 {
        let other = world.tallies.ask("a", Add(1_000)).idempotency_key(key(number)).await;
        assert!(matches!(&other, Err(Error::KeyReused { key, .. }) if **key == self::key(number)), "{other:?}");
    }
    assert_eq!(world.tallies.read("a", |tally| tally.count).await, Ok(KEYS));
    world.end().await;
}
