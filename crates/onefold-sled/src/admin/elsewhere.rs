//! Where a commit can be had that sled does not give: the redo log, or the bytes of sled's file.

use bytes::Bytes;

use super::carved::Carved;
use super::redo_index::RedoIndex;

/// The other places.
pub(crate) struct Elsewhere {
    pub(crate) redo: RedoIndex,
    pub(crate) carved: Option<Carved>,
}

impl Elsewhere {
    /// The record of a commit, and where it was found, in words. Its payload was not looked at.
    pub(crate) fn record(&self, commit: u64) -> Option<(Bytes, &'static str)> {
        let redo = || Some((self.redo.record(commit)?, "the redo log still does"));
        let carved = || Some((self.carved.as_ref()?.record(commit)?, "its bytes are still in sled's file"));
        redo().or_else(carved)
    }

    /// All copies of a commit's record.
    pub(crate) fn copies(&self, commit: u64) -> impl Iterator<Item = Bytes> {
        let carved = self.carved.as_ref().and_then(|carved| carved.record(commit));
        self.redo.record(commit).into_iter().chain(carved)
    }

    /// The first commit from `commit` on that may be had.
    pub(crate) fn next(&self, commit: u64) -> Option<u64> {
        let carved = self.carved.as_ref().and_then(|carved| carved.next(commit));
        self.redo.next(commit).into_iter().chain(carved).min()
    }
}
