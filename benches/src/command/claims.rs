//! `cargo load run --workload claims`: new users register, several for each name, all at once.
//!
//! Each registration is the first command of an aggregate: it brings a stream into memory that nobody knew, takes the claim
//! on the name, and waits for the sync that stores both. Of those that race for a name one is told that it has it, and the
//! others that it is taken. What they were told is then compared with who holds the names: by the runtime's listing, and,
//! after the journal was opened again, by its log.

mod race;
mod verify;

use std::time::Instant;

use anyhow::ensure;
use onefold::{Aggregates, Runtime};
use serde::Serialize;

use self::race::{Race, Told};
use crate::core_time::CoreTime;
use crate::machine::Machine;
use crate::options::{JournalKind, RunOptions};
use crate::place::Place;
use crate::progress::Progress;
use crate::report::{self, json};
use crate::statistics::median;
use crate::store::{Store, StoreOptions, Written};
use crate::user::User;

/// The figures. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
struct ClaimsReport {
    command: &'static str,
    workload: &'static str,
    aggregates: u32,
    names: u32,
    in_flight: u32,
    rounds: u32,
    workers: usize,
    journal: &'static str,
    durability: &'static str,
    filesystem: String,
    registrations_per_second: f64,
    won_per_second: f64,
    rejected_per_second: f64,
    /// Time on a core per registration: what does not depend on who else uses the machine.
    core_us: f64,
    p50_us: f64,
    p99_us: f64,
    fsyncs_per_second: Option<f64>,
    group_size_mean: Option<f64>,
    won: u64,
    rejected: u64,
    failed: u64,
    unknown: u64,
    first_failure: Option<String>,
    verified: bool,
    verified_claims: u64,
    discrepancy: Option<String>,
    each_round: Vec<ClaimsRound>,
    #[serde(flatten)]
    machine: Machine,
}

/// One round's pace.
#[derive(Clone, Copy, Debug, Serialize)]
struct ClaimsRound {
    registrations_per_second: f64,
    won_per_second: f64,
    rejected_per_second: f64,
    core_us: f64,
}

/// Runs the command; returns whether each name has the one holder that was told so.
#[expect(clippy::cast_precision_loss, reason = "rates and means")]
pub(crate) async fn run(options: RunOptions, workers: usize) -> anyhow::Result<bool> {
    let load = &options.load;
    ensure!(
        load.rate.is_none() && !options.with_limit && !options.with_memory && !options.idempotent,
        "`claims` is a closed loop on one journal: leave out --rate, --with-limit, --with-memory and --idempotent"
    );
    let (registrations, rounds) = (load.aggregates, load.rounds(true));
    let names = options.names.min(registrations);
    ensure!(
        u64::from(registrations) * u64::from(rounds + 1) < 100_000_000,
        "all rounds together may have 99,999,999 registrations: ask for fewer --aggregates or --rounds"
    );
    let place = Place::new(&options.place)?;
    let progress = Progress::spinner();
    let store_options = StoreOptions {
        kind: options.journal,
        durability: options.durability,
        cache_bytes: options.cache.map(|mebibytes| usize::try_from(mebibytes << 20)).transpose()?,
        directory: place.path().join("journal"),
    };
    let store = store_options.open()?;
    let runtime = start(&store, &options).await?;
    let users: Aggregates<User> = runtime.aggregates()?;

    let mut told = Told::new(names * (rounds + 1));
    if !load.warmup.is_zero() {
        progress.say("warming up");
        Race::new(rounds, registrations, names).run(&users, load.in_flight, &mut told).await;
        told.forget_figures();
    }
    let (mut each_round, mut written, mut seconds) = (Vec::new(), Written::default(), 0.0);
    for round in 0..rounds {
        progress.say(format!("round {} of {rounds}", round + 1));
        let (before, began) = (store.written().unwrap_or_default(), Instant::now());
        let cores_before = CoreTime::of_this_process();
        let (won, rejected) = Race::new(round, registrations, names).run(&users, load.in_flight, &mut told).await;
        let took = began.elapsed().as_secs_f64();
        let cores = CoreTime::of_this_process() - cores_before;
        written += store.written().unwrap_or_default() - before;
        seconds += took;
        let per_second = |count: u64| count as f64 / took;
        each_round.push(ClaimsRound {
            registrations_per_second: per_second(won + rejected),
            won_per_second: per_second(won),
            rejected_per_second: per_second(rejected),
            core_us: cores.running.as_secs_f64() * 1e6 / f64::from(registrations),
        });
    }

    progress.say("verifying");
    let listed = verify::listing(&runtime, &told).await;
    drop(users);
    let report = runtime.shutdown(std::time::Duration::from_secs(120)).await;
    ensure!(report.is_clean(), "the shutdown was not clean: {report:?}");
    let logged = verify::log(&store.reopen(&store_options)?.journal(), &told).await;
    progress.finish();

    let median = |figure: fn(&ClaimsRound) -> f64| median(each_round.iter().map(figure)).unwrap_or(0.0);
    let disk = options.journal == JournalKind::Sled;
    let report = ClaimsReport {
        command: "run",
        workload: load.workload.name(),
        aggregates: registrations,
        names,
        in_flight: load.in_flight,
        rounds,
        workers,
        journal: options.journal.name(),
        durability: if disk { options.durability.name() } else { "none" },
        filesystem: place.filesystem.clone(),
        registrations_per_second: median(|round| round.registrations_per_second),
        won_per_second: median(|round| round.won_per_second),
        rejected_per_second: median(|round| round.rejected_per_second),
        core_us: median(|round| round.core_us),
        p50_us: crate::series::micros_at(told.latencies(), 0.5),
        p99_us: crate::series::micros_at(told.latencies(), 0.99),
        fsyncs_per_second: disk.then_some(written.syncs as f64 / seconds),
        group_size_mean: disk.then_some(written.commits as f64 / written.groups.max(1) as f64),
        won: told.won,
        rejected: told.rejected,
        failed: told.failed,
        unknown: told.unknown,
        first_failure: told.first_failure.clone(),
        verified: listed.is_ok() && logged.is_ok(),
        verified_claims: logged.as_ref().copied().unwrap_or(0),
        discrepancy: listed.err().or(logged.err()),
        each_round: each_round.clone(),
        machine: Machine::this(),
    };
    print(&report);
    if let Some(file) = &options.output.json {
        json::write(file, &report)?;
    }
    Ok(report.verified)
}

async fn start(store: &Store, options: &RunOptions) -> anyhow::Result<Runtime> {
    let config = super::run::config(options);
    Ok(Runtime::builder(store.journal()).config(config).aggregate::<User>(()).start().await?)
}

fn print(report: &ClaimsReport) {
    let (number, whole) = (report::number, report::whole);
    println!(
        "claims · {} registrations for {} names · {} in flight · {} rounds",
        number(report.aggregates.into()),
        number(report.names.into()),
        number(report.in_flight.into()),
        report.rounds
    );
    let place = report::place_of((report.journal, report.durability), &report.filesystem, &report.machine);
    println!("{place}\n");
    let rows = [
        ("registrations/s", whole(report.registrations_per_second)),
        ("won/s", whole(report.won_per_second)),
        ("rejected/s", whole(report.rejected_per_second)),
        ("core time of each", report::micros(report.core_us)),
        ("p50", report::micros(report.p50_us)),
        ("p99", report::micros(report.p99_us)),
    ];
    println!("{}\n", report::column(report.journal, rows));
    if let Some(syncs) = report::syncs(report.fsyncs_per_second, report.group_size_mean) {
        println!("  syncs       {syncs}");
    }
    let failed = report::failures(report.failed, report.unknown, report.first_failure.as_deref());
    println!("  answers     {} won, {} rejected{failed}", number(report.won), number(report.rejected));
    match &report.discrepancy {
        None => println!(
            "  verified    yes: {} names, each held by the one who was told so; by the listing and by the log",
            number(report.verified_claims)
        ),
        Some(discrepancy) => println!("  verified    NO: {discrepancy}"),
    }
}
