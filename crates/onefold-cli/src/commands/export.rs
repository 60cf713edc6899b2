//! `export`: all commits into one file.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use onefold::admin::{AdminError, Entry, Inspector, Progress};
use serde_json::json;

use super::during;
use crate::export::{ExportWriter, Footer};
use crate::failure::Failure;
use crate::output::{Output, bytes, count};

/// Commits between two reports of progress.
const TELL_EVERY: u64 = 1_024;

pub(super) fn run(journal: &Path, file: &Path, output: &mut Output) -> Result<(), Failure> {
    if file == Path::new("-") {
        // The answer is the export itself.
        return during(journal, |inspector| {
            let mut bar = output.bar();
            write(inspector, output.raw(), &mut |progress| bar.show(progress), Path::new("stdout")).map(drop)
        });
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = file.with_file_name(name);
    if file.symlink_metadata().is_ok() {
        return Err(AdminError::TargetExists { path: file.to_owned() }.into());
    }
    let (footer, length) = during(journal, |inspector| {
        // As private as the journal itself.
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        let created = created.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => AdminError::TargetExists { path: partial.clone() }.into(),
            _ => Failure::io("could not create", &partial)(error),
        })?;
        let mut bar = output.bar();
        let written = into_file(inspector, created, &partial, &mut |progress| bar.show(progress));
        if written.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        written
    })?;
    // IMPORTANT: under its own name the file is whole.
    std::fs::rename(&partial, file).map_err(Failure::io("could not give its name to", &partial))?;
    let directory = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(Failure::io("could not sync", directory))?;
    if output.is_json() {
        return Ok(output.object(&to_json(file, &footer, length))?);
    }
    let (commits, events) = (count(footer.commits, "commit"), count(footer.events, "event"));
    Ok(output.line(format!("{}: {commits} with {events}, {}", file.display(), bytes(length)))?)
}

fn into_file(
    inspector: &Inspector,
    file: File,
    path: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<(Footer, u64), Failure> {
    let mut buffered = BufWriter::with_capacity(1 << 20, file);
    let footer = write(inspector, &mut buffered, on_progress, path)?;
    let synced = buffered.into_inner().map_err(|error| error.into_error());
    let synced = synced.and_then(|file| file.sync_all().and_then(|()| file.metadata()));
    Ok((footer, synced.map_err(Failure::io("could not write", path))?.len()))
}

fn write(
    inspector: &Inspector,
    out: &mut impl Write,
    on_progress: &mut dyn FnMut(Progress),
    path: &Path,
) -> Result<Footer, Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::Answer(error),
        _ => Failure::io("could not write", path)(error),
    };
    let total = inspector.end().commit.get();
    let mut writer = ExportWriter::new(out).map_err(failed)?;
    for (entry, commit) in inspector.records(1..=total).zip(1u64..) {
        let entry = entry?;
        let (events, last_position) = match &entry {
            Entry::Commit(recorded, _) => {
                let events: u64 = recorded.parts.iter().map(|(_, part)| u64::from(part.event_count)).sum();
                let first = recorded.parts.first().map_or(1, |(_, part)| part.first_position.get());
                (events, first + events - 1)
            }
            Entry::Removed(gap, _) => (0, gap.last_position.get()),
        };
        writer.push(entry.record(), events, last_position).map_err(failed)?;
        if commit.is_multiple_of(TELL_EVERY) {
            on_progress(Progress { stage: "exporting commits", done: commit, total });
        }
    }
    let (_, footer) = writer.finish().map_err(failed)?;
    Ok(footer)
}

/// The same for an export and an import.
pub(super) fn to_json(file: &Path, footer: &Footer, length: u64) -> serde_json::Value {
    let digest: String = footer.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "file": file.display().to_string(), "file_bytes": length,
        "commits": footer.commits, "gone": footer.gone, "events": footer.events,
        "record_bytes": footer.record_bytes, "last_position": footer.last_position, "blake3": digest,
    })
}
