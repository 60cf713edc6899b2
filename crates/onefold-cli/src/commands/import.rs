//! `import`: a new journal from an export, with every number as it was.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use onefold::admin::{self, AdminError, JournalWriter, Progress, VerifyOptions};

use super::export::to_json;
use crate::export::{ExportError, ExportReader, Footer};
use crate::failure::Failure;
use crate::output::{Output, bytes, count};

/// Commits between two reports of progress.
const TELL_EVERY: u64 = 1_024;

pub(super) fn run(journal: &Path, file: &Path, output: &mut Output) -> Result<(), Failure> {
    let (input, length): (Box<dyn Read>, u64) = match file == Path::new("-") {
        true => (Box::new(std::io::stdin().lock()), 0),
        false => {
            let opened = File::open(file).map_err(Failure::io("could not open", file))?;
            let length = opened.metadata().map_or(0, |metadata| metadata.len());
            (Box::new(opened), length)
        }
    };
    let mut bar = output.bar();
    let on_progress = &mut |progress: Progress| bar.show(progress);
    let footer = import(journal, file, BufReader::with_capacity(1 << 20, input), length, on_progress)?;
    let report = admin::verify(journal, &VerifyOptions { in_place: true, ..VerifyOptions::default() }, on_progress)?;
    drop(bar);
    if let Some(problem) = report.problems.items.first() {
        return Err(AdminError::NotVerified { path: journal.to_owned(), problem: problem.to_string() }.into());
    }
    if output.is_json() {
        return Ok(output.object(&to_json(file, &footer, length))?);
    }
    let (commits, events) = (count(footer.commits, "commit"), count(footer.events, "event"));
    let size = bytes(footer.record_bytes);
    Ok(output.line(format!("{}: {commits} with {events}, {size}; verified", journal.display()))?)
}

fn import(
    journal: &Path,
    file: &Path,
    input: impl Read,
    length: u64,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Footer, Failure> {
    let damaged = |error: ExportError| Failure::Import { path: file.to_owned(), error };
    // IMPORTANT: before anything is made: what is no export leaves nothing.
    let mut reader = ExportReader::new(input).map_err(damaged)?;
    let mut writer = JournalWriter::create(journal)?;
    loop {
        let offset = reader.offset();
        let Some(record) = reader.next_record().map_err(damaged)? else { break };
        writer.push(&record).map_err(|error| match error {
            // The frame is whole, and yet it is not what has to come next.
            AdminError::Record { .. } => damaged(ExportError::Damaged { offset, evidence: error.to_string() }),
            error => error.into(),
        })?;
        if writer.last_commit().is_multiple_of(TELL_EVERY) {
            on_progress(Progress { stage: "importing bytes", done: reader.offset(), total: length });
        }
    }
    let offset = reader.offset();
    let footer = reader.footer().ok_or(ExportError::Truncated { offset, missing: "the last frame is missing" });
    let footer = footer.map_err(damaged)?;
    if footer.events != writer.events() {
        let evidence = format!("it says {} events, there are {}", footer.events, writer.events());
        return Err(damaged(ExportError::Damaged { offset, evidence }));
    }
    on_progress(Progress { stage: "building heads and index", done: 0, total: 0 });
    writer.finish()?;
    Ok(footer)
}
