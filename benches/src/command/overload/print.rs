//! The report for people.

use super::{GOODPUT_RATIO_MIN, MEMORY_RATIO_MAX, NORMAL_SECONDS_MAX, OverloadReport, REFUSAL_P99_US_MAX};
use crate::report::{self, Goal, bytes, micros, number, ratio, whole};

/// The figures that have a target.
pub(super) fn goals(report: &OverloadReport) -> Vec<Goal> {
    let normal = report.back_to_normal_seconds;
    vec![
        Goal {
            figure: "goodput against the peak",
            measured: ratio(report.goodput_ratio),
            target: format!("{} at least", ratio(GOODPUT_RATIO_MIN)),
            met: report.goodput_ratio >= GOODPUT_RATIO_MIN,
        },
        Goal {
            figure: "… against the peak beside arrivals",
            measured: ratio(report.goodput_beside_arrivals_ratio),
            target: format!("{} at least", ratio(GOODPUT_RATIO_MIN)),
            met: report.goodput_beside_arrivals_ratio >= GOODPUT_RATIO_MIN,
        },
        Goal {
            figure: "memory at most",
            measured: bytes(report.memory_peak_bytes),
            target: format!("{} + 20 %", bytes(report.memory_cap_bytes)),
            met: report.memory_ratio <= MEMORY_RATIO_MAX,
        },
        Goal {
            figure: "refused after, p99",
            measured: micros(report.refusal_p99_us),
            target: format!("{} at most", micros(REFUSAL_P99_US_MAX)),
            met: report.refusal_p99_us <= REFUSAL_P99_US_MAX,
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
    println!(
        "  peak        {} commands/s in a closed loop of {}; {}/s beside arrivals that go nowhere",
        whole(report.peak_per_second),
        number(report.in_flight.into()),
        whole(report.peak_beside_arrivals_per_second)
    );
    println!(
        "  arrivals    {}/s of {}/s planned, {} refused (p50 {}; p99 since it was sent {})",
        whole(report.offered_per_second),
        whole(report.planned_per_second),
        number(report.refused),
        micros(report.refusal_p50_us),
        micros(report.refusal_p99_us_since_sent)
    );
    if report.offered_per_second < 0.95 * report.planned_per_second {
        println!("              the GENERATOR was the bottleneck: it did not send what was planned");
    }
    println!(
        "  goodput     {} commands/s, p50 {}, p99 {}; in the calm before p50 {}, p99 {}",
        whole(report.goodput_per_second),
        micros(report.admitted_p50_us),
        micros(report.admitted_p99_us),
        micros(report.calm_p50_us),
        micros(report.calm_p99_us)
    );
    println!(
        "  memory      {} resident before the overload, {} at most in it",
        bytes(report.memory_before_bytes),
        bytes(report.memory_peak_bytes)
    );
    if let Some(failure) = &report.first_failure {
        println!("  failures    the first: {failure}; {} with unknown outcome", number(report.unknown));
    }
    report::print_verified(report.verified_events, report.discrepancy.as_deref());
}
