//! What each command does: one file each.

mod backup;
mod export;
mod import;
mod repair;
mod report;
mod show;
mod stats;
mod streams;
mod tail;
mod verify;

use std::path::PathBuf;

use onefold::admin::Inspector;

use crate::arguments::Command;
use crate::decoders::Decoders;
use crate::failure::Failure;
use crate::output::Output;

/// Does what was typed. `option` is what the option for the journal's directory is called.
pub(crate) fn run(
    command: Command,
    journal: Option<PathBuf>,
    option: &str,
    decoders: &Decoders,
    output: &mut Output,
) -> Result<(), Failure> {
    let unnamed = || Failure::Usage(format!("which journal? Name its directory with --{option} DIR"));
    let journal = journal.ok_or_else(unnamed)?;
    match command {
        Command::Verify { in_place, scratch } => verify::run(&journal, in_place, scratch.scratch, output),
        Command::Repair { accept_loss, scratch } => repair::run(&journal, accept_loss, scratch.scratch, output),
        Command::Export { file } => export::run(&journal, &file, output),
        Command::Import { file } => import::run(&journal, &file, output),
        Command::Backup { target } => backup::run(&journal, &target, output),
        Command::Streams(streams) => during(&journal, |inspector| streams::run(inspector, &streams, output)),
        Command::Show(show) => during(&journal, |inspector| show::run(inspector, &show, decoders, output)),
        Command::Tail { commits, long } => {
            during(&journal, |inspector| tail::run(inspector, commits, long, decoders, output))
        }
        Command::Stats => during(&journal, |inspector| stats::run(inspector, output)),
    }
}

/// Opens the journal, does some reading, and closes it, whatever came of the reading.
fn during<T>(journal: &std::path::Path, read: impl FnOnce(&Inspector) -> Result<T, Failure>) -> Result<T, Failure> {
    let inspector = Inspector::open(journal)?;
    let outcome = read(&inspector);
    let closed = inspector.close();
    let read = outcome?;
    closed?;
    Ok(read)
}
