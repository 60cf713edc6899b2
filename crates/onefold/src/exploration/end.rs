//! The runtime ends while callers come: everybody is answered, and every slot goes.

use super::count::{Increase, Then};
use super::explore;
use super::world::{Answer, Setting, join, spawn};
use crate::error::{Error, NotStoredReason};

/// Whether it was stored.
fn stored(answer: Answer) -> u64 {
    match answer {
        Ok(_) => 1,
        Err(Error::NotStored(told)) if matches!(told.reason, NotStoredReason::ShuttingDown) => 0,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn end_answers_everybody() {
    explore(Setting::WIDE, |world| {
        let callers = [0, 1, 2].map(|pauses| spawn(world, move |world| world.ask("a", pauses)));
        let end = spawn(world, |world| world.end_at_once());
        let answered: u64 = callers.map(|caller| stored(join(caller))).iter().sum();
        join(end);
        assert_eq!(world.stored("a"), answered);
    });
}

#[test]
fn end_answers_those_in_line_and_frees_their_places() {
    explore(Setting { resident_max: 1, ..Setting::WIDE }, |world| {
        let callers = ["a", "b", "c"].map(|id| spawn(world, move |world| world.ask(id, 0)));
        let end = spawn(world, |world| world.end_at_once());
        let answered: u64 = callers.map(|caller| stored(join(caller))).iter().sum();
        join(end);
        assert_eq!(["a", "b", "c"].map(|id| world.stored(id)).iter().sum::<u64>(), answered);
    });
}

/// Its actor may be on its way out, or away, at that moment.
#[test]
fn end_meets_an_actor_that_dozes() {
    explore(Setting::WIDE, |world| {
        world.ask("a", 0).expect("increased");
        let increase = Increase { pauses: 1, then: Then::Decide };
        let sweeper = spawn(world, |world| world.let_doze());
        let caller = spawn(world, move |world| world.ask_for("a", increase));
        let end = spawn(world, |world| world.end_at_once());
        let answered = 1 + stored(join(caller));
        join(sweeper);
        join(end);
        assert_eq!(world.stored("a"), answered);
    });
}

/// As when tokio ends under the runtime: whoever waits is answered, whatever runs is dropped, and what is with the journal is
/// told as it ends. Who comes later finds a successor, which waits for what was left undecided.
#[test]
fn actor_that_is_cut_off_leaves_nobody_waiting() {
    explore(Setting::WIDE, |world| {
        let callers = [0, 1, 2].map(|pauses| spawn(world, move |world| world.ask("a", pauses)));
        let end = spawn(world, |world| world.cut_off_actors());
        let answered = callers.map(join).into_iter().filter(|answer| match answer {
            Ok(_) => true,
            Err(Error::NotStored(_)) => false,
            Err(other) => panic!("{other}"),
        });
        let answered = answered.count() as u64;
        join(end);
        assert_eq!(world.stored("a"), answered);
        assert_eq!(world.ask("a", 0).expect("its successor"), answered + 1);
    });
}

/// The releaser's task has ended, or is about to: whoever acknowledges tells the caller himself.
#[test]
fn acknowledgements_arrive_without_the_releaser() {
    explore(Setting::WIDE, |world| {
        let callers = [0, 1, 0].map(|pauses| spawn(world, move |world| world.ask("a", pauses)));
        let end = spawn(world, |world| world.close_releaser());
        let mut seen = callers.map(|caller| join(caller).expect("increased"));
        seen.sort_unstable();
        join(end);
        assert_eq!(seen, [1, 2, 3]);
    });
}
