//! An aggregate for when what is simulated is onefold itself: it decides on none, one or several events, large and small,
//! and says no now and then; and it takes claims that the others want, too.

use std::ops::Range;

use onefold::{Aggregate, Context, Decision, Event, Handle, StreamId, Timestamp};

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
enum No {
    #[error("only {0} is there")]
    NotEnough(u64),
    #[error("another has it")]
    Taken,
}

impl Aggregate for Ledger {
    const TYPE: &'static str = "ledger";
    type Event = Entry;
    type Rejection = No;
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

    async fn handle(&self, Add(amounts): Add, _: &Context<Self>) -> Result<Decision<Self, u64>, No> {
        let events = amounts.into_iter().map(|amount| Entry::Added { amount });
        Ok(self.emit_all(events).reply(|ledger| ledger.entries))
    }
}

impl Handle<Spend> for Ledger {
    type Reply = u64;

    async fn handle(&self, Spend(amount): Spend, cx: &Context<Self>) -> Result<Decision<Self, u64>, No> {
        if amount > self.sum {
            return Err(No::NotEnough(self.sum));
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

    async fn handle(&self, Note(length): Note, _: &Context<Self>) -> Result<Decision<Self, ()>, No> {
        Ok(self.emit(Entry::Noted { text: "x".repeat(length) }))
    }
}

impl Handle<Check> for Ledger {
    type Reply = u64;

    async fn handle(&self, _: Check, _: &Context<Self>) -> Result<Decision<Self, u64>, No> {
        Ok(self.reply(|ledger| ledger.sum))
    }
}

/// Changes a claim, and writes that down or not.
struct Seat {
    name: String,
    change: Change,
    noted: bool,
    rejects: bool,
}

enum Change {
    Take,
    /// For so many microseconds.
    Hold(u64),
    Confirm,
    Release,
    Move(StreamId),
}

const SEATS: &str = "seat";

impl Handle<Seat> for Ledger {
    type Reply = u64;

    async fn handle(&self, seat: Seat, cx: &Context<Self>) -> Result<Decision<Self, u64>, No> {
        let Seat { name, change, noted, rejects } = seat;
        let events = noted.then(|| Entry::Noted { text: name.clone() });
        let decision = self.emit_all(events).reply(|ledger: &Ledger| ledger.entries);
        let decision = match change {
            Change::Take => decision.claim(SEATS, name),
            Change::Hold(micros) => {
                let until = Timestamp::from_micros(cx.now().as_micros().saturating_add(micros));
                decision.hold(SEATS, name, until)
            }
            Change::Confirm => decision.confirm(SEATS, name),
            Change::Release => decision.release(SEATS, name),
            Change::Move(to) => decision.move_claim(SEATS, name, to),
        };
        Ok(if rejects { decision.or_reject(|_| No::Taken) } else { decision })
    }
}

fn seat(random: &mut Random) -> Seat {
    let name = format!("{}", random.below(4));
    let change = match random.below(8) {
        0..3 => Change::Take,
        3 => Change::Hold(random.below(20_000)),
        4 => Change::Confirm,
        5..7 => Change::Release,
        _ => match StreamId::new(Ledger::TYPE, format!("{}-{}", Ledger::TYPE, 1 + random.below(3))) {
            Ok(to) => Change::Move(to),
            Err(_) => Change::Release,
        },
    };
    Seat { name, change, noted: random.one_in(2), rejects: random.one_in(3) }
}

fn command(random: &mut Random) -> Command<Ledger> {
    match random.below(12) {
        10.. => Command::new(seat(random)),
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
