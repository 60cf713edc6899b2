//! Appends that fail, and handlers that panic: the state is thrown away, the queue is not.

use super::count::{Increase, Then};
use super::explore;
use super::journal::Fault;
use super::world::{Answer, Setting, World, join, spawn};
use crate::error::{Error, NotStoredReason};

const FAULTS: [Fault; 3] = [Fault::NotStored, Fault::UnknownAndLost, Fault::UnknownAndStored];

/// Asks, and if that fails, once more: the fault strikes once, and whoever was told of it comes after it.
fn ask_twice(world: &World, increase: Increase) -> [Option<Answer>; 2] {
    let first = world.ask_for("a", increase);
    let second = first.is_err().then(|| world.ask_for("a", increase));
    assert!(second.as_ref().is_none_or(Result::is_ok), "{first:?}, then {second:?}");
    [Some(first), second]
}

/// How many of the answers say stored, and how many perhaps. Nobody was told the same count as another.
fn tally(answers: impl IntoIterator<Item = Answer>) -> (u64, u64) {
    let (mut counts, mut unknown) = (Vec::new(), 0);
    for answer in answers {
        match answer {
            Ok(count) => counts.push(count),
            Err(Error::OutcomeUnknown(_)) => unknown += 1,
            Err(Error::NotStored(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    counts.sort_unstable();
    assert!(counts.windows(2).all(|pair| pair[0] < pair[1]), "{counts:?}");
    (counts.len() as u64, unknown)
}

#[test]
fn failed_append_costs_what_is_in_flight_and_nothing_later() {
    for fault in FAULTS {
        explore(Setting { fault: Some((2, fault)), ..Setting::WIDE }, |world| {
            let callers = [0, 1, 0]
                .map(|pauses| spawn(world, move |world| ask_twice(world, Increase { pauses, then: Then::Decide })));
            let (stored, unknown) = tally(callers.map(join).into_iter().flatten().flatten());
            assert!(
                (stored..=stored + unknown).contains(&world.stored("a")),
                "{stored} {unknown} {}",
                world.stored("a")
            );
            assert!(stored >= 3 && unknown <= 1 && !world.was_opened_early());
        });
    }
}

/// A read that has seen a decision falls with it.
#[test]
fn read_behind_a_failed_append_shows_nothing_of_it() {
    explore(Setting { fault: Some((1, Fault::UnknownAndLost)), ..Setting::WIDE }, |world| {
        let writer = spawn(world, |world| ask_twice(world, Increase { pauses: 0, then: Then::Decide }));
        let reader = spawn(world, |world| [world.read("a"), world.read("a")]);
        join(writer);
        let read: Vec<u64> = join(reader).into_iter().flatten().collect();
        assert!(read.is_sorted() && read.iter().all(|count| *count <= 1), "{read:?}");
        assert_eq!((world.read("a").expect("read"), world.stored("a")), (1, 1));
    });
}

#[test]
fn handler_waits_until_all_before_it_is_durable() {
    explore(Setting::WIDE, |world| {
        let wait = |world: &World| world.ask_for("a", Increase { pauses: 0, then: Then::WaitUntilDurable });
        let callers = [spawn(world, |world| world.ask("a", 0)), spawn(world, wait), spawn(world, wait)];
        let mut seen = callers.map(|caller| join(caller).expect("increased"));
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3]);
    });
}

/// What the handler waits for never comes: it is dropped, and its caller told to try again.
#[test]
fn handler_that_waits_for_a_failed_append_is_dropped() {
    explore(Setting { fault: Some((1, Fault::NotStored)), ..Setting::WIDE }, |world| {
        let decides = spawn(world, |world| ask_twice(world, Increase { pauses: 0, then: Then::Decide }));
        let waits = spawn(world, |world| ask_twice(world, Increase { pauses: 0, then: Then::WaitUntilDurable }));
        let (stored, unknown) = tally([join(decides), join(waits)].into_iter().flatten().flatten());
        assert_eq!((stored, unknown, world.stored("a")), (2, 0, 2));
    });
}

#[test]
fn panic_costs_its_own_call() {
    for pauses in [0, 1] {
        explore(Setting::WIDE, move |world| {
            let panics = spawn(world, move |world| world.ask_for("a", Increase { pauses, then: Then::Panic }));
            let others = [0, 1].map(|pauses| spawn(world, move |world| world.ask("a", pauses)));
            let sweeper = spawn(world, |world| world.passivate());
            let Err(Error::NotStored(told)) = join(panics) else { panic!("it panics") };
            assert!(matches!(told.reason, NotStoredReason::Panicked { .. }), "{told}");
            let mut seen = others.map(|other| join(other).expect("increased"));
            seen.sort_unstable();
            join(sweeper);
            assert_eq!((seen, world.stored("a")), ([1, 2], 2));
            assert!(!world.was_opened_early());
        });
    }
}

/// What waits behind the last panic is answered by the quarantine, and what comes later by the door.
#[test]
fn quarantine_answers_those_who_wait() {
    explore(Setting { crashes_max: 1, ..Setting::WIDE }, |world| {
        let panics = spawn(world, |world| world.ask_for("a", Increase { pauses: 0, then: Then::Panic }));
        let others = [0, 1].map(|pauses| spawn(world, move |world| world.ask("a", pauses)));
        let told = join(panics);
        assert!(matches!(told, Err(Error::NotStored(_))), "{told:?}");
        let stored = others.map(join).into_iter().filter(|answer| match answer {
            Ok(_) => true,
            Err(Error::Quarantined(_)) => false,
            Err(other) => panic!("{other}"),
        });
        assert_eq!(stored.count() as u64, world.stored("a"));
        assert!(matches!(world.ask("a", 0), Err(Error::Quarantined(_))));
    });
}
