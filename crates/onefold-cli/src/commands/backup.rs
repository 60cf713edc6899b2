//! `backup`: a verified copy of a journal that is not in use.

use std::path::Path;

use onefold::SledJournal;
use onefold::admin::{AdminError, Inspector};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Output, bytes, count};

pub(super) fn run(journal: &Path, target: &Path, output: &mut Output) -> Result<(), Failure> {
    if target.symlink_metadata().is_ok() {
        return Err(AdminError::TargetExists { path: target.to_owned() }.into());
    }
    let mut bar = output.bar();
    let report = super::during(journal, |inspector: &Inspector| {
        let journal: &SledJournal = inspector.journal();
        Ok(journal.backup(target, &mut |progress| bar.show(progress))?)
    })?;
    drop(bar);
    if output.is_json() {
        return Ok(output.object(&json!({
            "backup": report.path.display().to_string(),
            "commit": report.commit, "position": report.position,
            "streams": report.streams, "record_bytes": report.record_bytes,
        }))?);
    }
    let (commits, streams) = (count(report.commit.get(), "commit"), count(report.streams, "stream"));
    let size = bytes(report.record_bytes);
    Ok(output.line(format!("{}: {commits} of {streams}, {size}; verified", report.path.display()))?)
}
