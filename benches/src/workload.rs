//! What the clients ask for: the distribution of commands over aggregates.

use crate::rng::Rng;
use crate::zipf::Zipf;

/// Of a hundred operations of `read-mostly`, so many are reads.
const READS_PERCENT: u32 = 95;

/// The distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// Every aggregate is as likely as the next.
    Uniform,
    /// A few aggregates get most commands (exponent 0.99).
    Zipf,
    /// All commands go to one aggregate.
    Hot,
    /// Each command goes to an aggregate that was not used for the longest time, and is not in memory.
    Cold,
    /// Uniform, 95 % reads.
    ReadMostly,
    /// New aggregates only, which race for names: each is told that it has its name, or that it is taken.
    Claims,
    /// Any two aggregates decide together, in one commit.
    Transfers,
}

impl Workload {
    /// How many of the aggregates it uses.
    pub(crate) fn aggregates(self, asked_for: u32) -> u32 {
        if self == Workload::Hot { 1 } else { asked_for }
    }

    /// Its name in options and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::Uniform => "uniform",
            Workload::Zipf => "zipf",
            Workload::Hot => "hot",
            Workload::Cold => "cold",
            Workload::ReadMostly => "read-mostly",
            Workload::Claims => "claims",
            Workload::Transfers => "transfers",
        }
    }
}

/// One thing a client does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// To this aggregate.
    pub(crate) aggregate: u32,
    /// Read or write.
    pub(crate) kind: OperationKind,
}

/// Read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationKind {
    /// A command that persists one event, which carries this number.
    Write {
        /// Random, so that the journal's content can be told from any other.
        nonce: u64,
    },
    /// A linearizable read.
    Read,
}

/// Makes the pickers of all clients.
#[derive(Clone, Debug)]
pub(crate) struct Pickers {
    workload: Workload,
    aggregates: u32,
    clients: u32,
    seed: u64,
    zipf: Option<Zipf>,
}

impl Pickers {
    /// For `clients` clients over `aggregates` aggregates.
    pub(crate) fn new(workload: Workload, aggregates: u32, clients: u32, seed: u64) -> Self {
        let zipf = (workload == Workload::Zipf).then(|| Zipf::new(aggregates));
        Pickers { workload, aggregates: workload.aggregates(aggregates), clients, seed, zipf }
    }

    /// How many clients.
    pub(crate) fn clients(&self) -> u32 {
        self.clients
    }

    /// The picker of one client in one round.
    pub(crate) fn picker(&self, round: u32, client: u32) -> Picker {
        let mut rng = Rng::new(self.seed, round.into(), client.into());
        let choice = match self.workload {
            // (`claims` and `transfers` have clients of their own.)
            Workload::Uniform | Workload::Claims | Workload::Transfers => {
                Choice::Uniform { aggregates: self.aggregates, reads_percent: 0 }
            }
            Workload::ReadMostly => Choice::Uniform { aggregates: self.aggregates, reads_percent: READS_PERCENT },
            Workload::Hot => Choice::One,
            Workload::Zipf => Choice::Zipf {
                zipf: self.zipf.clone().expect("made with the workload"),
                spread: Spread::new(self.aggregates),
            },
            Workload::Cold => Choice::sweep(client, self.clients, self.aggregates, &mut rng),
        };
        Picker { rng, choice }
    }
}

/// Picks one client's operations.
#[derive(Clone, Debug)]
pub(crate) struct Picker {
    rng: Rng,
    choice: Choice,
}

#[derive(Clone, Debug)]
enum Choice {
    Uniform {
        aggregates: u32,
        reads_percent: u32,
    },
    Zipf {
        zipf: Zipf,
        spread: Spread,
    },
    One,
    /// In turn through the aggregates that are this client's own, so that no two clients meet at one.
    Sweep {
        first: u32,
        step: u32,
        turns: u32,
        turn: u32,
    },
}

impl Choice {
    fn sweep(client: u32, clients: u32, aggregates: u32, rng: &mut Rng) -> Self {
        let (first, step) = (client % aggregates, clients.min(aggregates));
        let turns = (aggregates - first).div_ceil(step);
        Choice::Sweep { first, step, turns, turn: rng.below(turns) }
    }
}

impl Picker {
    /// The next operation.
    pub(crate) fn pick(&mut self) -> Operation {
        let nonce = self.rng.bits();
        let write = OperationKind::Write { nonce };
        match &mut self.choice {
            Choice::One => Operation { aggregate: 0, kind: write },
            Choice::Uniform { aggregates, reads_percent } => {
                let is_read = *reads_percent > 0 && self.rng.below(100) < *reads_percent;
                let kind = if is_read { OperationKind::Read } else { write };
                Operation { aggregate: self.rng.below(*aggregates), kind }
            }
            Choice::Zipf { zipf, spread } => Operation { aggregate: spread.of(zipf.rank(&mut self.rng)), kind: write },
            Choice::Sweep { first, step, turns, turn } => {
                *turn = (*turn + 1) % *turns;
                Operation { aggregate: *first + *turn * *step, kind: write }
            }
        }
    }
}

/// A permutation of `0..count` that tears neighbours apart: frequent ranks should not share cache lines by their number.
#[derive(Clone, Copy, Debug)]
struct Spread {
    count: u64,
    factor: u64,
}

impl Spread {
    fn new(count: u32) -> Self {
        let count = u64::from(count);
        // The golden ratio's share of the range, then on to the next number without a common divisor.
        let start = count * 618 / 1_000 + 1;
        let factor = (start..).find(|factor| greatest_common_divisor(*factor, count) == 1).unwrap_or(1);
        Spread { count, factor }
    }

    #[expect(clippy::cast_possible_truncation, reason = "below count, a u32")]
    fn of(self, rank: u32) -> u32 {
        (u64::from(rank) * self.factor % self.count) as u32
    }
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(workload: Workload, aggregates: u32, clients: u32) -> Vec<Vec<u32>> {
        let pickers = Pickers::new(workload, aggregates, clients, 1);
        let pick = |client| {
            let mut picker = pickers.picker(0, client);
            (0..1_000).map(|_| picker.pick().aggregate).collect()
        };
        (0..clients).map(pick).collect()
    }

    #[test]
    fn every_workload_stays_among_its_aggregates() {
        for workload in [Workload::Uniform, Workload::Zipf, Workload::Hot, Workload::Cold, Workload::ReadMostly] {
            for aggregates in [1, 2, 3, 10, 1_000] {
                let picked = picked(workload, aggregates, 7);
                assert!(picked.iter().flatten().all(|picked| *picked < aggregates), "{workload:?} {aggregates}");
            }
        }
    }

    #[test]
    fn a_cold_sweep_visits_all_before_it_returns_to_one() {
        let mut visited: Vec<u32> =
            picked(Workload::Cold, 700, 7).iter().flat_map(|picked| picked[..100].to_vec()).collect();
        visited.sort_unstable();
        assert_eq!(visited, (0..700).collect::<Vec<_>>());
    }

    #[test]
    fn the_spread_of_ranks_is_a_permutation() {
        for count in [1, 2, 3, 10, 1_000, 1_024] {
            let mut spread: Vec<u32> = (0..count).map(|rank| Spread::new(count).of(rank)).collect();
            spread.sort_unstable();
            assert_eq!(spread, (0..count).collect::<Vec<_>>(), "{count}");
        }
    }
}
