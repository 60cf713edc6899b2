//! The contract of every journal, held to by this one.

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use onefold_core::journal::Journal;
use onefold_testkit::conformance::{How, Subject};
use parking_lot::Mutex;
use tempfile::TempDir;

/// Journals in directories under a temporary one: a kill is acted out by opening a copy of the files.
struct Sled {
    temporary: TempDir,
    path: Mutex<PathBuf>,
    opened: Mutex<u32>,
}

fn sled() -> Sled {
    let (temporary, path) = common::dir();
    Sled { temporary, path: Mutex::new(path), opened: Mutex::new(0) }
}

impl Subject for Sled {
    async fn open(&self) -> Arc<dyn Journal> {
        let path = self.path.lock().clone();
        Arc::new(common::small(&path).open().unwrap())
    }

    async fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> Arc<dyn Journal> {
        match how {
            How::CleanClose => journal.close().await.unwrap(),
            How::Kill => {
                let mut opened = self.opened.lock();
                *opened += 1;
                let copy = self.temporary.path().join(format!("copy-{opened}"));
                let mut path = self.path.lock();
                common::copy_dir(&path, &copy);
                *path = copy;
            }
        }
        drop(journal);
        self.open().await
    }
}

onefold_testkit::conformance!(sled);
