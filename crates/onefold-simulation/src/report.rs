//! What a simulation was made of, and how it failed.

use std::fmt;
use std::time::Duration;

use onefold_testkit::history;

use crate::Violation;
use crate::witness::Counts;

/// A simulation in which every promise held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The operations by how they ended.
    pub history: history::Report,
    /// Lives of the process: one more than it ended.
    pub lives: u64,
    /// Of these, how many ended in a kill.
    pub kills: u64,
    /// Handlers and reads that ran.
    pub handled: u64,
    /// Panics of handlers, of `apply`, of replies and of `weight`.
    pub panics: u64,
    /// Callers that went away.
    pub left: u64,
    /// Commands with an idempotency key.
    pub keyed: u64,
    /// Of these, asked for again, with the same key.
    pub repeats: u64,
    /// Of these, answered with what had come of the first one.
    pub remembered: u64,
    /// Decisions that ask for claims.
    pub claiming: u64,
    /// Transacts that were asked.
    pub transacts: u64,
    /// Of these, decided by all participants, and stored.
    pub transacted: u64,
    /// Appends, openings and reads that failed.
    pub faults: u64,
    /// Instances brought back.
    pub activations: u64,
    /// Instances let go.
    pub passivations: u64,
    /// How much time passed, in the simulation.
    pub time: Duration,
    /// Depends on everything that happened, and on its order and time. The same seed gives the same.
    pub trace: u64,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Report {
            seed,
            history: history::Report::default(),
            lives: 0,
            kills: 0,
            handled: 0,
            panics: 0,
            left: 0,
            keyed: 0,
            repeats: 0,
            remembered: 0,
            claiming: 0,
            transacts: 0,
            transacted: 0,
            faults: 0,
            activations: 0,
            passivations: 0,
            time: Duration::ZERO,
            trace: 0,
        }
    }

    pub(crate) fn count(&mut self, counts: Counts) {
        (self.handled, self.panics, self.left) = (counts.handled, counts.panics, counts.left);
        (self.keyed, self.repeats, self.remembered) = (counts.keyed, counts.repeats, counts.remembered);
        (self.claiming, self.transacts, self.transacted) = (counts.claiming, counts.transacts, counts.transacted);
    }

    /// Commands and reads that were asked.
    pub fn commands(&self) -> u64 {
        self.history.operations as u64
    }
}

/// A simulation that found something. The same seed finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What is wrong.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.violation)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.violation)
    }
}

/// Many simulations, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// How many were run.
    pub seeds: u64,
    /// Commands and reads that were asked.
    pub commands: u64,
    /// Of these, successes with events.
    pub stored: u64,
    /// Of these, of unknown outcome.
    pub unknown: u64,
    /// Of the commands, those with an idempotency key.
    pub keyed: u64,
    /// Of these, asked for again, with the same key.
    pub repeats: u64,
    /// Of these, answered with what had come of the first one.
    pub remembered: u64,
    /// Lives of processes.
    pub lives: u64,
    /// Of these, how many ended in a kill.
    pub kills: u64,
    /// Panics.
    pub panics: u64,
    /// Callers that went away.
    pub left: u64,
    /// Decisions that ask for claims.
    pub claiming: u64,
    /// Transacts that were asked.
    pub transacts: u64,
    /// Of these, decided by all participants, and stored.
    pub transacted: u64,
    /// Appends, openings and reads that failed.
    pub faults: u64,
    /// Instances let go.
    pub passivations: u64,
    /// Simulated time.
    pub time: Duration,
    /// Real time.
    pub elapsed: Duration,
    /// What was found, by seed; at most [`FAILURES_MAX`], then no more seeds are run.
    pub failures: Vec<Failure>,
}

/// After so many failures a sweep ends.
pub const FAILURES_MAX: usize = 10;

impl Summary {
    /// Whether every promise held in every simulation.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.commands += report.commands();
        self.stored += report.history.stored as u64;
        self.unknown += report.history.unknown as u64;
        self.keyed += report.keyed;
        self.repeats += report.repeats;
        self.remembered += report.remembered;
        self.claiming += report.claiming;
        self.transacts += report.transacts;
        self.transacted += report.transacted;
        self.lives += report.lives;
        self.kills += report.kills;
        self.panics += report.panics;
        self.left += report.left;
        self.faults += report.faults;
        self.passivations += report.passivations;
        self.time += report.time;
    }

    pub(crate) fn merge(&mut self, other: Summary) {
        self.seeds += other.seeds;
        self.commands += other.commands;
        self.stored += other.stored;
        self.unknown += other.unknown;
        self.keyed += other.keyed;
        self.repeats += other.repeats;
        self.remembered += other.remembered;
        self.claiming += other.claiming;
        self.transacts += other.transacts;
        self.transacted += other.transacted;
        self.lives += other.lives;
        self.kills += other.kills;
        self.panics += other.panics;
        self.left += other.left;
        self.faults += other.faults;
        self.passivations += other.passivations;
        self.time += other.time;
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|failure| failure.seed);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = self.commands as f64 / seconds.max(1e-9);
        writeln!(f, "seeds          {:>14}", grouped(self.seeds))?;
        writeln!(f, "commands       {:>14}   {:.0} in a second", grouped(self.commands), rate)?;
        writeln!(f, "  stored       {:>14}", grouped(self.stored))?;
        writeln!(f, "  unknown      {:>14}", grouped(self.unknown))?;
        writeln!(f, "  with a key   {:>14}", grouped(self.keyed))?;
        writeln!(f, "    again      {:>14}", grouped(self.repeats))?;
        writeln!(f, "    remembered {:>14}", grouped(self.remembered))?;
        writeln!(f, "  with claims  {:>14}", grouped(self.claiming))?;
        writeln!(f, "transacts      {:>14}", grouped(self.transacts))?;
        writeln!(f, "  stored       {:>14}", grouped(self.transacted))?;
        writeln!(f, "lives          {:>14}", grouped(self.lives))?;
        writeln!(f, "  killed       {:>14}", grouped(self.kills))?;
        writeln!(f, "faults         {:>14}", grouped(self.faults))?;
        writeln!(f, "panics         {:>14}", grouped(self.panics))?;
        writeln!(f, "callers left   {:>14}", grouped(self.left))?;
        writeln!(f, "passivations   {:>14}", grouped(self.passivations))?;
        writeln!(f, "simulated time {:>14} s", grouped(self.time.as_secs()))?;
        writeln!(f, "real time      {seconds:>14.1} s")?;
        writeln!(f, "violations     {:>14}", self.failures.len())?;
        self.failures.iter().try_for_each(|failure| writeln!(f, "  {failure}"))
    }
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
