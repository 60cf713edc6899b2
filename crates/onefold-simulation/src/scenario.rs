//! What is simulated: whose aggregates, which commands, what must hold; run by seed.

use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use onefold::{Aggregate, StreamId};
use parking_lot::Mutex;

use crate::report::{FAILURES_MAX, Failure, Report, Summary};
use crate::{Command, Random, Violation, run};

/// A simulation by its seed. Say what is simulated with [`aggregate`](Simulation::aggregate).
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is simulated before run()"]
pub struct Simulation {
    seed: u64,
}

/// An aggregate type to be simulated. See the [crate](crate).
#[must_use = "nothing is simulated before run()"]
pub struct Scenario<A: Aggregate> {
    seed: u64,
    wall_clock: u64,
    commands_max: u64,
    parts: Parts<A>,
}

type Commands<A> = Arc<dyn Fn(&mut Random) -> Command<A> + Send + Sync>;
pub(crate) type Invariant<A> = Arc<dyn Fn(&A) -> Result<(), String> + Send + Sync>;
type View<A> = Arc<dyn Fn(&A) -> String + Send + Sync>;

/// What every part of a simulation needs of its scenario.
pub(crate) struct Parts<A: Aggregate> {
    pub(crate) services: Arc<dyn Fn() -> A::Services + Send + Sync>,
    pub(crate) commands: Commands<A>,
    pub(crate) invariant: Option<Invariant<A>>,
    pub(crate) view: Option<View<A>>,
    pub(crate) streams: Vec<StreamId>,
    aggregate: PhantomData<fn() -> A>,
}

impl Simulation {
    /// The simulation of that seed: it decides everything that is left open.
    pub fn new(seed: u64) -> Self {
        Simulation { seed }
    }

    /// Simulates aggregates of type `A`. `services` makes what their handlers use, anew for each life of the process.
    ///
    /// # Panics
    ///
    /// When `A::TYPE` is not a valid name.
    pub fn aggregate<A: Aggregate>(self, services: impl Fn() -> A::Services + Send + Sync + 'static) -> Scenario<A> {
        Scenario {
            seed: self.seed,
            wall_clock: self.seed,
            commands_max: 400,
            parts: Parts {
                services: Arc::new(services),
                commands: Arc::new(|_| panic!("say which commands there are: .commands(|random| …)")),
                invariant: None,
                view: None,
                streams: streams::<A>(3),
                aggregate: PhantomData,
            },
        }
    }
}

fn streams<A: Aggregate>(count: u64) -> Vec<StreamId> {
    let id = |number| StreamId::new(A::TYPE, format!("{}-{number}", A::TYPE)).expect("an aggregate type that is valid");
    (1..=count).map(id).collect()
}

impl<A: Aggregate> Scenario<A> {
    /// How the next command is drawn.
    pub fn commands(mut self, draw: impl Fn(&mut Random) -> Command<A> + Send + Sync + 'static) -> Self {
        self.parts.commands = Arc::new(draw);
        self
    }

    /// What must hold for every state that is read.
    pub fn invariant(mut self, check: impl Fn(&A) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.parts.invariant = Some(Arc::new(check));
        self
    }

    /// What is compared between a state in memory and the same state after a replay: an `apply` that is not pure, say one
    /// that reads a clock, is found by it. `|account| format!("{account:?}")` will do.
    pub fn view(mut self, view: impl Fn(&A) -> String + Send + Sync + 'static) -> Self {
        self.parts.view = Some(Arc::new(view));
        self
    }

    /// How many aggregates there are. Few, so that commands meet: 3 by default.
    ///
    /// # Panics
    ///
    /// When it is 0.
    pub fn aggregates(mut self, count: u64) -> Self {
        assert!(count > 0, "a simulation needs at least one aggregate");
        self.parts.streams = streams::<A>(count);
        self
    }

    /// How many commands one life of the process has at most, about. 400 by default.
    pub fn commands_per_life(mut self, most: u64) -> Self {
        self.commands_max = most.max(2);
        self
    }

    /// Draws the jumps of the time of day from another seed. Nothing else may change by it (P18).
    pub fn wall_clock(mut self, seed: u64) -> Self {
        self.wall_clock = seed;
        self
    }

    /// Runs it, on this thread, in virtual time.
    ///
    /// # Errors
    ///
    /// [`Failure`] names the promise that was broken, and the seed.
    ///
    /// # Panics
    ///
    /// Inside a tokio runtime: a simulation brings its own.
    pub fn run(self) -> Result<Report, Failure> {
        let (seed, wall_clock, commands_max) = (self.seed, self.wall_clock, self.commands_max);
        run_seed(&Arc::new(self.parts), seed, wall_clock, commands_max)
    }

    /// Runs it with each of the `seeds` in place of its own, on so many threads.
    ///
    /// # Panics
    ///
    /// Inside a tokio runtime.
    pub fn sweep(self, seeds: Range<u64>, threads: usize) -> Summary {
        self.sweep_with(seeds, threads, |_| ())
    }

    /// As [`sweep`](Scenario::sweep). `each` is called after each simulation, with all that is known so far of that thread.
    ///
    /// # Panics
    ///
    /// Inside a tokio runtime.
    pub fn sweep_with(self, seeds: Range<u64>, threads: usize, each: impl Fn(&Summary) + Sync) -> Summary {
        let began = Instant::now();
        let (parts, commands_max) = (Arc::new(self.parts), self.commands_max);
        let (next, failures, total) = (AtomicU64::new(seeds.start), AtomicU64::new(0), Mutex::new(Summary::default()));
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    let mut summary = Summary::default();
                    while failures.load(Ordering::Relaxed) < FAILURES_MAX as u64 {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            break;
                        }
                        match run_seed(&parts, seed, seed, commands_max) {
                            Ok(report) => summary.add(&report),
                            Err(failure) => {
                                failures.fetch_add(1, Ordering::Relaxed);
                                summary.seeds += 1;
                                summary.failures.push(failure);
                            }
                        }
                        each(&summary);
                    }
                    total.lock().merge(summary);
                });
            }
        });
        Summary { elapsed: began.elapsed(), ..total.into_inner() }
    }
}

/// One simulation. What panics outside of the aggregate's own code is a bug of the runtime, and found like any other.
fn run_seed<A: Aggregate>(
    parts: &Arc<Parts<A>>,
    seed: u64,
    wall_clock: u64,
    commands_max: u64,
) -> Result<Report, Failure> {
    let ran = catch_unwind(AssertUnwindSafe(|| run::run(parts, seed, wall_clock, commands_max)));
    let ran = ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Violation::RuntimePanicked { message })
    });
    ran.map_err(|violation| Failure { seed, violation })
}

impl<A: Aggregate> std::fmt::Debug for Scenario<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario").field("aggregate", &A::TYPE).field("seed", &self.seed).finish_non_exhaustive()
    }
}
