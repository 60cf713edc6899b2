//! Where a run puts its files: a new directory each time, gone afterwards.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::filesystem;
use crate::options::PlaceOptions;

/// The directory of one run.
#[derive(Debug)]
pub(crate) struct Place {
    directory: TempDir,
    /// The file system it is on.
    pub(crate) filesystem: String,
}

impl Place {
    /// Makes the directory.
    pub(crate) fn new(options: &PlaceOptions) -> anyhow::Result<Self> {
        let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/load"));
        let parent = options.data.clone().unwrap_or_else(default);
        std::fs::create_dir_all(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
        let parent = parent.canonicalize()?;
        let filesystem = filesystem::name(&parent)?;
        if filesystem::is_memory(&filesystem) && !options.allow_tmpfs {
            bail!(
                "{} is on {filesystem}, where a sync costs nothing: choose a directory on a disk with --data, \
                 or say --allow-tmpfs",
                parent.display()
            );
        }
        let mut directory = tempfile::Builder::new().prefix("run-").tempdir_in(&parent)?;
        directory.disable_cleanup(options.keep);
        Ok(Place { directory, filesystem })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}
