//! The redo log's scan, on files in a directory of this thread's own.

use tempfile::TempDir;

thread_local!(static DIRECTORY: TempDir = tempfile::tempdir().expect("a temporary directory"));

/// A segment with arbitrary bytes behind its groups.
pub(crate) fn segment(data: &[u8]) {
    DIRECTORY.with(|directory| onefold_sled::fuzzing::segment(directory.path(), data));
}
