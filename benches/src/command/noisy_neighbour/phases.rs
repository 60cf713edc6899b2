//! The phases and their rounds.

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
use crate::progress::Progress;
use crate::recorder::{Recorders, Window};
use crate::rng::Rng;
use crate::series::Series;
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
    measured: Vec<Measured>,
}

/// One phase.
pub(super) struct Measured {
    /// `None`: nobody makes noise.
    pub(super) noise: Option<Noise>,
    pub(super) neighbours: Series,
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
        let phases = [(None, "alone"), (None, "alone, again")].into_iter();
        let phases = phases.chain(options.noise.iter().map(|noise| (Some(*noise), noise.name())));
        let measured = phases.map(|(noise, name)| Measured {
            noise,
            neighbours: Series::new(name),
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
            measured: measured.collect(),
        })
    }

    /// Every phase once, in an order of this round's own: no phase always follows the same other one.
    pub(super) async fn round(
        &mut self,
        round: u32,
        quiet: &Arc<Recorders>,
        noisy: &Arc<Recorders>,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        for phase in shuffled(self.measured.len(), round) {
            progress.say(format!("round {}: {}", round + 1, self.measured[phase].neighbours.name));
            self.phase(phase, round, quiet, noisy).await?;
        }
        Ok(())
    }

    async fn phase(
        &mut self,
        phase: usize,
        round: u32,
        quiet: &Arc<Recorders>,
        noisy: &Arc<Recorders>,
    ) -> anyhow::Result<()> {
        tokio::time::sleep(REST).await;
        let start = Instant::now() + LEAD;
        let window = Window { start, end: start + self.length };
        let noise = self.measured[phase].noise;
        let replays = (noise == Some(Noise::Replay)).then(|| self.replayer.replay_until(window.end));
        let aggregate = match noise {
            Some(Noise::Flooded | Noise::Hot) => self.cast.flooded,
            Some(Noise::Quarantined) => self.cast.quarantined,
            _ => self.cast.slow,
        };
        let crowd = noise.map(|noise| {
            let disturber = Noisy { aggregate, ..self.noisy.clone() };
            tokio::spawn(disturber.disturb(noise, window, Arc::clone(noisy)))
        });
        open_loop::run(&self.target, &self.pickers, self.rate, round, window, quiet).await;
        if let Some(crowd) = crowd {
            crowd.await?;
        }
        let measured = &mut self.measured[phase];
        if let Some(replays) = replays {
            measured.replays += replays.await??;
        }
        measured.neighbours.add(self.began, window.start, self.length, &quiet.take_round());
        let noise = noisy.take_round();
        measured.noise_done += noise.answered;
        measured.noise_refused += noise.failed + noise.unknown;
        Ok(())
    }

    /// What was measured.
    pub(super) fn finish(self) -> Vec<Measured> {
        self.measured
    }
}

fn shuffled(count: usize, round: u32) -> Vec<usize> {
    let mut rng = Rng::new(SEED, round.into(), 0);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|_| rng.bits());
    order
}
