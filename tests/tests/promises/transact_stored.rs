//! A transact and what it stores: failures of the journal, keys, claims.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use onefold::journal::AppendError;
use onefold::{
    Aggregate, Aggregates, Config, Error, ErrorKind, Limits, MemoryJournal, NotStoredReason, StreamVersion, TooLarge,
    TransactError, transact,
};
use onefold_testkit::faults::{AppendFault, When};

use crate::support::{Add, Do, Happened, No, Random, Seen, SlowJournal, Spend, Tally, World, reason, settle};

async fn sums(world: &World) -> (u64, u64) {
    let sum = |id: &'static str| world.tallies.read(id, |tally| tally.sum);
    (sum("a").await.unwrap(), sum("b").await.unwrap())
}

/// P7, P9: the journal's failure is everybody's: each says what it means, all are rebuilt, and all agree.
#[tokio::test(start_paused = true)]
async fn failing_journal_fails_all_of_it() {
    for (fault, kind, after) in [
        (AppendFault::FailBeforeWrite, ErrorKind::NotStored, (10, 0)),
        (AppendFault::LoseWrite, ErrorKind::OutcomeUnknown, (10, 0)),
        (AppendFault::FailAfterWrite, ErrorKind::OutcomeUnknown, (5, 5)),
    ] {
        let (world, faults) = World::faulty(Config::default()).await;
        world.tallies.ask("a", Add(10)).await.unwrap();
        faults.append(When::nth(1), fault);
        let moved = transact((world.tallies.ask("a", Spend(5)), world.tallies.ask("b", Add(5)))).await;
        assert_eq!(moved.unwrap_err().error.kind(), kind);
        assert_eq!(sums(&world).await, after);
        let again = transact((world.tallies.ask("a", Spend(1)), world.tallies.ask("b", Add(1)))).await.unwrap();
        assert_eq!((again.0.sum, again.1.sum), (after.0 - 1, after.1 + 1));
        world.end().await;
    }
}

/// A journal that stores only commits of one stream says so, and nobody tries again.
#[tokio::test(start_paused = true)]
async fn journal_that_cannot_says_so() {
    let (world, faults) = World::faulty(Config::default()).await;
    let what = "commits of several streams";
    faults.append(When::nth(1), AppendFault::FailBeforeWriteWith(AppendError::Unsupported { what }));
    let TransactError { error, .. } =
        transact((world.tallies.ask("a", Add(1)), world.tallies.ask("b", Add(1)))).await.unwrap_err();
    assert!(!error.is_retry_safe());
    assert_eq!(reason::<()>(Err(error)), NotStoredReason::Unsupported { what });
    assert_eq!(sums(&world).await, (0, 0));
    world.end().await;
}

/// P8: with a key on everybody a repeat gives the original replies, also after a restart, and has no effect.
#[tokio::test(start_paused = true)]
async fn repeat_gives_the_original_replies() {
    let journal = MemoryJournal::new();
    let world = World::on(Arc::new(journal.clone()), Config::default()).await;
    world.tallies.ask("a", Add(10)).await.unwrap();
    let once = |world: &World| {
        let spend = world.tallies.ask("a", Spend(4)).idempotency_key("transfer-1");
        transact((spend, world.tallies.ask("b", Add(4)).idempotency_key("transfer-1")))
    };
    let replies = Ok((Seen::at(2, 6), Seen::at(1, 4)));
    assert_eq!(once(&world).await, replies);
    world.tallies.ask("a", Add(100)).await.unwrap();
    assert_eq!(once(&world).await, replies);
    let other = world.tallies.ask("a", Spend(5)).idempotency_key("transfer-1");
    let reused = transact((world.tallies.ask("b", Add(5)), other)).await.unwrap_err();
    assert_eq!((reused.index, reused.error.kind()), (Some(1), ErrorKind::KeyReused));
    world.end().await;
    journal.reopen();
    let world = World::on(Arc::new(journal), Config::default()).await;
    assert_eq!(once(&world).await, replies);
    assert_eq!(sums(&world).await, (106, 4));
    world.end().await;
}

/// What the keys remember counts as a part of the commit, though it is known only when all have applied: who comes to be too much
/// is told so, nothing is stored, and everybody's state is as it was.
#[tokio::test(start_paused = true)]
async fn keys_count_as_a_part_of_the_commit() {
    let limits = Limits { commit_bytes_max: 450, ..Limits::default() };
    let world = World::with(Config { limits, ..Config::default() }).await;
    let ask = |id: &'static str, key: &str| world.tallies.ask(id, Add(1)).idempotency_key(key);
    let long = "k".repeat(250);
    let TransactError { index, error } = transact((ask("a", &long), ask("b", &long))).await.unwrap_err();
    let Error::TooLarge { stream, version: StreamVersion::EMPTY, what: TooLarge::Commit { actual, limit: 450 } } =
        &error
    else {
        panic!("{error}, of {index:?}")
    };
    assert!(*actual > 500 && ["a", "b"][index.unwrap()] == stream.aggregate_id(), "{error}, of {index:?}");
    assert_eq!(sums(&world).await, (0, 0));
    transact((ask("a", &long), ask("b", "short"))).await.unwrap();
    ask("b", &long).await.unwrap();
    assert_eq!(sums(&world).await, (1, 2));
    world.end().await;
}

/// P8: a key that only some remember: nothing is decided again.
#[tokio::test(start_paused = true)]
async fn key_that_only_some_remember_is_done() {
    let world = World::start().await;
    world.tallies.ask("b", Add(4)).idempotency_key("one").await.unwrap();
    let mixed = transact((
        world.tallies.ask("a", Add(4)).idempotency_key("one"),
        world.tallies.ask("b", Add(4)).idempotency_key("one"),
    ));
    let TransactError { index, error } = mixed.await.unwrap_err();
    assert_eq!((index, error.kind()), (Some(1), ErrorKind::AlreadyDone));
    assert_eq!(sums(&world).await, (0, 4));
    world.end().await;
}

fn register(name: &'static str) -> Do<Seen> {
    Do::new(move |tally: &Tally, _: &_| {
        let decision = tally.emit(Happened::Added { amount: 1 }).claim("username", name);
        let decision = decision.or_reject(|_| No { sum: 404 }).reply(|tally| Seen::at(tally.count, tally.sum));
        async move { Ok(decision) }.boxed()
    })
}

/// Claims are part of it, whoever asks for them; the refusal is that participant's, foreseen or not.
#[tokio::test(start_paused = true)]
async fn claims_land_with_all_of_it() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    for id in ["a", "b", "c", "d"] {
        world.tallies.version(id).await.unwrap();
    }
    let winners = transact((world.tallies.ask("a", register("ann")), world.tallies.ask("b", register("bob"))));
    let winners = tokio::spawn(winners);
    settle().await;
    let losers = transact((world.tallies.ask("c", register("cid")), world.tallies.ask("d", register("bob"))));
    let losers = tokio::spawn(losers);
    settle().await;
    assert_eq!(valve.held(), 2);
    valve.open();
    assert_eq!(winners.await.unwrap(), Ok((Seen::at(1, 1), Seen::at(1, 1))));
    let rejected = || TransactError { index: Some(1), error: Error::Rejected(No { sum: 404 }) };
    assert_eq!(losers.await.unwrap(), Err(rejected()));
    let foreseen = transact((world.tallies.ask("c", register("cid")), world.tallies.ask("d", register("bob")))).await;
    assert_eq!(foreseen, Err(rejected()));
    assert_eq!(world.runtime.claim("username", "cid").await.unwrap(), None);
    assert_eq!(transact([world.tallies.ask("c", register("cid"))]).await, Ok([Seen::at(1, 1)]));
    world.end().await;
}

/// What one gives up another may take, in one commit; and of two that take one claim the second cannot have it.
#[tokio::test(start_paused = true)]
async fn claims_of_all_are_looked_at_together() {
    let world = World::start().await;
    world.tallies.ask("a", register("bob")).await.unwrap();
    let release = Do::new(|tally: &Tally, _: &_| {
        let decision = tally.reply(|tally| Seen::at(tally.count, tally.sum)).release("username", "bob");
        async move { Ok(decision) }.boxed()
    });
    let handed_on = transact((world.tallies.ask("a", release), world.tallies.ask("b", register("bob")))).await;
    assert_eq!(handed_on, Ok((Seen::at(1, 1), Seen::at(1, 1))));
    let holder = world.runtime.claim("username", "bob").await.unwrap().unwrap();
    assert_eq!(holder.stream.aggregate_id(), "b");
    let both = transact([world.tallies.ask("c", register("eve")), world.tallies.ask("d", register("eve"))]).await;
    assert_eq!(both, Err(TransactError { index: Some(1), error: Error::Rejected(No { sum: 404 }) }));
    assert_eq!(world.runtime.claim("username", "eve").await.unwrap(), None);
    assert_eq!(world.runtime.stats().activations, 4, "that costs nobody the instance");
    world.end().await;
}

/// Transfers, plain commands, panics, callers who leave, passivation, on a journal that fails now and then: what is there
/// agrees with what was answered, and the sum over all is what was put in.
#[tokio::test(start_paused = true)]
async fn storm_keeps_the_sum() {
    let seed = 20_261_130;
    let mut random = Random::new(seed);
    let config = Config { idle_timeout: Duration::from_millis(50), crashes_max: u32::MAX, ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    for id in 0..TALLIES {
        world.tallies.ask(format!("t{id}"), Add(1_000)).await.unwrap();
    }
    let mut books = [(1_000_i64, 1_000_i64); TALLIES];
    let mut done = 0;
    for _ in 0..60 {
        match random.below(4) {
            0 => faults.append(When::nth(1 + random.below(8)), AppendFault::FailBeforeWrite),
            1 => faults.append(When::nth(1 + random.below(8)), AppendFault::LoseWrite),
            2 => faults.append(When::nth(1 + random.below(8)), AppendFault::FailAfterWrite),
            _ => (),
        }
        let clients = (0..8).map(|_| tokio::spawn(client(world.tallies.clone(), random.fork())));
        let moved: Vec<Moved> = join_all(clients).await.into_iter().flat_map(|moved| moved.unwrap()).collect();
        // Nothing is overdrawn meanwhile, so what surely left and what perhaps came are the bounds of what is there.
        for Moved { from, to, amount, surely } in &moved {
            done += u64::from(*surely);
            let (from, to, amount) = (*from, *to, i64::try_from(*amount).unwrap());
            books[from].0 -= amount;
            books[to].1 += amount;
            if *surely {
                books[from].1 -= amount;
                books[to].0 += amount;
            }
        }
        let mut sum = 0;
        for (id, (least, most)) in (0..TALLIES).zip(&mut books) {
            let is = world.tallies.read(format!("t{id}"), |tally| i64::try_from(tally.sum).unwrap()).await.unwrap();
            assert!((*least..=*most).contains(&is), "seed {seed}: t{id} has {is}, not {least} to {most}");
            (*least, *most) = (is, is);
            sum += is;
        }
        assert_eq!(sum, 6_000, "seed {seed}");
    }
    assert!(done > 100, "seed {seed}: only {done} were done");
    faults.clear();
    world.end().await;
}

/// A transfer that happened, surely or perhaps.
struct Moved {
    from: usize,
    to: usize,
    amount: u64,
    surely: bool,
}

const TALLIES: usize = 6;

async fn client(tallies: Aggregates<Tally>, mut random: Random) -> Vec<Moved> {
    let mut moved = Vec::new();
    for _ in 0..5 {
        let mut pick = |below: usize| usize::try_from(random.below(below as u64)).unwrap();
        let from = pick(TALLIES);
        let to = (from + 1 + pick(TALLIES - 1)) % TALLIES;
        let (one, two, amount) = (format!("t{from}"), format!("t{to}"), random.below(300));
        let patience = Duration::from_millis(random.below(40));
        let moving = transact((tallies.ask(&one, Spend(amount)), tallies.ask(&two, Add(amount))));
        let answer = match random.below(6) {
            0 => tokio::time::timeout(patience, moving).await.ok(),
            1 => Some(moving.deadline(patience).await),
            2 => Some(transact((tallies.ask(&one, Spend(amount)), tallies.ask(&two, cursed()))).await),
            _ => Some(moving.await),
        };
        match answer {
            Some(Ok(_)) => moved.push(Moved { from, to, amount, surely: true }),
            // Nobody stayed to hear what became of it.
            None => moved.push(Moved { from, to, amount, surely: false }),
            Some(Err(TransactError { error: Error::OutcomeUnknown(_), .. })) => {
                moved.push(Moved { from, to, amount, surely: false });
            }
            Some(Err(_)) => (),
        }
        if random.one_in(8) {
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }
    moved
}

fn cursed() -> Do<Seen> {
    Do::new(|tally: &Tally, _: &_| {
        let decision = tally.emit(Happened::Cursed).reply(|tally| Seen::at(tally.count, tally.sum));
        async move { Ok(decision) }.boxed()
    })
}
