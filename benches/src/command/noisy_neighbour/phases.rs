//! The phases and their rounds.
//!
//! ```text
//!   quiet │ replay │ quiet │ alone, again │ quiet │ slow │ quiet │ …        in an order of each round's own
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use onefold::Config;

use super::replay::Replayer;
use super::{Cast, IN_FLIGHT, SEED};
use crate::contender::{Contender, ContenderTarget};
use crate::counter::Counter;
use crate::ids::Ids;
use crate::noise::{Noise, Noisy};
use crate::open_loop;
use crate::options::NoisyNeighbourOptions;
use crate::pooled::Pair;
use crate::progress::Progress;
use crate::recorder::{Recorders, RoundRecord, Window};
use crate::rng::Rng;
use crate::series::{Round, Series};
use crate::workload::{Pickers, Workload};

/// The noise begins so long before the neighbours are measured: queues fill, and the first crash is over.
const LEAD: Duration = Duration::from_millis(100);

/// Between two phases: what the one set going comes to rest.
const REST: Duration = Duration::from_millis(100);

/// All phases, with what was measured so far.
pub(super) struct Phases {
    cast: Cast,
    length: Duration,
    rate: f64,
    began: Instant,
    pickers: Pickers,
    target: ContenderTarget,
    noisy: Noisy,
    replayer: Replayer,
    /// What lies between the phases.
    quiet: Series,
    measured: Vec<Measured>,
}

/// The name of the phase without noise that is compared as if there were some.
const AGAIN: &str = "alone, again";

/// One phase.
pub(super) struct Measured {
    /// `None`: nobody makes noise.
    pub(super) noise: Option<Noise>,
    pub(super) neighbours: Series,
    /// Of each round, against the quiet phases right before and right behind it.
    pub(super) p50_ratios: Vec<f64>,
    pub(super) p99_ratios: Vec<f64>,
    pub(super) pairs: Vec<Pair>,
    pub(super) noise_done: u64,
    pub(super) noise_refused: u64,
    pub(super) replays: u64,
}

impl Phases {
    pub(super) async fn new(
        options: &NoisyNeighbourOptions,
        cast: Cast,
        contender: &Contender,
        target: ContenderTarget,
        ids: &Ids,
        long: Counter,
    ) -> anyhow::Result<Self> {
        let noisy = Noisy {
            aggregates: contender.aggregates()?,
            ids: ids.clone(),
            aggregate: cast.slow,
            event_bytes: options.event_bytes,
            admitted_per_aggregate_max: u32::try_from(Config::default().admitted_per_aggregate_max)?,
        };
        // A phase without noise among the others: it is compared as they are, and shows what the machine does by itself.
        let phases = std::iter::once((None, AGAIN));
        let phases = phases.chain(options.noise.iter().map(|noise| (Some(*noise), noise.name())));
        let measured = phases.map(|(noise, name)| Measured {
            noise,
            neighbours: Series::new(name),
            p50_ratios: Vec::new(),
            p99_ratios: Vec::new(),
            pairs: Vec::new(),
            noise_done: 0,
            noise_refused: 0,
            replays: 0,
        });
        Ok(Phases {
            cast,
            length: options.seconds,
            rate: options.rate,
            began: Instant::now(),
            pickers: Pickers::new(Workload::Uniform, cast.neighbours, IN_FLIGHT, SEED),
            target,
            noisy,
            replayer: Replayer::new(contender, ids.get(cast.long), long).await?,
            quiet: Series::new("alone"),
            measured: measured.collect(),
        })
    }

    /// Every phase once, in an order of this round's own, each between two quiet ones.
    pub(super) async fn round(
        &mut self,
        round: u32,
        quiet: &Arc<Recorders>,
        noisy: &Arc<Recorders>,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let recorders = Both { quiet: Arc::clone(quiet), noisy: Arc::clone(noisy) };
        let mut before = self.quiet(round, &recorders).await;
        for phase in shuffled(self.measured.len(), round) {
            progress.say(format!("round {}: {}", round + 1, self.measured[phase].neighbours.name));
            let record = self.phase(phase, round, &recorders).await?;
            let behind = self.quiet(round, &recorders).await;
            self.measured[phase].compare(&record, &before, &behind);
            before = behind;
        }
        Ok(())
    }

    /// Nobody makes noise.
    async fn quiet(&mut self, round: u32, recorders: &Both) -> Quiet {
        tokio::time::sleep(REST).await;
        let window = self.window();
        open_loop::run(&self.target, &self.pickers, self.rate, round, window, &recorders.quiet).await;
        let record = recorders.quiet.take_round();
        self.quiet.add(self.began, window.start, self.length, &record);
        Quiet { round: self.quiet.rounds.last().cloned().expect("added right now"), record }
    }

    fn window(&self) -> Window {
        let start = Instant::now() + LEAD;
        Window { start, end: start + self.length }
    }

    async fn phase(&mut self, phase: usize, round: u32, recorders: &Both) -> anyhow::Result<RoundRecord> {
        tokio::time::sleep(REST).await;
        let window = self.window();
        let noise = self.measured[phase].noise;
        let replays = (noise == Some(Noise::Replay)).then(|| self.replayer.replay_until(window.end));
        let aggregate = match noise {
            Some(Noise::Flooded | Noise::Hot) => self.cast.flooded,
            Some(Noise::Quarantined) => self.cast.quarantined,
            _ => self.cast.slow,
        };
        let crowd = noise.map(|noise| {
            let disturber = Noisy { aggregate, ..self.noisy.clone() };
            tokio::spawn(disturber.disturb(noise, window, Arc::clone(&recorders.noisy)))
        });
        open_loop::run(&self.target, &self.pickers, self.rate, round, window, &recorders.quiet).await;
        if let Some(crowd) = crowd {
            crowd.await?;
        }
        let measured = &mut self.measured[phase];
        if let Some(replays) = replays {
            measured.replays += replays.await??;
        }
        let record = recorders.quiet.take_round();
        measured.neighbours.add(self.began, window.start, self.length, &record);
        let noise = recorders.noisy.take_round();
        measured.noise_done += noise.answered;
        measured.noise_refused += noise.failed + noise.unknown;
        Ok(record)
    }

    /// What was measured: without noise, and all phases.
    pub(super) fn finish(self) -> (Series, Vec<Measured>) {
        (self.quiet, self.measured)
    }
}

impl Measured {
    /// The round just added against its two neighbours: their geometric mean, so that a drift from the one to the other
    /// cancels out.
    fn compare(&mut self, record: &RoundRecord, before: &Quiet, behind: &Quiet) {
        self.pairs.push(Pair::new(&record.latencies, [&before.record.latencies, &behind.record.latencies]));
        let Some(round) = self.neighbours.rounds.last() else { return };
        let (before, behind) = (&before.round, &behind.round);
        let ratio = |figure: fn(&Round) -> f64| figure(round) / (figure(before) * figure(behind)).sqrt();
        let (p50, p99) = (ratio(|round| round.p50_us), ratio(|round| round.p99_us));
        if p50.is_finite() && p99.is_finite() {
            self.p50_ratios.push(p50);
            self.p99_ratios.push(p99);
        }
    }
}

/// A quiet phase.
struct Quiet {
    round: Round,
    record: RoundRecord,
}

/// The recorders of the neighbours, and those of whoever makes noise.
struct Both {
    quiet: Arc<Recorders>,
    noisy: Arc<Recorders>,
}

fn shuffled(count: usize, round: u32) -> Vec<usize> {
    let mut rng = Rng::new(SEED, round.into(), 0);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|_| rng.bits());
    order
}
