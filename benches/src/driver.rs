//! Runs rounds: the same clients, in the same way, on whatever target.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::options::LoadOptions;
use crate::progress::Progress;
use crate::recorder::{Recorders, Window};
use crate::series::Series;
use crate::target::Target;
use crate::workload::Pickers;
use crate::{closed_loop, open_loop};

/// The round number that the warm-up's random numbers are drawn under.
const WARM_UP: u32 = u32::MAX;

/// What all rounds of a run have in common.
#[derive(Debug)]
pub(crate) struct Driver {
    pickers: Pickers,
    rate: Option<f64>,
    warmup: Duration,
    /// How long a round is.
    length: Duration,
    progress: Progress,
    began: Instant,
}

impl Driver {
    /// For `rounds` rounds of each of `targets` targets.
    pub(crate) fn new(load: &LoadOptions, rounds: u32, targets: u32) -> Self {
        Driver {
            pickers: Pickers::new(load.workload, load.aggregates, load.in_flight, load.seed),
            rate: load.rate,
            warmup: load.warmup,
            length: load.seconds / rounds,
            progress: Progress::timed((load.warmup + load.seconds) * targets),
            began: Instant::now(),
        }
    }

    /// The progress bar of it all.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How long a round is.
    pub(crate) fn round_length(&self) -> Duration {
        self.length
    }

    /// Gives every aggregate one event, not measured: what comes into memory in the first seconds is not what a service
    /// does for the rest of its life (`cold` and `recover` measure that).
    pub(crate) async fn prefill<T: Target>(&self, target: &T, load: &LoadOptions, recorders: &Arc<Recorders>) {
        self.progress.say("one event for each aggregate");
        let aggregates = load.workload.aggregates(load.aggregates);
        closed_loop::prefill(target, load.in_flight, aggregates, load.seed, recorders).await;
    }

    /// Puts load on a target without measuring: aggregates come into memory, files grow to their size. What is
    /// acknowledged is verified like everything else.
    pub(crate) async fn warm_up<T: Target>(&self, target: &T, recorders: &Arc<Recorders>) {
        if !self.warmup.is_zero() {
            self.load("warming up", target, WARM_UP, self.warmup, recorders).await;
        }
        recorders.take_round();
    }

    /// Runs one round and adds it to the series.
    pub(crate) async fn round<T: Target>(
        &self,
        target: &T,
        round: u32,
        recorders: &Arc<Recorders>,
        series: &mut Series,
    ) {
        let window = self.load(series.name, target, round, self.length, recorders).await;
        series.add(self.began, window.start, self.length, &recorders.take_round());
    }

    async fn load<T: Target>(
        &self,
        name: &'static str,
        target: &T,
        round: u32,
        length: Duration,
        recorders: &Arc<Recorders>,
    ) -> Window {
        let window = Window::starting_now(length);
        let _following = self.progress.follow(name, window, recorders);
        match self.rate {
            None => closed_loop::run(target, &self.pickers, round, window, recorders).await,
            Some(rate) => open_loop::run(target, &self.pickers, rate, round, window, recorders).await,
        }
        window
    }
}
