//! Reads the reports of all runs and prints their medians as a Markdown table.
//!
//! `table RUNS RESULTS CONTENDER...`: RUNS is a directory of files named
//! `contender.workload.round.json`, RESULTS a Markdown file whose block between
//! two markers is replaced (`-` for none). The first contender is the one that
//! the others are compared with.

mod block;
mod facts;
mod runs;
mod table;

use std::path::Path;
use std::process::ExitCode;

use runs::Runs;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("table: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, results, contenders @ ..] = arguments.as_slice() else {
        return Err("usage: table RUNS RESULTS CONTENDER...".to_owned());
    };
    if contenders.is_empty() {
        return Err("name at least one contender".to_owned());
    }

    let runs = Runs::read(Path::new(directory), contenders)?;
    let text = format!("{}\n{}", table::markdown(&runs, contenders), facts::markdown(&runs));
    println!("{text}");
    if results != "-" {
        block::replace_in_file(Path::new(results), &text)?;
    }
    Ok(())
}
