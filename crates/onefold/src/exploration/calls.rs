//! Callers: who runs, who waits, who leaves, and in which order.

use super::count::{Increase, Then};
use super::explore;
use super::world::{Answer, Setting, join, spawn};
use crate::error::Error;

const AT_ONCE: Increase = Increase { pauses: 0, then: Then::Decide };
const LATER: Increase = Increase { pauses: 2, then: Then::Decide };

/// The counts that were answered, in order.
fn counts(answers: impl IntoIterator<Item = Answer>) -> Vec<u64> {
    let mut counts: Vec<u64> = answers.into_iter().map(|answer| answer.expect("increased")).collect();
    counts.sort_unstable();
    counts
}

#[test]
fn run_that_is_not_ready_is_handed_over_once() {
    explore(Setting::WIDE, |world| {
        let callers = [2, 1, 0].map(|pauses| spawn(world, move |world| world.ask("a", pauses)));
        let seen = counts(callers.map(join));
        assert_eq!(
            (seen, world.stored("a"), world.begun()),
            (vec![1, 2, 3], 3, 3),
            "each ran once, on what was before"
        );
    });
}

#[test]
fn calls_of_one_caller_run_in_their_order() {
    explore(Setting::WIDE, |world| {
        let several = spawn(world, |world| world.ask_at_once("a", [AT_ONCE, LATER, AT_ONCE]));
        let other = spawn(world, |world| world.ask("a", 0));
        let (several, other) = (join(several).map(|answer| answer.expect("increased")), join(other));
        assert!(several.is_sorted(), "{several:?}: admitted in this order");
        assert_eq!(counts(several.map(Ok).into_iter().chain([other])), [1, 2, 3, 4]);
    });
}

#[test]
fn read_shows_what_is_durable_and_nothing_older_than_what_was_answered() {
    explore(Setting::WIDE, |world| {
        let writer = spawn(world, |world| counts([world.ask("a", 0), world.ask("a", 1)]));
        let reader = spawn(world, |world| [world.read("a"), world.read("a")].map(|read| read.expect("read")));
        let (written, read) = (join(writer), join(reader));
        assert!(written == [1, 2] && read.is_sorted(), "{written:?} {read:?}");
        assert_eq!(world.read("a").expect("read"), 2);
    });
}

#[test]
fn cancelled_call_runs_whole_or_not_at_all() {
    explore(Setting::WIDE, |world| {
        let stays = spawn(world, |world| world.ask("a", 1));
        let leaves = [1, 2].map(|polls| spawn(world, move |world| world.ask_and_leave("a", LATER, polls)));
        let passivation = spawn(world, |world| world.passivate());
        let seen = join(stays).expect("increased");
        let answered = leaves.map(join).into_iter().flatten().count();
        join(passivation);
        world.wait_until_quiet();
        let (begun, stored) = (world.begun(), world.stored("a"));
        assert_eq!(begun, stored, "what began was stored");
        assert!(
            (1..=3).contains(&stored) && seen <= stored && answered < stored as usize,
            "{seen} {stored} {answered}"
        );
    });
}

/// A full journal hands appends back. The run waits then, and nobody runs meanwhile.
#[test]
fn full_journal_changes_nothing_but_the_time() {
    explore(Setting { appends_max: 1, ..Setting::WIDE }, |world| {
        let several = spawn(world, |world| world.ask_at_once("a", [AT_ONCE, AT_ONCE, AT_ONCE]));
        let other = spawn(world, |world| world.ask("a", 0));
        let (several, other) = (join(several).map(|answer| answer.expect("increased")), join(other));
        assert!(several.is_sorted(), "{several:?}: admitted in this order");
        assert_eq!(counts(several.map(Ok).into_iter().chain([other])), [1, 2, 3, 4]);
    });
}

#[test]
fn deadline_tells_what_became_of_the_call() {
    explore(Setting::WIDE, |world| {
        let hurried =
            [AT_ONCE, LATER].map(|increase| spawn(world, move |world| world.ask_within_a_second("a", increase)));
        let patient = spawn(world, |world| world.ask("a", 1));
        let clock = spawn(world, |world| world.let_time_pass());
        join(clock);
        let mut stored = u64::from(join(patient).is_ok());
        assert_eq!(stored, 1, "its deadline is far away");
        for answer in hurried.map(join) {
            match answer {
                // The journal takes everything, only late: what was on its way to it is stored.
                Ok(_) | Err(Error::OutcomeUnknown(_)) => stored += 1,
                Err(Error::NotStored(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        world.wait_until_quiet();
        assert_eq!(world.stored("a"), stored);
    });
}
