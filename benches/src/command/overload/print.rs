//! The report for people.

use super::report::OverloadReport;
use super::{GOODPUT_RATIO_MIN, MEMORY_RATIO_MAX, NORMAL_SECONDS_MAX, REFUSAL_P99_US_MAX};
use crate::report::{self, Goal, bytes, micros, number, ratio, whole};

/// The figures that have a target.
pub(super) fn goals(report: &OverloadReport) -> Vec<Goal> {
    let normal = report.back_to_normal_seconds;
    vec![
        Goal {
            figure: match report.generator_cores {
                0 => "goodput against the peak beside arrivals",
                _ => "goodput against the peak",
            },
            measured: ratio(report.goodput_fair_ratio),
            target: format!("{} at least", ratio(GOODPUT_RATIO_MIN)),
            met: report.goodput_fair_ratio >= GOODPUT_RATIO_MIN,
        },
        Goal {
            figure: "onefold's memory at most",
            measured: bytes(report.memory_onefold_bytes),
            target: format!("{} + 20 %", bytes(report.memory_cap_bytes)),
            met: report.memory_ratio <= MEMORY_RATIO_MAX,
        },
        Goal {
            figure: "refused after, p99 since asked",
            measured: micros(report.refusal_p99_us),
            target: format!("{} at most", micros(REFUSAL_P99_US_MAX)),
            met: report.refusal_p99_us <= REFUSAL_P99_US_MAX,
        },
        Goal {
            figure: "… p99 of the prober, since asked",
            measured: micros(report.probe_asked_p99_us),
            target: format!("{} at most", micros(REFUSAL_P99_US_MAX)),
            met: report.probes > 0 && report.probe_asked_p99_us <= REFUSAL_P99_US_MAX,
        },
        Goal {
            figure: "back to normal after",
            measured: normal.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.1} s")),
            target: format!("{NORMAL_SECONDS_MAX:.1} s at most"),
            met: normal.is_some_and(|seconds| seconds <= NORMAL_SECONDS_MAX),
        },
    ]
}

pub(super) fn print(report: &OverloadReport) {
    println!(
        "overload · {} aggregates · {}-byte events · {} times the peak for {} s",
        number(report.aggregates.into()),
        number(report.event_bytes.into()),
        report.factor,
        report.seconds
    );
    let machine = &report.machine;
    println!(
        "sled (fsync) on {} · {} cores, {} · {}\n",
        report.filesystem, machine.cores, machine.processor, machine.kernel
    );
    println!("{}\n", report::goals(&goals(report)));
    let beside = report
        .peak_beside_arrivals_per_second
        .map(|peak| format!("; {}/s beside arrivals that go nowhere", whole(peak)));
    let open = report.peak_open_loop_per_second.map(|peak| format!("; {}/s in an open loop", whole(peak)));
    println!(
        "  peak        {} commands/s in a closed loop of {}{}",
        whole(report.peak_per_second),
        number(report.in_flight.into()),
        beside.or(open).unwrap_or_default()
    );
    println!(
        "  arrivals    {}/s of {}/s planned, {} refused (p50 {}); sent late by p50 {}, p99 {}",
        whole(report.offered_per_second),
        whole(report.planned_per_second),
        number(report.refused),
        micros(report.refusal_p50_us),
        micros(report.lateness_p50_us),
        micros(report.lateness_p99_us)
    );
    match report.generator_cores {
        0 => println!("  cores       {}, of the runtime and the generator together", report.runtime_cores),
        generator => println!("  cores       {} of the runtime, {generator} of the generator", report.runtime_cores),
    }
    println!(
        "  generator   took {} % of all cores, and waited for one {} % of the time",
        whole(report.generator_core_share * 100.0),
        whole(report.generator_waiting_share * 100.0)
    );
    println!(
        "  prober      {} refusals, since due p50 {}, p99 {}: its wait for a core with it; asked by tasks of the runtime p50 {}, p99 {}",
        number(report.probes),
        micros(report.probe_p50_us),
        micros(report.probe_p99_us),
        micros(report.task_probe_p50_us),
        micros(report.task_probe_p99_us)
    );
    if report.offered_per_second < 0.95 * report.planned_per_second {
        println!("              the GENERATOR was the bottleneck: it did not send what was planned");
    }
    println!(
        "  goodput     {} commands/s: {} of the closed loop's, {} of it per second of a core that the generator left",
        whole(report.goodput_per_second),
        ratio(report.goodput_ratio),
        ratio(report.goodput_per_core_ratio)
    );
    println!(
        "  latency     of what was done p50 {}, p99 {}; in the calm before p50 {}, p99 {}",
        micros(report.admitted_p50_us),
        micros(report.admitted_p99_us),
        micros(report.calm_p50_us),
        micros(report.calm_p99_us)
    );
    println!(
        "  memory      {} resident before the overload, {} at most in it, {} of that the harness and its callers",
        bytes(report.memory_before_bytes),
        bytes(report.memory_peak_bytes),
        bytes(report.memory_harness_bytes)
    );
    if let Some(failure) = &report.first_failure {
        println!("  failures    the first: {failure}; {} with unknown outcome", number(report.unknown));
    }
    report::print_verified(report.verified_events, report.discrepancy.as_deref());
}
