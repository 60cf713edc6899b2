//! `cargo load limit`: the raw limit alone; and its rounds between those of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::ensure;

use crate::driver::Driver;
use crate::footprint;
use crate::limit::Limit;
use crate::options::{LimitOptions, LoadOptions};
use crate::place::Place;
use crate::recorder::Recorders;
use crate::report::{Cost, RunReport, Setup};
use crate::series::Series;
use crate::workload::Workload;

/// Runs the command.
pub(crate) async fn run(options: LimitOptions, workers: usize) -> anyhow::Result<bool> {
    let load = &options.load;
    let place = Place::new(&options.place)?;
    let rounds = load.rounds(false);
    let driver = Driver::new(load, rounds, 1);
    let mut limit = LimitRounds::new(load, place.path(), workers)?;
    limit.warm_up(&driver).await?;
    for round in 0..rounds {
        limit.round(&driver, round).await?;
    }
    driver.progress().finish();

    let setup = Setup::of(load, rounds, workers, ("limit", "fsync"), &place.filesystem);
    let mut report = RunReport::new("limit", setup, &limit.series, &limit.recorders.ledger());
    report.cost = Cost {
        fsyncs_per_second: Some(limit.syncs_per_second()),
        group_size_mean: Some(limit.group_size_mean()),
        rss_bytes: footprint::resident_bytes()?,
        ..Cost::default()
    };
    report.publish(&[&limit.series], &options.output)?;
    Ok(true)
}

/// The limit's rounds: each on a file of its own, so that a long run does not fill the disk.
#[derive(Debug)]
pub(crate) struct LimitRounds {
    pub(crate) series: Series,
    recorders: Arc<Recorders>,
    file: PathBuf,
    event_bytes: u32,
    syncs: u64,
    events: u64,
    seconds: f64,
}

impl LimitRounds {
    /// No round yet.
    pub(crate) fn new(load: &LoadOptions, directory: &Path, workers: usize) -> anyhow::Result<Self> {
        ensure!(load.workload != Workload::ReadMostly, "the raw limit knows no reads: choose another workload");
        let is_plain = !matches!(load.workload, Workload::Claims | Workload::Transfers);
        ensure!(is_plain, "the raw limit knows neither claims nor transacts: choose another workload");
        Ok(LimitRounds {
            series: Series::new("limit"),
            recorders: Arc::new(Recorders::new(workers, load.workload.aggregates(load.aggregates))),
            file: directory.join("limit"),
            event_bytes: load.event_bytes,
            syncs: 0,
            events: 0,
            seconds: 0.0,
        })
    }

    /// Puts load on it without measuring.
    pub(crate) async fn warm_up(&mut self, driver: &Driver) -> anyhow::Result<()> {
        let (limit, target) = Limit::start(&self.file, self.event_bytes)?;
        driver.warm_up(&target, &self.recorders).await;
        drop(target);
        limit.join()?;
        Ok(std::fs::remove_file(&self.file)?)
    }

    /// Runs one round.
    pub(crate) async fn round(&mut self, driver: &Driver, round: u32) -> anyhow::Result<()> {
        let (limit, target) = Limit::start(&self.file, self.event_bytes)?;
        driver.round(&target, round, &self.recorders, &mut self.series).await;
        drop(target);
        let (syncs, events) = limit.counts();
        self.syncs += syncs;
        self.events += events;
        self.seconds += driver.round_length().as_secs_f64();
        limit.join()?;
        Ok(std::fs::remove_file(&self.file)?)
    }

    /// Syncs per second, in the mean of all rounds.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub(crate) fn syncs_per_second(&self) -> f64 {
        self.syncs as f64 / self.seconds
    }

    /// Events behind one sync, in the mean of all rounds.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub(crate) fn group_size_mean(&self) -> f64 {
        self.events as f64 / self.syncs.max(1) as f64
    }
}
