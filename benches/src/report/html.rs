//! A report as one page that needs nothing from outside: style and plots are in it, there is no script.

use std::fmt::Write;
use std::path::Path;

use super::text::{against, facts, place, what};
use super::units::{figure, micros, ratio, whole};
use super::{Latency, RunReport, json, svg};
use crate::series::Series;

/// What is more than so many times the measured throughput would press its line to the ground.
const NEAR: f64 = 4.0;

const STYLE: &str = include_str!("page.css");

/// Writes the page. The first series is the measured one.
pub(crate) fn write(file: &Path, report: &RunReport, series: &[&Series]) -> anyhow::Result<()> {
    json::write_file(file, &page(report, series))
}

fn page(report: &RunReport, series: &[&Series]) -> String {
    let headline = format!("{} <small>commands per second</small>", whole(report.latency.commands_per_second));
    let title = format!("onefold: {} commands per second", whole(report.latency.commands_per_second));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header><h1>{headline}</h1><p>{}</p><p>{}</p></header>\n",
        escape(&what(report)),
        escape(&place(report)),
    );
    page += &cards(report);
    page += &section("Latency", &legend(series), &svg::latencies(series));
    let (near, far) = near_and_far(series);
    page += &section("Throughput", &format!("{far}{}", legend(&near)), &svg::throughput(&near));
    page += &section("Figures", "", &figures(report, series));
    page += &section("Facts", "", &facts_table(report));
    page += "<footer>Throughput is the median of the rounds, latencies are those of all rounds together; a ratio is the \
             median of the ratios of neighbouring rounds.</footer>\n</main>\n</body>\n</html>\n";
    page
}

fn cards(report: &RunReport) -> String {
    let mut cards = String::from("<div class=\"cards\">\n");
    let mut card = |class: &str, value: &str, name: &str| {
        writeln!(cards, "<div class=\"card\"><b class=\"{class}\">{value}</b><span>{name}</span></div>")
            .expect("writing to a string");
    };
    card("", &micros(report.latency.p50_us), "median latency");
    card("", &micros(report.latency.p99_us), "99th percentile");
    if let Some(reached) = report.limit.limit_ratio {
        card("", &ratio(reached), "of the raw limit");
    }
    if let Some(times) = report.limit.p50_limit_ratio.filter(|_| report.setup.in_flight == 1) {
        card("", &ratio(times), "the raw limit's latency");
    }
    if let Some(reached) = report.memory.memory_journal_ratio {
        card("", &ratio(reached), "of the memory journal");
    }
    if let Some(reached) = report.plain.plain_ratio {
        card("", &ratio(reached), "of commands without keys");
    }
    if let (Some(fsyncs), Some(group)) = (report.cost.fsyncs_per_second, report.cost.group_size_mean) {
        card("", &whole(fsyncs), &format!("syncs/s, {} commits each", figure(group)));
    }
    match report.outcome.verified {
        Some(true) => card("good", "verified", "all that was acknowledged"),
        Some(false) => card("bad", "wrong", "not what was acknowledged"),
        None => {}
    }
    cards + "</div>\n"
}

fn section(title: &str, aside: &str, content: &str) -> String {
    format!(
        "<section><div class=\"top\"><h2>{title}</h2>{aside}</div>\n<div class=\"scroll\">{content}</div></section>\n"
    )
}

fn legend(series: &[&Series]) -> String {
    let entry = |(index, series): (usize, &&Series)| {
        format!("<span><i class=\"s{index}\"></i>{}</span>", escape(described(series.name)))
    };
    format!("<div class=\"legend\">{}</div>", series.iter().enumerate().map(entry).collect::<String>())
}

/// The series whose throughput fits into one plot with the measured one's, and a note on the others.
fn near_and_far<'a>(series: &[&'a Series]) -> (Vec<&'a Series>, String) {
    let most = series[0].commands_per_second() * NEAR;
    let (near, far): (Vec<_>, Vec<_>) = series.iter().partition(|series| series.commands_per_second() <= most);
    let note = |series: &Series| {
        format!("<span>{}, far above: {}/s</span>", described(series.name), whole(series.commands_per_second()))
    };
    let notes: String = far.into_iter().map(note).collect();
    (near, format!("<div class=\"legend\">{notes}</div>"))
}

fn described(name: &str) -> &str {
    match name {
        "limit" => "raw limit",
        "memory" => "in-memory journal",
        "plain" => "without keys",
        other => other,
    }
}

fn figures(report: &RunReport, series: &[&Series]) -> String {
    let latencies: Vec<Latency> = series.iter().map(|series| Latency::of(series)).collect();
    let mut table = String::from("<table><thead><tr><th></th>");
    for series in series {
        write!(table, "<th>{}</th>", escape(described(series.name))).expect("writing to a string");
    }
    table += "</tr></thead><tbody>\n";
    let mut row = |name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        writeln!(table, "<tr><td>{name}</td>{cells}</tr>").expect("writing to a string");
    };
    let each = |cell: fn(&Latency) -> String| latencies.iter().map(cell).collect();
    row("commands per second", each(|latency| whole(latency.commands_per_second)));
    row("mean", each(|latency| micros(latency.mean_us)));
    row("p50", each(|latency| micros(latency.p50_us)));
    row("p90", each(|latency| micros(latency.p90_us)));
    row("p99", each(|latency| micros(latency.p99_us)));
    row("p99.9", each(|latency| micros(latency.p999_us)));
    row("max", each(|latency| micros(latency.max_us)));
    if series.len() > 1 {
        let reached = series[1..].iter().map(|series| against(report, series.name));
        row("reached of it", std::iter::once(String::new()).chain(reached).collect());
    }
    table + "</tbody></table>"
}

fn facts_table(report: &RunReport) -> String {
    let rows =
        facts(report).into_iter().map(|(name, fact)| format!("<tr><td>{name}</td><td>{}</td></tr>\n", escape(&fact)));
    format!("<table class=\"facts\"><tbody>{}</tbody></table>", rows.collect::<String>())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
