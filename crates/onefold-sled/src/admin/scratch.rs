//! A copy of sled's files to look at: opening sled changes its files, and those of a damaged journal are evidence.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::error::AdminError;

/// A directory of its own, removed when dropped.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Copies sled's files of the journal in `dir` into a new directory in `place`.
    pub(crate) fn copy(dir: &Path, place: &Path) -> Result<Self, AdminError> {
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let path = place.join(format!("{name}.scratch-{}", std::process::id()));
        if path.exists() {
            return Err(AdminError::TargetExists { path });
        }
        // As private as the journal's own.
        DirBuilder::new().mode(0o700).create(&path).map_err(AdminError::io("could not create", &path))?;
        let scratch = Scratch { path };
        let entries = std::fs::read_dir(dir).map_err(AdminError::io("could not list", dir))?;
        for entry in entries {
            let from = entry.map_err(AdminError::io("could not list", dir))?.path();
            let name = from.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_sleds = name == "db" || name == "conf" || name.starts_with("snap.");
            // An unfinished snapshot stops sled from opening; it never counts.
            if is_sleds && !name.ends_with(".generating") {
                let to = scratch.path.join(name);
                std::fs::copy(&from, &to)
                    .map_err(AdminError::io("could not copy into the scratch directory", &from))?;
            }
        }
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove the scratch directory");
        }
    }
}

/// The directory in which `dir` lies.
pub(crate) fn parent(dir: &Path) -> PathBuf {
    match dir.canonicalize().ok().and_then(|dir| dir.parent().map(Path::to_owned)) {
        Some(parent) => parent,
        None => match dir.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        },
    }
}
