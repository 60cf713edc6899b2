//! What the harness itself takes of the memory: the same arrivals in a process of their own, and nobody behind them.
//!
//! As many callers as a runtime would admit wait, each a task with its command's future, which has not been polled; the others
//! are refused. A runtime with a journal in memory is there, so that the futures are the same, and has nothing to do.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::Semaphore;

use crate::arrivals::{Arrivals, Stretch};
use crate::contender::{Contender, ContenderTarget};
use crate::footprint;
use crate::ids::Ids;
use crate::options::OverloadOptions;
use crate::recorder::Recorders;
use crate::store::StoreOptions;
use crate::target::{Outcome, Target};
use crate::timeline::Timeline;
use crate::workload::{Operation, Pickers, Workload};

/// Long enough for all callers to come.
const LENGTH: Duration = Duration::from_secs(2);

/// Measures it in a child process; in bytes.
pub(super) fn in_child(options: &OverloadOptions, rate: f64, workers: usize) -> anyhow::Result<u64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "--workers",
        &workers.to_string(),
        "overload",
        "--shared-cores",
        "--harness-alone",
        &rate.to_string(),
    ]);
    command.args(["--aggregates", &options.aggregates.to_string(), "--in-flight", &options.in_flight.to_string()]);
    command.args([
        "--event-bytes",
        &options.event_bytes.to_string(),
        "--seconds",
        &options.seconds.as_secs_f64().to_string(),
    ]);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start the harness by itself")?;
    ensure!(output.status.success(), "the harness by itself failed ({})", output.status);
    Ok(std::str::from_utf8(&output.stdout)?.trim().parse()?)
}

/// The child: prints what it has in memory while all callers wait.
pub(super) async fn run(options: &OverloadOptions, rate: f64, workers: usize) -> anyhow::Result<bool> {
    let config = super::config(options);
    let callers_max = config.admitted_max;
    let contender = Contender::start(StoreOptions::memory(), config).await?;
    let ids = Ids::new(options.aggregates);
    let held = Held {
        target: contender.target(&ids, options.event_bytes)?,
        places: Arc::new(AtomicUsize::new(callers_max)),
        never: Arc::new(Semaphore::new(0)),
    };
    let pickers = Pickers::new(Workload::Uniform, options.aggregates, options.in_flight, super::SEED);
    let recorders = Arc::new(Recorders::new(workers + 2, options.aggregates));
    let timeline = Arc::new(Timeline::starting_now(super::CALM_BEFORE + options.seconds + super::CALM_AFTER));
    let mut arrivals = Arrivals::new(held, &pickers, &recorders, &timeline);
    super::on_a_thread("arrivals", move || arrivals.run(&[Stretch { rate, length: LENGTH }]))?.await?;
    println!("{}", footprint::resident_bytes()?);
    Ok(true)
}

/// Holds the commands of so many callers, and refuses the others.
#[derive(Clone)]
struct Held {
    target: ContenderTarget,
    places: Arc<AtomicUsize>,
    never: Arc<Semaphore>,
}

impl Target for Held {
    fn call(&self, operation: Operation) -> impl Future<Output = Outcome> + Send + use<> {
        let call = self.target.call(operation);
        let (places, never) = (Arc::clone(&self.places), Arc::clone(&self.never));
        async move {
            let place = places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |places| places.checked_sub(1));
            if place.is_err() || never.acquire().await.is_err() {
                return Outcome::Overloaded { bound: "places" };
            }
            call.await
        }
    }
}
