//! `cargo load run`: the runtime under load, beside the raw limit and the in-memory journal if asked, then verified.

use std::sync::Arc;

use anyhow::ensure;
use onefold::Config;

use super::limit::LimitRounds;
use crate::contender::{Contender, ContenderTarget};
use crate::driver::Driver;
use crate::footprint;
use crate::ids::Ids;
use crate::options::{JournalKind, LoadOptions, RunOptions};
use crate::place::Place;
use crate::recorder::Recorders;
use crate::report::{Comparison, Cost, MemoryComparison, PlainComparison, RunReport, Setup};
use crate::series::Series;
use crate::store::{StoreOptions, Written};
use crate::verify::{self, Verdict};
use crate::workload::Workload;

/// Runs the command; returns whether everything was right.
pub(crate) async fn run(options: RunOptions, workers: usize) -> anyhow::Result<bool> {
    match options.load.workload {
        Workload::Claims => return super::claims::run(options, workers).await,
        Workload::Transfers => return super::transfers::run(options, workers).await,
        _ => {}
    }
    let load = &options.load;
    let place = Place::new(&options.place)?;
    let rounds = load.rounds(options.with_limit || options.with_memory || options.with_plain);
    let targets = 1 + [options.with_limit, options.with_memory, options.with_plain].map(u32::from).iter().sum::<u32>();
    let driver = Driver::new(load, rounds, targets);
    let ids = Ids::new(load.workload.aggregates(load.aggregates));

    let mut all = Targets::start(&options, &place, &ids, workers).await?;
    all.warm_up(&driver, load).await?;
    for round in 0..rounds {
        all.round(&driver, round).await?;
    }
    let Targets { limit, memory, plain, measured } = all;

    let setup = Setup::of(load, rounds, workers, (options.journal.name(), durability(&options)), &place.filesystem);
    let ledger = measured.recorders.ledger();
    let mut report = RunReport::new("run", setup, &measured.series, &ledger);
    report.cost = measured.cost()?;
    if let Some(limit) = &limit {
        report.limit = Comparison::of(&measured.series, &limit.series);
        report.limit.limit_fsyncs_per_second = Some(limit.syncs_per_second());
        report.limit.limit_group_size_mean = Some(limit.group_size_mean());
        report.each_limit_round.clone_from(&limit.series.rounds);
    }
    let memory = match memory {
        Some(memory) => Some(memory.stop().await?),
        None => None,
    };
    if let Some(memory) = &memory {
        report.memory = MemoryComparison::of(&measured.series, memory);
        report.each_memory_round.clone_from(&memory.rounds);
    }

    let plain = match plain {
        Some(plain) => Some(plain.stop().await?),
        None => None,
    };
    if let Some(plain) = &plain {
        report.plain = PlainComparison::of(&measured.series, plain);
        report.each_plain_round.clone_from(&plain.rounds);
    }

    driver.progress().say("verifying");
    let ContenderRounds { series, contender, target, .. } = measured;
    drop(target);
    let stopped = contender.stop().await?;
    let disk_bytes = stopped.disk_bytes()?;
    let Verdict { events, discrepancy } = verify::verify(&stopped.reopen()?, &ledger, load.event_bytes, &ids).await?;
    driver.progress().finish();
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let bytes_per_event = disk_bytes.map(|bytes| bytes as f64 / events.max(1) as f64);
    report.cost.bytes_per_event_on_disk = bytes_per_event;
    report.outcome.verified = Some(discrepancy.is_none());
    report.outcome.verified_events = Some(events);
    report.outcome.discrepancy = discrepancy;

    let limit = limit.as_ref().map(|limit| &limit.series);
    let all: Vec<&Series> =
        std::iter::once(&series).chain(plain.as_ref()).chain(memory.as_ref()).chain(limit).collect();
    report.publish(&all, &options.output)?;
    Ok(report.outcome.verified == Some(true))
}

/// What takes turns.
struct Targets {
    limit: Option<LimitRounds>,
    memory: Option<ContenderRounds>,
    plain: Option<ContenderRounds>,
    measured: ContenderRounds,
}

impl Targets {
    async fn start(options: &RunOptions, place: &Place, ids: &Ids, workers: usize) -> anyhow::Result<Self> {
        ensure!(
            !(options.with_memory && options.journal == JournalKind::Memory),
            "--with-memory compares another journal with the one in memory: leave out one of the two"
        );
        let limit = options.with_limit.then(|| LimitRounds::new(&options.load, place.path(), workers)).transpose()?;
        let start = async |name, store, keys| ContenderRounds::start(name, store, (options, keys), ids, workers).await;
        let memory = match options.with_memory {
            true => Some(start("memory", StoreOptions::memory(), options.idempotent).await?),
            false => None,
        };
        let cache_bytes = options.cache.map(|mebibytes| usize::try_from(mebibytes << 20)).transpose()?;
        let (kind, durability) = (options.journal, options.durability);
        let store = |name: &str| StoreOptions { kind, durability, cache_bytes, directory: place.path().join(name) };
        let plain = match options.with_plain {
            true => Some(start("plain", store("plain"), false).await?),
            false => None,
        };
        let name = if options.idempotent { "with keys" } else { options.journal.name() };
        let measured = start(name, store("journal"), options.idempotent).await?;
        Ok(Targets { limit, memory, plain, measured })
    }

    async fn warm_up(&mut self, driver: &Driver, load: &LoadOptions) -> anyhow::Result<()> {
        if let Some(limit) = &mut self.limit {
            limit.warm_up(driver).await?;
        }
        if let Some(memory) = &mut self.memory {
            memory.warm_up(driver, load).await;
        }
        if let Some(plain) = &mut self.plain {
            plain.warm_up(driver, load).await;
        }
        self.measured.warm_up(driver, load).await;
        Ok(())
    }

    /// One round of each, close together, so that a drifting disk is the same for all.
    async fn round(&mut self, driver: &Driver, round: u32) -> anyhow::Result<()> {
        if let Some(limit) = &mut self.limit {
            limit.round(driver, round).await?;
        }
        if let Some(memory) = &mut self.memory {
            memory.round(driver, round).await;
        }
        if let Some(plain) = &mut self.plain {
            plain.round(driver, round).await;
        }
        self.measured.round(driver, round).await;
        Ok(())
    }
}

/// The rounds of the runtime on one journal.
struct ContenderRounds {
    series: Series,
    recorders: Arc<Recorders>,
    contender: Contender,
    target: ContenderTarget,
    /// What the journal wrote in measured rounds, and in how many seconds.
    written: Written,
    seconds: f64,
}

impl ContenderRounds {
    async fn start(
        name: &'static str,
        store: StoreOptions,
        (options, keys): (&RunOptions, bool),
        ids: &Ids,
        workers: usize,
    ) -> anyhow::Result<Self> {
        let load = &options.load;
        let contender = Contender::start(store, config(options)).await?;
        let target = contender.target(ids, load.event_bytes)?.with_keys(keys);
        let recorders = Arc::new(Recorders::new(workers, load.workload.aggregates(load.aggregates)));
        let (series, written) = (Series::new(name), Written::default());
        Ok(ContenderRounds { series, recorders, contender, target, written, seconds: 0.0 })
    }

    async fn warm_up(&mut self, driver: &Driver, load: &LoadOptions) {
        driver.prefill(&self.target, load, &self.recorders).await;
        driver.warm_up(&self.target, &self.recorders).await;
    }

    async fn round(&mut self, driver: &Driver, round: u32) {
        let before = self.contender.written().unwrap_or_default();
        driver.round(&self.target, round, &self.recorders, &mut self.series).await;
        self.written += self.contender.written().unwrap_or_default() - before;
        self.seconds += driver.round_length().as_secs_f64();
    }

    #[expect(clippy::cast_precision_loss, reason = "means")]
    fn cost(&self) -> anyhow::Result<Cost> {
        let stats = self.contender.stats();
        let written = self.contender.written().map(|_| self.written);
        Ok(Cost {
            fsyncs_per_second: written.map(|written| written.syncs as f64 / self.seconds),
            group_size_mean: written.map(|written| written.commits as f64 / written.groups.max(1) as f64),
            bytes_per_event_on_disk: None,
            rss_bytes: footprint::resident_bytes()?,
            activations: Some(stats.activations),
            passivations: Some(stats.passivations),
        })
    }

    async fn stop(self) -> anyhow::Result<Series> {
        self.contender.stop().await?;
        Ok(self.series)
    }
}

/// The bounds that users have, but for `cold`, which needs aggregates that are not in memory.
pub(super) fn config(options: &RunOptions) -> Config {
    let (workload, aggregates) = (options.load.workload, options.load.aggregates);
    let cold = (workload == Workload::Cold).then(|| (aggregates / 10).max(1));
    let defaults = Config::default();
    let resident_max = options.resident.or(cold).map_or(defaults.resident_max, |resident| resident as usize);
    Config { resident_max, ..defaults }
}

fn durability(options: &RunOptions) -> &'static str {
    match options.journal {
        JournalKind::Memory => "none",
        JournalKind::Sled => options.durability.name(),
    }
}
