//! The simulated journal passes the suite: in calm weather, and where everything takes time and its turn.

use std::sync::Arc;
use std::time::Duration;

use onefold_core::journal::Journal;
use onefold_simulation::{Random, SimulatedDisk, SimulatedJournal, Weather};
use onefold_testkit::conformance::{How, Subject};

struct Simulated {
    disk: SimulatedDisk,
    weather: Weather,
    journal: parking_lot::Mutex<Option<SimulatedJournal>>,
}

impl Simulated {
    fn new(weather: Weather) -> Self {
        Simulated { disk: SimulatedDisk::new(), weather, journal: parking_lot::Mutex::default() }
    }

    fn calm() -> Self {
        Self::new(Weather::calm())
    }

    /// Nothing fails, because the suite asks for success; but groups, answers and chunks are small and take time.
    fn sluggish() -> Self {
        let (sync, acknowledgement) = (Duration::from_micros(30), Duration::from_micros(50));
        let (group_max, queue_max, chunk_commits_max) = (3, 4, 7);
        let open = Duration::from_micros(20);
        Self::new(Weather {
            direct: false,
            sync,
            acknowledgement,
            open,
            group_max,
            queue_max,
            chunk_commits_max,
            ..Weather::calm()
        })
    }
}

impl Subject for Simulated {
    async fn open(&self) -> Arc<dyn Journal> {
        let journal = SimulatedJournal::open(&self.disk, self.weather.clone(), Random::new(1));
        *self.journal.lock() = Some(journal.clone());
        Arc::new(journal)
    }

    async fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> Arc<dyn Journal> {
        if how == How::CleanClose {
            journal.close().await.expect("nothing fails in this weather");
        }
        if let Some(journal) = self.journal.lock().take() {
            journal.crash();
        }
        self.open().await
    }
}

mod calm {
    use super::*;
    onefold_testkit::conformance!(Simulated::calm);
}

mod sluggish {
    use super::*;
    onefold_testkit::conformance!(Simulated::sluggish);
}
