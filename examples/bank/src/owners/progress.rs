//! How far the checks got: rule and checkpoint in one file, replaced as a whole, so that the one is never without the other.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use onefold::Checkpoint;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::AccountsPerOwner;

/// How far the checks got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where the next check begins.
    pub checkpoint: Checkpoint,
    /// What the rule has seen up to there.
    pub rule: AccountsPerOwner,
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    checkpoint: Vec<u8>,
    rule: AccountsPerOwner,
}

impl Progress {
    /// Reads it. Without a file nothing was checked yet.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not one of these.
    pub async fn load(path: &Path) -> anyhow::Result<Progress> {
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || std::fs::read(file)).await?;
        let text = match read {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Progress { checkpoint: Checkpoint::START, rule: AccountsPerOwner::default() });
            }
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let stored: Stored =
            serde_json::from_slice(&text).with_context(|| format!("{} is not a check's progress", path.display()))?;
        let checkpoint = Checkpoint::from_bytes(&stored.checkpoint)
            .with_context(|| format!("{} holds no checkpoint", path.display()))?;
        Ok(Progress { checkpoint, rule: stored.rule })
    }

    /// Puts it in the place of the older one. Whatever happens meanwhile, one of the two is there.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub async fn store(self, path: &Path) -> anyhow::Result<()> {
        let stored = Stored { checkpoint: self.checkpoint.to_bytes(), rule: self.rule };
        let (text, file) = (serde_json::to_vec(&stored)?, path.to_owned());
        let written = tokio::task::spawn_blocking(move || replace(file, &text)).await?;
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

fn replace(path: PathBuf, text: &[u8]) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut file = NamedTempFile::new_in(&directory)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The name is durable with its directory.
    File::open(directory)?.sync_all()
}
