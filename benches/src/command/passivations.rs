//! `cargo load passivations`: aggregates come into memory and go again, a million times, under load.
//!
//! Few of the aggregates fit into memory, and clients sweep through all of them: each command brings one back and pushes
//! another one out. The journal is then compared with what was acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onefold::Config;
use serde::Serialize;

use crate::closed_loop;
use crate::contender::Contender;
use crate::ids::Ids;
use crate::machine::Machine;
use crate::options::{DurabilityKind, JournalKind, PassivationsOptions};
use crate::place::Place;
use crate::progress::Progress;
use crate::recorder::{Recorders, Window};
use crate::report::{self, Goal, json};
use crate::store::StoreOptions;
use crate::verify;
use crate::workload::{Pickers, Workload};

const SEED: u64 = 1;

/// After each stretch of load it is looked whether it was enough.
const STRETCH: Duration = Duration::from_secs(1);

/// The figures. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
struct PassivationsReport {
    command: &'static str,
    aggregates: u32,
    resident: u32,
    in_flight: u32,
    event_bytes: u32,
    workers: usize,
    journal: &'static str,
    filesystem: String,
    seconds: f64,
    activations: u64,
    passivations: u64,
    target_passivations: u64,
    commands_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    failed: u64,
    unknown: u64,
    first_failure: Option<String>,
    verified: bool,
    verified_events: u64,
    discrepancy: Option<String>,
    #[serde(flatten)]
    machine: Machine,
}

/// Runs the command; returns whether nothing was lost.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
pub(crate) async fn run(options: PassivationsOptions, workers: usize) -> anyhow::Result<bool> {
    let place = Place::new(&options.place)?;
    let progress = Progress::spinner();
    let ids = Ids::new(options.aggregates);
    let store = StoreOptions {
        kind: JournalKind::Sled,
        durability: DurabilityKind::Fsync,
        cache_bytes: None,
        directory: place.path().join("journal"),
    };
    let config = Config { resident_max: options.resident as usize, ..Config::default() };
    let contender = Contender::start(store, config).await?;
    let target = contender.target(&ids, options.event_bytes)?;
    let recorders = Arc::new(Recorders::new(workers, options.aggregates));
    let pickers = Pickers::new(Workload::Cold, options.aggregates, options.in_flight, SEED);

    let began = Instant::now();
    for stretch in 0.. {
        let passivations = contender.stats().passivations;
        if passivations >= u64::from(options.passivations) {
            break;
        }
        progress.say(format!("{} passivations", report::number(passivations)));
        closed_loop::run(&target, &pickers, stretch, Window::starting_now(STRETCH), &recorders).await;
    }
    let (seconds, stats) = (began.elapsed().as_secs_f64(), contender.stats());
    let (ledger, record) = (recorders.ledger(), recorders.take_round());
    drop(target);

    progress.say("verifying");
    let reopened = contender.stop().await?.reopen()?;
    let verdict = verify::verify(&reopened, &ledger, options.event_bytes, &ids).await?;
    progress.finish();
    let report = PassivationsReport {
        command: "passivations",
        aggregates: options.aggregates,
        resident: options.resident,
        in_flight: options.in_flight,
        event_bytes: options.event_bytes,
        workers,
        journal: "sled",
        filesystem: place.filesystem.clone(),
        seconds,
        activations: stats.activations,
        passivations: stats.passivations,
        target_passivations: options.passivations.into(),
        commands_per_second: record.answered as f64 / seconds,
        p50_us: crate::series::micros_at(&record.latencies, 0.5),
        p99_us: crate::series::micros_at(&record.latencies, 0.99),
        failed: record.failed,
        unknown: record.unknown,
        first_failure: record.first_failure,
        verified: verdict.discrepancy.is_none(),
        verified_events: verdict.events,
        discrepancy: verdict.discrepancy,
        machine: Machine::this(),
    };
    print(&report);
    if let Some(file) = &options.output.json {
        json::write(file, &report)?;
    }
    Ok(report.verified)
}

fn print(report: &PassivationsReport) {
    let number = report::number;
    println!(
        "passivations · {} aggregates, {} of them in memory · {} in flight · {}-byte events",
        number(report.aggregates.into()),
        number(report.resident.into()),
        number(report.in_flight.into()),
        report.event_bytes
    );
    println!("{}\n", report::place_of(("sled", "fsync"), &report.filesystem, &report.machine));
    let lost = match (&report.discrepancy, report.failed + report.unknown) {
        (None, 0) => "nothing".to_owned(),
        (None, failed) => format!("nothing; {} commands failed", number(failed)),
        (Some(discrepancy), _) => discrepancy.clone(),
    };
    let goals = [
        Goal {
            figure: "instances let go under load",
            measured: number(report.passivations),
            target: format!("{} at least", number(report.target_passivations)),
            met: report.passivations >= report.target_passivations,
        },
        Goal { figure: "lost", measured: lost, target: "nothing".to_owned(), met: report.verified },
    ];
    println!("{}\n", report::goals(&goals));
    println!(
        "  load        {} commands/s for {:.1} s, p50 {}, p99 {}",
        report::whole(report.commands_per_second),
        report.seconds,
        report::micros(report.p50_us),
        report::micros(report.p99_us)
    );
    println!("  aggregates  {} activated, {} let go", number(report.activations), number(report.passivations));
    if let Some(failure) = &report.first_failure {
        println!("  failures    {} failed, {} unknown; the first: {failure}", report.failed, report.unknown);
    }
    report::print_verified(report.verified_events, report.discrepancy.as_deref());
}
