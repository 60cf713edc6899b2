//! A caller that finds its aggregate at rest runs its own call, at its first poll. Nothing that is promised may depend on
//! who runs it: the caller, or the actor that a run is handed over to.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use onefold::{Aggregate, Config, Error, NotStoredReason};
use onefold_testkit::faults::{AppendFault, Gate, When};
use parking_lot::Mutex;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Add, Do, Happened, Random, Seen, Spend, World, block_on, endless, poll_once, reason, settle};

/// Adds one after so many yields; counts how often it began and ended.
fn hesitant(yields: u32, counts: &Arc<[AtomicU64; 2]>) -> Do<Seen> {
    let counts = counts.clone();
    Do::new(move |tally, _| {
        async move {
            counts[0].fetch_add(1, Ordering::SeqCst);
            for _ in 0..yields {
                yield_now().await;
            }
            counts[1].fetch_add(1, Ordering::SeqCst);
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum)))
        }
        .boxed()
    })
}

fn counted(counts: &[AtomicU64; 2]) -> [u64; 2] {
    [0, 1].map(|index| counts[index].load(Ordering::SeqCst))
}

/// At rest a handler that is ready at once runs where it is polled; so all of this module happens at the caller.
#[tokio::test(start_paused = true)]
async fn handler_runs_where_it_is_polled_when_the_aggregate_is_at_rest() {
    let world = World::start().await;
    world.tallies.version("a").await.unwrap();
    let counts = Arc::default();
    let mut ask = Box::pin(world.tallies.ask("a", hesitant(0, &counts)));
    let _first = poll_once(ask.as_mut());
    assert_eq!(counted(&counts), [1, 1]);
    let mut second = Box::pin(world.tallies.ask("a", hesitant(0, &counts)));
    assert!(poll_once(second.as_mut()).is_pending());
    assert_eq!(counted(&counts), [2, 2], "with an append in flight, too, while there is no actor");
    let mut hesitates = Box::pin(world.tallies.ask("a", hesitant(1, &counts)));
    assert!(poll_once(hesitates.as_mut()).is_pending());
    let mut queued = Box::pin(world.tallies.ask("a", hesitant(0, &counts)));
    assert!(poll_once(queued.as_mut()).is_pending());
    assert_eq!(counted(&counts), [3, 2], "behind a run that waits it is queued");
    let answers = (ask.await, second.await, hesitates.await, queued.await);
    assert_eq!(answers, (Ok(Seen::at(1, 1)), Ok(Seen::at(2, 2)), Ok(Seen::at(3, 3)), Ok(Seen::at(4, 4))));
    let mut in_flight = Box::pin(world.tallies.ask("a", hesitant(0, &counts)));
    assert!(poll_once(in_flight.as_mut()).is_pending());
    let mut busy = Box::pin(world.tallies.ask("a", hesitant(0, &counts)));
    assert!(poll_once(busy.as_mut()).is_pending());
    assert_eq!(counted(&counts), [5, 5], "with an actor about and an append in flight it is queued");
    assert_eq!((in_flight.await, busy.await), (Ok(Seen::at(5, 5)), Ok(Seen::at(6, 6))));
    world.end().await;
}

/// P17: a handler that is not ready at its first poll runs whole, even if its caller leaves right after that poll.
#[tokio::test(start_paused = true)]
async fn begun_handler_runs_whole_when_its_caller_leaves() {
    let world = World::start().await;
    world.tallies.version("a").await.unwrap();
    for round in 1..=10 {
        let counts = Arc::default();
        let mut ask = Box::pin(world.tallies.ask("a", hesitant(round, &counts)));
        assert!(poll_once(ask.as_mut()).is_pending());
        assert_eq!(counted(&counts), [1, 0]);
        drop(ask);
        settle().await;
        assert_eq!(counted(&counts), [1, 1]);
        let look = world.tallies.read_with_version("a", |tally, version| (tally.sum, version.get())).await;
        assert_eq!(look, Ok((u64::from(round), u64::from(round))));
    }
    assert_eq!(world.runtime.stats().activations, 1);
    world.end().await;
}

/// P6: whatever ran at a caller before, the next handler has its timeout and its caller its deadline.
#[tokio::test(start_paused = true)]
async fn times_hold_after_a_call_that_ran_at_its_caller() {
    let config = Config { handler_timeout: Duration::from_secs(5), crashes_max: u32::MAX, ..Config::default() };
    let world = World::with(config).await;
    let tallies = &world.tallies;
    tallies.ask("a", Add(1)).await.unwrap();
    for round in 0..5 {
        match round {
            0 => drop(tallies.read("a", |tally| tally.sum).await.unwrap()),
            1 => drop(tallies.ask("a", Spend(1_000)).await.unwrap_err()),
            2 => drop(tallies.ask("a", Add(1)).expect_version(1_000u64).await.unwrap_err()),
            3 => drop(tallies.ask("a", Do::<()>::new(|_, _| panic!("on purpose"))).await.unwrap_err()),
            _ => drop(tallies.ask("a", Add(0)).await.unwrap()),
        }
        let started = Instant::now();
        assert!(matches!(reason(tallies.ask("a", endless()).await), NotStoredReason::HandlerTimeout { .. }));
        assert_eq!(started.elapsed().as_secs(), 5, "round {round}");
        let late = tallies.ask("a", endless()).deadline(Duration::from_secs(2)).await;
        assert_eq!(reason(late), NotStoredReason::DeadlinePassed);
        assert_eq!(started.elapsed().as_secs(), 7, "round {round}");
        assert_eq!(tallies.read("a", |tally| tally.sum).await, Ok(1), "round {round}");
    }
    world.end().await;
}

/// P6: a run that waits where its caller left it, or with the actor already, is answered by a forced end.
#[tokio::test(start_paused = true)]
async fn forced_end_answers_a_begun_run() {
    for picked_up in [false, true] {
        for by_drop in [false, true] {
            let world = World::start().await;
            world.tallies.version("a").await.unwrap();
            let mut ask = Box::pin(world.tallies.ask("a", endless()));
            assert!(poll_once(ask.as_mut()).is_pending());
            let mut behind = Box::pin(world.tallies.ask("a", Add(1)));
            assert!(poll_once(behind.as_mut()).is_pending());
            if picked_up {
                settle().await;
            }
            let started = Instant::now();
            match by_drop {
                true => drop(world.runtime),
                false => assert_eq!(world.runtime.shutdown(Duration::ZERO).await.unanswered, 2),
            }
            assert_eq!(reason(ask.await), NotStoredReason::ShuttingDown);
            assert_eq!(reason(behind.await), NotStoredReason::ShuttingDown);
            assert!(started.elapsed().as_secs() <= 1, "{:?}", started.elapsed());
        }
    }
}

/// P6: the tokio runtime underneath ends while a begun run waits for an actor that is never polled again.
#[test]
fn begun_run_is_answered_when_the_tokio_runtime_ends() {
    // Nobody drives it but `block_on`: the actor does not get to see what is handed over to it.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = tokio.block_on(World::start());
    tokio.block_on(world.tallies.version("a").into_future()).unwrap();
    let mut ask = Box::pin(world.tallies.ask("a", endless()));
    assert!(poll_once(ask.as_mut()).is_pending());
    let mut behind = Box::pin(world.tallies.ask("a", Add(1)));
    assert!(poll_once(behind.as_mut()).is_pending());
    drop(tokio);
    assert_eq!(reason(block_on(ask)), NotStoredReason::ShuttingDown);
    assert_eq!(reason(block_on(behind)), NotStoredReason::ShuttingDown);
}

/// P16: callers on several threads, which find the aggregate at rest or busy. The handlers see the order of the first polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn order_is_that_of_the_first_polls_on_several_threads() {
    let world = World::start().await;
    let (polled, seen) = <(Arc<Mutex<u64>>, Arc<Mutex<Vec<u64>>>)>::default();
    let mut random = Random::new(16);
    let callers = (0..4).map(|_| {
        let (tallies, polled, seen, mut random) = (world.tallies.clone(), polled.clone(), seen.clone(), random.fork());
        tokio::spawn(async move {
            for _ in 0..500 {
                let mut ask = {
                    let mut polled = polled.lock();
                    let (number, seen, yields) = (*polled, seen.clone(), random.below(3));
                    let mut ask = Box::pin(tallies.ask(
                        "a",
                        Do::new(move |tally, _| {
                            async move {
                                seen.lock().push(number);
                                for _ in 0..yields {
                                    yield_now().await;
                                }
                                Ok(tally.emit_all((yields > 0).then_some(Happened::Added { amount: 1 })))
                            }
                            .boxed()
                        }),
                    ));
                    *polled += 1;
                    match poll_once(ask.as_mut()) {
                        std::task::Poll::Ready(answer) => {
                            answer.unwrap();
                            continue;
                        }
                        std::task::Poll::Pending => ask,
                    }
                };
                if random.one_in(2) {
                    ask.as_mut().await.unwrap();
                } else {
                    // Polled once more without need, and perhaps answered by that.
                    match poll_once(ask.as_mut()) {
                        std::task::Poll::Ready(answer) => answer.unwrap(),
                        std::task::Poll::Pending => ask.await.unwrap(),
                    }
                }
            }
        })
    });
    join_all(callers.collect::<Vec<_>>()).await.into_iter().for_each(|caller| caller.unwrap());
    assert!(seen.lock().iter().copied().eq(0..2_000), "{:?}", seen.lock());
    world.end().await;
}

/// P15: a task with 10,000 calls in hand does not run them all in one poll.
#[tokio::test(start_paused = true)]
async fn runs_at_a_caller_count_against_its_budget() {
    let world = World::start().await;
    world.tallies.version("a").await.unwrap();
    let ran = Arc::new(AtomicU64::new(0));
    let reads = (0..10_000).map(|_| {
        let ran = ran.clone();
        world.tallies.read("a", move |_| ran.fetch_add(1, Ordering::Relaxed)).deadline(Duration::from_secs(600))
    });
    // All of them are polled with the task's own waker at each of its polls.
    let mut reads: Vec<_> = reads.map(|read| Some(Box::pin(read))).collect();
    let config = Config::default();
    let (mut most, mut refused) = (0, 0);
    poll_fn(|cx| {
        let before = ran.load(Ordering::Relaxed);
        for place in &mut reads {
            if let Some(read) = place
                && let std::task::Poll::Ready(answer) = read.as_mut().poll(cx)
            {
                refused += usize::from(matches!(answer, Err(Error::Overloaded { .. })));
                *place = None;
            }
        }
        most = most.max(ran.load(Ordering::Relaxed) - before);
        match reads.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    assert!((1..=128).contains(&most), "{most} runs in one poll");
    // The others were queued, as far as there was room.
    assert!(refused <= 10_000 - config.admitted_per_aggregate_max, "{refused} refused");
    assert_eq!(usize::try_from(ran.load(Ordering::Relaxed)).unwrap(), 10_000 - refused);
    settle().await;
    world.end().await;
}

/// Any executor may poll an `ask`: its handler finds the runtime's own tokio, at the first poll too.
#[test]
fn handler_finds_tokio_whoever_polls_it() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = tokio.block_on(World::start());
    let sleeping = || {
        Do::new(|tally, _| {
            async move {
                let spawned = tokio::spawn(async { 1 });
                sleep(Duration::from_millis(2)).await;
                let amount = spawned.await.expect("it runs") + tokio::spawn(async { 1 }).await.expect("it runs");
                Ok(tally.emit(Happened::Added { amount }).reply(|tally| Seen::at(tally.count, tally.sum)))
            }
            .boxed()
        })
    };
    block_on(world.tallies.version("a").into_future()).unwrap();
    for version in 1..=20 {
        assert_eq!(block_on(world.tallies.ask("a", sleeping())), Ok(Seen::at(version, 2 * version)));
    }
    let late = block_on(world.tallies.ask("a", endless()).deadline(Duration::from_millis(20)));
    assert_eq!(reason(late), NotStoredReason::DeadlinePassed);
    tokio.block_on(async {
        while world.runtime.stats().admitted > 0 {
            // The actor's own timer may be a little later than the caller's.
            sleep(Duration::from_millis(1)).await;
        }
        world.end().await;
    });
}

/// P17: the journal has no room while a caller runs: the append is handed over, waits there, and lands once.
#[tokio::test(start_paused = true)]
async fn append_that_a_full_journal_refuses_at_a_caller_lands_once() {
    for stays in [true, false] {
        let (world, faults) = World::faulty(Config::default()).await;
        world.tallies.version("a").await.unwrap();
        let gate = Gate::closed();
        faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
        faults.queue_max(1);
        let filling = tokio::spawn(world.tallies.ask("other", Add(1)));
        settle().await;
        let mut ask = Box::pin(world.tallies.ask("a", Add(1)));
        assert!(poll_once(ask.as_mut()).is_pending());
        let mut behind = Box::pin(world.tallies.ask("a", Add(10)));
        assert!(poll_once(behind.as_mut()).is_pending());
        settle().await;
        assert_eq!(faults.appends_taken(), 1, "no room yet");
        gate.open();
        match stays {
            true => assert_eq!(ask.await, Ok(Seen::at(1, 1))),
            false => drop(ask),
        }
        assert_eq!(behind.await, Ok(Seen::at(2, 11)));
        filling.await.unwrap().unwrap();
        assert_eq!(faults.appends_taken(), 3);
        world.end().await;
    }
}

/// P4, P6: instances are let go all the time while callers run on them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eviction_that_races_a_run_loses_nothing() {
    let world = World::with(Config { resident_max: 2, ..Config::default() }).await;
    let callers = (0..8u64).map(|caller| {
        let tallies = world.tallies.clone();
        tokio::spawn(async move {
            for round in 0..200 {
                let id = format!("t{}", (caller + round) % 5);
                match round % 4 {
                    0 => drop(tallies.ask(&id, Add(1)).await.unwrap()),
                    1 => drop(tallies.read(&id, |tally| tally.sum).await.unwrap()),
                    2 => drop(tallies.ask(&id, Spend(1_000_000)).await.unwrap_err()),
                    _ => drop(tallies.ask(&id, hesitant(1, &Arc::default())).await.unwrap()),
                }
            }
        })
    });
    join_all(callers.collect::<Vec<_>>()).await.into_iter().for_each(|caller| caller.unwrap());
    let sums = join_all((0..5).map(|id| world.tallies.read(format!("t{id}"), |tally| tally.sum))).await;
    assert_eq!(sums.into_iter().map(Result::unwrap).sum::<u64>(), 8 * 100);
    assert!(world.runtime.stats().passivations > 100, "{:?}", world.runtime.stats());
    world.end().await;
}
