//! Where an attack has its directories: a new one each time, gone afterwards, but for what an attack that succeeded leaves.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tempfile::TempDir;

/// Where.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceOptions {
    /// Where to put journals and transcripts [default: target/crash]
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// The place of one attack.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// Makes it; `name` is the attack's.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn new(options: &PlaceOptions, name: &str) -> anyhow::Result<Self> {
        let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/crash"));
        let parent = options.dir.clone().unwrap_or_else(default);
        std::fs::create_dir_all(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
        let directory = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(parent.canonicalize()?)?;
        Ok(Place { directory })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Leaves it where it is: it holds evidence.
    pub fn keep(&mut self) {
        self.directory.disable_cleanup(true);
    }
}
