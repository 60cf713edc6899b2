//! P14, P16: many aggregates asked at once: an answer each, so many at a time, in the order given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use onefold::{Aggregate, Error, NotStoredReason};

use crate::support::{Add, Do, Seen, Spend, Tally, World, endless, reason, settle, slow};

/// How many handlers run at the same time, and at most did.
#[derive(Clone, Default)]
struct Crowd(Arc<[AtomicUsize; 2]>);

impl Crowd {
    fn member(&self) -> Do<u64> {
        let crowd = self.clone();
        Do::new(move |tally: &Tally, _| {
            async move {
                let now = crowd.0[0].fetch_add(1, Ordering::SeqCst) + 1;
                crowd.0[1].fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                crowd.0[0].fetch_sub(1, Ordering::SeqCst);
                Ok(tally.reply(|tally: &Tally| tally.sum))
            }
            .boxed()
        })
    }

    fn most(&self) -> usize {
        self.0[1].load(Ordering::SeqCst)
    }
}

/// Each has its own answer, in the order of the commands; what becomes of one is nothing to the others.
#[tokio::test(start_paused = true)]
async fn each_command_has_its_own_answer_in_order() {
    let world = World::start().await;
    let tallies = &world.tallies;
    let stocked = tallies.ask_many([("t1", Add(15)), ("t3", Add(100))], 2).await;
    assert!(stocked.iter().all(Result::is_ok));
    let answers = tallies.ask_many((1..7).map(|number| (format!("t{number}"), Spend(10 * number))), 4).await;
    let sums: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|seen| seen.sum).ok()).collect();
    assert_eq!(sums, [Some(5), None, Some(70), None, None, None]);
    let refused: Vec<_> = tallies.ask_many([("", Add(1)), ("good", Add(1))], 4).await;
    assert!(matches!(refused[0], Err(Error::InvalidId(_))));
    assert_eq!(refused[1], Ok(Seen::at(1, 1)));
    assert!(tallies.ask_many(Vec::<(&str, Add)>::new(), 4).await.is_empty());
    world.end().await;
}

/// P16: commands to one aggregate take effect in the order given.
#[tokio::test(start_paused = true)]
async fn commands_to_one_aggregate_keep_their_order() {
    let world = World::start().await;
    for concurrency in [0, 1, 3, 64, usize::MAX] {
        let id = format!("t{concurrency}");
        let answers = world.tallies.ask_many((1..=50).map(|amount| (&id, Add(amount))), concurrency).await;
        for (version, answer) in (1u64..).zip(answers) {
            assert_eq!(answer, Ok(Seen::at(version, (1..=version).sum())), "{concurrency} at a time");
        }
    }
    world.end().await;
}

/// P14: no more at a time than were asked for, and no fewer while there is work.
#[tokio::test(start_paused = true)]
async fn concurrency_is_bounded_and_used() {
    let world = World::start().await;
    for (concurrency, most) in [(0, 1), (1, 1), (7, 7), (100, 20)] {
        let crowd = Crowd::default();
        let commands = (0..20).map(|number| (format!("t{number}"), crowd.member()));
        let answers = world.tallies.ask_many(commands, concurrency).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(crowd.most(), most, "{concurrency} at a time");
    }
    world.end().await;
}

/// As they come, or in order: both forms hand out one by one.
#[tokio::test(start_paused = true)]
async fn answers_come_as_a_stream() {
    let world = World::start().await;
    let seconds = [3, 1, 2];
    let commands = || seconds.into_iter().map(|time| (format!("t{time}"), slow(Duration::from_secs(time))));
    let coming: Vec<_> = world.tallies.ask_many(commands(), 3).as_they_come().map(|(index, _)| index).collect().await;
    assert_eq!(coming, [1, 2, 0]);
    let mut in_order = Box::pin(world.tallies.ask_many(commands(), 3).in_order());
    let mut sums = Vec::new();
    while let Some(answer) = in_order.next().await {
        sums.push(answer.unwrap().sum);
    }
    assert_eq!(sums, [2, 2, 2]);
    world.end().await;
}

/// Each can be told more: a deadline that runs from its own turn, a receipt.
#[tokio::test(start_paused = true)]
async fn each_can_be_told_more() {
    let world = World::start().await;
    let commands = ["a", "b", "c"].map(|id| (id, slow(Duration::from_secs(2))));
    let asked = world.tallies.ask_many(commands, 1).each(|ask| ask.deadline(Duration::from_secs(3)).with_receipt());
    let versions: Vec<_> = asked.await.into_iter().map(|answer| answer.unwrap().version.get()).collect();
    assert_eq!(versions, [1, 1, 1], "six seconds in all, two each");
    let commands = [("a", endless()), ("b", endless())];
    let late = world.tallies.ask_many(commands, 2).each(|ask| ask.deadline(Duration::from_secs(3))).await;
    for answer in late {
        assert_eq!(reason(answer), NotStoredReason::DeadlinePassed);
    }
    world.end().await;
}

/// P17: dropped in the middle, what has started runs whole, and what was not sent is not.
#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_not_sent_when_the_caller_leaves() {
    let world = World::start().await;
    let commands = (0..10).map(|number| (format!("t{number}"), slow(Duration::from_secs(1))));
    let mut coming = Box::pin(world.tallies.ask_many(commands, 3).as_they_come());
    assert!(coming.next().now_or_never().is_none());
    settle().await;
    drop(coming);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for number in 0..10u64 {
        let sum = world.tallies.read(format!("t{number}"), |tally| tally.sum).await;
        assert_eq!(sum, Ok(u64::from(number < 3)), "t{number}");
    }
    world.end().await;
}
