//! How much can be done at most.
//!
//! ```text
//!   always          closed loop                    clients, each of which waits for one answer at a time
//!   cores apart     open loop                      as many arrivals, half as many more, twice as many: the best of them
//!   shared cores    closed loop beside arrivals    while as many arrivals as in the overload go nowhere
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::Overload;
use crate::arrivals::{Arrivals, Stretch};
use crate::closed_loop;
use crate::core_time::CoreTime;
use crate::recorder::{Recorders, Window};
use crate::target::{Outcome, Target};
use crate::timeline::Timeline;
use crate::workload::Operation;

/// Arrivals in the open loop, as multiples of the closed loop's peak.
const OPEN_SHARES: [f64; 3] = [1.0, 1.5, 2.0];

/// Commands per second at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peaks {
    pub(super) closed: f64,
    /// What the cores were given in it, per second.
    pub(super) closed_cores: f64,
    pub(super) open: Option<f64>,
    pub(super) beside_arrivals: Option<f64>,
    /// Arrivals of the overload.
    pub(super) planned: f64,
}

impl Peaks {
    /// What the overload is compared with. To a generator with cores of its own the runtime loses nothing: so it is the most that
    /// was ever done. One on the same cores takes as much of them beside the closed loop.
    pub(super) fn fair(&self) -> f64 {
        self.beside_arrivals.unwrap_or(self.closed.max(self.open.unwrap_or(0.0)))
    }
}

impl Overload {
    /// `planned` tells the arrivals of the overload from the most that can be done without any.
    pub(super) async fn peaks(&self, planned: impl Fn(f64) -> f64, length: Duration) -> anyhow::Result<Peaks> {
        self.closed(0, Duration::from_secs(1)).await;
        let cores = CoreTime::of_this_process();
        let closed = self.closed(1, length).await;
        let cores = CoreTime::of_this_process() - cores;
        let closed_cores = cores.running.as_secs_f64() / length.as_secs_f64();
        Ok(match self.cores {
            Some(_) => {
                let open = self.open(closed, length).await?;
                let planned = planned(closed.max(open));
                Peaks { closed, closed_cores, open: Some(open), beside_arrivals: None, planned }
            }
            None => {
                let planned = planned(closed);
                let beside = self.beside_arrivals(planned, length).await?;
                Peaks { closed, closed_cores, open: None, beside_arrivals: Some(beside), planned }
            }
        })
    }

    /// Commands per second in a closed loop.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    async fn closed(&self, round: u32, length: Duration) -> f64 {
        self.recorders.take_round();
        let window = Window::starting_now(length);
        closed_loop::run(&self.target, &self.pickers, round, window, &self.recorders).await;
        self.recorders.take_round().answered as f64 / length.as_secs_f64()
    }

    /// The same while as many commands as in the overload arrive, and go nowhere.
    async fn beside_arrivals(&self, rate: f64, length: Duration) -> anyhow::Result<f64> {
        let (recorders, timeline) = (Arc::new(Recorders::new(1, 1)), Arc::new(Timeline::starting_now(length)));
        let mut arrivals = Arrivals::new(Nowhere, &self.pickers, &recorders, &timeline);
        let arrivals = self.beside("arrivals", move || arrivals.run(&[Stretch { rate, length }]))?;
        let peak = self.closed(2, length).await;
        arrivals.await?;
        Ok(peak)
    }

    /// Commands per second that are done of those that arrive, at the best of a few rates, one after the other.
    async fn open(&self, closed: f64, length: Duration) -> anyhow::Result<f64> {
        let stretches = OPEN_SHARES.map(|share| Stretch { rate: closed * share, length });
        let timeline = Arc::new(Timeline::starting_now(length * 3));
        let mut arrivals = Arrivals::new(self.target.clone(), &self.pickers, &self.recorders, &timeline);
        self.beside("arrivals", move || arrivals.run(&stretches))?.await?;
        let starts = (0..).map(|number| length * number).take(OPEN_SHARES.len());
        let rates = starts.map(|start| timeline.answered_per_second(timeline.slots(start, start + length)));
        Ok(rates.fold(0.0, f64::max))
    }
}

/// Refuses everything, and has nothing to do for it.
#[derive(Clone, Copy, Debug)]
struct Nowhere;

impl Target for Nowhere {
    fn call(&self, _: Operation) -> impl Future<Output = Outcome> + Send + use<> {
        std::future::ready(Outcome::Overloaded { bound: "nowhere" })
    }
}
