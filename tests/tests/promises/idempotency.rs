//! P8: the same idempotency key gives the original reply and never a second effect.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use onefold::journal::Journal;
use onefold::{
    Aggregate, Config, Error, ErrorKind, Handle, InvalidKey, Limits, MemoryJournal, NotStoredReason, RetryPolicy,
    StreamVersion,
};
use onefold_testkit::faults::{AppendFault, Gate, When};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::support::{Add, Happened, No, Seen, SlowJournal, Spend, Tally, World, reason, settle};

async fn add(world: &World, key: &str, amount: u64) -> Result<Seen, Error<No>> {
    world.tallies.ask("a", Add(amount)).idempotency_key(key).await
}

/// How many events there are, and their sum.
async fn stored(world: &World) -> (u64, u64) {
    world.tallies.read("a", |tally| (tally.count, tally.sum)).await.unwrap()
}

/// A repeat is answered with the original reply, whatever has happened since, and changes nothing.
#[tokio::test(start_paused = true)]
async fn repeat_gives_the_original_reply_and_has_no_effect() {
    let world = World::start().await;
    assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
    assert_eq!(add(&world, "two", 7).await, Ok(Seen::at(2, 12)));
    for _ in 0..3 {
        assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
        assert_eq!(add(&world, "two", 7).await, Ok(Seen::at(2, 12)));
    }
    assert_eq!(stored(&world).await, (2, 12));
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(3, 13)), "without a key nothing is a repeat");
    world.end().await;
}

/// The key is one of its aggregate: elsewhere it is another one.
#[tokio::test(start_paused = true)]
async fn key_belongs_to_its_aggregate() {
    let world = World::start().await;
    for id in ["a", "b"] {
        assert_eq!(world.tallies.ask(id, Add(5)).idempotency_key("one").await, Ok(Seen::at(1, 5)));
    }
    world.end().await;
}

/// Keys are part of the stream: they are there again after the instance was let go, and after a restart.
#[tokio::test(start_paused = true)]
async fn key_survives_passivation_and_restart() {
    let journal = MemoryJournal::new();
    let config = Config { idle_timeout: Duration::from_secs(1), ..Config::default() };
    let world = World::on(Arc::new(journal.clone()), config.clone()).await;
    assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.runtime.stats().resident, 0);
    assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
    world.end().await;
    journal.reopen();
    let world = World::on(Arc::new(journal), config).await;
    assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
    assert_eq!(stored(&world).await, (1, 5));
    world.end().await;
}

/// What `OutcomeUnknown` leaves open the repeat answers: the command has happened, or it happens now. Once.
#[tokio::test(start_paused = true)]
async fn repeat_after_an_unknown_outcome_happens_once() {
    for fault in [AppendFault::FailAfterWrite, AppendFault::LoseWrite] {
        let (world, faults) = World::faulty(Config::default()).await;
        faults.append(When::nth(1), fault);
        let unknown = add(&world, "one", 5).await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
        assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
        assert_eq!(stored(&world).await, (1, 5));
        world.end().await;
    }
}

/// With a key a retry goes on after an outcome that nobody knows; without one that is what the caller is told.
#[tokio::test(start_paused = true)]
async fn retry_goes_on_after_an_unknown_outcome_with_a_key_only() {
    for fault in [AppendFault::FailAfterWrite, AppendFault::LoseWrite] {
        let (world, faults) = World::faulty(Config::default()).await;
        faults.append(When::nth(1), fault.clone());
        let retried = world.tallies.ask("a", Add(5)).idempotency_key("one").retry(RetryPolicy::default()).await;
        assert_eq!(retried, Ok(Seen::at(1, 5)));
        assert_eq!(stored(&world).await, (1, 5));
        faults.append(When::nth(1), fault);
        let unknown = world.tallies.ask("b", Add(5)).retry(RetryPolicy::default()).await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::OutcomeUnknown);
        world.end().await;
    }
}

/// P2: a repeat of what is on its way to the disk waits for it.
#[tokio::test(start_paused = true)]
async fn repeat_of_a_key_in_flight_waits_behind_the_gate() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    let first = tokio::spawn(world.tallies.ask("a", Add(5)).idempotency_key("one"));
    settle().await;
    let repeats: Vec<_> = (0..3).map(|_| tokio::spawn(world.tallies.ask("a", Add(5)).idempotency_key("one"))).collect();
    settle().await;
    assert!(!first.is_finished() && repeats.iter().all(|repeat| !repeat.is_finished()));
    valve.open();
    assert_eq!(first.await.unwrap(), Ok(Seen::at(1, 5)));
    for repeat in join_all(repeats).await {
        assert_eq!(repeat.unwrap(), Ok(Seen::at(1, 5)));
    }
    assert_eq!(stored(&world).await, (1, 5));
    world.end().await;
}

/// P9: if the first one turns out not to be stored, neither is anything told that depends on it; then it runs anew.
#[tokio::test(start_paused = true)]
async fn repeat_of_a_key_whose_append_fails_is_told_to_try_again() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let before = tokio::spawn(world.tallies.ask("a", Add(1)));
    let first = tokio::spawn(world.tallies.ask("a", Add(5)).idempotency_key("one"));
    settle().await;
    let repeat = tokio::spawn(world.tallies.ask("a", Add(5)).idempotency_key("one"));
    settle().await;
    gate.open();
    assert_eq!(before.await.unwrap(), Ok(Seen::at(1, 1)));
    assert!(first.await.unwrap().unwrap_err().is_retry_safe());
    assert_eq!(reason(repeat.await.unwrap()), NotStoredReason::Superseded);
    assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(2, 6)));
    assert_eq!(stored(&world).await, (2, 6));
    world.end().await;
}

/// The same key with another command is an error, and nothing happens: the amount differs, or only the command's name.
#[tokio::test(start_paused = true)]
async fn same_key_with_another_command_is_refused() {
    let world = World::start().await;
    assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
    let reused =
        |answer: Result<Seen, Error<No>>| matches!(answer, Err(Error::KeyReused { key, .. }) if &*key == "one");
    assert!(reused(add(&world, "one", 6).await));
    assert!(reused(world.tallies.ask("a", Spend(5)).idempotency_key("one").await));
    assert_eq!(stored(&world).await, (1, 5));
    world.end().await;
}

/// Nothing happened at a rejection, so by default the repeat is decided anew; remembered, it is rejected alike.
#[tokio::test(start_paused = true)]
async fn rejection_is_remembered_by_choice() {
    let world = World::start().await;
    let spend = |key: &str| world.tallies.ask("a", Spend(5)).idempotency_key(key);
    assert_eq!(spend("forgotten").await, Err(Error::Rejected(No { sum: 0 })));
    assert_eq!(spend("kept").remember_rejection().await, Err(Error::Rejected(No { sum: 0 })));
    assert_eq!(world.tallies.version("a").await, Ok(StreamVersion::EMPTY), "a remembered rejection is no event");
    assert_eq!(world.tallies.ask("a", Add(100)).await, Ok(Seen::at(1, 100)));
    assert_eq!(spend("kept").remember_rejection().await, Err(Error::Rejected(No { sum: 0 })));
    let untold = spend("kept").await.unwrap_err();
    assert!(matches!(untold, Error::AlreadyDone(_)), "{untold}");
    assert_eq!(spend("forgotten").await, Ok(Seen::at(2, 95)));
    world.end().await;
}

/// A rejection of an aggregate without any event is there after a restart, too.
#[tokio::test(start_paused = true)]
async fn remembered_rejection_survives_a_restart() {
    let journal = MemoryJournal::new();
    for round in 0..3 {
        let world = World::on(Arc::new(journal.clone()), Config::default()).await;
        let answer = world.tallies.ask("a", Spend(5)).idempotency_key("one").remember_rejection().await;
        assert_eq!(answer, Err(Error::Rejected(No { sum: 0 })), "in round {round}");
        world.end().await;
        journal.reopen();
    }
    assert_eq!(journal.durable().borrow().commit.get(), 1, "it was stored once");
}

/// Asks for nothing but an answer.
#[derive(Clone, Copy, Debug, Serialize)]
struct Look;

impl Handle<Look> for Tally {
    type Reply = u64;

    async fn handle(
        &self,
        _: Look,
        _: &onefold::Context<Self>,
    ) -> Result<onefold::Decision<Self, u64>, Self::Rejection> {
        Ok(self.reply(|tally| tally.sum))
    }
}

/// A decision without events is an outcome like any other.
#[tokio::test(start_paused = true)]
async fn decision_without_events_is_remembered() {
    let world = World::start().await;
    assert_eq!(world.tallies.ask("a", Look).idempotency_key("one").await, Ok(0));
    assert_eq!(world.tallies.ask("a", Add(7)).await, Ok(Seen::at(1, 7)));
    assert_eq!(world.tallies.ask("a", Look).idempotency_key("one").await, Ok(0));
    assert_eq!(world.tallies.ask("a", Look).await, Ok(7));
    let events = world.tallies.events("a", 0).unwrap();
    assert_eq!(events.map(|event| event.unwrap().version.get()).collect::<Vec<_>>().await, [1]);
    world.end().await;
}

/// A repeat comes with what the original came with: the version it expected then is long past.
#[tokio::test(start_paused = true)]
async fn repeat_is_no_conflict() {
    let world = World::start().await;
    let first = || world.tallies.ask("a", Add(5)).expect_version(0u64).idempotency_key("one");
    assert_eq!(first().await, Ok(Seen::at(1, 5)));
    assert_eq!(add(&world, "two", 1).await, Ok(Seen::at(2, 6)));
    assert_eq!(first().await, Ok(Seen::at(1, 5)));
    world.end().await;
}

/// Another version of the service: the same command, whose reply has another shape.
mod newer {
    use super::*;

    #[derive(Clone, Copy, Debug, Serialize)]
    pub(super) struct Add(pub(super) u64);

    /// A reply that cannot be read from the old one's bytes.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Told {
        pub(super) text: String,
    }

    impl Handle<Add> for Tally {
        type Reply = Told;

        async fn handle(
            &self,
            Add(amount): Add,
            _: &onefold::Context<Self>,
        ) -> Result<onefold::Decision<Self, Told>, Self::Rejection> {
            Ok(self.emit(Happened::Added { amount }).reply(|tally| Told { text: tally.sum.to_string() }))
        }
    }
}

/// Never a second run, not even if the original reply can't be had any more.
#[tokio::test(start_paused = true)]
async fn reply_that_no_longer_decodes_is_already_done() {
    let world = World::start().await;
    assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
    let done = world.tallies.ask("a", newer::Add(5)).idempotency_key("one").await.unwrap_err();
    let Error::AlreadyDone(already) = &done else { panic!("{done}") };
    assert_eq!((already.stream.as_str(), &*already.key), ("tally/a", "one"));
    assert!(!done.is_retry_safe());
    assert_eq!(stored(&world).await, (1, 5));
    world.end().await;
}

/// A key is forgotten when it is old by number and by time, not before; live and after a replay alike.
#[tokio::test(start_paused = true)]
async fn key_is_forgotten_when_it_is_old_by_number_and_by_time() {
    let config = Config {
        idempotency_keys_min: 2,
        idempotency_retention: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(1_000),
        ..Config::default()
    };
    for passivates in [false, true] {
        let clock = onefold_testkit::ManualClock::at(onefold::Timestamp::from_micros(1_000_000));
        let idle_timeout = Duration::from_secs(if passivates { 1 } else { 1_000 });
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let builder = onefold::Runtime::builder(journal).clock(clock.clone());
        let builder = builder.config(Config { idle_timeout, ..config.clone() });
        let runtime = builder.aggregate::<Tally>(Arc::default()).start().await.unwrap();
        let tallies = runtime.aggregates::<Tally>().unwrap();
        let mut sum = 0;
        for (key, after) in [("one", 0), ("two", 1), ("three", 1), ("four", 1)] {
            clock.advance(Duration::from_secs(after));
            sum += 5;
            assert_eq!(tallies.ask("a", Add(5)).idempotency_key(key).await.unwrap().sum, sum);
            sleep(Duration::from_secs(5)).await;
        }
        let one = || tallies.ask("a", Add(5)).idempotency_key("one");
        assert_eq!(one().await.unwrap().sum, 5, "old by number only");
        clock.advance(Duration::from_secs(100));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(one().await.unwrap().sum, 5, "nothing newer has come since");
        assert_eq!(tallies.ask("a", Add(5)).idempotency_key("five").await.unwrap().sum, 25);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(one().await.unwrap().sum, 30, "forgotten: it runs anew");
        assert_eq!(tallies.ask("a", Add(5)).idempotency_key("five").await.unwrap().sum, 25);
        assert!(runtime.shutdown(Duration::from_secs(1)).await.is_clean());
    }
}

/// P14: the keys of an aggregate have a bound; at it new keys are refused, and none is forgotten early.
#[tokio::test(start_paused = true)]
async fn full_memory_for_keys_refuses_new_ones_and_answers_repeats() {
    let world = World::with(Config { idempotency_bytes_max: 2_000, ..Config::default() }).await;
    let mut last = 0;
    let refused = loop {
        match add(&world, &format!("key {last}"), 1).await {
            Ok(_) => last += 1,
            Err(error) => break error,
        }
        assert!(last < 100, "there is a bound");
    };
    assert!(last > 2, "some fit");
    assert!(matches!(refused, Error::Overloaded { bound: "idempotency_bytes_max", limit: 2_000, .. }), "{refused}");
    for key in 0..last {
        assert_eq!(add(&world, &format!("key {key}"), 1).await, Ok(Seen::at(key + 1, key + 1)));
    }
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(last + 1, last + 1)), "without a key it is not asked");
    world.end().await;
}

/// Bad keys and commands that can't be told apart are refused before anything runs.
#[tokio::test(start_paused = true)]
async fn bad_key_is_named() {
    /// Can't be told from others.
    struct Mute;
    impl Serialize for Mute {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("mute"))
        }
    }
    impl Handle<Mute> for Tally {
        type Reply = ();
        async fn handle(
            &self,
            _: Mute,
            _: &onefold::Context<Self>,
        ) -> Result<onefold::Decision<Self, ()>, Self::Rejection> {
            panic!("must not run")
        }
    }
    let world = World::start().await;
    assert_eq!(add(&world, "", 1).await, Err(Error::InvalidKey(InvalidKey::Empty)));
    let long = add(&world, &"x".repeat(256), 1).await;
    assert_eq!(long, Err(Error::InvalidKey(InvalidKey::TooLong { actual: 256, limit: 255 })));
    assert!(matches!(add(&world, "a\nb", 1).await, Err(Error::InvalidKey(InvalidKey::ControlCharacter { .. }))));
    let mute = world.tallies.ask("a", Mute).idempotency_key("one").await;
    assert_eq!(mute, Err(Error::Unserializable { reason: "mute".to_owned() }));
    assert_eq!(stored(&world).await, (0, 0));
    world.end().await;
}

/// Answers with as much as it is asked for.
#[derive(Clone, Copy, Debug, Serialize)]
struct Boast(usize);

impl Handle<Boast> for Tally {
    type Reply = String;

    async fn handle(
        &self,
        Boast(length): Boast,
        _: &onefold::Context<Self>,
    ) -> Result<onefold::Decision<Self, String>, Self::Rejection> {
        Ok(self.emit(Happened::Added { amount: 1 }).reply(move |_| "x".repeat(length)))
    }
}

/// P11: the reply is known only when the events are applied. One that is too large to be remembered stores nothing, and what
/// was applied is taken back.
#[tokio::test(start_paused = true)]
async fn reply_that_is_too_large_leaves_no_trace() {
    let limits = Limits { reply_bytes_max: 100, ..Limits::default() };
    let world = World::with(Config { limits, ..Config::default() }).await;
    assert_eq!(add(&world, "one", 5).await, Ok(Seen::at(1, 5)));
    let large = world.tallies.ask("a", Boast(1_000)).idempotency_key("two").await;
    assert!(matches!(large, Err(Error::TooLarge { .. })), "{large:?}");
    assert_eq!(stored(&world).await, (1, 5));
    assert_eq!(world.tallies.ask("a", Boast(50)).idempotency_key("two").await.map(|told| told.len()), Ok(50));
    assert_eq!(stored(&world).await, (2, 6));
    world.end().await;
}

/// Many callers, each of whom sends its command until it is answered, over a journal that fails in every way: each command
/// happens once, and every answer to it is the same.
#[tokio::test(start_paused = true)]
async fn whoever_repeats_until_answered_has_one_effect() {
    let (world, faults) = World::faulty(Config { crashes_max: u32::MAX, ..Config::default() }).await;
    for number in (3..400).step_by(7) {
        let kinds = [AppendFault::FailBeforeWrite, AppendFault::FailAfterWrite, AppendFault::LoseWrite];
        faults.append(When::nth(number), kinds[usize::try_from(number).unwrap() % 3].clone());
    }
    let callers = (0..40u64).map(|caller| {
        let tallies = world.tallies.clone();
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for command in 0..5 {
                let key = format!("{caller}/{command}");
                let mut told = 0;
                while told < 2 {
                    let ask = tallies.ask("a", Add(1)).idempotency_key(&key).deadline(Duration::from_secs(5));
                    match ask.await {
                        Ok(seen) => {
                            answers.push((key.clone(), seen));
                            told += 1;
                        }
                        Err(error) => {
                            let again = error.is_retry_safe() || error.kind() == ErrorKind::OutcomeUnknown;
                            assert!(again, "{error}");
                            sleep(Duration::from_millis(caller % 7)).await;
                        }
                    }
                }
            }
            answers
        })
    });
    let answers: Vec<_> = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(stored(&world).await, (200, 200));
    let mut versions: Vec<u64> = answers.chunks(2).map(|pair| pair[0].1.version.get()).collect();
    assert!(answers.chunks(2).all(|pair| pair[0] == pair[1]), "both answers are the same");
    versions.sort_unstable();
    assert!(versions.into_iter().eq(1..=200), "each happened once");
    assert!(world.tallies.events("a", 0).unwrap().count().map(|count| count == 200).await);
    world.end().await;
}
