//! More aggregates than places in memory: who stands in line gets in, without a sweeper that looks after it.

use super::count::{Increase, Then};
use super::explore;
use super::journal::Fault;
use super::world::{Setting, join, spawn};
use crate::error::Error;

const ONE_PLACE: Setting = Setting { resident_max: 1, ..Setting::WIDE };

#[test]
fn newcomers_get_the_place_of_whoever_is_idle() {
    explore(ONE_PLACE, |world| {
        let callers = [("a", 0), ("b", 1), ("a", 1), ("c", 0)]
            .map(|(id, pauses)| spawn(world, move |world| world.ask(id, pauses).expect("increased")));
        callers.into_iter().map(join).for_each(drop);
        assert_eq!(["a", "b", "c"].map(|id| world.stored(id)), [2, 1, 1]);
        assert!(!world.was_opened_early());
    });
}

/// A caller runs its own call on an instance without an actor, while others wait for its place.
#[test]
fn newcomers_get_the_place_of_an_instance_without_an_actor() {
    explore(ONE_PLACE, |world| {
        world.ask("a", 0).expect("increased");
        world.let_doze();
        let callers = ["a", "b"].map(|id| spawn(world, move |world| world.ask(id, 0).expect("increased")));
        let sweeper = spawn(world, |world| world.let_doze());
        callers.into_iter().map(join).for_each(drop);
        join(sweeper);
        assert_eq!(["a", "b"].map(|id| world.stored(id)), [2, 1]);
    });
}

/// After a failure there is no instance, and nobody asks for it again. Two may be in flight: the second is waited for.
#[test]
fn newcomer_gets_the_place_of_one_that_failed() {
    explore(Setting { fault: Some((1, Fault::NotStored)), ..ONE_PLACE }, |world| {
        let callers = ["a", "a", "b"].map(|id| spawn(world, move |world| world.ask(id, 0)));
        let failed = callers.map(join).into_iter().filter(Result::is_err).count() as u64;
        let stored = world.stored("a") + world.stored("b");
        assert!(failed >= 1 && stored == 3 - failed, "{failed} {stored}");
    });
}

/// A caller runs its own call, and its append fails before the instance is back at rest: nobody but that caller can tell the
/// actor.
#[test]
fn newcomer_gets_the_place_of_one_that_failed_under_a_caller() {
    explore(Setting { fault: Some((2, Fault::NotStored)), ..ONE_PLACE }, |world| {
        world.ask("a", 0).expect("increased");
        let callers = ["a", "b"].map(|id| spawn(world, move |world| world.ask(id, 0)));
        let failed = callers.map(join).into_iter().filter(Result::is_err).count();
        assert_eq!((failed, world.stored("a") + world.stored("b")), (1, 2));
    });
}

#[test]
fn newcomer_gets_the_place_of_one_that_panicked() {
    explore(ONE_PLACE, |world| {
        let panics = spawn(world, |world| world.ask_for("a", Increase { pauses: 0, then: Then::Panic }));
        let newcomer = spawn(world, |world| world.ask("b", 0));
        assert!(join(panics).is_err());
        assert_eq!(join(newcomer).expect("increased"), 1);
    });
}

/// Its caller has left while it stood in line, or while it was brought back: nobody needs its place any more.
#[test]
fn newcomer_whose_caller_left_passes_its_place_on() {
    explore(ONE_PLACE, |world| {
        let stays = spawn(world, |world| world.ask("a", 1));
        let increase = Increase { pauses: 0, then: Then::Decide };
        let leaves = spawn(world, move |world| drop(world.ask_and_leave("b", increase, 1)));
        let newcomer = spawn(world, |world| world.ask("c", 0));
        assert_eq!((join(stays).expect("increased"), join(newcomer).expect("increased")), (1, 1));
        join(leaves);
    });
}

/// Who finds the line full, and whoever joined the same slot meanwhile, is told so.
#[test]
fn everybody_hears_that_the_line_is_full() {
    explore(Setting { residency_line_max: 0, ..ONE_PLACE }, |world| {
        let first = spawn(world, |world| world.ask("a", 1));
        let others = [0, 1].map(|pauses| spawn(world, move |world| world.ask("b", pauses)));
        let answers = [join(first)].into_iter().chain(others.map(join));
        let told = answers.map(|answer| match answer {
            Ok(_) => 1,
            Err(Error::Overloaded { bound: "residency_line_max", .. }) => 0,
            Err(other) => panic!("{other}"),
        });
        assert_eq!(told.sum::<u64>(), world.stored("a") + world.stored("b"));
    });
}
