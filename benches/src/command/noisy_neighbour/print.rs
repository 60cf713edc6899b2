//! The report for people.

use super::{NoisyNeighbourReport, PhaseReport};
use crate::report::{self, micros, number, ratio, whole};

pub(super) fn print(report: &NoisyNeighbourReport) {
    println!(
        "noisy-neighbour · {} neighbours · {} commands started per second · {}-byte events · {} rounds of {} s a phase",
        number(report.neighbours.into()),
        whole(report.rate),
        report.event_bytes,
        report.rounds,
        report.seconds
    );
    let machine = &report.machine;
    println!(
        "sled (fsync) on {} · {} cores, {} · {}\n",
        report.filesystem, machine.cores, machine.processor, machine.kernel
    );
    let header = ["neighbours beside", "p50", "p99", "p50 ×", "p99 ×", "within 10 %"];
    println!("{}\n", report::table(&header, report.phases.iter().map(row)));
    for phase in report.phases.iter().filter(|phase| phase.met.is_some() || phase.name == "hot") {
        println!("  {:<12}{}", phase.name, noise(phase, report));
    }
    println!("  ×           the median of the rounds, against that of both quiet phases");
    if report.failed > 0 {
        let first = report.first_failure.as_deref().unwrap_or("nothing");
        println!("  FAILED      {} commands to neighbours; the first said: {first}", number(report.failed));
    }
    report::print_verified(report.verified_events, report.discrepancy.as_deref());
}

fn row(phase: &PhaseReport) -> Vec<String> {
    let verdict = match phase.met {
        Some(true) => "met",
        Some(false) => "SHORT",
        None => "–",
    };
    let name = match phase.name {
        quiet @ ("alone" | "alone, again") => quiet.to_owned(),
        noise => format!("… a {noise} one"),
    };
    let figures = [micros(phase.p50_us), micros(phase.p99_us), ratio(phase.p50_ratio), ratio(phase.p99_ratio)];
    [name].into_iter().chain(figures).chain([verdict.to_owned()]).collect()
}

/// What the noise was, with what became of it.
fn noise(phase: &PhaseReport, report: &NoisyNeighbourReport) -> String {
    let (done, refused) = (number(phase.noise_done), number(phase.noise_refused));
    match phase.name {
        "slow" => format!("the handler waits for 20 ms, 64 clients wait for it: {done} commands done"),
        "flooded" => format!("the handler waits for 1 ms, its queue is full: {done} commands done, {refused} refused"),
        "replay" => format!("a stream of {} events: {} replays", number(report.events.into()), number(phase.replays)),
        "quarantined" => format!("the handler panics: {refused} commands refused"),
        _ => format!(
            "4,096 clients, served as fast as it goes: {done} commands done; it shares the processor: no target"
        ),
    }
}
