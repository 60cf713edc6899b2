//! `verify`: is the journal sound?

use std::path::{Path, PathBuf};

use onefold::admin::{self, VerifyOptions};

use super::report;
use crate::failure::Failure;
use crate::output::{Output, count};

pub(super) fn run(
    journal: &Path,
    in_place: bool,
    scratch: Option<PathBuf>,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut bar = output.bar();
    let options = VerifyOptions { scratch, in_place };
    let report = admin::verify(journal, &options, &mut |progress| bar.show(progress))?;
    drop(bar);
    if output.is_json() {
        output.object(&report::to_json(&report))?;
    } else {
        let path = journal.display();
        match report.is_sound() {
            true if report.closed_cleanly => output.line(format!("{path} is sound."))?,
            true => output
                .line(format!("{path} is sound; it was not closed cleanly, which the next opening deals with."))?,
            false => {
                output.line(format!("{path} is damaged: {}.", count(report.problems.count, "problem")))?;
                report::print_problems(&report, output)?;
                report::print_losses(&report, output)?;
            }
        }
        report::print_checked(&report, output)?;
        if !report.is_sound() {
            output.line("`repair` says what it would do; it changes nothing without --accept-loss.")?;
        }
    }
    match report.is_sound() {
        true => Ok(()),
        false => {
            output.flush()?;
            Err(Failure::Damaged)
        }
    }
}
