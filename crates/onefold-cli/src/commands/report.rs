//! What verifying found, for people and for machines: shared by `verify` and `repair`.

use std::io;

use onefold::admin::{Hole, Listed, VerifyReport};
use serde_json::{Value, json};

use crate::output::{Output, bytes, count, number};

/// How many problems, and how many streams, are shown to people.
const SHOWN_MAX: usize = 50;

/// What is wrong, line by line.
pub(super) fn print_problems(report: &VerifyReport, output: &mut Output) -> io::Result<()> {
    for problem in report.problems.items.iter().take(SHOWN_MAX) {
        output.line(format!("  {problem}"))?;
    }
    print_rest(&report.problems, "problem", output)
}

/// What a repair gives up, line by line. Losing nothing is said, too.
pub(super) fn print_losses(report: &VerifyReport, output: &mut Output) -> io::Result<()> {
    let (commits, positions) = lost(report);
    if commits == 0 {
        return output.line("No commit is lost.");
    }
    output.line(format!("Lost: {}, {}.", count(commits, "commit"), count(positions, "event")))?;
    for hole in report.losses().take(SHOWN_MAX) {
        output.line(format!("  {}", hole_in_words(hole)))?;
    }
    let holes = report.losses().count();
    if holes > SHOWN_MAX {
        output.line(format!(
            "  … and {} more such stretches; --json lists them all",
            number((holes - SHOWN_MAX) as u64)
        ))?;
    }
    if report.lost.is_empty() {
        return output
            .line("Which streams had events there cannot be told: no later commit and no head knows of them.");
    }
    output.line("Streams that had events there, as far as later commits and heads know:")?;
    for loss in report.lost.items.iter().take(SHOWN_MAX) {
        output.line(format!("  {loss}"))?;
    }
    print_rest(&report.lost, "stream", output)
}

fn print_rest<T>(listed: &Listed<T>, what: &str, output: &mut Output) -> io::Result<()> {
    match listed.count > SHOWN_MAX as u64 {
        true => output.line(format!("  … and {} more {what}s", number(listed.count - SHOWN_MAX as u64))),
        false => Ok(()),
    }
}

/// Commits and events that are not there and that no earlier repair recorded.
pub(super) fn lost(report: &VerifyReport) -> (u64, u64) {
    report.losses().fold((0, 0), |(commits, positions), hole| {
        let of_hole = hole.last_commit.get() - hole.first_commit.get() + 1;
        // Commits without events leave no position behind.
        (commits + of_hole, positions + hole.last_position.get() + 1 - hole.first_position.get())
    })
}

fn hole_in_words(hole: &Hole) -> String {
    let range = |first: u64, last: u64, what: &str| match first == last {
        true => format!("{what} {}", number(first)),
        false => format!("{what}s {} to {}", number(first), number(last)),
    };
    let commits = range(hole.first_commit.get(), hole.last_commit.get(), "commit");
    match hole.first_position > hole.last_position {
        true => format!("{commits}: no events"),
        false => format!("{commits}: {}", range(hole.first_position.get(), hole.last_position.get(), "position")),
    }
}

/// How much was looked at.
pub(super) fn print_checked(report: &VerifyReport, output: &mut Output) -> io::Result<()> {
    let checked = &report.checked;
    output.line(format!(
        "Checked {} with {} ({}) of {}, in {};",
        count(checked.commits, "commit"),
        count(checked.events, "event"),
        bytes(checked.record_bytes),
        count(checked.streams, "stream"),
        count(checked.blocks, "block"),
    ))?;
    output.line(format!(
        "{}, {}, {}, {} in {} of the redo log.",
        count(checked.heads, "head"),
        count(checked.claims, "claim"),
        if checked.index_entries == 1 {
            "1 index entry".to_owned()
        } else {
            format!("{} index entries", number(checked.index_entries))
        },
        count(checked.redo_groups, "group"),
        count(checked.redo_segments, "segment"),
    ))?;
    let gone: u64 = report
        .holes
        .iter()
        .filter(|hole| hole.recorded.is_some())
        .map(|hole| hole.last_commit.get() - hole.first_commit.get() + 1)
        .sum();
    match gone {
        0 => Ok(()),
        gone => output.line(format!("{} were given up by an earlier repair.", count(gone, "commit"))),
    }
}

/// All of it as one object.
pub(super) fn to_json(report: &VerifyReport) -> Value {
    let checked = &report.checked;
    let holes = |recorded: bool| -> Vec<Value> {
        let holes = report.holes.iter().filter(|hole| hole.recorded.is_some() == recorded);
        holes
            .map(|hole| {
                json!({
                    "first_commit": hole.first_commit, "last_commit": hole.last_commit,
                    "first_position": hole.first_position, "last_position": hole.last_position,
                })
            })
            .collect()
    };
    let problems = report.problems.items.iter().map(|problem| {
        let stream = problem.stream.as_ref().map(ToString::to_string);
        json!({ "kind": problem.kind.name(), "place": problem.place, "evidence": problem.evidence, "stream": stream })
    });
    let streams = report.lost.items.iter().map(|loss| {
        json!({
            "stream": loss.stream.to_string(),
            "first_version": loss.first_version, "last_version": loss.last_version,
        })
    });
    json!({
        "journal": report.path.display().to_string(),
        "sound": report.is_sound(),
        "closed_cleanly": report.closed_cleanly,
        "commit": report.commit,
        "position": report.position,
        "checked": {
            "commits": checked.commits, "events": checked.events, "record_bytes": checked.record_bytes,
            "streams": checked.streams, "blocks": checked.blocks, "heads": checked.heads,
            "index_entries": checked.index_entries, "claims": checked.claims,
            "redo_segments": checked.redo_segments, "redo_groups": checked.redo_groups,
        },
        "problem_count": report.problems.count,
        "problems": problems.collect::<Vec<_>>(),
        "lost": holes(false),
        "gaps": holes(true),
        "stream_loss_count": report.lost.count,
        "stream_losses": streams.collect::<Vec<_>>(),
        "used_copy": report.used_copy,
    })
}
