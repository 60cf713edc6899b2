//! An aggregate for when what is simulated is onefold itself: it decides on none, one or several events, large and small,
//! and says no now and then.

use std::ops::Range;

use onefold::{Aggregate, Context, Decision, Event, Handle};

use crate::{Command, Random, Scenario, Simulation, Summary};

/// A sum that never falls below zero.
#[derive(Debug, Default)]
struct Ledger {
    sum: u64,
    entries: u64,
}

#[derive(Event, serde::Serialize, serde::Deserialize)]
#[event(prefix = "ledger")]
enum Entry {
    Added { amount: u64 },
    Spent { amount: u64 },
    Noted { text: String },
}

#[derive(Debug, thiserror::Error)]
#[error("only {0} is there")]
struct NotEnough(u64);

impl Aggregate for Ledger {
    const TYPE: &'static str = "ledger";
    type Event = Entry;
    type Rejection = NotEnough;
    type Services = ();

    fn apply(&mut self, event: &Entry) {
        self.entries += 1;
        match event {
            Entry::Added { amount } => self.sum += amount,
            Entry::Spent { amount } => self.sum -= amount,
            Entry::Noted { text } => self.sum += text.len() as u64,
        }
    }
}

struct Add(Vec<u64>);
struct Spend(u64);
struct Note(usize);
struct Check;

impl Handle<Add> for Ledger {
    type Reply = u64;

    async fn handle(&self, Add(amounts): Add, _: &Context<Self>) -> Result<Decision<Self, u64>, NotEnough> {
        let events = amounts.into_iter().map(|amount| Entry::Added { amount });
        Ok(self.emit_all(events).reply(|ledger| ledger.entries))
    }
}

impl Handle<Spend> for Ledger {
    type Reply = u64;

    async fn handle(&self, Spend(amount): Spend, cx: &Context<Self>) -> Result<Decision<Self, u64>, NotEnough> {
        if amount > self.sum {
            return Err(NotEnough(self.sum));
        }
        if amount.is_multiple_of(7) {
            cx.durable().await;
        }
        let left = self.sum - amount;
        Ok(self.emit(Entry::Spent { amount }).reply(move |_| left))
    }
}

impl Handle<Note> for Ledger {
    type Reply = ();

    async fn handle(&self, Note(length): Note, _: &Context<Self>) -> Result<Decision<Self, ()>, NotEnough> {
        Ok(self.emit(Entry::Noted { text: "x".repeat(length) }))
    }
}

impl Handle<Check> for Ledger {
    type Reply = u64;

    async fn handle(&self, _: Check, _: &Context<Self>) -> Result<Decision<Self, u64>, NotEnough> {
        Ok(self.reply(|ledger| ledger.sum))
    }
}

fn command(random: &mut Random) -> Command<Ledger> {
    match random.below(10) {
        0 => Command::new(Note(random.index(300))),
        1 => Command::checked(Check, |ledger: &Ledger, sum| match ledger.sum == *sum {
            true => Ok(()),
            false => Err(format!("it said {sum}")),
        }),
        2..=5 => Command::checked(Spend(random.below(60)), |ledger: &Ledger, left| match ledger.sum == *left {
            true => Ok(()),
            false => Err(format!("{left} should be left, {} is", ledger.sum)),
        }),
        _ => Command::new(Add((0..random.below(4)).map(|_| random.below(50)).collect())),
    }
}

/// What the sweeps of CI run: onefold itself, with an aggregate of its own.
fn scenario(seed: u64) -> Scenario<impl Aggregate> {
    let scenario = Simulation::new(seed).aggregate::<Ledger>(|| ()).commands(command);
    scenario.view(|ledger| format!("{ledger:?}"))
}

/// Simulates onefold itself with each of these seeds, on so many threads, with an aggregate made for it.
///
/// ```
/// let summary = onefold_simulation::sweep(0..3, 1);
/// assert!(summary.is_clean(), "{summary}");
/// ```
///
/// # Panics
///
/// Inside a tokio runtime.
pub fn sweep(seeds: Range<u64>, threads: usize) -> Summary {
    sweep_with(seeds, threads, |_| ())
}

/// As [`sweep`]. `each` is called after each simulation, with what is known of its thread's so far.
///
/// # Panics
///
/// Inside a tokio runtime.
pub fn sweep_with(seeds: Range<u64>, threads: usize, each: impl Fn(&Summary) + Sync) -> Summary {
    scenario(0).sweep_with(seeds, threads, each)
}

/// Simulates onefold itself with one seed.
///
/// # Errors
///
/// [`Failure`](crate::Failure).
///
/// # Panics
///
/// Inside a tokio runtime.
pub fn simulate(seed: u64) -> Result<crate::Report, crate::Failure> {
    scenario(seed).run()
}
