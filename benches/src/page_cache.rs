//! Empties the operating system's page cache of one directory, so that the next read comes from the disk.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use rustix::fs::{Advice, fadvise};

/// Syncs every file below `directory`, then tells the system that its pages are not needed.
pub(crate) fn drop_pages(directory: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let entry = entry?;
        if entry.metadata()?.is_dir() {
            drop_pages(&entry.path())?;
            continue;
        }
        let file = File::open(entry.path())?;
        // IMPORTANT: sync first, because pages that are not written yet stay.
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}
