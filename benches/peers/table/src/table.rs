//! The table: a row per workload, a column per contender.

use crate::runs::{Runs, WORKLOADS};

/// The table, and the ratio of the first contender to each other one.
pub(crate) fn markdown(runs: &Runs, contenders: &[String]) -> String {
    let mut text = format!("| workload | {} |\n|---|", contenders.join(" | "));
    text.push_str(&"--:|".repeat(contenders.len()));
    text.push('\n');
    for workload in WORKLOADS {
        let (key, label) = figure(workload);
        let reference = runs.median(&contenders[0], workload, key);
        let cells: Vec<String> = contenders
            .iter()
            .enumerate()
            .map(|(column, contender)| cell(runs.median(contender, workload, key), reference.filter(|_| column > 0)))
            .collect();
        text.push_str(&format!("| {workload}, {label} | {} |\n", cells.join(" | ")));
    }
    text
}

/// What counts: throughput where many wait, latency where one waits.
pub(crate) fn figure(workload: &str) -> (&'static str, &'static str) {
    match workload {
        "single" => ("p50_us", "p50 µs"),
        _ => ("commands_per_second", "commands/s"),
    }
}

fn cell(figure: Option<f64>, reference: Option<f64>) -> String {
    match (figure, reference) {
        (None, _) => "–".to_owned(),
        (Some(figure), Some(reference)) if figure > 0.0 => {
            format!("{} ({:.2}×)", thousands(figure), reference / figure)
        }
        (Some(figure), _) => thousands(figure),
    }
}

/// `1234567.8` as `1,234,568`.
pub(crate) fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_cell_has_the_median_and_the_ratio_to_the_first_contender() {
        let mut runs = Runs::default();
        for commands_per_second in [900.0, 400_000.4, 500_000.0] {
            runs.add("onefold", "uniform", json!({ "commands_per_second": commands_per_second }));
        }
        runs.add("other", "uniform", json!({ "commands_per_second": 100_000 }));
        runs.add("onefold", "single", json!({ "p50_us": 150 }));
        runs.add("other", "single", json!({ "p50_us": 200 }));
        let contenders = ["onefold".to_owned(), "other".to_owned()];
        assert_eq!(
            markdown(&runs, &contenders),
            "| workload | onefold | other |\n\
             |---|--:|--:|\n\
             | uniform, commands/s | 400,000 | 100,000 (4.00×) |\n\
             | hot, commands/s | – | – |\n\
             | single, p50 µs | 150 | 200 (0.75×) |\n"
        );
    }
}
