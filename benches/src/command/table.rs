//! `cargo load table`: the tables of RESULTS.md, in Markdown, from the JSON files that results.sh has written.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::options::TableOptions;
use crate::report::{json, micros, whole};

/// The runs of the second table, in its order.
const RUNS: &[&str] = &["uniform", "zipf", "hot", "read-mostly", "cold", "one-client", "open-loop", "limit"];

/// Between these lines of RESULTS.md stand the tables.
const BEGIN: &str = "<!-- results:begin -->";
const END: &str = "<!-- results:end -->";

const MIB: f64 = 1024.0 * 1024.0;

/// Runs the command.
pub(crate) fn run(options: &TableOptions) -> anyhow::Result<bool> {
    let directory = &options.directory;
    let tables = format!("{}\n{}\n{}", goals(directory)?, runs(directory)?, machine(directory)?);
    print!("{tables}");
    if let Some(file) = &options.into {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = replaced(&text, &tables).with_context(|| format!("{} has no {BEGIN}", file.display()))?;
        json::write_file(file, &text)?;
    }
    Ok(true)
}

/// The text with what stands between the markers replaced.
fn replaced(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{tables}{END}{after}"))
}

/// What is to be reached, and what was.
fn goals(directory: &Path) -> anyhow::Result<String> {
    let [uniform, hot, one] = ["uniform", "hot", "one-client"].map(|name| Report::read(directory, name));
    let [recover, memory] = ["recover", "memory"].map(|name| Report::read(directory, name));
    let (uniform, hot, one, recover, memory) = (uniform?, hot?, one?, recover?, memory?);
    let hot_to_uniform = hot.number("commands_per_second").zip(uniform.number("commands_per_second"));
    let beyond_state = memory.number("bytes_per_resident").zip(memory.number("state_bytes"));
    let activations = |figure: &str| {
        let figure = |heat: &str| recover.number(&format!("/short/{figure}_{heat}"));
        format!("{} cold, {} warm", or_dash(figure("cold"), whole), or_dash(figure("warm"), whole))
    };
    let touched = or_dash(memory.number("touched_rss_bytes"), |bytes| format!("{} MiB", whole(bytes / MIB)));
    let rows = [
        (
            "uniform, 4,096 in flight: against the in-memory journal",
            "0.8×",
            "0.95×",
            times(uniform.number("memory_journal_ratio")),
        ),
        ("the same against the raw limit", "0.2×", "0.5×", times(uniform.number("limit_ratio"))),
        (
            "one hot aggregate, 4,096 in flight: against uniform",
            "1.5×",
            "2×",
            times(hot_to_uniform.map(|(hot, uniform)| hot / uniform)),
        ),
        ("one client: p50 against the raw limit's", "1.1× at most", "0.8×", times(one.number("p50_limit_ratio"))),
        (
            "replay of one long stream, warm: dense",
            "1,000,000 events/s",
            "",
            or_dash(recover.number("/dense/inside_warm"), whole),
        ),
        (
            "the same, interleaved with 1,000 others",
            "300,000 events/s",
            "",
            or_dash(recover.number("/interleaved/inside_warm"), whole),
        ),
        ("activation of 10-event aggregates, log inside the caches", "15,000/s", "50,000/s", activations("inside")),
        ("the same, log 4 times the caches", "3,000/s", "10,000/s", activations("beyond")),
        (
            "resident idle aggregate beyond its state",
            "8 KiB at most",
            "7 KiB",
            or_dash(beyond_state, |(all, state)| format!("{} bytes", whole(all - state))),
        ),
        (
            "1,000,000 touched, 50,000 resident, 64 MiB cache",
            "700 MiB, nothing lost",
            "",
            format!("{touched}, {}", memory.verified("nothing lost")),
        ),
    ];
    let mut table = String::from("| figure | at least | aim | measured |\n|---|---|---|---|\n");
    for (figure, least, aim, measured) in rows {
        writeln!(table, "| {figure} | {least} | {aim} | {measured} |")?;
    }
    Ok(table)
}

fn runs(directory: &Path) -> anyhow::Result<String> {
    let mut table = String::from(
        "| run | commands/s | p50 | p99 | p99.9 | syncs/s | commits per sync | bytes/event on disk | RSS | verified |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for name in RUNS {
        let run = Report::read(directory, name)?;
        let cells = [
            (*name).to_owned(),
            or_dash(run.number("commands_per_second"), whole),
            or_dash(run.number("p50_us"), micros),
            or_dash(run.number("p99_us"), micros),
            or_dash(run.number("p999_us"), micros),
            or_dash(run.number("fsyncs_per_second"), whole),
            or_dash(run.number("group_size_mean"), whole),
            or_dash(run.number("bytes_per_event_on_disk"), whole),
            or_dash(run.number("rss_bytes"), |bytes| format!("{} MiB", whole(bytes / MIB))),
            run.verified("yes"),
        ];
        writeln!(table, "| {} |", cells.join(" | "))?;
    }
    Ok(table)
}

fn machine(directory: &Path) -> anyhow::Result<String> {
    let uniform = Report::read(directory, "uniform")?;
    let [cores, workers] = ["cores", "workers"].map(|key| or_dash(uniform.number(key), whole));
    let [processor, kernel, filesystem] = ["processor", "kernel", "filesystem"].map(|key| uniform.text(key));
    Ok(format!("{cores} cores of {processor}, {workers} worker threads, {kernel}, {filesystem}.\n"))
}

/// One JSON file.
struct Report(Value);

impl Report {
    fn read(directory: &Path, name: &str) -> anyhow::Result<Self> {
        let file = directory.join(name).with_extension("json");
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Report(serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?))
    }

    /// A figure by its key, or by a path of keys with slashes.
    fn number(&self, key: &str) -> Option<f64> {
        if key.starts_with('/') { self.0.pointer(key)?.as_f64() } else { self.0.get(key)?.as_f64() }
    }

    fn text(&self, key: &str) -> String {
        self.0.get(key).and_then(Value::as_str).unwrap_or("–").to_owned()
    }

    fn verified(&self, yes: &str) -> String {
        match self.0.get("verified").and_then(Value::as_bool) {
            Some(true) => yes.to_owned(),
            Some(false) => "**NO**".to_owned(),
            None => "–".to_owned(),
        }
    }
}

fn times(ratio: Option<f64>) -> String {
    or_dash(ratio, |ratio| format!("{ratio:.2}×"))
}

fn or_dash<T>(figure: Option<T>, format: impl Fn(T) -> String) -> String {
    figure.map_or_else(|| "–".to_owned(), format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        assert_eq!(replaced(&text, "new\n"), Some(format!("before\n{BEGIN}\nnew\n{END}\nafter\n")));
        assert_eq!(replaced("no markers", "new"), None);
    }
}
