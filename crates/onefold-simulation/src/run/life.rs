//! One life of the process: journal, runtimes, clients; and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onefold::{Aggregate, Aggregates, Clock, Config, Runtime, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::World;
use super::inspection::inspect;
use crate::client::Client;
use crate::journal::SimulatedJournal;
use crate::plan::{End, LifePlan};
use crate::simulated::{Simulated, Tools};
use crate::witness::Life;
use crate::{Random, Violation};

/// What a life was made of.
pub(super) struct Living {
    pub(super) killed: bool,
    pub(super) faults: u64,
    pub(super) activations: u64,
    pub(super) passivations: u64,
    pub(super) time: Duration,
}

/// A life goes on no longer than this, in its own time.
const LIFE_MAX: Duration = Duration::from_secs(86_400);

/// How long after the end of the runtime the last caller may be answered: the longest deadline is 30 s, and a shutdown has its
/// own time, a second for what is with the journal, and five for the journal's close.
const FAREWELL: Duration = Duration::from_secs(120);

/// How long what callers left behind may take to come to its end.
const SETTLE: Duration = Duration::from_secs(120);

pub(super) async fn live<A: Aggregate>(
    world: &World<A>,
    plan: LifePlan,
    mut random: Random,
) -> (Living, SimulatedJournal) {
    let began = Instant::now();
    let journal = SimulatedJournal::open(&world.disk, plan.weather.clone(), random.fork());
    world.witness.begin_life(Life {
        journal: journal.clone(),
        runtimes: plan.runtimes,
        deadline: plan.config.deadline,
        handler_timeout: plan.config.handler_timeout,
        began,
        ending: false,
        ended: None,
        brisk: plan.is_brisk(),
        killed: false,
        latest: BTreeMap::new(),
        running: BTreeMap::new(),
        panics: 0,
    });
    let mut runtimes = Vec::new();
    for _ in 0..plan.runtimes {
        runtimes.push(start(world, &plan.config, &journal, random.next_u64()).await);
    }
    let aggregates: Vec<Aggregates<Simulated<A>>> =
        runtimes.iter().map(|runtime| runtime.aggregates().expect("registered")).collect();
    let mut clients = JoinSet::new();
    for _ in 0..plan.clients {
        let client = Client {
            parts: world.parts.clone(),
            witness: world.witness.clone(),
            aggregates: aggregates.clone(),
            habits: plan.habits.clone(),
            random: random.fork(),
        };
        clients.spawn(client.run());
    }
    let mut living = Living { killed: false, faults: 0, activations: 0, passivations: 0, time: Duration::ZERO };
    let ending = Ending { world, plan: &plan, journal: &journal, runtimes, aggregates, clients };
    ending.end(&mut living).await;
    let faults = journal.faults();
    living.faults = faults.appends + faults.opens + faults.reads + faults.damages;
    living.time = began.elapsed();
    (living, journal)
}

async fn start<A: Aggregate>(world: &World<A>, config: &Config, journal: &SimulatedJournal, seed: u64) -> Runtime {
    let tools = Tools {
        services: Arc::new((world.parts.services)()),
        clock: world.clock.clone(),
        witness: world.witness.clone(),
        invariant: world.parts.invariant.clone(),
    };
    let builder = Runtime::builder(journal.clone()).config(config.clone()).seed(seed);
    let builder = builder.clock(SharedClock(world.clock.clone())).aggregate::<Simulated<A>>(tools);
    builder.start().await.unwrap_or_else(|error| panic!("the aggregate cannot be registered: {error}"))
}

struct SharedClock(Arc<dyn Clock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// A life that goes on until its end.
struct Ending<'a, A: Aggregate> {
    world: &'a World<A>,
    plan: &'a LifePlan,
    journal: &'a SimulatedJournal,
    runtimes: Vec<Runtime>,
    aggregates: Vec<Aggregates<Simulated<A>>>,
    clients: JoinSet<()>,
}

impl<A: Aggregate> Ending<'_, A> {
    async fn end(mut self, living: &mut Living) {
        let witness = &self.world.witness;
        match self.plan.end {
            End::Struck(group, boundary) => {
                self.journal.strike_at(group, boundary);
                let journal = self.journal.clone();
                let done = all(&mut self.clients);
                let struck = futures_util::future::select(Box::pin(journal.struck()), Box::pin(done));
                let _ = timeout(LIFE_MAX, struck).await;
                self.kill(living);
            }
            End::Killed(after) => {
                let _ = timeout(after, all(&mut self.clients)).await;
                self.kill(living);
            }
            End::Dropped(after) => {
                let _ = timeout(after, all(&mut self.clients)).await;
                self.count(living);
                witness.ending();
                self.runtimes.clear();
                witness.ended();
                self.say_farewell().await;
            }
            End::ShutDown(after, time) => {
                let _ = timeout(after, all(&mut self.clients)).await;
                self.count(living);
                witness.ending();
                for runtime in &self.runtimes {
                    let report = runtime.shutdown(time).await;
                    witness.note(&[20, report.unanswered as u64, u64::from(report.journal.is_ok())]);
                }
                witness.ended();
                self.say_farewell().await;
            }
            End::Done => {
                if timeout(LIFE_MAX, all(&mut self.clients)).await.is_err() {
                    witness.object(Violation::Unanswered { operations: witness.unanswered() });
                }
                self.settle(living).await;
            }
        }
    }

    /// The process is gone in the middle of everything.
    fn kill(self, living: &mut Living) {
        self.count(living);
        self.world.witness.killed();
        living.killed = true;
    }

    fn count(&self, living: &mut Living) {
        for stats in self.runtimes.iter().map(Runtime::stats) {
            living.activations += stats.activations;
            living.passivations += stats.passivations;
            let resident_max = self.plan.config.resident_max;
            if stats.resident > resident_max {
                let what = format!("{} residents, resident_max is {resident_max}", stats.resident);
                self.world.witness.object(Violation::Bound { what });
            }
        }
    }

    /// The runtime is gone or closed: whoever still waits is answered.
    async fn say_farewell(&mut self) {
        if timeout(FAREWELL, all(&mut self.clients)).await.is_err() {
            let witness = &self.world.witness;
            witness.object(Violation::Unanswered { operations: witness.unanswered() });
        }
    }

    /// Everybody is answered. What callers left behind comes to its end, the states are looked at, and the runtime ends
    /// cleanly.
    async fn settle(self, living: &mut Living) {
        let witness = &self.world.witness;
        // What the journal withholds it answers now.
        self.journal.calm_down();
        let since = Instant::now();
        while self.admitted() > 0 {
            if since.elapsed() > SETTLE {
                let what = format!("{} commands are admitted and never come to their end", self.admitted());
                return witness.object(Violation::LeftOver { what });
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.count(living);
        if self.plan.clients == 0 {
            inspect(self.world, &self.aggregates[0]).await;
        }
        witness.ending();
        let poisoned = self.journal.faults().poisoned;
        for runtime in self.runtimes {
            let report = runtime.shutdown(Duration::from_secs(10)).await;
            if report.unanswered > 0 || (report.journal.is_err() && !poisoned) {
                witness.object(Violation::LeftOver { what: format!("the shutdown was not clean: {report:?}") });
            }
        }
    }

    fn admitted(&self) -> usize {
        self.runtimes.iter().map(|runtime| runtime.stats().admitted).sum()
    }
}

/// Waits for all clients; a panic in one is the simulation's.
async fn all(clients: &mut JoinSet<()>) {
    while let Some(ended) = clients.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
