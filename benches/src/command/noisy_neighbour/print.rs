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
    let header = ["neighbours beside", "p50", "p99", "p50 ×", "p99 ×", "p99 × of all rounds", "within 10 %"];
    let quiet = [micros(report.quiet.p50_us), micros(report.quiet.p99_us)];
    let quiet = ["nobody".to_owned()].into_iter().chain(quiet).chain(["1", "1", "1", "–"].map(str::to_owned)).collect();
    println!("{}\n", report::table(&header, std::iter::once(quiet).chain(report.phases.iter().map(row))));
    for phase in report.phases.iter().filter(|phase| phase.has_target || phase.name == "hot") {
        println!("  {:<12}{}", phase.name, noise(phase, report));
    }
    println!(
        "  ×           against the quiet phases right before and behind (95 % of confidence): p50 and p99 round by round, and p99 of all together"
    );
    if report.failed > 0 {
        let first = report.first_failure.as_deref().unwrap_or("nothing");
        println!("  FAILED      {} commands to neighbours; the first said: {first}", number(report.failed));
    }
    report::print_verified(report.verified_events, report.discrepancy.as_deref());
}

fn row(phase: &PhaseReport) -> Vec<String> {
    let verdict = match (phase.has_target, phase.met) {
        (true, Some(true)) => "met",
        (true, Some(false)) => "SHORT",
        (true, None) => "cannot be told",
        (false, _) => "–",
    };
    let name = match phase.name {
        "alone, again" => "nobody, again".to_owned(),
        noise => format!("… a {noise} one"),
    };
    let estimate = |median, [low, high]: [f64; 2]| format!("{} ({low:.2} to {high:.2})", ratio(median));
    vec![
        name,
        micros(phase.p50_us),
        micros(phase.p99_us),
        estimate(phase.p50_ratio, phase.p50_ratio_range),
        estimate(phase.p99_by_round_ratio, phase.p99_by_round_ratio_range),
        estimate(phase.p99_ratio, phase.p99_ratio_range),
        verdict.to_owned(),
    ]
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
