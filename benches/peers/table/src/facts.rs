//! What a reader has to know to judge the table: what was run, where, how much
//! the rounds differ, and what went wrong.

use serde_json::Value;

use crate::runs::Runs;
use crate::table;

/// A few sentences below the table.
pub(crate) fn markdown(runs: &Runs) -> String {
    let mut text = format!("{}\n{}\n", setup(runs), machine(runs));
    if let Some(spread) = widest_spread(runs) {
        text.push_str(&format!("{spread}\n"));
    }
    for problem in problems(runs) {
        text.push_str(&format!("* {problem}\n"));
    }
    text
}

fn setup(runs: &Runs) -> String {
    let rounds = runs.cells().map(|(_, _, reports)| reports.len()).max().unwrap_or(0);
    let uniform = |key| {
        any(runs, |workload, report| report[key].as_f64().filter(|_| workload == "uniform").map(table::thousands))
    };
    let all = |key| any(runs, |_, report| report[key].as_f64().map(|figure| figure.to_string()));
    format!(
        "Medians of {rounds} interleaved rounds of {} s; {}-byte events; `uniform` over {} aggregates; {} clients in \
         `uniform` and `hot`, one in `single`; a command is acknowledged after the sync. In brackets: the first column \
         divided by this one (commands/s: above 1, the first is faster; µs: below 1, the first is faster).",
        all("seconds"),
        all("event_bytes"),
        uniform("aggregates"),
        uniform("in_flight"),
    )
}

fn machine(runs: &Runs) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let filesystem = any(runs, |_, report| report["filesystem"].as_str().map(str::to_owned));
    format!("Machine: {cores} cores, Linux {}, {filesystem}.", kernel.trim())
}

/// The first answer any report gives.
fn any(runs: &Runs, fact: impl Fn(&str, &Value) -> Option<String>) -> String {
    runs.cells()
        .find_map(|(_, workload, reports)| reports.iter().find_map(|report| fact(workload, report)))
        .unwrap_or_else(|| "?".to_owned())
}

fn widest_spread(runs: &Runs) -> Option<String> {
    let spreads = runs.cells().filter_map(|(contender, workload, reports)| {
        let (key, _) = table::figure(workload);
        let figures = || reports.iter().filter_map(|report| report[key].as_f64());
        let (least, most) = (figures().reduce(f64::min)?, figures().reduce(f64::max)?);
        let median = runs.median(contender, workload, key).filter(|median| *median > 0.0)?;
        Some(((most - least) / median * 100.0, contender, workload))
    });
    let (percent, contender, workload) = spreads.max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(format!("Widest spread between rounds: {percent:.0} % of the median ({contender}, {workload})."))
}

fn problems(runs: &Runs) -> Vec<String> {
    let rounds = runs.cells().map(|(_, _, reports)| reports.len()).max().unwrap_or(0);
    let mut problems = Vec::new();
    for (contender, workload, reports) in runs.cells() {
        let failed: u64 = reports.iter().filter_map(|report| report["failed"].as_u64()).sum();
        if failed > 0 {
            problems.push(format!("{contender}, {workload}: {failed} commands failed."));
        }
        if reports.iter().any(|report| report["verified"] == Value::Bool(false)) {
            problems.push(format!("{contender}, {workload}: the store did not hold all that was acknowledged."));
        }
        if reports.len() < rounds {
            problems.push(format!("{contender}, {workload}: only {} of {rounds} rounds.", reports.len()));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failures_and_missing_rounds_are_told() {
        let mut runs = Runs::default();
        runs.add("a", "hot", json!({ "commands_per_second": 10, "failed": 0, "verified": null }));
        runs.add("a", "hot", json!({ "commands_per_second": 30, "failed": 0, "verified": true }));
        runs.add("b", "hot", json!({ "commands_per_second": 5, "failed": 7, "verified": false }));
        assert_eq!(
            problems(&runs),
            [
                "b, hot: 7 commands failed.",
                "b, hot: the store did not hold all that was acknowledged.",
                "b, hot: only 1 of 2 rounds.",
            ]
        );
        assert_eq!(
            widest_spread(&runs).as_deref(),
            Some("Widest spread between rounds: 100 % of the median (a, hot).")
        );
    }
}
