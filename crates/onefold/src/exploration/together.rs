//! Several aggregates that decide together, and what waits behind a fence.

use super::count::{Increase, Then};
use super::explore;
use super::journal::Fault;
use super::world::{Setting, join, spawn};
use crate::error::{Error, ErrorKind};

const AT_ONCE: Increase = Increase { pauses: 0, then: Then::Decide };
const LATER: Increase = Increase { pauses: 2, then: Then::Decide };
const CLAIM: Increase = Increase { pauses: 0, then: Then::Claim };
const PANIC: Increase = Increase { pauses: 1, then: Then::Panic };

#[test]
fn opposite_transacts_do_not_wait_for_each_other() {
    explore(Setting::WIDE, |world| {
        let there = spawn(world, |world| world.ask_together(["a", "b"], [AT_ONCE, LATER]));
        let back = spawn(world, |world| world.ask_together(["b", "a"], [AT_ONCE, AT_ONCE]));
        let alone = spawn(world, |world| world.ask("a", 1));
        let (there, back) = (join(there).expect("increased"), join(back).expect("increased"));
        join(alone).expect("increased");
        assert_eq!((world.stored("a"), world.stored("b"), world.begun()), (3, 2, 5));
        assert!(there[1] + back[0] == 3, "{there:?} {back:?}");
    });
}

#[test]
fn transact_is_stored_whole_or_not_at_all() {
    for fault in [Fault::NotStored, Fault::UnknownAndLost, Fault::UnknownAndStored] {
        for at in [1, 2] {
            explore(Setting { fault: Some((at, fault)), ..Setting::WIDE }, move |world| {
                let both = [1, 0].map(|_| spawn(world, |world| world.ask_together(["a", "b"], [LATER, AT_ONCE])));
                let done = both.map(join).into_iter().filter(|counts| counts.is_ok()).count() as u64;
                world.wait_until_quiet();
                let (one, two) = (world.stored("a"), world.stored("b"));
                assert!(one == two && one >= done && one <= 2, "{done} were answered, {one} and {two} are stored");
                assert_eq!((world.read("a").expect("read"), world.read("b").expect("read")), (one, two));
            });
        }
    }
}

#[test]
fn panic_of_one_is_the_failure_of_all() {
    explore(Setting::WIDE, |world| {
        let panicking = spawn(world, |world| world.ask_together(["a", "b"], [AT_ONCE, PANIC]));
        let sound = spawn(world, |world| world.ask_together(["b", "a"], [AT_ONCE, AT_ONCE]));
        let failure = join(panicking).expect_err("a panic");
        assert_eq!((failure.index, failure.error.kind()), (Some(1), ErrorKind::NotStored));
        assert_eq!(join(sound).expect("increased"), [1, 1]);
        assert_eq!((world.stored("a"), world.stored("b")), (1, 1));
    });
}

#[test]
fn caller_of_a_transact_that_leaves_leaves_nothing_half_done() {
    explore(Setting::WIDE, |world| {
        let leaves = [1, 2]
            .map(|polls| spawn(world, move |world| world.ask_together_and_leave(["a", "b"], [LATER, AT_ONCE], polls)));
        let alone = spawn(world, |world| world.ask("b", 1));
        let passivation = spawn(world, |world| world.passivate());
        let done = leaves.map(join).into_iter().filter(|done| *done).count() as u64;
        join(alone).expect("increased");
        join(passivation);
        world.wait_until_quiet();
        let (one, two) = (world.stored("a"), world.stored("b"));
        assert!(one + 1 == two && one >= done && one <= 2, "{done} were answered, {one} and {two} are stored");
    });
}

/// What follows a decision with claims is decided when its outcome is known: it is no matter to it who gets the claim.
#[test]
fn refused_claim_takes_nobody_along() {
    explore(Setting::WIDE, |world| {
        let claims = ["a", "b"].map(|id| spawn(world, move |world| world.ask_for(id, CLAIM)));
        let followers = ["a", "b"].map(|id| spawn(world, move |world| world.ask(id, 0)));
        let claimed = claims.map(join).map(|answer| match answer {
            Ok(_) => 1,
            Err(Error::ClaimTaken { .. }) => 0,
            Err(other) => panic!("{other}"),
        });
        followers.map(join).map(|answer| answer.expect("increased"));
        assert_eq!(claimed[0] + claimed[1], 1, "one of them has it");
        assert_eq!([world.stored("a"), world.stored("b")], claimed.map(|claimed| claimed + 1));
    });
}

/// The end of the runtime, whenever it comes, answers those who wait for each other.
#[test]
fn end_answers_those_who_wait_for_each_other() {
    explore(Setting::WIDE, |world| {
        let both = [["a", "b"], ["b", "a"]]
            .map(|ids| spawn(world, move |world| world.ask_together(ids, [LATER, AT_ONCE]).is_ok()));
        let end = spawn(world, |world| world.end_at_once());
        let done = both.map(join).into_iter().filter(|done| *done).count() as u64;
        join(end);
        world.wait_until_quiet();
        let (one, two) = (world.stored("a"), world.stored("b"));
        assert!(one == two && one >= done, "{done} were answered, {one} and {two} are stored");
    });
}
