//! One simulation from its seed to its verdict: lives of a process on one disk, then a calm one, then the books are
//! compared.

mod inspection;
mod life;
mod verdict;

use std::sync::Arc;

use onefold::{Aggregate, Clock};

use self::life::Living;
use crate::clock::JumpingClock;
use crate::journal::SimulatedDisk;
use crate::plan::LifePlan;
use crate::report::Report;
use crate::scenario::Parts;
use crate::witness::Witness;
use crate::{Random, Violation};

/// What the lives of a simulation share.
pub(crate) struct World<A: Aggregate> {
    parts: Arc<Parts<A>>,
    witness: Arc<Witness>,
    disk: SimulatedDisk,
    clock: Arc<dyn Clock>,
}

pub(crate) fn run<A: Aggregate>(
    parts: &Arc<Parts<A>>,
    seed: u64,
    wall_clock: u64,
    commands_max: u64,
) -> Result<Report, Violation> {
    let mut random = Random::new(seed);
    let disk = SimulatedDisk::new();
    let clock = JumpingClock::new(Random::new(wall_clock));
    let witness = Witness::new(disk.clone());
    let world = World { parts: parts.clone(), witness: witness.clone(), disk, clock: Arc::new(clock) };
    let mut report = Report::new(seed);
    let lives = random.between(1, 4);
    for life in 0..=lives {
        let plan = match life == lives {
            false => LifePlan::random(&mut random, commands_max),
            true => LifePlan::calm(),
        };
        let living = live(&world, plan, random.fork());
        report.lives += 1;
        report.kills += u64::from(living.killed);
        report.faults += living.faults;
        report.activations += living.activations;
        report.passivations += living.passivations;
        report.time += living.time;
        if let Some(violation) = witness.violation() {
            return Err(violation);
        }
    }
    report.count(witness.counts());
    report.history = verdict::judge(&world)?;
    report.trace = witness.trace();
    Ok(report)
}

/// One life of the process, on a tokio runtime of its own, which is dropped at its end with everything in it.
fn live<A: Aggregate>(world: &World<A>, plan: LifePlan, random: Random) -> Living {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let tokio = tokio.expect("a tokio runtime needs nothing but memory");
    let (living, journal) = tokio.block_on(life::live(world, plan, random));
    world.witness.killed();
    // IMPORTANT: first everything that could write or answer, then what it leaves behind.
    drop(tokio);
    world.witness.forget_waiting();
    journal.crash();
    living
}
