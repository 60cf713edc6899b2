//! A report for people: one table of the targets side by side, then what it cost and whether it was right.

use comfy_table::{CellAlignment, Table, presets};

use super::units::{bytes, figure, micros, number, ratio, whole};
use super::{Latency, RunReport};
use crate::machine::Machine;
use crate::series::Series;

/// Prints a run. The first series is the measured one.
pub(crate) fn print(report: &RunReport, series: &[&Series]) {
    println!("{}\n{}\n", what(report), place(report));
    println!("{}\n", figures(report, series));
    for (name, fact) in facts(report) {
        println!("  {name:<12}{fact}");
    }
}

/// What was asked for, in a line.
pub(super) fn what(report: &RunReport) -> String {
    let setup = &report.setup;
    let aggregates = match setup.aggregates {
        1 => "1 aggregate".to_owned(),
        aggregates => format!("{} aggregates", number(aggregates.into())),
    };
    let clients = match setup.rate {
        None => format!("{} in flight", number(setup.in_flight.into())),
        Some(rate) => format!("{} started per second", whole(rate)),
    };
    let rounds = match setup.rounds {
        1 => format!("{} s", setup.seconds),
        rounds => format!("{rounds} rounds of {} s", figure(setup.seconds / f64::from(rounds))),
    };
    format!("{} · {aggregates} · {clients} · {}-byte events · {rounds}", setup.workload, setup.event_bytes)
}

/// Where it ran, in a line.
pub(super) fn place(report: &RunReport) -> String {
    let setup = &report.setup;
    place_of((setup.journal, setup.durability), &setup.filesystem, &report.machine)
}

/// On which journal, with which durability, on what: in a line.
pub(crate) fn place_of((journal, durability): (&str, &str), filesystem: &str, machine: &Machine) -> String {
    let journal = match durability {
        "none" => journal.to_owned(),
        durability => format!("{journal} ({durability}) on {filesystem}"),
    };
    format!("{journal} · {} cores, {} · {}", machine.cores, machine.processor, machine.kernel)
}

/// A table of one target's figures, by name.
pub(crate) fn column<const N: usize>(target: &str, figures: [(&str, String); N]) -> Table {
    table(&["", target], figures.map(|(name, figure)| vec![name.to_owned(), figure]))
}

/// How many syncs there were, and what was behind each; of a journal that has some.
pub(crate) fn syncs(fsyncs_per_second: Option<f64>, group_size_mean: Option<f64>) -> Option<String> {
    let (fsyncs, group) = fsyncs_per_second.zip(group_size_mean)?;
    Some(format!("{}/s, {} commits each", whole(fsyncs), figure(group)))
}

/// What was not done, behind what was; nothing if there is none.
pub(crate) fn failures(failed: u64, unknown: u64, first: Option<&str>) -> String {
    let Some(first) = first else { return String::new() };
    format!(", {} failed, {} with unknown outcome; the first: {first}", number(failed), number(unknown))
}

fn figures(report: &RunReport, series: &[&Series]) -> Table {
    let latencies: Vec<Latency> = series.iter().map(|series| Latency::of(series)).collect();
    let header: Vec<&str> = std::iter::once("").chain(series.iter().map(|series| series.name)).collect();
    let row = |name: &str, cell: &dyn Fn(&Latency) -> String| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(latencies.iter().map(cell)).collect()
    };
    let mut rows = vec![
        row("commands/s", &|latency| whole(latency.commands_per_second)),
        row("p50", &|latency| micros(latency.p50_us)),
        row("p90", &|latency| micros(latency.p90_us)),
        row("p99", &|latency| micros(latency.p99_us)),
        row("p99.9", &|latency| micros(latency.p999_us)),
        row("max", &|latency| micros(latency.max_us)),
    ];
    if series.len() > 1 {
        let ratios = series[1..].iter().map(|series| against(report, series.name));
        rows.push([format!("{} reaches", series[0].name), String::new()].into_iter().chain(ratios).collect());
    }
    table(&header, rows)
}

/// A table whose first column is text and whose others are figures.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    for column in 1..header.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The share of another target's throughput that was reached.
pub(super) fn against(report: &RunReport, name: &str) -> String {
    let reached = match name {
        "limit" => report.limit.limit_ratio,
        "plain" => report.plain.plain_ratio,
        _ => report.memory.memory_journal_ratio,
    };
    reached.map_or_else(String::new, ratio)
}

/// What it cost and whether it was right, by name.
pub(super) fn facts(report: &RunReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(ratio) = report.limit.p50_limit_ratio {
        facts.push(("p50", format!("{ratio:.2} times the limit's")));
    }
    if let Some(syncs) = syncs(report.cost.fsyncs_per_second, report.cost.group_size_mean) {
        facts.push(("syncs", syncs));
    }
    if let Some(disk) = report.cost.bytes_per_event_on_disk {
        facts.push(("disk", format!("{} bytes per event of {} bytes", figure(disk), report.setup.event_bytes)));
    }
    facts.push(("memory", format!("{} resident", bytes(report.cost.rss_bytes))));
    if let Some(activations) = report.cost.activations {
        let passivations = report.cost.passivations.unwrap_or(0);
        facts.push(("aggregates", format!("{} activated, {} let go", number(activations), number(passivations))));
    }
    facts.push(("answers", answers(report)));
    if let Some(verified) = verified(report) {
        facts.push(("verified", verified));
    }
    facts
}

fn answers(report: &RunReport) -> String {
    let outcome = &report.outcome;
    let mut answers = format!("{} events acknowledged", number(outcome.acknowledged));
    if outcome.failed > 0 {
        answers += &format!(", {} failed", number(outcome.failed));
    }
    if outcome.unknown > 0 {
        answers += &format!(", {} with unknown outcome", number(outcome.unknown));
    }
    if let Some(failure) = &outcome.first_failure {
        answers += &format!("; the first failure: {failure}");
    }
    answers
}

fn verified(report: &RunReport) -> Option<String> {
    let outcome = &report.outcome;
    Some(match (outcome.verified?, &outcome.discrepancy) {
        (true, _) => {
            let events = number(outcome.verified_events.unwrap_or(0));
            format!("yes: reopened, the journal holds {events} events, exactly those that were acknowledged")
        }
        (false, discrepancy) => format!("NO: {}", discrepancy.as_deref().unwrap_or("see above")),
    })
}
