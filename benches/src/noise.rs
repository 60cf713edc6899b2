//! What disturbs neighbours: one aggregate that is slow, flooded, hot, long or broken.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use onefold::{Aggregate, Aggregates, Context, Decision, Handle};

use crate::contender::failure;
use crate::counter::{Counter, CounterEvent};
use crate::entry::Entry;
use crate::ids::Ids;
use crate::recorder::{Recorders, Window};
use crate::rng::Rng;
use crate::target::Outcome;
use crate::workload::{Operation, OperationKind};

/// What an aggregate does to be a nuisance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Noise {
    /// Its handler waits for 20 ms, and 64 clients wait for it.
    Slow,
    /// Its handler waits for 1 ms, and more clients wait for it than may be admitted: most are refused.
    Flooded,
    /// Its stream is long, and replayed over and over.
    Replay,
    /// Its handler panics, again and again, so that it is in quarantine most of the time.
    Quarantined,
    /// As many clients as may be admitted, whose commands it handles as fast as it can: it takes what the machine has.
    Hot,
}

impl Noise {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Noise::Slow => "slow",
            Noise::Flooded => "flooded",
            Noise::Replay => "replay",
            Noise::Quarantined => "quarantined",
            Noise::Hot => "hot",
        }
    }

    /// Whether neighbours must not notice. A hot aggregate shares the processor with them, and takes all that is left.
    pub(crate) fn has_target(self) -> bool {
        self != Noise::Hot
    }

    /// Who makes the noise; of a replay nobody: it is not made by commands.
    fn crowd(self, admitted_per_aggregate_max: u32) -> Option<Crowd> {
        let crowd = |clients, pause, rest| Some(Crowd { clients, pause: Duration::from_millis(pause), rest });
        match self {
            Noise::Slow => crowd(64, 20, Duration::ZERO),
            Noise::Flooded => crowd(admitted_per_aggregate_max * 5 / 4, 1, Duration::from_millis(100)),
            Noise::Hot => crowd(admitted_per_aggregate_max, 0, Duration::from_millis(100)),
            Noise::Quarantined => crowd(16, 0, Duration::from_millis(5)),
            Noise::Replay => None,
        }
    }
}

/// Clients of one aggregate.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    clients: u32,
    /// How long the handler waits.
    pause: Duration,
    /// How long a client waits after a refusal.
    rest: Duration,
}

/// Tells the counter a number; handled after a pause, as by a handler that asks another service.
#[derive(Clone, Copy, Debug)]
struct AddSlowly {
    nonce: u64,
    event_bytes: u32,
    pause: Duration,
}

impl Handle<AddSlowly> for Counter {
    type Reply = u64;

    async fn handle(&self, add: AddSlowly, _: &Context<Self>) -> Result<Decision<Self, u64>, Self::Rejection> {
        if !add.pause.is_zero() {
            tokio::time::sleep(add.pause).await;
        }
        let entry = Entry::new(self.count + 1, add.nonce, add.event_bytes);
        Ok(self.emit(CounterEvent::Added { entry }).reply(|counter| counter.count))
    }
}

/// Panics.
#[derive(Clone, Copy, Debug)]
struct Crash;

impl Handle<Crash> for Counter {
    type Reply = u64;

    async fn handle(&self, _: Crash, _: &Context<Self>) -> Result<Decision<Self, u64>, Self::Rejection> {
        // A panic that does not tell the terminal.
        std::panic::resume_unwind(Box::new("a bug in the aggregate"))
    }
}

/// One noisy aggregate and its clients' side.
#[derive(Clone)]
pub(crate) struct Noisy {
    pub(crate) aggregates: Aggregates<Counter>,
    pub(crate) ids: Ids,
    pub(crate) aggregate: u32,
    pub(crate) event_bytes: u32,
    pub(crate) admitted_per_aggregate_max: u32,
}

impl Noisy {
    /// Makes noise from now until the end of the window.
    pub(crate) async fn disturb(self, noise: Noise, window: Window, recorders: std::sync::Arc<Recorders>) {
        let Some(crowd) = noise.crowd(self.admitted_per_aggregate_max) else { return };
        let client = |number: u32| {
            let (noisy, recorders) = (self.clone(), std::sync::Arc::clone(&recorders));
            async move { noisy.client(noise, crowd, number, window, &recorders).await }
        };
        let clients: Vec<_> = (0..crowd.clients).map(|number| tokio::spawn(client(number))).collect();
        for client in clients {
            client.await.expect("clients don't panic");
        }
    }

    async fn client(self, noise: Noise, crowd: Crowd, number: u32, window: Window, recorders: &Recorders) {
        // The window tells the rounds apart.
        let round = u64::try_from(window.start.elapsed().as_nanos()).unwrap_or(0);
        let mut rng = Rng::new(u64::from(self.aggregate), round, number.into());
        loop {
            let started = Instant::now();
            // What still waits at the end of the phase is given up.
            let Some(left) = window.end.checked_duration_since(started).filter(|left| !left.is_zero()) else { return };
            let nonce = rng.bits();
            let outcome = self.send(noise, crowd, nonce, left).await;
            let refused = !matches!(outcome, Outcome::Written { .. });
            let operation = Operation { aggregate: self.aggregate, kind: OperationKind::Write { nonce } };
            recorders.record(&window, operation, outcome, started, Instant::now().max(window.start));
            if refused && !crowd.rest.is_zero() {
                tokio::time::sleep(crowd.rest.mul_f64(0.5 + rng.unit())).await;
            }
        }
    }

    async fn send(&self, noise: Noise, crowd: Crowd, nonce: u64, left: Duration) -> Outcome {
        let id = self.ids.get(self.aggregate);
        let answer = match noise {
            Noise::Quarantined => self.aggregates.ask(id, Crash).deadline(left).await,
            _ => {
                let add = AddSlowly { nonce, event_bytes: self.event_bytes, pause: crowd.pause };
                self.aggregates.ask(id, add).deadline(left).await
            }
        };
        answer.map_or_else(failure, |sequence| Outcome::Written { sequence })
    }
}
