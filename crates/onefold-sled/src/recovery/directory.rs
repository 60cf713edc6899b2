//! The directory: created with narrow permissions and synced once, swept of the one leftover that stops sled from opening.

use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::OpenJournalError;
use crate::redo::segment;

/// Creates the directory, and the redo log's in it, if they are not there. Says whether it was created.
pub(crate) fn create(dir: &Path) -> Result<bool, OpenJournalError> {
    let created = create_private(dir)?;
    create_private(&redo(dir))?;
    Ok(created)
}

/// Where the redo log lies.
pub(crate) fn redo(dir: &Path) -> PathBuf {
    dir.join("redo")
}

fn create_private(dir: &Path) -> Result<bool, OpenJournalError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            make_private(dir);
            Ok(false)
        }
        Err(error) => Err(OpenJournalError::io("could not create", dir)(error)),
    }
}

/// sled's files are readable by everybody; it is the directory that keeps them private. One that belongs to somebody else,
/// a mounted volume for instance, stays as it is.
fn make_private(dir: &Path) {
    let is_private = dir.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0);
    if !is_private && let Err(error) = std::fs::set_permissions(dir, Permissions::from_mode(0o700)) {
        tracing::warn!(path = %dir.display(), %error, "the journal's directory is open to others, and stays so");
    }
}

/// Deletes the leftover of a snapshot that sled was making when it was killed: with it, sled never opens again. Its rename
/// would have been its commit point, so nothing is lost. Also deletes a segment that was never finished.
pub(crate) fn sweep(dir: &Path) -> Result<(), OpenJournalError> {
    for path in entries(dir)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(path = %path.display(), "deleting an unfinished snapshot, which would stop sled from opening");
            std::fs::remove_file(&path).map_err(OpenJournalError::io("could not delete", &path))?;
        }
    }
    let unfinished = redo(dir).join("next.tmp");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(OpenJournalError::io("could not delete", &unfinished)(error))
        }
        _ => Ok(()),
    }
}

/// Deletes sled's settings if sled stores nothing yet: of a creation that was stopped in the middle. They are written in two
/// steps, and with the first alone sled never opens. It writes them anew.
pub(crate) fn forget_unfinished(dir: &Path) -> Result<(), OpenJournalError> {
    let (conf, db) = (dir.join("conf"), dir.join("db"));
    let stores_nothing = match db.metadata() {
        Ok(metadata) => metadata.len() == 0,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(OpenJournalError::io("could not look at", &db)(error)),
    };
    if !stores_nothing {
        return Ok(());
    }
    match std::fs::remove_file(&conf) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(OpenJournalError::io("could not delete", &conf)(error))
        }
        _ => Ok(()),
    }
}

/// Refuses a directory in which something was spilled to `blobs/`.
pub(crate) fn refuse_blobs(dir: &Path) -> Result<(), OpenJournalError> {
    let path = dir.join("blobs");
    match path.is_dir() && !entries(&path)?.is_empty() {
        true => Err(OpenJournalError::ForeignBlobs { path }),
        false => Ok(()),
    }
}

/// After an unclean stop: makes durable what is only in the page cache, then drops that, so that what is read is what the
/// disk holds. After a failed sync the page cache lies; and what sled takes for written must not be lost later.
pub(crate) fn settle(dir: &Path) -> Result<(), OpenJournalError> {
    for path in entries(dir)?.into_iter().chain(entries(&redo(dir))?).filter(|path| path.is_file()) {
        let file = File::open(&path).map_err(OpenJournalError::io("could not open", &path))?;
        file.sync_all().map_err(OpenJournalError::io("could not sync", &path))?;
        // Drops nothing that is still to be written.
        let _advice = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    for path in [redo(dir), dir.to_owned()] {
        segment::sync_directory(&path).map_err(OpenJournalError::io("could not sync", &path))?;
    }
    Ok(())
}

/// Makes what sled created durable, and private: sled does neither.
pub(crate) fn sync_created(dir: &Path) -> Result<(), OpenJournalError> {
    for name in ["conf", "db"] {
        let path = dir.join(name);
        let private = std::fs::set_permissions(&path, Permissions::from_mode(0o600));
        private.and_then(|()| File::open(&path)?.sync_all()).map_err(OpenJournalError::io("could not sync", &path))?;
    }
    let parent = dir.canonicalize().ok().and_then(|dir| dir.parent().map(Path::to_owned));
    for path in [Some(dir.join("blobs")), Some(redo(dir)), Some(dir.to_owned()), parent].into_iter().flatten() {
        if path.is_dir() {
            let synced = File::open(&path).and_then(|dir| dir.sync_all());
            synced.map_err(OpenJournalError::io("could not sync", &path))?;
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, OpenJournalError> {
    let read = || -> std::io::Result<Vec<PathBuf>> { std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect() };
    read().map_err(OpenJournalError::io("could not list", dir))
}
