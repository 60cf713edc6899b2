//! What is kept of a violation: the directory as the cut left it, before anybody opened it, and a note how to come by it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::sequence::Sequence;
use crate::crash::directory::Directory;
use crate::crash::ledger::Finding;

/// The copy's name beside the transcripts.
const COPY: &str = "after-the-cut";

/// Copies the directory beside its transcripts, in the place of the copy before. It may not even exist.
pub(super) fn keep(directory: &Directory) -> anyhow::Result<()> {
    let copy = directory.evidence().join(COPY);
    if copy.exists() {
        std::fs::remove_dir_all(&copy)?;
    }
    let data = &directory.journal.data;
    match data.exists() {
        true => copy_all(data, &copy).with_context(|| format!("could not copy {}", data.display())),
        false => Ok(()),
    }
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_all(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// Writes beside the copy what it shows.
pub(super) fn explain(
    directory: &Directory,
    seed: u64,
    cycle: u64,
    sequence: Sequence,
    findings: &[Finding],
) -> anyhow::Result<()> {
    let mut text = format!("seed {seed}, cycle {cycle}: {}\n{:?}\n\n", sequence.name(), directory.journal);
    writeln!(text, "The journal as the last cut left it, before it was opened: {COPY}/\n")?;
    for finding in findings {
        writeln!(text, "{finding}")?;
    }
    Ok(std::fs::write(directory.evidence().join("README"), text)?)
}
