//! How many kills struck where, and what came of them.

use std::path::PathBuf;
use std::time::Duration;

use super::moment::Died;
use crate::crash::ledger::Tally;
use crate::crash::verdict::{Verdict, grouped, table};

/// How the attack went.
#[derive(Clone, Debug, Default)]
pub struct KillReport {
    /// Kills that were followed by a complete reading.
    pub cycles: u64,
    /// Directories that were used.
    pub directories: u64,
    /// Kills by where they struck.
    pub died: [u64; Died::ALL.len()],
    /// Commits that were read back, in all readings.
    pub commits_read: u64,
    /// What was said.
    pub said: Tally,
    /// What was found.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
    /// Where the evidence is, if there is some.
    pub kept: Option<PathBuf>,
}

impl KillReport {
    pub(super) fn note(&mut self, died: Died, kills: u64) {
        self.died[died as usize] += kills;
    }

    /// For people.
    pub fn table(&self) -> comfy_table::Table {
        let Tally { attempted, keyed, repeated, repeated_later, acknowledged, refused, unknown, shown, .. } = self.said;
        let [claims_taken, claims_changed, transacts, bulks] =
            self.said.extras().map(|(name, count)| (name, grouped(count)));
        let head = [
            ("cycles: kill, reopen, read everything", grouped(self.cycles)),
            ("directories", grouped(self.directories)),
        ];
        let died = Died::ALL.into_iter().map(|died| (died.name(), grouped(self.died[died as usize])));
        let said = [
            ("commands sent", grouped(attempted)),
            ("… with a key", grouped(keyed)),
            ("… sent again with their key", grouped(repeated)),
            ("… to another process", grouped(repeated_later)),
            ("acknowledged", grouped(acknowledged)),
            claims_taken,
            claims_changed,
            transacts,
            bulks,
            ("answered: surely not stored", grouped(refused)),
            ("answered: perhaps stored", grouped(unknown)),
            ("states shown by reads under load", grouped(shown)),
            ("commits read back", grouped(self.commits_read)),
            ("seconds", grouped(self.elapsed.as_secs())),
        ];
        let rows = head.into_iter().chain(died).chain(said).chain(self.verdict.rows());
        table("kill", rows)
    }
}
