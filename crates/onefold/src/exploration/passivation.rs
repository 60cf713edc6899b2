//! The sweeper meets callers: a closed slot's successor, and an actor that goes while its instance stays.

use super::count::{Increase, Then};
use super::explore;
use super::world::{Setting, join, spawn};
use crate::error::Error;

#[test]
fn two_callers_and_a_passivation_lose_nothing() {
    explore(Setting::WIDE, |world| {
        let callers = [0, 1].map(|pauses| spawn(world, move |world| [world.ask("a", pauses), world.ask("a", 0)]));
        let sweeper = spawn(world, |world| (world.passivate(), world.passivate()));
        let answers = callers.map(join);
        join(sweeper);
        let mut seen: Vec<u64> = answers.into_iter().flatten().map(|answer| answer.expect("increased")).collect();
        seen.sort_unstable();
        assert_eq!((seen, world.stored("a")), (vec![1, 2, 3, 4], 4), "each ran once, on what those before it left");
        assert!(!world.was_opened_early(), "what was in flight was decided before the slot closed");
    });
}

/// Three callers find the closed slot at once, and one of them makes its successor.
#[test]
fn closed_slot_has_one_successor() {
    explore(Setting::WIDE, |world| {
        world.ask("a", 0).expect("increased");
        let sweeper = spawn(world, |world| world.passivate());
        let callers = [0, 1, 0].map(|pauses| spawn(world, move |world| world.ask("a", pauses)));
        join(sweeper);
        let mut seen = callers.map(|caller| join(caller).expect("increased"));
        seen.sort_unstable();
        assert_eq!((seen, world.stored("a")), ([2, 3, 4], 4));
    });
}

#[test]
fn actor_that_dozes_misses_no_arrival() {
    explore(Setting::WIDE, |world| {
        let callers = [0, 1].map(|pauses| spawn(world, move |world| [world.ask("a", pauses), world.ask("a", pauses)]));
        let sweeper = spawn(world, |world| (0..3).for_each(|_| world.let_doze()));
        let answers = callers.map(join);
        join(sweeper);
        let mut seen: Vec<u64> = answers.into_iter().flatten().map(|answer| answer.expect("increased")).collect();
        seen.sort_unstable();
        assert_eq!((seen, world.stored("a")), (vec![1, 2, 3, 4], 4));
    });
}

/// Its instance rests without an actor: whoever lets it go must do what the actor would have done.
#[test]
fn instance_without_an_actor_is_let_go_or_used() {
    explore(Setting::WIDE, |world| {
        world.ask("a", 0).expect("increased");
        world.let_doze();
        let sweeper = spawn(world, |world| world.passivate());
        let callers = [0, 1].map(|pauses| spawn(world, move |world| world.ask("a", pauses)));
        join(sweeper);
        let mut seen = callers.map(|caller| join(caller).expect("increased"));
        seen.sort_unstable();
        assert_eq!((seen, world.stored("a")), ([2, 3], 3));
        assert!(!world.was_opened_early());
    });
}

/// A call that its caller may not run itself is queued, and somebody must come for it.
#[test]
fn call_that_is_queued_brings_an_actor_back() {
    explore(Setting::WIDE, |world| {
        world.ask("a", 0).expect("increased");
        world.let_doze();
        let increase = Increase { pauses: 0, then: Then::Decide };
        let late = spawn(world, move |world| world.ask_too_late("a", increase));
        let other = spawn(world, |world| world.ask("a", 0));
        assert!(matches!(join(late), Err(Error::NotStored(_))));
        assert_eq!(join(other).expect("increased"), 2);
    });
}

/// Places change when somebody in the middle of the list goes: each gives back its own all the same.
#[test]
fn those_who_go_at_once_give_back_their_own_places() {
    explore(Setting::WIDE, |world| {
        let ids = ["a", "b", "c"];
        for id in ids {
            world.ask(id, 0).expect("increased");
        }
        let sweepers = [0, 1].map(|_| spawn(world, |world| world.passivate()));
        let callers = ids.map(|id| spawn(world, move |world| world.ask(id, 0).expect("increased")));
        sweepers.into_iter().for_each(join);
        assert_eq!(callers.map(join), [2, 2, 2]);
    });
}
