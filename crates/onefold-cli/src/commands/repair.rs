//! `repair`: what is lost, and with `--accept-loss` the rest made sound again.

use std::path::{Path, PathBuf};

use onefold::admin::{self, RepairOptions, VerifyReport};
use serde_json::json;

use super::report;
use crate::failure::Failure;
use crate::output::{Output, count};

pub(super) fn run(
    journal: &Path,
    accept_loss: bool,
    scratch: Option<PathBuf>,
    output: &mut Output,
) -> Result<(), Failure> {
    let options = RepairOptions { scratch };
    let mut bar = output.bar();
    let plan = admin::plan_repair(journal, &options, &mut |progress| bar.show(progress))?;
    drop(bar);
    if plan.is_sound() {
        return match output.is_json() {
            true => Ok(output.object(&json!({ "repaired": false, "before": report::to_json(&plan) }))?),
            false => Ok(output.line(format!("{} is sound: there is nothing to repair.", journal.display()))?),
        };
    }
    match accept_loss {
        true => act(journal, &options, output),
        false => tell(journal, &plan, output),
    }
}

fn tell(journal: &Path, plan: &VerifyReport, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        output.object(&json!({ "repaired": false, "before": report::to_json(plan) }))?;
    } else {
        output.line(format!("{} is damaged: {}.", journal.display(), count(plan.problems.count, "problem")))?;
        report::print_problems(plan, output)?;
        report::print_losses(plan, output)?;
        output.line("Nothing was changed. A repair keeps everything else, and the damaged directory beside it.")?;
        output.line("Look for a backup first; then run it again with --accept-loss.")?;
    }
    output.flush()?;
    Err(Failure::Damaged)
}

fn act(journal: &Path, options: &RepairOptions, output: &mut Output) -> Result<(), Failure> {
    let mut bar = output.bar();
    let repaired = admin::repair(journal, options, &mut |progress| bar.show(progress))?;
    drop(bar);
    if output.is_json() {
        return Ok(output.object(&json!({
            "repaired": true,
            "evidence": repaired.evidence.display().to_string(),
            "before": report::to_json(&repaired.before),
            "after": report::to_json(&repaired.after),
        }))?);
    }
    output.line(format!("{} was damaged: {}.", journal.display(), count(repaired.before.problems.count, "problem")))?;
    report::print_problems(&repaired.before, output)?;
    report::print_losses(&repaired.before, output)?;
    output.line(format!("The damaged journal is kept in {}.", repaired.evidence.display()))?;
    output.line(format!("{} is repaired, and was verified.", journal.display()))?;
    Ok(report::print_checked(&repaired.after, output)?)
}
