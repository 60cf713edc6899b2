//! P18: a hold ends by a commit. The clock only proposes it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use onefold::journal::Journal;
use onefold::{
    Aggregate, Checkpoint, ClaimName, Config, Decision, Error, ErrorKind, MemoryJournal, Runtime, Timestamp,
};
use onefold_testkit::ManualClock;
use onefold_testkit::faults::{AppendFault, FaultyJournal, When};

use crate::support::{Do, Seen, SlowJournal, Tally, Tools, poll_once, settle};

const MINUTE: Duration = Duration::from_secs(60);

struct Theatre {
    runtime: Runtime,
    clock: ManualClock,
    journal: Arc<dyn Journal>,
}

impl Theatre {
    async fn on(journal: Arc<dyn Journal>, clock: ManualClock) -> Self {
        let builder = Runtime::builder(journal.clone()).config(Config::default()).clock(clock.clone());
        let runtime = builder.aggregate::<Tally>(Arc::new(Tools::default())).start().await.unwrap();
        Theatre { runtime, clock, journal }
    }

    async fn start() -> Self {
        Self::on(Arc::new(MemoryJournal::new()), ManualClock::default()).await
    }

    async fn ask(
        &self,
        id: &str,
        change: impl FnOnce(Decision<Tally, Seen>, Timestamp) -> Decision<Tally, Seen> + Send + 'static,
    ) -> Result<(), ErrorKind> {
        let command = Do::new(move |tally: &Tally, cx| {
            let decision = change(tally.reply(|tally| Seen::at(tally.count, tally.sum)), cx.now());
            async move { Ok(decision) }.boxed()
        });
        let answer = self.runtime.aggregates::<Tally>().unwrap().ask(id, command).await;
        answer.map(|_| ()).map_err(|error: Error<_>| error.kind())
    }

    async fn reserve(&self, id: &str) -> Result<(), ErrorKind> {
        self.ask(id, |decision, now| decision.hold("seat", "1", now.plus(MINUTE))).await
    }

    async fn holder(&self) -> Option<(String, Option<Timestamp>)> {
        let holder = self.runtime.claim("seat", "1").await.unwrap();
        holder.map(|holder| (holder.stream.aggregate_id().to_owned(), holder.expires_at))
    }

    async fn commits(&self) -> usize {
        self.journal.read_all(&Checkpoint::START).count().await
    }

    async fn end(self) {
        assert!(self.runtime.shutdown(Duration::from_secs(10)).await.is_clean());
    }
}

fn limit(minutes: u32) -> Timestamp {
    Timestamp::default().plus(MINUTE * minutes)
}

/// Try, confirm: from then on it is held for good.
#[tokio::test(start_paused = true)]
async fn hold_is_confirmed() {
    let theatre = Theatre::start().await;
    theatre.reserve("a").await.unwrap();
    assert_eq!(theatre.holder().await, Some(("a".into(), Some(limit(1)))));
    assert_eq!(theatre.reserve("b").await, Err(ErrorKind::ClaimTaken));
    theatre.ask("a", |decision, _| decision.confirm("seat", "1")).await.unwrap();
    theatre.clock.advance(MINUTE * 10);
    assert_eq!(theatre.holder().await, Some(("a".into(), None)));
    assert_eq!(theatre.reserve("b").await, Err(ErrorKind::ClaimTaken));
    theatre.end().await;
}

/// Try, cancel: it is free at once.
#[tokio::test(start_paused = true)]
async fn hold_is_given_up() {
    let theatre = Theatre::start().await;
    theatre.reserve("a").await.unwrap();
    theatre.ask("a", |decision, _| decision.release("seat", "1")).await.unwrap();
    assert_eq!(theatre.holder().await, None);
    theatre.reserve("b").await.unwrap();
    theatre.end().await;
}

/// Prolonged, it lasts longer.
#[tokio::test(start_paused = true)]
async fn hold_is_prolonged() {
    let theatre = Theatre::start().await;
    theatre.reserve("a").await.unwrap();
    theatre.ask("a", |decision, now| decision.prolong("seat", "1", now.plus(MINUTE * 5))).await.unwrap();
    theatre.clock.advance(MINUTE * 2);
    assert_eq!(theatre.reserve("b").await, Err(ErrorKind::ClaimTaken));
    assert_eq!(theatre.holder().await, Some(("a".into(), Some(limit(5)))));
    theatre.end().await;
}

/// When its time is up whoever asks for it takes it, and the old holder cannot confirm any more.
#[tokio::test(start_paused = true)]
async fn hold_ends_when_it_is_contended() {
    let theatre = Theatre::start().await;
    theatre.reserve("a").await.unwrap();
    theatre.clock.advance(MINUTE);
    theatre.reserve("b").await.unwrap();
    assert_eq!(theatre.ask("a", |decision, _| decision.confirm("seat", "1")).await, Err(ErrorKind::ClaimNotHeld));
    assert_eq!(theatre.holder().await, Some(("b".into(), Some(limit(2)))));
    theatre.end().await;
}

/// A hold lasts until a commit ends it: as long as nobody asks, its holder may still confirm.
#[tokio::test(start_paused = true)]
async fn hold_lasts_until_somebody_asks() {
    let theatre = Theatre::start().await;
    theatre.reserve("a").await.unwrap();
    theatre.clock.advance(MINUTE * 10);
    assert_eq!(theatre.commits().await, 1);
    theatre.ask("a", |decision, _| decision.confirm("seat", "1")).await.unwrap();
    assert_eq!(theatre.holder().await, Some(("a".into(), None)));
    theatre.end().await;
}

/// Whoever looks at it proposes the end, too, and that is a commit: what was said to be over is over for good, also for a
/// clock that jumps back, and after a restart.
#[tokio::test(start_paused = true)]
async fn hold_ends_when_it_is_looked_at() {
    let journal = MemoryJournal::new();
    let theatre = Theatre::on(Arc::new(journal.clone()), ManualClock::default()).await;
    theatre.reserve("a").await.unwrap();
    assert_eq!((theatre.holder().await.is_some(), theatre.commits().await), (true, 1));
    theatre.clock.advance(MINUTE);
    assert_eq!((theatre.holder().await, theatre.commits().await), (None, 2));
    assert_eq!((theatre.holder().await, theatre.commits().await), (None, 2));
    theatre.clock.set(Timestamp::default());
    assert_eq!(theatre.holder().await, None);
    assert_eq!(theatre.ask("a", |decision, _| decision.confirm("seat", "1")).await, Err(ErrorKind::ClaimNotHeld));
    theatre.end().await;
    journal.reopen();
    let theatre = Theatre::on(Arc::new(journal), ManualClock::default()).await;
    assert_eq!(theatre.holder().await, None);
    theatre.end().await;
}

/// A hold is as durable as anything else: after a restart it is there with its limit, and ends by it.
#[tokio::test(start_paused = true)]
async fn hold_survives_a_restart() {
    let journal = MemoryJournal::new();
    let clock = ManualClock::default();
    let theatre = Theatre::on(Arc::new(journal.clone()), clock.clone()).await;
    theatre.reserve("a").await.unwrap();
    theatre.end().await;
    journal.reopen();
    let theatre = Theatre::on(Arc::new(journal), clock).await;
    assert_eq!(theatre.holder().await, Some(("a".into(), Some(limit(1)))));
    assert_eq!(theatre.reserve("b").await, Err(ErrorKind::ClaimTaken));
    theatre.clock.advance(MINUTE);
    theatre.reserve("b").await.unwrap();
    theatre.end().await;
}

/// An end that could not be stored has not happened: the hold lasts, and is told with its limit.
#[tokio::test(start_paused = true)]
async fn end_that_is_not_stored_has_not_happened() {
    let faulty = FaultyJournal::new(Arc::new(MemoryJournal::new()));
    let faults = faulty.faults();
    let theatre = Theatre::on(Arc::new(faulty), ManualClock::default()).await;
    theatre.reserve("a").await.unwrap();
    theatre.clock.advance(MINUTE);
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    assert_eq!(theatre.holder().await, Some(("a".into(), Some(limit(1)))));
    assert_eq!(theatre.holder().await, None);
    theatre.end().await;
}

/// An end that is on its way to the disk has not happened either: who looks waits for it, and nobody takes the claim before.
#[tokio::test(start_paused = true)]
async fn hold_lasts_until_its_end_is_durable() {
    let (journal, valve) = SlowJournal::new();
    let theatre = Theatre::on(Arc::new(journal), ManualClock::default()).await;
    // Both are in memory, so that nothing but the append is waited for.
    theatre.ask("b", |decision, _| decision).await.unwrap();
    let mut reserving = Box::pin(theatre.reserve("a"));
    assert!(poll_once(reserving.as_mut()).is_pending());
    settle().await;
    assert!(valve.pass_one());
    reserving.await.unwrap();
    theatre.clock.advance(MINUTE);
    let mut looks = [Box::pin(theatre.holder()), Box::pin(theatre.holder())];
    for look in &mut looks {
        assert!(poll_once(look.as_mut()).is_pending());
        settle().await;
    }
    assert_eq!(valve.held(), 1, "one end is proposed");
    let mut taking = Box::pin(theatre.reserve("b"));
    for _ in 0..2 {
        assert!(poll_once(taking.as_mut()).is_pending(), "nobody takes it");
        for look in &mut looks {
            assert!(poll_once(look.as_mut()).is_pending(), "nobody is told that it is free");
        }
        settle().await;
    }
    let held = theatre.journal.claim(ClaimName::new("seat", "1").unwrap()).await.unwrap();
    assert_eq!(held.unwrap().stream.aggregate_id(), "a");
    valve.open();
    taking.await.unwrap();
    for look in looks {
        let holder = look.await.map(|(id, _)| id);
        assert_ne!(holder.as_deref(), Some("a"));
    }
    assert_eq!(theatre.holder().await, Some(("b".into(), Some(limit(2)))));
    theatre.end().await;
}

/// The holder's type is not registered here: nobody can end the hold, and it is told as it is.
#[tokio::test(start_paused = true)]
async fn hold_of_an_unknown_type_is_told_as_it_is() {
    let journal = MemoryJournal::new();
    let theatre = Theatre::on(Arc::new(journal.clone()), ManualClock::default()).await;
    theatre.reserve("a").await.unwrap();
    theatre.clock.advance(MINUTE);
    let other = Runtime::builder(Arc::new(journal) as Arc<dyn Journal>).clock(theatre.clock.clone());
    let other = other.start().await.unwrap();
    assert!(other.claim("seat", "1").await.unwrap().is_some());
    assert!(other.shutdown(Duration::from_secs(10)).await.is_clean());
}
