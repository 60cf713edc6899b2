//! The journal in memory passes the suite.

use std::sync::Arc;

use onefold_core::journal::{Journal, MemoryJournal};
use onefold_testkit::conformance::{How, Subject};

struct Memory(MemoryJournal);

impl Memory {
    fn new() -> Self {
        Memory(MemoryJournal::new())
    }
}

impl Subject for Memory {
    async fn open(&self) -> Arc<dyn Journal> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> Arc<dyn Journal> {
        if how == How::CleanClose {
            journal.close().await.expect("memory closes cleanly");
        }
        self.0.reopen();
        journal
    }
}

onefold_testkit::conformance!(Memory::new);
